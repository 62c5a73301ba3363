//! The lists that are shown to those who ask, and with an unknown name: the fields, the operators of selections.

use super::columns::Names;
use super::field::Kind;
use super::operators::{COMPARISONS, GROUPINGS};

/// A line that dmsetup leaves empty, but for a blank.
const EMPTY: &str = " ";

/// The fields that every report has.
const SPECIAL: &[(&str, &str, bool)] = &[
    ("selected", "Set if item passes selection criteria.", true),
    ("help", "Show help.", false),
    ("?", "Show help.", false),
];

/// The list of fields, with an empty line behind it. For `-o` and `-O` the words for whole groups are in it; for
/// selections the kinds are.
pub(super) fn fields<R>(names: &Names<R>, for_columns: bool) -> Vec<String> {
    let keys = names.fields.iter().map(|field| field.key.len());
    let groups = names.catalogue.groups.iter().map(|group| group.prefix.len() + 3);
    let width = keys.chain(groups).chain(SPECIAL.iter().map(|(key, ..)| key.len())).max().unwrap_or_default();

    let mut lines = Vec::new();
    let mut title = "";
    for field in &names.fields {
        let Some(group) = names.catalogue.groups.iter().find(|group| group.bit == field.group) else {
            continue;
        };
        if group.title != title {
            if !title.is_empty() {
                lines.push(EMPTY.to_owned());
            }
            title = group.title;
            underlined(&mut lines, title);
            if for_columns {
                lines.push(format!(
                    "  {:<width$} - All fields in this section.",
                    format!("{}all", group.prefix)
                ));
            }
        }
        let kind =
            if for_columns { String::new() } else { format!(" [{}]", kind_name(field.kind, names.classic)) };
        lines.push(format!("  {:<width$} - {}{kind}", field.key, field.help));
    }
    lines.push(EMPTY.to_owned());
    underlined(&mut lines, "Special");
    for (key, help, selectable) in SPECIAL {
        let kind = match (for_columns, selectable) {
            (true, _) => "",
            (false, true) => " [number]",
            (false, false) => " [unselectable number]",
        };
        lines.push(format!("  {key:<width$} - {help}{kind}"));
    }
    lines.push(EMPTY.to_owned());
    lines
}

fn underlined(lines: &mut Vec<String>, title: &str) {
    let title = format!("{title} Fields");
    let line = "-".repeat(title.len());
    lines.extend([title, line]);
}

fn kind_name(kind: Kind, classic: bool) -> &'static str {
    match kind {
        Kind::Text => "string",
        Kind::Number => "number",
        Kind::Size => "size",
        Kind::List if classic => "string",
        Kind::List => "string list",
    }
}

/// What may stand in a selection, with an empty line behind it.
pub(super) fn selections() -> Vec<String> {
    let operands = [
        "Selection operands",
        "------------------",
        "  field               - Reporting field.",
        "  number              - Non-negative integer value.",
        "  size                - Floating point value with units, 'm' unit used by default if not specified.",
        "  percent             - Non-negative integer with or without % suffix.",
        "  string              - Characters quoted by ' or \" or unquoted.",
        "  string list         - Strings enclosed by [ ] or { } and elements delimited by either",
        "                        \"all items must match\" or \"at least one item must match\" operator.",
        "  regular expression  - Characters quoted by ' or \" or unquoted.",
        EMPTY,
        "Selection operators",
        "-------------------",
        "  Comparison operators:",
    ];
    let mut lines: Vec<String> = operands.map(String::from).to_vec();
    lines.extend(COMPARISONS.iter().map(|(word, _, help)| format!("    {word:>6}  - {help}")));
    lines.extend([EMPTY, "  Logical and grouping operators:"].map(String::from));
    lines.extend(GROUPINGS.iter().map(|(word, _, help)| format!("    {word:>4}  - {help}")));
    lines.push(EMPTY.to_owned());
    lines
}
