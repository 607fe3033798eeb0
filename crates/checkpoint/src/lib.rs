//! The checkpoint engine: a tree of tasks becomes images, images become a tree of tasks.
//!
//! The engine knows no OCI. What a container is made of, it is told in plain values: what came from outside and is
//! not its to dump (`target.rs`), and what a restored task may have at most (`policy.rs`).

mod aio;
mod arch;
mod cgroups;
mod check;
mod collect;
mod credentials;
mod dedup;
mod dump;
mod error;
mod files;
mod guardian;
mod keys;
mod lazy_dump;
mod links;
mod live;
mod memory;
mod message_queues;
mod mounts;
mod namespaces;
mod network;
mod network_lock;
mod page_server;
mod pages;
mod parallel;
mod policy;
mod prctl;
mod pre_dump;
mod proc;
mod processor;
mod release;
mod restore;
mod scheduling;
mod seccomp;
mod setting;
mod shared;
mod signals;
pub mod snapshot;
mod sysv;
mod target;
mod task;
mod tcp;
mod terminals;
mod timers;
mod tmpfs;
mod tracking;
mod tree;
mod undo;
mod work;

pub use check::check;
pub use dedup::{dedup, give_up_pages};
pub use dump::{Part, dump, dump_as_one};
pub use error::{Error, Result};
pub use lazy_dump::PageSource;
pub use network_lock::LockName;
pub use page_server::PageReceiver;
pub use policy::{Capabilities, CgroupMode, CgroupPolicy, Filter, OuterLink, OwnCgroup, Policy, User};
pub use processor::{Compared, check_processor, processor, write_processor};
pub use restore::{ClockOffset, LazyPages, Nursery, Pager, Restore, unlock};
pub use setting::{Setting, SettingMount};
pub use target::{
    Afterwards, Blocker, DumpOptions, ExternalFile, ExternalMount, Externals, FileIdentity, NamespaceKind,
    Origin, OtherMounts, OuterUnixSockets, Target,
};
pub use work::{LogFile, WorkDirectory, make_directory, open_directory};

/// Takes a line of the log: what is being done, without line feed or time.
pub type Log<'a> = dyn FnMut(&str) + 'a;

/// Is told how far a dump is. An error ends it.
pub type Notify<'a> = dyn FnMut(Event) -> std::result::Result<(), String> + 'a;

/// A moment of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// All tasks are stopped.
    Stopped,
    /// The images are complete. The tasks are stopped still, unless their memory was copied before the pause.
    Written,
    /// Memory that was left with the tasks can be asked for.
    Serving,
}

/// Takes how many bytes of memory are written, and of how many. The container waits for its return.
pub type Progress<'a> = dyn FnMut(u64, u64) + 'a;
