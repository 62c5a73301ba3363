//! `read`: a device's bytes on standard output.

use super::Run;
use super::context::Context;
use super::extent::{self, Extent, PIECE, Part};
use super::failure::Failure;
use super::output;
use super::progress::Progress;
use crate::block::{Allocation, BlockDevice};
use crate::dm::{Bytes, Errno, Sectors};
use clap::Args;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileTypeExt;

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

/// What lies at a place of the device.
enum Piece {
    /// That many bytes, in the buffer.
    Data(usize),
    /// That many bytes, in the buffer, and then a sector that cannot be read.
    Broken(usize, Sectors, Errno),
    /// That many zeros.
    Hole(u64),
}

impl Run for Read {
    const NO_DOCUMENT: Option<&'static str> = Some("its standard output is the device's bytes");

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let mut part = Part::open(ctx, &self.name, self.extent, false)?;
        let mut sink = output::data_out().map(Sink::new).map_err(not_written)?;
        let mut buffer = vec![0; PIECE];
        let Range { mut start, end } = part.range.clone();
        let mut stored = start;
        let mut progress = Progress::begin(Some(end - start), sink.keeps);
        while start < end {
            let piece = part.with(ctx, |volume| Ok(get(volume, &mut buffer, start..end, &mut stored)))?;
            let (written, length) = match piece {
                Piece::Hole(length) => (sink.skip(length), length),
                Piece::Data(length) | Piece::Broken(length, ..) => {
                    (sink.write(&buffer[..length]), length as u64)
                }
            };
            written.map_err(not_written)?;
            if let Piece::Broken(_, sector, errno) = piece {
                return Err(part.failure(format_args!("read of sector {sector}: {errno}")));
            }
            start += length;
            progress.advance(length);
        }
        sink.finish().map_err(not_written)
    }
}

fn not_written(error: io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        // The reader has had enough.
        return Failure::Silent;
    }
    Failure::Ours(format!("standard output: {}", Errno::from_io(&error)))
}

/// The bytes at the head of the range, as many as the buffer holds or are alike.
///
/// Up to `stored` there are no holes: a file system may look through a whole file to say so, and is asked once a run.
fn get(volume: &dyn BlockDevice, buffer: &mut [u8], range: Range<u64>, stored: &mut u64) -> Piece {
    let left = range.end - range.start;
    if range.start >= *stored {
        let run = volume.allocation(Bytes(range.start), Bytes(left)).unwrap_or(Allocation::Data(Bytes(left)));
        // Whatever the device says of the run, it goes on by at least a byte and stays within the range.
        let length = run.length().0.clamp(1, left);
        if matches!(run, Allocation::Hole(_)) {
            return Piece::Hole(length);
        }
        *stored = range.start + length;
    }
    let length = *stored - range.start;
    let length = usize::try_from(length).unwrap_or(PIECE).min(buffer.len());
    let data = &mut buffer[..length];
    if volume.read_at(data, Bytes(range.start)).is_ok() {
        return Piece::Data(length);
    }
    let mut good = 0;
    let whole = range.start..range.start + length as u64;
    let found = extent::first_bad_sector(whole, |sector| {
        let size = usize::try_from(sector.end - sector.start).unwrap_or(0).min(length - good);
        volume.read_at(&mut data[good..good + size], Bytes(sector.start))?;
        good += size;
        Ok(())
    });
    match found {
        Ok(()) => Piece::Data(length),
        Err((sector, errno)) => Piece::Broken(good, sector, errno),
    }
}

/// Standard output, with holes where it can have them.
struct Sink {
    file: File,
    /// It is a file whose end is here, and which is not only appended to: what is skipped reads as zeros.
    sparse: bool,
    /// It goes to a file or a disk. Who reads a pipe tells of its own progress.
    keeps: bool,
    /// Something was skipped last, so that the file has yet to grow.
    pending: bool,
}

impl Sink {
    fn new(mut file: File) -> Self {
        let appends = fcntl(&file, FcntlArg::F_GETFL).map_or(true, |bits| bits & OFlag::O_APPEND.bits() != 0);
        let metadata = file.metadata();
        let at_end = match (&metadata, file.stream_position()) {
            (Ok(metadata), Ok(position)) => metadata.is_file() && position >= metadata.len(),
            _ => false,
        };
        let keeps =
            metadata.is_ok_and(|metadata| metadata.is_file() || metadata.file_type().is_block_device());
        Self { file, sparse: at_end && !appends, keeps, pending: false }
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
