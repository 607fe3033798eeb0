//! Attached `run` and `exec`: signals go to the container's process, a terminal of its own is relayed to
//! ours, and its end is our exit status. One loop over descriptors, no threads.

use crate::error::{At, Error, Result};
use crate::notify::NotifySocket;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{read, write};
use std::io::{IoSliceMut, stdin, stdout};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use sys::Errno;
use sys::clone::Child;
use sys::process::{ExitStatus, pidfd_send_signal, pty_peer, set_window_size, wait_pidfd, window_size};

/// All signals that can be caught, waiting in a descriptor.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    pub(crate) fn block() -> Result<Signals> {
        let make = || -> nix::Result<SignalFd> {
            let all = SigSet::all();
            all.thread_block()?;
            SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        };
        Ok(Signals(make().map_err(Errno::from).at(|| "signalfd")?))
    }
}

/// Where the master of the container's terminal arrives.
#[derive(Debug)]
pub(crate) struct Terminal(OwnedFd);

impl Terminal {
    /// Our end and the one that init gets as its console socket.
    pub(crate) fn pair() -> Result<(Terminal, OwnedFd)> {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
            .map_err(Errno::from)
            .at(|| "socketpair")?;
        Ok((Terminal(ours), theirs))
    }

    /// Takes the master, which init has sent by now, and makes the two terminals one: raw mode, same size.
    /// Before the program starts, so that it never sees another size.
    pub(crate) fn relay(self) -> Result<Relay> {
        Relay::new(self.receive()?)
    }

    fn receive(self) -> Result<OwnedFd> {
        let mut payload = [0u8; 64];
        let mut space = nix::cmsg_space!([i32; 1]);
        let mut buffers = [IoSliceMut::new(&mut payload)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(self.0.as_raw_fd(), &mut buffers, Some(&mut space), flags)
            .map_err(Errno::from)
            .at(|| "receive console")?;
        let numbers = message.cmsgs().map_err(Errno::from).at(|| "receive console")?.find_map(|m| match m {
            ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
            _ => None,
        });
        let number = numbers.ok_or_else(|| Error::new("receive console: no descriptor came"))?;
        Ok(sys::process::received_fd(number))
    }
}

/// Waits for the process; the result is its exit code or 128 + the signal that killed it.
pub(crate) fn wait(
    child: &Child,
    signals: &Signals,
    mut relay: Option<Relay>,
    notify: Option<&NotifySocket>,
) -> Result<ExitStatus> {
    let mut notify = notify;
    loop {
        let stdin = stdin();
        let mut fds = vec![
            PollFd::new(child.pidfd.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.0.as_fd(), PollFlags::POLLIN),
        ];
        // poll(2) reports a hang-up whether it is asked for or not, so what has nothing to do stays out.
        let mut watch = |fd, events: PollFlags| {
            (!events.is_empty()).then(|| {
                fds.push(PollFd::new(fd, events));
                fds.len() - 1
            })
        };
        let master = relay.as_ref().and_then(|relay| watch(relay.master.as_fd(), relay.master_events()));
        let typed = relay.as_ref().and_then(|relay| watch(stdin.as_fd(), relay.stdin_events()));
        let notified = notify.and_then(|notify| watch(notify.fd(), PollFlags::POLLIN));
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            other => other.map_err(Errno::from).at(|| "poll")?,
        };
        let events: Vec<PollFlags> =
            fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect();
        drop(fds);
        let event = |index: Option<usize>| index.map_or(PollFlags::empty(), |index| events[index]);
        if !events[1].is_empty() {
            forward_signals(signals, child, relay.as_ref())?;
        }
        if let Some(relay) = &mut relay {
            relay.turn(event(master), event(typed))?;
        }
        if let Some(socket) = notify
            && event(notified).contains(PollFlags::POLLIN)
            && socket.pass_on(child.pid)?
        {
            notify = None;
        }
        if !events[0].is_empty()
            && let Some(status) = wait_pidfd(child.pidfd.as_fd(), false).at(|| "wait for the container")?
        {
            if let Some(relay) = &mut relay {
                relay.drain();
            }
            return Ok(status);
        }
    }
}

fn forward_signals(signals: &Signals, child: &Child, relay: Option<&Relay>) -> Result<()> {
    while let Some(info) = signals.0.read_signal().map_err(Errno::from).at(|| "read signal")? {
        let number = info.ssi_signo as i32;
        match Signal::try_from(number) {
            Ok(Signal::SIGCHLD) => reap_others(child.pid),
            Ok(Signal::SIGWINCH) if relay.is_some() => relay.into_iter().for_each(Relay::resize),
            // Ours: the other end of our own output is gone. Writes tell.
            Ok(Signal::SIGPIPE) => {}
            _ => match pidfd_send_signal(child.pidfd.as_fd(), number) {
                Err(e) if e.raw() == libc::ESRCH => {}
                other => other.at(|| format!("forward signal {number}"))?,
            },
        }
    }
    Ok(())
}

/// As a subreaper we inherit what daemons of the container leave behind. Ours is left to its pidfd.
fn reap_others(ours: i32) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(status) = waitid(Id::All, flags) {
        match status {
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) if pid.as_raw() != ours => {
                let _ = waitpid(pid, None::<WaitPidFlag>);
            }
            _ => return,
        }
    }
}

/// Bytes between our stdio and the container's terminal.
pub(crate) struct Relay {
    master: OwnedFd,
    /// The terminal itself, so that it is never closed by all: programs may close it and open it again.
    _terminal: OwnedFd,
    /// Typed, but not yet taken by the terminal.
    pending: Vec<u8>,
    stdin_open: bool,
    master_open: bool,
    saved: Option<Termios>,
}

impl Relay {
    fn new(master: OwnedFd) -> Result<Relay> {
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(Errno::from).at(|| "console")?;
        let terminal = pty_peer(master.as_fd()).at(|| "console")?;
        let saved = tcgetattr(stdin()).ok();
        if let Some(attributes) = &saved {
            let mut raw = attributes.clone();
            cfmakeraw(&mut raw);
            tcsetattr(stdin(), SetArg::TCSANOW, &raw).map_err(Errno::from).at(|| "terminal to raw mode")?;
        }
        let relay = Relay {
            master,
            _terminal: terminal,
            pending: Vec::new(),
            stdin_open: true,
            master_open: true,
            saved,
        };
        relay.resize();
        Ok(relay)
    }

    /// Gives the container's terminal the size of ours, if we have one.
    fn resize(&self) {
        let size = [stdin().as_fd(), stdout().as_fd()]
            .into_iter()
            .find_map(|fd: BorrowedFd<'_>| window_size(fd).ok());
        if let Some((rows, columns)) = size.filter(|(rows, columns)| *rows > 0 && *columns > 0) {
            let _ = set_window_size(self.master.as_fd(), rows, columns);
        }
    }

    fn master_events(&self) -> PollFlags {
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLIN, self.master_open);
        events.set(PollFlags::POLLOUT, self.master_open && !self.pending.is_empty());
        events
    }

    fn stdin_events(&self) -> PollFlags {
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLIN, self.stdin_open && self.pending.is_empty());
        events
    }

    fn turn(&mut self, master: PollFlags, stdin_event: PollFlags) -> Result<()> {
        if !stdin_event.is_empty() {
            let mut buffer = [0u8; 4096];
            match read(stdin(), &mut buffer) {
                Ok(length @ 1..) => self.pending.extend_from_slice(&buffer[..length]),
                Err(nix::Error::EAGAIN | nix::Error::EINTR) => {}
                // Its end, or nothing that can be read, such as a directory: the container runs without it.
                Ok(0) | Err(_) => self.stdin_open = false,
            }
        }
        if master.contains(PollFlags::POLLOUT) {
            match write(&self.master, &self.pending) {
                Ok(length) => drop(self.pending.drain(..length)),
                Err(nix::Error::EAGAIN | nix::Error::EINTR) => {}
                Err(_) => self.pending.clear(),
            }
        }
        if master.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
            self.copy_output();
        }
        Ok(())
    }

    /// One read's worth of output; false when there is none now.
    fn copy_output(&mut self) -> bool {
        let mut buffer = [0u8; 8192];
        match read(&self.master, &mut buffer) {
            Ok(length @ 1..) => {
                let mut rest = &buffer[..length];
                while !rest.is_empty() {
                    match write(stdout(), rest) {
                        Ok(length) => rest = &rest[length..],
                        Err(nix::Error::EINTR) => {}
                        Err(nix::Error::EAGAIN) => {
                            let _ = poll(
                                &mut [PollFd::new(stdout().as_fd(), PollFlags::POLLOUT)],
                                PollTimeout::NONE,
                            );
                        }
                        // Nobody reads; the container runs on.
                        Err(_) => break,
                    }
                }
                true
            }
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => false,
            // EIO: the terminal was hung up, as it is when the leader of its session ends.
            Ok(0) | Err(_) => {
                self.master_open = false;
                false
            }
        }
    }

    fn drain(&mut self) {
        while self.master_open && self.copy_output() {}
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            let _ = tcsetattr(stdin(), SetArg::TCSANOW, saved);
        }
    }
}
