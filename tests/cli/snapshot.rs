//! The recipes of the kernel's guide (admin-guide/device-mapper: snapshot, zero), as they are printed there.

use crate::sandbox::Sandbox;

/// The four devices of a volume with a snapshot, as the guide's `dmsetup table` shows them, over the file `sdb`.
const LAYOUT: [(&str, &str); 4] = [
    ("volumeGroup-base-real", "0 2097152 linear sdb 384"),
    ("volumeGroup-snap-cow", "0 204800 linear sdb 2097536"),
    ("volumeGroup-snap", "0 2097152 snapshot volumeGroup-base-real volumeGroup-snap-cow P 16"),
    ("volumeGroup-base", "0 2097152 snapshot-origin volumeGroup-base-real"),
];

fn volume() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.disk("sdb", (2_097_536 + 204_800) * 512);
    for (name, table) in LAYOUT {
        sandbox.ok(&["create", name, "--table", table]);
    }
    sandbox
}

fn write(sandbox: &Sandbox, name: &str, sector: &str, data: &[u8]) {
    let ran = sandbox.run_with(&["write", name, "--start", sector], data);
    assert!(ran.succeeded, "{ran:?}");
}

fn read(sandbox: &Sandbox, name: &str, sector: &str) -> Vec<u8> {
    sandbox.run(&["read", name, "--start", sector, "--length", "1"]).stdout
}

#[test]
fn a_volume_with_a_snapshot_is_written_command_by_command() {
    let sandbox = volume();
    let tables = sandbox.ok(&["table"]);
    assert!(tables.contains("volumeGroup-snap: 0 2097152 snapshot 240:0 240:1 P 16\n"), "{tables}");
    assert!(tables.contains("volumeGroup-base: 0 2097152 snapshot-origin 240:0\n"), "{tables}");
    // Each command is a process of its own, and makes the targets that it needs.
    write(&sandbox, "volumeGroup-base", "100", &[1; 512]);
    write(&sandbox, "volumeGroup-snap", "1000", &[2; 512]);
    let of = |name| (read(&sandbox, name, "100"), read(&sandbox, name, "1000"));
    assert_eq!(of("volumeGroup-snap"), (vec![0; 512], vec![2; 512]));
    assert_eq!(of("volumeGroup-base"), (vec![1; 512], vec![0; 512]));
    assert_eq!(sandbox.ok(&["status", "volumeGroup-snap"]), "0 2097152 snapshot 64/204800 32\n");
    assert_eq!(sandbox.ok(&["status", "volumeGroup-base"]), "0 2097152 snapshot-origin \n");
}

#[test]
fn a_snapshot_is_merged_as_lvm_does_it() {
    let sandbox = volume();
    write(&sandbox, "volumeGroup-snap", "1000", &[2; 512]);
    write(&sandbox, "volumeGroup-base", "5000", &[3; 512]);
    sandbox.ok(&["suspend", "volumeGroup-base"]);
    sandbox.ok(&["suspend", "volumeGroup-snap"]);
    let table = "0 2097152 snapshot-merge volumeGroup-base-real volumeGroup-snap-cow P 16";
    sandbox.ok(&["load", "volumeGroup-base", "--table", table]);
    sandbox.ok(&["resume", "volumeGroup-base"]);
    sandbox.ok(&["remove", "volumeGroup-snap"]);
    // Merging has finished: as many sectors allocated as there are of metadata.
    assert_eq!(sandbox.ok(&["status", "volumeGroup-base"]), "0 2097152 snapshot-merge 32/204800 32\n");
    for name in ["volumeGroup-base", "volumeGroup-base-real"] {
        assert_eq!(read(&sandbox, name, "1000"), [2; 512]);
        assert_eq!(read(&sandbox, name, "5000"), [0; 512], "the origin goes back");
    }
}

#[test]
fn a_sparse_device_of_ten_terabytes() {
    let sandbox = Sandbox::new();
    sandbox.disk("sdb1", 1 << 20);
    let sectors = 10u64 * 1024 * 1024 * 1024 * 2;
    let run = |table: String, name: &str| {
        let ran = sandbox.run_with(&["create", name], table.as_bytes());
        assert!(ran.succeeded && ran.stderr.is_empty(), "{ran:?}");
    };
    run(format!("0 {sectors} zero\n"), "zero1");
    run(format!("0 {sectors} snapshot /dev/mapper/zero1 sdb1 p 128\n"), "sparse1");
    let last = (sectors - 1).to_string();
    write(&sandbox, "sparse1", &last, &[9; 512]);
    assert_eq!(read(&sandbox, "sparse1", &last), [9; 512]);
    assert_eq!(read(&sandbox, "sparse1", "12345678"), [0; 512]);
    assert_eq!(sandbox.ok(&["status", "sparse1"]), format!("0 {sectors} snapshot 384/2048 256\n"));
    // More than there is room for is an error.
    let ran = sandbox.run_with(&["write", "sparse1"], &[1; 1 << 20]);
    assert!(!ran.succeeded && ran.stderr.contains("Input/output error"), "{ran:?}");
    assert_eq!(sandbox.ok(&["status", "sparse1"]), format!("0 {sectors} snapshot Invalid\n"));
}

/// The kernel's rule: two tables on one store, only where one hands it over to the other. Which ones wait in inactive slots each
/// command finds in the state.
#[test]
fn a_store_has_one_snapshot_also_between_commands() {
    let sandbox = volume();
    sandbox.ok(&["create", "other", "--notable"]);
    let table = LAYOUT[2].1;
    // To take over from the one at work, which one may.
    sandbox.ok(&["load", "other", "--table", table]);
    assert_eq!(sandbox.ok(&["table", "--inactive", "other"]), "0 2097152 snapshot 240:0 240:1 P 0\n");
    assert_eq!(sandbox.ok(&["status", "--inactive", "other"]), "0 2097152 snapshot 0/204800 0\n");
    for device in ["other", "volumeGroup-snap", "volumeGroup-base"] {
        let refused = sandbox.fails(&["load", device, "--table", table]);
        assert!(
            refused.contains("waits to take it over") && refused.contains("Invalid argument"),
            "{refused}"
        );
    }
    sandbox.ok(&["clear", "other"]);
    sandbox.ok(&["load", "volumeGroup-snap", "--table", table]);
    let refused = sandbox.fails(&["load", "other", "--table", table]);
    assert!(refused.contains("waits to take it over"), "{refused}");
}
