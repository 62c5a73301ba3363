//! What is said to those who ask how.

use super::command_line::definition;
use super::{SUBCOMMANDS, Subcommand};
use crate::dm::{Role, Sectors, Text, Use};
use crate::render::screen::human;
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
        "The target type {name}, version {version}\n\nUsage: {}\n\n{help}\n\nExample:\n  {example}\n\nIn it:\n{}",
        line.trim_end(),
        meanings(target)
    )
}

/// What the numbers and devices of its example are, a line each.
fn meanings(target: &TargetType) -> String {
    let all = Text::from(target.example).words();
    let [start, length, _, words @ ..] = all.as_slice() else { return String::new() };
    let roles = (target.roles)(words);
    let amount = |word: &Text| Sectors::parse(&word.to_string()).map(human).unwrap_or_default();
    let whole = roles.iter().position(|role| *role == Role::Device(Use::Whole)).map(|index| &words[index]);
    let rest = whole.map_or(String::new(), |disk| format!(", or be 100%: all that {disk} has left"));
    let mut rows = vec![
        (start, "the first sector of the device that the line maps".to_owned()),
        (length, format!("its length, {}; may have a unit{rest}", amount(length))),
    ];
    let mut device = None;
    for (word, role) in words.iter().zip(roles) {
        let meaning = match role {
            Role::Device(Use::Own) => "a device for data of its own".to_owned(),
            Role::Device(_) => "a disk, a device, or in userspace a file".to_owned(),
            Role::Offset => {
                let on = device.map_or(String::new(), |device: &Text| format!(" on {device}"));
                format!("where{on} the line begins, at {}; may have a unit", amount(word))
            }
            Role::Sectors => format!("sectors, {}; may have a unit", amount(word)),
            Role::Plain => continue,
        };
        device = if matches!(role, Role::Device(_)) { Some(word) } else { device };
        rows.push((word, meaning));
    }
    let width = rows.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
    rows.iter().map(|(word, meaning)| format!("  {:<width$}  {meaning}\n", word.to_string())).collect()
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
