//! `holders`: who has a device open.

use crate::sandbox::Sandbox;
use serde_json::json;

#[test]
fn devices_that_stand_on_a_device_hold_it() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "low", "--table", "0 8 zero"]);
    sandbox.ok(&["create", "high", "--table", "0 8 linear low 0"]);
    sandbox.ok(&["create", "wide", "--table", "0 8 linear low 0"]);
    sandbox.ok(&["load", "wide", "--table", "0 4 linear low 0"]);
    let told = "low: open 2 times\n  device \"high\"\n  device \"wide\"\n";
    assert_eq!(sandbox.ok(&["holders", "low"]), told);
    assert_eq!(sandbox.ok(&["holders"]), format!("high: nobody\n{told}wide: nobody\n"));
    let document: serde_json::Value =
        serde_json::from_str(&sandbox.ok(&["holders", "--json", "low"])).unwrap();
    let above = |name: &str| json!({ "kind": "device", "name": name });
    assert_eq!(
        document,
        json!({ "rdmsetup": 1, "command": "holders", "ok": true, "devices": [
            { "name": "low", "open_count": 2, "others": 0, "holders": [above("high"), above("wide")] }
        ]})
    );
    assert!(sandbox.fails(&["holders", "lo"]).contains("did you mean \"low\"?"));
}
