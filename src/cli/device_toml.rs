//! Devices as TOML: rdmsetup-devices(5), read and written.

use super::device_file::Written;
use super::failure::{Failure, located};
use crate::dm::{TableSyntaxError, Text, may_hold_key};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use std::fmt::{self, Write};
use std::ops::Range;
use zeroize::Zeroizing;

/// A file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    device: Vec<Device>,
}

/// One `[[device]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    name: String,
    #[serde(default)]
    uuid: String,
    minor: Option<u32>,
    #[serde(default)]
    readonly: bool,
    #[serde(default)]
    table: TableText,
}

/// A table: a text of lines, or a list of them.
#[derive(Default)]
struct TableText(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for TableText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TableVisitor).map(Self)
    }
}

struct TableVisitor;

impl<'de> Visitor<'de> for TableVisitor {
    type Value = Zeroizing<Vec<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lines of a table, as a text or as a list")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Zeroizing::new(text.into()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(Zeroizing::new(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<Self::Value, A::Error> {
        let mut text = Zeroizing::new(Vec::new());
        while let Some(line) = lines.next_element::<String>()?.map(Zeroizing::new) {
            // A buffer that grows leaves what it held behind.
            let mut longer = Zeroizing::new(Vec::with_capacity(text.len() + line.len() + 1));
            longer.extend_from_slice(&text);
            longer.extend_from_slice(line.as_bytes());
            longer.push(b'\n');
            text = longer;
        }
        Ok(text)
    }
}

/// The devices of a text; `file` is what faults call it.
pub(super) fn parse(file: &str, text: &[u8]) -> Result<Vec<Written>, Failure> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let place =
            fault(text, error.valid_up_to()..error.valid_up_to() + 1, "this is no UTF-8, and TOML is".into());
        Failure::Ours(told(file, &place))
    })?;
    let file_of_devices: File = toml::from_str(text).map_err(|error| {
        let reason = error.message().to_owned();
        let span = error.span().unwrap_or(text.len()..text.len());
        Failure::Ours(told(file, &fault(text.as_bytes(), span, reason)))
    })?;
    Ok(file_of_devices.device.into_iter().map(Written::from).collect())
}

impl From<Device> for Written {
    fn from(device: Device) -> Self {
        let Device { name, uuid, minor, readonly, table } = device;
        Self { name: name.into(), uuid: uuid.into(), minor, readonly, table: table.0 }
    }
}

/// A fault in its line. Where a key may be near, the line is not quoted.
fn fault(text: &[u8], span: Range<usize>, reason: String) -> TableSyntaxError {
    let at = span.start.min(text.len());
    let begin = text[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let end = text[at..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |newline| at + newline);
    let number = text[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
    let stop = span.end.clamp(at, end);
    let reason = reason
        .lines()
        .next()
        .unwrap_or_default()
        .replace('`', "\"")
        .replace("expected u32", "expected a number");
    TableSyntaxError {
        line: number,
        span: at - begin..stop - begin,
        text: Text::from(&text[begin..end]),
        reason,
        hint: None,
    }
}

fn told(file: &str, error: &TableSyntaxError) -> String {
    let mut words = error.text.split(|byte| !byte.is_ascii_alphanumeric());
    if words.any(may_hold_key) {
        let column = String::from_utf8_lossy(&error.text[..error.span.start]).chars().count() + 1;
        return format!("{file}, line {}, column {column}: {}", error.line, error.reason);
    }
    located(file, error).trim_start_matches("rdmsetup: ").to_owned()
}

/// A text that TOML cannot hold.
#[derive(Debug)]
pub(super) struct NoToml(pub(super) &'static str);

/// A device as TOML, with a comment above it if there is something to say.
pub(super) fn write(device: &Written, comment: Option<&str>) -> Result<Zeroizing<String>, NoToml> {
    let text = |bytes: &[u8], what| std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| NoToml(what));
    let (name, uuid) =
        (text(&device.name, "its name is no UTF-8")?, text(&device.uuid, "its uuid is no UTF-8")?);
    let table = std::str::from_utf8(&device.table).map_err(|_| NoToml("its table is no UTF-8"))?;
    // Room for every byte as an escape: nothing is left behind where it was before.
    let mut toml = Zeroizing::new(String::with_capacity(6 * (table.len() + name.len() + uuid.len()) + 200));
    for line in comment.into_iter().flat_map(str::lines) {
        push(&mut toml, format_args!("# {line}\n"));
    }
    push(&mut toml, format_args!("[[device]]\nname = \""));
    quote(&mut toml, &name);
    if !uuid.is_empty() {
        push(&mut toml, format_args!("\"\nuuid = \""));
        quote(&mut toml, &uuid);
    }
    push(&mut toml, format_args!("\"\n"));
    if let Some(minor) = device.minor {
        push(&mut toml, format_args!("minor = {minor}\n"));
    }
    if device.readonly {
        push(&mut toml, format_args!("readonly = true\n"));
    }
    if !table.is_empty() {
        push(&mut toml, format_args!("table = \"\"\"\n"));
        for line in table.split_inclusive('\n') {
            quote(&mut toml, line.strip_suffix('\n').unwrap_or(line));
            push(&mut toml, format_args!("{}", if line.ends_with('\n') { "\n" } else { "" }));
        }
        push(&mut toml, format_args!("\"\"\"\n"));
    }
    Ok(toml)
}

fn push(toml: &mut String, text: fmt::Arguments<'_>) {
    // A string takes whatever is written to it.
    let _ = toml.write_fmt(text);
}

/// A text within a basic string.
fn quote(toml: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '"' | '\\' => toml.extend(['\\', char]),
            '\t' => toml.push('\t'),
            control if control.is_control() => push(toml, format_args!("\\u{:04X}", u32::from(control))),
            plain => toml.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        match parse("f", text.as_bytes()) {
            Ok(devices) => devices
                .iter()
                .map(|Written { name, uuid, minor, readonly, table }| {
                    format!("{name}|{uuid}|{minor:?}|{readonly}|{}", String::from_utf8_lossy(table))
                })
                .collect(),
            Err(failure) => failure.lines(false, None),
        }
    }

    #[test]
    fn tables_are_texts_or_lists() {
        let text = "# two\n[[device]]\nname = 'a'\ntable = \"\"\"\n0 8 zero\n8 8 error\n\"\"\"\n\
                    [[device]]\nname = 'b'\nuuid = 'U'\nminor = 7\nreadonly = true\ntable = ['0 8 zero', '8 8 error']\n\
                    [[device]]\nname = 'c'\n";
        let table = "0 8 zero\n8 8 error\n";
        assert_eq!(
            read(text),
            [format!("a||None|false|{table}"), format!("b|U|Some(7)|true|{table}"), "c||None|false|".into()]
        );
        assert!(read("").is_empty());
    }

    #[test]
    fn a_fault_is_told_with_its_place() {
        for (text, place) in [
            ("[[device]]\nname = 'a'\ntabel = 'x'", "f, line 3, column 1: unknown field \"tabel\""),
            ("[[device]]\nuuid = 'a'", "f, line 1, column 1: missing field \"name\""),
            ("[[devices]]\nname = 'a'", "f, line 1, column 3: unknown field \"devices\""),
            ("[[device]]\nname = 'a'\nminor = 'x'", "f, line 3, column 9: invalid type: "),
            ("[[device]]\nname = 'a'\nminor = -1", "f, line 3, column 9: invalid value: "),
            (
                "[[device]]\nname = 'a'\ntable = 7",
                "f, line 3, column 9: invalid type: integer \"7\", expected the lines of a",
            ),
            ("[[device]]\nname = 'a", "f, line 2, column "),
            ("[[device]]\nname = 'a'\nname = 'b'", "f, line 3, column 1: duplicate key"),
        ] {
            let told = read(text).join("\n");
            assert!(told.starts_with(&format!("rdmsetup: {place}")), "{text}: {told}");
        }
        let told = read("[[device]]\nname = 'a'\ntable = '0 8 crypt aes 0123 0 x 0\n").join("\n");
        assert!(told.contains("line 3") && !told.contains("0123"), "{told}");
        let told = parse("f", b"name = '\xff'").unwrap_err().lines(false, None).join("\n");
        assert!(told.contains("line 1, column 9: this is no UTF-8"), "{told}");
    }

    #[test]
    fn whatever_is_written_is_read_back() {
        arbtest::arbtest(|u| {
            let text = |u: &mut arbitrary::Unstructured<'_>| -> arbitrary::Result<String> {
                Ok(u.arbitrary::<String>()?.replace('\0', ""))
            };
            let device = Written {
                name: text(u)?.into(),
                uuid: text(u)?.into(),
                minor: u.arbitrary()?,
                readonly: u.arbitrary()?,
                table: Zeroizing::new(text(u)?.into()),
            };
            let toml = write(&device, Some("two\nlines")).unwrap();
            let read = parse("f", toml.as_bytes()).unwrap_or_else(|failure| panic!("{failure:?}: {}", *toml));
            assert_eq!(read.len(), 1);
            assert_eq!(
                (&read[0].name, &read[0].uuid, read[0].minor, read[0].readonly, &*read[0].table),
                (&device.name, &device.uuid, device.minor, device.readonly, &*device.table)
            );
            Ok(())
        });
    }

    #[test]
    fn no_text_makes_it_panic() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            // Letters that make TOML more often than chance does.
            let parts = [
                "[[device]]\n",
                "name",
                "=",
                "'a'",
                "\"",
                "\n",
                "\"\"\"",
                "table",
                "[",
                "]",
                "#",
                "\\",
                "\u{e9}",
                "7",
            ];
            let text: String = bytes.iter().map(|byte| parts[usize::from(*byte) % parts.len()]).collect();
            let _ = parse("f", text.as_bytes());
            let _ = parse("f", &bytes);
            Ok(())
        });
    }
}
