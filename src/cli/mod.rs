//! The command line: one file a subcommand, and the list of them.
//!
//! ```text
//! argv ─ getopt ─ command_line ─▶ a subcommand's Args ─ run(Context) ─▶ Requests, rendered Replies, or a Failure
//! ```
//!
//! A subcommand asks for what it needs through its `Context` and returns; `output` alone touches the standard
//! streams, `failure` alone knows how a fault reads. This room knows no bytes of the protocol.
#![forbid(unsafe_code)]

mod block_name;
mod called;
#[cfg(feature = "desk")]
mod candidate_values;
#[cfg(feature = "desk")]
mod candidates;
mod command_line;
mod concise;
mod context;
#[cfg(feature = "desk")]
mod device_file;
#[cfg(feature = "desk")]
mod device_toml;
mod device_tree;
mod diagnosis;
#[cfg(all(feature = "serve", target_os = "linux"))]
mod exports;
mod extent;
mod failure;
mod getopt;
mod global;
mod json;
mod order;
mod output;
#[cfg(feature = "desk")]
mod place;
#[cfg(feature = "desk")]
mod plan;
#[cfg_attr(not(feature = "desk"), path = "no_progress.rs")]
mod progress;
mod read_ahead;
mod refusal;
mod rehearsal;
mod report;
mod report_fields;
mod report_row;
mod screen;
mod seen;
mod selector;
mod split_name;
mod survey;
#[cfg(feature = "desk")]
mod swap;
mod sysfs;
mod table_source;
mod tree;
mod udev_options;
mod usage;

use crate::render::screen::Paint;
use called::Called;
use clap::{ArgMatches, Command};
use command_line::CommandLine;
use context::{Context, Environment};
use failure::Failure;
use output::complain;
use refusal::Refusal;
use screen::When;
use std::ffi::{OsStr, OsString};

/// A subcommand as the list has it.
#[derive(Debug)]
struct Subcommand {
    name: &'static str,
    aliases: &'static [&'static str],
    /// Adds its options and its help to a definition.
    args: fn(Command) -> Command,
    run: fn(ArgMatches, &mut Context) -> Result<(), Failure>,
    /// Why it has no document for `--json`; none if it has.
    no_document: Option<&'static str>,
}

/// What each subcommand's arguments can do.
trait Run: clap::Args {
    /// Why there is no document of it for `--json`, if there is none: it is refused then.
    const NO_DOCUMENT: Option<&'static str> = None;

    /// Whether it changes devices: its document tells of those that it changed and of those that are gone.
    const CHANGES: bool = false;

    /// Carries the command out.
    fn run(self, ctx: &mut Context) -> Result<(), Failure>;
}

/// The list: a name, its other names, the type of its arguments.
macro_rules! subcommands {
    ($($(#[$when:meta])? $name:literal $([$($alias:literal),*])? => $module:ident::$args:ident;)*) => {
        $($(#[$when])? mod $module;)*
        static SUBCOMMANDS: &[Subcommand] = &[$($(#[$when])? Subcommand {
            name: $name,
            aliases: &[$($($alias),*)?],
            args: <$module::$args as clap::Args>::augment_args,
            run: run_subcommand::<$module::$args>,
            no_document: <$module::$args as Run>::NO_DOCUMENT,
        },)*];
    };
}

subcommands! {
    "help" => help::Help;
    "create" => create::Create;
    "remove" => remove::Remove;
    "remove_all" => remove_all::RemoveAll;
    "suspend" => suspend::Suspend;
    "resume" => resume::Resume;
    "load" ["reload"] => load::Load;
    "clear" => clear::Clear;
    "wipe_table" => wipe_table::WipeTable;
    "rename" => rename::Rename;
    "message" => message::Message;
    "ls" => ls::Ls;
    "info" => info::Info;
    "deps" => deps::Deps;
    "stats" => stats::Stats;
    "status" => status::Status;
    "table" => table::Table;
    "wait" => wait::Wait;
    "watch" => watch::Watch;
    "measure" => measure::Measure;
    "mknodes" => mknodes::Mknodes;
    "mangle" => mangle::Mangle;
    "udevcreatecookie" => udevcreatecookie::Udevcreatecookie;
    "udevreleasecookie" => udevreleasecookie::Udevreleasecookie;
    "udevflags" => udevflags::Udevflags;
    "udevcomplete" => udevcomplete::Udevcomplete;
    "udevcomplete_all" => udevcomplete_all::UdevcompleteAll;
    "udevcookies" => udevcookies::Udevcookies;
    "target-version" => target_version::TargetVersion;
    "targets" => targets::Targets;
    "version" => version::Version;
    "setgeometry" => setgeometry::SetGeometry;
    "splitname" => splitname::SplitName;
    "read" => read::Read;
    "write" => write::Write;
    #[cfg(all(feature = "serve", target_os = "linux"))]
    "serve" => serve::Serve;
    "decode" => decode::Decode;
    "check" => check::Check;
    "explain" => explain::Explain;
    "holders" => holders::Holders;
    #[cfg(feature = "desk")]
    "apply" => apply::Apply;
    #[cfg(feature = "desk")]
    "dump" => dump::Dump;
    #[cfg(feature = "desk")]
    "diff" => diff::Diff;
    #[cfg(feature = "desk")]
    "completions" => completions::Completions;
    #[cfg(feature = "desk")]
    "man" => man::Man;
}

/// The subcommand of that name.
fn find(name: &OsStr) -> Option<&'static Subcommand> {
    SUBCOMMANDS
        .iter()
        .find(|subcommand| subcommand.name == name || subcommand.aliases.iter().any(|alias| *alias == name))
}

fn run_subcommand<T: Run>(mut matches: ArgMatches, ctx: &mut Context) -> Result<(), Failure> {
    if ctx.json.is_some()
        && let Some(why) = T::NO_DOCUMENT
    {
        return Err(Failure::Ours(format!("--json is not for this command: {why}")));
    }
    if T::CHANGES {
        ctx.tell_list("devices");
        ctx.tell_list("removed");
    }
    let args = T::from_arg_matches_mut(&mut matches).map_err(|error| Failure::Ours(error.to_string()))?;
    args.run(ctx)
}

/// Carries a command line out, the program's name at its head; whether all went well.
pub fn run(argv: impl Iterator<Item = OsString>) -> bool {
    let mut argv: Vec<OsString> = argv.collect();
    let program = if argv.is_empty() { OsString::from("rdmsetup") } else { argv.remove(0) };
    let called = Called::by(&program);
    // What cannot be carried out is told in a document too, where one is asked for.
    let refused = |argv: &[OsString], lines: &[String]| {
        let paint = if called.is_classic() { Paint::Plain } else { screen::of_failures(When::Auto) };
        lines.iter().for_each(|line| complain(&paint.failure(line)));
        let mut out = output::Output::default();
        if !called.is_classic() && json::is_asked(argv) {
            out.add(json::refused(command_line::likely(argv).map(|likely| likely.name), lines));
        }
        // That it was written makes nothing well.
        let _ = out.finish();
        false
    };
    let environment = match Environment::read(called.is_classic()) {
        Ok(environment) => environment,
        Err(line) => return refused(&argv, &[line]),
    };
    let argv = match called.translate(argv, &crate::backend::dev_dir()) {
        Ok(argv) => argv,
        Err(lines) => {
            lines.iter().for_each(|line| complain(line));
            complain("Couldn't process command line.");
            return false;
        }
    };
    match command_line::parse(&argv, called.is_classic()) {
        Ok(CommandLine::Run(subcommand, global, matches)) => {
            // dmsetup's `--version` is content to name itself where no driver answers.
            let contented = global.version;
            let mut ctx = Context::new(subcommand.name, global, environment);
            let outcome = (subcommand.run)(matches, &mut ctx);
            ctx.finish(outcome) || contented
        }
        Ok(CommandLine::Help(_)) if called.usage().is_some() => {
            called.usage().iter().for_each(|usage| complain(usage));
            true
        }
        Ok(CommandLine::Help(subcommand)) if !called.is_classic() && json::is_asked(&argv) => {
            let mut document = json::Document::new("help");
            help::tell(&mut document, subcommand);
            let mut out = output::Output::default();
            document.take(true).iter().for_each(|text| out.add(&**text));
            out.finish()
        }
        // dmsetup has one text for all.
        Ok(CommandLine::Help(Some(subcommand))) if !called.is_classic() => {
            let mut out = output::Output::default();
            out.print(usage::of(subcommand));
            out.finish()
        }
        Ok(CommandLine::Help(_)) => {
            complain(&usage::all());
            true
        }
        Ok(CommandLine::Empty) if !called.is_classic() && json::is_asked(&argv) => refused(
            &argv,
            &["no command is given".into(), "  hint: `rdmsetup help` lists the commands".into()],
        ),
        Ok(CommandLine::Empty) => refused(&argv, &[called.usage().unwrap_or_else(usage::all)]),
        Err(Refusal::WrongCount) if called == Called::Dmstats => {
            complain(&stats::usage());
            false
        }
        Err(refusal) => refused(&argv, &refusal.lines(&program, &argv, called.is_classic())),
    }
}
