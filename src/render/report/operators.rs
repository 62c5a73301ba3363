//! The operators of the selection language, each with its word and what the list of operators says of it.

/// What is between a field and a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// A regular expression is found in it, or is not.
    Matches(bool),
    /// Equal, or not.
    Equals(bool),
    /// In the order of numbers.
    Ordered(Relation),
    /// In the order of times. No field is a time, so each use is refused.
    Timed,
}

/// How two numbers stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    AtLeast,
    Above,
    AtMost,
    Below,
}

/// What joins and groups conditions and the items of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grouping {
    And,
    Or,
    Not,
    Open,
    Close,
    ListOpen,
    ListClose,
    SubsetOpen,
    SubsetClose,
}

/// The comparisons. One that another begins with stands behind it.
pub(super) const COMPARISONS: &[(&str, Comparison, &str)] = &[
    ("=~", Comparison::Matches(true), "Matching regular expression. [regex]"),
    ("!~", Comparison::Matches(false), "Not matching regular expression. [regex]"),
    ("=", Comparison::Equals(true), "Equal to. [number, size, percent, string, string list, time]"),
    ("!=", Comparison::Equals(false), "Not equal to. [number, size, percent, string, string_list, time]"),
    (">=", Comparison::Ordered(Relation::AtLeast), "Greater than or equal to. [number, size, percent, time]"),
    (">", Comparison::Ordered(Relation::Above), "Greater than. [number, size, percent, time]"),
    ("<=", Comparison::Ordered(Relation::AtMost), "Less than or equal to. [number, size, percent, time]"),
    ("<", Comparison::Ordered(Relation::Below), "Less than. [number, size, percent, time]"),
    ("since", Comparison::Timed, "Since specified time (same as '>='). [time]"),
    ("after", Comparison::Timed, "After specified time (same as '>'). [time]"),
    ("until", Comparison::Timed, "Until specified time (same as '<='). [time]"),
    ("before", Comparison::Timed, "Before specified time (same as '<'). [time]"),
];

/// The words that join and group.
pub(super) const GROUPINGS: &[(&str, Grouping, &str)] = &[
    ("&&", Grouping::And, "All fields must match"),
    (",", Grouping::And, "All fields must match"),
    ("||", Grouping::Or, "At least one field must match"),
    ("#", Grouping::Or, "At least one field must match"),
    ("!", Grouping::Not, "Logical negation"),
    ("(", Grouping::Open, "Left parenthesis"),
    (")", Grouping::Close, "Right parenthesis"),
    ("[", Grouping::ListOpen, "List start"),
    ("]", Grouping::ListClose, "List end"),
    ("{", Grouping::SubsetOpen, "List subset start"),
    ("}", Grouping::SubsetClose, "List subset end"),
];

/// White space as C's isspace has it.
pub(super) fn skip_space(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    &text[text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len())..]
}

/// The comparison that the text begins with, blanks before it aside, and what is behind it.
pub(super) fn comparison(text: &[u8]) -> Option<(Comparison, &[u8])> {
    let text = skip_space(text);
    let found = COMPARISONS.iter().find(|(word, ..)| text.starts_with(word.as_bytes()));
    found.map(|(word, comparison, _)| (*comparison, &text[word.len()..]))
}

/// The one of `wanted` that the text begins with, blanks before it aside, and what is behind it.
pub(super) fn grouping<'a>(text: &'a [u8], wanted: &[Grouping]) -> Option<(Grouping, &'a [u8])> {
    let text = skip_space(text);
    let mut known = GROUPINGS.iter().filter(|(_, grouping, _)| wanted.contains(grouping));
    let found = known.find(|(word, ..)| text.starts_with(word.as_bytes()));
    found.map(|(word, grouping, _)| (*grouping, &text[word.len()..]))
}
