//! Sockets: what all kinds have, and which kinds there are.

use super::{Files, Open, inet};
use crate::error::{At, Error, Result};
use crate::target::DumpOptions;
use images::messages::{FileEntry, SkOptsEntry};
use std::os::fd::{AsFd, BorrowedFd};
use sys::socket::{option, option_number};

/// socket(7), the numbers that libc does not have.
const SO_PASSSEC: i32 = 34;
const SO_BUF_LOCK: i32 = 72;

/// What a socket was made as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) family: i32,
    pub(super) kind: i32,
    pub(super) protocol: i32,
}

impl Socket {
    pub(super) fn of(fd: BorrowedFd<'_>) -> sys::Result<Socket> {
        let number = |name| option_number(fd, libc::SOL_SOCKET, name);
        Ok(Socket {
            family: number(libc::SO_DOMAIN)?,
            kind: number(libc::SO_TYPE)?,
            protocol: number(libc::SO_PROTOCOL)?,
        })
    }

    pub(super) fn is_tcp(self) -> bool {
        self.kind == libc::SOCK_STREAM && self.protocol == libc::IPPROTO_TCP
    }

    /// Why such a socket cannot be dumped.
    pub(super) fn refused(self) -> Option<String> {
        const MPTCP: i32 = 262;
        match (self.family, self.kind, self.protocol) {
            (libc::AF_UNIX | libc::AF_NETLINK, ..) => None,
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_TCP) => None,
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM | libc::SOCK_RAW, _) => None,
            (libc::AF_INET | libc::AF_INET6, _, MPTCP) => {
                Some("a socket of MPTCP is not supported".to_owned())
            }
            (libc::AF_INET | libc::AF_INET6, _, libc::IPPROTO_SCTP) => {
                Some("a socket of SCTP is not supported".to_owned())
            }
            (libc::AF_VSOCK, ..) => Some("a socket of vsock is not supported".to_owned()),
            (libc::AF_PACKET, ..) => Some("a packet socket is not supported".to_owned()),
            (libc::AF_ALG, ..) => Some("a socket of the kernel's cryptography is not supported".to_owned()),
            (family, kind, _) => Some(format!("a socket of family {family}, type {kind} is not supported")),
        }
    }
}

/// Why a socket cannot be dumped, and what to do about it.
#[derive(Debug)]
pub(crate) struct SocketRefused {
    pub(crate) reason: String,
    pub(crate) remedy: &'static str,
    /// It is about to end.
    pub(crate) is_momentary: bool,
}

pub(crate) fn socket_refused(
    fd: BorrowedFd<'_>,
    options: &DumpOptions<'_>,
) -> sys::Result<Option<SocketRefused>> {
    let socket = Socket::of(fd)?;
    if let Some(reason) = socket.refused() {
        return Ok(Some(SocketRefused { reason, remedy: "", is_momentary: false }));
    }
    let state = if socket.is_tcp() { inet::tcp_state(fd)?.0 } else { inet::CLOSE };
    if inet::is_connection(state) && !options.tcp_close {
        return Ok(Some(SocketRefused {
            reason: "an established TCP connection is not supported".to_owned(),
            remedy: "use --tcp-close",
            is_momentary: inet::is_closing(state),
        }));
    }
    Ok(None)
}

impl Files<'_> {
    pub(super) fn socket(&mut self, open: &Open) -> Result<FileEntry> {
        let socket = Socket::of(open.file.as_fd()).at(|| format!("{}: its kind", open.owner))?;
        if let Some(reason) = socket.refused() {
            return Err(Error::new(format!("{}: {reason}", open.owner)));
        }
        match socket.family {
            libc::AF_UNIX => self.unix_socket(open),
            libc::AF_NETLINK => self.netlink_socket(open, socket),
            _ => self.inet_socket(open, socket),
        }
    }
}

/// Options of any socket.
pub(super) fn options(open: &Open, socket: Socket) -> Result<SkOptsEntry> {
    let fd = open.file.as_fd();
    let read = || -> sys::Result<SkOptsEntry> {
        let number = |name| option_number(fd, libc::SOL_SOCKET, name);
        let is_set = |name| Ok::<_, sys::Errno>(Some(number(name)? != 0));
        let has_credentials = [libc::AF_UNIX, libc::AF_NETLINK].contains(&socket.family);
        let (snd_sec, snd_usec) = time(fd, libc::SO_SNDTIMEO)?;
        let (rcv_sec, rcv_usec) = time(fd, libc::SO_RCVTIMEO)?;
        let mark = number(libc::SO_MARK)?;
        let linger = option(fd, libc::SOL_SOCKET, libc::SO_LINGER, 8)?;
        let linger = (linger.first() == Some(&1))
            .then(|| u32::from_le_bytes([linger[4], linger[5], linger[6], linger[7]]));
        Ok(SkOptsEntry {
            so_sndbuf: number(libc::SO_SNDBUF)? as u32,
            so_rcvbuf: number(libc::SO_RCVBUF)? as u32,
            so_snd_tmo_sec: snd_sec,
            so_snd_tmo_usec: snd_usec,
            so_rcv_tmo_sec: rcv_sec,
            so_rcv_tmo_usec: rcv_usec,
            reuseaddr: is_set(libc::SO_REUSEADDR)?,
            so_priority: Some(number(libc::SO_PRIORITY)? as u32),
            so_rcvlowat: Some(number(libc::SO_RCVLOWAT)? as u32),
            so_mark: (mark != 0).then_some(mark as u32),
            so_passcred: if has_credentials { is_set(libc::SO_PASSCRED)? } else { None },
            so_passsec: if has_credentials { is_set(SO_PASSSEC)? } else { None },
            so_dontroute: is_set(libc::SO_DONTROUTE)?,
            so_no_check: is_set(libc::SO_NO_CHECK)?,
            so_bound_dev: device(fd)?,
            so_filter: sys::socket::filter(fd)?,
            so_reuseport: is_set(libc::SO_REUSEPORT)?,
            so_broadcast: is_set(libc::SO_BROADCAST)?,
            so_keepalive: is_set(libc::SO_KEEPALIVE)?,
            so_oobinline: Some(number(libc::SO_OOBINLINE)? as u32),
            so_linger: linger,
            // Before 5.14 there is no such option.
            so_buf_lock: number(SO_BUF_LOCK).ok().map(|lock| lock as u32),
            ..SkOptsEntry::default()
        })
    };
    read().at(|| format!("{}: its options", open.owner))
}

fn time(fd: BorrowedFd<'_>, name: i32) -> sys::Result<(u64, u64)> {
    let bytes = option(fd, libc::SOL_SOCKET, name, 16)?;
    let word = |at: usize| {
        bytes.get(at..at + 8).map_or(0, |word| u64::from_le_bytes(word.try_into().expect("eight bytes")))
    };
    Ok((word(0), word(8)))
}

/// The device that it is bound to.
fn device(fd: BorrowedFd<'_>) -> sys::Result<Option<Vec<u8>>> {
    let name = match option(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, libc::IFNAMSIZ) {
        Ok(name) => name,
        // Unix sockets do not have it.
        Err(errno) if [libc::EOPNOTSUPP, libc::ENOPROTOOPT, libc::ENODEV].contains(&errno.raw()) => {
            return Ok(None);
        }
        Err(errno) => return Err(errno),
    };
    let name: Vec<u8> = name.into_iter().take_while(|byte| *byte != 0).collect();
    Ok(Some(name).filter(|name| !name.is_empty()))
}
