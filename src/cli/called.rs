//! What the program is called by, and the command line that this makes of argv: `dmstats` is `dmsetup stats`,
//! `devmap_name` a short `info`, `dmlosetup` a `create` or `remove` of a `loop` line.
//!
//! Called as dmsetup it keeps dmsetup's defects where a caller may rely on them. These tables, and those of rooms with more to
//! say, are what `man/rdmsetup-differences.7` is made of (`UPDATE=1 cargo test --test manual`):
//!
//! | what | as dmsetup | as rdmsetup |
//! |---|---|---|
//! | A failure | one line, such as "Invalid argument", and the cause in the kernel's log | the same line first, then the reason, with the place in a table |
//! | `suspend --checks` | finds that a device under this one is suspended, says so, and goes on | refuses |
//! | `table --concise` | a device without a table, or above one that comes later, is written so that create --concise refuses it | what is written is what create --concise takes |
//! | `create --concise` | stops at the first entry that cannot be read, with the devices before it made | makes nothing of a text that cannot be read |
//! | `--udevcookie` with a word that is no cookie | is said, and the command goes on without one | refused |
//! | `--backend` and RDMSETUP_BACKEND | not known: it is always the kernel | choose who answers |
//! | `info --help` | the usage of everything, on standard error | the help of that command, on standard output |
//!
//! And what can only harm is mended under any name:
//!
//! | what | dmsetup | here |
//! |---|---|---|
//! | `--verbose` | the long form wants an argument | it takes none, as -v |
//! | `help info` | refused | the help of that command |
//! | `--udevcookie`, of a command that has no use for a cookie | a word that is no cookie is told of | not looked at |
//! | A table with `0 8x zero` | 8x is read as 8 and a target type x | refused: a number has a blank behind it |
//! | Nodes without udevd | none are made where udevd does not run | they are made |
//! | A wait for udev | has no end | ends after 180 seconds, or RDMSETUP_UDEV_TIMEOUT, with a message; a signal ends it and leaves no semaphore |
//! | One device with a strange name | ends every list of devices | is listed like the others |
//! | `info` of a device without a table | complains that its node cannot be opened, and succeeds | succeeds |

use super::getopt::{self, Spec, Takes};
use super::stats;
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::path::{Component, Path, PathBuf};

/// The names that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Called {
    /// By any other name.
    Ours,
    /// `dmsetup`.
    Dmsetup,
    /// `dmstats`: all commands are those of `stats`.
    Dmstats,
    /// `devmap_name`: the name of a device by its number.
    DevmapName,
    /// `dmlosetup`, `losetup`: a file as a device.
    Dmlosetup(&'static str),
}

/// A command line that is none: the lines that say so.
pub(super) type Refused = Vec<String>;

/// A table's options for `dmlosetup`, of which several are not to be had.
const LOSETUP: &[(&str, char, Takes)] = &[
    ("all", 'a', Takes::Nothing),
    ("delete", 'd', Takes::Nothing),
    ("encryption", 'e', Takes::Value),
    ("find", 'f', Takes::Nothing),
    ("offset", 'o', Takes::Value),
    ("verbose", 'v', Takes::Nothing),
];

impl Called {
    /// By the name that stands first in argv, without its directories.
    pub(super) fn by(program: &OsStr) -> Self {
        match Path::new(program).file_name().and_then(OsStr::to_str) {
            Some("dmsetup") => Self::Dmsetup,
            Some("dmstats") => Self::Dmstats,
            Some("devmap_name") => Self::DevmapName,
            Some("dmlosetup") => Self::Dmlosetup("dmlosetup"),
            Some("losetup") => Self::Dmlosetup("losetup"),
            _ => Self::Ours,
        }
    }

    /// Whether it is to be what dmsetup is, to the byte.
    pub(super) fn is_classic(self) -> bool {
        self != Self::Ours
    }

    /// How it is to be called, where that is not said by the list of commands.
    pub(super) fn usage(self) -> Option<String> {
        match self {
            Self::Ours | Self::Dmsetup => None,
            Self::Dmstats => Some(stats::usage()),
            Self::DevmapName => Some("Usage: devmap_name <major> <minor>\n".into()),
            Self::Dmlosetup(name) => Some(format!("Usage:\n\n{name} [-d] [-o OFFSET] LOOP_DEVICE [FILE]\n")),
        }
    }

    /// The command line as dmsetup would be given it.
    pub(super) fn translate(self, argv: Vec<OsString>, dev_dir: &Path) -> Result<Vec<OsString>, Refused> {
        match self {
            Self::Ours | Self::Dmsetup => Ok(argv),
            Self::Dmstats if argv.first().is_none_or(|word| word == "stats") => Ok(argv),
            Self::Dmstats => Ok(std::iter::once("stats".into()).chain(argv).collect()),
            Self::DevmapName => device_number(&argv).ok_or_else(|| self.usage().into_iter().collect()),
            Self::Dmlosetup(name) => self.loop_device(name, &argv, dev_dir),
        }
    }

    fn loop_device(self, name: &str, argv: &[OsString], dev_dir: &Path) -> Result<Vec<OsString>, Refused> {
        let refused = |line: String| vec![format!("{name}: {line}")];
        let with_usage = |line: String| refused(line).into_iter().chain(self.usage()).collect::<Refused>();
        let specs: Vec<Spec> = LOSETUP
            .iter()
            .map(|&(long, short, takes)| Spec { long: long.into(), shorts: vec![short], takes })
            .collect();
        let walked = getopt::walk(&specs, argv).map_err(|fault| vec![format!("{name}: {fault}")])?;
        let value = |letter: char| {
            let mut found = walked.options.iter().rev().filter(|(index, _)| LOSETUP[*index].1 == letter);
            found.next().map(|(_, value)| value.clone().unwrap_or_default())
        };
        for (letter, what) in [('e', "cryptoloop"), ('a', "show all"), ('f', "find")] {
            if value(letter).is_some() {
                return Err(refused(format!("Sorry, {what} is not yet implemented in this version.")));
            }
        }
        let Some(word) = walked.positionals.first() else {
            return Err(with_usage("Please specify loop_device.".into()));
        };
        let Some(device) = loop_name(word, dev_dir) else {
            return Err(with_usage(format!("Could not parse loop_device {}", word.display())));
        };
        if value('d').is_some() {
            return Ok(vec!["remove".into(), "--".into(), device]);
        }
        let [_, file] = walked.positionals.as_slice() else {
            return Err(with_usage("Too few arguments.".into()));
        };
        let offset =
            value('o').map_or(0, |text| super::selector::number(&text.to_string_lossy()).unwrap_or(0));
        let offset = u64::try_from(offset).unwrap_or(0);
        let Ok(path) = std::fs::canonicalize(file) else {
            return Err(with_usage(format!("Could not parse loop file name {}.", file.display())));
        };
        let Some((sectors, writable)) = file_size(&path, offset) else {
            return Err(vec![format!("Could not build device-mapper table for {}.", word.display())]);
        };
        let mut table = OsString::from(format!("0 {sectors} loop "));
        table.push(path);
        table.push(format!(" {offset}"));
        let readonly = (!writable).then(|| OsString::from("-r"));
        let line = ["create".into(), "--table".into(), table].into_iter();
        Ok(line.chain(readonly).chain(["--".into(), device]).collect())
    }
}

/// `info` of the device that `MAJOR MINOR` or `MAJOR:MINOR` names.
fn device_number(argv: &[OsString]) -> Option<Vec<OsString>> {
    let (major, minor) = match argv {
        [major, minor] => (major.to_str()?.to_owned(), minor.to_str()?.to_owned()),
        [both] => {
            let (major, minor) = both.to_str()?.split_once(':')?;
            (major.to_owned(), minor.to_owned())
        }
        _ => return None,
    };
    let words = ["info", "-c", "--noheadings", "-o", "name"].map(OsString::from);
    let number = [format!("--major={major}"), format!("--minor={minor}")].map(OsString::from);
    Some(words.into_iter().chain(number).collect())
}

/// The name of a loop device: `loop0`, or the last part of a path below the directory of devices.
fn loop_name(word: &OsStr, dev_dir: &Path) -> Option<OsString> {
    let path = Path::new(word);
    if path.is_absolute() {
        let plain = path.components().all(|part| !matches!(part, Component::ParentDir));
        return Some(path.file_name()?.to_owned()).filter(|_| plain && path.starts_with(dev_dir));
    }
    word.to_str()?.starts_with("loop").then(|| word.to_owned())
}

/// The whole sectors of a file from the offset on, and whether it may be written.
fn file_size(path: &PathBuf, offset: u64) -> Option<(u64, bool)> {
    let writable = OpenOptions::new().read(true).write(true).open(path);
    let is_writable = writable.is_ok();
    let file = writable.or_else(|_| OpenOptions::new().read(true).open(path)).ok()?;
    let bytes = file.metadata().ok()?.len().checked_sub(offset)?;
    Some((bytes / 512, is_writable))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(program: &str, words: &[&str]) -> Result<String, Refused> {
        let argv = words.iter().map(OsString::from).collect();
        let line = Called::by(OsStr::new(program)).translate(argv, Path::new("/dev"))?;
        Ok(line.iter().map(|word| word.display().to_string()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_name_says_which_command() {
        assert_eq!(line("rdmsetup", &["ls"]).unwrap(), "ls");
        assert_eq!(line("/sbin/dmstats", &["-v", "list"]).unwrap(), "stats -v list");
        assert_eq!(line("dmstats", &["stats", "list"]).unwrap(), "stats list");
        assert_eq!(line("dmstats", &[]).unwrap(), "");
        assert!(Called::by(OsStr::new("/usr/sbin/dmsetup")).is_classic());
        assert!(!Called::by(OsStr::new("dmsetup.static")).is_classic());
    }

    #[test]
    fn a_number_is_one_word_or_two() {
        let info = "info -c --noheadings -o name --major=253 --minor=0";
        assert_eq!(line("devmap_name", &["253", "0"]).unwrap(), info);
        assert_eq!(line("devmap_name", &["253:0"]).unwrap(), info);
        for words in [&[][..], &["253"], &["1", "2", "3"]] {
            assert_eq!(line("devmap_name", words), Err(vec!["Usage: devmap_name <major> <minor>\n".into()]));
        }
    }

    #[test]
    fn a_file_becomes_a_line_of_a_table() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(5000).unwrap();
        let path = std::fs::canonicalize(file.path()).unwrap();
        let path = path.to_str().unwrap();
        let table = format!("create --table 0 7 loop {path} 1024 -- loop0");
        assert_eq!(line("dmlosetup", &["-o", "1024", "loop0", path]).unwrap(), table);
        assert_eq!(line("losetup", &["-d", "/dev/loop7"]).unwrap(), "remove -- loop7");
        for (words, first) in [
            (&["-a"][..], "dmlosetup: Sorry, show all is not yet implemented in this version."),
            (&[], "dmlosetup: Please specify loop_device."),
            (&["/tmp/loop0"], "dmlosetup: Could not parse loop_device /tmp/loop0"),
            (&["loop0"], "dmlosetup: Too few arguments."),
            (&["-z"], "dmlosetup: invalid option -- 'z'"),
            (&["loop0", "/nowhere"], "dmlosetup: Could not parse loop file name /nowhere."),
        ] {
            assert_eq!(line("dmlosetup", words).unwrap_err()[0], first, "{words:?}");
        }
    }
}
