//! The same lines to dmstats and to rdmsetup under its name, for the extents of files on a file system.

use crate::compare::{Comparison, Difference, as_it_is};
use crate::guest;
use crate::stats::play_line;

/// Where rdmsetup does otherwise than dmstats 1.02.185, and why. A line that is listed and does not differ is an error.
const DIFFERENCES: &[Difference<'_>] = &[
    (
        "dmstats update_filemap --nomonitor --groupid 0 m/f ",
        "dmstats has a number for the group that is gone",
    ),
    ("dmstats update_filemap --groupid 4 m/g", "without dmfilemapd nothing is done, and no error made of it"),
    (
        "dmstats update_filemap --nomonitor --groupid 9 m/g",
        "dmstats dies when a group loses its first region",
    ),
    ("files: (their regions)", "that group has its new region with ours"),
];

/// Lines of one scenario; `sh` runs a line of shell in its directory.
pub(crate) const FILES: &[&str] = &[
    "dmsetup create vol0 --table \"0 8192 linear /dev/ubda 0\"",
    "sh mkfs.ext4 -q /dev/mapper/vol0 && mkdir -p m && mount /dev/mapper/vol0 m",
    "sh dd if=/dev/zero of=m/f bs=4k count=10 conv=fsync",
    "sh dd if=/dev/zero of=m/g bs=4k count=10 conv=fsync",
    "sh dd if=/dev/zero of=m/f bs=4k count=10 seek=20 conv=fsync,notrunc",
    "sh : > m/empty",
    "dmstats create --filemap --nomonitor m/f",
    "dmstats create --filemap m/f",
    "dmstats create --filemap --nomonitor m/g m/f",
    "dmstats create --filemap --nomonitor --nogroup m/g",
    "dmstats create --filemap --nomonitor --alias al --bounds 1us --precise m/g",
    "dmstats create --filemap --nomonitor --nogroup --alias al m/g",
    "dmstats create --filemap --nomonitor m/empty",
    "dmstats create --filemap --nomonitor m",
    "dmstats create --filemap --nomonitor --programid x m/g",
    "dmstats create --filemap --nomonitor --programid \"\" --force m/g",
    "dmsetup message vol0 0 @stats_list",
    "dmstats list --group",
    "sh dd if=/dev/zero of=m/f bs=4k count=10 seek=60 conv=fsync,notrunc",
    "dmstats update_filemap --nomonitor --groupid 0 m/f",
    "dmsetup message vol0 0 @stats_list",
    "dmstats update_filemap --nomonitor --groupid 1 m/f",
    "dmstats update_filemap --nomonitor --groupid 99 m/f",
    "dmstats update_filemap --nomonitor --groupid 0 m/nonesuch",
    "dmstats update_filemap --nomonitor --groupid 0 m/f x",
    "dmstats list",
    "sh : > m/f; sync",
    "dmstats update_filemap --nomonitor --groupid 0 m/f ",
    "dmsetup message vol0 0 @stats_list",
    "dmstats update_filemap --groupid 4 m/g",
    "sh truncate -s 16k m/g && sync",
    "dmstats update_filemap --nomonitor --groupid 9 m/g",
    "sh umount m",
];

#[test]
fn files_are_mapped_the_same() {
    guest::run_with("files::files_are_mapped_the_same", &[], &["mkfs.ext4"], || {
        // The tests' own directory is where relative names begin.
        std::env::set_current_dir("/dev/shm").unwrap();
        let mut comparison = Comparison::new(DIFFERENCES);
        comparison.play(("files", FILES), play_line, as_it_is);
        comparison.end();
    });
}
