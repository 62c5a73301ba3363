//! `decode`: captured bytes of the protocol, explained field by field.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::output::data_in;
use crate::backend::{Explanation, Field, Side, explain};
use crate::dm::{CommandKind, Errno};
use clap::Args;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::str::FromStr;

/// Bytes that are read at most: no driver's reply is longer.
const MAX_INPUT: u64 = 64 << 20;
/// Columns that a value is given before what it means.
const VALUE_WIDTH: usize = 36;

/// Explain a captured request or reply, field by field
///
/// The bytes are a buffer of one of Linux's ioctls, as a debugger or --trace=hex has it, or a
/// property list of NetBSD's protocol or of its design. See rdmsetup-protocol(7).
#[derive(Args, Debug)]
pub(super) struct Decode {
    /// The file, `-` or nothing for standard input
    #[arg(value_name = "FILE")]
    file: Option<OsString>,

    /// The ioctl that a Linux buffer was for, by its number or its name (0xc138fd09, DM_TABLE_LOAD):
    /// the buffer does not say, and without it its data is not explained
    #[arg(long, value_name = "NUMBER|NAME")]
    ioctl: Option<Ioctl>,

    /// The Linux buffer is a reply, not a request
    #[arg(long)]
    reply: bool,
}

/// An ioctl, by number or name.
#[derive(Clone, Copy, Debug)]
struct Ioctl(CommandKind);

/// A word that is no ioctl's.
#[derive(Clone, Debug)]
struct NoIoctl(String);

impl FromStr for Ioctl {
    type Err = NoIoctl;
    fn from_str(word: &str) -> Result<Self, NoIoctl> {
        let number = match word.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => word.parse().ok(),
        };
        let by_number = number.and_then(|number| {
            let [command, group, _, _] = number.to_le_bytes();
            CommandKind::from_number(command).filter(|_| group == 0xfd || number < 0x100)
        });
        let named = |kind: &&CommandKind| kind.c_name().eq_ignore_ascii_case(word);
        let found = by_number.or_else(|| CommandKind::ALL.iter().find(named).copied());
        found.map(Self).ok_or_else(|| NoIoctl(word.to_owned()))
    }
}

impl fmt::Display for NoIoctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is not an ioctl of device-mapper: 0xc138fd00 to 0xfd12, or DM_VERSION and so on",
            self.0
        )
    }
}

impl std::error::Error for NoIoctl {}

impl Run for Decode {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let file = self.file.filter(|file| file != "-");
        let shown = file
            .as_ref()
            .map_or_else(|| "standard input".to_owned(), |file| format!("\"{}\"", file.display()));
        let open = || match &file {
            Some(file) => File::open(file),
            None => data_in(),
        };
        let bytes = open()
            .and_then(read)
            .map_err(|error| Failure::Ours(format!("cannot read {shown}: {}", Errno::from_io(&error))))?;
        let side = if self.reply { Side::Reply } else { Side::Request };
        let explained = explain(&bytes, self.ioctl.map(|ioctl| ioctl.0), side)
            .map_err(|fault| Failure::Ours(format!("{shown}: {fault}")))?;
        if let Some(document) = &mut ctx.json {
            document.set("what", explained.what.clone());
            document.list("fields").extend(explained.fields.iter().map(json));
        }
        ctx.out.print(text(&explained));
        Ok(())
    }
}

fn read(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_INPUT + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_INPUT) {
        return Err(io::Error::from_raw_os_error(Errno::EOVERFLOW.0));
    }
    Ok(bytes)
}

fn text(explained: &Explanation) -> String {
    let place = |field: &Field| {
        field.at.as_ref().map_or_else(String::new, |at| format!("{}-{}", at.start, at.end - 1))
    };
    let width = |length: fn(&Field) -> usize| explained.fields.iter().map(length).max().unwrap_or(0);
    let (paths, places) =
        (width(|field| field.path.chars().count()), explained.fields.iter().map(|field| place(field).len()));
    let places = places.max().unwrap_or(0);
    let values = width(|field| field.value.chars().count()).min(VALUE_WIDTH);
    let mut out = format!("{}\n", explained.what);
    for field in &explained.fields {
        let Field { path, value, means, .. } = field;
        let row = format!("  {path:<paths$}  {:<places$}  {value:<values$}  {means}", place(field));
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

fn json(field: &Field) -> serde_json::Value {
    serde_json::json!({
        "field": field.path,
        "bytes": field.at.as_ref().map(|at| [at.start, at.end]),
        "value": field.value,
        "means": field.means,
    })
}
