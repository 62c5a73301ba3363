//! A set of devices in memory, so that a test decides what each extent is, and how long it takes.

use rdmsetup::block::{
    Access, Allocation, BlockDevice, Extent, FlushFailure, Medium, User, Visit, VolumeInfo, Volumes,
};
use rdmsetup::dm::{Bytes, DeviceNumber, Errno, Fault, Text};
use rdmsetup::export::nbd::{Address, Listener, Options, Server};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Where each kind of extent begins: a file's, zeros, what its owner handles after a while, and what always fails.
pub(crate) const FILE: u64 = 0;
pub(crate) const ZERO: u64 = 4 << 20;
pub(crate) const HANDLED: u64 = 5 << 20;
pub(crate) const BROKEN: u64 = 6 << 20;
pub(crate) const END: u64 = 7 << 20;

/// What `HANDLED` takes for each request.
pub(crate) const PAUSE: Duration = Duration::from_millis(60);

/// One device.
#[derive(Debug)]
pub(crate) struct Device {
    file: File,
    handled: Mutex<Vec<u8>>,
    pub(crate) read_only: AtomicBool,
    pub(crate) size: AtomicU64,
    pub(crate) flushes: AtomicU64,
}

#[derive(Debug)]
struct Part<'a> {
    device: &'a Device,
    at: usize,
    length: usize,
}

impl Medium for Part<'_> {
    fn read(&self, buffer: &mut [u8]) -> Result<(), Errno> {
        thread::sleep(PAUSE);
        buffer.copy_from_slice(&self.device.handled.lock().unwrap()[self.at..self.at + self.length]);
        Ok(())
    }

    fn write(&self, data: &[u8]) -> Result<(), Errno> {
        thread::sleep(PAUSE);
        self.device.handled.lock().unwrap()[self.at..self.at + self.length].copy_from_slice(data);
        Ok(())
    }
}

impl BlockDevice for Device {
    fn size(&self) -> Bytes {
        Bytes(self.size.load(Ordering::SeqCst))
    }

    fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::SeqCst)
    }

    fn read_at(&self, buffer: &mut [u8], at: Bytes) -> Result<(), Errno> {
        let mut rest = buffer;
        self.extents(Access::Read, at, Bytes(rest.len() as u64), &mut |extent| {
            let now = rest.split_off_mut(..usize::try_from(extent.length().0).unwrap()).unwrap();
            match extent {
                Extent::File { file, at, .. } => file.read_exact_at(now, at.0).map_err(|_| Errno::EIO),
                Extent::Zero { .. } => {
                    now.fill(0);
                    Ok(())
                }
                Extent::Handled { medium, .. } => medium.read(now),
            }
        })
    }

    fn write_at(&self, data: &[u8], at: Bytes) -> Result<(), Errno> {
        let mut rest = data;
        self.extents(Access::Write, at, Bytes(rest.len() as u64), &mut |extent| {
            let now = rest.split_off(..usize::try_from(extent.length().0).unwrap()).unwrap();
            match extent {
                Extent::File { file, at, .. } => file.write_all_at(now, at.0).map_err(|_| Errno::EIO),
                Extent::Zero { .. } => Ok(()),
                Extent::Handled { medium, .. } => medium.write(now),
            }
        })
    }

    fn discard(&self, at: Bytes, length: Bytes) -> Result<(), Errno> {
        self.write_zeroes(at, length, true)
    }

    fn write_zeroes(&self, at: Bytes, length: Bytes, _: bool) -> Result<(), Errno> {
        self.write_at(&vec![0; usize::try_from(length.0).unwrap()], at)
    }

    fn extents(&self, access: Access, at: Bytes, length: Bytes, visit: &mut Visit<'_>) -> Result<(), Errno> {
        let (mut at, end) = (at.0, at.0 + length.0);
        assert!(length.0 > 0 && end <= self.size().0, "the caller has not checked: {at} {length:?}");
        if access == Access::Write && self.is_read_only() {
            return Err(Errno::EROFS);
        }
        while at < end {
            let border = [ZERO, HANDLED, BROKEN, END].into_iter().find(|border| at < *border).unwrap();
            let length = end.min(border) - at;
            match border {
                ZERO => visit(Extent::File { file: &self.file, at: Bytes(at), length: Bytes(length) })?,
                HANDLED => visit(Extent::Zero { length: Bytes(length) })?,
                BROKEN => {
                    let (at, count) =
                        (usize::try_from(at - HANDLED).unwrap(), usize::try_from(length).unwrap());
                    let medium = &Part { device: self, at, length: count };
                    visit(Extent::Handled { medium, length: Bytes(length) })?;
                }
                _ => return Err(Errno::EIO),
            }
            at += length;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), Errno> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn flush_failure(&self) -> Option<FlushFailure> {
        None
    }

    fn allocation(&self, at: Bytes, length: Bytes) -> Result<Allocation, Errno> {
        let borders = [(ZERO, false), (HANDLED, true), (END, false)];
        let (border, hole) = borders.into_iter().find(|(border, _)| at.0 < *border).unwrap();
        let run = Bytes(length.0.min(border - at.0));
        Ok(if hole { Allocation::Hole(run) } else { Allocation::Data(run) })
    }
}

/// Devices of one kind, by their names.
#[derive(Debug)]
pub(crate) struct Set(pub(crate) Vec<(&'static str, Arc<Device>)>);

impl Volumes for Set {
    fn list(&self) -> Vec<VolumeInfo> {
        (0..)
            .zip(&self.0)
            .map(|(at, (name, device))| VolumeInfo {
                name: (*name).into(),
                number: DeviceNumber::new(240, at),
                identity: u64::from(at) + 1,
                size: device.size(),
                read_only: device.is_read_only(),
            })
            .collect()
    }

    fn find(&self, name: &Text) -> Option<VolumeInfo> {
        self.list().into_iter().find(|volume| volume.name == *name)
    }

    fn by_identity(&self, identity: u64) -> Option<VolumeInfo> {
        self.list().into_iter().find(|volume| volume.identity == identity)
    }

    fn open(&self, identity: u64, writable: bool, _: User) -> Result<Arc<dyn BlockDevice>, Fault> {
        let at = usize::try_from(identity).unwrap() - 1;
        let (_, device) = self.0.get(at).ok_or_else(|| Fault::new(Errno::ENXIO, "gone"))?;
        if writable && device.is_read_only() {
            return Err(Fault::new(Errno::EROFS, "read-only"));
        }
        Ok(device.clone())
    }
}

/// A server of them in this process.
pub(crate) struct Serving {
    pub(crate) server: Server,
    pub(crate) set: Arc<Set>,
    pub(crate) socket: PathBuf,
    pub(crate) directory: TempDir,
}

impl Serving {
    pub(crate) fn start(names: &[&'static str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let device = |name: &&'static str| {
            let options = File::options().read(true).write(true).create(true).to_owned();
            let file = options.open(directory.path().join(name)).unwrap();
            file.set_len(ZERO).unwrap();
            let handled = Mutex::new(vec![0; usize::try_from(BROKEN - HANDLED).unwrap()]);
            let (read_only, flushes) = Default::default();
            (*name, Arc::new(Device { file, handled, read_only, size: AtomicU64::new(END), flushes }))
        };
        let set = Arc::new(Set(names.iter().map(device).collect()));
        let socket = directory.path().join("nbd.sock");
        let listener = Listener::bind(&Address::Unix(socket.clone()), None, false).unwrap();
        let options = Options { grace: Duration::from_secs(1), ..Options::default() };
        let server = Server::start(vec![listener], set.clone(), options).unwrap();
        Self { server, set, socket, directory }
    }

    pub(crate) fn device(&self) -> &Device {
        &self.set.0[0].1
    }
}
