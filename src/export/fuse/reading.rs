//! Reading an open device: straight out of files that are memory, through a pipe, or by way of our own memory.

use super::buffer::{Buffer, MAX_DATA};
use super::channel::{Channel, Received};
use super::data::within;
use super::opens::OpenDevice;
use super::pipe::PIPED_FROM;
use super::worker::{Taken, Worker};
use crate::block::Access;
use crate::dm::{Bytes, Errno};
use crate::sys::mapped::Part;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// How much is fetched between two looks for a request.
const FETCHED_AT_ONCE: usize = 32 << 10;

impl Worker {
    /// Answers a read of `length` bytes at `at`, unless it fails.
    pub(super) fn read_device(
        &mut self,
        open: &OpenDevice,
        unique: u64,
        (at, length): (u64, u32),
    ) -> Result<(), Errno> {
        let Self { channel, buffer, pipe, taken, is_next } = self;
        let device = open.device.as_ref();
        // With direct I/O the kernel does not stop at the size that stat told: this is the end.
        let length =
            usize::try_from(within(device, at, length.into())).map_or(MAX_DATA, |all| all.min(MAX_DATA));
        if length == 0 {
            channel.answer_data(unique, buffer, 0);
            return Ok(());
        }
        let ranges = open.ranges(at, length);
        let wanted = if ranges[1].is_empty() || !*is_next { &ranges[..1] } else { &ranges[..] };
        let in_place = device.in_place(Access::Read, wanted, &mut |parts| {
            let mut parts = parts.iter();
            parts.next().into_iter().for_each(|part| pipe.answer_mapped(channel, unique, *part));
            *taken = parts.next().and_then(|next| fetch(*next, channel, buffer));
            true
        });
        if in_place > 0 {
            return Ok(());
        }
        if length >= PIPED_FROM && pipe.answer(channel, unique, device, at, length)? {
            return Ok(());
        }
        device.read_at(buffer.data(length), Bytes(at))?;
        channel.answer_data(unique, buffer, length);
        Ok(())
    }
}

impl OpenDevice {
    /// What is read, and what is to be read next: nothing unless all of it is being read in large pieces.
    fn ranges(&self, at: u64, length: usize) -> [Range<Bytes>; 2] {
        let end = at + length as u64;
        let follows = self.read_to.load(Ordering::Relaxed) == at && length >= PIPED_FROM;
        self.read_to.store(end, Ordering::Relaxed);
        let next = if follows { within(self.device.as_ref(), end, length as u64) } else { 0 };
        [Bytes(at)..Bytes(end), Bytes(end)..Bytes(end + next)]
    }
}

/// Has the processor fetch what is to be read next, while the client is at work with what it got: until it asks. What it
/// asked, or somebody else.
fn fetch(next: Part<'_>, channel: &Channel, buffer: &mut Buffer) -> Option<Taken> {
    for fetched in (0..next.length()).step_by(FETCHED_AT_ONCE) {
        next.piece(fetched, FETCHED_AT_ONCE).prefetch();
        match channel.look(buffer) {
            Received::Nothing => {}
            received @ (Received::Request(_) | Received::End) => {
                return Some(Taken { received, was_awaited: fetched > 0 });
            }
        }
    }
    None
}
