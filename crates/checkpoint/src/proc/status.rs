//! /proc/PID/status (proc_pid_status(5)). Ids are those of our user namespace, pids those of each pid namespace.

use super::read;
use crate::error::{Error, Result};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) umask: u32,
    pub(crate) tracer: i32,
    /// Real, effective, saved, of the file system.
    pub(crate) uids: [u32; 4],
    pub(crate) gids: [u32; 4],
    pub(crate) groups: Vec<u32>,
    /// In the pid namespace of the task itself.
    pub(crate) pid: u32,
    pub(crate) pgid: u32,
    pub(crate) sid: u32,
    /// How many pid namespaces, from ours on, the task is in.
    pub(crate) pid_depth: usize,
    /// In kilobytes: pages that something in the kernel holds on to.
    pub(crate) pinned_kb: u64,
    /// In kilobytes: memory that is no file's.
    pub(crate) anonymous_kb: u64,
    pub(crate) blocked: u64,
    pub(crate) inheritable: u64,
    pub(crate) permitted: u64,
    pub(crate) effective: u64,
    pub(crate) bounding: u64,
    pub(crate) ambient: u64,
    pub(crate) no_new_privs: bool,
    pub(crate) seccomp: u32,
    pub(crate) is_thp_disabled: bool,
    /// CPUs that it may run on: `0-3,7`.
    pub(crate) cpus: String,
}

impl Status {
    /// Of a process or a thread.
    pub(crate) fn of(pid: i32) -> Result<Status> {
        let path = format!("/proc/{pid}/status");
        Status::parse(&read(&path)?).ok_or_else(|| Error::new(format!("{path}: not as expected")))
    }

    fn parse(text: &str) -> Option<Status> {
        let mut status = Status::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            let set = || u64::from_str_radix(value, 16).ok();
            let last = || value.split_whitespace().next_back()?.parse::<u32>().ok();
            match key {
                "Umask" => status.umask = u32::from_str_radix(value, 8).ok()?,
                "TracerPid" => status.tracer = value.parse().ok()?,
                "Uid" => status.uids = four(value)?,
                "Gid" => status.gids = four(value)?,
                "Groups" => {
                    status.groups = value.split_whitespace().filter_map(|id| id.parse().ok()).collect()
                }
                "NSpid" => {
                    status.pid = last()?;
                    status.pid_depth = value.split_whitespace().count();
                }
                "NSpgid" => status.pgid = last()?,
                "NSsid" => status.sid = last()?,
                "VmPin" => status.pinned_kb = value.split(' ').next()?.parse().ok()?,
                "RssAnon" => status.anonymous_kb = value.split(' ').next()?.parse().ok()?,
                "SigBlk" => status.blocked = set()?,
                "CapInh" => status.inheritable = set()?,
                "CapPrm" => status.permitted = set()?,
                "CapEff" => status.effective = set()?,
                "CapBnd" => status.bounding = set()?,
                "CapAmb" => status.ambient = set()?,
                "NoNewPrivs" => status.no_new_privs = value == "1",
                "Seccomp" => status.seccomp = value.parse().ok()?,
                "Cpus_allowed_list" => status.cpus = value.to_owned(),
                "THP_enabled" => status.is_thp_disabled = value == "0",
                _ => {}
            }
        }
        Some(status).filter(|status| status.pid != 0)
    }
}

fn four(value: &str) -> Option<[u32; 4]> {
    let ids: Vec<u32> = value.split_whitespace().filter_map(|id| id.parse().ok()).collect();
    ids.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_in_a_pid_namespace() {
        let text = "Name:\ta\nUmask:\t0027\nTracerPid:\t0\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t10 20 \n\
            NStgid:\t4100\t7\nNSpid:\t4100\t7\nNSpgid:\t4090\t1\nNSsid:\t4090\t0\nVmPin:\t       8 kB\n\
            SigBlk:\t0000000000010000\nCapEff:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2\nTHP_enabled:\t0\n";
        let status = Status::parse(text).expect("a status");
        assert_eq!((status.pid, status.pgid, status.sid, status.pid_depth), (7, 1, 0, 2));
        assert_eq!((status.umask, status.uids, status.gids), (0o27, [1, 2, 3, 4], [5, 6, 7, 8]));
        assert_eq!((status.groups, status.pinned_kb), (vec![10, 20], 8));
        assert!(status.no_new_privs && status.is_thp_disabled && status.effective == 0xa80425fb);
        assert_eq!(Status::parse("Name:\ta\n"), None);
    }
}
