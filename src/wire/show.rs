//! A call as text for a person, in whichever dialect it is made.

use super::call::Call;
use super::dialect::Dialect;
use super::linux::{self, strace};
use super::proplib::{self, Dict, MAX_REPLY, PROPOSED};
use crate::dm::{Command, CommandKind, Errno, Flags, Reply, ReplyBody, Request, Text};

/// What stands for a text that may be a secret.
const HIDDEN: &str = "<hidden>";

/// What a request told about itself, which its reply does not say.
#[derive(Debug)]
pub struct Asked {
    number: u32,
    /// The dialect and the command; `None` for bytes that are no request.
    kind: Option<(Dialect, CommandKind)>,
    /// It holds a secret: texts are not to be shown.
    hidden: bool,
}

/// What there is to know of a call before it is made.
pub fn ask(number: u32, buffer: &[u8]) -> Asked {
    let is_plist = proplib::plist_number(number).is_some();
    // A table of Linux's may be long, and whether it can be read is not needed for its line.
    let linux = || linux::command_of(number).map(|kind| (Dialect::Linux, kind));
    let call = || Call::read(number, buffer).ok().map(|call| (call.dialect, call.request.command.kind()));
    let hidden = if is_plist { plist_is_secret(buffer) } else { linux::is_secret(buffer) };
    Asked { number, kind: if is_plist { call() } else { linux() }, hidden }
}

fn plist_is_secret(buffer: &[u8]) -> bool {
    let dict = proplib::parse(buffer, MAX_REPLY);
    dict.is_ok_and(|dict| dict.u32("flags").is_some_and(|flags| Flags(flags).contains(Flags::SECURE_DATA)))
}

impl Asked {
    /// The same, now that it is answered: a key that nobody called a secret when asking is one all the same.
    #[must_use]
    pub fn answered(mut self, result: Result<(), Errno>, buffer: &[u8]) -> Self {
        if let (Ok(()), Some((dialect, kind))) = (result, self.kind)
            && dialect.wants_more(buffer).is_none()
        {
            self.hidden |= dialect.reply(kind, buffer).is_ok_and(|reply| reply.holds_secret());
        }
        self
    }

    fn is_plist(&self) -> bool {
        proplib::plist_number(self.number).is_some()
    }

    /// The request on one line.
    pub fn request_line(&self, buffer: &[u8]) -> String {
        if !self.is_plist() {
            return strace::request_line(self.number, buffer);
        }
        format!("ioctl({}, {})", self.ioctl_name(), self.brief(buffer))
    }

    fn ioctl_name(&self) -> &'static str {
        match self.kind {
            Some((Dialect::Linux | Dialect::Proposed, kind)) => kind.c_name(),
            Some((Dialect::Netbsd, _)) | None => "NETBSD_DM_IOCTL",
        }
    }

    fn brief(&self, buffer: &[u8]) -> String {
        match proplib::parse(buffer, MAX_REPLY) {
            Ok(dict) => proplib::brief(&dict, self.hidden),
            Err(error) => format!("??? /* {error} */"),
        }
    }

    /// The result on one line.
    pub fn reply_line(&self, result: Result<(), Errno>, buffer: &[u8]) -> String {
        match result {
            Ok(()) if self.is_plist() => format!(" = 0 {}", self.brief(buffer)),
            result => strace::reply_line(self.number, result, buffer, self.hidden),
        }
    }

    /// The bytes, sixteen a line.
    pub fn hex_dump(&self, buffer: &[u8]) -> String {
        match self.is_plist() {
            true if self.hidden => format!(" | {HIDDEN}\n"),
            true => strace::hex_rows(buffer),
            false => strace::hex_dump(buffer, self.hidden),
        }
    }

    /// The request as a dictionary of the protocol that was proposed, whatever it is made in.
    pub fn request_dictionary(&self, buffer: &[u8]) -> String {
        let request = match Call::read(self.number, buffer) {
            Ok(call) => call.request,
            Err(fault) => return format!("ioctl({:#x}, {} bytes) /* {fault} */", self.number, buffer.len()),
        };
        let name = request.command.kind().c_name();
        let request = if self.hidden { hide_request(request) } else { request };
        match proplib::encode_request(&PROPOSED, &request) {
            Ok(dict) => format!("ioctl({name},\n{})", text(&dict)),
            Err(fault) => format!("ioctl({name}) /* {fault} */"),
        }
    }

    /// The result and its reply as such a dictionary.
    pub fn reply_dictionary(&self, result: Result<(), Errno>, buffer: &[u8]) -> String {
        if let Err(errno) = result {
            return format!(" = -1 {errno:?} ({errno})");
        }
        let Some((dialect, kind)) = self.kind else { return " = 0".into() };
        if dialect.wants_more(buffer).is_some() {
            return " = 0 /* the reply did not fit the buffer */".into();
        }
        match dialect.reply(kind, buffer) {
            Ok(reply) => {
                let reply = if self.hidden { hide_reply(reply) } else { reply };
                format!(" = 0\n{}", text(&proplib::encode_reply(&PROPOSED, kind, &reply, Dict::default())))
            }
            Err(fault) => format!(" = 0 /* {fault} */"),
        }
    }
}

fn text(dict: &Dict) -> String {
    String::from_utf8_lossy(&proplib::bare(dict)).trim_end().to_owned()
}

fn hide_request(mut request: Request) -> Request {
    match &mut request.command {
        Command::TableLoad(table) => table.lines.iter_mut().for_each(|line| line.params = HIDDEN.into()),
        Command::TargetMsg { message: text, .. }
        | Command::DevRename(text)
        | Command::DevSetGeometry(text) => {
            *text = HIDDEN.into();
        }
        Command::Version
        | Command::RemoveAll
        | Command::ListDevices
        | Command::DevCreate
        | Command::DevRemove
        | Command::DevSuspend
        | Command::DevStatus
        | Command::DevWait
        | Command::TableClear
        | Command::TableDeps
        | Command::TableStatus
        | Command::ListVersions
        | Command::DevArmPoll
        | Command::GetTargetVersion(_)
        | Command::MpathProbePaths => {}
    }
    request
}

fn hide_reply(mut reply: Reply) -> Reply {
    match &mut reply.body {
        ReplyBody::Lines(lines) => lines.iter_mut().for_each(|line| line.params = Text::from(HIDDEN)),
        ReplyBody::Message(Some(answer)) => *answer = HIDDEN.into(),
        ReplyBody::None
        | ReplyBody::Devices(_)
        | ReplyBody::Deps(_)
        | ReplyBody::Versions(_)
        | ReplyBody::Message(None) => {}
    }
    reply
}
