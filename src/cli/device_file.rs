//! The devices of a file, whichever of its two forms it has: TOML, as rdmsetup-devices(5) tells, or the text of
//! `create --concise`. What it holds, not whether a driver would take it.

use super::concise::{Entries, Entry};
use super::context::Context;
use super::create::unreadable;
use super::device_toml;
use super::failure::Failure;
use super::selector::{mangled_uuid, new_name};
use super::table_source;
use crate::dm::{Sectors, SourceTable, Text};
use crate::render::ConciseForm;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use zeroize::Zeroizing;

/// A device as a file has it, nothing about it looked at.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) name: Text,
    pub(super) uuid: Text,
    pub(super) minor: Option<u32>,
    pub(super) readonly: bool,
    /// The text of its table; empty without one.
    pub(super) table: Zeroizing<Vec<u8>>,
}

/// A device as a driver is to be told of it.
#[derive(Debug)]
pub(super) struct Wanted {
    /// As drivers have it.
    pub(super) name: Text,
    /// As drivers have it; empty where the file gives none.
    pub(super) uuid: Text,
    pub(super) minor: Option<u32>,
    pub(super) readonly: bool,
    pub(super) text: Zeroizing<Vec<u8>>,
    /// The table in it, perhaps without lines; `None` if it cannot be read.
    pub(super) source: Option<SourceTable>,
}

impl Wanted {
    /// Whether it is to have a table.
    pub(super) fn has_table(&self) -> bool {
        self.source.as_ref().is_none_or(|source| !source.table.lines.is_empty())
    }
}

/// The devices of that file (`-` for standard input) in its order. A percentage counts on those before it.
pub(super) fn read(ctx: &mut Context, file: &OsStr, concise: bool) -> Result<Vec<Wanted>, Failure> {
    let named = Some(file).filter(|file| *file != "-");
    let (text, _) = table_source::text(None, named)?;
    let called = named.map_or("standard input".to_owned(), |file| file.display().to_string());
    let written = if concise || is_concise(&text) {
        let entries =
            Entries::of(text.trim_ascii(), ConciseForm::Readable).map(|entry| entry.map(Written::from));
        entries.collect::<Result<_, _>>().map_err(unreadable)?
    } else {
        device_toml::parse(&called, &text)?
    };
    let (mut devices, mut planned) = (Vec::new(), BTreeMap::new());
    for device in written {
        let wanted = device.wanted(ctx, &planned)?;
        let lines = wanted.source.iter().flat_map(|source| &source.table.lines);
        let end = lines.map(|line| line.start.0.saturating_add(line.length.0)).max();
        planned.insert(wanted.name.clone(), Sectors(end.unwrap_or(0)));
        devices.push(wanted);
    }
    find_twice(&called, &devices)?;
    Ok(devices)
}

/// Whether a text is in the concise form: a comma comes in its first line of any content, and no sign of TOML before it.
fn is_concise(text: &[u8]) -> bool {
    let mut lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(b"#")).unwrap_or_default();
    let sign = first.iter().find(|byte| b",=[".contains(byte));
    sign == Some(&b',')
}

impl From<Entry> for Written {
    fn from(entry: Entry) -> Self {
        let Entry { name, uuid, minor, readonly, table } = entry;
        Self { name, uuid, minor, readonly, table: Zeroizing::new(table) }
    }
}

impl Written {
    fn wanted(self, ctx: &mut Context, planned: &BTreeMap<Text, Sectors>) -> Result<Wanted, Failure> {
        let Self { name, uuid, minor, readonly, table: text } = self;
        if name.is_empty() {
            return Err(Failure::Ours("a device of the file has an empty name".into()));
        }
        // What is wrong with a table is told with all that is wrong with the others.
        let source = ctx.source_table(&text, planned).ok();
        Ok(Wanted {
            name: new_name(ctx, OsStr::from_bytes(&name))?,
            uuid: mangled_uuid(ctx, OsStr::from_bytes(&uuid))?,
            minor,
            readonly,
            text,
            source,
        })
    }
}

/// That no two devices have one name, uuid or minor number.
fn find_twice(file: &str, devices: &[Wanted]) -> Result<(), Failure> {
    let mut seen = BTreeMap::new();
    for Wanted { name, uuid, minor, .. } in devices {
        let marks = [
            Some(format!("name \"{name}\"")),
            Some(format!("uuid \"{uuid}\"")).filter(|_| !uuid.is_empty()),
            minor.map(|minor| format!("minor number {minor}")),
        ];
        for mark in marks.into_iter().flatten() {
            if let Some(first) = seen.insert(mark.clone(), name) {
                let both = if first == name {
                    "two devices".to_owned()
                } else {
                    format!("\"{first}\" and \"{name}\"")
                };
                return Err(Failure::Ours(format!("{file}: {both} have the {mark}")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_told_by_the_first_line() {
        for text in ["vol0,,,,0 8 zero", "\n  vol0,U,7,ro,0 8 linear a=b 0;", "[x"].iter().take(2) {
            assert!(is_concise(text.as_bytes()), "{text}");
        }
        for text in
            ["", "# a, b\n[[device]]\nname = 'a,b'", "device = [{name = 'x', minor = 1}]", "[[device]]"]
        {
            assert!(!is_concise(text.as_bytes()), "{text}");
        }
    }
}
