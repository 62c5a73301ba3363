//! What has been received and not yet answered.

use super::protocol::REQUEST_LEN;
use super::socket::Socket;
use std::hint::spin_loop;
use std::io;
use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

/// Room at first, and when nothing has come for a while.
const SMALL: usize = 8 << 10;
/// Room once so much comes at once.
const LARGE: usize = 256 << 10;

/// A buffer of received bytes.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether to take one request at a time, and leave what follows it in the socket.
    pub(super) single: bool,
}

impl Inbox {
    /// What there is.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Forgets the first bytes.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }

    /// The head of the next request, if all of it is here.
    pub(super) fn request(&self) -> Option<&[u8; REQUEST_LEN]> {
        self.bytes().first_chunk()
    }

    /// Waits for more, so that `wanted` bytes in all (at most [`LARGE`]) have room; how many came, 0 at the end.
    ///
    /// # Errors
    /// `WouldBlock` when nothing came in the socket's time; the buffer is then as small as it can be.
    pub(super) fn receive(&mut self, socket: &Socket, wanted: usize, eye: &mut Eye) -> io::Result<usize> {
        self.make_room(wanted);
        let limit = if self.single { self.end.max(self.start + wanted) } else { self.buffer.len() };
        let room = self.buffer.get_mut(self.end..limit).unwrap_or_default();
        let count = match eye.receive(socket, room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.shrink();
                return Err(error);
            }
            result => result?,
        };
        self.end += count;
        if self.end == self.buffer.len() && self.buffer.len() < LARGE && !self.single {
            self.buffer.resize(LARGE, 0);
        }
        Ok(count)
    }

    fn make_room(&mut self, wanted: usize) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.start < wanted {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let least = if wanted > SMALL { LARGE } else { SMALL };
        if self.buffer.len() < least {
            self.buffer.resize(least, 0);
        }
    }

    fn shrink(&mut self) {
        if self.start == self.end && self.buffer.len() > SMALL {
            *self = Self { buffer: vec![0; SMALL], ..Self::default() };
        }
    }
}

/// How long to look before going to sleep.
const GLANCE: Duration = Duration::from_micros(50);
/// How often looking may be in vain before it is given up for a while, and for how many times.
const MAX_MISSES: u32 = 4;
const REST: u32 = 128;

/// Receives, looking for a short while before it goes to sleep: a busy client's next request is about to come, and
/// sending it is much cheaper for the client when nobody has to be woken. Where that was in vain a few times, as with a
/// client that does one thing at a time, or on a machine that has more to do than it can, it sleeps at once.
#[derive(Debug)]
pub(super) struct Eye {
    /// Below `MAX_MISSES`: how often it looked in vain. From there on: how often it has slept at once since.
    misses: u32,
    alone: bool,
}

impl Default for Eye {
    fn default() -> Self {
        // With one processor the client cannot send while this looks.
        let alone = thread::available_parallelism().map_or(1, NonZero::get) == 1;
        Self { misses: 0, alone }
    }
}

impl Eye {
    fn receive(&mut self, socket: &Socket, room: &mut [u8]) -> io::Result<usize> {
        if !self.alone && self.misses < MAX_MISSES {
            let begin = Instant::now();
            loop {
                match socket.receive_now(room) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => {
                        self.misses = 0;
                        return result;
                    }
                }
                if begin.elapsed() >= GLANCE {
                    break;
                }
                spin_loop();
            }
        }
        self.misses += 1;
        if self.misses >= MAX_MISSES + REST {
            self.misses = 0;
        }
        socket.receive(room)
    }
}
