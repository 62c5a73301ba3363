//! `completions`: a shell's script, and what the script asks when TAB is pressed.

use super::Run;
use super::candidates::{self, Offer};
use super::context::Context;
use super::failure::Failure;
use clap::Args;
use std::ffi::OsString;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// How long a shell waits for what the driver has to tell: a prompt that hangs is worse than nothing offered.
const PATIENCE: Duration = Duration::from_millis(250);

/// Each shell's name, the name of its script's file, and the script.
const SCRIPTS: &[(&str, &str)] = &[
    ("bash", include_str!("../../completions/rdmsetup.bash")),
    ("zsh", include_str!("../../completions/_rdmsetup")),
    ("fish", include_str!("../../completions/rdmsetup.fish")),
    ("elvish", include_str!("../../completions/rdmsetup.elv")),
    ("powershell", include_str!("../../completions/rdmsetup.ps1")),
];

/// Write a shell's completion of rdmsetup: commands, options, devices, target types, fields
///
/// The script asks the program when TAB is pressed, so what it offers is what there is then. Where to put it is said in its first
/// line.
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// bash, zsh, fish, elvish or powershell; with --complete the words up to the cursor, the program's name at their head
    #[arg(value_names = ["SHELL", "WORD"], num_args = 1.., required = true)]
    words: Vec<OsString>,

    /// List what can stand in the place of the last word: what scripts ask
    #[arg(long, value_name = "SHELL", hide = true)]
    complete: Option<String>,
}

impl Run for Completions {
    const NO_DOCUMENT: Option<&'static str> = Some("it writes a program for a shell");

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        if self.complete.is_some() {
            let words = self.words.into_iter().skip(1).collect();
            if let Some(offer) = in_time(words) {
                ctx.out.print(lines(&offer));
            }
            return Ok(());
        }
        let [shell] = self.words.as_slice() else {
            return Err(Failure::Ours("completions: name one shell".into()));
        };
        let script = SCRIPTS.iter().find(|(name, _)| shell == name).map(|(_, script)| script);
        let names: Vec<&str> = SCRIPTS.iter().map(|(name, _)| *name).collect();
        let unknown = || {
            let known = names.join(", ");
            Failure::Ours(format!("there is no completion for \"{}\": {known}", shell.display()))
        };
        ctx.out.print(script.ok_or_else(unknown)?);
        Ok(())
    }
}

/// The shells that there are scripts for.
pub(super) fn shells() -> impl Iterator<Item = &'static str> {
    SCRIPTS.iter().map(|(name, _)| *name)
}

/// What can stand there, unless a driver takes too long to tell.
fn in_time(words: Vec<OsString>) -> Option<Offer> {
    let (sender, receiver) = channel();
    // Nobody waits for it: it ends with the program.
    thread::spawn(move || sender.send(candidates::of(&words)));
    receiver.recv_timeout(PATIENCE).ok()
}

/// What is offered as the scripts read it: a line that says what it is, then a line each, what it is for behind a tab.
fn lines(offer: &Offer) -> String {
    let (kind, words) = match offer {
        Offer::Files => ("files", &[][..]),
        Offer::Directories => ("directories", &[][..]),
        Offer::Words(words) => ("words", words.as_slice()),
    };
    let mut text = format!("{kind}\n");
    for (word, about) in words {
        text.push_str(word);
        if !about.is_empty() {
            text.push('\t');
            text.push_str(about);
        }
        text.push('\n');
    }
    text
}
