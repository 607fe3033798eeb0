//! What a restore may give to tasks, told by those who know what a container is.

use crate::target::{NamespaceKind, Origin, OuterUnixSockets};
use std::os::fd::RawFd;
use std::path::PathBuf;
use sys::security::SockFilter;

/// What decides at a restore, whatever the images say. They carry state and can only take away from this.
#[derive(Debug)]
pub struct Policy {
    pub namespaces: Vec<(NamespaceKind, Origin)>,
    /// Whom the container runs as. Others come into being only from what `may_change_uid` and `may_change_gid` tell.
    pub user: User,
    /// Sets of capabilities(7): none that is missing here is restored.
    pub capabilities: Capabilities,
    /// Set in every task when it is set here.
    pub no_new_privileges: bool,
    /// The first filter of every task.
    pub seccomp: Option<Filter>,
    /// Hard limits that no task's exceeds.
    pub rlimits: Vec<(u32, u64)>,
    /// Labels of every task. The images have none that counts.
    pub selinux_label: Option<String>,
    pub apparmor_profile: Option<String>,
    /// The UTS namespace has its names already.
    pub has_names: bool,
    pub cgroups: CgroupPolicy,
    /// Where the container has a tmpfs of its own, which alone is filled: a path in it, whose links are resolved there.
    pub tmpfs: Vec<PathBuf>,
    /// Where all mounts but the root are still to be made as the images say, device nodes included: what those from outside
    /// become, by their key, as detached mounts that are open in the nursery. Its working directory is the host's root, over
    /// its own. `None` where config.json has made them.
    pub mounts: Option<Vec<(Vec<u8>, RawFd)>>,
    /// Files of the images by their key and the descriptor of the nursery that they become.
    pub inherited: Vec<(String, RawFd)>,
    /// Descriptors 0 to 2 of the nursery are the container's new terminal, and the images' terminal becomes it.
    pub has_console: bool,
    /// Established connections come back as such, to whomever the images say.
    pub tcp_established: bool,
    /// Established connections come back as closed.
    pub tcp_close: bool,
    /// Those that datagrams are sent to are connected to by their names; connections come back as ended.
    pub outer_unix_sockets: OuterUnixSockets,
    /// Packets of established connections are dropped until the tasks run.
    pub lock_network: bool,
    /// Where the network namespace is new, and gets devices, addresses, routes, rules and sysctls from the images: what
    /// those of its devices that lead outside are to lead to, by their names.
    pub network: Option<Vec<(String, OuterLink)>>,
    /// Sysctls that this kernel does not have are left out of it, instead of being an error.
    pub skips_missing_sysctls: bool,
}

/// What becomes of cgroups of the images, beside the membership of the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupPolicy {
    pub mode: CgroupMode,
    pub own: OwnCgroup,
}

/// CRIU's `--manage-cgroups`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupMode {
    /// They must be there, and stay as they are.
    None,
    /// They must be there, and get their settings.
    Props,
    /// Those that are missing are made and get their settings.
    #[default]
    Soft,
    /// Those that are missing are made, and all get their settings.
    Full,
    /// None may be there: all are made and get their settings.
    Strict,
}

impl CgroupMode {
    pub fn makes_missing(self) -> bool {
        !matches!(self, CgroupMode::None | CgroupMode::Props)
    }

    /// Whether those that were there before get settings.
    pub(crate) fn sets_found(self) -> bool {
        matches!(self, CgroupMode::Props | CgroupMode::Full)
    }
}

/// The cgroup that all tasks are in, or below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnCgroup {
    /// Its settings are somebody else's to give, but for how it is divided among those below it.
    Configured,
    /// It was there before the restore. Others may be in it.
    Found,
    /// Made for the restore.
    Made,
}

/// What a device leads to in the network of whoever restores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OuterLink {
    /// A veth's peer, which is made, and becomes a port of a bridge that is there.
    Veth { peer: String, bridge: Option<String> },
    /// The device that a macvlan is on top of.
    Macvlan { lower: String },
}

/// Ids as the container's user namespace has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// One bit per capability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub bounding: u64,
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
    pub ambient: u64,
}

/// Numbers of capabilities(7).
const CHOWN: u32 = 0;
const DAC_OVERRIDE: u32 = 1;
pub(crate) const DAC_READ_SEARCH: u32 = 2;
const FOWNER: u32 = 3;
const FSETID: u32 = 4;
const SETGID: u32 = 6;
const SETUID: u32 = 7;
pub(crate) const SETPCAP: u32 = 8;
pub(crate) const SYS_RAWIO: u32 = 17;
pub(crate) const SYS_ADMIN: u32 = 21;
pub(crate) const SYS_RESOURCE: u32 = 24;

/// The measure of what follows is a hostile program in a hostile root file system: what it could get with the same policy,
/// an image may have, and no more.
impl Policy {
    /// The capabilities that any process of the container could have come to. Without no_new_privs a program file gives
    /// what the bounding set has.
    pub(crate) fn ceiling(&self) -> u64 {
        match self.no_new_privileges {
            true => self.capabilities.permitted,
            false => self.capabilities.permitted | self.capabilities.bounding,
        }
    }

    pub(crate) fn can_have(&self, capability: u32) -> bool {
        self.ceiling() & 1 << capability != 0
    }

    /// Whether a process of the container could have come to any uid: by itself, or by a setuid program.
    pub(crate) fn may_change_uid(&self) -> bool {
        !self.no_new_privileges || self.can_have(SETUID)
    }

    /// The same for groups.
    pub(crate) fn may_change_gid(&self) -> bool {
        !self.no_new_privileges || self.can_have(SETGID)
    }

    /// The capabilities with which names of the images are looked up and files are opened and made. Who can become any
    /// user can do what the owner of any file can.
    pub(crate) fn file_capabilities(&self) -> u64 {
        const OF_OWNERS: u64 =
            1 << CHOWN | 1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH | 1 << FOWNER | 1 << FSETID;
        self.ceiling() | if self.may_change_uid() { OF_OWNERS } else { 0 }
    }

    /// Whether the container has a namespace of this kind that was made for it.
    pub(crate) fn owns(&self, kind: NamespaceKind) -> bool {
        self.namespaces.contains(&(kind, Origin::Own))
    }
}

/// A seccomp filter and the flags to install it with (seccomp(2)).
#[derive(Debug)]
pub struct Filter {
    pub program: Vec<SockFilter>,
    pub flags: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(no_new_privileges: bool, bounding: u64, permitted: u64) -> Policy {
        Policy {
            namespaces: vec![(NamespaceKind::Ipc, Origin::Own), (NamespaceKind::Net, Origin::Host)],
            user: User::default(),
            capabilities: Capabilities { bounding, permitted, ..Capabilities::default() },
            no_new_privileges,
            seccomp: None,
            rlimits: Vec::new(),
            selinux_label: None,
            apparmor_profile: None,
            has_names: false,
            cgroups: CgroupPolicy { mode: CgroupMode::Full, own: OwnCgroup::Configured },
            tmpfs: Vec::new(),
            mounts: None,
            inherited: Vec::new(),
            has_console: false,
            tcp_established: false,
            tcp_close: false,
            lock_network: true,
            network: None,
            outer_unix_sockets: OuterUnixSockets::default(),
            skips_missing_sysctls: false,
        }
    }

    #[test]
    fn program_files_give_nothing_with_no_new_privs() {
        let (some, few) = (1 << SETUID | 1 << SETGID | 1 << SYS_ADMIN, 1 << SETPCAP);
        let with = policy(true, some, few);
        assert_eq!((with.ceiling(), with.may_change_uid(), with.may_change_gid()), (few, false, false));
        assert_eq!(with.file_capabilities(), few);
        let without = policy(false, some, few);
        assert_eq!((without.ceiling(), without.may_change_uid()), (some | few, true));
        assert!(without.file_capabilities() & 1 << DAC_OVERRIDE != 0);
    }

    #[test]
    fn who_can_be_any_user_is_the_owner_of_any_file() {
        let owner = policy(true, 0, 1 << SETUID);
        assert_eq!((owner.may_change_uid(), owner.may_change_gid()), (true, false));
        assert_eq!(owner.file_capabilities(), 1 << SETUID | 0b11111);
        assert!(!owner.can_have(DAC_OVERRIDE));
    }

    #[test]
    fn only_own_namespaces_are_owned() {
        let policy = policy(true, 0, 0);
        let kinds = [NamespaceKind::Ipc, NamespaceKind::Net, NamespaceKind::Uts];
        assert_eq!(kinds.map(|kind| policy.owns(kind)), [true, false, false]);
    }
}
