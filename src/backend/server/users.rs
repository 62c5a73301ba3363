//! Who has which device open now.

use super::super::holders::process_name;
use crate::block::{Peer, User};
use crate::dm::Text;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Everyone who has a device open. Opening and closing change it, and no request looks into it.
#[derive(Debug, Default)]
pub(super) struct Users(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    last: u64,
    /// By a number of their own: the device's identity, and who.
    all: BTreeMap<u64, (u64, User)>,
}

impl Users {
    /// Somebody has the device of that identity open, until the number is taken off.
    pub(super) fn add(&self, identity: u64, user: User) -> u64 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.last += 1;
        let number = known.last;
        known.all.insert(number, (identity, user));
        number
    }

    /// He has closed it.
    pub(super) fn remove(&self, number: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all.remove(&number);
    }

    /// Who has that device open, once for each time, with the names of the processes that are still there.
    pub(super) fn of(&self, identity: u64) -> Vec<(User, Option<Text>)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let users = known.all.values().filter(|(of, _)| *of == identity);
        let users: Vec<User> = users.map(|(_, user)| user.clone()).collect();
        drop(known);
        users.into_iter().map(named).collect()
    }
}

fn named(mut user: User) -> (User, Option<Text>) {
    let Peer::Process { pid: Some(pid), .. } = &mut user.peer else { return (user, None) };
    // FUSE names the thread that opened a file.
    let name = process_name(pid);
    (user, name)
}
