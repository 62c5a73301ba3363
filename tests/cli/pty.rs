//! A terminal of the test's own, with the program at it.

use nix::pty::{Winsize, openpty};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// What is typed, once that stands on the screen.
pub(crate) type Typed<'a> = Option<(&'a str, &'a str)>;

/// Runs a command with its output and errors, and its input if something is typed, at a terminal of so many columns. What
/// stood on the screen then, its lines ended by `\n` alone; and whether the command succeeded.
pub(crate) fn at_terminal(mut command: Command, columns: u16, typed: Typed<'_>) -> (String, bool) {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).unwrap();
    let end = || Stdio::from(pty.slave.try_clone().unwrap());
    command.stdout(end()).stderr(end());
    command.stdin(if typed.is_some() { end() } else { Stdio::null() });
    let mut child = command.spawn().unwrap();
    // The last ends outside of the child: without them reading ends when it does.
    drop(command);
    drop(pty.slave);
    let mut screen = File::from(pty.master);
    let (mut shown, mut buffer, mut typed) = (Vec::new(), [0; 4096], typed);
    // The read that finds nobody at the other end fails.
    while let Ok(count @ 1..) = screen.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..count]);
        if let Some((awaited, words)) = typed
            && String::from_utf8_lossy(&shown).contains(awaited)
        {
            screen.write_all(words.as_bytes()).unwrap();
            typed = None;
        }
    }
    let succeeded = child.wait().unwrap().success();
    (String::from_utf8(shown).unwrap().replace("\r\n", "\n"), succeeded)
}

/// A screen without its colours.
pub(crate) fn plain(shown: &str) -> String {
    let mut plain = String::new();
    let mut rest = shown;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain + rest
}
