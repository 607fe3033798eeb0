//! The checkpoint engine: a tree of tasks becomes images, images become a tree of tasks.
//!
//! The engine knows no OCI. What a container is made of, it is told in plain values: what came from outside and is
//! not its to dump (`target.rs`), and what a restored task may have at most (`policy.rs`).

mod arch;
mod cgroups;
mod check;
mod collect;
mod credentials;
mod dump;
mod error;
mod files;
mod guardian;
mod keys;
mod links;
mod memory;
mod mounts;
mod namespaces;
mod pages;
mod policy;
mod pre_dump;
mod proc;
mod restore;
mod seccomp;
mod shared;
mod signals;
pub mod snapshot;
mod sysv;
mod target;
mod task;
mod terminals;
mod timers;
mod tmpfs;
mod tracking;
mod tree;
mod undo;

pub use check::check;
pub use dump::dump;
pub use error::{Error, Result};
pub use policy::{Capabilities, Filter, Policy, User};
pub use restore::{ClockOffset, Nursery, Restore};
pub use target::{
    Blocker, DumpOptions, ExternalFile, ExternalMount, Externals, NamespaceKind, Origin, Target,
};

/// Takes a line of the log: what is being done, without line feed or time.
pub type Log<'a> = dyn FnMut(&str) + 'a;

/// Takes how many bytes of memory are written, and of how many. The container waits for its return.
pub type Progress<'a> = dyn FnMut(u64, u64) + 'a;
