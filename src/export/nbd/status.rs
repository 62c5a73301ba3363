//! Which blocks are stored (`base:allocation`).

use super::protocol::{CHUNK_BLOCK_STATUS, CHUNK_DONE, FLAG_REQ_ONE, Request, chunk_head};
use super::session::Session;
use crate::block::Allocation;
use crate::dm::{Bytes, Errno};

/// The context's name, and the number that stands for it.
pub(super) const CONTEXT: &[u8] = b"base:allocation";
pub(super) const CONTEXT_ID: u32 = 1;

/// `NBD_STATE_HOLE` and `NBD_STATE_ZERO`.
const HOLE_AND_ZERO: u32 = 1 | 2;

/// How many runs one reply tells of at most: the client asks again for what is behind them.
const MAX_RUNS: usize = 4096;

/// The reply to a request that was checked, of a length above 0.
pub(super) fn reply(session: &Session, request: &Request) -> Vec<u8> {
    let runs = match runs(session, request) {
        Ok(runs) => runs,
        Err(errno) => return session.refuse(request, errno.into()),
    };
    let length = u32::try_from(4 + runs.len() * 8).unwrap_or(u32::MAX);
    let mut reply = chunk_head(request.cookie, CHUNK_DONE, CHUNK_BLOCK_STATUS, length).to_vec();
    reply.extend(CONTEXT_ID.to_be_bytes());
    for (length, state) in runs {
        reply.extend(length.to_be_bytes());
        reply.extend(state.to_be_bytes());
    }
    reply
}

/// Runs of blocks that are alike, from the request's offset on: lengths and states.
fn runs(session: &Session, request: &Request) -> Result<Vec<(u32, u32)>, Errno> {
    let most = if request.has(FLAG_REQ_ONE) { 1 } else { MAX_RUNS };
    let mut runs: Vec<(u32, u32)> = Vec::new();
    let mut told = 0;
    while told < request.length {
        let (at, left) = (Bytes(request.offset + u64::from(told)), request.length - told);
        let run = session.device.allocation(at, Bytes(left.into()))?;
        let length = u32::try_from(run.length().0).unwrap_or(left).clamp(1, left);
        let state = match run {
            Allocation::Data(_) => 0,
            Allocation::Hole(_) => HOLE_AND_ZERO,
        };
        let count = runs.len();
        match runs.last_mut() {
            Some((last, known)) if *known == state => *last += length,
            _ if count == most => break,
            _ => runs.push((length, state)),
        }
        told += length;
    }
    Ok(runs)
}
