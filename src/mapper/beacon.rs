//! Who wants to know when anything changes, whichever device: where a [`super::gate::Gate`] tells of one.

use std::io::{self, PipeReader, PipeWriter};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Those who watch; each is told once.
#[derive(Debug, Default)]
pub(super) struct Beacon(Mutex<Vec<PipeWriter>>);

impl Beacon {
    /// Something whose end is reached at the next change.
    pub(super) fn watch(&self) -> io::Result<PipeReader> {
        let (reader, writer) = io::pipe()?;
        self.lock().push(writer);
        Ok(reader)
    }

    /// Tells everyone.
    pub(super) fn changed(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<PipeWriter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
