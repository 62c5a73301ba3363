//! What follows a resume: the node, made then or earlier (`--addnodeoncreate`), and how far the kernel reads ahead
//! (`--readahead`).

use super::context::Context;
use super::failure::Failure;
use super::selector::number;
use crate::backend::nodes::AddNode;
use crate::backend::read_ahead::ReadAhead;
use crate::dm::Reply;
use clap::Args;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// Options of commands that resume a device.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct ResumeOptions {
    /// How many sectors the kernel reads ahead; with + at least as many. The mapper in userspace reads nothing ahead
    #[arg(long, value_name = "[+]SECTORS|auto|none", value_parser = read_ahead, allow_hyphen_values = true)]
    readahead: Option<ReadAhead>,

    /// Make the device's node when the device is created, where udev does not make it
    #[arg(long)]
    addnodeoncreate: bool,

    /// Make it when the device is resumed, as is done anyway
    #[arg(long)]
    addnodeonresume: bool,
}

/// A number below 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Negative(i32);

fn read_ahead(word: &str) -> Result<ReadAhead, Negative> {
    if word.eq_ignore_ascii_case("auto") {
        return Ok(ReadAhead::Auto);
    }
    if word.eq_ignore_ascii_case("none") {
        return Ok(ReadAhead::Sectors(0));
    }
    let at_least = word.trim_ascii_start().starts_with('+');
    let sectors = number(word).unwrap_or(0);
    match u32::try_from(sectors) {
        Ok(sectors) if at_least => Ok(ReadAhead::AtLeast(sectors)),
        Ok(sectors) => Ok(ReadAhead::Sectors(sectors)),
        // libdevmapper's number for auto.
        Err(_) if sectors == -1 => Ok(ReadAhead::Auto),
        Err(_) => Err(Negative(sectors)),
    }
}

impl ResumeOptions {
    /// Has them followed from here on.
    pub(super) fn apply(&self, ctx: &mut Context) -> Result<(), Failure> {
        if self.addnodeoncreate {
            ctx.open()?.1.options.when = AddNode::OnCreate;
        }
        Ok(())
    }

    /// Does what comes after the resume that was answered so.
    pub(super) fn finish(&self, ctx: &mut Context, reply: &Reply) {
        let (Some(read_ahead), Some(dev)) = (self.readahead, reply.device.dev) else { return };
        // It is open, since it has answered.
        let Ok((client, nodes)) = ctx.open() else { return };
        if client.is_mapper() {
            return;
        }
        let node = nodes.directory().join(OsStr::from_bytes(&reply.device.name));
        if let Err(error) = read_ahead.set(dev, &node) {
            ctx.trouble(&error.into());
        }
    }
}

impl fmt::Display for Negative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Negative read ahead value ({}) is not understood.", self.0)
    }
}

impl std::error::Error for Negative {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_ahead_is_a_number_a_least_one_or_a_word() {
        for (word, value) in [
            ("auto", ReadAhead::Auto),
            ("NONE", ReadAhead::Sectors(0)),
            ("128", ReadAhead::Sectors(128)),
            (" +8", ReadAhead::AtLeast(8)),
            ("-1", ReadAhead::Auto),
            ("x", ReadAhead::Sectors(0)),
        ] {
            assert_eq!(read_ahead(word), Ok(value), "{word}");
        }
        assert_eq!(read_ahead("-2"), Err(Negative(-2)));
    }
}
