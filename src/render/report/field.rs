//! What a report can show: a field with its key, heading, kind, width, help and value; groups of fields; values.
//!
//! One definition is all that there is of a field: columns, help, selections and JSON are read off it. The value is a
//! function of the caller's row, so that what costs a look into the system is looked up only where a column asks.

use crate::dm::Text;

/// What kind of thing a field holds: how it is aligned, ordered and selected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text: aligned left, compared as bytes.
    Text,
    /// A number: aligned right, compared by its order.
    Number,
    /// A size in sectors: aligned right; a selection by it may have a unit.
    Size,
    /// Texts with commas between. To dmsetup it is one text; else a selection sees the items.
    List,
}

/// A field, of rows of type `R`.
#[derive(Debug)]
pub struct Field<R: 'static> {
    /// The group that it belongs to.
    pub group: Groups,
    /// The name for `-o`, `-O`, `-S`: small letters, underscores between words.
    pub key: &'static str,
    /// What stands above the column.
    pub heading: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The least width of the column, in bytes.
    pub width: usize,
    /// A sentence for the list of fields.
    pub help: &'static str,
    /// The value that a row has.
    pub value: fn(&R) -> Result<Value, NoValue>,
}

/// A set of groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Groups(pub u32);

/// A group of fields: `-o PREFIX_all` shows them all.
#[derive(Debug)]
pub struct Group {
    /// The group's own bit.
    pub bit: Groups,
    /// What its name begins with, underscore and all: `info_`.
    pub prefix: &'static str,
    /// The title over its fields in the list of fields. Neighbours that have the same one share it.
    pub title: &'static str,
}

/// Every field that a report may show.
#[derive(Debug)]
pub struct Catalogue<R: 'static> {
    /// The groups, each with a bit of its own.
    pub groups: &'static [Group],
    /// The fields, in the order of the list of fields; in pieces, so that each piece can stand where it is made.
    pub fields: &'static [&'static [Field<R>]],
}

/// What a row has in a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// For `Kind::Text`.
    Text(Text),
    /// For `Kind::Number` and `Kind::Size`: as it is shown, and where it stands among its like.
    Number {
        /// As it is shown.
        shown: String,
        /// What it is compared by.
        order: Order,
    },
    /// For `Kind::List`.
    List(Vec<Text>),
}

/// What numbers are compared by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// A whole number. One below zero is above all others, as in dmsetup.
    Whole(u64),
    /// A fraction, 0 or more.
    Real(f64),
}

/// Why a row has nothing in a field, not even an empty text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoValue {
    /// The row is not about such a thing.
    NotThere,
    /// It could not be found out: a line that says why.
    Because(String),
}

impl Groups {
    /// No group.
    pub const NONE: Self = Self(0);
    /// Every group that there may be.
    pub const ALL: Self = Self(u32::MAX);

    /// Whether any group is in both.
    pub const fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The groups of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// A whole number, 0 or more.
    pub fn unsigned(number: impl Into<u64>) -> Self {
        let number = number.into();
        Self::Number { shown: number.to_string(), order: Order::Whole(number) }
    }

    /// A whole number that may be below zero.
    pub fn signed(number: impl Into<i64>) -> Self {
        let number = number.into();
        Self::Number { shown: number.to_string(), order: Order::Whole(number.cast_unsigned()) }
    }

    /// A fraction, as `shown` has it.
    pub fn real(shown: impl Into<String>, number: f64) -> Self {
        Self::Number { shown: shown.into(), order: Order::Real(number) }
    }

    /// How many bytes are shown.
    pub(super) fn shown_len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Number { shown, .. } => shown.len(),
            Self::List(items) => items.iter().map(|item| item.len() + 1).sum::<usize>().saturating_sub(1),
        }
    }

    /// The bytes that are shown.
    pub(super) fn shown(&self) -> Text {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number { shown, .. } => shown.as_str().into(),
            Self::List(items) => items.iter().map(Text::as_bytes).collect::<Vec<_>>().join(&b',').into(),
        }
    }
}

impl<R> Catalogue<R> {
    /// Each field, in order.
    pub(super) fn fields(&self) -> impl Iterator<Item = &'static Field<R>> + use<R> {
        self.fields.iter().flat_map(|piece| piece.iter())
    }
}
