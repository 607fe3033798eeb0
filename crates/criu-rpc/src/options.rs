//! Options of a dump or a restore, by the names that criu(8) gives them. Configuration files have these names too, and
//! fields of an RPC request are read as if they had been written there. One that is not known, or cannot be held to, is
//! refused by its name.
//!
//! The order is CRIU's: default configuration files, the request, the configuration file that the request names. Later
//! ones have the last word; lists grow.

use crate::messages::{Opts, Pair};
use crate::words;
use checkpoint::{
    CgroupMode, Compared, ExternalFile, FileIdentity, LogFile, OuterLink, OuterUnixSockets, WorkDirectory,
};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

/// Why a descriptor that is told when somebody listens is refused.
pub(crate) const NOBODY_LISTENS: &str =
    "status-fd: only page-server, lazy-pages, and a dump with lazy-pages say that they listen";

/// What CRIU's options say; the fields that are public also mean something to a runtime with an engine of its own.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub(crate) tree: Option<i32>,
    /// In the work directory, or an absolute path, which a request cannot name.
    pub log_file: Option<PathBuf>,
    pub(crate) root: Option<PathBuf>,
    pub(crate) parent: Option<PathBuf>,
    /// Pages go to the server at the address, or at the other end of the socket.
    pub(crate) page_server: bool,
    /// Of a page server, or the path of a service's socket.
    pub(crate) address: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) ps_socket: Option<RawFd>,
    /// It gets a byte of zero when somebody can connect.
    pub(crate) status_fd: Option<RawFd>,
    /// Pages are given up: at a dump by those before it, at a restore by all.
    pub auto_dedup: bool,
    pub leave_running: bool,
    /// By SIGSTOP. It counts for more than `leave_running`.
    pub(crate) leave_stopped: bool,
    pub(crate) display_stats: bool,
    /// Memory is filled by a daemon while the restored tasks run, for which a dump leaves it and serves it.
    pub lazy_pages: bool,
    pub shell_job: bool,
    pub ext_unix_sk: bool,
    /// Inodes of unix sockets that are outside, and are allowed to be peers.
    pub(crate) outer_unix_sockets: Vec<u32>,
    pub tcp_established: bool,
    pub tcp_close: bool,
    pub tcp_skip_in_flight: bool,
    pub file_locks: bool,
    pub link_remap: bool,
    pub(crate) orphan_pts_master: bool,
    pub(crate) restore_sibling: bool,
    pub skips_network_lock: bool,
    /// Tasks stay in whatever cgroup whoever restores is in, and a dump does not say where they were.
    pub(crate) ignores_cgroups: bool,
    pub(crate) cgroups: CgroupMode,
    /// Devices of the tasks' own network namespace are not missed.
    pub(crate) empties_network: bool,
    /// Sysctls that this kernel does not have are not missed.
    pub(crate) weak_sysctls: bool,
    pub(crate) freeze_cgroup: Option<PathBuf>,
    /// Below the mount of cgroup v2.
    pub(crate) cgroup_root: Option<PathBuf>,
    pub(crate) lsm_profile: Option<String>,
    /// At a dump, a path in the container and its name; at a restore, a name and its path on the host.
    pub(crate) mounts: Vec<(String, String)>,
    /// Mounts of the host's file systems are from there, whether they are named or not.
    pub(crate) finds_mounts: bool,
    pub(crate) skipped_mounts: Vec<PathBuf>,
    /// Kinds of file systems that are mounted anew.
    pub(crate) mounted_anew: Vec<String>,
    /// A kind, the inode of a namespace and its name.
    pub(crate) namespaces: Vec<(String, u64, String)>,
    pub(crate) files: Vec<ExternalFile>,
    pub(crate) inherit: Vec<(String, RawFd)>,
    /// What devices lead to outside, by their names. A dump does without.
    pub(crate) outer_links: Vec<(String, OuterLink)>,
    /// A kind and a file.
    pub(crate) join: Vec<(String, PathBuf)>,
    /// A dump says what its processor is, a restore compares that with its own.
    pub(crate) has_processor: bool,
    pub(crate) processor: Compared,
}

/// Nothing of two processors.
pub(crate) const NOTHING: Compared = Compared { fpu: false, instructions: false, all: false };

/// Why an option is refused, with its name.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Options that change nothing here. All is logged, in one file. Deleted files are dumped whatever their size, holes are
/// found by lseek(2), devices are opened by any path that leads to them, what inotify watches is looked for in any case, and
/// mounts from outside may have any propagation. Permissions of files are not compared. A task is known by its pid and the
/// time when it was started. There is one way to restore mounts, and one to read memory. There are no plugins; whatever is
/// waited for has a limit of its own. Without privileges, whatever the kernel refuses is an error.
const WITHOUT_EFFECT: [&str; 19] = [
    "verbosity",
    "ghost-limit",
    "evasive-devices",
    "track-mem",
    "notify-scripts",
    "force-irmap",
    "irmap-scan-path",
    "enable-external-sharing",
    "enable-external-masters",
    "deprecated",
    "ghost-fiemap",
    "libdir",
    "log-pid",
    "log-to-stderr",
    "mntns-compat-mode",
    "pidfd-store",
    "skip-file-rwx-check",
    "timeout",
    "unprivileged",
];

/// Options that are refused for a reason.
const REFUSED: [(&str, &str); 8] = [
    ("allow-uprobes", "a process with breakpoints of uprobes cannot be dumped"),
    ("cgroup-props", "it is not for the caller to say which settings are dumped"),
    ("cgroup-props-file", "it is not for the caller to say which settings are dumped"),
    ("cgroup-dump-controller", "cgroup v2 is one hierarchy"),
    ("cgroup-yard", "cgroups are those of /sys/fs/cgroup"),
    ("exec-cmd", "a request restores, and nothing else"),
    ("lsm-mount-context", "the context of a mount cannot be replaced"),
    ("stream", "images are files of a directory"),
];

/// Options that say how a container is dumped or restored, and, at the end, what a container's own engine has no need of.
const OF_CONTAINERS: [&str; 15] = [
    "leave-running",
    "auto-dedup",
    "lazy-pages",
    "tcp-established",
    "tcp-close",
    "skip-in-flight",
    "ext-unix-sk",
    "shell-job",
    "file-locks",
    "link-remap",
    "network-lock",
    "log-file",
    "manage-cgroups",
    "freeze-cgroup",
    "empty-ns",
];

impl Options {
    /// What a request asks for. `files` are the texts of the default configuration files, with their names.
    pub(crate) fn of(opts: &Opts, files: &[(PathBuf, String)]) -> Result<Options> {
        let mut options = Options::default();
        for (path, text) in files {
            options.read(path, text)?;
        }
        for (name, value) in settings(opts)? {
            options.set(name, &value)?;
        }
        if let Some(path) = opts.config_file.as_deref().map(Path::new) {
            match std::fs::read_to_string(path) {
                Ok(text) => options.read(path, &text)?,
                // As CRIU, which lets runtimes name one in any case.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("{}: {error}", path.display())),
            }
        }
        Ok(options)
    }

    pub(crate) fn outer_unix_sockets(&self) -> OuterUnixSockets {
        match self.ext_unix_sk {
            true => OuterUnixSockets::All,
            false => OuterUnixSockets::Named(self.outer_unix_sockets.clone()),
        }
    }

    /// Begins the log, which has `name` unless it is told.
    pub(crate) fn log(&self, work: &WorkDirectory, name: &str) -> Result<LogFile> {
        let path = self.log_file.as_deref().unwrap_or(Path::new(name));
        work.log(path).map_err(|error| error.to_string())
    }

    /// Reads a configuration file.
    pub(crate) fn read(&mut self, path: &Path, text: &str) -> Result<()> {
        lines(text).try_for_each(|(name, value)| {
            self.set(name, value).map_err(|error| format!("{}: {error}", path.display()))
        })
    }

    /// Reads a configuration file for a container that has its mounts, namespaces and cgroup from config.json.
    ///
    /// # Errors
    /// It has an option that is not supported, or that is about one of those.
    pub fn read_for_container(&mut self, path: &Path, text: &str) -> Result<()> {
        lines(text).try_for_each(|(name, value)| {
            let plain = name.strip_prefix("no-").unwrap_or(name);
            let set = self.set(name, value).and_then(|()| {
                let is_its_own = OF_CONTAINERS.contains(&plain) || WITHOUT_EFFECT.contains(&plain);
                let has_inodes = plain == "ext-unix-sk" && !value.is_empty();
                if is_its_own && !has_inodes {
                    Ok(())
                } else {
                    Err(format!("{name}: that is config.json's to say"))
                }
            });
            set.map_err(|error| format!("{}: {error}", path.display()))
        })
    }

    /// Sets an option by its long name. Of one without an argument the value is empty.
    ///
    /// # Errors
    /// It is not supported, or not with this value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let refused = |why: &str| Err(format!("{name} {value}: {why}"));
        if name == "ext-unix-sk" && !value.is_empty() {
            let inodes: std::result::Result<Vec<u32>, _> = value.split(',').map(str::parse).collect();
            let Ok(inodes) = inodes else { return refused("inodes are needed") };
            self.outer_unix_sockets.extend(inodes);
            return Ok(());
        }
        if let Some(flag) = self.flag(name.strip_prefix("no-").unwrap_or(name)) {
            *flag = !name.starts_with("no-");
            return Ok(());
        }
        match name {
            "tree" => match value.parse() {
                Ok(pid) if pid > 0 => self.tree = Some(pid),
                _ => return refused("not a pid"),
            },
            "log-file" => self.log_file = Some(value.into()),
            "address" => self.address = Some(value.to_owned()),
            "port" => match value.parse() {
                Ok(port) => self.port = Some(port),
                Err(_) => return refused("not a port"),
            },
            "ps-socket" => match value.parse() {
                Ok(fd) if fd >= 0 => self.ps_socket = Some(fd),
                _ => return refused("not a descriptor"),
            },
            "status-fd" => match value.parse() {
                Ok(fd) if fd >= 0 => self.status_fd = Some(fd),
                _ => return refused("not a descriptor"),
            },
            "root" => self.root = Some(value.into()),
            "prev-images-dir" => self.parent = Some(value.into()),
            "network-lock" => match value {
                "skip" => self.skips_network_lock = true,
                // Both mean: lock it. There is one way here, nf_tables without a program.
                "iptables" | "nftables" => self.skips_network_lock = false,
                _ => return refused("iptables, nftables or skip is needed"),
            },
            "manage-cgroups" => {
                self.cgroups = match value {
                    "" | "soft" | "ignore" => CgroupMode::Soft,
                    "none" => CgroupMode::None,
                    "props" => CgroupMode::Props,
                    "full" => CgroupMode::Full,
                    "strict" => CgroupMode::Strict,
                    _ => return refused("none, props, soft, full, strict and ignore are known"),
                };
                self.ignores_cgroups = value == "ignore";
            }
            "freeze-cgroup" => self.freeze_cgroup = Some(value.into()),
            "cgroup-root" => match value.split_once(':') {
                // Of controllers of v1, which are nobody's here.
                Some((controllers, _)) if !controllers.contains('/') => {}
                _ => self.cgroup_root = Some(value.into()),
            },
            "lsm-profile" => self.lsm_profile = Some(value.to_owned()),
            "empty-ns" if value != "net" => return refused("only net can be left empty"),
            "ext-mount-map" if value == "auto" => self.finds_mounts = true,
            "ext-mount-map" => match value.split_once(':') {
                Some((key, value)) => self.mounts.push((key.to_owned(), value.to_owned())),
                _ => return refused("KEY:VALUE is needed, or auto"),
            },
            "skip-mnt" => self.skipped_mounts.push(value.into()),
            "enable-fs" => self.mounted_anew.push(value.to_owned()),
            "external" => self.external(value)?,
            // The form before `external`.
            "veth-pair" => match value.split_once('=') {
                Some((inner, outer)) => self.outer_link("veth", inner, outer),
                None => return refused("INNER=OUTER is needed"),
            },
            "inherit-fd" => {
                let fd = value.strip_prefix("fd[").and_then(|rest| rest.split_once("]:"));
                match fd.and_then(|(fd, key)| Some((fd.parse().ok()?, key))) {
                    Some((fd, key)) => self.inherit.push((key.to_owned(), fd)),
                    None => return refused("fd[NUMBER]:KEY is needed"),
                }
            }
            "join-ns" => match value.split_once(':') {
                Some((kind @ ("ipc" | "uts" | "net" | "time"), of)) => {
                    let file = match of.parse::<u32>() {
                        Ok(pid) => format!("/proc/{pid}/ns/{kind}"),
                        Err(_) => of.to_owned(),
                    };
                    self.join.push((kind.to_owned(), file.into()));
                }
                _ => return refused("ipc, uts, net or time, and a pid or a file, are needed"),
            },
            "empty-ns" => self.empties_network = true,
            "cpu-cap" => self.cpu_cap(value)?,
            "pre-dump-mode" if !["splice", "read"].contains(&value) => {
                return refused("splice or read is needed");
            }
            // Sizes are compared in any case.
            "file-validation" if !["filesize", "buildid"].contains(&value) => {
                return refused("filesize or buildid is needed");
            }
            "pre-dump-mode" | "file-validation" => {}
            _ if WITHOUT_EFFECT.contains(&name.strip_prefix("no-").unwrap_or(name)) => {}
            // As it is in any case.
            _ if name.strip_prefix("no-").is_some_and(words::is_switch) => {}
            _ => {
                let why = REFUSED.iter().find(|(refused, _)| *refused == name);
                let why = why.map_or(String::new(), |(_, why)| format!(": {why}"));
                return Err(format!("{name}: the option is not supported{why}"));
            }
        }
        Ok(())
    }

    fn flag(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "leave-running" => &mut self.leave_running,
            "auto-dedup" => &mut self.auto_dedup,
            "page-server" => &mut self.page_server,
            "leave-stopped" => &mut self.leave_stopped,
            "weak-sysctls" => &mut self.weak_sysctls,
            "display-stats" => &mut self.display_stats,
            "lazy-pages" => &mut self.lazy_pages,
            "shell-job" => &mut self.shell_job,
            "ext-unix-sk" => &mut self.ext_unix_sk,
            "tcp-established" => &mut self.tcp_established,
            "tcp-close" => &mut self.tcp_close,
            "skip-in-flight" => &mut self.tcp_skip_in_flight,
            "file-locks" => &mut self.file_locks,
            "link-remap" => &mut self.link_remap,
            "orphan-pts-master" => &mut self.orphan_pts_master,
            "restore-sibling" => &mut self.restore_sibling,
            _ => return None,
        })
    }

    /// `CAP[,CAP]`, where `^CAP` takes one back; empty for all. They add to what is compared in any case.
    fn cpu_cap(&mut self, value: &str) -> Result<()> {
        let words = if value.is_empty() { "all" } else { value };
        for word in words.split(',') {
            let (name, is_set) = word.strip_prefix('^').map_or((word, true), |name| (name, false));
            let compared = &mut self.processor;
            match name {
                "fpu" => compared.fpu = is_set,
                "ins" => compared.instructions = is_set,
                "cpu" => compared.all = is_set,
                "all" => *compared = Compared { fpu: is_set, instructions: is_set, all: is_set },
                "none" => *compared = Compared { fpu: !is_set, instructions: !is_set, all: !is_set },
                _ => return Err(format!("cpu-cap {value}: cpu, fpu, ins, all and none are supported")),
            }
        }
        self.has_processor = self.processor != NOTHING;
        Ok(())
    }

    /// `KIND[WHAT]:NAME`
    fn external(&mut self, value: &str) -> Result<()> {
        // LXC repeats its option before this one for a network that is empty or none (src/lxc/criu.c, exec_criu). It names
        // nothing, and CRIU looks for nothing that it would name.
        if ["apparmor:", "selinux:", "console:"].iter().any(|repeated| value.starts_with(repeated)) {
            return Ok(());
        }
        let refused = |why: &str| Err(format!("external {value}: {why}"));
        let Some((kind, (what, name))) = value.split_once('[').and_then(|(kind, rest)| {
            Some((kind, rest.split_once("]:").or(rest.strip_suffix(']').map(|it| (it, it)))?))
        }) else {
            return refused("KIND[WHAT]:NAME is needed");
        };
        match kind {
            // With letters for what CRIU allows then, and which is allowed here in any case.
            "mnt" if what.is_empty() => self.finds_mounts = true,
            "mnt" => self.mounts.push((what.to_owned(), name.to_owned())),
            "net" | "pid" => match what.parse() {
                Ok(inode) => self.namespaces.push((kind.to_owned(), inode, name.to_owned())),
                Err(_) => return refused("the inode of a namespace is needed"),
            },
            // As CRIU's, whose numbers are hexadecimal, with what stands for them as the name.
            "tty" | "file" => {
                let hex = |text| u64::from_str_radix(text, 16).ok();
                let numbers = what.split_once(':').and_then(|(a, b)| Some((hex(a)?, hex(b)?)));
                let identity = match (kind, numbers) {
                    ("tty", Some((rdev, dev))) => FileIdentity::Terminal { rdev, dev },
                    (_, Some((mount, ino))) => FileIdentity::Mounted { mount: mount as u32, ino },
                    (_, None) => return refused("two hexadecimal numbers are needed"),
                };
                self.files.push(ExternalFile { identity, key: format!("{kind}[{what}]") });
            }
            "unix" => match what.parse() {
                Ok(inode) => self.outer_unix_sockets.push(inode),
                Err(_) => return refused("the inode of a socket is needed"),
            },
            "veth" | "macvlan" => self.outer_link(kind, what, name),
            _ => {
                return refused(
                    "mounts (mnt), namespaces (net, pid), terminals (tty), files (file), unix sockets (unix) and devices (veth, macvlan) can be external",
                );
            }
        }
        Ok(())
    }

    /// `outer` is `PEER`, `PEER@BRIDGE`, or what a macvlan is on top of.
    fn outer_link(&mut self, kind: &str, inner: &str, outer: &str) {
        let link = match (kind, outer.split_once('@')) {
            ("macvlan", _) => OuterLink::Macvlan { lower: outer.to_owned() },
            (_, Some((peer, bridge))) => {
                OuterLink::Veth { peer: peer.to_owned(), bridge: Some(bridge.to_owned()) }
            }
            (_, None) => OuterLink::Veth { peer: outer.to_owned(), bridge: None },
        };
        self.outer_links.push((inner.to_owned(), link));
    }
}

/// Options and values of a configuration file, one in each line: `NAME`, `NAME VALUE`, `NAME=VALUE`.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let is_between = |c: char| c.is_whitespace() || c == '=';
        let (name, value) = line.split_once(is_between).unwrap_or((line, ""));
        (!name.is_empty()).then(|| (name, value.trim().trim_matches('"')))
    })
}

/// The fields of a request as options, in the order of the protocol.
fn settings(opts: &Opts) -> Result<Vec<(&'static str, String)>> {
    let flags = [
        ("leave-running", opts.leave_running),
        ("ext-unix-sk", opts.ext_unix_sk),
        ("tcp-established", opts.tcp_established),
        ("evasive-devices", opts.evasive_devices),
        ("shell-job", opts.shell_job),
        ("file-locks", opts.file_locks),
        ("notify-scripts", opts.notify_scripts),
        ("track-mem", opts.track_mem),
        ("auto-dedup", opts.auto_dedup),
        ("link-remap", opts.link_remap),
        ("force-irmap", opts.force_irmap),
        ("restore-sibling", opts.rst_sibling),
        ("manage-cgroups", opts.manage_cgroups),
        ("enable-external-sharing", opts.ext_sharing),
        ("enable-external-masters", opts.ext_masters),
        ("skip-in-flight", opts.tcp_skip_in_flight),
        ("weak-sysctls", opts.weak_sysctls),
        ("lazy-pages", opts.lazy_pages),
        ("orphan-pts-master", opts.orphan_pts_master),
        ("tcp-close", opts.tcp_close),
        ("tls", opts.tls),
        ("tls-no-cn-verify", opts.tls_no_cn_verify),
        ("mntns-compat-mode", opts.mntns_compat_mode),
        ("skip-file-rwx-check", opts.skip_file_rwx_check),
        ("unprivileged", opts.unprivileged),
        ("leave-stopped", opts.leave_stopped),
        ("display-stats", opts.display_stats),
        ("log-to-stderr", opts.log_to_stderr),
    ];
    let texts = [
        ("log-file", &opts.log_file),
        ("root", &opts.root),
        ("prev-images-dir", &opts.parent_img),
        ("cgroup-props", &opts.cgroup_props),
        ("cgroup-props-file", &opts.cgroup_props_file),
        ("freeze-cgroup", &opts.freeze_cgroup),
        ("lsm-profile", &opts.lsm_profile),
        ("tls-cacert", &opts.tls_cacert),
        ("tls-cacrl", &opts.tls_cacrl),
        ("tls-cert", &opts.tls_cert),
        ("tls-key", &opts.tls_key),
        ("cgroup-yard", &opts.cgroup_yard),
        ("lsm-mount-context", &opts.lsm_mount_context),
        ("images-dir", &opts.images_dir),
    ];
    let lists = [
        ("exec-cmd", &opts.exec_cmd),
        ("skip-mnt", &opts.skip_mnt),
        ("enable-fs", &opts.enable_fs),
        ("irmap-scan-path", &opts.irmap_scan_paths),
        ("external", &opts.external),
        ("cgroup-dump-controller", &opts.cgroup_dump_controller),
    ];
    if opts.log_file.as_ref().is_some_and(|name| name.contains('/')) {
        return Err("log-file: a name in the work directory is needed".to_owned());
    }
    let pair = |pair: &Pair| format!("{}:{}", pair.first, pair.second);
    let number = |number: Option<u32>| number.filter(|number| *number != 0);
    let mut all: Vec<(&'static str, String)> = Vec::new();
    all.extend(opts.pid.map(|pid| ("tree", pid.to_string())));
    all.extend(
        flags.into_iter().filter(|(_, is_set)| *is_set == Some(true)).map(|(name, _)| (name, String::new())),
    );
    all.extend(
        texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, text.clone().filter(|text| !text.is_empty())?))),
    );
    all.extend(lists.into_iter().flat_map(|(name, list)| list.iter().map(move |text| (name, text.clone()))));
    all.extend(opts.veths.iter().map(|veth| ("veth-pair", format!("{}={}", veth.first, veth.second))));
    all.extend((opts.auto_ext_mnt == Some(true)).then(|| ("ext-mount-map", "auto".to_owned())));
    all.extend(opts.ext_mnt.iter().map(|mount| ("ext-mount-map", pair(mount))));
    for join in &opts.join_ns {
        if let Some(extra) = join.extra_opt.as_deref().filter(|extra| !extra.is_empty()) {
            return Err(format!("join-ns {}: {extra} is not supported", pair(join)));
        }
        all.push(("join-ns", pair(join)));
    }
    all.extend(
        opts.inherit_fd.iter().map(|inherit| ("inherit-fd", format!("fd[{}]:{}", inherit.fd, inherit.key))),
    );
    all.extend(opts.cg_root.iter().map(|root| match root.ctrl.as_deref().unwrap_or_default() {
        "" => ("cgroup-root", root.path.clone()),
        controller => ("cgroup-root", format!("{controller}:{}", root.path)),
    }));
    all.extend(opts.unix_sk_ino.iter().map(|socket| ("external", format!("unix[{}]", socket.inode))));
    if let Some(server) = &opts.ps {
        all.push(("page-server", String::new()));
        all.extend(server.address.iter().map(|address| ("address", address.clone())));
        all.extend(server.port.map(|port| ("port", port.to_string())));
        all.extend(server.fd.map(|fd| ("ps-socket", fd.to_string())));
    }
    all.extend(number(opts.timeout).map(|seconds| ("timeout", seconds.to_string())));
    all.extend(opts.cpu_cap.map(|set| {
        let words = ["fpu", "cpu", "ins"].into_iter().enumerate().filter(|(bit, _)| set & 1 << bit != 0);
        ("cpu-cap", words.fold("none".to_owned(), |text, (_, word)| text + "," + word))
    }));
    all.extend(opts.status_fd.map(|fd| ("status-fd", fd.to_string())));
    all.extend(opts.pidfd_store_sk.map(|fd| ("pidfd-store", fd.to_string())));
    all.extend(number(opts.empty_ns).map(|set| match set {
        CLONE_NEWNET => ("empty-ns", "net".to_owned()),
        others => ("empty-ns", format!("{others:#x}")),
    }));
    all.extend(opts.manage_cgroups_mode.map(|mode| {
        let words = ["ignore", "none", "props", "soft", "full", "strict", "soft"];
        (
            "manage-cgroups",
            words.get(mode as usize).map_or_else(|| mode.to_string(), |word| (*word).to_owned()),
        )
    }));
    all.extend(opts.network_lock.map(|method| {
        let words = ["", "iptables", "nftables", "skip"];
        (
            "network-lock",
            words.get(method as usize).map_or_else(|| method.to_string(), |word| (*word).to_owned()),
        )
    }));
    Ok(all)
}

/// clone(2)
const CLONE_NEWNET: u32 = 0x4000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(first: &str, second: &str) -> Pair {
        Pair { first: first.to_owned(), second: second.to_owned(), extra_opt: None }
    }

    #[test]
    fn what_runc_sends() {
        let opts = Opts {
            images_dir_fd: 7,
            pid: Some(42),
            log_level: Some(4),
            log_file: Some("dump.log".to_owned()),
            leave_running: Some(false),
            tcp_established: Some(true),
            auto_dedup: Some(false),
            lazy_pages: Some(false),
            evasive_devices: Some(true),
            manage_cgroups_mode: Some(6),
            empty_ns: Some(CLONE_NEWNET),
            external: vec!["net[4026532500]:extRootNetNS".to_owned()],
            ext_mnt: vec![pair("/proc/kcore", "/dev/null"), pair("/data", "/data")],
            cg_root: vec![
                CgroupRoot { ctrl: Some("pids".to_owned()), path: "/".to_owned() },
                CgroupRoot { ctrl: Some(String::new()), path: "/c1".to_owned() },
            ],
            inherit_fd: vec![InheritFd { key: "pipe:[17]".to_owned(), fd: 1 }],
            config_file: Some("/nonexistent/runc.conf".to_owned()),
            ..Opts::default()
        };
        let texts = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let expected = Options {
            empties_network: true,
            tree: Some(42),
            log_file: Some("dump.log".into()),
            tcp_established: true,
            cgroup_root: Some("/c1".into()),
            mounts: vec![texts("/proc/kcore", "/dev/null"), texts("/data", "/data")],
            namespaces: vec![("net".to_owned(), 4_026_532_500, "extRootNetNS".to_owned())],
            inherit: vec![("pipe:[17]".to_owned(), 1)],
            ..Options::default()
        };
        assert_eq!(Options::of(&opts, &[]), Ok(expected));
    }

    #[test]
    fn configuration_files() {
        let opts = Opts { tcp_close: Some(true), ..Opts::default() };
        let file = |text: &str| vec![("/etc/criu/default.conf".into(), text.to_owned())];
        let read = |text| Options::of(&opts, &file(text));
        let options =
            read("# of the host\n\nnetwork-lock skip\nno-tcp-close\nfile-locks # all\nlog-file=a.log\n")
                .expect("read");
        assert!(options.skips_network_lock && options.file_locks);
        assert_eq!(options.log_file.as_deref(), Some(Path::new("a.log")));
        // The request comes later.
        assert!(options.tcp_close);
        let refused = read("tls").expect_err("not supported");
        assert_eq!(refused, "/etc/criu/default.conf: tls: the option is not supported");
    }

    #[test]
    fn unix_sockets_outside() {
        let set = |name: &str, value: &str| {
            let mut options = Options::default();
            options.set(name, value).map(|()| options.outer_unix_sockets())
        };
        assert_eq!(set("ext-unix-sk", ""), Ok(OuterUnixSockets::All));
        let two = OuterUnixSockets::Named(vec![17, 18]);
        assert_eq!(set("ext-unix-sk", "17,18"), Ok(two));
        assert_eq!(set("external", "unix[17]"), Ok(OuterUnixSockets::Named(vec![17])));
        assert_eq!(set("ext-unix-sk", "all"), Err("ext-unix-sk all: inodes are needed".to_owned()));
        let refused = "external unix[a]: the inode of a socket is needed";
        assert_eq!(set("external", "unix[a]"), Err(refused.to_owned()));
    }

    #[test]
    fn what_lxc_sends() {
        let mut options = Options::default();
        for (name, value) in [
            ("ext-mount-map", "auto"),
            ("enable-external-sharing", ""),
            ("enable-fs", "tracefs"),
            ("cgroup-root", "lxc.payload.c1"),
            ("force-irmap", ""),
            ("ext-mount-map", "/dev/console:console"),
            ("external", "tty[8800:37]"),
            ("log-file", "/images/dump.log"),
            ("external", "apparmor:unconfined"),
        ] {
            options.set(name, value).expect(name);
        }
        let tty = FileIdentity::Terminal { rdev: 0x8800, dev: 0x37 };
        let expected = Options {
            finds_mounts: true,
            mounted_anew: vec!["tracefs".to_owned()],
            cgroup_root: Some("lxc.payload.c1".into()),
            mounts: vec![("/dev/console".to_owned(), "console".to_owned())],
            files: vec![ExternalFile { identity: tty, key: "tty[8800:37]".to_owned() }],
            log_file: Some("/images/dump.log".into()),
            ..Options::default()
        };
        assert_eq!(options, expected);
        assert!(options.set("external", "tty[88]").expect_err("one number").contains("hexadecimal"));
    }

    #[test]
    fn page_servers() {
        let server = |port| messages::PageServer {
            address: Some("10.0.0.1".to_owned()),
            port: Some(port),
            ..messages::PageServer::default()
        };
        let expected = Options {
            page_server: true,
            address: Some("10.0.0.1".to_owned()),
            port: Some(40_000),
            ..Options::default()
        };
        let opts = |port| Opts { ps: Some(server(port)), ..Opts::default() };
        assert_eq!(Options::of(&opts(40_000), &[]), Ok(expected));
        assert_eq!(Options::of(&opts(-1), &[]).expect_err("no port"), "port -1: not a port");
        let why = Options::default().set("ps-socket", "-1").expect_err("no descriptor");
        assert_eq!(why, "ps-socket -1: not a descriptor");
    }

    #[test]
    fn what_changes_nothing() {
        let mut options = Options::default();
        for (name, value) in [
            ("no-stream", ""),
            ("no-mntns-compat-mode", ""),
            ("timeout", "10"),
            ("pre-dump-mode", "read"),
            ("file-validation", "buildid"),
        ] {
            options.set(name, value).expect(name);
        }
        assert_eq!(options, Options::default());
        let why = options.set("stream", "").expect_err("refused");
        assert_eq!(why, "stream: the option is not supported: images are files of a directory");
        assert!(options.set("pre-dump-mode", "some").is_err() && options.set("file-validation", "").is_err());
    }

    #[test]
    fn what_is_compared_of_processors() {
        let compared = |values: &[&str]| {
            let mut options = Options::default();
            values.iter().try_for_each(|value| options.set("cpu-cap", value))?;
            let Compared { fpu, instructions, all } = options.processor;
            Ok::<_, String>((options.has_processor, [fpu, instructions, all]))
        };
        assert_eq!(compared(&[]), Ok((false, [true, true, false])));
        assert_eq!(compared(&[""]), Ok((true, [true, true, true])));
        assert_eq!(compared(&["cpu,^ins"]), Ok((true, [true, false, true])));
        assert_eq!(compared(&["none"]), Ok((false, [false, false, false])));
        assert_eq!(compared(&["none,ins", "fpu"]), Ok((true, [true, true, false])));
        let why = compared(&["ins,avx"]).expect_err("no such word");
        assert_eq!(why, "cpu-cap ins,avx: cpu, fpu, ins, all and none are supported");
        let opts = Opts { cpu_cap: Some(4), ..Opts::default() };
        let options = Options::of(&opts, &[]).expect("options");
        assert_eq!(options.processor, Compared { instructions: true, ..NOTHING });
    }

    #[test]
    fn modes_of_cgroups() {
        let of = |bit, mode| {
            let opts = Opts { manage_cgroups: bit, manage_cgroups_mode: mode, ..Opts::default() };
            let options = Options::of(&opts, &[]).expect("known");
            (options.ignores_cgroups, options.cgroups)
        };
        assert_eq!(of(None, None), (false, CgroupMode::Soft));
        assert_eq!(of(Some(true), None), (false, CgroupMode::Soft));
        assert_eq!(of(Some(true), Some(0)), (true, CgroupMode::Soft));
        let modes =
            [CgroupMode::None, CgroupMode::Props, CgroupMode::Soft, CgroupMode::Full, CgroupMode::Strict];
        for (number, mode) in (1..).zip(modes) {
            assert_eq!(of(None, Some(number)), (false, mode));
        }
        assert_eq!(of(None, Some(6)), (false, CgroupMode::Soft));
    }

    #[test]
    fn namespaces_to_join() {
        let mut options = Options::default();
        options.set("join-ns", "net:42").expect("a pid");
        options.set("join-ns", "ipc:/run/ipc").expect("a file");
        let joined = [("net", "/proc/42/ns/net"), ("ipc", "/run/ipc")];
        assert_eq!(options.join, joined.map(|(kind, file)| (kind.to_owned(), file.into())));
        assert!(options.set("join-ns", "user:42").is_err());
    }

    #[test]
    fn refused_by_name() {
        let refused = |opts: Opts| Options::of(&opts, &[]).expect_err("refused");
        let tls = Opts { tls: Some(true), ..Opts::default() };
        assert_eq!(refused(tls), "tls: the option is not supported");
        let external = Opts { external: vec!["tap[eth0]:tap1".to_owned()], ..Opts::default() };
        assert!(refused(external).starts_with("external tap[eth0]:tap1: mounts (mnt)"));
        let log = Opts { log_file: Some("../log".to_owned()), ..Opts::default() };
        assert_eq!(refused(log), "log-file: a name in the work directory is needed");
        let mode = Opts { manage_cgroups_mode: Some(7), ..Opts::default() };
        assert_eq!(refused(mode), "manage-cgroups 7: none, props, soft, full, strict and ignore are known");
        let empty = Opts { empty_ns: Some(1), ..Opts::default() };
        assert_eq!(refused(empty), "empty-ns 0x1: only net can be left empty");
    }

    use crate::messages::{self, CgroupRoot, InheritFd};
}
