//! Sockets: what all kinds have, and which kinds there are.

use super::{Files, Open, packets};
use crate::error::{At, Error, Result};
use crate::target::DumpOptions;
use crate::tcp::{self, LISTEN};
use images::messages::{FileEntry, SkOptsEntry};
use std::os::fd::{AsFd, BorrowedFd};
use sys::socket::{option, option_number, sent_bytes};

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
            (libc::AF_UNIX | libc::AF_NETLINK | libc::AF_PACKET, ..) => None,
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_TCP) => None,
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM | libc::SOCK_RAW, _) => None,
            (libc::AF_INET | libc::AF_INET6, _, MPTCP) => {
                Some("a socket of MPTCP is not supported".to_owned())
            }
            (libc::AF_INET | libc::AF_INET6, _, libc::IPPROTO_SCTP) => {
                Some("a socket of SCTP is not supported".to_owned())
            }
            (libc::AF_VSOCK, ..) => Some("a socket of vsock is not supported".to_owned()),
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
    if socket.family == libc::AF_PACKET {
        let refused = packets::refused(fd)?;
        return Ok(refused.map(|reason| SocketRefused { reason, remedy: "", is_momentary: false }));
    }
    if !socket.is_tcp() {
        let is_inet = [libc::AF_INET, libc::AF_INET6].contains(&socket.family);
        let waits = is_inet && socket.kind == libc::SOCK_DGRAM && sent_bytes(fd)? > 0;
        return Ok(waits.then(|| SocketRefused {
            // Or one that no device has taken yet, which passes.
            reason: "a datagram that is not complete, of which nobody can ask (UDP_CORK, MSG_MORE)"
                .to_owned(),
            remedy: "try again when it was sent",
            is_momentary: true,
        }));
    }
    let info = tcp::info(fd)?;
    let (are_kept, are_closed) = (options.tcp_established, options.tcp_close);
    if tcp::is_connection(info.state) && !are_kept && !are_closed {
        return Ok(Some(SocketRefused {
            reason: "an established TCP connection".to_owned(),
            remedy: "use --tcp-established, or --tcp-close",
            is_momentary: tcp::is_closing(info.state),
        }));
    }
    if info.state == LISTEN && info.waiting > 0 && !options.tcp_skip_in_flight && !are_closed {
        return Ok(Some(SocketRefused {
            reason: format!("TCP connections wait to be accepted: {}", info.waiting),
            remedy: "use --tcp-skip-in-flight",
            is_momentary: true,
        }));
    }
    if tcp::is_connection(info.state) && are_kept && !are_closed {
        let protocol = upper_protocol(fd);
        if !protocol.is_empty() {
            let reason = format!(
                "a TCP connection with {} in the kernel is not supported",
                String::from_utf8_lossy(&protocol)
            );
            return Ok(Some(SocketRefused { reason, remedy: "use --tcp-close", is_momentary: false }));
        }
    }
    Ok(None)
}

/// Whether a socket has a connection that is to be kept.
pub(crate) fn keeps_connection(fd: BorrowedFd<'_>, options: &DumpOptions<'_>) -> sys::Result<bool> {
    let is_kept = options.tcp_established && !options.tcp_close && Socket::of(fd)?.is_tcp();
    Ok(is_kept && tcp::is_connection(tcp::info(fd)?.state))
}

impl Files<'_> {
    pub(super) fn socket(&mut self, open: &Open) -> Result<FileEntry> {
        let socket = Socket::of(open.file.as_fd()).at(|| format!("{}: its kind", open.owner))?;
        if let Some(reason) = socket.refused() {
            return Err(Error::new(format!("{}: {reason}", open.owner)));
        }
        self.socket_side(open, socket)?;
        match socket.family {
            libc::AF_UNIX => self.unix_socket(open),
            libc::AF_NETLINK => self.netlink_socket(open, socket),
            libc::AF_PACKET => self.packet_socket(open, socket),
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
            so_filter: sys::socket::filter(fd)?.into_iter().map(filter_of_images).collect(),
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

/// What the kernel does on top of TCP: `tls`, `espintcp` and the like; empty for nothing.
fn upper_protocol(fd: BorrowedFd<'_>) -> Vec<u8> {
    let name = option(fd, libc::IPPROTO_TCP, libc::TCP_ULP, 16).unwrap_or_default();
    name.into_iter().take_while(|byte| *byte != 0).collect()
}

/// An instruction of a filter: in the images its code, where to jump, and its number come from the left, in a struct
/// sock_filter from the right.
fn filter_of_images(instruction: u64) -> u64 {
    let (code, jumps, number) = (instruction & 0xffff, instruction >> 16 & 0xffff, instruction >> 32);
    code << 48 | u64::from((jumps as u16).swap_bytes()) << 32 | number
}

/// A struct sock_filter out of an instruction of the images.
pub(crate) fn filter_of_kernel(instruction: u64) -> u64 {
    let (code, jumps, number) = (instruction >> 48, instruction >> 32 & 0xffff, instruction & 0xffff_ffff);
    code | u64::from((jumps as u16).swap_bytes()) << 16 | number << 32
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_as_the_kernel_has_them() {
        // BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x01020304, 5, 6), as CRIU writes it
        let image = 0x0015_0506_0102_0304;
        let bytes = filter_of_kernel(image).to_le_bytes();
        assert_eq!(bytes, [0x15, 0, 5, 6, 4, 3, 2, 1]);
        assert_eq!(filter_of_images(u64::from_le_bytes(bytes)), image);
    }
}
