//! What differs between processors: registers, the stub's code, the way home.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{CALL_INSTRUCTION, Registers};
#[cfg(not(target_arch = "x86_64"))]
compile_error!("the stub is written for x86-64 only");
