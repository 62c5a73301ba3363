//! A table of columns that fits a width: laid out without colours, and painted then.

use super::paint::Ink;
use super::{Screen, printable};
use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, Table, TableStyle, Width,
};

/// Stands between columns until they are painted; [`printable`] leaves none of it in a cell.
const BORDER: char = '\u{e000}';

/// The least width of a column that is broken into several lines.
const LEAST: u16 = 10;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    head: &'static str,
    is_number: bool,
    breaks: bool,
    ink: fn(&str) -> Ink,
}

impl Column {
    /// Of words that stay whole.
    pub(super) fn word(head: &'static str, ink: fn(&str) -> Ink) -> Self {
        Self { head, is_number: false, breaks: false, ink }
    }

    /// Of numbers and sizes, at the right.
    pub(super) fn number(head: &'static str) -> Self {
        Self { head, is_number: true, breaks: false, ink: |_| Ink::Plain }
    }

    /// Of text that goes on in the next line where it is too long.
    pub(super) fn text(head: &'static str, ink: fn(&str) -> Ink) -> Self {
        Self { head, is_number: false, breaks: true, ink }
    }
}

/// A table.
#[derive(Debug)]
pub(super) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// Without rows.
    pub(super) fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row: a cell for each column. A line end in a cell makes a line of its own.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Draws it.
    pub(super) fn draw(self, screen: Screen) -> Vec<u8> {
        let mut table = Table::new();
        let border = ContentLineStyle::none().junction(BORDER);
        table.load_style(TableStyle::new().header_lines(border).content_lines(border));
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(screen.width);
        table.set_header(self.columns.iter().map(|column| column.head));
        for row in self.rows {
            table.add_row(row);
        }
        let widths = table.column_max_content_widths();
        for ((column, laid), width) in self.columns.iter().zip(table.column_iter_mut()).zip(widths) {
            laid.set_padding((0, 1));
            if column.is_number {
                laid.set_cell_alignment(CellAlignment::Right);
            }
            laid.set_constraint(match column.breaks {
                true => ColumnConstraint::LowerBoundary(Width::Fixed(LEAST.min(width) + 1)),
                false => ColumnConstraint::ContentWidth,
            });
        }
        let mut text = String::new();
        for (number, line) in table.lines().enumerate() {
            let mut painted = String::new();
            for (place, piece) in line.split(BORDER).enumerate() {
                let ink = self.columns.get(place).map(|column| column.ink);
                painted.push_str(if place > 0 { " " } else { "" });
                painted.push_str(&paint(screen, piece, |word| match ink {
                    _ if number == 0 => Ink::Head,
                    Some(ink) => ink(word),
                    None => Ink::Plain,
                }));
            }
            text.push_str(painted.trim_end());
            text.push('\n');
        }
        text.into_bytes()
    }
}

/// The piece with what is not blank in it painted.
fn paint(screen: Screen, piece: &str, ink: impl Fn(&str) -> Ink) -> String {
    let word = piece.trim();
    let begin = piece.len() - piece.trim_start().len();
    let (before, after) = (&piece[..begin], &piece[begin + word.len()..]);
    format!("{before}{}{after}", screen.paint.on(ink(word), word))
}

/// A cell of any bytes.
pub(super) fn cell(text: &[u8]) -> String {
    printable(text)
}

#[cfg(test)]
mod tests {
    use super::super::Paint;
    use super::*;

    fn drawn(width: u16, paint: Paint) -> String {
        let mut grid = Grid::new(vec![
            Column::text("NAME", |_| Ink::Name),
            Column::number("SIZE"),
            Column::text("TARGETS", |_| Ink::Plain),
        ]);
        grid.row(vec!["vol0".into(), "50.0 KiB".into(), "linear, striped, zero, error".into()]);
        grid.row(vec!["a-longer-name".into(), "4.0 GiB".into(), "zero".into()]);
        String::from_utf8(grid.draw(Screen { width, paint })).unwrap()
    }

    #[test]
    fn columns_fit_the_width() {
        assert_eq!(
            drawn(80, Paint::Plain),
            "NAME               SIZE  TARGETS\nvol0           50.0 KiB  linear, striped, zero, error\n\
             a-longer-name   4.0 GiB  zero\n"
        );
        let narrow = drawn(40, Paint::Plain);
        assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
        assert!(narrow.lines().count() > 3 && narrow.contains("4.0 GiB"), "{narrow}");
    }

    #[test]
    fn colours_change_no_column() {
        let painted = drawn(80, Paint::Coloured);
        assert!(painted.contains("\x1b[1mvol0\x1b[0m  "), "{painted:?}");
        let mut plain = String::new();
        for part in painted.split('\x1b') {
            plain.push_str(if plain.is_empty() { part } else { part.split_once('m').unwrap().1 });
        }
        assert_eq!(plain.trim_start_matches("[4m"), drawn(80, Paint::Plain));
    }
}
