//! The `process` section: what the program runs as. `exec` shares it with `create`.

use super::spec::{CapabilityNames, ProcessDocument, SchedulerDocument};
use crate::error::{Error, Result};
use oci_spec::runtime as oci;
use std::path::PathBuf;
use sys::sched::SchedAttr;

/// Capability sets as bit masks (capabilities(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub bounding: u64,
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
    pub ambient: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// As in config.json, for messages.
    pub name: String,
    /// `RLIMIT_*` of setrlimit(2).
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// ioprio_set(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoPriority {
    pub class: u32,
    pub level: u32,
}

/// set_mempolicy(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPolicy {
    /// Mode with its `MPOL_F_*` bits.
    pub mode: i32,
    pub nodes: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub terminal: bool,
    /// Rows and columns.
    pub console_size: Option<(u16, u16)>,
    pub uid: u32,
    pub gid: u32,
    pub umask: Option<u32>,
    pub additional_gids: Vec<u32>,
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub cwd: PathBuf,
    /// `None` when the section is missing: the process then keeps none, as with runc.
    pub capabilities: Option<Capabilities>,
    pub rlimits: Vec<Rlimit>,
    pub no_new_privileges: bool,
    pub apparmor_profile: Option<String>,
    pub selinux_label: Option<String>,
    pub oom_score_adj: Option<i32>,
    pub scheduler: Option<SchedAttr>,
    pub io_priority: Option<IoPriority>,
    /// CPU masks for an exec'd process before and after it enters the cgroup.
    pub affinity_initial: Option<Vec<u64>>,
    pub affinity_final: Option<Vec<u64>>,
}

impl Process {
    pub(crate) fn from_document(process: &ProcessDocument, warnings: &mut Vec<String>) -> Result<Process> {
        let args = process.args.clone().unwrap_or_default();
        match args.first() {
            None => return Err(Error::new("config.json: process.args is empty")),
            Some(program) if program.is_empty() => {
                return Err(Error::new("config.json: process.args: executable path is empty"));
            }
            Some(_) => {}
        }
        if !process.cwd.is_absolute() {
            return Err(Error::new(format!(
                "config.json: process.cwd: \"{}\" is not absolute",
                process.cwd.display()
            )));
        }
        let env = process.env.clone().unwrap_or_default();
        for (field, list) in [("args", &args), ("env", &env)] {
            if let Some(text) = list.iter().find(|text| text.contains('\0')) {
                return Err(Error::new(format!(
                    "config.json: process.{field}: {text:?} contains a NUL byte"
                )));
            }
        }
        for variable in &env {
            if !variable.contains('=') || variable.starts_with('=') {
                warnings.push(format!("process.env: \"{variable}\" is not of the form NAME=value"));
            }
        }
        let text = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        let affinity = process.exec_cpu_affinity.as_ref();
        let cpus = |list: Option<&Option<String>>| -> Result<Option<Vec<u64>>> {
            let list = list.and_then(Option::as_deref).filter(|list| !list.is_empty());
            list.map(|list| number_list(list, "process.execCPUAffinity")).transpose()
        };
        let user = &process.user;
        Ok(Process {
            terminal: process.terminal.unwrap_or(false),
            console_size: process
                .console_size
                .map(|size| {
                    (size.height().min(u16::MAX.into()) as u16, size.width().min(u16::MAX.into()) as u16)
                })
                .filter(|(rows, columns)| *rows > 0 || *columns > 0),
            uid: user.uid(),
            gid: user.gid(),
            umask: user.umask(),
            additional_gids: user.additional_gids().clone().unwrap_or_default(),
            args,
            env,
            cwd: process.cwd.clone(),
            capabilities: process.capabilities.as_ref().map(|sets| capabilities(sets, warnings)),
            rlimits: rlimits(process)?,
            no_new_privileges: process.no_new_privileges.unwrap_or(false),
            apparmor_profile: text(&process.apparmor_profile),
            selinux_label: text(&process.selinux_label),
            oom_score_adj: oom_score_adj(process)?,
            scheduler: process.scheduler.as_ref().map(scheduler).transpose()?,
            io_priority: process.io_priority.as_ref().map(io_priority).transpose()?,
            affinity_initial: cpus(affinity.map(|affinity| &affinity.initial))?,
            affinity_final: cpus(affinity.map(|affinity| &affinity.after))?,
        })
    }
}

/// The bit of a capability by its name in capabilities(7), in any case.
pub(crate) fn capability_bit(name: &str) -> Option<u64> {
    let capability: caps::Capability = name.to_ascii_uppercase().parse().ok()?;
    Some(1 << capability.index())
}

/// "A runtime MUST NOT fail if the container configuration requests capabilities that cannot be granted"
/// (config.md, capabilities): unknown ones are warned about.
fn capabilities(sets: &CapabilityNames, warnings: &mut Vec<String>) -> Capabilities {
    let mut mask = |set: &str, names: &Option<Vec<String>>| {
        let mut mask = 0;
        for name in names.iter().flatten() {
            match capability_bit(name) {
                Some(bit) => mask |= bit,
                None => {
                    warnings.push(format!("capabilities.{set}: unknown capability \"{name}\" is ignored"))
                }
            }
        }
        mask
    };
    Capabilities {
        bounding: mask("bounding", &sets.bounding),
        effective: mask("effective", &sets.effective),
        permitted: mask("permitted", &sets.permitted),
        inheritable: mask("inheritable", &sets.inheritable),
        ambient: mask("ambient", &sets.ambient),
    }
}

fn rlimits(process: &ProcessDocument) -> Result<Vec<Rlimit>> {
    use oci::PosixRlimitType as T;
    let mut result: Vec<Rlimit> = Vec::new();
    for limit in process.rlimits.iter().flatten() {
        let resource = match limit.typ() {
            T::RlimitCpu => libc::RLIMIT_CPU,
            T::RlimitFsize => libc::RLIMIT_FSIZE,
            T::RlimitData => libc::RLIMIT_DATA,
            T::RlimitStack => libc::RLIMIT_STACK,
            T::RlimitCore => libc::RLIMIT_CORE,
            T::RlimitRss => libc::RLIMIT_RSS,
            T::RlimitNproc => libc::RLIMIT_NPROC,
            T::RlimitNofile => libc::RLIMIT_NOFILE,
            T::RlimitMemlock => libc::RLIMIT_MEMLOCK,
            T::RlimitAs => libc::RLIMIT_AS,
            T::RlimitLocks => libc::RLIMIT_LOCKS,
            T::RlimitSigpending => libc::RLIMIT_SIGPENDING,
            T::RlimitMsgqueue => libc::RLIMIT_MSGQUEUE,
            T::RlimitNice => libc::RLIMIT_NICE,
            T::RlimitRtprio => libc::RLIMIT_RTPRIO,
            T::RlimitRttime => libc::RLIMIT_RTTIME,
        };
        let name = limit.typ().to_string();
        if result.iter().any(|other| other.resource == resource) {
            return Err(Error::new(format!("config.json: process.rlimits: {name} is listed twice")));
        }
        let (soft, hard) = (limit.soft(), limit.hard());
        if soft > hard {
            return Err(Error::new(format!(
                "config.json: process.rlimits: {name}: soft limit {soft} is above the hard limit {hard}"
            )));
        }
        result.push(Rlimit { name, resource, soft, hard });
    }
    Ok(result)
}

fn oom_score_adj(process: &ProcessDocument) -> Result<Option<i32>> {
    match process.oom_score_adj {
        Some(value) if !(-1000..=1000).contains(&value) => {
            Err(Error::new(format!("config.json: process.oomScoreAdj: {value} is not within -1000 and 1000")))
        }
        value => Ok(value),
    }
}

fn scheduler(scheduler: &SchedulerDocument) -> Result<SchedAttr> {
    use oci::LinuxSchedulerPolicy as P;
    let policy = match scheduler.policy {
        P::SchedOther => 0,
        P::SchedFifo => 1,
        P::SchedRr => 2,
        P::SchedBatch => 3,
        P::SchedIso => 4,
        P::SchedIdle => 5,
        P::SchedDeadline => 6,
    };
    let refuse = |text: &str| Err(Error::new(format!("config.json: process.scheduler: {text}")));
    let realtime = policy == 1 || policy == 2;
    if scheduler.priority.is_some_and(|priority| priority != 0) && !realtime {
        return refuse("priority is only for SCHED_FIFO and SCHED_RR");
    }
    if scheduler.nice.is_some_and(|nice| nice != 0) && policy != 0 && policy != 3 {
        return refuse("nice is only for SCHED_OTHER and SCHED_BATCH");
    }
    if scheduler.nice.is_some_and(|nice| !(-20..=19).contains(&nice)) {
        return refuse("nice is not within -20 and 19");
    }
    let times = [scheduler.runtime, scheduler.deadline, scheduler.period];
    if policy != 6 && times.iter().any(|time| time.is_some_and(|time| time != 0)) {
        return refuse("runtime, deadline and period are only for SCHED_DEADLINE");
    }
    let mut flags = 0;
    for flag in scheduler.flags.iter().flatten() {
        flags |= match flag.as_str() {
            "SCHED_FLAG_RESET_ON_FORK" => 0x01,
            "SCHED_FLAG_RECLAIM" => 0x02,
            "SCHED_FLAG_DL_OVERRUN" => 0x04,
            "SCHED_FLAG_KEEP_POLICY" => 0x08,
            "SCHED_FLAG_KEEP_PARAMS" => 0x10,
            "SCHED_FLAG_UTIL_CLAMP_MIN" => 0x20,
            "SCHED_FLAG_UTIL_CLAMP_MAX" => 0x40,
            _ => return refuse(&format!("unknown flag \"{flag}\"")),
        };
    }
    Ok(SchedAttr {
        policy,
        flags,
        nice: scheduler.nice.unwrap_or(0),
        priority: u32::try_from(scheduler.priority.unwrap_or(0)).unwrap_or(u32::MAX),
        runtime: scheduler.runtime.unwrap_or(0),
        deadline: scheduler.deadline.unwrap_or(0),
        period: scheduler.period.unwrap_or(0),
    })
}

fn io_priority(priority: &oci::LinuxIOPriority) -> Result<IoPriority> {
    let level = priority.priority();
    match u32::try_from(level) {
        Ok(level @ 0..=7) => Ok(IoPriority {
            class: match priority.class() {
                oci::IOPriorityClass::IoprioClassRt => 1,
                oci::IOPriorityClass::IoprioClassBe => 2,
                oci::IOPriorityClass::IoprioClassIdle => 3,
            },
            level,
        }),
        _ => Err(Error::new(format!(
            "config.json: process.ioPriority: priority {level} is not within 0 and 7"
        ))),
    }
}

impl MemoryPolicy {
    pub(crate) fn from_spec(policy: &oci::LinuxMemoryPolicy) -> Result<MemoryPolicy> {
        use oci::{MemoryPolicyFlagType as F, MemoryPolicyModeType as M};
        let mode = match policy.mode() {
            M::MpolDefault => 0,
            M::MpolPreferred => 1,
            M::MpolBind => 2,
            M::MpolInterleave => 3,
            M::MpolLocal => 4,
            M::MpolPreferredMany => 5,
            M::MpolWeightedInterleave => 6,
        };
        let flags = policy.flags().iter().flatten().fold(0, |flags, flag| {
            flags
                | match flag {
                    F::MpolFStaticNodes => 1 << 15,
                    F::MpolFRelativeNodes => 1 << 14,
                    F::MpolFNumaBalancing => 1 << 13,
                }
        });
        let nodes = match policy.nodes().as_deref() {
            None | Some("") => Vec::new(),
            Some(list) => number_list(list, "linux.memoryPolicy.nodes")?,
        };
        Ok(MemoryPolicy { mode: mode | flags, nodes })
    }
}

/// A list such as `0-3,7` as a bit mask (cpuset(7), "List format").
fn number_list(list: &str, field: &str) -> Result<Vec<u64>> {
    /// More than any kernel's NR_CPUS or MAX_NUMNODES.
    const LIMIT: usize = 8192;
    let bad = || Error::new(format!("config.json: {field}: \"{list}\" is not a list of numbers and ranges"));
    let mut mask = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.trim().split_once('-').unwrap_or((range.trim(), range.trim()));
        let (first, last): (usize, usize) =
            (first.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
        if first > last || last >= LIMIT {
            return Err(bad());
        }
        if mask.len() <= last / 64 {
            mask.resize(last / 64 + 1, 0);
        }
        for number in first..=last {
            mask[number / 64] |= 1 << (number % 64);
        }
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_lists() {
        assert_eq!(number_list("0-3,7", "x").unwrap(), [0b1000_1111]);
        assert_eq!(number_list("64", "x").unwrap(), [0, 1]);
        for bad in ["", "3-1", "a", "1-", "9999999"] {
            assert!(number_list(bad, "x").is_err(), "{bad}");
        }
    }

    #[test]
    fn every_capability_has_its_kernel_number() {
        assert_eq!(capability_bit("CAP_CHOWN"), Some(1));
        assert_eq!(capability_bit("CAP_SYS_ADMIN"), Some(1 << 21));
        assert_eq!(capability_bit("cap_checkpoint_restore"), Some(1 << 40));
        assert_eq!(capability_bit("CHOWN"), None);
    }
}
