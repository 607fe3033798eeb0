//! seccomp and the security modules.

use super::{Finding, Status, setting};
use sys::probe;
use sys::security::{
    SECCOMP_FILTER_FLAG_LOG, SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
    SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
};

const GROUP: &str = "security";

/// linux/seccomp.h, `SECCOMP_RET_*`.
const ACTIONS: [(&str, u32); 8] = [
    ("kill_process", 0x8000_0000),
    ("kill_thread", 0),
    ("trap", 0x0003_0000),
    ("errno", 0x0005_0000),
    ("notify", 0x7fc0_0000),
    ("trace", 0x7ff0_0000),
    ("log", 0x7ffc_0000),
    ("allow", 0x7fff_0000),
];

const FLAGS: [(&str, u64); 5] = [
    ("tsync", SECCOMP_FILTER_FLAG_TSYNC),
    ("log", SECCOMP_FILTER_FLAG_LOG),
    ("spec_allow", SECCOMP_FILTER_FLAG_SPEC_ALLOW),
    ("new_listener", SECCOMP_FILTER_FLAG_NEW_LISTENER),
    // Only with a listener.
    ("wait_killable_recv", SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV),
];

pub(super) fn look() -> Vec<Finding> {
    let actions = ACTIONS.map(|(name, action)| (name, probe::seccomp_action(action).is_ok()));
    let flags = FLAGS.map(|(name, flag)| (name, probe::seccomp_flag(flag).is_ok()));
    let modules = setting("/sys/kernel/security/lsm").filter(|list| !list.is_empty());
    let apparmor =
        setting("/sys/module/apparmor/parameters/enabled").is_some_and(|text| text.starts_with('Y'));
    let selinux = setting("/sys/fs/selinux/enforce");
    vec![
        seccomp("seccomp actions", &actions),
        seccomp("seccomp flags", &flags),
        Finding::new(
            GROUP,
            "security modules",
            Status::Ok,
            match &modules {
                Some(list) => list.replace(',', " "),
                None => "not listed: securityfs is not mounted".to_owned(),
            },
        ),
        match apparmor {
            true => Finding::new(GROUP, "AppArmor", Status::Ok, "enabled"),
            false => Finding::new(GROUP, "AppArmor", Status::Missing, "not enabled")
                .advise("needed for process.apparmorProfile only: boot with lsm=...,apparmor"),
        },
        match selinux.as_deref() {
            Some("1") => Finding::new(GROUP, "SELinux", Status::Ok, "enforcing"),
            Some(_) => Finding::new(GROUP, "SELinux", Status::Limited, "permissive")
                .advise("labels are applied and nothing is refused: setenforce 1"),
            None => Finding::new(GROUP, "SELinux", Status::Missing, "not enabled")
                .advise("needed for labels only: boot with lsm=...,selinux and load a policy"),
        },
    ]
}

fn seccomp(name: &str, answers: &[(&'static str, bool)]) -> Finding {
    let with = |wanted: bool| -> Vec<&str> {
        answers.iter().filter(|(_, there)| *there == wanted).map(|(name, _)| *name).collect()
    };
    let (there, missing) = (with(true), with(false));
    let advice =
        "a profile that uses a missing one is refused: use Linux 6.1 or newer with CONFIG_SECCOMP_FILTER";
    match (there.is_empty(), missing.is_empty()) {
        (_, true) => Finding::new(GROUP, name, Status::Ok, there.join(" ")),
        (true, _) => Finding::new(GROUP, name, Status::Missing, "none").advise(advice),
        (false, _) => {
            let found = format!("{}; not here: {}", there.join(" "), missing.join(" "));
            Finding::new(GROUP, name, Status::Limited, found).advise(advice)
        }
    }
}
