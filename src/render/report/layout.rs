//! How the rows of a report are written: columns, one line a field, names for a shell, JSON.

use super::columns::Column;
use super::field::Value;

/// The options that say how.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Columns padded to the same width.
    pub aligned: bool,
    /// Kept back until all rows are there, and sorted. Lines by field are always.
    pub buffered: bool,
    /// What stands above the columns.
    pub headings: Headings,
    /// What stands between the columns.
    pub separator: Vec<u8>,
    /// `DM_NAME='vol0'` instead of the bare value: what precedes the field's name.
    pub prefix: Option<&'static str>,
    /// Values behind names stand in quotes.
    pub quoted: bool,
    /// One line a field, not one a row.
    pub by_field: bool,
    /// One JSON document, and nothing of the above.
    pub json: bool,
}

/// What stands above the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headings {
    /// Nothing.
    None,
    /// The fields' headings.
    Abbreviated,
    /// The fields' names.
    Full,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            aligned: true,
            buffered: true,
            headings: Headings::Abbreviated,
            separator: b" ".to_vec(),
            prefix: None,
            quoted: true,
            by_field: false,
            json: false,
        }
    }
}

/// Writes rows.
pub(super) struct Writer<'a> {
    pub(super) layout: &'a Layout,
    pub(super) columns: &'a [Column],
    /// Called as dmsetup: quotes are not marked.
    pub(super) classic: bool,
}

impl Writer<'_> {
    /// Adds the rows to the text; the headings over them, if they are to be there.
    pub(super) fn write(&self, rows: &[Vec<Value>], headed: bool, text: &mut Vec<u8>) {
        if self.layout.json {
            self.write_json(rows, text);
        } else if self.layout.by_field {
            self.write_by_field(rows, text);
        } else {
            let widths = self.widths(rows);
            if headed && self.layout.headings != Headings::None {
                self.write_headings(&widths, text);
            }
            for row in rows {
                let cells = self.shown().map(|place| self.cell(place, &row[place], widths[place]));
                self.write_line(cells, text);
            }
        }
    }

    /// The places of the columns that are shown.
    fn shown(&self) -> impl Iterator<Item = usize> {
        (0..self.columns.len()).filter(|place| !self.columns[*place].hidden)
    }

    fn write_line(&self, cells: impl Iterator<Item = Vec<u8>>, text: &mut Vec<u8>) {
        for (index, cell) in cells.enumerate() {
            if index > 0 {
                text.extend_from_slice(&self.layout.separator);
            }
            text.extend_from_slice(&cell);
        }
        text.push(b'\n');
    }

    fn heading(&self, place: usize) -> &'static str {
        let column = &self.columns[place];
        if self.layout.headings == Headings::Full { column.key } else { column.heading }
    }

    /// The width of each column, those not shown as well.
    pub(super) fn widths(&self, rows: &[Vec<Value>]) -> Vec<usize> {
        let is_full = self.layout.headings == Headings::Full;
        let widest = |(place, column): (usize, &Column)| {
            let name = if is_full { column.key.len() } else { 0 };
            let values = rows.iter().map(|row| row[place].shown_len());
            values.chain([column.least_width, name]).max().unwrap_or_default()
        };
        if !self.layout.aligned {
            return vec![0; self.columns.len()];
        }
        self.columns.iter().enumerate().map(widest).collect()
    }

    fn write_headings(&self, widths: &[usize], text: &mut Vec<u8>) {
        let cells = self.shown().map(|place| {
            let mut heading = self.heading(place).as_bytes().to_vec();
            if self.layout.aligned {
                heading.resize(widths[place], b' ');
            }
            heading
        });
        self.write_line(cells, text);
    }

    /// A value as it stands in the line.
    fn cell(&self, place: usize, value: &Value, width: usize) -> Vec<u8> {
        let shown = value.shown().into_bytes();
        let column = &self.columns[place];
        if let Some(prefix) = self.layout.prefix {
            let mut cell = format!("{prefix}{}=", column.key.to_ascii_uppercase()).into_bytes();
            if !self.layout.quoted {
                cell.extend_from_slice(&shown);
            } else {
                cell.push(b'\'');
                let quote: &[u8] = if self.classic { b"'" } else { b"'\\''" };
                cell.extend_from_slice(&shown.split(|byte| *byte == b'\'').collect::<Vec<_>>().join(quote));
                cell.push(b'\'');
            }
            return cell;
        }
        let padding = vec![b' '; width.saturating_sub(shown.len())];
        if column.is_right() { [padding, shown].concat() } else { [shown, padding].concat() }
    }

    fn write_by_field(&self, rows: &[Vec<Value>], text: &mut Vec<u8>) {
        for place in self.shown() {
            let heading =
                (self.layout.headings != Headings::None).then(|| self.heading(place).as_bytes().to_vec());
            let cells = rows.iter().map(|row| self.cell(place, &row[place], 0));
            self.write_line(heading.into_iter().chain(cells), text);
        }
    }

    /// `{"report":[{"name":"vol0","major":253}]}`: numbers as numbers, lists as arrays.
    fn write_json(&self, rows: &[Vec<Value>], text: &mut Vec<u8>) {
        text.extend_from_slice(b"{\"report\":[");
        for (index, row) in rows.iter().enumerate() {
            text.extend_from_slice(if index > 0 { b",\n{" } else { b"\n{" });
            for (index, place) in self.shown().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                text.extend_from_slice(
                    format!("{comma}\"{}\":{}", self.columns[place].key, json(&row[place])).as_bytes(),
                );
            }
            text.push(b'}');
        }
        text.extend_from_slice(b"\n]}\n");
    }
}

/// A value as JSON. What is shown of a number with a unit, or of one that is not there, is a text.
fn json(value: &Value) -> String {
    let text = |bytes: &[u8]| serde_json::Value::from(String::from_utf8_lossy(bytes)).to_string();
    match value {
        Value::Text(shown) => text(shown),
        Value::Number { shown, .. } => {
            let is_number = serde_json::from_str::<serde_json::Number>(shown).is_ok();
            if is_number { shown.clone() } else { text(shown.as_bytes()) }
        }
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| text(item)).collect();
            format!("[{}]", items.join(","))
        }
    }
}
