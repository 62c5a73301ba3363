//! The text of `create --concise`: `NAME,UUID,MINOR,FLAGS,LINE[,LINE…][;…]`, taken apart as dmsetup takes it.
//!
//! A backslash takes the next byte as it is; blanks behind a comma between fields and behind a semicolon do not count.
//! dmsetup refuses a device without a table, which it itself writes with four fields, and one whose last byte is
//! quoted; the mended form takes both.

use super::selector::number;
use crate::dm::Text;
use crate::render::ConciseForm;
use std::fmt;

/// A device of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name.
    pub(super) name: Text,
    /// Its uuid; empty if none is given.
    pub(super) uuid: Text,
    /// Its minor number.
    pub(super) minor: Option<u32>,
    /// Whether its table is to be loaded read-only.
    pub(super) readonly: bool,
    /// The lines of its table, as `create` reads them.
    pub(super) table: Vec<u8>,
}

/// A device that cannot be read; what was read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConciseError {
    kind: Kind,
    fields: Vec<Vec<u8>>,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The text ends in a backslash.
    Backslash,
    /// Not five fields.
    Fields,
    /// The text ends within a device.
    Incomplete,
    /// Neither `ro` nor `rw`.
    Flags,
}

/// The devices of a text, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Entries<'a> {
    rest: &'a [u8],
    form: ConciseForm,
}

const FIELDS: usize = 5;

impl<'a> Entries<'a> {
    /// The devices of that text.
    pub(super) fn of(text: &'a [u8], form: ConciseForm) -> Self {
        Self { rest: text, form }
    }

    fn skip_blanks(&mut self) {
        while let Some((byte, after)) = self.rest.split_first()
            && (byte.is_ascii_whitespace() || *byte == 0x0b)
        {
            self.rest = after;
        }
    }

    /// The fields up to a semicolon or the end, quotes taken away.
    fn fields(&mut self) -> Result<Vec<Vec<u8>>, ConciseError> {
        let mut fields = vec![Vec::new()];
        while let Some((&byte, after)) = self.rest.split_first() {
            self.rest = after;
            let count = fields.len();
            // There is one from the start.
            let Some(field) = fields.last_mut() else { break };
            match byte {
                b'\\' => {
                    let Some((&quoted, after)) = after.split_first() else {
                        return Err(ConciseError { kind: Kind::Backslash, fields });
                    };
                    field.push(quoted);
                    self.rest = after;
                }
                b',' if count < FIELDS => {
                    fields.push(Vec::new());
                    self.skip_blanks();
                }
                b',' => field.push(b'\n'),
                b';' => return Ok(fields),
                _ => {
                    field.push(byte);
                    if after.is_empty() {
                        return Ok(fields);
                    }
                }
            }
        }
        // A comma or a quoted byte was the last.
        let is_whole = self.form == ConciseForm::Readable && fields.len() == FIELDS;
        if is_whole { Ok(fields) } else { Err(ConciseError { kind: Kind::Incomplete, fields }) }
    }

    fn entry(&mut self) -> Result<Entry, ConciseError> {
        let mut fields = self.fields()?;
        self.skip_blanks();
        if self.form == ConciseForm::Readable && fields.len() == FIELDS - 1 {
            fields.push(Vec::new());
        }
        let fault = |kind| Err(ConciseError { kind, fields: fields.clone() });
        let [name, uuid, minor, flags, table] = fields.as_slice() else { return fault(Kind::Fields) };
        let readonly = match flags.as_slice() {
            b"ro" => true,
            b"" | b"rw" => false,
            _ => return fault(Kind::Flags),
        };
        let minor = String::from_utf8_lossy(minor);
        let minor = if minor.is_empty() { None } else { number(&minor).ok() };
        Ok(Entry {
            name: name.as_slice().into(),
            uuid: uuid.as_slice().into(),
            minor: minor.and_then(|minor| u32::try_from(minor).ok()),
            readonly,
            table: table.clone(),
        })
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, ConciseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self.entry();
        if entry.is_err() {
            self.rest = &[];
        }
        Some(entry)
    }
}

impl fmt::Display for ConciseError {
    /// dmsetup's lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |index: usize| {
            self.fields.get(index).map_or("(null)".into(), |field| String::from_utf8_lossy(field))
        };
        match self.kind {
            Kind::Backslash => {
                f.write_str("Backslash must be followed by another character at end of string.")?;
            }
            Kind::Fields => f.write_str("Five comma-separated fields are required for each device")?,
            Kind::Incomplete => {
                f.write_str("Incomplete entry: five comma-separated fields are required for each device")?;
            }
            Kind::Flags => {
                let flags = field(3);
                return write!(f, "Invalid flags parameter '{flags}' must be 'ro' or 'rw' or empty.");
            }
        }
        write!(
            f,
            "\nParsed {} fields: name: {} uuid: {} minor: {} flags: {} table: {}",
            self.fields.len(),
            field(0),
            field(1),
            field(2),
            field(3),
            field(4)
        )
    }
}

impl std::error::Error for ConciseError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::{DeviceId, DeviceNumber, Flags, Reply, ReplyBody, Sectors, StatusLine, Version};
    use crate::render::{self, Keys};

    fn read(text: &str, form: ConciseForm) -> Vec<String> {
        Entries::of(text.as_bytes(), form)
            .map(|entry| match entry {
                Err(error) => error.to_string().lines().next().unwrap_or_default().into(),
                Ok(Entry { name, uuid, minor, readonly, table }) => {
                    format!("{name}|{uuid}|{minor:?}|{readonly}|{}", String::from_utf8_lossy(&table))
                }
            })
            .collect()
    }

    #[test]
    fn devices_read_as_dmsetup_reads_them() {
        let classic = |text: &str| read(text, ConciseForm::Classic).join(" & ");
        assert_eq!(classic("a,,,rw,0 8 zero"), "a||None|false|0 8 zero");
        assert_eq!(
            classic("b,u\\,b, 7,ro,0 8 zero,8 8 error;\n c,,,,x;"),
            "b|u,b|Some(7)|true|0 8 zero\n8 8 error & c||None|false|x"
        );
        assert_eq!(classic(""), "");
        assert_eq!(classic("k,,,,;"), "k||None|false|");
        for text in ["k,,,,", "k,,,,x\\y", "a,"] {
            assert!(classic(text).starts_with("Incomplete entry"), "{text}");
        }
        for text in [" ", "x", "pool,,8,rw", "x;y", "a,,,,x;;"] {
            assert!(classic(text).contains("Five comma-separated"), "{text}");
        }
        assert!(classic("a,,,ro ,x").contains("'ro ' must be"));
        assert!(classic("a,,,rw,x\\").starts_with("Backslash must"));
    }

    #[test]
    fn what_dmsetup_writes_is_read_where_it_is_mended() {
        let mended = |text: &str| read(text, ConciseForm::Readable).join(" & ");
        assert_eq!(mended("pool,,8,rw;a,,,,x"), "pool||Some(8)|false| & a||None|false|x");
        assert_eq!(mended("k,,,,"), "k||None|false|");
        assert_eq!(mended("k,,,,x\\;"), "k||None|false|x;");
        assert!(mended("x").contains("Five comma-separated"));
    }

    #[test]
    fn a_fault_shows_what_was_read() {
        let error = Entries::of(b"x;y", ConciseForm::Classic).next().unwrap().unwrap_err();
        let lines = "Five comma-separated fields are required for each device\nParsed 1 fields: name: x uuid: (null) \
                     minor: (null) flags: (null) table: (null)";
        assert_eq!(error.to_string(), lines);
    }

    #[test]
    fn whatever_is_written_is_read_back() {
        arbtest::arbtest(|u| {
            let text = |u: &mut arbitrary::Unstructured<'_>| -> arbitrary::Result<Text> {
                let bytes: Vec<u8> = u.arbitrary()?;
                Ok(bytes.into_iter().filter(|byte| *byte != 0).collect::<Vec<u8>>().into())
            };
            let mut written = Vec::new();
            let mut expected = Vec::new();
            for _ in 0..u.int_in_range(1..=3)? {
                let (name, uuid) = (text(u)?, text(u)?);
                let device = DeviceId { dev: Some(DeviceNumber::new(254, 7)), ..DeviceId::default() };
                let line = StatusLine {
                    start: Sectors(0),
                    length: Sectors(u.arbitrary()?),
                    target: "zero".into(),
                    status: 0,
                    params: text(u)?,
                };
                let table = if u.arbitrary()? { vec![&line] } else { Vec::new() };
                let readonly = u.arbitrary()?;
                let reply = Reply {
                    version: Version::default(),
                    device,
                    flags: Flags::READONLY.when(readonly),
                    open_count: 0,
                    event_nr: 0,
                    target_count: 0,
                    body: ReplyBody::None,
                };
                if !written.is_empty() {
                    written.push(b';');
                }
                let form = ConciseForm::Readable;
                written.extend(render::concise(&reply, &name, &uuid, &table, Keys::Shown, form));
                let table =
                    table.iter().flat_map(|line| render::line(line, Keys::Shown)).collect::<Vec<u8>>();
                let table = table.strip_suffix(b"\n").unwrap_or(&table).to_vec();
                expected.push(Entry { name, uuid, minor: Some(7), readonly, table });
            }
            let read: Result<Vec<Entry>, _> = Entries::of(&written, ConciseForm::Readable).collect();
            assert_eq!(read.unwrap(), expected);
            Ok(())
        });
    }

    #[test]
    fn no_text_makes_it_panic() {
        arbtest::arbtest(|u| {
            let text: Vec<u8> = u.arbitrary()?;
            for form in [ConciseForm::Classic, ConciseForm::Readable] {
                assert!(Entries::of(&text, form).count() <= text.len());
            }
            Ok(())
        });
    }
}
