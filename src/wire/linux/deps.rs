//! `struct dm_target_deps`: the block devices under a table.
//!
//! ```text
//! count u32 | padding u32 | dev u64 × count
//! ```

use super::error::{Flaw, WireError};
use super::field::{dev_from_wire, dev_to_wire, get_u32, get_u64, to_size, to_wire};
use super::payload::Payload;
use crate::dm::DeviceNumber;

const WHAT: &str = "dependencies";

/// `offsetof(struct dm_target_deps, dev)`, in bytes.
const DEV_AT: usize = 8;
/// Bytes of one device number.
const DEV_LEN: usize = 8;

/// The device numbers as bytes.
pub(super) fn encode(deps: &[DeviceNumber]) -> Vec<u8> {
    let mut data = vec![0; DEV_AT];
    data[..4].copy_from_slice(&to_wire(deps.len()).to_ne_bytes());
    data.extend(deps.iter().flat_map(|&dev| dev_to_wire(dev).to_ne_bytes()));
    data
}

/// The device numbers; none where a driver had no table to tell of.
///
/// # Errors
/// The count is of more numbers than there are bytes for.
pub(super) fn decode(payload: &Payload<'_>) -> Result<Vec<DeviceNumber>, WireError> {
    if payload.is_empty() {
        return Ok(Vec::new());
    }
    let fixed = payload.record::<DEV_AT>(WHAT, payload.start)?;
    let count = get_u32(fixed, 0..4);
    let rest = payload.rest(payload.start + DEV_AT);
    let numbers = to_size(count).checked_mul(DEV_LEN).and_then(|size| rest.get(..size));
    let Some(numbers) = numbers else {
        let flaw = Flaw::Short { needed: 8 + 8 * u64::from(count), has: DEV_AT + rest.len() };
        return Err(WireError::new(WHAT, payload.start, flaw));
    };
    Ok(numbers.chunks_exact(DEV_LEN).map(|number| dev_from_wire(get_u64(number, 0..8))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::linux::header::Header;

    #[test]
    fn a_count_is_checked_against_the_bytes() {
        let data = encode(&[DeviceNumber::new(7, 0), DeviceNumber::new(8, 17)]);
        let numbers = [0x700_u64, 0x811].map(u64::to_ne_bytes).concat();
        assert_eq!(
            data,
            [2_u32.to_ne_bytes(), [0; 4]].concat().into_iter().chain(numbers).collect::<Vec<u8>>()
        );

        let header = Header { data_size: 24, ..Header::default() };
        let mut data = data;
        data[..4].copy_from_slice(&u32::MAX.to_ne_bytes());
        let error = decode(&Payload::new(&header, &data).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "dependencies: record at byte 0 needs 34359738368 bytes, 24 are left");
    }
}
