//! Two hosts that have one address, their peer, and a cable that leads from it to one of them: where a container moves to
//! with its connection, and how long the peer waits for an answer meanwhile. Of the tests and of the benchmark.

use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Network namespaces, by their files in /proc/PID/ns. The hosts have 10.77.0.1, the peer 10.77.0.2.
pub(crate) struct Hosts {
    pub(crate) hosts: [PathBuf; 2],
    pub(crate) peer: PathBuf,
}

impl Hosts {
    /// Lays the cable; it leads to the first host.
    pub(crate) fn connect(hosts: [PathBuf; 2], peer: PathBuf) -> io::Result<Hosts> {
        let all = Hosts { hosts, peer };
        all.ip(&["link", "add", "bridge", "type", "bridge"])?;
        all.ip(&["address", "add", "10.77.0.2/24", "dev", "bridge"])?;
        all.ip(&["link", "set", "bridge", "up"])?;
        for (nth, host) in all.hosts.iter().enumerate() {
            let (port, pid) = (format!("port{nth}"), host.components().nth(2).expect("/proc/PID/ns/net"));
            let pid = pid.as_os_str().to_str().expect("a number");
            let mac = "02:00:00:00:00:01";
            all.ip(&[
                "link", "add", &port, "type", "veth", "peer", "name", "in", "address", mac, "netns", pid,
            ])?;
            all.ip(&["link", "set", &port, "master", "bridge"])?;
            in_network(host, &["address", "add", "10.77.0.1/24", "dev", "in"])?;
            in_network(host, &["link", "set", "in", "up"])?;
        }
        all.ip(&["link", "set", "port0", "up"])?;
        Ok(all)
    }

    /// It leads nowhere.
    pub(crate) fn cut(&self) -> io::Result<()> {
        self.ip(&["link", "set", "port0", "down"])
    }

    /// It leads to the second host from now on.
    pub(crate) fn switch(&self) -> io::Result<()> {
        self.cut()?;
        self.ip(&["link", "set", "port1", "up"])
    }

    fn ip(&self, arguments: &[&str]) -> io::Result<()> {
        in_network(&self.peer, arguments)
    }
}

/// The peer's connection to programs/network/tcp_echo.c: it sends a number every millisecond, and looks when it comes back.
pub(crate) struct Clock {
    stream: TcpStream,
    answered: Arc<AtomicU64>,
    says: JoinHandle<u64>,
    /// The longest time between two answers.
    hears: JoinHandle<io::Result<Duration>>,
}

impl Clock {
    pub(crate) fn start(peer: &Path) -> io::Result<Clock> {
        let stream = inside(peer, || TcpStream::connect("10.77.0.1:7000"))??;
        stream.set_nodelay(true)?;
        let answered = Arc::new(AtomicU64::new(0));
        let mut writer = stream.try_clone()?;
        let says = thread::spawn(move || {
            let mut number = 0u64;
            // Until our direction is shut.
            while writer.write_all(&number.to_le_bytes()).is_ok() {
                number += 1;
                thread::sleep(Duration::from_millis(1));
            }
            number
        });
        let (mut reader, count) = (stream.try_clone()?, answered.clone());
        let hears = thread::spawn(move || {
            let (mut number, mut longest, mut last) = (0u64, Duration::ZERO, Instant::now());
            let mut bytes = [0; 8];
            while reader.read_exact(&mut bytes).is_ok() {
                if u64::from_le_bytes(bytes) != number {
                    return Err(io::Error::other(format!("{bytes:?} came back instead of {number}")));
                }
                number += 1;
                longest = longest.max(last.elapsed());
                last = Instant::now();
                count.store(number, Ordering::Relaxed);
            }
            Ok(longest)
        });
        Ok(Clock { stream, answered, says, hears })
    }

    /// Waits for some more answers; whether they came within `limit`, and the connection has not ended.
    pub(crate) fn goes_on(&self, limit: Duration) -> bool {
        let (began, before) = (Instant::now(), self.answered.load(Ordering::Relaxed));
        while self.answered.load(Ordering::Relaxed) <= before + 500 {
            if began.elapsed() > limit || self.hears.is_finished() {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Ends the connection when everything has come back; the longest time between two answers.
    pub(crate) fn end(self) -> io::Result<Duration> {
        self.stream.shutdown(Shutdown::Write)?;
        let said = self.says.join().expect("it ends well");
        let longest = self.hears.join().expect("it ends well")?;
        match self.answered.load(Ordering::Relaxed) {
            answered if answered == said => Ok(longest),
            answered => Err(io::Error::other(format!("{answered} of {said} numbers came back"))),
        }
    }
}

/// `ip ARGUMENTS` in a network.
pub(crate) fn in_network(network: &Path, arguments: &[&str]) -> io::Result<()> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", network.display())).arg("ip").args(arguments);
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// Does something in a network, in a thread of its own.
pub(crate) fn inside<R: Send + 'static>(
    network: &Path,
    action: impl FnOnce() -> R + Send + 'static,
) -> io::Result<R> {
    let network = File::open(network)?;
    let entered = thread::spawn(move || {
        setns(network, CloneFlags::CLONE_NEWNET)?;
        Ok(action())
    });
    entered.join().expect("the thread ends well")
}
