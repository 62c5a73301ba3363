//! The manual page of the protocol names everything that the tables of keys have.

use rdmsetup::dm::{CommandKind, Flags};
use rdmsetup::wire::proplib::{PROPOSED, SHIPPED, WORDS};

#[test]
fn the_page_tells_every_command_key_and_flag() {
    let page = include_str!("../../man/rdmsetup-protocol.7");
    let mut missing: Vec<String> = Vec::new();
    let mut need = |word: &str, what: &str| {
        let is_there =
            page.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|found| found == word);
        if !is_there && !page.contains(&format!("\"{word}\"")) {
            missing.push(format!("{what} {word}"));
        }
    };
    for vocabulary in [&SHIPPED, &PROPOSED] {
        vocabulary.header().iter().chain(&vocabulary.elements()).for_each(|key| need(key.name, "key"));
    }
    WORDS.iter().for_each(|word| need(word.word, "command"));
    CommandKind::ALL.iter().for_each(|kind| need(kind.c_name(), "ioctl"));
    for bit in (0..20).filter(|bit| *bit != 7) {
        need(&Flags(1 << bit).to_string(), "flag");
    }
    for word in WORDS {
        let systems = match (word.netbsd, word.dragonfly) {
            (true, true) => "N, D)",
            (true, false) => "N)",
            (false, true) => "D)",
            (false, false) => continue,
        };
        let line = page.lines().find(|line| line.contains(word.word) && line.contains(word.kind.c_name()));
        assert!(line.is_some_and(|line| line.contains(&format!("; {systems}"))), "{}: {line:?}", word.word);
    }
    assert!(missing.is_empty(), "{missing:?}");
}
