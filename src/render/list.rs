//! One line each: devices, dependencies, target types.

use crate::dm::{DeviceNumber, TargetVersion, Text};

/// How a block device is called in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// By its number.
    Number(DeviceNumber),
    /// By a name that the system has for it.
    Name(Text),
}

/// A device of `ls`: `vol0<TAB>(253:0)` or `vol0<TAB>(dm-0)`.
pub fn listed(name: &Text, device: &DeviceName) -> Vec<u8> {
    let mut text = [name.as_bytes(), b"\t("].concat();
    match device {
        DeviceName::Number(dev) => text.extend_from_slice(dev.to_string().as_bytes()),
        DeviceName::Name(name) => text.extend_from_slice(name),
    }
    text.extend_from_slice(b")\n");
    text
}

/// A device of `ls --target`, which dmsetup writes in another way: `vol0<TAB>(253, 0)`.
pub fn listed_with_target(name: &Text, dev: DeviceNumber) -> Vec<u8> {
    let mut text = name.to_vec();
    text.extend_from_slice(format!("\t({}, {})\n", dev.major, dev.minor).as_bytes());
    text
}

/// The line of `deps`: `2 dependencies<TAB>: (8, 0) (sda)`.
pub fn dependencies(devices: &[DeviceName]) -> Vec<u8> {
    let mut text = format!("{} dependencies\t:", devices.len()).into_bytes();
    for device in devices {
        match device {
            DeviceName::Number(dev) => {
                text.extend_from_slice(format!(" ({}, {})", dev.major, dev.minor).as_bytes());
            }
            DeviceName::Name(name) => text.extend_from_slice(&[b" (", name.as_bytes(), b")"].concat()),
        }
    }
    text.push(b'\n');
    text
}

/// A target type with its version: `linear           v1.4.0`.
pub fn target_version(target: &TargetVersion) -> Vec<u8> {
    let mut text = target.name.to_vec();
    text.resize(text.len().max(16), b' ');
    text.extend_from_slice(format!(" v{}\n", target.version).as_bytes());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::Version;

    #[test]
    fn lines_are_dmsetups() {
        let dev = DeviceNumber::new(253, 0);
        let name = DeviceName::Name("dm-0".into());
        assert_eq!(listed(&"vol0".into(), &DeviceName::Number(dev)), b"vol0\t(253:0)\n");
        assert_eq!(listed(&Text::from(&b"v\xff"[..]), &name), b"v\xff\t(dm-0)\n");
        assert_eq!(listed_with_target(&"vol0".into(), dev), b"vol0\t(253, 0)\n");
        assert_eq!(dependencies(&[]), b"0 dependencies\t:\n");
        assert_eq!(dependencies(&[DeviceName::Number(dev), name]), b"2 dependencies\t: (253, 0) (dm-0)\n");
        let target = TargetVersion { name: "linear".into(), version: Version::new(1, 4, 0) };
        assert_eq!(target_version(&target), b"linear           v1.4.0\n");
    }
}
