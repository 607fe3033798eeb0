//! `criu restore --manage-cgroups=MODE` beside CRIU: both restore the same images to the same cgroups, or refuse to. Only
//! with `FLOE_CRIU`, as all of `as_criu`.

use crate::criu_command::{Counter, criu};
use crate::harness::subject::criu_directory;
use crate::harness::*;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    if criu_directory().is_none() {
        return Vec::new();
    }
    type Body = fn(&mut Counter<'_>, &str);
    let bodies: [(&str, Body); 4] = [
        ("floe", |counter, id| modes(counter, id, false)),
        ("criu", |counter, id| modes(counter, id, true)),
        ("ignored", ignored),
        ("refused", refused),
    ];
    let case = |(name, body): (&str, Body)| {
        Case::new(format!("as_criu::cgroups::{name}"), move |t| {
            let id = t.id();
            body(&mut Counter::start(t), &id);
        })
    };
    bodies.into_iter().map(case).collect()
}

/// Makes a cgroup with one below it.
fn make(own: &Path, descendants: &str, depth: &str) {
    fs::create_dir_all(own.join("in")).expect("mkdir");
    fs::write(own.join("cgroup.max.descendants"), descendants).expect("write");
    fs::write(own.join("in/cgroup.max.depth"), depth).expect("write");
}

fn remove(own: &Path) {
    let _ = fs::remove_dir(own.join("in"));
    wait_until("the cgroup is gone", || fs::remove_dir(own).is_ok() || !own.exists());
}

/// With the child that it has at this moment.
fn move_to(counter: &Counter<'_>, own: &Path) {
    fs::write(own.join("cgroup.procs"), counter.child.id().to_string()).expect("move");
    std::thread::sleep(Duration::from_millis(200));
    counter.goes_on_from(counter.count());
}

/// Whoever of it is there yet keeps its number from a restore.
fn end_group(leader: &str) {
    let group = nix::unistd::Pid::from_raw(leader.parse().expect("a pid"));
    wait_until("the group is gone", || {
        nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).is_err()
    });
}

/// What there is after a restore.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    is_restored: bool,
    cgroup: String,
    descendants: String,
    depth: String,
}

impl Seen {
    fn of(counter: &Counter<'_>, own: &Path, is_restored: bool) -> Seen {
        let setting = |path: &str| read_if_there(&own.join(path));
        let (descendants, depth) = (setting("cgroup.max.descendants"), setting("in/cgroup.max.depth"));
        let cgroup = read_if_there(Path::new(&format!("/proc/{}/cgroup", counter.child.id())));
        let cgroup = cgroup.lines().find(|line| line.starts_with("0::")).unwrap_or_default().to_owned();
        Seen { is_restored, cgroup, descendants, depth }
    }
}

fn read_if_there(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

const MODES: [&str; 7] = [
    "--manage-cgroups",
    "--manage-cgroups=none",
    "--manage-cgroups=props",
    "--manage-cgroups=soft",
    "--manage-cgroups=full",
    "--manage-cgroups=strict",
    "--manage-cgroups=ignore",
];

fn modes(counter: &mut Counter<'_>, id: &str, dumper_is_criu: bool) {
    let own = cgroup_dir(id);
    make(&own, "5", "3");
    move_to(counter, &own);
    let pid = counter.child.id().to_string();
    if dumper_is_criu {
        criu(counter, &["dump", "--tree", &pid, "--network-lock", "skip"]).ok();
    } else {
        counter.dump(&[]).ok();
    }
    let mut count = counter.is_gone();
    for (place, arrange) in [
        ("missing", (|_| {}) as fn(&Path)),
        ("partly there", |own| fs::create_dir(own).expect("mkdir")),
        ("there", |own| make(own, "7", "9")),
    ] {
        // CRIU's images also have where tasks are in hierarchies of cgroup v1, if the host has some: there they always are.
        for mode in MODES.iter().filter(|mode| !(dumper_is_criu && mode.ends_with("strict"))) {
            let [theirs, ours] = [true, false].map(|is_criu| {
                remove(&own);
                arrange(&own);
                let restored = if is_criu {
                    criu(counter, &["restore", "-d", "--network-lock", "skip", *mode])
                } else {
                    counter.criu("restore", &["-d", *mode])
                };
                let seen = Seen::of(counter, &own, restored.code == 0);
                if seen.is_restored {
                    counter.goes_on_from(count);
                    counter.end();
                    end_group(&pid);
                    count = counter.count();
                }
                seen
            });
            assert_eq!(ours, theirs, "{place}, {mode}");
        }
    }
    remove(&own);
}

/// Where they were is not in the images.
fn ignored(counter: &mut Counter<'_>, id: &str) {
    let own = cgroup_dir(id);
    make(&own, "5", "3");
    move_to(counter, &own);
    counter.dump(&["--manage-cgroups=ignore"]).ok();
    let count = counter.is_gone();
    assert!(!counter.images.join("cgroup.img").exists());
    counter.criu("restore", &["-d"]).ok();
    counter.goes_on_from(count);
    assert_eq!(
        Seen::of(counter, &own, true).cgroup,
        read_if_there(Path::new("/proc/self/cgroup")).lines().last().unwrap_or_default()
    );
    counter.end();
    remove(&own);
}

/// A tree that is in several places is not dumped as if it were in one, and a frozen cgroup takes no tasks.
fn refused(counter: &mut Counter<'_>, id: &str) {
    let own = cgroup_dir(id);
    make(&own, "5", "3");
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", "sleep 1000 & wait"]).stdout(Stdio::null()).stderr(Stdio::null());
    let pid = counter.t.helper(command).to_string();
    wait_until("it has a child", || !read(format!("/proc/{pid}/task/{pid}/children")).is_empty());
    fs::write(own.join("in/cgroup.procs"), &pid).expect("move");
    let group = nix::unistd::Pid::from_raw(pid.parse().expect("a pid"));
    let reason = format!("it is not in cgroup {}, or below it", own.join("in").display());
    counter.criu("dump", &["--tree", &pid]).exits(1).refused(&[&reason, "--manage-cgroups=ignore"]);
    nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).expect("it runs");

    move_to(counter, &own);
    counter.dump(&[]).ok();
    counter.is_gone();
    fs::write(own.join("cgroup.freeze"), "1").expect("freeze");
    counter.criu("restore", &["-d"]).exits(1).refused(&["manage-cgroups: cgroup", "is frozen"]);
    counter.criu("restore", &["-d", "--manage-cgroups=some"]).exits(1).refused(&["manage-cgroups some"]);
    remove(&own);
}
