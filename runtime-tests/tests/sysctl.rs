//! `linux.sysctl`: both spellings, namespaced keys only.

use crate::cases;
use crate::harness::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        network_key_without_namespace,
        ipc_key_without_namespace,
        dot_in_an_interface_name,
        value_that_the_kernel_refuses,
        hosts_values_stay,
    ];
    for (key, value, file) in [
        ("net.ipv4.ip_forward", "1", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_default_ttl", "33", "net/ipv4/ip_default_ttl"),
        ("kernel.shmmax", "123456", "kernel/shmmax"),
        ("kernel.msgmax", "4000", "kernel/msgmax"),
        ("kernel/shmmni", "77", "kernel/shmmni"),
        ("kernel.sem", "32000\t1024000000\t500\t32000", "kernel/sem"),
        ("fs.mqueue.msg_max", "11", "fs/mqueue/msg_max"),
    ] {
        cases.push(Case::new(format!("sysctl::set_{}", key.replace(['.', '/'], "_")), move |t| {
            let mut bundle = t.bundle();
            bundle.set("/linux/sysctl", json!({key: value}));
            assert_eq!(t.sh(&mut bundle, &format!("cat /proc/sys/{file}")), value);
        }));
    }
    for key in
        ["kernel.panic", "vm.swappiness", "fs.file-max", "kernel.no_such_key", "net/../kernel/panic", ""]
    {
        let name = if key.is_empty() { "empty".into() } else { key.replace(['.', '/', '-'], "_") };
        cases.push(Case::new(format!("sysctl::refuse_{name}"), move |t| {
            let mut bundle = t.bundle();
            // What it is anyway: a floe that does not refuse it does no harm.
            let file = std::path::Path::new("/proc/sys").join(key.replace('.', "/"));
            let value = std::fs::read_to_string(file).map_or("1".into(), |text| text.trim().to_owned());
            bundle.set("/linux/sysctl", json!({key: value}));
            t.run_bundle(&bundle).exits(1).refused(&["sysctl", key]);
            assert_eq!(t.leftovers(), [""; 0]);
        }));
    }
    cases
}

fn network_key_without_namespace(t: &mut Test) {
    let before = read("/proc/sys/net/ipv4/ip_forward");
    let mut bundle = t.bundle();
    bundle.without_namespace("network").remove_mount("/sys").remove_mount("/sys/fs/cgroup");
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    t.run_bundle(&bundle).exits(1).refused(&["net.ipv4.ip_forward"]);
    assert_eq!(read("/proc/sys/net/ipv4/ip_forward"), before);
}

fn ipc_key_without_namespace(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.without_namespace("ipc").remove_mount("/dev/mqueue");
    bundle.set("/linux/sysctl", json!({"kernel.shmmax": "4096"}));
    t.run_bundle(&bundle).exits(1).refused(&["kernel.shmmax"]);
}

fn dot_in_an_interface_name(t: &mut Test) {
    // With slashes as separators a dot belongs to the name; as in sysctl(8).
    let mut bundle = t.bundle();
    bundle.set("/linux/sysctl", json!({"net/ipv4/conf/eth0.7/forwarding": "1"}));
    t.run_bundle(&bundle).exits(1).refused(&["eth0.7"]);
}

fn value_that_the_kernel_refuses(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_default_ttl": "no number"}));
    t.run_bundle(&bundle).exits(1).refused(&["ip_default_ttl"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn hosts_values_stay(t: &mut Test) {
    let before = read("/proc/sys/kernel/shmmax");
    let mut bundle = t.bundle();
    bundle.set("/linux/sysctl", json!({"kernel.shmmax": "98304"}));
    assert_eq!(t.sh(&mut bundle, "cat /proc/sys/kernel/shmmax"), "98304");
    assert_eq!(read("/proc/sys/kernel/shmmax"), before);
}
