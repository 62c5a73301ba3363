//! The fields of `info -c`, `splitname` and `-S`: each one's definition is here, and only here.

use super::block_name;
use super::context::Context;
use super::failure::Failure;
use super::report::{Fields, ReportOptions};
use super::report_row::{Row, forms};
use super::stats::fields;
use super::sysfs;
use crate::dm::{DeviceNumber, Flags, Reply, Text, limits};
use crate::render::report::{Catalogue, Field, Group, Groups, Kind, NoValue, Value};

/// The device's name and uuid.
pub(super) const NAME: Groups = Groups(1);
/// Its state.
pub(super) const INFO: Groups = Groups(1 << 1);
/// What is under it.
pub(super) const DEPS: Groups = Groups(1 << 2);
/// Its neighbours in the tree of all devices.
pub(super) const TREE: Groups = Groups(1 << 3);
/// The parts of its name.
pub(super) const SPLIT_NAME: Groups = Groups(1 << 4);
/// The counters of its statistics.
pub(super) const STATS: Groups = Groups(1 << 5);
/// The regions that statistics are kept of.
pub(super) const REGION: Groups = Groups(1 << 6);

/// Every field, in the order of `-o help`.
pub(super) static CATALOGUE: Catalogue<Row> = Catalogue {
    groups: &[
        Group { bit: NAME, prefix: "name_", title: "Mapped Device Name" },
        Group { bit: INFO, prefix: "info_", title: "Mapped Device Information" },
        Group { bit: DEPS, prefix: "deps_", title: "Mapped Device Relationship Information" },
        Group { bit: TREE, prefix: "tree_", title: "Mapped Device Relationship Information" },
        Group { bit: SPLIT_NAME, prefix: "splitname_", title: "Mapped Device Name Components" },
        Group { bit: STATS, prefix: "stats_", title: "Mapped Device Statistics" },
        Group { bit: REGION, prefix: "region_", title: "Mapped Device Statistics Region Information" },
    ],
    fields: &[NAMES, STATE, RELATIONS, PARTS, fields::COUNTERS, fields::RATES, fields::REGIONS],
};

/// Lists the fields on standard error.
pub(super) fn list(ctx: &Context) -> Result<(), Failure> {
    let fields = Fields { asked: None, defaults: "help", select: None, base: Groups::NONE };
    ReportOptions::default().report(ctx, &CATALOGUE, fields).map(drop)
}

/// The same for a document.
pub(super) fn described() -> impl Iterator<Item = serde_json::Value> {
    CATALOGUE.fields.iter().flat_map(|fields| fields.iter()).map(|field| {
        let kind = match field.kind {
            Kind::Text => "text",
            Kind::Number => "number",
            Kind::Size => "size",
            Kind::List => "list",
        };
        serde_json::json!({ "name": field.key, "kind": kind, "help": field.help })
    })
}

type Outcome = Result<Value, NoValue>;

/// A table of fields, a line each.
macro_rules! fields {
    ($($group:ident $key:literal $heading:literal $kind:ident $width:literal $value:expr, $help:literal;)*) => {
        &[$(Field {
            group: $group,
            key: $key,
            heading: $heading,
            kind: Kind::$kind,
            width: $width,
            help: $help,
            value: $value,
        },)*]
    };
}

const NAMES: &[Field<Row>] = fields! {
    NAME "name" "Name" Text 16 |row| name(row).map(|(shown, ..)| Value::text(shown)),
        "Name of mapped device.";
    NAME "mangled_name" "MangledName" Text 16 |row| mangled(name(row)?.1),
        "Mangled name of mapped device.";
    NAME "unmangled_name" "UnmangledName" Text 16 |row| name(row).map(|(.., plain)| Value::text(plain)),
        "Unmangled name of mapped device.";
    NAME "uuid" "UUID" Text 32 |row| uuid(row).map(|(shown, ..)| Value::text(shown)),
        "Unique (optional) identifier for mapped device.";
    NAME "mangled_uuid" "MangledUUID" Text 32 |row| mangled(uuid(row)?.1),
        "Mangled unique (optional) identifier for mapped device.";
    NAME "unmangled_uuid" "UnmangledUUID" Text 32 |row| uuid(row).map(|(.., plain)| Value::text(plain)),
        "Unmangled unique (optional) identifier for mapped device.";
    NAME "read_ahead" "RAhead" Number 6 read_ahead,
        "Read ahead value.";
};

const STATE: &[Field<Row>] = fields! {
    INFO "blkdevname" "BlkDevName" Text 16 |row| kernel_name(row, dev(row)?).map(Value::text),
        "Name of block device.";
    INFO "attr" "Stat" Text 4 attributes,
        "(L)ive, (I)nactive, (s)uspended, (r)ead-only, read-(w)rite.";
    INFO "tables_loaded" "Tables" Text 6 tables,
        "Which of the live and inactive table slots are filled.";
    INFO "suspended" "Suspended" Text 9 |row| either(row, Flags::SUSPEND, "Suspended", "Active"),
        "Whether the device is suspended.";
    INFO "readonly" "Read-only" Text 9 |row| either(row, Flags::READONLY, "Read-only", "Writeable"),
        "Whether the device is read-only or writeable.";
    INFO "devno" "DevNo" Text 5 |row| Ok(Value::text(dev(row)?.to_string())),
        "Device major and minor numbers";
    INFO "major" "Maj" Number 3 |row| Ok(Value::unsigned(dev(row)?.major)),
        "Block device major number.";
    INFO "minor" "Min" Number 3 |row| Ok(Value::unsigned(dev(row)?.minor)),
        "Block device minor number.";
    INFO "open" "Open" Number 4 |row| Ok(Value::signed(device(row)?.open_count)),
        "Number of references to open device, if requested.";
    INFO "segments" "Targ" Number 4 |row| Ok(Value::signed(device(row)?.target_count.cast_signed())),
        "Number of segments in live table, if present.";
    INFO "events" "Event" Number 6 |row| Ok(Value::unsigned(device(row)?.event_nr)),
        "Number of most recent event.";
};

const RELATIONS: &[Field<Row>] = fields! {
    DEPS "device_count" "#Devs" Number 5 |row| count(deps(row)?.len()),
        "Number of devices used by this one.";
    TREE "devs_used" "DevNamesUsed" List 16 |row| Ok(Value::List(neighbours(row, false)?.names)),
        "List of names of mapped devices used by this one.";
    DEPS "devnos_used" "DevNosUsed" List 16 |row| Ok(numbers(deps(row)?)),
        "List of device numbers of devices used by this one.";
    DEPS "blkdevs_used" "BlkDevNamesUsed" List 16 kernel_names,
        "List of names of block devices used by this one.";
    TREE "device_ref_count" "#Refs" Number 5 |row| count(neighbours(row, true)?.devs.len()),
        "Number of mapped devices referencing this one.";
    TREE "names_using_dev" "RefNames" List 8 |row| Ok(Value::List(neighbours(row, true)?.names)),
        "List of names of mapped devices using this one.";
    TREE "devnos_using_dev" "RefDevNos" List 9 |row| Ok(numbers(&neighbours(row, true)?.devs)),
        "List of device numbers of mapped devices using this one.";
};

const PARTS: &[Field<Row>] = fields! {
    SPLIT_NAME "subsystem" "Subsys" Text 6 |row| part(row, |split| &split.subsystem),
        "Userspace subsystem responsible for this device.";
    SPLIT_NAME "vg_name" "VG" Text 4 |row| part(row, |split| &split.group),
        "LVM Volume Group name.";
    SPLIT_NAME "lv_name" "LV" Text 4 |row| part(row, |split| &split.volume),
        "LVM Logical Volume name.";
    SPLIT_NAME "lv_layer" "LVLayer" Text 7 |row| part(row, |split| &split.layer),
        "LVM device layer.";
};

fn device(row: &Row) -> Result<&Reply, NoValue> {
    row.device.as_ref().ok_or(NoValue::NotThere)
}

fn dev(row: &Row) -> Result<DeviceNumber, NoValue> {
    Ok(device(row)?.device.dev.unwrap_or_default())
}

type Forms = (Text, Result<Text, String>, Text);

fn name(row: &Row) -> Result<Forms, NoValue> {
    Ok(forms(row.mangling, &device(row)?.device.name, "name", limits::NAME_LEN))
}

fn uuid(row: &Row) -> Result<Forms, NoValue> {
    Ok(forms(row.mangling, &device(row)?.device.uuid, "UUID", limits::UUID_LEN))
}

fn mangled(form: Result<Text, String>) -> Outcome {
    form.map(Value::Text).map_err(NoValue::Because)
}

fn read_ahead(row: &Row) -> Outcome {
    let dev = dev(row)?;
    let known = if row.foreign.is_none() { sysfs::read_ahead(dev) } else { None };
    Ok(Value::unsigned(known.unwrap_or_default()))
}

fn kernel_name(row: &Row, dev: DeviceNumber) -> Result<Text, NoValue> {
    let unknown = || NoValue::Because(format!("Could not resolve block device name for {dev}."));
    block_name::kernel_name(dev, row.foreign).ok_or_else(unknown)
}

fn attributes(row: &Row) -> Outcome {
    let flags = device(row)?.flags;
    let letter = |flag, yes, no| if flags.contains(flag) { yes } else { no };
    Ok(Value::text(String::from_iter([
        letter(Flags::ACTIVE_PRESENT, 'L', '-'),
        letter(Flags::INACTIVE_PRESENT, 'I', '-'),
        letter(Flags::SUSPEND, 's', '-'),
        letter(Flags::READONLY, 'r', 'w'),
    ])))
}

fn tables(row: &Row) -> Outcome {
    let flags = device(row)?.flags;
    let word = match (flags.contains(Flags::ACTIVE_PRESENT), flags.contains(Flags::INACTIVE_PRESENT)) {
        (true, true) => "Both",
        (true, false) => "Live",
        (false, true) => "Inactive",
        (false, false) => "None",
    };
    Ok(Value::text(word))
}

fn either(row: &Row, flag: Flags, yes: &str, no: &str) -> Outcome {
    Ok(Value::text(if device(row)?.flags.contains(flag) { yes } else { no }))
}

fn deps(row: &Row) -> Result<&[DeviceNumber], NoValue> {
    row.deps.as_deref().ok_or(NoValue::NotThere)
}

fn count(number: usize) -> Outcome {
    Ok(Value::unsigned(u64::try_from(number).unwrap_or(u64::MAX)))
}

fn numbers(devs: &[DeviceNumber]) -> Value {
    Value::List(devs.iter().map(|dev| dev.to_string().into()).collect())
}

fn kernel_names(row: &Row) -> Outcome {
    let names: Result<Vec<Text>, NoValue> = deps(row)?.iter().map(|dev| kernel_name(row, *dev)).collect();
    names.map(Value::List)
}

/// Devices beside a device in the tree; only mapped ones have names.
struct Neighbours {
    names: Vec<Text>,
    devs: Vec<DeviceNumber>,
}

fn neighbours(row: &Row, users: bool) -> Result<Neighbours, NoValue> {
    let (tree, node) = row.tree.as_deref().zip(row.node()).ok_or(NoValue::NotThere)?;
    let nodes: Vec<_> = if users { tree.users(node).collect() } else { tree.used(node).collect() };
    let names = nodes.iter().filter_map(|node| node.mapped.as_ref()).map(|mapped| mapped.name.clone());
    Ok(Neighbours { names: names.collect(), devs: nodes.iter().map(|node| node.dev).collect() })
}

fn part(row: &Row, choose: fn(&super::split_name::SplitName) -> &Text) -> Outcome {
    row.split.as_ref().map(|split| Value::Text(choose(split).clone())).ok_or(NoValue::NotThere)
}
