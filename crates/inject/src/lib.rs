//! System calls in the context of another task: what only the task itself can tell or do.
//!
//! A thread that is to be used is stopped by ptrace(2), a *stub* of a few hundred bytes is mapped into its process, and
//! from then on the thread takes *batches* of calls from memory that it shares with us (`batch.rs`), without another
//! stop. Nothing of the program is changed: its registers are put aside, its memory is not touched.
//!
//! The contract is that a task survives us. Before the first register changes, the way home lies in the task
//! (`arch/`), and whatever the task runs of ours ends on that way when we are gone: the kernel tells it through a robust
//! futex that we own (`supervisor.rs`). docs/engine.md has the life of a batch and the cases.
//!
//! Not here: which calls to make, and what their results mean.

mod arch;
mod batch;
mod error;
mod nursery;
mod process;
mod ptrace;
mod region;
mod supervisor;
pub mod vdso;

pub use arch::{CALL_INSTRUCTION, Registers};
pub use batch::{Arg, Batch, Call, Outcome, Place};
pub use error::{Error, Result};
pub use nursery::{Entrance, Nursery};
pub use process::{Process, Signals, ThreadState};
pub use ptrace::{RseqConfiguration, Stop, Thread};
pub use supervisor::Supervisor;
