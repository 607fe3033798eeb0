//! A process that outlives us: when we are killed, it undoes what is not in the tasks and would stay. It thaws the container
//! or freezes it again, as its owner had it, removes links that were made for the dump, gives processes their limits back,
//! and lets connections of TCP go on. What is in the tasks finds its own way home (crate `inject`).
//!
//! And it does for us what must not end in the middle: to take what can only be taken, and to put it back.

use crate::error::{At, Error, Result};
use crate::network_lock::LockName;
use crate::{files, message_queues, tcp, terminals};
use cgroup::Cgroup;
use nix::cmsg_space;
use nix::fcntl::AtFlags;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recv, recvmsg, sendmsg,
    socketpair,
};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use sys::clone::{Child, CloneArgs};

/// Dropping it tells it that all is well.
#[derive(Debug)]
pub(crate) struct Guardian {
    child: Child,
    socket: OwnedFd,
}

/// What it hears, by the first byte: what to undo, with a descriptor, and before we leave on our own that there is nothing
/// to do.
const LINK: u8 = b'l';
const LIMIT: u8 = b'r';
const CONNECTION: u8 = b't';
const NETWORK: u8 = b'n';
const KILL: u8 = b'k';
const WELL: u8 = b'.';
/// What it is asked to do, with a descriptor and another for the answer.
const LOOK_AT_SLAVE: u8 = b's';
const LOOK_AT_MASTER: u8 = b'm';
const LOOK_AT_QUEUE: u8 = b'q';
const LOOK_AT_EVENTFD: u8 = b'e';

/// Bytes of the longest message: a kind, an inode and a name.
const MESSAGE: usize = 1 + 8 + 255;

/// Bytes of the longest reply: an error's text.
const REPLY: usize = 512;

/// A limit of a process (prlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// In our pid namespace.
    pub(crate) pid: i32,
    pub(crate) resource: u32,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

impl Guardian {
    /// Begins to guard. When we die, `cgroup` is to be frozen if `is_paused`, and thawed otherwise.
    pub(crate) fn new(cgroup: Option<&Cgroup>, is_paused: bool) -> Result<Guardian> {
        let (theirs, ours) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .at(|| "make a socket for the guardian".to_owned())?;
        let guard = || {
            // What is sent to our terminal's processes is not for it, and no file of ours is kept open by it.
            let _ = nix::unistd::setsid();
            let _ = sys::process::close_all_but(&[theirs.as_raw_fd()]);
            if let Some(undo) = listen(theirs.as_fd()) {
                // Nobody is left to be told of an error. The cgroup comes last: what runs again is as it was.
                undo.iter().for_each(|undo| undo.act(cgroup));
                let _ = cgroup.map(|cgroup| if is_paused { cgroup.freeze() } else { cgroup.thaw() });
            }
            0
        };
        let child = sys::clone::spawn(&CloneArgs::default(), guard).at(|| "start the guardian".to_owned())?;
        Ok(Guardian { child, socket: ours })
    }

    /// Has a name in a directory removed when we die, if it is one of the file with this inode. It may be told before
    /// there is such a name.
    pub(crate) fn note_link(&self, directory: BorrowedFd<'_>, name: &OsStr, inode: u64) -> Result<()> {
        tell(self.socket.as_fd(), &link(name, inode), directory)
    }

    /// Has a process given this limit when we die.
    pub(crate) fn note_limit(&self, pidfd: BorrowedFd<'_>, limit: &Limit) -> Result<()> {
        tell(self.socket.as_fd(), &limit.message(), pidfd)
    }

    /// Has the socket of a connection taken out of repair mode when we die.
    pub(crate) fn note_connection(&self, socket: BorrowedFd<'_>, reuses_address: bool) -> Result<()> {
        tell(self.socket.as_fd(), &[CONNECTION, reuses_address.into()], socket)
    }

    /// Has a lock taken away when we die, in a network namespace. It may be told before there is one.
    pub(crate) fn note_lock(&self, network: BorrowedFd<'_>, name: LockName) -> Result<()> {
        tell(self.socket.as_fd(), &[&[NETWORK], name.to_string().as_bytes()].concat(), network)
    }

    /// Has the container killed when we die, and nothing else undone any more. `pidfd` is its first process, or one after
    /// the other is each of a tree that is in no cgroup of its own.
    pub(crate) fn note_kill(&self, pidfd: BorrowedFd<'_>) -> Result<()> {
        tell(self.socket.as_fd(), &[KILL], pidfd)
    }

    /// What is in the queue of a pseudo terminal.
    pub(crate) fn look_at_terminal(&self, terminal: BorrowedFd<'_>, is_master: bool) -> Result<Vec<u8>> {
        self.ask(if is_master { LOOK_AT_MASTER } else { LOOK_AT_SLAVE }, terminal)
    }

    /// The messages of a POSIX queue, as `message_queues::look_at` has them.
    pub(crate) fn look_at_queue(&self, queue: BorrowedFd<'_>) -> Result<Vec<u8>> {
        self.ask(LOOK_AT_QUEUE, queue)
    }

    /// Whether an eventfd is a semaphore.
    pub(crate) fn look_at_eventfd(&self, eventfd: BorrowedFd<'_>) -> Result<bool> {
        Ok(self.ask(LOOK_AT_EVENTFD, eventfd)? == [u8::from(true)])
    }

    /// Has something done, and waits for the answer.
    fn ask(&self, what: u8, about: BorrowedFd<'_>) -> Result<Vec<u8>> {
        let failed = || "ask the guardian".to_owned();
        let answer = memfd_create("answer", MFdFlags::MFD_CLOEXEC).at(failed)?;
        send(self.socket.as_fd(), &[what], &[about, answer.as_fd()]).at(failed)?;
        let mut reply = [0; REPLY];
        let len = recv(self.socket.as_raw_fd(), &mut reply, MsgFlags::empty()).at(failed)?;
        match &reply[..len] {
            [] => Err(Error::new("ask the guardian: it has ended")),
            [WELL] => {
                let mut bytes = Vec::new();
                let mut answer = File::from(answer);
                answer.rewind().and_then(|()| answer.read_to_end(&mut bytes)).at(failed)?;
                Ok(bytes)
            }
            error => Err(Error::new(String::from_utf8_lossy(error))),
        }
    }
}

fn tell(socket: BorrowedFd<'_>, message: &[u8], about: BorrowedFd<'_>) -> Result<()> {
    send(socket, message, &[about]).at(|| "tell the guardian".to_owned())
}

fn send(socket: BorrowedFd<'_>, message: &[u8], about: &[BorrowedFd<'_>]) -> nix::Result<()> {
    let fds: Vec<i32> = about.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let vector = [IoSlice::new(message)];
    sendmsg::<()>(socket.as_raw_fd(), &vector, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

fn link(name: &OsStr, inode: u64) -> Vec<u8> {
    [&[LINK], inode.to_le_bytes().as_slice(), name.as_bytes()].concat()
}

impl Limit {
    fn message(&self) -> Vec<u8> {
        let numbers = [self.pid as u64, self.resource.into(), self.soft, self.hard];
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
        [LIMIT].into_iter().chain(bytes).collect()
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // It ends either way; this says which.
        let _ = nix::sys::socket::send(self.socket.as_raw_fd(), &[WELL], MsgFlags::MSG_NOSIGNAL);
        let _ = sys::process::wait_pidfd(self.child.pidfd.as_fd(), true);
    }
}

/// Something to undo.
#[derive(Debug)]
enum Undo {
    Link { directory: OwnedFd, name: Vec<u8>, inode: u64 },
    Limit { pidfd: OwnedFd, limit: Limit },
    Connection { socket: OwnedFd, reuses_address: bool },
    Lock { network: OwnedFd, name: LockName },
    Kill { pidfd: OwnedFd },
}

impl Undo {
    fn parse(message: &[u8], about: OwnedFd) -> Option<Undo> {
        match message.split_first()? {
            (&LINK, rest) => {
                let (inode, name) = rest.split_at_checked(8)?;
                let inode = u64::from_le_bytes(inode.try_into().ok()?);
                Some(Undo::Link { directory: about, name: name.to_vec(), inode })
            }
            (&LIMIT, numbers) => {
                let number = |nth: usize| {
                    Some(u64::from_le_bytes(numbers.get(nth * 8..nth * 8 + 8)?.try_into().ok()?))
                };
                let (pid, resource) = (number(0)? as i32, number(1)? as u32);
                let limit = Limit { pid, resource, soft: number(2)?, hard: number(3)? };
                Some(Undo::Limit { pidfd: about, limit })
            }
            (&NETWORK, name) => Some(Undo::Lock { network: about, name: LockName::parse(name)? }),
            (&CONNECTION, flag) => Some(Undo::Connection { socket: about, reuses_address: flag == [1] }),
            _ => None,
        }
    }

    fn act(&self, cgroup: Option<&Cgroup>) {
        match self {
            Undo::Kill { pidfd } => {
                let killed = cgroup.map(|cgroup| cgroup.kill().is_ok());
                if killed != Some(true) {
                    let _ = sys::process::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
                }
            }
            Undo::Link { directory, name, inode } => {
                let name = OsStr::from_bytes(name);
                let found = nix::sys::stat::fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW);
                if found.is_ok_and(|found| found.st_ino == *inode) {
                    let _ = nix::unistd::unlinkat(directory, name, nix::unistd::UnlinkatFlags::NoRemoveDir);
                }
            }
            Undo::Limit { pidfd, limit } => {
                // Its number may be another's by now.
                if sys::process::pidfd_is_running(pidfd.as_fd()).unwrap_or(false) {
                    let Limit { pid, resource, soft, hard } = *limit;
                    let _ = sys::process::set_rlimit(pid, resource, soft, hard);
                }
            }
            Undo::Connection { socket, reuses_address } => {
                let _ = tcp::end_repair(socket.as_fd(), *reuses_address);
            }
            Undo::Lock { network, name } => {
                let entered = sys::process::setns(network.as_fd(), libc::CLONE_NEWNET);
                let _ = entered.is_ok().then(|| name.unlock());
            }
        }
    }
}

/// Hears what there will be to undo, and does what it is asked to. `None` when we say that all is well, the list when we
/// die.
fn listen(socket: BorrowedFd<'_>) -> Option<Vec<Undo>> {
    let mut undo = Vec::new();
    loop {
        let mut message = [0; MESSAGE];
        let mut space = cmsg_space!([i32; 2]);
        let mut buffers = [IoSliceMut::new(&mut message)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let heard = match recvmsg::<()>(socket.as_raw_fd(), &mut buffers, Some(&mut space), flags) {
            Ok(heard) => heard,
            Err(nix::Error::EINTR) => continue,
            Err(_) => return Some(undo),
        };
        let rights = heard.cmsgs().into_iter().flatten().filter_map(|each| match each {
            ControlMessageOwned::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let mut rights = rights.flatten().map(sys::process::received_fd);
        let (len, about, answer) = (heard.bytes, rights.next(), rights.next());
        match (&message[..len], about, answer) {
            ([], ..) => return Some(undo),
            ([WELL], ..) => return None,
            ([what], Some(about), Some(answer)) => {
                let done = act(*what, about.as_fd(), File::from(answer));
                let reply = done.map_or_else(|error| error.to_string().into_bytes(), |()| vec![WELL]);
                // If nobody hears it, the next is that we have died.
                let reply = &reply[..reply.len().min(REPLY)];
                let _ = nix::sys::socket::send(socket.as_raw_fd(), reply, MsgFlags::MSG_NOSIGNAL);
            }
            ([KILL], Some(pidfd), _) => {
                undo.retain(|undo| matches!(undo, Undo::Kill { .. }));
                undo.push(Undo::Kill { pidfd });
            }
            (message, Some(about), _) => undo.extend(Undo::parse(message, about)),
            _ => {}
        }
    }
}

fn act(what: u8, about: BorrowedFd<'_>, mut answer: File) -> Result<()> {
    let bytes = match what {
        LOOK_AT_MASTER => terminals::look_at_master(about),
        LOOK_AT_QUEUE => message_queues::look_at(about),
        LOOK_AT_EVENTFD => files::look_at_eventfd(about).map(|is_semaphore| vec![u8::from(is_semaphore)]),
        _ => terminals::look_at_slave(about),
    };
    answer.write_all(&bytes?).at(|| "answer".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::ExitStatusExt;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).expect("a pair")
    }

    #[test]
    fn what_was_noted_is_undone() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("link"), "").expect("write");
        let links = File::open(directory.path()).expect("open");
        let inode = directory.path().join("link").metadata().expect("a file").ino();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let pid = child.id() as i32;
        let pidfd = sys::process::pidfd_open(pid).expect("a pidfd");
        let limit = Limit { pid, resource: libc::RLIMIT_CORE, soft: 1, hard: 2 };

        let (theirs, ours) = pair();
        tell(ours.as_fd(), &link(OsStr::new("link"), inode), links.as_fd()).expect("told");
        tell(ours.as_fd(), &limit.message(), pidfd.as_fd()).expect("told");
        // Somebody else's by now.
        std::fs::write(directory.path().join("other"), "").expect("write");
        tell(ours.as_fd(), &link(OsStr::new("other"), inode), links.as_fd()).expect("told");
        // As when we are killed: the end without a word.
        drop(ours);
        let undo = listen(theirs.as_fd()).expect("not all is well");
        undo.iter().for_each(|undo| undo.act(None));
        let found = crate::proc::limits(pid).expect("limits")[libc::RLIMIT_CORE as usize];
        child.kill().expect("kill");
        child.wait().expect("wait");
        assert_eq!((undo.len(), found), (3, (1, 2)));
        assert!(!directory.path().join("link").exists());
        assert!(directory.path().join("other").exists());
    }

    #[test]
    fn a_kill_is_completed() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("link"), "").expect("write");
        let links = File::open(directory.path()).expect("open");
        let inode = directory.path().join("link").metadata().expect("a file").ino();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let pidfd = sys::process::pidfd_open(child.id() as i32).expect("a pidfd");

        let (theirs, ours) = pair();
        tell(ours.as_fd(), &link(OsStr::new("link"), inode), links.as_fd()).expect("told");
        tell(ours.as_fd(), &[KILL], pidfd.as_fd()).expect("told");
        drop(ours);
        let undo = listen(theirs.as_fd()).expect("not all is well");
        undo.iter().for_each(|undo| undo.act(None));
        assert_eq!(child.wait().expect("wait").signal(), Some(libc::SIGKILL));
        assert!(directory.path().join("link").exists());
    }

    #[test]
    fn nothing_is_undone_when_all_is_well() {
        let (theirs, ours) = pair();
        tell(ours.as_fd(), &link(OsStr::new("link"), 0), theirs.as_fd()).expect("told");
        nix::sys::socket::send(ours.as_raw_fd(), &[WELL], MsgFlags::empty()).expect("told");
        assert!(listen(theirs.as_fd()).is_none());
    }
}
