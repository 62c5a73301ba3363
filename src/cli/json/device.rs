//! Devices and lines of tables in the documents of `--json`.

use super::fields;
use super::{Document, text_of, text_or_null};
use crate::cli::context::Context;
use crate::cli::{block_name, sysfs};
use crate::dm::{Command, DeviceId, DeviceNumber, Flags, Reply, Request, Sectors, StatusLine, Text};
use crate::render::{Keys, hide_keys};
use serde_json::{Map, Value, json};

/// Which of a device's texts lines have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Texts {
    /// Parameters.
    Table,
    /// Status.
    Status,
    /// What IMA measures, whose fields have their names in the text.
    Measured,
}

/// A device's state, as every reply about it has it.
pub(in crate::cli) fn state(ctx: &Context, reply: &Reply) -> Map<String, Value> {
    let has = |flag| reply.flags.contains(flag);
    let mut state = identity(ctx, &reply.device);
    let told = json!({
        "suspended": has(Flags::SUSPEND),
        "read_only": has(Flags::READONLY),
        "deferred_remove": has(Flags::DEFERRED_REMOVE),
        "active_table": has(Flags::ACTIVE_PRESENT),
        "inactive_table": has(Flags::INACTIVE_PRESENT),
        "open_count": Some(reply.open_count).filter(|count| *count != -1),
        "event_nr": reply.event_nr,
        "line_count": reply.target_count,
    });
    if let Value::Object(told) = told {
        state.extend(told);
    }
    state
}

/// What a device is known by.
pub(in crate::cli) fn identity(ctx: &Context, id: &DeviceId) -> Map<String, Value> {
    let mut identity = Map::new();
    identity.insert("name".into(), text_or_null(&ctx.shown_name(&id.name)));
    identity.insert("uuid".into(), text_or_null(&ctx.shown_name(&id.uuid)));
    identity.insert("major".into(), id.dev.map(|dev| dev.major).into());
    identity.insert("minor".into(), id.dev.map(|dev| dev.minor).into());
    identity
}

/// A block device of any kind: its number, and what the system calls it.
pub(in crate::cli) fn block_device(ctx: &mut Context, dev: DeviceNumber, mapped: u32) -> Map<String, Value> {
    let foreign = ctx.client().is_ok_and(|client| client.is_mapper()).then_some(mapped);
    let kernel_name = block_name::kernel_name(dev, foreign);
    let mut device = Map::new();
    device.insert("major".into(), dev.major.into());
    device.insert("minor".into(), dev.minor.into());
    device.insert("kernel_name".into(), kernel_name.as_ref().map(text_of).into());
    device
}

/// How far the kernel reads a device of its own ahead.
pub(in crate::cli) fn read_ahead(ctx: &mut Context, reply: &Reply) -> Value {
    let dev = reply.device.dev.filter(|_| ctx.is_kernels());
    bytes(dev.and_then(sysfs::read_ahead).map(Sectors))
}

/// Sectors in bytes; null where there are none, or 2^64 bytes and more.
pub(in crate::cli) fn bytes(sectors: Option<Sectors>) -> Value {
    sectors.and_then(Sectors::to_bytes).map(|bytes| bytes.0).into()
}

/// A line of a table or of its status, its text as it is and by its fields.
pub(in crate::cli) fn line(line: &StatusLine, keys: Keys, texts: Texts) -> Value {
    let mut params = line.params.as_bytes().to_vec();
    if keys == Keys::Hidden {
        hide_keys(&line.target, &mut params);
    }
    let mut params = Text::from(params);
    let fields = match texts {
        Texts::Table => fields::of_table(&line.target, &params),
        Texts::Status => fields::of_status(&line.target, &params),
        Texts::Measured => Value::Null,
    };
    let line = json!({
        "start_bytes": bytes(Some(line.start)),
        "length_bytes": bytes(Some(line.length)),
        "target": line.target.to_string(),
        "params": params.to_string(),
        "fields": fields,
    });
    params.wipe();
    line
}

/// Notes what a request has done, if a document is to tell of it: the state of the device, or that it is gone.
pub(in crate::cli) fn note(ctx: &mut Context, request: &Request, reply: &Reply) {
    if ctx.json.is_none() {
        return;
    }
    let (list, entry) = match &request.command {
        Command::DevCreate
        | Command::DevRename(_)
        | Command::DevSuspend
        | Command::TableLoad(_)
        | Command::TableClear => ("devices", state(ctx, reply)),
        Command::DevRemove => ("removed", identity(ctx, &request.device)),
        Command::RemoveAll
        | Command::TargetMsg { .. }
        | Command::DevSetGeometry(_)
        | Command::Version
        | Command::ListDevices
        | Command::DevStatus
        | Command::DevWait
        | Command::TableDeps
        | Command::TableStatus
        | Command::ListVersions
        | Command::DevArmPoll
        | Command::GetTargetVersion(_)
        | Command::MpathProbePaths => return,
    };
    let Some(document) = &mut ctx.json else { return };
    forget(document, &entry);
    document.push(list, entry);
}

/// Takes what was noted of a device before out again: its state is not that any more.
fn forget(document: &mut Document, entry: &Map<String, Value>) {
    let same = |known: &Value, key: &str| {
        known.get(key) == entry.get(key) && known.get(key).is_some_and(|it| !it.is_null())
    };
    document.retain("devices", |known| !same(known, "minor") && !same(known, "name"));
}
