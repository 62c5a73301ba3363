//! The parts of a dictionary whose form differs between the vocabularies: versions, device numbers, lists.

use super::keys::{Key, PARAMS_MISSPELT, Shape, Vocabulary};
use super::value::{Dict, Value};
use crate::dm::limits::{MAX_MAJOR, MAX_MINOR};
use crate::dm::{DeviceNumber, Sectors, Text, Version};

impl Vocabulary {
    /// A version; in decimal where NetBSD writes it so.
    pub(super) fn version_value(&self, version: Version, decimal: bool) -> Value {
        let numbers = [version.major, version.minor, version.patch];
        match self.shape {
            Shape::Proposed => Value::String(version.to_string().into()),
            Shape::Shipped if decimal => {
                Value::Array(numbers.map(|number| Value::signed(number.into())).to_vec())
            }
            Shape::Shipped => Value::Array(numbers.map(Value::unsigned).to_vec()),
        }
    }

    /// The version at a key: what of an array is no number counts as 0, as a text it must be one.
    pub(super) fn version_at(&self, dict: &Dict, key: Key) -> Option<Version> {
        match self.shape {
            Shape::Shipped => {
                let numbers = dict.get(key.name)?.as_array()?;
                // A version's numbers are 32 bits; decimal ones of target types come in full, too.
                let number = |at: usize| {
                    numbers.get(at).and_then(Value::as_integer).and_then(|number| number.to_u32())
                };
                Some(Version::new(number(0).unwrap_or(0), number(1).unwrap_or(0), number(2).unwrap_or(0)))
            }
            Shape::Proposed => {
                let text = std::str::from_utf8(dict.text(key.name)?).ok()?;
                let numbers: Option<Vec<u32>> = text.split('.').map(|number| number.parse().ok()).collect();
                let &[major, minor, patch] = numbers?.as_slice() else { return None };
                Some(Version::new(major, minor, patch))
            }
        }
    }

    /// Puts a device number at a key: the whole, or the minor with its major beside it where that is known.
    pub(super) fn put_number(&self, dict: &mut Dict, key: Key, dev: DeviceNumber) {
        match self.shape {
            Shape::Proposed => dict.set(key.name, Value::unsigned(dev_to_wire(dev))),
            Shape::Shipped => {
                dict.set(key.name, Value::unsigned(dev.minor));
                if dev.major != 0 {
                    dict.set(self.major.name, Value::unsigned(dev.major));
                }
            }
        }
    }

    /// The device number at a key; 0 is none, and a major that is not said is 0.
    pub(super) fn number_at(&self, dict: &Dict, key: Key) -> Option<DeviceNumber> {
        let dev = match self.shape {
            Shape::Proposed => dev_from_wire(dict.u64(key.name)?),
            Shape::Shipped => DeviceNumber::new(dict.u32(self.major.name).unwrap_or(0), dict.u32(key.name)?),
        };
        Some(dev).filter(|&dev| dev != DeviceNumber::default())
    }

    /// A list of dictionaries; numbered where a list is a dictionary, in as many digits as the longest number has, so
    /// that they stay in order.
    pub(super) fn list(&self, elements: Vec<Dict>) -> Value {
        match self.shape {
            Shape::Shipped => Value::Array(elements.into_iter().map(Value::Dict).collect()),
            Shape::Proposed => {
                let digits = elements.len().saturating_sub(1).to_string().len();
                let mut list = Dict::default();
                for (number, element) in elements.into_iter().enumerate() {
                    list.set(&format!("{number:0digits$}"), Value::Dict(element));
                }
                Value::Dict(list)
            }
        }
    }

    /// The elements of a list, whatever they are; none where there is no list.
    pub(super) fn elements_of<'a>(&self, data: Option<&'a Value>) -> Vec<&'a Value> {
        match (self.shape, data) {
            (Shape::Shipped, Some(Value::Array(values))) => values.iter().collect(),
            (Shape::Proposed, Some(Value::Dict(list))) => {
                let mut numbered: Vec<(u64, &Value)> = list
                    .iter()
                    .map(|(id, value)| {
                        let number = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
                        (number.unwrap_or(u64::MAX), value)
                    })
                    .collect();
                // Stable: what has no number keeps the order of the keys.
                numbered.sort_by_key(|(number, _)| *number);
                numbered.into_iter().map(|(_, value)| value).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A line of a table without its parameters.
    pub(super) fn line(&self, start: Sectors, length: Sectors, target: &Text) -> Dict {
        let mut line = Dict::default();
        line.set(self.start.name, Value::unsigned(start.0));
        line.set(self.length.name, Value::unsigned(length.0));
        line.set(self.target.name, target.into());
        line
    }

    /// The parameters in a line, in either spelling of the proposal.
    pub(super) fn params_of<'a>(&self, line: &'a Dict) -> Option<&'a Text> {
        let misspelt = || line.text(PARAMS_MISSPELT).filter(|_| self.shape == Shape::Proposed);
        line.text(self.params.name).or_else(misspelt)
    }
}

/// A device number in NetBSD's `dev_t`, which has its bits where Linux has them: the minor's low 8 lowest, then the
/// major's 12, then the minor's other 12.
pub(super) fn dev_to_wire(dev: DeviceNumber) -> u64 {
    let (major, minor) = (dev.major & MAX_MAJOR, dev.minor & MAX_MINOR);
    u64::from(minor & 0xff | major << 8 | (minor & !0xff) << 12)
}

/// The device number in a `dev_t`; bits above 32 do not count.
pub(super) fn dev_from_wire(wire: u64) -> DeviceNumber {
    let part = |bits: u64| u32::try_from(bits).unwrap_or(u32::MAX);
    DeviceNumber::new(part(wire >> 8 & 0xfff), part(wire & 0xff | wire >> 12 & 0xf_ff00))
}

#[cfg(test)]
mod tests {
    use super::super::keys::PROPOSED;
    use super::*;

    #[test]
    fn a_dev_t_is_netbsds() {
        assert_eq!(dev_from_wire(50434), DeviceNumber::new(197, 2));
        for dev in [DeviceNumber::new(4095, 0xf_ffff), DeviceNumber::new(7, 300)] {
            assert_eq!(dev_from_wire(dev_to_wire(dev)), dev);
        }
    }

    #[test]
    fn a_numbered_list_keeps_its_order() {
        let element = |number: u64| {
            let mut dict = Dict::default();
            dict.set("n", Value::unsigned(number));
            dict
        };
        let list = PROPOSED.list((0..123).map(element).collect());
        let read: Vec<u64> = PROPOSED
            .elements_of(Some(&list))
            .iter()
            .map(|value| value.as_dict().unwrap().u64("n").unwrap())
            .collect();
        assert_eq!(read, (0..123).collect::<Vec<u64>>());
    }
}
