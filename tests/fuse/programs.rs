//! Real programs on a device's file.

use crate::mounted::{Mounted, can_run};
use std::fs;

const LINEAR: &str = "0 131072 linear disk 0";

#[test]
fn dd_cp_and_cmp_take_it_for_a_disk() {
    if !can_run("dd_cp_and_cmp_take_it_for_a_disk", &["dd", "cp", "cmp", "blockdev"]) {
        return;
    }
    let striped = "0 131072 striped 2 128 disk 0 disk 65536";
    for mut mounted in Mounted::both(&[("vol", striped), ("small", "0 8 linear disk 0")]) {
        mounted.ok(&["dd", "if=/dev/urandom", "of=data", "bs=1M", "count=64", "status=none"]);
        mounted.ok(&["dd", "if=data", "of=mnt/vol", "bs=1M", "status=none"]);
        mounted.ok(&["cmp", "data", "mnt/vol"]);
        mounted.ok(&["dd", "if=mnt/vol", "of=back", "bs=1000", "status=none"]);
        mounted.ok(&["cmp", "data", "back"]);
        mounted.ok(&[
            "dd",
            "if=/dev/zero",
            "of=mnt/vol",
            "bs=4k",
            "seek=5",
            "count=3",
            "conv=notrunc",
            "status=none",
        ]);
        mounted.ok(&[
            "dd",
            "if=/dev/zero",
            "of=data",
            "bs=4k",
            "seek=5",
            "count=3",
            "conv=notrunc",
            "status=none",
        ]);
        mounted.ok(&["cmp", "data", "mnt/vol"]);
        mounted.ok(&["cp", "data", "mnt/vol"]);
        mounted.ok(&["cp", "mnt/vol", "back"]);
        mounted.ok(&["cmp", "data", "back"]);
        let full = mounted.fails(&["dd", "if=/dev/zero", "of=mnt/small", "bs=1k", "status=none"]);
        assert!(full.contains("No space left on device"), "{full}");
        assert_eq!(mounted.ok(&["blockdev", "--getsize64", "mnt/vol"]), "67108864\n");
        assert!(mounted.ok(&["df", "--output=target", "mnt/vol"]).ends_with("/mnt\n"));
        mounted.stop();
    }
}

#[test]
fn fallocate_punches_and_zeroes() {
    if !can_run("fallocate_punches_and_zeroes", &["fallocate"]) {
        return;
    }
    let mut mounted = Mounted::start(&[("vol", LINEAR)]);
    mounted.ok(&["dd", "if=/dev/urandom", "of=mnt/vol", "bs=1M", "count=16", "status=none"]);
    let mut model = fs::read(mounted.disk()).unwrap();
    mounted.ok(&["fallocate", "--punch-hole", "--offset", "1MiB", "--length", "4MiB", "mnt/vol"]);
    mounted.ok(&["fallocate", "--zero-range", "--offset", "8MiB", "--length", "64KiB", "mnt/vol"]);
    model[1 << 20..5 << 20].fill(0);
    model[8 << 20..(8 << 20) + (64 << 10)].fill(0);
    assert!(fs::read(mounted.file("vol")).unwrap() == model);
    assert!(fs::read(mounted.disk()).unwrap() == model);
    mounted.stop();
}

#[test]
fn a_file_system_is_made_and_checked() {
    if !can_run("a_file_system_is_made_and_checked", &["mkfs.ext4", "e2fsck", "debugfs"]) {
        return;
    }
    let mut mounted = Mounted::start(&[("vol", "0 65536 linear disk 65536\n65536 65536 linear disk 0")]);
    mounted.ok(&["mkfs.ext4", "-q", "mnt/vol"]);
    mounted.ok(&["e2fsck", "-f", "-n", "mnt/vol"]);
    mounted.ok(&["dd", "if=/dev/urandom", "of=data", "bs=1M", "count=5", "status=none"]);
    mounted.ok(&["debugfs", "-w", "-R", "write data inside", "mnt/vol"]);
    mounted.ok(&["e2fsck", "-f", "-n", "mnt/vol"]);
    // The same through another table, in another server.
    mounted.stop();
    mounted.serve();
    mounted.ok(&["debugfs", "-R", "dump inside back", "mnt/vol"]);
    mounted.ok(&["cmp", "data", "back"]);
    mounted.stop();
}

#[test]
fn sqlite_keeps_its_database_on_it() {
    if !can_run("sqlite_keeps_its_database_on_it", &["sqlite3"]) {
        return;
    }
    let mut mounted = Mounted::start(&[("vol", LINEAR)]);
    // A database is made as a file, for one that begins with zeros is none, and put on the device.
    mounted.ok(&["sqlite3", "seed", "create table t (id integer primary key, what blob)"]);
    mounted.ok(&["dd", "if=seed", "of=mnt/vol", "status=none"]);
    // It cannot make a journal beside it.
    let begin = "pragma journal_mode=memory; pragma synchronous=full;";
    let fill = format!(
        "{begin} with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
         insert into t (what) select randomblob(500) from n;
         delete from t where id % 3 = 0; update t set what = zeroblob(2000) where id % 5 = 0; reindex;"
    );
    mounted.ok(&["sqlite3", "mnt/vol", &fill]);
    let check =
        "pragma mmap_size=67108864; pragma integrity_check; select count(*), sum(length(what)) from t;";
    let told = mounted.ok(&["sqlite3", "mnt/vol", check]);
    assert_eq!(told, "67108864\nok\n3334|2667500\n");
    mounted.stop();
    mounted.serve();
    assert_eq!(mounted.ok(&["sqlite3", "mnt/vol", check]), told);
    mounted.stop();
}

#[test]
fn fio_reads_what_it_wrote() {
    if !can_run("fio_reads_what_it_wrote", &["fio"]) {
        return;
    }
    let table = "0 65536 striped 2 8 disk 0 disk 32768\n65536 65536 linear disk 65536";
    for mut mounted in Mounted::both(&[("vol", table)]) {
        let verify =
            ["fio", "--name=verify", "--filename=mnt/vol", "--size=64m", "--verify=crc32c", "--rw=randrw"];
        for more in [
            &["--bs=4k", "--ioengine=libaio", "--iodepth=16", "--direct=1", "--io_size=16m"][..],
            &["--bsrange=512-512k", "--bs_unaligned", "--ioengine=psync", "--io_size=64m"],
            &["--bs=4k", "--ioengine=mmap", "--io_size=8m"],
            &["--bs=16k", "--ioengine=psync", "--fsync=8", "--io_size=8m"],
        ] {
            mounted.ok(&[&verify[..], more].concat());
        }
        mounted.stop();
    }
}
