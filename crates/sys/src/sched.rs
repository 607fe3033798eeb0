//! Scheduling and memory placement.
#![allow(unsafe_code)] // The calls have no wrapper in libc.

use crate::{Errno, Result};

/// What sched_setattr(2) sets; times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedAttr {
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

impl SchedAttr {
    /// Whether a child gets it too (sched(7), "resetting scheduling policy for child processes"). `SCHED_DEADLINE`
    /// forbids to make one.
    pub fn is_inherited(&self) -> bool {
        const SCHED_FLAG_RESET_ON_FORK: u64 = 1;
        self.policy != libc::SCHED_DEADLINE as u32 && self.flags & SCHED_FLAG_RESET_ON_FORK == 0
    }
}

/// sched_setattr(2); `pid` 0 means the calling thread.
pub fn set_scheduler(pid: i32, attr: &SchedAttr) -> Result<()> {
    #[repr(C)]
    struct Raw {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        times: [u64; 3],
    }
    let attr = Raw {
        size: size_of::<Raw>() as u32,
        policy: attr.policy,
        flags: attr.flags,
        nice: attr.nice,
        priority: attr.priority,
        times: [attr.runtime, attr.deadline, attr.period],
    };
    // SAFETY: `attr` is a sched_attr (48 bytes, v0) that outlives the call.
    Errno::check(unsafe { libc::syscall(libc::SYS_sched_setattr, pid, &raw const attr, 0) })?;
    Ok(())
}

/// ioprio_set(2) for the calling process; `class` is `IOPRIO_CLASS_*`, `level` 0 to 7.
pub fn set_io_priority(class: u32, level: u32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: libc::c_long = 1;
    // SAFETY: no pointers are passed.
    Errno::check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, class << 13 | level) })?;
    Ok(())
}

/// sched_setaffinity(2) for the calling thread, CPU n being bit n % 64 of word n / 64.
pub fn set_affinity(mask: &[u64]) -> Result<()> {
    // SAFETY: the pointer and length describe `mask`, which outlives the call.
    Errno::check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(mask), mask.as_ptr()) })?;
    Ok(())
}

/// set_mempolicy(2) for the calling thread; `mode` includes the `MPOL_F_*` bits, node n is bit n % 64 of word n / 64.
pub fn set_memory_policy(mode: i32, nodes: &[u64]) -> Result<()> {
    // The kernel reads maxnode - 1 bits (set_mempolicy(2), "maxnode").
    let (pointer, bits) =
        if nodes.is_empty() { (std::ptr::null(), 0) } else { (nodes.as_ptr(), nodes.len() * 64 + 1) };
    // SAFETY: the pointer is null or describes `nodes`, which outlives the call.
    Errno::check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, bits) })?;
    Ok(())
}

/// personality(2) of the calling thread.
pub fn set_personality(persona: u64) -> Result<()> {
    // SAFETY: no pointers are passed.
    Errno::check(unsafe { libc::syscall(libc::SYS_personality, persona) })?;
    Ok(())
}
