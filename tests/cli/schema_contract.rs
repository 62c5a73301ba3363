//! Every subcommand has a document that the schema describes, or says why not; every target type is told by field.

use crate::sandbox::Sandbox;
use crate::sandbox::schema::{SCHEMA, documents, faults};
use rdmsetup::target::TARGETS;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What is run, one after the other over the same devices: the words, standard input, and whether it is to succeed. The first
/// word is the command, and each command that has a document is here.
const RUNS: &[(&[&str], &str, bool)] = &[
    (&["ls"], "", true),
    (&["create", "vol0", "-u", "U-0", "--table", "0 100 linear disk 8"], "", true),
    (&["create", "s"], "0 1024 striped 2 8 disk 0 disk2 0\n1024 8 zero", true),
    (&["create", "none", "-n"], "", true),
    (&["create", "x", "--dry-run", "-v"], "0 8 zero", true),
    (&["create", "x", "--table", "0 8 liner"], "", false),
    (&["create", "x", "--table", "0 8"], "", false),
    (&["create", "--concise", "c,,,,0 8 zero;d,,,ro,0 8 linear c 0"], "", true),
    (&["ls"], "", true),
    (&["ls", "--target", "linear"], "", true),
    (&["ls", "--tree"], "", true),
    (&["ls", "--exec", "true"], "", false),
    (&["info"], "", true),
    (&["info", "vol0", "nope"], "", false),
    (&["info", "-c", "-o", "name_all,info_all,deps_all,tree_all,splitname_all"], "", true),
    (&["info", "-c", "--count", "2", "--interval", "1"], "", true),
    (&["info", "-c", "-o", "nosuch"], "", false),
    (&["info", "-c", "-o", "help"], "", true),
    (&["deps"], "", true),
    (&["table"], "", true),
    (&["table", "--inactive", "vol0"], "", true),
    (&["table", "--concise"], "", true),
    (&["table", "--target", "zero"], "", true),
    (&["status"], "", true),
    (&["status", "nope", "vol0"], "", false),
    (&["measure"], "", false),
    (&["targets"], "", true),
    (&["target-version", "linear", "zero"], "", true),
    (&["target-version", "liner"], "", false),
    (&["version"], "", true),
    (&["wait", "vol0", "7"], "", true),
    (&["message", "vol0", "0", "hello"], "", false),
    (&["message", "vol0", "x", "hello"], "", false),
    (&["setgeometry", "vol0", "1024", "255", "63", "0"], "", true),
    (&["load", "vol0", "--table", "0 8 error"], "", true),
    (&["table", "--inactive", "vol0"], "", true),
    (&["clear", "vol0"], "", true),
    (&["suspend", "vol0"], "", true),
    (&["resume", "vol0"], "", true),
    (&["rename", "vol0", "vol1"], "", true),
    (&["rename", "vol1", "a b"], "", true),
    (&["mangle"], "", true),
    (&["wipe_table", "s"], "", true),
    (&["mknodes"], "", true),
    (&["holders"], "", true),
    (&["write", "s", "--start", "1"], "data", false),
    (&["write", "c", "--start", "1"], "data", true),
    (&["splitname", "vg-lv"], "", true),
    (&["check"], "0 8 zero x\n0 8 liner\n8", false),
    (&["check"], "0 8 zero", true),
    (&["check", "nosuch"], "", false),
    (&["explain", "vol1"], "", false),
    (&["explain", "c"], "", true),
    (&["explain"], "0 8 striped 2 8 disk 0 disk2 8\n8 8 nosuch x", true),
    (&["dump"], "", true),
    (&["dump", "nosuch"], "", false),
    (&["diff", "-"], "new,UUID-N,,,0 8 zero;c,,,,0 8 error", false),
    (&["apply", "-", "--dry-run"], "new,UUID-N,,,0 8 zero;c,,,,0 8 error", true),
    (&["apply", "-"], "new,UUID-N,,,0 8 zero;c,,,,0 8 error", true),
    (&["diff", "-"], "new,UUID-N,,,0 8 zero", true),
    (&["apply", "-"], "[[device]]\nname = 7", false),
    (&["apply", "-"], "more,,,,0 8 liner;most,,,,0 8 zero x", false),
    (&["apply", "-"], "new,UUID-M,,,0 8 zero", false),
    (&["diff", "-"], "new,UUID-M,,,0 8 zero", false),
    (&["explain"], "0 8x zero", false),
    (&["watch", "--initial", "--count", "2"], "", true),
    (&["watch", "--timeout", "0"], "", true),
    (&["remove", "new"], "", true),
    (&["decode", "buffer"], "", true),
    (&["decode", "nosuch"], "", false),
    (&["stats", "list"], "", false),
    (&["stats", "nosuch"], "", false),
    (&["stats", "help"], "", true),
    (&["stats", "version"], "", true),
    (&["udevflags", "0xd4d0123"], "", true),
    (&["udevcookies"], "", true),
    (&["udevcreatecookie", "--noudevsync"], "", true),
    (&["udevreleasecookie"], "", false),
    (&["udevcomplete", "0xd4d0001", "--noudevsync"], "", true),
    (&["udevcomplete_all"], "", false),
    (&["udevcomplete_all", "999999", "-y"], "", true),
    (&["help"], "", true),
    (&["help", "-c"], "", true),
    (&["help", "table"], "", true),
    (&["help", "linear"], "", true),
    (&["help", "nosuch"], "", false),
    (&["remove", "d"], "", true),
    (&["remove", "--force", "c"], "", true),
    (&["remove", "nope"], "", false),
    (&["remove_all"], "", true),
    (&["read", "vol0"], "", false),
    (&["serve"], "", false),
    (&["completions", "bash"], "", false),
    (&["man", "."], "", false),
    (&["nosuch"], "", false),
    (&["ls", "too", "many"], "", false),
    (&["ls", "--nosuch"], "", false),
    (&["ls", "--backend", "nosuch"], "", false),
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    sandbox.disk("disk2", 1 << 20);
    let plist = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proplib/vectors/23-table.reply.plist");
    std::fs::copy(plist, sandbox.path().join("buffer")).unwrap();
    sandbox
}

/// Runs all of them; each document with the words that made it.
fn ran() -> Vec<(&'static [&'static str], Value)> {
    let sandbox = sandbox();
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (words, input, succeeds) in RUNS {
        let ran = sandbox.run_with(&[*words, &["--json"]].concat(), input.as_bytes());
        let documents = documents(&ran.stdout);
        if ran.succeeded != *succeeds || documents.iter().any(|document| document["ok"] != *succeeds) {
            wrong.push(format!("{words:?}: {:#}", documents[0]));
        }
        found.extend(documents.into_iter().map(|document| (*words, document)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    found
}

#[test]
fn every_subcommand_has_a_document_that_the_schema_describes_or_refuses() {
    let ran = ran();
    let help = ran.iter().find(|(words, _)| *words == ["help"]).unwrap();
    let commands = help.1["commands"].as_array().unwrap();
    assert!(commands.len() > 30);
    for command in commands {
        let name = command["name"].as_str().unwrap();
        let own: Vec<&Value> =
            ran.iter().filter(|(words, _)| words[0] == name).map(|(_, document)| document).collect();
        assert!(!own.is_empty(), "{name} is not run");
        let is_described = SCHEMA["$defs"].get(name).is_some();
        assert_eq!(command["document"], is_described, "{name}: the schema");
        if is_described {
            assert!(own.iter().any(|document| document["command"] == name), "{name}");
            continue;
        }
        let message = own[0]["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("--json is not for this command: "), "{name}: {message}");
    }
}

/// Every field of every document was put there on purpose: none is looked over by the schema.
#[test]
fn a_document_that_is_changed_is_refused() {
    let mut changed = 0;
    let mut seen = BTreeSet::new();
    for (words, document) in ran() {
        if !seen.insert(words) {
            continue;
        }
        let mut places = vec![String::new()];
        while let Some(place) = places.pop() {
            let here = document.pointer(&place).unwrap();
            let children: Vec<String> = match here {
                Value::Object(fields) => {
                    fields.keys().map(|key| key.replace('~', "~0").replace('/', "~1")).collect()
                }
                Value::Array(items) => (0..items.len().min(2)).map(|index| index.to_string()).collect(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
            };
            let mut wrong = document.clone();
            let target = wrong.pointer_mut(&place).unwrap();
            if let Value::Object(fields) = target {
                fields.insert("surprise".into(), Value::Null);
            } else {
                *target = json!({ "surprise": null });
            }
            assert!(!faults(&wrong).is_empty(), "{words:?}: a surprise at \"{place}\" passes");
            changed += 1;
            places.extend(children.into_iter().map(|child| format!("{place}/{child}")));
        }
    }
    assert!(changed > 1000, "{changed}");
}

#[test]
fn dmsetup_itself_has_no_such_option() {
    use std::os::unix::process::CommandExt;
    let sandbox = Sandbox::new();
    for words in [&["--json", "version"][..], &["ls", "--json"], &["info", "-c", "--json"]] {
        let output = sandbox.command(words).arg0("dmsetup").output().unwrap();
        assert!(output.stdout.is_empty() && !output.status.success());
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "dmsetup: unrecognized option '--json'\nCouldn't process command line.\n"
        );
    }
}

/// The words and numbers that fields tell, letters joined, sectors for bytes as well.
fn leaves(fields: &Value, into: &mut BTreeSet<String>) {
    match fields {
        Value::Null => drop(into.insert("-".into())),
        Value::Bool(_) => {}
        Value::Number(number) => {
            into.insert(number.to_string());
            into.extend(number.as_u64().map(|number| (number / 512).to_string()));
        }
        Value::String(text) => into.extend(text.split(' ').map(str::to_owned)),
        Value::Array(items) => {
            // What is counted, and a word of letters.
            into.insert(items.len().to_string());
            into.insert(items.iter().filter_map(Value::as_str).collect());
            items.iter().for_each(|item| leaves(item, into));
        }
        Value::Object(fields) => {
            into.extend(fields.keys().cloned());
            into.insert(fields.len().to_string());
            fields.values().for_each(|value| leaves(value, into));
        }
    }
}

#[test]
fn every_target_tells_each_word_of_its_texts_by_name() {
    for target in TARGETS {
        let sandbox = Sandbox::new();
        for disk in ["sdb", "sdc"] {
            sandbox.disk(disk, 2 << 30);
        }
        let table = target.example.replace("/dev/", "");
        sandbox.ok(&["create", "vol0", "--table", &table]);
        for command in ["table", "status"] {
            let document = documents(sandbox.ok(&[command, "vol0", "--json"]).as_bytes()).remove(0);
            let line = &document["devices"][0]["lines"][0];
            let (params, fields) = (line["params"].as_str().unwrap(), &line["fields"]);
            assert!(fields.is_object(), "{} {command}: \"{params}\" has no fields", target.name);
            let mut told = BTreeSet::from(["0".to_owned(), "1".to_owned(), "2".to_owned()]);
            leaves(fields, &mut told);
            for word in params.split_whitespace().flat_map(|word| {
                let is_path = word.starts_with('/');
                word.split(move |letter| letter == '/' && !is_path).collect::<Vec<_>>()
            }) {
                assert!(
                    told.contains(word),
                    "{} {command}: \"{word}\" of \"{params}\" is in no field of {fields:#}",
                    target.name
                );
            }
            let expects_none = target.usage.is_empty() && command == "table";
            assert_eq!(params.trim().is_empty(), fields.as_object().unwrap().is_empty(), "{}", target.name);
            assert!(!expects_none || params.is_empty());
        }
    }
}

#[test]
fn a_key_is_shown_only_where_it_is_asked_for() {
    let sandbox = Sandbox::new();
    let table = "0 8 crypt aes-xts-plain64 0123456789abcdef 0 disk 0";
    let ran = sandbox.run(&["create", "x", "--dry-run", "--json", "--table", table]);
    let text = String::from_utf8(ran.stdout).unwrap() + &ran.stderr;
    assert!(!text.contains("0123456789abcdef") && text.contains("0000000000000000"), "{text}");
}

#[test]
fn numbers_are_bytes_and_one_that_is_too_large_is_null() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "vol0", "--table", "0 9007199254740993 zero"]);
    let document = documents(sandbox.ok(&["table", "--json"]).as_bytes()).remove(0);
    let line = &document["devices"][0]["lines"][0];
    assert_eq!(
        (&line["start_bytes"], &line["length_bytes"]),
        (&json!(0), &json!(9_007_199_254_740_993_u64 * 512))
    );
    let table = "0 18446744073709551615 zero";
    let ran = sandbox.run(&["load", "vol0", "--dry-run", "--json", "--table", table]);
    let document = documents(&ran.stdout).remove(0);
    assert_eq!(document["would"][0]["lines"][0]["length_bytes"], Value::Null);
    assert_eq!(document["error"]["errno"], "EINVAL");
}
