//! The arguments that a snapshot and a merging one have in common, and what is made of them.

use super::core::Core;
use super::exceptions::Exceptions;
use super::layout::{self, Header, Unusable};
use super::log::Log;
use super::member::Member;
use super::origin::Origin;
use crate::block::Pdev;
use crate::dm::{Errno, Fault, Role, Sectors, Text, Use, roles};
use crate::target::texts::{Kind, Part, Texts, flag, one, word};
use crate::target::{Init, Used};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The usage line of both.
pub(super) const USAGE: &str = "ORIGIN COW P|PO|N CHUNK [FEATURES [FEATURE...]]";

/// What the words of a line of either are.
pub(super) fn roles_of(words: &[Text]) -> Vec<Role> {
    let (origin, store) = (Role::Device(Use::Whole), Role::Device(Use::Own));
    roles(words, &[origin, store, Role::Plain, Role::Sectors], &[])
}

/// The texts of both.
pub(super) const TEXTS: Texts = Texts {
    table: &[
        one("origin", Kind::Device, "the device that it is a snapshot of"),
        one("cow_device", Kind::Device, "the device that holds what differs"),
        one("store", Kind::Text, "P persistent, PO persistent with overflow, N transient"),
        one("chunk_bytes", Kind::Sectors, "the size of a chunk; 0 while the store is another table's"),
        Part::Maybe(&[
            Part::Count("features"),
            Part::Within(
                "features",
                &[Part::Features(&[
                    flag("discard_zeroes_cow", "a discard of a whole chunk frees it"),
                    flag("discard_passdown_origin", "discards go to the origin too"),
                ])],
            ),
        ]),
    ],
    status: &[Part::Either(&[
        &[
            Part::Ratio(
                word("allocated_bytes", Kind::Sectors, "how much of the COW device is in use"),
                word("total_bytes", Kind::Sectors, "how large it is"),
            ),
            one("metadata_bytes", Kind::Sectors, "how much of what is in use is the store's own"),
        ],
        &[Part::Rest("state", "in place of sizes: Invalid, Overflow, Merge failed or Unknown")],
    ])],
};

/// Where the arguments are.
const ORIGIN: usize = 0;
const COW: usize = 1;
const STORE: usize = 2;
const CHUNK: usize = 3;
const FEATURES: usize = 4;

/// What a table line of either type is made into.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) member: Arc<Member>,
    pub(super) origin: Arc<Origin>,
    /// The first sector of the line, which is that of the origin too.
    pub(super) start: u64,
    pub(super) length: Sectors,
    store: Store,
    pub(super) zeroes_cow: bool,
    pub(super) passes_down: bool,
}

/// The kinds of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    Persistent { overflows: bool },
    Transient,
}

impl Snapshot {
    /// Reads a line, opens its devices, and reads or makes the store; or shares the state of the target that has it now,
    /// to take it over later.
    pub(super) fn make(init: &mut Init<'_>, merges: bool) -> Result<Self, Fault> {
        init.at_least(4)?;
        let (zeroes_cow, passes_down) = features(init)?;
        let writes_origin = merges || (passes_down && !init.read_only);
        let origin_pdev = init.pdev_opened(ORIGIN, writes_origin)?;
        let cow = open_cow(init)?;
        if cow.number() == origin_pdev.number() {
            return Err(init.refuse(COW, "the COW device is the origin itself"));
        }
        let store = store(init)?;
        let asked = chunk_size(init, &cow, &origin_pdev)?;
        let origin: Arc<Origin> = init.shared.of(origin_pdev.number());
        if merges && store == Store::Transient {
            return Err(init.refuse(STORE, "only a persistent snapshot can be merged"));
        }
        let source = if init.restores {
            None
        } else {
            origin.admit(cow.number(), merges).map_err(|wrong| init.refuse(COW, wrong))?
        };
        let takes_over = source.is_some();
        let core = match source {
            Some(source) => source.core.clone(),
            None => {
                init.pdevs
                    .ready(&cow)
                    .map_err(|fault| Fault { errno: fault.errno, ..init.refuse(COW, &fault.reason) })?;
                let made = match store {
                    Store::Persistent { .. } => open_store(&cow, &origin_pdev, asked),
                    Store::Transient => transient(&origin_pdev, asked),
                };
                Arc::new(made.map_err(|unusable| Fault {
                    errno: unusable.errno,
                    ..init.refuse(COW, &unusable.reason)
                })?)
            }
        };
        let member = Arc::new(Member {
            core,
            origin: origin_pdev,
            cow,
            end: init.start.0.saturating_add(init.length.0),
            merges,
            overflows: store == Store::Persistent { overflows: true },
            events: init.events.clone(),
            takes_over,
            active: AtomicBool::new(false),
            suspended: AtomicBool::new(true),
            lost: AtomicBool::new(false),
            merge_failed: AtomicBool::new(false),
        });
        member.remember(init.memory);
        origin.add(&member);
        let (start, length) = (init.start.0, init.length);
        Ok(Self { member, origin, start, length, store, zeroes_cow, passes_down })
    }

    /// The arguments again.
    pub(super) fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let store = match self.store {
            Store::Persistent { overflows: true } => "PO",
            Store::Persistent { overflows: false } => "P",
            Store::Transient => "N",
        };
        let mut text = name(&self.member.origin).into_bytes();
        text.push(b' ');
        text.extend(name(&self.member.cow).as_bytes());
        // The size comes, and goes, with the state.
        let has_none = self.member.waits() || self.member.lost.load(Ordering::SeqCst);
        let chunk = if has_none { 0 } else { self.member.core.chunk };
        text.extend(format!(" {store} {chunk}").as_bytes());
        let count = u8::from(self.zeroes_cow) + u8::from(self.passes_down);
        if count > 0 {
            text.extend(format!(" {count}").as_bytes());
        }
        for (on, feature) in
            [(self.zeroes_cow, " discard_zeroes_cow"), (self.passes_down, " discard_passdown_origin")]
        {
            if on {
                text.extend(feature.as_bytes());
            }
        }
        text.into()
    }

    /// Both devices: as much of the origin as the line is long, all of the COW device.
    pub(super) fn pdevs(&self) -> Vec<Used<'_>> {
        let (start, member) = (Sectors::ZERO, &self.member);
        vec![
            Used { pdev: &member.origin, start, length: self.length },
            Used { pdev: &member.cow, start, length: member.cow.sectors() },
        ]
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.origin.remove(&self.member);
    }
}

/// A COW device is written for as long as its origin is, even where the snapshot itself is read-only.
fn open_cow(init: &mut Init<'_>) -> Result<Arc<Pdev>, Fault> {
    init.pdev_opened(COW, true)
        .or_else(|fault| if init.read_only { init.pdev_opened(COW, false) } else { Err(fault) })
}

fn features(init: &Init<'_>) -> Result<(bool, bool), Fault> {
    let (mut zeroes_cow, mut passes_down) = (false, false);
    if init.arguments.len() == FEATURES {
        return Ok((false, false));
    }
    let count = init.number(FEATURES, "features")?;
    if count > 2 {
        return Err(init.refuse(FEATURES, &format!("there are 2 features, not {count}")));
    }
    for index in (FEATURES + 1..).take(usize::try_from(count).unwrap_or(0)) {
        let word = init.word(index)?;
        if word.eq_ignore_ascii_case(b"discard_zeroes_cow") {
            zeroes_cow = true;
        } else if word.eq_ignore_ascii_case(b"discard_passdown_origin") {
            passes_down = true;
        } else {
            let wrong =
                format!("\"{word}\" is not a feature: discard_zeroes_cow, discard_passdown_origin are");
            return Err(init.refuse(index, &wrong));
        }
    }
    if passes_down && !zeroes_cow {
        return Err(init.refuse(FEATURES, "discard_passdown_origin needs discard_zeroes_cow beside it"));
    }
    Ok((zeroes_cow, passes_down))
}

/// The store's kind: P or N, in either case; after P an O may follow. What else follows the kernel does not look at.
fn store(init: &Init<'_>) -> Result<Store, Fault> {
    let word = init.word(STORE)?.to_ascii_uppercase();
    match (word.first(), word.get(1)) {
        (Some(b'N'), _) => Ok(Store::Transient),
        (Some(b'P'), None) => Ok(Store::Persistent { overflows: false }),
        (Some(b'P'), Some(b'O')) => Ok(Store::Persistent { overflows: true }),
        (Some(_) | None, _) => {
            let wrong = format!("\"{}\" is not a kind of store: P, PO and N are", init.word(STORE)?);
            Err(init.refuse(STORE, &wrong))
        }
    }
}

fn chunk_size(init: &Init<'_>, cow: &Pdev, origin: &Pdev) -> Result<u64, Fault> {
    let sectors = u64::from(init.count(CHUNK, "sectors")?);
    if sectors > 0 {
        layout::check_chunk(sectors, cow, origin).map_err(|wrong| init.refuse(CHUNK, &wrong))?;
    }
    Ok(sectors)
}

fn transient(origin: &Pdev, chunk: u64) -> Result<Core, Unusable> {
    if chunk == 0 {
        return Err(Unusable::new(Errno::EINVAL, "a transient snapshot needs a chunk size"));
    }
    Ok(Core::new(chunk, None, 0, exceptions(origin, chunk), true))
}

/// None yet.
fn exceptions(origin: &Pdev, chunk: u64) -> Exceptions {
    Exceptions::new(origin.sectors().0.div_ceil(chunk))
}

/// Opens the store on a COW device, or makes one.
fn open_store(cow: &Pdev, origin: &Pdev, asked: u64) -> Result<Core, Unusable> {
    match layout::read_header(cow, origin, asked)? {
        Header::None => {
            let chunk = if asked == 0 { layout::default_chunk(cow) } else { asked };
            let log = Log::create(cow, chunk)?;
            Ok(Core::new(chunk, Some(log), 2, exceptions(origin, chunk), true))
        }
        Header::Store { chunk, valid: false } => {
            Ok(Core::new(chunk, Some(Log::empty(chunk)), 2, exceptions(origin, chunk), false))
        }
        Header::Store { chunk, valid: true } => {
            let exceptions = exceptions(origin, chunk);
            let (log, free) = Log::read(cow, chunk, |old, new| exceptions.insert(old, new))?;
            Ok(Core::new(chunk, Some(log), free, exceptions, true))
        }
    }
}
