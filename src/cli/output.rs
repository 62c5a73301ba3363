//! Standard input, output and error: the only file that touches them.
//!
//! Output is kept back and written in large pieces. A reader that goes away ends the output without a word, as it
//! would end a program in C; any other failure to write is told once, at the end.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use zeroize::Zeroize;

/// How many bytes are kept back before they are written.
const KEPT: usize = 16 * 1024;

/// Where a command's text goes.
#[derive(Debug, Default)]
pub(super) struct Output {
    kept: Vec<u8>,
    failure: Option<io::Error>,
    /// Keys may be in it: what was kept back is wiped.
    pub(super) secret: bool,
    /// A document is written in place of text.
    muted: bool,
}

impl Output {
    /// For a command that writes a document, or text.
    pub(super) fn new(json: bool) -> Self {
        Self { muted: json, ..Self::default() }
    }

    /// Adds to standard output, unless a document is to stand there.
    pub(super) fn print(&mut self, text: impl AsRef<[u8]>) {
        if !self.muted {
            self.add(text);
        }
    }

    /// Adds a document to standard output.
    pub(super) fn add(&mut self, text: impl AsRef<[u8]>) {
        if self.secret {
            // Room for all that is ever kept: a buffer that grows leaves what it held behind.
            self.kept.reserve((2 * KEPT).max(text.as_ref().len()).saturating_sub(self.kept.len()));
        }
        if self.kept.capacity() == 0 {
            self.kept.reserve(KEPT + KEPT / 4);
        }
        self.kept.extend_from_slice(text.as_ref());
        if self.kept.len() >= KEPT {
            self.flush();
        }
    }

    /// Writes what was kept back: before another program writes there, before waiting, at the end.
    pub(super) fn flush(&mut self) {
        if self.failure.is_none() && !self.kept.is_empty() {
            let mut stdout = io::stdout().lock();
            self.failure = stdout.write_all(&self.kept).and_then(|()| stdout.flush()).err();
        }
        if self.secret {
            self.kept.zeroize();
        }
        self.kept.clear();
    }

    /// Ends the output; whether all of it was written.
    pub(super) fn finish(mut self) -> bool {
        self.flush();
        match self.failure {
            None => true,
            Some(error) => {
                if error.kind() != io::ErrorKind::BrokenPipe {
                    complain(&format!("rdmsetup: standard output: {}", crate::dm::Errno::from_io(&error)));
                }
                false
            }
        }
    }
}

/// A line on standard error. Where even that cannot be written there is nobody left to tell.
pub(super) fn complain(line: &str) {
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "{line}");
}

/// Standard output as a file, for data: it can be written sparsely where it is one.
pub(super) fn data_out() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Standard input as a file.
pub(super) fn data_in() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}
