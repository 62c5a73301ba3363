//! `struct dm_name_list`: the devices that there are.
//!
//! ```text
//! dev u64 | next u32 | name, NUL, padding to 8 | event_nr u32 | flags u32 | uuid, NUL, padding to 8
//! ```
//!
//! `next` counts from the record itself, 0 ends the list; a first record whose `dev` is 0 is an empty list. What stands
//! behind the name is there since 4.37 (4.36 had it where 32-bit and 64-bit kernels disagree on the place), the uuid
//! since 4.45, and only when the request has `Flags::UUID`: the record's own flags tell.

use super::error::WireError;
use super::field::{align, dev_from_wire, dev_to_wire, get_u32, get_u64, to_wire};
use super::payload::{Payload, next_record};
use crate::dm::{DeviceNumber, ListedDevice, Text, Version};

const WHAT: &str = "name list";

/// The interface version from which a record says the event number in a place that all agree on.
const EVENT_NR_SINCE: Version = Version::new(4, 37, 0);

/// `offsetof(struct dm_name_list, name)`, in bytes.
const NAME_AT: usize = 12;
/// Bytes of event number and flags.
const EVENT_LEN: usize = 8;

/// Where each field is, in bytes from the start of the record, and of what follows the name.
mod place {
    use std::ops::Range;
    pub(super) const DEV: Range<usize> = 0..8;
    pub(super) const NEXT: Range<usize> = 8..12;
    pub(super) const EVENT_NR: Range<usize> = 0..4;
    pub(super) const FLAGS: Range<usize> = 4..8;
}

/// `DM_NAME_LIST_FLAG_HAS_UUID`: the uuid follows.
const HAS_UUID: u32 = 1;
/// `DM_NAME_LIST_FLAG_DOESNT_HAVE_UUID`: the device has none. Neither bit: the driver does not tell.
const HAS_NO_UUID: u32 = 2;

/// The list as a driver of that version writes it, as long as the driver says that it is.
///
/// An event number that is not known is 0 where the version has the field.
pub(super) fn encode(devices: &[ListedDevice], version: Version) -> Vec<u8> {
    let mut data = Vec::new();
    for (index, device) in devices.iter().enumerate() {
        let record = encode_record(device, version, index + 1 < devices.len());
        data.extend_from_slice(&record);
    }
    data
}

fn encode_record(device: &ListedDevice, version: Version, more: bool) -> Vec<u8> {
    let mut record = vec![0; NAME_AT];
    record[place::DEV].copy_from_slice(&dev_to_wire(device.dev).to_ne_bytes());
    record.extend_from_slice(&device.name);
    record.push(0);
    record.resize(align(record.len()), 0);
    if version >= EVENT_NR_SINCE {
        let flags = match &device.uuid {
            None => 0,
            Some(uuid) if uuid.is_empty() => HAS_NO_UUID,
            Some(_) => HAS_UUID,
        };
        record.extend_from_slice(&device.event_nr.unwrap_or(0).to_ne_bytes());
        record.extend_from_slice(&flags.to_ne_bytes());
        if let Some(uuid) = device.uuid.as_ref().filter(|uuid| !uuid.is_empty()) {
            record.extend_from_slice(uuid);
            record.push(0);
            record.resize(align(record.len()), 0);
        }
    }
    let next = if more { to_wire(record.len()) } else { 0 };
    record[place::NEXT].copy_from_slice(&next.to_ne_bytes());
    record
}

/// The devices in a list that a driver of that version wrote.
///
/// # Errors
/// A record that overlaps the one before it or goes beyond the data.
pub(super) fn decode(payload: &Payload<'_>, version: Version) -> Result<Vec<ListedDevice>, WireError> {
    let mut devices = Vec::new();
    let mut at = payload.start;
    if payload.is_empty() {
        return Ok(devices);
    }
    let first = payload.record::<{ place::DEV.end }>(WHAT, at)?;
    if dev_from_wire(get_u64(first, place::DEV)) == DeviceNumber::default() {
        return Ok(devices);
    }
    // At once, since a list that grows leaves its smaller selves behind: as many pages again, and each a fault.
    devices.reserve(payload.at_most(NAME_AT + EVENT_LEN));
    loop {
        let fixed = payload.record::<NAME_AT>(WHAT, at)?;
        let (device, end) = decode_record(payload, version, at, dev_from_wire(get_u64(fixed, place::DEV)))?;
        devices.push(device);
        match get_u32(fixed, place::NEXT) {
            0 => return Ok(devices),
            next => at = next_record(WHAT, at, end, at, next)?,
        }
    }
}

/// The record at `at`, and where it ends.
fn decode_record(
    payload: &Payload<'_>,
    version: Version,
    at: usize,
    dev: DeviceNumber,
) -> Result<(ListedDevice, usize), WireError> {
    let name = payload.text(WHAT, at + NAME_AT)?;
    let mut end = at + NAME_AT + name.len() + 1;
    let mut device = ListedDevice { name, dev, event_nr: None, uuid: None };
    if version >= EVENT_NR_SINCE {
        let event_at = at + align(end - at);
        let event = payload.record::<EVENT_LEN>(WHAT, event_at)?;
        let flags = get_u32(event, place::FLAGS);
        end = event_at + EVENT_LEN;
        device.event_nr = Some(get_u32(event, place::EVENT_NR));
        if flags & HAS_UUID != 0 {
            let uuid = payload.text(WHAT, end)?;
            end += uuid.len() + 1;
            device.uuid = Some(uuid);
        } else if flags & HAS_NO_UUID != 0 {
            device.uuid = Some(Text::new());
        }
    }
    Ok((device, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, uuid: Option<&str>) -> ListedDevice {
        let dev = DeviceNumber::new(253, 1);
        ListedDevice { name: name.into(), dev, event_nr: Some(7), uuid: uuid.map(Text::from) }
    }

    #[test]
    fn a_record_is_laid_out_as_the_kernel_does() {
        let two = [device("abc", Some("u-1")), device("defgh", Some(""))];
        let data = encode(&two, Version::new(4, 47, 0));
        let record = [
            &0xfd01_u64.to_ne_bytes()[..],
            &32_u32.to_ne_bytes(),
            b"abc\0",
            &7_u32.to_ne_bytes(),
            &HAS_UUID.to_ne_bytes(),
            b"u-1\0\0\0\0\0",
        ];
        assert_eq!(data[..32], record.concat());
        assert_eq!(get_u32(&data[32..], place::NEXT), 0);
        assert_eq!(&data[44..50], b"defgh\0");
        assert_eq!(data.len(), 32 + 24 + 8);
    }

    #[test]
    fn a_driver_before_4_37_tells_the_name_alone() {
        let data = encode(&[device("abc", None), device("de", None)], Version::new(4, 36, 0));
        assert_eq!(data.len(), 32);
        assert_eq!(get_u32(&data, place::NEXT), 16);
    }
}
