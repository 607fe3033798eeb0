//! `config.json → Config`: everything the steps need, resolved, owned and checked, with no descriptor in it.
//!
//! All errors of the specification end here, before anything exists that would have to be removed. Nothing
//! here touches the kernel except reading the bundle (`load`).

mod mounts;
mod process;
mod spec;

pub use mounts::{CopySource, FsOption, Idmap, Mount, MountKind, Propagation};
pub(crate) use process::capability_bit;
pub use process::{Capabilities, IoPriority, MemoryPolicy, Process, Rlimit};
pub use spec::{ProcessDocument, load, parse, parse_process};

use crate::error::{At, Error, Result};
use oci_spec::runtime as oci;
use spec::Document;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// One line of an id map (user_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMap {
    pub container_id: u32,
    pub host_id: u32,
    pub size: u32,
}

/// A namespace kind by its `CLONE_NEW*` bit, its config.json name and its file in /proc/PID/ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace {
    pub flag: i32,
    pub name: &'static str,
    pub file: &'static str,
}

/// All kinds, in the order in which they are joined: what later ones may need comes first, and `mnt` last
/// because paths mean something else after it.
pub const NAMESPACES: [Namespace; 8] = [
    Namespace { flag: libc::CLONE_NEWUSER, name: "user", file: "user" },
    Namespace { flag: libc::CLONE_NEWIPC, name: "ipc", file: "ipc" },
    Namespace { flag: libc::CLONE_NEWUTS, name: "uts", file: "uts" },
    Namespace { flag: libc::CLONE_NEWNET, name: "network", file: "net" },
    Namespace { flag: libc::CLONE_NEWPID, name: "pid", file: "pid" },
    Namespace { flag: libc::CLONE_NEWCGROUP, name: "cgroup", file: "cgroup" },
    Namespace { flag: CLONE_NEWTIME, name: "time", file: "time" },
    Namespace { flag: libc::CLONE_NEWNS, name: "mount", file: "mnt" },
];

/// time_namespaces(7); libc has it only for some targets.
pub const CLONE_NEWTIME: i32 = 0x80;

/// A device node to make in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub path: String,
    /// `S_IFCHR`, `S_IFBLK` or `S_IFIFO`.
    pub kind: u32,
    pub major: u32,
    pub minor: u32,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// One hook of runtime-spec `config.md`, POSIX-platform hooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub path: String,
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub timeout_s: Option<u32>,
}

/// The six kinds, each in the order of config.json.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    pub prestart: Vec<Hook>,
    pub create_runtime: Vec<Hook>,
    pub create_container: Vec<Hook>,
    pub start_container: Vec<Hook>,
    pub poststart: Vec<Hook>,
    pub poststop: Vec<Hook>,
    /// Files on the host that their output is appended to (`run.oci.hooks.stdout`, `run.oci.hooks.stderr`).
    pub stdout: Option<PathBuf>,
    pub stderr: Option<PathBuf>,
}

/// An offset of a clock of a new time namespace (time_namespaces(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeOffset {
    /// `monotonic` or `boottime`.
    pub clock: String,
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// A container as config.json wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub oci_version: String,
    pub bundle: PathBuf,
    /// Absolute; `load` has checked that it is a directory.
    pub rootfs: PathBuf,
    pub rootfs_readonly: bool,
    pub rootfs_propagation: Option<Propagation>,
    /// `CLONE_NEW*` bits of the namespaces to create.
    pub new_namespaces: i32,
    pub joined_namespaces: Vec<(Namespace, PathBuf)>,
    pub uid_maps: Vec<IdMap>,
    pub gid_maps: Vec<IdMap>,
    pub time_offsets: Vec<TimeOffset>,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub mounts: Vec<Mount>,
    /// linux.mountLabel, which is among the options of each mount that takes it.
    pub mount_label: Option<String>,
    pub devices: Vec<Device>,
    pub masked_paths: Vec<String>,
    pub readonly_paths: Vec<String>,
    /// File below /proc/sys and its value, sorted by file.
    pub sysctls: Vec<(String, String)>,
    pub process: Process,
    pub seccomp: Option<oci::LinuxSeccomp>,
    pub cgroups_path: Option<PathBuf>,
    pub resources: Option<oci::LinuxResources>,
    pub hooks: Hooks,
    pub annotations: BTreeMap<String, String>,
    /// personality(2).
    pub personality: Option<u64>,
    pub memory_policy: Option<MemoryPolicy>,
    /// Name on the host and name in the container.
    pub net_devices: Vec<(String, String)>,
    pub intel_rdt: Option<oci::LinuxIntelRdt>,
    /// Who gets a pidfd of init (`run.oci.pidfd_receiver`) if no option says so.
    pub pidfd_receiver: Option<PathBuf>,
    /// What the specification says must be warned about and not fail.
    pub warnings: Vec<String>,
}

impl Config {
    pub fn creates(&self, flag: i32) -> bool {
        self.new_namespaces & flag != 0
    }

    pub fn joins(&self, flag: i32) -> bool {
        self.joined_namespaces.iter().any(|(namespace, _)| namespace.flag == flag)
    }

    /// Whether the container's user namespace is not ours.
    pub fn has_user_namespace(&self) -> bool {
        self.creates(libc::CLONE_NEWUSER) || self.joins(libc::CLONE_NEWUSER)
    }

    /// Resolves a parsed document. `bundle` is absolute; relative paths in the document mean below it.
    fn from_document(spec: &Document, bundle: &Path) -> Result<Config> {
        check_version(&spec.oci_version)?;
        let root = spec.root.as_ref().ok_or_else(|| Error::new("config.json: root is missing"))?;
        if root.path().as_os_str().is_empty() {
            return Err(Error::new("config.json: root.path is empty"));
        }
        let process = spec.process.as_ref().ok_or_else(|| Error::new("config.json: process is missing"))?;
        let linux = spec.linux.clone().unwrap_or_else(empty_linux);
        let mut warnings = Vec::new();

        let annotations: BTreeMap<String, String> =
            spec.annotations.iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        let (new_namespaces, joined_namespaces) = namespaces(&linux)?;
        let config = Config {
            oci_version: spec.oci_version.clone(),
            bundle: bundle.to_owned(),
            rootfs: bundle.join(root.path()),
            rootfs_readonly: root.readonly().unwrap_or(false),
            rootfs_propagation: match linux.rootfs_propagation().as_deref() {
                None | Some("") => None,
                Some(text) => Some(Propagation::parse(text).ok_or_else(|| {
                    Error::new(format!("config.json: linux.rootfsPropagation: unknown value \"{text}\""))
                })?),
            },
            new_namespaces,
            joined_namespaces,
            uid_maps: id_maps(linux.uid_mappings(), "linux.uidMappings")?,
            gid_maps: id_maps(linux.gid_mappings(), "linux.gidMappings")?,
            time_offsets: time_offsets(&linux)?,
            hostname: spec.hostname.clone().filter(|name| !name.is_empty()),
            domainname: spec.domainname.clone().filter(|name| !name.is_empty()),
            mounts: mounts::mounts(
                spec.mounts.as_deref().unwrap_or_default(),
                mount_label(&linux, &annotations)?.as_ref(),
                bundle,
                &mut warnings,
            )?,
            mount_label: linux.mount_label().clone().filter(|label| !label.is_empty()),
            devices: devices(&linux)?,
            masked_paths: absolute_paths(linux.masked_paths(), "linux.maskedPaths")?,
            readonly_paths: absolute_paths(linux.readonly_paths(), "linux.readonlyPaths")?,
            sysctls: Vec::new(),
            process: Process::from_document(process, &mut warnings)?,
            seccomp: seccomp(&linux, &annotations)?,
            cgroups_path: linux.cgroups_path().clone().filter(|path| !path.as_os_str().is_empty()),
            resources: linux.resources().clone(),
            hooks: hooks(spec.hooks.clone().unwrap_or_default(), &annotations)?,
            personality: personality(&linux, &mut warnings),
            memory_policy: linux.memory_policy().as_ref().map(MemoryPolicy::from_spec).transpose()?,
            net_devices: net_devices(&linux)?,
            intel_rdt: linux.intel_rdt().clone(),
            pidfd_receiver: annotated_path(&annotations, "run.oci.pidfd_receiver")?,
            annotations,
            warnings,
        };
        let sysctls = sysctls(&linux, &config)?;
        let config = Config { sysctls, ..config };
        check(&config, &linux)?;
        Ok(config)
    }
}

/// Finds contradictions between fields.
fn check(config: &Config, linux: &oci::Linux) -> Result<()> {
    let refuse = |text: &str| Err(Error::new(format!("config.json: {text}")));
    let has = |flag: i32| config.creates(flag) || config.joins(flag);
    if !has(libc::CLONE_NEWNS) {
        return refuse("linux.namespaces: a mount namespace is required");
    }
    if config.hostname.is_some() && !has(libc::CLONE_NEWUTS) {
        return refuse("hostname: it needs a uts namespace in linux.namespaces");
    }
    if config.domainname.is_some() && !has(libc::CLONE_NEWUTS) {
        return refuse("domainname: it needs a uts namespace in linux.namespaces");
    }
    if config.creates(libc::CLONE_NEWUSER) && (config.uid_maps.is_empty() || config.gid_maps.is_empty()) {
        return refuse(
            "linux.namespaces: a new user namespace needs linux.uidMappings and linux.gidMappings",
        );
    }
    if !config.time_offsets.is_empty() && !config.creates(CLONE_NEWTIME) {
        return refuse("linux.timeOffsets: they need a new time namespace in linux.namespaces");
    }
    if !config.net_devices.is_empty() && !has(libc::CLONE_NEWNET) {
        return refuse("linux.netDevices: they need a network namespace in linux.namespaces");
    }
    if (!config.masked_paths.is_empty() || !config.readonly_paths.is_empty()) && !has(libc::CLONE_NEWNS) {
        return refuse("linux.maskedPaths and linux.readonlyPaths need a mount namespace");
    }
    if linux.mount_label().as_deref().is_some_and(|label| label.contains('"')) {
        return refuse("linux.mountLabel: a quotation mark is not allowed in it");
    }
    Ok(())
}

/// 1.x.y with an optional suffix (runtime-spec `config.md`, ociVersion).
fn check_version(version: &str) -> Result<()> {
    let major = version.split('.').next().unwrap_or_default();
    match (major.parse::<u32>(), version.split('.').count()) {
        (Ok(1), 3..) => Ok(()),
        // runc takes bundles of the release candidates, and Docker's first ones wrote 0.6.
        (Ok(0), 3..) => Ok(()),
        _ if version.is_empty() => Err(Error::new("config.json: ociVersion is missing or empty")),
        _ => Err(Error::new(format!("config.json: ociVersion: \"{version}\" is not supported; 1.x.y is"))),
    }
}

/// linux.mountLabel as a mount option. Podman says with crun's annotation which of SELinux's four options it is
/// (`--security-opt label=…` and its `context` mount options, mount(8)).
fn mount_label(linux: &oci::Linux, annotations: &BTreeMap<String, String>) -> Result<Option<FsOption>> {
    const TYPE: &str = "run.oci.mount_context_type";
    let kind = match annotations.get(TYPE).map_or("context", String::as_str) {
        kind @ ("context" | "fscontext" | "defcontext" | "rootcontext") => kind,
        kind => {
            return Err(Error::new(format!("config.json: annotations: {TYPE}: unknown value \"{kind}\"")));
        }
    };
    let label = linux.mount_label().as_deref().filter(|label| !label.is_empty());
    Ok(label.map(|label| FsOption::Value(kind.into(), label.into())))
}

/// linux.seccomp. What linux.seccomp.listenerPath leaves open, crun's annotation may say.
fn seccomp(linux: &oci::Linux, annotations: &BTreeMap<String, String>) -> Result<Option<oci::LinuxSeccomp>> {
    let mut seccomp = linux.seccomp().clone();
    if let Some(profile) = &mut seccomp
        && profile.listener_path().is_none()
        && profile
            .syscalls()
            .iter()
            .flatten()
            .any(|rule| rule.action() == oci::LinuxSeccompAction::ScmpActNotify)
    {
        profile.set_listener_path(annotated_path(annotations, "run.oci.seccomp.receiver")?);
    }
    Ok(seccomp)
}

/// The path in one of crun's annotations. Absolute: nobody knows what else it would be relative to.
fn annotated_path(annotations: &BTreeMap<String, String>, name: &str) -> Result<Option<PathBuf>> {
    match annotations.get(name).map(PathBuf::from) {
        Some(path) if !path.is_absolute() => Err(Error::new(format!(
            "config.json: annotations: {name}: \"{}\" is not an absolute path",
            path.display()
        ))),
        path => Ok(path),
    }
}

/// oci-spec's `Linux::default()` masks paths and creates namespaces: no section must mean nothing.
fn empty_linux() -> oci::Linux {
    let mut linux = oci::Linux::default();
    linux.set_namespaces(None).set_masked_paths(None).set_readonly_paths(None).set_resources(None);
    linux
}

fn namespaces(linux: &oci::Linux) -> Result<(i32, Vec<(Namespace, PathBuf)>)> {
    let (mut new, mut seen, mut joined) = (0, 0, Vec::new());
    for entry in linux.namespaces().iter().flatten() {
        let flag = entry.typ() as i32;
        let namespace =
            *NAMESPACES.iter().find(|kind| kind.flag == flag).expect("oci-spec knows the same eight kinds");
        if seen & flag != 0 {
            return Err(Error::new(format!(
                "config.json: linux.namespaces: \"{}\" is listed twice",
                namespace.name
            )));
        }
        seen |= flag;
        match entry.path().as_ref().filter(|path| !path.as_os_str().is_empty()) {
            None => new |= flag,
            Some(path) if path.is_absolute() => joined.push((namespace, path.clone())),
            Some(path) => {
                return Err(Error::new(format!(
                    "config.json: linux.namespaces: path {} of \"{}\" is not absolute",
                    path.display(),
                    namespace.name
                )));
            }
        }
    }
    let order = |flag: i32| NAMESPACES.iter().position(|kind| kind.flag == flag);
    joined.sort_by_key(|(namespace, _)| order(namespace.flag));
    Ok((new, joined))
}

pub(crate) fn id_maps(maps: &Option<Vec<oci::LinuxIdMapping>>, field: &str) -> Result<Vec<IdMap>> {
    let maps: Vec<IdMap> = maps
        .iter()
        .flatten()
        .map(|map| IdMap { container_id: map.container_id(), host_id: map.host_id(), size: map.size() })
        .collect();
    if let Some(empty) = maps.iter().position(|map| map.size == 0) {
        return Err(Error::new(format!("config.json: {field}[{empty}]: size is 0")));
    }
    Ok(maps)
}

fn time_offsets(linux: &oci::Linux) -> Result<Vec<TimeOffset>> {
    let mut offsets = Vec::new();
    for (clock, offset) in linux.time_offsets().iter().flatten() {
        if clock != "monotonic" && clock != "boottime" {
            return Err(Error::new(format!("config.json: linux.timeOffsets: unknown clock \"{clock}\"")));
        }
        offsets.push(TimeOffset {
            clock: clock.clone(),
            seconds: offset.secs().unwrap_or(0),
            nanoseconds: offset.nanosecs().unwrap_or(0),
        });
    }
    offsets.sort_by(|a, b| a.clock.cmp(&b.clock));
    Ok(offsets)
}

fn devices(linux: &oci::Linux) -> Result<Vec<Device>> {
    linux
        .devices()
        .iter()
        .flatten()
        .map(|device| {
            let path = device.path().to_string_lossy().into_owned();
            let bad = |what: String| Err(Error::new(format!("config.json: linux.devices: {path}: {what}")));
            if !path.starts_with('/') {
                return bad("the path is not absolute".into());
            }
            let kind = match device.typ() {
                oci::LinuxDeviceType::C | oci::LinuxDeviceType::U => libc::S_IFCHR,
                oci::LinuxDeviceType::B => libc::S_IFBLK,
                oci::LinuxDeviceType::P => libc::S_IFIFO,
                oci::LinuxDeviceType::A => return bad("type \"a\" is only for device rules".into()),
            };
            let (Ok(major), Ok(minor)) = (u32::try_from(device.major()), u32::try_from(device.minor()))
            else {
                return bad(format!("device number {}:{} is negative", device.major(), device.minor()));
            };
            Ok(Device {
                kind,
                major,
                minor,
                mode: device.file_mode().unwrap_or(0o666) & 0o7777,
                uid: device.uid().unwrap_or(0),
                gid: device.gid().unwrap_or(0),
                path,
            })
        })
        .collect()
}

fn absolute_paths(paths: &Option<Vec<String>>, field: &str) -> Result<Vec<String>> {
    let paths = paths.clone().unwrap_or_default();
    match paths.iter().find(|path| !path.starts_with('/')) {
        Some(path) => Err(Error::new(format!("config.json: {field}: \"{path}\" is not absolute"))),
        None => Ok(paths),
    }
}

/// The file of a sysctl below /proc/sys. The first separator decides which of `.` and `/` separates
/// (sysctl(8)); the other one then stands for itself, so that `net.ipv4.conf.eth0/1.forwarding` works.
fn sysctl_file(key: &str) -> String {
    match key.find(['.', '/']) {
        Some(first) if key.as_bytes()[first] == b'.' => key
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
        _ => key.to_owned(),
    }
}

fn sysctls(linux: &oci::Linux, config: &Config) -> Result<Vec<(String, String)>> {
    const IPC: [&str; 9] = [
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/sem",
        "kernel/shmall",
        "kernel/shmmax",
        "kernel/shmmni",
        "kernel/shm_rmid_forced",
        "kernel/shm_next_id",
    ];
    let own = |flag: i32| config.creates(flag) || config.joins(flag);
    let mut result = Vec::new();
    for (key, value) in linux.sysctl().iter().flatten() {
        let file = sysctl_file(key);
        let refuse = |why: &str| Err(Error::new(format!("config.json: linux.sysctl: \"{key}\" {why}")));
        let clean = Path::new(&file).components().all(|part| matches!(part, Component::Normal(_)));
        if !clean || file.is_empty() {
            return refuse("is not the name of a sysctl");
        }
        let is_ipc = IPC.contains(&file.as_str()) || file.starts_with("fs/mqueue/");
        if is_ipc {
            if !own(libc::CLONE_NEWIPC) {
                return refuse("is not allowed without an ipc namespace of the container's own");
            }
        } else if file.starts_with("net/") {
            if !own(libc::CLONE_NEWNET) {
                return refuse("is not allowed without a network namespace of the container's own");
            }
        } else if file == "kernel/domainname" {
            if !own(libc::CLONE_NEWUTS) {
                return refuse("is not allowed without a uts namespace of the container's own");
            }
        } else if file == "kernel/hostname" {
            return refuse("conflicts with the hostname field; use that");
        } else if file.starts_with("user/") {
            if !config.has_user_namespace() {
                return refuse("is not allowed without a user namespace of the container's own");
            }
        } else {
            return refuse("is not in a namespace, so it would change the host");
        }
        result.push((file, value.clone()));
    }
    result.sort();
    Ok(result)
}

fn hooks(hooks: oci::Hooks, annotations: &BTreeMap<String, String>) -> Result<Hooks> {
    let list = |kind: &str, list: &Option<Vec<oci::Hook>>| -> Result<Vec<Hook>> {
        list.iter()
            .flatten()
            .map(|hook| {
                let path = hook.path().to_string_lossy().into_owned();
                if !path.starts_with('/') {
                    return Err(Error::new(format!("config.json: hooks.{kind}: \"{path}\" is not absolute")));
                }
                let timeout_s = match hook.timeout() {
                    None => None,
                    Some(seconds) => {
                        Some(u32::try_from(seconds).ok().filter(|s| *s > 0).ok_or_else(|| {
                            Error::new(format!(
                                "config.json: hooks.{kind}: {path}: timeout {seconds} is not above 0"
                            ))
                        })?)
                    }
                };
                Ok(Hook {
                    args: hook.args().clone().unwrap_or_default(),
                    env: hook.env().clone().unwrap_or_default(),
                    timeout_s,
                    path,
                })
            })
            .collect()
    };
    Ok(Hooks {
        prestart: list("prestart", hooks.prestart())?,
        create_runtime: list("createRuntime", hooks.create_runtime())?,
        create_container: list("createContainer", hooks.create_container())?,
        start_container: list("startContainer", hooks.start_container())?,
        poststart: list("poststart", hooks.poststart())?,
        poststop: list("poststop", hooks.poststop())?,
        stdout: annotated_path(annotations, "run.oci.hooks.stdout")?,
        stderr: annotated_path(annotations, "run.oci.hooks.stderr")?,
    })
}

/// personality(2), sys/personality.h.
const PER_LINUX: u64 = 0;
const PER_LINUX32: u64 = 8;

fn personality(linux: &oci::Linux, warnings: &mut Vec<String>) -> Option<u64> {
    let personality = linux.personality().as_ref()?;
    if personality.flags().as_ref().is_some_and(|flags| !flags.is_empty()) {
        // The specification defines no flag yet; runc warns too.
        warnings.push("linux.personality.flags: no flag is defined, they are ignored".into());
    }
    Some(match personality.domain() {
        oci::LinuxPersonalityDomain::PerLinux => PER_LINUX,
        oci::LinuxPersonalityDomain::PerLinux32 => PER_LINUX32,
    })
}

fn net_devices(linux: &oci::Linux) -> Result<Vec<(String, String)>> {
    let valid = |name: &str| {
        !name.is_empty()
            && name.len() < libc::IFNAMSIZ
            && name != "."
            && name != ".."
            && !name.contains(|c: char| c == '/' || c == ':' || c == '%' || c.is_whitespace())
    };
    let mut devices = Vec::new();
    for (host, device) in linux.net_devices().iter().flatten() {
        let name = device.name().clone().filter(|name| !name.is_empty()).unwrap_or_else(|| host.clone());
        for name in [host, &name] {
            if !valid(name) {
                return Err(Error::new(format!(
                    "config.json: linux.netDevices: \"{name}\" is not the name of a network device"
                )));
            }
        }
        if devices.iter().any(|(_, taken)| *taken == name) {
            return Err(Error::new(format!("config.json: linux.netDevices: name \"{name}\" is used twice")));
        }
        devices.push((host.clone(), name));
    }
    devices.sort();
    Ok(devices)
}

/// Checks that the root file system is a directory and makes its path canonical.
pub(crate) fn resolve_rootfs(config: &mut Config) -> Result<()> {
    let path = config.rootfs.clone();
    config.rootfs =
        std::fs::canonicalize(&path).map_err(sys::Errno::from).at(|| format!("rootfs {}", path.display()))?;
    if !config.rootfs.is_dir() {
        return Err(Error::new(format!("rootfs {}: not a directory", path.display())));
    }
    if config.rootfs == Path::new("/") && !config.creates(libc::CLONE_NEWNS) {
        return Err(Error::new("rootfs /: it needs a new mount namespace"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
