//! Whether a table's lines fit the disks under them.
//!
//! Linux checks this when a device gets its first table, and for later ones not before they are swapped in
//! (`dm_calculate_queue_limits`, called by `dm_setup_md_queue` and `dm_swap_table`).

use super::live_table::{LiveLine, LiveTable};
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Fault, SECTOR_SIZE, Sectors};
use crate::target::Used;

impl LiveTable {
    /// Checks each line against its disks: large enough, and cut at their blocks.
    ///
    /// # Errors
    /// EINVAL, with the line at fault.
    pub(super) fn check_limits(&self) -> Result<(), Fault> {
        let blocks: Vec<u64> = self.lines.iter().map(sectors_per_block).collect();
        let largest = blocks.iter().copied().max().unwrap_or(1);
        for (index, (line, block)) in self.lines.iter().zip(&blocks).enumerate() {
            for used in line.target.pdevs() {
                check_area(&used, *block).map_err(|reason| Fault::invalid(reason).at_line(index))?;
            }
        }
        self.check_borders(&blocks, largest)
    }

    /// A block of the device that a border cuts must leave whole blocks on either side of it
    /// (`validate_hardware_logical_block_alignment`).
    fn check_borders(&self, blocks: &[u64], largest: u64) -> Result<(), Fault> {
        let mut remaining = 0;
        let mut at_fault = 0;
        for (index, (line, block)) in self.lines.iter().zip(blocks).enumerate() {
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
        Err(Fault::invalid(reason).at_line(at_fault))
    }
}

/// The largest block, in sectors, of the disks under a line.
fn sectors_per_block(line: &LiveLine) -> u64 {
    line.target.pdevs().iter().map(|used| block_of(used.pdev)).max().unwrap_or(1)
}

fn block_of(pdev: &Pdev) -> u64 {
    (pdev.block_size().0 / SECTOR_SIZE).max(1)
}

/// Whether the part of a disk that a line uses lies in the disk (`device_area_is_invalid`). A disk of size 0 is a
/// device without a table: it may get one yet.
fn check_area(used: &Used<'_>, block: u64) -> Result<(), String> {
    let size = used.pdev.sectors();
    if size == Sectors::ZERO {
        return Ok(());
    }
    let name = used.pdev.name();
    let end = used.start.checked_add(used.length);
    if used.start >= size || end.is_none_or(|end| end > size) {
        let end = end.map_or_else(|| "2^64".to_owned(), |end| end.to_string());
        return Err(format!(
            "\"{name}\" has {size} sectors, and the line uses it from {} to {end}",
            used.start
        ));
    }
    let aligned = used.start.0.is_multiple_of(block) && used.length.0.is_multiple_of(block);
    if !aligned {
        let bytes = block * SECTOR_SIZE;
        return Err(format!(
            "{} sectors from sector {} of \"{name}\" are not whole blocks of {bytes} bytes",
            used.length, used.start
        ));
    }
    Ok(())
}
