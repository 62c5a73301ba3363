//! `check` and the kernel: what one finds at fault the other refuses to load, and the other way round.

use crate::guest;
use rdmsetup::backend::{Client, Kernel};
use rdmsetup::dm::{Amounts, Command, DeviceId, Request, TableDraft, Text};
use rdmsetup::mapper::Draft;
use std::collections::BTreeMap;
use std::path::Path;

/// Tables over disks of 8192 sectors, and a disk with blocks of 8 sectors; right ones and wrong ones.
const TABLES: &[&str] = &[
    "0 100 linear /dev/ubda 384",
    "0 8192 linear /dev/ubda 0",
    "0 8193 linear /dev/ubda 0",
    "0 8 linear /dev/ubda 8192",
    "0 8 linear 98:16 8",
    "0 8 linear 98:4000 0",
    "0 8 linear /dev/nonesuch 0",
    "0 8 linear /tmp 0",
    "0 8 linear /etc/passwd 0",
    "0 8 linear /dev/null 0",
    "0 8 linear /dev/ubda 38x",
    "0 8 linear /dev/ubda",
    "0 8 linear /dev/ubda 0 0",
    "0 0 zero",
    "0 8 zero x",
    "0 8 error any words",
    "8 8 zero",
    "0 8 zero\n9 8 zero",
    "0 8 zero\n7 8 zero",
    "0 8 zero\n8 8 error",
    "0 8 nonesuch",
    "0 8 crypt",
    "0 16 striped 2 8 /dev/ubda 0 /dev/ubdb 0",
    "0 17 striped 2 8 /dev/ubda 0 /dev/ubdb 0",
    "0 16 striped 2 8 /dev/ubda 0",
    "0 64 linear /dev/loop0 0",
    "0 60 linear /dev/loop0 0",
    "0 64 linear /dev/loop0 4",
    "0 4 zero\n4 8 linear /dev/loop0 0",
];

#[test]
fn what_check_finds_the_kernel_refuses() {
    guest::run("check::what_check_finds_the_kernel_refuses", || {
        let losetup = "truncate -s 1M /dev/shm/disk && losetup -b 4096 /dev/loop0 /dev/shm/disk";
        assert!(std::process::Command::new("sh").args(["-c", losetup]).status().unwrap().success());
        let mut client = Client::new(Box::new(Kernel::open(Path::new("/dev"), true).unwrap()));
        for (number, text) in TABLES.iter().enumerate() {
            let name = Text::from(format!("d{number}"));
            let table = TableDraft::parse(text.as_bytes(), Amounts::Sectors);
            let planned = BTreeMap::new();
            let draft = Draft { device: &name, lines: &table.lines, read_only: false, planned: &planned };
            let faults = client.check(&draft).unwrap();

            let device = DeviceId::by_name(name.clone());
            client.perform(&Request::new(device.clone(), Command::DevCreate)).unwrap();
            let lines = table.lines.into_iter().flatten().collect();
            let load = Command::TableLoad(rdmsetup::dm::Table { lines });
            let loaded = client.perform(&Request::new(device, load));
            // crypt's own arguments are the kernel's to judge.
            if *text == "0 8 crypt" {
                assert!(faults.is_empty() && loaded.is_err(), "{faults:?}");
                continue;
            }
            assert_eq!(faults.is_empty(), loaded.is_ok(), "{text}: {faults:?} {loaded:?}");
            if let (Some(fault), Err(error)) = (faults.first(), loaded) {
                assert_eq!(fault.errno, error.errno, "{text}: {faults:?}");
            }
        }
    });
}
