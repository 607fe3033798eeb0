//! What a restore may give to tasks, told by those who know what a container is.

use crate::target::{NamespaceKind, Origin};
use std::os::fd::RawFd;
use sys::security::SockFilter;

/// What decides at a restore, whatever the images say. They carry state and can only take away from this.
#[derive(Debug)]
pub struct Policy {
    pub namespaces: Vec<(NamespaceKind, Origin)>,
    /// Sets of capabilities(7): none that is missing here is restored.
    pub capabilities: Capabilities,
    /// Set in every task when it is set here.
    pub no_new_privileges: bool,
    /// The first filter of every task.
    pub seccomp: Option<Filter>,
    /// Hard limits that no task's exceeds.
    pub rlimits: Vec<(u32, u64)>,
    pub selinux_label: Option<String>,
    pub apparmor_profile: Option<String>,
    /// Files of the images by their key and the descriptor of the nursery that they become.
    pub inherited: Vec<(String, RawFd)>,
    /// Descriptors 0 to 2 of the nursery are the container's new terminal, and the images' terminal becomes it.
    pub has_console: bool,
    pub tcp_established: bool,
    /// Established connections come back as closed.
    pub tcp_close: bool,
    pub ext_unix_sk: bool,
    pub shell_job: bool,
    pub file_locks: bool,
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

/// A seccomp filter and the flags to install it with (seccomp(2)).
#[derive(Debug)]
pub struct Filter {
    pub program: Vec<SockFilter>,
    pub flags: u64,
}
