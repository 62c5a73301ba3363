//! From argv to a subcommand with its options: getopt's habits in front, clap's definitions behind.
//!
//! The table of options that getopt walks by is read off the clap definitions. dmsetup takes any option that some command
//! has with any other command, so the table is that of all commands; but a plain command line needs only its own
//! command's, and to build the rest would cost more than to run most commands.

use super::getopt::{self, Spec, Takes, Walked};
use super::global::Global;
use super::refusal::Refusal;
use super::{SUBCOMMANDS, Subcommand, find};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::mem::ManuallyDrop;
use std::os::unix::ffi::OsStrExt;

/// What a command line asks for.
#[derive(Debug)]
pub(super) enum CommandLine {
    /// Nothing: no command is named.
    Empty,
    /// The help of everything, or of one command.
    Help(Option<&'static Subcommand>),
    /// To run a command.
    Run(&'static Subcommand, Global, ArgMatches),
}

/// The definition of a subcommand with the options that all have.
pub(super) fn definition(subcommand: &Subcommand) -> Command {
    let bare = Command::new(subcommand.name).disable_help_flag(true).disable_version_flag(true);
    Global::augment_args((subcommand.args)(bare))
}

/// Takes argv, without the program's name, for a command line; `classic` is whether the program was called as `dmsetup`.
pub(super) fn parse(argv: &[OsString], classic: bool) -> Result<CommandLine, Refusal> {
    let plain = likely(argv).map(|subcommand| (subcommand, definition(subcommand)));
    let (table, walked) = match plain.as_ref().and_then(|(_, command)| walk_plain(command, argv, classic)) {
        Some(found) => found,
        None => {
            let table: Vec<Spec> = all_specs().into_iter().filter(|spec| is_known(spec, classic)).collect();
            let walked = getopt::walk(&table, argv).map_err(Refusal::Option)?;
            (table, walked)
        }
    };
    let given = |name: &str| walked.options.iter().any(|&(index, _)| table[index].long == name);
    if given("major") != given("minor") {
        return Err(Refusal::Value("Please specify both major number and minor number.".into()));
    }
    if given("table") && given("notable") {
        return Err(Refusal::Value("--table and --notable are incompatible.".into()));
    }
    if given("addnodeonresume") && given("addnodeoncreate") {
        return Err(Refusal::Value("--addnodeonresume and --addnodeoncreate are incompatible.".into()));
    }
    let named = walked.positionals.first();
    let subcommand = named.and_then(|word| find(word));
    if given("help") {
        return Ok(CommandLine::Help(subcommand));
    }
    let (subcommand, arguments) = match (given("version"), named, subcommand) {
        (true, ..) => {
            (find(OsStr::new("version")).ok_or_else(|| Refusal::UnknownCommand("version".into()))?, &[][..])
        }
        (false, None, _) => return Ok(CommandLine::Empty),
        (false, Some(word), None) => return Err(Refusal::UnknownCommand(word.clone())),
        (false, Some(_), Some(subcommand)) => (subcommand, &walked.positionals[1..]),
    };
    let command = plain.filter(|(plain, _)| std::ptr::eq(*plain, subcommand));
    let command = command.map_or_else(|| definition(subcommand), |(_, command)| command);
    let canonical = canonical(&command, &table, &walked, arguments);
    // The process is about to end: to take the definition apart would cost as much as to make it.
    let mut command = ManuallyDrop::new(command);
    let mut matches = command.try_get_matches_from_mut(canonical).map_err(|error| refusal(&error))?;
    let global = Global::from_arg_matches_mut(&mut matches).map_err(|error| refusal(&error))?;
    Ok(CommandLine::Run(subcommand, global, matches))
}

/// The command that argv names, if it does so at once or behind options of every command.
pub(super) fn likely(argv: &[OsString]) -> Option<&'static Subcommand> {
    let mut words = argv.iter();
    let mut word = words.next()?;
    if word.as_bytes().starts_with(b"-") {
        let globals = Global::augment_args(Command::new(""));
        let globals: Vec<Spec> = globals.get_arguments().filter_map(spec).collect();
        while let Some(name) = word.as_bytes().strip_prefix(b"--") {
            let known = globals.iter().find(|spec| name.starts_with(spec.long.as_bytes()))?;
            if known.takes == Takes::Value && name.len() == known.long.len() {
                words.next()?;
            }
            word = words.next()?;
        }
    }
    find(word)
}

/// The walk by one command's options, if that is all it takes: `None` where a word is not one of them in full.
fn walk_plain(command: &Command, argv: &[OsString], classic: bool) -> Option<(Vec<Spec>, Walked)> {
    let specs = command.get_arguments().filter_map(spec);
    let table: Vec<Spec> = specs.filter(|spec| is_known(spec, classic)).collect();
    let in_full = |word: &OsString| {
        let long = word.as_bytes().strip_prefix(b"--").unwrap_or_default();
        let name = long.split(|&byte| byte == b'=').next().unwrap_or_default();
        name.is_empty() || table.iter().any(|spec| spec.long.as_bytes() == name)
    };
    let walked = argv
        .iter()
        .take_while(|word| *word != "--")
        .all(in_full)
        .then(|| getopt::walk(&table, argv).ok())??;
    Some((table, walked))
}

/// Whether the program has the option by the name that it is called: what dmsetup prints is text.
fn is_known(spec: &Spec, classic: bool) -> bool {
    !classic || spec.long != "json"
}

/// Every option of every command, once.
pub(super) fn all_specs() -> Vec<Spec> {
    let mut table: Vec<Spec> = Vec::new();
    for subcommand in SUBCOMMANDS {
        for spec in definition(subcommand).get_arguments().filter_map(spec) {
            if !table.iter().any(|known| known.long == spec.long) {
                table.push(spec);
            }
        }
    }
    table
}

/// An argument as getopt sees it; `None` for a positional.
pub(super) fn spec(arg: &Arg) -> Option<Spec> {
    let takes = match arg.get_num_args() {
        Some(count) if count.min_values() == 0 => Takes::Maybe,
        _ if arg.get_action().takes_values() => Takes::Value,
        _ => Takes::Nothing,
    };
    let others = arg.get_all_short_aliases().unwrap_or_default();
    let shorts = arg.get_short().into_iter().chain(others).collect();
    Some(Spec { long: arg.get_long()?.to_owned(), shorts, takes })
}

/// The command line as clap is handed it: every option in full with its value joined, of a repeated one the last
/// (or all, where it takes several values), and none that the command does not have.
fn canonical(command: &Command, table: &[Spec], walked: &Walked, arguments: &[OsString]) -> Vec<OsString> {
    let mut line = vec![OsString::from(command.get_name())];
    for (place, (index, value)) in walked.options.iter().enumerate() {
        let name = table[*index].long.as_str();
        let Some(arg) = command.get_arguments().find(|arg| arg.get_long() == Some(name)) else { continue };
        let adds_up = matches!(arg.get_action(), ArgAction::Count | ArgAction::Append);
        if !adds_up && walked.options[place + 1..].iter().any(|(later, _)| later == index) {
            continue;
        }
        let mut word = OsString::from(format!("--{name}"));
        if let Some(value) = value {
            word.push("=");
            word.push(value);
        }
        line.push(word);
    }
    line.push("--".into());
    line.extend_from_slice(arguments);
    line
}

/// Once getopt has walked by, clap can refuse but two things.
fn refusal(error: &clap::Error) -> Refusal {
    match error.source() {
        Some(reason) => Refusal::Value(reason.to_string()),
        None => Refusal::WrongCount,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Result<CommandLine, Refusal> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>(), false)
    }

    #[test]
    fn an_option_means_the_same_in_every_command() {
        let mut known: Vec<Spec> = Vec::new();
        for subcommand in SUBCOMMANDS {
            for spec in definition(subcommand).get_arguments().filter_map(spec) {
                if let Some(other) = known.iter().find(|known| {
                    known.long == spec.long || known.shorts.iter().any(|short| spec.shorts.contains(short))
                }) {
                    assert_eq!(*other, spec, "{}", subcommand.name);
                }
                known.push(spec);
            }
        }
    }

    #[test]
    fn definitions_hold_what_clap_asks_of_them() {
        SUBCOMMANDS.iter().for_each(|subcommand| definition(subcommand).debug_assert());
    }

    #[test]
    fn an_option_of_another_command_is_taken_and_ignored() {
        for words in [&["version", "--noflush"][..], &["--table", "x", "version"], &["vers", "-v"]] {
            match line(words) {
                Ok(CommandLine::Run(subcommand, ..)) => assert_eq!(subcommand.name, "version"),
                Err(Refusal::UnknownCommand(_)) => assert_eq!(words[0], "vers"),
                other => panic!("{words:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn dmsetup_has_no_documents() {
        for words in [&["ls", "--json"][..], &["--json", "ls"], &["info", "-c", "--js"]] {
            let argv: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert!(matches!(parse(&argv, true), Err(Refusal::Option(getopt::Fault::Unrecognized(_)))));
            assert!(matches!(parse(&argv, false), Ok(CommandLine::Run(_, Global { json: true, .. }, _))));
        }
    }

    #[test]
    fn what_cannot_stand_together_is_refused() {
        assert!(matches!(line(&["ls", "-j", "4"]), Err(Refusal::Value(_))));
        assert!(matches!(line(&["create", "x", "-n", "--table", "t"]), Err(Refusal::Value(_))));
        assert!(matches!(line(&["ls", "x"]), Err(Refusal::WrongCount)));
        assert!(matches!(line(&["rename"]), Err(Refusal::WrongCount)));
        assert!(matches!(line(&[]), Ok(CommandLine::Empty)));
        assert!(matches!(line(&["ls", "x", "-h"]), Ok(CommandLine::Help(Some(_)))));
    }
}
