//! Connections of TCP to a peer that is outside of the container and knows nothing of checkpoints: not a byte may be lost, and
//! the connection may not end.

use crate::harness::subject::{self, Runtime, Subject, criu_directory, runc};
use crate::harness::*;
use crate::hosts::{Clock, Hosts, in_network, inside};
use crate::programs::{Program, wait_for};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = crate::cases![left_running, restored, killed, moved];
    if criu_directory().is_some() {
        cases.push(Case::new("connections::criu::moved", moved_by_criu));
    }
    cases
}

/// The dump happens in the middle of it.
fn left_running(t: &mut Test) {
    let (mut subject, networks, peer) = start(t);
    for _ in 0..3 {
        subject.go(&subject::LEAVE_RUNNING, |_| networks.expect_no_lock());
        peer.expect_progress();
    }
    finish(subject, &networks, peer);
}

/// In between nobody answers for the container: its packets are dropped in the network that it was in.
fn restored(t: &mut Test) {
    let (mut subject, networks, peer) = start(t);
    for _ in 0..3 {
        subject.go(&subject::RESTORE, |_| networks.expect_no_lock());
        peer.expect_progress();
    }
    finish(subject, &networks, peer);
}

fn killed(t: &mut Test) {
    let (mut subject, networks, peer) = start(t);
    subject.go(&subject::KILLED, |_| networks.expect_no_lock());
    peer.expect_progress();
    finish(subject, &networks, peer);
}

/// From one host to another, with its address, through a stream. The peer notices a delay, and nothing else.
fn moved(t: &mut Test) {
    needs_floe();
    let mut scene = Move::start(t, Test::floe);
    let clock = scene.clock();
    let mut from = scene.t.floe();
    from.args(["checkpoint", "--stream", "--tcp-established", &scene.bundle.id]);
    let mut from = from.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("spawn");
    let stream = from.stdout.take().expect("a pipe");
    let there = scene.there();
    let mut to = scene.t.floe();
    to.args(["restore", "--stream", "--no-start", "--tcp-established", "--bundle"]).arg(&scene.bundle.dir);
    let mut taken = to.arg(&there).stdin(stream).stdout(Stdio::null()).spawn().expect("spawn");
    // It has the other end of the pipe, too.
    drop(to);
    assert!(from.wait().expect("wait").success() && taken.wait().expect("wait").success());
    scene.networks.switch().expect("switched");
    scene.t.call(["start", &there]).quiet();
    expect_to_go_on(&clock);
    assert_eq!((tables_of(&scene.networks.hosts[0]), tables_of(&scene.networks.hosts[1])), (1, 0), "locks");
    clock.end().expect("numbers in their order");
    wait_for(&scene.state, "result");
    scene.t.call(["delete", "--force", &there]).quiet();
}

/// The same with runc and CRIU, which take files, and a network that is cut off meanwhile.
fn moved_by_criu(t: &mut Test) {
    let mut scene = Move::start(t, runc);
    let clock = scene.clock();
    let images = scene.t.path("images");
    scene.networks.cut().expect("cut");
    let mut from = runc(scene.t);
    from.args(["checkpoint", "--tcp-established", "--image-path"]).arg(&images).arg(&scene.bundle.id);
    assert_eq!(scene.t.run_silent(from), 0);
    let there = scene.there();
    let mut to = runc(scene.t);
    to.args(["restore", "--detach", "--tcp-established", "--image-path"]).arg(&images);
    to.arg("--bundle").arg(&scene.bundle.dir).arg(&there);
    assert_eq!(scene.t.run_silent(to), 0);
    scene.networks.switch().expect("switched");
    expect_to_go_on(&clock);
    clock.end().expect("numbers in their order");
    wait_for(&scene.state, "result");
    let mut delete = runc(scene.t);
    delete.args(["delete", "--force", &there]);
    assert_eq!(scene.t.run_silent(delete), 0);
}

/// A program that answers its peer, on the first of two hosts.
struct Move<'a> {
    t: &'a mut Test,
    bundle: Bundle,
    state: PathBuf,
    networks: Hosts,
}

impl Move<'_> {
    fn start(t: &mut Test, runtime: fn(&Test) -> Command) -> Move<'_> {
        let (hosts, peer) = ([t.network(), t.network()], t.network());
        let Program { bundle, state } = Program::prepare_in(t, "network/tcp_echo", "program", &hosts[0]);
        let networks = Hosts::connect(hosts, peer).expect("networks");
        let scene = Move { t, bundle, state, networks };
        scene.bundle.write();
        let mut run = runtime(scene.t);
        run.args(["run", "--detach", "--bundle"]).arg(&scene.bundle.dir).arg(&scene.bundle.id);
        assert_eq!(scene.t.run_silent(run), 0);
        wait_for(&scene.state, "ready");
        scene
    }

    fn clock(&self) -> Clock {
        let clock = Clock::start(&self.networks.peer).expect("connected");
        expect_to_go_on(&clock);
        clock
    }

    /// Changes the bundle to what it is on the other host; its id there.
    fn there(&mut self) -> String {
        let id = self.t.id();
        let cgroup = format!("/{}/{id}", environment::get().cgroup);
        self.bundle
            .set("/linux/cgroupsPath", json!(cgroup))
            .namespace("network", Some(&self.networks.hosts[1].clone()));
        self.bundle.write();
        id
    }
}

#[track_caller]
fn expect_to_go_on(clock: &Clock) {
    assert!(clock.goes_on(timeout()), "no answers");
}

fn start(t: &mut Test) -> (Subject<'_>, Networks, Peer) {
    needs_floe();
    let networks = Networks::new(t);
    let Program { mut bundle, state } = Program::prepare(t, "network/tcp_echo");
    bundle.namespace("network", Some(&networks.inside));
    let subject = Subject::start(t, bundle, Runtime::Floe);
    wait_for(&state, "ready");
    let peer = Peer::connect(&networks.outside, state);
    peer.expect_progress();
    (subject, networks, peer)
}

fn finish(mut subject: Subject<'_>, networks: &Networks, peer: Peer) {
    peer.end();
    subject.finish();
    networks.expect_no_lock();
}

/// The container's and the peer's, with a cable between them.
struct Networks {
    inside: PathBuf,
    outside: PathBuf,
}

impl Networks {
    fn new(t: &mut Test) -> Networks {
        let networks = Networks { inside: t.network(), outside: t.network() };
        let peer = networks.outside.components().nth(2).expect("/proc/PID/ns/net");
        let peer = peer.as_os_str().to_str().expect("a number");
        in_network(
            &networks.inside,
            &["link", "add", "in", "type", "veth", "peer", "name", "out", "netns", peer],
        )
        .expect("a cable");
        for (network, device, address) in
            [(&networks.inside, "in", "10.77.0.1/24"), (&networks.outside, "out", "10.77.0.2/24")]
        {
            in_network(network, &["address", "add", address, "dev", device]).expect("an address");
            in_network(network, &["link", "set", device, "up"]).expect("a device");
        }
        networks
    }

    /// Nothing of a lock stays. The kernel counts the tables of nf_tables nowhere but in their list.
    fn expect_no_lock(&self) {
        assert_eq!(tables_of(&self.inside), 0, "tables of nf_tables");
    }
}

/// How many tables of nf_tables a network has.
pub(crate) fn tables_of(network: &Path) -> usize {
    inside(network, tables_of_nf_tables).expect("the network")
}

/// NFT_MSG_GETTABLE of all families.
fn tables_of_nf_tables() -> usize {
    use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
    use std::os::fd::AsRawFd as _;
    const GET_TABLE: u16 = 10 << 8 | 1;
    const DUMP: u16 = 0x301;
    let socket =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter);
    let socket = socket.expect("a socket");
    let mut request = 20u32.to_ne_bytes().to_vec();
    request.extend_from_slice(&GET_TABLE.to_ne_bytes());
    request.extend_from_slice(&DUMP.to_ne_bytes());
    request.extend_from_slice(&[0; 12]);
    send(socket.as_raw_fd(), &request, MsgFlags::empty()).expect("sent");
    let mut buffer = [0; 8192];
    let mut found = 0;
    loop {
        let len = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).expect("an answer");
        let mut rest = &buffer[..len];
        while rest.len() >= 16 {
            let size = u32::from_ne_bytes(rest[..4].try_into().expect("four bytes")) as usize;
            match i32::from(u16::from_ne_bytes([rest[4], rest[5]])) {
                libc::NLMSG_DONE => return found,
                libc::NLMSG_ERROR => panic!("nf_tables: {rest:?}"),
                _ => found += 1,
            }
            rest = rest.get(size.next_multiple_of(4).max(16)..).unwrap_or_default();
        }
    }
}

/// Says something all the time, and compares the answers.
struct Peer {
    stream: TcpStream,
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    threads: Vec<JoinHandle<u64>>,
    state: PathBuf,
}

impl Peer {
    fn connect(network: &Path, state: PathBuf) -> Peer {
        let stream = inside(network, || TcpStream::connect("10.77.0.1:7000"))
            .expect("the network")
            .expect("connected");
        let (is_over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut writer = stream.try_clone().expect("a copy");
        let is_ended = is_over.clone();
        let says = thread::spawn(move || {
            let mut said = 0;
            while !is_ended.load(Ordering::Relaxed) {
                writer.write_all(&text(said)).expect("written");
                said += text(0).len() as u64;
                thread::sleep(Duration::from_micros(200));
            }
            writer.shutdown(Shutdown::Write).expect("shut");
            said
        });
        let (mut reader, count) = (stream.try_clone().expect("a copy"), answered.clone());
        let hears = thread::spawn(move || {
            let mut heard = 0;
            let mut buffer = vec![0; text(0).len()];
            while reader.read_exact(&mut buffer).is_ok() {
                assert!(buffer == text(heard), "after {heard} bytes");
                heard += buffer.len() as u64;
                count.store(heard, Ordering::Relaxed);
            }
            heard
        });
        Peer { stream, is_over, answered, threads: vec![says, hears], state }
    }

    /// Waits until as much as the queues hold has been answered.
    fn expect_progress(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        let failure =
            || self.threads.iter().any(JoinHandle::is_finished) || self.state.join("result").exists();
        wait_until("an answer", || self.answered.load(Ordering::Relaxed) > before + (1 << 20) || failure());
        assert!(!failure(), "the connection has ended: {}", read(self.state.join("result")));
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        let counts: Vec<u64> =
            self.threads.into_iter().map(|thread| thread.join().expect("all is as it was said")).collect();
        assert_eq!(counts[0], counts[1], "bytes said and heard");
        drop(self.stream);
        wait_for(&self.state, "result");
    }
}

/// What comes after as many bytes.
fn text(at: u64) -> Vec<u8> {
    (0..1024)
        .flat_map(|word: u64| (at / 8 + word).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_ne_bytes())
        .collect()
}
