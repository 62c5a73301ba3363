//! The parts of a logical volume's name, `vg-lv-layer`, in which a doubled `-` is one that was in a part.

use crate::dm::Text;

/// The parts, empty where there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SplitName {
    /// Whose device it is: what precedes the first `-` of its uuid.
    pub(super) subsystem: Text,
    /// The volume group.
    pub(super) group: Text,
    /// The logical volume.
    pub(super) volume: Text,
    /// The layer of it.
    pub(super) layer: Text,
}

impl SplitName {
    /// The parts of a device's name; those behind the subsystem only if it is LVM.
    pub(super) fn of_device(name: &[u8], uuid: &[u8]) -> Self {
        let end = uuid.iter().position(|byte| *byte == b'-').unwrap_or_default();
        Self::new(name, &uuid[..end])
    }

    /// The parts of a name of that subsystem.
    pub(super) fn new(name: &[u8], subsystem: &[u8]) -> Self {
        let subsystem = Text::from(subsystem);
        if *subsystem != *b"LVM" {
            return Self { subsystem, ..Self::default() };
        }
        let (group, rest) = part(name);
        let (volume, rest) = part(rest);
        let (layer, _) = part(rest);
        Self { subsystem, group, volume, layer }
    }
}

/// The first part, and what is behind the `-` that ends it. One at the very end ends nothing.
fn part(name: &[u8]) -> (Text, &[u8]) {
    let mut part = Vec::new();
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.first()) {
            (b'-', Some(b'-')) => rest = &after[1..],
            (b'-', Some(_)) => return (part.into(), after),
            _ => {}
        }
        part.push(byte);
    }
    (part.into(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_as_dmsetup_splits_them() {
        for (name, parts) in [
            ("vg-lv", ["vg", "lv", ""]),
            ("vg-lv-layer", ["vg", "lv", "layer"]),
            ("vg--a-lv--b", ["vg-a", "lv-b", ""]),
            ("vg-pool_tdata", ["vg", "pool_tdata", ""]),
            ("vg", ["vg", "", ""]),
            ("vg-", ["vg-", "", ""]),
            ("-lv", ["", "lv", ""]),
            ("a-b-c-d", ["a", "b", "c"]),
            ("a---b", ["a-", "b", ""]),
        ] {
            let split = SplitName::new(name.as_bytes(), b"LVM");
            assert_eq!([split.group, split.volume, split.layer], parts.map(Text::from), "{name}");
        }
        assert_eq!(SplitName::of_device(b"vg-lv", b"CRYPT-x").group, Text::new());
        assert_eq!(SplitName::of_device(b"vg-lv", b"LVM").subsystem, Text::new());
        assert_eq!(SplitName::of_device(b"vg-lv", b"LVM-x").group, Text::from("vg"));
    }
}
