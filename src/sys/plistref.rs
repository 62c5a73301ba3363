//! The BSD way to pass a text to a driver and to get one back: `struct plistref`, and the memory that comes with it.
//!
//! Source: NetBSD's common/include/prop/plistref.h, and `_prop_object_copyout_ioctl` in its
//! common/lib/libprop/prop_kern.c: the driver maps memory into the caller, puts its text there, closing NUL and all, and
//! writes pointer and length over what was sent. The memory is the caller's to unmap. Where the call fails, neither
//! happens. It compiles on every Unix, where a stand-in can take the driver's part.

use super::request_code;
use nix::libc;
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// `struct plistref`.
#[repr(C)]
#[derive(Debug)]
pub struct PlistRef {
    /// The text: the caller's, then the driver's.
    pub plist: *mut c_void,
    /// Its bytes, the closing NUL among them.
    pub length: usize,
}

/// What takes the call: a control node, or what stands in for one.
///
/// # Safety
/// Whoever implements it may read the text that the reference names and must not write to it. When `call` returns `Ok`,
/// the reference is as it was sent, or names memory that has been mapped for the caller alone (mmap(2)), is readable for
/// all of its length, and is unmapped by nobody else.
pub unsafe trait PlistIoctl: std::fmt::Debug {
    /// Makes the call.
    ///
    /// # Errors
    /// What the driver returns; the reference then means nothing.
    fn call(&mut self, number: u32, reference: &mut PlistRef) -> io::Result<()>;
}

// SAFETY: the kernel reads the text, and on success leaves the reference alone or puts there what it has mapped into this
// process for this caller; no other code here knows of that memory.
unsafe impl PlistIoctl for File {
    fn call(&mut self, number: u32, reference: &mut PlistRef) -> io::Result<()> {
        // SAFETY: the descriptor is open for as long as `self` lives, and the pointer is to a `struct plistref`, the size
        // that the numbers of these ioctls carry, which the kernel reads and writes.
        let result =
            unsafe { libc::ioctl(self.as_raw_fd(), request_code(number), std::ptr::from_mut(reference)) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// A driver's text, in the memory that it came in; unmapped when dropped.
#[derive(Debug)]
pub struct Mapped {
    start: NonNull<u8>,
    length: usize,
}

impl Mapped {
    /// The text, its closing NUL among the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: `exchange` makes no other value than of memory that is mapped for it alone and readable for `length`
        // bytes, by the contract of `PlistIoctl`; it stays mapped until the drop, and nobody writes there.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the memory was mapped for this value alone, and no borrow of it outlives the value. The length is the
        // one that came with it; the kernel rounds it up to whole pages, as it did when it mapped them.
        // A failure leaves the memory mapped, which hurts nobody, and there is nobody to tell.
        let _ = unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// Sends a text, which should end with a NUL, and gives the text that comes back.
///
/// # Errors
/// What the driver returns; EIO when it maps nothing.
pub fn exchange(driver: &mut dyn PlistIoctl, number: u32, text: &[u8]) -> io::Result<Mapped> {
    let sent: *mut c_void = text.as_ptr().cast_mut().cast();
    let mut reference = PlistRef { plist: sent, length: text.len() };
    driver.call(number, &mut reference)?;
    // What was sent is not the driver's memory: it must not be unmapped.
    let start = NonNull::new(reference.plist.cast::<u8>()).filter(|_| reference.plist != sent);
    let possible = reference.length > 0 && isize::try_from(reference.length).is_ok();
    match start.filter(|_| possible) {
        Some(start) => Ok(Mapped { start, length: reference.length }),
        None => Err(io::Error::from_raw_os_error(libc::EIO)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A driver that says yes and maps nothing, with what it leaves in the reference.
    #[derive(Debug)]
    struct Idle(Option<(*mut c_void, usize)>);

    // SAFETY: it leaves the reference as it was sent, or without memory.
    unsafe impl PlistIoctl for Idle {
        fn call(&mut self, _: u32, reference: &mut PlistRef) -> io::Result<()> {
            if let Some((plist, length)) = self.0 {
                *reference = PlistRef { plist, length };
            }
            Ok(())
        }
    }

    #[test]
    fn a_driver_that_maps_nothing_has_nothing_unmapped() {
        for left in [None, Some((std::ptr::null_mut(), 4096))] {
            let error = exchange(&mut Idle(left), 0, b"mine\0").unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EIO));
        }
        let mut null = File::open("/dev/null").unwrap();
        assert!(exchange(&mut null, 0xc010_fd00, b"\0").is_err(), "it knows no such ioctl");
        assert_eq!(size_of::<PlistRef>(), 2 * size_of::<usize>());
    }
}
