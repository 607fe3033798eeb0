//! The namespaces of a container: which are its own, and what is in those that are.

use crate::credentials::IdMaps;
use crate::error::{At, Error, Result};
use crate::memory::SharedMemory;
use crate::network;
use crate::proc;
use crate::snapshot::{Ipc, LinkSide, Namespaces, Net};
use crate::sysv;
use crate::target::{Externals, NamespaceKind, Origin};
use crate::task::Answers;
use images::messages::{
    IpcVarEntry, NetnsEntry, PidnsEntry, TaskKobjIdsEntry, TimensEntry, Timespec, UsernsEntry, UtsnsEntry,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// Kinds in the order in which ids are given, their names in /proc/PID/ns, and their flags of clone(2).
const KINDS: [(NamespaceKind, &str, i32); 8] = [
    (NamespaceKind::Pid, "pid", libc::CLONE_NEWPID),
    (NamespaceKind::Net, "net", libc::CLONE_NEWNET),
    (NamespaceKind::Ipc, "ipc", libc::CLONE_NEWIPC),
    (NamespaceKind::Uts, "uts", libc::CLONE_NEWUTS),
    (NamespaceKind::Time, "time", 0x80),
    (NamespaceKind::Mnt, "mnt", libc::CLONE_NEWNS),
    (NamespaceKind::User, "user", libc::CLONE_NEWUSER),
    (NamespaceKind::Cgroup, "cgroup", libc::CLONE_NEWCGROUP),
];

/// The namespaces of a process: inode and id in images of each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ids([(u64, u32); 8]);

/// Ids of the namespaces of this dump.
#[derive(Debug, Default)]
pub(crate) struct Known(Vec<u64>);

impl Known {
    /// Those of a process. A namespace that was not there before gets the next number.
    pub(crate) fn of(&mut self, pid: &str) -> Result<Ids> {
        let mut ids = [(0, 0); 8];
        for ((_, name, _), id) in KINDS.iter().zip(&mut ids) {
            let inode = inode(pid, name)?;
            let at = self.0.iter().position(|known| *known == inode).unwrap_or_else(|| {
                self.0.push(inode);
                self.0.len() - 1
            });
            *id = (inode, at as u32 + 1);
        }
        Ok(Ids(ids))
    }
}

fn inode(pid: &str, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/ns/{name}");
    let link = proc::link(&path)?;
    let inode =
        link.to_string_lossy().split_once(":[").and_then(|(_, rest)| rest.strip_suffix(']')?.parse().ok());
    inode.ok_or_else(|| Error::new(format!("{path}: not as expected")))
}

impl Ids {
    pub(crate) fn id(&self, kind: NamespaceKind) -> u32 {
        let at = KINDS.iter().position(|(known, ..)| *known == kind).expect("all kinds are in the table");
        self.0[at].1
    }

    /// The id of one that is not the host's.
    pub(crate) fn own(&self, kind: NamespaceKind, host: &Ids) -> Option<u32> {
        Some(self.id(kind)).filter(|id| *id != host.id(kind))
    }

    /// The id of the namespace with this inode, if it is one of these.
    pub(crate) fn id_of(&self, inode: u64) -> Option<u32> {
        self.0.iter().find(|(known, _)| *known == inode).map(|(_, id)| *id)
    }

    /// Of which kinds these are others, with their names in /proc/PID/ns.
    pub(crate) fn differences<'a>(
        &'a self,
        others: &'a Ids,
    ) -> impl Iterator<Item = (NamespaceKind, &'static str)> + 'a {
        KINDS
            .iter()
            .zip(self.0.iter().zip(&others.0))
            .filter(|(_, (a, b))| a != b)
            .map(|((kind, name, _), _)| (*kind, *name))
    }

    /// Puts the ids where images have them.
    pub(crate) fn write(&self, entry: &mut TaskKobjIdsEntry) {
        let id = |kind| Some(self.id(kind));
        entry.pid_ns_id = id(NamespaceKind::Pid);
        entry.net_ns_id = id(NamespaceKind::Net);
        entry.ipc_ns_id = id(NamespaceKind::Ipc);
        entry.uts_ns_id = id(NamespaceKind::Uts);
        entry.mnt_ns_id = id(NamespaceKind::Mnt);
        entry.user_ns_id = id(NamespaceKind::User);
        entry.cgroup_ns_id = id(NamespaceKind::Cgroup);
        entry.time_ns_id = id(NamespaceKind::Time);
    }
}

/// What is in the namespaces of a container, and what images lack of its network devices; `host` are those of the dumper.
pub(crate) fn collect(
    init: i32,
    ids: &Ids,
    host: &Ids,
    answers: &Answers,
    maps: &IdMaps,
    externals: &Externals,
    shared: &mut SharedMemory,
) -> Result<(Namespaces, BTreeMap<u32, LinkSide>)> {
    let (mut namespaces, mut links) = (Namespaces::default(), BTreeMap::new());
    let own = |kind| ids.own(kind, host);
    let is_joined = |kind| externals.namespaces.contains(&(kind, Origin::Joined));
    if let Some(id) = own(NamespaceKind::Uts) {
        namespaces.uts.insert(id, uts(answers));
    }
    if let Some(id) = own(NamespaceKind::Ipc) {
        namespaces.ipc.insert(id, inside(init, NamespaceKind::Ipc, || ipc(maps, shared))?);
    }
    if let Some(id) = own(NamespaceKind::User) {
        let (uid_map, gid_map) = (maps.uids.clone(), maps.gids.clone());
        namespaces.user.insert(id, UsernsEntry { uid_map, gid_map });
    }
    if let Some(id) = own(NamespaceKind::Net) {
        // As runc calls one that it is given again at a restore.
        let ext_key = is_joined(NamespaceKind::Net).then(|| b"extRootNetNS".to_vec());
        let mut net = Net { entry: NetnsEntry { ext_key, ..NetnsEntry::default() }, ..Net::default() };
        if externals.keeps_network() {
            (net, links) = inside(init, NamespaceKind::Net, || network::collect(id))?;
        }
        namespaces.net.insert(id, net);
    }
    if let Some(id) = own(NamespaceKind::Pid).filter(|_| is_joined(NamespaceKind::Pid)) {
        namespaces.pid.insert(id, PidnsEntry { ext_key: Some(b"extRootPidNS".to_vec()) });
    }
    let [monotonic, boottime] = answers.clocks.map(|[tv_sec, tv_nsec]| Timespec { tv_sec, tv_nsec });
    // 0 stands for clocks of tasks without a namespace of their own.
    namespaces.time.insert(own(NamespaceKind::Time).unwrap_or(0), TimensEntry { monotonic, boottime });
    Ok((namespaces, links))
}

/// The namespace that a task has answered from.
pub(crate) fn uts(answers: &Answers) -> UtsnsEntry {
    let (nodename, domainname) = (answers.host_name.clone(), answers.domain_name.clone());
    UtsnsEntry { nodename, domainname }
}

/// Kinds of which a task may have another namespace than the first one.
const NESTED: [NamespaceKind; 2] = [NamespaceKind::Mnt, NamespaceKind::Uts];

/// Why a restore could not give a task the namespaces that the first one, which has `first`, does not have. They must be of
/// these kinds, and belong to the same user namespace.
pub(crate) fn nested_refused(
    pid: i32,
    own: &Ids,
    first: &Ids,
    externals: &Externals,
) -> Result<Option<String>> {
    let others: Vec<(NamespaceKind, &str)> = own.differences(first).collect();
    let is_kept = |kind: &NamespaceKind| {
        // What is mounted elsewhere comes from the first one's.
        NESTED.contains(kind) && (*kind != NamespaceKind::Mnt || externals.owns(NamespaceKind::Mnt))
    };
    let refused: Vec<&str> =
        others.iter().filter(|(kind, _)| !is_kept(kind)).map(|(_, name)| *name).collect();
    if !refused.is_empty() {
        let refused = refused.join(", ");
        return Ok(Some(format!(
            "it has namespaces that the container's first process does not have ({refused})"
        )));
    }
    for (_, name) in others {
        let path = format!("/proc/{pid}/ns/{name}");
        let namespace = File::open(&path).at(|| format!("open {path}"))?;
        let owner = sys::process::namespace_owner(namespace.as_fd()).at(|| format!("{path}: its owner"))?;
        let owner = File::from(owner).metadata().at(|| format!("{path}: its owner"))?;
        if first.id_of(owner.ino()) != Some(first.id(NamespaceKind::User)) {
            return Ok(Some(format!(
                "its {name} namespace belongs to another user namespace than the container's"
            )));
        }
    }
    Ok(None)
}

/// Does something in a namespace of a process, and comes back.
pub(crate) fn inside<T>(pid: i32, kind: NamespaceKind, action: impl FnOnce() -> Result<T>) -> Result<T> {
    let (_, name, flag) =
        KINDS.iter().find(|(known, ..)| *known == kind).expect("all kinds are in the table");
    let open = |pid: &str| {
        let path = format!("/proc/{pid}/ns/{name}");
        File::open(&path).at(|| format!("open {path}"))
    };
    visit((name, *flag), &open("self")?, &open(&pid.to_string())?, action)
}

/// The same in a network namespace that is open.
pub(crate) fn inside_network<T>(network: &File, action: impl FnOnce() -> Result<T>) -> Result<T> {
    const OURS: &str = "/proc/self/ns/net";
    let ours = File::open(OURS).at(|| format!("open {OURS}"))?;
    visit(("net", libc::CLONE_NEWNET), &ours, network, action)
}

fn visit<T>(
    (name, flag): (&str, i32),
    ours: &File,
    theirs: &File,
    action: impl FnOnce() -> Result<T>,
) -> Result<T> {
    sys::process::setns(theirs.as_fd(), flag).at(|| format!("enter the {name} namespace of the tasks"))?;
    let result = action();
    sys::process::setns(ours.as_fd(), flag).at(|| format!("return to our {name} namespace"))?;
    result
}

/// What the IPC namespace that we are in has.
fn ipc(maps: &IdMaps, shared: &mut SharedMemory) -> Result<Ipc> {
    Ok(Ipc { variables: Some(ipc_variables()?), ..sysv::collect(maps, shared)? })
}

fn ipc_variables() -> Result<IpcVarEntry> {
    let read = |name: &str| -> Result<Vec<u64>> {
        let text = proc::read(format!("/proc/sys/{name}"))?;
        Ok(text.split_whitespace().filter_map(|number| number.parse().ok()).collect())
    };
    let number = |name: &str| -> Result<u64> {
        read(name)?.first().copied().ok_or_else(|| Error::new(format!("/proc/sys/{name}: not as expected")))
    };
    let narrow = |name: &str| Ok::<u32, Error>(number(name)? as u32);
    Ok(IpcVarEntry {
        sem_ctls: read("kernel/sem")?.into_iter().map(|value| value as u32).collect(),
        msg_ctlmax: narrow("kernel/msgmax")?,
        msg_ctlmnb: narrow("kernel/msgmnb")?,
        msg_ctlmni: narrow("kernel/msgmni")?,
        auto_msgmni: narrow("kernel/auto_msgmni")?,
        shm_ctlmax: number("kernel/shmmax")?,
        shm_ctlall: number("kernel/shmall")?,
        shm_ctlmni: narrow("kernel/shmmni")?,
        shm_rmid_forced: narrow("kernel/shm_rmid_forced")?,
        mq_queues_max: narrow("fs/mqueue/queues_max")?,
        mq_msg_max: narrow("fs/mqueue/msg_max")?,
        mq_msgsize_max: narrow("fs/mqueue/msgsize_max")?,
        mq_msg_default: Some(narrow("fs/mqueue/msg_default")?),
        mq_msgsize_default: Some(narrow("fs/mqueue/msgsize_default")?),
        ..IpcVarEntry::default()
    })
}
