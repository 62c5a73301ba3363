//! `write`: standard input into a device.

use super::Run;
use super::context::Context;
use super::extent::{self, Extent, PIECE, Part};
use super::failure::Failure;
use super::output;
use crate::block::BlockDevice;
use crate::dm::{Bytes, Errno, SECTOR_SIZE};
use clap::Args;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Range;

/// Write standard input to a device
///
/// As many bytes as there are: what stands behind them in their last sector stays as it is. Bytes that do not fit are an
/// error, and one before anything is written where standard input is a file.
#[derive(Args, Debug)]
pub(super) struct Write {
    /// The device
    #[arg(value_name = "DEVICE")]
    name: OsString,

    #[command(flatten)]
    extent: Extent,
}

impl Run for Write {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let mut part = Part::open(ctx, &self.name, self.extent, true)?;
        let mut input = output::data_in().map_err(not_read)?;
        let Range { mut start, end } = part.range.clone();
        let too_many = || format!("standard input has more bytes than fit before sector {}", end / SECTOR_SIZE);
        if remaining(&mut input).is_some_and(|bytes| bytes > end - start) {
            return Err(part.failure(too_many()));
        }
        let mut buffer = vec![0; PIECE];
        loop {
            let filled = fill(&mut input, &mut buffer).map_err(not_read)?;
            let room = usize::try_from(end - start).unwrap_or(usize::MAX);
            let data = &buffer[..filled.min(room)];
            if !data.is_empty() {
                part.with(ctx, |volume| put(volume, data, start))?;
                start += data.len() as u64;
            }
            if filled > room {
                return Err(part.failure(too_many()));
            }
            if filled < buffer.len() {
                return part.with(ctx, |volume| volume.flush().map_err(|errno| format!("flush: {errno}")));
            }
        }
    }
}

fn not_read(error: io::Error) -> Failure {
    Failure::Ours(format!("standard input: {}", Errno::from_io(&error)))
}

/// Writes the data; where that fails, sector by sector as far as it goes.
fn put(volume: &dyn BlockDevice, data: &[u8], at: u64) -> Result<(), String> {
    if volume.write_at(data, Bytes(at)).is_ok() {
        return Ok(());
    }
    let mut rest = data;
    let written = extent::first_bad_sector(at..at + data.len() as u64, |sector| {
        let length = usize::try_from(sector.end - sector.start).unwrap_or(0).min(rest.len());
        let (here, behind) = rest.split_at(length);
        rest = behind;
        volume.write_at(here, Bytes(sector.start))
    });
    written.map_err(|(sector, errno)| format!("write of sector {sector}: {errno}"))
}

/// How many bytes there are still to come, where that is known.
fn remaining(input: &mut File) -> Option<u64> {
    let metadata = input.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(metadata.len().saturating_sub(input.stream_position().ok()?))
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
