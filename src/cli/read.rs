//! `read`: a device's bytes on standard output.

use super::Run;
use super::context::Context;
use super::extent::{self, Extent, PIECE};
use super::failure::Failure;
use super::output;
use crate::block::{Allocation, BlockDevice};
use crate::dm::{Bytes, Errno};
use clap::Args;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::ops::Range;

/// Write a device's bytes to standard output
///
/// Where standard output is a file, what is not stored in the device is not stored in the file either.
#[derive(Args, Debug)]
pub(super) struct Read {
    /// The device
    #[arg(value_name = "DEVICE")]
    name: OsString,

    #[command(flatten)]
    extent: Extent,
}

/// Why the bytes did not arrive.
enum Broken {
    /// The device failed at that sector.
    Device(crate::dm::Sectors, Errno),
    /// They could not be written.
    Output(io::Error),
}

impl Run for Read {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let (volume, range) = extent::open(ctx, &self.name, self.extent, false)?;
        let copied = output::data_out().map_err(Broken::Output).and_then(|out| copy(&*volume, range, Sink::new(out)));
        match copied {
            Ok(()) => Ok(()),
            // The reader has had enough.
            Err(Broken::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::Silent),
            Err(Broken::Output(error)) => {
                Err(Failure::Ours(format!("standard output: {}", Errno::from_io(&error))))
            }
            Err(Broken::Device(sector, errno)) => {
                Err(Failure::Ours(format!("{}: read of sector {sector}: {errno}", self.name.display())))
            }
        }
    }
}

fn copy(volume: &dyn BlockDevice, range: Range<u64>, mut sink: Sink) -> Result<(), Broken> {
    let mut buffer = vec![0; PIECE];
    let mut at = range.start;
    while at < range.end {
        let left = range.end - at;
        let run = volume.allocation(Bytes(at), Bytes(left)).unwrap_or(Allocation::Data(Bytes(left)));
        // Whatever the device says of the run, it goes on by at least a byte and stays within the range.
        let length = run.length().0.clamp(1, left);
        if matches!(run, Allocation::Hole(_)) {
            sink.skip(length).map_err(Broken::Output)?;
            at += length;
            continue;
        }
        let piece = usize::try_from(length).unwrap_or(PIECE).min(PIECE);
        let data = &mut buffer[..piece];
        if volume.read_at(data, Bytes(at)).is_err() {
            by_sectors(volume, data, at, &mut sink)?;
        } else {
            sink.write(data).map_err(Broken::Output)?;
        }
        at += data.len() as u64;
    }
    sink.finish().map_err(Broken::Output)
}

/// Reads and writes as far as the first sector that fails.
fn by_sectors(volume: &dyn BlockDevice, data: &mut [u8], at: u64, sink: &mut Sink) -> Result<(), Broken> {
    let mut outcome = Ok(());
    let mut rest = data;
    let end = at + rest.len() as u64;
    let read = extent::first_bad_sector(at..end, |sector| {
        let length = usize::try_from(sector.end - sector.start).unwrap_or(0).min(rest.len());
        let (here, behind) = std::mem::take(&mut rest).split_at_mut(length);
        rest = behind;
        volume.read_at(here, Bytes(sector.start))?;
        if outcome.is_ok() {
            outcome = sink.write(here);
        }
        Ok(())
    });
    outcome.map_err(Broken::Output)?;
    read.map_err(|(sector, errno)| Broken::Device(sector, errno))
}

/// Standard output, with holes where it can have them.
struct Sink {
    file: File,
    /// It is a file whose end is here, and which is not only appended to: what is skipped reads as zeros.
    sparse: bool,
    /// Something was skipped last, so that the file has yet to grow.
    pending: bool,
}

impl Sink {
    fn new(mut file: File) -> Self {
        let appends = fcntl(&file, FcntlArg::F_GETFL).map_or(true, |bits| bits & OFlag::O_APPEND.bits() != 0);
        let at_end = match (file.metadata(), file.stream_position()) {
            (Ok(metadata), Ok(position)) => metadata.is_file() && position >= metadata.len(),
            _ => false,
        };
        Self { file, sparse: at_end && !appends, pending: false }
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.pending = false;
        self.file.write_all(data)
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        if let (true, Ok(length)) = (self.sparse, i64::try_from(length)) {
            self.pending = true;
            return self.file.seek(SeekFrom::Current(length)).map(drop);
        }
        let zeros = vec![0; PIECE];
        let mut left = length;
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            self.file.write_all(&zeros[..piece])?;
            left -= piece as u64;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        if self.pending {
            let end = self.file.stream_position()?;
            self.file.set_len(end)?;
        }
        Ok(())
    }
}
