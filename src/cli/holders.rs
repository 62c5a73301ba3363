//! `holders`: who has devices open.

use super::context::Context;
use super::diagnosis;
use super::failure::Failure;
use super::selector::{Selected, Selector};
use super::{Run, sysfs};
use crate::backend::{Holder, Process};
use crate::block::Peer;
use crate::dm::{Command, DeviceNumber, Errno, Flags, Request, Text};
use crate::render::screen;
use clap::Args;
use serde_json::{Value, json};
use std::ffi::OsString;

/// Tell who holds devices open
///
/// Devices that stand on them; of the kernel's devices also other disks on top (md, loop), mounted file systems, in the
/// mount namespaces of other processes too, swap, and processes that have the node open. What an ordinary user may not look
/// into is not told. Of the userspace mapper's devices that a server runs those who have them open: NBD clients, processes
/// with a file of them open, commands.
#[derive(Args, Debug)]
pub(super) struct Holders {
    /// The devices; without any, all
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    #[command(flatten)]
    selector: Selector,
}

/// A device with those who hold it.
#[derive(Debug)]
struct Held {
    name: Text,
    open_count: i32,
    holders: Vec<Holder>,
    /// Of the count, those that none of the holders accounts for.
    others: i32,
}

impl Run for Holders {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let mut devices = Vec::new();
        let looked = self.selector.each_or_all(ctx, &self.names, |ctx, device| {
            devices.push(look(ctx, device)?);
            Ok(())
        });
        if let Some(document) = &mut ctx.json {
            document.list("devices").extend(devices.iter().map(Held::to_json));
        } else if let Some(screen) = ctx.screen().filter(|_| !devices.is_empty()) {
            let rows: Vec<_> =
                devices.iter().map(|held| (held.name.clone(), held.open_count, held.by())).collect();
            ctx.out.print(screen::holders(screen, &rows));
        } else {
            devices.iter().for_each(|held| ctx.out.print(held.lines()));
        }
        looked
    }
}

fn look(ctx: &mut Context, device: &Selected) -> Result<Held, Failure> {
    let reply = ctx.perform_if_exists(Request::new(device.id.clone(), Command::DevStatus))?;
    let dev = reply.device.dev.unwrap_or_default();
    let open_count = reply.open_count;
    let name = ctx.shown_name(&reply.device.name);
    if ctx.is_kernels() {
        // How many of the count each of them is cannot be told, so the rest is unknown only where nobody is found.
        let holders = sysfs::holders(dev);
        let others = if holders.is_empty() { open_count } else { 0 };
        return Ok(Held { name, open_count, holders, others });
    }
    let (holders, known) = in_mapper(ctx, dev)?;
    let others = open_count.saturating_sub(i32::try_from(known).unwrap_or(i32::MAX)).max(0);
    Ok(Held { name, open_count, holders, others })
}

/// All that hold a device of the userspace mapper, and how much of the open count they account for.
pub(super) fn in_mapper(ctx: &mut Context, dev: DeviceNumber) -> Result<(Vec<Holder>, usize), Failure> {
    let above = above(ctx, dev)?;
    let mut known = above.iter().map(|(_, tables)| tables).sum();
    let mut holders: Vec<Holder> = above.into_iter().map(|(name, _)| Holder::Device(name)).collect();
    // A device that has gone since has no users.
    for user in ctx.client()?.users(&dev.into()).unwrap_or_default() {
        known += times(&user);
        holders.push(user);
    }
    Ok((holders, known))
}

/// How many times a holder has it open, where that is known.
fn times(holder: &Holder) -> usize {
    match holder {
        Holder::Process(_, times) | Holder::User(_, _, times) => *times,
        Holder::Device(_) | Holder::Disk(_) | Holder::Mount(..) | Holder::Swap => 1,
    }
}

/// The mapper's devices that stand on one, each with how many of its two tables do.
fn above(ctx: &mut Context, dev: DeviceNumber) -> Result<Vec<(Text, usize)>, Failure> {
    let listed = ctx.perform(Request::global(Command::ListDevices))?;
    let mut above = Vec::new();
    for upper in listed.devices() {
        let mut tables = 0;
        for slot in [Flags::NONE, Flags::QUERY_INACTIVE_TABLE] {
            let deps = Request::new(upper.dev.into(), Command::TableDeps).with_flags(slot);
            match ctx.perform(deps) {
                Ok(reply) => tables += usize::from(reply.deps().contains(&dev)),
                // It is gone since.
                Err(failure) if failure.is(Errno::ENXIO) => {}
                Err(failure) => return Err(failure),
            }
        }
        if tables > 0 {
            above.push((ctx.shown_name(&upper.name), tables));
        }
    }
    Ok(above)
}

impl Held {
    fn lines(&self) -> String {
        let mut lines = vec![format!(
            "{}: {}",
            self.name,
            match self.open_count {
                0 => "nobody".to_owned(),
                1 => "open once".to_owned(),
                count => format!("open {count} times"),
            }
        )];
        lines.extend(self.by().iter().map(|by| format!("  {by}")));
        lines.join("\n") + "\n"
    }

    /// Those who hold it, in words.
    fn by(&self) -> Vec<String> {
        let known = self.holders.iter().map(|holder| {
            let times = match times(holder) {
                1 => String::new(),
                times => format!(", {times} times"),
            };
            format!("{}{times}", diagnosis::holder(holder))
        });
        let others = (self.others > 0).then(|| format!("{} that cannot be seen from here", self.others));
        known.chain(others).collect()
    }

    fn to_json(&self) -> Value {
        let process = |Process { pid, name }: &Process| json!({ "pid": pid, "name": name.to_string() });
        let holder = |holder: &Holder| match holder {
            Holder::Device(name) => json!({ "kind": "device", "name": name.to_string() }),
            Holder::Disk(name) => json!({ "kind": "disk", "name": name.to_string() }),
            Holder::Mount(place, seen_by) => {
                json!({ "kind": "mount", "path": place.to_string(), "process": seen_by.as_ref().map(process) })
            }
            Holder::Swap => json!({ "kind": "swap" }),
            Holder::Process(who, count) => {
                json!({ "kind": "process", "process": process(who), "descriptors": count })
            }
            Holder::User(user, name, times) => {
                let (process, uid, address) = match &user.peer {
                    Peer::Process { pid, uid } => {
                        let name = name.as_ref().map(Text::to_string);
                        (pid.map(|pid| json!({ "pid": pid, "name": name })), Some(uid), None)
                    }
                    Peer::Address(address) => (None, None, Some(address.to_string())),
                };
                json!({ "kind": user.via, "process": process, "uid": uid, "address": address, "times": times })
            }
        };
        json!({
            "name": self.name.to_string(),
            "open_count": self.open_count,
            "holders": self.holders.iter().map(holder).collect::<Vec<_>>(),
            "others": self.others,
        })
    }
}
