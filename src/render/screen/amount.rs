//! Sizes in the unit in which they are read at a glance.

use crate::dm::{SECTOR_SIZE, Sectors};

/// So many sectors as `512 B`, `50.0 KiB`, `1.0 GiB`: one digit behind the point, and a unit of powers of 1024.
pub fn human(sectors: Sectors) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let bytes = u128::from(sectors.0) * u128::from(SECTOR_SIZE);
    // Tenths, so that 1023.97 KiB is 1.0 MiB and not 1024.0 KiB.
    let mut unit = 0;
    let mut tenths = bytes * 10;
    while unit + 1 < UNITS.len() && tenths >= 10240 {
        unit += 1;
        tenths = (bytes * 10 + (1 << (10 * unit - 1))) >> (10 * unit);
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_their_units() {
        for (sectors, shown) in [
            (0, "0 B"),
            (1, "512 B"),
            (2, "1.0 KiB"),
            (100, "50.0 KiB"),
            (2047, "1023.5 KiB"),
            (2048, "1.0 MiB"),
            (3 << 20, "1.5 GiB"),
            ((1 << 21) - 1, "1.0 GiB"),
            (u64::MAX, "8192.0 EiB"),
        ] {
            assert_eq!(human(Sectors(sectors)), shown, "{sectors}");
        }
    }
}
