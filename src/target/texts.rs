//! How a target's texts read, the parameters of a table line and the status: what each word of them means.
//!
//! A target describes both in its own file, by the parts below; [`decode`](super::decode) reads a text by that, the schema of
//! the JSON documents and the manual pages are made of it. The names of sizes and positions end in `_bytes`, whatever the text
//! counts in.

/// The two texts of a target type.
#[derive(Clone, Copy, Debug)]
pub struct Texts {
    /// The parameters, as the kernel prints them in a table.
    pub table: Form,
    /// The status, as the kernel prints it.
    pub status: Form,
}

/// A text: its parts one after the other, and nothing behind them.
pub type Form = &'static [Part];

/// A word with a name.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// What programs know it by: small letters and underscores.
    pub name: &'static str,
    /// What stands there.
    pub kind: Kind,
    /// What it means: a few words for the schema and the manual.
    pub means: &'static str,
}

/// What may stand in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A device: `MAJOR:MINOR`, or a path.
    Device,
    /// A decimal number.
    Number,
    /// A decimal number of sectors, which is told in bytes.
    Sectors,
    /// One of these, or `-` for none.
    OrNone(&'static Kind),
}

/// A part of a text.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// One word.
    One(Word),
    /// Two with a slash between, as one: `12/34`.
    Ratio(Word, Word),
    /// A word in which each letter tells of one thing: a list of letters.
    Letters(&'static str, &'static str),
    /// A number that says how many of something follow; by what follows it is told.
    Count(&'static str),
    /// As many words as that count says: a list.
    Many(Word, &'static str),
    /// As many times these as the count says, or to the end of the text without one: a list of objects. A name, what it means, the
    /// count, the parts of each.
    Each(&'static str, &'static str, Option<&'static str>, Form),
    /// The next words, as many as the count says, and all of them by these parts.
    Within(&'static str, Form),
    /// Features to the end of the text, or of the words it is within, in any order.
    Features(&'static [Feature]),
    /// These parts in an object of their own: its name, what it means.
    Object(&'static str, &'static str, Form),
    /// Nothing, at the end of the text, or else these.
    Maybe(Form),
    /// The first of these that reads all that is left.
    Either(&'static [Form]),
    /// A word that is always the same.
    Fixed(&'static str),
    /// All that is left, at least a word, as one text: its name, what it means.
    Rest(&'static str, &'static str),
}

/// A feature: a word that may stand among others.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// The word itself, by which it is told as well; one that ends in a colon has its value behind that.
    pub word: &'static str,
    /// What it means.
    pub means: &'static str,
    /// The words that come with it: none, and it is told whether it stands there; one, and that is its value; more, and they
    /// are an object.
    pub form: Form,
}

impl Feature {
    /// What programs know it by.
    pub fn name(&self) -> &'static str {
        self.word.trim_end_matches(':')
    }
}

/// What features that are not known are told by: a list of words.
pub const OTHER: &str = "other";

/// One word, in short.
pub(super) const fn one(name: &'static str, kind: Kind, means: &'static str) -> Part {
    Part::One(word(name, kind, means))
}

/// A word, in short.
pub(super) const fn word(name: &'static str, kind: Kind, means: &'static str) -> Word {
    Word { name, kind, means }
}

/// A feature without a value, in short.
pub(super) const fn flag(word: &'static str, means: &'static str) -> Feature {
    Feature { word, means, form: &[] }
}

/// The status of most targets: no word.
pub(super) const EMPTY: Form = &[];
