//! A table's text that may be wrong in several places: what can be read of it, and everything that cannot.

use super::table_text::{Place, parse_line};
use super::{Amounts, Fault, Line, TableSyntaxError};

/// The lines of a table's text, those that cannot be read among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableDraft {
    /// Each line, empty ones and comments left out; `None` for one that cannot be read.
    pub lines: Vec<Option<Line>>,
    /// What is wrong with those that cannot be read, in the order of the text.
    pub faults: Vec<TableSyntaxError>,
    places: Vec<Place>,
}

impl TableDraft {
    /// Reads a table's text as [`super::SourceTable::parse_as`] does, and goes on where that gives up.
    pub fn parse(text: &[u8], mut amounts: Amounts<'_>) -> Self {
        let mut draft = Self::default();
        for (index, text) in text.split(|&byte| byte == b'\n').enumerate() {
            let number = index + 1;
            let (line, params) = match parse_line(text, &mut amounts) {
                Ok(None) => continue,
                Ok(Some((line, params))) => (Some(line), params),
                Err(flaws) => {
                    draft.faults.extend(flaws.into_iter().map(|flaw| flaw.in_line(number, text)));
                    (None, 0..0)
                }
            };
            draft.lines.push(line);
            draft.places.push(Place::new(number, text, params));
        }
        draft
    }

    /// The place in the text of a fault that a driver found, its lines counted as in `lines`; `None` when it is no
    /// particular line's.
    pub fn locate(&self, fault: &Fault) -> Option<TableSyntaxError> {
        Some(self.places.get(fault.line?)?.locate(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::{LineField, Text};

    #[test]
    fn every_line_that_cannot_be_read_is_told_and_the_rest_is_read() {
        let draft = TableDraft::parse(
            b"# two that are right, three faults\nx 8y zero\n\n0 8 zero\n8\n8 8 error # end",
            Amounts::Sectors,
        );
        let told: Vec<(usize, String)> = draft
            .faults
            .iter()
            .map(|fault| (fault.line, Text::from(&fault.text[fault.span.clone()]).to_string()))
            .collect();
        assert_eq!(told, [(2, "x".into()), (2, "8y".into()), (5, String::new())]);
        let lines: Vec<bool> = draft.lines.iter().map(Option::is_some).collect();
        assert_eq!(lines, [false, true, false, true]);
        let place = draft.locate(&Fault::invalid("odd").at_line(3).at_field(LineField::Target)).unwrap();
        assert_eq!((place.line, &place.text[place.span.clone()]), (6, &b"error"[..]));
        assert_eq!(draft.locate(&Fault::invalid("whole")), None);
    }
}
