//! The dialects of property lists: against what NetBSD's driver took and said (`tests/proplib/README.md`), against one
//! another, and against chance.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "proplib/bsd.rs"]
mod bsd;
#[path = "proplib/chance.rs"]
mod chance;
#[path = "proplib/dialects.rs"]
mod dialects;
#[path = "proplib/forms.rs"]
mod forms;
#[path = "proplib/page.rs"]
mod page;
#[path = "proplib/replay.rs"]
mod replay;
#[path = "proplib/replies.rs"]
mod replies;
#[path = "proplib/vectors.rs"]
mod vectors;
