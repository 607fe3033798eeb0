//! Options of sockets whose kind is known only when they are looked at, and calls of unix(7) that nix lacks.
#![allow(unsafe_code)] // getsockopt(2) takes any option's memory.

use crate::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Makes a socket, of whatever kind (socket(2)).
pub fn open(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let fd = Errno::check(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) }.into())?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// An option that is at most `len` bytes, as the kernel has written it.
pub fn option(fd: BorrowedFd<'_>, level: i32, name: i32, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0u8; len];
    let mut written = len as libc::socklen_t;
    let at = bytes.as_mut_ptr().cast();
    // SAFETY: the kernel writes `written` bytes at most, and then how many it has written.
    let result = unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, at, &raw mut written) };
    Errno::check(result.into())?;
    bytes.truncate(written as usize);
    Ok(bytes)
}

/// An option of which `bytes` say what is asked for; the answer takes their place.
pub fn option_with(fd: BorrowedFd<'_>, level: i32, name: i32, bytes: &mut Vec<u8>) -> Result<()> {
    let mut written = bytes.len() as libc::socklen_t;
    let at = bytes.as_mut_ptr().cast();
    // SAFETY: the kernel reads and writes `written` bytes at most, and then how many there are.
    let result = unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, at, &raw mut written) };
    Errno::check(result.into())?;
    bytes.truncate(written as usize);
    Ok(())
}

/// An option that is an int.
pub fn option_number(fd: BorrowedFd<'_>, level: i32, name: i32) -> Result<i32> {
    let mut bytes = option(fd, level, name, 4)?;
    bytes.resize(4, 0);
    Ok(i32::from_le_bytes(bytes.try_into().expect("four bytes")))
}

/// Sets an option to bytes as the kernel takes them.
pub fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> Result<()> {
    let len = value.len() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes, which outlive the call.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), len) };
    Errno::check(result.into())?;
    Ok(())
}

/// Sets an option that is an int.
pub fn set_option_number(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> Result<()> {
    set_option(fd, level, name, &value.to_ne_bytes())
}

/// The classic BPF program that filters what a socket receives, an instruction per number; empty for none.
///
/// # Errors
/// `EACCES`: the filter is an eBPF program, which cannot be read.
pub fn filter(fd: BorrowedFd<'_>) -> Result<Vec<u64>> {
    const SO_GET_FILTER: i32 = libc::SO_ATTACH_FILTER;
    let get = |program: &mut [u64]| {
        let mut count = program.len() as libc::socklen_t;
        let at = program.as_mut_ptr().cast();
        // SAFETY: the kernel writes `count` instructions of 8 bytes, or nothing where `count` is 0 or too few.
        let result =
            unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, SO_GET_FILTER, at, &raw mut count) };
        Errno::check(result.into()).map(|_| count as usize)
    };
    let mut program = vec![0; get(&mut [])?];
    if !program.is_empty() {
        get(&mut program)?;
    }
    Ok(program)
}

/// Bytes that wait to be read (`SIOCINQ`); of datagrams, those of the first.
pub fn received_bytes(fd: BorrowedFd<'_>) -> Result<usize> {
    number_of(fd, libc::FIONREAD)
}

/// Memory of what was sent and not read yet, in bytes (`SIOCOUTQ`); of TCP, what was not acknowledged.
pub fn sent_bytes(fd: BorrowedFd<'_>) -> Result<usize> {
    number_of(fd, libc::TIOCOUTQ)
}

/// Bytes of a TCP socket that were not sent even once (`SIOCOUTQNSD`).
pub fn unsent_bytes(fd: BorrowedFd<'_>) -> Result<usize> {
    const SIOCOUTQNSD: libc::Ioctl = 0x894b;
    number_of(fd, SIOCOUTQNSD)
}

fn number_of(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Result<usize> {
    let mut number = 0i32;
    // SAFETY: all these requests write an int, which outlives the call.
    Errno::check(unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut number) }.into())?;
    Ok(number as usize)
}

/// The address that a socket is bound to, or connected to, as the kernel's sockaddr.
pub fn address(fd: BorrowedFd<'_>, of_peer: bool) -> Result<Vec<u8>> {
    let mut bytes = vec![0u8; size_of::<libc::sockaddr_storage>()];
    let mut written = bytes.len() as libc::socklen_t;
    let at = bytes.as_mut_ptr().cast();
    // SAFETY: the kernel writes `written` bytes at most, and then how many there are.
    let result = unsafe {
        match of_peer {
            true => libc::getpeername(fd.as_raw_fd(), at, &raw mut written),
            false => libc::getsockname(fd.as_raw_fd(), at, &raw mut written),
        }
    };
    Errno::check(result.into())?;
    bytes.truncate(written as usize);
    Ok(bytes)
}

/// Connects to an address, which is the kernel's sockaddr.
pub fn connect(fd: BorrowedFd<'_>, address: &[u8]) -> Result<()> {
    let len = address.len() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes, which outlive the call.
    Errno::check(unsafe { libc::connect(fd.as_raw_fd(), address.as_ptr().cast(), len) }.into())?;
    Ok(())
}

/// The network namespace of a socket (`SIOCGSKNS`).
///
/// # Errors
/// `EPERM`: without CAP_NET_ADMIN in it.
pub fn network_namespace(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    const SIOCGSKNS: libc::Ioctl = 0x894c;
    // SAFETY: no pointers are passed.
    let namespace = Errno::check(unsafe { libc::ioctl(fd.as_raw_fd(), SIOCGSKNS) }.into())?;
    // SAFETY: the call succeeded, so `namespace` is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(namespace as i32) })
}

/// The file that a unix(7) socket is bound to, opened with `O_PATH` (`SIOCUNIXFILE`).
///
/// # Errors
/// `ENOENT`: it is bound to none. `EPERM`: without CAP_NET_ADMIN.
pub fn unix_file(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    const SIOCUNIXFILE: libc::Ioctl = 0x89e0;
    // SAFETY: no pointers are passed.
    let file = Errno::check(unsafe { libc::ioctl(fd.as_raw_fd(), SIOCUNIXFILE) }.into())?;
    // SAFETY: the call succeeded, so `file` is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(file as i32) })
}

/// A message that waits in a socket, with the descriptors that came with it.
#[derive(Debug)]
pub struct Peeked {
    pub bytes: Vec<u8>,
    pub files: Vec<OwnedFd>,
    /// It came with its sender's credentials (`SCM_CREDENTIALS`).
    pub has_credentials: bool,
    /// There were control messages of other kinds.
    pub has_more: bool,
}

/// Looks at the next message or stretch of a socket, from `SO_PEEK_OFF` on, and leaves it there. `None` when there is no
/// more. A message of more than `len` bytes is `EMSGSIZE`.
pub fn peek(fd: BorrowedFd<'_>, len: usize) -> Result<Option<Peeked>> {
    let mut bytes = vec![0u8; len];
    // SCM_MAX_FD descriptors, and credentials.
    let mut control = [0u64; 160];
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: a structure of integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: everything that `message` points to outlives the call.
    let read =
        match Errno::check(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) } as libc::c_long)
        {
            Ok(read) => read as usize,
            Err(errno) if errno.raw() == libc::EAGAIN => return Ok(None),
            Err(errno) => return Err(errno),
        };
    let mut peeked = Peeked { bytes: Vec::new(), files: Vec::new(), has_credentials: false, has_more: false };
    // SAFETY: the kernel has filled the control messages, and the macros stay within their length.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: `header` is a control message within `control`, which is aligned for it.
        let (level, kind, len) =
            unsafe { ((*header).cmsg_level, (*header).cmsg_type, (*header).cmsg_len as usize) };
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: as above.
            let data = unsafe { libc::CMSG_DATA(header) };
            let count = (len - (data as usize - header as usize)) / 4;
            for nth in 0..count {
                // SAFETY: the message has `count` descriptors, which the kernel has just installed for us.
                let number = unsafe { data.cast::<i32>().add(nth).read_unaligned() };
                // SAFETY: as above; nobody else owns it.
                peeked.files.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        } else if (level, kind) == (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) {
            // SAFETY: as above; these control messages have a ucred.
            let credentials = unsafe { libc::CMSG_DATA(header).cast::<libc::ucred>().read_unaligned() };
            // The kernel shows 0 for a message that was sent without.
            peeked.has_credentials = credentials.pid != 0;
        } else {
            peeked.has_more = true;
        }
        // SAFETY: as for the first.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    if message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
        return Err(Errno::from_raw(libc::EMSGSIZE));
    }
    bytes.truncate(read);
    peeked.bytes = bytes;
    Ok(Some(peeked))
}
