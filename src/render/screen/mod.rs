//! What people see at a terminal: tables that fit its width, sizes in units, states in colours.
//!
//! Nothing here is for scripts: where standard output is no terminal dmsetup's own lines are written, and this room is
//! not asked. Names come in any bytes, so what could change the terminal's state is shown as an escape.

mod amount;
mod grid;
mod info;
mod lists;
mod paint;
mod tree;

pub use amount::human;
pub use info::info as info_screen;
pub use lists::{SeenDevice, SeenLine, Shows, depending, devices, holders, lines, targets};
pub use paint::{Ink, Paint};
pub use tree::tree as tree_screen;

/// A terminal: how wide it is, and whether it shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Columns.
    pub width: u16,
    /// Its colours.
    pub paint: Paint,
}

/// Text of any bytes as it may be shown: what is no character, or moves the cursor, as an escape.
pub(in crate::render) fn printable(text: &[u8]) -> String {
    let mut shown = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            if char.is_control() || is_private(char) {
                shown.extend(char.escape_unicode());
            } else {
                shown.push(char);
            }
        }
        chunk.invalid().iter().for_each(|byte| shown.push_str(&format!("\\x{byte:02x}")));
    }
    shown
}

/// Characters that mean nothing to anybody else; one of them stands between columns until they are painted.
fn is_private(char: char) -> bool {
    ('\u{e000}'..='\u{f8ff}').contains(&char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_the_cursor_is_shown() {
        assert_eq!(printable(b"vol\x1b[2J\xffx\n"), "vol\\u{1b}[2J\\xffx\\u{a}");
        assert_eq!(printable("größe\u{e000}".as_bytes()), "größe\\u{e000}");
    }
}
