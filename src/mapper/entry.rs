//! The mapper's front: an ioctl number and a buffer, as a driver gets them.

use super::{MAJOR, Mapper, VERSION};
use crate::dm::{Command, DeviceNumber, Errno, Fault, Reply, ReplyBody};
use crate::wire::{Call, Driver};

/// What the dialects need to know of the mapper.
const DRIVER: Driver = Driver { version: VERSION, major: MAJOR };

/// What became of an ioctl that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The buffer holds the reply.
    Done,
    /// It cannot be done yet; the buffer holds the request, which asks by the device's number from now on, since the
    /// name may change. Send it again when what it waits for has come.
    Waiting(DeviceNumber, Waiting),
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The device's next event, which another process may cause too.
    Event,
    /// The end of the I/O that is in flight in this process: the device is held. Whoever does not ask again calls
    /// [`Mapper::cancel_suspend`].
    Idle,
    /// A flush: [`Mapper::flusher`] does it, its result goes to [`Mapper::flushed`]. The device is held; see `Idle`.
    Flush,
}

/// What became of a request that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was performed.
    Reply(Reply),
    /// It waits for something of that device that has not come.
    Waiting(DeviceNumber, Waiting),
}

impl Mapper {
    /// Performs the ioctl of that number on a buffer that holds a request, and puts the reply there: in the dialect that
    /// the number and the buffer are of.
    ///
    /// As in Linux the buffer's own length bounds the reply, a reply that does not fit comes back as `BUFFER_FULL`, and
    /// the mapper's version is written into the buffer even when the version asked for is refused. A reply that is a
    /// property list takes the request's place, as long as it needs to be, its closing NUL with it.
    ///
    /// # Errors
    /// The number that a driver of the dialect would return; [`Mapper::take_fault`] then has Linux's, and the reason.
    pub fn ioctl(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<Progress, Errno> {
        self.fault = None;
        self.answer(number, buffer).map_err(|(errno, fault)| {
            self.fault = Some(fault);
            errno
        })
    }

    fn answer(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<Progress, (Errno, Fault)> {
        let mut call = Call::receive(number, buffer, DRIVER).map_err(|fault| (fault.errno, fault))?;
        match self.perform(&call.request) {
            Ok(Outcome::Reply(reply)) => {
                call.answer(&reply, buffer).map_err(|fault| (fault.errno, fault))?;
                Ok(Progress::Done)
            }
            Ok(Outcome::Waiting(dev, what)) => {
                call.ask_by_number(dev, buffer).map_err(|fault| (fault.errno, fault))?;
                Ok(Progress::Waiting(dev, what))
            }
            Err(fault) => Err((call.refuse(&fault, buffer), fault)),
        }
    }

    /// Answers a wait for an event of a device that is gone: its removal was its last event.
    ///
    /// # Errors
    /// The buffer holds no request, or none of a wait.
    pub fn answer_removed(number: u32, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        let call = Call::read(number, buffer)?;
        if call.request.command != Command::DevWait {
            return Err(Fault::new(Errno::ENXIO, "the device was removed meanwhile"));
        }
        let event_nr = call.request.event_nr.wrapping_add(1);
        let body = ReplyBody::Lines(Vec::new());
        let reply = Reply { event_nr, body, ..super::commands::echo(&call.request) };
        call.answer(&reply, buffer)
    }
}
