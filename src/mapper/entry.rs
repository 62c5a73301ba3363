//! The mapper's front: an ioctl number and a buffer, as a driver gets them.

use super::{Mapper, VERSION};
use crate::dm::{CommandKind, Errno, Fault};
use crate::wire::linux;

/// What became of an ioctl that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The buffer holds the reply.
    Done,
    /// The event that it waits for has not come; the buffer still holds the request. Ask again when a device of this
    /// mapper has changed.
    Waiting,
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
        linux::check_version(buffer, VERSION).map_err(refused)?;
        if kind == CommandKind::MpathProbePaths {
            return Err(Fault::new(
                Errno::ENOTTY,
                "paths are probed through a multipath device, not the control node",
            ));
        }
        let request = linux::decode_request(kind, buffer).map_err(refused)?;
        let Some(reply) = self.perform(&request)? else { return Ok(Progress::Waiting) };
        linux::encode_reply(kind, &reply, buffer);
        Ok(Progress::Done)
    }
}
