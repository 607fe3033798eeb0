//! Programs with a state that cannot be dumped (`programs/refused/*.c`): floe says which in one line, before anything is
//! stopped, and they run on unharmed.

use crate::harness::subject::{Runtime, Subject};
use crate::harness::*;
use crate::programs::{self, Program};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// What the line has to say about each.
const REASONS: [(&str, &[&str]); 26] = [
    ("blocked_vfork", &["shares its memory", "vfork"]),
    ("fanotify_decides", &["fanotify", "decides"]),
    ("fanotify_filesystem", &["fanotify", "file system"]),
    ("io_uring", &["io_uring"]),
    ("leader_gone", &["first thread"]),
    ("lease_breaking", &["lease", "given up"]),
    ("link_gone", &["/data/one"]),
    ("locked", &["lock", "--file-locks"]),
    ("memory_secret", &["memfd_secret"]),
    ("memory_shared_by_processes", &["shares its memory"]),
    ("mount_gone", &["mount"]),
    ("mount_overlay", &["/data/both", "overlay"]),
    ("namespace", &["namespace", "ipc"]),
    ("packet_program", &["packet_fanout_data"]),
    ("perf_event", &["perf_event"]),
    ("queue_notify", &["mq_notify"]),
    ("seccomp_listener", &["seccomp"]),
    ("tcp", &["established tcp", "--tcp-"]),
    ("tcp_pending", &["wait to be accepted", "--tcp-skip-in-flight"]),
    ("traced", &["traced"]),
    ("udp_corked", &["datagram", "udp_cork"]),
    ("unix_connected", &["outside", "--ext-unix-sk"]),
    ("unix_outside", &["outside", "--ext-unix-sk"]),
    ("unix_pending_data", &["waits to be accepted"]),
    ("userfaultfd", &["userfaultfd"]),
    ("vsock", &["vsock"]),
];

pub(crate) fn cases() -> Vec<Case> {
    let case = |&(name, words): &(&'static str, &'static [&'static str])| {
        Case::new(format!("refused::{name}"), move |t| refused(t, name, words))
    };
    let mut cases: Vec<Case> = REASONS.iter().map(case).collect();
    cases.push(Case::new("refused::dispatched".to_owned(), dispatched));
    cases
}

/// Only a tracer sees that system calls are dispatched: the tasks are stopped then, and go on.
fn dispatched(t: &mut Test) {
    needs_floe();
    need_kernel(6, 4, "to tell that calls are dispatched");
    let Program { bundle, state } = Program::prepare(t, "refused/dispatched");
    let images = t.path("images").display().to_string();
    let mut subject = Subject::start(t, bundle, Runtime::Floe);
    programs::wait_for(&state, "ready");
    let output = subject.call(&["checkpoint", "--image-path", &images]).exits(1);
    assert!(output.stderr.contains("PR_SET_SYSCALL_USER_DISPATCH"), "{}", output.stderr);
    subject.call(&["kill"]).ok();
    programs::wait_for(&state, "result");
    subject.finish();
}

fn refused(t: &mut Test, name: &str, words: &[&str]) {
    needs_floe();
    let mut program = Program::prepare(t, &format!("refused/{name}"));
    if matches!(name, "mount_gone" | "mount_overlay" | "namespace") {
        program.bundle.capabilities(&["CAP_SYS_ADMIN"]).set("/process/noNewPrivileges", json!(false));
    }
    if name.starts_with("fanotify") {
        program.bundle.capabilities(&["CAP_SYS_ADMIN"]);
    }
    if name == "packet_program" {
        program.bundle.capabilities(&["CAP_NET_RAW"]);
    }
    let Program { bundle, state } = program;
    let _outside = UnixListener::bind(state.join("outside")).expect("bind");
    let listener = UnixListener::bind(state.join("greeting")).expect("bind");
    let greeter = (name == "unix_connected").then(|| std::thread::spawn(move || greet(&listener)));
    let cgroup = cgroup_dir(&bundle.id);
    let images = t.path("images").display().to_string();
    let mut subject = Subject::start(t, bundle, Runtime::Floe);
    programs::wait_for(&state, "ready");

    let check = subject.call(&["checkpoint", "--check"]).exits(1);
    let blockers: Vec<&str> = check.stdout.lines().collect();
    let names_its_object = |line: &&str| line.starts_with("task ") || line.starts_with("mount ");
    assert!(
        !blockers.is_empty() && blockers.iter().all(names_its_object),
        "{}{}",
        check.stdout,
        check.stderr
    );
    for word in words {
        assert!(blockers[0].to_lowercase().contains(word), "`{word}` is not in: {}", check.stdout);
    }
    let output = subject.call(&["checkpoint", "--image-path", &images]).exits(1);
    let first = output.stderr.lines().next().unwrap_or_default();
    assert!(first.ends_with(blockers[0]), "expected `… {}`, found `{first}`", blockers[0]);
    assert!(!Path::new(&images).join("inventory.img").exists(), "there is an image");
    assert_eq!(subject.call(&["state"]).ok().json()["status"], "running");
    // Microseconds that the cgroup was frozen, since Linux 6.18.
    let statistics = read(cgroup.join("cgroup.stat.local"));
    assert!(statistics.is_empty() || statistics.contains("frozen_usec 0\n"), "{statistics}");

    subject.call(&["kill"]).ok();
    programs::wait_for(&state, "result");
    subject.finish();
    if let Some(greeter) = greeter {
        greeter.join().expect("what it was greeted for");
    }
}

/// Accepts a connection, greets, and keeps it for as long as its other end is there.
fn greet(listener: &UnixListener) {
    let (mut stream, _) = listener.accept().expect("accept");
    stream.write_all(b"hello").expect("write");
    stream.read_to_end(&mut Vec::new()).expect("read");
}
