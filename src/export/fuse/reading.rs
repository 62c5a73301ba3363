//! Reading an open device: straight out of files that are memory, through a pipe, or by way of our own memory.

use super::buffer::MAX_DATA;
use super::data::within;
use super::opens::OpenDevice;
use super::pipe::PIPED_FROM;
use super::worker::Worker;
use crate::block::Access;
use crate::dm::{Bytes, Errno};

impl Worker {
    /// Answers a read of `length` bytes at `at`, unless it fails.
    pub(super) fn read_device(
        &mut self,
        open: &OpenDevice,
        unique: u64,
        (at, length): (u64, u32),
    ) -> Result<(), Errno> {
        let Self { channel, buffer, pipe } = self;
        let device = open.device.as_ref();
        // With direct I/O the kernel does not stop at the size that stat told: this is the end.
        let length =
            usize::try_from(within(device, at, length.into())).map_or(MAX_DATA, |all| all.min(MAX_DATA));
        if length == 0 {
            channel.answer_data(unique, buffer, 0);
            return Ok(());
        }
        let range = Bytes(at)..Bytes(at + length as u64);
        let in_place = device.in_place(Access::Read, &[range], &mut |parts| {
            parts.iter().for_each(|part| pipe.answer_mapped(channel, unique, *part));
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
