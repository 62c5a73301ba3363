//! Where a file lies on its device, as stretches of sectors.

use crate::dm::{Bytes, Sectors};

/// A stretch of a file that is in one piece on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileExtent {
    /// Where on the device.
    pub physical: Bytes,
    /// How long.
    pub length: Bytes,
}

/// A stretch of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its first sector.
    pub start: Sectors,
    /// How long it is.
    pub length: Sectors,
}

impl Extent {
    /// No stretch at all.
    pub const NONE: Self = Self { start: Sectors::ZERO, length: Sectors::ZERO };
}

/// The stretches of the device that a file has, in the file's order; those that follow one another are one.
pub fn join(file: impl IntoIterator<Item = FileExtent>) -> Vec<Extent> {
    let mut joined: Vec<FileExtent> = Vec::new();
    for extent in file {
        match joined.last_mut() {
            Some(last) if last.physical.0.checked_add(last.length.0) == Some(extent.physical.0) => {
                last.length = Bytes(last.length.0.saturating_add(extent.length.0));
            }
            _ => joined.push(extent),
        }
    }
    let whole = |extent: FileExtent| Extent {
        start: extent.physical.whole_sectors(),
        length: extent.length.whole_sectors(),
    };
    joined.into_iter().map(whole).filter(|extent| extent.length > Sectors::ZERO).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(file: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let extent = |&(physical, length): &(u64, u64)| FileExtent {
            physical: Bytes(physical),
            length: Bytes(length),
        };
        join(file.iter().map(extent)).iter().map(|extent| (extent.start.0, extent.length.0)).collect()
    }

    #[test]
    fn what_follows_on_the_device_is_one() {
        assert_eq!(joined(&[]), []);
        assert_eq!(joined(&[(4096, 4096), (8192, 512)]), [(8, 9)]);
        assert_eq!(joined(&[(8192, 512), (4096, 4096)]), [(16, 1), (8, 8)]);
        assert_eq!(joined(&[(4096, 100)]), []);
    }

    #[test]
    fn no_extents_make_it_panic() {
        arbtest::arbtest(|u| {
            let file: Vec<(u64, u64)> = u.arbitrary()?;
            assert!(joined(&file).len() <= file.len());
            Ok(())
        });
    }
}
