//! What is said to those who ask how.

use super::command_line::definition;
use super::{SUBCOMMANDS, Subcommand};
use crate::target::TargetType;
use std::fmt::Write;

/// Every command, a line each.
pub(super) fn all() -> String {
    let mut text = String::from(
        "Usage:\n\nrdmsetup COMMAND [OPTIONS] [ARGUMENTS]\n        [-h|--help] [--version] [-v|--verbose]\n        \
         [--backend auto|kernel|user] [--state DIR] [--trace[=fields|hex]]\n\n",
    );
    for subcommand in SUBCOMMANDS {
        let about = definition(subcommand).get_about().map(ToString::to_string).unwrap_or_default();
        let names: Vec<&str> =
            std::iter::once(subcommand.name).chain(subcommand.aliases.iter().copied()).collect();
        // A String takes whatever is written to it.
        let _ = writeln!(text, "  {:<15} {about}", names.join(", "));
    }
    text.push_str(
        "\nDEVICE is a device's name or path, or (if only one) -u UUID or -j MAJOR -m MINOR.\n\
         `rdmsetup help COMMAND` tells of a command's options.\n",
    );
    text
}

/// A target type in full: its arguments, what they mean, an example.
pub(super) fn of_target(target: &TargetType) -> String {
    let TargetType { name, version, usage, help, example, .. } = target;
    let line = format!("START LENGTH {name} {usage}");
    let help = wrapped(help);
    format!(
        "The target type {name}, version {version}\n\nUsage: {}\n\n{help}\n\nExample:\n  {example}\n",
        line.trim_end()
    )
}

/// A text in lines of at most 80 columns, two blanks before each.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::from(" ")];
    for word in text.split_whitespace() {
        let last = lines.last_mut().filter(|line| line.len() + 1 + word.len() <= 80);
        match last {
            Some(line) => *line += &format!(" {word}"),
            None => lines.push(format!("  {word}")),
        }
    }
    lines.join("\n")
}

/// One command in full.
pub(super) fn of(subcommand: &Subcommand) -> String {
    let mut command = definition(subcommand).bin_name(format!("rdmsetup {}", subcommand.name));
    format!("{}\n", command.render_long_help().to_string().trim_end())
}
