//! Target types that kernels have and the mapper has not: how their texts read, for programs that manage the kernel's devices.
//!
//! Source: the `status` functions of the kernel's drivers/md/dm-*.c and its Documentation/admin-guide/device-mapper. What a later
//! kernel adds to a text, these do not read: the text itself is always told beside its fields.

use super::texts::{EMPTY, Feature, Form, Kind, Part, Texts, flag, one, word};

/// The types by name.
pub static FOREIGN: &[(&str, Texts)] = &[
    ("cache", Texts { table: CACHE, status: CACHE_STATUS }),
    ("clone", Texts { table: CLONE, status: CLONE_STATUS }),
    ("crypt", Texts { table: CRYPT, status: EMPTY }),
    ("ebs", Texts { table: EBS, status: EMPTY }),
    ("era", Texts { table: ERA, status: ERA_STATUS }),
    ("integrity", Texts { table: INTEGRITY, status: INTEGRITY_STATUS }),
    ("raid", Texts { table: RAID, status: RAID_STATUS }),
    ("thin", Texts { table: THIN, status: THIN_STATUS }),
    ("thin-pool", Texts { table: POOL, status: POOL_STATUS }),
    ("verity", Texts { table: VERITY, status: VERITY_STATUS }),
    ("writecache", Texts { table: WRITECACHE, status: WRITECACHE_STATUS }),
];

const DEVICE: Part = one("device", Kind::Device, "the device under it");
const OFFSET: Part = one("offset_bytes", Kind::Sectors, "where on the device it begins");
const METADATA: Part = one("metadata_device", Kind::Device, "the device that holds the metadata");
const BLOCK: Part = one("block_bytes", Kind::Sectors, "the size of a block");
const METADATA_BLOCK: Part = one("metadata_block_bytes", Kind::Sectors, "the size of a block of metadata");
const METADATA_USE: Part = Part::Ratio(
    word("used_metadata_blocks", Kind::Number, "blocks of metadata in use"),
    word("metadata_blocks", Kind::Number, "blocks of metadata that there are"),
);
const MODE: Part = one("metadata_mode", Kind::Text, "rw, ro or Fail");
/// In the place of all else, where the target has given up.
const STATE: Form = &[Part::Rest("state", "in place of all else: Fail or Error")];
/// Options that are not told apart.
const OPTIONS: Form =
    &[Part::Count("options"), Part::Many(word("options", Kind::Text, "options and their values"), "options")];

const CRYPT: Form = &[
    one("cipher", Kind::Text, "the cipher, its mode and how sectors are numbered for it"),
    one(
        "key",
        Kind::Text,
        "the key in hexadecimal, zeros where it is not to be shown, or the name of one in a keyring",
    ),
    one("iv_offset_bytes", Kind::Sectors, "what is added to a sector's number for the cipher"),
    DEVICE,
    OFFSET,
    Part::Maybe(&[
        Part::Count("features"),
        Part::Within(
            "features",
            &[Part::Features(&[
                flag("allow_discards", "discards are passed on"),
                flag("same_cpu_crypt", "the CPU that asks also encrypts"),
                flag("submit_from_crypt_cpus", "the CPU that encrypts also submits"),
                flag("no_read_workqueue", "reads are decrypted at once"),
                flag("no_write_workqueue", "writes are encrypted at once"),
                flag("high_priority", "encryption has a high priority"),
                flag("iv_large_sectors", "sectors are numbered by their own size"),
                Feature {
                    word: "integrity:",
                    means: "the bytes of a tag for each sector, and its kind",
                    form: &[one("integrity", Kind::Text, "the bytes of a tag for each sector, and its kind")],
                },
                Feature {
                    word: "integrity_key_size:",
                    means: "the bytes of the tag's key",
                    form: &[one("integrity_key_size", Kind::Number, "the bytes of the tag's key")],
                },
                Feature {
                    word: "sector_size:",
                    means: "the bytes that are encrypted as one",
                    form: &[one("sector_size", Kind::Number, "the bytes that are encrypted as one")],
                },
            ])],
        ),
    ]),
];

const THIN: Form = &[
    one("pool_device", Kind::Device, "the pool"),
    one("device_id", Kind::Number, "its number in the pool"),
    Part::Maybe(&[one("external_origin", Kind::Device, "the device that is read where nothing was written")]),
];
const THIN_STATUS: Form = &[Part::Either(&[
    &[
        one("mapped_bytes", Kind::Sectors, "how much of it has room in the pool"),
        one("highest_mapped_bytes", Kind::OrNone(&Kind::Sectors), "the last sector that has"),
    ],
    STATE,
])];

const POOL: Form = &[
    METADATA,
    one("data_device", Kind::Device, "the device that holds the data"),
    BLOCK,
    one("low_water_blocks", Kind::Number, "fewer free blocks than this are an event"),
    Part::Maybe(&[
        Part::Count("features"),
        Part::Within(
            "features",
            &[Part::Features(&[
                flag("skip_block_zeroing", "new blocks are not zeroed"),
                flag("ignore_discard", "discards do nothing"),
                flag("no_discard_passdown", "discards free blocks and go no further"),
                flag("read_only", "the pool is not to be changed"),
                flag("error_if_no_space", "writes without room fail and do not wait"),
            ])],
        ),
    ]),
];
const POOL_STATUS: Form = &[Part::Either(&[
    &[
        one("transaction_id", Kind::Number, "the number that its user keeps there"),
        METADATA_USE,
        Part::Ratio(
            word("used_data_blocks", Kind::Number, "blocks of data in use"),
            word("data_blocks", Kind::Number, "blocks of data that there are"),
        ),
        one(
            "held_metadata_root",
            Kind::OrNone(&Kind::Number),
            "the block of the metadata that is held for a reader",
        ),
        one("mode", Kind::Text, "rw, ro or out_of_data_space"),
        one("discard", Kind::Text, "discard_passdown, no_discard_passdown or ignore_discard"),
        Part::Maybe(&[
            one("no_space", Kind::Text, "what happens without room: queue_if_no_space or error_if_no_space"),
            Part::Maybe(&[
                one("check", Kind::OrNone(&Kind::Text), "needs_check if the metadata have to be checked"),
                Part::Maybe(&[one(
                    "metadata_low_water_blocks",
                    Kind::Number,
                    "fewer free blocks of metadata are an event",
                )]),
            ]),
        ]),
    ],
    STATE,
])];

const CACHE: Form = &[
    METADATA,
    one("cache_device", Kind::Device, "the fast device"),
    one("origin", Kind::Device, "the slow device"),
    BLOCK,
    Part::Count("features"),
    Part::Many(
        word("features", Kind::Text, "writethrough, writeback, passthrough, metadata2, no_discard_passdown"),
        "features",
    ),
    one("policy", Kind::Text, "what decides which blocks are kept"),
    Part::Count("policy"),
    Part::Many(word("policy_arguments", Kind::Text, "its settings, names and values"), "policy"),
];
const CACHE_STATUS: Form = &[Part::Either(&[
    &[
        METADATA_BLOCK,
        METADATA_USE,
        BLOCK,
        Part::Ratio(
            word("used_blocks", Kind::Number, "blocks of the cache in use"),
            word("blocks", Kind::Number, "blocks of the cache that there are"),
        ),
        one("read_hits", Kind::Number, "reads that the cache had"),
        one("read_misses", Kind::Number, "reads that it had not"),
        one("write_hits", Kind::Number, "writes that the cache had"),
        one("write_misses", Kind::Number, "writes that it had not"),
        one("demotions", Kind::Number, "blocks that were moved out of it"),
        one("promotions", Kind::Number, "blocks that were moved into it"),
        one("dirty_blocks", Kind::Number, "blocks that the origin has not yet"),
        Part::Count("features"),
        Part::Many(word("features", Kind::Text, "as in the table"), "features"),
        Part::Count("core"),
        Part::Many(word("core_arguments", Kind::Text, "settings of the cache, names and values"), "core"),
        one("policy", Kind::Text, "what decides which blocks are kept"),
        Part::Count("policy"),
        Part::Many(word("policy_arguments", Kind::Text, "its settings, names and values"), "policy"),
        MODE,
        Part::Maybe(&[one(
            "check",
            Kind::OrNone(&Kind::Text),
            "needs_check if the metadata have to be checked",
        )]),
    ],
    STATE,
])];

const CLONE: Form = &[
    METADATA,
    one("device", Kind::Device, "the device that is filled"),
    one("source_device", Kind::Device, "the device that is copied"),
    one("region_bytes", Kind::Sectors, "the size of a region"),
    Part::Maybe(&[
        Part::Count("features"),
        Part::Many(word("features", Kind::Text, "no_hydration, no_discard_passdown"), "features"),
        Part::Maybe(&[
            Part::Count("core"),
            Part::Many(word("core_arguments", Kind::Text, "settings, names and values"), "core"),
        ]),
    ]),
];
const CLONE_STATUS: Form = &[Part::Either(&[
    &[
        METADATA_BLOCK,
        METADATA_USE,
        one("region_bytes", Kind::Sectors, "the size of a region"),
        Part::Ratio(
            word("hydrated_regions", Kind::Number, "regions that are copied"),
            word("region_count", Kind::Number, "regions that there are"),
        ),
        one("hydrating_regions", Kind::Number, "regions that are being copied"),
        Part::Count("features"),
        Part::Many(word("features", Kind::Text, "as in the table"), "features"),
        Part::Count("core"),
        Part::Many(word("core_arguments", Kind::Text, "settings, names and values"), "core"),
        MODE,
    ],
    STATE,
])];

const ERA: Form = &[METADATA, one("origin", Kind::Device, "the device under it"), BLOCK];
const ERA_STATUS: Form = &[Part::Either(&[
    &[
        METADATA_BLOCK,
        METADATA_USE,
        one("current_era", Kind::Number, "the era that is now"),
        one(
            "held_metadata_root",
            Kind::OrNone(&Kind::Number),
            "the block of the metadata that is held for a reader",
        ),
    ],
    STATE,
])];

const EBS: Form = &[
    DEVICE,
    OFFSET,
    one("emulated_block_bytes", Kind::Sectors, "the size of a block that it shows"),
    Part::Maybe(&[one("block_bytes", Kind::Sectors, "the size of a block of the device")]),
];

const RAID: Form = &[
    one("raid_type", Kind::Text, "as in raid1, raid5_ls, raid6_zr"),
    Part::Count("arguments"),
    Part::Many(word("arguments", Kind::Text, "the size of a chunk in sectors, and settings"), "arguments"),
    Part::Count("legs"),
    Part::Each(
        "legs",
        "the devices of the array",
        Some("legs"),
        &[
            one("metadata_device", Kind::OrNone(&Kind::Device), "the device that holds its metadata"),
            one(
                "device",
                Kind::OrNone(&Kind::Device),
                "the device that holds its data; none where it is missing",
            ),
        ],
    ),
];
const RAID_STATUS: Form = &[
    one("raid_type", Kind::Text, "as in raid1, raid5_ls, raid6_zr"),
    one("leg_count", Kind::Number, "the devices of the array"),
    Part::Letters("health", "for each A alive and in sync, a alive, D dead, - not there"),
    Part::Ratio(
        word("synced_bytes", Kind::Sectors, "how much is in sync, or was gone through"),
        word("sync_bytes", Kind::Sectors, "of how much"),
    ),
    one("sync_action", Kind::Text, "idle, frozen, resync, recover, check, repair or reshape"),
    one("mismatch_count", Kind::Number, "what a check found to differ"),
    Part::Maybe(&[
        one("data_offset_bytes", Kind::Sectors, "where the data begin on each device"),
        Part::Maybe(&[one("journal", Kind::OrNone(&Kind::Text), "A writethrough, a writeback, D dead")]),
    ]),
];

const VERITY: Form = &[
    one("version", Kind::Number, "of the form of the hashes on the device"),
    DEVICE,
    one("hash_device", Kind::Device, "the device that holds the hashes"),
    one("data_block_bytes", Kind::Number, "the size of a block of data"),
    one("hash_block_bytes", Kind::Number, "the size of a block of hashes"),
    one("data_blocks", Kind::Number, "how many blocks of data there are"),
    one("hash_start_block", Kind::Number, "the block of the hash device at which the hashes begin"),
    one("algorithm", Kind::Text, "what the hashes are computed by"),
    one("root_digest", Kind::Text, "the hash of all of them, in hexadecimal"),
    one("salt", Kind::OrNone(&Kind::Text), "what is hashed with each block, in hexadecimal"),
    Part::Maybe(OPTIONS),
];
const VERITY_STATUS: Form = &[one("state", Kind::Text, "V verified so far, C corrupted")];

const INTEGRITY: Form = &[
    DEVICE,
    one("reserved_bytes", Kind::Sectors, "what is left free at the beginning of the device"),
    one("tag_size", Kind::OrNone(&Kind::Number), "the bytes of a tag; that of the hash if none is given"),
    one("mode", Kind::Text, "D direct, J journal, B bitmap, I inline, R recovery"),
    Part::Count("options"),
    Part::Many(
        word(
            "options",
            Kind::Text,
            "options and their values; keys are zeros where they are not to be shown",
        ),
        "options",
    ),
];
const INTEGRITY_STATUS: Form = &[
    one("mismatch_count", Kind::Number, "how many tags did not match"),
    one("provided_bytes", Kind::Sectors, "the size that can be used"),
    one(
        "recalculated_bytes",
        Kind::OrNone(&Kind::Sectors),
        "how far tags were computed anew, while they are",
    ),
];

const WRITECACHE: Form = &[
    one("kind", Kind::Text, "p persistent memory, s a disk"),
    one("origin", Kind::Device, "the slow device"),
    one("cache_device", Kind::Device, "the fast device"),
    one("block_bytes", Kind::Number, "the size of a block"),
    Part::Count("options"),
    Part::Many(word("options", Kind::Text, "options and their values"), "options"),
];
const WRITECACHE_STATUS: Form = &[
    one("error", Kind::Number, "whether there was an error: 0 for none"),
    one("blocks", Kind::Number, "blocks that there are"),
    one("free_blocks", Kind::Number, "blocks that are free"),
    one("writeback_blocks", Kind::Number, "blocks that are being written back"),
    Part::Maybe(&[
        one("read_blocks", Kind::Number, "blocks that were read"),
        one("read_hits", Kind::Number, "of these, those that the cache had"),
        one("write_blocks", Kind::Number, "blocks that were written"),
        one("write_hits_uncommitted", Kind::Number, "of these, those that were not committed yet"),
        one("write_hits_committed", Kind::Number, "those that were"),
        one("write_around_blocks", Kind::Number, "those that went past the cache"),
        one("write_allocated_blocks", Kind::Number, "those that took a free block"),
        one("waits_for_free_block", Kind::Number, "writes that waited for one"),
        one("flushes", Kind::Number, "flushes"),
        one("discards", Kind::Number, "blocks that were discarded"),
    ]),
];

#[cfg(test)]
mod tests {
    use super::super::{decode, texts};
    use crate::dm::Text;

    /// Texts as kernels print them, of each type its table and a status.
    const REAL: &[(&str, &str, &str)] = &[
        ("crypt", "aes-xts-plain64 00000000 0 7:0 4096 2 allow_discards sector_size:4096", ""),
        ("crypt", "capi:authenc(hmac(sha256),xts(aes))-random :96:logon:k 0 7:0 0 1 integrity:48:aead", ""),
        ("thin", "253:2 1", "18432 20479"),
        ("thin", "253:2 2 253:5", "0 -"),
        ("thin", "253:2 2", "Fail"),
        (
            "thin-pool",
            "253:0 253:1 128 32768 1 skip_block_zeroing ",
            "0 12/1024 144/8192 - rw discard_passdown queue_if_no_space - 1024 ",
        ),
        (
            "thin-pool",
            "253:0 253:1 128 0 0 ",
            "1 12/1024 144/8192 7 out_of_data_space no_discard_passdown error_if_no_space needs_check 64",
        ),
        (
            "cache",
            "253:0 253:1 253:2 512 1 writethrough smq 0",
            "8 27/4096 512 0/200 0 4 0 0 0 0 0 2 metadata2 writethrough 2 migration_threshold 4096 smq 0 rw - ",
        ),
        ("raid", "raid1 3 0 region_size 1024 2 253:0 253:1 - -", "raid1 2 Aa 512/102400 recover 0 0 -"),
        ("raid", "raid5_ls 1 128 3 - 7:0 - 7:1 - 7:2", "raid5_ls 3 AAA 409600/409600 idle 0"),
        ("verity", "1 7:0 7:1 4096 4096 256 1 sha256 0a1b 0000 1 ignore_corruption", "V"),
        ("verity", "1 7:0 7:1 4096 4096 256 1 sha256 0a1b -", "C"),
        ("integrity", "7:0 0 32 J 3 journal_sectors:88 internal_hash:sha256 block_size:512", "0 1048576 -"),
        ("era", "253:0 253:1 256", "8 12/1024 3 -"),
        ("writecache", "s 253:0 253:1 4096 0", "0 1000 1000 0 0 0 0 0 0 0 0 0 0 0"),
        (
            "clone",
            "253:0 253:1 253:2 8 1 no_hydration",
            "8 7/1024 8 0/128 0 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw",
        ),
        ("ebs", "7:0 0 1 8", ""),
    ];

    #[test]
    fn texts_of_kernels_are_read_to_their_last_word() {
        for (name, table, status) in REAL {
            let texts = texts(name.as_bytes()).unwrap();
            assert!(decode(texts.table, &Text::from(*table).words()).is_some(), "{name} {table}");
            assert!(decode(texts.status, &Text::from(*status).words()).is_some(), "{name} {status}");
        }
        for (name, _) in super::FOREIGN {
            assert!(REAL.iter().any(|(known, ..)| known == name), "{name} is not tried");
            assert!(super::super::find(name.as_bytes()).is_none(), "{name} is the mapper's too");
        }
    }
}
