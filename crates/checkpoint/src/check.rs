//! What keeps a container from being dumped, found while it runs: nothing is stopped, frozen or changed.

use crate::cgroups;
use crate::error::{At, Result};
use crate::files::{Kind, SocketRefused, UnixSockets, socket_refused};
use crate::mounts::Mounts;
use crate::namespaces::{Ids, Known};
use crate::proc::{self, Fdinfo, Mapping, Stat, Status};
use crate::shared::Sorted;
use crate::target::{Blocker, DumpOptions, Externals, Target};
use crate::tracking::Tracking;
use crate::tree;
use cgroup::Cgroup;
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};
use sys::inspect::{Shared, kcmp};
use sys::socket::received_bytes;

/// How long to wait for what is over in a moment, most often.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// All that keeps the container from being dumped, while it runs: nothing is stopped or frozen. What ends meanwhile is
/// left out, and so is what passes while nothing else is in the way.
pub fn check(target: &Target<'_>, options: &DumpOptions<'_>) -> Result<Vec<Blocker>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let blockers = look(target, options)?;
        let may_pass = !target.is_paused && blockers.iter().all(|blocker| blocker.is_momentary);
        if blockers.is_empty() || !may_pass || Instant::now() > deadline {
            return Ok(blockers);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn look(target: &Target<'_>, options: &DumpOptions<'_>) -> Result<Vec<Blocker>> {
    let mut known = Known::default();
    let mut check = Check {
        namespaces: known.of(&target.init.to_string())?,
        mounts: proc::Mountinfo::of(target.init)?.iter().map(|mount| mount.id).collect(),
        options,
        externals: &target.externals,
        tracking: Tracking::find(target.tracking),
        known,
        memory: Sorted::default(),
        unix: UnixSockets::of(target.init)?,
        unix_descriptors: BTreeMap::new(),
        are_messages_waiting: false,
        blockers: Vec::new(),
    };
    let mounts = Mounts::of(target.init, &target.externals)?;
    let can_mount = Status::of(target.init)?.bounding & 1 << CAP_SYS_ADMIN != 0;
    for (place, kind) in mounts.unsupported().into_iter().filter(|_| can_mount) {
        let what = format!("mount {}", String::from_utf8_lossy(place));
        check.block(what, format!("the container has mounted it, and {kind} is not supported"), "unmount it");
    }
    if let Some(cgroup) = target.cgroup {
        for path in cgroups::frozen_below(cgroup)? {
            let what = format!("cgroup {}", path.display());
            check.block(what, "the container has frozen it", "thaw it: its tasks have to answer");
        }
    }
    let processes = tree::processes(target.init);
    for pid in &processes {
        // What cannot be read is of a task that has just ended; whatever else it is, the dump will tell.
        let _ = check.process(*pid);
    }
    if let Some(cgroup) = target.cgroup {
        check.blockers.extend(strangers(cgroup, |pid| processes.contains(&pid))?);
    }
    check.unix_peers();
    Ok(check.blockers)
}

/// capabilities(7)
pub(crate) const CAP_SYS_ADMIN: u32 = 21;

struct Check<'a> {
    options: &'a DumpOptions<'a>,
    externals: &'a Externals,
    tracking: Option<Tracking>,
    namespaces: Ids,
    known: Known,
    mounts: Vec<u32>,
    /// Processes by their address spaces.
    memory: Sorted<i32>,
    /// Those of its network namespace, and those of them that it has, by inode, with an owner.
    unix: UnixSockets,
    unix_descriptors: BTreeMap<u32, String>,
    are_messages_waiting: bool,
    blockers: Vec<Blocker>,
}

impl Check<'_> {
    fn block(&mut self, object: String, reason: impl Into<String>, remedy: &str) {
        let (reason, remedy) = (reason.into(), remedy.to_owned());
        self.blockers.push(Blocker { object, reason, remedy, is_momentary: false });
    }

    fn process(&mut self, pid: i32) -> Result<()> {
        let (stat, status) = (Stat::of(pid)?, Status::of(pid)?);
        let object = || format!("task {pid}");
        if stat.state == 'Z' {
            if proc::numbers(format!("/proc/{pid}/task"))?.len() > 1 {
                self.block(object(), "its first thread has ended before the others", "");
            }
            return Ok(());
        }
        if status.tracer != 0 {
            let reason = format!("it is traced by process {}", status.tracer);
            self.block(object(), reason, "detach the debugger");
        }
        if status.pinned_kb != 0 {
            self.block(object(), format!("{} kB of its memory are pinned", status.pinned_kb), "");
        }
        if status.sid == 0 && !self.options.shell_job {
            self.block(object(), "its session began outside of the container", "use --shell-job");
        }
        self.sharing(pid)?;
        let own: Vec<&str> = self.known.of(&pid.to_string())?.differences(&self.namespaces).collect();
        if !own.is_empty() {
            let reason = format!(
                "it has namespaces that the container's first process does not have ({})",
                own.join(", ")
            );
            self.block(object(), reason, "");
        }
        let is_tracked = self.tracking.as_ref().is_some_and(|tracking| tracking.has(pid, stat.start_time));
        for mapping in Mapping::of(pid)? {
            if let Some(reason) = unsupported(&mapping, is_tracked) {
                self.block(format!("task {pid} memory at {:#x}", mapping.start), reason, "");
            }
        }
        for fd in proc::numbers(format!("/proc/{pid}/fd"))? {
            // It may be closed meanwhile.
            let _ = self.descriptor(pid, fd);
        }
        Ok(())
    }

    fn sharing(&mut self, pid: i32) -> Result<()> {
        let compare = |a: &i32, b: &i32| kcmp(*a, *b, Shared::Memory);
        if let Ok((other, false)) = self.memory.id(pid, compare, || pid as u32) {
            let reason = format!("it shares its memory with task {other}");
            self.blockers.push(Blocker {
                object: format!("task {pid}"),
                reason,
                remedy: "try again: a child of vfork(2) does so only for a moment".to_owned(),
                is_momentary: true,
            });
        }
        Ok(())
    }

    /// All that are connected must be there at both ends. One that is on its way in a message cannot be seen from here.
    fn unix_peers(&mut self) {
        if self.options.ext_unix_sk || self.are_messages_waiting {
            return;
        }
        let is_outside = |inode: &u32| {
            let peer = self.unix.peer(*inode);
            self.unix.waits_outside(*inode)
                || peer.is_some_and(|peer| !self.unix_descriptors.contains_key(&peer))
        };
        let outside = self.unix_descriptors.iter().filter(|(inode, _)| is_outside(inode));
        let outside: Vec<String> = outside.map(|(_, object)| object.clone()).collect();
        for object in outside {
            self.blockers.push(Blocker {
                object,
                reason: "a unix socket whose peer is outside of the container".to_owned(),
                remedy: "use --ext-unix-sk".to_owned(),
                // It may have come, or gone, while others were looked at.
                is_momentary: true,
            });
        }
    }

    fn descriptor(&mut self, pid: i32, fd: i32) -> Result<()> {
        let object = || format!("task {pid} fd {fd}");
        let path = format!("/proc/{pid}/fd/{fd}");
        let (link, metadata) = (proc::link(&path)?, std::fs::metadata(&path).at(object)?);
        let info = Fdinfo::of(pid, fd)?;
        if info.value("lock").is_some() && !self.options.file_locks {
            self.block(object(), format!("{} is locked", link.display()), "use --file-locks");
        }
        match Kind::of(&link, &metadata) {
            Ok(Kind::Named)
                if !self.mounts.contains(&info.mnt_id)
                    && self.externals.file(metadata.dev(), metadata.ino()).is_none() =>
            {
                let reason = format!("{} is on a mount that the container does not have", link.display());
                self.block(object(), reason, "give the container a pipe instead");
            }
            Ok(Kind::Named)
                if metadata.nlink() > 0
                    && link.to_string_lossy().ends_with(" (deleted)")
                    && !self.options.link_remap =>
            {
                let reason = format!("{}: the name was removed, and the file has others", link.display());
                self.block(object(), reason, "use --link-remap");
            }
            Ok(Kind::Socket) => {
                let pidfd = sys::process::pidfd_open(pid).at(object)?;
                let socket = sys::process::pidfd_getfd(pidfd.as_fd(), fd).at(object)?;
                let refused = socket_refused(socket.as_fd(), self.options).at(object)?;
                if let Some(SocketRefused { reason, remedy, is_momentary }) = refused {
                    let remedy = remedy.to_owned();
                    self.blockers.push(Blocker { object: object(), reason, remedy, is_momentary });
                }
                let inode = metadata.ino() as u32;
                if let Some(reason) = self.unix.refused(inode, socket.as_fd()).at(object)? {
                    let remedy = "try again when it was accepted".to_owned();
                    let (object, reason) = (object(), reason.to_owned());
                    self.blockers.push(Blocker { object, reason, remedy, is_momentary: true });
                }
                if self.unix.has(inode) {
                    self.unix_descriptors.entry(inode).or_insert_with(object);
                    self.are_messages_waiting |= received_bytes(socket.as_fd()).at(object)? > 0;
                }
            }
            Ok(_) => {}
            Err(reason) => self.block(object(), reason, ""),
        }
        Ok(())
    }
}

/// Processes of a container that are not in its tree, of which `is_known` tells.
pub(crate) fn strangers(cgroup: &Cgroup, is_known: impl Fn(i32) -> bool) -> Result<Vec<Blocker>> {
    let mut strangers = cgroup.processes()?;
    strangers.retain(|pid| !is_known(*pid));
    let blocker = |pid| {
        // One that has ended is nobody's concern.
        let name = proc::read(format!("/proc/{pid}/comm")).ok()?;
        let name = name.trim_end().escape_debug();
        Some(Blocker {
            object: format!("task {pid}"),
            reason: format!(
                "{name} is no descendant of the container's first process: exec has started it, or its parent has ended"
            ),
            remedy: "end it first".to_owned(),
            // Engines look after the health of a container in this way.
            is_momentary: true,
        })
    };
    Ok(strangers.into_iter().filter_map(blocker).collect())
}

/// Why a mapping cannot be dumped.
fn unsupported(mapping: &Mapping, is_tracked: bool) -> Option<String> {
    let name = String::from_utf8_lossy(&mapping.name);
    let kinds = [
        ("anon_inode:[io_uring]", "io_uring is not supported"),
        ("anon_inode:[perf_event]", "perf_event is not supported"),
        ("/secretmem", "memory of memfd_secret(2) is not supported"),
        ("/[aio]", "asynchronous I/O of io_setup(2) is not supported"),
        ("[uprobes]", "it has a breakpoint of uprobes"),
    ];
    if let Some((_, reason)) = kinds.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        return Some((*reason).to_owned());
    }
    let flags = [
        ("ht", "huge pages of hugetlbfs are not supported"),
        ("ss", "a shadow stack is not supported"),
        ("um", "userfaultfd is not supported"),
        ("uw", "userfaultfd is not supported"),
    ];
    // That of a pre-dump is ours.
    let is_ours = |flag: &str| flag == "uw" && is_tracked;
    if let Some((_, reason)) = flags.iter().find(|(flag, _)| mapping.has(flag) && !is_ours(flag)) {
        return Some((*reason).to_owned());
    }
    // Pages without a page of memory behind them, a device's.
    let is_device = mapping.has("pf") && !["[vvar]", "[vvar_vclock]"].contains(&name.as_ref());
    is_device.then(|| format!("the memory of a device ({name}) is not supported"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_supported() {
        let reason = |name: &str, flags: &str| {
            let flags = flags.split(' ').map(str::to_owned).collect();
            unsupported(&Mapping { name: name.as_bytes().to_vec(), flags, ..Mapping::default() }, false)
        };
        assert_eq!(reason("", "rd wr mr"), None);
        assert_eq!(reason("[vvar]", "rd mr pf io dd"), None);
        assert_eq!(
            reason("/secretmem (deleted)", "rd").as_deref(),
            Some("memory of memfd_secret(2) is not supported")
        );
        assert_eq!(reason("", "rd ht").as_deref(), Some("huge pages of hugetlbfs are not supported"));
        assert_eq!(
            reason("/dev/mem", "rd pf").as_deref(),
            Some("the memory of a device (/dev/mem) is not supported")
        );
    }
}
