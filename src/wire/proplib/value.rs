//! What a property list holds: values, and the ways in which the drivers look at them.
//!
//! Knows no text form and no key. A look at a key gives nothing where the value is of another type or does not fit,
//! since that is how the drivers take it: a wrong value is as good as none.

use crate::dm::Text;
use std::collections::BTreeMap;
use zeroize::Zeroize;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `<true/>`, `<false/>`.
    Bool(bool),
    /// `<integer>`.
    Integer(Integer),
    /// `<string>`.
    String(Text),
    /// `<data>`.
    Data(Vec<u8>),
    /// `<array>`.
    Array(Vec<Value>),
    /// `<dict>`.
    Dict(Dict),
}

/// A number, which knows how it was written: proplib writes back decimal what came in decimal, hex what came in hex.
#[derive(Clone, Copy, Debug)]
pub enum Integer {
    /// Written in decimal.
    Signed(i64),
    /// Written in hex.
    Unsigned(u64),
}

/// A dictionary, in the order in which proplib writes it: by the bytes of the keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dict(pub(super) BTreeMap<Text, Value>);

impl Integer {
    /// The value where it is not negative (`prop_dictionary_get_uint64`).
    pub fn to_u64(self) -> Option<u64> {
        match self {
            Self::Signed(value) => u64::try_from(value).ok(),
            Self::Unsigned(value) => Some(value),
        }
    }

    /// The value where `prop_dictionary_get_uint32` finds one: in decimal only what 31 bits can say, in hex 32.
    pub fn to_u32(self) -> Option<u32> {
        match self {
            Self::Signed(value) => i32::try_from(value).ok().and_then(|value| u32::try_from(value).ok()),
            Self::Unsigned(value) => u32::try_from(value).ok(),
        }
    }

    /// The value where 32 bits with a sign can say it.
    pub fn to_i32(self) -> Option<i32> {
        match self {
            Self::Signed(value) => i32::try_from(value).ok(),
            Self::Unsigned(value) => i32::try_from(value).ok(),
        }
    }
}

impl PartialEq for Integer {
    /// By value, however they are written (`prop_number_equals`).
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Signed(one), Self::Signed(two)) => one == two,
            (Self::Unsigned(one), Self::Unsigned(two)) => one == two,
            (Self::Signed(signed), Self::Unsigned(unsigned))
            | (Self::Unsigned(unsigned), Self::Signed(signed)) => u64::try_from(*signed) == Ok(*unsigned),
        }
    }
}

impl Value {
    /// A number as a driver sets one: in hex.
    pub fn unsigned(value: impl Into<u64>) -> Self {
        Self::Integer(Integer::Unsigned(value.into()))
    }

    /// A number in decimal.
    pub fn signed(value: i64) -> Self {
        Self::Integer(Integer::Signed(value))
    }

    fn wipe(&mut self) {
        match self {
            Self::String(text) => text.wipe(),
            Self::Data(data) => data.zeroize(),
            Self::Array(values) => values.iter_mut().for_each(Self::wipe),
            Self::Dict(dict) => dict.wipe(),
            Self::Bool(_) | Self::Integer(_) => {}
        }
    }

    /// The dictionary that it is.
    pub fn as_dict(&self) -> Option<&Dict> {
        if let Self::Dict(dict) = self { Some(dict) } else { None }
    }

    /// The text that it is.
    pub fn as_text(&self) -> Option<&Text> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The number that it is.
    pub fn as_integer(&self) -> Option<Integer> {
        if let Self::Integer(integer) = self { Some(*integer) } else { None }
    }

    /// The values of the array that it is.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(values) = self { Some(values) } else { None }
    }
}

impl From<&Text> for Value {
    fn from(text: &Text) -> Self {
        Self::String(text.clone())
    }
}

impl Dict {
    /// The value at a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        // A `Text` is looked up by its bytes; the few keys of a dictionary are found as fast by going along them.
        self.0.iter().find(|(name, _)| **name == *key).map(|(_, value)| value)
    }

    /// Puts a value at a key, in place of the one there.
    pub fn set(&mut self, key: &str, value: Value) {
        self.0.insert(key.into(), value);
    }

    /// Takes the value at a key away.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.0.remove(&Text::from(key))
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Value)> {
        self.0.iter()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Overwrites every text in it.
    pub fn wipe(&mut self) {
        self.0.values_mut().for_each(Value::wipe);
    }

    /// The text at a key.
    pub fn text(&self, key: &str) -> Option<&Text> {
        self.get(key)?.as_text()
    }

    /// The number at a key.
    pub fn integer(&self, key: &str) -> Option<Integer> {
        self.get(key)?.as_integer()
    }

    /// The number at a key, if 32 bits hold it.
    pub fn u32(&self, key: &str) -> Option<u32> {
        self.integer(key)?.to_u32()
    }

    /// The number at a key, if it is not negative.
    pub fn u64(&self, key: &str) -> Option<u64> {
        self.integer(key)?.to_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_of_32_bits_is_no_uint32_and_the_same_in_hex_is() {
        assert_eq!(Integer::Signed(1 << 31).to_u32(), None);
        assert_eq!(Integer::Unsigned(1 << 31).to_u32(), Some(1 << 31));
        assert_eq!(Integer::Signed(-1).to_u64(), None);
        assert_eq!(Integer::Signed(8), Integer::Unsigned(8));
        assert_ne!(Integer::Signed(-1), Integer::Unsigned(u64::MAX));
    }
}
