//! The snapshots of one origin: who of them has to be told of its writes, and who takes over whose state.

use super::member::Member;
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, DeviceNumber, Errno, Fault, SECTOR_SIZE};
use crate::target::Events;
use arc_swap::ArcSwap;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

/// One for each origin that a table names.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// All holds on its snapshots, in the order in which they were made.
    members: Mutex<Vec<Weak<Member>>>,
    /// Those that its writes concern: chunks larger first, as the kernel has them.
    feeds: ArcSwap<Vec<Arc<Member>>>,
    /// The devices that pass its writes.
    passers: Mutex<Vec<Weak<dyn Events>>>,
    /// Held by whoever writes to it of its own, outside of requests; locked to change who is fed.
    pub(super) steady: RwLock<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Origin {
    pub(super) fn add(&self, member: &Arc<Member>) {
        lock(&self.members).push(Arc::downgrade(member));
    }

    /// Ends a hold: the origin's writes no longer reach it, and who waits to take its state over waits in vain.
    pub(super) fn remove(&self, member: &Arc<Member>) {
        let (source, waiting) = self.pair(member.cow.number());
        if let (Some(source), Some(waiting)) = (source, waiting)
            && Arc::ptr_eq(&source, member)
        {
            waiting.lost.store(true, Ordering::SeqCst);
        }
        member.active.store(false, Ordering::SeqCst);
        lock(&self.members).retain(|known| !std::ptr::eq(known.as_ptr(), Arc::as_ptr(member)));
        self.refresh();
    }

    fn members(&self) -> Vec<Arc<Member>> {
        lock(&self.members).iter().filter_map(Weak::upgrade).collect()
    }

    /// Who has the snapshot on that device at work, and who has not yet.
    fn pair(&self, cow: DeviceNumber) -> (Option<Arc<Member>>, Option<Arc<Member>>) {
        let members = self.members().into_iter().filter(|member| member.cow.number() == cow);
        let (active, others): (Vec<_>, Vec<_>) = members.partition(|member| member.is_active());
        (active.into_iter().next_back(), others.into_iter().next_back())
    }

    /// Admits one more hold on the snapshot on that device, if it may be; gives whose state it is to take over when it
    /// is resumed. Source: the comments at `__find_snapshots_sharing_cow` in the kernel's dm-snap.c.
    pub(super) fn admit(&self, cow: DeviceNumber, merges: bool) -> Result<Option<Arc<Member>>, &'static str> {
        let sharing = self.members().iter().filter(|member| member.cow.number() == cow).count();
        let (source, waiting) = self.pair(cow);
        if sharing > 1 || waiting.is_some() {
            return Err("another table has the same snapshot already and waits to take it over");
        }
        if merges && self.members().iter().any(|member| member.merges) {
            return Err("another snapshot is being merged into it already");
        }
        Ok(source)
    }

    /// Says that a device passes writes to the origin.
    pub(super) fn passes(&self, device: Weak<dyn Events>) {
        let mut passers = lock(&self.passers);
        passers.retain(|known| known.strong_count() > 0 && !known.ptr_eq(&device));
        passers.push(device);
    }

    fn refresh(&self) {
        let fed = |member: &Arc<Member>| member.is_active() && member.is_valid() && !member.merges;
        let mut feeds: Vec<Arc<Member>> = self.members().into_iter().filter(fed).collect();
        feeds.sort_by_key(|member| std::cmp::Reverse(member.core.chunk));
        self.feeds.store(Arc::new(feeds));
    }

    /// Has the origin's writes reach a snapshot from now on, and takes over the state that it was admitted to.
    ///
    /// # Errors
    /// EINVAL when who has the state is not suspended, or is the one that asks; EBUSY when the origin's writes do not
    /// come to an end.
    pub(super) fn activate(&self, member: &Arc<Member>) -> Result<(), Fault> {
        let cow = member.cow.name();
        let (source, waiting) = self.pair(member.cow.number());
        let source = source.filter(|_| waiting.is_some());
        if let Some(source) = &source {
            if Arc::ptr_eq(source, member) {
                return Err(Fault::invalid(format!(
                    "another table waits to take the snapshot on \"{cow}\" over: resume that, or clear it"
                )));
            }
            if !source.suspended.load(Ordering::SeqCst) {
                return Err(Fault::invalid(format!(
                    "another device has the snapshot on \"{cow}\": suspend it first, so that this one can take over"
                )));
            }
        }
        self.change(member, || {
            if let Some(source) = &source {
                // What it has lost itself it cannot hand over.
                member.lost.fetch_or(source.lost.swap(true, Ordering::SeqCst), Ordering::SeqCst);
            }
            member.active.store(true, Ordering::SeqCst);
        })
    }

    /// The same where another process had all this at work before: of two that stand on one device one has it, and that
    /// is the one that merges, if one does.
    pub(super) fn restore(&self, member: &Arc<Member>) -> Result<(), Fault> {
        let has_it =
            |source: &Arc<Member>| !Arc::ptr_eq(source, member) && !source.lost.load(Ordering::SeqCst);
        let source = self.pair(member.cow.number()).0.filter(has_it);
        self.change(member, || {
            match &source {
                Some(source) if member.merges => source.lost.store(true, Ordering::SeqCst),
                Some(_) => member.lost.store(true, Ordering::SeqCst),
                None => {}
            }
            member.active.store(true, Ordering::SeqCst);
        })
    }

    /// Changes who is fed while no write is under way.
    fn change(&self, member: &Member, change: impl Fn()) -> Result<(), Fault> {
        let mut change = || {
            let _alone = self.steady.write().unwrap_or_else(PoisonError::into_inner);
            change();
            self.refresh();
        };
        let passers: Vec<Arc<dyn Events>> = {
            let known = lock(&self.passers);
            let others = known.iter().filter(|device| !device.ptr_eq(&member.events));
            others.filter_map(Weak::upgrade).collect()
        };
        if still(&passers, &mut change) {
            return Ok(());
        }
        let name = member.origin.name();
        Err(Fault::new(Errno::EBUSY, format!("writes to the origin \"{name}\" do not end: suspend it first")))
    }

    /// Whether a write to the range can go to the origin at once, and for how many sectors that holds.
    pub(super) fn is_free(&self, sector: u64, length: u64) -> (bool, u64) {
        let feeds = self.feeds.load();
        let mut run = length;
        for member in feeds.iter().filter(|member| member.is_valid() && sector < member.end) {
            let (copy, copied) = member.copied(sector, run.min(member.end - sector));
            if copy.is_none() {
                return (false, length);
            }
            run = copied;
        }
        (true, run)
    }

    /// Has every snapshot keep what it needs of a range that is about to be written.
    pub(super) fn preserve(&self, sector: u64, length: u64) {
        let feeds = self.feeds.load_full();
        for member in feeds.iter() {
            member.preserve(sector, sector.saturating_add(length));
        }
    }

    /// The same for many ranges, as far as it can be done without waiting for others who do it just now: one turn of each
    /// snapshot's store for all of them.
    pub(super) fn preserve_together(&self, ranges: &[Range<u64>]) {
        let feeds = self.feeds.load_full();
        feeds.iter().for_each(|member| member.preserve_together(ranges));
    }

    /// Writes to the origin, after that.
    pub(super) fn write(&self, origin: &Pdev, sector: u64, data: &[u8]) -> Result<(), Errno> {
        self.preserve(sector, data.len() as u64 / SECTOR_SIZE);
        origin.write_at(data, Bytes(sector.saturating_mul(SECTOR_SIZE)))
    }

    /// Makes a range of the origin zeros, after that.
    pub(super) fn write_zeroes(
        &self,
        origin: &Pdev,
        sector: u64,
        length: u64,
        may_unmap: bool,
    ) -> Result<(), Errno> {
        self.preserve(sector, length);
        let (at, length) = (sector.saturating_mul(SECTOR_SIZE), length.saturating_mul(SECTOR_SIZE));
        origin.write_zeroes(Bytes(at), Bytes(length), may_unmap)
    }
}

/// Does something while none of the devices has I/O in flight; `false` if one did not come to rest.
fn still(devices: &[Arc<dyn Events>], then: &mut dyn FnMut()) -> bool {
    let Some((first, rest)) = devices.split_first() else {
        then();
        return true;
    };
    let mut done = false;
    first.quiesce(&mut || done = still(rest, then)) && done
}
