//! Which columns a report has: the words of `-o` and `-O` looked up among the fields and the groups.
//!
//! Names match whatever the case and the underscores. `all` means the groups that are asked for by then, so the words
//! are read twice: first for the groups, then for the columns.

use super::field::{Catalogue, Field, Group, Groups, Kind};
use super::help;
use super::rows::Refusal;
use crate::dm::similar;

/// How many bytes a name may have without its underscores.
const MAX_NAME: usize = 31;

/// A field of the catalogue, or one of those that every report has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The field at that place.
    Own(usize),
    /// Whether the row is selected.
    Selected,
    /// Not a column: it asks for the list of fields. Also called `?`.
    Help,
}

/// A column, shown or only sorted or selected by.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) which: Which,
    pub(super) key: &'static str,
    pub(super) heading: &'static str,
    pub(super) kind: Kind,
    pub(super) least_width: usize,
    pub(super) hidden: bool,
    pub(super) sort: Option<Direction>,
}

/// Which way a column is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

/// The fields by name.
#[derive(Debug)]
pub(super) struct Names<R: 'static> {
    pub(super) catalogue: &'static Catalogue<R>,
    pub(super) fields: Vec<&'static Field<R>>,
    /// The groups that the command is about, and the beginning that their names need not have.
    base: Groups,
    prefix: &'static str,
    pub(super) classic: bool,
}

/// What the words of `-o` and `-O` come to.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) columns: Vec<Column>,
    /// The columns that are sorted by, the first first.
    pub(super) keys: Vec<usize>,
    pub(super) groups: Groups,
    /// Lines for standard error that stop nothing.
    pub(super) notes: Vec<String>,
}

impl<R> Names<R> {
    /// The fields of a catalogue, for a command that is about the groups `base`.
    pub(super) fn new(catalogue: &'static Catalogue<R>, base: Groups, classic: bool) -> Self {
        let own = catalogue.groups.iter().find(|group| group.bit == base);
        let prefix = own.map_or("", |group| group.prefix);
        Self { catalogue, fields: catalogue.fields().collect(), base, prefix, classic }
    }

    /// The field whose name is the first `len` bytes of `text`.
    pub(super) fn find(&self, text: &[u8], len: usize, lines: &mut Vec<String>) -> Option<Which> {
        let name = canonical(text, len, lines)?;
        let special = [("selected", Which::Selected), ("help", Which::Help), ("?", Which::Help)];
        let special = special.iter().find(|(key, _)| key.as_bytes().eq_ignore_ascii_case(&name));
        let own = || self.fields.iter().position(|field| self.is_called(field.key, &name));
        special.map(|(_, which)| *which).or_else(|| own().map(Which::Own)).filter(|_| len > 0)
    }

    /// Whether the key is that name, or that behind the command's own beginning.
    fn is_called(&self, key: &str, name: &[u8]) -> bool {
        let key: Vec<u8> = key.bytes().filter(|byte| *byte != b'_').collect();
        let short = key
            .get(..self.prefix.len().saturating_sub(1))
            .filter(|begin| !begin.is_empty() && self.prefix.as_bytes().starts_with(begin))
            .map(|begin| &key[begin.len()..]);
        key.eq_ignore_ascii_case(name) || short.is_some_and(|short| short.eq_ignore_ascii_case(name))
    }

    /// The groups that a word such as `info_all` or `all` means; `asked` are those asked for before it.
    fn find_all(&self, text: &[u8], len: usize, asked: Groups, lines: &mut Vec<String>) -> Groups {
        let is_plain = text[..len].eq_ignore_ascii_case(b"all");
        if is_plain && self.prefix.is_empty() {
            let meant = if self.classic { asked } else { self.base };
            return if meant == Groups::NONE { Groups::ALL } else { meant };
        }
        let (name, found) = if is_plain {
            (canonical(self.prefix.as_bytes(), self.prefix.len(), lines), asked)
        } else {
            (canonical(text, len, lines), Groups::NONE)
        };
        let name = name.unwrap_or_default();
        let is_meant = |group: &&Group| {
            let begin = group.prefix.trim_end_matches('_').as_bytes();
            let rest = name.get(..begin.len()).filter(|head| head.eq_ignore_ascii_case(begin));
            let rest = rest.map(|head| &name[head.len()..]);
            rest.is_some_and(|rest| rest.eq_ignore_ascii_case(b"all") || is_plain && rest.is_empty())
        };
        self.catalogue.groups.iter().filter(is_meant).fold(found, |found, group| found.with(group.bit))
    }

    /// The group of a field.
    pub(super) fn group_of(&self, which: Which) -> Groups {
        if let Which::Own(place) = which { self.fields[place].group } else { Groups::NONE }
    }

    /// The column of a field.
    pub(super) fn column(&self, which: Which, hidden: bool) -> Column {
        let (key, heading, kind, least_width) = match which {
            Which::Own(place) => {
                let field = self.fields[place];
                (field.key, field.heading, field.kind, field.width)
            }
            Which::Selected => ("selected", "Selected", Kind::Number, 8),
            Which::Help => ("help", "Help", Kind::Number, 8),
        };
        let kind = if self.classic && kind == Kind::List { Kind::Text } else { kind };
        Column { which, key, heading, kind, least_width, hidden, sort: None }
    }

    /// The columns that the words ask for.
    pub(super) fn choose(&self, columns: &[u8], sort: &[u8]) -> Result<Chosen, Refusal> {
        let mut chosen = Chosen { groups: self.base, ..Chosen::default() };
        for counts_only in [true, false] {
            each_word(columns, |text, len| self.choose_column(text, len, counts_only, &mut chosen))?;
            each_word(sort, |text, len| self.choose_key(text, len, counts_only, &mut chosen))?;
        }
        Ok(chosen)
    }

    fn choose_column(
        &self,
        text: &[u8],
        len: usize,
        counts_only: bool,
        chosen: &mut Chosen,
    ) -> Result<(), Refusal> {
        let mut lines = Vec::new();
        if let Some(which) = self.find(text, len, &mut lines) {
            if counts_only {
                chosen.groups = chosen.groups.with(self.group_of(which));
            } else {
                chosen.columns.push(self.column(which, false));
            }
            return Ok(());
        }
        let groups =
            if len == 0 { Groups::NONE } else { self.find_all(text, len, chosen.groups, &mut lines) };
        if groups == Groups::NONE {
            return Err(self.unknown(lines, "Unrecognised field", &text[..len]));
        }
        if counts_only {
            chosen.groups = chosen.groups.with(groups);
        } else {
            let members = (0..self.fields.len()).filter(|place| self.fields[*place].group.overlaps(groups));
            chosen.columns.extend(members.map(|place| self.column(Which::Own(place), false)));
        }
        Ok(())
    }

    fn choose_key(
        &self,
        text: &[u8],
        len: usize,
        counts_only: bool,
        chosen: &mut Chosen,
    ) -> Result<(), Refusal> {
        let mut lines = Vec::new();
        let (sign, direction) = match text[..len].first() {
            Some(b'-') => (1, Direction::Descending),
            Some(b'+') => (1, Direction::Ascending),
            _ => (0, Direction::Ascending),
        };
        if sign == len && sign == 1 {
            lines.push("dm_report: Missing sort field name".into());
        }
        let Some(which) = self.find(&text[sign..], len - sign, &mut lines) else {
            return Err(self.unknown(lines, "dm_report: Unrecognised field", &text[..len]));
        };
        if counts_only {
            chosen.groups = chosen.groups.with(self.group_of(which));
            return Ok(());
        }
        let place = self.place_of(which, &mut chosen.columns);
        let column = &mut chosen.columns[place];
        if column.sort.is_some() {
            chosen.notes.push(format!("dm_report: Ignoring duplicate sort field: {}.", column.key));
        } else {
            column.sort = Some(direction);
            chosen.keys.push(place);
        }
        Ok(())
    }

    /// Where the field's first column is; a hidden one where it has none yet.
    pub(super) fn place_of(&self, which: Which, columns: &mut Vec<Column>) -> usize {
        columns.iter().position(|column| column.which == which).unwrap_or_else(|| {
            columns.push(self.column(which, true));
            columns.len() - 1
        })
    }

    fn unknown(&self, mut lines: Vec<String>, what: &str, word: &[u8]) -> Refusal {
        lines.extend(help::fields(self, true));
        lines.push(format!("{what}: {}", String::from_utf8_lossy(word)));
        if !self.classic {
            let word = word.strip_prefix(b"+").or_else(|| word.strip_prefix(b"-")).unwrap_or(word);
            let near = similar(word, self.fields.iter().map(|field| field.key));
            let hint = near
                .map_or("`-o help` lists the fields".to_owned(), |near| format!("did you mean \"{near}\"?"));
            lines.push(format!("  hint: {hint}"));
        }
        Refusal { lines }
    }
}

/// A name without its underscores; `None`, and a line that says so, when it is too long for a name.
fn canonical(text: &[u8], len: usize, lines: &mut Vec<String>) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(MAX_NAME);
    for (place, &byte) in text[..len].iter().enumerate().filter(|(_, byte)| **byte != b'_') {
        if name.len() == MAX_NAME {
            lines.push(format!("{}: field name too long.", String::from_utf8_lossy(&text[place..])));
            return None;
        }
        name.push(byte);
    }
    Some(name)
}

/// Hands on each word between commas, as the rest of the text and the word's length. A comma at the end has an empty
/// word behind it; several in a row are one.
fn each_word(text: &[u8], mut act: impl FnMut(&[u8], usize) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let mut rest = text;
    while !rest.is_empty() {
        let begin = rest.iter().position(|byte| *byte != b',').unwrap_or(rest.len());
        rest = &rest[begin..];
        let len = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
        act(rest, len)?;
        rest = &rest[len..];
    }
    Ok(())
}
