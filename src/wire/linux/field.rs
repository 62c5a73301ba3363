//! Numbers and texts in their places: the only file that turns bytes into numbers and back.
//!
//! Numbers are in the machine's own byte order, as a kernel and its programs share them. A record is whole before a
//! field of it is read: its bytes are an array as long as the structure, so no range here can be out of it.

use super::error::{Flaw, WireError};
use crate::dm::limits::{MAX_MAJOR, MAX_MINOR};
use crate::dm::{DeviceNumber, Text, Version};
use std::ops::Range;

/// The four bytes of `record` at `field`.
pub(super) fn get_u32(record: &[u8], field: Range<usize>) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&record[field]);
    u32::from_ne_bytes(bytes)
}

/// The four bytes of `record` at `field`, signed.
pub(super) fn get_i32(record: &[u8], field: Range<usize>) -> i32 {
    get_u32(record, field).cast_signed()
}

/// The eight bytes of `record` at `field`.
pub(super) fn get_u64(record: &[u8], field: Range<usize>) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&record[field]);
    u64::from_ne_bytes(bytes)
}

/// The twelve bytes of `record` at `field`: three numbers.
pub(super) fn get_version(record: &[u8], field: Range<usize>) -> Version {
    let number = |index: usize| get_u32(record, field.start + 4 * index..field.start + 4 * (index + 1));
    Version::new(number(0), number(1), number(2))
}

/// A version as its twelve bytes.
pub(super) fn version_bytes(version: Version) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[0..4].copy_from_slice(&version.major.to_ne_bytes());
    bytes[4..8].copy_from_slice(&version.minor.to_ne_bytes());
    bytes[8..12].copy_from_slice(&version.patch.to_ne_bytes());
    bytes
}

/// A text in a field of fixed size: up to the first NUL, which the last byte is taken to be.
pub(super) fn get_text(field: &[u8]) -> Text {
    let most = field.len().saturating_sub(1);
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(most);
    field[..end.min(most)].into()
}

/// Fills a field of fixed size with a text and NULs; what is too long is cut, so that one NUL is left.
pub(super) fn put_text(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len().saturating_sub(1));
    field.fill(0);
    field[..length].copy_from_slice(&text[..length]);
}

/// The text, if it can stand in front of a NUL in a field of `size` bytes.
pub(super) fn checked_text<'a>(
    what: &'static str,
    text: &'a Text,
    size: usize,
) -> Result<&'a [u8], WireError> {
    let flaw = if text.contains(&0) {
        Flaw::HoldsNul
    } else if text.len() >= size {
        Flaw::TooLong { length: text.len(), limit: size - 1 }
    } else {
        return Ok(text);
    };
    Err(WireError::new(what, 0, flaw))
}

/// A device number as the protocol has it in 64 bits, of which it uses 32 (`huge_encode_dev`).
///
/// The minor's low 8 bits are lowest, then the major's 12, then the minor's other 12. Bits that Linux has not are
/// dropped.
pub(super) fn dev_to_wire(dev: DeviceNumber) -> u64 {
    let (major, minor) = (dev.major & MAX_MAJOR, dev.minor & MAX_MINOR);
    u64::from(minor & 0xff | major << 8 | (minor & !0xff) << 12)
}

/// The device number in 64 bits of the protocol; the upper 32 do not count.
pub(super) fn dev_from_wire(wire: u64) -> DeviceNumber {
    let [low, high] = [wire & 0xf_ffff, wire >> 20 & 0xfff];
    let part = |bits: u64| u32::try_from(bits).unwrap_or(u32::MAX);
    DeviceNumber::new(part(low >> 8), part(low & 0xff | high << 8))
}

/// A size on the wire as a size in memory.
pub(super) fn to_size(wire: u32) -> usize {
    usize::try_from(wire).unwrap_or(usize::MAX)
}

/// A size in memory as a size on the wire; what 32 bits cannot say is more than any buffer holds.
pub(super) fn to_wire(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// The next multiple of 8, where records begin.
pub(super) fn align(position: usize) -> usize {
    position.next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_laid_out_as_the_kernel_does() {
        assert_eq!(dev_to_wire(DeviceNumber::new(253, 3)), 0xfd03);
        assert_eq!(dev_to_wire(DeviceNumber::new(8, 0x12345)), 0x1230_0845);
        assert_eq!(dev_to_wire(DeviceNumber::new(0xfff, 0xf_ffff)), 0xffff_ffff);
        for (major, minor) in [(0, 0), (253, 255), (253, 256), (4095, 1_048_575), (7, 65536)] {
            let dev = DeviceNumber::new(major, minor);
            assert_eq!(dev_from_wire(dev_to_wire(dev)), dev);
            assert_eq!(dev_from_wire(dev_to_wire(dev) | 0xdead_beef << 32), dev);
        }
    }

    #[test]
    fn a_text_field_ends_at_the_first_nul_or_a_byte_before_its_end() {
        assert_eq!(get_text(b"vol0\0junk"), "vol0");
        assert_eq!(get_text(b"abcd"), "abc");
        let mut field = *b"xxxxxxxx";
        put_text(&mut field, b"ab");
        assert_eq!(&field, b"ab\0\0\0\0\0\0");
        put_text(&mut field, b"123456789");
        assert_eq!(&field, b"1234567\0");
    }
}
