//! `struct dm_target_msg`, and the bare texts that other commands carry: a new name, a geometry, a message's answer.
//!
//! ```text
//! sector u64 | message, NUL
//! ```

use super::error::{Flaw, WireError};
use super::field::{checked_text, get_u64};
use super::payload::Payload;
use crate::dm::{Sectors, Text};

/// `offsetof(struct dm_target_msg, message)`, in bytes.
const MESSAGE_AT: usize = 8;

/// A message for the target at a sector, as bytes.
///
/// # Errors
/// A NUL in the message.
pub(super) fn encode(sector: Sectors, message: &Text) -> Result<Vec<u8>, WireError> {
    let mut data = sector.0.to_ne_bytes().to_vec();
    data.extend(encode_text("message", message)?);
    Ok(data)
}

/// The sector and the message.
///
/// # Errors
/// Data inside the header, or without a closing NUL.
pub(super) fn decode(payload: &Payload<'_>) -> Result<(Sectors, Text), WireError> {
    let payload = payload.behind_header("message")?;
    let fixed = payload.record::<MESSAGE_AT>("message", payload.start)?;
    let message = payload.text("message", payload.start + MESSAGE_AT)?;
    Ok((Sectors(get_u64(fixed, 0..8)), message))
}

/// A text with its NUL.
///
/// # Errors
/// A NUL within.
pub(super) fn encode_text(what: &'static str, text: &Text) -> Result<Vec<u8>, WireError> {
    let mut data = checked_text(what, text, usize::MAX)?.to_vec();
    data.push(0);
    Ok(data)
}

/// The text that a request's data is.
///
/// # Errors
/// Data inside the header, or without a closing NUL.
pub(super) fn decode_text(what: &'static str, payload: &Payload<'_>) -> Result<Text, WireError> {
    let payload = payload.behind_header(what)?;
    payload.text(what, payload.start)
}

/// A target's answer as bytes; it ends where it holds a NUL.
pub(super) fn encode_answer(answer: &Text) -> Vec<u8> {
    let mut data: Vec<u8> = answer.iter().copied().take_while(|&byte| byte != 0).collect();
    data.push(0);
    data
}

/// A target's answer.
///
/// # Errors
/// There is none, or it has no closing NUL.
pub(super) fn decode_answer(payload: &Payload<'_>) -> Result<Text, WireError> {
    if payload.is_empty() {
        return Err(WireError::new("answer", payload.start, Flaw::Short { needed: 1, has: 0 }));
    }
    payload.text("answer", payload.start)
}
