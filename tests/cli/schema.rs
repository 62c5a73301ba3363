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
