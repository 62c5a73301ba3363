//! Reports: rows of fields as columns, as lines for a shell to `eval`, as JSON; sorted and selected.
//!
//! ```text
//! Catalogue ─┐
//! Request ───┴─▶ Report::new ─ add(row), add(row) … ─▶ output: bytes      (or a Refusal: lines for standard error)
//! ```
//!
//! A caller defines [`Field`]s over a row type of its own, asks [`Report::groups`] which of the groups the command line
//! needs, gathers only those, and adds rows. Nothing here asks a driver or writes anywhere.
//!
//! Where dmsetup's own report library has a plain defect, a report that is not [`Request::classic`] mends it:
//!
//! | what | as dmsetup | as rdmsetup |
//! |---|---|---|
//! | `--nameprefixes`, a quote in a value | `DM_NAME='a'b'`, which breaks the shell that evaluates it | `DM_NAME='a'\''b'` |
//! | `-o name,all` | only the group of `name` | every field |
//! | `!(!(x))` in a selection | the same as `!(x)` | the same as `x` |
//! | a fraction in a selection, `util>1.5` | compared as bits | compared as a number |
//! | lists, such as `devs_used` | one text with commas in it | `[a,b]`, `{a}`, `=~` look at the items |
//! | `--separator` and `--noheadings` | a value that holds the separator is not marked | the same: there is no way that readers know |

mod columns;
mod field;
mod help;
mod layout;
mod operators;
mod pattern;
mod rows;
mod select_parser;
mod selection;

pub use field::{Catalogue, Field, Group, Groups, Kind, NoValue, Order, Value};
pub use layout::{Headings, Layout};
pub use rows::{Incomplete, Refusal, Report, Request};

#[cfg(test)]
mod tests;
