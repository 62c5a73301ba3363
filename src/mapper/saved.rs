//! What is remembered of a mapper between commands, and its form in a file.
//!
//! JSON, so that a person can read it; tables as the lines that dmsetup prints, disks by number, with the path of each
//! number beside them. Bytes that are not UTF-8, control characters and backslashes are written `\xNN`.

use super::device::Device;
use super::stored::{Slots, StoredTable};
use super::{MAJOR, Mapper};
use crate::dm::limits::{MAX_MINOR, NAME_LEN, UUID_LEN};
use crate::dm::{DeviceNumber, Geometry, Line, Sectors, Table, Text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The form's version: a file of a later one is refused, not guessed at.
const FORM: u32 = 1;

/// A mapper's devices and disks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    form: u32,
    /// How often the state was saved: two states with the same number are the same.
    generation: u64,
    devices: Vec<SavedDevice>,
    /// The path of each number in the tables.
    pdevs: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedDevice {
    name: String,
    uuid: String,
    minor: u32,
    event_nr: u32,
    read_only: bool,
    suspended: bool,
    deferred_remove: bool,
    was_loaded: bool,
    /// Cylinders, heads, sectors a track, first sector.
    geometry: [u64; 4],
    active: Option<SavedTable>,
    inactive: Option<SavedTable>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedTable {
    read_only: bool,
    deps: Vec<String>,
    lines: Vec<String>,
    /// What the lines' targets have learned; left out when they have learned nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    memory: Vec<String>,
}

/// A saved state that makes no sense: what, and in which device.
#[derive(Debug)]
pub struct StateError(String);

impl State {
    /// Reads the form.
    ///
    /// # Errors
    /// It is no JSON of this form, or of a later version.
    pub fn parse(bytes: &[u8]) -> Result<Self, StateError> {
        let state: Self = serde_json::from_slice(bytes).map_err(|error| StateError(error.to_string()))?;
        if state.form != FORM {
            return Err(StateError(format!("its form is {}, and this program knows {FORM}", state.form)));
        }
        Ok(state)
    }

    /// How the form of that generation begins: enough to tell it from any other.
    fn head(generation: u64) -> String {
        format!("{{\"form\":{FORM},\"generation\":{generation},")
    }

    /// Writes the form.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Maps with string keys, numbers and strings: serialization has no way to fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Mapper {
    /// How the state that it was loaded from begins.
    pub(super) fn state_head(&self) -> String {
        State::head(self.generation)
    }

    /// Its state has been saved: from now on it is the one that it was made from.
    pub fn saved(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.changed = false;
        for device in self.devices.values_mut() {
            device.saved_event_nr = device.live.event_nr();
            let memory = device.memory();
            if let Some(active) = &mut device.slots.active {
                active.memory = memory;
            }
        }
    }

    /// Its state could not be saved after all.
    pub fn not_saved(&mut self) {
        self.changed = true;
    }

    /// What is to be remembered.
    pub fn state(&self) -> State {
        let pdevs = self.pdevs.iter().map(|(dev, path)| (dev.to_string(), escape(path)));
        State {
            form: FORM,
            generation: self.generation.wrapping_add(1),
            devices: self.devices.values().map(save_device).collect(),
            pdevs: pdevs.collect(),
        }
    }

    /// A mapper as it was remembered. Disks are not opened, and need not be there, until something is read or written.
    ///
    /// # Errors
    /// A name, number or line that no mapper can have written.
    pub fn restore(state: &State) -> Result<Self, StateError> {
        let mut mapper = Self { generation: state.generation, ..Self::new() };
        for (dev, path) in &state.pdevs {
            let number =
                DeviceNumber::parse(dev.as_bytes()).filter(|dev| dev.is_valid() && dev.major != MAJOR);
            let number = number.ok_or_else(|| StateError(format!("\"{dev}\" is not a disk's number")))?;
            mapper.pdevs.insert(number, unescape(path)?);
        }
        for saved in &state.devices {
            let device =
                restore_device(saved).map_err(|error| StateError(format!("\"{}\": {error}", saved.name)))?;
            let taken = |other: &Device| {
                other.minor == device.minor || (!device.uuid.is_empty() && other.uuid == device.uuid)
            };
            if mapper.devices.contains_key(&device.name) || mapper.devices.values().any(taken) {
                return Err(StateError(format!("\"{}\": name, uuid or number is there twice", saved.name)));
            }
            mapper.insert(device);
        }
        mapper.check_all_stacked()?;
        Ok(mapper)
    }

    /// That every number in a table is there, and no device stands on itself.
    fn check_all_stacked(&self) -> Result<(), StateError> {
        for device in self.devices.values() {
            for dev in device.slots.iter().flat_map(|table| &table.deps) {
                let known = self.with_number(*dev).is_some() || self.pdevs.path(*dev).is_some();
                if !known {
                    return Err(StateError(format!("\"{}\": nothing has the number {dev}", device.name)));
                }
                self.check_stacking(&device.name, *dev).map_err(|fault| StateError(fault.reason))?;
            }
        }
        Ok(())
    }
}

fn save_device(device: &Device) -> SavedDevice {
    let Geometry { cylinders, heads, sectors, start } = device.geometry;
    SavedDevice {
        name: escape(&device.name),
        uuid: escape(&device.uuid),
        minor: device.minor,
        event_nr: device.live.event_nr(),
        read_only: device.read_only,
        suspended: device.suspended,
        deferred_remove: device.deferred_remove,
        was_loaded: device.was_loaded,
        geometry: [cylinders, heads, sectors, start],
        active: device.slots.active.as_ref().map(|table| save_table(table, &device.memory())),
        inactive: device.slots.inactive.as_ref().map(|table| match &device.loaded {
            Some(loaded) => save_table(table, &loaded.memory()),
            None => save_table(table, &table.memory),
        }),
    }
}

fn save_table(table: &StoredTable, memory: &[Text]) -> SavedTable {
    let line = |line: &Line| {
        format!("{} {} {} {}", line.start, line.length, escape(&line.target), escape(&line.params))
    };
    SavedTable {
        read_only: table.read_only,
        deps: table.deps.iter().map(ToString::to_string).collect(),
        lines: table.table.lines.iter().map(line).collect(),
        memory: memory.iter().map(escape).collect(),
    }
}

fn restore_device(saved: &SavedDevice) -> Result<Device, StateError> {
    let (name, uuid) = (unescape(&saved.name)?, unescape(&saved.uuid)?);
    let named = !name.is_empty() && name.len() < NAME_LEN && !name.contains(&b'/') && uuid.len() < UUID_LEN;
    if !named || saved.minor > MAX_MINOR {
        return Err(StateError("name, uuid or number is not one that a device can have".into()));
    }
    let [cylinders, heads, sectors, start] = saved.geometry;
    let restored = |table: &Option<SavedTable>| table.as_ref().map(restore_table).transpose();
    let slots = Slots { active: restored(&saved.active)?, inactive: restored(&saved.inactive)? };
    let mut device = Device::new(name, uuid, saved.minor);
    if let Some(active) = &slots.active {
        device.live.resize(active.size(), saved.read_only);
    }
    device.slots = slots;
    device.live.set_event_nr(saved.event_nr);
    device.saved_event_nr = saved.event_nr;
    device.read_only = saved.read_only;
    device.suspended = saved.suspended;
    if saved.suspended {
        // Nobody has it yet.
        let _ = device.live.hold();
    }
    device.deferred_remove = saved.deferred_remove;
    device.was_loaded = saved.was_loaded;
    device.geometry = Geometry { cylinders, heads, sectors, start };
    Ok(device)
}

fn restore_table(saved: &SavedTable) -> Result<StoredTable, StateError> {
    let dep = |text: &String| DeviceNumber::parse(text.as_bytes()).filter(|dev| dev.is_valid());
    let deps: Option<Vec<DeviceNumber>> = saved.deps.iter().map(dep).collect();
    let deps = deps.ok_or_else(|| StateError("a dependency is not a number".into()))?;
    let mut end = Sectors::ZERO;
    let mut lines = Vec::with_capacity(saved.lines.len());
    for text in &saved.lines {
        let line = restore_line(text)?.filter(|line| line.start == end && line.length > Sectors::ZERO);
        let next = line
            .as_ref()
            .and_then(|line| line.start.checked_add(line.length))
            .filter(|next| next.to_bytes().is_some());
        let (Some(line), Some(next)) = (line, next) else {
            return Err(StateError(format!("\"{text}\" is not the next line of a table")));
        };
        end = next;
        lines.push(line);
    }
    if lines.is_empty() {
        return Err(StateError("a table has no lines".into()));
    }
    let memory = saved.memory.iter().map(|text| unescape(text)).collect::<Result<_, _>>()?;
    Ok(StoredTable { table: Table { lines }, read_only: saved.read_only, deps, memory })
}

fn restore_line(text: &str) -> Result<Option<Line>, StateError> {
    let mut fields = text.splitn(4, ' ');
    let mut next = || fields.next();
    let (Some(start), Some(length), Some(target), Some(params)) = (next(), next(), next(), next()) else {
        return Ok(None);
    };
    let (Ok(start), Ok(length)) = (start.parse().map(Sectors), length.parse().map(Sectors)) else {
        return Ok(None);
    };
    Ok(Some(Line { start, length, target: unescape(target)?, params: unescape(params)? }))
}

/// Bytes as text that JSON and people can hold.
fn escape(text: &Text) -> String {
    let mut escaped = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' || character.is_control() {
                let mut bytes = [0; 4];
                escape_bytes(character.encode_utf8(&mut bytes).as_bytes(), &mut escaped);
            } else {
                escaped.push(character);
            }
        }
        escape_bytes(chunk.invalid(), &mut escaped);
    }
    escaped
}

fn escape_bytes(bytes: &[u8], escaped: &mut String) {
    for byte in bytes {
        escaped.push_str(&format!("\\x{byte:02x}"));
    }
}

fn unescape(text: &str) -> Result<Text, StateError> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.strip_prefix('x').and_then(|rest| rest.get(..2));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|byte| *byte != 0);
        let byte = byte.ok_or_else(|| StateError(format!("\"{text}\" has a backslash without \\xNN")))?;
        bytes.push(byte);
        bytes.extend_from_slice(part.get(3..).unwrap_or_default().as_bytes());
    }
    Ok(bytes.into())
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StateError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_the_form() {
        for bytes in [&b"plain"[..], b"caf\xc3\xa9", b"\xff\xfe", b"a\\x41", b"\n\t\x7f"] {
            let text = Text::from(bytes);
            assert_eq!(unescape(&escape(&text)).unwrap(), text, "{text:?}");
        }
        assert!(unescape("\\x0").is_err() && unescape("\\x00").is_err() && unescape("\\").is_err());
    }
}
