//! What the words of a table mean: which of them are the same disk or device.

use super::context::Context;
use super::failure::Failure;
use crate::backend;
use crate::dm::{Command, DeviceNumber, Request, Text};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The devices that there are, by which words are understood.
#[derive(Debug)]
pub(super) struct Places {
    is_mapper: bool,
    names: BTreeMap<Text, DeviceNumber>,
    numbers: BTreeMap<DeviceNumber, Text>,
    /// The directory of nodes, a slash behind it.
    directory: Vec<u8>,
}

/// Where a word leads.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Number(DeviceNumber),
    Path(PathBuf),
}

impl Places {
    /// The devices of the driver.
    pub(super) fn look(ctx: &mut Context) -> Result<Self, Failure> {
        let listed = ctx.perform(Request::global(Command::ListDevices))?;
        let is_mapper = ctx.client()?.is_mapper();
        let mut directory = ctx.node_directory()?.as_os_str().as_bytes().to_vec();
        directory.push(b'/');
        let devices = listed.devices();
        let names = devices.iter().map(|device| (device.name.clone(), device.dev)).collect();
        let numbers = devices.iter().map(|device| (device.dev, device.name.clone())).collect();
        Ok(Self { is_mapper, names, numbers, directory })
    }

    /// The numbers of the devices that there are.
    pub(super) fn mapped(&self) -> impl Iterator<Item = DeviceNumber> {
        self.numbers.keys().copied()
    }

    /// The device of that number.
    pub(super) fn name(&self, dev: DeviceNumber) -> Option<&Text> {
        self.numbers.get(&dev)
    }

    /// The name of the mapped device that a word would mean, if there were one of that name: behind the directory of nodes, and
    /// for the userspace mapper bare too, but for a number, which may be anything.
    pub(super) fn mapped_name(&self, word: &Text) -> Option<Text> {
        let behind = |directory: &[u8]| word.strip_prefix(directory).map(Text::from);
        let bare = || {
            let may_be = self.is_mapper && !word.contains(&b'/') && !word.iter().all(u8::is_ascii_digit);
            may_be.then(|| word.clone())
        };
        behind(b"/dev/mapper/").or_else(|| behind(&self.directory)).or_else(bare)
    }

    /// The number of the disk that a word means.
    pub(super) fn number(&self, word: &Text) -> Option<DeviceNumber> {
        match self.place(word)? {
            Place::Number(dev) => Some(dev),
            Place::Path(_) => None,
        }
    }

    /// Whether two words are the same, or mean the same disk.
    pub(super) fn is_same(&self, one: &Text, other: &Text) -> bool {
        one == other || self.place(one).is_some_and(|place| self.place(other) == Some(place))
    }

    fn place(&self, word: &Text) -> Option<Place> {
        if let Some(dev) = DeviceNumber::parse(word) {
            return Some(Place::Number(dev));
        }
        if let Some(dev) = self.mapped_name(word).and_then(|name| self.names.get(&name)) {
            return Some(Place::Number(*dev));
        }
        if word.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let path = Path::new(OsStr::from_bytes(word));
        if self.is_mapper {
            return fs::canonicalize(path).ok().map(Place::Path);
        }
        backend::disk_number(path).map(Place::Number)
    }
}
