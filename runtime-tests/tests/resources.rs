//! The fields of `linux.resources` by what the kernel does with them: each test fails where its field is ignored.
//! `resources::DRIVER::create::FIELD` has the limit from the start, `resources::DRIVER::update::FIELD` gets it later.

use crate::harness::*;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::process::Command;
use std::time::{Duration, Instant};

const DRIVERS: [(Driver, &str); 2] = [(Driver::Cgroupfs, "cgroupfs"), (Driver::Systemd, "systemd")];

const MIB: u64 = 1 << 20;

/// How a container gets its limits.
#[derive(Clone, Copy)]
struct Way {
    driver: Driver,
    given: Given,
}

#[derive(Clone, Copy)]
enum Given {
    ByCreate,
    ByUpdate,
}

type FieldTest = fn(&mut Test, Way);

const FIELDS: [(&str, FieldTest); 21] = [
    ("memory_limit", memory_limit),
    ("memory_swap", memory_swap),
    ("memory_reservation", memory_reservation),
    ("memory_high", memory_high),
    ("pids_limit", pids_limit),
    ("cpu_quota", cpu_quota),
    ("cpu_period", cpu_period),
    ("cpu_burst", cpu_burst),
    ("cpu_shares", cpu_shares),
    ("cpu_idle", cpu_idle),
    ("cpuset_cpus", cpuset_cpus),
    ("cpuset_mems", cpuset_mems),
    ("io_read_bps", io_read_bps),
    ("io_write_bps", io_write_bps),
    ("io_read_iops", io_read_iops),
    ("io_write_iops", io_write_iops),
    ("io_weight", io_weight),
    ("io_weight_device", io_weight_device),
    ("hugetlb", hugetlb),
    ("devices", devices),
    ("unified", unified),
];

type OtherTest = fn(&mut Test, Driver);

const OTHERS: [(&str, OtherTest); 6] = [
    ("rdma", rdma),
    ("check_before_update", check_before_update),
    ("running_process_moves_to_other_processors", running_process_moves_to_other_processors),
    ("update_lifts_limits", update_lifts_limits),
    ("stats", stats),
    ("starved_is_deleted", starved_is_deleted),
];

/// Whoever is idle waits for all others.
const ALONE: [&str; 3] = ["cpu_shares", "cpu_idle", "starved_is_deleted"];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (driver, driver_name) in DRIVERS {
        let mut add = |name: String, body: Box<dyn Fn(&mut Test) + Send + Sync>| {
            let mut case = Case::new(format!("resources::{driver_name}::{name}"), body);
            case.alone = ALONE.iter().any(|alone| name.ends_with(alone));
            cases.push(case);
        };
        for (name, body) in FIELDS {
            for (given, word) in [(Given::ByCreate, "create"), (Given::ByUpdate, "update")] {
                add(format!("{word}::{name}"), Box::new(move |t| body(t, Way { driver, given })));
            }
        }
        for (name, body) in OTHERS {
            add(name.to_owned(), Box::new(move |t| body(t, driver)));
        }
    }
    cases
}

/// Starts the container with these resources, which it has before its program begins.
#[track_caller]
fn start(t: &mut Test, way: Way, bundle: &mut Bundle, resources: Value) -> Container {
    if way.driver == Driver::Systemd {
        bundle.in_scope("");
    }
    match way.given {
        Given::ByCreate => {
            for (field, value) in resources.as_object().expect("object") {
                bundle.set(&format!("/linux/resources/{field}"), value.clone());
            }
            t.start(bundle)
        }
        Given::ByUpdate => {
            let container = t.create(bundle);
            update(t, &container, resources).quiet();
            t.call(["start", &container.id]).quiet();
            container
        }
    }
}

/// Starts the container with these resources from the beginning.
#[track_caller]
fn start_with(t: &mut Test, driver: Driver, bundle: &mut Bundle, resources: Value) -> Container {
    start(t, Way { driver, given: Given::ByCreate }, bundle, resources)
}

fn update(t: &mut Test, container: &Container, resources: Value) -> Output {
    let document = t.path("resources.json");
    std::fs::write(&document, resources.to_string()).expect("write");
    t.call(["update", "--resources", document.to_str().expect("utf-8"), &container.id])
}

fn text(container: &Container, file: &str) -> String {
    let path = container.cgroup().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).trim_end().to_owned()
}

/// The number behind a word.
fn count(container: &Container, file: &str, key: &str) -> u64 {
    let text = text(container, file);
    let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {key} in {file}: {text}")).parse().expect("number")
}

fn need_swap() {
    if read("/proc/swaps").lines().count() < 2 {
        skip("the host has no swap");
    }
}

fn memory_limit(t: &mut Test, way: Way) {
    need_controller("memory");
    let mut bundle = holding_in_a_child(t, 64 * MIB);
    let container = start(t, way, &mut bundle, json!({"memory": {"limit": 32 * MIB, "swap": 32 * MIB}}));
    container.wait_for_output("\n");
    assert_eq!(container.output(), "137\n");
    assert!(count(&container, "memory.events", "oom_kill") > 0);
}

/// A child of its first process says `ready` when it has so much memory. When it ends, the container says its exit status
/// and runs on: systemd removes the cgroup of one that has ended. The kernel may not end the first process: should it see
/// the usage before the child's memory is given back, it looks for a second victim.
fn holding_in_a_child(t: &mut Test, size_bytes: u64) -> Bundle {
    let mut bundle = t.bundle();
    let child = format!("echo 0 > /proc/self/oom_score_adj; exec floe-probe hold-memory {size_bytes}");
    bundle.args(["sh", "-c", &format!("({child}); echo $?; sleep 1000")]);
    bundle.set("/process/oomScoreAdj", json!(-1000));
    bundle
}

/// Twice the limit fits, because half of it goes to swap.
fn memory_swap(t: &mut Test, way: Way) {
    need_controller("memory");
    need_swap();
    let mut bundle = t.bundle();
    bundle.args(["floe-probe", "hold-memory", &(48 * MIB).to_string()]);
    let container = start(t, way, &mut bundle, json!({"memory": {"limit": 32 * MIB, "swap": 96 * MIB}}));
    container.wait_for_output("ready");
    assert!(text(&container, "memory.swap.current").parse::<u64>().expect("number") >= 8 * MIB);
    assert_eq!(text(&container, "memory.swap.max"), (64 * MIB).to_string());
}

fn memory_reservation(t: &mut Test, way: Way) {
    need_controller("memory");
    let mut bundle = t.bundle();
    bundle.args(["floe-probe", "hold"]);
    let container = start(t, way, &mut bundle, json!({"memory": {"reservation": 32 * MIB}}));
    assert_eq!(text(&container, "memory.low"), (32 * MIB).to_string());
}

fn memory_high(t: &mut Test, way: Way) {
    need_controller("memory");
    let mut bundle = t.bundle();
    bundle.args(["floe-probe", "hold-memory", &(32 * MIB).to_string()]);
    let limit = (16 * MIB).to_string();
    let container = start(t, way, &mut bundle, json!({"unified": {"memory.high": limit}}));
    wait_until("the kernel slows it down", || count(&container, "memory.events", "high") > 0);
    assert_eq!(count(&container, "memory.events", "oom_kill"), 0);
}

/// A child of its first process, which runs on, has more children than four.
fn forking(t: &mut Test) -> Bundle {
    let mut bundle = t.bundle();
    let script = "sh -c 'for i in 1 2 3 4 5 6; do sleep 100 & done; wait'; exec sleep 1000";
    bundle.args(["sh", "-c", script]);
    bundle
}

fn pids_limit(t: &mut Test, way: Way) {
    need_controller("pids");
    let mut bundle = forking(t);
    let container = start(t, way, &mut bundle, json!({"pids": {"limit": 4}}));
    wait_until("a fork fails", || count(&container, "pids.events", "max") > 0);
}

fn spinning(t: &mut Test) -> Bundle {
    let mut bundle = t.bundle();
    bundle.args(["floe-probe", "spin", "600000"]);
    bundle
}

fn cpu_quota(t: &mut Test, way: Way) {
    need_controller("cpu");
    let mut bundle = spinning(t);
    let container = start(t, way, &mut bundle, json!({"cpu": {"quota": 10_000, "period": 100_000}}));
    wait_until("it is throttled", || count(&container, "cpu.stat", "nr_throttled") >= 5);
    let stats = t.call(["events", "--stats", &container.id]).ok().json();
    let throttling = &stats["data"]["cpu"]["throttling"];
    for counter in ["periods", "throttledPeriods", "throttledTime"] {
        assert!(throttling[counter].as_u64().is_some_and(|n| n >= 5), "{counter}: {throttling}");
    }
}

/// Of the kernel's default period there would be ten in a second.
fn cpu_period(t: &mut Test, way: Way) {
    need_controller("cpu");
    let mut bundle = spinning(t);
    let container = start(t, way, &mut bundle, json!({"cpu": {"quota": 2000, "period": 10_000}}));
    wait_until("it is throttled", || count(&container, "cpu.stat", "nr_throttled") > 0);
    let (begin, before) = (Instant::now(), count(&container, "cpu.stat", "nr_periods"));
    std::thread::sleep(Duration::from_secs(1));
    let periods = count(&container, "cpu.stat", "nr_periods") - before;
    assert!(periods as u128 > begin.elapsed().as_millis() / 50, "{periods} periods");
}

/// What it did not use of its quota while it slept, it may use later.
fn cpu_burst(t: &mut Test, way: Way) {
    need_controller("cpu");
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "while true; do sleep 0.3; floe-probe spin 60; done"]);
    let cpu = json!({"quota": 30_000, "period": 100_000, "burst": 30_000});
    let container = start(t, way, &mut bundle, json!({ "cpu": cpu }));
    wait_until("it bursts", || count(&container, "cpu.stat", "nr_bursts") > 0);
}

fn cpu_shares(t: &mut Test, way: Way) {
    let [other, container] = compete(t, way, json!({"shares": 262_144}));
    assert!(container > 4 * other, "{container} % with a hundred times the shares of one with {other} %");
}

fn cpu_idle(t: &mut Test, way: Way) {
    let [other, container] = compete(t, way, json!({"idle": 1}));
    assert!(other > 4 * container, "{container} % beside one with {other} % that is not idle");
}

/// A container without limits and one with `cpu`, on the same processor: what each has of what both get, in percent.
fn compete(t: &mut Test, way: Way, mut cpu: Value) -> [u64; 2] {
    need_controller("cpu");
    need_controller("cpuset");
    let mut bundle = spinning(t);
    let other = start(t, way, &mut bundle, json!({"cpu": {"cpus": "0"}}));
    // Or the container would take long to start.
    t.call(["pause", &other.id]).ok();
    let mut bundle = spinning(t);
    cpu["cpus"] = json!("0");
    let container = start(t, way, &mut bundle, json!({ "cpu": cpu }));
    t.call(["resume", &other.id]).ok();
    let usage = || [&other, &container].map(|c| count(c, "cpu.stat", "usage_usec"));
    let before = usage();
    let used = || {
        let now = usage();
        [0, 1].map(|i| now[i] - before[i])
    };
    // A busy machine may give both together less than the time that passes.
    wait_until("they have had two seconds", || used().iter().sum::<u64>() >= 2_000_000);
    let used = used();
    used.map(|each| each * 100 / used.iter().sum::<u64>())
}

fn processors(pid: i32) -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(pid)).expect("sched_getaffinity");
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).expect("number")).collect()
}

fn need_two_processors() {
    if std::thread::available_parallelism().expect("processors").get() < 2 {
        skip("the host has one processor");
    }
}

fn cpuset_cpus(t: &mut Test, way: Way) {
    need_controller("cpuset");
    need_two_processors();
    let mut bundle = t.bundle();
    bundle.args(["floe-probe", "hold"]);
    let container = start(t, way, &mut bundle, json!({"cpu": {"cpus": "1"}}));
    assert_eq!(processors(t.pid(&container.id)), [1]);
}

fn running_process_moves_to_other_processors(t: &mut Test, driver: Driver) {
    need_controller("cpuset");
    need_two_processors();
    let mut bundle = t.bundle();
    bundle.args(["floe-probe", "hold"]);
    let container = start_with(t, driver, &mut bundle, json!({}));
    let pid = t.pid(&container.id);
    for cpu in [0, 1] {
        t.call(["update", "--cpuset-cpus", &cpu.to_string(), &container.id]).quiet();
        assert_eq!(processors(pid), [cpu]);
    }
}

fn cpuset_mems(t: &mut Test, way: Way) {
    need_controller("cpuset");
    let mut bundle = t.bundle();
    bundle.args(["floe-probe", "hold"]);
    let container = start(t, way, &mut bundle, json!({"cpu": {"mems": "0"}}));
    assert_eq!(text(&container, "cpuset.mems"), "0");
}

/// A block device of 8 MiB in memory, for as long as the test runs.
struct Disk {
    path: String,
    major: u64,
    minor: u64,
}

impl Disk {
    fn new(t: &mut Test) -> Disk {
        let file = t.path("disk");
        std::fs::File::create(&file).and_then(|file| file.set_len(8 * MIB)).expect("file");
        let mut losetup = Command::new("losetup");
        losetup.args(["--find", "--show"]).arg(&file);
        let path = t.run(losetup).ok().text().to_owned();
        let device = nix::sys::stat::stat(path.as_str()).expect("stat").st_rdev;
        Disk { path, major: nix::sys::stat::major(device), minor: nix::sys::stat::minor(device) }
    }

    /// A container that may use it as /dev/disk.
    fn bundle(&self, t: &mut Test) -> Bundle {
        let (major, minor) = (self.major, self.minor);
        let mut bundle = t.bundle();
        bundle.push(
            "/linux/devices",
            json!({"path": "/dev/disk", "type": "b", "major": major, "minor": minor}),
        );
        let rule = json!({"allow": true, "type": "b", "major": major, "minor": minor, "access": "rw"});
        bundle.push("/linux/resources/devices", rule);
        bundle
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.path]).status();
    }
}

fn io_read_bps(t: &mut Test, way: Way) {
    throttled(t, way, "throttleReadBpsDevice", MIB, "r", 48, 65536);
}

fn io_write_bps(t: &mut Test, way: Way) {
    throttled(t, way, "throttleWriteBpsDevice", MIB, "w", 48, 65536);
}

fn io_read_iops(t: &mut Test, way: Way) {
    throttled(t, way, "throttleReadIOPSDevice", 20, "r", 60, 4096);
}

fn io_write_iops(t: &mut Test, way: Way) {
    throttled(t, way, "throttleWriteIOPSDevice", 20, "w", 60, 4096);
}

/// Transfers what at `rate` takes three seconds.
fn throttled(t: &mut Test, way: Way, field: &str, rate: u64, mode: &str, blocks: u64, size: u64) {
    need_controller("io");
    let disk = Disk::new(t);
    let mut bundle = disk.bundle(t);
    let (count, bytes) = (blocks.to_string(), size.to_string());
    let script = format!("floe-probe transfer {mode} /dev/disk {count} {bytes}; sleep 1000");
    bundle.args(["sh", "-c", &script]);
    let limit = json!([{"major": disk.major, "minor": disk.minor, "rate": rate}]);
    let container = start(t, way, &mut bundle, json!({"blockIO": {field: limit}}));
    container.wait_for_output("\n");
    let time_ms: u64 = container.output().trim().parse().expect("milliseconds");
    assert!(time_ms > 1500, "{blocks} blocks of {size} bytes took {time_ms} ms");

    let key = format!("{}:{} ", disk.major, disk.minor);
    let line = text(&container, "io.stat").lines().find(|line| line.starts_with(&key)).map(str::to_owned);
    let (bytes, op) = if mode == "r" { ("rbytes", "Read") } else { ("wbytes", "Write") };
    assert!(
        line.as_deref().is_some_and(|line| line.contains(&format!(" {bytes}={}", blocks * size))),
        "{line:?}"
    );
    let stats = t.call(["events", "--stats", &container.id]).ok().json();
    let entry = json!({"major": disk.major, "minor": disk.minor, "op": op, "value": blocks * size});
    // A minor number of 0 is left out.
    let entry = match disk.minor {
        0 => json!({"major": disk.major, "op": op, "value": blocks * size}),
        _ => entry,
    };
    let list = stats["data"]["blkio"]["ioServiceBytesRecursive"].as_array().expect("list").clone();
    assert!(list.contains(&entry), "{entry} is not in {list:?}");
}

/// The file for weights, and what it says for the weights 500 and, of a device, 200.
fn weight_file(container: &Container) -> (&'static str, &'static str, &'static str) {
    if container.cgroup().join("io.bfq.weight").exists() {
        ("io.bfq.weight", "500", "200")
    } else if container.cgroup().join("io.weight").exists() {
        ("io.weight", "4950", "1920")
    } else {
        skip("the kernel has neither BFQ nor io.cost")
    }
}

fn io_weight(t: &mut Test, way: Way) {
    need_controller("io");
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let (file, weight, _) = weight_file(&container);
    let mut bundle = t.bundle();
    bundle.args(["floe-probe", "hold"]);
    let container = start(t, way, &mut bundle, json!({"blockIO": {"weight": 500}}));
    assert_eq!(text(&container, file), format!("default {weight}"));
}

fn io_weight_device(t: &mut Test, way: Way) {
    need_controller("io");
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let (file, _, weight) = weight_file(&container);
    let disk = Disk::new(t);
    if file == "io.weight" {
        // Only then the kernel knows weights of this device.
        let enable = format!("{}:{} enable=1", disk.major, disk.minor);
        std::fs::write("/sys/fs/cgroup/io.cost.qos", enable).expect("io.cost.qos");
    }
    let mut bundle = t.bundle();
    bundle.args(["floe-probe", "hold"]);
    let weights = json!([{"major": disk.major, "minor": disk.minor, "weight": 200}]);
    let container = start(t, way, &mut bundle, json!({"blockIO": {"weightDevice": weights}}));
    let line = format!("{}:{} {weight}", disk.major, disk.minor);
    assert!(text(&container, file).lines().any(|found| found == line), "{}", text(&container, file));
}

fn hugetlb(t: &mut Test, way: Way) {
    need_controller("hugetlb");
    let free = read("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    if free.trim().parse().unwrap_or(0) < 4 {
        skip("the host has set no huge pages of 2 MiB aside");
    }
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "floe-probe map-huge 4194304; floe-probe map-huge 6291456; sleep 1000"]);
    let limits = json!([{"pageSize": "2MB", "limit": 4 * MIB}]);
    let container = start(t, way, &mut bundle, json!({"hugepageLimits": limits}));
    container.wait_for_output("ok\nerrno=12\n");
}

/// A node that nobody may open, then one that may be read.
fn devices(t: &mut Test, way: Way) {
    needs_floe();
    let mut bundle = t.bundle();
    bundle.push("/linux/devices", json!({"path": "/dev/mine", "type": "c", "major": 10, "minor": 229}));
    bundle.args(["sh", "-c", "floe-probe open /dev/mine r; floe-probe open /dev/null w; sleep 1000"]);
    let rules = json!([{"allow": false, "access": "rwm"}]);
    let container = start(t, way, &mut bundle, json!({ "devices": rules }));
    container.wait_for_output("errno=1\nok\n");
    let allow = json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"});
    update(t, &container, json!({"devices": [{"allow": false, "access": "rwm"}, allow]})).quiet();
    // Without a driver behind the node it is ENXIO or ENODEV, not EPERM.
    let read = t.call(["exec", &container.id, "floe-probe", "open", "/dev/mine", "r"]).ok();
    assert_ne!(read.text(), "errno=1");
    let write = t.call(["exec", &container.id, "floe-probe", "open", "/dev/mine", "w"]).ok();
    assert_eq!(write.text(), "errno=1");
}

/// A file that no field stands for, and one that a field stands for as well.
fn unified(t: &mut Test, way: Way) {
    need_controller("pids");
    let mut bundle = forking(t);
    let resources =
        json!({"pids": {"limit": 100}, "unified": {"pids.max": "4", "cgroup.max.descendants": "3"}});
    let container = start(t, way, &mut bundle, resources);
    wait_until("a fork fails", || count(&container, "pids.events", "max") > 0);
    assert_eq!(text(&container, "cgroup.max.descendants"), "3");
}

/// Devices are what machines seldom have; that the kernel refuses one it does not know shows that it was asked.
fn rdma(t: &mut Test, driver: Driver) {
    need_controller("rdma");
    let mut bundle = t.bundle();
    if driver == Driver::Systemd {
        bundle.in_scope("");
    }
    bundle.set("/linux/resources/rdma", json!({"floe0": {"hcaHandles": 3}}));
    t.run_bundle(&bundle).exits(1).refused(&["rdma.max", "floe0 hca_handle=3"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

/// The kernel would kill the process.
fn check_before_update(t: &mut Test, driver: Driver) {
    need_controller("memory");
    let mut bundle = holding_in_a_child(t, 32 * MIB);
    let without_swap = json!({"memory": {"limit": 64 * MIB, "swap": 64 * MIB}});
    let container = start_with(t, driver, &mut bundle, without_swap);
    container.wait_for_output("ready");
    let memory =
        |check: bool| json!({"memory": {"limit": 16 * MIB, "swap": 16 * MIB, "checkBeforeUpdate": check}});
    update(t, &container, memory(true)).exits(1).refused(&["memory", "usage"]);
    assert_eq!(text(&container, "memory.max"), (64 * MIB).to_string());
    assert!(!container.output().contains("137"));
    update(t, &container, memory(false)).quiet();
    container.wait_for_output("137\n");
    assert!(count(&container, "memory.events", "oom_kill") > 0);
}

/// -1, and for lists what the host has.
fn update_lifts_limits(t: &mut Test, driver: Driver) {
    for controller in ["cpu", "memory", "pids"] {
        need_controller(controller);
    }
    let mut bundle = t.bundle();
    bundle.args(["floe-probe", "hold"]);
    let limits = json!({
        "memory": {"limit": 64 * MIB, "swap": 96 * MIB},
        "pids": {"limit": 10},
        "cpu": {"quota": 50_000, "period": 100_000},
    });
    let container = start_with(t, driver, &mut bundle, limits);
    let files = ["memory.max", "memory.swap.max", "pids.max", "cpu.max"];
    let limited = [(64 * MIB).to_string(), (32 * MIB).to_string(), "10".into(), "50000 100000".into()];
    assert_eq!(files.map(|file| text(&container, file)), limited);
    t.call(["update", "--memory=-1", "--pids-limit=-1", "--cpu-quota=-1", &container.id]).quiet();
    assert_eq!(files.map(|file| text(&container, file)), ["max", "max", "max", "max 100000"]);
}

/// What programs read of `events --stats`, runc's words with this container's numbers.
fn stats(t: &mut Test, driver: Driver) {
    for controller in ["cpu", "memory", "pids", "io", "hugetlb"] {
        need_controller(controller);
    }
    let mut bundle = t.bundle();
    bundle.args(["floe-probe", "hold-memory", &(16 * MIB).to_string()]);
    let limits = json!({
        "memory": {"limit": 64 * MIB, "swap": 96 * MIB},
        "pids": {"limit": 10},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}],
    });
    let container = start_with(t, driver, &mut bundle, limits);
    container.wait_for_output("ready");
    let line = t.call(["events", "--stats", &container.id]).ok().json();
    assert_eq!((&line["type"], &line["id"]), (&json!("stats"), &json!(container.id)));
    let data = &line["data"];
    assert_eq!(data["memory"]["usage"]["limit"], 64 * MIB);
    assert_eq!(data["memory"]["swap"]["limit"], 96 * MIB);
    assert_eq!(data["pids"], json!({"current": 1, "limit": 10}));
    let at_least = |pointer: &str, least: u64| {
        let value = data.pointer(pointer).and_then(Value::as_u64);
        assert!(value.is_some_and(|value| value >= least), "{pointer}: {value:?} in {data}");
    };
    at_least("/memory/usage/usage", 16 * MIB);
    at_least("/memory/raw/anon", 16 * MIB);
    at_least("/cpu/usage/total", 1);
    at_least("/hugetlb/2MB/failcnt", 0);
    for resource in ["cpu", "memory", "blkio"] {
        for line in ["some", "full"] {
            let psi = &data[resource]["psi"][line];
            let averages = ["avg10", "avg60", "avg300"].iter().all(|key| psi[key].is_f64());
            assert!(averages && psi["total"].is_u64(), "{resource}: {psi}");
        }
    }
}

/// However little of a processor a container has, it does not take it long to die.
fn starved_is_deleted(t: &mut Test, driver: Driver) {
    need_controller("cpu");
    need_controller("cpuset");
    let on_one_processor = json!({"cpu": {"cpus": "0"}});
    let mut bundle = spinning(t);
    let other = start_with(t, driver, &mut bundle, on_one_processor.clone());
    t.call(["pause", &other.id]).ok();
    for starved in [json!({"idle": 1}), json!({"quota": 1000, "period": 1_000_000})] {
        let mut bundle = t.bundle();
        // init has to wait for the end of each, which takes an emulated processor longer.
        let children = if environment::get().emulated { 50 } else { 200 };
        let script = format!("for i in $(seq {children}); do sleep 1000 & done; echo up; wait");
        bundle.args(["sh", "-c", &script]);
        let container = start_with(t, driver, &mut bundle, on_one_processor.clone());
        container.wait_for_output("up");
        update(t, &container, json!({"cpu": starved})).quiet();
        t.call(["resume", &other.id]).ok();
        t.call(["delete", "--force", &container.id]).quiet();
        t.call(["pause", &other.id]).ok();
    }
}
