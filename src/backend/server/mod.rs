//! A running mapper: its state is this process's until it ends, its devices are there to be exported, and other processes
//! send it ioctls through its control socket.
//!
//! ```text
//! control.sock ─ accept ─▶ a thread a connection ─┬─ ioctls ─▶ Mapper (one at a time; who waits, waits outside)
//!                                                 └─ I/O of an opened device ─┐
//! exports ─ Volumes: list, open ─▶ Volume ─────────────────────────────────────▶ the data path, no lock
//! ```

mod connection;
mod listener;
mod users;

pub use listener::Listener;

use crate::block::{BlockDevice, User, VolumeInfo, Volumes};
use crate::dm::{DeviceId, Errno, Fault, Text};
use crate::mapper::{Catalog, LockedState, Mapper, StateDir};
use arc_swap::ArcSwap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use users::Users;

/// A mapper that is served.
#[derive(Debug)]
pub struct Server {
    /// To hand to volumes, which tell when they are closed.
    own: Weak<Self>,
    mapper: Mutex<Mapper>,
    /// The devices for who only looks.
    catalog: ArcSwap<Catalog>,
    state: LockedState,
    /// Held while the state is being written, so that no older one takes the place of a newer one.
    saving: Mutex<()>,
    /// A device waits for its last closing, to be removed.
    has_deferred: AtomicBool,
    users: Users,
}

/// A server that begins: what is told of devices that cannot be served.
#[derive(Debug)]
pub struct Started {
    /// The server.
    pub server: Arc<Server>,
    /// Who takes in connections; connections wait until it runs.
    pub listener: Listener,
    /// Each device whose disks cannot be opened, and why: its I/O fails.
    pub broken: Vec<(Text, Fault)>,
}

impl Server {
    /// Takes the state of that directory, which is made if need be, and begins to listen on its control socket or on the
    /// one that was handed over.
    ///
    /// # Errors
    /// EBUSY when a server has the state; what stands in the way of the state or the socket.
    pub fn start(
        dir: &StateDir,
        inherited: Option<std::os::unix::net::UnixListener>,
    ) -> Result<Started, Fault> {
        let gone = || Fault::new(Errno::ENOENT, "the state directory went away");
        let turn = dir.lock(true)?.ok_or_else(gone)?;
        let state = turn.serve()?.ok_or_else(|| {
            let path = turn.socket_path();
            Fault::new(Errno::EBUSY, format!("a server runs already: it listens at \"{}\"", path.display()))
        })?;
        let mut mapper = state.load()?;
        let broken = mapper.serve();
        if mapper.is_changed() {
            // Before any I/O: what a target must remember of a server that is killed is that it served.
            state.save(&mapper)?;
            mapper.saved();
        }
        let listener = Listener::new(state.socket_path(), inherited)?;
        // Whoever has the turn next finds the server.
        drop(turn);
        let server = Arc::new_cyclic(|own| Self {
            own: own.clone(),
            catalog: ArcSwap::from_pointee(mapper.catalog()),
            has_deferred: AtomicBool::new(mapper.has_deferred()),
            mapper: Mutex::new(mapper),
            state,
            saving: Mutex::new(()),
            users: Users::default(),
        });
        Ok(Started { server, listener, broken })
    }

    /// Where it listens.
    pub fn socket_path(&self) -> PathBuf {
        self.state.socket_path()
    }

    fn mapper(&self) -> MutexGuard<'_, Mapper> {
        self.mapper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what a command has changed to those who look without the lock.
    fn publish(&self, mapper: &mut Mapper) {
        if !mapper.is_changed() {
            return;
        }
        self.has_deferred.store(mapper.has_deferred(), Ordering::SeqCst);
        if mapper.has_deferred() {
            // It may have been closed before that was to be seen.
            mapper.closed();
        }
        self.catalog.store(Arc::new(mapper.catalog()));
    }

    /// Saves what has changed since it was saved last.
    ///
    /// # Errors
    /// The state cannot be written: the file is as it was, and the next commit tries again.
    pub fn commit(&self) -> Result<(), Fault> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let mut mapper = self.mapper();
        if !mapper.is_changed() {
            return Ok(());
        }
        let state = mapper.state();
        mapper.saved();
        // The disk is slow, and nobody else need wait for it.
        drop(mapper);
        self.state.save_state(&state).inspect_err(|_| self.mapper().not_saved())
    }

    /// A device was closed.
    fn closed(&self) {
        if self.has_deferred.load(Ordering::SeqCst) {
            let mut mapper = self.mapper();
            mapper.closed();
            self.publish(&mut mapper);
            drop(mapper);
            // What cannot be saved now is with the next command, which is told.
            let _ = self.commit();
        }
    }

    fn open_device(&self, id: &DeviceId, writable: bool, user: User) -> Result<Arc<dyn BlockDevice>, Fault> {
        let own = self.own.clone();
        let mut mapper = self.mapper();
        let volume = mapper.volume(id, writable)?;
        let number = self.users.add(mapper.identity_of(id)?, user);
        drop(mapper);
        Ok(Arc::new(volume.on_close(move || {
            if let Some(server) = own.upgrade() {
                server.users.remove(number);
                server.closed();
            }
        })))
    }

    /// Who has a device open, once for each time, and the names of processes.
    fn users(&self, id: &DeviceId) -> Result<Vec<(User, Option<Text>)>, Fault> {
        let identity = self.mapper().identity_of(id)?;
        Ok(self.users.of(identity))
    }

    /// Fails the I/O that suspended devices hold, so that who waits for it can end.
    pub fn fail_held(&self) {
        self.mapper().fail_held();
    }

    /// Ends the service when nobody is connected any more: flushes every device and saves the state. Gives what went
    /// wrong, with the device where it was one's.
    pub fn retire(&self) -> Vec<(Text, Fault)> {
        let mut failed = self.mapper().retire();
        failed.extend(self.commit().err().map(|fault| (Text::new(), fault)));
        failed
    }
}

impl Volumes for Server {
    fn list(&self) -> Vec<VolumeInfo> {
        self.catalog.load().list()
    }

    fn find(&self, name: &Text) -> Option<VolumeInfo> {
        self.catalog.load().find(name)
    }

    fn by_identity(&self, identity: u64) -> Option<VolumeInfo> {
        self.catalog.load().by_identity(identity)
    }

    fn open(&self, identity: u64, writable: bool, user: User) -> Result<Arc<dyn BlockDevice>, Fault> {
        let name = self.mapper().name_of(identity).cloned();
        let name = name.ok_or_else(|| Fault::new(Errno::ENXIO, "the device is gone"))?;
        self.open_device(&DeviceId::by_name(name), writable, user)
    }
}
