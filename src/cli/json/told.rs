//! What the commands that only ask put into their documents.

use super::device::{block_device, bytes, identity, read_ahead, state};
use super::{text_of, text_or_null};
use crate::cli::context::Context;
use crate::cli::selector::Selected;
use crate::dm::{DeviceId, DeviceNumber, ListedDevice, Reply, Sectors, Text};
use crate::render::DeviceTree;
use serde_json::{Map, Value, json};

/// `info`, `wait`: a device, and how far the kernel reads it ahead.
pub(in crate::cli) fn device(ctx: &mut Context, reply: &Reply) {
    if ctx.json.is_none() {
        return;
    }
    let mut device = state(ctx, reply);
    device.insert("read_ahead_bytes".into(), read_ahead(ctx, reply));
    add(ctx, "devices", device);
}

/// `deps`: a device, and the block devices under it.
pub(in crate::cli) fn deps(ctx: &mut Context, reply: &Reply) {
    let mut device = state(ctx, reply);
    let mapped = reply.device.dev.unwrap_or_default().major;
    let deps: Vec<Value> = reply.deps().iter().map(|dev| block_device(ctx, *dev, mapped).into()).collect();
    device.insert("dependencies".into(), deps.into());
    add(ctx, "devices", device);
}

/// `ls`: devices in a driver's list.
pub(in crate::cli) fn listed(ctx: &mut Context, devices: &[ListedDevice]) {
    for listed in devices {
        let mut device = block_device(ctx, listed.dev, listed.dev.major);
        device.insert("name".into(), text_of(&ctx.shown_name(&listed.name)));
        add(ctx, "devices", device);
    }
}

/// `ls --tree`: every device that is mapped or under one, with the numbers of those beside it.
pub(in crate::cli) fn tree(ctx: &mut Context, tree: &DeviceTree) {
    let mapped: Option<u32> =
        tree.nodes().iter().find(|node| node.mapped.is_some()).map(|node| node.dev.major);
    for node in tree.nodes() {
        let mut device = block_device(ctx, node.dev, mapped.unwrap_or_default());
        let own = node.mapped.as_ref();
        device.insert("name".into(), own.map(|own| text_of(&own.name)).into());
        device.insert("uuid".into(), own.map_or(Value::Null, |own| text_or_null(&own.uuid)));
        device.insert("mapped".into(), own.is_some().into());
        device.insert("suspended".into(), own.map(|own| own.is_suspended).into());
        device.insert("read_only".into(), own.map(|own| own.is_readonly).into());
        device.insert("open_count".into(), own.map(|own| own.open_count).into());
        device.insert("uses".into(), tree.used(node).map(|other| number(other.dev)).collect());
        device.insert("used_by".into(), tree.users(node).map(|other| number(other.dev)).collect());
        add(ctx, "devices", device);
    }
}

fn number(dev: DeviceNumber) -> Value {
    json!({ "major": dev.major, "minor": dev.minor })
}

/// `targets`, `target-version`: target types.
pub(in crate::cli) fn versions(ctx: &mut Context, reply: &Reply) {
    let Some(document) = &mut ctx.json else { return };
    let types = reply.versions().iter();
    let types =
        types.map(|target| json!({ "name": target.name.to_string(), "version": target.version.to_string() }));
    document.list("targets").extend(types);
}

/// `remove_all`: the devices that are left.
pub(in crate::cli) fn left(ctx: &mut Context, devices: &[ListedDevice]) {
    let left = devices.iter().map(|device| {
        let DeviceId { name, dev, .. } =
            DeviceId { dev: Some(device.dev), ..DeviceId::by_name(device.name.clone()) };
        Value::from(identity(ctx, &DeviceId { name, dev, uuid: device.uuid.clone().unwrap_or_default() }))
    });
    let left: Vec<Value> = left.collect();
    if let Some(document) = &mut ctx.json {
        // The last answer counts: with --force it is asked for twice.
        document.retain("left", |_| false);
        document.list("left").extend(left);
    }
}

/// `stats create`: a new region.
pub(in crate::cli) fn region(
    ctx: &mut Context,
    device: &Text,
    id: u64,
    start: Sectors,
    length: Sectors,
    areas: u64,
) {
    let region = json!({
        "device": text_or_null(device),
        "region_id": id,
        "start_bytes": bytes(Some(start)),
        "length_bytes": bytes(Some(length)),
        "area_count": areas,
    });
    add_value(ctx, "regions", region);
}

/// `stats group`, and `create` with segments or files: a new group.
pub(in crate::cli) fn group(ctx: &mut Context, device: Option<&Text>, id: u64, members: &[u64]) {
    let group = json!({ "device": device.map(ToString::to_string), "group_id": id, "regions": members });
    add_value(ctx, "groups", group);
}

/// `stats delete`, `ungroup`: a group that is gone.
pub(in crate::cli) fn removed_group(ctx: &mut Context, id: u64) {
    add_value(ctx, "removed_groups", id.into());
}

/// `stats print`: a region's counters, as the kernel has them.
pub(in crate::cli) fn counters(ctx: &mut Context, device: &Selected, region: u64, answer: &Text) {
    let shown = text_or_null(&device.label);
    add_value(ctx, "regions", json!({ "device": shown, "region_id": region, "text": answer.to_string() }));
}

fn add(ctx: &mut Context, list: &'static str, device: Map<String, Value>) {
    add_value(ctx, list, device.into());
}

fn add_value(ctx: &mut Context, list: &'static str, value: Value) {
    if let Some(document) = &mut ctx.json {
        document.push(list, value);
    }
}
