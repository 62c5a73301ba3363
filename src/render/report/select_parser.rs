//! Reads a selection, `-S 'name=~^vg && (open>0 || suspended=Suspended)'`, into conditions.
//!
//! Every complaint is dmsetup's, in its order: the first line is what scripts have in their logs, the place is shown as
//! the rest of the text, and an unknown field or operator is answered with the list of those known.

use super::columns::{Column, Names, Which};
use super::field::{Groups, Kind};
use super::help;
use super::operators::{Comparison, Grouping, Relation, comparison, grouping, skip_space};
use super::pattern::Pattern;
use super::rows::Refusal;
use super::selection::{Join, Limit, Operand, Selection, Test};

/// How deep parentheses may be nested.
const MAX_DEPTH: usize = 250;

/// What ends a value that is not quoted, a blank aside.
const VALUE_ENDS: &[Grouping] = &[Grouping::And, Grouping::Or, Grouping::Close];

/// Bytes in the unit of a size that has none.
const DEFAULT_UNIT: u64 = 1024 * 1024;

/// A reader of selections; columns that they need and the report has not are added, hidden.
pub(super) struct Parser<'a, R: 'static> {
    pub(super) names: &'a Names<R>,
    pub(super) columns: &'a mut Vec<Column>,
    pub(super) groups: &'a mut Groups,
    lines: Vec<String>,
    depth: usize,
}

/// What was read, and the text behind it; `None` when the lines say why not.
type Read<'t, T> = Option<(T, &'t [u8])>;

impl<'a, R> Parser<'a, R> {
    /// A reader for a report with these columns.
    pub(super) fn new(names: &'a Names<R>, columns: &'a mut Vec<Column>, groups: &'a mut Groups) -> Self {
        Self { names, columns, groups, lines: Vec::new(), depth: 0 }
    }

    /// Reads the whole text.
    pub(super) fn parse(mut self, text: &[u8]) -> Result<Selection, Refusal> {
        let read = self.any(text);
        match read.map(|(selection, rest)| (selection, skip_space(rest))) {
            Some((selection, b"")) => Ok(selection),
            Some((_, rest)) => {
                self.say("Expecting logical operator");
                self.point_at(rest);
                Err(Refusal { lines: self.lines })
            }
            None => Err(Refusal { lines: self.lines }),
        }
    }

    fn say(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    fn point_at(&mut self, text: &[u8]) {
        self.say(format!("Selection syntax error at '{}'.", shown(text)));
        self.say("Use 'help' for selection to get more help.");
    }

    /// Parts of which one is to be so.
    fn any<'t>(&mut self, text: &'t [u8]) -> Read<'t, Selection> {
        self.joined(text, Grouping::Or, Join::Any, Self::all)
    }

    /// Parts that are all to be so.
    fn all<'t>(&mut self, text: &'t [u8]) -> Read<'t, Selection> {
        self.joined(text, Grouping::And, Join::All, Self::part)
    }

    fn joined<'t>(
        &mut self,
        text: &'t [u8],
        word: Grouping,
        join: Join,
        part: impl Fn(&mut Self, &'t [u8]) -> Read<'t, Selection>,
    ) -> Read<'t, Selection> {
        let (first, mut rest) = part(self, text)?;
        let mut parts = vec![first];
        while let Some((_, after)) = grouping(rest, &[word]) {
            let (next, after) = part(self, after)?;
            parts.push(next);
            rest = after;
        }
        let selection = if parts.len() == 1 { parts.pop()? } else { Selection::Join(join, parts) };
        Some((selection, rest))
    }

    /// A condition, or parts in parentheses.
    fn part<'t>(&mut self, text: &'t [u8]) -> Read<'t, Selection> {
        let (negative, inner) = match grouping(text, &[Grouping::Not, Grouping::Open]) {
            None => return self.condition(skip_space(text)),
            Some((Grouping::Not, after)) => match grouping(after, &[Grouping::Open]) {
                Some((_, inner)) => (true, inner),
                None => {
                    self.say(format!("Syntax error: left parenthesis expected at '{}'", shown(after)));
                    return None;
                }
            },
            Some((_, inner)) => (false, inner),
        };
        if self.depth == MAX_DEPTH {
            self.say(format!(
                "Syntax error: parentheses are nested deeper than {MAX_DEPTH} at '{}'",
                shown(text)
            ));
            return None;
        }
        self.depth += 1;
        let read = self.any(inner);
        self.depth -= 1;
        let (selection, rest) = read?;
        let Some((_, after)) = grouping(rest, &[Grouping::Close]) else {
            self.say(format!("Syntax error: right parenthesis expected at '{}'", shown(skip_space(rest))));
            return None;
        };
        Some((if negative { selection.negated(self.names.classic) } else { selection }, after))
    }

    /// `FIELD OPERATOR VALUE`; whatever is wrong with it, its begin is shown.
    fn condition<'t>(&mut self, text: &'t [u8]) -> Read<'t, Selection> {
        let read = self.test(text);
        if read.is_none() {
            self.point_at(text);
        }
        let (which, operand, wanted, rest) = read?;
        let operand = self.checked(which, operand)?;
        let known = self.columns.len();
        let place = self.names.place_of(which, self.columns);
        if self.columns.len() > known {
            *self.groups = self.groups.with(self.names.group_of(which));
        }
        Some((Selection::Where(place, Test { operand, wanted }), skip_space(rest)))
    }

    fn test<'t>(&mut self, text: &'t [u8]) -> Option<(Which, Raw<'t>, bool, &'t [u8])> {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let len = text.iter().position(|byte| !is_name(byte)).unwrap_or(text.len());
        if len == 0 {
            self.say("Expecting field name");
            return None;
        }
        let name = shown(&text[..len]);
        let Some(which) = self.names.find(text, len, &mut self.lines) else {
            self.lines.extend(help::fields(self.names, false));
            self.say(format!("Unrecognised selection field: {name}"));
            return None;
        };
        if which == Which::Help {
            self.lines.extend(help::fields(self.names, false));
            self.say(format!("Selection field is uncomparable: {name}."));
            return None;
        }
        let column = self.names.column(which, true);
        let Some((comparison, rest)) = comparison(&text[len..]) else {
            self.lines.extend(help::selections());
            self.say(format!("Unrecognised comparison operator: {}", shown(&text[len..])));
            return None;
        };
        let is_number = matches!(column.kind, Kind::Number | Kind::Size);
        let (relation, wanted) = match comparison {
            Comparison::Matches(wanted) => {
                let (pattern, rest) = self.pattern(column.key, rest)?;
                return Some((which, Raw::Pattern(pattern), wanted, rest));
            }
            Comparison::Equals(wanted) => (None, wanted),
            Comparison::Ordered(relation) if is_number => (Some(relation), true),
            Comparison::Ordered(_) => return self.misused("number, size, time or percent fields", text),
            Comparison::Timed => return self.misused("time fields", text),
        };
        let (operand, rest) = self.value(&column, relation, skip_space(rest))?;
        Some((which, operand, wanted, rest))
    }

    /// Says for which fields the operator is.
    fn misused<T>(&mut self, fields: &str, text: &[u8]) -> Option<T> {
        self.lines.extend(help::selections());
        self.say(format!("Operator can be used only with {fields}: {}", shown(text)));
        None
    }

    /// A value that ends at the quote that it began with, or unquoted at one of those words or a blank.
    fn word<'t>(&mut self, text: &'t [u8], quote: Option<u8>, ends: &[Grouping]) -> Read<'t, &'t [u8]> {
        let Some(quote) = quote else {
            let is_end = |place: &usize| text[*place] == b' ' || grouping(&text[*place..], ends).is_some();
            let len = (0..text.len()).find(is_end).unwrap_or(text.len());
            return Some((&text[..len], &text[len..]));
        };
        let Some(len) = text.iter().position(|byte| *byte == quote) else {
            self.say("Missing end quote.");
            return None;
        };
        Some((&text[..len], &text[len + 1..]))
    }

    fn pattern<'t>(&mut self, key: &str, text: &'t [u8]) -> Read<'t, &'t [u8]> {
        let text = skip_space(text);
        let Some(first) = text.first() else {
            self.say(format!("Regular expression expected for selection field {key}"));
            return None;
        };
        let pairs = [(b'(', b')'), (b'{', b'}'), (b'[', b']'), (b'"', b'"'), (b'\'', b'\'')];
        let quote = pairs.iter().find(|(open, _)| open == first).map(|(_, close)| *close);
        let read = self.word(&text[usize::from(quote.is_some())..], quote, VALUE_ENDS);
        if read.is_none() {
            self.say(format!("Failed to parse regex value for selection field {key}."));
        }
        read
    }

    fn value<'t>(
        &mut self,
        column: &Column,
        relation: Option<Relation>,
        text: &'t [u8],
    ) -> Read<'t, Raw<'t>> {
        let key = column.key;
        match column.kind {
            Kind::Text => {
                let (text, quote) = quoted(text);
                let read = self.word(text, quote, VALUE_ENDS);
                if read.is_none() {
                    self.say(format!("Failed to parse string value for selection field {key}."));
                }
                read.map(|(word, rest)| (Raw::Done(Operand::Text(word.to_vec())), rest))
            }
            Kind::List => {
                let read = self.list(key, text);
                if read.is_none() {
                    self.say(format!("Failed to parse string list value for selection field {key}."));
                }
                read.map(|(operand, rest)| (Raw::Done(operand), rest))
            }
            Kind::Number | Kind::Size => self.number(column, relation, text),
        }
    }

    fn number<'t>(
        &mut self,
        column: &Column,
        relation: Option<Relation>,
        text: &'t [u8],
    ) -> Read<'t, Raw<'t>> {
        let key = column.key;
        let mut dots = 0;
        let is_digit = |byte: &u8| {
            dots += usize::from(*byte == b'.');
            byte.is_ascii_digit() || *byte == b'.' && dots == 1
        };
        let len = text.iter().copied().take_while(is_digit).count();
        if len == 0 {
            self.say(format!("Failed to parse numeric value for selection field {key}."));
            return None;
        }
        let (digits, mut rest) = text.split_at(len);
        let is_size = column.kind == Kind::Size;
        let expected = if is_size { "size" } else { "numeric" };
        if rest.first() == Some(&b'%') {
            self.say(format!("Found percent value but {expected} value expected for selection field {key}."));
            return None;
        }
        let unit = rest.first().and_then(|letter| unit(*letter));
        if unit.is_some() {
            if !is_size {
                self.say(format!(
                    "Found size unit specifier but numeric value expected for selection field {key}."
                ));
                return None;
            }
            rest = &rest[1..];
        }
        let unit = if is_size { Some(unit.unwrap_or(DEFAULT_UNIT)) } else { None };
        Some((Raw::Number { digits, unit, relation }, rest))
    }

    /// One item, or several in brackets, all with the same word between them.
    fn list<'t>(&mut self, key: &str, text: &'t [u8]) -> Read<'t, Operand> {
        let failed = |parser: &mut Self| {
            parser.say(format!("Failed to parse string list value for selection field {key}."));
        };
        let opened = grouping(text, &[Grouping::ListOpen, Grouping::SubsetOpen]);
        let Some((bracket, mut rest)) = opened else {
            let (text, quote) = quoted(text);
            let Some((word, rest)) = self.word(text, quote, VALUE_ENDS) else {
                failed(self);
                return None;
            };
            let items = vec![word.to_vec()];
            return Some((Operand::Items { items, join: Join::Any, subset: false }, rest));
        };
        let subset = bracket == Grouping::SubsetOpen;
        let (end, other, sign) = if subset {
            (Grouping::SubsetClose, Grouping::ListClose, "}")
        } else {
            (Grouping::ListClose, Grouping::SubsetClose, "]")
        };
        let ends = [Grouping::And, Grouping::Or, end, other];
        let (mut items, mut word_between) = (Vec::new(), None);
        loop {
            if rest.is_empty() {
                self.say(format!("Missing list end for selection field {key}"));
                return None;
            }
            let (text, quote) = quoted(skip_space(rest));
            let Some((item, after)) = self.word(text, quote, &ends) else {
                failed(self);
                return None;
            };
            let Some((word, after)) = grouping(after, &ends) else {
                self.say("Invalid operator in selection list.");
                return None;
            };
            if word == other {
                self.say(format!("List ended with incorrect character, expecting '{sign}'."));
                return None;
            }
            items.push(item.to_vec());
            if word == end {
                rest = after;
                break;
            }
            if word_between.replace(word).is_some_and(|before| before != word) {
                self.say("Only one type of logical operator allowed in selection list at a time.");
                return None;
            }
            rest = after;
        }
        items.sort();
        let join = match word_between {
            Some(Grouping::And) => Join::All,
            None if !subset => Join::All,
            _ => Join::Any,
        };
        Some((Operand::Items { items, join, subset }, rest))
    }

    /// The operand, if the field can be compared with it.
    fn checked(&mut self, which: Which, raw: Raw) -> Option<Operand> {
        let column = self.names.column(which, true);
        let key = column.key;
        match raw {
            Raw::Done(operand) => Some(operand),
            Raw::Pattern(_) if matches!(column.kind, Kind::Number | Kind::Size) => {
                self.say(format!("dm_report: incompatible comparison type for selection field {key}"));
                None
            }
            Raw::Pattern(text) => match Pattern::parse(text) {
                Ok(pattern) => Some(Operand::Pattern(pattern)),
                Err(lines) => {
                    self.lines.extend(lines);
                    self.say(format!("dm_report: failed to create regex matcher for selection field {key}"));
                    None
                }
            },
            Raw::Number { digits, unit, relation } => {
                let digits = shown(digits);
                let Some(limit) = limit(&digits, unit, self.names.classic) else {
                    self.say(format!(
                        "Field selection value {digits} out of supported range for field {key}."
                    ));
                    return None;
                };
                Some(Operand::Number { limit, relation })
            }
        }
    }
}

/// An operand as it was read, not yet looked into.
enum Raw<'t> {
    Done(Operand),
    Pattern(&'t [u8]),
    Number { digits: &'t [u8], unit: Option<u64>, relation: Option<Relation> },
}

/// The number that the digits are; of a size, in sectors.
fn limit(digits: &str, unit: Option<u64>, classic: bool) -> Option<Limit> {
    let real: f64 = if digits == "." { 0.0 } else { digits.parse().ok()? };
    if let Some(unit) = unit {
        // A unit is at most 2^60: a power of two, or of ten with few digits.
        #[allow(clippy::cast_precision_loss, reason = "every unit is exact")]
        let sectors = real * unit as f64 / 512.0;
        return Some(Limit::Real(sectors));
    }
    let whole = digits.split('.').next().unwrap_or_default();
    let whole = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some(if classic { Limit::Bits(whole) } else { Limit::Either(whole, real) })
}

/// The bytes that a letter behind a size stands for: powers of 1024, of 1000 for a capital.
fn unit(letter: u8) -> Option<u64> {
    let power = |letters: &[u8]| letters.iter().position(|known| *known == letter);
    match letter {
        b'h' | b'H' | b'r' | b'R' | b'b' | b'B' => Some(1),
        b's' | b'S' => Some(512),
        _ => {
            let exponent = |place: usize| u32::try_from(place + 1).ok();
            let binary = power(b"kmgtpe").and_then(exponent).map(|exponent| 1024u64.pow(exponent));
            binary.or_else(|| power(b"KMGTPE").and_then(exponent).map(|exponent| 1000u64.pow(exponent)))
        }
    }
}

/// The text behind a quote, and the quote.
fn quoted(text: &[u8]) -> (&[u8], Option<u8>) {
    match text.split_first() {
        Some((quote @ (b'"' | b'\''), rest)) => (rest, Some(*quote)),
        _ => (text, None),
    }
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
