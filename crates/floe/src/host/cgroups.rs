//! cgroup v2: mounted, delegated, with which controllers; device programs, huge pages, resctrl.

use super::{Finding, Outcome, Status, setting};
use cgroup::{Cgroup, MOUNT};
use container::{CgroupDriver, Runtime};
use nix::unistd::{AccessFlags, eaccess};
use std::path::{Path, PathBuf};
use sys::bpf::{Insn, load_cgroup_device};

const GROUP: &str = "cgroups";

/// Controllers whose limits every engine uses.
const USUAL: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

pub(super) fn look(rt: &Runtime) -> Vec<Finding> {
    // Where a container without a path of its own would be.
    let parent = match Cgroup::resolve(None, "floe") {
        Ok(cgroup) => cgroup.path().parent().unwrap_or(Path::new(MOUNT)).to_owned(),
        Err(error) => {
            // Root's containers have a cgroup each, unless nobody wants any; a user's can do without.
            let needed = !rt.is_rootless() && rt.cgroup_driver == CgroupDriver::Cgroupfs;
            let (error, status) = (error.to_string(), if needed { Status::Missing } else { Status::Limited });
            let found = error.split("; ").next().unwrap_or_default();
            let finding = Finding::new(GROUP, "cgroup v2", status, found).advise(
                "boot with cgroup v2 alone (systemd.unified_cgroup_hierarchy=1), or mount cgroup2 at /sys/fs/cgroup",
            );
            return vec![if needed { finding.require() } else { finding }, devices(), hugepages(), resctrl()];
        }
    };
    let mut findings = vec![Finding::new(GROUP, "cgroup v2", Status::Ok, MOUNT)];
    findings.push(delegation(&parent, rt.is_rootless()));
    findings.push(controllers(&parent));
    findings.extend(files(&parent));
    findings.extend([devices(), hugepages(), resctrl()]);
    findings
}

fn delegation(parent: &Path, rootless: bool) -> Finding {
    let writable = |name: &str| eaccess(&parent.join(name), AccessFlags::W_OK);
    let outcome: Outcome = writable("")
        .and(writable("cgroup.procs"))
        .and(writable("cgroup.subtree_control"))
        .map_err(Into::into);
    let advice = if rootless {
        "without it containers run, but without limits; systemd-run --user --scope -p Delegate=yes gives you a cgroup"
    } else {
        "/sys/fs/cgroup cannot be written to: use --cgroup-manager disabled"
    };
    Finding::of(GROUP, "delegation", outcome, Status::Limited, parent.display().to_string(), advice)
}

fn controllers(parent: &Path) -> Finding {
    let list = setting(&parent.join("cgroup.controllers").display().to_string()).unwrap_or_default();
    let missing: Vec<&str> =
        USUAL.into_iter().filter(|name| list.split_whitespace().all(|found| found != *name)).collect();
    match (missing.is_empty(), list.is_empty()) {
        (true, _) => Finding::new(GROUP, "controllers", Status::Ok, list),
        (false, none) => {
            let status = if none { Status::Missing } else { Status::Limited };
            let has = if none { "none" } else { &list };
            Finding::new(GROUP, "controllers", status, format!("{has}; not here: {}", missing.join(" ")))
                .advise("limits of a missing one are refused: take it from cgroup v1, or have it delegated")
        }
    }
}

/// Files that every cgroup has but the one at the top.
fn files(parent: &Path) -> [Finding; 2] {
    let made = Example::below(parent);
    let has = |name: &str| match &made {
        Ok(example) if example.path().join(name).exists() => Ok(()),
        Ok(_) => Err(sys::Errno::from_raw(libc::ENOENT)),
        Err(errno) => Err(*errno),
    };
    let newer = "use Linux 6.1 or newer";
    [
        Finding::of(
            GROUP,
            "cgroup.kill",
            has("cgroup.kill"),
            Status::Missing,
            "whole containers are killed at once",
            newer,
        ),
        Finding::of(GROUP, "cgroup.freeze", has("cgroup.freeze"), Status::Missing, "pause and resume", newer),
    ]
}

/// Some cgroup below the top, made only where there is none yet.
enum Example {
    Found(PathBuf),
    Made(PathBuf),
}

impl Example {
    fn below(parent: &Path) -> sys::Result<Example> {
        if parent != Path::new(MOUNT) {
            return Ok(Example::Found(parent.to_owned()));
        }
        let entries = std::fs::read_dir(parent)?.flatten();
        if let Some(entry) =
            entries.into_iter().find(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        {
            return Ok(Example::Found(entry.path()));
        }
        let path = parent.join(format!("floe-check-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Example::Made(path))
    }

    fn path(&self) -> &Path {
        match self {
            Example::Found(path) | Example::Made(path) => path,
        }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        if let Example::Made(path) = self {
            let _ = std::fs::remove_dir(path);
        }
    }
}

/// Loads a program that allows everything, and attaches it to nothing.
fn devices() -> Finding {
    let yes = Insn { code: 0xb7, regs: 0, offset: 0, imm: 1 };
    let exit = Insn { code: 0x95, regs: 0, offset: 0, imm: 0 };
    let outcome = load_cgroup_device(&[yes, exit]).map(drop);
    let (status, advice) = match outcome {
        Err(errno) if errno.raw() == libc::EPERM => (
            Status::Limited,
            "only root may load them; a rootless container has the host's devices that are bound into it",
        ),
        _ => (Status::Missing, "use a kernel with CONFIG_CGROUP_BPF"),
    };
    Finding::of(GROUP, "device programs (eBPF)", outcome, status, "device rules", advice)
}

fn hugepages() -> Finding {
    let entries = std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
    let mut sizes: Vec<String> = entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix("hugepages-")?.to_owned()))
        .collect();
    sizes.sort();
    match sizes.is_empty() {
        false => Finding::new(GROUP, "huge pages", Status::Ok, sizes.join(" ")),
        true => Finding::new(GROUP, "huge pages", Status::Missing, "no sizes")
            .advise("needed for linux.resources.hugepageLimits only: a kernel with CONFIG_HUGETLBFS"),
    }
}

fn resctrl() -> Finding {
    let known =
        setting("/proc/filesystems").is_some_and(|list| list.lines().any(|line| line.ends_with("\tresctrl")));
    let mounted = setting("/proc/self/mountinfo").is_some_and(|list| list.contains(" - resctrl "));
    match (known, mounted) {
        (true, true) => Finding::new(GROUP, "resctrl", Status::Ok, "mounted"),
        (true, false) => Finding::new(GROUP, "resctrl", Status::Limited, "not mounted")
            .advise("needed for linux.intelRdt only: mount -t resctrl resctrl /sys/fs/resctrl"),
        (false, _) => Finding::new(GROUP, "resctrl", Status::Missing, "not in this kernel or processor")
            .advise("needed for linux.intelRdt only: Intel RDT or AMD QoS, and CONFIG_X86_CPU_RESCTRL"),
    }
}
