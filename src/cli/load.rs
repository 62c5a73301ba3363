//! `load`: a table into the inactive slot.

use super::context::Context;
use super::failure::Failure;
use super::rehearsal::DryRun;
use super::selector::{Selector, no_device};
use super::{Run, table_source};
use crate::dm::{Command, Flags, Request, Text};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Load a table for a device to take up when it is resumed
///
/// The table is read from --table, from FILE, or from standard input.
#[derive(Args, Debug)]
pub(super) struct Load {
    /// The device, unless -u or -j says which, and then the file that holds the table
    #[arg(value_names = ["DEVICE", "FILE"], num_args = 0..=2)]
    words: Vec<OsString>,

    /// The table itself: lines of START LENGTH TARGET PARAMETERS, in sectors of 512 bytes or with a
    /// unit, as in 64MiB; a LENGTH of 100% is all that the line's device has left
    #[arg(long)]
    table: Option<OsString>,

    /// Refused here; a device without a table is made by `create`
    #[arg(short, long, hide = true)]
    notable: bool,

    /// Load the table read-only
    #[arg(short, long)]
    readonly: bool,

    /// Do not ask how many hold the device open
    #[arg(long)]
    noopencount: bool,

    /// Ask about the table that is loaded and not yet in use
    #[arg(long)]
    inactive: bool,

    #[command(flatten)]
    rehearse: DryRun,

    #[command(flatten)]
    selector: Selector,
}

impl Run for Load {
    const CHANGES: bool = true;

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        if self.notable {
            return Err(Failure::because(
                "--notable only available when creating new device.",
                "a load without a table would do nothing",
                "`rdmsetup clear` drops a table that is loaded and not in use, `rdmsetup wipe_table` the one in use",
            ));
        }
        self.rehearse.apply(ctx);
        let words: Vec<&OsStr> = self.words.iter().map(OsString::as_os_str).collect();
        let (name, file) = match (self.selector.is_given(), words.as_slice()) {
            (false, []) => return Err(no_device("Please specify device.")),
            (false, &[name]) => (Some(name), None),
            (false, &[name, file, ..]) => (Some(name), Some(file)),
            (true, []) => (None, None),
            (true, &[file]) => (None, Some(file)),
            (true, _) => {
                let why = "-u or -j says which device is meant, so only a file is left to name";
                return Err(Failure::Explained("Too many command line arguments.".into(), why.into()));
            }
        };
        let device = self.selector.device(ctx, name)?;
        let label = name.map_or_else(|| device.uuid.clone(), |name| Text::from(name.as_bytes()));
        let source = table_source::read(ctx, self.table.as_deref(), file, &label)?;
        let flags = Flags::READONLY.when(self.readonly)
            | Flags::SKIP_BDGET.when(self.noopencount)
            | Flags::QUERY_INACTIVE_TABLE.when(self.inactive);
        let request = Request::new(device, Command::TableLoad(source.table.clone())).with_flags(flags);
        let reply = ctx.perform(request).map_err(|failure| {
            let Failure::Call(error) = failure else { return failure };
            Failure::Load(error, label, source)
        })?;
        ctx.print_info_if_verbose(&reply);
        Ok(())
    }
}
