//! Processes: pidfds, namespaces, credentials, descriptors and execve(2).
#![allow(unsafe_code)] // The calls have no wrapper in nix, or one that hides an argument we need.

use crate::{Errno, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// How a child ended: its exit code, or 128 + the signal that killed it, as shells and runc report it.
pub type ExitStatus = i32;

/// # Errors
/// `ESRCH`: no such process.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let fd = Errno::check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// # Errors
/// `ESRCH`: the process has ended. Signal 0 only asks.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    // SAFETY: a null siginfo lets the kernel fill in what kill(2) would.
    Errno::check(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<u8>(), 0)
    })?;
    Ok(())
}

/// process_mrelease(2): gives back the memory of a process that has been killed, as far as it has not done so itself.
///
/// # Errors
/// `EINVAL`: it has not been killed. `ESRCH`: it has ended.
pub fn process_mrelease(pidfd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: no pointers are passed.
    Errno::check(unsafe { libc::syscall(libc::SYS_process_mrelease, pidfd.as_raw_fd(), 0) })?;
    Ok(())
}

/// Whether the process still runs: a zombie does not.
pub fn pidfd_is_running(pidfd: BorrowedFd<'_>) -> Result<bool> {
    let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid structure; with no time to wait the call does not block.
    Ok(Errno::check(unsafe { libc::poll(&raw mut poll, 1, 0) }.into())? == 0)
}

/// How a process has ended that need not be a child of ours, as wait(2) encodes it; `None` until somebody has waited for it
/// (`PIDFD_GET_INFO`, Linux 6.15).
///
/// # Errors
/// `ENOTTY`: a kernel that does not tell.
pub fn pidfd_exit_code(pidfd: BorrowedFd<'_>) -> Result<Option<i32>> {
    const PIDFD_GET_INFO: libc::Ioctl = 0xc040_ff0b;
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    let mut info = [0_u64; 8];
    info[0] = PIDFD_INFO_EXIT;
    // SAFETY: `info` is a pidfd_info of 64 bytes, as the number of the request says, and outlives the call.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, info.as_mut_ptr()) };
    match Errno::check(result.into()) {
        // Waited for, with a kernel that does not remember how it ended.
        Err(errno) if errno.raw() == libc::ESRCH => Err(Errno::from_raw(libc::ENOTTY)),
        result => result.map(|_| (info[0] & PIDFD_INFO_EXIT != 0).then_some((info[7] >> 32) as i32)),
    }
}

/// Waits for a child; `None` when it still runs and `block` is false.
pub fn wait_pidfd(pidfd: BorrowedFd<'_>, block: bool) -> Result<Option<ExitStatus>> {
    loop {
        let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
        let flags = libc::WEXITED | libc::__WALL | if block { 0 } else { libc::WNOHANG };
        // SAFETY: `info` is a valid place for a siginfo_t.
        let result =
            unsafe { libc::waitid(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, info.as_mut_ptr(), flags) };
        match Errno::check(result.into()) {
            Err(e) if e.raw() == libc::EINTR => continue,
            Err(e) => return Err(e),
            Ok(_) => {}
        }
        // SAFETY: waitid succeeded and filled the zeroed structure; si_pid is 0 when nothing has ended.
        let info = unsafe { info.assume_init() };
        // SAFETY: waitid fills the SIGCHLD member of the union.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        if pid == 0 {
            return Ok(None);
        }
        return Ok(Some(if info.si_code == libc::CLD_EXITED { status } else { 128 + status }));
    }
}

/// setns(2); `kinds` is 0 or `CLONE_NEW*` bits (several only for a pidfd).
pub fn setns(fd: BorrowedFd<'_>, kinds: i32) -> Result<()> {
    // SAFETY: no pointers are passed.
    Errno::check(unsafe { libc::setns(fd.as_raw_fd(), kinds) }.into())?;
    Ok(())
}

/// The `CLONE_NEW*` bit of a namespace file (ioctl_nsfs(2), `NS_GET_NSTYPE`).
pub fn namespace_kind(fd: BorrowedFd<'_>) -> Result<i32> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: the request takes no argument.
    Ok(Errno::check(unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) }.into())? as i32)
}

/// The user namespace that a namespace belongs to (ioctl_nsfs(2), `NS_GET_USERNS`).
///
/// # Errors
/// `EPERM` where it is outside of the caller's own.
pub fn namespace_owner(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    const NS_GET_USERNS: libc::Ioctl = 0xb701;
    // SAFETY: the request takes no argument.
    let owner = Errno::check(unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_USERNS) }.into())?;
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(owner as i32) })
}

pub fn unshare(kinds: i32) -> Result<()> {
    // SAFETY: no pointers are passed.
    Errno::check(unsafe { libc::unshare(kinds) }.into())?;
    Ok(())
}

/// prctl(2) with integer arguments only.
pub fn prctl(option: i32, arg2: u64, arg3: u64, arg4: u64) -> Result<i64> {
    // SAFETY: the options used with this function take integers, so no memory is touched.
    Errno::check(unsafe { libc::prctl(option, arg2, arg3, arg4, 0u64) }.into())
}

/// Capability sets as bit masks, bit n being capability n of capabilities(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapSets {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

pub fn capset(sets: &CapSets) -> Result<()> {
    let header = CapHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let (e, p, i) = (sets.effective, sets.permitted, sets.inheritable);
    let data = [e as u32, p as u32, i as u32, (e >> 32) as u32, (p >> 32) as u32, (i >> 32) as u32];
    // SAFETY: version 3 takes two cap_user_data structures, six u32 in all.
    Errno::check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })?;
    Ok(())
}

pub fn capget() -> Result<CapSets> {
    let header = CapHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut data = [0u32; 6];
    // SAFETY: version 3 fills two cap_user_data structures, six u32 in all.
    Errno::check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) })?;
    let set = |n: usize| u64::from(data[n]) | u64::from(data[n + 3]) << 32;
    Ok(CapSets { effective: set(0), permitted: set(1), inheritable: set(2) })
}

/// setresuid(2), setresgid(2), setgroups(2) as raw calls: libc's would synchronise threads we do not have.
pub fn setresuid(uid: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    Errno::check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })?;
    Ok(())
}

pub fn setresgid(gid: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    Errno::check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    Ok(())
}

pub fn setgroups(gids: &[u32]) -> Result<()> {
    // SAFETY: the pointer and length describe `gids`, which outlives the call.
    Errno::check(unsafe { libc::syscall(libc::SYS_setgroups, gids.len(), gids.as_ptr()) })?;
    Ok(())
}

/// Marks every descriptor from `first` on close-on-exec (close_range(2), `CLOSE_RANGE_CLOEXEC`).
pub fn cloexec_from(first: u32) -> Result<()> {
    // SAFETY: no pointers are passed; marking descriptors does not close them.
    Errno::check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 4) })?;
    Ok(())
}

/// Which of `count` descriptors from `first` on are open and would survive execve(2): what our caller passes on. Those
/// that are close-on-exec are ours, in numbers that the caller counted and did not open.
pub fn inherited(first: RawFd, count: u32) -> Vec<RawFd> {
    // SAFETY: F_GETFD takes no argument.
    let survives = |number: &RawFd| unsafe { libc::fcntl(*number, libc::F_GETFD) } == 0;
    (first..first.saturating_add_unsigned(count)).filter(survives).collect()
}

/// Closes every descriptor from 3 on but those in `keep` (close_range(2)).
///
/// Whoever owns one of the others must not use it again; this is for a process that is about to become
/// another program, in which nothing may lead out of the container by /proc/self/fd any more.
pub fn close_all_but(keep: &[RawFd]) -> Result<()> {
    let mut keep: Vec<u32> = keep.iter().map(|fd| *fd as u32).filter(|fd| *fd >= 3).collect();
    keep.sort_unstable();
    keep.push(u32::MAX);
    let mut from = 3;
    for kept in keep {
        if kept > from {
            let last = if kept == u32::MAX { kept } else { kept - 1 };
            // SAFETY: no pointers are passed. Descriptors are closed under their owners, which is the
            // documented contract: the process only executes another program or exits.
            Errno::check(unsafe { libc::syscall(libc::SYS_close_range, from, last, 0) })?;
        }
        from = kept.saturating_add(1);
    }
    Ok(())
}

/// Lets the next program have a descriptor that is close-on-exec.
pub fn pass_on(number: RawFd) -> Result<()> {
    // SAFETY: F_SETFD takes an integer.
    Errno::check(unsafe { libc::fcntl(number, libc::F_SETFD, 0) }.into())?;
    Ok(())
}

/// dup3(2) onto a fixed number, without close-on-exec. The number's old file is closed.
pub fn dup_onto(fd: BorrowedFd<'_>, number: i32) -> Result<()> {
    if fd.as_raw_fd() == number {
        return pass_on(number);
    }
    // SAFETY: no pointers are passed. `number` is one of stdio or of the preserved range, which no OwnedFd holds.
    Errno::check(unsafe { libc::dup3(fd.as_raw_fd(), number, 0) }.into())?;
    Ok(())
}

/// execve(2); returns only with an error.
pub fn execve(path: &CStr, args: &[CString], env: &[CString]) -> Errno {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(args), pointers(env));
    // SAFETY: both vectors end with null and their strings are NUL-terminated and outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    Errno::last()
}

/// Creates a session and makes `tty` its controlling terminal (setsid(2), `TIOCSCTTY`).
pub fn set_controlling_tty(tty: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: TIOCSCTTY takes an integer.
    Errno::check(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSCTTY, 0) }.into())?;
    Ok(())
}

/// Window size in rows and columns (`TIOCSWINSZ`).
pub fn set_window_size(tty: BorrowedFd<'_>, rows: u16, columns: u16) -> Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` is a winsize that outlives the call.
    Errno::check(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }.into())?;
    Ok(())
}

/// Rows and columns of a terminal (`TIOCGWINSZ`).
pub fn window_size(tty: BorrowedFd<'_>) -> Result<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` is a valid place for a winsize.
    Errno::check(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) }.into())?;
    Ok((size.ws_row, size.ws_col))
}

/// Opens the terminal's other end (`TIOCGPTPEER`), which no path lookup can redirect.
pub fn pty_peer(master: BorrowedFd<'_>) -> Result<OwnedFd> {
    // SAFETY: TIOCGPTPEER takes open flags as an integer.
    let fd = Errno::check(
        unsafe {
            libc::ioctl(
                master.as_raw_fd(),
                libc::TIOCGPTPEER,
                libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC,
            )
        }
        .into(),
    )?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Unlocks a terminal opened through /dev/ptmx (`TIOCSPTLCK`).
pub fn unlock_pty(master: BorrowedFd<'_>) -> Result<()> {
    let unlock: i32 = 0;
    // SAFETY: TIOCSPTLCK reads one int.
    Errno::check(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock) }.into())?;
    Ok(())
}

/// Brings a network interface up (`SIOCSIFFLAGS`).
pub fn interface_up(socket: BorrowedFd<'_>, name: &str) -> Result<()> {
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(Errno::from_raw(libc::EINVAL));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: `request` is an ifreq that outlives both calls; SIOCGIFFLAGS fills the flags member.
    unsafe {
        Errno::check(libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request).into())?;
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        Errno::check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request).into())?;
    }
    Ok(())
}

pub fn set_domainname(name: &str) -> Result<()> {
    // SAFETY: the pointer and length describe `name`, which outlives the call.
    Errno::check(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }.into())?;
    Ok(())
}

pub fn set_hostname(name: &str) -> Result<()> {
    // SAFETY: the pointer and length describe `name`, which outlives the call.
    Errno::check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }.into())?;
    Ok(())
}

/// prlimit(2); `pid` 0 means ourselves, `resource` is `RLIMIT_*` of setrlimit(2).
///
/// # Errors
/// `EPERM`: a hard limit above the current one without CAP_SYS_RESOURCE.
pub fn set_rlimit(pid: i32, resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` is an rlimit64 that outlives the call; no old limits are asked for.
    Errno::check(unsafe {
        libc::syscall(libc::SYS_prlimit64, pid, resource, &raw const limit, std::ptr::null::<u8>())
    })?;
    Ok(())
}

/// Our own soft and hard limit (getrlimit(2)).
pub fn rlimit(resource: u32) -> Result<(u64, u64)> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for an rlimit64; no new limits are given.
    Errno::check(unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, resource, std::ptr::null::<u8>(), &raw mut limit)
    })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Makes `$start`, a `fn() -> u8`, the program: what C calls, without the standard library's own start. That reads
/// /proc/self/maps to guard the stack against an overflow which ends the process anyway, for a fiftieth of a container's
/// start. The crate needs `#![cfg_attr(not(test), no_main)]`, and must flush what it prints.
#[macro_export]
macro_rules! main {
    ($start:path) => {
        #[cfg_attr(not(test), unsafe(no_mangle))]
        #[allow(unsafe_code, reason = "the name is the C library's, and nothing else has it")]
        extern "C" fn main() -> i32 {
            $crate::process::prepare_stdio();
            i32::from($start())
        }
    };
}

/// What a program must do before it opens a file or writes: a closed standard descriptor becomes /dev/null, so that no
/// file of ours gets its number, and a reader that has gone is `EPIPE` instead of death.
pub fn prepare_stdio() {
    let mut files = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the three structures outlive the call; signal(2) with SIG_IGN runs no code of ours.
    let closed = unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::poll(files.as_mut_ptr(), 3, 0) > 0
    };
    for _ in files.iter().filter(|file| closed && file.revents & libc::POLLNVAL != 0) {
        // SAFETY: the path is a constant. The lowest closed number is the next of these.
        unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
    }
}

/// Every signal back to `SIG_DFL`, those of libc's own included: what a program ignores survives execve(2).
pub fn default_signals() {
    /// The kernel's struct sigaction: handler, flags, restorer, mask.
    const DEFAULT: [u64; 4] = [0; 4];
    for signal in 1..=64 {
        // SAFETY: SIG_DFL (0) runs no code of ours; the structure outlives the call, the mask has 8 bytes.
        // SIGKILL and SIGSTOP answer EINVAL.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), std::ptr::null::<u64>(), 8);
        }
    }
}

/// Joins a new anonymous session keyring (keyctl(2), `KEYCTL_JOIN_SESSION_KEYRING`), named `name`.
pub fn join_session_keyring(name: &CStr) -> Result<i32> {
    // SAFETY: `name` is NUL-terminated and outlives the call.
    Ok(Errno::check(unsafe {
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING as libc::c_long, name.as_ptr())
    })? as i32)
}

/// The permission mask of a key (keyctl(2), `KEYCTL_SETPERM`).
pub fn set_key_permissions(key: i32, permissions: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    Errno::check(unsafe {
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_SETPERM as libc::c_long, key, permissions)
    })?;
    Ok(())
}

/// The kernel's own pseudo-file-system type of an open file (fstatfs(2), `f_type`).
pub fn filesystem_type(fd: BorrowedFd<'_>) -> Result<i64> {
    let mut buffer = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `buffer` is a valid place for a statfs.
    Errno::check(unsafe { libc::fstatfs(fd.as_raw_fd(), buffer.as_mut_ptr()) }.into())?;
    // SAFETY: fstatfs succeeded and filled the zeroed structure.
    Ok(unsafe { buffer.assume_init() }.f_type)
}

/// A copy of another process's descriptor (pidfd_getfd(2)).
///
/// # Errors
/// `EPERM`: we may not trace the process.
pub fn pidfd_getfd(pidfd: BorrowedFd<'_>, number: i32) -> Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let fd = Errno::check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) })?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A copy of one of our own descriptors that we know by its number alone, as options name it.
pub fn own_descriptor(number: i32) -> Result<OwnedFd> {
    pidfd_getfd(pidfd_open(std::process::id() as i32)?.as_fd(), number)
}

/// Takes over a descriptor that came by `SCM_RIGHTS`: nix gives those as numbers.
pub fn received_fd(number: i32) -> OwnedFd {
    // SAFETY: recvmsg(2) has just installed the descriptor for us; the caller passes each number once.
    unsafe { OwnedFd::from_raw_fd(number) }
}
