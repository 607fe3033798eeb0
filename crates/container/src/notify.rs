//! NOTIFY_SOCKET: systemd's readiness protocol across the container's border (sd_notify(3)).
//!
//! The container gets a socket of its own, in a directory of the state directory that is bound into it;
//! whoever starts the container listens there and passes on READY, with the pid that the host knows.

use crate::config::{Mount, MountKind, Propagation};
use crate::error::{At, Result};
use crate::state::socket_address;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, bind, recv, sendto, socket};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use sys::Errno;
use sys::mount::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, MountAttr};

const DIRECTORY: &str = "notify";
const SOCKET: &str = "notify.sock";
pub(crate) const IN_CONTAINER: &str = "/run/notify";

/// The mount and the variable that lead the container's program to the socket.
pub(crate) fn in_container(state_dir: &Path) -> Result<(Mount, String)> {
    let directory = state_dir.join(DIRECTORY);
    fs::create_dir_all(&directory).map_err(Errno::from).at(|| format!("create {}", directory.display()))?;
    let mount = Mount {
        destination: IN_CONTAINER.to_owned(),
        kind: MountKind::Bind { source: directory, recursive: false },
        // Read-only, or the container could fill the host's directory; a socket can be written to all the same.
        attr: MountAttr {
            set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
            ..MountAttr::default()
        },
        recursive_attr: MountAttr::default(),
        // Whatever rootfsPropagation says: this directory is not of the container's making.
        propagation: vec![Propagation { flag: libc::MS_PRIVATE, recursive: false }],
        idmap: None,
        source_nofollow: false,
    };
    Ok((mount, format!("NOTIFY_SOCKET={IN_CONTAINER}/{SOCKET}")))
}

#[derive(Debug)]
pub(crate) struct NotifySocket {
    socket: OwnedFd,
    host: PathBuf,
}

impl NotifySocket {
    pub(crate) fn is_set_up(state_dir: &Path) -> bool {
        state_dir.join(DIRECTORY).is_dir()
    }

    pub(crate) fn listen(state_dir: &Path, host: &Path) -> Result<NotifySocket> {
        let directory = state_dir.join(DIRECTORY);
        let what = || format!("create {}", directory.join(SOCKET).display());
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket =
            socket(AddressFamily::Unix, SockType::Datagram, flags, None).map_err(Errno::from).at(what)?;
        let (_dir, address) = socket_address(&directory, SOCKET)?;
        bind(socket.as_raw_fd(), &address).map_err(Errno::from).at(what)?;
        // The container's user sends to it, whoever that is.
        fs::set_permissions(directory.join(SOCKET), fs::Permissions::from_mode(0o777))
            .map_err(Errno::from)
            .at(what)?;
        Ok(NotifySocket { socket, host: host.to_owned() })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Waits until the program is ready or has ended.
    pub(crate) fn relay(&self, pidfd: BorrowedFd<'_>, pid: i32) -> Result<()> {
        loop {
            let mut fds = [PollFd::new(self.fd(), PollFlags::POLLIN), PollFd::new(pidfd, PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::NONE) {
                Err(nix::Error::EINTR) => continue,
                other => other.map_err(Errno::from).at(|| "poll")?,
            };
            let (said, ended) = (fds[0].any() == Some(true), fds[1].any() == Some(true));
            if said && self.pass_on(pid)? || !said && ended {
                return Ok(());
            }
        }
    }

    /// Passes one message on; true when it was READY.
    pub(crate) fn pass_on(&self, pid: i32) -> Result<bool> {
        let mut buffer = [0u8; 4096];
        let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty())
            .map_err(Errno::from)
            .at(|| "NOTIFY_SOCKET")?;
        let message = &buffer[..length];
        let ready = message.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"READY="));
        let Some(ready) = ready else { return Ok(false) };
        // Only READY crosses the border: the rest could change the service on the host.
        tell(&self.host, ready, pid)?;
        Ok(true)
    }
}

/// Tells whoever listens at `host` that a restored program is ready: it has said so before it was checkpointed, and will not
/// again.
pub(crate) fn is_ready(host: &Path, pid: i32) -> Result<()> {
    tell(host, b"READY=1", pid)
}

fn tell(host: &Path, ready: &[u8], pid: i32) -> Result<()> {
    let text = [ready, format!("\nMAINPID={pid}").as_bytes()].concat();
    let address = match host.as_os_str().as_bytes() {
        [b'@', name @ ..] => UnixAddr::new_abstract(name),
        path => UnixAddr::new(path),
    };
    let send = address.and_then(|address| {
        let client = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        sendto(client.as_raw_fd(), &text, &address, MsgFlags::MSG_NOSIGNAL)
    });
    send.map_err(Errno::from).at(|| format!("NOTIFY_SOCKET {}", host.display()))?;
    Ok(())
}
