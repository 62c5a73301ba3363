//! Where a table comes from: `--table`, a file, or standard input.

use super::failure::Failure;
use super::output;
use crate::dm::{Errno, SourceTable, Text};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

/// Reads the table for `device`; its name only stands in what is said of faults.
pub(super) fn read(
    table: Option<&OsStr>,
    file: Option<&OsStr>,
    device: &Text,
) -> Result<SourceTable, Failure> {
    let mut text = Vec::new();
    let from = match (table, file) {
        (Some(table), _) => {
            text.extend_from_slice(table.as_bytes());
            String::new()
        }
        (None, Some(file)) => {
            let name = file.display().to_string();
            text = fs::read(file).map_err(|error| {
                let classic = format!("Couldn't open '{name}' for reading.");
                Failure::Explained(classic, format!("{name}: {}", Errno::from_io(&error)))
            })?;
            name
        }
        (None, None) => {
            let read = output::data_in().and_then(|mut input| input.read_to_end(&mut text));
            read.map_err(|error| Failure::Ours(format!("standard input: {}", Errno::from_io(&error))))?;
            "on stdin".into()
        }
    };
    SourceTable::parse(&text).map_err(|error| Failure::Table(from, device.clone(), error))
}
