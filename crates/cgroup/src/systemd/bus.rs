//! A connection to a systemd manager, through a bus or by its own socket: calls, each with a deadline, and the end of
//! jobs.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket};
use serde::{Deserialize, Serialize};

use super::message::{self, Call, Incoming, Value};

const DESTINATION: &str = "org.freedesktop.systemd1";
pub(super) const PATH: &str = "/org/freedesktop/systemd1";
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// A socket at which a systemd manager can be reached.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Address {
    /// A path, or a name in the abstract namespace after an `@`.
    socket: String,
    /// A bus daemon listens there, and passes on what is for systemd.
    through_bus: bool,
}

impl Address {
    /// The manager's own socket.
    pub fn direct(path: impl Into<String>) -> Address {
        Address { socket: path.into(), through_bus: false }
    }

    /// The unix sockets of a list of bus addresses (D-Bus specification, "Server Addresses"), as in
    /// `DBUS_SESSION_BUS_ADDRESS`.
    pub fn of_bus(list: &str) -> Vec<Address> {
        let socket = |address: &str| {
            let (key, value) = address.strip_prefix("unix:")?.split(',').find_map(|pair| {
                pair.split_once('=').filter(|(key, _)| ["path", "abstract"].contains(key))
            })?;
            let value = unescape(value)?;
            Some(if key == "abstract" { format!("@{value}") } else { value })
        };
        list.split(';').filter_map(socket).map(|socket| Address { socket, through_bus: true }).collect()
    }

    fn connect(&self) -> nix::Result<OwnedFd> {
        let address = match self.socket.strip_prefix('@') {
            Some(name) => UnixAddr::new_abstract(name.as_bytes()),
            None => UnixAddr::new(self.socket.as_str()),
        }?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        connect(socket.as_raw_fd(), &address)?;
        Ok(socket)
    }
}

/// `%20` and the like.
fn unescape(value: &str) -> Option<String> {
    let mut parts = value.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(part.get(2..)?.bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Why a call has no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody listens: the sockets, each with what connect(2) says.
    Unreachable(String),
    /// The deadline has passed.
    Timeout,
    /// The connection has ended: the manager executes itself anew, or has ended.
    Lost,
    /// systemd, or the bus, says no: the error's name and text.
    Refused { name: String, text: String },
    /// What came is no answer.
    Nonsense,
}

impl From<message::Malformed> for Failure {
    fn from(_: message::Malformed) -> Failure {
        Failure::Nonsense
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    through_bus: bool,
    limit: Duration,
    deadline: Instant,
    serial: u32,
    /// Still to be sent, with the next call.
    unsent: Vec<u8>,
    received: Vec<u8>,
    /// Jobs that have ended, and their results.
    ended: Vec<(String, String)>,
}

impl Connection {
    /// Connects to the first address where somebody listens, and waits for one who will listen again. This, each call
    /// and each job may take as long as `limit`. Of jobs, only those of `unit` are heard of for certain.
    pub(super) fn open(addresses: &[Address], unit: &str, limit: Duration) -> Result<Connection, Failure> {
        let deadline = Instant::now() + limit;
        let (socket, through_bus) = loop {
            let mut refusals = Vec::new();
            let mut wait = false;
            let found = addresses.iter().find_map(|address| match address.connect() {
                Ok(socket) => Some((socket, address.through_bus)),
                Err(errno) => {
                    // Before its socket is made anew, or behind many others.
                    wait |= matches!(errno, Errno::ECONNREFUSED | Errno::EAGAIN);
                    refusals.push(format!("{}: {}", address.socket, sys::Errno::from(errno)));
                    None
                }
            });
            match found {
                Some(found) => break found,
                None if !wait || Instant::now() >= deadline => {
                    return Err(Failure::Unreachable(refusals.join("; ")));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let mut connection = Connection {
            socket,
            through_bus,
            limit,
            deadline,
            serial: 0,
            unsent: Vec::new(),
            received: Vec::new(),
            ended: Vec::new(),
        };
        connection.authenticate()?;
        if through_bus {
            let bus = |method, arguments| Call {
                destination: Some("org.freedesktop.DBus"),
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                method,
                arguments,
            };
            let rule = format!(
                "type='signal',sender='{DESTINATION}',path='{PATH}',interface='{MANAGER}',member='JobRemoved',arg2='{unit}'"
            );
            connection.queue(&bus("Hello", &[]));
            connection.queue(&bus("AddMatch", &[Value::String(rule)]));
        }
        Ok(connection)
    }

    /// Calls a method of the manager's object and waits for its answer.
    pub(super) fn call(
        &mut self,
        interface: &str,
        method: &str,
        arguments: &[Value],
    ) -> Result<Vec<String>, Failure> {
        self.deadline = Instant::now() + self.limit;
        let destination = self.through_bus.then_some(DESTINATION);
        self.queue(&Call { destination, path: PATH, interface, method, arguments });
        let serial = self.serial;
        self.flush()?;
        loop {
            match self.receive()? {
                Incoming::Return { reply_to, arguments } if reply_to == serial => return Ok(arguments),
                Incoming::Error { reply_to, name, text } if reply_to == serial => {
                    // The bus on behalf of a manager that left without an answer.
                    return Err(match name.as_str() {
                        "org.freedesktop.DBus.Error.NoReply"
                        | "org.freedesktop.DBus.Error.NameHasNoOwner" => Failure::Lost,
                        _ => Failure::Refused { name, text },
                    });
                }
                other => self.note(other),
            }
        }
    }

    /// Waits for the end of a job; the result is `done` when it has come to what was asked for.
    pub(super) fn job_result(&mut self, job: &str) -> Result<String, Failure> {
        self.deadline = Instant::now() + self.limit;
        loop {
            if let Some((_, result)) = self.ended.iter().find(|(ended, _)| ended == job) {
                return Ok(result.clone());
            }
            let message = self.receive()?;
            self.note(message);
        }
    }

    fn note(&mut self, message: Incoming) {
        if let Incoming::Signal { member, arguments } = message
            && member == "JobRemoved"
            && let [_, job, _, result] = &arguments[..]
        {
            self.ended.push((job.clone(), result.clone()));
        }
    }

    fn queue(&mut self, call: &Call<'_>) {
        self.serial += 1;
        self.unsent.extend(call.encode(self.serial));
    }

    fn flush(&mut self) -> Result<(), Failure> {
        while !self.unsent.is_empty() {
            match send(self.socket.as_raw_fd(), &self.unsent, MsgFlags::MSG_NOSIGNAL) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLOUT)?,
                Err(Errno::EINTR) => {}
                Err(_) => return Err(Failure::Lost),
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Incoming, Failure> {
        loop {
            if let Some(length) = message::length(&self.received)?
                && self.received.len() >= length
            {
                let message = message::decode(&self.received[..length])?;
                self.received.drain(..length);
                return Ok(message);
            }
            self.fill()?;
        }
    }

    /// Says who we are, and waits: systemd does not look at a message that comes with this until another comes.
    fn authenticate(&mut self) -> Result<(), Failure> {
        // The kernel knows who we are (SO_PEERCRED); our uid would be another one in a user namespace.
        self.unsent.extend(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n");
        self.flush()?;
        loop {
            while let Some(end) = self.received.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).collect();
                if line.starts_with(b"OK") {
                    return Ok(());
                }
                // `DATA` asks for what we have sent ahead.
                if !line.starts_with(b"DATA") {
                    let text = format!("authentication: {}", String::from_utf8_lossy(&line[..end]));
                    return Err(Failure::Refused { name: String::new(), text });
                }
            }
            self.fill()?;
        }
    }

    /// Waits for bytes and takes what is there.
    fn fill(&mut self) -> Result<(), Failure> {
        let mut buffer = [0; 4096];
        loop {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(0) => return Err(Failure::Lost),
                Ok(count) => {
                    self.received.extend(&buffer[..count]);
                    return Ok(());
                }
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLIN)?,
                Err(Errno::EINTR) => {}
                Err(_) => return Err(Failure::Lost),
            }
        }
    }

    fn wait(&self, flags: PollFlags) -> Result<(), Failure> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // Rounded up, or the last millisecond would be spent polling.
        let timeout = PollTimeout::try_from(left.as_millis() as i32 + 1).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.socket.as_fd(), flags)], timeout) {
            Ok(0) => Err(Failure::Timeout),
            Ok(_) | Err(Errno::EINTR) if left.is_zero() => Err(Failure::Timeout),
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(_) => Err(Failure::Lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    #[test]
    fn bus_addresses() {
        let sockets = |list: &str| -> Vec<String> {
            Address::of_bus(list).into_iter().map(|address| address.socket).collect()
        };
        assert_eq!(sockets("unix:path=/run/user/1000/bus"), ["/run/user/1000/bus"]);
        assert_eq!(sockets("unix:abstract=/tmp/a,guid=00;unix:guid=1,path=/b%20c"), ["@/tmp/a", "/b c"]);
        for list in
            ["", "tcp:host=localhost", "unix:path", "unix:path=/a%2", "unix:path=/%ff", "unixexec:path=/a"]
        {
            assert_eq!(sockets(list), [""; 0], "{list}");
        }
    }

    /// A place for a socket, and the address of what listens there.
    fn place() -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("private").display().to_string();
        (dir, path)
    }

    const LIMIT: Duration = Duration::from_millis(200);

    fn open(path: &str) -> Result<Connection, Failure> {
        Connection::open(&[Address::direct(path)], "a.scope", LIMIT)
    }

    #[test]
    fn nobody_listens() {
        let (_dir, path) = place();
        let began = Instant::now();
        let Err(Failure::Unreachable(why)) = open(&path) else { panic!("connected") };
        assert_eq!(why, format!("{path}: no such file or directory (ENOENT)"));
        assert!(began.elapsed() < LIMIT);
        // Somebody may listen there again soon.
        drop(UnixListener::bind(&path).unwrap());
        let began = Instant::now();
        assert!(matches!(open(&path), Err(Failure::Unreachable(why)) if why.contains("ECONNREFUSED")));
        assert!(began.elapsed() >= LIMIT);
    }

    #[test]
    fn somebody_who_says_nothing() {
        let (_dir, path) = place();
        let _listener = UnixListener::bind(&path).unwrap();
        let began = Instant::now();
        assert_eq!(open(&path).unwrap_err(), Failure::Timeout);
        assert!(began.elapsed() >= LIMIT);
    }

    /// Takes one connection, answers its authentication, and does the rest with it.
    fn served(
        work: impl FnOnce(&mut std::os::unix::net::UnixStream) + Send + 'static,
        call: impl FnOnce(Connection),
    ) {
        let (_dir, path) = place();
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut said = [0; 29];
            peer.read_exact(&mut said).unwrap();
            assert_eq!(&said, b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n");
            peer.write_all(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n").unwrap();
            work(&mut peer);
        });
        call(open(&path).unwrap());
        server.join().unwrap();
    }

    #[test]
    fn calls_without_an_answer() {
        let silent = |peer: &mut std::os::unix::net::UnixStream| {
            let _ = peer.read_to_end(&mut Vec::new());
        };
        served(silent, |mut connection| {
            let began = Instant::now();
            assert_eq!(connection.call(MANAGER, "A", &[]), Err(Failure::Timeout));
            assert!(began.elapsed() >= LIMIT);
        });
        served(|_| {}, |mut connection| assert_eq!(connection.call(MANAGER, "A", &[]), Err(Failure::Lost)));
        let nonsense = |peer: &mut std::os::unix::net::UnixStream| {
            peer.write_all(&[b'x'; 64]).unwrap();
            let _ = peer.read_to_end(&mut Vec::new());
        };
        served(nonsense, |mut connection| {
            assert_eq!(connection.call(MANAGER, "A", &[]), Err(Failure::Nonsense));
        });
    }
}
