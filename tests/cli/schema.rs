//! Documents of `--json` against schema/rdmsetup.schema.json, by a validator that knows nothing of the program.

use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Where the schema is published.
pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/rdmsetup.schema.json")
}

/// The schema, read once.
pub(crate) static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_slice(&std::fs::read(path()).unwrap()).unwrap());

/// A validator for each definition: what is wrong is told in fewer words than by one for all.
static VALIDATORS: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let definitions = &SCHEMA["$defs"];
    let names = SCHEMA["oneOf"].as_array().unwrap().iter();
    let names = names.map(|one| one["$ref"].as_str().unwrap().trim_start_matches("#/$defs/").to_owned());
    let one = |name: String| {
        let schema = json!({
            "$schema": SCHEMA["$schema"],
            "$ref": format!("#/$defs/{name}"),
            "$defs": definitions,
        });
        (name, jsonschema::validator_for(&schema).unwrap())
    };
    names.map(one).collect()
});

static ALL: LazyLock<Validator> = LazyLock::new(|| jsonschema::validator_for(&SCHEMA).unwrap());

/// What is wrong with a document; nothing if it is as the schema has it.
pub(crate) fn faults(document: &Value) -> Vec<String> {
    let command = document["command"].as_str().unwrap_or("refused");
    let validator = VALIDATORS.get(command).unwrap_or_else(|| &VALIDATORS["refused"]);
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The documents in a command's output, one at least; each is as the schema has it.
#[track_caller]
pub(crate) fn documents(stdout: &[u8]) -> Vec<Value> {
    let read = serde_json::Deserializer::from_slice(stdout).into_iter::<Value>();
    let documents: Vec<Value> = read.collect::<Result<_, _>>().unwrap_or_else(|error| {
        panic!("no JSON: {error}: {}", String::from_utf8_lossy(stdout));
    });
    assert!(!documents.is_empty(), "no document was written");
    for document in &documents {
        let faults = faults(document);
        assert!(faults.is_empty(), "{}\nin {document:#}", faults.join("\n"));
        assert!(ALL.is_valid(document), "it is none of the documents, or several: {document:#}");
    }
    documents
}

#[test]
fn the_schema_is_one() {
    assert_eq!(SCHEMA["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::meta::validate(&SCHEMA).unwrap();
}

/// Every object of fields is closed, and every field is described.
#[test]
fn the_schema_leaves_nothing_open() {
    let mut open = vec![("".to_owned(), &*SCHEMA)];
    while let Some((at, schema)) = open.pop() {
        let Value::Object(fields) = schema else { continue };
        let is_part =
            ["/if", "/then", "/else", "/$defs/document", "/$defs/state"].iter().any(|end| at.ends_with(end));
        if let Some(Value::Object(properties)) = fields.get("properties").filter(|_| !is_part) {
            let closed = ["additionalProperties", "unevaluatedProperties"];
            assert!(closed.iter().any(|key| fields.get(*key) == Some(&Value::Bool(false))), "{at} is open");
            for (name, property) in properties {
                let known = ["description", "$ref", "const"].iter().any(|key| property.get(*key).is_some());
                assert!(known || name == "command" || name == "ok", "{at}/{name} is not described");
            }
        }
        for (key, value) in fields {
            match value {
                Value::Array(items) => {
                    open.extend(
                        items.iter().enumerate().map(|(index, item)| (format!("{at}/{key}/{index}"), item)),
                    );
                }
                other => open.push((format!("{at}/{key}"), other)),
            }
        }
    }
}
