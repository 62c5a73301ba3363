//! `multipath`: several ways to one device; where one fails, another is taken.
//!
//! A request is remapped to the path that the group in use selects; one that fails with its path is asked for again, and
//! goes another way. With `queue_if_no_path` requests wait when no path is left. The paths' state is one lock, held for as
//! long as a selector looks at its paths.

mod args;
mod form;
mod groups;
mod messages;
mod selector;

use super::{Ended, Events, Init, Mapping, Operation, Target, TargetType, Used};
use crate::block::{AGAIN, BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, Fault, SECTOR_SIZE, Sectors, Text, Version};
use args::{Arguments, Features};
use groups::{Groups, Loads};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

/// Failures that are no path's: they would be the same on the next one. Linux's `blk_path_error`, in errnos: not
/// supported, no space, a reservation (EBADE), a medium's error (ENODATA), the target's (EREMOTEIO), protection information
/// (EILSEQ); and a file's that is read-only.
const NOT_THE_PATHS: [Errno; 7] =
    [Errno::EOPNOTSUPP, Errno::ENOSPC, Errno(52), Errno(61), Errno(121), Errno(84), Errno::EROFS];

#[derive(Debug)]
struct Multipath {
    features: Features,
    length: Sectors,
    /// Every path's device, in the order of the arguments.
    pdevs: Vec<Arc<Pdev>>,
    groups: Mutex<Groups>,
    /// A path is back, or requests are not to wait any more.
    changed: Condvar,
    loads: Loads,
    events: Weak<dyn Events>,
    /// Whether this process goes on serving the device: else nobody could bring a path back.
    serves: bool,
}

fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    let Arguments { features, groups, first, loads } = Arguments::read(init)?;
    let pdevs = groups.iter().flat_map(|group| &group.paths).map(|path| Arc::clone(&path.pdev)).collect();
    let mut groups = Groups::new(groups, first, features.queue_if_no_path, features.handler.is_some());
    groups.remember(init.memory);
    Ok(Box::new(Multipath {
        pdevs,
        groups: Mutex::new(groups),
        features,
        length: init.length,
        changed: Condvar::new(),
        loads,
        events: init.events.clone(),
        serves: init.serves,
    }))
}

impl Multipath {
    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self) {
        if let Some(events) = self.events.upgrade() {
            events.signal();
        }
    }

    /// The device of the path that a request of that many bytes is to take.
    fn choose(&self, bytes: u64) -> Option<&Arc<Pdev>> {
        let mut groups = self.groups();
        let chosen = groups.choose(bytes)?;
        let number = groups.pdev(chosen)?.number();
        self.pdevs.iter().find(|pdev| pdev.number() == number)
    }

    /// Waits for a path or for the next table, by which the request is to be asked for again, or until it need not wait.
    fn wait(&self) -> Errno {
        let mut groups = self.groups();
        loop {
            if groups.has_path() || groups.suspending == Some(true) {
                return AGAIN;
            }
            if !groups.queue_if_no_path || !self.serves {
                return Errno::EIO;
            }
            groups = self.changed.wait(groups).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Does something by one path after the other, until it is done or fails for another reason than its path.
    fn try_paths(
        &self,
        length: Bytes,
        mut each: impl FnMut(&Pdev) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        loop {
            let Some(pdev) = self.choose(length.0) else {
                return Err(if self.groups().waits() { self.wait() } else { Errno::EIO });
            };
            self.start_io(pdev, length);
            let done = each(pdev);
            self.finish_io(pdev, length);
            match done {
                Err(errno) if self.end_io(pdev, errno) == Ended::Failed => return Err(errno),
                Err(_) => {}
                Ok(()) => return Ok(()),
            }
        }
    }

    fn load_of(&self, pdev: &Pdev) -> Option<&selector::Load> {
        self.loads.iter().find(|(known, _)| known.number() == pdev.number()).map(|(_, load)| load.as_ref())
    }

    fn features_text(&self, queue_if_no_path: bool) -> String {
        let Features { retain_handler, init_retries, init_delay, is_bio, .. } = &self.features;
        let mut words = Vec::new();
        if queue_if_no_path {
            words.push("queue_if_no_path".to_owned());
        }
        if *init_retries > 0 {
            words.extend(["pg_init_retries".to_owned(), init_retries.to_string()]);
        }
        if let Some(delay) = init_delay {
            words.extend(["pg_init_delay_msecs".to_owned(), delay.to_string()]);
        }
        if *retain_handler {
            words.push("retain_attached_hw_handler".to_owned());
        }
        if *is_bio {
            words.extend(["queue_mode".to_owned(), "bio".to_owned()]);
        }
        let count = words.len().to_string();
        std::iter::once(count).chain(words).map(|word| word + " ").collect()
    }
}

impl Target for Multipath {
    /// Reads need no care of whoever moves them: they can be had again. What is written is kept until a path has taken it.
    fn strategy(&self, operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        if operation == Operation::Write {
            return Mapping::Handle { length };
        }
        match self.choose(length.0.saturating_mul(SECTOR_SIZE)) {
            Some(pdev) => Mapping::Remap { pdev, sector, length },
            None if self.groups().waits() => Mapping::Handle { length },
            None => Mapping::Fail { errno: Errno::EIO, length },
        }
    }

    /// A blank stands behind each word, as in the kernel.
    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let groups = self.groups();
        let mut text = self.features_text(groups.queue_if_no_path).into_bytes();
        match &self.features.handler {
            Some(handler) => text.extend([b"1 ", handler.as_bytes(), b" "].concat()),
            None => text.extend(b"0 "),
        }
        text.extend(format!("{} {} ", groups.groups.len(), groups.number()).bytes());
        for group in &groups.groups {
            let kind = group.selector.kind;
            text.extend(format!("{} 0 {} {} ", kind.name(), group.paths.len(), kind.table_words()).bytes());
            for (index, path) in group.paths.iter().enumerate() {
                text.extend([name(&path.pdev).as_bytes(), b" "].concat());
                text.extend(group.selector.params(index).bytes());
            }
        }
        text.into()
    }

    /// Whether I/O is queued and how often a group was initialized; the groups' number and the one in use; for each group
    /// its letter, and for each path its letter, how often it failed, and what its selector says.
    fn status(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let groups = self.groups();
        let fresh = u8::from(groups.is_fresh);
        let mut text =
            format!("2 {fresh} {} 0 {} {} ", groups.prepared, groups.groups.len(), groups.number())
                .into_bytes();
        for (index, group) in groups.groups.iter().enumerate() {
            let words = group.selector.kind.status_words();
            text.extend(format!("{} 0 {} {words} ", groups.letter(index), group.paths.len()).bytes());
            for (index, path) in group.paths.iter().enumerate() {
                let letter = if path.is_active { 'A' } else { 'F' };
                text.extend([name(&path.pdev).as_bytes(), b" "].concat());
                text.extend(format!("{letter} {} {}", path.failures, group.selector.status(index)).bytes());
            }
        }
        text.into()
    }

    fn pdevs(&self) -> Vec<Used<'_>> {
        self.pdevs.iter().map(|pdev| Used { pdev, start: Sectors::ZERO, length: self.length }).collect()
    }

    fn message(&self, words: &[Text]) -> Result<Option<Text>, Fault> {
        messages::obey(self, words).map(|()| None)
    }

    fn start_io(&self, pdev: &Pdev, length: Bytes) {
        if let Some(load) = self.load_of(pdev) {
            load.requests.fetch_add(1, Ordering::Relaxed);
            load.bytes.fetch_add(length.0, Ordering::Relaxed);
        }
    }

    fn finish_io(&self, pdev: &Pdev, length: Bytes) {
        if let Some(load) = self.load_of(pdev) {
            load.requests.fetch_sub(1, Ordering::Relaxed);
            load.bytes.fetch_sub(length.0, Ordering::Relaxed);
        }
    }

    fn end_io(&self, pdev: &Pdev, errno: Errno) -> Ended {
        let mut groups = self.groups();
        let Some(path) = groups.used(pdev) else { return Ended::Failed };
        if NOT_THE_PATHS.contains(&errno) {
            return Ended::Failed;
        }
        let is_news = groups.fail(path);
        let again = groups.has_path() || groups.waits();
        drop(groups);
        if is_news {
            self.signal();
        }
        if again { Ended::Again } else { Ended::Failed }
    }

    /// A suspend with a flush cannot end while requests wait for a path; nor can one over bios.
    fn presuspend(&self, noflush: bool) {
        let mut groups = self.groups();
        groups.suspending = Some(noflush);
        if self.features.is_bio || !noflush {
            groups.set_queue(false, true);
        }
        drop(groups);
        self.changed.notify_all();
    }

    fn postsuspend(&self) -> Result<(), Errno> {
        self.groups().is_suspended = true;
        Ok(())
    }

    fn resume(&self) -> Result<(), Fault> {
        self.groups().resume();
        Ok(())
    }

    fn memory(&self) -> Text {
        self.groups().memory()
    }

    fn flushes(&self) -> bool {
        true
    }

    /// By one path, as any other request. A suspend's flush, which is the mapper's own, uses none up: it goes by all.
    fn flush(&self) -> Result<(), Errno> {
        if self.groups().suspending.is_some() {
            let flushed: Vec<_> = self.pdevs.iter().map(|pdev| pdev.flush()).collect();
            return if flushed.iter().any(Result::is_ok) { Ok(()) } else { flushed.into_iter().collect() };
        }
        self.try_paths(Bytes(0), |pdev| pdev.flush())
    }

    fn read(&self, sector: Sectors, buffer: &mut [u8]) -> Result<(), Errno> {
        let at = sector.to_bytes().ok_or(Errno::EIO)?;
        self.try_paths(Bytes(buffer.len() as u64), |pdev| pdev.read_at(buffer, at))
    }

    fn write(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        let at = sector.to_bytes().ok_or(Errno::EIO)?;
        self.try_paths(Bytes(data.len() as u64), |pdev| pdev.write_at(data, at))
    }

    fn write_through(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        let at = sector.to_bytes().ok_or(Errno::EIO)?;
        self.try_paths(Bytes(data.len() as u64), |pdev| pdev.write_through(data, at))
    }

    fn discard(&self, sector: Sectors, length: Sectors) -> Result<(), Errno> {
        let (at, length) = sector.to_bytes().zip(length.to_bytes()).ok_or(Errno::EIO)?;
        self.try_paths(length, |pdev| pdev.discard(at, length))
    }

    fn write_zeroes(&self, sector: Sectors, length: Sectors, may_unmap: bool) -> Result<(), Errno> {
        let (at, length) = sector.to_bytes().zip(length.to_bytes()).ok_or(Errno::EIO)?;
        self.try_paths(length, |pdev| pdev.write_zeroes(at, length, may_unmap))
    }
}

/// The type.
pub(super) static TARGET: TargetType = TargetType {
    name: "multipath",
    version: Version::new(1, 14, 0),
    usage: "FEATURES [FEATURE...] HANDLER_ARGUMENTS [HANDLER...] GROUPS FIRST [SELECTOR 0 PATHS ARGUMENTS DEVICE [ARGUMENT...]...]...",
    help: "Reaches one device by several paths, in groups of which one is in use, FIRST at the beginning. SELECTOR deals requests \
           to the paths of a group: round-robin, queue-length (the fewest requests in flight) or service-time (the fewest bytes in \
           flight for a path's relative throughput); each path's ARGUMENTS are the number 1, and for service-time the throughput, 0 to \
           100. A path that fails is taken out of use, and the request goes another way. FEATURES is the number of words of features \
           that follow: queue_if_no_path has requests wait when there is no path, retain_attached_hw_handler, pg_init_retries N, \
           pg_init_delay_msecs N and queue_mode bio|rq|mq are read as the kernel reads them. The messages are fail_path DEVICE, \
           reinstate_path DEVICE, switch_group N, enable_group N, disable_group N, queue_if_no_path and fail_if_no_path.",
    roles: args::roles_of,
    example: "0 2097152 multipath 0 0 2 1 round-robin 0 1 1 /dev/sdb 1 round-robin 0 1 1 /dev/sdc 1",
    rewords: true,
    texts: form::TEXTS,
    init,
};

#[cfg(test)]
mod tests;
