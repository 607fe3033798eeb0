//! Bundles as Podman 5 and containerd 2 write them (fixtures/regenerate.sh), with this run's paths put in.

use crate::harness::*;

const FIXTURES: [(&str, &str); 7] = [
    ("podman_plain", include_str!("../fixtures/podman-plain.json")),
    ("podman_privileged", include_str!("../fixtures/podman-privileged.json")),
    ("podman_hardened", include_str!("../fixtures/podman-hardened.json")),
    ("podman_userns", include_str!("../fixtures/podman-userns.json")),
    ("containerd_plain", include_str!("../fixtures/containerd-plain.json")),
    ("containerd_privileged", include_str!("../fixtures/containerd-privileged.json")),
    ("containerd_hardened", include_str!("../fixtures/containerd-hardened.json")),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, text) in FIXTURES {
        cases.push(Case::new(format!("fixtures::{name}_runs"), move |t| {
            let mut bundle = from_fixture(t, text);
            assert_eq!(t.sh(&mut bundle, "echo up"), "up");
        }));
        cases.push(Case::new(format!("fixtures::{name}_life"), move |t| {
            let mut bundle = from_fixture(t, text);
            let container = t.start_holding(&mut bundle);
            let user = &bundle.spec["process"]["user"]["uid"];
            let facts = t.call(["exec", &container.id, "/bin/floe-probe", "facts"]).ok().json();
            assert_eq!(&facts["uid"], user);
            t.call(["kill", &container.id, "KILL"]).ok();
            t.wait_status(&container.id, "stopped");
            t.call(["delete", &container.id]).ok();
            assert_eq!(t.leftovers(), [""; 0]);
        }));
        cases.push(Case::new(format!("fixtures::{name}_facts"), move |t| {
            let mut bundle = from_fixture(t, text);
            let facts = t.facts(&mut bundle);
            check(&bundle.spec, &facts);
        }));
    }
    cases
}

fn from_fixture(t: &mut Test, text: &str) -> Bundle {
    let files = t.path("files");
    let volume = t.path("volume");
    std::fs::create_dir_all(files.join("shm")).expect("mkdir");
    std::fs::create_dir_all(&volume).expect("mkdir");
    for name in ["hosts", "hostname", "passwd", "group", "resolv.conf", ".containerenv"] {
        std::fs::write(files.join(name), "").expect("write");
    }
    let mut bundle = t.bundle();
    let cgroup = format!("/{}/{}", environment::get().cgroup, bundle.id);
    let text = text
        .replace("@ROOTFS@", bundle.rootfs("").to_str().expect("utf-8"))
        .replace("@FILES@", files.to_str().expect("utf-8"))
        .replace("@VOLUME@", volume.to_str().expect("utf-8"))
        .replace("@CGROUP@", &cgroup)
        .replace("@ID@", &bundle.id);
    let user_namespace = text.contains("\"uidMappings\"");
    bundle.spec = serde_json::from_str(&text).expect("fixture");
    if user_namespace {
        bundle.user_namespace(100_000, 65536);
    }
    // The machine that wrote the fixture had the controllers and limits; this one may not.
    for controller in ["pids", "cpu", "memory"] {
        if !environment::get().controllers.iter().any(|c| c == controller) {
            bundle.remove(&format!("/linux/resources/{controller}"));
        }
    }
    bundle.remove("/process/rlimits");
    bundle.set("/process/env", json!(["PATH=/bin"]));
    bundle
}

fn check(spec: &Value, facts: &Value) {
    let process = &spec["process"];
    assert_eq!(facts["uid"], process["user"]["uid"]);
    assert_eq!(facts["cwd"], process["cwd"]);
    let no_new_privileges = process["noNewPrivileges"].as_bool().unwrap_or(false);
    assert_eq!(facts["status"]["NoNewPrivs"], if no_new_privileges { "1" } else { "0" });
    let filtered = spec["linux"]["seccomp"].is_object();
    assert_eq!(facts["status"]["Seccomp"], if filtered { "2" } else { "0" });
    for mount in spec["mounts"].as_array().expect("mounts") {
        let destination = mount["destination"].as_str().expect("destination");
        let fields = mount_fields(facts, destination);
        for option in mount["options"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if ["ro", "nosuid", "noexec", "nodev"].contains(&option) {
                assert!(fields.options.iter().any(|o| o == option), "{destination}: {option}");
            }
        }
    }
    let read_only = spec["root"]["readonly"].as_bool().unwrap_or(false);
    assert_eq!(mount_fields(facts, "/").options.iter().any(|o| o == "ro"), read_only);
    let bounding = facts["status"]["CapBnd"].as_str().expect("field");
    let count = u64::from_str_radix(bounding, 16).expect("hexadecimal").count_ones() as usize;
    let wanted = process["capabilities"]["bounding"].as_array().map_or(0, Vec::len);
    // A runtime that lacks a capability itself cannot give it.
    assert!(count <= wanted && (wanted == 0 || count > 0), "{count} of {wanted} capabilities");
}
