//! The kernel's own device-mapper, through its control node.

use super::kernel_log::KernelLog;
use super::{Backend, Changes};
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Command, CommandKind, DeviceId, DeviceNumber, Errno, Fault, Request};
use crate::sys::control::Control;
use crate::wire::linux;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The kernel's driver.
#[derive(Debug)]
pub struct Kernel {
    control: Control,
    dev_dir: PathBuf,
    /// Its log, while somebody listens.
    log: Option<KernelLog>,
}

impl Kernel {
    /// Opens the control node below `dev_dir`. Where it is missing it is made: always if `insist`, since opening it
    /// loads the driver's module, and otherwise where the driver is loaded.
    ///
    /// # Errors
    /// The node cannot be made or opened, or has no driver.
    pub fn open(dev_dir: &Path, insist: bool) -> io::Result<Self> {
        let path = Control::path(dev_dir);
        let mut opened = Control::open(&path);
        let missing = opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if missing && (insist || Control::driver_is_loaded()) {
            opened = Control::create(&path).and_then(|()| Control::open(&path));
        }
        Ok(Self { control: opened?, dev_dir: dev_dir.to_path_buf(), log: None })
    }
}

impl Backend for Kernel {
    fn ioctl(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<(), Errno> {
        self.control.ioctl(number, buffer).map_err(|error| Errno::from_io(&error))
    }

    fn listen(&mut self) {
        self.log = KernelLog::from_now();
    }

    fn said(&mut self) -> Vec<String> {
        self.log.take().map(KernelLog::said).unwrap_or_default()
    }

    fn is_mapper(&self) -> bool {
        false
    }

    fn is_exclusive(&self) -> bool {
        false
    }

    fn volume(&mut self, device: &DeviceId, writable: bool) -> Result<Arc<dyn BlockDevice>, Fault> {
        open_node(&self.dev_dir, device, writable)
    }

    /// The control node can be read from after an event of any device, and once it was armed before that; of what is
    /// no event to the driver, as a resume, the kernel tells those who listen to its uevents.
    fn changes(&mut self) -> Result<Changes, Fault> {
        let failed = |error: &io::Error| {
            let errno = Errno::from_io(error);
            Fault::new(errno, format!("the control node cannot be polled: {errno}"))
        };
        let mut changes = Changes::default();
        #[cfg(target_os = "linux")]
        let is_heard = changes.hear_kernel();
        #[cfg(not(target_os = "linux"))]
        let is_heard = false;
        let arm = Request::global(Command::DevArmPoll);
        let mut buffer = linux::encode_request(&arm, linux::HEADER_LEN)
            .map_err(|error| Fault::new(error.errno(), "the request to arm cannot be written"))?;
        match self.control.ioctl(linux::ioctl_number(CommandKind::DevArmPoll), &mut buffer) {
            Ok(()) => changes.add(self.control.descriptor().map_err(|error| failed(&error))?),
            // A driver before 4.37, whose uevents must do.
            Err(_) if is_heard => {}
            Err(error) => return Err(failed(&error)),
        }
        Ok(changes)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// A kernel's device as something to read and write, through its node.
pub(super) fn open_node(
    dev_dir: &Path,
    device: &DeviceId,
    writable: bool,
) -> Result<Arc<dyn BlockDevice>, Fault> {
    let path = dev_dir.join("mapper").join(OsStr::from_bytes(&device.name));
    let failed = |error: io::Error| {
        let errno = Errno::from_io(&error);
        Fault::new(errno, format!("cannot open \"{}\": {errno}", path.display()))
    };
    let file = OpenOptions::new().read(true).write(writable).open(&path).map_err(failed)?;
    let pdev = Pdev::file(DeviceNumber::default(), &path, file, writable).map_err(failed)?;
    Ok(Arc::new(pdev))
}
