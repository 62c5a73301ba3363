//! `struct dm_ioctl`: the 312 bytes in front of everything.
//!
//! The last 7 are padding or data: a driver reads and writes 305. Knows no command.

use super::error::{Flaw, WireError};
use super::field::{
    self, get_i32, get_text, get_u32, get_u64, get_version, put_text, to_size, version_bytes,
};
use crate::dm::limits::{NAME_LEN, UUID_LEN};
use crate::dm::{DeviceId, DeviceNumber, Flags, Version};

/// `sizeof(struct dm_ioctl)`, in bytes: where data begins unless the header says otherwise.
pub const HEADER_LEN: usize = 312;

/// `offsetof(struct dm_ioctl, data)`, in bytes: the least that a driver takes, and the size of a reply without data.
pub(super) const HEADER_USED: usize = 305;

/// Where each field is, in bytes from the start.
pub(super) mod place {
    use std::ops::Range;
    pub(crate) const VERSION: Range<usize> = 0..12;
    pub(crate) const DATA_SIZE: Range<usize> = 12..16;
    pub(crate) const DATA_START: Range<usize> = 16..20;
    pub(crate) const TARGET_COUNT: Range<usize> = 20..24;
    pub(crate) const OPEN_COUNT: Range<usize> = 24..28;
    pub(crate) const FLAGS: Range<usize> = 28..32;
    pub(crate) const EVENT_NR: Range<usize> = 32..36;
    // 36..40 is padding.
    pub(crate) const DEV: Range<usize> = 40..48;
    pub(crate) const NAME: Range<usize> = 48..176;
    pub(crate) const UUID: Range<usize> = 176..305;
}

/// The header's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// In: the least version that the caller needs. Out: the driver's.
    pub(super) version: Version,
    /// Bytes in the buffer, this header among them; in a reply those that the driver has written.
    pub(super) data_size: u32,
    /// Where the data begins, in bytes from the start of the header.
    pub(super) data_start: u32,
    /// Lines of the table.
    pub(super) target_count: u32,
    /// How many hold the device open.
    pub(super) open_count: i32,
    /// Options, and state.
    pub(super) flags: Flags,
    /// Event number, or cookie.
    pub(super) event_nr: u32,
    /// Which device.
    pub(super) device: DeviceId,
}

impl Header {
    /// Reads the header at the start of a buffer.
    ///
    /// # Errors
    /// The buffer is shorter than the header.
    pub(super) fn read(buffer: &[u8]) -> Result<Self, WireError> {
        let Some(bytes) = buffer.first_chunk::<HEADER_USED>() else {
            let flaw = Flaw::BeyondBuffer { needed: HEADER_USED, has: buffer.len() };
            return Err(WireError::new("header", 0, flaw));
        };
        let dev = Some(field::dev_from_wire(get_u64(bytes, place::DEV)));
        Ok(Self {
            version: get_version(bytes, place::VERSION),
            data_size: get_u32(bytes, place::DATA_SIZE),
            data_start: get_u32(bytes, place::DATA_START),
            target_count: get_u32(bytes, place::TARGET_COUNT),
            open_count: get_i32(bytes, place::OPEN_COUNT),
            flags: Flags(get_u32(bytes, place::FLAGS)),
            event_nr: get_u32(bytes, place::EVENT_NR),
            device: DeviceId {
                name: get_text(&bytes[place::NAME]),
                uuid: get_text(&bytes[place::UUID]),
                dev: dev.filter(|&dev| dev != DeviceNumber::default()),
            },
        })
    }

    /// Writes the header over the start of a buffer; the padding stays as it is.
    ///
    /// A buffer shorter than the header is left alone: no driver has accepted a request in it.
    pub(super) fn write(&self, buffer: &mut [u8]) {
        let Some(bytes) = buffer.first_chunk_mut::<HEADER_USED>() else { return };
        bytes[place::VERSION].copy_from_slice(&version_bytes(self.version));
        bytes[place::DATA_SIZE].copy_from_slice(&self.data_size.to_ne_bytes());
        bytes[place::DATA_START].copy_from_slice(&self.data_start.to_ne_bytes());
        bytes[place::TARGET_COUNT].copy_from_slice(&self.target_count.to_ne_bytes());
        bytes[place::OPEN_COUNT].copy_from_slice(&self.open_count.to_ne_bytes());
        bytes[place::FLAGS].copy_from_slice(&self.flags.0.to_ne_bytes());
        bytes[place::EVENT_NR].copy_from_slice(&self.event_nr.to_ne_bytes());
        let dev = self.device.dev.map_or(0, field::dev_to_wire);
        bytes[place::DEV].copy_from_slice(&dev.to_ne_bytes());
        put_text(&mut bytes[place::NAME], &self.device.name);
        put_text(&mut bytes[place::UUID], &self.device.uuid);
    }
}

/// Checks that a device can be named by the header's fields.
///
/// # Errors
/// A name or uuid that is too long or holds a NUL, a number with too many bits.
pub(super) fn check_device(device: &DeviceId) -> Result<(), WireError> {
    field::checked_text("device name", &device.name, NAME_LEN)?;
    field::checked_text("device uuid", &device.uuid, UUID_LEN)?;
    match device.dev {
        Some(dev) if !dev.is_valid() => {
            Err(WireError::new("device number", place::DEV.start, Flaw::Number(dev)))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether the driver says that its reply did not fit: the client asks again with more room.
pub fn buffer_is_full(buffer: &[u8]) -> bool {
    Header::read(buffer).is_ok_and(|header| header.flags.contains(Flags::BUFFER_FULL))
}

/// How long a buffer would do, in bytes, where [`buffer_is_full`]: what our own mapper says; a kernel says no such thing,
/// and then it is less than the buffer has.
pub fn wanted_size(buffer: &[u8]) -> usize {
    Header::read(buffer).map_or(0, |header| to_size(header.data_size))
}

/// Whether the request in the buffer has a secret in it (`Flags::SECURE_DATA`): its data must not be shown or kept.
pub fn is_secret(buffer: &[u8]) -> bool {
    Header::read(buffer).is_ok_and(|header| header.flags.contains(Flags::SECURE_DATA))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_where_the_c_compiler_puts_them() {
        // Offsets as gcc gives them for linux/dm-ioctl.h on x86-64, arm64 and, since 2006, on 32-bit machines too.
        let ends = [
            (place::VERSION, 0, 12),
            (place::DATA_SIZE, 12, 4),
            (place::DATA_START, 16, 4),
            (place::TARGET_COUNT, 20, 4),
            (place::OPEN_COUNT, 24, 4),
            (place::FLAGS, 28, 4),
            (place::EVENT_NR, 32, 4),
            (place::DEV, 40, 8),
            (place::NAME, 48, NAME_LEN),
            (place::UUID, 176, UUID_LEN),
        ];
        for (range, start, length) in ends {
            assert_eq!((range.start, range.len()), (start, length));
        }
        assert_eq!(place::UUID.end, HEADER_USED);
        assert_eq!(HEADER_USED + 7, HEADER_LEN);
    }

    #[test]
    fn a_header_is_read_as_it_was_written_and_the_padding_kept() {
        let header = Header {
            version: Version::new(4, 47, 1),
            data_size: 16384,
            data_start: 312,
            target_count: 3,
            open_count: -1,
            flags: Flags::SUSPEND | Flags(1 << 7),
            event_nr: 0xd4d_1234,
            device: DeviceId {
                name: "vol0".into(),
                uuid: b"LVM-\xff".as_slice().into(),
                dev: Some(DeviceNumber::new(253, 300)),
            },
        };
        let mut buffer = [0xaa; HEADER_LEN];
        header.write(&mut buffer);
        assert_eq!(Header::read(&buffer), Ok(header));
        assert_eq!(buffer[36..40], [0xaa; 4]);
        assert_eq!(buffer[305..], [0xaa; 7]);
        let error = Header::read(&buffer[..304]).unwrap_err();
        assert_eq!(error.to_string(), "header: 305 bytes long, the buffer 304");
    }
}
