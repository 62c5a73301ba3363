//! A command line that cannot be carried out, and what its writer may have meant.

use super::command_line::{all_specs, definition, likely, spec};
use super::getopt::{Fault, Spec};
use super::{SUBCOMMANDS, Subcommand, usage};
use crate::dm::similar;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Why it cannot.
#[derive(Debug)]
pub(super) enum Refusal {
    /// getopt's: the program's name stands before it.
    Option(Fault),
    /// A value, or options that cannot stand together: the line that says so.
    Value(String),
    /// No command of that name.
    UnknownCommand(OsString),
    /// Too few words behind the command, or too many.
    WrongCount,
}

impl Refusal {
    /// The lines for standard error: dmsetup's, and unless `classic` what is wrong and what to do. `argv` is without the
    /// program's name.
    pub(super) fn lines(&self, program: &OsStr, argv: &[OsString], classic: bool) -> Vec<String> {
        let not_processed = "Couldn't process command line.".to_owned();
        match self {
            Self::Option(fault) => {
                let hint = option_hint(fault, likely(argv)).filter(|_| !classic);
                let first = format!("{}: {fault}", program.display());
                [Some(first), hint, Some(not_processed)].into_iter().flatten().collect()
            }
            Self::Value(line) => vec![line.clone(), not_processed],
            Self::UnknownCommand(_) if classic => vec![format!("Unknown command.\n{}", usage::all())],
            Self::UnknownCommand(word) => {
                vec!["Unknown command.".into(), format!("rdmsetup: {}", unknown_command(word))]
            }
            Self::WrongCount => {
                let usage = match likely(argv).filter(|_| !classic) {
                    Some(subcommand) => synopsis(subcommand),
                    None => usage::all(),
                };
                vec![format!("Incorrect number of arguments.\n{usage}")]
            }
        }
    }
}

/// Which word is no command, and which one is nearly it.
pub(super) fn unknown_command(word: &OsStr) -> String {
    let names = SUBCOMMANDS.iter().flat_map(|command| std::iter::once(&command.name).chain(command.aliases));
    let hint = match similar(word.as_bytes(), names.copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "`rdmsetup help` lists the commands".into(),
    };
    format!("there is no command \"{}\"\n  hint: {hint}", word.display())
}

/// Which option is nearly the one that is none, or what there is to choose from.
fn option_hint(fault: &Fault, subcommand: Option<&Subcommand>) -> Option<String> {
    let own = |subcommand: &Subcommand| -> Vec<Spec> {
        definition(subcommand).get_arguments().filter_map(spec).collect()
    };
    let list = subcommand
        .map(|subcommand| format!("  hint: `rdmsetup help {}` tells of its options", subcommand.name));
    match fault {
        Fault::Unrecognized(typed) => {
            let name = typed.as_bytes().split(|&byte| byte == b'=').next().unwrap_or_default();
            let specs = subcommand.map(own).unwrap_or_default();
            let near = |specs: &[Spec]| {
                similar(name, specs.iter().map(|spec| spec.long.as_str())).map(str::to_owned)
            };
            let near = near(&specs).or_else(|| near(&all_specs()));
            near.map(|near| format!("  hint: did you mean --{near}?")).or(list)
        }
        Fault::Invalid(_) => list,
        Fault::Ambiguous(..) => Some("  hint: write it in full".into()),
        Fault::NeedsValue(name) => {
            let specs = subcommand.map(definition)?;
            let arg = specs.get_arguments().find(|arg| arg.get_long() == Some(name))?;
            let values: Vec<&str> = arg.get_value_names()?.iter().map(|name| name.as_str()).collect();
            Some(format!("  hint: --{name}={}", values.join(" ")))
        }
        Fault::TakesNone(_) | Fault::LetterNeedsValue(_) => list,
    }
}

/// The command's usage, and where to learn more.
fn synopsis(subcommand: &Subcommand) -> String {
    let mut command = definition(subcommand).bin_name(format!("rdmsetup {}", subcommand.name));
    format!("{}\n  hint: `rdmsetup help {}` tells of its arguments", command.render_usage(), subcommand.name)
}
