//! A device's file, lent to somebody who reads it without asking the device.

use super::Pdev;
use std::fmt;
use std::fs::File;
use std::sync::Arc;

/// A file that is a device, byte for byte from its first to its last: see [`BlockDevice::lend`](super::BlockDevice). Until
/// this is dropped the device keeps its table, and is not suspended.
pub struct Loan {
    pdev: Arc<Pdev>,
    give_back: Box<dyn Fn() + Send + Sync>,
}

impl Loan {
    /// The file of `pdev`, with what is to be done when nobody has it any more.
    pub fn new(pdev: Arc<Pdev>, give_back: impl Fn() + Send + Sync + 'static) -> Self {
        Self { pdev, give_back: Box::new(give_back) }
    }

    /// The file, of which this process has a descriptor.
    pub fn file(&self) -> Option<&File> {
        self.pdev.as_file()
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        (self.give_back)();
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loan").field(&self.pdev).finish()
    }
}
