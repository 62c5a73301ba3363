//! A selection as it was read: conditions on columns, joined and negated; and whether a row meets it.

use super::field::{Order, Value};
use super::operators::Relation;
use super::pattern::Pattern;

/// A selection, or a part of one.
#[derive(Clone, Debug)]
pub(super) enum Selection {
    /// The column at that place meets the test.
    Where(usize, Test),
    /// All of them, or one of them.
    Join(Join, Vec<Selection>),
    /// Not so.
    Not(Box<Selection>),
}

/// How parts are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    All,
    Any,
}

/// What is asked of a value, and whether the answer is to be yes.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) operand: Operand,
    pub(super) wanted: bool,
}

/// What a value is compared with.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Pattern(Pattern),
    /// The same text.
    Text(Vec<u8>),
    /// The same number, or one in that relation.
    Number {
        limit: Limit,
        relation: Option<Relation>,
    },
    /// Items of a list: sorted.
    Items {
        items: Vec<Vec<u8>>,
        join: Join,
        subset: bool,
    },
}

/// A number that others are compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    /// By the whole number; fractions are numbers by their bits, as in dmsetup.
    Bits(u64),
    /// A number for whole ones and the same for fractions.
    Either(u64, f64),
    /// By the fraction, as sizes are.
    Real(f64),
}

impl Selection {
    /// Whether the row is one of those selected.
    pub(super) fn takes(&self, row: &[Value]) -> bool {
        match self {
            Self::Where(column, test) => row.get(*column).is_none_or(|value| test.is_met_by(value)),
            Self::Join(Join::All, parts) => parts.iter().all(|part| part.takes(row)),
            Self::Join(Join::Any, parts) => parts.iter().any(|part| part.takes(row)),
            Self::Not(part) => !part.takes(row),
        }
    }

    /// The opposite. dmsetup negates what is negated already no further.
    pub(super) fn negated(self, classic: bool) -> Self {
        match self {
            Self::Not(part) => {
                if classic {
                    Self::Not(part)
                } else {
                    *part
                }
            }
            part @ (Self::Where(..) | Self::Join(..)) => Self::Not(Box::new(part)),
        }
    }
}

impl Test {
    fn is_met_by(&self, value: &Value) -> bool {
        let met = match (&self.operand, value) {
            (Operand::Pattern(pattern), Value::List(items)) => {
                items.iter().any(|item| pattern.is_found_in(item))
            }
            (Operand::Pattern(pattern), value) => pattern.is_found_in(&value.shown()),
            (Operand::Text(text), value) => *value.shown() == text[..],
            (Operand::Number { limit, relation }, Value::Number { order, .. }) => {
                relates(*order, *limit, *relation)
            }
            (Operand::Items { items, join, subset }, Value::List(found)) => {
                let mut found: Vec<&[u8]> = found.iter().map(|item| item.as_bytes()).collect();
                found.sort_unstable();
                has_items(&found, items, *join, *subset)
            }
            (Operand::Number { .. } | Operand::Items { .. }, _) => false,
        };
        met == self.wanted
    }
}

/// Whether a number is the limit, or is in the relation to it.
fn relates(order: Order, limit: Limit, relation: Option<Relation>) -> bool {
    match (order, limit) {
        (order, Limit::Bits(limit)) => whole(order.key(), limit, relation),
        (Order::Whole(number), Limit::Either(limit, _)) => whole(number, limit, relation),
        (Order::Real(number), Limit::Either(_, limit) | Limit::Real(limit)) => real(number, limit, relation),
        (Order::Whole(number), Limit::Real(limit)) => {
            // Sizes are fractions wherever they come from; 2^53 sectors are 4 EiB.
            #[allow(clippy::cast_precision_loss, reason = "no size is that large")]
            let number = number as f64;
            real(number, limit, relation)
        }
    }
}

fn whole(number: u64, limit: u64, relation: Option<Relation>) -> bool {
    match relation {
        None => number == limit,
        Some(Relation::AtLeast) => number >= limit,
        Some(Relation::Above) => number > limit,
        Some(Relation::AtMost) => number <= limit,
        Some(Relation::Below) => number < limit,
    }
}

fn real(number: f64, limit: f64, relation: Option<Relation>) -> bool {
    let same = (number - limit).abs() < f64::EPSILON;
    match relation {
        None => same,
        Some(Relation::AtLeast) => same || number > limit,
        Some(Relation::Above) => !same && number > limit,
        Some(Relation::AtMost) => same || number < limit,
        Some(Relation::Below) => !same && number < limit,
    }
}

/// Whether a list has the items: any of them; all of them and no other; or all of them among others. An empty list has
/// the empty item.
fn has_items(found: &[&[u8]], wanted: &[Vec<u8>], join: Join, subset: bool) -> bool {
    let found: &[&[u8]] = if found.is_empty() { &[b""] } else { found };
    match (join, subset) {
        (Join::Any, _) => wanted.iter().any(|item| found.contains(&item.as_slice())),
        (Join::All, true) => wanted.iter().all(|item| found.contains(&item.as_slice())),
        (Join::All, false) => found.iter().copied().eq(wanted.iter().map(Vec::as_slice)),
    }
}
