//! rdmsetup-json(5), and on the page of a target type the fields that its lines have there.

use super::{DATE, MANUAL, SOURCE};
use crate::cli::SUBCOMMANDS;
use crate::target::{FOREIGN, Feature, Form, Kind, Part, Texts, Word};
use clap_mangen::roff::{Inline, Roff, bold, roman};

/// The page's name.
pub(super) const NAME: &str = "rdmsetup-json.5";

/// What every document has.
const COMMON: &[(&str, &str)] = &[
    (
        "rdmsetup",
        "1, the version of this form. It changes when a field goes away or means another thing, not when one is added.",
    ),
    ("command", "The command's name; null where the command line does not tell."),
    ("ok", "Whether all was done: the exit status is 0 then, else 1."),
    (
        "error",
        "The failure that ended the command: message (the line that dmsetup has for it), errno (as in EINVAL), request and device \
         (what the driver was asked, about which), reason, hint, kernel_log, and of a fault in a table line, column, width and text. \
         What is not known is null.",
    ),
    (
        "other_errors",
        "What else failed, of other devices for example, or was warned of. The same lines are on standard error as ever.",
    ),
];

/// The page.
pub(super) fn page() -> Vec<u8> {
    let mut roff = Roff::new();
    roff.control("TH", ["RDMSETUP-JSON", "5", DATE, SOURCE, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("rdmsetup-json - the documents of rdmsetup --json")]);
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold("rdmsetup --json"), roman(" COMMAND [OPTIONS] [ARGUMENTS]")]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(
        "With --json a command writes one JSON document to standard output in place of its text, for a failure too. Reports that \
         are repeated (--count, --interval) are a document a line. schema/rdmsetup.schema.json describes every field of every \
         document, as JSON Schema of 2020-12.",
    )]);
    roff.control("PP", []);
    roff.text([roman(
        "Sizes and positions are in bytes, and their names end in _bytes; one of 2^64 or more is null. Times have their unit at the \
         end of their name. Numbers in reports are as dmsetup shows them. What is not UTF-8 in a name is U+FFFD. Keys are zeros \
         unless --showkeys is given.",
    )]);
    entries(
        &mut roff,
        "FIELDS OF EVERY DOCUMENT",
        COMMON.iter().map(|(name, text)| (*name, (*text).to_owned())),
    );
    lines(&mut roff);
    let without = SUBCOMMANDS
        .iter()
        .filter_map(|command| Some((command.name, format!("{}.", sentence(command.no_document?)))));
    entries(&mut roff, "COMMANDS WITHOUT A DOCUMENT", without);
    roff.control("SH", ["TARGET TYPES OF THE KERNEL ALONE"]);
    roff.text([roman("Those that rdmsetup has itself have a page each, which tells of their fields.")]);
    for (name, texts) in FOREIGN {
        roff.control("SS", [*name]);
        fields(&mut roff, texts);
    }
    roff.control("SH", ["EXAMPLE"]);
    roff.control("EX", []);
    roff.text([roman("rdmsetup --json table | jq '.devices[] | {name, lines: [.lines[].fields]}'")]);
    roff.control("EE", []);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("rdmsetup"), roman("(8), "), bold("jq"), roman("(1)")]);
    let mut text = Vec::new();
    // A vector takes whatever is written to it.
    let _ = roff.to_writer(&mut text);
    text
}

/// What `table` and `status` have of each line.
fn lines(roff: &mut Roff) {
    let told = [
        ("start_bytes, length_bytes", "The part of the device that the line maps."),
        ("target", "The target type."),
        ("params", "The text behind it, as the driver has it."),
        (
            "fields",
            "The words of that text by name, as the target type has them; null where they cannot be read so.",
        ),
    ];
    entries(
        roff,
        "LINES OF TABLES AND OF STATUS",
        told.iter().map(|(name, text)| (*name, (*text).to_owned())),
    );
}

fn entries<'a>(roff: &mut Roff, title: &str, entries: impl Iterator<Item = (&'a str, String)>) {
    roff.control("SH", [title]);
    entries.for_each(|(name, text)| entry(roff, name, &text));
}

fn entry(roff: &mut Roff, name: &str, text: &str) {
    roff.control("TP", []);
    roff.text([bold(name.to_owned())]);
    roff.text([roman(text.to_owned()) as Inline]);
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The fields of a type's table and status.
pub(super) fn fields(roff: &mut Roff, texts: &Texts) {
    for (command, form) in [("table", texts.table), ("status", texts.status)] {
        if command == "status" {
            roff.control("PP", []);
        }
        if form.is_empty() {
            roff.text([roman(format!("Of {command} there are none."))]);
            continue;
        }
        roff.text([roman(format!("Of {command}:"))]);
        Page { roff, told: Vec::new() }.parts(form);
    }
}

/// Where fields are written, and those that were: what several forms have is told once.
struct Page<'a> {
    roff: &'a mut Roff,
    told: Vec<&'static str>,
}

impl Page<'_> {
    fn parts(&mut self, form: Form) {
        form.iter().for_each(|part| self.part(part));
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::One(word) => self.field(word.name, &of(word), &[]),
            Part::Ratio(one, other) => {
                self.field(one.name, &of(one), &[]);
                self.field(other.name, &of(other), &[]);
            }
            Part::Letters(name, means) => self.field(name, &format!("a list: {means}."), &[]),
            Part::Many(word, _) => self.field(word.name, &format!("a list: {}.", word.means), &[]),
            Part::Rest(name, means) => self.field(name, &format!("{means}."), &[]),
            Part::Each(name, means, _, form) => {
                self.field(name, &format!("a list: {means}. Each has:"), form);
            }
            Part::Object(name, means, form) => self.field(name, &format!("{means}:"), form),
            Part::Features(features) => features.iter().for_each(|feature| self.feature(feature)),
            Part::Within(_, form) | Part::Maybe(form) => self.parts(form),
            Part::Either(forms) => forms.iter().for_each(|form| self.parts(form)),
            Part::Count(_) | Part::Fixed(_) => {}
        }
    }

    fn feature(&mut self, feature: &Feature) {
        let means = feature.means;
        match feature.form {
            [] => self.field(feature.name(), &format!("true or false: {means}."), &[]),
            [_] => self.field(feature.name(), &format!("{means}."), &[]),
            form => self.field(feature.name(), &format!("{means}. It has:"), form),
        }
    }

    /// A field with what it means, and the fields in it.
    fn field(&mut self, name: &'static str, text: &str, inner: Form) {
        if self.told.contains(&name) {
            return;
        }
        self.told.push(name);
        entry(self.roff, name, text);
        if !inner.is_empty() {
            self.roff.control("RS", []);
            Page { roff: self.roff, told: Vec::new() }.parts(inner);
            self.roff.control("RE", []);
        }
    }
}

fn of(word: &Word) -> String {
    let or_null = if matches!(word.kind, Kind::OrNone(_)) { "; null for none" } else { "" };
    format!("{}{or_null}.", word.means)
}
