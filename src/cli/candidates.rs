//! What can stand in a place of a command line: read off the same definitions that parse it.

use super::candidate_values::{self as values, Kind, Where};
use super::command_line::{all_specs, definition, spec};
use super::getopt::{Spec, Takes};
use super::{SUBCOMMANDS, Subcommand, find};
use clap::{Arg, Command};
use std::ffi::OsString;

/// What is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// Paths, which the shell knows best.
    Files,
    /// Those of directories.
    Directories,
    /// Words, each with what it is for.
    Words(Vec<(String, String)>),
}

/// A command line up to the cursor.
#[derive(Debug, Default)]
struct Line {
    /// The words that are no options, the command among them.
    positionals: Vec<String>,
    /// The option whose value the last word is.
    wants: Option<String>,
    place: Where,
}

/// What can stand in the place of the last of the words, which come behind the program's name.
pub(super) fn of(words: &[OsString]) -> Offer {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let Some((current, before)) = words.split_last() else { return Offer::Words(Vec::new()) };
    let named = before.iter().find_map(|word| find(word.as_ref()));
    let command = named.map(definition);
    let specs = match &command {
        Some(command) => command.get_arguments().filter_map(spec).collect(),
        None => all_specs(),
    };
    let line = walk(&specs, before);
    if let Some(option) = &line.wants {
        let kind = command.as_ref().and_then(|command| option_kind(command, option));
        return offer(kind.unwrap_or(Kind::Nothing), &line, "", current);
    }
    if let Some((option, value)) = current.strip_prefix("--").and_then(|option| option.split_once('=')) {
        let kind = command.as_ref().and_then(|command| option_kind(command, option));
        return offer(kind.unwrap_or(Kind::Nothing), &line, &format!("--{option}="), value);
    }
    if current.starts_with('-') {
        return Offer::Words(options(named, current));
    }
    match (named, &command) {
        (Some(_), Some(command)) => offer(positional_kind(command, &line), &line, "", current),
        _ => offer(Kind::Commands, &line, "", current),
    }
}

/// Takes the words before the cursor apart, as getopt would.
fn walk(specs: &[Spec], before: &[String]) -> Line {
    let mut line = Line::default();
    let mut words = before.iter();
    while let Some(word) = words.next() {
        let (option, joined) = match word.strip_prefix("--") {
            Some("") => {
                line.positionals.extend(words.cloned());
                break;
            }
            Some(long) => match long.split_once('=') {
                Some((name, value)) => (specs.iter().find(|spec| spec.long == name), Some(value.to_owned())),
                None => (specs.iter().find(|spec| spec.long == long), None),
            },
            None => match word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                Some(letters) => short(specs, letters),
                None => {
                    line.positionals.push(word.clone());
                    continue;
                }
            },
        };
        let Some(option) = option.filter(|option| option.takes == Takes::Value) else {
            line.place.note(option.map_or("", |option| &option.long), joined.as_deref());
            continue;
        };
        match joined.or_else(|| words.next().cloned()) {
            Some(value) => line.place.note(&option.long, Some(&value)),
            None => line.wants = Some(option.long.clone()),
        }
    }
    line
}

/// The option of a bundle that takes a value, with what stands behind its letter.
fn short<'a>(specs: &'a [Spec], letters: &str) -> (Option<&'a Spec>, Option<String>) {
    for (at, letter) in letters.char_indices() {
        let found = specs.iter().find(|spec| spec.shorts.contains(&letter));
        if let Some(spec) = found.filter(|spec| spec.takes == Takes::Value) {
            let rest = &letters[at + letter.len_utf8()..];
            return (Some(spec), Some(rest.to_owned()).filter(|rest| !rest.is_empty()));
        }
    }
    let last = letters.chars().last();
    (specs.iter().find(|spec| last.is_some_and(|letter| spec.shorts.contains(&letter))), None)
}

/// The options of a command, or of every command, that begin so.
fn options(named: Option<&Subcommand>, begin: &str) -> Vec<(String, String)> {
    let definitions: Vec<Command> = match named {
        Some(subcommand) => vec![definition(subcommand)],
        None => SUBCOMMANDS.iter().take(1).map(definition).collect(),
    };
    let arguments = definitions.iter().flat_map(Command::get_arguments).filter(|arg| !arg.is_hide_set());
    let told =
        |arg: &Arg| arg.get_help().map(|help| help.to_string().lines().next().unwrap_or_default().to_owned());
    arguments
        .filter_map(|arg| Some((format!("--{}", arg.get_long()?), told(arg).unwrap_or_default())))
        .filter(|(name, _)| name.starts_with(begin))
        .collect()
}

/// What an option's value is.
fn option_kind(command: &Command, option: &str) -> Option<Kind> {
    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(option))?;
    let name = arg.get_value_names()?.first()?.as_str().to_owned();
    Some(Kind::of_option(command.get_name(), option, &name))
}

/// What the next word that is no option is.
fn positional_kind(command: &Command, line: &Line) -> Kind {
    let mut names: Vec<String> = Vec::new();
    for arg in command.get_positionals() {
        match arg.get_value_names() {
            Some(given) => names.extend(given.iter().map(ToString::to_string)),
            None => names.push(arg.get_id().as_str().to_uppercase()),
        }
    }
    if line.place.has_device && names.len() > 1 {
        // -u or -j has named it.
        names.retain(|name| name != "DEVICE");
    }
    let place = line.positionals.len().saturating_sub(1);
    let is_repeated =
        command.get_positionals().any(|arg| arg.get_num_args().is_some_and(|count| count.max_values() > 8));
    let name = names.get(place).or_else(|| names.last().filter(|_| is_repeated));
    name.map_or(Kind::Nothing, |name| Kind::of_positional(command.get_name(), name))
}

fn offer(kind: Kind, line: &Line, before: &str, begin: &str) -> Offer {
    // In a list with commas the last part is being written.
    let done = if kind.is_list() { begin.rfind(',').map_or("", |at| &begin[..=at]) } else { "" };
    let words = match values::all(kind, &line.place) {
        Offer::Words(words) => words,
        paths @ (Offer::Files | Offer::Directories) => return paths,
    };
    let whole = words.into_iter().map(|(word, about)| (format!("{before}{done}{word}"), about));
    Offer::Words(whole.filter(|(word, _)| word[before.len()..].starts_with(begin)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        match of(&words) {
            Offer::Words(words) => words.into_iter().map(|(word, _)| word).collect::<Vec<_>>().join(" "),
            paths @ (Offer::Files | Offer::Directories) => format!("{paths:?}"),
        }
    }

    #[test]
    fn commands_options_and_values_are_offered_in_their_places() {
        assert_eq!(offered("rem"), "remove remove_all");
        assert_eq!(offered("-v ren"), "rename");
        assert_eq!(offered("remove --for"), "--force");
        assert_eq!(offered("ls --target stri"), "striped");
        assert_eq!(offered("ls --target=stri"), "--target=striped");
        assert_eq!(offered("info -c -o name,ope"), "name,open");
        assert_eq!(offered("info -co op"), "open");
        assert_eq!(offered("help stri"), "striped");
        assert_eq!(offered("target-version zero li"), "linear");
        assert_eq!(offered("--backend k"), "");
        assert_eq!(offered("ls --backend k"), "kernel");
        assert_eq!(offered("completions "), "bash zsh fish elvish powershell");
        assert_eq!(offered("stats ungr"), "ungroup");
        assert_eq!(offered("create vol0 "), "Files");
        assert_eq!((offered("apply "), offered("diff --prune P ")), ("Files".into(), "Files".into()));
        assert_eq!(offered("load -u U "), "Files");
        assert_eq!(offered("man "), "Directories");
        assert_eq!(offered("ls x"), "");
        assert_eq!(offered("splitname x "), "");
    }
}
