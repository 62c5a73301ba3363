//! `dump`: devices as a file that `apply` takes.

use super::Run;
use super::context::Context;
use super::device_file::Written;
use super::device_toml;
use super::failure::Failure;
use super::order::lower_first;
use super::place::Places;
use super::selector::{Selected, Selector};
use crate::dm::{
    Command, DeviceNumber, Errno, Flags, Reply, ReplyBody, Request, StatusLine, Text, may_hold_key,
};
use crate::render::{self, ConciseForm, Keys};
use clap::Args;
use serde_json::{Value, json};
use std::ffi::OsString;
use zeroize::Zeroizing;

/// Write devices as a file that apply takes
///
/// TOML, as rdmsetup-devices(5) tells, a device behind those that it stands on; those are named by name and not by number.
/// Keys are hidden (zeros in their place) unless --showkeys is given, and a comment says so: `apply` takes such a table for the
/// same as one with the key, and loads none that has zeros.
#[derive(Args, Debug)]
pub(super) struct Dump {
    /// The devices; without any, all
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    /// Show encryption keys, which are else written as zeros
    #[arg(long)]
    showkeys: bool,

    /// All in one line, as `create --concise` reads it
    #[arg(long)]
    concise: bool,

    #[command(flatten)]
    selector: Selector,
}

/// A device with its table, and those below it.
struct Dumped {
    reply: Reply,
    below: Vec<DeviceNumber>,
}

impl Run for Dump {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        ctx.out.secret |= self.showkeys;
        let places = Places::look(ctx)?;
        let mut devices = Vec::new();
        let looked = self.selector.each_or_all(ctx, &self.names, |ctx, device| {
            devices.extend(look(ctx, device, &places)?);
            Ok(())
        });
        let devices = in_order(devices);
        let keys = if self.showkeys { Keys::Shown } else { Keys::Hidden };
        if ctx.json.is_some() {
            ctx.tell_list("devices");
            for device in &devices {
                // Moved and not copied: the document, which may have keys, is wiped.
                let told = device.to_json(ctx, keys);
                if let Some(document) = &mut ctx.json {
                    document.push("devices", told);
                }
            }
            return looked;
        }
        for (at, device) in devices.iter().enumerate() {
            if self.concise {
                ctx.out.print(if at > 0 { ";" } else { "" });
                let text = device.concise(ctx, keys);
                ctx.out.print(&*text);
            } else {
                let text = device.toml(ctx, keys)?;
                ctx.out.print(if at > 0 { "\n" } else { "" });
                ctx.out.print(&**text);
            }
        }
        ctx.out.print(if self.concise && !devices.is_empty() { "\n" } else { "" });
        looked
    }
}

/// A device, unless it is gone since.
fn look(ctx: &mut Context, device: &Selected, places: &Places) -> Result<Option<Dumped>, Failure> {
    let flags = Flags::STATUS_TABLE | Flags::NOFLUSH | Flags::SECURE_DATA;
    let mut reply =
        ctx.perform_if_exists(Request::new(device.id.clone(), Command::TableStatus).with_flags(flags))?;
    let below = match ctx.perform(Request::new(device.id.clone(), Command::TableDeps)) {
        Err(failure) if failure.is(Errno::ENXIO) => return Ok(None),
        outcome => outcome?.deps().to_vec(),
    };
    if let ReplyBody::Lines(lines) = &mut reply.body {
        for line in lines {
            name_devices(line, places);
            if line.params.contains(&b'#') {
                let name = ctx.shown_name(&reply.device.name);
                let what =
                    format!("the table of \"{name}\" has a \"#\" in it, which begins a comment in a file");
                return Err(Failure::Ours(what));
            }
        }
    }
    Ok(Some(Dumped { reply, below }))
}

/// Puts the names of mapped devices in the place of their numbers, which may be others the next time.
fn name_devices(line: &mut StatusLine, places: &Places) {
    let named = |word: &[u8]| {
        let name = DeviceNumber::parse(word).and_then(|dev| places.name(dev))?;
        Some([b"/dev/mapper/", name.as_bytes()].concat())
    };
    if !line.params.split(|&byte| byte == b' ').any(|word| named(word).is_some()) {
        return;
    }
    let words: Vec<Vec<u8>> = line
        .params
        .split(|&byte| byte == b' ')
        .map(|word| named(word).unwrap_or_else(|| word.to_vec()))
        .collect();
    let params = Text::from(words.join(&b' '));
    words.into_iter().for_each(|word| drop(Zeroizing::new(word)));
    if may_hold_key(&line.target) {
        line.params.wipe();
    }
    line.params = params;
}

/// Each behind those that it stands on.
fn in_order(devices: Vec<Dumped>) -> Vec<Dumped> {
    let place = |dev: &DeviceNumber| devices.iter().position(|device| device.reply.device.dev == Some(*dev));
    let below: Vec<Vec<usize>> =
        devices.iter().map(|device| device.below.iter().filter_map(place).collect()).collect();
    let Ok(order) = lower_first(&below) else { return devices };
    let mut devices: Vec<Option<Dumped>> = devices.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| devices[at].take()).collect()
}

impl Dumped {
    fn has_key(&self) -> bool {
        self.reply.lines().iter().any(|line| {
            let hidden = render::line(line, Keys::Hidden);
            let shown = Zeroizing::new(render::line(line, Keys::Shown));
            hidden != *shown
        })
    }

    fn concise(&self, ctx: &Context, keys: Keys) -> Zeroizing<Vec<u8>> {
        let device = &self.reply.device;
        let lines: Vec<&StatusLine> = self.reply.lines().iter().collect();
        let (name, uuid) = (ctx.shown_name(&device.name), ctx.shown_name(&device.uuid));
        Zeroizing::new(render::concise(&self.reply, &name, &uuid, &lines, keys, ConciseForm::Readable))
    }

    fn lines(&self, keys: Keys) -> Vec<Zeroizing<Vec<u8>>> {
        let trimmed = |line| {
            let whole = Zeroizing::new(render::line(line, keys));
            Zeroizing::new(whole.trim_ascii_end().to_vec())
        };
        self.reply.lines().iter().map(trimmed).collect()
    }

    fn toml(&self, ctx: &Context, keys: Keys) -> Result<Zeroizing<String>, Failure> {
        let lines = self.lines(keys);
        // Room for all: what grows leaves behind what it held.
        let mut table = Zeroizing::new(Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum()));
        for line in &lines {
            table.extend_from_slice(line);
            table.push(b'\n');
        }
        let device = &self.reply.device;
        let written = Written {
            name: ctx.shown_name(&device.name),
            uuid: ctx.shown_name(&device.uuid),
            minor: device.dev.map(|dev| dev.minor),
            readonly: self.reply.flags.contains(Flags::READONLY),
            table,
        };
        let mut comments = Vec::new();
        if self.has_key() {
            comments.push(match keys {
                Keys::Shown => "its key is in the table: keep this file to yourself",
                Keys::Hidden => {
                    "its key is hidden, so that apply cannot create it: dump --showkeys writes it"
                }
            });
        }
        if self.reply.flags.contains(Flags::SUSPEND) && !lines.is_empty() {
            comments.push("it is suspended, and apply resumes it");
        }
        let comment = Some(comments.join("\n")).filter(|comment| !comment.is_empty());
        device_toml::write(&written, comment.as_deref()).map_err(|device_toml::NoToml(why)| {
            let what = format!(
                "\"{}\" cannot be written as TOML: {why}\n  hint: --concise takes any bytes",
                written.name
            );
            Failure::Ours(what)
        })
    }

    fn to_json(&self, ctx: &Context, keys: Keys) -> Value {
        let device = &self.reply.device;
        let text = |text: &Text| ctx.shown_name(text).to_string();
        let lines = self.lines(keys);
        let lines: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        json!({
            "name": text(&device.name),
            "uuid": if device.uuid.is_empty() { Value::Null } else { text(&device.uuid).into() },
            "minor": device.dev.map(|dev| dev.minor),
            "readonly": self.reply.flags.contains(Flags::READONLY),
            "suspended": self.reply.flags.contains(Flags::SUSPEND),
            "keys_hidden": keys == Keys::Hidden && self.has_key(),
            "table": lines,
        })
    }
}
