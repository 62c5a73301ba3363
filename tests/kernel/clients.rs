//! Programs that know dmsetup and nothing else: lvm, fsadm, cryptsetup and their scripts, with our program at dmsetup's path.

use crate::guest;
use std::fs;
use std::process::Command;

/// What people do with a volume group and an encrypted volume, and the shutdown script that asks dmsetup about it all.
const SCRIPT: &str = r#"
set -e
truncate -s 64M /dev/shm/disk
disk=$(losetup -f --show /dev/shm/disk)
printf secret >/dev/shm/key
mkdir -p /dev/shm/mnt
pvcreate -q $disk
vgcreate -q vg $disk
lvcreate -qy -L 8M -n one vg
lvcreate -qy -L 8M -n two vg
lvextend -q -L +4M vg/one
lvcreate -qy -s -L 4M -n snap vg/one
dmsetup ls
dmsetup table
dmsetup status
dmsetup deps
lvremove -qy vg/snap
cryptsetup luksFormat -q --type luks1 --uuid 01234567-89ab-cdef-0123-456789abcdef --pbkdf-force-iterations 1000 /dev/vg/two /dev/shm/key
cryptsetup open --key-file /dev/shm/key /dev/vg/two secret
dmsetup table secret
dmsetup info secret
cryptsetup status secret
cryptsetup close secret
dmsetup ls
cryptsetup open --key-file /dev/shm/key /dev/vg/two secret
mkfs.ext4 -q /dev/vg/one
lvextend -q -r -L +4M vg/one >/dev/null 2>&1
fsadm -n check /dev/vg/one >/dev/null 2>&1
mount /dev/vg/one /dev/shm/mnt
blkdeactivate -u -l retry
dmsetup ls
lvs --noheadings -o lv_name,lv_active
vgremove -qyf vg
losetup -d $disk
rm -rf /dev/shm/disk /dev/shm/key /dev/shm/mnt
dmsetup ls
"#;

/// What the script wrote, with the program that is at dmsetup's path now.
fn play() -> String {
    let output = Command::new("sh").args(["-c", SCRIPT]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn lvm_cryptsetup_and_blkdeactivate_do_not_notice() {
    let programs = ["lvm", "cryptsetup", "blkdeactivate", "fsadm", "mkfs.ext4"];
    guest::run_with("clients::lvm_cryptsetup_and_blkdeactivate_do_not_notice", &[], &programs, || {
        let expected = play();
        // The guest's files are its own: the host keeps its dmsetup.
        fs::copy(env!("CARGO_BIN_EXE_rdmsetup"), "/usr/sbin/dmsetup").unwrap();
        let found = play();
        for (found, expected) in found.lines().zip(expected.lines()) {
            assert_eq!(found, expected);
        }
        assert_eq!(found.len(), expected.len());
        assert!(expected.contains("deactivating crypt device secret"), "{expected}");
    });
}
