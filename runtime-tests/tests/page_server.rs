//! Memory that goes to a page server as it is dumped, while the other images do not. What belongs together is put together
//! afterwards, and restored. With `FLOE_CRIU` also of processes of the host, to CRIU's server, from CRIU, and with restores by
//! CRIU.

use crate::checkpoint::{Dumper, Scene};
use crate::criu_command::Counter;
use crate::harness::subject::criu_directory;
use crate::harness::*;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send as send_packet, socketpair};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

type Body = fn(&mut Counter<'_>);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("page_server::checkpoint", |t| Scene::play(t, Dumper::Floe, checkpoint)),
        Case::new("page_server::checkpoint_without_a_server", |t| {
            Scene::play(t, Dumper::Floe, checkpoint_without_a_server);
        }),
        Case::new("page_server::cut_session", cut_session),
        Case::new("page_server::parent", parent),
        Case::new("page_server::pre_dump", |t| Scene::play(t, Dumper::Floe, pre_dump)),
    ];
    if criu_directory().is_some() {
        let bodies: [(&str, Body); 7] = [
            ("child", child),
            ("cut_dump", cut_dump),
            ("daemon", daemon),
            ("given_socket", given_socket),
            ("no_parent_there", no_parent_there),
            ("refused", refused),
            ("rpc", rpc),
        ];
        for (name, body) in bodies {
            let case =
                Case::new(format!("as_criu::page_server::{name}"), move |t| body(&mut Counter::start(t)));
            cases.push(case);
        }
        for (name, client, server) in [
            ("floe_to_floe", Program::Floe, Program::Floe),
            ("floe_to_criu", Program::Floe, Program::Criu),
            ("criu_to_floe", Program::Criu, Program::Floe),
        ] {
            let body = move |t: &mut Test| dump_and_restore(&mut Counter::start(t), client, server);
            cases.push(Case::new(format!("as_criu::page_server::{name}"), body));
        }
        for (name, server) in [("pre_dump_to_floe", Program::Floe), ("pre_dump_to_criu", Program::Criu)] {
            let body = move |t: &mut Test| pre_dump_and_dump(&mut Counter::start(t), server);
            cases.push(Case::new(format!("as_criu::page_server::{name}"), body));
        }
    }
    cases
}

#[derive(Clone, Copy, PartialEq)]
enum Program {
    Floe,
    Criu,
}

/// `criu ACTION`, in the test's directory.
fn criu(t: &Test, program: Program, action: &str) -> Command {
    let mut command = match program {
        Program::Floe => {
            let mut command = Command::new(t.floe().get_program());
            command.args(["criu", action, "--no-default-config"]);
            command
        }
        Program::Criu => {
            let directory = criu_directory().expect("asked for by cases");
            let mut command = Command::new(directory.join("criu"));
            command.args([action, "-v4"]);
            command
        }
    };
    // There need not be an iptables.
    command.args(if action == "page-server" { &[][..] } else { &["--network-lock", "skip"] });
    command.current_dir(&t.dir).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

fn make(t: &Test, name: &str) -> PathBuf {
    let path = t.path(name);
    fs::create_dir(&path).expect("mkdir");
    path
}

/// A port that is free, as nobody else takes it at this moment.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("an address").port().to_string()
}

/// Starts a server, and waits until it listens.
fn start_server(t: &Test, program: Program, images: &str, port: &str, options: &[&str]) -> Child {
    let mut command = criu(t, program, "page-server");
    command.args(["--images-dir", images, "--address", "127.0.0.1", "--port", port, "--status-fd", "1"]);
    command.args(["-o", "server.log"]).args(options).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut server = command.spawn().expect("spawn");
    let mut byte = [1];
    let listens = server.stdout.as_mut().expect("a pipe").read(&mut byte).expect("read");
    assert_eq!((listens, byte), (1, [0]), "it does not listen: {}", read(t.path(images).join("server.log")));
    server
}

#[track_caller]
fn expect_end(t: &Test, mut server: Child, images: &str, code: i32) -> String {
    let status = server.wait().expect("wait");
    let log = read(t.path(images).join("server.log"));
    assert_eq!(status.code(), Some(code), "{log}");
    log
}

/// Adds the files of a directory to another, but the link to a parent.
fn put_together(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("read") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("copy");
        }
    }
}

fn names(directory: &Path, beginning: &str) -> usize {
    let entries = fs::read_dir(directory).expect("read").map(|entry| entry.expect("an entry").file_name());
    entries.filter(|name| name.to_string_lossy().starts_with(beginning)).count()
}

fn to(port: &str) -> [&str; 5] {
    ["--page-server", "--address", "127.0.0.1", "--port", port]
}

fn dump(counter: &mut Counter<'_>, client: Program, images: &str, options: &[&str]) -> Output {
    let pid = counter.child.id().to_string();
    let mut command = criu(counter.t, client, "dump");
    command.args(["--images-dir", images, "-o", "dump.log", "--tree", &pid]).args(options);
    counter.t.run(command)
}

/// A pre-dump to a server, which writes to `there`.
fn pre_dump_to(counter: &mut Counter<'_>, server: Program, images: &str, there: &str) {
    make(counter.t, images);
    make(counter.t, there);
    let (port, pid) = (free_port(), counter.child.id().to_string());
    let server = start_server(counter.t, server, there, &port, &[]);
    let mut command = criu(counter.t, Program::Floe, "pre-dump");
    command.args(["--images-dir", images, "--tree", &pid]).args(to(&port));
    counter.t.run(command).ok();
    expect_end(counter.t, server, there, 0);
}

#[track_caller]
fn restore(counter: &mut Counter<'_>, program: Program, images: &str, count: u64) {
    // Those that had its pids are zombies until somebody waits for them.
    let group = nix::unistd::Pid::from_raw(counter.child.id() as i32);
    wait_until("its processes are gone", || nix::sys::signal::killpg(group, None).is_err());
    let mut command = criu(counter.t, program, "restore");
    command.args(["--images-dir", images, "-d", "-o", "restore.log"]);
    let output = counter.t.run(command);
    assert_eq!(output.code, 0, "{}", read(counter.t.path(images).join("restore.log")));
    counter.goes_on_from(count);
    counter.end();
}

/// The same images are restored by both.
fn dump_and_restore(counter: &mut Counter<'_>, client: Program, server: Program) {
    let (there, port) = (make(counter.t, "there"), free_port());
    let server = start_server(counter.t, server, "there", &port, &[]);
    let dumped = dump(counter, client, "images", &to(&port));
    assert_eq!(dumped.code, 0, "{}", read(counter.images.join("dump.log")));
    expect_end(counter.t, server, "there", 0);
    let count = counter.is_gone();
    assert_eq!((names(&counter.images, "pages-"), names(&counter.images, "pagemap-")), (0, 0));
    assert!(names(&there, "pages-") > 0);
    put_together(&there, &counter.images.clone());
    for program in [Program::Floe, Program::Criu] {
        restore(counter, program, "images", count);
    }
}

/// What was not written since the pre-dump stays where that was sent. The images are restored where the dump was made, with
/// what the servers have put beside them; and where the servers were, with the images of the dump alone beside theirs.
fn pre_dump_and_dump(counter: &mut Counter<'_>, server: Program) {
    pre_dump_to(counter, server, "images-before", "before");
    assert_eq!(names(&counter.t.path("images-before"), "pages-"), 0);
    let (there, port) = (make(counter.t, "there"), free_port());
    let listening = start_server(counter.t, server, "there", &port, &["--prev-images-dir", "../before"]);
    let parent = ["--prev-images-dir", "../images-before"];
    dump(counter, Program::Floe, "images", &[&to(&port)[..], &parent].concat()).ok();
    expect_end(counter.t, listening, "there", 0);
    let count = counter.is_gone();
    let size = |name: &str| crate::criu_command::pages(&counter.t.path(name)).0;
    assert!(size("there") < size("before"), "{} {}", size("there"), size("before"));
    put_together(&counter.images.clone(), &there);
    restore(counter, Program::Floe, "there", count);
    put_together(&there, &counter.images.clone());
    put_together(&counter.t.path("before"), &counter.t.path("images-before"));
    for program in [Program::Floe, Program::Criu] {
        restore(counter, program, "images", count);
    }
}

/// A server that does not know of the pre-dump gets everything.
fn no_parent_there(counter: &mut Counter<'_>) {
    pre_dump_to(counter, Program::Floe, "images-before", "before");
    let (there, port) = (make(counter.t, "there"), free_port());
    let server = start_server(counter.t, Program::Floe, "there", &port, &[]);
    let parent = ["--prev-images-dir", "../images-before"];
    dump(counter, Program::Floe, "images", &[&to(&port)[..], &parent].concat()).ok();
    expect_end(counter.t, server, "there", 0);
    let count = counter.is_gone();
    fs::remove_dir_all(counter.t.path("images-before")).expect("remove");
    put_together(&there, &counter.images.clone());
    restore(counter, Program::Floe, "images", count);
}

/// Sends records, each with the pages that follow it, and closes the session. Returns what is answered.
fn send(port: &str, records: &[([u64; 4], &[u8])]) -> Vec<u8> {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("connect");
    for (words, pages) in records.iter().chain([&([0x1023, 0, 0, 0], &[][..])]) {
        stream.write_all(&words.map(u64::to_le_bytes).concat()).expect("sent");
        stream.write_all(pages).expect("sent");
    }
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).expect("answered");
    answers
}

/// What the second session has, too, is given up by the first.
fn parent(t: &mut Test) {
    needs_floe();
    const OF: u64 = 1 << 8 | 1;
    let (open, pages, of_parent) = (4, 4 << 16 | 6, 1 << 16 | 6);
    let (first, second) = (make(t, "first"), make(t, "second"));
    let port = free_port();
    let server = start_server(t, Program::Floe, "first", &port, &[]);
    let answers = send(&port, &[([open, 0, 0, OF], &[]), ([pages, 2, 0x1000, OF], &[1; 8192])]);
    assert_eq!(answers, [0, 0, 0, 0, 0]);
    expect_end(t, server, "first", 0);
    let before = crate::criu_command::pages(&first);
    assert_eq!(before.0, 8192);
    let options = ["--prev-images-dir", "../first", "--auto-dedup"];
    let server = start_server(t, Program::Floe, "second", &port, &options);
    let records: [([u64; 4], &[u8]); 3] =
        [([open, 0, 0, OF], &[]), ([pages, 1, 0x1000, OF], &[2; 4096]), ([of_parent, 1, 0x2000, OF], &[])];
    assert_eq!(send(&port, &records), [1, 0, 0, 0, 0]);
    expect_end(t, server, "second", 0);
    assert_eq!(fs::read_link(second.join("parent")).expect("a link"), Path::new("../first"));
    assert_eq!(crate::criu_command::pages(&second).0, 4096);
    let after = crate::criu_command::pages(&first);
    assert!(after.0 == before.0 && after.1 < before.1, "{before:?} {after:?}");
}

/// It goes on, and there are no images.
#[track_caller]
fn expect_no_dump(counter: &Counter<'_>) {
    counter.goes_on_from(counter.count());
    assert!(!counter.images.join("inventory.img").exists());
    assert_eq!(names(&counter.images, "pages-"), 0);
}

/// Servers that end before all is sent, or answer what they should not.
fn cut_dump(counter: &mut Counter<'_>) {
    for (taken, answer, why) in [
        (0, &[][..], "page server 127.0.0.1"),
        (32, &[], "it has closed the connection"),
        (32 + 32 + 2048, &[0], "page server 127.0.0.1"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("an address").port().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            let mut bytes = vec![0; taken];
            let first = taken.min(32);
            stream.read_exact(&mut bytes[..first]).expect("a record");
            stream.write_all(answer).expect("answered");
            stream.read_exact(&mut bytes[first..]).expect("more");
        });
        dump(counter, Program::Floe, "images", &to(&port)).exits(1).refused(&[why]);
        server.join().expect("served");
        expect_no_dump(counter);
    }
}

/// What has come of a dump that is cut off is no image.
fn cut_session(t: &mut Test) {
    needs_floe();
    let there = make(t, "there");
    let open = [4, 1 << 8 | 1];
    for (words, why) in
        [(&open[..0], "ends before it is closed"), (&open, "ends before it is closed"), (&[8, 0], "0x8")]
    {
        let port = free_port();
        let server = start_server(t, Program::Floe, "there", &port, &[]);
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("connect");
        if let [command, dst_id] = words {
            let record = [*command, 0, 0, *dst_id].map(u64::to_le_bytes).concat();
            stream.write_all(&record).expect("sent");
        }
        stream.shutdown(std::net::Shutdown::Write).expect("shut down");
        let log = expect_end(t, server, "there", 1);
        assert!(log.contains(why), "{log}");
        assert_eq!((names(&there, "pages-"), names(&there, "pagemap-")), (0, 0));
    }
}

/// It listens when the command returns, and its log says where.
fn daemon(counter: &mut Counter<'_>) {
    make(counter.t, "there");
    let mut command = criu(counter.t, Program::Floe, "page-server");
    command.args([
        "--images-dir",
        "there",
        "--address",
        "127.0.0.1",
        "-d",
        "--pidfile",
        "pid",
        "-o",
        "server.log",
    ]);
    counter.t.run(command).ok();
    let log = read(counter.t.path("there/server.log"));
    let port = log.lines().find_map(|line| line.split_once("pages come from 127.0.0.1:")).expect("a port").1;
    let pid: i32 = read(counter.t.path("there/pid")).parse().expect("a pid");
    dump(counter, Program::Floe, "images", &to(port)).ok();
    let count = counter.is_gone();
    wait_until("the daemon is gone", || !is_there(pid));
    put_together(&counter.t.path("there"), &counter.images.clone());
    restore(counter, Program::Floe, "images", count);
}

/// Or it is a zombie, whom nobody has asked for.
fn is_there(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Both ends are at a socket that they were given, here one of sh's.
fn given_socket(counter: &mut Counter<'_>) {
    make(counter.t, "there");
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let mut server = criu(counter.t, Program::Floe, "page-server");
    server.args(["--images-dir", "there", "--ps-socket", "0", "-o", "server.log"]);
    let server = server.stdin(std::os::fd::OwnedFd::from(theirs)).spawn().expect("spawn");
    let pid = counter.child.id().to_string();
    let mut client = criu(counter.t, Program::Floe, "dump");
    client.args(["--images-dir", "images", "--tree", &pid, "--page-server", "--ps-socket", "0"]);
    let status = client.stdin(std::os::fd::OwnedFd::from(ours)).status().expect("run");
    assert!(status.success());
    expect_end(counter.t, server, "there", 0);
    let count = counter.is_gone();
    put_together(&counter.t.path("there"), &counter.images.clone());
    restore(counter, Program::Floe, "images", count);
}

fn refused(counter: &mut Counter<'_>) {
    let port = free_port();
    let mut check = |options: &[&str], why: &str| {
        dump(counter, Program::Floe, "images", options).exits(1).refused(&[why]);
        expect_no_dump(counter);
    };
    check(&["--page-server", "--port", "1"], "an address is needed");
    check(&["--page-server", "--address", "127.0.0.1"], "a port is needed");
    check(&["--page-server", "--address", "localhost", "--port", "1"], "not an IP address");
    check(&to(&port), &format!("page server 127.0.0.1:{port}: connection refused"));
    check(&["--status-fd", "1"], "status-fd: only page-server, lazy-pages, and a dump");
}

/// A request is answered when the server listens.
fn rpc(counter: &mut Counter<'_>) {
    make(counter.t, "there");
    let mut service = counter.service(&[]);
    let images = std::mem::replace(&mut counter.images, counter.t.path("there"));
    // ps: address
    let asked = counter.client_of(5, 0, "5a0b0a093132372e302e302e31").status().expect("perl");
    counter.images = images;
    assert!(asked.success());
    let answer = counter.answer();
    // type, success, ps
    assert!(answer.starts_with("0805100132"), "{answer}");
    let log = read(counter.t.path("there/page-server.log"));
    let port = log.lines().find_map(|line| line.split_once("pages come from 127.0.0.1:")).expect("a port").1;
    dump(counter, Program::Floe, "images", &to(port)).ok();
    let count = counter.is_gone();
    service.kill().expect("it runs");
    service.wait().expect("wait");
    put_together(&counter.t.path("there"), &counter.images.clone());
    restore(counter, Program::Floe, "images", count);
}

/// A number of a message, and what follows it.
fn varint(bytes: &[u8]) -> (u32, &[u8]) {
    let last = bytes.iter().position(|byte| byte & 0x80 == 0).expect("a number");
    let number = bytes[..=last].iter().rev().fold(0, |number, byte| number << 7 | u32::from(byte & 0x7f));
    (number, &bytes[last + 1..])
}

/// Who has the server started, in a process of its own, waits for it.
fn child(counter: &mut Counter<'_>) {
    let there = fs::File::open(make(counter.t, "there")).expect("open");
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).expect("a pair");
    let mut command = Command::new(counter.t.floe().get_program());
    command.args(["criu", "swrk", "0"]).env_clear().stdin(theirs);
    let mut swrk = command.spawn().expect("spawn");
    drop(command);
    let talk = |request: &[u8]| {
        send_packet(ours.as_raw_fd(), request, MsgFlags::empty()).expect("sent");
        let mut answer = vec![0; 1000];
        let size = recv(ours.as_raw_fd(), &mut answer, MsgFlags::empty()).expect("an answer");
        answer.truncate(size);
        answer
    };
    // images_dir_fd; ps: address
    let opts = [&[8, there.as_raw_fd() as u8, 0x5a, 11, 10, 9], &b"127.0.0.1"[..]].concat();
    // type, opts, keep_open
    let answer = talk(&[&[8, 12, 18, opts.len() as u8], &opts[..], &[32, 1]].concat());
    // type, success, ps: port and pid
    let (port, rest) = varint(answer.strip_prefix(&[8, 5, 16, 1, 50, answer[5], 16]).expect("it listens"));
    let wait = [&[8, 11, 48], &rest[1..], &[32, 1]].concat();
    dump(counter, Program::Floe, "images", &to(&port.to_string())).ok();
    // type, success, status; and nobody to wait for
    assert_eq!(talk(&wait), [8, 11, 16, 1, 88, 0]);
    assert_eq!(talk(&wait)[..6], [8, 11, 16, 0, 56, 10]);
    drop(ours);
    assert!(swrk.wait().expect("wait").success());
    let count = counter.is_gone();
    put_together(&counter.t.path("there"), &counter.images.clone());
    restore(counter, Program::Floe, "images", count);
}

/// `checkpoint` of the container to a server, which writes to `there`.
fn checkpoint_to(scene: &mut Scene<'_>, images: &str, options: &[&str], there: &str, of_server: &[&str]) {
    make(scene.t, there);
    let port = free_port();
    let server = start_server(scene.t, Program::Floe, there, &port, of_server);
    let mut command = scene.t.floe();
    command.args(["checkpoint", "--page-server", &format!("127.0.0.1:{port}"), "--image-path"]);
    command.arg(scene.t.path(images)).args(options).arg(&scene.bundle.id);
    scene.t.run(command).ok();
    expect_end(scene.t, server, there, 0);
}

fn restore_container(scene: &mut Scene<'_>, images: &str) -> Output {
    let mut command = scene.t.floe();
    command.args(["restore", "--detach", "--image-path"]).arg(scene.t.path(images)).arg("--bundle");
    command.arg(&scene.bundle.dir).arg(&scene.bundle.id).stdin(Stdio::null());
    scene.t.run(command)
}

fn checkpoint(scene: &mut Scene<'_>) {
    scene.run();
    scene.wait_for_count(3);
    checkpoint_to(scene, "images-of-it", &[], "there", &[]);
    let (images, count) = (scene.t.path("images-of-it"), scene.count());
    let restore = |scene: &mut Scene<'_>| restore_container(scene, "images-of-it");
    // Half of it is nothing.
    restore(scene).exits(1).refused(&["pagemap-1.img"]);
    put_together(&scene.t.path("there"), &images);
    // What is not of pages is still none of it.
    fs::copy(images.join("core-1.img"), images.join("core-77.img")).expect("copy");
    restore(scene).exits(1).refused(&["core-77.img"]);
    fs::remove_file(images.join("core-77.img")).expect("remove");
    restore(scene).ok();
    scene.expect_to_go_on(count);
}

fn checkpoint_without_a_server(scene: &mut Scene<'_>) {
    scene.run();
    scene.wait_for_count(3);
    let server = format!("127.0.0.1:{}", free_port());
    let id = scene.bundle.id.clone();
    let why = format!("page server {server}: connection refused");
    scene.t.call(["checkpoint", "--page-server", &server, &id]).exits(1).refused(&[&why]);
    scene.t.call(["checkpoint", "--page-server", &server, "--pre-dump", &id]).exits(1).refused(&[&why]);
    scene.expect_to_go_on(scene.count());
}

fn pre_dump(scene: &mut Scene<'_>) {
    scene.run();
    scene.wait_for_count(3);
    checkpoint_to(scene, "images-before", &["--pre-dump"], "before", &[]);
    let parent = ["--parent-path", "../images-before"];
    checkpoint_to(scene, "images-of-it", &parent, "there", &["--prev-images-dir", "../before"]);
    let count = scene.count();
    put_together(&scene.t.path("images-of-it"), &scene.t.path("there"));
    let size = |name: &str| crate::criu_command::pages(&scene.t.path(name)).0;
    assert!(size("there") < size("before"), "{} {}", size("there"), size("before"));
    restore_container(scene, "there").ok();
    scene.expect_to_go_on(count);
}
