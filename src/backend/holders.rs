//! Who holds a block device of the kernel's open, as far as /sys and /proc tell: what stands on it, where it is mounted, swap,
//! processes.
//!
//! An ordinary user sees only his own processes and his own mount namespace; what may not be looked at is left out.

use crate::block::User;
use crate::dm::{DeviceNumber, Text};
use crate::sys::devt;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// One that holds a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// Another mapped device: its name.
    Device(Text),
    /// A block device of another kind that stands on it: `md0`, `loop3`.
    Disk(Text),
    /// A file system: where it is mounted; and if that is not this process's view, a process that has the view.
    Mount(Text, Option<Process>),
    /// The kernel swaps to it.
    Swap,
    /// A process, and how many descriptors it has of it.
    Process(Process, usize),
    /// Who has it open through the server of the userspace mapper: the name of the process, where that is known, and how many
    /// times.
    User(User, Option<Text>, usize),
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name, 15 bytes at most.
    pub name: Text,
}

/// Where the kernel tells of devices and processes.
#[derive(Clone, Debug)]
pub struct HolderSearch {
    /// `/sys`.
    sys: PathBuf,
    /// `/proc`.
    proc: PathBuf,
}

impl Default for HolderSearch {
    fn default() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into() }
    }
}

impl HolderSearch {
    /// All that hold the device, each once, those that stand on it first.
    pub fn holders(&self, dev: DeviceNumber) -> Vec<Holder> {
        let mut holders: BTreeSet<Holder> = self.above(dev).into_iter().chain(self.loops(dev)).collect();
        if self.is_swap(dev) {
            holders.insert(Holder::Swap);
        }
        // A mount namespace, with the first process that was met in it.
        let mut views: BTreeMap<OsString, Process> = BTreeMap::new();
        for (process, directory) in self.processes() {
            if let Ok(view) = fs::read_link(directory.join("ns/mnt")) {
                views.entry(view.into_os_string()).or_insert_with(|| process.clone());
            }
            let descriptors = descriptors(&directory, dev);
            if descriptors > 0 {
                holders.insert(Holder::Process(process, descriptors));
            }
        }
        let own = fs::read_link(self.proc.join("self/ns/mnt")).ok();
        holders
            .extend(mounts(&self.proc.join("self"), dev).into_iter().map(|place| Holder::Mount(place, None)));
        for (view, process) in views {
            if own.as_ref().is_none_or(|own| *own != view) {
                let directory = self.proc.join(process.pid.to_string());
                let places = mounts(&directory, dev).into_iter();
                holders.extend(places.map(|place| Holder::Mount(place, Some(process.clone()))));
            }
        }
        holders.into_iter().collect()
    }

    /// Block devices that stand on it: `holders` in its directory.
    fn above(&self, dev: DeviceNumber) -> Vec<Holder> {
        let directory = self.sys.join(format!("dev/block/{dev}/holders"));
        let entries = names(&directory).into_iter();
        let holder = |name: OsString| match fs::read(directory.join(&name).join("dm/name")) {
            Ok(mapped) => Holder::Device(mapped.trim_ascii_end().into()),
            Err(_) => Holder::Disk(name.into_vec().into()),
        };
        entries.map(holder).collect()
    }

    /// Loop devices over it, which are not among its holders.
    fn loops(&self, dev: DeviceNumber) -> Vec<Holder> {
        let block = self.sys.join("block");
        let over = |name: &OsString| {
            let file = fs::read(block.join(name).join("loop/backing_file")).ok()?;
            is_node(Path::new(OsStr::from_bytes(file.trim_ascii_end())), dev).then_some(())
        };
        let disks = names(&block).into_iter().filter(|name| over(name).is_some());
        disks.map(|name| Holder::Disk(name.into_vec().into())).collect()
    }

    fn is_swap(&self, dev: DeviceNumber) -> bool {
        let swaps = fs::read(self.proc.join("swaps")).unwrap_or_default();
        let paths = swaps
            .split(|&byte| byte == b'\n')
            .skip(1)
            .filter_map(|line| line.split(u8::is_ascii_whitespace).next());
        let mut paths = paths.filter(|path| !path.is_empty()).map(unescape);
        paths.any(|path| is_node(Path::new(OsStr::from_bytes(&path)), dev))
    }

    /// Every process but this one, which inherits what its caller has open, with its directory.
    fn processes(&self) -> impl Iterator<Item = (Process, PathBuf)> {
        let numbers = names(&self.proc).into_iter().filter_map(|name| name.to_str()?.parse::<u32>().ok());
        numbers.filter(|pid| *pid != std::process::id()).map(|pid| {
            let directory = self.proc.join(pid.to_string());
            let name = fs::read(directory.join("comm")).unwrap_or_default();
            (Process { pid, name: name.trim_ascii_end().into() }, directory)
        })
    }
}

/// The name of a process, if it is still there; the number of a thread of it becomes its own.
pub(super) fn process_name(pid: &mut u32) -> Option<Text> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &[u8]| {
        let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(name));
        line.map(<[u8]>::trim_ascii)
    };
    if let Some(number) = field(b"Tgid:").and_then(|number| std::str::from_utf8(number).ok()?.parse().ok()) {
        *pid = number;
    }
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_ascii_end().into())
}

/// The names in a directory; none where it may not be read.
fn names(directory: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect()
}

/// Whether the path is a node of that device.
fn is_node(path: &Path, dev: DeviceNumber) -> bool {
    fs::metadata(path).is_ok_and(|metadata| {
        let (major, minor) = devt::split(metadata.rdev());
        metadata.file_type().is_block_device() && DeviceNumber::new(major, minor) == dev
    })
}

/// How many descriptors of the device a process has. Only links that lead to nodes are followed: what else is open may
/// be on a file server that is away.
fn descriptors(process: &Path, dev: DeviceNumber) -> usize {
    let directory = process.join("fd");
    let leads_to = |name: &OsString| {
        let link = directory.join(name);
        fs::read_link(&link).is_ok_and(|target| target.starts_with("/dev")) && is_node(&link, dev)
    };
    names(&directory).iter().filter(|name| leads_to(name)).count()
}

/// Where the device is mounted in a process's view (proc(5): the third field is the device, the fifth the place).
fn mounts(process: &Path, dev: DeviceNumber) -> Vec<Text> {
    let table = fs::read(process.join("mountinfo")).unwrap_or_default();
    let number = dev.to_string();
    let places = table.split(|&byte| byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|&byte| byte == b' ');
        let is_ours = fields.nth(2)? == number.as_bytes();
        let place = fields.nth(1)?;
        is_ours.then(|| unescape(place))
    });
    places.collect()
}

/// A field of /proc, in which blanks are written as three octal digits behind a backslash.
fn unescape(field: &[u8]) -> Text {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| byte == b'\\') {
            Some(quoted) => {
                bytes.push(quoted);
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A made-up /sys and /proc.
    fn kernel(root: &Path) -> HolderSearch {
        HolderSearch { sys: root.join("sys"), proc: root.join("proc") }
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn what_stands_on_a_device_and_where_it_is_mounted() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "sys/dev/block/253:0/holders/dm-1/dm/name", "top\n");
        write(root, "sys/dev/block/253:0/holders/md0/uevent", "");
        let line =
            |dev: &str, place: &str| format!("36 35 {dev} / {place} rw,noatime - ext4 /dev/mapper/x rw\n");
        let own = line("253:0", "/mnt\\040a") + &line("253:10", "/other");
        for (pid, view, table) in
            [("self", "mnt:[1]", &own), ("1", "mnt:[1]", &own), ("77", "mnt:[2]", &line("253:0", "/deep"))]
        {
            write(root, &format!("proc/{pid}/mountinfo"), table);
            write(root, &format!("proc/{pid}/comm"), "sh\n");
            fs::create_dir_all(root.join(format!("proc/{pid}/ns"))).unwrap();
            symlink(view, root.join(format!("proc/{pid}/ns/mnt"))).unwrap();
        }
        let deep = Process { pid: 77, name: "sh".into() };
        assert_eq!(
            kernel(root).holders(DeviceNumber::new(253, 0)),
            [
                Holder::Device("top".into()),
                Holder::Disk("md0".into()),
                Holder::Mount("/deep".into(), Some(deep)),
                Holder::Mount("/mnt a".into(), None),
            ]
        );
        assert_eq!(kernel(root).holders(DeviceNumber::new(253, 1)), []);
    }

    #[test]
    fn where_nothing_may_be_read_nothing_is_told() {
        assert_eq!(kernel(Path::new("/nowhere")).holders(DeviceNumber::new(7, 0)), []);
        assert_eq!(unescape(b"a\\040b\\\\x\\08"), Text::from("a b\\\\x\\08"));
    }
}
