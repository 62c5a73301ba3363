//! Whether a table's lines fit the disks under them.
//!
//! Linux checks this when a device gets its first table, and for later ones not before they are swapped in
//! (`dm_calculate_queue_limits`, called by `dm_setup_md_queue` and `dm_swap_table`).

use super::live_table::{LiveLine, LiveTable};
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Fault, Line, LineField, SECTOR_SIZE, Sectors, Text};
use crate::target::Used;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

impl LiveTable {
    /// Checks each line against its disks: large enough, and cut at their blocks. `source` is the lines as they were given.
    ///
    /// # Errors
    /// EINVAL, with the line at fault.
    pub(super) fn check_limits(&self, source: &[Line]) -> Result<(), Fault> {
        let faults = self.area_faults(&source.iter().collect::<Vec<_>>());
        faults.into_iter().next().map_or_else(|| self.check_borders(), Err)
    }

    /// What is wrong with the parts of disks that the lines use.
    pub(super) fn area_faults(&self, source: &[&Line]) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (index, (line, source)) in self.lines.iter().zip(source).enumerate() {
            let block = sectors_per_block(line);
            for used in line.target.pdevs() {
                let Some(mut fault) = check_area(&used, block) else { continue };
                fault.argument = source.params.words().iter().position(|word| names(word, used.pdev));
                faults.push(fault.at_line(index));
            }
        }
        faults
    }

    /// A block of the device that a border cuts must leave whole blocks on either side of it
    /// (`validate_hardware_logical_block_alignment`).
    pub(super) fn check_borders(&self) -> Result<(), Fault> {
        let blocks: Vec<u64> = self.lines.iter().map(sectors_per_block).collect();
        let largest = blocks.iter().copied().max().unwrap_or(1);
        let mut remaining = 0;
        let mut at_fault = 0;
        for (index, (line, block)) in self.lines.iter().zip(&blocks).enumerate() {
            at_fault = index;
            if remaining < line.length.0 && remaining % block != 0 {
                break;
            }
            let end = line.start.0 + line.length.0;
            remaining = end.next_multiple_of(largest) - end;
        }
        if remaining == 0 {
            return Ok(());
        }
        let reason =
            format!("the line is not aligned to the disk's blocks of {} bytes", largest * SECTOR_SIZE);
        Err(Fault::invalid(reason)
            .at_line(at_fault)
            .at_field(LineField::Length)
            .with_hint(Some(format!("make the line's start and length multiples of {largest} sectors"))))
    }
}

/// The largest block, in sectors, of the disks under a line.
fn sectors_per_block(line: &LiveLine) -> u64 {
    line.target.pdevs().iter().map(|used| block_of(used.pdev)).max().unwrap_or(1)
}

fn block_of(pdev: &Pdev) -> u64 {
    (pdev.block_size().0 / SECTOR_SIZE).max(1)
}

/// Whether a word of a table means that disk or device.
fn names(word: &Text, pdev: &Pdev) -> bool {
    let name = word.strip_prefix(b"/dev/mapper/").unwrap_or(word);
    if name == pdev.name().as_bytes() || word.as_bytes() == pdev.number().to_string().as_bytes() {
        return true;
    }
    let path = fs::canonicalize(OsStr::from_bytes(word));
    path.is_ok_and(|path| path.as_os_str().as_bytes() == pdev.name().as_bytes())
}

/// What is wrong with the part of a disk that a line uses (`device_area_is_invalid`). A disk of size 0 is a device
/// without a table: it may get one yet.
fn check_area(used: &Used<'_>, block: u64) -> Option<Fault> {
    let size = used.pdev.sectors();
    if size == Sectors::ZERO {
        return None;
    }
    let name = used.pdev.name();
    let end = used.start.checked_add(used.length);
    if used.start >= size || end.is_none_or(|end| end > size) {
        let shown = end.map_or_else(|| "2^64".to_owned(), |end| end.to_string());
        let reason =
            format!("\"{name}\" has {}, and the line uses it from {} to {shown}", size.counted(), used.start);
        return Some(Fault::invalid(reason).with_hint(Some(too_small(used, size))));
    }
    let aligned = used.start.0.is_multiple_of(block) && used.length.0.is_multiple_of(block);
    if !aligned {
        let bytes = block * SECTOR_SIZE;
        let reason = format!(
            "{} from sector {} of \"{name}\" are not whole blocks of {bytes} bytes",
            used.length.counted(),
            used.start
        );
        let hint = format!("make them multiples of {block} sectors");
        return Some(Fault::invalid(reason).with_hint(Some(hint)));
    }
    None
}

/// By how much a disk of that size is too small, and what would fit.
fn too_small(used: &Used<'_>, size: Sectors) -> String {
    let missing = (u128::from(used.start.0) + u128::from(used.length.0)).saturating_sub(u128::from(size.0));
    let missing = Sectors(u64::try_from(missing).unwrap_or(u64::MAX)).counted();
    match size.0.checked_sub(used.start.0) {
        Some(left) if left > 0 => format!("it is too small by {missing}: from there on it has {left}"),
        Some(_) | None => format!("it is too small by {missing}"),
    }
}
