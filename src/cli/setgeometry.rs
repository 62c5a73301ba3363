//! `setgeometry`: what programs of old ask a disk for.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::selector::Selector;
use crate::dm::{Command, Request};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Set a device's geometry
#[derive(Args, Debug)]
pub(super) struct SetGeometry {
    /// The device, the numbers of cylinders, heads and sectors, and the first sector
    #[arg(value_names = ["DEVICE", "CYLINDERS", "HEADS", "SECTORS", "START"], num_args = 5, required = true)]
    words: Vec<OsString>,

    #[command(flatten)]
    selector: Selector,
}

impl Run for SetGeometry {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        // With -u or -j dmsetup still wants five words, and takes the first four for the geometry.
        let mut words = self.words.iter().map(OsString::as_os_str);
        let name = if self.selector.is_given() { None } else { words.next() };
        let device = self.selector.device(ctx, name)?;
        let numbers: Vec<&[u8]> = words.map(OsStr::as_bytes).take(4).collect();
        let geometry = numbers.join(&b' ').into();
        ctx.perform(Request::new(device, Command::DevSetGeometry(geometry))).map(drop)
    }
}
