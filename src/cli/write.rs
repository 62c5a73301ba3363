//! `write`: standard input into a device.

use super::Run;
use super::context::Context;
use super::extent::{self, Extent, PIECE, Part};
use super::failure::Failure;
use super::output;
use super::progress::Progress;
use crate::block::BlockDevice;
use crate::dm::{Bytes, Errno, SECTOR_SIZE};
use clap::Args;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::ops::Range;

/// What zeros are looked for in: a hole of less is not worth it.
const BLOCK: usize = 64 << 10;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Write standard input to a device
///
/// As many bytes as there are: what stands behind them in their last sector stays as it is. Long runs of zeros are not
/// stored where the device can do without. Bytes that do not fit are an
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
        let too_many =
            || format!("standard input has more bytes than fit before sector {}", end / SECTOR_SIZE);
        let known = remaining(&mut input);
        if known.is_some_and(|bytes| bytes > end - start) {
            return Err(part.failure(too_many()));
        }
        let mut progress = Progress::begin(known, !input.is_terminal());
        let mut buffer = vec![0; PIECE];
        loop {
            let filled = fill(&mut input, &mut buffer).map_err(not_read)?;
            let room = usize::try_from(end - start).unwrap_or(usize::MAX);
            let data = &buffer[..filled.min(room)];
            if !data.is_empty() {
                part.with(ctx, |volume| put(volume, data, start))?;
                start += data.len() as u64;
                progress.advance(data.len() as u64);
            }
            if filled > room {
                return Err(part.failure(too_many()));
            }
            if filled < buffer.len() {
                if let Some(document) = &mut ctx.json {
                    document.set("start_bytes", part.range.start);
                    document.set("written_bytes", start - part.range.start);
                }
                return part.with(ctx, |volume| volume.flush().map_err(|errno| format!("flush: {errno}")));
            }
        }
    }
}

fn not_read(error: io::Error) -> Failure {
    Failure::Ours(format!("standard input: {}", Errno::from_io(&error)))
}

/// Writes the data, zeros as a hole where the device can have one.
fn put(volume: &dyn BlockDevice, data: &[u8], at: u64) -> Result<(), String> {
    let (mut rest, mut at) = (data, at);
    while !rest.is_empty() {
        let (length, is_zero) = first_run(rest, at);
        let (run, behind) = rest.split_at(length);
        let is_written = is_zero && volume.write_zeroes(Bytes(at), Bytes(length as u64), true).is_ok();
        if !is_written {
            put_data(volume, run, at)?;
        }
        rest = behind;
        at += length as u64;
    }
    Ok(())
}

/// How many bytes of the data, which is for that place, are alike: in blocks of zeros alone, or in others.
fn first_run(data: &[u8], at: u64) -> (usize, bool) {
    let is_zero = |block: &[u8]| block == ZEROS;
    let to_border = BLOCK - usize::try_from(at % BLOCK as u64).unwrap_or(0);
    let (first, rest) = data.split_at(to_border.min(data.len()));
    let kind = is_zero(first);
    let alike = rest.chunks(BLOCK).take_while(|block| is_zero(block) == kind);
    (first.len() + alike.map(<[u8]>::len).sum::<usize>(), kind)
}

/// Writes the data; where that fails, sector by sector as far as it goes.
fn put_data(volume: &dyn BlockDevice, data: &[u8], at: u64) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_blocks_of_zeros_are_told_from_others() {
        let mut data = vec![0; 4 * BLOCK + 10];
        assert_eq!(first_run(&data, 0), (4 * BLOCK, true));
        assert_eq!(first_run(&data[4 * BLOCK..], 0), (10, false));
        // Blocks are the device's: the first is not whole.
        assert_eq!(first_run(&data, 100), (BLOCK - 100, false));
        data[2 * BLOCK] = 1;
        assert_eq!(first_run(&data, 0), (2 * BLOCK, true));
        assert_eq!(first_run(&data[2 * BLOCK..], 0), (BLOCK, false));
        assert_eq!(first_run(&data[1..], 1), (BLOCK - 1, false));
    }
}
