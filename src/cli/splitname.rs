//! `splitname`: the parts of a logical volume's name. No driver is asked.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::report::{Fields, ReportOptions};
use super::report_fields::{CATALOGUE, SPLIT_NAME};
use super::report_row::Row;
use super::split_name;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// Split a logical volume's device name into its parts
#[derive(Args, Debug)]
pub(super) struct SplitName {
    /// The name, which no device need have
    #[arg(value_name = "NAME")]
    name: OsString,

    /// Whose name it is; only LVM's names have parts
    #[arg(value_name = "SUBSYSTEM", default_value = "LVM", hide_default_value = true)]
    subsystem: OsString,

    /// The fields, with commas between; + before them adds them; `help` lists them
    #[arg(short, long, value_name = "FIELDS")]
    options: Option<OsString>,

    /// Nothing is shown unless this is so of the name
    #[arg(short = 'S', long, value_name = "CONDITION")]
    select: Option<OsString>,

    #[command(flatten)]
    report: ReportOptions,
}

impl Run for SplitName {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let fields = Fields {
            asked: self.options.as_ref(),
            defaults: "vg_name,lv_name,lv_layer",
            select: self.select.as_ref(),
            base: SPLIT_NAME,
        };
        let mut report = self.report.report(ctx, &CATALOGUE, fields)?;
        let split = split_name::SplitName::new(self.name.as_bytes(), self.subsystem.as_bytes());
        let row = Row { split: Some(split), ..Row::default() };
        let clock = self.report.clock(self.options.as_ref());
        clock.repeat(ctx, &mut report, |_, report| Ok(report.add(&row).map(drop)?))
    }
}
