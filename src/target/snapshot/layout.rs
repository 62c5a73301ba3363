//! The form of a persistent exception store on its COW device.
//!
//! ```text
//! chunk 0   header: magic, valid, version, chunk size in sectors, each 32 bits; zeros after it
//! chunk 1   area 0: exceptions, 16 bytes each: chunk of the origin, chunk of this device; 0 in the second ends them
//! then      the chunks that area 0 tells of, as many as an area has room for; area 1; its chunks; and so on
//! ```
//!
//! All numbers are little-endian. Source: the comments in Linux's drivers/md/dm-snap-persistent.c, and stores that it made.

use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, SECTOR_SIZE};

/// "SnAp".
const MAGIC: u32 = 0x7041_6e53;

/// The one version there is.
const VERSION: u32 = 1;

/// Bytes of an exception in an area.
pub(super) const ENTRY: usize = 16;

/// Bytes of the header's sector.
const SECTOR: usize = 512;

/// Sectors of a chunk when neither the table nor the device says.
const DEFAULT_CHUNK: u64 = 32;

/// What a COW device has in its first chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// Zeros: there is no store yet.
    None,
    /// A store of chunks of that many sectors, valid or given up.
    Store { chunk: u64, valid: bool },
}

/// Why a store cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) errno: Errno,
    pub(super) reason: String,
}

impl Unusable {
    pub(super) fn new(errno: Errno, reason: impl Into<String>) -> Self {
        Self { errno, reason: reason.into() }
    }
}

/// Where on a device `bytes` bytes from sector `sector` of chunk `chunk` on are; EIO if not all of them are there.
pub(super) fn place(pdev: &Pdev, sectors: u64, chunk: u64, skip: u64, bytes: u64) -> Result<Bytes, Errno> {
    let at = chunk.checked_mul(sectors).and_then(|at| at.checked_add(skip));
    let at = at.and_then(|at| at.checked_mul(SECTOR_SIZE)).ok_or(Errno::EIO)?;
    let end = at.checked_add(bytes).ok_or(Errno::EIO)?;
    if end <= pdev.size().0 { Ok(Bytes(at)) } else { Err(Errno::EIO) }
}

/// Checks a chunk size as the kernel does, over those devices.
pub(super) fn check_chunk(sectors: u64, cow: &Pdev, origin: &Pdev) -> Result<(), String> {
    if !sectors.is_power_of_two() {
        return Err(format!("the chunk size, {sectors} sectors, is not a power of 2"));
    }
    for pdev in [cow, origin] {
        let block = (pdev.block_size().0 / SECTOR_SIZE).max(1);
        if !sectors.is_multiple_of(block) {
            return Err(format!("chunks of {sectors} sectors are not whole blocks of {block} sectors"));
        }
    }
    let largest = u64::from(i32::MAX.unsigned_abs()) / SECTOR_SIZE;
    if sectors > largest {
        return Err(format!("the chunk size, {sectors} sectors, is above {largest}"));
    }
    Ok(())
}

/// Reads the header, where the table asks for chunks of `asked` sectors; 0 asks for none in particular.
pub(super) fn read_header(cow: &Pdev, origin: &Pdev, asked: u64) -> Result<Header, Unusable> {
    let chunk = if asked == 0 { default_chunk(cow) } else { asked };
    let mut bytes = [0; SECTOR];
    place(cow, chunk, 0, 0, chunk * SECTOR_SIZE).and_then(|at| cow.read_at(&mut bytes, at)).map_err(
        |errno| Unusable::new(errno, format!("cannot read the exception store's first {chunk} sectors")),
    )?;
    let field = |index: usize| {
        let four = bytes.get(index * 4..).and_then(|rest| rest.first_chunk());
        u32::from_le_bytes(four.copied().unwrap_or_default())
    };
    let (magic, valid, version, found) = (field(0), field(1), field(2), u64::from(field(3)));
    if magic == 0 {
        return Ok(Header::None);
    }
    if magic != MAGIC {
        let reason = format!(
            "\"{}\" holds something that is no exception store: wipe its first sector to use it",
            cow.name()
        );
        return Err(Unusable::new(Errno::ENXIO, reason));
    }
    if asked != found {
        check_chunk(found, cow, origin)
            .map_err(|reason| Unusable::new(Errno::EINVAL, format!("in the exception store {reason}")))?;
    }
    if version != VERSION {
        let reason = format!("the exception store's version is {version}, and {VERSION} is known");
        return Err(Unusable::new(Errno::EINVAL, reason));
    }
    Ok(Header::Store { chunk: found, valid: valid != 0 })
}

/// The chunk size that a new store gets when the table does not say.
pub(super) fn default_chunk(cow: &Pdev) -> u64 {
    DEFAULT_CHUNK.max(cow.block_size().0 / SECTOR_SIZE).next_power_of_two()
}

/// Writes the header, and zeros for the rest of its chunk.
pub(super) fn write_header(cow: &Pdev, chunk: u64, valid: bool) -> Result<(), Errno> {
    let bytes = chunk * SECTOR_SIZE;
    let at = place(cow, chunk, 0, 0, bytes)?;
    let mut header = [0; SECTOR];
    let fields = [MAGIC, u32::from(valid), VERSION, u32::try_from(chunk).map_err(|_| Errno::EINVAL)?];
    for (field, place) in fields.iter().zip(header.chunks_exact_mut(4)) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    cow.write_at(&header, at)?;
    if bytes > SECTOR_SIZE {
        cow.write_zeroes(Bytes(SECTOR_SIZE), Bytes(bytes - SECTOR_SIZE), false)?;
    }
    Ok(())
}

/// How many exceptions an area has room for.
pub(super) fn entries(chunk: u64) -> u64 {
    chunk * SECTOR_SIZE / ENTRY as u64
}

/// The chunk that an area is in; past all chunks there are when there is none.
pub(super) fn area_chunk(chunk: u64, area: u64) -> u64 {
    (entries(chunk) + 1).saturating_mul(area).saturating_add(1)
}

/// The chunk after `free`, or after the area that is there.
pub(super) fn skip_area(chunk: u64, free: u64) -> u64 {
    if free % (entries(chunk) + 1) == 1 { free.saturating_add(1) } else { free }
}

/// The exception in 16 bytes: chunk of the origin, chunk of the COW device.
pub(super) fn decode(entry: &[u8]) -> (u64, u64) {
    let number = |at: usize| {
        let eight = entry.get(at..).and_then(|rest| rest.first_chunk());
        u64::from_le_bytes(eight.copied().unwrap_or_default())
    };
    (number(0), number(8))
}

/// The 16 bytes of an exception.
pub(super) fn encode((old, new): (u64, u64)) -> [u8; ENTRY] {
    (u128::from(old) | u128::from(new) << 64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_and_chunks_alternate() {
        // 512 bytes have room for 32 exceptions: chunk 1, then 32 chunks, then the next area.
        assert_eq!((area_chunk(1, 0), area_chunk(1, 1), area_chunk(1, 2)), (1, 34, 67));
        assert_eq!((skip_area(1, 33), skip_area(1, 34), skip_area(1, 35)), (33, 35, 35));
        assert_eq!(area_chunk(8, 1), 258);
        assert_eq!(skip_area(1, u64::MAX), u64::MAX);
    }

    #[test]
    fn exceptions_are_two_little_endian_numbers() {
        let bytes = encode((3, 0x0102));
        assert_eq!(bytes, [3, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(decode(&bytes), (3, 0x0102));
    }
}
