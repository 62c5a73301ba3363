//! Device numbers as this system packs them: `makedev`, `major` and `minor` of its own sys/types.h.

use nix::libc::{self, dev_t};

/// The packed number of a major and a minor; the part of either that this system has no room for is lost.
#[allow(
    unused_unsafe,
    reason = "plain arithmetic for most systems' libc crate, a function of C's for illumos"
)]
#[allow(clippy::useless_conversion, reason = "a number has a sign on some systems")]
pub fn make(major: u32, minor: u32) -> dev_t {
    let (major, minor) = (major.try_into().unwrap_or_default(), minor.try_into().unwrap_or_default());
    // SAFETY: numbers go in, a number comes out, and no memory is touched.
    unsafe { libc::makedev(major, minor) }
}

/// Major and minor of what `stat` tells as `st_dev` or `st_rdev`, in the 64 bits that the standard library gives it.
#[allow(unused_unsafe, reason = "as for `make`")]
#[allow(clippy::useless_conversion, reason = "a number has a sign on some systems")]
#[allow(
    clippy::unnecessary_cast,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "dev_t has 32 bits on some systems, and the standard library has stretched them to 64"
)]
pub fn split(number: u64) -> (u32, u32) {
    let number = number as dev_t;
    // SAFETY: a number goes in, a number comes out, and no memory is touched.
    let (major, minor) = unsafe { (libc::major(number), libc::minor(number)) };
    (major.try_into().unwrap_or(u32::MAX), minor.try_into().unwrap_or(u32::MAX))
}

/// The major number that this system's block devices of a driver have, where it can be asked for by the driver's name
/// (NetBSD's `getdevmajor(3)`).
#[cfg(target_os = "netbsd")]
pub fn block_major(driver: &std::ffi::CStr) -> Option<u32> {
    unsafe extern "C" {
        // NetBSD's stdlib.h, whose devmajor_t is an int32_t; the libc crate does not declare it.
        fn getdevmajor(name: *const libc::c_char, kind: libc::mode_t) -> i32;
    }
    // SAFETY: the name is a string of C's that outlives the call, and is read only.
    let major = unsafe { getdevmajor(driver.as_ptr(), libc::S_IFBLK) };
    major.try_into().ok()
}

/// The major number that this system's block devices of a driver have: this system cannot be asked by a driver's name.
#[cfg(not(target_os = "netbsd"))]
pub fn block_major(_: &std::ffi::CStr) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    #[allow(clippy::useless_conversion, reason = "dev_t has 32 bits on some systems")]
    fn what_is_packed_comes_apart_again() {
        for (major, minor) in [(0, 0), (7, 0), (10, 236), (253, 255)] {
            let packed = make(major, minor);
            assert_eq!(split(packed.try_into().unwrap()), (major, minor));
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_has_twelve_bits_and_twenty() {
        assert_eq!(split(make(4095, 0xf_ffff)), (4095, 0xf_ffff));
        assert_eq!(split(std::fs::metadata("/dev/null").unwrap().rdev()), (1, 3));
    }
}
