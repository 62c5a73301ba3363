//! `ls --tree`: which devices are under which.

use super::block_name;
use super::context::Context;
use super::device_tree;
use super::failure::Failure;
use super::json;
use crate::dm::{Command, Request};
use crate::render::{TreeSigns, TreeStyle};
use std::env;
use std::io::stdout;

/// Where lines are cut off when standard output is no terminal.
const WIDTH: usize = 80;

/// Columns of a terminal that are left for the dots of a line cut off.
const MARGIN: u16 = 3;

/// Draws the tree as the words of `-o` say.
pub(super) fn show(ctx: &mut Context, words: &str) -> Result<(), Failure> {
    let Some(style) = style(words) else {
        let words = unknown(words);
        let lines =
            [format!("Tree options not recognised: {words}."), "Couldn't process command line.".to_owned()];
        return Err(Failure::refused(&lines));
    };
    let tree = device_tree::gather(ctx)?;
    if ctx.json.is_some() {
        json::told::tree(ctx, &tree);
        return Ok(());
    }
    let foreign = if style.kernel_name && ctx.client()?.is_mapper() {
        let listed = ctx.perform(Request::global(Command::ListDevices))?;
        listed.devices().first().map(|device| device.dev.major)
    } else {
        None
    };
    ctx.out.print(tree.draw(&style, &|dev| block_name::kernel_name(dev, foreign)));
    Ok(())
}

/// A word, and what it sets.
type Word = (&'static str, fn(&mut TreeStyle));

/// The words of `-o`, each with what it sets. One may be cut short; the first that begins so is meant.
const WORDS: &[Word] = &[
    ("device", |style| style.number = true),
    ("blkdevname", |style| style.kernel_name = true),
    ("nodevice", |style| style.number = false),
    // dmsetup draws no table with these two, and does not draw compactly either.
    ("status", |_| {}),
    ("table", |_| {}),
    ("active", |style| style.active = true),
    ("open", |style| style.open = true),
    ("uuid", |style| style.uuid = true),
    ("rw", |style| style.writable = true),
    ("utf", |style| style.signs = TreeSigns::Utf8),
    ("vt100", |style| style.signs = TreeSigns::Vt100),
    ("ascii", |style| style.signs = TreeSigns::Ascii),
    ("inverted", |style| style.inverted = true),
    ("compact", |style| style.compact = true),
    ("notrunc", |style| style.width = None),
];

/// The words one by one, each with the rest of the text from it on.
fn each(words: &str) -> impl Iterator<Item = (&str, &str)> {
    let starts = std::iter::once(0).chain(words.match_indices(',').map(|(comma, _)| comma + 1));
    let rests = starts.map(|start| &words[start..]).filter(|rest| !rest.is_empty());
    rests.map(|rest| (rest.split(',').next().unwrap_or_default(), rest))
}

fn known(word: &str) -> Option<&'static Word> {
    WORDS.iter().find(|(name, _)| name.starts_with(word))
}

/// The text from the first unknown word on.
fn unknown(words: &str) -> &str {
    each(words).find(|(word, _)| known(word).is_none()).map_or("", |(_, rest)| rest)
}

fn style(words: &str) -> Option<TreeStyle> {
    let mut style = TreeStyle {
        signs: if speaks_utf8() { TreeSigns::Utf8 } else { TreeSigns::Ascii },
        number: true,
        kernel_name: false,
        active: false,
        writable: false,
        open: false,
        uuid: false,
        compact: false,
        inverted: false,
        width: Some(WIDTH),
    };
    let mut plain = false;
    for (word, _) in each(words) {
        let (name, set) = known(word)?;
        set(&mut style);
        plain |= matches!(*name, "status" | "table");
    }
    style.compact &= !plain;
    // The other character set's signs are longer than they look.
    if style.width.is_some()
        && style.signs != TreeSigns::Vt100
        && let Some((terminal_size::Width(columns), _)) = terminal_size::terminal_size_of(stdout())
        && columns > MARGIN
    {
        style.width = Some(usize::from(columns - MARGIN));
    }
    Some(style)
}

/// Whether the locale's characters are UTF-8, by what the environment says. Unlike dmsetup this does not see whether
/// such a locale is installed.
pub(super) fn speaks_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    let codeset = locale.as_deref().and_then(|locale| locale.split_once('.')).map(|(_, codeset)| codeset);
    let codeset = codeset.and_then(|codeset| codeset.split('@').next()).unwrap_or_default();
    ["UTF-8", "UTF8"].iter().any(|name| name.eq_ignore_ascii_case(codeset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_cut_short_and_the_unknown_are_shown_with_what_follows() {
        let style = style("nodev,comp,inv,notrunc,blk,").unwrap();
        assert!(
            !style.number && style.compact && style.inverted && style.kernel_name && style.width.is_none()
        );
        assert!(!super::style("compact,table").unwrap().compact);
        assert!(super::style("rw,bogus,x").is_none());
        assert_eq!(unknown("rw,bogus,x"), "bogus,x");
        assert!(super::style(",,rw").unwrap().writable);
    }
}
