//! Every captured reply of a command that was done, through the codec and back.

use crate::vectors::{Step, scenario, side_scenarios};
use rdmsetup::dm::{CommandKind, Reply, ReplyBody, Text};
use rdmsetup::wire::proplib::{self, Dict, Outcome, SHIPPED, Value, Word};

/// The steps whose command was done, as far as the reply tells, with its word.
fn done() -> Vec<(Step, &'static Word)> {
    let folders = side_scenarios();
    let steps = folders.iter().map(String::as_str).chain(["", "forms"]).flat_map(scenario);
    // Empty data comes out in the one form that does not go in.
    let answered = steps.filter(|step| step.reply.is_some() && step.tag != "36-form-data-empty");
    answered
        .filter(|step| {
            let is_root = !step.tag.contains("unpriv");
            let outcome = proplib::outcome(&step.sent(), &step.got(), is_root);
            matches!(outcome, Outcome::Done | Outcome::Unclear)
        })
        .filter_map(|step| proplib::command_word(&SHIPPED, &step.sent()).map(|word| (step, word)))
        .collect()
}

/// What a reply holds, against the keys of the dictionary that it was read from, without the codec.
fn check(reply: &Reply, got: &Dict, tag: &str) {
    let text = |key| got.text(key).cloned().unwrap_or_else(Text::new);
    assert_eq!((&reply.device.name, &reply.device.uuid), (&text("name"), &text("uuid")), "{tag}");
    let minor = got.u32("minor").filter(|&minor| minor > 0);
    assert_eq!(reply.device.dev.map(|dev| (dev.major, dev.minor)), minor.map(|minor| (0, minor)), "{tag}");
    assert_eq!(reply.flags.0, got.u32("flags").unwrap_or(0), "{tag}");
    assert_eq!(u32::try_from(reply.open_count), Ok(got.u32("open_count").unwrap_or(0)), "{tag}");
    let version = got.get("version").and_then(Value::as_array).unwrap();
    let version: Vec<u64> =
        version.iter().filter_map(|part| part.as_integer().and_then(|part| part.to_u64())).collect();
    assert_eq!(
        version,
        [reply.version.major, reply.version.minor, reply.version.patch].map(u64::from),
        "{tag}"
    );
    let held = got.get("cmd_data").and_then(Value::as_array).map_or(0, <[Value]>::len);
    let told = match &reply.body {
        ReplyBody::None | ReplyBody::Message(_) => return,
        ReplyBody::Devices(devices) => devices.len(),
        ReplyBody::Deps(deps) => deps.len(),
        ReplyBody::Lines(lines) => {
            assert_eq!(got.u32("target_count").map_or(lines.len(), |count| count as usize), lines.len());
            lines.len()
        }
        ReplyBody::Versions(versions) => versions.len(),
    };
    assert_eq!(told, held, "{tag}");
}

/// A dictionary without what the driver says wrongly or not at all, and so the codec otherwise: which slot is live for a
/// status, and no text of a line without STATUS_TABLE.
fn comparable(mut dict: Dict) -> Dict {
    for key in ["flags", "event_nr"] {
        if dict.u32(key).is_none() {
            dict.set(key, Value::unsigned(0_u32));
        }
    }
    let data = dict.get("cmd_data").and_then(Value::as_array).unwrap_or_default();
    let line = |value: &Value| {
        let Value::Dict(mut line) = value.clone() else { return value.clone() };
        if line.remove("status").is_some() && line.get("params").is_none() {
            line.set("params", Value::String("".into()));
        }
        Value::Dict(line)
    };
    let data = data.iter().map(line).collect();
    dict.set("cmd_data", Value::Array(data));
    dict
}

#[test]
fn every_captured_reply_says_what_its_keys_say_and_comes_back() {
    let steps = done();
    assert!(steps.len() > 120, "{}", steps.len());
    let mut kinds: Vec<CommandKind> = Vec::new();
    let mut differ: Vec<String> = Vec::new();
    for (step, word) in steps {
        let got = step.got();
        let reply = proplib::decode_reply(&SHIPPED, word.kind, &got).expect(&step.tag);
        check(&reply, &got, &step.tag);
        let mut again = proplib::encode_reply(&SHIPPED, word.kind, &reply, step.sent());
        if word.kind != CommandKind::DevStatus {
            // The codec counts the lines of a status, too.
            again.remove("target_count");
        }
        if comparable(again.clone()) != comparable(got.clone()) {
            differ.push(format!(
                "{}:\n{}\n{}",
                step.tag,
                proplib::brief(&got, false),
                proplib::brief(&again, false)
            ));
        }
        kinds.push(word.kind);
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    kinds.sort_unstable_by_key(|kind| kind.number());
    kinds.dedup();
    assert_eq!(kinds.len(), 12, "every command of the driver: {kinds:?}");
}
