//! `linux.netDevices`: interfaces that move from the runtime's network namespace into the container's.

use crate::cases;
use crate::harness::*;
use std::process::Command;

pub(crate) fn cases() -> Vec<Case> {
    // All of these change the network namespace of the runner.
    let mut cases = cases![
        moved,
        moved_and_renamed,
        keeps_addresses,
        missing_interface,
        without_namespace,
        name_too_long
    ];
    for case in &mut cases {
        case.alone = true;
    }
    cases
}

/// One end of a veth pair whose name is unlike any other's; both go away with the container's namespace or `drop`.
struct Pair(String);

impl Pair {
    fn new(name: &str) -> Pair {
        let _ =
            Command::new("ip").args(["link", "delete", name]).stderr(std::process::Stdio::null()).status();
        let output = Command::new("ip")
            .args(["link", "add", name, "type", "veth", "peer", "name", &format!("{name}p")])
            .output();
        match output {
            Ok(output) if output.status.success() => Pair(name.to_owned()),
            Ok(output) => skip(format!("ip link add: {}", String::from_utf8_lossy(&output.stderr).trim())),
            Err(error) => skip(format!("ip: {error}")),
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let peer = format!("{}p", self.0);
        let _ =
            Command::new("ip").args(["link", "delete", &peer]).stderr(std::process::Stdio::null()).status();
    }
}

fn moved(t: &mut Test) {
    let pair = Pair::new("floet0");
    let mut bundle = t.bundle();
    bundle.set("/linux/netDevices", json!({&pair.0: {}}));
    assert_eq!(t.facts(&mut bundle)["interfaces"], json!(["floet0", "lo"]));
}

fn moved_and_renamed(t: &mut Test) {
    let pair = Pair::new("floet1");
    let mut bundle = t.bundle();
    bundle.set("/linux/netDevices", json!({&pair.0: {"name": "eth0"}}));
    let text = t.sh(&mut bundle, "ip link show eth0");
    assert!(text.contains("eth0"), "{text}");
}

fn keeps_addresses(t: &mut Test) {
    let pair = Pair::new("floet2");
    let status = Command::new("ip").args(["address", "add", "198.51.100.7/24", "dev", &pair.0]).status();
    assert!(status.expect("ip").success());
    let mut bundle = t.bundle();
    bundle.set("/linux/netDevices", json!({&pair.0: {"name": "eth0"}}));
    let text = t.sh(&mut bundle, "ip address show eth0");
    assert!(text.contains("198.51.100.7/24") && text.contains(",UP"), "{text}");
}

fn missing_interface(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/linux/netDevices", json!({"nosuchdev0": {}}));
    t.run_bundle(&bundle).exits(1).refused(&["nosuchdev0"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn without_namespace(t: &mut Test) {
    let pair = Pair::new("floet3");
    let mut bundle = t.bundle();
    bundle.without_namespace("network").remove_mount("/sys").remove_mount("/sys/fs/cgroup");
    bundle.set("/linux/netDevices", json!({&pair.0: {}}));
    t.run_bundle(&bundle).exits(1).refused(&["net"]);
}

fn name_too_long(t: &mut Test) {
    let pair = Pair::new("floet4");
    let mut bundle = t.bundle();
    bundle.set("/linux/netDevices", json!({&pair.0: {"name": "a-name-that-is-too-long"}}));
    t.run_bundle(&bundle).exits(1).refused(&["a-name-that-is-too-long"]);
}
