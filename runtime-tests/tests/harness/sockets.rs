//! Descriptors that arrive over unix sockets, pseudo-terminals, and seccomp notifications.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "received descriptors and the seccomp ioctls have no safe form"
)]

use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use std::fs::File;
use std::io::{IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A listening socket that a runtime sends descriptors to.
pub(crate) struct FdSocket {
    listener: UnixListener,
    pub(crate) path: PathBuf,
}

impl FdSocket {
    pub(crate) fn new(path: PathBuf) -> FdSocket {
        let listener = UnixListener::bind(&path).expect("bind");
        listener.set_nonblocking(true).expect("nonblocking");
        FdSocket { listener, path }
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().expect("utf-8")
    }

    /// The first message: its bytes and its descriptors.
    pub(crate) fn receive(&self) -> (Vec<u8>, Vec<OwnedFd>) {
        let deadline = Instant::now() + super::timeout();
        let stream: UnixStream = loop {
            match self.listener.accept() {
                Ok((stream, _)) => break stream,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) => panic!("accept: {e}"),
            }
            assert!(Instant::now() < deadline, "{}: nobody connected", self.path.display());
            std::thread::sleep(Duration::from_millis(5));
        };
        stream.set_nonblocking(false).expect("blocking");
        stream.set_read_timeout(Some(super::timeout())).expect("timeout");
        let mut bytes = vec![0u8; 65536];
        let mut control = nix::cmsg_space!([i32; 8]);
        let mut iov = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message =
            recvmsg::<UnixAddr>(stream.as_raw_fd(), &mut iov, Some(&mut control), flags).expect("recvmsg");
        let mut fds = Vec::new();
        for part in message.cmsgs().expect("control messages") {
            if let ControlMessageOwned::ScmRights(list) = part {
                fds.extend(list.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        let size = message.bytes;
        bytes.truncate(size);
        (bytes, fds)
    }

    /// The one descriptor of the first message.
    pub(crate) fn receive_fd(&self) -> OwnedFd {
        let (_, mut fds) = self.receive();
        assert_eq!(fds.len(), 1, "descriptors in one message");
        fds.remove(0)
    }
}

/// The outer end of a terminal.
pub(crate) struct Terminal {
    file: File,
    seen: String,
}

impl Terminal {
    pub(crate) fn new(master: OwnedFd) -> Terminal {
        nix::fcntl::fcntl(&master, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))
            .expect("fcntl");
        Terminal { file: File::from(master), seen: String::new() }
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.file.write_all(text.as_bytes()).expect("write to the terminal");
    }

    pub(crate) fn size(&self) -> [u16; 2] {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        unsafe { libc::ioctl(self.file.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
        [size.ws_row, size.ws_col]
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        assert_eq!(unsafe { libc::ioctl(self.file.as_raw_fd(), libc::TIOCSWINSZ, &size) }, 0);
    }

    /// Reads until `text` has been seen.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + super::timeout();
        let mut bytes = [0u8; 4096];
        while !self.seen.contains(text) {
            match self.file.read(&mut bytes) {
                Ok(size) if size > 0 => self.seen += &String::from_utf8_lossy(&bytes[..size]),
                // EIO: nobody has the other end open, at the moment.
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
            assert!(Instant::now() < deadline, "no `{text}` on the terminal, only: {}", self.seen);
        }
        self.seen.clone()
    }
}

/// A new pseudo-terminal: outer and inner end.
pub(crate) fn open_pty(rows: u16, columns: u16) -> (Terminal, OwnedFd) {
    // Not openpty(3): what other tests start at this moment would inherit both ends.
    let master = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC)
        .open("/dev/ptmx")
        .expect("open /dev/ptmx");
    let unlock: libc::c_int = 0;
    assert_eq!(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &unlock) }, 0, "unlock");
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    let inner = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    assert!(inner >= 0, "open the terminal: {}", std::io::Error::last_os_error());
    let terminal = Terminal::new(master.into());
    terminal.resize(rows, columns);
    (terminal, unsafe { OwnedFd::from_raw_fd(inner) })
}

/// Makes `command` the leader of a session whose terminal is its standard input.
pub(crate) fn control_terminal(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt as _;
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            if libc::ioctl(0, libc::TIOCSCTTY, 0) == -1 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        })
    };
}

/// Lets `command` inherit `fds` as 3, 4, ….
pub(crate) fn pass_fds(command: &mut std::process::Command, fds: Vec<OwnedFd>) {
    use std::os::unix::process::CommandExt as _;
    unsafe {
        command.pre_exec(move || {
            // First away from the low numbers, so that no source is overwritten.
            for (index, fd) in fds.iter().enumerate() {
                let high = libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 100);
                if high == -1 || libc::dup2(high, 3 + index as i32) == -1 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        })
    };
}

/// Answers seccomp notifications with `errno` (negative: let the system call continue) until nobody is left;
/// returns how many there were.
pub(crate) fn answer_notifications(listener: &OwnedFd, errno: i32, count: usize) -> Vec<i32> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        if unsafe { libc::poll(&mut poll, 1, 10_000) } != 1 || poll.revents & libc::POLLIN == 0 {
            break;
        }
        let mut request: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        const RECV: libc::c_ulong = 0xc050_2100;
        const SEND: libc::c_ulong = 0xc018_2101;
        if unsafe { libc::ioctl(listener.as_raw_fd(), RECV, &mut request) } == -1 {
            break;
        }
        numbers.push(request.data.nr);
        let mut response: libc::seccomp_notif_resp = unsafe { std::mem::zeroed() };
        response.id = request.id;
        if errno < 0 {
            response.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        } else {
            response.error = -errno;
        }
        unsafe { libc::ioctl(listener.as_raw_fd(), SEND, &mut response) };
    }
    numbers
}

/// Whether a pidfd's process has ended, waiting for it.
pub(crate) fn pidfd_ended(pidfd: &OwnedFd) -> bool {
    let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    unsafe { libc::poll(&mut poll, 1, 10_000) == 1 }
}

pub(crate) fn pidfd_signal(pidfd: &OwnedFd, signal: i32) -> bool {
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, 0, 0) == 0 }
}

/// A datagram socket at `path`, readable with a timeout.
pub(crate) fn datagram_socket(path: &Path) -> std::os::unix::net::UnixDatagram {
    let socket = std::os::unix::net::UnixDatagram::bind(path).expect("bind");
    socket.set_read_timeout(Some(super::timeout())).expect("timeout");
    socket
}
