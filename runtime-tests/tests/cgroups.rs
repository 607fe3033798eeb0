//! `linux.cgroupsPath` and `linux.resources`; what needs a controller that is not there is skipped.

use crate::cases;
use crate::harness::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        rdma_without_the_controller,
        path_absolute,
        path_relative,
        path_default,
        path_nested,
        removed_with_the_container,
        nested_cgroups_are_removed,
        process_is_born_in_it,
        unified_known_key,
        unified_unknown_key,
        hugetlb_limit,
        hugetlb_unknown_page_size,
        pids_limit_zero_and_unlimited_need_no_controller,
        missing_controller_is_an_error,
        memory_update,
        memory_oom_event,
        memory_too_small,
        cpu_update,
        cpu_idle,
        cpu_burst,
        pids_update,
        update_from_file,
        update_unknown_container,
        update_bad_value,
        devices_survive_update,
        frozen_container_is_deleted,
        pause_reaches_all_processes,
        device_program_is_attached_once,
    ];
    // Controller, place in linux.resources, value, file and its text.
    for (name, controller, pointer, value, file, text) in [
        ("memory_limit", "memory", "memory/limit", json!(64 << 20), "memory.max", "67108864"),
        ("memory_reservation", "memory", "memory/reservation", json!(32 << 20), "memory.low", "33554432"),
        ("cpu_shares", "cpu", "cpu/shares", json!(512), "cpu.weight", "59"),
        ("cpu_quota", "cpu", "cpu", json!({"quota": 50000, "period": 200_000}), "cpu.max", "50000 200000"),
        ("cpuset_cpus", "cpuset", "cpu/cpus", json!("0"), "cpuset.cpus", "0"),
        ("cpuset_mems", "cpuset", "cpu/mems", json!("0"), "cpuset.mems", "0"),
        ("pids_limit", "pids", "pids/limit", json!(77), "pids.max", "77"),
        ("pids_unlimited", "pids", "pids/limit", json!(-1), "pids.max", "max"),
    ] {
        cases.push(Case::new(format!("cgroups::{name}"), move |t| {
            need_controller(controller);
            let mut bundle = t.bundle();
            bundle.set(&format!("/linux/resources/{pointer}"), value.clone());
            let container = t.create(&bundle);
            assert_eq!(read(container.cgroup().join(file)).trim(), text);
        }));
    }
    cases.push(Case::new("cgroups::memory_swap", |t| {
        need_controller("memory");
        let mut bundle = t.bundle();
        bundle.set("/linux/resources/memory", json!({"limit": 64 << 20, "swap": 96 << 20}));
        let container = t.create(&bundle);
        let path = container.cgroup().join("memory.swap.max");
        if !path.exists() {
            skip("the kernel has no swap accounting");
        }
        assert_eq!(read(path).trim(), (32 << 20).to_string());
    }));
    cases
}

fn path_absolute(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let pid = t.pid(&container.id);
    assert_eq!(read(container.cgroup().join("cgroup.procs")).trim(), pid.to_string());
}

fn path_relative(t: &mut Test) {
    // Relative to a place that the runtime chooses; it must be used and removed.
    let mut bundle = t.bundle();
    let name = format!("{}/{}", environment::get().cgroup, bundle.id);
    bundle.set("/linux/cgroupsPath", json!(name));
    let container = t.start_holding(&mut bundle);
    let pid = t.pid(&container.id);
    let path = read(format!("/proc/{pid}/cgroup"));
    assert!(path.trim().ends_with(&name), "{path}");
    t.call(["delete", "--force", &container.id]).ok();
}

fn path_default(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.remove("/linux/cgroupsPath");
    let container = t.start_holding(&mut bundle);
    let pid = t.pid(&container.id);
    let text = read(format!("/proc/{pid}/cgroup"));
    let path = text.lines().find_map(|line| line.strip_prefix("0::/")).expect("cgroup v2 path").to_owned();
    assert!(path.contains(&container.id), "{path}");
    t.call(["delete", "--force", &container.id]).ok();
    assert!(!std::path::Path::new("/sys/fs/cgroup").join(path).exists());
}

fn path_nested(t: &mut Test) {
    let mut bundle = t.bundle();
    let path = format!("/{}/{}/deep/er", environment::get().cgroup, bundle.id);
    bundle.set("/linux/cgroupsPath", json!(path));
    let container = t.start_holding(&mut bundle);
    let pid = t.pid(&container.id);
    assert!(read(format!("/proc/{pid}/cgroup")).contains(&path));
    t.call(["delete", "--force", &container.id]).ok();
    assert!(!container.cgroup().join("deep/er").exists());
    // The parents may be others' too; runtimes leave them.
    remove_cgroup_tree(container.cgroup());
}

fn removed_with_the_container(t: &mut Test) {
    let bundle = t.bundle();
    t.run_bundle(&bundle).ok();
    assert!(!cgroup_dir(&bundle.id).exists());
}

fn nested_cgroups_are_removed(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.remove_mount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw"]);
    bundle.args([
        "sh",
        "-c",
        "mkdir -p /sys/fs/cgroup/a/b/c && echo $$ > /sys/fs/cgroup/a/b/c/cgroup.procs; echo up; sleep 99",
    ]);
    let container = t.start(&bundle);
    container.wait_for_output("up");
    t.call(["delete", "--force", &container.id]).ok();
    assert!(!container.cgroup().exists());
}

fn process_is_born_in_it(t: &mut Test) {
    let bundle = t.bundle();
    let container = t.create(&bundle);
    let pid = t.pid(&container.id);
    assert!(read(container.cgroup().join("cgroup.procs")).contains(&pid.to_string()));
}

fn unified_known_key(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/linux/resources/unified", json!({"cgroup.max.descendants": "3"}));
    let container = t.create(&bundle);
    assert_eq!(read(container.cgroup().join("cgroup.max.descendants")).trim(), "3");
}

fn unified_unknown_key(t: &mut Test) {
    for key in ["no.such.key", "../cgroup.procs", "cgroup/procs"] {
        let mut bundle = t.bundle();
        bundle.set("/linux/resources/unified", json!({key: "1"}));
        t.run_bundle(&bundle).exits(1).refused(&[key]);
        assert_eq!(t.leftovers(), [""; 0]);
    }
}

fn hugetlb_limit(t: &mut Test) {
    need_controller("hugetlb");
    let mut bundle = t.bundle();
    bundle.set("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 4 << 20}]));
    let container = t.create(&bundle);
    assert_eq!(read(container.cgroup().join("hugetlb.2MB.max")).trim(), (4 << 20).to_string());
}

fn hugetlb_unknown_page_size(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/linux/resources/hugepageLimits", json!([{"pageSize": "7MB", "limit": 4 << 20}]));
    t.run_bundle(&bundle).exits(1).refused(&["7MB"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn lacks(controller: &str) -> bool {
    !environment::get().controllers.iter().any(|c| c == controller)
}

fn pids_limit_zero_and_unlimited_need_no_controller(t: &mut Test) {
    if !lacks("pids") {
        skip("cgroup v2 has the pids controller here");
    }
    for limit in [0, -1] {
        let mut bundle = t.bundle();
        bundle.set("/linux/resources/pids", json!({"limit": limit}));
        t.run_bundle(&bundle).ok();
    }
}

fn missing_controller_is_an_error(t: &mut Test) {
    let limits = [
        ("memory", json!({"memory": {"limit": 64 << 20}})),
        ("pids", json!({"pids": {"limit": 10}})),
        ("cpu", json!({"cpu": {"quota": 10_000, "period": 100_000}})),
        ("cpuset", json!({"cpu": {"cpus": "0"}})),
    ];
    let missing: Vec<_> = limits.into_iter().filter(|(controller, _)| lacks(controller)).collect();
    if missing.is_empty() {
        skip("cgroup v2 has all controllers here");
    }
    for (controller, resources) in missing {
        let mut bundle = t.bundle();
        bundle.set("/linux/resources", resources);
        t.run_bundle(&bundle).exits(1).refused(&[controller]);
        assert_eq!(t.leftovers(), [""; 0]);
    }
}

fn memory_update(t: &mut Test) {
    need_controller("memory");
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["update", "--memory", "67108864", &container.id]).quiet();
    assert_eq!(read(container.cgroup().join("memory.max")).trim(), "67108864");
}

fn memory_oom_event(t: &mut Test) {
    need_controller("memory");
    let mut bundle = t.bundle();
    bundle.set("/linux/resources/memory", json!({"limit": 32 << 20, "swap": 32 << 20}));
    bundle.mount("/data", "tmpfs", "tmpfs", &["size=512m"]);
    bundle.args([
        "sh",
        "-c",
        "echo up; read x < /data/none; sleep 1; dd if=/dev/zero of=/data/big bs=1M; sleep 99",
    ]);
    let container = t.start(&bundle);
    let mut command = t.floe();
    command.args(["events", "--interval", "100ms", &container.id]);
    let running = t.spawn(command);
    running.wait_for_output("\"oom\"");
    t.call(["kill", &container.id, "KILL"]).ok();
    running.wait();
}

fn memory_too_small(t: &mut Test) {
    need_controller("memory");
    let mut bundle = t.bundle();
    bundle.set("/linux/resources/memory", json!({"limit": 4096, "swap": 4096}));
    t.run_bundle(&bundle).exits(1).refused(&["memory"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn cpu_update(t: &mut Test) {
    need_controller("cpu");
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["update", "--cpu-quota", "20000", "--cpu-period", "100000", &container.id]).quiet();
    assert_eq!(read(container.cgroup().join("cpu.max")).trim(), "20000 100000");
}

fn cpu_idle(t: &mut Test) {
    need_controller("cpu");
    let mut bundle = t.bundle();
    bundle.set("/linux/resources/cpu", json!({"idle": 1}));
    let container = t.create(&bundle);
    assert_eq!(read(container.cgroup().join("cpu.idle")).trim(), "1");
}

fn cpu_burst(t: &mut Test) {
    need_controller("cpu");
    let mut bundle = t.bundle();
    bundle.set("/linux/resources/cpu", json!({"quota": 50_000, "period": 100_000, "burst": 20_000}));
    let container = t.create(&bundle);
    assert_eq!(read(container.cgroup().join("cpu.max.burst")).trim(), "20000");
}

fn pids_update(t: &mut Test) {
    need_controller("pids");
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["update", "--pids-limit", "55", &container.id]).quiet();
    assert_eq!(read(container.cgroup().join("pids.max")).trim(), "55");
}

fn update_from_file(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    let file = t.path("resources.json");
    std::fs::write(&file, json!({"unified": {"cgroup.max.depth": "4"}}).to_string()).expect("write");
    t.call(["update", "--resources", file.to_str().expect("utf-8"), &container.id]).quiet();
    assert_eq!(read(container.cgroup().join("cgroup.max.depth")).trim(), "4");
}

fn update_unknown_container(t: &mut Test) {
    t.call(["update", "--pids-limit", "5", "nobody"]).exits(1).refused(&["does not exist"]);
}

fn update_bad_value(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["update", "--resources", "/no/such/file", &container.id]).exits(1).refused(&["/no/such/file"]);
    let file = t.path("resources.json");
    std::fs::write(&file, "{\"memory\": 7").expect("write");
    t.call(["update", "--resources", file.to_str().expect("utf-8"), &container.id]).exits(1).refused(&[]);
}

fn devices_survive_update(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/linux/devices", json!({"path": "/dev/mine", "type": "c", "major": 10, "minor": 229}));
    let container = t.start_holding(&mut bundle);
    let file = t.path("resources.json");
    std::fs::write(&file, json!({"unified": {"cgroup.max.depth": "4"}}).to_string()).expect("write");
    t.call(["update", "--resources", file.to_str().expect("utf-8"), &container.id]).ok();
    let output = t.call(["exec", &container.id, "floe-probe", "open", "/dev/mine", "r"]).ok();
    assert_eq!(output.text(), "errno=1");
}

fn frozen_container_is_deleted(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    t.call(["pause", &container.id]).ok();
    t.call(["delete", "--force", &container.id]).ok();
    assert_eq!(t.leftovers(), [""; 0]);
}

fn pause_reaches_all_processes(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "while :; do echo x >> /data/log; sleep 0.02; done & while :; do echo y >> /data/log; sleep 0.02; done"]);
    let container = t.start(&bundle);
    wait_until("both loops", || {
        read(bundle.rootfs("data/log")).contains("x") && read(bundle.rootfs("data/log")).contains("y")
    });
    t.call(["pause", &container.id]).ok();
    let before = read(bundle.rootfs("data/log")).len();
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert_eq!(read(bundle.rootfs("data/log")).len(), before);
    t.call(["resume", &container.id]).ok();
    wait_until("more lines", || read(bundle.rootfs("data/log")).len() > before);
}

fn device_program_is_attached_once(t: &mut Test) {
    // A second `exec` must not find a changed program: the node stays refused.
    let mut bundle = t.bundle();
    bundle.push("/linux/devices", json!({"path": "/dev/mine", "type": "c", "major": 10, "minor": 229}));
    let container = t.start_holding(&mut bundle);
    for _ in 0..2 {
        let output = t.call(["exec", &container.id, "floe-probe", "open", "/dev/mine", "r"]).ok();
        assert_eq!(output.text(), "errno=1");
    }
}

fn rdma_without_the_controller(t: &mut Test) {
    if environment::get().controllers.iter().any(|c| c == "rdma") {
        skip("the controller is there");
    }
    let mut bundle = t.bundle();
    bundle.set("/linux/resources/rdma", json!({"mlx5_1": {"hcaHandles": 3}}));
    t.run_bundle(&bundle).exits(1).refused(&["rdma"]);
    assert_eq!(t.leftovers(), [""; 0]);
}
