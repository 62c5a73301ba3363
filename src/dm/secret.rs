//! What may hold an encryption key: such texts are asked for with `Flags::SECURE_DATA`, shown in no trace, and wiped.

use super::{Carried, Line, Reply, Request, StatusLine};

/// Whether the parameters of a line of that target type may hold a key.
pub fn may_hold_key(target: &[u8]) -> bool {
    matches!(target, b"crypt" | b"integrity")
}

impl Request {
    /// Whether it has a key in it, or may have.
    pub fn holds_secret(&self) -> bool {
        match self.command.carried() {
            Carried::Table(table) => table.lines.iter().any(|line| may_hold_key(&line.target)),
            // crypt's `key set KEY`.
            Carried::Message(_, message) => {
                message.get(..7).is_some_and(|begin| begin.eq_ignore_ascii_case(b"key set"))
            }
            Carried::NewName(_) | Carried::Geometry(_) | Carried::TargetType(_) | Carried::Nothing => false,
        }
    }
}

impl Reply {
    /// Whether it has a key in it, or may have.
    pub fn holds_secret(&self) -> bool {
        self.lines().iter().any(|line| may_hold_key(&line.target))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if may_hold_key(&self.target) {
            self.params.wipe();
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        if may_hold_key(&self.target) {
            self.params.wipe();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::Command;
    use crate::dm::{DeviceId, SourceTable, Text};

    #[test]
    fn what_may_hold_a_key_is_known() {
        let load = |table: &str| {
            let table = SourceTable::parse(table.as_bytes()).unwrap().table.clone();
            Request::new(DeviceId::by_name("c"), Command::TableLoad(table)).holds_secret()
        };
        assert!(load("0 8 zero\n8 8 crypt aes 00 0 disk 0") && !load("0 8 linear disk 0"));
        let message = |text: &str| {
            let message = Command::TargetMsg { sector: Default::default(), message: text.into() };
            Request::new(DeviceId::by_name("c"), message).holds_secret()
        };
        assert!(message("key set 00") && message("KEY SET 00") && !message("key wipe"));
    }

    #[test]
    fn a_wiped_text_is_empty() {
        let mut text = Text::from("0123");
        text.wipe();
        assert!(text.is_empty());
    }
}
