//! Protects our own binary from the containers that we start, without a copy and without starting again.
//!
//! A process of a container can reach the runtime's file through /proc/PID/exe of init before it becomes the
//! container's program, or make init run it (`/proc/self/exe` as entry point or interpreter), keep it open
//! and write to it once nobody executes it (CVE-2019-5736). What that link leads to is the kernel's
//! `mm->exe_file`, a file *on a mount*. So we open our binary again on a private mount of its own, map our
//! segments from there, and make that file our exe_file; then the mount becomes read-only and noexec. It is in no mount
//! namespace, so nobody can change it back, and writing through it or executing it fails whoever tries.
#![allow(unsafe_code)] // Our own text is mapped anew while it runs.

use crate::mount::{MOUNT_ATTR_NOEXEC, MOUNT_ATTR_RDONLY, MountAttr, clone_tree, set_attr};
use crate::{Errno, Result};
use std::ffi::c_void;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// prctl_mm_map of linux/prctl.h.
#[repr(C)]
struct PrctlMmMap {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

/// Must be called by the only thread, and before clone3: children inherit it.
///
/// The result holds the mount in its place. Nothing needs it, but who closes it last, child or parent, waits for an RCU
/// grace period (`dissolve_on_fput` in fs/namespace.c): a tenth of a millisecond, better spent while another works.
///
/// # Errors
/// `EPERM`: no CAP_SYS_ADMIN over our mount namespace. `EINVAL`: our binary is not on a mount of it (run from
/// a memfd, say) or the kernel has no CONFIG_CHECKPOINT_RESTORE.
pub fn protect() -> Result<OwnedFd> {
    let tree = clone_tree(nix::fcntl::AT_FDCWD, "/proc/self/exe", false)?;
    // Not through `tree`, which is O_PATH: the link opens the file on the new mount.
    let file = File::open(format!("/proc/self/fd/{}", tree.as_raw_fd()))?;
    let map = mm_map(file.as_raw_fd() as u32)?;
    map_again(&file)?;
    let (size, map) = (size_of::<PrctlMmMap>(), &raw const map);
    // SAFETY: `map` is a complete prctl_mm_map that outlives the call; it changes what /proc tells about us.
    Errno::check(unsafe { libc::prctl(libc::PR_SET_MM, libc::PR_SET_MM_MAP, map, size, 0) }.into())?;
    // Only now: neither mapping text nor becoming the exe_file is allowed on a noexec mount.
    set_attr(
        tree.as_fd(),
        false,
        &MountAttr { set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, ..MountAttr::default() },
    )?;
    Ok(tree)
}

/// Replaces every mapping of our binary by the same pages of `file`, as the old exe_file must not be mapped
/// any more (kernel/sys.c, replace_mm_exe_file).
fn map_again(file: &File) -> Result<()> {
    let page = page_size()?;
    // SAFETY: getauxval has no preconditions; AT_PHDR and AT_PHNUM describe our own program headers, which
    // are mapped and never change.
    let headers: &[libc::Elf64_Phdr] = unsafe {
        let address = libc::getauxval(libc::AT_PHDR) as *const libc::Elf64_Phdr;
        std::slice::from_raw_parts(address, libc::getauxval(libc::AT_PHNUM) as usize)
    };
    let find = |kind| headers.iter().find(|header| header.p_type == kind);
    let first = headers.as_ptr() as usize;
    // Where the file was loaded: the headers are at e_phoff of the first segment.
    let bias = match find(libc::PT_PHDR) {
        Some(header) => first - header.p_vaddr as usize,
        None => return Err(Errno::from_raw(libc::EINVAL)),
    };
    let relro = find(libc::PT_GNU_RELRO).map(|header| {
        let start = bias + header.p_vaddr as usize;
        start / page * page..(start + header.p_memsz as usize) / page * page
    });
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD) {
        let start = (bias + header.p_vaddr as usize) / page * page;
        let end = (bias + (header.p_vaddr + header.p_filesz) as usize).next_multiple_of(page);
        let offset = header.p_offset as usize / page * page;
        if header.p_flags & libc::PF_W == 0 {
            map_text(file, start, end - start, offset, header.p_flags)?;
        } else {
            let readonly = relro.clone().filter(|relro| relro.start == start).map_or(0, |relro| relro.len());
            move_data(start, end - start, readonly)?;
        }
    }
    Ok(())
}

/// A segment that nobody has written to: the page cache has it.
fn map_text(file: &File, start: usize, length: usize, offset: usize, flags: u32) -> Result<()> {
    let mut protection = libc::PROT_READ;
    if flags & libc::PF_X != 0 {
        protection |= libc::PROT_EXEC;
    }
    // SAFETY: the range holds exactly this segment of the same file, so what the caller, this function and
    // libc execute and read is the same before and after, and the kernel replaces it in one step.
    let mapped = unsafe {
        libc::mmap(
            start as *mut c_void,
            length,
            protection,
            libc::MAP_PRIVATE | libc::MAP_FIXED,
            file.as_raw_fd(),
            offset as libc::off_t,
        )
    };
    if mapped == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(()) }
}

/// Written pages are copied to anonymous memory, which then takes their place. The first `readonly` bytes
/// are the relocated constants that the loader has protected.
fn move_data(start: usize, length: usize, readonly: usize) -> Result<()> {
    // SAFETY: the new mapping is ours alone. Between the copy and the move nothing writes to the old pages:
    // there is one thread, and of what it calls only a failing system call stores anything, in its TLS.
    unsafe {
        let copy = libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
            -1,
            0,
        );
        if copy == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        std::ptr::copy_nonoverlapping(start as *const u8, copy.cast::<u8>(), length);
        if readonly > 0 && libc::mprotect(copy, readonly, libc::PROT_READ) != 0 {
            return Err(Errno::last());
        }
        // One mapping at a time: mremap(2) does not move two.
        for (from, length) in [(0, readonly), (readonly, length - readonly)] {
            if length == 0 {
                continue;
            }
            let moved = libc::mremap(
                copy.byte_add(from),
                length,
                length,
                libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
                (start + from) as *mut c_void,
            );
            if moved == libc::MAP_FAILED {
                return Err(Errno::last());
            }
        }
        Ok(())
    }
}

fn page_size() -> Result<usize> {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?;
    Ok(size.ok_or(Errno::from_raw(libc::EINVAL))? as usize)
}

/// What the kernel knows of our memory, unchanged but for the exe_file: `PR_SET_MM_MAP` sets all or nothing.
fn mm_map(exe_fd: u32) -> Result<PrctlMmMap> {
    /// The highest vm.mmap_min_addr that distributions set.
    const LOW: u64 = 65536;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<u64> = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_ascii_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    // proc_pid_stat(5) counts from 1, and the first two fields end with the parenthesis.
    let field = |number: usize| fields.get(number - 3).copied().ok_or(Errno::from_raw(libc::EINVAL));
    // SAFETY: an increment of 0 only asks.
    let brk = unsafe { libc::sbrk(0) } as u64;
    Ok(PrctlMmMap {
        start_code: field(26)?,
        end_code: field(27)?,
        // Must lie below the heap, but the data of a static PIE is loaded above it. Only RLIMIT_DATA and
        // /proc look at it; execve(2) sets it anew.
        start_data: LOW,
        end_data: LOW,
        start_brk: field(47)?,
        brk,
        start_stack: field(28)?,
        arg_start: field(48)?,
        arg_end: field(49)?,
        env_start: field(50)?,
        env_end: field(51)?,
        auxv: 0,
        auxv_size: 0,
        exe_fd,
    })
}
