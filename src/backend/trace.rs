//! Every call shown as it is made: what `--trace` puts on standard error.
//!
//! Wraps any backend and is one. Knows no layout: the lines come from [`crate::wire::show`].

use super::{Backend, Changes, Holder};
use crate::block::BlockDevice;
use crate::dm::{DeviceId, Errno, Fault};
use crate::mapper::Draft;
use crate::wire::show::{self, Asked};
use std::fmt;
use std::io::Write;
use std::sync::Arc;

/// How a call is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceStyle {
    /// A line for the request and one for the reply.
    #[default]
    Fields,
    /// The same, with the bytes behind each line.
    Hex,
    /// The dictionaries of the protocol that was proposed for NetBSD, whatever the dialect in use.
    Plist,
}

/// A backend whose calls are shown.
pub struct Trace {
    inner: Box<dyn Backend>,
    style: TraceStyle,
    out: Box<dyn Write>,
}

impl Trace {
    /// Shows the calls that go to `inner` on `out`, which is unbuffered: a call that hangs has been shown.
    pub fn new(inner: Box<dyn Backend>, style: TraceStyle, out: Box<dyn Write>) -> Self {
        Self { inner, style, out }
    }

    /// The request, as it is to be shown.
    fn request(&self, asked: &Asked, buffer: &[u8]) -> String {
        match self.style {
            TraceStyle::Fields => asked.request_line(buffer) + "\n",
            TraceStyle::Hex => asked.request_line(buffer) + "\n" + &asked.hex_dump(buffer),
            TraceStyle::Plist => asked.request_dictionary(buffer) + "\n",
        }
    }

    /// What came back, as it is to be shown.
    fn reply(&self, asked: &Asked, result: Result<(), Errno>, buffer: &[u8]) -> String {
        match self.style {
            TraceStyle::Hex if result.is_ok() => {
                asked.reply_line(result, buffer) + "\n" + &asked.hex_dump(buffer)
            }
            TraceStyle::Fields | TraceStyle::Hex => asked.reply_line(result, buffer) + "\n",
            TraceStyle::Plist => asked.reply_dictionary(result, buffer) + "\n",
        }
    }

    /// Writes a text. A trace that nobody reads any more is no reason to fail.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

impl Backend for Trace {
    fn ioctl(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<(), Errno> {
        let asked = show::ask(number, buffer);
        let request = self.request(&asked, buffer);
        self.write(&request);
        let result = self.inner.ioctl(number, buffer);
        let asked = asked.answered(result, buffer);
        let reply = self.reply(&asked, result, buffer);
        self.write(&reply);
        result
    }

    fn fault(&mut self) -> Option<Fault> {
        self.inner.fault()
    }

    fn listen(&mut self) {
        self.inner.listen();
    }

    fn said(&mut self) -> Vec<String> {
        self.inner.said()
    }

    fn is_mapper(&self) -> bool {
        self.inner.is_mapper()
    }

    fn is_exclusive(&self) -> bool {
        self.inner.is_exclusive()
    }

    fn volume(&mut self, device: &DeviceId, writable: bool) -> Result<Arc<dyn BlockDevice>, Fault> {
        self.inner.volume(device, writable)
    }

    fn users(&mut self, device: &DeviceId) -> Result<Vec<Holder>, Fault> {
        self.inner.users(device)
    }

    fn check(&mut self, draft: &Draft<'_>) -> Result<Vec<Fault>, Fault> {
        self.inner.check(draft)
    }

    fn changes(&mut self) -> Result<Changes, Fault> {
        self.inner.changes()
    }

    fn commit(&mut self) -> Result<(), Fault> {
        self.inner.commit()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("inner", &self.inner)
            .field("style", &self.style)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::{Command, CommandKind, Flags, Reply, ReplyBody, Request, StatusLine, Version};
    use crate::wire::linux;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// A driver that answers `table` with one line of that target type and refuses all else.
    #[derive(Debug)]
    struct Driver(&'static str);

    impl Backend for Driver {
        fn ioctl(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<(), Errno> {
            let kind = linux::command_of(number).filter(|&kind| kind == CommandKind::TableStatus);
            let kind = kind.ok_or(Errno::ENXIO)?;
            let request = linux::decode_request(kind, buffer).map_err(|error| error.errno())?;
            let line = StatusLine {
                start: Default::default(),
                length: Default::default(),
                target: self.0.into(),
                status: 0,
                params: "some text".into(),
            };
            let reply = Reply {
                version: Version::new(4, 48, 0),
                device: request.device,
                flags: request.flags,
                open_count: 0,
                event_nr: 0,
                target_count: 1,
                body: ReplyBody::Lines(vec![line]),
            };
            linux::encode_reply(kind, &reply, buffer);
            Ok(())
        }

        fn is_mapper(&self) -> bool {
            true
        }

        fn is_exclusive(&self) -> bool {
            true
        }

        fn volume(&mut self, _: &DeviceId, _: bool) -> Result<Arc<dyn BlockDevice>, Fault> {
            Err(Fault::new(Errno::ENXIO, "no volume"))
        }

        fn check(&mut self, _: &Draft<'_>) -> Result<Vec<Fault>, Fault> {
            Err(Fault::new(Errno::EIO, "no check"))
        }

        fn commit(&mut self) -> Result<(), Fault> {
            Err(Fault::new(Errno::EIO, "no commit"))
        }
    }

    #[derive(Clone, Default)]
    struct Paper(Rc<RefCell<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn traced(request: &Request, style: TraceStyle) -> String {
        traced_of("linear", request, style)
    }

    fn traced_of(target: &'static str, request: &Request, style: TraceStyle) -> String {
        let paper = Paper::default();
        let mut trace = Trace::new(Box::new(Driver(target)), style, Box::new(paper.clone()));
        let mut buffer = linux::encode_request(request, 512).unwrap();
        let _ = trace.ioctl(linux::ioctl_number(request.command.kind()), &mut buffer);
        assert!(trace.is_mapper() && trace.fault().is_none());
        assert_eq!(trace.commit().unwrap_err().reason, "no commit");
        assert_eq!(trace.volume(&request.device, true).unwrap_err().reason, "no volume");
        let written = paper.0.borrow().clone();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn a_call_is_a_line_for_the_request_and_one_for_the_reply() {
        let vol0 = DeviceId::by_name("vol0");
        let status = Request::new(vol0.clone(), Command::TableStatus).with_flags(Flags::EXISTS);
        let lines = "ioctl(DM_TABLE_STATUS, {version=4.0.0, data_size=512, data_start=312, name=\"vol0\", flags=EXISTS})\n \
                     = 0 {version=4.48.0, data_size=362, data_start=312, name=\"vol0\", target_count=1, open_count=0, \
                     event_nr=0, flags=EXISTS, {sector_start=0, length=0, status=0, target_type=\"linear\", \
                     string=\"some text\"}}\n";
        assert_eq!(traced(&status, TraceStyle::Fields), lines);
        let lines = "ioctl(DM_DEV_REMOVE, {version=4.0.0, data_size=512, name=\"vol0\", event_nr=0, flags=0})\n \
                     = -1 ENXIO (No such device or address)\n";
        assert_eq!(traced(&Request::new(vol0, Command::DevRemove), TraceStyle::Fields), lines);
    }

    #[test]
    fn a_secret_shows_in_no_style() {
        let status = Request::new(DeviceId::by_name("vol0"), Command::TableStatus);
        let plain = traced(&status, TraceStyle::Hex);
        assert_eq!(plain.matches("some text").count(), 2, "{plain}");
        let secret = traced(&status.with_flags(Flags::SECURE_DATA), TraceStyle::Hex);
        assert!(!secret.contains("some") && secret.contains("string=<hidden>"), "{secret}");
        assert!(secret.ends_with(" | <hidden>\n"), "{secret}");
        let key = traced_of(
            "crypt",
            &Request::new(DeviceId::by_name("vol0"), Command::TableStatus),
            TraceStyle::Hex,
        );
        assert!(!key.contains("some") && key.contains("string=<hidden>"), "{key}");
    }
}
