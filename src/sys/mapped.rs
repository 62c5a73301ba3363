//! Files that are memory (tmpfs), mapped: memory that only the kernel reads and writes.
//!
//! Nothing here follows a pointer into a mapping. The kernel does, in calls that move bytes from or to it, and where the
//! file has been cut short in the meantime such a call fails (EFAULT), while a load or a store would end the process.

use nix::libc::{self, c_void, iovec};
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

/// So many parts one call moves at most.
pub const MOST: usize = 16;

/// Bytes that a processor fetches at once.
const LINE: usize = 64;

/// A file as memory, from its first byte on.
#[derive(Debug)]
pub struct Mapped {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: it is a range of addresses that stays mapped until it is dropped. Nobody here reads or writes what is there but
// the kernel, which keeps its own order among threads.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

/// A part of a mapped file.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    start: NonNull<u8>,
    length: usize,
    mapped: PhantomData<&'a Mapped>,
}

/// Bytes in a page of memory.
pub fn page_size() -> usize {
    // SAFETY: it asks for a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
}

impl Mapped {
    /// The first `length` bytes of the file; to be written too if `writable`, as the file then must be.
    ///
    /// # Errors
    /// mmap(2)'s: EINVAL for no bytes, EACCES for a file that is not opened so, ENODEV where files cannot be mapped.
    pub fn new(file: &File, length: u64, writable: bool) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
        let access = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        // SAFETY: the kernel chooses addresses that nothing else uses; the descriptor is open. The mapping outlives the
        // descriptor, and is unmapped once, by `drop`.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), length, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        match NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(Self { start: start.cast(), length }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The `length` bytes at byte `at`, if they were in the file as it was mapped.
    pub fn part(&self, at: u64, length: usize) -> Option<Part<'_>> {
        let at = usize::try_from(at).ok()?;
        let end = at.checked_add(length)?;
        if end > self.length {
            return None;
        }
        // SAFETY: it stays within the mapping, which is one object.
        let start = unsafe { self.start.add(at) };
        Some(Part { start, length, mapped: PhantomData })
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: both are what mmap gave, once; every `Part` borrows from this value, so none is left.
        let _ = unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

impl Part<'_> {
    fn iovec(self) -> iovec {
        iovec { iov_base: self.start.as_ptr().cast(), iov_len: self.length }
    }

    /// How many bytes it has.
    pub fn length(self) -> usize {
        self.length
    }

    /// Says of each page that the part touches, in order, whether it is in memory. A hole is not.
    ///
    /// # Errors
    /// mincore(2)'s, which come of a lack of memory alone.
    pub fn pages(self, page_size: usize, each: &mut dyn FnMut(bool)) -> io::Result<()> {
        let mut told = [0_u8; 64];
        let end = self.start.addr().get() + self.length;
        let mut page = self.start.addr().get() & !(page_size - 1);
        while page < end {
            let count = (end - page).div_ceil(page_size).min(told.len());
            let start: *mut c_void = self.start.as_ptr().with_addr(page).cast();
            // SAFETY: the pages are the mapping's, which begins at a page; the kernel writes a byte for each of the `count`.
            if unsafe { libc::mincore(start, count * page_size, told.as_mut_ptr().cast()) } != 0 {
                return Err(io::Error::last_os_error());
            }
            told.iter().take(count).for_each(|told| each(told & 1 == 1));
            page += count * page_size;
        }
        Ok(())
    }

    /// Has the processor fetch it, which goes on meanwhile. What is not there is no fault.
    pub fn prefetch(self) {
        #[cfg(target_arch = "x86_64")]
        for line in (0..self.length).step_by(LINE) {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            // SAFETY: `line` is within the part; the instruction reads nothing that a program could tell, and no address
            // makes it fail.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(self.start.as_ptr().add(line).cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = LINE;
    }
}

/// Sends pieces of memory, each with a part behind it, if the socket has room for all of them now; how many bytes went.
/// No more than [`MOST`] are sent.
///
/// # Errors
/// EAGAIN when there is no room, EFAULT when a part's file was cut short: nothing was sent.
pub fn send(socket: BorrowedFd<'_>, pieces: &[(&[u8], Part<'_>)]) -> io::Result<usize> {
    let mut vector = [Part::NOTHING; 2 * MOST];
    let mut count = 0_u8;
    for (slots, (head, part)) in vector.chunks_exact_mut(2).zip(pieces) {
        slots.copy_from_slice(&[borrowed(head), part.iovec()]);
        count += 2;
    }
    // SAFETY: all-zero is a message without a name, data or controls.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = vector.as_mut_ptr();
    message.msg_iovlen = count.into();
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: the message points to `count` valid elements of the vector; each is borrowed bytes or a part of a mapping,
    // which lives as long as this call, and the kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Puts the pages of a part into a pipe, without copying them; `false` when not all of them have room there.
///
/// # Errors
/// vmsplice(2)'s: EFAULT when the part's file was cut short.
pub fn put_in_pipe(pipe: BorrowedFd<'_>, part: Part<'_>) -> io::Result<bool> {
    let mut rest = part.iovec();
    while rest.iov_len > 0 {
        // SAFETY: the one element is what is left of a part of a mapping, as `put` is at most its length; the kernel refers
        // to its pages, whatever becomes of the mapping.
        let put = unsafe { libc::vmsplice(pipe.as_raw_fd(), &raw const rest, 1, libc::SPLICE_F_NONBLOCK) };
        let put = match usize::try_from(put).map_err(|_| io::Error::last_os_error()) {
            Ok(put) if put > 0 => put.min(rest.iov_len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Ok(_) | Err(_) => return Ok(false),
        };
        rest = iovec { iov_base: rest.iov_base.wrapping_byte_add(put), iov_len: rest.iov_len - put };
    }
    Ok(true)
}

/// Writes a head and a part to a descriptor in one call; how many bytes went.
///
/// # Errors
/// The descriptor's, or EFAULT when the part's file was cut short.
pub fn write(file: &File, head: &[u8], part: Part<'_>) -> io::Result<usize> {
    let vector = [borrowed(head), part.iovec()];
    // SAFETY: both elements are valid as in `send`, and only read.
    let written = unsafe { libc::writev(file.as_raw_fd(), vector.as_ptr(), 2) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Copies bytes to parts of writable mappings, which are as long as they are: all of them, or `false` when that cannot be
/// (no room in the file system, a file cut short, a kernel that does not let us): some may be copied then.
pub fn fill(pieces: &[(&[u8], Part<'_>)]) -> bool {
    let (mut from, mut to) = ([Part::NOTHING; MOST], [Part::NOTHING; MOST]);
    let mut wanted = 0;
    for ((from, to), (data, part)) in from.iter_mut().zip(&mut to).zip(pieces) {
        if data.len() != part.length {
            return false;
        }
        (*from, *to) = (borrowed(data), part.iovec());
        wanted += data.len();
    }
    let count = pieces.len().min(MOST) as libc::c_ulong;
    // SAFETY: both vectors have `count` valid elements. The kernel reads the first ones, which are borrowed, and writes the
    // others as if by another process: they are of this process's mappings, which no reference points into.
    let filled =
        unsafe { libc::process_vm_writev(libc::getpid(), from.as_ptr(), count, to.as_ptr(), count, 0) };
    pieces.len() <= MOST && usize::try_from(filled) == Ok(wanted)
}

/// Bytes that a call only reads.
fn borrowed(bytes: &[u8]) -> iovec {
    iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

impl Part<'_> {
    const NOTHING: iovec = iovec { iov_base: ptr::null_mut(), iov_len: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;
    use std::os::unix::net::UnixStream;

    fn file(size: u64) -> File {
        let file = File::from(memfd_create(c"test", MFdFlags::empty()).unwrap());
        file.set_len(size).unwrap();
        file
    }

    #[test]
    fn parts_are_sent_and_filled() {
        let (file, page) = (file(3 << 20), page_size() as u64);
        let mapped = Mapped::new(&file, 3 << 20, true).unwrap();
        file.write_all_at(b"data", page).unwrap();
        let (here, mut there) = UnixStream::pair().unwrap();
        let part = mapped.part(page, 4).unwrap();
        part.prefetch();
        assert_eq!(send(here.as_fd(), &[(b"head", part), (b"", part)]).unwrap(), 12);
        let mut received = [0; 12];
        there.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"headdatadata");
        assert!(fill(&[(b"other", mapped.part(5, 5).unwrap()), (b"!", mapped.part(0, 1).unwrap())]));
        let mut found = [0; 10];
        file.read_exact_at(&mut found, 0).unwrap();
        assert_eq!(&found, b"!\0\0\0\0other");
        assert!(!fill(&[(b"longer", part)]));
        assert!(mapped.part(3 << 20, 1).is_none() && mapped.part(u64::MAX, 2).is_none());
    }

    #[test]
    fn holes_are_told_from_pages() {
        let (file, page) = (file(1 << 20), page_size());
        let mapped = Mapped::new(&file, 1 << 20, false).unwrap();
        file.write_all_at(b"x", 70 * page as u64).unwrap();
        let mut told = Vec::new();
        mapped.part(1, 1 << 19).unwrap().pages(page, &mut |is_there| told.push(is_there)).unwrap();
        assert_eq!(told.len(), (1 << 19) / page + 1);
        assert_eq!(told.iter().position(|told| *told), Some(70));
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
    }

    #[test]
    fn a_file_that_was_cut_short_is_an_error_and_nothing_is_sent() {
        let (file, page) = (file(1 << 20), page_size() as u64);
        let mapped = Mapped::new(&file, 1 << 20, true).unwrap();
        file.set_len(page).unwrap();
        let part = |at| mapped.part(at, 4096).unwrap();
        let (here, there) = UnixStream::pair().unwrap();
        let sent = send(here.as_fd(), &[(b"a", part(0)), (b"b", part(16 * page))]);
        assert_eq!(sent.unwrap_err().raw_os_error(), Some(libc::EFAULT));
        there.set_nonblocking(true).unwrap();
        assert_eq!((&there).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(!fill(&[(&[1; 4096], part(16 * page))]));
        part(16 * page).prefetch();
    }

    #[test]
    fn no_bytes_and_no_permission_are_refused() {
        assert_eq!(Mapped::new(&file(0), 0, false).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        let read_only = File::open("/proc/self/exe").unwrap();
        assert_eq!(Mapped::new(&read_only, 1, true).unwrap_err().raw_os_error(), Some(libc::EACCES));
    }
}
