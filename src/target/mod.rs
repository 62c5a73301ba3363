//! The kinds of mapping: the list of them, and what each has to answer.
//!
//! A target is one file here that ends in its static [`TargetType`], and one word in the list below. A target knows
//! the range that it maps, its arguments and the devices that they name; it knows no other target, no mapper and no
//! device's state. What it is asked lies within its range, since the mapper's referee has looked.
//!
//! A [`Target`] says *where* ([`Target::strategy`]), so most never touch data: only what it says to
//! [`Mapping::Handle`] comes to its own `read` and `write`.
#![forbid(unsafe_code)]

mod decode;
mod foreign;
mod init;
mod mapping;
mod shared;
mod texts;

pub use decode::{Decoded, Record, decode};
pub use foreign::FOREIGN;
pub use init::Init;
pub use mapping::{Ended, Mapping, Operation, Used};
pub use shared::Shared;
pub use texts::{Feature, Form, Kind, OTHER, Part, Texts, Word};

use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, Fault, Role, Sectors, Text, Version};
use std::fmt::Debug;
use std::ops::Range;

/// Where a target tells of what happens to it outside of any request, as at the end of work in the background.
pub trait Events: Debug + Send + Sync {
    /// An event of the device, for which `wait` waits.
    fn signal(&self);

    /// Holds the device's I/O, lets what is in flight end, does `then`, and lets I/O go on; whoever had it held before
    /// still has. `false`, and `then` was not done, if I/O in flight did not end within seconds.
    fn quiesce(&self, then: &mut dyn FnMut()) -> bool {
        then();
        true
    }
}

/// Declares the file of each target and the list of them all; a folder with several has their names in brackets.
/// (`cargo fmt` does not look inside: give it the files.)
macro_rules! targets {
    (@list [$($done:tt)*]) => { &[$($done)*] };
    (@list [$($done:tt)*] $name:ident ($($own:ident)+) $($rest:tt)*) => {
        targets!(@list [$($done)* $(&$name::$own,)+] $($rest)*)
    };
    (@list [$($done:tt)*] $name:ident $($rest:tt)*) => {
        targets!(@list [$($done)* &$name::TARGET,] $($rest)*)
    };
    ($($name:ident $(($($own:ident)+))?)*) => {
        $(mod $name;)*

        /// Every kind of mapping, in the order in which the kernel lists them: what was added last comes first.
        pub static TARGETS: &[&TargetType] = targets!(@list [] $($name $(($($own)+))?)*);
    };
}

targets! { multipath mirror log_writes dust flakey delay unstriped switch snapshot(MERGE ORIGIN SNAPSHOT) zero striped linear error }

/// A kind of mapping: what a table line may name, and how one is made.
#[derive(Debug)]
pub struct TargetType {
    /// What a table line calls it: 1 to 15 bytes.
    pub name: &'static str,
    /// The version of the kernel's target whose arguments and status these are.
    pub version: Version,
    /// The arguments, as in a usage line: `DEVICE SECTOR`. Empty if it takes none.
    pub usage: &'static str,
    /// What it is for and what its arguments mean: a few sentences for the manual and for help.
    pub help: &'static str,
    /// What the words of a line's parameters are, for those who read and show tables: as many as there are words. They may
    /// be wrong, and too few.
    pub roles: fn(&[Text]) -> Vec<Role>,
    /// A whole table line that uses it, for the manual; tests make it.
    pub example: &'static str,
    /// Whether messages, or being suspended, change what [`Target::params`] says.
    pub rewords: bool,
    /// What its parameters and its status say, for programs that read them.
    pub texts: Texts,
    /// Makes one from a table line. A refusal has the errno that the kernel's has.
    pub init: fn(&mut Init<'_>) -> Result<Box<dyn Target>, Fault>,
}

/// Reads a range from a sector of a device on: see [`Target::lend`].
pub type Lent<'a> = dyn FnMut(&Pdev, Sectors) -> Result<(), Errno> + 'a;

/// One table line at work. Dropping it gives its devices back.
///
/// Its own `read`, `write`, `discard`, `write_zeroes` and `flush` may return [`AGAIN`](crate::block::AGAIN): nothing was done,
/// and it is to be asked anew.
///
/// Sectors are counted from the target's start and lie within its length; lengths are above 0.
pub trait Target: Debug + Send + Sync {
    /// Where the operation goes, for as much of the range from `sector` on as one answer covers: at least 1 sector,
    /// at most `length`. Required.
    fn strategy(&self, operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_>;

    /// The parameters as the kernel prints them in a table; `init` makes an equal target from them. Required.
    ///
    /// `name` says how a device is written, as one word: `MAJOR:MINOR`, or a path with its blanks escaped.
    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text;

    /// The status as the kernel prints it; by default empty, as for most.
    fn status(&self, _name: &dyn Fn(&Pdev) -> Text) -> Text {
        Text::new()
    }

    /// The devices under it and the range that it uses of each, in the order of its arguments; by default none.
    ///
    /// The mapper checks that they are large enough and aligned, flushes them, and reports them as dependencies.
    fn pdevs(&self) -> Vec<Used<'_>> {
        Vec::new()
    }

    /// Whether it is a window onto its one device: all of it is there, from where [`Target::pdevs`] says, whatever is done
    /// to it, so that who reads the device there reads the target. By default not.
    fn is_window(&self) -> bool {
        false
    }

    /// Obeys a message, with an answer if there is one; by default EINVAL.
    fn message(&self, _words: &[Text]) -> Result<Option<Text>, Fault> {
        Err(Fault::invalid("a target of this type takes no messages"))
    }

    /// Learns that I/O of that length begins on `pdev`, where it had sent it. By default nothing.
    fn start_io(&self, _pdev: &Pdev, _length: Bytes) {}

    /// Learns that it has ended, failed or not. By default nothing.
    fn finish_io(&self, _pdev: &Pdev, _length: Bytes) {}

    /// Learns that I/O which it had sent to `pdev` failed, and says what follows; by default the request fails.
    fn end_io(&self, _pdev: &Pdev, _errno: Errno) -> Ended {
        Ended::Failed
    }

    /// New I/O is held from now on: ends work in the background and lets go of requests that it keeps back, with
    /// [`AGAIN`](crate::block::AGAIN) where the device is suspended without a flush, so that the next table may have them, else with an
    /// error. By default nothing.
    fn presuspend(&self, _noflush: bool) {}

    /// No I/O is in flight and none comes until the next `resume`: brings what it keeps in memory to its devices. By
    /// default nothing.
    ///
    /// # Errors
    /// What it keeps cannot be written: the device is not suspended.
    fn postsuspend(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// I/O comes from now on: its table is the active one, in a process that goes on to serve it. By default nothing.
    ///
    /// # Errors
    /// What it needs cannot be read: the device stays suspended.
    fn resume(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// As [`Target::resume`], where another process had the table at work before this one and nobody can be asked to
    /// suspend anything: by default the same.
    ///
    /// # Errors
    /// What it needs cannot be read.
    fn restore(&self) -> Result<(), Fault> {
        self.resume()
    }

    /// It was resumed, and so was everybody that it counts on: in a process that serves it begins what it does in the
    /// background. Else it was resumed by a command after which nobody has the device, and does that now. By default
    /// nothing.
    fn work(&self) {}

    /// The device whose writes concern others too: the targets over it, of all devices, have to be at work before it is
    /// written. By default there is none.
    fn upcall(&self) -> Option<&Pdev> {
        None
    }

    /// A client wants what was written to be on stable storage: may wait, refuse or note it. Comes before
    /// [`Target::flush`], and not where the mapper flushes for itself, as to suspend. By default nothing.
    ///
    /// # Errors
    /// The client's flush fails with it; what is under the other targets is flushed all the same.
    fn flush_asked(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Brings what it keeps of finished writes to its devices, which are flushed after it. By default nothing.
    fn flush(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// What it has learned that neither its arguments nor its devices hold, for [`Init::memory`] of the next process that
    /// makes it: the kernel's targets live as long as their table, and a command does not. By default nothing.
    fn memory(&self) -> Text {
        Text::new()
    }

    /// The process ends, and the table lives on: brings what the process alone holds to its devices. By default nothing.
    fn leave(&self) {}

    /// Its table is gone for good: the device is removed, or the table was replaced or cleared. A process that merely
    /// ends does not say so. By default nothing.
    fn retire(&self) {}

    /// Whether [`Target::flush`] flushes the devices under it too, and the mapper does not: for who does without one that
    /// fails. By default it is the mapper that does.
    fn flushes(&self) -> bool {
        false
    }

    /// Fills the buffer, whole sectors, from `sector` on: required of who answers [`Mapping::Handle`] to a read.
    fn read(&self, _sector: Sectors, _buffer: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EIO)
    }

    /// Writes the data, whole sectors, from `sector` on: required of who answers [`Mapping::Handle`] to a write.
    fn write(&self, _sector: Sectors, _data: &[u8]) -> Result<(), Errno> {
        Err(Errno::EIO)
    }

    /// The same, to be on stable storage when it returns, though no client has asked for a flush (the kernel's FUA). By
    /// default a write, and a flush of what is under the target.
    fn write_through(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        self.write(sector, data)?;
        self.flush()?;
        let flushed = if self.flushes() { Vec::new() } else { self.pdevs() };
        flushed.iter().try_for_each(|used| used.pdev.flush())
    }

    /// Calls `visit` with where the bytes of a range are that it handles reads of, all of them, and keeps them there until
    /// that returns; `None` when only [`Target::read`] has them, and by default.
    fn lend(&self, _sector: Sectors, _length: Sectors, _visit: &mut Lent<'_>) -> Option<Result<(), Errno>> {
        None
    }

    /// Whether several writes to what it handles cost it less when [`Target::expect_writes`] comes before them. By default
    /// not.
    fn expects_writes(&self) -> bool {
        false
    }

    /// Learns which ranges are about to be written: see [`BlockDevice::expect_writes`](crate::block::BlockDevice). By
    /// default nothing.
    fn expect_writes(&self, _ranges: &[Range<Sectors>]) {}

    /// Drops what the range holds: required of who answers [`Mapping::Handle`] to a discard.
    fn discard(&self, _sector: Sectors, _length: Sectors) -> Result<(), Errno> {
        Err(Errno::EIO)
    }

    /// Makes the range read as zeros, with `may_unmap` by a hole too: required of who answers [`Mapping::Handle`]
    /// to a write of zeroes.
    fn write_zeroes(&self, _sector: Sectors, _length: Sectors, _may_unmap: bool) -> Result<(), Errno> {
        Err(Errno::EIO)
    }
}

/// The target type of that name.
pub fn find(name: &[u8]) -> Option<&'static TargetType> {
    TARGETS.iter().copied().find(|target| target.name.as_bytes() == name)
}

/// How the texts of a target type read, of one that only kernels have too; `None` for one that is not known.
pub fn texts(name: &[u8]) -> Option<&'static Texts> {
    let foreign = || FOREIGN.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, texts)| texts);
    find(name).map(|target| &target.texts).or_else(foreign)
}

#[cfg(test)]
mod testing;
