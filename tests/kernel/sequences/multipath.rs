//! `multipath`, over paths that are alike, and over some that fail here and there.
//!
//! Over bios for the most part: the kernel has no other multipath over devices of its own, and none changes from one to the
//! other. Nor are there sequences with `queue_if_no_path`: one thread plays them, and it would wait.

use super::{Device, Kind, Rng, run};

struct Multipath;

/// Sectors of each path.
const SIZE: u64 = 400;

impl Multipath {
    fn table(rng: &mut Rng, is_bio: bool) -> String {
        let mut text = format!("0 {} multipath", rng.within(100, SIZE));
        let (bio, requests) = (
            &[
                " 2 queue_mode bio",
                " 3 queue_mode bio retain_attached_hw_handler",
                " 4 pg_init_retries 7 queue_mode BIO",
                " 6 queue_mode bio pg_init_retries 50 pg_init_delay_msecs 0",
            ],
            &[" 0", " 2 queue_mode rq", " 1 retain_attached_hw_handler", " 2 pg_init_retries 1"],
        );
        text += *rng.pick(if is_bio { bio } else { requests });
        text += *rng.pick(&[" 0", " 1 alua", if is_bio { " 3 emc 1 2" } else { " 1 rdac" }]);
        let groups = rng.within(1, 3);
        text += &format!(" {groups} {}", rng.within(1, groups));
        for _ in 0..groups {
            let paths = rng.within(1, 3);
            let (selector, arguments) = *rng.pick(&[
                ("round-robin 0", 0),
                ("round-robin 0", 1),
                ("queue-length 0", 1),
                ("service-time 0", 0),
                ("service-time 1 x", 2),
            ]);
            text += &format!(" {selector} {paths} {arguments}");
            for _ in 0..paths {
                text += if is_bio { *rng.pick(&[" @one", " @two", " @bad"]) } else { " A" };
                for argument in 0..arguments {
                    let words: &[&str] = if argument == 0 { &["1", "0", "1000"] } else { &["1", "0", "100"] };
                    text += &format!(" {}", rng.pick(words));
                }
            }
        }
        text
    }
}

impl Kind for Multipath {
    fn devices(&self, rng: &mut Rng) -> Vec<Device> {
        let still = |name, table: &str| Device::below(name, table);
        vec![
            still("one", "0 400 linear A 0"),
            still("two", "0 400 linear A 0"),
            still("bad", "0 200 linear A 0\n200 8 error\n208 192 linear A 208"),
            Device::new("vol", {
                let is_bio = rng.chance(3, 4);
                Self::table(rng, is_bio)
            }),
        ]
    }

    fn reload(&self, rng: &mut Rng, device: &Device) -> String {
        let is_bio = device.table.to_ascii_lowercase().contains("bio");
        if device.name == "vol" { Self::table(rng, is_bio) } else { device.table.clone() }
    }

    fn message(&self, rng: &mut Rng, _device: &Device) -> Option<(u64, String)> {
        let path = *rng.pick(&["@one", "@two", "@bad", "@vol", "A"]);
        let group = *rng.pick(&["0", "1", "2", "3", "4", "x", "-1", "1x"]);
        let message = match rng.below(12) {
            0..2 => format!("fail_path {path}"),
            2..5 => format!("reinstate_path {path}"),
            5 => format!("switch_group {group}"),
            6 => format!("enable_group {group}"),
            7 => format!("DISABLE_group {group}"),
            8 => "fail_if_no_path".into(),
            9 => "queue_if_no_path now".into(),
            10 => "nonsense".into(),
            _ => "fail_path".into(),
        };
        Some((0, message))
    }
}

#[test]
fn random_sequences_give_what_the_kernel_gives() {
    run("sequences::multipath::random_sequences_give_what_the_kernel_gives", &Multipath);
}
