//! `struct dm_target_versions`: the target types that a driver has.
//!
//! ```text
//! next u32 | version 3 × u32 | name, NUL, padding to 8
//! ```
//!
//! `next` counts from the record itself, 0 ends the list.

use super::error::WireError;
use super::field::{align, get_u32, get_version, to_wire, version_bytes};
use super::payload::{Payload, next_record};
use crate::dm::TargetVersion;

const WHAT: &str = "target versions";

/// `sizeof(struct dm_target_versions)`, in bytes: where the name begins.
const NAME_AT: usize = 16;

/// Where each field is, in bytes from the start of the record.
mod place {
    use std::ops::Range;
    pub(super) const NEXT: Range<usize> = 0..4;
    pub(super) const VERSION: Range<usize> = 4..16;
}

/// The list as bytes, as long as the driver says that it is: the kernel counts 7 bytes of padding for each record,
/// needed or not.
pub(super) fn encode(versions: &[TargetVersion]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut said = 0;
    for (index, TargetVersion { name, version }) in versions.iter().enumerate() {
        let size = NAME_AT + name.len() + 1;
        let next = if index + 1 < versions.len() { to_wire(align(size)) } else { 0 };
        let end = data.len() + align(size);
        data.extend_from_slice(&next.to_ne_bytes());
        data.extend_from_slice(&version_bytes(*version));
        data.extend_from_slice(name);
        data.resize(end, 0);
        said += size + 7;
    }
    data.resize(said, 0);
    data
}

/// The target types in a list.
///
/// # Errors
/// A record that overlaps the one before it or goes beyond the data.
pub(super) fn decode(payload: &Payload<'_>) -> Result<Vec<TargetVersion>, WireError> {
    let mut versions = Vec::new();
    let mut at = payload.start;
    if payload.is_empty() {
        return Ok(versions);
    }
    loop {
        let fixed = payload.record::<NAME_AT>(WHAT, at)?;
        let name = payload.text(WHAT, at + NAME_AT)?;
        let end = at + NAME_AT + name.len() + 1;
        versions.push(TargetVersion { name, version: get_version(fixed, place::VERSION) });
        match get_u32(fixed, place::NEXT) {
            0 => return Ok(versions),
            next => at = next_record(WHAT, at, end, at, next)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::Version;

    #[test]
    fn a_record_is_laid_out_as_the_kernel_does() {
        let version = |name: &str| TargetVersion { name: name.into(), version: Version::new(1, 4, 0) };
        let data = encode(&[version("linear"), version("striped")]);
        let first = [24_u32, 1, 4, 0].map(u32::to_ne_bytes).concat();
        assert_eq!(data[..16], first);
        assert_eq!(&data[16..24], b"linear\0\0");
        assert_eq!(&data[40..48], b"striped\0");
        assert_eq!(data.len(), (16 + 7 + 7) + (16 + 8 + 7));
    }
}
