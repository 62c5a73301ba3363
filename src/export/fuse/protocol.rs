//! The kernel's FUSE protocol: its numbers, and its structures as bytes in the machine's own order.
//!
//! Source: include/uapi/linux/fuse.h of Linux 6.18 (protocol 7.45); what is used here is there since 7.31 (Linux 5.4).

use crate::dm::Errno;

/// The protocol's version: the kernel speaks any minor version that it is answered, if it is not newer than its own.
pub(super) const MAJOR: u32 = 7;
/// The newest minor version whose structures are those of this file.
pub(super) const MINOR: u32 = 45;
/// The oldest: with `FUSE_MAX_PAGES`.
pub(super) const OLDEST_MINOR: u32 = 31;

/// Bytes of `struct fuse_in_header`.
pub(super) const IN_HEADER: usize = 40;
/// Bytes of `struct fuse_out_header`.
pub(super) const OUT_HEADER: usize = 16;
/// Bytes of `struct fuse_write_in`, which stands between the header and the data.
pub(super) const WRITE_IN: usize = 40;

/// The directory's node number.
pub(super) const ROOT: u64 = 1;

pub(super) mod opcode {
    //! What a request asks for.
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const FORGET: u32 = 2;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const SETATTR: u32 = 4;
    pub(crate) const SYMLINK: u32 = 6;
    pub(crate) const MKNOD: u32 = 8;
    pub(crate) const MKDIR: u32 = 9;
    pub(crate) const UNLINK: u32 = 10;
    pub(crate) const RMDIR: u32 = 11;
    pub(crate) const RENAME: u32 = 12;
    pub(crate) const LINK: u32 = 13;
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const READ: u32 = 15;
    pub(crate) const WRITE: u32 = 16;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const FSYNC: u32 = 20;
    pub(crate) const INIT: u32 = 26;
    pub(crate) const OPENDIR: u32 = 27;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const RELEASEDIR: u32 = 29;
    pub(crate) const CREATE: u32 = 35;
    pub(crate) const IOCTL: u32 = 39;
    pub(crate) const BATCH_FORGET: u32 = 42;
    pub(crate) const FALLOCATE: u32 = 43;
    pub(crate) const RENAME2: u32 = 45;
    pub(crate) const LSEEK: u32 = 46;
    pub(crate) const TMPFILE: u32 = 51;
}

pub(super) mod offered {
    //! Flags of `FUSE_INIT`: what the kernel can, and what of it is wanted.
    pub(crate) const ASYNC_READ: u64 = 1 << 0;
    pub(crate) const BIG_WRITES: u64 = 1 << 5;
    pub(crate) const ASYNC_DIO: u64 = 1 << 15;
    pub(crate) const PARALLEL_DIROPS: u64 = 1 << 18;
    pub(crate) const MAX_PAGES: u64 = 1 << 22;
    pub(crate) const INIT_EXT: u64 = 1 << 30;
    pub(crate) const DIRECT_IO_ALLOW_MMAP: u64 = 1 << 36;
    pub(crate) const PASSTHROUGH: u64 = 1 << 37;
}

pub(super) mod open_flag {
    //! Flags of the reply to `FUSE_OPEN`.
    pub(crate) const DIRECT_IO: u32 = 1 << 0;
    pub(crate) const NOFLUSH: u32 = 1 << 5;
    pub(crate) const PARALLEL_DIRECT_WRITES: u32 = 1 << 6;
    /// Weaker than `DIRECT_IO`.
    pub(crate) const PASSTHROUGH: u32 = 1 << 7;
}

pub(super) mod changed {
    //! What `FUSE_SETATTR` is to change.
    pub(crate) const MODE: u32 = 1 << 0;
    pub(crate) const UID: u32 = 1 << 1;
    pub(crate) const GID: u32 = 1 << 2;
    pub(crate) const SIZE: u32 = 1 << 3;
    /// The handle of an open file is given.
    pub(crate) const HANDLE: u32 = 1 << 6;
}

/// In a `FUSE_GETATTR`: the handle of an open file is given.
pub(super) const GETATTR_HANDLE: u32 = 1;

/// What every request begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) opcode: u32,
    /// Names the request in its reply.
    pub(super) unique: u64,
    pub(super) node: u64,
    /// As which user the request is made.
    pub(super) uid: u32,
    /// Which process asks: the number of its thread, and 0 when the process is not in this one's pid namespace.
    pub(super) pid: u32,
}

/// The fields of a structure, in order. A structure that ends too soon is EINVAL.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Errno> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(Errno::EINVAL)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Errno> {
        self.take().map(u32::from_ne_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Errno> {
        self.take().map(u64::from_ne_bytes)
    }

    /// The same, without so many bytes.
    pub(super) fn skip(mut self, bytes: usize) -> Result<Self, Errno> {
        self.0 = self.0.get(bytes..).ok_or(Errno::EINVAL)?;
        Ok(self)
    }

    /// The bytes up to a NUL.
    pub(super) fn name(&self) -> Result<&'a [u8], Errno> {
        let end = self.0.iter().position(|&byte| byte == 0).ok_or(Errno::EINVAL)?;
        Ok(&self.0[..end])
    }
}

impl Header {
    /// The header of a request, and what follows it.
    pub(super) fn parse(request: &[u8]) -> Result<(Self, Fields<'_>), Errno> {
        let mut fields = Fields::new(request);
        let (_length, opcode, unique, node) = (fields.u32()?, fields.u32()?, fields.u64()?, fields.u64()?);
        let (uid, _gid, pid, _extensions) = (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
        Ok((Self { opcode, unique, node, uid, pid }, fields))
    }
}

/// The header of a reply that carries `length` bytes, or an error and none.
pub(super) fn out_header(unique: u64, length: usize, error: i32) -> [u8; OUT_HEADER] {
    let mut header = [0; OUT_HEADER];
    let length = u32::try_from(OUT_HEADER + length).unwrap_or(u32::MAX);
    header[0..4].copy_from_slice(&length.to_ne_bytes());
    header[4..8].copy_from_slice(&error.to_ne_bytes());
    header[8..16].copy_from_slice(&unique.to_ne_bytes());
    header
}

/// A reply's structure, put together field by field. All but a read's and a directory's are at most this long.
#[derive(Debug)]
pub(super) struct Body {
    bytes: [u8; 128],
    length: usize,
}

impl Body {
    pub(super) fn new() -> Self {
        Self { bytes: [0; 128], length: 0 }
    }

    fn put(mut self, field: &[u8]) -> Self {
        self.bytes[self.length..self.length + field.len()].copy_from_slice(field);
        self.length += field.len();
        self
    }

    pub(super) fn u16(self, field: u16) -> Self {
        self.put(&field.to_ne_bytes())
    }

    pub(super) fn u32(self, field: u32) -> Self {
        self.put(&field.to_ne_bytes())
    }

    pub(super) fn i32(self, field: i32) -> Self {
        self.put(&field.to_ne_bytes())
    }

    pub(super) fn u64(self, field: u64) -> Self {
        self.put(&field.to_ne_bytes())
    }

    pub(super) fn zeros(mut self, bytes: usize) -> Self {
        self.length += bytes;
        self
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// `struct fuse_attr`: what stat(2) tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes {
    pub(super) node: u64,
    pub(super) size: u64,
    /// Type and permissions.
    pub(super) mode: u32,
    pub(super) links: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds since 1970: all three times.
    pub(super) time: u64,
}

impl Attributes {
    pub(super) fn put(&self, body: Body) -> Body {
        body.u64(self.node)
            .u64(self.size)
            .u64(self.size / 512)
            .u64(self.time)
            .u64(self.time)
            .u64(self.time)
            .zeros(3 * 4)
            .u32(self.mode)
            .u32(self.links)
            .u32(self.uid)
            .u32(self.gid)
            .u32(0)
            .u32(4096)
            .u32(0)
    }
}
