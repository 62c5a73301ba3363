//! `delay`: reads, writes and flushes that wait, and go to devices of their own.

use super::texts::{Form, Kind, Part, Texts, one};
use super::{Init, Mapping, Operation, Target, TargetType, Used};
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, Fault, Role, Sectors, Text, Use, Version, roles};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Arguments that say where one kind of request goes and how long it waits.
const CLASS: usize = 3;

#[derive(Debug)]
struct Delay {
    read: Class,
    write: Class,
    flush: Class,
    /// How many of them the table says; the others are the last of these again.
    given: usize,
    length: Sectors,
    /// Whether requests wait now; those that do are let go when it turns false.
    may_wait: Mutex<bool>,
    let_go: Condvar,
}

/// One kind of request.
#[derive(Debug)]
struct Class {
    pdev: Arc<Pdev>,
    offset: Sectors,
    milliseconds: u32,
    /// How many wait now.
    waiting: AtomicU32,
}

fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    let given = init.arguments.len() / CLASS;
    if !(1..=3).contains(&given) || given * CLASS != init.arguments.len() {
        let wrong = format!("3, 6 or 9 arguments, {}, not {}", init.target.usage, init.arguments.len());
        return Err(init.refuse(init.arguments.len(), &wrong));
    }
    let read = class(init, 0)?;
    let write = class(init, (given - 1).min(1))?;
    let flush = class(init, given - 1)?;
    let (length, may_wait) = (init.length, Mutex::new(true));
    Ok(Box::new(Delay { read, write, flush, given, length, may_wait, let_go: Condvar::new() }))
}

fn class(init: &mut Init<'_>, index: usize) -> Result<Class, Fault> {
    let first = index * CLASS;
    let offset = init.sectors(first + 1)?;
    let milliseconds = init.within(first + 2, 0..=u32::MAX, "milliseconds")?;
    Ok(Class { pdev: init.pdev(first)?, offset, milliseconds, waiting: AtomicU32::new(0) })
}

impl Delay {
    fn class(&self, operation: Operation) -> &Class {
        match operation {
            Operation::Read => &self.read,
            Operation::Write | Operation::Discard | Operation::WriteZeroes => &self.write,
        }
    }

    fn may_wait(&self) -> MutexGuard<'_, bool> {
        self.may_wait.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as requests of that kind do, or until they are let go.
    fn wait(&self, class: &Class) {
        let may_wait = self.may_wait();
        if class.milliseconds == 0 || !*may_wait {
            return;
        }
        let time = Duration::from_millis(class.milliseconds.into());
        class.waiting.fetch_add(1, Ordering::SeqCst);
        let waited = self.let_go.wait_timeout_while(may_wait, time, |may_wait| *may_wait);
        class.waiting.fetch_sub(1, Ordering::SeqCst);
        drop(waited);
    }

    /// Waits, and says where the request goes then.
    fn delayed(&self, operation: Operation, sector: Sectors) -> Result<(&Pdev, Bytes), Errno> {
        let class = self.class(operation);
        self.wait(class);
        let at = class.offset.checked_add(sector).and_then(Sectors::to_bytes).ok_or(Errno::EIO)?;
        Ok((&class.pdev, at))
    }
}

impl Target for Delay {
    fn strategy(&self, operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        let class = self.class(operation);
        if class.milliseconds > 0 {
            return Mapping::Handle { length };
        }
        match class.offset.checked_add(sector) {
            Some(sector) => Mapping::Remap { pdev: &class.pdev, sector, length },
            None => Mapping::Fail { errno: Errno::EIO, length },
        }
    }

    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let text = |class: &Class| {
            let numbers = format!(" {} {}", class.offset, class.milliseconds);
            [name(&class.pdev).as_bytes(), numbers.as_bytes()].concat()
        };
        let classes = [&self.read, &self.write, &self.flush];
        classes[..self.given].iter().map(|class| text(class)).collect::<Vec<_>>().join(&b' ').into()
    }

    /// How many reads, writes and flushes wait now.
    fn status(&self, _name: &dyn Fn(&Pdev) -> Text) -> Text {
        let waiting = |class: &Class| class.waiting.load(Ordering::SeqCst);
        format!("{} {} {}", waiting(&self.read), waiting(&self.write), waiting(&self.flush)).into()
    }

    fn pdevs(&self) -> Vec<Used<'_>> {
        let classes = [&self.read, &self.write, &self.flush];
        let classes = classes.into_iter().take(self.given);
        classes.map(|class| Used { pdev: &class.pdev, start: class.offset, length: self.length }).collect()
    }

    fn presuspend(&self, _noflush: bool) {
        *self.may_wait() = false;
        self.let_go.notify_all();
    }

    fn resume(&self) -> Result<(), Fault> {
        *self.may_wait() = true;
        Ok(())
    }

    fn flush_asked(&self) -> Result<(), Errno> {
        self.wait(&self.flush);
        Ok(())
    }

    fn read(&self, sector: Sectors, buffer: &mut [u8]) -> Result<(), Errno> {
        let (pdev, at) = self.delayed(Operation::Read, sector)?;
        pdev.read_at(buffer, at)
    }

    fn write(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        let (pdev, at) = self.delayed(Operation::Write, sector)?;
        pdev.write_at(data, at)
    }

    fn discard(&self, sector: Sectors, length: Sectors) -> Result<(), Errno> {
        let (pdev, at) = self.delayed(Operation::Discard, sector)?;
        pdev.discard(at, length.to_bytes().ok_or(Errno::EIO)?)
    }

    fn write_zeroes(&self, sector: Sectors, length: Sectors, may_unmap: bool) -> Result<(), Errno> {
        let (pdev, at) = self.delayed(Operation::WriteZeroes, sector)?;
        pdev.write_zeroes(at, length.to_bytes().ok_or(Errno::EIO)?, may_unmap)
    }
}

/// Where requests of one kind go, and when.
const CLASS_FORM: Form = &[
    one("device", Kind::Device, "the device that they go to"),
    one("offset_bytes", Kind::Sectors, "where on the device it begins"),
    one("delay_ms", Kind::Number, "how many milliseconds they wait"),
];

/// The type.
pub(super) static TARGET: TargetType = TargetType {
    name: "delay",
    version: Version::new(1, 3, 0),
    usage: "DEVICE SECTOR MILLISECONDS [DEVICE SECTOR MILLISECONDS [DEVICE SECTOR MILLISECONDS]]",
    help: "Keeps each request back for MILLISECONDS and then sends it to DEVICE, from SECTOR on. Three arguments are for \
           all requests; with six the second three are for what writes, with nine the last three are for flushes. What is \
           kept back is let go when the device is suspended.",
    roles: |words| roles(words, &[], &[Role::Device(Use::Whole), Role::Offset, Role::Plain]),
    example: "0 2097152 delay /dev/sdb 0 0 /dev/sdb 0 500",
    rewords: false,
    texts: Texts {
        table: &[
            Part::Object("read", "reads, and all else that is not told of itself", CLASS_FORM),
            Part::Maybe(&[
                Part::Object("write", "writes, and flushes if they are not told of themselves", CLASS_FORM),
                Part::Maybe(&[Part::Object("flush", "flushes", CLASS_FORM)]),
            ]),
        ],
        status: &[
            one("waiting_reads", Kind::Number, "how many reads wait now"),
            one("waiting_writes", Kind::Number, "how many writes wait now"),
            Part::Maybe(&[one("waiting_flushes", Kind::Number, "how many flushes wait now")]),
        ],
    },
    init,
};

#[cfg(test)]
mod tests {
    use super::super::testing::{make, numbers};
    use super::*;
    use std::thread;
    use std::time::Instant;

    #[test]
    fn each_kind_has_its_device() {
        let target = make("0 8 delay 7:0 1 0 7:1 2 0 7:2 3 5").unwrap();
        assert_eq!(target.params(&numbers), "7:0 1 0 7:1 2 0 7:2 3 5");
        let place = |operation| {
            let mapping = target.strategy(operation, Sectors(4), Sectors(4));
            let Mapping::Remap { pdev, sector, .. } = mapping else { panic!("{mapping:?}") };
            (pdev.number().minor, sector.0)
        };
        assert_eq!(place(Operation::Read), (0, 5));
        for operation in [Operation::Write, Operation::Discard, Operation::WriteZeroes] {
            assert_eq!(place(operation), (1, 6));
        }
        assert_eq!(target.pdevs().len(), 3);
        let one = make("0 8 delay 7:0 0 7").unwrap();
        assert_eq!((one.params(&numbers), one.pdevs().len()), ("7:0 0 7".into(), 1));
        assert!(matches!(one.strategy(Operation::Write, Sectors(0), Sectors(8)), Mapping::Handle { .. }));
    }

    #[test]
    fn a_request_waits_and_is_counted_and_let_go() {
        let target = make("0 8 delay 7:0 0 20 7:0 0 60000").unwrap();
        let start = Instant::now();
        // The test's disk fails all I/O: it has been asked.
        assert_eq!(target.read(Sectors(0), &mut [0; 512]), Err(Errno::EIO));
        assert!(start.elapsed() >= Duration::from_millis(20));
        thread::scope(|scope| {
            let writer = scope.spawn(|| target.write(Sectors(0), &[0; 512]));
            let flusher = scope.spawn(|| target.flush_asked());
            while target.status(&numbers) != "0 1 1" {
                thread::sleep(Duration::from_millis(1));
            }
            target.presuspend(false);
            assert_eq!((writer.join().unwrap(), flusher.join().unwrap()), (Err(Errno::EIO), Ok(())));
            // Nor does any wait that comes now.
            assert_eq!(target.flush_asked(), Ok(()));
        });
        assert_eq!(target.status(&numbers), "0 0 0");
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn refusals_are_the_kernels_in_its_order() {
        for (line, errno, at) in [
            ("0 8 delay", Errno::EINVAL, 0),
            ("0 8 delay 7:0 0", Errno::EINVAL, 2),
            ("0 8 delay 7:0 0 1 7:0", Errno::EINVAL, 4),
            ("0 8 delay 7:0 0 1 7:0 0 1 7:0 0 1 7:0 0 1", Errno::EINVAL, 12),
            ("0 8 delay no x 1", Errno::EINVAL, 1),
            ("0 8 delay no 0 +1", Errno::EINVAL, 2),
            ("0 8 delay no 0 1 7:0 x 1", Errno::ENODEV, 0),
            ("0 8 delay 7:0 0 1 7:0 0 x", Errno::EINVAL, 5),
        ] {
            let fault = make(line).expect_err(line);
            assert_eq!((fault.errno, fault.argument), (errno, Some(at)), "{line}");
        }
    }
}
