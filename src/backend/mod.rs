//! Who answers: one function, `ioctl(number, buffer)`, and what stands behind it.
//!
//! ```text
//! Client ─ wire ─▶ ioctl(number, buffer) ─┬─ Kernel   the real ioctl on /dev/mapper/control
//!                                         ├─ Bsd      NetBSD's or DragonFly's, with a property list
//!                                         ├─ User     the mapper in this process, or else
//!                                         ├─ Socket   the mapper of a running `rdmsetup serve`
//!                                         └─ Trace    any of them, shown on standard error
//! ```
//!
//! A backend never prints to standard output and knows nothing of commands or columns.
#![forbid(unsafe_code)]

mod bsd;
mod changes;
mod choice;
mod client;
pub mod cookie;
mod disk_size;
pub mod file_map;
mod holders;
mod kernel;
mod kernel_disks;
mod kernel_log;
pub mod nodes;
pub mod read_ahead;
pub mod server;
mod socket;
mod trace;
pub mod udev;
mod user;

pub use bsd::{Bsd, Surroundings, System};
pub use changes::{Changes, Woken};
pub use choice::{Choice, ChoiceError, OpenError, Opened, open};
pub use client::{CallError, Client, kernel_type_like};
pub use disk_size::disk_size;
pub use holders::{Holder, HolderSearch, Process};
pub use kernel::Kernel;
pub use kernel_disks::disk_number;
pub use socket::Socket;
pub use trace::{Trace, TraceStyle};
pub use user::User;

pub use crate::sys::interrupt::Interrupts;
pub use crate::wire::{Dialect, Explanation, Field, Side, explain};

use crate::block::BlockDevice;
use crate::dm::{DeviceId, Errno, Fault};
use crate::mapper::{self, Draft};
use std::path::PathBuf;
use std::sync::Arc;

/// A device-mapper, wherever it is.
pub trait Backend: std::fmt::Debug {
    /// Performs the ioctl of that number on the buffer, which holds the request and then the reply; its length is the
    /// size that the driver may fill.
    ///
    /// # Errors
    /// The driver's error number; the buffer then holds no reply.
    fn ioctl(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<(), Errno>;

    /// Why the last ioctl failed, once: `None` when the backend knows no more than the number.
    fn fault(&mut self) -> Option<Fault> {
        None
    }

    /// Keeps what the driver says in its log from now on, for [`Backend::said`]; without a log there is nothing to keep.
    fn listen(&mut self) {}

    /// What the driver has said since, once.
    fn said(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it is the userspace mapper, which takes requests that a kernel does not know.
    fn is_mapper(&self) -> bool;

    /// Whether others have to wait for as long as a volume is open: the mapper in this process is one at a time.
    fn is_exclusive(&self) -> bool;

    /// The device as something to read and write, for as long as the value lives.
    ///
    /// # Errors
    /// ENXIO when there is no such device; what opening it gives otherwise.
    fn volume(&mut self, device: &DeviceId, writable: bool) -> Result<Arc<dyn BlockDevice>, Fault>;

    /// Who has a device open through the server of the userspace mapper; nobody where there is none.
    ///
    /// # Errors
    /// ENXIO when there is no such device; the server has gone.
    fn users(&mut self, _device: &DeviceId) -> Result<Vec<Holder>, Fault> {
        Ok(Vec::new())
    }

    /// What the backend itself, without a request, can tell to be wrong with a table: everything for the mapper, for a
    /// kernel what the mapper would find that has the same targets and the kernel's disks.
    ///
    /// # Errors
    /// The backend cannot look: its state cannot be read.
    fn check(&mut self, draft: &Draft<'_>) -> Result<Vec<Fault>, Fault> {
        Ok(mapper::check_elsewhere(draft, &mut kernel_disks::KernelDisks))
    }

    /// Something to wait with until any device may have changed: been made, removed, renamed, suspended or resumed, given
    /// another table, or had an event. What happens from now on ends the wait, so the devices are looked at after this.
    ///
    /// # Errors
    /// The driver does not tell.
    fn changes(&mut self) -> Result<Changes, Fault> {
        Err(Fault::new(Errno::EOPNOTSUPP, "this driver does not tell when a device changes"))
    }

    /// Makes what was done last: nothing that was requested before this is kept if the program dies first.
    ///
    /// # Errors
    /// The state cannot be written; what stood there before is untouched.
    fn commit(&mut self) -> Result<(), Fault>;
}

/// The directory of device nodes: `DM_DEV_DIR`, or `/dev`.
pub fn dev_dir() -> PathBuf {
    std::env::var_os("DM_DEV_DIR")
        .filter(|dir| !dir.is_empty())
        .map_or_else(|| PathBuf::from("/dev"), PathBuf::from)
}
