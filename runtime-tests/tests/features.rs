//! `features` is a static document: every word in it is tried in a container, so that it cannot lie.

use crate::cases;
use crate::harness::sockets::FdSocket;
use crate::harness::*;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        mount_options,
        namespaces,
        capabilities,
        hooks,
        seccomp,
        memory_policy,
        devices_and_resctrl,
        annotations
    ]
}

fn features(t: &mut Test) -> Value {
    t.call(["features"]).quiet().json()
}

fn words(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("a list: {list}"));
    assert!(!list.is_empty());
    list.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
}

/// Runs `true` in the bundle; the reason when that fails.
fn attempt(t: &mut Test, bundle: &mut Bundle) -> Result<(), String> {
    bundle.args(["true"]).write();
    let output = t.run_bundle(bundle);
    if output.code == 0 { Ok(()) } else { Err(output.stderr) }
}

/// One mount with the option, of a kind that the option is for.
fn with_option(t: &mut Test, option: &str) -> Bundle {
    let source = t.path(format!("source-{option}"));
    std::fs::create_dir_all(&source).expect("mkdir");
    let mut bundle = t.bundle();
    match option {
        "bind" | "rbind" => {
            bundle.push("/mounts", json!({"destination": "/data", "source": source, "options": [option]}))
        }
        "remount" => {
            bundle.push("/mounts", json!({"destination": "/proc", "options": ["remount", "nosuid"]}))
        }
        "idmap" | "ridmap" => {
            let map = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
            let mount = json!({"destination": "/data", "type": "bind", "source": source, "options": ["rbind", option],
                "uidMappings": map, "gidMappings": map});
            bundle.push("/mounts", mount)
        }
        _ => bundle.push(
            "/mounts",
            json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": [option]}),
        ),
    };
    bundle
}

fn mount_options(t: &mut Test) {
    let mut refused = Vec::new();
    for option in words(&features(t)["mountOptions"]) {
        if option.ends_with("idmap") && !has_idmapped_tmpfs() {
            continue;
        }
        let mut bundle = with_option(t, &option);
        if let Err(error) = attempt(t, &mut bundle) {
            refused.push(format!("{option}: {error}"));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
    // Otherwise being accepted would mean nothing.
    let mut bundle = with_option(t, "rnosuchoption");
    assert!(attempt(t, &mut bundle).is_err());
}

fn namespaces(t: &mut Test) {
    for kind in words(&features(t)["linux"]["namespaces"]) {
        let file = match kind.as_str() {
            "network" => "net",
            "mount" => "mnt",
            kind => kind,
        };
        let mut bundle = t.bundle();
        match kind.as_str() {
            "user" => drop(bundle.user_namespace(100_000, 65536)),
            _ => drop(bundle.without_namespace(&kind).namespace(&kind, None)),
        }
        let inside = t.sh(&mut bundle, &format!("readlink /proc/self/ns/{file}"));
        assert_ne!(inside, namespace_of("self", file), "{kind}");
    }
}

fn capabilities(t: &mut Test) {
    let names = words(&features(t)["linux"]["capabilities"]);
    let last: usize = read("/proc/sys/kernel/cap_last_cap").trim().parse().expect("a number");
    assert!(names.len() > last, "the kernel has {} and the list {}", last + 1, names.len());
    let mut bundle = t.bundle();
    bundle.capabilities(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let effective = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("capabilities");
        line.trim().to_owned()
    };
    // Nobody can give more than he has, and we may be in a container ourselves.
    let ours = effective(&read("/proc/self/status"));
    assert_eq!(effective(&t.sh(&mut bundle, "cat /proc/self/status")), ours);
}

fn hooks(t: &mut Test) {
    for kind in words(&features(t)["hooks"]) {
        let mut bundle = t.bundle();
        // A hook that fails is noticed, except when nothing can be done about it any more.
        bundle.set("/hooks", json!({ &kind: [{"path": "/nonexistent"}] }));
        let failed = attempt(t, &mut bundle).is_err();
        assert_eq!(failed, kind != "poststop", "{kind}");
    }
}

fn seccomp(t: &mut Test) {
    let features = features(t);
    let seccomp = &features["linux"]["seccomp"];
    assert_eq!(seccomp["enabled"], true);
    assert_eq!(seccomp["knownFlags"], seccomp["supportedFlags"]);
    let mut filters = Vec::new();
    for action in words(&seccomp["actions"]) {
        filters.push(json!({"syscalls": [{"names": ["munlockall"], "action": action}]}));
    }
    for op in words(&seccomp["operators"]) {
        let arg = json!({"index": 0, "value": 1, "valueTwo": 1, "op": op});
        filters.push(
            json!({"syscalls": [{"names": ["munlockall"], "action": "SCMP_ACT_ERRNO", "args": [arg]}]}),
        );
    }
    for arch in words(&seccomp["archs"]) {
        filters.push(json!({"architectures": [arch], "syscalls": [{"names": ["munlockall"], "action": "SCMP_ACT_ERRNO"}]}));
    }
    for flag in words(&seccomp["supportedFlags"]) {
        let listens = flag.ends_with("WAIT_KILLABLE_RECV");
        let action = if listens { "SCMP_ACT_NOTIFY" } else { "SCMP_ACT_ERRNO" };
        filters.push(json!({"flags": [flag], "syscalls": [{"names": ["munlockall"], "action": action}]}));
    }
    for (number, mut filter) in filters.into_iter().enumerate() {
        filter["defaultAction"] = json!("SCMP_ACT_ALLOW");
        if filter["syscalls"][0]["action"] == "SCMP_ACT_ALLOW" {
            filter["defaultAction"] = json!("SCMP_ACT_LOG");
        }
        let socket = FdSocket::new(t.path(format!("s{number}")));
        if filter["syscalls"][0]["action"] == "SCMP_ACT_NOTIFY" {
            filter["listenerPath"] = json!(socket.path());
        }
        let mut bundle = t.bundle();
        bundle.set("/linux/seccomp", filter.clone());
        assert_eq!(attempt(t, &mut bundle), Ok(()), "{filter}");
    }
}

/// A kernel may lack a mode; that it is the kernel's word shows that floe knows it.
fn memory_policy(t: &mut Test) {
    let features = features(t);
    let policy = &features["linux"]["memoryPolicy"];
    let modes = words(&policy["modes"]).into_iter().map(|mode| json!({"mode": mode, "nodes": "0"}));
    let flags = words(&policy["flags"])
        .into_iter()
        .map(|flag| json!({"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]}));
    for policy in modes.chain(flags) {
        let mut bundle = t.bundle();
        bundle.set("/linux/memoryPolicy", policy.clone());
        if let Err(error) = attempt(t, &mut bundle) {
            assert!(
                error.contains("set memory policy") && !error.contains("config.json"),
                "{policy}: {error}"
            );
        }
    }
    let mut bundle = t.bundle();
    bundle.set("/linux/memoryPolicy", json!({"mode": "MPOL_BOGUS"}));
    assert!(attempt(t, &mut bundle).is_err_and(|error| error.contains("config.json")));
}

/// What the host must have too: the error is then about the host.
fn devices_and_resctrl(t: &mut Test) {
    let linux = features(t)["linux"].clone();
    assert_eq!(
        (&linux["netDevices"]["enabled"], &linux["mountExtensions"]["idmap"]["enabled"]),
        (&json!(true), &json!(true))
    );
    let mut bundle = t.bundle();
    bundle.set("/linux/netDevices", json!({"nosuchdevice": {}}));
    assert!(attempt(t, &mut bundle).is_err_and(|error| error.contains("nosuchdevice")));

    let rdt = &linux["intelRdt"];
    assert_eq!(rdt, &json!({"enabled": true, "schemata": true, "monitoring": true}));
    let mut bundle = t.bundle();
    bundle.set(
        "/linux/intelRdt",
        json!({"closID": "floe-test", "schemata": ["L3:0=f"], "enableMonitoring": true}),
    );
    let resctrl = read("/proc/self/mountinfo").contains(" - resctrl ");
    assert_eq!(attempt(t, &mut bundle).is_err_and(|error| error.contains("resctrl")), !resctrl);

    assert_eq!((&linux["apparmor"]["enabled"], &linux["selinux"]["enabled"]), (&json!(true), &json!(true)));
    let cgroup = json!({"v1": false, "v2": true, "systemd": true, "systemdUser": true, "rdma": true});
    assert_eq!(linux["cgroup"], cgroup);
}

fn annotations(t: &mut Test) {
    let features = features(t);
    let version = t.call(["--version"]).quiet().stdout;
    let said =
        |name: &str| features["annotations"][name].as_str().unwrap_or_else(|| panic!("{name}")).to_owned();
    assert!(version.contains(&format!("floe version {}", said("io.floe.version"))), "{version}");
    assert!(version.contains(&format!("commit: {}", said("io.floe.commit"))), "{version}");
    assert!(
        version.contains(&format!("libseccomp: {}", said("io.github.seccomp.libseccomp.version"))),
        "{version}"
    );
    assert_eq!(said("io.floe.checkpoint.enabled"), "true");
    assert_eq!(said("org.opencontainers.runc.checkpoint.enabled"), "true");
    assert!(words(&features["potentiallyUnsafeConfigAnnotations"]).contains(&"run.oci.".to_owned()));
}
