//! The block that `info` prints of a device.

use crate::dm::{Flags, Reply, Text};

/// The block, with the blank line that ends it. `read_ahead` is in sectors and known to the system, not to the
/// driver: without it the line is left out.
pub fn info(reply: &Reply, name: &Text, uuid: &Text, read_ahead: Option<u64>) -> Vec<u8> {
    let has = |flag| reply.flags.contains(flag);
    let mut text = Vec::with_capacity(256);
    let mut row = |label: &str, value: &[u8]| {
        text.extend_from_slice(format!("{:<19}", format!("{label}:")).as_bytes());
        text.extend_from_slice(value);
        text.push(b'\n');
    };

    row("Name", name);
    let mut state = String::from(if has(Flags::SUSPEND) { "SUSPENDED" } else { "ACTIVE" });
    if has(Flags::READONLY) {
        state.push_str(" (READ-ONLY)");
    }
    if has(Flags::DEFERRED_REMOVE) {
        state.push_str(" (DEFERRED REMOVE)");
    }
    row("State", state.as_bytes());
    if let Some(sectors) = read_ahead {
        row("Read Ahead", sectors.to_string().as_bytes());
    }
    row("Tables present", tables(has(Flags::ACTIVE_PRESENT), has(Flags::INACTIVE_PRESENT)).as_bytes());
    if reply.open_count != -1 {
        row("Open count", reply.open_count.to_string().as_bytes());
    }
    row("Event number", reply.event_nr.to_string().as_bytes());
    let dev = reply.device.dev.unwrap_or_default();
    row("Major, minor", format!("{}, {}", dev.major, dev.minor).as_bytes());
    row("Number of targets", reply.target_count.to_string().as_bytes());
    if !uuid.is_empty() {
        // The one row whose value is not in the column of the others.
        text.extend_from_slice(&[b"UUID: ", uuid.as_bytes(), b"\n"].concat());
    }
    text.push(b'\n');
    text
}

/// Which of the two slots hold a table.
fn tables(live: bool, inactive: bool) -> &'static str {
    match (live, inactive) {
        (false, false) => "None",
        (true, false) => "LIVE",
        (false, true) => "INACTIVE",
        (true, true) => "LIVE & INACTIVE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::{DeviceId, DeviceNumber, ReplyBody, Version};

    fn shown(flags: Flags, uuid: &str, open_count: i32) -> String {
        let reply = Reply {
            version: Version::new(4, 48, 0),
            device: DeviceId::by_number(DeviceNumber::new(253, 7)),
            flags,
            open_count,
            event_nr: 2,
            target_count: 1,
            body: ReplyBody::None,
        };
        String::from_utf8(info(&reply, &"vol0".into(), &uuid.into(), Some(256))).unwrap()
    }

    #[test]
    fn the_block_is_dmsetups() {
        assert_eq!(
            shown(Flags::ACTIVE_PRESENT, "LVM-x", 0),
            "Name:              vol0\nState:             ACTIVE\nRead Ahead:        256\n\
             Tables present:    LIVE\nOpen count:        0\nEvent number:      2\nMajor, minor:      253, 7\n\
             Number of targets: 1\nUUID: LVM-x\n\n"
        );
    }

    #[test]
    fn what_is_not_so_is_not_shown() {
        let text = shown(Flags::SUSPEND | Flags::READONLY | Flags::INACTIVE_PRESENT, "", -1);
        assert!(text.contains("State:             SUSPENDED (READ-ONLY)\n"), "{text}");
        assert!(text.contains("Tables present:    INACTIVE\n"), "{text}");
        assert!(!text.contains("Open count") && !text.contains("UUID"), "{text}");
    }
}
