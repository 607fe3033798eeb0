//! `config.json → Config`: what engines write, as golden files, and what is refused, as a table.

use super::parse;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Compares the meaning of a document with golden/NAME.txt; UPDATE_GOLDEN=1 writes that file instead.
fn check(name: &str, document: &str) {
    let config = parse(document.as_bytes(), Path::new("/bundle")).unwrap();
    let text = format!("{config:#?}\n");
    let file = PathBuf::from(format!("{}/golden/{name}.txt", env!("CARGO_MANIFEST_DIR")));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, text).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    let differing = text.lines().zip(golden.lines()).position(|(a, b)| a != b);
    let line = differing.unwrap_or(text.lines().count().min(golden.lines().count()));
    let at = |text: &str| text.lines().nth(line).unwrap_or("(end)").trim().to_owned();
    assert!(
        text == golden,
        "golden/{name}.txt:{}: it says `{}`, the document now means `{}`; UPDATE_GOLDEN=1 accepts that",
        line + 1,
        at(&golden),
        at(&text),
    );
}

#[test]
fn every_field() {
    check("every-field", include_str!("../../golden/every-field.json"));
}

#[test]
fn floe_spec() {
    check("floe-spec", include_str!("../../../floe/documents/config.json"));
    let rootless = include_str!("../../../floe/documents/config-rootless.json");
    check("floe-spec-rootless", &rootless.replace("@UID@", "1000").replace("@GID@", "1001"));
}

#[test]
fn podman() {
    check("podman-plain", include_str!("../../../../runtime-tests/fixtures/podman-plain.json"));
    check("podman-privileged", include_str!("../../../../runtime-tests/fixtures/podman-privileged.json"));
    check("podman-hardened", include_str!("../../../../runtime-tests/fixtures/podman-hardened.json"));
    check("podman-userns", include_str!("../../../../runtime-tests/fixtures/podman-userns.json"));
}

#[test]
fn containerd() {
    check("containerd-plain", include_str!("../../../../runtime-tests/fixtures/containerd-plain.json"));
    check(
        "containerd-privileged",
        include_str!("../../../../runtime-tests/fixtures/containerd-privileged.json"),
    );
    check("containerd-hardened", include_str!("../../../../runtime-tests/fixtures/containerd-hardened.json"));
}

/// The smallest document with everything that others' fields depend on.
fn base() -> Value {
    json!({
        "ociVersion": "1.3.0",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["true"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "linux": {"namespaces": [{"type": "mount"}]},
    })
}

/// Sets the value at a JSON pointer, making objects on the way; null removes the key.
fn set(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    for key in parent.split('/').skip(1) {
        place = &mut place[key];
    }
    match value {
        Value::Null => drop(place.as_object_mut().unwrap().remove(last)),
        value => place[last] = value,
    }
}

#[test]
fn smallest_document() {
    let config = parse(base().to_string().as_bytes(), Path::new("/bundle")).unwrap();
    assert_eq!(config.rootfs, Path::new("/bundle/rootfs"));
    assert!(config.mounts.is_empty() && config.resources.is_none() && config.process.capabilities.is_none());
}

/// Podman names the option on a host with SELinux.
#[test]
fn mount_label_of_another_type() {
    let label = |annotations: Value| {
        let mut document = base();
        document["mounts"] = json!([{"destination": "/t", "type": "tmpfs", "source": "tmpfs"}]);
        document["linux"]["mountLabel"] = json!("a:b:c:s0");
        document["annotations"] = annotations;
        let config = parse(document.to_string().as_bytes(), Path::new("/bundle")).unwrap();
        format!("{:?}", config.mounts[0].kind)
    };
    assert!(label(json!({})).contains(r#"Value("context", "a:b:c:s0")"#));
    let kind = label(json!({"run.oci.mount_context_type": "rootcontext"}));
    assert!(kind.contains(r#"Value("rootcontext", "a:b:c:s0")"#), "{kind}");
}

#[test]
fn refused_documents() {
    for (document, expected) in [
        ("", "config.json: the document is empty"),
        (" \n", "config.json: the document is empty"),
        ("{", "config.json: not valid JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "config.json"),
        ("7", "config.json"),
        ("{}", "config.json: ociVersion"),
    ] {
        let error = parse(document.as_bytes(), Path::new("/bundle")).unwrap_err().to_string();
        assert!(error.contains(expected), "{document:?}: {error}");
    }
}

#[test]
fn refused_fields() {
    let mut wrong = Vec::new();
    for (pointer, value, expected) in refusals() {
        let mut document = base();
        set(&mut document, pointer, value.clone());
        let said = match parse(document.to_string().as_bytes(), Path::new("/bundle")) {
            Ok(_) => "no error".to_owned(),
            Err(error) => error.to_string(),
        };
        let expected = format!("config.json: {expected}");
        let right = match expected.strip_suffix('…') {
            Some(start) => said.starts_with(start),
            None => said == expected,
        };
        if !right {
            wrong.push(format!("{pointer} = {value}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where, what, and the error after `config.json: `; what follows `…` is serde's or oci-spec's to word.
#[rustfmt::skip]
fn refusals() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("/ociVersion", Value::Null, "ociVersion is missing or empty"),
        ("/ociVersion", json!(""), "ociVersion is missing or empty"),
        ("/ociVersion", json!("2.0.0"), "ociVersion: \"2.0.0\" is not supported; 1.x.y is"),
        ("/ociVersion", json!("1.3"), "ociVersion: \"1.3\" is not supported; 1.x.y is"),
        ("/root", Value::Null, "root is missing"),
        ("/root", json!({}), "root…"),
        ("/root/path", json!(""), "root.path is empty"),
        ("/root/path", json!(7), "root.path: invalid type: integer `7`…"),
        ("/process", Value::Null, "process is missing"),
        ("/process", json!([7]), "process…"),
        ("/process/args", Value::Null, "process.args is empty"),
        ("/process/args", json!([]), "process.args is empty"),
        ("/process/args", json!([""]), "process.args: executable path is empty"),
        ("/process/args", json!(["a\u{0}b"]), "process.args: \"a\\0b\" contains a NUL byte"),
        ("/process/args", json!("sh"), "process.args: invalid type: string \"sh\"…"),
        ("/process/args", json!(["a", 7]), "process.args[1]: invalid type: integer `7`…"),
        ("/process/env", json!(["A=\u{0}"]), "process.env: \"A=\\0\" contains a NUL byte"),
        ("/process/cwd", json!("tmp"), "process.cwd: \"tmp\" is not absolute"),
        ("/process/cwd", json!(""), "process.cwd: \"\" is not absolute"),
        ("/process/cwd", Value::Null, "process…"),
        ("/process/user/uid", json!(-1), "process.user.uid: invalid value: integer `-1`…"),
        ("/process/user/uid", json!(4294967296u64), "process.user.uid: invalid value: integer `4294967296`…"),
        ("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 2, "hard": 1}]),
            "process.rlimits: RLIMIT_NOFILE: soft limit 2 is above the hard limit 1"),
        ("/process/rlimits", json!([{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_CPU", "soft": 2, "hard": 2}]),
            "process.rlimits: RLIMIT_CPU is listed twice"),
        ("/process/rlimits", json!([{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_LUCK", "soft": 1, "hard": 1}]), "process.rlimits[1].type: unknown variant `RLIMIT_LUCK`…"),
        ("/process/oomScoreAdj", json!(1001), "process.oomScoreAdj: 1001 is not within -1000 and 1000"),
        ("/process/oomScoreAdj", json!(-1001), "process.oomScoreAdj: -1001 is not within -1000 and 1000"),
        ("/process/scheduler", json!({"policy": "SCHED_OTHER", "priority": 1}),
            "process.scheduler: priority is only for SCHED_FIFO and SCHED_RR"),
        ("/process/scheduler", json!({"policy": "SCHED_FIFO", "nice": 1}),
            "process.scheduler: nice is only for SCHED_OTHER and SCHED_BATCH"),
        ("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 20}), "process.scheduler: nice is not within -20 and 19"),
        ("/process/scheduler", json!({"policy": "SCHED_OTHER", "runtime": 1}),
            "process.scheduler: runtime, deadline and period are only for SCHED_DEADLINE"),
        ("/process/scheduler", json!({"policy": "SCHED_LUCK"}), "process.scheduler.policy: unknown variant `SCHED_LUCK`…"),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 8}),
            "process.ioPriority: priority 8 is not within 0 and 7"),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": -1}),
            "process.ioPriority: priority -1 is not within 0 and 7"),
        ("/process/execCPUAffinity", json!({"initial": "3-1"}), "process.execCPUAffinity…"),
        ("/process/execCPUAffinity", json!({"final": "one"}), "process.execCPUAffinity…"),
        ("/mounts", json!({}), "mounts: invalid type: map…"),
        ("/mounts", json!([{"type": "proc"}]), "mounts[0]: missing field `destination`…"),
        ("/mounts", json!([{"destination": ""}]), "mounts: an entry has an empty destination"),
        ("/mounts", json!([{"destination": "/x"}]), "mounts: /x: the type is missing"),
        ("/mounts", json!([{"destination": "/x", "type": "bind"}]), "mounts: /x: a bind mount needs a source"),
        ("/mounts", json!([{"destination": "/x", "type": "bind", "source": "/y", "options": ["bogus"]}]),
            "mounts: /x: unknown option \"bogus\" for a bind mount"),
        ("/mounts", json!([{"destination": "/x", "source": "/y", "options": ["bind", "tmpcopyup"]}]),
            "mounts: /x: tmpcopyup is only for tmpfs"),
        ("/mounts", json!([{"destination": "/x", "type": "tmpfs", "options": ["idmap"]}]),
            "mounts: /x: idmapped mounts must be bind mounts"),
        ("/mounts", json!([{"destination": "/x", "source": "/y", "options": ["bind"],
            "uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}]),
            "mounts: /x: uidMappings and gidMappings must be given together"),
        ("/mounts", json!([{"destination": "/x", "source": "/y", "options": ["bind"],
            "uidMappings": [{"containerID": 0, "hostID": 0, "size": 0}]}]), "mounts.uidMappings[0]: size is 0"),
        ("/hooks", json!({"poststop": [{"path": "relative"}]}), "hooks.poststop: \"relative\" is not absolute"),
        ("/hooks", json!({"prestart": [{"path": "/x", "timeout": 0}]}), "hooks.prestart: /x: timeout 0 is not above 0"),
        ("/hooks", json!({"createRuntime": [{"path": "/x", "timeout": -1}]}),
            "hooks.createRuntime: /x: timeout -1 is not above 0"),
        ("/hooks", json!({"poststart": [{}]}), "hooks.poststart[0]: missing field `path`…"),
        ("/hooks", json!("none"), "hooks: invalid type: string \"none\"…"),
        ("/hostname", json!("web"), "hostname: it needs a uts namespace in linux.namespaces"),
        ("/domainname", json!("web"), "domainname: it needs a uts namespace in linux.namespaces"),
        ("/linux", Value::Null, "linux.namespaces: a mount namespace is required"),
        ("/linux/namespaces", json!([]), "linux.namespaces: a mount namespace is required"),
        ("/linux/namespaces", json!([{"type": "mount"}, {"type": "mount"}]), "linux.namespaces: \"mount\" is listed twice"),
        ("/linux/namespaces", json!([{"type": "mount", "path": "ns/mnt"}]),
            "linux.namespaces: path ns/mnt of \"mount\" is not absolute"),
        ("/linux/namespaces", json!([{"type": "galaxy"}]), "linux.namespaces[0].type: unknown variant `galaxy`…"),
        ("/linux/namespaces", json!([{"type": "mount"}, {"type": "user"}]),
            "linux.namespaces: a new user namespace needs linux.uidMappings and linux.gidMappings"),
        ("/linux/uidMappings", json!([{"containerID": 0, "hostID": 0, "size": 0}]), "linux.uidMappings[0]: size is 0"),
        ("/linux/gidMappings", json!([{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 1, "size": 0}]),
            "linux.gidMappings[1]: size is 0"),
        ("/linux/timeOffsets", json!({"monotonic": {"secs": 1}}),
            "linux.timeOffsets: they need a new time namespace in linux.namespaces"),
        ("/linux/timeOffsets", json!({"realtime": {"secs": 1}}), "linux.timeOffsets: unknown clock \"realtime\""),
        ("/linux/netDevices", json!({"eth0": {}}), "linux.netDevices: they need a network namespace in linux.namespaces"),
        ("/linux/netDevices", json!({"eth0": {"name": "a/b"}}), "linux.netDevices: \"a/b\" is not the name of a network device"),
        ("/linux/netDevices", json!({"sixteen--letters": {}}),
            "linux.netDevices: \"sixteen--letters\" is not the name of a network device"),
        ("/linux/netDevices", json!({"a": {"name": "c"}, "b": {"name": "c"}}), "linux.netDevices: name \"c\" is used twice"),
        ("/linux/devices", json!([{"path": "x", "type": "c", "major": 1, "minor": 3}]),
            "linux.devices: x: the path is not absolute"),
        ("/linux/devices", json!([{"path": "/x", "type": "a", "major": 1, "minor": 3}]),
            "linux.devices: /x: type \"a\" is only for device rules"),
        ("/linux/devices", json!([{"path": "/x", "type": "c", "major": -1, "minor": 3}]),
            "linux.devices: /x: device number -1:3 is negative"),
        ("/linux/devices", json!([{"path": "/x", "type": "x", "major": 1, "minor": 3}]), "linux.devices[0].type: unknown variant `x`…"),
        ("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}),
            "linux.sysctl: \"net.ipv4.ip_forward\" is not allowed without a network namespace of the container's own"),
        ("/linux/sysctl", json!({"kernel.msgmax": "1"}),
            "linux.sysctl: \"kernel.msgmax\" is not allowed without an ipc namespace of the container's own"),
        ("/linux/sysctl", json!({"fs.mqueue.msg_max": "1"}),
            "linux.sysctl: \"fs.mqueue.msg_max\" is not allowed without an ipc namespace of the container's own"),
        ("/linux/sysctl", json!({"kernel.domainname": "1"}),
            "linux.sysctl: \"kernel.domainname\" is not allowed without a uts namespace of the container's own"),
        ("/linux/sysctl", json!({"kernel.hostname": "1"}),
            "linux.sysctl: \"kernel.hostname\" conflicts with the hostname field; use that"),
        ("/linux/sysctl", json!({"user.max_user_namespaces": "1"}),
            "linux.sysctl: \"user.max_user_namespaces\" is not allowed without a user namespace of the container's own"),
        ("/linux/sysctl", json!({"vm.swappiness": "1"}),
            "linux.sysctl: \"vm.swappiness\" is not in a namespace, so it would change the host"),
        ("/linux/sysctl", json!({"net/../kernel/panic": "1"}), "linux.sysctl: \"net/../kernel/panic\" is not the name of a sysctl"),
        ("/linux/sysctl", json!({"": "1"}), "linux.sysctl: \"\" is not the name of a sysctl"),
        ("/linux/maskedPaths", json!(["proc/keys"]), "linux.maskedPaths: \"proc/keys\" is not absolute"),
        ("/linux/readonlyPaths", json!(["/a", "b"]), "linux.readonlyPaths: \"b\" is not absolute"),
        ("/linux/rootfsPropagation", json!("sideways"), "linux.rootfsPropagation: unknown value \"sideways\""),
        ("/linux/mountLabel", json!("a\"b"), "linux.mountLabel: a quotation mark is not allowed in it"),
        ("/annotations", json!({"run.oci.mount_context_type": "x"}), "annotations: run.oci.mount_context_type: unknown value \"x\""),
        ("/annotations", json!({"run.oci.hooks.stdout": "log"}),
            "annotations: run.oci.hooks.stdout: \"log\" is not an absolute path"),
        ("/annotations", json!({"run.oci.hooks.stderr": ""}),
            "annotations: run.oci.hooks.stderr: \"\" is not an absolute path"),
        ("/annotations", json!({"run.oci.pidfd_receiver": "socket"}),
            "annotations: run.oci.pidfd_receiver: \"socket\" is not an absolute path"),
        ("/linux/personality", json!({"domain": "VMS"}), "linux.personality.domain: unknown variant `VMS`…"),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_LUCK"}), "linux.memoryPolicy.mode: unknown variant `MPOL_LUCK`…"),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "x"}),
            "linux.memoryPolicy.nodes: \"x\" is not a list of numbers and ranges"),
        ("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_LUCK"}), "linux.seccomp.defaultAction: unknown variant `SCMP_ACT_LUCK`…"),
        ("/linux/resources", json!({"memory": {"limit": "1G"}}), "linux.resources.memory.limit: invalid type: string \"1G\"…"),
    ]
}
