//! `create`: a device, its table, and its start, or nothing at all; with `--concise`, several.

use super::concise::{ConciseError, Entries, Entry};
use super::context::Context;
use super::failure::Failure;
use super::read_ahead::ResumeOptions;
use super::rehearsal::DryRun;
use super::selector::{Selector, mangled_uuid, new_name, number};
use super::udev_options::UdevArgs;
use super::{Run, sysfs, table_source};
use crate::dm::{
    Command, DeviceId, DeviceNumber, Flags, Reply, Request, Sectors, SourceTable, TableSyntaxError, Text,
};
use crate::mapper;
use crate::render::ConciseForm;
use clap::Args;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// Create a device, load a table and start it
///
/// The table is read from --table, from FILE, or from standard input. If it is empty the device is created without one.
/// If the table is refused the device is removed again.
#[derive(Args, Debug)]
pub(super) struct Create {
    /// The name of the new device; with --concise the devices, or else they are read from standard input
    name: Option<OsString>,

    /// The file that holds the table
    file: Option<OsString>,

    /// The table itself: lines of START LENGTH TARGET PARAMETERS, in sectors of 512 bytes or with a
    /// unit, as in 64MiB; a LENGTH of 100% is all that the line's device has left
    #[arg(long)]
    table: Option<OsString>,

    /// Create the device without a table
    #[arg(short, long)]
    notable: bool,

    /// Create devices as `table --concise` shows them: NAME,UUID,MINOR,FLAGS,LINE[,LINE...][;...]
    #[arg(long)]
    concise: bool,

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
    node: NodeArgs,

    #[command(flatten)]
    after: ResumeOptions,

    #[command(flatten)]
    rehearse: DryRun,

    #[command(flatten)]
    selector: Selector,

    #[command(flatten)]
    udev: UdevArgs,
}

/// What the device's node is like, where it is made here.
#[derive(Args, Clone, Copy, Debug)]
struct NodeArgs {
    /// The owner of the device's node, where udev does not make it
    #[arg(short = 'U', long, value_name = "NUMBER", value_parser = number, allow_hyphen_values = true)]
    uid: Option<i32>,

    /// The group of the node
    #[arg(short = 'G', long, value_name = "NUMBER", value_parser = number, allow_hyphen_values = true)]
    gid: Option<i32>,

    /// The permissions of the node, in octal
    #[arg(short = 'M', long, value_name = "OCTAL", value_parser = octal, allow_hyphen_values = true)]
    mode: Option<u32>,
}

/// A word that gives no permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NoMode(String);

/// A number as C's strtol reads it in octal, but no 0 and nothing behind it.
fn octal(word: &str) -> Result<u32, NoMode> {
    let value = i64::from_str_radix(word.trim_ascii_start(), 8).ok().filter(|value| *value != 0);
    // Bits that a node has not are of no account.
    let bits = value.and_then(|value| u32::try_from(value & 0o7777).ok());
    bits.ok_or_else(|| NoMode(word.into()))
}

impl fmt::Display for NoMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invalid argument for --mode: {}. ", self.0)
    }
}

impl std::error::Error for NoMode {}

/// A device to be made.
#[derive(Debug)]
struct Plan {
    device: DeviceId,
    source: SourceTable,
    readonly: bool,
}

impl Run for Create {
    const CHANGES: bool = true;

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        if self.concise {
            return self.run_concise(ctx);
        }
        let Some(given) = &self.name else {
            return Err(Failure::because(
                "Please provide a name for the new device.",
                "create needs the name of the device, and then its table",
                "as in `rdmsetup create NAME --table \"0 2048 zero\"`",
            ));
        };
        self.apply(ctx)?;
        let name = new_name(ctx, given)?;
        let uuid = self.selector.uuid.as_deref().map(|uuid| mangled_uuid(ctx, uuid)).transpose()?;
        let device = DeviceId { name, uuid: uuid.unwrap_or_default(), dev: self.selector.dev() };
        let source = if self.notable {
            SourceTable::default()
        } else {
            table_source::read(ctx, self.table.as_deref(), self.file.as_deref(), &given.as_bytes().into())?
        };
        self.create(ctx, Plan { device, source, readonly: self.readonly })
    }
}

impl Create {
    /// Has the options followed that are about more than one request.
    fn apply(&self, ctx: &mut Context) -> Result<(), Failure> {
        self.rehearse.apply(ctx);
        self.udev.apply(ctx)?;
        self.after.apply(ctx)?;
        let options = &mut ctx.open()?.1.options;
        options.uid = self.node.uid.map_or(options.uid, i32::cast_unsigned);
        options.gid = self.node.gid.map_or(options.gid, i32::cast_unsigned);
        options.mode = self.node.mode.unwrap_or(options.mode);
        Ok(())
    }

    fn create(&self, ctx: &mut Context, plan: Plan) -> Result<(), Failure> {
        let flags = Flags::READONLY.when(plan.readonly)
            | Flags::SKIP_BDGET.when(self.noopencount)
            | Flags::QUERY_INACTIVE_TABLE.when(self.inactive);
        let reply = if plan.source.table.lines.is_empty() {
            ctx.perform(Request::new(plan.device, Command::DevCreate).with_flags(flags))?
        } else {
            ctx.prepare_udev()?;
            let reply = create_and_start(ctx, plan.device, plan.source, flags)?;
            if ctx.rehearsal.is_none() {
                self.after.finish(ctx, &reply);
            }
            reply
        };
        ctx.print_info_if_verbose(&reply);
        Ok(())
    }

    /// One device after the other; what stands before the first that fails stays. As dmsetup that goes for what cannot be
    /// read as well, else the whole text is read before anything is done.
    fn run_concise(&self, ctx: &mut Context) -> Result<(), Failure> {
        if self.file.is_some() {
            return Err(Failure::because(
                "dmsetup create --concise takes at most one argument",
                "the devices are one word, or come from standard input",
                "quote them: their blanks and semicolons are the shell's else",
            ));
        }
        if self.table.is_some()
            || self.notable
            || self.inactive
            || self.selector.minor.is_some()
            || self.selector.uuid.is_some()
        {
            let line = "--concise is incompatible with --[no]table, --minor, --uuid and --inactive.";
            return Err(Failure::because(
                line,
                "the text of --concise has the table, the minor number and the uuid of each device",
                "NAME,UUID,MINOR,FLAGS,TABLE",
            ));
        }
        let text = table_source::word_or_input(self.name.as_deref())?;
        self.apply(ctx)?;
        let form = if ctx.classic { ConciseForm::Classic } else { ConciseForm::Readable };
        let mut planned = BTreeMap::new();
        if !ctx.classic {
            for entry in Entries::of(&text, form) {
                let entry = entry.map_err(unreadable)?;
                let name = entry.name.clone();
                let plan = self.plan(ctx, entry, true, &planned)?;
                let last = plan.source.table.lines.last();
                let size = last.and_then(|line| line.start.checked_add(line.length)).unwrap_or_default();
                planned.insert(name, size);
            }
        }
        for (index, entry) in Entries::of(&text, form).enumerate() {
            let entry = entry.map_err(unreadable)?;
            // dmsetup forgets --readonly after the first.
            let plan = self.plan(ctx, entry, index == 0 || !ctx.classic, &planned)?;
            self.create(ctx, plan)?;
        }
        Ok(())
    }

    fn plan(
        &self,
        ctx: &mut Context,
        entry: Entry,
        heeds_readonly: bool,
        planned: &BTreeMap<Text, Sectors>,
    ) -> Result<Plan, Failure> {
        let name = new_name(ctx, OsStr::from_bytes(&entry.name))?;
        let uuid = mangled_uuid(ctx, OsStr::from_bytes(&entry.uuid))?;
        let dev = match entry.minor {
            Some(minor) => Some(DeviceNumber::new(mapped_major(ctx)?, minor)),
            None => None,
        };
        let refused = |error: TableSyntaxError| Failure::Table(String::new(), entry.name.clone(), error);
        let source = ctx.source_table(&entry.table, planned).map_err(refused)?;
        let readonly = entry.readonly || self.readonly && heeds_readonly;
        Ok(Plan { device: DeviceId { name, uuid, dev }, source, readonly })
    }
}

/// The failure of a text of `--concise` that cannot be read.
pub(super) fn unreadable(error: ConciseError) -> Failure {
    Failure::because(
        error.to_string(),
        "this is not the concise form of devices",
        "NAME,UUID,MINOR,FLAGS,LINE[,LINE...][;NAME,...], as `rdmsetup table --concise` writes it; UUID, MINOR and FLAGS may be empty",
    )
}

/// The major number of mapped devices.
pub(super) fn mapped_major(ctx: &mut Context) -> Result<u32, Failure> {
    let is_mapper = ctx.client()?.is_mapper();
    Ok(if is_mapper { mapper::MAJOR } else { sysfs::mapped_major().unwrap_or_default() })
}

/// Creates the device, loads the table by the number that the device got, resumes it; all or nothing.
pub(super) fn create_and_start(
    ctx: &mut Context,
    device: DeviceId,
    source: SourceTable,
    flags: Flags,
) -> Result<Reply, Failure> {
    let created = ctx.perform(Request::new(device.clone(), Command::DevCreate))?;
    let started = load_and_resume(ctx, &device, created.device.dev, source, flags);
    if started.is_err() {
        let removal = Request::new(DeviceId::by_name(device.name), Command::DevRemove);
        if let Err(failure) = ctx.perform(removal) {
            // The reason for the removal comes first, as it did first.
            if let Err(first) = &started {
                ctx.report(first);
            }
            ctx.report(&failure);
            return Err(Failure::classic("Failed to revert device creation."));
        }
    }
    started
}

fn load_and_resume(
    ctx: &mut Context,
    device: &DeviceId,
    dev: Option<DeviceNumber>,
    source: SourceTable,
    flags: Flags,
) -> Result<Reply, Failure> {
    let by_number = DeviceId { dev, ..DeviceId::default() };
    let load = Request::new(by_number, Command::TableLoad(source.table.clone()));
    ctx.perform(load.with_flags(Flags::READONLY.when(flags.contains(Flags::READONLY)))).map_err(
        |failure| {
            let Failure::Call(mut error) = failure else { return failure };
            // Loaded by number, shown with the name too.
            error.device.name.clone_from(&device.name);
            Failure::Load(error, device.name.clone(), source)
        },
    )?;
    let resumed = match device.dev {
        Some(_) => DeviceId { dev: device.dev, ..DeviceId::default() },
        None => DeviceId { name: device.name.clone(), uuid: Text::new(), dev: None },
    };
    ctx.perform(Request::resume(resumed).with_flags(flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_a_number_in_octal() {
        assert_eq!(octal(" +640"), Ok(0o640));
        assert_eq!(octal("10660"), Ok(0o660));
        for word in ["", "0", "08", "640x", "rw"] {
            assert_eq!(octal(word), Err(NoMode(word.into())));
        }
    }
}
