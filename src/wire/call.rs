//! The driver's side: a call as it came in, in whichever dialect, to be answered in the same.

use super::dialect::Dialect;
use super::linux;
use super::proplib::{self, Dict, MAX_REPLY, MAX_REQUEST, PROPOSED, SHIPPED};
use crate::dm::{CommandKind, DeviceId, DeviceNumber, Errno, Fault, Flags, Reply, Request, Version};
use zeroize::Zeroize;

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    /// The version of its interface.
    pub version: Version,
    /// The major number of its devices, which a dialect of minors leaves unsaid.
    pub major: u32,
}

/// A call: what was asked, and how.
#[derive(Debug)]
pub struct Call {
    /// The dialect of the request, and so of the reply.
    pub dialect: Dialect,
    /// The request.
    pub request: Request,
    /// The request's dictionary, which its reply is made of.
    asked: Dict,
}

impl Call {
    /// What a number and a buffer ask for, whoever is to answer.
    ///
    /// The ioctl of property lists with number 0 is that of the dialect that shipped, unless the dictionary can only be
    /// the other's: no `command`, and a version that is a text.
    ///
    /// # Errors
    /// ENOTTY for a number that is none of device-mapper's; EIO for a text that is no dictionary; what the codec of the
    /// dialect refuses.
    pub fn read(number: u32, buffer: &[u8]) -> Result<Self, Fault> {
        let unknown = || Fault::new(Errno::ENOTTY, format!("ioctl {number:#x} is not device-mapper's"));
        let Some(command) = proplib::plist_number(number) else {
            let kind = linux::command_of(number).ok_or_else(unknown)?;
            let request = linux::decode_request(kind, buffer)
                .map_err(|error| Fault::new(error.errno(), error.to_string()))?;
            return Ok(Self { dialect: Dialect::Linux, request, asked: Dict::default() });
        };
        let kind = CommandKind::from_number(command).ok_or_else(unknown)?;
        if buffer.len() > MAX_REQUEST {
            let length = buffer.len();
            return Err(Fault::invalid(format!(
                "the request is {length} bytes long, {MAX_REQUEST} are the most"
            )));
        }
        let asked =
            proplib::parse(buffer, MAX_REQUEST).map_err(|error| Fault::new(Errno::EIO, error.to_string()))?;
        let is_proposed = command != 0 || proplib::is_proposed(&asked);
        let dialect = if is_proposed { Dialect::Proposed } else { Dialect::Netbsd };
        let vocabulary = if is_proposed { &PROPOSED } else { &SHIPPED };
        let request = proplib::decode_request(vocabulary, kind, &asked)?;
        Ok(Self { dialect, request, asked })
    }

    /// The request for that driver, which serves it: the version asked for is one that it has, and the flags lack those
    /// that only a driver sets.
    ///
    /// Where Linux would, the driver's version is written into the buffer, even when the request is refused.
    ///
    /// # Errors
    /// As [`Call::read`]; a version that the driver does not have, EINVAL, and EIO as NetBSD has it.
    pub fn receive(number: u32, buffer: &mut [u8], driver: Driver) -> Result<Self, Fault> {
        if proplib::plist_number(number).is_none() && linux::command_of(number).is_some() {
            let served = linux::check_version(buffer, driver.version);
            let call = Self::read(number, buffer);
            linux::write_version(buffer, driver.version);
            served.map_err(|error| Fault::new(error.errno(), error.to_string()))?;
            // A request with a secret in it is not left lying about, whatever came of it.
            return call.inspect_err(|_| linux::wipe_secret(buffer));
        }
        let mut call = Self::read(number, buffer)?;
        let (asked, own) = (call.request.version, driver.version);
        if asked.major != own.major || asked.minor > own.minor {
            let errno = if call.dialect == Dialect::Netbsd { Errno::EIO } else { Errno::EINVAL };
            return Err(Fault::new(
                errno,
                format!("interface version: {asked} was asked for, the driver has {own}"),
            ));
        }
        let drivers_own = Flags::BUFFER_FULL | Flags::UEVENT_GENERATED | Flags::DATA_OUT;
        call.request.flags = call.request.flags.without(drivers_own);
        if let Some(dev) =
            call.request.device.dev.filter(|dev| dev.major == 0 && call.dialect == Dialect::Netbsd)
        {
            call.request.device.dev = Some(DeviceNumber::new(driver.major, dev.minor));
        }
        Ok(call)
    }

    /// Puts the reply into the buffer, in place of the request.
    ///
    /// # Errors
    /// EOVERFLOW for a text that is longer than a reply may be.
    pub fn answer(self, reply: &Reply, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        let kind = self.request.command.kind();
        let Some(vocabulary) = self.dialect.vocabulary() else {
            linux::encode_reply(kind, reply, buffer);
            return Ok(());
        };
        let mut dict = proplib::encode_reply(vocabulary, kind, reply, self.asked);
        let mut text = proplib::document(&dict);
        text.push(0);
        if self.request.flags.contains(Flags::SECURE_DATA) {
            // What was asked, and what is answered, holds a secret, and this memory is given back.
            dict.wipe();
            buffer.zeroize();
        }
        if text.len() > MAX_REPLY {
            let reason = format!("the reply is {} bytes long, {MAX_REPLY} are the most", text.len());
            return Err(Fault::new(Errno::EOVERFLOW, reason));
        }
        *buffer = text;
        Ok(())
    }

    /// The error to return for a fault. A request with a secret in it is not left lying about.
    pub fn refuse(&mut self, fault: &Fault, buffer: &mut [u8]) -> Errno {
        match self.dialect {
            Dialect::Linux => linux::wipe_secret(buffer),
            Dialect::Netbsd | Dialect::Proposed if self.request.flags.contains(Flags::SECURE_DATA) => {
                self.asked.wipe();
                buffer.zeroize();
            }
            Dialect::Netbsd | Dialect::Proposed => {}
        }
        self.dialect.errno_to_wire(self.request.command.kind(), fault.errno)
    }

    /// Rewrites the request in the buffer so that it means the device of that number, whatever its name becomes.
    ///
    /// # Errors
    /// The number does not fit.
    pub fn ask_by_number(&mut self, dev: DeviceNumber, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        self.request.device = DeviceId::by_number(dev);
        self.request.version = self.request.command.kind().needs();
        *buffer = self.dialect.send(&self.request, buffer.len())?;
        Ok(())
    }
}
