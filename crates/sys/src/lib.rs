//! The system calls that nix lacks, one thin safe function each, and the kernel's error numbers.
//!
//! Nothing here decides anything: a function is one call (or the few that make one sense together), its
//! arguments are typed so that a wrong one does not compile, and its error is the kernel's. Callers name
//! the object; this crate does not know it.

pub mod bpf;
mod errno;

pub use errno::{Errno, Result};
