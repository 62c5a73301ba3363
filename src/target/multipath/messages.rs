//! The messages of a multipath target (`multipath_message`).

use super::Multipath;
use super::groups::Groups;
use crate::block::Pdev;
use crate::dm::{DeviceNumber, Errno, Fault, Text};

pub(super) fn obey(target: &Multipath, words: &[Text]) -> Result<(), Fault> {
    let mut groups = target.groups();
    if groups.is_suspended {
        return Err(Fault::new(Errno::EBUSY, "multipath: the device is suspended"));
    }
    let lower: Vec<Vec<u8>> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let mut is_event = false;
    match lower.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] {
        [b"queue_if_no_path"] => groups.set_queue(true, false),
        [b"fail_if_no_path"] => groups.set_queue(false, false),
        [b"disable_group", number] | [b"enable_group", number] => {
            let group = group(&groups, number)?;
            groups.bypass(group, lower[0] == b"disable_group");
            is_event = true;
        }
        [b"switch_group", number] => {
            let group = group(&groups, number)?;
            groups.switch(group);
            is_event = true;
        }
        [b"fail_path", _] => {
            for path in paths(&groups, &words[1])? {
                is_event |= groups.fail(path);
            }
        }
        [b"reinstate_path", _] => {
            for path in paths(&groups, &words[1])? {
                is_event |= groups.reinstate(path);
            }
        }
        _ => {
            let message = words.iter().map(|word| word.to_string()).collect::<Vec<_>>().join(" ");
            return Err(Fault::invalid(format!("multipath: \"{message}\" is not a message that it takes")));
        }
    }
    drop(groups);
    target.changed.notify_all();
    if is_event {
        target.signal();
    }
    Ok(())
}

/// The group of that number, counted from 0.
fn group(groups: &Groups, number: &[u8]) -> Result<usize, Fault> {
    let digits =
        std::str::from_utf8(number).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let parsed = digits.and_then(|digits| digits.parse::<usize>().ok());
    parsed.and_then(|number| number.checked_sub(1)).filter(|group| *group < groups.groups.len()).ok_or_else(
        || {
            let (number, count) = (Text::from(number), groups.groups.len());
            Fault::invalid(format!("multipath: \"{number}\" is not one of the groups 1 to {count}"))
        },
    )
}

/// The paths to the device of that name.
fn paths(groups: &Groups, name: &Text) -> Result<Vec<(usize, usize)>, Fault> {
    let number = DeviceNumber::parse(name);
    let stacked = name.strip_prefix(b"/dev/mapper/".as_slice());
    let is_it = |pdev: &Pdev| {
        let is_named =
            pdev.name() == name || pdev.path().is_none() && stacked == Some(pdev.name().as_bytes());
        number == Some(pdev.number()) || is_named
    };
    let paths = groups.to(is_it);
    if paths.is_empty() {
        return Err(Fault::invalid(format!("multipath: no path leads to \"{name}\"")));
    }
    Ok(paths)
}
