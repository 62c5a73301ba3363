//! What the schema has of the target types and of the fields of reports: made of what the program itself says of them.
//!
//! `UPDATE=1 cargo test --test cli schema` rewrites it.

use crate::sandbox::Sandbox;
use crate::sandbox::schema::{SCHEMA, path};
use rdmsetup::target::{FOREIGN, Feature, Form, Kind, OTHER, Part, TARGETS, Texts, Word};
use serde_json::{Map, Value, json};

/// The properties of a form, and those of them that are always there.
#[derive(Default)]
struct Fields {
    properties: Map<String, Value>,
    required: Vec<String>,
}

impl Fields {
    fn of(form: Form) -> Self {
        let mut fields = Self::default();
        form.iter().for_each(|part| fields.part(part));
        fields
    }

    fn add(&mut self, name: &str, schema: Value) {
        self.properties.entry(name).or_insert(schema);
        self.required.push(name.into());
    }

    fn word(&mut self, word: &Word) {
        self.add(word.name, of_word(word));
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::One(word) => self.word(word),
            Part::Ratio(one, other) => {
                self.word(one);
                self.word(other);
            }
            Part::Letters(name, means) => self.add(
                name,
                json!({ "type": "array", "description": means, "items": { "type": "string", "maxLength": 1, "minLength": 1 } }),
            ),
            Part::Count(_) | Part::Fixed(_) => {}
            Part::Many(word, _) => {
                let item = without_description(of_word(word));
                self.add(word.name, json!({ "type": "array", "description": word.means, "items": item }));
            }
            Part::Each(name, means, _, form) => {
                let item = Self::of(form).object();
                self.add(name, json!({ "type": "array", "description": means, "items": item }));
            }
            Part::Within(_, form) => self.merge(Self::of(form), true),
            Part::Features(features) => features.iter().for_each(|feature| self.feature(feature)),
            Part::Object(name, means, form) => {
                let mut object = Self::of(form).object();
                object["description"] = (*means).into();
                self.add(name, object);
            }
            Part::Maybe(form) => self.merge(Self::of(form), false),
            Part::Either(forms) => forms.iter().for_each(|form| self.merge(Self::of(form), false)),
            Part::Rest(name, means) => self.add(name, json!({ "type": "string", "description": means })),
        }
    }

    fn feature(&mut self, feature: &Feature) {
        match feature.form {
            [] => self.add(feature.name(), json!({ "type": "boolean", "description": feature.means })),
            form => {
                let mut schema = match form {
                    [Part::One(word)] => of_word(word),
                    form => Self::of(form).object(),
                };
                schema["description"] = feature.means.into();
                self.properties.insert(feature.name().into(), schema);
            }
        }
        let other = json!({ "type": "array", "description": "Features that are not known here.", "items": { "type": "string" } });
        self.properties.entry(OTHER).or_insert(other);
    }

    fn merge(&mut self, other: Self, always: bool) {
        for (name, schema) in other.properties {
            self.properties.entry(name).or_insert(schema);
        }
        if always {
            self.required.extend(other.required);
        }
    }

    fn object(mut self) -> Value {
        self.required.sort();
        self.required.dedup();
        json!({
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": false,
        })
    }
}

fn of_word(word: &Word) -> Value {
    let mut schema = of_kind(word.kind);
    schema["description"] = word.means.into();
    schema
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Device => json!({ "type": "string" }),
        Kind::Number => json!({ "type": "integer", "minimum": 0 }),
        Kind::Sectors => json!({ "type": "integer", "minimum": 0, "multipleOf": 512 }),
        Kind::OrNone(kind) => {
            let mut schema = of_kind(*kind);
            let own = schema["type"].take();
            schema["type"] = json!([own, "null"]);
            schema
        }
    }
}

fn without_description(mut schema: Value) -> Value {
    schema.as_object_mut().unwrap().remove("description");
    schema
}

/// Every target type whose texts are known.
fn all() -> Vec<(&'static str, &'static Texts)> {
    let own = TARGETS.iter().map(|target| (target.name, &target.texts));
    own.chain(FOREIGN.iter().map(|(name, texts)| (*name, texts))).collect()
}

/// A line whose `fields` are those of its type, and null of a type that is not known or where the text cannot be read so.
fn line(which: &str) -> Value {
    let mut schema = SCHEMA["$defs"]["measured-line"].clone();
    schema["description"] = format!("A line of a {which}.").into();
    schema["properties"]["fields"] = json!({ "description": "The words of `params` by name, as the type's own definition here has them; null where they cannot be read so, or the type is not known." });
    let is = |name: &str| json!({ "properties": { "target": { "const": name } } });
    let mut rules: Vec<Value> = all()
        .iter()
        .map(|(name, _)| {
            let fields =
                json!({ "anyOf": [{ "type": "null" }, { "$ref": format!("#/$defs/{name}-{which}") }] });
            json!({ "if": is(name), "then": { "properties": { "fields": fields } } })
        })
        .collect();
    let names: Vec<&str> = all().iter().map(|(name, _)| *name).collect();
    let known = json!({ "properties": { "target": { "enum": names } } });
    rules.push(json!({ "if": known, "else": { "properties": { "fields": { "type": "null" } } } }));
    schema["allOf"] = rules.into();
    schema
}

/// A row of a report, by the list of fields that the program gives.
fn row() -> Value {
    // Not by way of the schema, which is being made.
    let help = Sandbox::new().command(&["help", "-c", "--json"]).output().unwrap();
    let help: Value = serde_json::from_slice(&help.stdout).unwrap();
    let mut properties = Map::new();
    for field in help["fields"].as_array().unwrap() {
        let mut schema = match field["kind"].as_str().unwrap() {
            "text" => json!({ "type": "string" }),
            "list" => json!({ "type": "array", "items": { "type": "string" } }),
            _ => json!({ "type": ["number", "string"] }),
        };
        schema["description"] = field["help"].clone();
        properties.insert(field["name"].as_str().unwrap().into(), schema);
    }
    json!({
        "description": "A row of a report: the fields that -o names, as dmsetup shows them. A size is in sectors or has its unit behind it.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

#[test]
fn targets_and_reports_are_in_the_schema_as_the_program_has_them() {
    let mut made = SCHEMA.clone();
    let definitions = made["$defs"].as_object_mut().unwrap();
    let is_of_a_target = |name: &str| ["-table", "-status"].iter().any(|end| name.ends_with(end));
    definitions.retain(|name, _| !is_of_a_target(name) || name.starts_with("device-with-"));
    for (name, texts) in all() {
        for (which, what, form) in
            [("table", "parameters in a table", texts.table), ("status", "status", texts.status)]
        {
            let mut schema = Fields::of(form).object();
            schema["description"] = format!("What the {what} of the target type {name} say.").into();
            definitions.insert(format!("{name}-{which}"), schema);
        }
    }
    definitions.insert("table-line".into(), line("table"));
    definitions.insert("status-line".into(), line("status"));
    definitions.insert("report-row".into(), row());
    let text = format!("{made:#}\n");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path(), &text).unwrap();
    }
    let there = std::fs::read_to_string(path()).unwrap();
    assert!(there == text, "{} is stale: UPDATE=1 cargo test --test cli schema", path().display());
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
            if let Value::Array(items) = value {
                open.extend(
                    items.iter().enumerate().map(|(index, item)| (format!("{at}/{key}/{index}"), item)),
                );
            } else {
                open.push((format!("{at}/{key}"), value));
            }
        }
    }
}
