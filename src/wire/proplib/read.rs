//! Text as a property list: what NetBSD's kernel takes, and nothing else.
//!
//! A reader of our own, since it must be held to proplib's letter: Apple's format, as other readers know it, has more
//! (`<real>`, `<date>`, `<data/>`, CDATA, `&#65;`) and less (`-0x10`, `+4`, `010` for 8, an empty `<integer>`, text behind
//! the end). Source: NetBSD's common/lib/libprop (`_prop_object_internalize*`), whose kernel build cannot see a number
//! overflow and so takes no decimal above 2^63 - 1. Two things are refused here that it takes by accident: more than
//! [`MAX_DEPTH`] levels, and an end tag in an array that stands for a start.
//!
//! Knows no key. Memory: at most [`MEMORY_PER_BYTE`] bytes for each of the text.

use super::scan::{Scan, Tag, Want};
use super::value::{Dict, Integer, Value};
use super::write::base64_value;
use crate::dm::Text;
use std::fmt;

/// Levels of arrays and dictionaries in one another; the protocol needs four.
pub const MAX_DEPTH: usize = 32;

/// The longest key, in bytes (`PDK_MAXKEY`).
const MAX_KEY: usize = 128;

/// How much memory a dictionary may take, in bytes for each byte of its text.
pub const MEMORY_PER_BYTE: usize = 64;

/// A text that is no property list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where, in bytes from the start.
    pub at: usize,
    /// The line of that byte, counted from 1.
    pub line: usize,
    /// Why.
    pub reason: &'static str,
}

/// Reads a document whose root is a dictionary, of at most `limit` bytes; it ends at a NUL, if there is one.
///
/// # Errors
/// What NetBSD's kernel answers with EIO; a text that is too long, or too deep.
pub fn parse(text: &[u8], limit: usize) -> Result<Dict, SyntaxError> {
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    let text = &text[..end];
    if text.len() > limit {
        return Err(SyntaxError { at: limit, line: 0, reason: "the text is longer than may be" });
    }
    let mut scan = Scan::new(text);
    read_document(&mut scan).map_err(|reason| {
        let at = scan.at().min(text.len());
        let line = text[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
        SyntaxError { at, line, reason }
    })
}

fn read_document(scan: &mut Scan<'_>) -> Result<Dict, &'static str> {
    scan.preamble()?;
    let plist = scan.tag(Want::Start)?;
    if plist.name != b"plist" || plist.is_empty {
        return Err("not a <plist>");
    }
    if plist.attribute.is_some_and(|(name, _)| name != b"version") {
        return Err("<plist> has an attribute that is not \"version\"");
    }
    let root = scan.tag(Want::Start)?;
    if root.name != b"dict" {
        return Err("the root is not a <dict>");
    }
    let dict = read_dict(scan, &root, MAX_DEPTH)?;
    if scan.tag(Want::End)?.name == b"plist" { Ok(dict) } else { Err("</plist> is missing") }
}

fn read_value(scan: &mut Scan<'_>, tag: &Tag<'_>, depth: usize) -> Result<Value, &'static str> {
    match tag.name {
        b"dict" => read_dict(scan, tag, depth).map(Value::Dict),
        b"array" => read_array(scan, tag, depth).map(Value::Array),
        b"string" => read_string(scan, tag).map(Value::String),
        b"integer" => read_integer(scan, tag).map(Value::Integer),
        b"data" => read_data(scan, tag).map(Value::Data),
        b"true" | b"false" if tag.is_empty => Ok(Value::Bool(tag.name == b"true")),
        b"true" | b"false" => Err("<true> and <false> are empty"),
        _ => Err("an element that proplib does not know"),
    }
}

fn read_dict(scan: &mut Scan<'_>, tag: &Tag<'_>, depth: usize) -> Result<Dict, &'static str> {
    let depth = depth.checked_sub(1).ok_or("arrays and dictionaries are nested too deep")?;
    no_attribute(tag)?;
    let mut dict = Dict::default();
    if tag.is_empty {
        return Ok(dict);
    }
    loop {
        let tag = scan.tag(Want::Either)?;
        if tag.is_end && tag.name == b"dict" {
            return Ok(dict);
        }
        if tag.is_end || tag.name != b"key" || tag.is_empty {
            return Err("a dictionary holds <key>s, or ends with </dict>");
        }
        let key = scan.text()?;
        if key.len() > MAX_KEY {
            return Err("the key is longer than 128 bytes");
        }
        scan.end_of(b"key")?;
        let tag = scan.tag(Want::Start)?;
        let value = read_value(scan, &tag, depth)?;
        dict.0.insert(Text::from(key), value);
    }
}

fn read_array(scan: &mut Scan<'_>, tag: &Tag<'_>, depth: usize) -> Result<Vec<Value>, &'static str> {
    let depth = depth.checked_sub(1).ok_or("arrays and dictionaries are nested too deep")?;
    no_attribute(tag)?;
    let mut values = Vec::new();
    if tag.is_empty {
        return Ok(values);
    }
    loop {
        let tag = scan.tag(Want::Either)?;
        if tag.is_end {
            return if tag.name == b"array" { Ok(values) } else { Err("</array> is missing") };
        }
        values.push(read_value(scan, &tag, depth)?);
    }
}

fn read_string(scan: &mut Scan<'_>, tag: &Tag<'_>) -> Result<Text, &'static str> {
    if tag.is_empty {
        return Ok(Text::new());
    }
    no_attribute(tag)?;
    let text = scan.text()?;
    scan.end_of(b"string")?;
    Ok(text.into())
}

/// A number as C's `strtoll` and `strtoull` read it in base 0: blanks, a sign, `0x` for hex and `0` for octal.
fn read_integer(scan: &mut Scan<'_>, tag: &Tag<'_>) -> Result<Integer, &'static str> {
    no_attribute(tag)?;
    if tag.is_empty {
        return Err("an <integer> needs digits between two tags");
    }
    let is_hex = scan.rest().starts_with(b"0x");
    let (negative, magnitude, used) = strtoull(scan.rest()).ok_or("a number of more than 64 bits")?;
    let value = if is_hex {
        Integer::Unsigned(magnitude)
    } else {
        let signed = match (negative, i64::try_from(magnitude)) {
            (false, Ok(value)) => Some(value),
            (true, Ok(value)) => Some(-value),
            (true, Err(_)) if magnitude == 1 << 63 => Some(i64::MIN),
            (_, Err(_)) => None,
        };
        Integer::Signed(signed.ok_or("a decimal number of more than 63 bits (in hex it may have 64)")?)
    };
    scan.skip(used);
    scan.end_of(b"integer")?;
    Ok(value)
}

/// The sign, the magnitude and how many bytes they took; `None` for more than 64 bits.
fn strtoull(text: &[u8]) -> Option<(bool, u64, usize)> {
    let mut at = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let negative = text.get(at) == Some(&b'-');
    if matches!(text.get(at), Some(b'-' | b'+')) {
        at += 1;
    }
    let is_hex = matches!(text.get(at..at + 2), Some(b"0x" | b"0X"))
        && text.get(at + 2).is_some_and(u8::is_ascii_hexdigit);
    let radix = match text.get(at) {
        _ if is_hex => 16,
        Some(b'0') => 8,
        _ => 10,
    };
    let start = if is_hex { at + 2 } else { at };
    let mut value: u64 = 0;
    let mut end = start;
    while let Some(digit) = text.get(end).and_then(|&byte| char::from(byte).to_digit(radix)) {
        value = value.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))?;
        end += 1;
    }
    // Without a digit nothing was read, not even the blanks.
    Some(if end == start { (false, 0, 0) } else { (negative, value, end) })
}

/// Base 64 with blanks in it; a `size` attribute must be right.
fn read_data(scan: &mut Scan<'_>, tag: &Tag<'_>) -> Result<Vec<u8>, &'static str> {
    if tag.is_empty {
        return Err("<data/> is not taken, <data></data> is");
    }
    let size = match tag.attribute {
        None => None,
        Some((b"size", value)) => {
            let (_, size, used) = strtoull(value).ok_or("the size of <data> is no number")?;
            Some(size)
                .filter(|_| used == value.len() && used > 0)
                .ok_or("the size of <data> is no number")?
                .into()
        }
        Some(_) => return Err("<data> has an attribute that is not \"size\""),
    };
    let length = scan.rest().iter().position(|&byte| byte == b'<').ok_or("the text ends within <data>")?;
    let data = unbase64(&scan.rest()[..length]).ok_or("<data> is not base 64")?;
    if size.is_some_and(|size| u64::try_from(data.len()) != Ok(size)) {
        return Err("the size of <data> is not its length");
    }
    scan.skip(length);
    scan.end_of(b"data")?;
    Ok(data)
}

fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let letters: Vec<u8> = text.iter().filter(|byte| !is_blank(byte)).copied().collect();
    let padding = letters.iter().rev().take_while(|&&letter| letter == b'=').count();
    let letters = &letters[..letters.len() - padding];
    // A padding tells how many bits of the last letters count; without one they must come out even.
    let expected = match letters.len() % 4 {
        0 => 0,
        2 => 2,
        3 => 1,
        _ => return None,
    };
    if padding != expected {
        return None;
    }
    let mut data = Vec::with_capacity(letters.len() / 4 * 3 + 2);
    for chunk in letters.chunks(4) {
        let mut bits: u32 = 0;
        for place in 0..4 {
            let value = chunk.get(place).map_or(Some(0), |&letter| base64_value(letter))?;
            bits = bits << 6 | u32::from(value);
        }
        data.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(data)
}

fn no_attribute(tag: &Tag<'_>) -> Result<(), &'static str> {
    if tag.attribute.is_none() { Ok(()) } else { Err("an attribute that proplib does not know") }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, line, reason } = self;
        match line {
            0 => write!(f, "property list: {reason} ({at} bytes)"),
            line => write!(f, "property list: line {line}, byte {at}: {reason}"),
        }
    }
}

impl std::error::Error for SyntaxError {}

#[cfg(test)]
mod tests {
    use super::super::write::document;
    use super::*;

    fn integer(text: &str) -> Option<Integer> {
        let text = format!("<plist><dict><key>x</key><integer>{text}</integer></dict></plist>");
        parse(text.as_bytes(), 1000).ok()?.integer("x")
    }

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, value) in [("010", 8), ("-0x10", -16), (" +4 ", 4), ("", 0), ("0XFF", 255), (" 0x10", 16)]
        {
            assert!(matches!(integer(text), Some(Integer::Signed(read)) if read == value), "{text}");
        }
        assert!(matches!(integer("0xffffffffffffffff"), Some(Integer::Unsigned(u64::MAX))));
        for text in
            ["9223372036854775808", "-9223372036854775809", "0x1ffffffffffffffff", "4x", "0x", "08", "+"]
        {
            assert!(integer(text).is_none(), "{text}");
        }
    }

    #[test]
    fn depth_has_a_limit_and_an_error_has_a_place() {
        let nested = |levels: usize| {
            let text = format!("<plist><dict><key>x</key>{}</dict></plist>", "<array>".repeat(levels));
            parse(text.as_bytes(), 1 << 20).unwrap_err()
        };
        assert_eq!(nested(MAX_DEPTH - 1).reason, "</array> is missing");
        assert_eq!(nested(MAX_DEPTH).reason, "arrays and dictionaries are nested too deep");
        assert_eq!(nested(100_000).reason, "arrays and dictionaries are nested too deep");
        let error = parse(b"<plist>\n<dict>\n<kex>", 100).unwrap_err();
        assert_eq!(
            error.to_string(),
            "property list: line 3, byte 20: a dictionary holds <key>s, or ends with </dict>"
        );
        assert_eq!(
            parse(&[b' '; 9], 8).unwrap_err().to_string(),
            "property list: the text is longer than may be (8 bytes)"
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        arbtest::arbtest(|u| {
            let dict = super::super::testing::any_dict(u, 4)?;
            let text = document(&dict);
            let read = parse(&text, text.len());
            // Empty data is written in one tag, which proplib itself does not read.
            if String::from_utf8_lossy(&text).contains("<data/>") {
                assert!(read.is_err());
            } else {
                let read = read.unwrap();
                assert_eq!(read, dict);
                assert_eq!(document(&read), text);
            }
            Ok(())
        });
    }
}
