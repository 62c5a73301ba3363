//! `message`: a word to the target at a sector.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::selector::Selector;
use crate::dm::{Command, ReplyBody, Request, Sectors};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Send a message to the target at a sector of a device
#[derive(Args, Debug)]
pub(super) struct Message {
    /// The device, unless -u or -j says which; the sector; the words of the message
    #[arg(value_names = ["DEVICE", "SECTOR", "MESSAGE"], num_args = 2.., required = true)]
    words: Vec<OsString>,

    #[command(flatten)]
    selector: Selector,
}

impl Run for Message {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let mut words = self.words.iter().map(OsString::as_os_str);
        let name = if self.selector.is_given() { None } else { words.next() };
        let device = self.selector.device(ctx, name)?;
        let word = words.next().unwrap_or_default();
        let sector = sector(word).ok_or_else(|| {
            let why = format!("\"{}\" is not a sector of the device", word.display());
            Failure::because(
                "Invalid sector.",
                why,
                "0 is the first one, and right for a device of one target",
            )
        })?;
        let words: Vec<&[u8]> = words.map(OsStr::as_bytes).collect();
        if words.is_empty() {
            // Said, and sent all the same: that is how dmsetup has it.
            ctx.report(&Failure::because(
                "No message supplied.",
                "the message has no words",
                "rdmsetup message DEVICE SECTOR WORD...",
            ));
        }
        let message = words.join(&b' ').into();
        let reply = ctx.perform(Request::new(device, Command::TargetMsg { sector, message }))?;
        if let Some(document) = &mut ctx.json {
            let answer = if let ReplyBody::Message(answer) = &reply.body { answer.as_ref() } else { None };
            document.set("answer", answer.map(ToString::to_string));
        }
        if let ReplyBody::Message(Some(answer)) = &reply.body {
            ctx.out.print(answer.as_bytes());
            if answer.last().is_some_and(|&last| last != b'\n') {
                ctx.out.print("\n");
            }
        }
        Ok(())
    }
}

fn sector(word: &OsStr) -> Option<Sectors> {
    word.to_str()?.trim_ascii_start().parse().ok().map(Sectors)
}
