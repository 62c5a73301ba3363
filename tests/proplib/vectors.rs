//! Every captured request and reply, through the codec.

use rdmsetup::dm::{Command, CommandKind, DeviceNumber, Errno, Flags, ReplyBody, Version};
use rdmsetup::wire::proplib::{self, Dict, MAX_REQUEST, Outcome, SHIPPED, Value};
use std::fs;
use std::path::{Path, PathBuf};

/// One step of a scenario.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) tag: String,
    pub(crate) request: Vec<u8>,
    pub(crate) reply: Option<Vec<u8>>,
}

impl Step {
    /// The dictionary that was sent.
    pub(crate) fn sent(&self) -> Dict {
        proplib::parse(&self.request, MAX_REQUEST).expect(&self.tag)
    }

    /// The dictionary that came back.
    pub(crate) fn got(&self) -> Dict {
        proplib::parse(self.reply.as_ref().expect(&self.tag), MAX_REQUEST).expect(&self.tag)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proplib/vectors")
}

/// The text of a file below the folder of vectors.
pub(crate) fn text(name: &str) -> String {
    fs::read_to_string(folder().join(name)).expect(name)
}

/// The steps of a scenario, in order: `""` is the main one.
pub(crate) fn scenario(name: &str) -> Vec<Step> {
    let folder = folder().join(name);
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| {
            entry
                .unwrap()
                .file_name()
                .into_string()
                .unwrap()
                .strip_suffix(".request.plist")
                .map(str::to_owned)
        })
        .collect();
    names.sort();
    let step = |tag: String| Step {
        request: fs::read(folder.join(format!("{tag}.request.plist"))).unwrap(),
        reply: fs::read(folder.join(format!("{tag}.reply.plist"))).ok(),
        tag,
    };
    names.into_iter().map(step).collect()
}

/// The names of the side scenarios.
pub(crate) fn side_scenarios() -> Vec<String> {
    let entries = fs::read_dir(folder().join("more")).unwrap();
    entries.map(|entry| format!("more/{}", entry.unwrap().file_name().display())).collect()
}

/// The rows of an index, without its head.
pub(crate) fn index(name: &str) -> Vec<Vec<String>> {
    text(name).lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// What the driver's handler returned, by the index.
fn handler_result(column: &str) -> Option<Errno> {
    match column {
        "0" => None,
        "ENOENT" => Some(Errno::ENOENT),
        "EEXIST" => Some(Errno::EEXIST),
        "EINVAL" => Some(Errno::EINVAL),
        "EIO" => Some(Errno::EIO),
        other => panic!("{other}"),
    }
}

/// A request through `Request` and back; the word is kept, since two mean the same request.
fn there_and_back(sent: &Dict) -> Dict {
    let request = proplib::decode_request(&SHIPPED, CommandKind::Version, sent).unwrap();
    let mut again = proplib::encode_request(&SHIPPED, &request).unwrap();
    again.set("command", sent.get("command").unwrap().clone());
    again
}

/// A dictionary with what a request means when it leaves it out, and without keys that are not of the protocol.
fn completed(dict: &Dict) -> Dict {
    let mut dict = dict.clone();
    for key in ["flags", "event_nr"] {
        if dict.integer(key).and_then(proplib::Integer::to_u32).is_none() {
            dict.set(key, Value::unsigned(0_u32));
        }
    }
    if dict.get("cmd_data").is_none() {
        dict.set("cmd_data", Value::Array(Vec::new()));
    }
    // libdm knows no more of these two than their names; what they carry is there when it is empty, too.
    match dict.text("command").map(|word| word.to_string()).as_deref() {
        Some("message") if dict.get("message").is_none() => {
            dict.set("message", Value::String("".into()));
            dict.set("sector", Value::unsigned(0_u32));
        }
        Some("setgeometry") => dict.set("cmd_data", Value::Array(vec![Value::String("".into())])),
        _ => {}
    }
    // What kills the driver is an empty text here.
    if let Some(Value::Array(lines)) = dict.get("cmd_data").cloned() {
        let with_params = |line: Value| {
            let Value::Dict(mut line) = line else { return line };
            if line.get("type").is_some() && line.get("params").is_none() {
                line.set("params", Value::String("".into()));
            }
            Value::Dict(line)
        };
        dict.set("cmd_data", Value::Array(lines.into_iter().map(with_params).collect()));
    }
    let known =
        ["cmd_data", "command", "event_nr", "flags", "message", "minor", "name", "sector", "uuid", "version"];
    let unknown: Vec<String> =
        dict.iter().map(|(key, _)| key.to_string()).filter(|key| !known.contains(&key.as_str())).collect();
    unknown.iter().for_each(|key| drop(dict.remove(key)));
    dict
}

#[test]
fn every_request_of_the_scenarios_comes_back_to_the_byte() {
    let mut whole = 0;
    for name in side_scenarios().iter().map(String::as_str).chain([""]) {
        for step in scenario(name) {
            let Ok(sent) = proplib::parse(&step.request, MAX_REQUEST) else {
                assert!(step.reply.is_none(), "{}: the driver read it", step.tag);
                continue;
            };
            match proplib::decode_request(&SHIPPED, CommandKind::Version, &sent) {
                Ok(_) => {
                    let again = there_and_back(&sent);
                    assert_eq!(completed(&again), completed(&sent), "{}", step.tag);
                    if sent == completed(&sent) && !step.tag.ends_with("no-trailing-nul") {
                        assert_eq!(proplib::document(&again), step.request, "{}", step.tag);
                        whole += 1;
                    }
                }
                Err(fault) => {
                    // The words and keys that are not there, what crashed the kernel, and names that it would cut.
                    let refused = [
                        "73-unknown-load",
                        "74-unknown-list",
                        "75-unknown-bogus",
                        "82-no-command",
                        "01-no-version",
                        "02-reload-no-cmd_data",
                        "02-rename-empty-cmd_data",
                        "01-create-long",
                        "04-info-199",
                    ];
                    assert!(refused.contains(&step.tag.as_str()), "{}: {fault}", step.tag);
                }
            }
        }
    }
    assert!(whole > 145, "{whole}");
}

#[test]
fn every_request_of_the_forms_means_what_its_keys_say() {
    let mut seen = 0;
    for step in scenario("forms") {
        let Ok(sent) = proplib::parse(&step.request, MAX_REQUEST) else { continue };
        if proplib::decode_request(&SHIPPED, CommandKind::Version, &sent).is_err() {
            let refused =
                ["67-form-version-real-string", "70-form-command-integer", "71-form-command-uppercase"];
            assert!(refused.contains(&step.tag.as_str()), "{}", step.tag);
            continue;
        }
        let mut wanted = completed(&sent);
        if ["68-form-version-short", "69-form-version-u8data"].contains(&step.tag.as_str()) {
            // What of a version is missing, or no uint32, is 0.
            let number = |value: u32| Value::unsigned(value);
            wanted.set("version", Value::Array(vec![number(4), number(0), number(0)]));
        }
        if step.tag.starts_with("72-") {
            // A decimal of 2^31 is no uint32: there is no minor.
            wanted.remove("minor");
        }
        assert_eq!(completed(&there_and_back(&sent)), wanted, "{}", step.tag);
        seen += 1;
    }
    assert!(seen > 45, "{seen}");
}

#[test]
fn every_reply_shows_what_really_happened() {
    let steps = scenario("");
    let mut failures = 0;
    for row in index("index.tsv") {
        let Some(step) = steps.iter().find(|step| step.tag == format!("{}-{}", row[0], row[1])) else {
            assert_eq!(row[0], "-", "the two whose texts are not kept");
            continue;
        };
        assert_eq!(step.reply.is_some(), row[5] == "yes");
        if step.reply.is_none() {
            assert_eq!((row[2].as_str(), row[3].as_str()), ("-1", "EIO"));
            assert!(proplib::parse(&step.request, MAX_REQUEST).is_err(), "{}", step.tag);
            continue;
        }
        let wanted = handler_result(&row[4]);
        failures += usize::from(wanted.is_some());
        let outcome = proplib::outcome(&step.sent(), &step.got(), true);
        assert_eq!(outcome.errno(), wanted, "{}: {outcome:?}", step.tag);
        let fault = outcome.fault(&Default::default());
        assert_eq!(fault.is_some(), wanted.is_some());
        assert!(fault.is_none_or(|fault| !fault.reason.is_empty()));
    }
    assert!(failures > 25, "{failures}");
}

#[test]
fn the_side_scenarios_show_what_really_happened() {
    let outcome = |scenario_name: &str, tag: &str, superuser| {
        let steps = scenario(scenario_name);
        let step = steps.iter().find(|step| step.tag == tag).unwrap();
        proplib::outcome(&step.sent(), &step.got(), superuser)
    };
    assert_eq!(outcome("more/unpriv", "01-create-root", true), Outcome::Done);
    for tag in ["02-unpriv-version", "03-unpriv-names", "04-unpriv-info", "07-unpriv-names2"] {
        assert_eq!(outcome("more/unpriv", tag, false), Outcome::Done, "{tag}");
    }
    for tag in ["05-unpriv-create", "06-unpriv-remove"] {
        assert_eq!(outcome("more/unpriv", tag, false), Outcome::Privilege, "{tag}");
    }
    assert_eq!(outcome("more/noversion", "01-no-version", true), Outcome::Version);
    assert_eq!(outcome("more/longname", "04-info-199", true), Outcome::Missing);
    assert_eq!(outcome("more/longname", "06-rename-128", true), Outcome::Invalid);
    assert_eq!(outcome("more/collide", "05-rename-uuid-lookup", true), Outcome::Missing);
    assert_eq!(outcome("more/stripemany", "05-reload-striped-5", true), Outcome::Table);
    assert_eq!(outcome("more/removeopen", "05-remove-open", true), Outcome::Unclear);
    assert_eq!(outcome("more/emptytable", "02-reload-empty", true), Outcome::Done);
    // One reply has empty data, which proplib writes in a form that it does not read.
    let is_read = |step: &&Step| step.reply.is_some() && step.tag != "36-form-data-empty";
    for step in scenario("forms").iter().filter(is_read) {
        let wanted = match &step.tag[..2] {
            "67" => Outcome::Version,
            "70" | "71" => Outcome::Command,
            "74" => Outcome::Missing,
            "14" => Outcome::Unclear,
            // Accepted by what its stack happened to hold.
            "68" | "69" => Outcome::Done,
            _ => Outcome::Done,
        };
        assert_eq!(proplib::outcome(&step.sent(), &step.got(), true), wanted, "{}", step.tag);
    }
}

/// The reply of a step of the main scenario.
fn reply(tag: &str) -> rdmsetup::dm::Reply {
    let step = scenario("").into_iter().find(|step| step.tag == tag).unwrap();
    let kind = proplib::command_word(&SHIPPED, &step.sent()).unwrap().kind;
    proplib::decode_reply(&SHIPPED, kind, &step.got()).unwrap()
}

#[test]
fn replies_say_what_the_index_says() {
    let minor = |minor| Some(DeviceNumber::new(0, minor));
    let created = reply("04-create-uuid");
    assert_eq!((created.version, created.device.dev), (Version::new(4, 16, 0), minor(1)));
    let names = reply("09-names");
    let listed: Vec<(String, u32)> =
        names.devices().iter().map(|device| (device.name.to_string(), device.dev.minor)).collect();
    let name = |name: &str, minor| (name.to_owned(), minor);
    assert_eq!(listed, [name("vol0", 1), name("vol1", 2), name("a&b<c>\"d'e", 3), name("ro0", 4)]);
    assert!(reply("03-names-empty").devices().is_empty());
    let targets: Vec<String> = reply("02-targets")
        .versions()
        .iter()
        .map(|target| format!("{} {}", target.name, target.version))
        .collect();
    assert_eq!(targets, ["linear 1.0.2", "striped 1.0.3"]);
    let deps: Vec<String> = reply("24-deps").deps().iter().map(ToString::to_string).collect();
    assert_eq!(deps, ["197:2", "197:1"]);
    let info = reply("39-info-both-tables");
    assert_eq!(info.flags, Flags::EXISTS | Flags::ACTIVE_PRESENT | Flags::INACTIVE_PRESENT);
    assert_eq!((info.target_count, info.open_count), (1, 0));
    assert!(reply("28-info-suspended").flags.contains(Flags::SUSPEND));
    let lines = |tag: &str| -> Vec<String> {
        let line = |line: &rdmsetup::dm::StatusLine| {
            assert_eq!(line.status, 0, "which slot is live is no status");
            format!("{} {} {} {}", line.start, line.length, line.target, line.params)
        };
        reply(tag).lines().iter().map(line).collect()
    };
    assert_eq!(lines("23-table"), ["0 8192 linear /dev/wd0a 384", "8192 4096 linear /dev/wd1a 0"]);
    assert_eq!(lines("22-status"), ["0 8192 linear ", "8192 4096 linear "]);
    assert_eq!(lines("45-table-mixed").len(), 3);
    assert!(lines("32-table-after-bare-resume").is_empty());
    assert_eq!(reply("01-version").body, ReplyBody::None);
}

#[test]
fn commands_have_the_words_of_the_driver() {
    let request = |tag: &str| {
        let step = scenario("").into_iter().find(|step| step.tag == tag).unwrap();
        proplib::decode_request(&SHIPPED, CommandKind::Version, &step.sent()).unwrap()
    };
    assert_eq!(request("48-rename").command, Command::DevRename("vol1-renamed".into()));
    assert!(request("27-suspend").flags.contains(Flags::SUSPEND));
    assert!(!request("19-resume").flags.contains(Flags::SUSPEND));
    assert_eq!(request("21-mknodes").command, Command::DevStatus);
    let Command::TableLoad(table) = request("43-reload-mixed").command else { panic!() };
    assert_eq!(table.lines.len(), 3);
}

#[test]
fn a_line_for_people_hides_what_may_be_a_secret() {
    let step = scenario("").into_iter().find(|step| step.tag == "13-reload-linear2").unwrap();
    let line = proplib::brief(&step.sent(), false);
    let wanted = "{cmd_data=[{length=0x2000, params=\"/dev/wd0a 384\", start=0x0, type=\"linear\"}, {length=0x1000, \
                  params=\"/dev/wd1a 0\", start=0x2000, type=\"linear\"}], command=\"reload\", event_nr=0x0, flags=EXISTS, \
                  name=\"vol0\", version=[0x4, 0x0, 0x0]}";
    assert_eq!(line, wanted);
    let hidden = proplib::brief(&step.sent(), true);
    assert!(!hidden.contains("wd0a") && hidden.contains("name=\"vol0\""), "{hidden}");
}
