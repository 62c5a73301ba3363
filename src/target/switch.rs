//! `switch`: regions of one size, each on one of several paths, changed by messages.

use super::texts::{EMPTY, Kind, Part, Texts, one, word};
use super::{Init, Mapping, Operation, Target, TargetType, Used};
use crate::block::Pdev;
use crate::dm::{Errno, Fault, Role, Sectors, Text, Use, Version, roles};
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};

mod regions;

use regions::Regions;

/// The most paths: what the kernel's allocator gives one context (4 MiB, 16 bytes a path).
const MAX_PATHS: u32 = 262_141;

/// The most regions: each may take 4 bytes here. (The kernel takes as many as it has memory for.)
const MAX_REGIONS: u64 = 1 << 28;

/// How many arguments there are before the paths.
const FIRST_PATH: usize = 3;

#[derive(Debug)]
struct Switch {
    paths: Vec<Path>,
    region: NonZeroU32,
    length: Sectors,
    regions: RwLock<Regions>,
}

#[derive(Debug)]
struct Path {
    pdev: Arc<Pdev>,
    offset: Sectors,
}

// In the kernel's order, so that what is wrong twice has its errno.
fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    let count = init.within(0, 1..=MAX_PATHS, "paths")?;
    let size = init.within(1, 1..=u32::MAX, "sectors")?;
    init.within(2, 0..=0, "optional arguments")?;
    let wanted = FIRST_PATH + 2 * usize::try_from(count).unwrap_or(usize::MAX / 4);
    let given = init.arguments.len();
    if given != wanted {
        let wrong = format!(
            "the number of paths, {count}, calls for {} arguments DEVICE SECTOR..., not {}",
            wanted - FIRST_PATH,
            given - FIRST_PATH
        );
        return Err(init.refuse(wanted.min(given), &wrong));
    }
    let region = NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN);
    let mut paths = Vec::new();
    for at in (FIRST_PATH..wanted).step_by(2) {
        let pdev = init.pdev(at)?;
        paths.push(Path { pdev, offset: init.offset(at + 1)? });
    }
    let length = init.length;
    let regions = length.0.div_ceil(region.get().into());
    if regions > MAX_REGIONS {
        let wrong = format!("{regions} regions are above {MAX_REGIONS}: use larger ones");
        return Err(Fault { errno: Errno::ENOMEM, ..init.refuse(1, &wrong) });
    }
    let mut table = Regions::new(regions, count);
    let remembered = init.memory.words();
    // Text that this target did not write counts for nothing, like a region that nobody set.
    let _ = table.set(&remembered);
    Ok(Box::new(Switch { paths, region, length, regions: RwLock::new(table) }))
}

impl Target for Switch {
    fn strategy(&self, operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        let region = u64::from(self.region.get());
        let number = self.regions.read().unwrap_or_else(PoisonError::into_inner).path(sector.0 / region);
        // A discard goes whole to the path of its first sector: in this target's use all paths lead to one disk.
        let length = match operation {
            Operation::Discard => length,
            Operation::Read | Operation::Write | Operation::WriteZeroes => {
                Sectors(length.0.min(region - sector.0 % region))
            }
        };
        let path = usize::try_from(number).ok().and_then(|number| self.paths.get(number));
        match path.and_then(|path| Some((path, path.offset.checked_add(sector)?))) {
            Some((path, sector)) => Mapping::Remap { pdev: &path.pdev, sector, length },
            None => Mapping::Fail { errno: Errno::EIO, length },
        }
    }

    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let mut text = format!("{} {} 0", self.paths.len(), self.region).into_bytes();
        for Path { pdev, offset } in &self.paths {
            text.extend([b" ", name(pdev).as_bytes(), format!(" {offset}").as_bytes()].concat());
        }
        text.into()
    }

    fn pdevs(&self) -> Vec<Used<'_>> {
        let places = self.paths.iter().map(|path| (&path.pdev, path.offset));
        places.map(|(pdev, start)| Used { pdev, start, length: self.length }).collect()
    }

    /// `set_region_mappings`: what came before a word that is refused has been done, as in the kernel.
    fn message(&self, words: &[Text]) -> Result<Option<Text>, Fault> {
        let Some((first, changes)) = words.split_first() else {
            return Err(Fault::invalid("switch: the message is empty"));
        };
        if !first.eq_ignore_ascii_case(b"set_region_mappings") {
            return Err(Fault::invalid(format!(
                "switch knows the message set_region_mappings, not \"{first}\""
            )));
        }
        let mut regions = self.regions.write().unwrap_or_else(PoisonError::into_inner);
        regions.set(changes).map(|()| None).map_err(|wrong| Fault::invalid(format!("switch: {wrong}")))
    }

    fn memory(&self) -> Text {
        self.regions.read().unwrap_or_else(PoisonError::into_inner).changes()
    }
}

/// The type.
pub(super) static TARGET: TargetType = TargetType {
    name: "switch",
    version: Version::new(1, 1, 0),
    usage: "PATHS REGION 0 DEVICE SECTOR...",
    help: "Cuts the line into regions of REGION sectors, each of which goes to one of PATHS devices, used from SECTOR on: \
           in turn at first, and as the message set_region_mappings says then: INDEX:PATH sets a region, :PATH the next \
           one, RN,M repeats the last N for M more, all in hexadecimal.",
    roles: |words| {
        roles(words, &[Role::Plain, Role::Sectors, Role::Plain], &[Role::Device(Use::Whole), Role::Offset])
    },
    example: "0 2097152 switch 2 128 0 /dev/sdb 0 /dev/sdc 0",
    rewords: false,
    texts: Texts {
        table: &[
            Part::Count("paths"),
            one("region_bytes", Kind::Sectors, "the size of a region"),
            Part::Count("arguments"),
            Part::Many(word("arguments", Kind::Text, "none is known"), "arguments"),
            Part::Each(
                "paths",
                "the devices that regions go to",
                Some("paths"),
                &[
                    one("device", Kind::Device, "the device"),
                    one("offset_bytes", Kind::Sectors, "where on the device it begins"),
                ],
            ),
        ],
        status: EMPTY,
    },
    init,
};

#[cfg(test)]
mod tests {
    use super::super::testing::{make, numbers};
    use super::*;

    fn path_of(target: &dyn Target, sector: u64) -> (u32, u64, u64) {
        let mapping = target.strategy(Operation::Read, Sectors(sector), Sectors(100));
        let Mapping::Remap { pdev, sector, length } = mapping else { panic!("not mapped") };
        (pdev.number().minor, sector.0, length.0)
    }

    #[test]
    fn regions_go_to_their_paths() {
        let target = make("0 1000 switch 3 8 0 7:0 0 7:1 100 7:2 0").unwrap();
        assert_eq!(target.params(&numbers), "3 8 0 7:0 0 7:1 100 7:2 0");
        assert_eq!(path_of(target.as_ref(), 3), (0, 3, 5));
        assert_eq!(path_of(target.as_ref(), 8), (1, 108, 8));
        let message = |text: &str| target.message(&Text::from(text).words());
        assert_eq!(message("SET_region_mappings 0:2 :0"), Ok(None));
        assert_eq!((path_of(target.as_ref(), 0).0, path_of(target.as_ref(), 8).0), (2, 0));
        let discard = target.strategy(Operation::Discard, Sectors(7), Sectors(90));
        assert!(matches!(discard, Mapping::Remap { length: Sectors(90), .. }));
        assert!(message("set_region_mappings 0:1 zz 1:1").is_err());
        assert_eq!((path_of(target.as_ref(), 0).0, path_of(target.as_ref(), 8).0), (1, 0));
        assert_eq!(target.memory(), "0:1 :0");
    }

    #[test]
    fn refusals_are_the_kernels_in_its_order() {
        let refusal = |line: &str| {
            let fault = make(line).expect_err(line);
            (fault.errno, fault.argument.unwrap())
        };
        for (line, at) in [
            ("0 8 switch", 0),
            ("0 8 switch 0 8 0", 0),
            ("0 8 switch +1 8 0 7:0 0", 0),
            ("0 8 switch 262142 8 0", 0),
            ("0 8 switch 1 0 0 7:0 0", 1),
            ("0 8 switch 1 8", 2),
            ("0 8 switch 1 8 1 x 7:0 0", 2),
            ("0 8 switch 1 8 0 7:0", 4),
            ("0 8 switch 1 8 0 7:0 0 7:1 0", 5),
            ("0 8 switch 1 8 0 7:0 x", 4),
        ] {
            assert_eq!(refusal(line), (Errno::EINVAL, at), "{line}");
        }
        assert_eq!(refusal("0 8 switch 2 8 0 no 0 7:0 x"), (Errno::ENODEV, 3));
        assert_eq!(refusal("0 8 switch 2 8 0 7:0 x no 0"), (Errno::EINVAL, 4));
        assert_eq!(refusal("0 1000000000000 switch 1 1 0 7:0 0"), (Errno::ENOMEM, 1));
        make("0 8 switch 1 8 0 7:0 +1").unwrap();
    }
}
