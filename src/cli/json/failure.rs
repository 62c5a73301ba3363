//! A failure as `--json` tells it: dmsetup's line, and in fields of their own what stands behind it.

use super::errno;
use crate::backend::{CallError, OpenError};
use crate::cli::failure::{Failure, Reason, place, unreadable, why_no_driver};
use crate::dm::{Errno, Fault, SourceTable, TableSyntaxError};
use serde_json::{Map, Value, json};

/// What there is to tell of a failure.
#[derive(Default)]
struct Told<'a> {
    /// The line that dmsetup has for it, or ours.
    message: String,
    /// The driver's refusal, where it was one.
    call: Option<&'a CallError>,
    errno: Option<Errno>,
    reason: Option<String>,
    hint: Option<String>,
    /// What the kernel said of it.
    said: Vec<String>,
    place: Option<TableSyntaxError>,
}

/// The object; `None` where its lines have been told already.
pub(in crate::cli) fn error(failure: &Failure, explained: Option<&Reason>) -> Option<Value> {
    let told = match failure {
        Failure::Reported | Failure::Silent => return None,
        Failure::Refused(lines) => return Some(of_lines(lines)),
        Failure::Open(error @ OpenError::Kernel { errno, .. }) => {
            Told { message: error.to_string(), errno: Some(*errno), ..split(&why_no_driver(error)) }
        }
        Failure::Open(OpenError::User(fault) | OpenError::Dialect(fault)) => Told {
            message: fault.reason.clone(),
            errno: Some(fault.errno),
            hint: fault.hint.clone(),
            ..Told::default()
        },
        Failure::Call(error) => refused(error, error.to_string(), explained, None),
        Failure::NoDevice(error) => refused(error, "Device does not exist.".into(), explained, None),
        Failure::Load(error, _, source) => refused(error, error.to_string(), explained, Some(source)),
        Failure::Table(from, _, error) => Told {
            message: unreadable(from, error),
            errno: Some(Errno::EINVAL),
            place: Some(error.clone()),
            ..Told::default()
        },
        Failure::Classic(line) => Told { message: line.clone(), ..Told::default() },
        Failure::Explained(line, why) => Told { message: line.clone(), ..split(why) },
        Failure::Ours(line) => {
            let split = split(line);
            Told { message: split.reason.unwrap_or_default(), hint: split.hint, ..Told::default() }
        }
    };
    Some(told.object())
}

/// The object of a failure of which only its lines are known.
pub(in crate::cli) fn of_lines(lines: &[String]) -> Value {
    let all = lines.join("\n");
    let mut lines = all.lines().filter(|line| *line != "Couldn't process command line." && !line.is_empty());
    let message = lines.next().unwrap_or_default();
    let message = message.strip_prefix("rdmsetup: ").unwrap_or(message).to_owned();
    let (hints, more): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with("  hint: "));
    let reason = more.join("\n");
    let reason = reason.strip_prefix("rdmsetup: ").unwrap_or(&reason).to_owned();
    let hint = hints.first().map(|hint| hint.trim_start_matches("  hint: ").to_owned());
    Told { message, reason: Some(reason).filter(|reason| !reason.is_empty()), hint, ..Told::default() }
        .object()
}

/// A reason with its hint behind it, apart.
fn split(why: &str) -> Told<'static> {
    let (reason, hint) = match why.split_once("\n  hint: ") {
        Some((reason, hint)) => (reason, Some(hint.to_owned())),
        None => (why, None),
    };
    Told { reason: Some(reason.to_owned()), hint, ..Told::default() }
}

fn refused<'a>(
    error: &'a CallError,
    message: String,
    explained: Option<&Reason>,
    source: Option<&SourceTable>,
) -> Told<'a> {
    let fault = explained.map_or(error.fault.as_ref(), |explained| explained.fault.as_ref());
    let place = fault.and_then(|fault| source?.locate(fault));
    let reason = fault.map(|fault| fault.reason.clone()).filter(|reason| !reason.is_empty());
    let said = explained.map(|explained| explained.said.clone()).unwrap_or_default();
    let hint = fault.and_then(|fault| fault.hint.clone());
    Told { message, call: Some(error), errno: Some(error.errno), reason, hint, said, place }
}

impl Told<'_> {
    fn object(self) -> Value {
        let device = self.call.map(|call| &call.device);
        let device = device.map(|id| match (&id.name, &id.uuid, id.dev) {
            (name, _, _) if !name.is_empty() => name.to_string(),
            (_, uuid, _) if !uuid.is_empty() => uuid.to_string(),
            (_, _, dev) => dev.map(|dev| dev.to_string()).unwrap_or_default(),
        });
        let mut object = fault(self.errno, self.place.as_ref(), self.reason.as_deref(), self.hint.as_deref());
        object.insert("message".into(), self.message.into());
        object.insert("request".into(), self.call.map(|call| call.verb).into());
        object.insert("device".into(), device.filter(|device| !device.is_empty()).into());
        object.insert("kernel_log".into(), self.said.into());
        object.into()
    }
}

/// A fault in a table, or elsewhere: the number, the reason, what to do, and its place. `check` tells those that it finds so.
pub(in crate::cli) fn fault(
    number: Option<Errno>,
    located: Option<&TableSyntaxError>,
    reason: Option<&str>,
    hint: Option<&str>,
) -> Map<String, Value> {
    let shown = located.map(|error| (error.line, place(error)));
    let own = |own: Option<&str>| own.map(str::to_owned);
    let object = json!({
        "errno": number.map(errno),
        "reason": located.map(|error| error.reason.clone()).or_else(|| own(reason)),
        "hint": located.and_then(|error| error.hint.clone()).or_else(|| own(hint)),
        "line": shown.as_ref().map(|(line, _)| line),
        "column": shown.as_ref().map(|(_, place)| place.column),
        "width": shown.as_ref().map(|(_, place)| place.width),
        "text": shown.as_ref().map(|(_, place)| &place.text),
    });
    if let Value::Object(object) = object { object } else { Map::new() }
}

/// The same, of what `check` finds.
pub(in crate::cli) fn found(
    number: Errno,
    located: Option<&TableSyntaxError>,
    other: Option<&Fault>,
) -> Value {
    let reason = other.map(|fault| fault.reason.as_str());
    fault(Some(number), located, reason, other.and_then(|fault| fault.hint.as_deref())).into()
}
