//! `decode`, `--dialect` and `--trace=plist`, as a user has them.

use crate::sandbox::Sandbox;

#[test]
fn every_dialect_gives_the_same_output() {
    let outputs = ["linux", "netbsd", "proposed"].map(|dialect| {
        let sandbox = Sandbox::new();
        sandbox.disk("disk", 1 << 20);
        let run = |words: &[&str]| sandbox.ok(&[&["--dialect", dialect], words].concat());
        run(&["create", "vol0", "--uuid", "U-0", "--table", "0 100 linear disk 8"]);
        let listed = run(&["ls"])
            + &run(&["info", "vol0"])
            + &run(&["table"])
            + &run(&["status"])
            + &run(&["targets"]);
        let failed = sandbox.fails(&["--dialect", dialect, "table", "nosuch"]);
        run(&["suspend", "vol0"]);
        run(&["resume", "vol0"]);
        run(&["rename", "vol0", "vol1"]);
        let deps = run(&["deps", "vol1"]);
        run(&["remove", "vol1"]);
        (listed.replace(&sandbox.path().canonicalize().unwrap().display().to_string(), "HERE"), failed, deps)
    });
    assert!(outputs[0].0.contains("0 100 linear HERE/disk 8"), "{}", outputs[0].0);
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!(outputs[0], outputs[2]);
}

#[test]
fn a_kernel_is_asked_in_its_own_dialect_alone() {
    let sandbox = Sandbox::new();
    let stderr = sandbox.fails(&["--backend", "kernel", "--dialect", "netbsd", "ls"]);
    assert!(stderr.starts_with("rdmsetup: the kernel speaks the linux dialect, not netbsd\n"), "{stderr}");
    let stderr = sandbox.fails(&["--dialect", "klingon", "ls"]);
    assert!(stderr.contains("\"klingon\" is not a dialect: linux, netbsd or proposed"), "{stderr}");
    let stderr = sandbox.fails(&["--dialect", "netbsd", "target-version", "zero"]);
    assert!(stderr.contains("the netbsd dialect has no command for target-version"), "{stderr}");
}

#[test]
fn a_trace_in_property_lists_can_be_decoded() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(&["--trace=plist", "ls"]);
    let begin = ran.stderr.find("<dict>").unwrap();
    let end = ran.stderr.find("</dict>)").unwrap() + "</dict>".len();
    let text = format!("<plist version=\"1.0\">{}</plist>", &ran.stderr[begin..end]);
    let decoded = sandbox.run_with(&["decode"], text.as_bytes());
    let decoded = String::from_utf8(decoded.stdout).unwrap();
    assert!(
        decoded.starts_with("property list, ") && decoded.contains("(--dialect proposed)\n"),
        "{decoded}"
    );
    assert!(decoded.contains("0x4 EXISTS"), "{decoded}");
}

#[test]
fn a_dictionary_is_explained_key_by_key() {
    let sandbox = Sandbox::new();
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proplib/vectors/");
    let file = format!("{vectors}23-table.reply.plist");
    let text = sandbox.ok(&["decode", &file]);
    for part in [
        "bytes, as NetBSD and DragonFly have it (--dialect netbsd)\n",
        "  cmd_data[1].params",
        "\"/dev/wd1a 0\"",
        "DM_TABLE_STATUS, which NetBSD and DragonFly have",
        "0x34 EXISTS|STATUS_TABLE|ACTIVE_PRESENT",
        "NetBSD puts the number of the live slot here, 0 or 1, not a status",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&sandbox.ok(&["decode", "--json", &file])).unwrap();
    let fields = json["fields"].as_array().unwrap();
    assert!(
        fields.iter().any(|field| field["field"] == "cmd_data[0].start" && field["value"] == "0x0"),
        "{json}"
    );
    let stderr = sandbox.fails(&["decode", &format!("{vectors}85-malformed.request.plist")]);
    assert!(stderr.contains("property list: line ") && stderr.ends_with("Command failed.\n"), "{stderr}");
}

#[test]
fn a_linux_buffer_is_explained_field_by_field() {
    let sandbox = Sandbox::new();
    let mut buffer = vec![0; 312];
    buffer[..12].copy_from_slice(&[4_u32, 0, 0].map(u32::to_ne_bytes).concat());
    buffer[12..20].copy_from_slice(&[317_u32, 312].map(u32::to_ne_bytes).concat());
    buffer[28..32].copy_from_slice(&4_u32.to_ne_bytes());
    buffer[48..52].copy_from_slice(b"vol0");
    buffer.extend_from_slice(b"vol1\0");
    std::fs::write(sandbox.path().join("buffer"), &buffer).unwrap();
    let plain = sandbox.ok(&["decode", "buffer"]);
    assert!(
        plain.contains("name          48-175") && plain.contains("which the buffer does not say"),
        "{plain}"
    );
    for ioctl in ["0xc138fd05", "DM_DEV_RENAME", "5"] {
        let text = sandbox.ok(&["decode", "--ioctl", ioctl, "buffer"]);
        assert!(text.contains("a request of DM_DEV_RENAME") && text.contains("\"vol1\""), "{text}");
    }
    let text = sandbox.ok(&["decode", "--ioctl", "DM_TABLE_DEPS", "--reply", "buffer"]);
    assert!(text.contains("cannot be read"), "{text}");
    std::fs::write(sandbox.path().join("short"), &buffer[..100]).unwrap();
    let stderr = sandbox.fails(&["decode", "short"]);
    assert!(stderr.starts_with("rdmsetup: \"short\": header: 305 bytes long, the buffer 100\n"), "{stderr}");
    assert!(sandbox.fails(&["decode", "nosuch"]).contains("cannot read \"nosuch\": No such file"));
    assert!(sandbox.fails(&["decode", "--ioctl", "x", "buffer"]).contains("not an ioctl of device-mapper"));
}
