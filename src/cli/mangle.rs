//! Names and uuids as udev can take them: what stands outside its alphabet is written `\xNN` in hex; and `mangle`,
//! which renames devices to that form.
//!
//! libdevmapper's rule, since devices are shared with its programs: in `auto` mode a name that holds `\x` is taken for
//! one that is in that form already, and what comes back from a driver is shown decoded. libdevmapper refuses to
//! work at all while some device has an odd name in the raw; here such a name is shown as it is.

use super::context::Context;
use super::failure::Failure;
use super::selector::{Selected, Selector};
use super::udev_options::UdevArgs;
use super::{Run, json};
use crate::dm::{Command, DeviceId, Errno, Request, Text, limits};
use clap::Args;
use serde_json::json;
use std::ffi::OsString;
use std::fmt;

/// When names are written in hex (`DM_DEFAULT_NAME_MANGLING_MODE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mangling {
    /// Never.
    None,
    /// Where it is needed.
    #[default]
    Auto,
    /// A backslash in the name too.
    Hex,
}

/// A name that has no form udev can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MangleError {
    /// Some of it is in hex and some should be.
    Mixed(&'static str, Text),
    /// It is in hex of hex.
    Twice(&'static str, Text),
    /// In hex it does not fit the field.
    TooLong(&'static str, Text),
}

/// A word that is no mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoMode;

/// Give devices names that udev can take
///
/// With `--manglename none` they get the names that their mangled ones stand for.
#[derive(Args, Debug)]
pub(super) struct Mangle {
    /// The devices, by the names that the driver has; without any, all
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    #[command(flatten)]
    selector: Selector,

    #[command(flatten)]
    udev: UdevArgs,
}

impl Run for Mangle {
    const CHANGES: bool = true;

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        ctx.tell_list("names");
        self.udev.apply(ctx)?;
        let wanted = ctx.manglename.unwrap_or_default();
        // Names are asked for and shown as the driver has them.
        ctx.mangling = Mangling::None;
        self.selector.each_or_all(ctx, &self.names, |ctx, device| mangle(ctx, device, wanted))
    }
}

/// Renames the device if its name is in another form than the one wanted; a uuid in another form cannot be changed.
fn mangle(ctx: &mut Context, device: &Selected, wanted: Mangling) -> Result<(), Failure> {
    let status = Request::new(device.id.clone(), Command::TableStatus);
    let DeviceId { name, uuid, .. } = match ctx.perform(status) {
        // dmsetup says no more of it.
        Err(failure) if failure.is(Errno::ENXIO) && ctx.classic => return Err(Failure::Reported),
        outcome => outcome?.device,
    };
    let form = |text: &Text, what, field| match wanted {
        Mangling::None => Ok(Mangling::Auto.unmangle(text)),
        Mangling::Auto | Mangling::Hex => Mangling::Auto.mangle(text, what, field),
    };
    let refused = |error: MangleError| Failure::classic(error.to_string());
    let new_name = form(&name, "name", limits::NAME_LEN).map_err(refused)?;
    if form(&uuid, "UUID", limits::UUID_LEN).map_err(refused)? != uuid {
        return Err(Failure::classic(format!(
            "{name}: {uuid}: UUID in incorrect form. \nUnable to change device UUID. The device must be deactivated first."
        )));
    }
    if let Some(document) = &mut ctx.json {
        document.push(
            "names",
            json!({
                "name": name.to_string(),
                "uuid": json::text_or_null(&uuid),
                "new_name": (new_name != name).then(|| new_name.to_string()),
            }),
        );
    }
    let mut line = name.as_bytes().to_vec();
    line.extend_from_slice(b": ");
    if new_name != name {
        line.extend_from_slice(b"renaming to ");
        line.extend_from_slice(&new_name);
        line.push(b'\n');
        ctx.out.print(line);
        return ctx.perform(Request::new(DeviceId::by_name(name), Command::DevRename(new_name))).map(drop);
    }
    if uuid.is_empty() {
        line.extend_from_slice(b"[no UUID]: name");
    } else {
        line.extend_from_slice(&uuid);
        line.extend_from_slice(b": name and UUID");
    }
    line.extend_from_slice(b" already in correct form\n");
    ctx.out.print(line);
    Ok(())
}

/// A mode from a command line.
pub(super) fn mode(word: &str) -> Result<Mangling, NoMode> {
    Mangling::parse(word).ok_or(NoMode)
}

impl fmt::Display for NoMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unknown name mangling mode.")
    }
}

impl std::error::Error for NoMode {}

impl Mangling {
    /// The mode of that name; `None` for any other word.
    pub(super) fn parse(word: &str) -> Option<Self> {
        [("none", Self::None), ("auto", Self::Auto), ("hex", Self::Hex)]
            .into_iter()
            .find_map(|(name, mode)| name.eq_ignore_ascii_case(word).then_some(mode))
    }

    /// The form that a driver is sent; `what` is the word for it in errors, `field` the bytes that it may take, the
    /// closing NUL among them.
    pub(super) fn mangle(self, raw: &Text, what: &'static str, field: usize) -> Result<Text, MangleError> {
        if self == Self::None {
            return Ok(raw.clone());
        }
        if self == Self::Auto && raw.windows(5).any(|window| window == b"\\x5cx") {
            return Err(MangleError::Twice(what, raw.clone()));
        }
        let mixed = || MangleError::Mixed(what, raw.clone());
        let mut mangled = Vec::with_capacity(raw.len());
        let (mut is_mangled, mut needs_it) = (false, false);
        let mut rest = raw.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            if self == Self::Auto && rest.starts_with(b"\\x") {
                mangled.extend_from_slice(rest.get(..4).ok_or_else(mixed)?);
                is_mangled = true;
                rest = &rest[4..];
                continue;
            }
            if is_plain(byte) {
                mangled.push(byte);
            } else {
                mangled.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
                needs_it = true;
            }
            rest = after;
        }
        if is_mangled && needs_it {
            return Err(mixed());
        }
        if needs_it && mangled.len() >= field {
            return Err(MangleError::TooLong(what, raw.clone()));
        }
        Ok(mangled.into())
    }

    /// The form that a person is shown.
    pub(super) fn unmangle(self, name: &Text) -> Text {
        if self == Self::None || !name.contains(&b'\\') {
            return name.clone();
        }
        let mut shown = Vec::with_capacity(name.len());
        let mut rest = name.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            let digits = rest.strip_prefix(b"\\x").and_then(|hex| std::str::from_utf8(hex.get(..2)?).ok());
            match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(decoded) => {
                    shown.push(decoded);
                    rest = &rest[4..];
                }
                None => {
                    shown.push(byte);
                    rest = after;
                }
            }
        }
        shown.into()
    }
}

/// udev's alphabet.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"#+-.:=@_".contains(&byte)
}

impl fmt::Display for MangleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mixed(what, name) => write!(
                f,
                "The {what} \"{name}\" contains mixed mangled and unmangled characters or it's already mangled improperly."
            ),
            Self::Twice(what, name) => write!(
                f,
                "The {what} \"{name}\" seems to be mangled more than once. This is not allowed in auto mode."
            ),
            Self::TooLong(what, name) => write!(f, "Mangled form of the {what} too long for \"{name}\"."),
        }
    }
}

impl std::error::Error for MangleError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(raw: &str) -> String {
        let mangled = Mangling::Auto.mangle(&raw.into(), "name", 128);
        mangled.map_or_else(|error| error.to_string(), |name| name.to_string())
    }

    #[test]
    fn what_udev_cannot_take_is_written_in_hex() {
        assert_eq!(auto("vg-lv_0"), "vg-lv_0");
        assert_eq!(auto("a b/é"), "a\\x20b\\x2f\\xc3\\xa9");
        assert_eq!(auto("a\\x20b"), "a\\x20b");
        assert!(auto("a b\\x20").contains("mixed mangled"));
        assert!(auto("\\x2").contains("mixed mangled"));
        assert!(auto("a\\x5cx20").contains("more than once"));
        assert!(auto(&" ".repeat(32)).contains("too long"));
        assert_eq!(Mangling::Hex.mangle(&"a\\b".into(), "name", 128).unwrap(), "a\\x5cb");
        assert_eq!(Mangling::None.mangle(&"a b".into(), "name", 128).unwrap(), "a b");
    }

    #[test]
    fn whatever_is_mangled_is_shown_as_it_was() {
        arbtest::arbtest(|u| {
            let raw: Vec<u8> = u.arbitrary()?;
            let raw = Text::from(raw);
            if let Ok(mangled) = Mangling::Hex.mangle(&raw, "name", 4096) {
                assert_eq!(Mangling::Hex.unmangle(&mangled), raw);
            }
            Mangling::Auto.unmangle(&raw);
            Ok(())
        });
    }
}
