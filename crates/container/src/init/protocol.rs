//! What passes between floe and the container's init: fixed-size messages over a SOCK_SEQPACKET pair.
//!
//! The table of messages is in docs/process-model.md. The container's side sends facts (step, errno,
//! object), never prose: what it says may come from a process that has been taken over, so the receiver
//! checks lengths and kinds and puts the text together itself.

use nix::sys::socket::{MsgFlags, recv, send};
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use sys::Errno;

/// Names what init was doing when a call failed.
macro_rules! steps {
    ($($name:ident = $verb:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Step { $($name,)* }

        impl Step {
            const ALL: &'static [Step] = &[$(Step::$name,)*];

            fn verb(self) -> &'static str {
                match self { $(Step::$name => $verb,)* }
            }
        }
    };
}

steps! {
    Sync = "talk to floe",
    JoinNamespace = "join",
    Clone = "clone3 into namespaces",
    UserNamespace = "become root of the user namespace",
    TimeOffsets = "set time offsets",
    Session = "create a session",
    Keyring = "join a session keyring",
    Loopback = "bring up",
    Propagation = "set mount propagation of",
    Rootfs = "mount rootfs",
    MountSource = "open mount source",
    MountPoint = "create mount point",
    Mount = "mount",
    MountAttributes = "set attributes of mount",
    CopyUp = "copy up",
    Device = "create device",
    DeviceLink = "create link",
    Hook = "run",
    PivotRoot = "pivot_root",
    Console = "set up console",
    ConsoleSocket = "send console to",
    Hostname = "set hostname",
    Domainname = "set domainname",
    Sysctl = "write sysctl",
    ReadonlyPath = "make read-only",
    MaskedPath = "mask",
    SecurityLabel = "set security label",
    OomScoreAdj = "set oom_score_adj",
    Rlimit = "set rlimit",
    Personality = "set personality",
    Scheduler = "set scheduler",
    IoPriority = "set I/O priority",
    Affinity = "set CPU affinity",
    MemoryPolicy = "set memory policy",
    Stdio = "set up stdio",
    User = "set user",
    Groups = "set groups",
    Capabilities = "set capabilities",
    NoNewPrivileges = "set no_new_privs",
    Cwd = "chdir to",
    Seccomp = "install seccomp filter",
    FindProgram = "exec",
    Exec = "exec",
    Wait = "wait for start",
}

/// Why init gave up. The object names what the step was about; errno 0 means that the object says it all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) errno: i32,
    pub(crate) object: String,
}

pub(crate) type InitResult<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(step: Step, errno: i32, object: impl Into<String>) -> Failure {
        Failure { step, errno, object: object.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.step.verb())?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        match self.errno {
            0 => Ok(()),
            errno => write!(f, ": {}", Errno::from_raw(errno)),
        }
    }
}

impl std::error::Error for Failure {}

/// Names step and object where a call may fail.
pub(crate) trait During<T> {
    fn during<S: Into<String>>(self, step: Step, object: impl FnOnce() -> S) -> InitResult<T>;
}

impl<T, E: Into<Errno>> During<T> for Result<T, E> {
    fn during<S: Into<String>>(self, step: Step, object: impl FnOnce() -> S) -> InitResult<T> {
        self.map_err(|errno| Failure::new(step, errno.into().raw(), object()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// To init: go on. Each of init's questions is answered with one.
    Continue,
    /// From init: mounts are done, run prestart and createRuntime hooks.
    RunHooks,
    /// From init: everything up to the start is done.
    Ready,
    /// From a process that joined namespaces for us: the pid of the init it made.
    Pid(i32),
    /// From init: the seccomp filter is installed, its listener has this number in init.
    SeccompListener(i32),
    Failed(Failure),
}

/// Longer objects are cut: a message must fit whatever a path in config.json is.
const OBJECT_LIMIT: usize = 3072;

impl Message {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, step, number, text) = match self {
            Message::Continue => (0, 0, 0, ""),
            Message::RunHooks => (1, 0, 0, ""),
            Message::Ready => (2, 0, 0, ""),
            Message::Pid(pid) => (3, 0, *pid, ""),
            Message::SeccompListener(fd) => (4, 0, *fd, ""),
            Message::Failed(failure) => (5, failure.step as u8, failure.errno, failure.object.as_str()),
        };
        let mut end = text.len().min(OBJECT_LIMIT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut bytes = vec![kind, step];
        bytes.extend(number.to_ne_bytes());
        bytes.extend(&text.as_bytes()[..end]);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Message> {
        let (&[kind, step, a, b, c, d], text) = bytes.split_first_chunk::<6>()?;
        let number = i32::from_ne_bytes([a, b, c, d]);
        Some(match kind {
            0 => Message::Continue,
            1 => Message::RunHooks,
            2 => Message::Ready,
            3 => Message::Pid(number),
            4 => Message::SeccompListener(number),
            5 => Message::Failed(Failure {
                step: *Step::ALL.get(usize::from(step))?,
                errno: number,
                object: String::from_utf8_lossy(text).into_owned(),
            }),
            _ => return None,
        })
    }
}

/// A message means the same after it was sent on, but for what is cut off a long object.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let Some(message) = Message::decode(bytes) else { return };
    let encoded = message.encode();
    assert!(encoded.len() <= OBJECT_LIMIT + 6, "it does not fit: {message:?}");
    let again = Message::decode(&encoded).expect("what we encode");
    match (&message, &again) {
        (Message::Failed(sent), Message::Failed(received)) if sent.object.len() > OBJECT_LIMIT => {
            assert!(sent.object.starts_with(&received.object) && received.object.len() > OBJECT_LIMIT - 4);
        }
        _ => assert_eq!(message, again),
    }
    if let Message::Failed(failure) = &message {
        assert!(failure.to_string().starts_with(failure.step.verb()));
    }
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> Channel {
        Channel(socket)
    }

    pub(crate) fn pair() -> sys::Result<(Channel, Channel)> {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Channel(a), Channel(b)))
    }

    pub(crate) fn send(&self, message: &Message) -> sys::Result<()> {
        send(self.0.as_raw_fd(), &message.encode(), MsgFlags::MSG_NOSIGNAL)?;
        Ok(())
    }

    /// `None` when the other side is gone.
    ///
    /// # Errors
    /// `EPROTO`: not a message.
    pub(crate) fn receive(&self) -> sys::Result<Option<Message>> {
        let mut buffer = [0u8; OBJECT_LIMIT + 16];
        let length = loop {
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(nix::Error::EINTR) => {}
                // The peer died with unread messages.
                Err(nix::Error::ECONNRESET) | Ok(0) => return Ok(None),
                other => break other?,
            }
        };
        Message::decode(&buffer[..length]).map(Some).ok_or(Errno::from_raw(libc::EPROTO))
    }

    /// Asks the other side and waits for `Continue`.
    pub(crate) fn ask(&self, message: &Message) -> InitResult<()> {
        self.send(message).during(Step::Sync, String::new)?;
        self.wait()
    }

    pub(crate) fn wait(&self) -> InitResult<()> {
        match self.receive().during(Step::Sync, String::new)? {
            Some(Message::Continue) => Ok(()),
            // Whoever would read why is gone.
            _ => Err(Failure::new(Step::Sync, libc::EPIPE, "")),
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.0.as_fd()
    }
}

/// A descriptor of the other process, as a child finds it among its own.
#[derive(Debug)]
pub(crate) struct Inherited(RawFd);

impl Inherited {
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Inherited {
        Inherited(fd.as_raw_fd())
    }

    /// Only in the child: in the parent the number is somebody's.
    pub(crate) fn close(self) {
        let _ = nix::unistd::close(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_wire() {
        let failed = Failure::new(Step::Exec, libc::ENOENT, "\"/bin/nope\"");
        for message in [
            Message::Continue,
            Message::RunHooks,
            Message::Ready,
            Message::Pid(4711),
            Message::SeccompListener(9),
            Message::Failed(failed),
        ] {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
    }

    #[test]
    fn garbage_is_refused() {
        for bytes in [&b""[..], b"\x00", b"\x09\x00\x00\x00\x00\x00", b"\x05\xff\x00\x00\x00\x00"] {
            assert_eq!(Message::decode(bytes), None);
        }
        let long = Message::Failed(Failure::new(Step::Mount, 1, "ü".repeat(5000)));
        assert!(
            matches!(Message::decode(&long.encode()), Some(Message::Failed(f)) if f.object.len() <= OBJECT_LIMIT)
        );
    }

    #[test]
    fn failures_read_general_to_specific() {
        let failure = Failure::new(Step::Mount, libc::EPERM, "proc at /proc");
        assert_eq!(failure.to_string(), "mount proc at /proc: operation not permitted (EPERM)");
        let failure = Failure::new(Step::FindProgram, 0, "\"sh\": executable file not found in $PATH");
        assert_eq!(failure.to_string(), "exec \"sh\": executable file not found in $PATH");
    }
}
