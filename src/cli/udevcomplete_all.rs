//! `udevcomplete_all`: cookies that nobody will complete any more, destroyed.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::output;
use crate::backend::cookie::{Destroyed, destroy_cookies};
use clap::Args;
use std::io::{self, BufReader, Read};

/// How the cookies meant are called in dmsetup's lines.
const KEYS: &str = "keys prefixed by 3405 (0xd4d)";

/// Destroy all cookies, so that whoever waits with one goes on
///
/// Asks first, unless --yes is given.
#[derive(Args, Debug)]
pub(super) struct UdevcompleteAll {
    /// Only those that are older than this
    #[arg(value_name = "AGE_IN_MINUTES")]
    age: Option<String>,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Run for UdevcompleteAll {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let unreadable = || Failure::classic("Failed to read age_in_minutes parameter.");
        let age = self.age.as_deref().map(|age| minutes(age).ok_or_else(unreadable)).transpose()?;
        let age = age.unwrap_or(0);
        if !self.yes && ctx.json.is_some() {
            return Err(Failure::Ours(
                "udevcomplete_all: --json leaves no place for a question\n  hint: add --yes".into(),
            ));
        }
        if !self.yes && !is_wanted(ctx, age) {
            ctx.out.print(format!("Semaphores with {KEYS} NOT destroyed.\n"));
            return Ok(());
        }
        let Destroyed { destroyed, skipped, failed } = destroy_cookies(age)?;
        failed.into_iter().for_each(|error| ctx.report(&error.into()));
        if let Some(document) = &mut ctx.json {
            document.set("destroyed", destroyed);
            document.set("skipped", skipped);
        }
        ctx.out.print(format!("{destroyed} semaphores with {KEYS} destroyed. {skipped} skipped.\n"));
        Ok(())
    }
}

/// The digits that a word begins with.
fn minutes(word: &str) -> Option<u32> {
    let word = word.trim_ascii_start();
    let end = word.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(word.len());
    word[..end].parse().ok()
}

/// Asks until the answer is yes or no, or there is none.
fn is_wanted(ctx: &mut Context, age: u32) -> bool {
    let older = if age > 0 { format!("older than {age} minutes ") } else { String::new() };
    ctx.report(&Failure::classic(format!(
        "WARNING: This operation will destroy all semaphores {older}with keys that have a prefix 3405 (0xd4d)."
    )));
    let Ok(input) = output::data_in() else { return false };
    let answer = answer(BufReader::new(input).bytes(), || {
        ctx.out.print("Do you really want to continue? [y/n]: ");
        ctx.out.flush();
    });
    if answer.is_none() {
        ctx.out.print("\n");
    }
    answer == Some(true)
}

/// The last y or n of the first line that has one; `None` if the input ends before it.
fn answer(input: impl Iterator<Item = io::Result<u8>>, mut ask: impl FnMut()) -> Option<bool> {
    ask();
    let mut answer = None;
    for byte in input {
        match byte.ok()?.to_ascii_lowercase() {
            b'y' => answer = Some(true),
            b'n' => answer = Some(false),
            b'\n' if answer.is_some() => return answer,
            b'\n' => ask(),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_line_with_y_or_n() {
        let said = |text: &str| {
            let mut asked = 0;
            (answer(text.bytes().map(Ok), || asked += 1), asked)
        };
        assert_eq!(said("y\n"), (Some(true), 1));
        assert_eq!(said("\nhm\nNo\n"), (Some(false), 3));
        assert_eq!(said("y"), (None, 1));
        assert_eq!(said("yn\n"), (Some(false), 1));
        assert_eq!((minutes(" 5x"), minutes("x"), minutes("")), (Some(5), None, None));
    }
}
