//! argv as `getopt_long` walks it: the habits that dmsetup's users and scripts have.
//!
//! Options stand anywhere, `--` ends them, `--opt=value` and `--opt value` are one, short ones bundle (`-nr`,
//! `-uUUID`), and a long one may be cut short for as long as only one option begins so. The table of options comes
//! from outside; this file knows none of them. Errors are glibc's to the byte, since scripts have them in their logs.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// An option as getopt sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    /// Its name behind `--`; the key by which the caller knows it.
    pub(super) long: String,
    /// Its letters behind `-`.
    pub(super) shorts: Vec<char>,
    /// Whether a value comes with it.
    pub(super) takes: Takes,
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Never.
    Nothing,
    /// Always: joined to it, or the next word.
    Value,
    /// Only when joined to it by `=`.
    Maybe,
}

/// An argv taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Walked {
    /// The options in order: the place in the table, and the value.
    pub(super) options: Vec<(usize, Option<OsString>)>,
    /// Everything else, in order.
    pub(super) positionals: Vec<OsString>,
}

/// What getopt refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No long option begins so; the word as it was typed, without the dashes.
    Unrecognized(OsString),
    /// Several long options begin so: their names.
    Ambiguous(OsString, Vec<String>),
    /// The long option has no value.
    TakesNone(String),
    /// The long option needs a value and none comes.
    NeedsValue(String),
    /// No short option has that letter.
    Invalid(char),
    /// The short option needs a value and none comes.
    LetterNeedsValue(char),
}

/// Takes argv, without the program's name, apart.
pub(super) fn walk(specs: &[Spec], argv: &[OsString]) -> Result<Walked, Fault> {
    let mut walked = Walked::default();
    let mut rest = argv.iter();
    while let Some(word) = rest.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            walked.positionals.extend(rest.cloned());
            break;
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            long_option(specs, long, &mut rest, &mut walked)?;
        } else if let Some(letters) = bytes.strip_prefix(b"-").filter(|letters| !letters.is_empty()) {
            short_options(specs, letters, &mut rest, &mut walked)?;
        } else {
            walked.positionals.push(word.clone());
        }
    }
    Ok(walked)
}

/// An option that is written in full alone, so that `--col` goes on to mean dmsetup's `--columns`.
const IN_FULL: &str = "color";

type Rest<'a> = std::slice::Iter<'a, OsString>;

fn long_option(specs: &[Spec], word: &[u8], rest: &mut Rest, walked: &mut Walked) -> Result<(), Fault> {
    let cut = word.iter().position(|&byte| byte == b'=');
    let (name, joined) = match cut {
        Some(at) => (&word[..at], Some(OsStr::from_bytes(&word[at + 1..]).to_owned())),
        None => (word, None),
    };
    let index = find_long(specs, name).map_err(|found| {
        let typed = OsString::from_vec(word.to_vec());
        if found.is_empty() { Fault::Unrecognized(typed) } else { Fault::Ambiguous(typed, found) }
    })?;
    let spec = &specs[index];
    let value = match (spec.takes, joined) {
        (Takes::Nothing, Some(_)) => return Err(Fault::TakesNone(spec.long.clone())),
        (Takes::Nothing | Takes::Maybe, None) => None,
        (Takes::Value | Takes::Maybe, Some(value)) => Some(value),
        (Takes::Value, None) => {
            Some(rest.next().cloned().ok_or_else(|| Fault::NeedsValue(spec.long.clone()))?)
        }
    };
    walked.options.push((index, value));
    Ok(())
}

/// The option of that name, or the only one that begins so; else the names of all that do.
fn find_long(specs: &[Spec], name: &[u8]) -> Result<usize, Vec<String>> {
    if let Some(index) = specs.iter().position(|spec| spec.long.as_bytes() == name) {
        return Ok(index);
    }
    let begins = |spec: &Spec| spec.long.as_bytes().starts_with(name) && spec.long != IN_FULL;
    let found: Vec<usize> = (0..specs.len()).filter(|&index| begins(&specs[index])).collect();
    match found.as_slice() {
        [only] => Ok(*only),
        several => Err(several.iter().map(|&index| specs[index].long.clone()).collect()),
    }
}

fn short_options(specs: &[Spec], letters: &[u8], rest: &mut Rest, walked: &mut Walked) -> Result<(), Fault> {
    for (at, &letter) in letters.iter().enumerate() {
        let letter = char::from(letter);
        let index =
            specs.iter().position(|spec| spec.shorts.contains(&letter)).ok_or(Fault::Invalid(letter))?;
        if specs[index].takes != Takes::Value {
            walked.options.push((index, None));
            continue;
        }
        // What stands behind the letter is its value; at the end of the bundle the next word is.
        let joined = Some(&letters[at + 1..]).filter(|joined| !joined.is_empty());
        let value = match joined {
            Some(joined) => OsStr::from_bytes(joined).to_owned(),
            None => rest.next().cloned().ok_or(Fault::LetterNeedsValue(letter))?,
        };
        walked.options.push((index, Some(value)));
        break;
    }
    Ok(())
}

impl fmt::Display for Fault {
    /// glibc's words, which the program's name and `: ` precede.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrecognized(typed) => write!(f, "unrecognized option '--{}'", typed.display()),
            Self::Ambiguous(typed, names) => {
                write!(f, "option '--{}' is ambiguous; possibilities:", typed.display())?;
                names.iter().try_for_each(|name| write!(f, " '--{name}'"))
            }
            Self::TakesNone(name) => write!(f, "option '--{name}' doesn't allow an argument"),
            Self::NeedsValue(name) => write!(f, "option '--{name}' requires an argument"),
            Self::Invalid(letter) => write!(f, "invalid option -- '{letter}'"),
            Self::LetterNeedsValue(letter) => write!(f, "option requires an argument -- '{letter}'"),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> Vec<Spec> {
        let spec = |long: &str, short: Option<char>, takes| Spec {
            long: long.into(),
            shorts: short.into_iter().collect(),
            takes,
        };
        vec![
            spec("noflush", None, Takes::Nothing),
            spec("notable", Some('n'), Takes::Nothing),
            spec("options", Some('o'), Takes::Value),
            spec("table", None, Takes::Value),
            spec("target", None, Takes::Value),
            spec("trace", None, Takes::Maybe),
            spec("readonly", Some('r'), Takes::Nothing),
        ]
    }

    /// What the walk finds, as one readable line.
    fn walked(argv: &[&str]) -> String {
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        match walk(&specs(), &argv) {
            Err(fault) => fault.to_string(),
            Ok(walked) => {
                let mut words = Vec::new();
                for (index, value) in walked.options {
                    let value = value.map_or(String::new(), |value| format!("={}", value.display()));
                    words.push(format!("{}{value}", specs()[index].long));
                }
                words.push("|".into());
                words.extend(walked.positionals.iter().map(|word| word.display().to_string()));
                words.join(" ")
            }
        }
    }

    #[test]
    fn options_stand_anywhere_bundle_and_may_be_cut_short() {
        assert_eq!(
            walked(&["create", "-rn", "vol0", "--tabl", "0 1 zero"]),
            "readonly notable table=0 1 zero | create vol0"
        );
        assert_eq!(walked(&["ls", "-noopen", "--", "-x", "--y"]), "notable options=open | ls -x --y");
        assert_eq!(walked(&["-o", "-r", "--table=", "-"]), "options=-r table= | -");
        assert_eq!(walked(&["--trace", "ls", "--trace=hex"]), "trace trace=hex | ls");
    }

    #[test]
    fn faults_read_as_glibc_has_them() {
        for (argv, words) in [
            (&["--nosuch=3"][..], "unrecognized option '--nosuch=3'"),
            (&["--no=3"], "option '--no=3' is ambiguous; possibilities: '--noflush' '--notable'"),
            (&["--notable=1"], "option '--notable' doesn't allow an argument"),
            (&["--tab"], "option '--table' requires an argument"),
            (&["-nq"], "invalid option -- 'q'"),
            (&["x", "-ro"], "option requires an argument -- 'o'"),
        ] {
            assert_eq!(walked(argv), words);
        }
    }

    #[test]
    fn no_argv_makes_it_panic_or_lose_a_word() {
        arbtest::arbtest(|u| {
            let raw: Vec<Vec<u8>> = u.arbitrary()?;
            let argv: Vec<OsString> = raw.into_iter().map(OsString::from_vec).collect();
            if let Ok(walked) = walk(&specs(), &argv) {
                assert!(walked.positionals.iter().all(|word| argv.contains(word)));
                assert!(walked.positionals.len() <= argv.len());
            }
            Ok(())
        });
    }
}
