//! `apply`: the devices of a file made so.

use super::Run;
use super::context::Context;
use super::device_file;
use super::failure::Failure;
use super::output::complain;
use super::plan::{Plan, Step};
use super::rehearsal::DryRun;
use super::swap::{Change, Trouble, carry_out};
use super::udev_options::UdevArgs;
use crate::backend::Interrupts;
use crate::dm::{Command, DeviceId, Request, Text};
use clap::Args;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// Make the devices of a file as it has them
///
/// The file is TOML, as rdmsetup-devices(5) tells and `dump` writes it, or the text of `create --concise`. Devices that are missing
/// are created, those with another table are given the file's (loaded, suspended, resumed), those that are suspended are
/// resumed; those that are as they are to be are left alone, and so are those that the file does not have. Devices come
/// behind those that they stand on, whatever their order in the file. A uuid is set where there is none; a device with
/// the file's uuid and another name is renamed.
///
/// All that is wrong with the file is told before anything is done. A table that the driver refuses to swap in is
/// dropped and its device goes on with its old one: it is not left suspended. What was done before that stays, and is told; a
/// command that was stopped can be given again. A table that looks otherwise, but is the same when it is loaded, is not
/// swapped in.
#[derive(Args, Debug)]
pub(super) struct Apply {
    /// The file with the devices, - for standard input
    file: OsString,

    /// Take the file for the concise form, whatever it begins with
    #[arg(long)]
    concise: bool,

    /// Then remove the devices that the file does not have and whose uuid begins so, those above first
    #[arg(long, value_name = "PREFIX")]
    prune: Option<OsString>,

    #[command(flatten)]
    rehearse: DryRun,

    #[command(flatten)]
    udev: UdevArgs,
}

/// Which uuids `--prune` means; without any every device would go.
pub(super) fn prefix(prune: Option<&OsString>) -> Result<Option<Text>, Failure> {
    match prune {
        Some(prefix) if prefix.is_empty() => {
            Err(Failure::Ours("--prune wants the beginning of a uuid\n  hint: as in --prune LVM-".into()))
        }
        prune => Ok(prune.map(|prefix| Text::from(prefix.as_bytes()))),
    }
}

/// What was done, in its order.
type Done = Vec<(Text, Change)>;

impl Run for Apply {
    const CHANGES: bool = true;

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        self.udev.apply(ctx)?;
        let prune = prefix(self.prune.as_ref())?;
        let devices = device_file::read(ctx, &self.file, self.concise)?;
        let plan = Plan::make(ctx, devices, prune.as_ref())?;
        plan.check(ctx)?;
        if self.rehearse.is_asked() {
            let changes = planned(&plan);
            self.show(ctx, &changes, "would ", None);
            return Ok(());
        }
        let mut done = Done::new();
        let mut outcome = Ok(());
        if !plan.is_empty() {
            ctx.prepare_udev()?;
            outcome = carry_out_all(ctx, &plan, &mut done);
        }
        let failed = outcome.as_ref().err().map(|stop| stop.at.clone());
        self.show(ctx, &done, "", failed.as_ref());
        let Err(stop) = outcome else { return Ok(()) };
        let state = stop.state(&done);
        if let Some(Trouble::Failed(failure) | Trouble::Stuck(failure)) = stop.trouble {
            ctx.report(&failure);
        }
        complain(&format!("rdmsetup: {}", stopped(ctx, &plan, &done, &stop.at, state)));
        Err(Failure::Reported)
    }
}

/// Where it ended too early, and why; without trouble by a signal.
struct Stop {
    at: Text,
    trouble: Option<Trouble>,
}

impl Stop {
    /// What the device is like where it stopped.
    fn state(&self, done: &Done) -> &'static str {
        match self.trouble {
            Some(Trouble::Stuck(_)) => {
                ", which could not be put back as it was: `rdmsetup info` shows how it is"
            }
            _ if done.iter().any(|(name, _)| *name == self.at) => ", where not all was done",
            Some(Trouble::Failed(_)) => ", which is as it was",
            None => " by a signal, which is as it was",
        }
    }
}

fn carry_out_all(ctx: &mut Context, plan: &Plan, done: &mut Done) -> Result<(), Stop> {
    // No device is to be left suspended by a signal: it takes effect between two of them.
    let interrupts = Interrupts::hold().ok();
    let outcome = carry_out_until(ctx, plan, done, &|| interrupts.as_ref().is_some_and(Interrupts::came));
    if let Some(interrupts) = interrupts {
        // It has ended what it was to end, or came too late for that.
        interrupts.forgive();
    }
    outcome
}

fn carry_out_until(
    ctx: &mut Context,
    plan: &Plan,
    done: &mut Done,
    is_over: &dyn Fn() -> bool,
) -> Result<(), Stop> {
    let stop = |at: &Text, trouble| Stop { at: at.clone(), trouble };
    for step in plan.steps.iter().filter(|step| step.is_needed()) {
        let name = &step.wanted.name;
        if is_over() {
            return Err(stop(name, None));
        }
        let mut changes = Vec::new();
        let outcome = carry_out(ctx, step, &mut changes);
        done.extend(changes.into_iter().map(|change| (name.clone(), change)));
        outcome.map_err(|trouble| stop(name, Some(trouble)))?;
    }
    for gone in &plan.removals {
        let name = &gone.id.name;
        if is_over() {
            return Err(stop(name, None));
        }
        let removal = Request::new(DeviceId::by_name(name.clone()), Command::DevRemove);
        ctx.perform(removal).map_err(|failure| stop(name, Some(failure.into())))?;
        done.push((name.clone(), Change::Removed));
    }
    Ok(())
}

impl Apply {
    /// Tells of the changes, and with a JSON document where it stopped.
    fn show(&self, ctx: &mut Context, changes: &Done, would: &str, failed: Option<&Text>) {
        let listed: Vec<Value> = changes.iter().map(|(name, change)| change.to_json(ctx, name)).collect();
        let stopped_at = failed.map(|name| ctx.shown_name(name).to_string());
        if let Some(document) = &mut ctx.json {
            document.list("changes").extend(listed);
            document.set("dry_run", self.rehearse.is_asked());
            document.set("stopped_at", stopped_at);
            return;
        }
        for (name, change) in changes {
            let line = format!("{would}{}\n", change.words(ctx, name, !would.is_empty()));
            ctx.out.print(line);
        }
        if changes.is_empty() && failed.is_none() {
            ctx.out.print("nothing to do\n");
        }
    }
}

/// What a plan comes to if everything goes well.
fn planned(plan: &Plan) -> Done {
    let mut changes = Done::new();
    for step in &plan.steps {
        let Step { wanted, found, table, uuid } = step;
        let mut add = |is_so: bool, change| changes.extend(is_so.then(|| (wanted.name.clone(), change)));
        add(found.is_none(), Change::Created);
        add(found.is_some() && *table, Change::Reloaded);
        add(!*table && step.resumes(), Change::Resumed);
        add(*uuid, Change::UuidSet(wanted.uuid.clone()));
        if let Some(old) = step.old_name() {
            add(true, Change::Renamed(old.clone()));
        }
    }
    changes.extend(plan.removals.iter().map(|gone| (gone.id.name.clone(), Change::Removed)));
    changes
}

/// What is so now, where a plan was not carried out to its end.
fn stopped(ctx: &Context, plan: &Plan, done: &Done, at: &Text, state: &str) -> String {
    let shown = |name: &Text| format!("\"{}\"", ctx.shown_name(name));
    let rest = plan.steps.iter().filter(|step| step.is_needed()).map(|step| &step.wanted.name);
    let rest = rest.chain(plan.removals.iter().map(|gone| &gone.id.name));
    let rest: Vec<String> = rest.skip_while(|name| *name != at).skip(1).map(shown).collect();
    let mut lines = vec![format!("stopped at {}{state}", shown(at))];
    let made: Vec<String> = done.iter().map(|(name, change)| change.words(ctx, name, false)).collect();
    if !made.is_empty() {
        lines.push(format!("  done: {}", made.join(", ")));
    }
    if !rest.is_empty() {
        lines.push(format!("  not done: {}", rest.join(", ")));
    }
    lines.join("\n")
}

impl Change {
    /// In words, as something done or as something to do.
    fn words(&self, ctx: &Context, name: &Text, planned: bool) -> String {
        let name = ctx.shown_name(name);
        let verb = |done: &'static str, to_do: &'static str| if planned { to_do } else { done };
        match self {
            Self::Created => format!("{} {name}", verb("created", "create")),
            Self::Reloaded => format!("{} {name}", verb("reloaded", "reload")),
            Self::Resumed => format!("{} {name}", verb("resumed", "resume")),
            Self::UuidSet(uuid) => format!("set the uuid of {name} to {}", ctx.shown_name(uuid)),
            Self::Renamed(old) => {
                format!("{} {} to {name}", verb("renamed", "rename"), ctx.shown_name(old))
            }
            Self::Removed => format!("{} {name}", verb("removed", "remove")),
        }
    }

    fn to_json(&self, ctx: &Context, name: &Text) -> Value {
        let shown = |text: &Text| ctx.shown_name(text).to_string();
        let (word, more) = match self {
            Self::Created => ("created", None),
            Self::Reloaded => ("reloaded", None),
            Self::Resumed => ("resumed", None),
            Self::UuidSet(uuid) => ("uuid_set", Some(("uuid", shown(uuid)))),
            Self::Renamed(old) => ("renamed", Some(("old_name", shown(old)))),
            Self::Removed => ("removed", None),
        };
        let mut document = json!({ "device": shown(name), "change": word });
        if let Some((key, value)) = more {
            document[key] = value.into();
        }
        document
    }
}
