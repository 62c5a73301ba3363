//! How a multipath's texts read.

use super::super::texts::{Feature, Form, Kind, Part, Texts, flag, one, word};

/// Both of them.
pub(super) const TEXTS: Texts = Texts {
    table: &[
        Part::Count("features"),
        Part::Within("features", FEATURES),
        Part::Count("handler"),
        Part::Many(
            word("hardware_handler", Kind::Text, "the handler that prepares paths, and its arguments"),
            "handler",
        ),
        Part::Count("groups"),
        one("first_group", Kind::Number, "the group to begin with, from 1; 0 if there is none"),
        Part::Each(
            "groups",
            "the groups of paths",
            Some("groups"),
            &[
                one("selector", Kind::Text, "how requests are dealt to its paths"),
                Part::Count("selector"),
                Part::Many(word("selector_arguments", Kind::Text, "the selector's arguments"), "selector"),
                Part::Count("paths"),
                Part::Count("arguments"),
                Part::Each(
                    "paths",
                    "its paths",
                    Some("paths"),
                    &[
                        one("device", Kind::Device, "the device at its end"),
                        Part::Many(
                            word("arguments", Kind::Text, "what the selector is told of it"),
                            "arguments",
                        ),
                    ],
                ),
            ],
        ),
    ],
    status: &[
        Part::Count("state"),
        Part::Within(
            "state",
            &[
                one("queued", Kind::Number, "whether requests wait: 1, or how many"),
                one("group_inits", Kind::Number, "how often a group was prepared"),
            ],
        ),
        Part::Count("handler"),
        Part::Many(word("hardware_handler", Kind::Text, "what the handler tells"), "handler"),
        Part::Count("groups"),
        one("next_group", Kind::Number, "the group in use, or to be used next, from 1"),
        Part::Each(
            "groups",
            "the groups of paths",
            Some("groups"),
            &[
                one("state", Kind::Text, "A in use, E enabled, D disabled"),
                Part::Count("selector"),
                Part::Many(
                    word("selector_status", Kind::Text, "what the selector tells of the group"),
                    "selector",
                ),
                Part::Count("paths"),
                Part::Count("status"),
                Part::Each(
                    "paths",
                    "its paths",
                    Some("paths"),
                    &[
                        one("device", Kind::Device, "the device at its end"),
                        one("state", Kind::Text, "A active, F failed"),
                        one("failures", Kind::Number, "how often it failed"),
                        Part::Many(
                            word("selector_status", Kind::Text, "what the selector tells of it"),
                            "status",
                        ),
                    ],
                ),
            ],
        ),
    ],
};

const FEATURES: Form = &[Part::Features(&[
    flag("queue_if_no_path", "requests wait when there is no path"),
    flag("retain_attached_hw_handler", "a handler that is there stays"),
    Feature {
        word: "pg_init_retries",
        means: "how often a group is prepared again",
        form: &[one("pg_init_retries", Kind::Number, "how often a group is prepared again")],
    },
    Feature {
        word: "pg_init_delay_msecs",
        means: "the milliseconds before that",
        form: &[one("pg_init_delay_msecs", Kind::Number, "the milliseconds before that")],
    },
    Feature {
        word: "queue_mode",
        means: "bio, rq or mq",
        form: &[one("queue_mode", Kind::Text, "bio, rq or mq")],
    },
])];
