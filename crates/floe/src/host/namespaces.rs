//! Namespaces, and who may make them.

use super::{Finding, Outcome, Status, in_child, in_namespaces, is_root, setting};
use container::config::NAMESPACES;
use sys::process::{setresgid, setresuid, unshare};

const GROUP: &str = "namespaces";

/// Debian's and everybody's "nobody".
const NOBODY: u32 = 65534;

pub(super) fn look() -> Vec<Finding> {
    let mut findings: Vec<Finding> = NAMESPACES
        .iter()
        .filter(|kind| kind.flag != libc::CLONE_NEWUSER)
        .map(|kind| {
            let finding =
                Finding::of(GROUP, kind.name, make(kind.flag), Status::Missing, "", refusal(kind.file));
            // A root file system of one's own is what makes a container; what else one has is up to config.json.
            if kind.flag == libc::CLONE_NEWNS { finding.require() } else { finding }
        })
        .collect();
    let user = user();
    findings.push(if is_root() { user } else { user.require() });
    findings
}

/// Makes one in a child, as root or in a user namespace.
fn make(kind: i32) -> Outcome {
    let user = if is_root() { 0 } else { libc::CLONE_NEWUSER };
    let [outcome] = in_namespaces(user, || [unshare(kind)])?;
    outcome
}

/// User namespaces in the hands of somebody without privilege: AppArmor lets them be made and takes the capabilities
/// away, so what matters is whether one can do something with it.
fn user() -> Finding {
    let (own, nobody) = match is_root() {
        true => (
            use_one(),
            in_child(0, || [become_nobody().and_then(|()| use_one())]).and_then(|[outcome]| outcome),
        ),
        false => (use_one(), use_one()),
    };
    let (status, found) = match (own, nobody) {
        (Ok(()), Ok(())) => (Status::Ok, "for users too".to_owned()),
        (Ok(()), Err(errno)) => (Status::Limited, format!("for root; for users: {errno}")),
        (Err(errno), _) => (Status::Missing, errno.to_string()),
    };
    let advice = match status {
        Status::Ok => "",
        _ => refusal("user"),
    };
    Finding::new(GROUP, "user", status, found).advise(advice)
}

fn become_nobody() -> Outcome {
    setresgid(NOBODY)?;
    setresuid(NOBODY)?;
    // A process that changed its user is not dumpable, so its /proc/self/uid_map belongs to root.
    sys::process::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0).map(drop)
}

fn use_one() -> Outcome {
    let [outcome] = in_namespaces(libc::CLONE_NEWUSER, || [unshare(libc::CLONE_NEWNS)])?;
    outcome
}

/// What stands in the way, as far as a setting tells.
fn refusal(kind: &str) -> &'static str {
    let is = |path: &str, value: &str| setting(path).is_some_and(|found| found == value);
    if is(&format!("/proc/sys/user/max_{kind}_namespaces"), "0") {
        return "raise the sysctl user.max_*_namespaces of this kind";
    }
    if std::fs::symlink_metadata(format!("/proc/self/ns/{kind}")).is_err() {
        return "use a kernel with this kind of namespace";
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return "sysctl kernel.unprivileged_userns_clone=1";
    }
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return "give floe an AppArmor profile with userns, or sysctl kernel.apparmor_restrict_unprivileged_userns=0";
    }
    "something around floe forbids it: a seccomp filter, an LSM or a chroot"
}
