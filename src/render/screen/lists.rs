//! Devices, the lines of their tables, what they stand on, who holds them, target types: a table for each.

use super::grid::{Column, Grid, cell};
use super::{Ink, Screen, human};
use crate::dm::{Flags, Reply, Sectors, StatusLine, TargetVersion, Text};
use crate::render::{DeviceName, Keys, hide_keys};

/// A device as a list shows it.
#[derive(Clone, Debug)]
pub struct SeenDevice {
    /// Its name, as people write it.
    pub name: Text,
    /// Its number, or what else is asked for.
    pub called: DeviceName,
    /// Its state, and the lines of its table.
    pub reply: Reply,
}

/// A line of a device's table.
#[derive(Clone, Debug)]
pub struct SeenLine {
    /// The device, as the user wrote it.
    pub device: Text,
    /// The line; `None` for a device that has none.
    pub line: Option<StatusLine>,
}

/// What the last column of lines is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// What targets tell of themselves.
    Status,
    /// Their arguments.
    Arguments(Keys),
}

/// What of a missing value stands in its place.
const NOTHING: &str = "-";

/// The devices of `ls`.
pub fn devices(screen: Screen, devices: &[SeenDevice]) -> Vec<u8> {
    let mut grid = Grid::new(columns(Column::text("NAME", |_| Ink::Name)));
    devices.iter().for_each(|device| grid.row(row(cell(&device.name), Some(&device.reply), &device.called)));
    grid.draw(screen)
}

/// The columns of a list of devices, their names first.
pub(super) fn columns(names: Column) -> Vec<Column> {
    vec![
        names,
        Column::number("SIZE"),
        Column::text("STATE", state_ink),
        Column::number("OPEN"),
        Column::text("TARGETS", |_| Ink::Target),
        Column::word("NUMBER", |_| Ink::Faint),
    ]
}

/// The cells of a device; one that is not mapped has a number and a name alone.
pub(super) fn row(name: String, reply: Option<&Reply>, called: &DeviceName) -> Vec<String> {
    let called = match called {
        DeviceName::Number(dev) => dev.to_string(),
        DeviceName::Name(name) => cell(name),
    };
    let Some(reply) = reply else {
        let nothing = String::new;
        return vec![name, nothing(), nothing(), nothing(), nothing(), called];
    };
    let size = match reply.lines() {
        [] => NOTHING.to_owned(),
        lines => human(size(lines)),
    };
    vec![name, size, state(reply.flags), opens(reply.open_count), types(reply.lines()), called]
}

/// How many sectors the lines map.
pub(super) fn size(lines: &[StatusLine]) -> Sectors {
    let ends = lines.iter().filter_map(|line| line.start.checked_add(line.length));
    ends.max().unwrap_or_default()
}

fn opens(count: i32) -> String {
    if count < 0 { NOTHING.to_owned() } else { count.to_string() }
}

/// The target types of the lines, each once.
pub(super) fn types(lines: &[StatusLine]) -> String {
    let mut types: Vec<String> = Vec::new();
    for line in lines {
        let name = cell(&line.target);
        if !types.contains(&name) {
            types.push(name);
        }
    }
    if types.is_empty() { NOTHING.to_owned() } else { types.join(", ") }
}

/// A device's state in words.
pub(super) fn state(flags: Flags) -> String {
    let first = match (flags.contains(Flags::SUSPEND), flags.contains(Flags::ACTIVE_PRESENT)) {
        (true, _) => "suspended",
        (false, true) => "active",
        (false, false) => "no table",
    };
    let more = [
        (Flags::READONLY, "read-only"),
        (Flags::INACTIVE_PRESENT, "new table loaded"),
        (Flags::DEFERRED_REMOVE, "removed when closed"),
    ];
    let more = more.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, word)| word);
    std::iter::once(first).chain(more).collect::<Vec<_>>().join(", ")
}

/// The colour of a state by its first word.
pub(super) fn state_ink(state: &str) -> Ink {
    match state {
        _ if state.starts_with("active") => Ink::Good,
        _ if state.starts_with("suspended") => Ink::Warning,
        _ => Ink::Faint,
    }
}

/// The lines of devices' tables; a device's name stands at the first of its lines.
pub fn lines(screen: Screen, lines: &[SeenLine], shows: Shows) -> Vec<u8> {
    let (head, ink): (_, fn(&str) -> Ink) = match shows {
        Shows::Status => ("STATUS", status_ink),
        Shows::Arguments(_) => ("ARGUMENTS", |_| Ink::Plain),
    };
    let mut grid = Grid::new(vec![
        Column::text("DEVICE", |_| Ink::Name),
        Column::number("START"),
        Column::number("LENGTH"),
        Column::number("SIZE"),
        Column::word("TARGET", |_| Ink::Target),
        Column::text(head, ink),
    ]);
    for (index, SeenLine { device, line }) in lines.iter().enumerate() {
        let is_first = index == 0 || lines[index - 1].device != *device;
        let name = if is_first { cell(device) } else { String::new() };
        let Some(line) = line else {
            let nothing = || NOTHING.to_owned();
            grid.row(vec![name, nothing(), nothing(), nothing(), "no table".into(), String::new()]);
            continue;
        };
        let mut params = line.params.to_vec();
        if shows == Shows::Arguments(Keys::Hidden) {
            hide_keys(&line.target, &mut params);
        }
        let (start, length) = (line.start.to_string(), line.length.to_string());
        let params = cell(params.trim_ascii());
        grid.row(vec![name, start, length, human(line.length), cell(&line.target), params]);
    }
    grid.draw(screen)
}

/// Red where a snapshot is lost or a mirror has an error.
fn status_ink(status: &str) -> Ink {
    let is_bad =
        ["Invalid", "Overflow", "Merge failed", "Error", "Fail"].iter().any(|word| status.starts_with(word));
    if is_bad { Ink::Bad } else { Ink::Plain }
}

/// The devices of `deps`, each with those that it stands on, one in a line.
pub fn depending(screen: Screen, devices: &[(Text, Vec<String>)]) -> Vec<u8> {
    let mut grid = Grid::new(vec![
        Column::text("DEVICE", |_| Ink::Name),
        Column::text("STANDS ON", |below| if below == "nothing" { Ink::Faint } else { Ink::Plain }),
    ]);
    for (device, below) in devices {
        let below = if below.is_empty() { "nothing".to_owned() } else { each_in_a_line(below) };
        grid.row(vec![cell(device), below]);
    }
    grid.draw(screen)
}

fn each_in_a_line(items: &[String]) -> String {
    items.iter().map(|item| cell(item.as_bytes())).collect::<Vec<_>>().join("\n")
}

/// The devices of `holders`: how often each is open, and by whom, one in a line.
pub fn holders(screen: Screen, devices: &[(Text, i32, Vec<String>)]) -> Vec<u8> {
    let mut grid = Grid::new(vec![
        Column::text("DEVICE", |_| Ink::Name),
        Column::number("OPEN"),
        Column::text("HELD BY", |by| if by == "nobody" { Ink::Faint } else { Ink::Plain }),
    ]);
    for (device, open_count, by) in devices {
        let by = if by.is_empty() { "nobody".to_owned() } else { each_in_a_line(by) };
        grid.row(vec![cell(device), opens(*open_count), by]);
    }
    grid.draw(screen)
}

/// Target types, each with its arguments where they are known.
pub fn targets(screen: Screen, targets: &[(TargetVersion, Option<&str>)]) -> Vec<u8> {
    let mut grid = Grid::new(vec![
        Column::word("TARGET", |_| Ink::Target),
        Column::word("VERSION", |_| Ink::Plain),
        Column::text("ARGUMENTS", |usage| if usage == "none" { Ink::Faint } else { Ink::Plain }),
    ]);
    for (target, usage) in targets {
        let usage = match usage {
            Some("") => "none",
            Some(usage) => usage,
            None => "",
        };
        grid.row(vec![cell(&target.name), target.version.to_string(), usage.to_owned()]);
    }
    grid.draw(screen)
}

#[cfg(test)]
mod tests {
    use super::super::Paint;
    use super::*;

    const SCREEN: Screen = Screen { width: 80, paint: Paint::Plain };

    fn line(start: u64, target: &str, params: &str) -> StatusLine {
        StatusLine {
            start: Sectors(start),
            length: Sectors(8),
            target: target.into(),
            status: 0,
            params: params.into(),
        }
    }

    #[test]
    fn a_state_is_told_in_full() {
        assert_eq!(state(Flags::ACTIVE_PRESENT), "active");
        assert_eq!(state(Flags::SUSPEND | Flags::INACTIVE_PRESENT), "suspended, new table loaded");
        assert_eq!(
            state(Flags::READONLY | Flags::DEFERRED_REMOVE),
            "no table, read-only, removed when closed"
        );
        assert_eq!(state_ink("suspended, read-only"), Ink::Warning);
    }

    #[test]
    fn a_device_is_named_at_its_first_line_and_keys_are_hidden() {
        let seen = |device: &str, line| SeenLine { device: device.into(), line };
        let rows = [
            seen("a", Some(line(0, "crypt", "aes 0123 0 7:0 0"))),
            seen("a", Some(line(8, "zero", ""))),
            seen("b", None),
        ];
        let text = lines(SCREEN, &rows, Shows::Arguments(Keys::Hidden));
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "DEVICE  START  LENGTH     SIZE  TARGET    ARGUMENTS\n\
             a           0       8  4.0 KiB  crypt     aes 0000 0 7:0 0\n\
             \x20           8       8  4.0 KiB  zero\n\
             b           -       -        -  no table\n"
        );
    }

    #[test]
    fn a_list_within_a_cell_has_a_line_for_each() {
        let text =
            depending(SCREEN, &[("a".into(), vec!["8:0".into(), "8:16".into()]), ("b".into(), vec![])]);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "DEVICE  STANDS ON\na       8:0\n        8:16\nb       nothing\n"
        );
    }
}
