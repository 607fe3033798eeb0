//! The restore: images to tasks.

use crate::Log;
use crate::error::{Error, Result};
use crate::policy::Policy;
use images::messages::RestoreStatsEntry;
use std::os::fd::BorrowedFd;

fn missing<T>() -> Result<T> {
    Err(Error::new("the checkpoint engine is not in this version"))
}

/// A restore that has been read and verified, then one that is being built. Dropped before `resume`, it leaves the nursery
/// to whoever made it, to be killed.
#[derive(Debug)]
pub enum Restore {}

impl Restore {
    /// Reads and verifies the images. Nothing has happened after it.
    pub fn open(_images: BorrowedFd<'_>, _policy: Policy, _log: &mut Log<'_>) -> Result<Restore> {
        missing()
    }

    /// The first task's pid in its pid namespace. In one of its own it is 1; in another, whoever clones the task must give
    /// it that pid.
    pub fn pid(&self) -> i32 {
        match *self {}
    }

    /// Offsets that a time namespace of its own must have for its clocks to go on from where they were, at this moment.
    pub fn clock_offsets(&self) -> Vec<ClockOffset> {
        match *self {}
    }

    /// For the process that becomes the first task, before it is cloned.
    pub fn nursery(&self) -> Nursery {
        match *self {}
    }

    /// Makes all tasks of the process `init`, in our pid namespace, which has entered the nursery or is about to. None of
    /// them runs afterwards.
    pub fn build(&mut self, _init: i32, _log: &mut Log<'_>) -> Result<()> {
        match *self {}
    }

    /// Lets all tasks run. From here on there is no way back.
    pub fn resume(self, _log: &mut Log<'_>) -> Result<RestoreStatsEntry> {
        match self {}
    }
}

/// A line of /proc/PID/timens_offsets (time_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// `monotonic` or `boottime`.
    pub clock: &'static str,
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// Where a process waits for the engine, to become the first task.
#[derive(Debug)]
pub enum Nursery {}

impl Nursery {
    /// Descriptors that `enter` needs.
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match *self {}
    }

    /// Waits for the engine. The process has all capabilities in its user namespace, its namespaces, its root and its
    /// mounts; it dies with the process that made it (PR_SET_PDEATHSIG), is not dumpable, and has no descriptors but
    /// standard ones and those of the nursery. All of that but mounts and namespaces is the engine's to change.
    pub fn enter(self) -> ! {
        match self {}
    }
}
