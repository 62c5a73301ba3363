//! The values that words of a command line have: devices as they are now, target types, fields, and words of a fixed list.

use super::candidates::Offer;
use super::command_line::definition;
use super::mangle::Mangling;
use super::report_fields::CATALOGUE;
use super::{SUBCOMMANDS, completions, stats};
use crate::backend::{self, Choice, Client};
use crate::dm::{Command, DeviceId, Flags, Request};
use crate::target::TARGETS;
use std::env;
use std::path::PathBuf;

/// What a word is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing that can be known.
    Nothing,
    /// A path.
    File,
    /// The path of a directory.
    Directory,
    /// A command.
    Commands,
    /// A command or a target type.
    Topics,
    /// A command of `stats`.
    StatsCommands,
    /// A device's name.
    Devices,
    /// A device's uuid.
    Uuids,
    /// A target type.
    Targets,
    /// The field of a report; several, with commas between.
    Fields,
    /// A shell.
    Shells,
    /// One of these.
    OneOf(Vec<String>),
}

/// What a command line says about where its devices are.
#[derive(Debug, Default)]
pub(super) struct Where {
    backend: Option<String>,
    state: Option<PathBuf>,
    /// -u or -j has named the device.
    pub(super) has_device: bool,
}

impl Where {
    /// Takes note of an option.
    pub(super) fn note(&mut self, option: &str, value: Option<&str>) {
        match option {
            "backend" => self.backend = value.map(str::to_owned),
            "state" => self.state = value.map(PathBuf::from),
            "uuid" | "major" => self.has_device = true,
            _ => {}
        }
    }

    /// A client of the driver that the command would ask, if it can be had without making anything.
    fn client(&self) -> Option<Client> {
        let given = self.backend.clone().or_else(|| env::var("RDMSETUP_BACKEND").ok());
        let choice =
            given.filter(|word| !word.is_empty()).map_or(Ok(Choice::Auto), |word| word.parse()).ok()?;
        if choice == Choice::Kernel && !backend::dev_dir().join("mapper/control").exists() {
            return None;
        }
        let variable = env::var_os("RDMSETUP_STATE").filter(|state| !state.is_empty()).map(PathBuf::from);
        let state = self.state.clone().or(variable);
        Some(backend::open(&choice, state.as_deref(), None, None).ok()?.client)
    }
}

impl Kind {
    /// What the value of an option is, by the option and by what its definition calls it.
    pub(super) fn of_option(command: &str, option: &str, name: &str) -> Self {
        match (command, option, name) {
            (_, "uuid", _) if command != "create" => Self::Uuids,
            (_, "target", _) => Self::Targets,
            (_, "state", _) | (_, _, "DIR" | "DIRECTORY") => Self::Directory,
            (_, _, "FILE") => Self::File,
            ("ls" | "deps", "options", _) => {
                Self::OneOf(["devno", "blkdevname", "devname"].map(str::to_owned).to_vec())
            }
            (_, "options" | "sort", _) => Self::Fields,
            _ if name.contains('|') => Self::OneOf(name.split('|').map(str::to_owned).collect()),
            _ => Self::Nothing,
        }
    }

    /// What a word that is no option is.
    pub(super) fn of_positional(command: &str, name: &str) -> Self {
        match (command, name) {
            ("help", _) => Self::Topics,
            ("stats", "COMMAND") => Self::StatsCommands,
            (_, "DEVICE") => Self::Devices,
            (_, "TARGET") => Self::Targets,
            (_, "FILE") => Self::File,
            (_, "DIRECTORY") => Self::Directory,
            (_, "SHELL") => Self::Shells,
            _ => Self::Nothing,
        }
    }

    /// Whether several may stand in one word, with commas between.
    pub(super) fn is_list(&self) -> bool {
        *self == Self::Fields
    }
}

type Words = Vec<(String, String)>;

/// All values of a kind.
pub(super) fn all(kind: Kind, place: &Where) -> Offer {
    let named =
        |words: &mut dyn Iterator<Item = &str>| words.map(|word| (word.to_owned(), String::new())).collect();
    Offer::Words(match kind {
        Kind::File => return Offer::Files,
        Kind::Directory => return Offer::Directories,
        Kind::Nothing => Vec::new(),
        Kind::Commands => commands(),
        Kind::Topics => commands().into_iter().chain(our_targets()).collect(),
        Kind::StatsCommands => stats::actions().map(|(name, about)| (name.into(), about.into())).collect(),
        Kind::Devices => devices(place, |id| &id.name),
        Kind::Uuids => devices(place, |id| &id.uuid),
        Kind::Targets => targets(place),
        Kind::Fields => fields(),
        Kind::Shells => named(&mut completions::shells()),
        Kind::OneOf(words) => named(&mut words.iter().map(String::as_str)),
    })
}

fn commands() -> Words {
    let about = |name| definition(name).get_about().map(ToString::to_string).unwrap_or_default();
    SUBCOMMANDS.iter().map(|command| (command.name.to_owned(), about(command))).collect()
}

/// The devices that there are, by that of their marks; those without it are left out.
fn devices(place: &Where, mark: impl Fn(&DeviceId) -> &crate::dm::Text) -> Words {
    let request = Request::global(Command::ListDevices).with_flags(Flags::UUID);
    let listed = place.client().and_then(|mut client| client.perform(&request).ok());
    let ids = listed.iter().flat_map(|reply| reply.devices()).map(|device| {
        let uuid = device.uuid.clone().unwrap_or_default();
        (DeviceId { name: device.name.clone(), uuid, dev: None }, device.dev)
    });
    let shown = Mangling::default();
    ids.filter(|(id, _)| !mark(id).is_empty())
        .map(|(id, dev)| (shown.unmangle(mark(&id)).to_string(), dev.to_string()))
        .collect()
}

/// The driver's target types; ours where it cannot be asked.
fn targets(place: &Where) -> Words {
    let listed =
        place.client().and_then(|mut client| client.perform(&Request::global(Command::ListVersions)).ok());
    match listed {
        Some(reply) => reply
            .versions()
            .iter()
            .map(|target| (target.name.to_string(), target.version.to_string()))
            .collect(),
        None => our_targets().collect(),
    }
}

fn our_targets() -> impl Iterator<Item = (String, String)> {
    TARGETS.iter().map(|target| (target.name.to_owned(), format!("the target type {}", target.name)))
}

fn fields() -> Words {
    let fields = CATALOGUE.fields.iter().flat_map(|piece| piece.iter());
    fields.map(|field| (field.key.to_owned(), field.help.to_owned())).collect()
}
