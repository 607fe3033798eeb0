//! bpf(2) for cgroup device programs: load, attach, detach, list.
//!
//! Only what `cgroup` needs: no maps, no relocation, no BTF. The attribute structures are laid out by hand
//! from `union bpf_attr` in linux/bpf.h.
// bpf(2) takes and fills structures that hold pointers; nix does not wrap it.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::{Errno, Result};

/// One instruction of the eBPF machine, as in `struct bpf_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Insn {
    pub code: u8,
    /// Destination register in the low four bits, source register in the high four.
    pub regs: u8,
    pub offset: i16,
    pub imm: i32,
}

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const PROG_QUERY: libc::c_int = 16;

const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;
const REPLACE: u32 = 4;

/// The kernel's BPF_CGROUP_MAX_PROGS: no cgroup has more programs of one kind.
const MAX_PROGRAMS: usize = 64;

/// Loads a `BPF_PROG_TYPE_CGROUP_DEVICE` program. `E2BIG` when it has more instructions than the caller may
/// load, `EPERM` without CAP_BPF.
pub fn load_cgroup_device(program: &[Insn]) -> Result<OwnedFd> {
    let mut attr = Attr::new();
    attr.set_u32(0, TYPE_CGROUP_DEVICE);
    attr.set_u32(4, u32::try_from(program.len()).map_err(|_| Errno::from_raw(libc::E2BIG))?);
    attr.set_u64(8, program.as_ptr() as u64);
    attr.set_u64(16, c"Apache-2.0".as_ptr() as u64);
    attr.0[48..60].copy_from_slice(b"floe_devices");
    // SAFETY: instructions and licence are borrowed or static, so they live through the call.
    unsafe { attr.call_for_fd(PROG_LOAD, 64) }
}

/// Attaches `program` beside those already attached, or in the place of `replaced`.
pub fn attach_cgroup_device(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> Result<()> {
    let mut attr = Attr::target(cgroup, program);
    attr.set_u32(12, ALLOW_MULTI | if replaced.is_some() { REPLACE } else { 0 });
    attr.set_u32(16, replaced.map_or(0, |fd| fd.as_raw_fd() as u32));
    // SAFETY: the attributes hold numbers only, no pointer.
    unsafe { attr.call(PROG_ATTACH, 20) }.map(drop)
}

pub fn detach_cgroup_device(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: the attributes hold numbers only, no pointer.
    unsafe { Attr::target(cgroup, program).call(PROG_DETACH, 20) }.map(drop)
}

/// Ids of the device programs attached to this very cgroup (not to its ancestors).
pub fn query_cgroup_device(cgroup: BorrowedFd<'_>) -> Result<Vec<u32>> {
    let mut ids = [0u32; MAX_PROGRAMS];
    let mut attr = Attr::new();
    attr.set_u32(0, cgroup.as_raw_fd() as u32);
    attr.set_u32(4, ATTACH_CGROUP_DEVICE);
    attr.set_u64(16, ids.as_mut_ptr() as u64);
    attr.set_u32(24, MAX_PROGRAMS as u32);
    // SAFETY: the kernel writes at most MAX_PROGRAMS ids, which is the length of `ids`.
    unsafe { attr.call(PROG_QUERY, 28)? };
    let count = attr.u32(24) as usize;
    Ok(ids[..count.min(MAX_PROGRAMS)].to_vec())
}

/// Opens a loaded program. Needs CAP_SYS_ADMIN in the initial user namespace.
pub fn program_by_id(id: u32) -> Result<OwnedFd> {
    let mut attr = Attr::new();
    attr.set_u32(0, id);
    // SAFETY: the attributes hold a number only, no pointer.
    unsafe { attr.call_for_fd(PROG_GET_FD_BY_ID, 12) }
}

/// `union bpf_attr` with room to spare: kernels 6.17 to 7.1 write `query.revision` (offset 56) without
/// looking at the size they were given, which overruns a buffer of exactly that size (runc#5403).
#[repr(C, align(8))]
struct Attr([u8; 512]);

impl Attr {
    fn new() -> Attr {
        Attr([0; 512])
    }

    /// The common start of attach and detach.
    fn target(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Attr {
        let mut attr = Attr::new();
        attr.set_u32(0, cgroup.as_raw_fd() as u32);
        attr.set_u32(4, program.as_raw_fd() as u32);
        attr.set_u32(8, ATTACH_CGROUP_DEVICE);
        attr
    }

    fn set_u32(&mut self, offset: usize, value: u32) {
        self.0[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
    }

    fn set_u64(&mut self, offset: usize, value: u64) {
        self.0[offset..offset + 8].copy_from_slice(&value.to_ne_bytes());
    }

    fn u32(&self, offset: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[offset..offset + 4]);
        u32::from_ne_bytes(bytes)
    }

    /// # Safety
    /// Every pointer stored in the attributes is valid for what `command` reads or writes through it.
    unsafe fn call(&mut self, command: libc::c_int, size_bytes: u32) -> Result<libc::c_long> {
        // SAFETY: `self` is writable and larger than `size_bytes` and than anything the kernel knows of
        // `union bpf_attr`; the pointers inside are the caller's promise.
        Errno::check(unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_mut_ptr(), size_bytes) })
    }

    /// # Safety
    /// As `call`, and `command` returns a new file descriptor.
    unsafe fn call_for_fd(&mut self, command: libc::c_int, size_bytes: u32) -> Result<OwnedFd> {
        // SAFETY: the caller's promise about the pointers is passed on.
        let fd = unsafe { self.call(command, size_bytes)? };
        // SAFETY: the kernel has just created this descriptor (close-on-exec) for us, nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
    }
}
