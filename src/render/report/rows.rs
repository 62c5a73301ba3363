//! A report: its columns, the rows that were added and selected, and the text that they come to.

use super::columns::{Chosen, Column, Direction, Names, Which};
use super::field::{Catalogue, Groups, Kind, NoValue, Order, Value};
use super::help;
use super::layout::{Layout, Writer};
use super::select_parser::Parser;
use super::selection::Selection;
use std::cmp::Ordering;

/// What a report is to show.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The columns, as `-o` has them.
    pub columns: &'a [u8],
    /// The keys to sort by, as `-O` has them; empty for the order in which rows come.
    pub sort: &'a [u8],
    /// The rows to take, as `-S` has them; empty for all.
    pub select: &'a [u8],
    /// The groups that the command is about, whatever the columns. If it is one alone, its fields may be called without
    /// the group's own name before them, and `all` is all of it.
    pub base: Groups,
    /// How it is written.
    pub layout: Layout,
    /// As dmsetup, its defects included.
    pub classic: bool,
}

/// A request that makes no report: the lines for standard error, dmsetup's first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The lines.
    pub lines: Vec<String>,
}

/// A row that lacks a value: the lines for standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// The lines.
    pub lines: Vec<String>,
}

/// A report over rows of type `R`.
#[derive(Debug)]
pub struct Report<R: 'static> {
    names: Names<R>,
    columns: Vec<Column>,
    keys: Vec<usize>,
    groups: Groups,
    selection: Option<Selection>,
    layout: Layout,
    rows: Vec<Vec<Value>>,
    text: Vec<u8>,
    notes: Vec<String>,
    /// Only the list of fields was asked for.
    is_help: bool,
    is_headed: bool,
}

impl<R> Report<R> {
    /// A report without rows yet.
    ///
    /// # Errors
    /// A name that no field has, or a selection that cannot be read.
    pub fn new(catalogue: &'static Catalogue<R>, request: &Request) -> Result<Self, Refusal> {
        let names = Names::new(catalogue, request.base, request.classic);
        let Chosen { mut columns, keys, mut groups, mut notes } =
            names.choose(request.columns, request.sort)?;
        let mut is_help = columns.iter().any(|column| column.which == Which::Help);
        if is_help {
            notes.extend(help::fields(&names, true));
        }
        let mut selection = None;
        if request.select == b"?" || request.select.eq_ignore_ascii_case(b"help") {
            notes.extend(help::fields(&names, false));
            notes.extend(help::selections());
            is_help = true;
        } else if !request.select.is_empty() && !request.select.eq_ignore_ascii_case(b"all") {
            selection = Some(Parser::new(&names, &mut columns, &mut groups).parse(request.select)?);
        }
        let mut layout = request.layout.clone();
        if layout.by_field {
            layout.aligned = false;
        }
        layout.buffered |= layout.by_field || layout.json || !request.sort.is_empty();
        let (rows, text) = (Vec::new(), Vec::new());
        Ok(Self {
            names,
            columns,
            keys,
            groups,
            selection,
            layout,
            rows,
            text,
            notes,
            is_help,
            is_headed: false,
        })
    }

    /// Lines for standard error that stop nothing: the list of fields where it was asked for, a sort key given twice.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The groups of which rows must have the data.
    pub fn groups(&self) -> Groups {
        self.groups
    }

    #[cfg(test)]
    pub(super) fn columns_shown(&self) -> Vec<&'static str> {
        self.columns.iter().filter(|column| !column.hidden).map(|column| column.key).collect()
    }

    /// Adds a row if it is selected; whether it is.
    ///
    /// # Errors
    /// A column for which the row has no value.
    pub fn add(&mut self, row: &R) -> Result<bool, Incomplete> {
        let Some((values, selected)) = self.evaluate(row)? else { return Ok(false) };
        let shows_selected =
            self.columns.iter().any(|column| column.which == Which::Selected && !column.hidden);
        if selected || shows_selected {
            self.rows.push(values);
            if !self.layout.buffered {
                self.write_rows();
            }
        }
        Ok(selected)
    }

    /// Whether a row is selected; it is not added.
    ///
    /// # Errors
    /// A column for which the row has no value.
    pub fn selects(&self, row: &R) -> Result<bool, Incomplete> {
        Ok(self.evaluate(row)?.is_some_and(|(_, selected)| selected))
    }

    /// A row's values, and whether it is selected; `None` where only help was asked for.
    fn evaluate(&self, row: &R) -> Result<Option<(Vec<Value>, bool)>, Incomplete> {
        if self.is_help {
            return Ok(None);
        }
        let mut values = vec![Value::unsigned(1u32); self.columns.len()];
        // dmsetup looks at hidden columns first, the last one before the others.
        let hidden = (0..self.columns.len()).rev().filter(|place| self.columns[*place].hidden);
        let shown = (0..self.columns.len()).filter(|place| !self.columns[*place].hidden);
        for place in hidden.chain(shown) {
            if let Which::Own(field) = self.columns[place].which {
                values[place] = self.value(field, row)?;
            }
        }
        let selected = self.selection.as_ref().is_none_or(|selection| selection.takes(&values));
        if !selected {
            for (value, column) in values.iter_mut().zip(&self.columns) {
                if column.which == Which::Selected {
                    *value = Value::unsigned(0u32);
                }
            }
        }
        Ok(Some((values, selected)))
    }

    fn value(&self, field: usize, row: &R) -> Result<Value, Incomplete> {
        let field = self.names.fields[field];
        match (field.value)(row) {
            Ok(list @ Value::List(_)) if self.names.classic => Ok(Value::Text(list.shown())),
            Ok(value) => Ok(value),
            Err(NoValue::NotThere) => Err(Incomplete {
                lines: vec![format!("_do_report_object: no data assigned to field {}", field.key)],
            }),
            Err(NoValue::Because(line)) => {
                let failed = format!("_do_report_object: report function failed for field {}", field.key);
                Err(Incomplete { lines: vec![line, failed] })
            }
        }
    }

    /// The text of the rows that are not kept back.
    pub fn written(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// The text of what is to be written by now: all rows with their headings, or those not kept back. The rows are
    /// gone then.
    pub fn output(&mut self) -> Vec<u8> {
        if !self.rows.is_empty() || self.layout.json && !self.is_help {
            self.write_rows();
        }
        self.is_headed = false;
        self.written()
    }

    fn write_rows(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        if self.layout.buffered {
            rows.sort_by(|one, other| self.compare(one, other));
        }
        let headed = self.layout.buffered || !self.is_headed;
        self.is_headed = true;
        let writer = Writer { layout: &self.layout, columns: &self.columns, classic: self.names.classic };
        writer.write(&rows, headed, &mut self.text);
        let widths = writer.widths(&rows);
        // A column that was wide once stays so, for rows that come one by one or again.
        for (column, width) in self.columns.iter_mut().zip(widths) {
            column.least_width = column.least_width.max(width);
        }
    }

    fn compare(&self, one: &[Value], other: &[Value]) -> Ordering {
        let by = |place: &usize| {
            let ordering = match (&one[*place], &other[*place]) {
                (Value::Number { order: one, .. }, Value::Number { order: other, .. }) => {
                    one.key().cmp(&other.key())
                }
                (one, other) => one.shown().cmp(&other.shown()),
            };
            if self.columns[*place].sort == Some(Direction::Descending) {
                ordering.reverse()
            } else {
                ordering
            }
        };
        self.keys.iter().map(by).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl Column {
    /// Whether values stand at the right of the column.
    pub(super) fn is_right(&self) -> bool {
        matches!(self.kind, Kind::Number | Kind::Size)
    }
}

impl Order {
    /// The number that sorting goes by: fractions of 0 and more are in the order of their bits.
    pub(super) fn key(self) -> u64 {
        match self {
            Self::Whole(number) => number,
            Self::Real(number) => number.to_bits(),
        }
    }
}
