//! Tests against the kernel: they need root and mount cgroup2 in a mount namespace of their own.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::{
    Cgroup, Created, Kind, MOUNT, OomEvent, Resources, Signal, clean, default_device_rules, own_parent,
};

/// A place in cgroup2 for one test, removed with everything in it at the end, also of a failed test.
struct Place {
    root: PathBuf,
    children: Vec<Child>,
}

impl Place {
    /// `None`, with the reason printed, where the test cannot run.
    fn enter() -> Option<Place> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        if !nix::unistd::geteuid().is_root() {
            println!("skip: needs root");
            return None;
        }
        // A mount namespace belongs to a task, but only one that does not share its root directory.
        if let Err(errno) = unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS) {
            println!("skip: unshare: {errno}");
            return None;
        }
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        if let Err(errno) = mount(Some("cgroup2"), MOUNT, Some("cgroup2"), MsFlags::empty(), None::<&str>) {
            println!("skip: mount cgroup2: {errno}");
            return None;
        }
        let name = format!("floe-test-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let root = Path::new(MOUNT).join(name);
        std::fs::create_dir(&root).unwrap();
        Some(Place { root, children: Vec::new() })
    }

    fn cgroup(&self, path: &str) -> Cgroup {
        Cgroup::open(&self.root.join(path)).unwrap()
    }

    /// Starts a shell that is in `cgroup` before it runs `script`.
    fn start(&mut self, cgroup: &Cgroup, script: &str) -> i32 {
        let script = format!("echo $$ > {}/cgroup.procs && {script}", cgroup.path().display());
        let child = Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id() as i32;
        self.children.push(child);
        let deadline = Instant::now() + Duration::from_secs(5);
        while !cgroup.processes().unwrap().contains(&pid) {
            assert!(Instant::now() < deadline, "the shell did not enter the cgroup");
            std::thread::yield_now();
        }
        pid
    }

    fn run(&self, cgroup: &Cgroup, script: &str) -> bool {
        let script = format!("echo $$ > {}/cgroup.procs && {script}", cgroup.path().display());
        Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status().unwrap().success()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let all = Cgroup { dir: self.root.clone() };
        let _ = all.kill();
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        all.delete().expect("remove what the test made");
    }
}

fn resources(json: &str) -> Resources {
    Resources::from_oci(&serde_json::from_str(json).unwrap()).unwrap()
}

fn create(cgroup: &Cgroup) -> Created {
    cgroup.create(&Resources::default()).unwrap()
}

#[test]
fn paths_stay_below_where_they_start() {
    let check =
        |path: &str, expected: &str| assert_eq!(clean(Path::new(path)), Path::new(expected), "{path}");
    check("/a/b", "a/b");
    check("a/../../../b", "b");
    check("/../..", "");
    check("./a//b/.", "a/b");
}

#[test]
fn relative_paths_start_at_the_parent_of_our_cgroup() {
    let check = |text: &str, expected: &str| assert_eq!(own_parent(text).unwrap(), Path::new(expected));
    check("4:memory:/x\n0::/user.slice/session.scope\n", "user.slice");
    check("0::/\n", "");
    check("0::/../outside\n", "");
    check("0::/a/b (deleted)\n", "a");
    assert_eq!(own_parent("4:memory:/x\n").unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn open_takes_only_what_path_gives() {
    assert!(Cgroup::open(Path::new("/sys/fs/cgroup/a/b")).is_ok());
    for path in
        ["/sys/fs/cgroup", "/sys/fs/cgroup/..", "/sys/fs/cgroup/a/../b", "/sys/fs/cgroupx/a", "a", "/"]
    {
        assert!(Cgroup::open(Path::new(path)).is_err(), "{path}");
    }
    let cgroup = Cgroup::open(Path::new("/sys/fs/cgroup/a")).unwrap();
    assert_eq!(cgroup.child(Path::new("../../b")).path(), Path::new("/sys/fs/cgroup/a/b"));
    assert_eq!(cgroup.child(Path::new("/")).path(), Path::new("/sys/fs/cgroup/a"));
}

#[test]
fn resolve() {
    let Some(place) = Place::enter() else { return };
    let absolute = Cgroup::resolve(Some(Path::new("/a/../../b")), "id").unwrap();
    assert_eq!(absolute.path(), Path::new("/sys/fs/cgroup/b"));
    assert!(Cgroup::resolve(Some(Path::new("/..")), "id").is_err());
    let none = Cgroup::resolve(None, "id").unwrap();
    assert_eq!(none, Cgroup::resolve(Some(Path::new("")), "id").unwrap());
    assert_eq!(none.path().file_name().unwrap(), "id");
    let relative = Cgroup::resolve(Some(Path::new("x/y")), "id").unwrap();
    assert_eq!(relative.path(), none.path().parent().unwrap().join("x/y"));

    mount(Some("none"), MOUNT, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    let error = Cgroup::resolve(None, "id").unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert_eq!(
        error.to_string(),
        "/sys/fs/cgroup is tmpfs, not cgroup2 (a cgroup v1 or hybrid host); mount cgroup2 at /sys/fs/cgroup"
    );
    nix::mount::umount(MOUNT).unwrap();
    drop(place);
}

#[test]
fn create_makes_parents_and_undo_removes_exactly_those() {
    let Some(place) = Place::enter() else { return };
    std::fs::create_dir(place.root.join("kept")).unwrap();
    let cgroup = place.cgroup("kept/a/b");
    let created = create(&cgroup);
    assert!(cgroup.exists());
    created.undo().unwrap();
    assert!(!place.root.join("kept/a").exists());
    assert!(place.root.join("kept").exists());

    // One that was there stays.
    create(&cgroup);
    create(&cgroup).undo().unwrap();
    assert!(cgroup.exists());
}

#[test]
fn create_refuses_a_cgroup_in_use() {
    let Some(mut place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    create(&cgroup);
    let pid = place.start(&cgroup, "exec sleep 60");
    assert_eq!(cgroup.processes().unwrap(), [pid]);
    assert_eq!(Cgroup::of_process(pid).unwrap(), cgroup);
    let error = cgroup.create(&Resources::default()).unwrap_err();
    let path = cgroup.path().display();
    assert_eq!(error.to_string(), format!("container's cgroup {path} is not empty: it has 1 process"));
}

#[test]
fn create_enables_controllers_on_the_way() {
    let Some(place) = Place::enter() else { return };
    let root = std::fs::read_to_string(Path::new(MOUNT).join("cgroup.controllers")).unwrap();
    if !crate::create::has(&root, "hugetlb") {
        println!("skip: no hugetlb controller");
        return;
    }
    let limits = resources(r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#);
    let cgroup = place.cgroup("a/b");
    let created = cgroup.create(&limits).unwrap();
    cgroup.apply(created.dir.as_fd(), &limits).unwrap();
    for file in ["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"] {
        assert_eq!(std::fs::read_to_string(cgroup.path().join(file)).unwrap(), "4194304\n", "{file}");
    }
    assert_eq!(cgroup.stats().unwrap().hugetlb["2MB"], Default::default());
}

#[test]
fn a_missing_controller_is_named_for_a_real_limit_only() {
    let Some(place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    let created = create(&cgroup);
    let available = std::fs::read_to_string(cgroup.path().join("cgroup.controllers")).unwrap();
    if crate::create::has(&available, "memory") || crate::create::has(&available, "pids") {
        println!("skip: memory or pids controller is there");
        return;
    }
    let unlimited = resources(r#"{"pids":{"limit":0},"memory":{"limit":-1},"cpu":{"quota":-1}}"#);
    cgroup.apply(created.dir.as_fd(), &unlimited).unwrap();
    let limits = resources(r#"{"memory":{"limit":1073741824}}"#);
    let error = cgroup.apply(created.dir.as_fd(), &limits).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    let available = if available.trim().is_empty() { "none" } else { available.trim() };
    assert_eq!(
        error.to_string(),
        format!(
            "write 1073741824 to memory.max: memory controller is not available (cgroup.controllers of {} has: {available})",
            cgroup.path().display()
        )
    );
    assert_eq!(cgroup.watch_oom().unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(cgroup.oom_kills().unwrap(), 0);
}

#[test]
fn unified_reaches_cgroup_files() {
    let Some(place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    let created = create(&cgroup);
    let limits = resources(r#"{"unified":{"cgroup.max.depth":"3"}}"#);
    cgroup.apply(created.dir.as_fd(), &limits).unwrap();
    assert_eq!(std::fs::read_to_string(cgroup.path().join("cgroup.max.depth")).unwrap(), "3\n");
    let error =
        cgroup.apply(created.dir.as_fd(), &resources(r#"{"unified":{"cgroup.none":"3"}}"#)).unwrap_err();
    assert_eq!(error.to_string(), "write 3 to cgroup.none: no such file or directory (ENOENT)");
}

#[test]
fn freeze_and_thaw() {
    let Some(mut place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    assert!(!cgroup.is_frozen().unwrap(), "not there yet");
    create(&cgroup);
    place.start(&cgroup, "while :; do :; done");
    cgroup.freeze().unwrap();
    cgroup.freeze().unwrap();
    assert!(cgroup.is_frozen().unwrap());
    let events = std::fs::read_to_string(cgroup.path().join("cgroup.events")).unwrap();
    assert!(events.contains("frozen 1"), "{events}");
    cgroup.thaw().unwrap();
    assert!(!cgroup.is_frozen().unwrap());
    cgroup.thaw().unwrap();
}

#[test]
fn an_empty_cgroup_freezes_too_and_create_refuses_it() {
    let Some(place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    create(&cgroup);
    cgroup.freeze().unwrap();
    let error = cgroup.create(&Resources::default()).unwrap_err().to_string();
    assert!(error.ends_with("is frozen"), "{error}");
}

#[test]
fn kill_reaches_nested_and_frozen_processes() {
    let Some(mut place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    let nested = place.cgroup("a/b/c");
    cgroup.kill().unwrap();
    // As a container does it: `create` would enable controllers, and then `a` could have no processes.
    create(&cgroup);
    std::fs::create_dir_all(nested.path()).unwrap();
    let outer = place.start(&cgroup, "exec sleep 60");
    let inner = place.start(&nested, "exec sleep 60");
    let mut expected = [outer, inner];
    expected.sort_unstable();
    assert_eq!(cgroup.processes().unwrap(), expected);
    nested.freeze().unwrap();
    cgroup.kill().unwrap();
    // Also shows that `delete` waits and removes nested cgroups.
    cgroup.delete().unwrap();
    assert!(!cgroup.exists());
    cgroup.delete().unwrap();
    assert!(cgroup.processes().unwrap().is_empty());
}

#[test]
fn signal_all_leaves_a_paused_container_paused() {
    let Some(mut place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    create(&cgroup);
    place.start(&cgroup, "exec sleep 60");
    cgroup.freeze().unwrap();
    cgroup.signal_all(Signal::SIGTERM).unwrap();
    assert!(cgroup.is_frozen().unwrap());
    // A signal without a handler is fatal to a frozen process too: the kernel turns it into SIGKILL.
    cgroup.delete().unwrap();
}

#[test]
fn signal_all_reaches_everyone() {
    let Some(mut place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    create(&cgroup);
    place.start(&cgroup, "exec sleep 60");
    place.start(&cgroup, "exec sleep 60");
    cgroup.signal_all(Signal::SIGTERM).unwrap();
    assert!(!cgroup.is_frozen().unwrap());
    cgroup.delete().unwrap();
}

#[test]
fn a_cgroup_given_to_a_user() {
    let Some(place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    create(&cgroup);
    cgroup.delegate(4711).unwrap();
    let owner = |name: &str| std::os::unix::fs::MetadataExt::uid(&cgroup.file(name).metadata().unwrap());
    assert_eq!(["", "cgroup.procs", "cgroup.subtree_control"].map(owner), [4711; 3]);
    assert_eq!(["cgroup.freeze", "cgroup.type"].map(owner), [0; 2]);
}

#[test]
fn threaded_cgroups_list_their_processes() {
    let Some(mut place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    create(&cgroup);
    let pid = place.start(&cgroup, "exec sleep 60");
    let threaded = place.cgroup("a/t");
    std::fs::create_dir(threaded.path()).unwrap();
    std::fs::write(threaded.path().join("cgroup.type"), "threaded").unwrap();
    std::fs::write(threaded.path().join("cgroup.threads"), pid.to_string()).unwrap();
    assert_eq!(threaded.processes().unwrap(), [pid]);
    assert_eq!(cgroup.processes().unwrap(), [pid]);
    assert_eq!(threaded.stats().unwrap().pids.current, 1);
    threaded.kill().unwrap();
    cgroup.delete().unwrap();
}

#[test]
fn below_a_threaded_domain_only_threaded_controllers() {
    let Some(place) = Place::enter() else { return };
    create(&place.cgroup("a"));
    std::fs::create_dir(place.root.join("a/t")).unwrap();
    std::fs::write(place.root.join("a/t/cgroup.type"), "threaded").unwrap();
    let cgroup = place.cgroup("a/b");
    let limits = resources(r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#);
    let error = cgroup.create(&limits).unwrap_err();
    let path = cgroup.path().display();
    assert_eq!(
        error.to_string(),
        format!("cgroup {path} is domain invalid and cannot have the hugetlb controller")
    );
    assert!(!cgroup.exists(), "a failed create leaves nothing");
    create(&cgroup);
    assert_eq!(std::fs::read_to_string(cgroup.path().join("cgroup.type")).unwrap(), "threaded\n");
}

#[test]
fn devices_are_denied_and_allowed_and_updated() {
    let Some(place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    let created = create(&cgroup);
    let dir = created.dir.as_fd();
    let can = |script: &str| place.run(&cgroup, script);
    assert!(can("exec 3<>/dev/null 4<>/dev/full"));

    cgroup.set_devices(dir, &[]).unwrap();
    assert!(!can("exec 3</dev/null"));

    let mut list = resources(r#"{"devices":[{"allow":false,"access":"rwm"}]}"#).devices;
    list.extend(default_device_rules());
    cgroup.set_devices(dir, &list).unwrap();
    assert!(can("exec 3<>/dev/null 4<>/dev/full 5</dev/urandom"));

    let read_only = resources(
        r#"{"devices":[{"allow":false,"access":"rwm"},
            {"allow":true,"type":"c","major":1,"minor":3,"access":"r"},
            {"allow":true,"type":"c","major":1,"minor":7,"access":"w"}]}"#,
    )
    .devices;
    cgroup.set_devices(dir, &read_only).unwrap();
    assert!(can("exec 3</dev/null"));
    assert!(!can("exec 3>/dev/null"));
    assert!(!can("exec 3<>/dev/null"));
    assert!(can("exec 3>/dev/full"));
    assert!(!can("exec 3</dev/full"));
    assert_eq!(sys::bpf::query_cgroup_device(dir).unwrap().len(), 1, "replaced, not added");

    cgroup.set_devices(dir, &resources(r#"{"devices":[{"allow":true,"access":"rwm"}]}"#).devices).unwrap();
    assert!(can("exec 3<>/dev/null 4<>/dev/full"));
    assert!(sys::bpf::query_cgroup_device(dir).unwrap().is_empty());
}

#[test]
fn the_kernel_takes_a_long_device_list() {
    let Some(place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    let created = create(&cgroup);
    let list: Vec<String> = (0..1000)
        .map(|n| {
            let (allow, access) = (n % 3 != 0, ["r", "rw", "rwm", "m"][n % 4]);
            format!(r#"{{"allow":{allow},"type":"c","major":{},"minor":{n},"access":"{access}"}}"#, n % 7)
        })
        .collect();
    let rules = resources(&format!(r#"{{"devices":[{}]}}"#, list.join(","))).devices;
    cgroup.set_devices(created.dir.as_fd(), &rules).unwrap();
}

#[test]
fn stats_of_a_live_cgroup() {
    let Some(mut place) = Place::enter() else { return };
    let cgroup = place.cgroup("a");
    create(&cgroup);
    place.start(&cgroup, "while :; do :; done");
    assert_eq!(cgroup.stats().unwrap().pids.current, 1);
    let deadline = Instant::now() + Duration::from_secs(5);
    while cgroup.stats().unwrap().cpu.usage.total == 0 {
        assert!(Instant::now() < deadline, "a busy loop uses no time");
    }
    assert_eq!(place.cgroup("none").stats().unwrap_err().kind(), Kind::NotFound);
}

/// Files stand in for a memory controller; only their text matters here.
#[test]
fn usage_check_and_fallbacks_on_plain_files() {
    let fake = tempfile::tempdir().unwrap();
    let cgroup = Cgroup { dir: fake.path().into() };
    let dir = cgroup.dirfd().unwrap();
    for (name, text) in [
        ("memory.current", "100\n"),
        ("memory.max", ""),
        ("io.weight", ""),
        ("cgroup.controllers", "memory io\n"),
    ] {
        std::fs::write(fake.path().join(name), text).unwrap();
    }
    let check = resources(r#"{"memory":{"limit":100,"checkBeforeUpdate":true}}"#);
    let error = cgroup.apply(dir.as_fd(), &check).unwrap_err();
    assert_eq!(error.to_string(), "memory limit 100 is not above the present usage 100");
    cgroup.apply(dir.as_fd(), &resources(r#"{"memory":{"limit":101,"checkBeforeUpdate":true}}"#)).unwrap();
    assert_eq!(std::fs::read_to_string(fake.path().join("memory.max")).unwrap(), "101");

    cgroup.apply(dir.as_fd(), &resources(r#"{"blockIO":{"weight":10}}"#)).unwrap();
    assert_eq!(std::fs::read_to_string(fake.path().join("io.weight")).unwrap(), "1");
    std::fs::write(fake.path().join("io.bfq.weight"), "").unwrap();
    cgroup.apply(dir.as_fd(), &resources(r#"{"blockIO":{"weight":10}}"#)).unwrap();
    assert_eq!(std::fs::read_to_string(fake.path().join("io.bfq.weight")).unwrap(), "10");

    let error = cgroup.apply(dir.as_fd(), &resources(r#"{"pids":{"limit":7}}"#)).unwrap_err();
    let path = fake.path().display();
    assert_eq!(
        error.to_string(),
        format!(
            "write 7 to pids.max: pids controller is not available (cgroup.controllers of {path} has: memory io)"
        )
    );
}

#[test]
fn oom_watch_on_plain_files() {
    let fake = tempfile::tempdir().unwrap();
    let cgroup = Cgroup { dir: fake.path().into() };
    let write = |name: &str, text: &str| std::fs::write(fake.path().join(name), text).unwrap();
    write("memory.events", "low 0\noom 1\noom_kill 1\n");
    write("cgroup.events", "populated 1\nfrozen 0\n");
    let mut watch = cgroup.watch_oom().unwrap();
    assert_eq!(cgroup.oom_kills().unwrap(), 1);
    write("memory.events", "low 0\noom 3\noom_kill 3\n");
    assert_eq!(watch.wait(Some(Duration::ZERO)).unwrap(), OomEvent::Killed { total: 3 });
    write("cgroup.events", "populated 0\nfrozen 0\n");
    assert_eq!(watch.wait(None).unwrap(), OomEvent::Empty);
}
