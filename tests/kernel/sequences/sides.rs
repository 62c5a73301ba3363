//! The two that are compared: the kernel over its disks, and the mapper in this process over files.

use super::{DISK_SECTORS, Device, Events, Kind, Rng, Step};
use crate::guest::{self, DISK_A, DISK_B};
use crate::replies::ask;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use rdmsetup::backend;
use rdmsetup::block::BlockDevice;
use rdmsetup::dm::{
    Bytes, Command, DeviceId, DeviceNumber, Errno, Flags, Reply, ReplyBody, Request, Sectors, SourceTable,
};
use rdmsetup::mapper::{self, Mapper, Outcome, State, Volume};
use rdmsetup::sys::blockdev;
use std::fmt::Write;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// What a step gave: data that was read, an answer to a message, or nothing.
pub(crate) type Given = Result<Vec<u8>, Errno>;

/// The files that are the mapper's disks.
const FILES: [&str; 2] = ["/tmp/sequences-a", "/tmp/sequences-b"];

/// All that one of the two says of the devices.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    pub(crate) said: String,
    /// Whether none has work to do.
    pub(crate) is_settled: bool,
    /// How many events each device has had.
    pub(crate) events: Vec<u32>,
}

/// One of the two.
pub(crate) trait Side {
    fn ask(&mut self, request: &Request) -> Result<Reply, Errno>;

    /// The major number of its devices.
    fn major(&self) -> u32;

    /// How its tables name the disks, and how its replies do.
    fn disks(&self) -> [(&'static str, &'static str); 2];

    /// The devices' names, in the order in which they were made.
    fn names(&mut self) -> &mut Vec<&'static str>;

    /// Something that writes a device's first sector, for a thread of its own.
    fn writer(&mut self, device: usize) -> Box<dyn FnOnce() -> Result<(), Errno> + Send>;

    /// Opens a device for reading and writing, once it has a table.
    fn open(&mut self, device: usize);

    /// Closes all of them.
    fn close(&mut self);

    fn read(&mut self, device: usize, at: u64, length: u64) -> Given;
    fn write(&mut self, device: usize, at: u64, data: &[u8]) -> Result<(), Errno>;

    /// A write through the disk's cache, and then a flush.
    fn write_through(&mut self, device: usize, at: u64, data: &[u8]) -> Result<(), Errno>;
    fn discard(&mut self, device: usize, at: u64, length: u64) -> Result<(), Errno>;
    fn zero(&mut self, device: usize, at: u64, length: u64) -> Result<(), Errno>;
    fn flush(&mut self, device: usize) -> Result<(), Errno>;

    /// The device's size.
    fn sectors(&self, device: usize) -> u64;

    /// The disks' bytes.
    fn content(&mut self) -> [Vec<u8>; 2];

    /// Makes the devices, with their first tables at work.
    fn make(&mut self, devices: &[Device]) {
        for (index, device) in devices.iter().enumerate() {
            let id = || DeviceId::by_name(device.name);
            let made = self.ask(&Request::new(id(), Command::DevCreate)).unwrap();
            assert_eq!(made.device.dev.unwrap().minor as usize, index, "the lowest free one");
            self.names().push(device.name);
            let load = self.load(&device.table);
            self.ask(&Request::new(id(), load)).unwrap_or_else(|errno| panic!("{}: {errno:?}", device.table));
            self.ask(&Request::resume(id())).unwrap_or_else(|errno| panic!("{}: {errno:?}", device.table));
            self.open(index);
        }
    }

    /// A table in this side's own words.
    fn load(&mut self, table: &str) -> Command {
        let text = table.lines().map(|line| self.own(line)).collect::<Vec<_>>().join("\n");
        Command::TableLoad(SourceTable::parse(text.as_bytes()).unwrap().table)
    }

    fn perform(&mut self, step: &Step) -> Given {
        let nothing = |_| Vec::new();
        let id = |side: &mut Self, device: usize| DeviceId::by_name(side.names()[device]);
        let request = match step {
            Step::Read { device, at, length } => return self.read(*device, *at, *length),
            Step::Write { device, at, length, fill } => {
                let data = Rng(*fill).bytes(usize::try_from(length * 512).unwrap());
                return self.write(*device, *at, &data).map(nothing);
            }
            Step::WriteThrough { device, at, length, fill } => {
                let data = Rng(*fill).bytes(usize::try_from(length * 512).unwrap());
                return self.write_through(*device, *at, &data).map(nothing);
            }
            Step::Discard { device, at, length } => return self.discard(*device, *at, *length).map(nothing),
            Step::Zero { device, at, length } => return self.zero(*device, *at, *length).map(nothing),
            Step::Flush { device } => return self.flush(*device).map(nothing),
            Step::Message { device, sector, words } => {
                let message =
                    Command::TargetMsg { sector: Sectors(*sector), message: self.own(words).into() };
                Request::new(id(self, *device), message)
            }
            Step::Suspend { device, flags } => Request::suspend(id(self, *device)).with_flags(*flags),
            Step::Resume { device } => Request::resume(id(self, *device)),
            Step::Load { device, table } => {
                let load = self.load(table);
                Request::new(id(self, *device), load)
            }
            Step::Clear { device } => Request::new(id(self, *device), Command::TableClear),
            Step::Restart => return self.restart(),
        };
        let body = self.ask(&request)?.body;
        Ok(if let ReplyBody::Message(Some(answer)) = body { answer.into_bytes() } else { Vec::new() })
    }

    /// Flushes every device; the mapper also ends its process and begins another.
    fn restart(&mut self) -> Given {
        let devices = 0..self.names().len();
        let flushed: Vec<_> = devices.map(|device| self.flush(device)).collect();
        Ok(format!("{flushed:?}").into_bytes())
    }

    /// Text with this side's own words in it.
    fn own(&mut self, text: &str) -> String {
        let (disks, major) = (self.disks(), self.major());
        let names = self.names().clone();
        let own = |word: &str| match word {
            "A" => disks[0].0.to_owned(),
            "B" => disks[1].0.to_owned(),
            word => match word.strip_prefix('@') {
                Some(name) => {
                    let minor = names.iter().position(|known| *known == name).unwrap();
                    format!("{major}:{minor}")
                }
                None => word.to_owned(),
            },
        };
        text.split(' ').map(own).collect::<Vec<_>>().join(" ")
    }

    /// All that is said of the devices.
    fn look(&mut self, kind: &dyn Kind) -> Looked {
        let mut looked = Looked { is_settled: true, ..Looked::default() };
        for name in self.names().clone() {
            let state = self.ask(&Request::new(DeviceId::by_name(name), Command::DevStatus)).unwrap();
            let flags = state.flags.without(Flags::UEVENT_GENERATED);
            let (open, lines) = (state.open_count, state.target_count);
            looked.events.push(state.event_nr);
            let events = match kind.events() {
                Events::Counted => state.event_nr,
                Events::Any => state.event_nr.min(1),
                Events::About => 0,
            };
            let is_suspended = flags.contains(Flags::SUSPEND);
            let state = format!("{name}: {flags:?}, opened {open}, events {events}, lines {lines}");
            writeln!(looked.said, "  {}", kind.comparable(state)).unwrap();
            let table = Flags::STATUS_TABLE;
            let asked =
                [Flags::NONE, table, Flags::QUERY_INACTIVE_TABLE, Flags::QUERY_INACTIVE_TABLE | table];
            for flags in asked {
                let status = Request::new(DeviceId::by_name(name), Command::TableStatus);
                let reply = self.ask(&status.with_flags(flags | self.paths())).unwrap();
                for line in reply.lines() {
                    let params = self.shown(&line.params.to_string());
                    looked.is_settled &= flags != Flags::NONE || is_suspended || kind.is_settled(&params);
                    let params = if flags.contains(table) { params } else { kind.comparable(params) };
                    writeln!(looked.said, "    {} {} {} {params}", line.start, line.length, line.target)
                        .unwrap();
                }
            }
        }
        looked
    }

    fn is_suspended(&mut self, device: usize) -> bool {
        let status = Request::new(DeviceId::by_name(self.names()[device]), Command::DevStatus);
        self.ask(&status).unwrap().flags.contains(Flags::SUSPEND)
    }

    /// A flag that makes replies name disks as [`Side::disks`] says.
    fn paths(&self) -> Flags {
        Flags::NONE
    }

    /// Text of a reply with `A`, `B` and `@NAME` in place of this side's own words.
    fn shown(&mut self, text: &str) -> String {
        let (disks, major) = (self.disks(), self.major());
        let names = self.names().clone();
        let word = |word: &str| {
            let disk = disks.iter().position(|(_, shown)| *shown == word);
            let number = DeviceNumber::parse(word.as_bytes()).filter(|number| number.major == major);
            match (disk, number) {
                (Some(disk), _) => ["A", "B"][disk].to_owned(),
                (None, Some(number)) => format!("@{}", names[number.minor as usize]),
                (None, None) => word.to_owned(),
            }
        };
        text.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }

    /// Removes the devices, the last first; the disks' bytes then.
    fn end(&mut self) -> [Vec<u8>; 2] {
        self.close();
        while let Some(name) = self.names().pop() {
            // What is suspended goes too.
            self.ask(&Request::new(DeviceId::by_name(name), Command::DevRemove)).unwrap();
        }
        self.content()
    }
}

/// The guest's own device-mapper.
pub(crate) struct KernelSide {
    backend: backend::Kernel,
    major: u32,
    names: Vec<&'static str>,
    nodes: Vec<File>,
}

impl KernelSide {
    pub(crate) fn new(disks: &[Vec<u8>; 2]) -> Self {
        for (path, bytes) in [DISK_A, DISK_B].iter().zip(disks) {
            write(&direct(Path::new(path)), bytes, 0).unwrap();
        }
        let backend = backend::Kernel::open(Path::new("/dev"), true).unwrap();
        Self { backend, major: guest::kernel_major(), names: Vec::new(), nodes: Vec::new() }
    }
}

/// Opens a disk past the page cache, so that each request reaches its driver as it is.
fn direct(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_DIRECT.bits()).open(path).unwrap()
}

/// Where memory for direct I/O may begin: a page.
const PAGE: usize = 4096;

/// Memory of that many bytes that begins at a page, and where that is.
fn aligned(length: usize) -> (Vec<u8>, usize) {
    let memory = vec![0; length + PAGE];
    let at = memory.as_ptr().align_offset(PAGE);
    (memory, at)
}

fn read(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).unwrap();
    let (mut memory, from) = aligned(length);
    file.read_exact_at(&mut memory[from..from + length], at)?;
    Ok(memory[from..from + length].to_vec())
}

fn write(file: &File, data: &[u8], at: u64) -> io::Result<()> {
    let (mut memory, from) = aligned(data.len());
    memory[from..from + data.len()].copy_from_slice(data);
    file.write_all_at(&memory[from..from + data.len()], at)
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io(error)
}

impl Side for KernelSide {
    fn ask(&mut self, request: &Request) -> Result<Reply, Errno> {
        ask(&mut self.backend, request)
    }

    fn major(&self) -> u32 {
        self.major
    }

    fn disks(&self) -> [(&'static str, &'static str); 2] {
        [(DISK_A, "98:0"), (DISK_B, "98:16")]
    }

    fn names(&mut self) -> &mut Vec<&'static str> {
        &mut self.names
    }

    fn writer(&mut self, device: usize) -> Box<dyn FnOnce() -> Result<(), Errno> + Send> {
        let node = self.nodes[device].try_clone().unwrap();
        Box::new(move || write(&node, &[7; 512], 0).map_err(|error| errno(&error)))
    }

    fn open(&mut self, device: usize) {
        self.nodes.push(direct(Path::new(&format!("/dev/dm-{device}"))));
    }

    fn close(&mut self) {
        self.nodes.clear();
    }

    fn read(&mut self, device: usize, at: u64, length: u64) -> Given {
        read(&self.nodes[device], at * 512, length * 512).map_err(|error| errno(&error))
    }

    fn write(&mut self, device: usize, at: u64, data: &[u8]) -> Result<(), Errno> {
        write(&self.nodes[device], data, at * 512).map_err(|error| errno(&error))
    }

    fn write_through(&mut self, device: usize, at: u64, data: &[u8]) -> Result<(), Errno> {
        let flags = (OFlag::O_DIRECT | OFlag::O_DSYNC).bits();
        let node = OpenOptions::new().write(true).custom_flags(flags).open(format!("/dev/dm-{device}"));
        write(&node.unwrap(), data, at * 512).map_err(|error| errno(&error))
    }

    fn discard(&mut self, device: usize, at: u64, length: u64) -> Result<(), Errno> {
        blockdev::discard(self.nodes[device].as_fd(), at * 512, length * 512).map_err(|error| errno(&error))
    }

    fn zero(&mut self, device: usize, at: u64, length: u64) -> Result<(), Errno> {
        let place = |sectors: u64| i64::try_from(sectors * 512).unwrap();
        fallocate(&self.nodes[device], FallocateFlags::FALLOC_FL_ZERO_RANGE, place(at), place(length))
            .map_err(|errno| Errno(errno as i32))
    }

    fn flush(&mut self, device: usize) -> Result<(), Errno> {
        self.nodes[device].sync_data().map_err(|error| errno(&error))
    }

    fn sectors(&self, device: usize) -> u64 {
        blockdev::size(self.nodes[device].as_fd()).unwrap() / 512
    }

    fn content(&mut self) -> [Vec<u8>; 2] {
        [DISK_A, DISK_B].map(|path| read(&direct(Path::new(path)), 0, DISK_SECTORS * 512).unwrap())
    }
}

/// The mapper in this process.
pub(crate) struct MapperSide {
    mapper: Mapper,
    names: Vec<&'static str>,
    volumes: Vec<Volume>,
}

impl MapperSide {
    pub(crate) fn new(disks: &[Vec<u8>; 2]) -> Self {
        for (path, bytes) in FILES.iter().zip(disks) {
            fs::write(path, bytes).unwrap();
            // As large as the kernel's disks: what lies behind is not looked at.
            File::options().write(true).open(path).unwrap().set_len(guest::DISK_SIZE).unwrap();
        }
        let mut mapper = Mapper::new();
        // As the kernel does, for as long as it runs.
        mapper.serve();
        Self { mapper, names: Vec::new(), volumes: Vec::new() }
    }
}

impl Side for MapperSide {
    fn ask(&mut self, request: &Request) -> Result<Reply, Errno> {
        loop {
            match self.mapper.perform(request) {
                Ok(Outcome::Reply(reply)) => return Ok(reply),
                Ok(Outcome::Waiting(dev, mapper::Waiting::Flush)) => {
                    let flushed = self.mapper.flusher(dev).unwrap().flush();
                    self.mapper.flushed(dev, flushed);
                }
                Ok(Outcome::Waiting(_, mapper::Waiting::Idle)) => thread::sleep(Duration::from_millis(5)),
                Ok(waiting @ Outcome::Waiting(..)) => panic!("{request:?}: {waiting:?}"),
                Err(fault) => return Err(fault.errno),
            }
        }
    }

    fn major(&self) -> u32 {
        mapper::MAJOR
    }

    fn disks(&self) -> [(&'static str, &'static str); 2] {
        FILES.map(|path| (path, path))
    }

    fn names(&mut self) -> &mut Vec<&'static str> {
        &mut self.names
    }

    fn writer(&mut self, device: usize) -> Box<dyn FnOnce() -> Result<(), Errno> + Send> {
        let volume = self.mapper.volume(&DeviceId::by_name(self.names[device]), true).unwrap();
        Box::new(move || volume.write_at(&[7; 512], Bytes(0)))
    }

    fn open(&mut self, device: usize) {
        let volume = self.mapper.volume(&DeviceId::by_name(self.names[device]), true).unwrap();
        self.volumes.push(volume);
    }

    fn close(&mut self) {
        self.volumes.clear();
    }

    fn read(&mut self, device: usize, at: u64, length: u64) -> Given {
        let mut data = vec![0; usize::try_from(length * 512).unwrap()];
        self.volumes[device].read_at(&mut data, Bytes(at * 512)).map(|()| data)
    }

    fn write(&mut self, device: usize, at: u64, data: &[u8]) -> Result<(), Errno> {
        self.volumes[device].write_at(data, Bytes(at * 512))
    }

    fn write_through(&mut self, device: usize, at: u64, data: &[u8]) -> Result<(), Errno> {
        let volume = &self.volumes[device];
        volume.write_through(data, Bytes(at * 512)).and_then(|()| volume.flush())
    }

    fn discard(&mut self, device: usize, at: u64, length: u64) -> Result<(), Errno> {
        self.volumes[device].discard(Bytes(at * 512), Bytes(length * 512))
    }

    fn zero(&mut self, device: usize, at: u64, length: u64) -> Result<(), Errno> {
        self.volumes[device].write_zeroes(Bytes(at * 512), Bytes(length * 512), false)
    }

    fn flush(&mut self, device: usize) -> Result<(), Errno> {
        self.volumes[device].flush()
    }

    fn sectors(&self, device: usize) -> u64 {
        self.volumes[device].size().0 / 512
    }

    fn content(&mut self) -> [Vec<u8>; 2] {
        FILES.map(|path| {
            let mut bytes = fs::read(path).unwrap();
            bytes.truncate(usize::try_from(DISK_SECTORS * 512).unwrap());
            bytes
        })
    }

    fn paths(&self) -> Flags {
        Flags::PATHS
    }

    fn restart(&mut self) -> Given {
        let flushed: Vec<_> = self.volumes.iter().map(|volume| volume.flush()).collect();
        self.volumes.clear();
        self.mapper.retire();
        let saved = State::parse(&self.mapper.state().to_bytes()).unwrap();
        self.mapper = Mapper::restore(&saved).unwrap();
        self.mapper.serve();
        (0..self.names.len()).for_each(|device| self.open(device));
        Ok(format!("{flushed:?}").into_bytes())
    }
}
