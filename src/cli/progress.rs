//! How far something has come that takes long: a bar on a terminal, for a person who waits. Nobody else is told.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// What takes less needs no bar.
const LONG: Duration = Duration::from_secs(1);

/// Of how much, where that is known; else how much there was so far.
const OF_ALL: &str =
    "{percent:>3}% [{wide_bar}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
const SO_FAR: &str = "{binary_bytes}, {binary_bytes_per_sec}";

/// A bar on standard error, which is wiped away when this is dropped: what is said next stands in its place.
#[derive(Debug)]
pub(super) struct Progress {
    /// `None` where nobody is to see it.
    bar: Option<ProgressBar>,
    begun: Instant,
}

impl Progress {
    /// The progress of something that moves so many bytes; none is shown where `is_wanted` is not so, or where standard
    /// error is no terminal.
    pub(super) fn begin(bytes: Option<u64>, is_wanted: bool) -> Self {
        let bar = (is_wanted && io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::hidden());
            let style = ProgressStyle::with_template(if bytes.is_some() { OF_ALL } else { SO_FAR });
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "))
        });
        Self { bar, begun: Instant::now() }
    }

    /// So many bytes more were moved.
    pub(super) fn advance(&mut self, bytes: u64) {
        let Some(bar) = &self.bar else { return };
        if bar.is_hidden() && self.begun.elapsed() >= LONG {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
