//! `wait`: until something happens to a device.

use super::context::Context;
use super::failure::Failure;
use super::selector::{Selector, no_device, number};
use super::{Run, json};
use crate::dm::{Command, Flags, Request};
use clap::Args;
use std::ffi::OsString;

/// Wait until a device's event number is not the one given
#[derive(Args, Debug)]
pub(super) struct Wait {
    /// The device, unless -u or -j says which, and then the event number to wait past, 0 if none is given
    #[arg(value_names = ["DEVICE", "EVENT_NR"], num_args = 0..=2)]
    words: Vec<OsString>,

    /// Do not flush the device to ask it
    #[arg(long)]
    noflush: bool,

    #[command(flatten)]
    selector: Selector,
}

impl Run for Wait {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let mut words = self.words.iter();
        let name = if self.selector.is_given() {
            None
        } else {
            Some(words.next().ok_or_else(|| no_device("No device specified."))?.as_os_str())
        };
        let device = self.selector.device(ctx, name)?;
        // Cast as C casts it: -1 is the highest event number.
        let event_nr = words.next_back().and_then(|word| number(&word.to_string_lossy()).ok()).unwrap_or(0);
        let flags = Flags::NOFLUSH.when(self.noflush);
        let request = Request::new(device, Command::DevWait).with_flags(flags);
        let reply = ctx.perform(request.with_event_nr(event_nr.cast_unsigned()))?;
        json::told::device(ctx, &reply);
        ctx.print_info_if_verbose(&reply);
        Ok(())
    }
}
