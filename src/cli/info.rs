//! `info`: the state of devices, in a block for each or in columns.

use super::context::Context;
use super::failure::Failure;
use super::report::{Fields, ReportOptions};
use super::report_fields::CATALOGUE;
use super::report_row::Rows;
use super::seen;
use super::selector::{Selected, Selector};
use super::{Run, json};
use crate::dm::{Command, DeviceId, Flags, Reply, Request};
use crate::render::report::Groups;
use crate::render::screen::{self, Screen};
use clap::Args;
use std::ffi::OsString;

/// The columns that are shown unless others are asked for.
const DEFAULT_FIELDS: &str = "name,major,minor,attr,open,segments,events,uuid";

/// Show the state of devices
#[derive(Args, Debug)]
pub(super) struct Info {
    /// The devices; without any, all
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    /// Do not ask how many hold the device open
    #[arg(long)]
    noopencount: bool,

    /// Ask about the table that is loaded and not yet in use
    #[arg(long)]
    inactive: bool,

    /// With --columns: the fields, with commas between; + before them adds them; `help` lists them
    #[arg(short, long, value_name = "FIELDS")]
    options: Option<OsString>,

    #[command(flatten)]
    report: ReportOptions,

    #[command(flatten)]
    selector: Selector,
}

impl Run for Info {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        if self.report.columns > 0 {
            return self.in_columns(ctx);
        }
        ctx.tell_list("devices");
        let (screen, mut is_first) = (ctx.screen(), true);
        self.selector.each_given(ctx, &self.names, &mut |ctx, device| {
            let reply = self.ask(ctx, device)?;
            json::told::device(ctx, &reply);
            match screen {
                Some(screen) => self.show(ctx, screen, &reply, &mut is_first)?,
                None => ctx.print_info(&reply),
            }
            Ok(())
        })
    }
}

impl Info {
    fn ask(&self, ctx: &mut Context, device: &Selected) -> Result<Reply, Failure> {
        let flags =
            Flags::SKIP_BDGET.when(self.noopencount) | Flags::QUERY_INACTIVE_TABLE.when(self.inactive);
        ctx.perform_if_exists(Request::new(device.id.clone(), Command::DevStatus).with_flags(flags))
    }

    /// The block for a screen, which tells of the table too.
    fn show(
        &self,
        ctx: &mut Context,
        screen: Screen,
        reply: &Reply,
        is_first: &mut bool,
    ) -> Result<(), Failure> {
        let id = DeviceId::by_name(reply.device.name.clone());
        let table = seen::status(ctx, id, Flags::QUERY_INACTIVE_TABLE.when(self.inactive))?;
        let names = (&ctx.shown_name(&reply.device.name), &ctx.shown_name(&reply.device.uuid));
        let block = screen::info_screen(screen, reply, table.lines(), names, ctx.read_ahead(reply));
        ctx.out.print(if std::mem::take(is_first) { "" } else { "\n" });
        ctx.out.print(block);
        Ok(())
    }

    fn in_columns(&self, ctx: &mut Context) -> Result<(), Failure> {
        let fields = Fields {
            asked: self.options.as_ref(),
            defaults: DEFAULT_FIELDS,
            select: self.selector.select.as_ref(),
            base: Groups::NONE,
        };
        let mut report = self.report.report(ctx, &CATALOGUE, fields)?;
        let rows = Rows::new(ctx, report.groups())?;
        let clock = self.report.clock(self.options.as_ref());
        clock.repeat(ctx, &mut report, |ctx, report| {
            rows.begin();
            self.selector.each_given(ctx, &self.names, &mut |ctx, device| {
                let reply = self.ask(ctx, device)?;
                for row in rows.rows(ctx, reply)? {
                    report.add(&row)?;
                    ctx.out.print(report.written());
                }
                Ok(())
            })
        })
    }
}
