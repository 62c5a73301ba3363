//! What the targets' own tests make them from: table lines, and disks that are there because a number names them.

use super::{Events, Init, Shared, Target, find};
use crate::block::{Access, Allocation, BlockDevice, FlushFailure, Pdev, PdevSource, Visit};
use crate::dm::{Bytes, DeviceNumber, Errno, Fault, SourceTable, Text};
use std::sync::{Arc, Weak};

/// A source of disks: every `MAJOR:MINOR` is there, nothing else is.
#[derive(Debug, Default)]
pub(super) struct Disks {
    /// For each device opened, whether it was for writing.
    pub(super) opened_for_writing: Vec<bool>,
}

impl PdevSource for Disks {
    fn open(&mut self, name: &Text, writable: bool) -> Result<Arc<Pdev>, Fault> {
        let missing = || Fault::new(Errno::ENODEV, format!("there is no device \"{name}\""));
        let number = DeviceNumber::parse(name).ok_or_else(missing)?;
        self.opened_for_writing.push(writable);
        Ok(Arc::new(Pdev::stacked(number, name.clone(), Arc::new(NoData))))
    }
}

impl Disks {
    /// The target of a table line.
    pub(super) fn make(&mut self, line: &str, read_only: bool) -> Result<Box<dyn Target>, Fault> {
        let line = SourceTable::parse(line.as_bytes()).unwrap().table.lines.remove(0);
        let target = find(&line.target).unwrap();
        (target.init)(&mut Init {
            events: Weak::<Silence>::new(),
            memory: &Text::new(),
            serves: false,
            restores: false,
            shared: &Shared::default(),
            target,
            start: line.start,
            length: line.length,
            arguments: &line.params.words(),
            read_only,
            pdevs: self,
        })
    }
}

/// The target of a table line, loaded for writing.
pub(super) fn make(line: &str) -> Result<Box<dyn Target>, Fault> {
    Disks::default().make(line, false)
}

/// Devices written as the kernel writes them.
pub(super) fn numbers(pdev: &Pdev) -> Text {
    pdev.number().to_string().into()
}

/// Nobody who hears of events.
#[derive(Debug)]
struct Silence;

impl Events for Silence {
    fn signal(&self) {}
}

/// A disk that is never read.
#[derive(Debug)]
struct NoData;

impl BlockDevice for NoData {
    fn size(&self) -> Bytes {
        Bytes(0)
    }
    fn is_read_only(&self) -> bool {
        false
    }
    fn read_at(&self, _buffer: &mut [u8], _at: Bytes) -> Result<(), Errno> {
        Err(Errno::EIO)
    }
    fn write_at(&self, _data: &[u8], _at: Bytes) -> Result<(), Errno> {
        Err(Errno::EIO)
    }
    fn discard(&self, _at: Bytes, _length: Bytes) -> Result<(), Errno> {
        Err(Errno::EIO)
    }
    fn write_zeroes(&self, _at: Bytes, _length: Bytes, _may_unmap: bool) -> Result<(), Errno> {
        Err(Errno::EIO)
    }
    fn extents(&self, _: Access, _: Bytes, _: Bytes, _: &mut Visit<'_>) -> Result<(), Errno> {
        Err(Errno::EIO)
    }
    fn flush(&self) -> Result<(), Errno> {
        Err(Errno::EIO)
    }
    fn flush_failure(&self) -> Option<FlushFailure> {
        None
    }
    fn allocation(&self, _at: Bytes, length: Bytes) -> Result<Allocation, Errno> {
        Ok(Allocation::Data(length))
    }
}
