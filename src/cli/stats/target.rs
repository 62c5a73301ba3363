//! Messages about statistics to a device, and what comes back.

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::complain;
use crate::dm::stats::{self, Statistics};
use crate::dm::{Command, DeviceId, ReplyBody, Request, Sectors, Text, Version};

/// The driver that first counts in nanoseconds and keeps histograms.
const PRECISE_SINCE: Version = Version::new(4, 32, 0);

/// Sends a message; the answer, empty if there is none.
pub(super) fn send(ctx: &mut Context, id: &DeviceId, message: Text) -> Result<Text, Failure> {
    let command = Command::TargetMsg { sector: Sectors::ZERO, message };
    let reply = ctx.perform(Request::new(id.clone(), command))?;
    Ok(if let ReplyBody::Message(Some(answer)) = reply.body { answer } else { Text::new() })
}

/// The regions of a program, or of all if it is empty. What is amiss with a group is told and stops nothing.
pub(super) fn list(ctx: &mut Context, id: &DeviceId, program: &[u8]) -> Result<Statistics, Failure> {
    let answer = send(ctx, id, stats::list(program))?;
    let mut faults = Vec::new();
    let read = Statistics::parse(&answer, &mut faults);
    faults.iter().for_each(|fault| complain(&fault.to_string()));
    read.map_err(|error| unreadable("Could not parse @stats_list response.", &error))
}

/// An answer that makes no sense.
pub(super) fn unreadable(line: &str, error: &stats::StatsError) -> Failure {
    Failure::Explained(line.into(), error.to_string())
}

/// Whether the driver has what `--precise` and `--bounds` need.
pub(super) fn require_precise(version: Version, option: Option<&str>) -> Result<(), Failure> {
    match option {
        Some(option) if version < PRECISE_SINCE => {
            let needs = format!("Using {option} requires driver version {PRECISE_SINCE} or later.");
            Err(Failure::classic(needs))
        }
        _ => Ok(()),
    }
}

/// Tells of the failure and what it came to.
pub(super) fn explained<T>(outcome: Result<T, Failure>, ctx: &mut Context, line: &str) -> Result<T, Failure> {
    outcome.map_err(|failure| {
        ctx.report(&failure);
        ctx.report(&Failure::classic(line));
        Failure::Reported
    })
}
