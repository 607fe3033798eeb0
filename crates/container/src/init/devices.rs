//! What a container finds in /dev besides mounts: device nodes, links and the console.

use super::paths::{Kind, is_device, open_or_create, open_parent, reopen};
use super::protocol::{During, InitResult, Step};
use crate::config::{Config, Device, MountKind};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::sys::stat::{Mode, SFlag, mknodat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, symlinkat, unlinkat};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use sys::mount::{attach, clone_tree};
use sys::path::resolve_in_root;
use sys::process::{filesystem_type, pty_peer, set_window_size, unlock_pty};
use sys::{Errno, Result};

const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;

/// Devices that every container has (config-linux.md, default devices).
pub(crate) const DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Links that every container has (runtime-linux.md, file descriptors; config-linux.md, /dev/ptmx).
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Whether /dev is the container's own to fill: a bind-mounted one is somebody else's.
pub(crate) fn fills_dev(config: &Config) -> bool {
    !config.mounts.iter().any(|mount| {
        matches!(mount.kind, MountKind::Bind { .. }) && super::paths::clean(&mount.destination) == ["dev"]
    })
}

/// Makes device nodes and links. In a user namespace mknod(2) is not allowed: the host's nodes are bound.
pub(crate) fn make_all(root: BorrowedFd<'_>, config: &Config, may_mknod: bool) -> InitResult<()> {
    // A link at /dev would lead nodes into another directory of the root.
    let dev = resolve_in_root(root, "dev", libc::O_NOFOLLOW | libc::O_DIRECTORY);
    match dev {
        Err(e) if e.raw() != libc::ENOENT => {
            return Err(e).during(Step::Device, || "nodes in /dev: it must be an ordinary directory");
        }
        _ => {}
    }
    // File modes are those of config.json.
    let umask = nix::sys::stat::umask(Mode::empty());
    let result = make_nodes(root, config, may_mknod);
    nix::sys::stat::umask(umask);
    result?;
    for (link, target) in LINKS {
        make_link(root, link, target).during(Step::DeviceLink, || link)?;
    }
    if std::path::Path::new("/proc/kcore").exists() {
        make_link(root, "/dev/core", "/proc/kcore").during(Step::DeviceLink, || "/dev/core")?;
    }
    make_link(root, "/dev/ptmx", "pts/ptmx").during(Step::DeviceLink, || "/dev/ptmx")
}

fn make_nodes(root: BorrowedFd<'_>, config: &Config, may_mknod: bool) -> InitResult<()> {
    let configured = |path: &str| config.devices.iter().any(|device| device.path == path);
    let defaults =
        DEFAULTS.iter().filter(|(path, ..)| !configured(path)).map(|(path, major, minor)| Device {
            path: (*path).to_owned(),
            kind: libc::S_IFCHR,
            major: *major,
            minor: *minor,
            mode: 0o666,
            uid: 0,
            gid: 0,
        });
    for device in defaults.chain(config.devices.iter().cloned()) {
        // /dev/ptmx is always the container's own instance.
        if device.path == "/dev/ptmx" {
            continue;
        }
        let made = if may_mknod || device.kind == libc::S_IFIFO {
            make_node(root, &device)
        } else {
            bind_node(root, &device)
        };
        made.during(Step::Device, || device.path.as_str())?;
    }
    Ok(())
}

fn make_node(root: BorrowedFd<'_>, device: &Device) -> Result<()> {
    let (parent, name) = open_parent(root, &device.path)?;
    let mode = Mode::from_bits_truncate(device.mode);
    let number = libc::makedev(device.major, device.minor);
    match mknodat(&parent, name, SFlag::from_bits_truncate(device.kind), mode, number) {
        Ok(()) => {}
        // An image may bring its own; it gets no more than the device rules allow.
        Err(nix::Error::EEXIST) => return Ok(()),
        Err(nix::Error::EPERM) => return bind_node(root, device),
        Err(e) => return Err(e.into()),
    }
    if device.uid != 0 || device.gid != 0 {
        let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
        // No chmod(2) after it, which would follow a link that has taken the node's place: what chown(2)
        // clears, the set-id bits, means nothing on a device.
        fchownat(&parent, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

fn bind_node(root: BorrowedFd<'_>, device: &Device) -> Result<()> {
    let tree = clone_tree(AT_FDCWD, &device.path, false)?;
    let target = open_or_create(root, &device.path, Kind::File)?;
    attach(tree.as_fd(), target.as_fd())
}

fn make_link(root: BorrowedFd<'_>, link: &str, target: &str) -> Result<()> {
    let (parent, name) = open_parent(root, link)?;
    match symlinkat(target, &parent, name) {
        Err(nix::Error::EEXIST) if name == "ptmx" => {
            unlinkat(&parent, name, UnlinkatFlags::NoRemoveDir)?;
            symlinkat(target, &parent, name)?;
        }
        Err(nix::Error::EEXIST) => {}
        other => other?,
    }
    Ok(())
}

/// A new terminal in the container's devpts: its master goes to `socket`, its other end onto /dev/console.
/// `procfs` is the host's.
pub(crate) fn open_console(
    root: BorrowedFd<'_>,
    procfs: BorrowedFd<'_>,
    socket: BorrowedFd<'_>,
    size: Option<(u16, u16)>,
    bind_console: bool,
) -> InitResult<OwnedFd> {
    let open = || -> Result<(OwnedFd, OwnedFd)> {
        let ptmx = resolve_in_root(root, "/dev/pts/ptmx", 0)?;
        // The name may lead to anything; device number and file system cannot lie.
        if !is_device(ptmx.as_fd(), 5, 2) || filesystem_type(ptmx.as_fd())? != DEVPTS_SUPER_MAGIC {
            return Err(Errno::from_raw(libc::ENODEV));
        }
        let master = reopen(procfs, ptmx.as_fd(), OFlag::O_RDWR | OFlag::O_NOCTTY)?;
        unlock_pty(master.as_fd())?;
        let terminal = pty_peer(master.as_fd())?;
        if let Some((rows, columns)) = size {
            set_window_size(terminal.as_fd(), rows, columns)?;
        }
        Ok((master, terminal))
    };
    let (master, terminal) = open().during(Step::Console, || "/dev/pts/ptmx")?;
    if bind_console {
        let bind = || -> Result<()> {
            let tree = clone_tree(terminal.as_fd(), "", false)?;
            let target = open_or_create(root, "/dev/console", Kind::File)?;
            attach(tree.as_fd(), target.as_fd())
        };
        bind().during(Step::Console, || "/dev/console")?;
    }
    send_fd(socket, master.as_fd(), b"/dev/ptmx").during(Step::ConsoleSocket, || "the console socket")?;
    Ok(terminal)
}

/// One descriptor with a payload; receivers ask for at least a byte.
pub(crate) fn send_fd(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>, payload: &[u8]) -> Result<()> {
    let fds = [fd.as_raw_fd()];
    sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(payload)],
        &[ControlMessage::ScmRights(&fds)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}
