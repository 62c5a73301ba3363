//! Text as the protocol carries it: bytes without a NUL, in no promised encoding.

use std::fmt;
use std::ops::Deref;
use zeroize::Zeroize;

/// A name, a uuid, a target's parameters: bytes, most often UTF-8, never assumed to be.
///
/// Linux takes any bytes but NUL in these fields, so a device named in Latin-1 must be listed, printed back and
/// removed like any other. `Display` shows what is not UTF-8 as U+FFFD and is for messages; output that programs
/// read writes the bytes themselves.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Vec<u8>);

impl Text {
    /// The empty text.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, given away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Overwrites the bytes, for certain, and leaves the empty text.
    pub fn wipe(&mut self) {
        self.0.zeroize();
    }

    /// The words between white space, as the kernel splits a target's arguments (`dm_split_args`): a backslash
    /// takes the next byte as it is, so that a word can hold a blank.
    pub fn words(&self) -> Vec<Text> {
        let mut words = Vec::new();
        let mut word: Option<Vec<u8>> = None;
        let mut bytes = self.0.iter().copied();
        while let Some(byte) = bytes.next() {
            if byte == b'\\' {
                word.get_or_insert_default().push(bytes.next().unwrap_or(byte));
            } else if is_space(byte) {
                words.extend(word.take().map(Text));
            } else {
                word.get_or_insert_default().push(byte);
            }
        }
        words.extend(word.map(Text));
        words
    }
}

/// White space as the kernel's `isspace` has it: the six of ASCII and Latin-1's no-break space.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | 0xa0)
}

impl Deref for Text {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_split_at_white_space_and_keep_what_a_backslash_quotes() {
        let words = Text::from(" 7:0\t 384  a\\ b \\\\ ").words();
        assert_eq!(words, ["7:0", "384", "a b", "\\"].map(Text::from));
        assert!(Text::from("  ").words().is_empty());
        assert_eq!(Text::from("end\\").words(), [Text::from("end\\")]);
    }
}
