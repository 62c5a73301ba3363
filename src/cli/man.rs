//! `man`: the manual pages, from the definitions that also give the help and the targets.

mod documents;

use super::Run;
use super::command_line::definition;
use super::context::Context;
use super::failure::Failure;
use super::{SUBCOMMANDS, Subcommand};
use crate::dm::Errno;
use crate::target::{TARGETS, TargetType};
use clap::{Args, Command};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, italic, roman};
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// What stands at the foot of each page.
const SOURCE: &str = concat!("rdmsetup ", env!("CARGO_PKG_VERSION"));
/// When that version was made: a page without a date of its own would have that of its making.
const DATE: &str = "2026-11-22";
/// And at its head.
const MANUAL: &str = "Device-mapper";

/// Write the manual pages into a directory
///
/// rdmsetup(8), a page for each command, one for each target type, and one for the documents of --json.
#[derive(Args, Debug)]
pub(super) struct Man {
    /// The directory, which must be there
    #[arg(value_name = "DIRECTORY")]
    directory: OsString,
}

impl Run for Man {
    const NO_DOCUMENT: Option<&'static str> = Some("it writes files, and nothing to standard output");

    fn run(self, _: &mut Context) -> Result<(), Failure> {
        let directory = Path::new(&self.directory);
        for (name, text) in pages() {
            let path = directory.join(name);
            fs::write(&path, text).map_err(|error| {
                Failure::Ours(format!("cannot write \"{}\": {}", path.display(), Errno::from_io(&error)))
            })?;
        }
        Ok(())
    }
}

/// Every page: its file's name, and its text.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut pages = vec![("rdmsetup.8".to_owned(), program())];
    pages.extend(
        SUBCOMMANDS.iter().map(|command| (format!("rdmsetup-{}.8", command.name), subcommand(command))),
    );
    pages.extend(TARGETS.iter().map(|target| (format!("rdmsetup-{}.7", target.name), target_type(target))));
    pages.push((documents::NAME.to_owned(), documents::page()));
    pages
}

/// rdmsetup(8).
fn program() -> Vec<u8> {
    let mut command = Command::new("rdmsetup")
        .about("Device-mapper, with the kernel's driver or without")
        .disable_help_subcommand(true)
        .disable_help_flag(true);
    for subcommand in SUBCOMMANDS {
        let about = definition(subcommand).get_about().cloned().unwrap_or_default();
        command = command.subcommand(Command::new(subcommand.name).about(about));
    }
    let page = Page::new(command).title("RDMSETUP").section("8").date(DATE).source(SOURCE).manual(MANUAL);
    let mut text = Vec::new();
    // A vector takes whatever is written to it.
    let _ = page.render_title(&mut text).and_then(|()| page.render_name_section(&mut text));
    let _ = synopsis().to_writer(&mut text);
    let _ = page.render_subcommands_section(&mut text);
    let _ = sections().to_writer(&mut text);
    text
}

/// How the program is called, and what it is.
fn synopsis() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold("rdmsetup"), roman(" "), italic("COMMAND"), roman(" [OPTIONS] [ARGUMENTS]")]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(
        "rdmsetup manages devices of the device-mapper as dmsetup(8) does, with its commands, options and output. The \
         kernel's driver answers where it may be used, and elsewhere a device-mapper in the program itself, over files \
         and disks, that needs neither root nor a driver.",
    )]);
    roff.control("PP", []);
    roff.text([roman(
        "A table is lines of START LENGTH TARGET ARGUMENTS, in sectors of 512 bytes; # begins a comment. The pages of \
         section 7 tell of each target type.",
    )]);
    roff
}

/// What the program heeds beside its arguments.
fn sections() -> Roff {
    let mut roff = Roff::new();
    let mut section = |title: &str, entries: &[(&str, &str)]| {
        roff.control("SH", [title]);
        for (term, text) in entries {
            roff.control("TP", []);
            roff.text([bold(*term)]);
            roff.text([roman(*text)]);
        }
    };
    section(
        "ENVIRONMENT",
        &[
            ("RDMSETUP_BACKEND", "Who answers, as --backend says: auto, kernel or user."),
            ("RDMSETUP_STATE", "The directory of the userspace mapper's state, as --state says."),
            ("DM_DEV_DIR", "The directory of device nodes, if not /dev."),
            ("DM_DISABLE_UDEV", "If set, nodes are made by the program and not by udev."),
            ("DM_UDEV_COOKIE", "The cookie that commands count in with, as --udevcookie says."),
            ("DM_DEFAULT_NAME_MANGLING_MODE", "When names are written in hex, as --manglename says."),
            ("NO_COLOR", "If set, there are no colours, unless --color asks for them."),
            ("RDMSETUP_UDEV_TIMEOUT", "How many seconds a command waits for udev, 180 if not set."),
        ],
    );
    section(
        "FILES",
        &[
            ("/var/lib/rdmsetup", "The state of root's userspace mapper."),
            ("$XDG_STATE_HOME/rdmsetup, ~/.local/state/rdmsetup", "That of any other user's."),
            ("/dev/mapper/control", "The kernel's driver."),
        ],
    );
    section(
        "EXIT STATUS",
        &[
            ("0", "All was done."),
            ("1", "Something was not; the reason is on standard error, and Command failed. ends it."),
        ],
    );
    roff.control("SH", ["SEE ALSO"]);
    let pages = [
        ("rdmsetup-devices", "(5), "),
        ("rdmsetup-differences", "(7), "),
        ("rdmsetup-json", "(5), "),
        ("rdmsetup-protocol", "(7), "),
        ("dmsetup", "(8)"),
    ];
    roff.text(pages.into_iter().flat_map(|(page, section)| [bold(page), roman(section)]).collect::<Vec<_>>());
    roff
}

/// The page of a command.
fn subcommand(subcommand: &Subcommand) -> Vec<u8> {
    let name = format!("rdmsetup-{}", subcommand.name);
    let command =
        definition(subcommand).display_name(name.clone()).bin_name(format!("rdmsetup {}", subcommand.name));
    let page =
        Page::new(command).title(name.to_uppercase()).section("8").date(DATE).source(SOURCE).manual(MANUAL);
    let mut text = Vec::new();
    let _ = page.render(&mut text);
    text
}

/// The page of a target type.
fn target_type(target: &TargetType) -> Vec<u8> {
    let name = format!("rdmsetup-{}", target.name);
    let mut roff = Roff::new();
    roff.control("TH", [name.to_uppercase().as_str(), "7", DATE, SOURCE, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - the target type {}, version {}", target.name, target.version))]);
    roff.control("SH", ["SYNOPSIS"]);
    let line = format!(" {} {}", target.name, target.usage);
    roff.text([italic("START LENGTH"), roman(line.trim_end().to_owned())]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(target.help)]);
    roff.control("SH", ["FIELDS"]);
    roff.text([roman("With --json a line of this type is told by its fields, beside its text:")]);
    roff.control("PP", []);
    documents::fields(&mut roff, &target.texts);
    roff.control("SH", ["EXAMPLE"]);
    roff.control("EX", []);
    roff.text([roman(target.example)]);
    roff.control("EE", []);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("rdmsetup"), roman("(8), "), bold("rdmsetup-json"), roman("(5)")]);
    let mut text = Vec::new();
    let _ = roff.to_writer(&mut text);
    text
}
