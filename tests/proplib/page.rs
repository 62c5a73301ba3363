//! The manual page of the protocol names everything that the tables of keys have, where it belongs, and the tables have
//! everything that is written.

use rdmsetup::dm::{
    Command, CommandKind, DeviceId, DeviceNumber, Flags, Line, ListedDevice, Reply, ReplyBody, Request,
    Sectors, StatusLine, Table, TargetVersion, Text, Version,
};
use rdmsetup::wire::proplib::{self, Dict, Key, PROPOSED, SHIPPED, Shape, Value, Vocabulary, WORDS};
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../man/rdmsetup-protocol.7");

/// The lines of a part of the page, from its heading to the next.
fn part(heading: &str) -> Vec<&'static str> {
    let from = PAGE.lines().skip_while(|line| *line != heading).skip(1);
    from.take_while(|line| !line.starts_with(".S")).collect()
}

/// The arguments of a line's request, a text in quotes being one.
fn arguments(line: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => found.push(String::new()),
            other => found.last_mut().unwrap().push(other),
        }
    }
    found.into_iter().skip(1).filter(|word| !word.is_empty()).collect()
}

/// Whether a line has the key in bold; with its type behind it, if that is wanted.
fn names(line: &str, key: &Key, with_type: bool) -> bool {
    let words = arguments(line);
    let kind = key.holds.split(' ').next().unwrap();
    let typed = |at: usize| words[at + 1..].iter().any(|word| word.contains(kind));
    match line.split(' ').next() {
        Some(".BR") => {
            (0..words.len()).step_by(2).any(|at| words[at] == key.name && (!with_type || typed(at)))
        }
        Some(".B") => !with_type && words.concat() == key.name,
        _ => false,
    }
}

#[test]
fn the_page_tells_every_key_in_the_form_that_it_belongs_to() {
    let mut missing = Vec::new();
    for (vocabulary, heading) in
        [(&SHIPPED, ".SS Of the netbsd form"), (&PROPOSED, ".SS Of the proposed form")]
    {
        let lines = part(heading);
        let above = part(".SS Of the netbsd form");
        for key in vocabulary.header().iter().chain(&vocabulary.elements()) {
            let is_named = lines.iter().any(|line| names(line, key, false));
            let is_typed = lines.iter().chain(&above).any(|line| names(line, key, true));
            if !is_named || !is_typed {
                missing.push(format!("{} {}: named {is_named}, typed {is_typed}", vocabulary.name, key.name));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A request of each command, with all that a request can say.
fn requests() -> Vec<Request> {
    let line = Line { start: Sectors(0), length: Sectors(8), target: "zero".into(), params: "x".into() };
    let commands = [
        Command::Version,
        Command::RemoveAll,
        Command::ListDevices,
        Command::DevCreate,
        Command::DevRemove,
        Command::DevRename("new".into()),
        Command::DevSuspend,
        Command::DevStatus,
        Command::DevWait,
        Command::TableLoad(Table { lines: vec![line] }),
        Command::TableClear,
        Command::TableDeps,
        Command::TableStatus,
        Command::ListVersions,
        Command::TargetMsg { sector: Sectors(1), message: "hello".into() },
        Command::DevSetGeometry("1 1 1 0".into()),
        Command::DevArmPoll,
        Command::GetTargetVersion("zero".into()),
        Command::MpathProbePaths,
    ];
    assert_eq!(commands.len(), CommandKind::ALL.len());
    commands.into_iter().map(|command| Request::new(device(), command)).collect()
}

fn device() -> DeviceId {
    DeviceId { name: "vol0".into(), uuid: "u".into(), dev: Some(DeviceNumber::new(253, 7)) }
}

/// Replies with all that one can say.
fn replies() -> Vec<(CommandKind, Reply)> {
    let dev = DeviceNumber::new(253, 7);
    let listed = ListedDevice { name: "a".into(), dev, event_nr: Some(3), uuid: Some("u".into()) };
    let line = StatusLine {
        start: Sectors(0),
        length: Sectors(8),
        status: 1,
        target: "zero".into(),
        params: "x".into(),
    };
    let version = TargetVersion { name: "zero".into(), version: Version::new(1, 2, 3) };
    let bodies = [
        (CommandKind::DevStatus, ReplyBody::None),
        (CommandKind::ListDevices, ReplyBody::Devices(vec![listed])),
        (CommandKind::TableDeps, ReplyBody::Deps(vec![dev])),
        (CommandKind::TableStatus, ReplyBody::Lines(vec![line])),
        (CommandKind::ListVersions, ReplyBody::Versions(vec![version])),
        (CommandKind::TargetMsg, ReplyBody::Message(Some("yes".into()))),
    ];
    let reply = |body| Reply {
        version: Version::new(4, 16, 0),
        device: device(),
        flags: Flags::EXISTS,
        open_count: 1,
        event_nr: 2,
        target_count: 3,
        body,
    };
    bodies.map(|(kind, body)| (kind, reply(body))).into()
}

/// The keys of a dictionary, and those of its data's elements; the numbers of a list are none.
fn keys_of(vocabulary: &Vocabulary, dict: &Dict) -> [BTreeSet<String>; 2] {
    let names = |dict: &Dict| dict.iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>();
    let mut within = BTreeSet::new();
    let elements: Vec<&Value> = match (vocabulary.shape, dict.get("cmd_data")) {
        (_, None) => Vec::new(),
        (Shape::Shipped, Some(data)) => data.as_array().unwrap().iter().collect(),
        (Shape::Proposed, Some(data)) => {
            let data = data.as_dict().unwrap();
            let is_number = |key: &Text| key.iter().all(u8::is_ascii_digit);
            within.extend(data.iter().filter(|(key, _)| !is_number(key)).map(|(key, _)| key.to_string()));
            data.iter().filter(|(key, _)| is_number(key)).map(|(_, value)| value).collect()
        }
    };
    within.extend(elements.into_iter().filter_map(Value::as_dict).flat_map(names));
    [names(dict).into_iter().collect(), within]
}

#[test]
fn the_tables_have_every_key_that_is_written_and_no_other() {
    for vocabulary in [&SHIPPED, &PROPOSED] {
        let mut written = [BTreeSet::new(), BTreeSet::new()];
        let requests =
            requests().into_iter().filter_map(|request| proplib::encode_request(vocabulary, &request).ok());
        let replies = replies().into_iter();
        let replies =
            replies.map(|(kind, reply)| proplib::encode_reply(vocabulary, kind, &reply, Dict::default()));
        for dict in requests.chain(replies) {
            for (all, keys) in written.iter_mut().zip(keys_of(vocabulary, &dict)) {
                all.extend(keys);
            }
        }
        let table = |keys: Vec<Key>| keys.iter().map(|key| key.name.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(
            written,
            [table(vocabulary.header()), table(vocabulary.elements())],
            "{}",
            vocabulary.name
        );
    }
}

#[test]
fn the_designs_older_spelling_is_told_and_read() {
    assert!(PAGE.contains(".IR \"aditional info\""));
    let (kind, reply) = replies().remove(3);
    let dict = proplib::encode_reply(&PROPOSED, kind, &reply, Dict::default());
    let text = String::from_utf8(proplib::document(&dict)).unwrap();
    let older = text.replace("additional info", "aditional info");
    assert_ne!(older, text);
    let dict = proplib::parse(older.as_bytes(), proplib::MAX_REQUEST).unwrap();
    assert_eq!(proplib::decode_reply(&PROPOSED, kind, &dict).unwrap(), reply);
}

#[test]
fn the_page_tells_every_command_and_flag() {
    let mut missing: Vec<String> = Vec::new();
    let mut need = |word: &str, what: &str| {
        let is_there =
            PAGE.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|found| found == word);
        if !is_there {
            missing.push(format!("{what} {word}"));
        }
    };
    WORDS.iter().for_each(|word| need(word.word, "command"));
    CommandKind::ALL.iter().for_each(|kind| need(kind.c_name(), "ioctl"));
    for bit in (0..20).filter(|bit| *bit != 7) {
        need(&Flags(1 << bit).to_string(), "flag");
        assert!(PAGE.contains(&format!(".BR {} \" ({:#x})\"", Flags(1 << bit), 1 << bit)), "{bit}");
    }
    for word in WORDS {
        let systems = match (word.netbsd, word.dragonfly) {
            (true, true) => "N, D)",
            (true, false) => "N)",
            (false, true) => "D)",
            (false, false) => continue,
        };
        let line = PAGE.lines().find(|line| line.contains(word.word) && line.contains(word.kind.c_name()));
        assert!(line.is_some_and(|line| line.contains(&format!("; {systems}"))), "{}: {line:?}", word.word);
    }
    assert!(missing.is_empty(), "{missing:?}");
}
