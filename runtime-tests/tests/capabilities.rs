//! `process.capabilities`: the five sets, for root and for others, and what the program gets at execve.

use crate::cases;
use crate::harness::*;

const KILL: u64 = 1 << 5;
const NET_RAW: u64 = 1 << 13;
const CHOWN: u64 = 1;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        absent_means_none,
        empty_means_none,
        ambient_survives_a_change_of_user,
        root_cannot_regain_beyond_bounding,
        every_capability_of_the_kernel,
        unknown_name_is_a_warning,
        inheritable_is_empty_by_default,
    ];
    // Which sets are configured, and what /proc/self/status shows for root after execve: permitted and effective
    // become inheritable | bounding (capabilities(7), "capabilities and execution of programs by root").
    for (name, sets, field, expected) in [
        ("bounding", &["bounding"][..], "CapBnd", KILL | NET_RAW),
        ("effective", &["bounding", "permitted", "effective"], "CapEff", KILL | NET_RAW),
        ("permitted", &["bounding", "permitted", "effective"], "CapPrm", KILL | NET_RAW),
        ("inheritable", &["bounding", "permitted", "effective", "inheritable"], "CapInh", KILL | NET_RAW),
        (
            "ambient",
            &["bounding", "permitted", "effective", "inheritable", "ambient"],
            "CapAmb",
            KILL | NET_RAW,
        ),
    ] {
        cases.push(Case::new(format!("capabilities::set_{name}"), move |t| {
            let mut bundle = t.bundle();
            bundle.set("/process/capabilities", json!({}));
            for set in sets {
                bundle.set(&format!("/process/capabilities/{set}"), json!(["CAP_KILL", "CAP_NET_RAW"]));
            }
            assert_eq!(capability(&t.facts(&mut bundle), field), expected);
        }));
    }
    cases
}

fn capability(facts: &Value, field: &str) -> u64 {
    let text = facts["status"][field].as_str().expect("field");
    u64::from_str_radix(text, 16).expect("hexadecimal")
}

fn all_sets(facts: &Value) -> [u64; 5] {
    ["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"].map(|field| capability(facts, field))
}

fn absent_means_none(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.remove("/process/capabilities");
    assert_eq!(all_sets(&t.facts(&mut bundle)), [0; 5]);
}

fn empty_means_none(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.capabilities(&[]);
    assert_eq!(all_sets(&t.facts(&mut bundle)), [0; 5]);
}

fn ambient_survives_a_change_of_user(t: &mut Test) {
    let mut bundle = t.bundle();
    for set in ["bounding", "permitted", "effective", "inheritable", "ambient"] {
        bundle.set(&format!("/process/capabilities/{set}"), json!(["CAP_NET_RAW"]));
    }
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(all_sets(&t.facts(&mut bundle)), [NET_RAW; 5]);
    // Without the ambient set execve drops them for a user that is not root.
    let mut bundle = t.bundle();
    bundle.capabilities(&["CAP_NET_RAW"]).set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(all_sets(&t.facts(&mut bundle)), [NET_RAW, 0, 0, 0, 0]);
}

fn root_cannot_regain_beyond_bounding(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.capabilities(&["CAP_KILL"]).set("/process/noNewPrivileges", json!(false));
    assert_eq!(t.sh(&mut bundle, "touch /f; chown 1:1 /f 2>&1; stat -c %u /f").lines().last(), Some("0"));
    let mut bundle = t.bundle();
    bundle.capabilities(&["CAP_CHOWN"]);
    assert_eq!(t.sh(&mut bundle, "touch /f; chown 1:1 /f 2>&1; stat -c %u /f"), "1");
    assert_eq!(capability(&t.facts_again(&mut bundle), "CapEff"), CHOWN);
}

fn every_capability_of_the_kernel(t: &mut Test) {
    let own = own_bounding();
    let names: Vec<String> =
        (0..41).filter(|bit| own & 1 << bit != 0).map(|bit| NAMES[bit].to_owned()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut bundle = t.bundle();
    bundle.capabilities(&names);
    assert_eq!(capability(&t.facts(&mut bundle), "CapBnd"), own & ((1 << 41) - 1));
}

fn own_bounding() -> u64 {
    let status = read("/proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("CapBnd");
    u64::from_str_radix(line.trim(), 16).expect("hexadecimal")
}

fn unknown_name_is_a_warning(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.capabilities(&["CAP_KILL", "CAP_OF_TOMORROW"]);
    assert_eq!(capability(&t.facts(&mut bundle), "CapBnd"), KILL);
}

fn inheritable_is_empty_by_default(t: &mut Test) {
    let mut bundle = t.bundle();
    let facts = t.facts(&mut bundle);
    assert_eq!((capability(&facts, "CapInh"), capability(&facts, "CapAmb")), (0, 0));
}

pub(crate) const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];
