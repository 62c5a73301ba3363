//! `table`: the tables of devices.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::json::device::Texts;
use super::order::lower_first;
use super::selector::Selected;
use super::status::Which;
use crate::dm::{Command, DeviceId, DeviceNumber, Errno, Flags, Request, Text};
use crate::render::screen::Shows;
use crate::render::{self, ConciseForm, Keys};
use clap::Args;
use std::collections::HashMap;
use zeroize::Zeroizing;

/// Show the tables of devices
#[derive(Args, Debug)]
pub(super) struct Table {
    #[command(flatten)]
    which: Which,

    /// Show encryption keys, which are else written as zeros
    #[arg(long)]
    showkeys: bool,

    /// All in one line, as `create --concise` reads it, a device behind those that it uses
    #[arg(long)]
    concise: bool,
}

/// A device in the form of `create --concise`.
struct Concise {
    dev: Option<DeviceNumber>,
    below: Vec<DeviceNumber>,
    text: Zeroizing<Vec<u8>>,
}

impl Run for Table {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let keys = if self.showkeys { Keys::Shown } else { Keys::Hidden };
        if self.concise {
            return self.run_concise(ctx, keys);
        }
        ctx.tell_list("devices");
        let flags = self.flags(ctx);
        // What holds keys is wiped, and a layout is not.
        if let Some(screen) = ctx.screen().filter(|_| !self.showkeys) {
            return self.which.show(ctx, screen, flags, Shows::Arguments(keys));
        }
        let Which { names, selector, .. } = &self.which;
        selector.each_or_all(ctx, names, |ctx, device| {
            let reply =
                ctx.perform(Request::new(device.id.clone(), Command::TableStatus).with_flags(flags))?;
            if ctx.json.is_some() {
                self.which.tell(ctx, &reply, keys, Texts::Table);
                return Ok(());
            }
            self.which.print(ctx, device, &reply, keys);
            Ok(())
        })
    }
}

impl Table {
    /// Where keys are asked for, everyone on the way wipes what held them.
    fn flags(&self, ctx: &mut Context) -> Flags {
        ctx.out.secret |= self.showkeys;
        Flags::STATUS_TABLE | Flags::SECURE_DATA.when(self.showkeys) | self.which.flags()
    }

    fn run_concise(&self, ctx: &mut Context, keys: Keys) -> Result<(), Failure> {
        let Which { names, selector, .. } = &self.which;
        let mut devices = Vec::new();
        let shown = selector.each_or_all(ctx, names, |ctx, device| {
            devices.extend(self.concise(ctx, device, keys)?);
            Ok(())
        });
        if !ctx.classic {
            devices = in_order(devices);
        }
        if !devices.is_empty() {
            for (index, device) in devices.iter().enumerate() {
                ctx.out.print(if index > 0 { ";" } else { "" });
                ctx.out.print(&*device.text);
            }
            ctx.out.print("\n");
        }
        if let Some(document) = &mut ctx.json {
            let texts: Vec<&[u8]> = devices.iter().map(|device| device.text.as_slice()).collect();
            let mut whole = Text::from(texts.join(&b';'));
            document.set("concise", whole.to_string());
            whole.wipe();
        }
        shown
    }

    /// The device, unless it has no line of the type asked for.
    fn concise(&self, ctx: &mut Context, device: &Selected, keys: Keys) -> Result<Option<Concise>, Failure> {
        let flags = self.flags(ctx);
        let reply = ctx.perform(Request::new(device.id.clone(), Command::TableStatus).with_flags(flags))?;
        let lines: Vec<_> = reply.lines().iter().filter(|line| self.which.wants(line)).collect();
        if lines.is_empty() && self.which.is_choosy() {
            return Ok(None);
        }
        let (form, below) = if ctx.classic {
            (ConciseForm::Classic, Vec::new())
        } else {
            let below = match ctx.perform(Request::new(device.id.clone(), Command::TableDeps)) {
                // It is gone since.
                Err(failure) if failure.is(Errno::ENXIO) => Vec::new(),
                outcome => outcome?.deps().to_vec(),
            };
            (ConciseForm::Readable, below)
        };
        let DeviceId { name, uuid, dev } = &reply.device;
        let (name, uuid) = (ctx.shown_name(name), ctx.shown_name(uuid));
        let text = Zeroizing::new(render::concise(&reply, &name, &uuid, &lines, keys, form));
        Ok(Some(Concise { dev: *dev, below, text }))
    }
}

/// Each device behind those that it uses, else in the order that they have.
fn in_order(devices: Vec<Concise>) -> Vec<Concise> {
    let numbered = devices.iter().enumerate().filter_map(|(index, device)| Some((device.dev?, index)));
    let places: HashMap<DeviceNumber, usize> = numbered.collect();
    let places = |device: &Concise| device.below.iter().filter_map(|dev| places.get(dev).copied()).collect();
    let below: Vec<Vec<usize>> = devices.iter().map(places).collect();
    // No driver has a circle: one that is seen was made by a change between two requests.
    let Ok(order) = lower_first(&below) else { return devices };
    let mut devices: Vec<Option<Concise>> = devices.into_iter().map(Some).collect();
    order.into_iter().filter_map(|index| devices[index].take()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_comes_behind_those_that_it_uses() {
        let device = |minor, below: &[u32]| Concise {
            dev: Some(DeviceNumber::new(253, minor)),
            below: below.iter().map(|&minor| DeviceNumber::new(253, minor)).collect(),
            text: minor.to_string().into_bytes().into(),
        };
        let devices = vec![device(0, &[2, 9]), device(1, &[]), device(2, &[3]), device(3, &[])];
        let ordered: Vec<u8> = in_order(devices).iter().flat_map(|device| device.text.to_vec()).collect();
        assert_eq!(ordered, b"3201");
    }
}
