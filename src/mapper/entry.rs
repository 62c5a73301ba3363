//! The mapper's front: an ioctl number and a buffer, as a driver gets them.

use super::{Mapper, VERSION};
use crate::dm::{DeviceNumber, Errno, Fault, Reply};
use crate::wire::linux;

/// What became of an ioctl that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The buffer holds the reply.
    Done,
    /// The event of that device that it waits for has not come; the buffer still holds the request. Ask again, by the
    /// device's number, when a device of this mapper has changed.
    Waiting(DeviceNumber),
}

/// What became of a request that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was performed.
    Reply(Reply),
    /// It waits for an event of that device that has not come, and nothing was changed.
    Waiting(DeviceNumber),
}

impl Mapper {
    /// Performs the ioctl of that number on a buffer that holds a request.
    ///
    /// As in Linux the buffer's own length bounds the reply, a reply that does not fit comes back as `BUFFER_FULL`, and
    /// the mapper's version is written into the buffer even when the version asked for is refused.
    ///
    /// # Errors
    /// The number that Linux would return; [`Mapper::take_fault`] then has the reason.
    pub fn ioctl(&mut self, number: u32, buffer: &mut [u8]) -> Result<Progress, Errno> {
        self.fault = None;
        self.answer(number, buffer).map_err(|fault| {
            let errno = fault.errno;
            self.fault = Some(fault);
            errno
        })
    }

    fn answer(&mut self, number: u32, buffer: &mut [u8]) -> Result<Progress, Fault> {
        let unknown = || Fault::new(Errno::ENOTTY, format!("ioctl {number:#x} is not device-mapper's"));
        let kind = linux::command_of(number).ok_or_else(unknown)?;
        let refused = |error: linux::WireError| Fault::new(error.errno(), error.to_string());
        let served = linux::check_version(buffer, VERSION);
        let request = linux::decode_request(kind, buffer);
        linux::write_version(buffer, VERSION);
        served.map_err(refused)?;
        match request.map_err(refused).and_then(|request| self.perform(&request)) {
            Ok(Outcome::Reply(reply)) => {
                linux::encode_reply(kind, &reply, buffer);
                Ok(Progress::Done)
            }
            Ok(Outcome::Waiting(dev)) => Ok(Progress::Waiting(dev)),
            Err(fault) => {
                // A request with a secret in it is not left lying about, whatever came of it.
                linux::wipe_secret(buffer);
                Err(fault)
            }
        }
    }
}
