//! What a driver answers.

use super::{DeviceId, DeviceNumber, Flags, Sectors, Text, Version};

/// One reply: the state that every reply carries, and the data of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The driver's interface version.
    pub version: Version,
    /// The device it is about, all three fields as the driver knows them.
    pub device: DeviceId,
    /// The device's state, and the request's other bits as they were sent.
    pub flags: Flags,
    /// How many hold the device open.
    pub open_count: i32,
    /// The device's event counter; where a request gives a cookie and the driver fills nothing in, the cookie.
    pub event_nr: u32,
    /// Lines in the table asked about.
    pub target_count: u32,
    /// The command's data.
    pub body: ReplyBody,
}

/// The data of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyBody {
    /// The header says it all.
    None,
    /// `ListDevices`: the devices in the driver's order.
    Devices(Vec<ListedDevice>),
    /// `TableDeps`: the block devices under the table.
    Deps(Vec<DeviceNumber>),
    /// `TableStatus`, `DevWait`: the lines of the table.
    Lines(Vec<StatusLine>),
    /// `ListVersions`, `GetTargetVersion`: target types.
    Versions(Vec<TargetVersion>),
    /// `TargetMsg`: the target's answer, if it has one (`Flags::DATA_OUT`).
    Message(Option<Text>),
}

/// A device in the list of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDevice {
    /// Its name.
    pub name: Text,
    /// Its number.
    pub dev: DeviceNumber,
    /// Its event counter; drivers before 4.37 do not say.
    pub event_nr: Option<u32>,
    /// Its uuid, empty when it has none; said by drivers from 4.45 on, when `Flags::UUID` asks for it.
    pub uuid: Option<Text>,
}

/// A line of a table as a driver tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusLine {
    /// The first sector of the device that the line maps.
    pub start: Sectors,
    /// How many sectors it maps.
    pub length: Sectors,
    /// The target type.
    pub target: Text,
    /// The target's error, 0 when it has none.
    pub status: i32,
    /// The target's parameters, or its status: by what was asked.
    pub params: Text,
}

/// A target type with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetVersion {
    /// The type's name, at most 15 bytes.
    pub name: Text,
    /// Its version.
    pub version: Version,
}

impl Reply {
    /// The lines of a table; none for a reply of another kind.
    pub fn lines(&self) -> &[StatusLine] {
        if let ReplyBody::Lines(lines) = &self.body { lines } else { &[] }
    }

    /// The devices listed; none for a reply of another kind.
    pub fn devices(&self) -> &[ListedDevice] {
        if let ReplyBody::Devices(devices) = &self.body { devices } else { &[] }
    }

    /// The devices under a table; none for a reply of another kind.
    pub fn deps(&self) -> &[DeviceNumber] {
        if let ReplyBody::Deps(deps) = &self.body { deps } else { &[] }
    }

    /// The target types; none for a reply of another kind.
    pub fn versions(&self) -> &[TargetVersion] {
        if let ReplyBody::Versions(versions) = &self.body { versions } else { &[] }
    }
}
