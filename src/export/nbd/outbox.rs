//! Replies that are about to be sent together.

/// Room once more than a little is sent at once: the batches of a deep queue of small reads.
const CAPACITY: usize = 256 << 10;
/// Room at first.
const SMALL: usize = 8 << 10;

/// A buffer of replies.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    buffer: Vec<u8>,
    used: usize,
}

impl Outbox {
    /// What there is to send.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.used).unwrap_or_default()
    }

    /// All of it was sent.
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Gives back memory that a busy time needed.
    pub(super) fn shrink(&mut self) {
        if self.used == 0 {
            self.buffer = Vec::new();
        }
    }

    /// Whether so many bytes more fit.
    pub(super) fn has_room(&self, count: usize) -> bool {
        CAPACITY - self.used >= count
    }

    /// Adds so many bytes, to be filled in; there must be room. [`Outbox::take_back`] undoes it.
    pub(super) fn add(&mut self, count: usize) -> &mut [u8] {
        let (begin, end) = (self.used, self.used + count);
        if end > self.buffer.len() {
            self.buffer.resize(if end <= SMALL { SMALL } else { CAPACITY.max(end) }, 0);
        }
        self.used = end;
        self.buffer.get_mut(begin..end).unwrap_or_default()
    }

    /// Takes the last bytes back.
    pub(super) fn take_back(&mut self, count: usize) {
        self.used = self.used.saturating_sub(count);
    }

    /// Adds a reply that is whole.
    pub(super) fn push(&mut self, reply: &[u8]) {
        self.add(reply.len()).copy_from_slice(reply);
    }
}
