//! The text of a table, as people and scripts write it: into lines, and back to the place in the text.
//!
//! `START LENGTH TARGET [ARGUMENTS]` a line, sectors in decimal, blanks around anything, `#` to the end of the line a
//! comment, empty lines of no account: dmsetup's format. dmsetup also takes `100linear` for `100 linear` and `-1`
//! for 2^64 - 1; here a number is digits with a blank behind them, since a typing error must not become a table.

use super::size::{self, Amounts};
use super::survey::Words;
use super::{Fault, Line, LineField, Sectors, Table, Text, limits};
use std::fmt;
use std::ops::Range;

/// A table with the text that it came from, so that what a driver says of line 2, argument 1 can be shown there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceTable {
    /// What the text says; backslashes are doubled, since drivers take one as a quote (libdm does so too).
    pub table: Table,
    /// For each line of `table`, its place in the text.
    places: Vec<Place>,
}

/// Where a table's line stands in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Counted from 1, empty lines and comments too.
    number: usize,
    /// The line as it was written.
    text: Text,
    /// The bytes of `text` that hold the parameters.
    params: Range<usize>,
}

/// A fault in a table's text, with the place to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSyntaxError {
    /// The line, counted from 1.
    pub line: usize,
    /// The bytes at fault within the line, counted from 0; empty where something is missing.
    pub span: Range<usize>,
    /// The line as it was written.
    pub text: Text,
    /// What is wrong there.
    pub reason: String,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
}

/// A key may stand in it.
impl Drop for Place {
    fn drop(&mut self) {
        self.text.wipe();
    }
}

impl Drop for TableSyntaxError {
    fn drop(&mut self) {
        self.text.wipe();
    }
}

impl SourceTable {
    /// Reads a table's text: bytes, lines ended by `\n`, all numbers sectors.
    pub fn parse(text: &[u8]) -> Result<Self, TableSyntaxError> {
        Self::parse_as(text, Amounts::Sectors)
    }

    /// The same, its amounts in that form.
    pub fn parse_as(text: &[u8], mut amounts: Amounts<'_>) -> Result<Self, TableSyntaxError> {
        let mut source = Self::default();
        for (index, text) in text.split(|&byte| byte == b'\n').enumerate() {
            let number = index + 1;
            match parse_line(text, &mut amounts) {
                Ok(Some((line, params))) => {
                    source.table.lines.push(line);
                    source.places.push(Place::new(number, text, params));
                }
                Ok(None) => {}
                Err(mut flaws) => return Err(flaws.swap_remove(0).in_line(number, text)),
            }
        }
        Ok(source)
    }

    /// The place in the text of a fault that a driver found; `None` when it is no particular line's.
    pub fn locate(&self, fault: &Fault) -> Option<TableSyntaxError> {
        Some(self.places.get(fault.line?)?.locate(fault))
    }
}

impl Place {
    pub(super) fn new(number: usize, text: &[u8], params: Range<usize>) -> Self {
        Self { number, text: text.into(), params }
    }

    /// What a fault of this line is to be shown as.
    pub(super) fn locate(&self, fault: &Fault) -> TableSyntaxError {
        let fields = words(&self.text, 0);
        let field = |index: usize| fields.get(index).cloned().unwrap_or(0..0);
        let span = match (fault.field, fault.argument) {
            (Some(LineField::Start), _) => field(0),
            (Some(LineField::Length), _) => field(1),
            (Some(LineField::Target), _) => field(2),
            (None, None) => field(0).start..self.text.trim_ascii_end().len(),
            (None, Some(index)) => {
                let arguments = words(&self.text[..self.params.end], self.params.start);
                let end = self.params.start.max(arguments.last().map_or(0, |last| last.end));
                arguments.get(index).cloned().unwrap_or(end..end)
            }
        };
        TableSyntaxError {
            line: self.number,
            span,
            text: self.text.clone(),
            reason: fault.reason.clone(),
            hint: fault.hint.clone(),
        }
    }
}

/// The bytes of a line that are wrong, and why.
pub(super) struct Flaw {
    span: Range<usize>,
    reason: String,
    hint: Option<String>,
}

impl Flaw {
    pub(super) fn new(span: Range<usize>, reason: String) -> Self {
        Self { span, reason, hint: None }
    }

    pub(super) fn hinted(self, hint: String) -> Self {
        Self { hint: Some(hint), ..self }
    }

    pub(super) fn in_line(self, number: usize, text: &[u8]) -> TableSyntaxError {
        let Self { span, reason, hint } = self;
        TableSyntaxError { line: number, span, text: text.into(), reason, hint }
    }
}

/// One line of text: the table line with the place of its parameters, or nothing if it holds none. If it is wrong: all
/// that is wrong with it, from left to right.
pub(super) fn parse_line(
    text: &[u8],
    amounts: &mut Amounts<'_>,
) -> Result<Option<(Line, Range<usize>)>, Vec<Flaw>> {
    let end = text.trim_ascii_end().len();
    let fields = words(&text[..end], 0);
    let Some(first) = fields.first().filter(|first| text[first.start] != b'#') else { return Ok(None) };
    let field = |index: usize, what: &str| {
        let missing = || Flaw::new(end..end, format!("the line ends before {what}"));
        fields.get(index).cloned().ok_or_else(missing)
    };
    let start = sectors(text, first.clone(), amounts);
    let length = field(1, "the length, a number of sectors").and_then(|word| length(text, word, amounts));
    let target = match length {
        // One word that is missing is enough to be told of.
        Err(_) if fields.len() < 2 => Ok(0..0),
        Ok(_) | Err(_) => field(2, "the target type").and_then(|word| type_name(text, word)),
    };
    let nul = text
        .iter()
        .position(|&byte| byte == 0)
        .map(|nul| Flaw::new(nul..nul + 1, "a NUL byte cannot stand in a table".into()));
    match (start, length, target, nul) {
        (Ok(start), Ok(length), Ok(target), None) => {
            // Up to three words are fields; what comes behind is the target's, up to a comment.
            let begin = fields.get(3).map_or(end, |word| word.start);
            let stop = text[begin..end].iter().position(|&byte| byte == b'#').map_or(end, |at| begin + at);
            let target = &text[target];
            let (length, params) =
                resolve(text, target, length, begin..stop, amounts).map_err(|flaw| vec![flaw])?;
            Ok(Some((Line { start, length, target: target.into(), params }, begin..stop)))
        }
        (start, length, target, nul) => {
            Err([start.err(), length.err(), target.err(), nul].into_iter().flatten().collect())
        }
    }
}

/// A length as it is written: a number of sectors, or a percentage and where it stands.
enum Length {
    Sectors(Sectors),
    Percent(u64, Range<usize>),
}

fn length(text: &[u8], word: Range<usize>, amounts: &Amounts<'_>) -> Result<Length, Flaw> {
    let written = &text[word.clone()];
    let Some(digits) = written.strip_suffix(b"%").filter(|_| matches!(amounts, Amounts::Sizes(_))) else {
        return sectors(text, word, amounts).map(Length::Sectors);
    };
    let percent = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    match percent.filter(|percent| (1..=100).contains(percent) && digits.iter().all(u8::is_ascii_digit)) {
        Some(percent) => Ok(Length::Percent(percent, word)),
        None => {
            let reason = format!("\"{}\" is not a percentage from 1% to 100%", Text::from(written));
            let hint = "100% is all that the line's device has left behind its offset".to_owned();
            Err(Flaw::new(word, reason).hinted(hint))
        }
    }
}

/// The length in sectors, and the parameters as a driver takes them.
fn resolve(
    text: &[u8],
    target: &[u8],
    length: Length,
    params: Range<usize>,
    amounts: &mut Amounts<'_>,
) -> Result<(Sectors, Text), Flaw> {
    match (amounts, length) {
        (Amounts::Sizes(surveyor), length) => {
            let places = words(&text[..params.end], params.start);
            let read = Words::read(text, target, places, &**surveyor)?;
            let length = match length {
                Length::Sectors(length) => length,
                Length::Percent(percent, place) => read.rest(percent, place, &mut **surveyor)?,
            };
            let mut plain = read.params(text, params);
            let params = doubled_backslashes(&plain);
            plain.wipe();
            Ok((length, params))
        }
        (Amounts::Sectors, Length::Sectors(length)) => Ok((length, doubled_backslashes(&text[params]))),
        (Amounts::Sectors, Length::Percent(_, place)) => {
            Err(Flaw::new(place, "a percentage is not a number of sectors".into()))
        }
    }
}

/// The place of a target type's name, if it may be one.
fn type_name(text: &[u8], word: Range<usize>) -> Result<Range<usize>, Flaw> {
    if word.len() < limits::TYPE_NAME_LEN {
        return Ok(word);
    }
    let name = Text::from(&text[word.clone()]);
    Err(Flaw::new(word, format!("target type name \"{name}\" is longer than 15 bytes")))
}

/// The number of sectors that a word says.
fn sectors(text: &[u8], word: Range<usize>, amounts: &Amounts<'_>) -> Result<Sectors, Flaw> {
    let digits = &text[word.clone()];
    if matches!(amounts, Amounts::Sizes(_)) && digits.last().is_some_and(|last| !last.is_ascii_digit()) {
        return size::sectors(digits)
            .map_err(|(reason, hint)| Flaw { hint: Some(hint), ..Flaw::new(word, reason) });
    }
    let number = digits.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    });
    number.map(Sectors).ok_or_else(|| {
        let shown = Text::from(digits);
        let reason = if digits.iter().all(u8::is_ascii_digit) {
            format!("{shown} is more sectors than a device can have")
        } else {
            format!("\"{shown}\" is not a number of sectors")
        };
        Flaw::new(word, reason)
    })
}

/// The places of the words in `text` from byte `from` on.
fn words(text: &[u8], from: usize) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut begin = None;
    for (at, byte) in text.iter().enumerate().skip(from) {
        match (byte.is_ascii_whitespace() || *byte == 0x0b, begin) {
            (true, Some(start)) => {
                words.push(start..at);
                begin = None;
            }
            (false, None) => begin = Some(at),
            (true, None) | (false, Some(_)) => {}
        }
    }
    words.extend(begin.map(|start| start..text.len()));
    words
}

fn doubled_backslashes(params: &[u8]) -> Text {
    let mut doubled = Vec::with_capacity(params.len());
    for &byte in params {
        doubled.push(byte);
        if byte == b'\\' {
            doubled.push(byte);
        }
    }
    doubled.into()
}

impl fmt::Display for TableSyntaxError {
    /// The reason alone: whoever shows it knows the file's name and draws the caret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for TableSyntaxError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_in(text: &str) -> (usize, String, String) {
        let error = SourceTable::parse(text.as_bytes()).expect_err(text);
        (error.line, Text::from(&error.text[error.span.clone()]).to_string(), error.reason.clone())
    }

    #[test]
    fn lines_comments_and_blanks_read_as_dmsetup_reads_them() {
        let text = b"# head\n\n 0 100 linear  /dev/sdb 384 # disk\n\t100 8 zero\n";
        let source = SourceTable::parse(text).unwrap();
        let lines: Vec<String> = source.table.lines.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["0 100 linear /dev/sdb 384 ", "100 8 zero "]);
        assert_eq!(source.places[1].number, 4);
    }

    #[test]
    fn a_fault_is_shown_where_it_stands() {
        assert_eq!(fault_in("\n0 38x zero"), (2, "38x".into(), "\"38x\" is not a number of sectors".into()));
        assert_eq!(fault_in("0 100linear x").1, "100linear");
        assert_eq!(fault_in("-1 1 zero").1, "-1");
        assert_eq!(fault_in("0 8").2, "the line ends before the target type");
        assert_eq!(
            fault_in("0 18446744073709551616 zero").2,
            "18446744073709551616 is more sectors than a device can have"
        );
        assert_eq!(fault_in("0 1 sixteen-letters-").1, "sixteen-letters-");
    }

    #[test]
    fn a_drivers_fault_finds_its_argument() {
        let source = SourceTable::parse(b"0 8 zero\n8 8 linear disk.img  38x # no").unwrap();
        let at = |fault: Fault| {
            source.locate(&fault).map(|error| Text::from(&error.text[error.span.clone()]).to_string())
        };
        assert_eq!(at(Fault::invalid("").at_line(1).at_argument(1)).unwrap(), "38x");
        assert_eq!(at(Fault::invalid("").at_line(1).at_argument(2)).unwrap(), "");
        assert_eq!(at(Fault::invalid("").at_line(0)).unwrap(), "0 8 zero");
        assert_eq!(at(Fault::invalid("")), None);
    }

    #[test]
    fn a_backslash_reaches_the_driver_as_itself() {
        let source = SourceTable::parse(b"0 8 linear a\\b 0").unwrap();
        assert_eq!(source.table.lines[0].params.words()[0], "a\\b");
    }

    #[test]
    fn any_text_is_a_table_or_a_fault_in_its_place() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            // Letters that make lines more often than chance does.
            let text: Vec<u8> =
                bytes.iter().map(|byte| b"0 19\tx#\n\\\xff"[usize::from(*byte) % 10]).collect();
            match SourceTable::parse(&text) {
                Ok(source) => {
                    assert_eq!(source.table.lines.len(), source.places.len());
                    for line in 0..source.table.lines.len() {
                        let fault =
                            Fault::invalid("x").at_line(line).at_argument(usize::from(u.arbitrary::<u8>()?));
                        let place = source.locate(&fault).expect("every line has its place");
                        assert!(place.span.end <= place.text.len() && place.span.start <= place.span.end);
                    }
                }
                Err(error) => {
                    let line = text.split(|&byte| byte == b'\n').nth(error.line - 1);
                    assert_eq!(line, Some(&error.text[..]));
                    assert!(error.span.end <= error.text.len() && error.span.start <= error.span.end);
                }
            }
            Ok(())
        });
    }

    #[test]
    fn what_is_printed_reads_back() {
        arbtest::arbtest(|u| {
            let number = |u: &mut arbitrary::Unstructured<'_>| u.arbitrary().map(Sectors);
            let line = Line {
                start: number(u)?,
                length: number(u)?,
                target: (*u.choose(&["linear", "x", "fifteen-letters"])?).into(),
                params: (*u.choose(&["", "7:0 384", "a  b"])?).into(),
            };
            let text = format!("{line}\n  # nothing\n{line}");
            let lines = SourceTable::parse(text.as_bytes()).expect("it is a table").table.lines;
            assert_eq!(lines, [line.clone(), line]);
            Ok(())
        });
    }
}
