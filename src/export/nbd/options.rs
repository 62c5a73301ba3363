//! What a client asks before it goes to work: options, taken apart, and the replies to them.

use super::protocol::OPTION_REPLY_MAGIC;
use crate::dm::Text;

/// Options (`NBD_OPT_*`).
pub(super) const EXPORT_NAME: u32 = 1;
pub(super) const ABORT: u32 = 2;
pub(super) const LIST: u32 = 3;
pub(super) const STARTTLS: u32 = 5;
pub(super) const INFO: u32 = 6;
pub(super) const GO: u32 = 7;
pub(super) const STRUCTURED_REPLY: u32 = 8;
pub(super) const LIST_META_CONTEXT: u32 = 9;
pub(super) const SET_META_CONTEXT: u32 = 10;

/// Replies to options (`NBD_REP_*`).
pub(super) const ACK: u32 = 1;
pub(super) const SERVER: u32 = 2;
pub(super) const REP_INFO: u32 = 3;
pub(super) const META_CONTEXT: u32 = 4;
pub(super) const ERR_UNSUP: u32 = 1 << 31 | 1;
pub(super) const ERR_POLICY: u32 = 1 << 31 | 2;
pub(super) const ERR_INVALID: u32 = 1 << 31 | 3;
pub(super) const ERR_TLS_REQD: u32 = 1 << 31 | 5;
pub(super) const ERR_UNKNOWN: u32 = 1 << 31 | 6;
pub(super) const ERR_TOO_BIG: u32 = 1 << 31 | 9;

/// Information about an export (`NBD_INFO_*`).
pub(super) const INFO_EXPORT: u16 = 0;
pub(super) const INFO_NAME: u16 = 1;
pub(super) const INFO_DESCRIPTION: u16 = 2;
pub(super) const INFO_BLOCK_SIZE: u16 = 3;

/// The longest name that the protocol permits, in bytes.
const MAX_STRING: usize = 4096;

/// Bytes that are taken apart from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn u16(&mut self) -> Option<u16> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*head))
    }

    fn u32(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*head))
    }

    /// Its length, then the text.
    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok().filter(|length| *length <= MAX_STRING)?;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// The data of `NBD_OPT_INFO` and `NBD_OPT_GO`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: Text,
    /// Kinds of information.
    pub(super) kinds: Vec<u16>,
}

impl Wanted {
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(data);
        let name = bytes.string()?.into();
        let count = bytes.u16()?;
        let kinds = (0..count).map(|_| bytes.u16()).collect::<Option<_>>()?;
        bytes.end()?;
        Some(Self { name, kinds })
    }
}

/// The data of `NBD_OPT_LIST_META_CONTEXT` and `NBD_OPT_SET_META_CONTEXT`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Queries {
    pub(super) name: Text,
    pub(super) queries: Vec<Text>,
}

impl Queries {
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(data);
        let name = bytes.string()?.into();
        let count = bytes.u32()?;
        // Not `with_capacity`: the count is the client's word, and each query is at least four bytes of the data.
        let queries = (0..count).map(|_| bytes.string().map(Text::from)).collect::<Option<_>>()?;
        bytes.end()?;
        Some(Self { name, queries })
    }
}

/// A reply to an option.
pub(super) fn reply(option: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(20 + data.len());
    bytes.extend(OPTION_REPLY_MAGIC.to_be_bytes());
    bytes.extend(option.to_be_bytes());
    bytes.extend(kind.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(data);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_about_its_lengths_is_refused() {
        let good = [&3u32.to_be_bytes()[..], b"vol", &[0, 1, 0, 3]].concat();
        assert_eq!(Wanted::parse(&good), Some(Wanted { name: "vol".into(), kinds: vec![3] }));
        for cut in 0..good.len() {
            assert_eq!(Wanted::parse(&good[..cut]), None, "{cut}");
        }
        assert_eq!(Wanted::parse(&[&good[..], &[0]].concat()), None);
        assert_eq!(Wanted::parse(&[0xff; 64]), None);
        let queries = [&0u32.to_be_bytes()[..], &1u32.to_be_bytes(), &2u32.to_be_bytes(), b"a:"].concat();
        assert_eq!(Queries::parse(&queries), Some(Queries { name: Text::new(), queries: vec!["a:".into()] }));
        assert_eq!(
            Queries::parse(&[&[0; 4][..], &[0xff; 4]].concat()),
            None,
            "4 billion queries, and none here"
        );
    }
}
