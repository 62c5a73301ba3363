//! Where a table comes from: `--table`, a file, or standard input.

use super::context::Context;
use super::failure::Failure;
use super::output::{self, complain};
use crate::dm::{Errno, SourceTable, Text};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::unix::ffi::OsStrExt;
use zeroize::Zeroizing;

/// How much is read at first.
const ROOM: usize = 16 * 1024;

/// Reads the table for `device`; its name only stands in what is said of faults.
pub(super) fn read(
    ctx: &mut Context,
    table: Option<&OsStr>,
    file: Option<&OsStr>,
    device: &Text,
) -> Result<SourceTable, Failure> {
    let is_awaited = table.is_none() && file.is_none() && !ctx.classic;
    if is_awaited && io::stdin().is_terminal() {
        complain(
            "rdmsetup: the table is read from the terminal: lines of START LENGTH TARGET ARGUMENTS, as in \"0 1MiB zero\"; \
             Ctrl-D ends it",
        );
    }
    let (text, from) = text(table, file)?;
    ctx.source_table(&text, &BTreeMap::new()).map_err(|error| Failure::Table(from, device.clone(), error))
}

/// The text of a table, and dmsetup's name for where it came from.
pub(super) fn text(
    table: Option<&OsStr>,
    file: Option<&OsStr>,
) -> Result<(Zeroizing<Vec<u8>>, String), Failure> {
    let Some(file) = file.filter(|_| table.is_none()) else {
        let from = if table.is_some() { "" } else { "on stdin" };
        return Ok((word_or_input(table)?, from.into()));
    };
    let name = file.display().to_string();
    let text = File::open(file).and_then(read_all).map_err(|error| {
        let classic = format!("Couldn't open '{name}' for reading.");
        Failure::Explained(classic, format!("{name}: {}", Errno::from_io(&error)))
    })?;
    Ok((text, name))
}

/// The word itself, or all of standard input.
pub(super) fn word_or_input(word: Option<&OsStr>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if let Some(word) = word {
        return Ok(Zeroizing::new(word.as_bytes().to_vec()));
    }
    let failed = |error| Failure::Ours(format!("standard input: {}", Errno::from_io(&error)));
    output::data_in().and_then(read_all).map_err(failed)
}

/// All that a file holds. A buffer that was too small is wiped, since a key may stand in it.
pub(super) fn read_all(mut file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(vec![0; ROOM]);
    let mut filled = 0;
    loop {
        match file.read(&mut text[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if filled == text.len() {
            let mut larger = Zeroizing::new(vec![0; 2 * filled]);
            larger[..filled].copy_from_slice(&text);
            text = larger;
        }
    }
    text.truncate(filled);
    Ok(text)
}
