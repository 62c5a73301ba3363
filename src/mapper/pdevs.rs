//! The disks and files under the tables: their numbers, their paths, and opening them.

use super::{MAJOR, Mapper};
use crate::block::{BlockDevice, Pdev, PdevSource};
use crate::dm::{DeviceNumber, Errno, Fault, Text};
use crate::sys::devt;
use nix::fcntl::OFlag;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Linux's major number of loop devices: a file under a table is to the mapper what a loop device is to the kernel.
pub(super) const LOOP_MAJOR: u32 = 7;

/// The path of each number that a table names, as long as one does.
#[derive(Debug, Default, Clone)]
pub(super) struct Pdevs {
    paths: BTreeMap<DeviceNumber, Text>,
}

/// What a table's word for a disk means.
enum Place {
    /// A device of the mapper.
    Device(DeviceNumber),
    /// A disk or file at that absolute path.
    Path(Text),
}

impl Pdevs {
    /// The path behind a number.
    pub(super) fn path(&self, dev: DeviceNumber) -> Option<&Text> {
        self.paths.get(&dev)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (DeviceNumber, &Text)> {
        self.paths.iter().map(|(dev, path)| (*dev, path))
    }

    pub(super) fn insert(&mut self, dev: DeviceNumber, path: Text) {
        self.paths.insert(dev, path);
    }

    /// Forgets the numbers that `named` says nobody names.
    pub(super) fn keep(&mut self, named: impl Fn(DeviceNumber) -> bool) {
        self.paths.retain(|dev, _| named(*dev));
    }

    /// The number of the disk or file at an absolute path: a disk's own, a file's the one it had before or a free one.
    ///
    /// The host's own loop devices, and disks of a driver that has the mapper's major, are numbered like files: their
    /// own numbers mean other things here.
    fn number(&mut self, path: &Text, file: &File) -> Result<DeviceNumber, Errno> {
        let metadata = file.metadata().map_err(|error| Errno::from_io(&error))?;
        if metadata.file_type().is_block_device() {
            let (major, minor) = devt::split(metadata.rdev());
            let own = DeviceNumber::new(major, minor);
            if own.major != LOOP_MAJOR && own.major != MAJOR {
                self.insert(own, path.clone());
                return Ok(own);
            }
        } else if !metadata.is_file() {
            return Err(Errno::ENOTBLK);
        }
        let known = self.paths.iter().find(|(dev, known)| dev.major == LOOP_MAJOR && *known == path);
        if let Some((dev, _)) = known {
            return Ok(*dev);
        }
        let free =
            (0..).map(|minor| DeviceNumber::new(LOOP_MAJOR, minor)).find(|dev| !self.paths.contains_key(dev));
        let dev = free.filter(|dev| dev.is_valid()).ok_or(Errno::EOVERFLOW)?;
        self.insert(dev, path.clone());
        Ok(dev)
    }
}

/// Opens what one table names, and remembers what it was.
#[derive(Debug)]
pub(super) struct Opener<'a> {
    mapper: &'a Mapper,
    /// The device whose table it is.
    device: &'a Text,
    pdevs: Pdevs,
    /// By the word that the table uses, since a long table uses few words often.
    words: HashMap<(Text, bool), Arc<Pdev>>,
    opened: Vec<(bool, Arc<Pdev>)>,
}

impl<'a> Opener<'a> {
    pub(super) fn new(mapper: &'a Mapper, device: &'a Text) -> Self {
        let pdevs = mapper.pdevs.clone();
        Self { mapper, device, pdevs, words: HashMap::new(), opened: Vec::new() }
    }

    /// The disks that were opened, the last first, as the driver tells them (`dm_get_device` adds at the head), and
    /// the paths of all numbers, the new ones with them.
    pub(super) fn finish(self) -> (Vec<DeviceNumber>, Pdevs) {
        let mut deps: Vec<DeviceNumber> = Vec::new();
        for (_, pdev) in &self.opened {
            if !deps.contains(&pdev.number()) {
                deps.insert(0, pdev.number());
            }
        }
        (deps, self.pdevs)
    }

    /// What a word of a table means: `MAJOR:MINOR`, `/dev/mapper/NAME`, a device's bare name, or a path.
    fn place(&self, word: &Text) -> Result<Place, Fault> {
        if let Some(dev) = DeviceNumber::parse(word) {
            return self.numbered(dev);
        }
        let device = |name: &[u8]| self.mapper.devices.get(&Text::from(name)).map(|device| device.number());
        if let Some(dev) = word.strip_prefix(b"/dev/mapper/").and_then(device) {
            return Ok(Place::Device(dev));
        }
        let path = Path::new(OsStr::from_bytes(word));
        if let Some(dev) = Some(word).filter(|word| !word.contains(&b'/')).and_then(|word| device(word)) {
            return match fs::symlink_metadata(path) {
                Err(_) => Ok(Place::Device(dev)),
                Ok(_) => Err(Fault::invalid(format!(
                    "\"{word}\" is a device and a file here: write /dev/mapper/{word} or ./{word}"
                ))),
            };
        }
        let absolute = fs::canonicalize(path).map_err(|error| cannot_open(word, &error))?;
        Ok(Place::Path(absolute.into_os_string().into_vec().into()))
    }

    fn numbered(&self, dev: DeviceNumber) -> Result<Place, Fault> {
        if !dev.is_valid() {
            return Err(Fault::new(
                Errno::EOVERFLOW,
                format!("{dev} is not a device number: 4095:1048575 is the last"),
            ));
        }
        let missing = || Fault::new(Errno::ENXIO, format!("there is no disk with number {dev}"));
        if dev.major == MAJOR {
            return self.mapper.with_number(dev).map(|_| Place::Device(dev)).ok_or_else(missing);
        }
        if let Some(path) = self.pdevs.path(dev) {
            return Ok(Place::Path(path.clone()));
        }
        node_of(dev).map(|path| Place::Path(path.into_os_string().into_vec().into())).ok_or_else(missing)
    }

    fn open_place(&mut self, place: Place, writable: bool) -> Result<Arc<Pdev>, Fault> {
        match place {
            Place::Device(dev) => {
                self.mapper.check_stacking(self.device, dev)?;
                let missing = || Fault::new(Errno::ENXIO, format!("there is no device with number {dev}"));
                let lower = self.mapper.with_number(dev).ok_or_else(missing)?;
                let storage: Arc<dyn BlockDevice> = lower.live.clone();
                Ok(Arc::new(Pdev::stacked(dev, lower.name.clone(), storage)))
            }
            Place::Path(path) => {
                let failed = |error: io::Error| cannot_open(&path, &error);
                let location = Path::new(OsStr::from_bytes(&path));
                let file = open_storage(location, writable).map_err(failed)?;
                let dev = self
                    .pdevs
                    .number(&path, &file)
                    .map_err(|errno| failed(io::Error::from_raw_os_error(errno.0)))?;
                Pdev::file(dev, location, file, writable).map(Arc::new).map_err(failed)
            }
        }
    }
}

impl PdevSource for Opener<'_> {
    fn open(&mut self, name: &Text, writable: bool) -> Result<Arc<Pdev>, Fault> {
        let key = (name.clone(), writable);
        if let Some(pdev) = self.words.get(&key) {
            return Ok(pdev.clone());
        }
        let place = self.place(name)?;
        let known = |pdev: &Pdev| match &place {
            Place::Device(dev) => pdev.number() == *dev,
            Place::Path(path) => pdev.path() == Some(path),
        };
        let same = self.opened.iter().find(|(mode, pdev)| *mode == writable && known(pdev));
        let pdev = match same {
            Some((_, pdev)) => pdev.clone(),
            None => {
                let pdev = self.open_place(place, writable)?;
                self.opened.push((writable, pdev.clone()));
                pdev
            }
        };
        self.words.insert(key, pdev.clone());
        Ok(pdev)
    }

    fn ready(&mut self, pdev: &Pdev) -> Result<(), Fault> {
        let lower = self.mapper.with_number(pdev.number()).filter(|_| pdev.path().is_none());
        lower.map_or(Ok(()), |lower| self.mapper.activate(&lower.name))
    }
}

/// Opens a disk or a file and nothing else: to open a pipe would wait for its other end, and to open some character
/// devices does something.
fn open_storage(path: &Path, writable: bool) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(io::Error::from_raw_os_error(Errno::ENOTBLK.0));
    }
    OpenOptions::new().read(true).write(writable).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
}

/// The fault for a disk that cannot be opened, with the number that the driver has for it: a path that leads nowhere
/// is ENODEV.
fn cannot_open(name: &Text, error: &io::Error) -> Fault {
    match Errno::from_io(error) {
        Errno::ENOENT | Errno::ENOTDIR => {
            Fault::new(Errno::ENODEV, format!("there is no disk or file \"{name}\""))
        }
        Errno::ENOTBLK => Fault::new(Errno::ENOTBLK, format!("\"{name}\" is neither a disk nor a file")),
        errno => Fault::new(errno, format!("cannot open \"{name}\": {errno}")),
    }
}

/// The node of the kernel's disk of that number, by the name that the kernel gives it.
fn node_of(dev: DeviceNumber) -> Option<PathBuf> {
    let uevent = fs::read(format!("/sys/dev/block/{dev}/uevent")).ok()?;
    let name = uevent.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"DEVNAME="))?;
    Some(Path::new("/dev").join(OsStr::from_bytes(name)))
}
