//! The state of a device, in words.

use super::lists::{size, state, state_ink, types};
use super::{Ink, Screen, human, printable};
use crate::dm::{Flags, Reply, StatusLine, Text};

/// A block for the device: its name, and a line for all that is known of it. `lines` are those of its table;
/// `read_ahead` is in sectors.
pub fn info(
    screen: Screen,
    reply: &Reply,
    lines: &[StatusLine],
    (name, uuid): (&Text, &Text),
    read_ahead: Option<u64>,
) -> Vec<u8> {
    let has = |flag| reply.flags.contains(flag);
    let state = state(reply.flags);
    let mut rows = vec![("state", screen.paint.on(state_ink(&state), &state))];
    if !lines.is_empty() {
        let size = size(lines);
        rows.push(("size", format!("{}, {}", human(size), size.counted())));
        let plural = if lines.len() == 1 { "" } else { "s" };
        let types = screen.paint.on(Ink::Target, &types(lines));
        rows.push(("table", format!("{} line{plural}: {types}", lines.len())));
    }
    if has(Flags::INACTIVE_PRESENT) {
        rows.push(("loaded", "a table that takes effect when the device is resumed".into()));
    }
    if reply.open_count >= 0 {
        rows.push((
            "open",
            match reply.open_count {
                0 => screen.paint.on(Ink::Faint, "by nobody"),
                1 => "once".into(),
                count => format!("{count} times"),
            },
        ));
    }
    rows.push(("events", reply.event_nr.to_string()));
    rows.push(("number", reply.device.dev.unwrap_or_default().to_string()));
    rows.extend(read_ahead.map(|sectors| ("read-ahead", format!("{sectors} sectors"))));
    rows.extend((!uuid.is_empty()).then(|| ("uuid", printable(uuid))));
    let mut text = screen.paint.on(Ink::Name, &printable(name)) + "\n";
    for (label, value) in rows {
        text.push_str(&format!("  {}  {value}\n", screen.paint.on(Ink::Faint, &format!("{label:<10}"))));
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::Paint;
    use super::*;
    use crate::dm::{DeviceId, DeviceNumber, ReplyBody, Sectors, Version};

    #[test]
    fn what_is_known_is_told() {
        let line = StatusLine {
            start: Sectors(0),
            length: Sectors(2048),
            target: "zero".into(),
            status: 0,
            params: Text::new(),
        };
        let reply = Reply {
            version: Version::new(4, 48, 0),
            device: DeviceId::by_number(DeviceNumber::new(253, 7)),
            flags: Flags::ACTIVE_PRESENT | Flags::READONLY,
            open_count: 1,
            event_nr: 2,
            target_count: 1,
            body: ReplyBody::None,
        };
        let screen = Screen { width: 80, paint: Paint::Plain };
        let text = info(screen, &reply, &[line], (&"vol0".into(), &"U\n".into()), Some(256));
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "vol0\n  state       active, read-only\n  size        1.0 MiB, 2048 sectors\n  table       1 line: zero\n  \
             open        once\n  events      2\n  number      253:7\n  read-ahead  256 sectors\n  uuid        U\\u{a}\n"
        );
    }
}
