//! How a mirror's texts read.

use super::super::texts::{Kind, Part, Texts, flag, one, word};

/// Both of them.
pub(super) const TEXTS: Texts = Texts {
    table: &[
        one("log", Kind::Text, "core, in memory; disk; or another type of log of the kernel's"),
        Part::Count("log_arguments"),
        Part::Within(
            "log_arguments",
            &[Part::Either(&[
                &[REGION, SYNC],
                &[one("log_device", Kind::Device, "the device that holds the log"), REGION, SYNC],
                &[Part::Rest("log_arguments", "the arguments of a log of another type")],
            ])],
        ),
        Part::Count("legs"),
        Part::Each(
            "legs",
            "the devices that have the same data",
            Some("legs"),
            &[
                one("device", Kind::Device, "the device"),
                one("offset_bytes", Kind::Sectors, "where on the device it begins"),
            ],
        ),
        Part::Maybe(&[
            Part::Count("features"),
            Part::Within(
                "features",
                &[Part::Features(&[
                    flag("handle_errors", "a leg that fails is an event, and writes wait"),
                    flag("keep_log", "such writes do not wait, and the log knows where the legs differ"),
                ])],
            ),
        ]),
    ],
    status: &[
        Part::Count("legs"),
        Part::Many(word("devices", Kind::Device, "the legs"), "legs"),
        Part::Ratio(
            word("synced_regions", Kind::Number, "in how many regions the legs are alike"),
            word("region_count", Kind::Number, "how many regions there are"),
        ),
        Part::Fixed("1"),
        Part::Letters(
            "health",
            "for each leg A alive, F failed to flush, D failed to write, S to be synchronized, R failed to read",
        ),
        Part::Count("log"),
        Part::Within(
            "log",
            &[
                one("log", Kind::Text, "the type of the log"),
                Part::Maybe(&[
                    one("log_device", Kind::Device, "the device that holds it"),
                    Part::Letters("log_health", "A alive, F failed to flush, D failed to write"),
                ]),
            ],
        ),
    ],
};

const REGION: Part = one("region_bytes", Kind::Sectors, "the size of a region");
const SYNC: Part =
    Part::Maybe(&[one("sync", Kind::Text, "sync, copy all at first; nosync, take the legs to be alike")]);
