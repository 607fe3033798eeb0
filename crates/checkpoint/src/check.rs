//! What keeps a container from being dumped, found while it runs: nothing is stopped, frozen or changed.

use crate::cgroups;
use crate::credentials::IdMaps;
use crate::error::{At, Result};
use crate::files::{
    Kind, OTHER_DEVPTS, SocketRefused, UnixSockets, fanotify_refused, has_breaking_lease, keeps_connection,
    socket_refused,
};
use crate::message_queues::{self, NOT_OWN, QueueFiles};
use crate::mounts::{MountNamespaces, Mounts};
use crate::namespaces::{self, Ids, Known};
use crate::network;
use crate::network_lock;
use crate::proc::{self, Fdinfo, Mapping, Stat, Status};
use crate::shared::Sorted;
use crate::target::{Blocker, DumpOptions, Externals, NamespaceKind, OuterUnixSockets, Target};
use crate::tracking::Tracking;
use crate::tree;
use cgroup::Cgroup;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
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
    let mounts = Mounts::of(target.init, &target.externals)?;
    let unsupported: Vec<(String, String)> = mounts
        .unsupported()
        .into_iter()
        .map(|(place, kind)| (String::from_utf8_lossy(place).into_owned(), kind.to_owned()))
        .collect();
    let mut check = Check {
        namespaces: known.of(&target.init.to_string())?,
        mounts: MountNamespaces::new(mounts),
        options,
        recorded: target.recorded,
        externals: &target.externals,
        tracking: Tracking::find(target.tracking),
        known,
        ids: BTreeMap::new(),
        memory: Sorted::default(),
        queues: QueueFiles::of(target.init)?,
        unix: UnixSockets::of(target.init)?,
        unix_descriptors: BTreeMap::new(),
        are_messages_waiting: false,
        connection: None,
        blockers: Vec::new(),
    };
    // Those of the host are not the tasks' to have mounted.
    let owns_mounts = target.externals.owns(NamespaceKind::Mnt);
    let can_mount = Status::of(target.init)?.bounding & 1 << CAP_SYS_ADMIN != 0;
    let are_made = target.externals.other_mounts.are_made;
    let is_made_again = owns_mounts && (can_mount || are_made);
    for (place, kind) in unsupported.into_iter().filter(|_| is_made_again) {
        let what = format!("mount {place}");
        let (reason, remedy) = match are_made {
            true => (format!("{kind} is not supported"), "name it as external"),
            false => (format!("the container has mounted it, and {kind} is not supported"), "unmount it"),
        };
        check.block(what, reason, remedy);
    }
    // Documentation/admin-guide/kernel-parameters.txt, since Linux 6.12.
    let parameters = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    if parameters.split_whitespace().any(|parameter| parameter == "proc_mem.force_override=never") {
        let reason = "proc_mem.force_override=never keeps tracers, too, from writing to a task's vdso";
        check.block("the kernel".to_owned(), reason, "boot it with proc_mem.force_override=ptrace");
    }
    if let Some(cgroup) = target.cgroup {
        for path in cgroups::frozen_below(cgroup)? {
            let what = format!("cgroup {}", path.display());
            check.block(what, "the container has frozen it", "thaw it: its tasks have to answer");
        }
    }
    let processes = tree::processes(target.init);
    check.namespaces_of_tasks(&processes, target.init)?;
    for pid in &processes {
        // What cannot be read is of a task that has just ended; whatever else it is, the dump will tell.
        let _ = check.process(*pid);
    }
    if let Some(cgroup) = target.cgroup {
        // Asked for after the cgroup's list, or a child that is born between the two would be a stranger.
        let now = OnceCell::new();
        let is_known = |pid| now.get_or_init(|| tree::processes(target.init)).contains(&pid);
        check.blockers.extend(strangers(cgroup, is_known)?);
    }
    check.unix_peers();
    check.network_lock(target.init)?;
    if target.externals.keeps_network() && !options.pre_dump {
        namespaces::inside(target.init, NamespaceKind::Net, || network::collect(0))?;
    }
    Ok(check.blockers)
}

/// capabilities(7)
pub(crate) const CAP_SYS_ADMIN: u32 = 21;

struct Check<'a> {
    options: &'a DumpOptions<'a>,
    recorded: Option<&'a Cgroup>,
    externals: &'a Externals,
    tracking: Option<Tracking>,
    namespaces: Ids,
    known: Known,
    /// Of the processes that are still to be looked at.
    ids: BTreeMap<i32, Ids>,
    mounts: MountNamespaces,
    /// Processes by their address spaces.
    memory: Sorted<i32>,
    /// Where its message queues are.
    queues: Option<QueueFiles>,
    /// Those of its network namespace, and those of them that it has, by inode, with an owner.
    unix: UnixSockets,
    unix_descriptors: BTreeMap<u32, String>,
    are_messages_waiting: bool,
    /// The owner of one of TCP that is to be kept.
    connection: Option<String>,
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
        if let Some(recorded) = self.recorded {
            let cgroups = proc::read(format!("/proc/{pid}/cgroup"))?;
            let own = recorded.path().strip_prefix(cgroup::MOUNT).unwrap_or(recorded.path());
            let unified = cgroups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
            if !Path::new(unified).starts_with(own) {
                let reason = format!("it is not in cgroup {}, or below it", recorded.path().display());
                self.block(object(), reason, "move it there, or use --manage-cgroups=ignore");
            }
        }
        if status.pinned_kb != 0 {
            self.block(object(), format!("{} kB of its memory are pinned", status.pinned_kb), "");
        }
        if status.sid == 0 && !self.options.shell_job {
            self.block(object(), "its session began outside of the container", "use --shell-job");
        }
        self.sharing(pid)?;
        let own = match self.ids.remove(&pid) {
            Some(own) => own,
            None => self.known.of(&pid.to_string())?,
        };
        if let Some(reason) = namespaces::nested_refused(pid, &own, &self.namespaces, self.externals)? {
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

    /// Looks for mount namespaces that tasks have made.
    fn namespaces_of_tasks(&mut self, processes: &[i32], init: i32) -> Result<()> {
        for pid in processes {
            // One that has just ended has none.
            self.ids.extend(self.known.of(&pid.to_string()).ok().map(|ids| (*pid, ids)));
        }
        let tasks = self.ids.iter().map(|(pid, ids)| (*pid, ids.id(NamespaceKind::Mnt)));
        if let Some(reason) = self.mounts.add(self.namespaces.id(NamespaceKind::Mnt), tasks)? {
            self.block("mounts".to_owned(), reason, "");
        }
        if !self.mounts.has_nested() {
            return Ok(());
        }
        for (place, kind) in self.mounts.unsupported(&IdMaps::of(init)?) {
            let what = format!("mount {} in a namespace of its own", place.display());
            self.block(
                what,
                format!("{kind} that the container does not show elsewhere is not supported"),
                "",
            );
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
        let allowed = &self.options.outer_unix_sockets;
        if *allowed == OuterUnixSockets::All || self.are_messages_waiting {
            return;
        }
        let is_outside = |inode: &u32| {
            let peer = self.unix.peer(*inode);
            self.unix.waits_outside(*inode)
                || peer.is_some_and(|peer| !allowed.allow(peer) && !self.unix_descriptors.contains_key(&peer))
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

    fn message_queue(&mut self, pid: i32, fd: i32) -> Result<()> {
        let object = || format!("task {pid} fd {fd}");
        if !self.externals.owns(NamespaceKind::Ipc) {
            self.block(object(), NOT_OWN, "");
            return Ok(());
        }
        let pidfd = sys::process::pidfd_open(pid).at(object)?;
        let queue = File::from(sys::process::pidfd_getfd(pidfd.as_fd(), fd).at(object)?);
        if let Some(reason) = message_queues::refused(&queue)? {
            self.block(object(), reason, "");
        }
        Ok(())
    }

    fn network_lock(&mut self, init: i32) -> Result<()> {
        let Some(object) = self.connection.take().filter(|_| self.options.lock_network) else {
            return Ok(());
        };
        if !namespaces::inside(init, NamespaceKind::Net, || Ok(network_lock::is_possible()))? {
            let reason =
                "its network cannot be locked: the kernel has no nf_tables, or does not let us use it";
            self.block(
                object,
                reason,
                "use --network-lock skip, and see to it that nothing is sent meanwhile",
            );
        }
        Ok(())
    }

    fn descriptor(&mut self, pid: i32, fd: i32) -> Result<()> {
        let object = || format!("task {pid} fd {fd}");
        let path = format!("/proc/{pid}/fd/{fd}");
        let (link, metadata) = (proc::link(&path)?, std::fs::metadata(&path).at(object)?);
        let info = Fdinfo::of(pid, fd)?;
        if has_breaking_lease(&info) {
            let reason = format!("somebody waits for its lease of {} to be given up", link.display());
            let remedy = "try again when it is".to_owned();
            self.blockers.push(Blocker { object: object(), reason, remedy, is_momentary: true });
        } else if info.value("lock").is_some() && !self.options.file_locks {
            self.block(object(), format!("{} is locked", link.display()), "use --file-locks");
        }
        if self.queues.as_ref().is_some_and(|queues| queues.has(&metadata)) {
            return self.message_queue(pid, fd);
        }
        match Kind::of(&link, &metadata) {
            Ok(Kind::Named)
                if self.mounts.of_mount(info.mnt_id).is_none()
                    && self.externals.file(&metadata, info.mnt_id).is_none() =>
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
            Ok(Kind::Terminal) if self.mounts.is_only_nested(info.mnt_id, metadata.dev()) => {
                self.block(object(), OTHER_DEVPTS, "");
            }
            Ok(Kind::Socket) => {
                let pidfd = sys::process::pidfd_open(pid).at(object)?;
                let socket = sys::process::pidfd_getfd(pidfd.as_fd(), fd).at(object)?;
                let refused = socket_refused(socket.as_fd(), self.options).at(object)?;
                if let Some(SocketRefused { reason, remedy, is_momentary }) = refused {
                    let remedy = remedy.to_owned();
                    self.blockers.push(Blocker { object: object(), reason, remedy, is_momentary });
                }
                if keeps_connection(socket.as_fd(), self.options).at(object)? {
                    self.connection.get_or_insert_with(object);
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
            Ok(Kind::Fanotify) => {
                if let Some(reason) = fanotify_refused(&info) {
                    self.block(object(), reason, "");
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
        ("[uprobes]", "it has a breakpoint of uprobes"),
    ];
    if let Some((_, reason)) = kinds.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        return Some((*reason).to_owned());
    }
    if mapping.has("ht") && name.starts_with("/SYSV") {
        return Some("a System V segment in huge pages (SHM_HUGETLB) is not supported".to_owned());
    }
    if name.starts_with("socket:") && (!mapping.is_shared || mapping.offset != 0) {
        return Some(
            "a private mapping of a packet socket's rings, or of a part of them, is not supported".to_owned(),
        );
    }
    let flags = [
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
        assert_eq!(reason("/anon_hugepage (deleted)", "rd ht"), None);
        assert_eq!(
            reason("/SYSV00000001 (deleted)", "rd sh ht").as_deref(),
            Some("a System V segment in huge pages (SHM_HUGETLB) is not supported")
        );
        assert_eq!(
            reason("/dev/mem", "rd pf").as_deref(),
            Some("the memory of a device (/dev/mem) is not supported")
        );
    }
}
