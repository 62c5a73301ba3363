//! Which devices a command is about: by name, by path, by `-u`, by `-j` and `-m`; one, several, or all.

use super::context::Context;
use super::failure::Failure;
use super::report_row::Filter;
use crate::backend::nodes::Nodes;
use crate::dm::{Command, DeviceId, DeviceNumber, Request, Text, limits};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A device by something else than its name.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Selector {
    /// The device with this uuid
    #[arg(short, long, value_name = "UUID")]
    pub(super) uuid: Option<OsString>,

    /// The device with this major number; with --minor
    #[arg(short = 'j', long, value_name = "NUMBER", value_parser = number, allow_hyphen_values = true)]
    pub(super) major: Option<i32>,

    /// The device with this minor number; with --major
    #[arg(short, long, value_name = "NUMBER", value_parser = number, allow_hyphen_values = true)]
    pub(super) minor: Option<i32>,

    /// Only devices for which this is so: -S help tells how it is written
    #[arg(short = 'S', long, value_name = "CONDITION")]
    pub(super) select: Option<OsString>,
}

/// What is done with a device.
type Act<'a> = &'a mut dyn FnMut(&mut Context, &Selected) -> Result<(), Failure>;

/// A device that a command is about.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    /// As a driver is asked for it.
    pub(super) id: DeviceId,
    /// As the user wrote it; empty where no name was given.
    pub(super) label: Text,
    /// Several devices are being shown: lines begin with the name.
    pub(super) several: bool,
}

/// A number as C's atoi reads it, which is what dmsetup does: as far as there are digits, and 0 without any.
pub(super) fn number(word: &str) -> Result<i32, std::convert::Infallible> {
    let word = word.trim_ascii_start();
    let (sign, digits) = match word.as_bytes().first() {
        Some(b'-') => (-1, &word[1..]),
        Some(b'+') => (1, &word[1..]),
        _ => (1, word),
    };
    let digits = digits.bytes().take_while(u8::is_ascii_digit).map(|digit| i64::from(digit - b'0'));
    let value = digits.fold(0i64, |sum, digit| sum.saturating_mul(10).saturating_add(digit));
    Ok(i32::try_from(sign * value).unwrap_or(if sign < 0 { i32::MIN } else { i32::MAX }))
}

impl Selector {
    /// Whether it names a device.
    pub(super) fn is_given(&self) -> bool {
        self.uuid.is_some() || self.major.is_some()
    }

    /// The number that it gives.
    pub(super) fn dev(&self) -> Option<DeviceNumber> {
        let part = |number: Option<i32>| u32::try_from(number?).ok();
        Some(DeviceNumber::new(part(self.major)?, part(self.minor)?))
    }

    /// The device: by name where there is one, else as the selector says.
    pub(super) fn device(&self, ctx: &mut Context, name: Option<&OsStr>) -> Result<DeviceId, Failure> {
        ctx.open()?;
        match (name, &self.uuid) {
            (Some(name), _) => Ok(DeviceId::by_name(existing_name(ctx, name)?)),
            (None, Some(uuid)) => Ok(DeviceId::by_uuid(mangled_uuid(ctx, uuid)?)),
            (None, None) if self.major.is_some() => Ok(DeviceId { dev: self.dev(), ..DeviceId::default() }),
            (None, None) => Err(no_device("No device specified.")),
        }
    }

    /// Does something with each named device, or with the one selected; the first failure ends it. With a condition:
    /// with each of them for which it is so, or of all.
    pub(super) fn each(
        &self,
        ctx: &mut Context,
        names: &[OsString],
        mut act: impl FnMut(&mut Context, &Selected) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.select.is_some() {
            self.each_filtered(ctx, names, &mut act)
        } else {
            self.each_named(ctx, names, &mut act)
        }
    }

    /// Does something with each named device, the one selected, or with none of either all that there are: then one
    /// that fails is reported and the rest still have their turn. With a condition: only with those for which it is so.
    pub(super) fn each_or_all(
        &self,
        ctx: &mut Context,
        names: &[OsString],
        mut act: impl FnMut(&mut Context, &Selected) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.select.is_some() {
            self.each_filtered(ctx, names, &mut act)
        } else {
            self.each_given(ctx, names, &mut act)
        }
    }

    /// The same, whatever the condition: for commands that dmsetup does not let it act on.
    pub(super) fn each_given(&self, ctx: &mut Context, names: &[OsString], act: Act) -> Result<(), Failure> {
        if names.is_empty() && !self.is_given() { all(ctx, act) } else { self.each_named(ctx, names, act) }
    }

    fn each_named(&self, ctx: &mut Context, names: &[OsString], act: Act) -> Result<(), Failure> {
        if names.is_empty() {
            let id = self.device(ctx, None)?;
            return act(ctx, &Selected { id, label: Text::new(), several: false });
        }
        for name in names {
            let id = self.device(ctx, Some(name))?;
            act(ctx, &Selected { id, label: name.as_bytes().into(), several: names.len() > 1 })?;
        }
        Ok(())
    }

    /// As dmsetup does it: each device's state is asked for, and what is to be done follows at once if the condition
    /// holds, by the name that the driver tells.
    fn each_filtered(&self, ctx: &mut Context, names: &[OsString], act: Act) -> Result<(), Failure> {
        let filter = Filter::new(ctx, self.select.as_ref().map_or(b"", |select| select.as_bytes()))?;
        self.each_given(ctx, names, &mut |ctx, device| {
            let reply = ctx.perform_if_exists(Request::new(device.id.clone(), Command::DevStatus))?;
            let id = DeviceId::by_name(reply.device.name.clone());
            let label = ctx.shown_name(&id.name);
            if filter.selects(ctx, reply)? {
                act(ctx, &Selected { id, label, several: true })
            } else {
                Ok(())
            }
        })
    }
}

/// Does something with every device; says so if there is none.
pub(super) fn all(
    ctx: &mut Context,
    mut act: impl FnMut(&mut Context, &Selected) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let listed = ctx.perform(Request::global(Command::ListDevices))?;
    if listed.devices().is_empty() {
        ctx.out.print("No devices found\n");
    }
    let mut outcome = Ok(());
    for device in listed.devices() {
        // The driver's own form, not one that is decoded and encoded again: an odd name must still be found.
        let id = DeviceId::by_name(device.name.clone());
        let selected = Selected { id, label: ctx.shown_name(&device.name), several: true };
        if let Err(failure) = act(ctx, &selected) {
            ctx.report(&failure);
            outcome = Err(Failure::Reported);
        }
    }
    outcome
}

/// The failure of a command line that names no device; dmsetup has several lines for it.
pub(super) fn no_device(line: &str) -> Failure {
    Failure::because(
        line,
        "it is not said which device is meant",
        "give its name, or its uuid (-u), or its number (-j and -m); `rdmsetup info` shows the devices that there are",
    )
}

/// The name of a device that is there already, which may be given as a path.
fn existing_name(ctx: &mut Context, name: &OsStr) -> Result<Text, Failure> {
    if !name.as_bytes().contains(&b'/') {
        return new_name(ctx, name);
    }
    let (client, nodes) = ctx.open()?;
    let path = Path::new(name);
    match path.file_name().filter(|_| client.is_mapper() && path.parent() == Some(nodes.directory())) {
        // Its devices have no nodes, yet scripts write /dev/mapper/NAME.
        Some(last) => new_name(ctx, last),
        None => name_behind(nodes, path),
    }
}

fn name_behind(nodes: &Nodes, path: &Path) -> Result<Text, Failure> {
    let name = nodes.name_behind(path).map_err(|error| {
        let why = "a word with a \"/\" in it is the path of a device's node";
        Failure::because(error.to_string(), why, "give the name alone, or the path of a node that is there")
    })?;
    if name.len() >= limits::NAME_LEN { Err(too_long(&name)) } else { Ok(name) }
}

/// A name in the form that a driver is sent.
pub(super) fn new_name(ctx: &Context, name: &OsStr) -> Result<Text, Failure> {
    let raw = Text::from(name.as_bytes());
    if raw.contains(&b'/') {
        return Err(slashed(&raw));
    }
    if raw.len() >= limits::NAME_LEN {
        return Err(too_long(&raw));
    }
    ctx.mangling
        .mangle(&raw, "name", limits::NAME_LEN)
        .map_err(|error| Failure::classic(format!("{error}\nFailed to mangle device name \"{raw}\".")))
}

/// A uuid in the form that a driver is sent.
pub(super) fn mangled_uuid(ctx: &Context, uuid: &OsStr) -> Result<Text, Failure> {
    let raw = Text::from(uuid.as_bytes());
    ctx.mangling
        .mangle(&raw, "UUID", limits::UUID_LEN)
        .map_err(|error| Failure::classic(format!("{error}\nFailed to mangle device uuid \"{raw}\".")))
}

fn too_long(name: &Text) -> Failure {
    let why = format!("it has {} bytes, and {} are the most", name.len(), limits::NAME_LEN - 1);
    Failure::Explained(format!("Name \"{name}\" too long."), why)
}

/// The failure of a name that cannot be that of a node.
pub(super) fn slashed(name: &Text) -> Failure {
    let line = format!("Name \"{name}\" invalid. It contains \"/\".");
    let last = name.rsplit(|&byte| byte == b'/').next().map(Text::from).unwrap_or_default();
    let why = "a device is called by its name alone, and has its node in /dev/mapper";
    if last.is_empty() {
        Failure::Explained(line, why.into())
    } else {
        Failure::because(line, why, format!("did you mean \"{last}\"?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_atoi_reads_them() {
        for (word, value) in
            [("253", 253), (" +7x", 7), ("-1", -1), ("x", 0), ("", 0), ("99999999999", i32::MAX)]
        {
            assert_eq!(number(word).unwrap(), value, "{word}");
        }
    }
}
