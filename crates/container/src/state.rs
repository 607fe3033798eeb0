//! What floe remembers about a container: `ROOT/ID/state.json` and `init.json`, the copy of config.json beside it, and the
//! start socket whose listener is the container's init while it waits to be started.
//!
//! The status is never stored: it is asked of the kernel each time, so that it cannot be wrong.

use crate::error::{At, Error, Kind, Result};
use crate::{Runtime, State, Status};
use cgroup::Cgroup;
use cgroup::systemd::Scope;
use checkpoint::LockName;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use sys::Errno;

const STATE_FILE: &str = "state.json";
const INIT_FILE: &str = "init.json";
const CONFIG_FILE: &str = "config.json";
pub(crate) const START_SOCKET: &str = "start.sock";
/// Is there from a `restore --no-start` on until `start` takes it away and thaws the tasks.
const HELD_FILE: &str = "held";

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub(crate) struct ProcessId {
    pub(crate) pid: i32,
    /// Clock ticks since boot (proc_pid_stat(5), field 22).
    pub(crate) start_time: u64,
}

/// The contents of state.json: what is known before anything exists.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stored {
    pub(crate) oci_version: String,
    pub(crate) id: String,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    pub(crate) created: String,
    pub(crate) annotations: BTreeMap<String, String>,
    /// Missing when no cgroup is used.
    pub(crate) cgroup: Option<PathBuf>,
    /// The unit whose cgroup it is, with the systemd driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<Scope>,
    /// `create` was asked for: `start` ends the wait.
    pub(crate) waits_for_start: bool,
}

/// The contents of init.json, which is there when the container is.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Made {
    #[serde(flatten)]
    pub(crate) init: ProcessId,
    /// resctrl group to remove with the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) intel_rdt: Option<PathBuf>,
    /// What init was given as standard descriptors and the container's file systems do not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) outside: Vec<OutsideFile>,
}

/// A file of whoever called floe. A checkpoint names it, and a restore puts another in its place.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub(crate) struct OutsideFile {
    /// 0, 1 or 2.
    pub(crate) number: i32,
    /// `st_dev` and `st_ino` of fstat(2).
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    /// As CRIU's `--inherit-fd` names it: `pipe:[17]`, `socket:[18]`, `tty[8803:19]`, `file[3a:2b]`.
    pub(crate) key: String,
}

/// A container found under the root.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) dir: PathBuf,
    pub(crate) stored: Stored,
    /// Missing while the container is being created.
    pub(crate) made: Option<Made>,
}

/// What is left of a container whose files are damaged.
#[derive(Debug)]
pub(crate) struct Salvaged {
    /// Init's pidfd, if it lives.
    pub(crate) init: Option<OwnedFd>,
    /// By state.json, or by config.json with the living init in it.
    pub(crate) cgroup: Option<PathBuf>,
    /// By config.json alone: it may have become another container's.
    pub(crate) maybe_cgroup: Option<Cgroup>,
}

/// 1 to 1,024 characters of `[A-Za-z0-9_+.-]`, as runc, and not `.` or `..`.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
    let why = if id.is_empty() {
        "it is empty"
    } else if id.len() > 1024 {
        "it is longer than 1024 characters"
    } else if id == "." || id == ".." {
        "it is a directory reference"
    } else if !id.chars().all(allowed) {
        "only letters, digits and _ + - . are allowed"
    } else {
        return Ok(());
    };
    let shown: String = id.chars().take(80).collect();
    Err(Error::of_kind(Kind::InvalidId, format!("\"{}\": {why}", shown.escape_debug())))
}

/// Makes `ROOT/ID`, which claims the id.
pub(crate) fn claim(rt: &Runtime, id: &str) -> Result<PathBuf> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(&rt.root)
        .map_err(Errno::from)
        .at(|| format!("create {}", rt.root.display()))?;
    let dir = rt.root.join(id);
    // Nobody else may connect to the start socket in it.
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => Ok(dir),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Error::of_kind(Kind::Exists, format!("{} exists", dir.display())))
        }
        Err(e) => Err(Errno::from(e)).at(|| format!("create {}", dir.display())),
    }
}

/// Removes `ROOT/ID`, which frees the id; false when another process did it first. Who has removed the state is first:
/// of those who remove a directory several may think so.
pub(crate) fn release(dir: &Path) -> Result<bool> {
    let is_first = fs::remove_file(dir.join(STATE_FILE)).is_ok();
    let removed = match fs::remove_dir_all(dir) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
            // Without a descriptor to read the directory: all that is in it while a container is made.
            for name in [STATE_FILE, INIT_FILE, CONFIG_FILE, START_SOCKET, HELD_FILE] {
                let _ = fs::remove_file(dir.join(name));
            }
            fs::remove_dir(dir)
        }
        other => other,
    };
    match removed {
        Ok(()) => Ok(is_first),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(is_first),
        Err(e) => Err(Errno::from(e)).at(|| format!("remove {}", dir.display())),
    }
}

impl Container {
    pub(crate) fn open(rt: &Runtime, id: &str) -> Result<Container> {
        check_id(id)?;
        let dir = rt.root.join(id);
        let file = dir.join(STATE_FILE);
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::of_kind(Kind::NotFound, "container does not exist"));
            }
            Err(e) => return Err(Errno::from(e)).at(|| format!("read {}", file.display())),
        };
        let stored = serde_json::from_slice(&bytes).at(|| format!("read {}", file.display()))?;
        let file = dir.join(INIT_FILE);
        let made = match fs::read(&file) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).at(|| format!("read {}", file.display()))?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(Errno::from(e)).at(|| format!("read {}", file.display())),
        };
        Ok(Container { dir, stored, made })
    }

    /// What can still be read of a container whose files are damaged.
    pub(crate) fn salvage(rt: &Runtime, id: &str) -> Salvaged {
        let dir = rt.root.join(id);
        let document = |name: &str| -> serde_json::Value {
            fs::read(dir.join(name))
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or_default()
        };
        let init: Option<ProcessId> = serde_json::from_value(document(INIT_FILE)).ok();
        let alive = init.and_then(live_init);
        if let Some(path) = document(STATE_FILE)["cgroup"].as_str() {
            return Salvaged { init: alive, cgroup: Some(path.into()), maybe_cgroup: None };
        }
        let config = document(CONFIG_FILE);
        let path = config["linux"]["cgroupsPath"].as_str().map(Path::new);
        let planned = Cgroup::resolve(path, id).ok().filter(|_| config.is_object());
        let holds_init = |planned: &Cgroup| {
            let actual = init.filter(|_| alive.is_some()).and_then(|init| Cgroup::of_process(init.pid).ok());
            actual.is_some_and(|actual| actual.path().starts_with(planned.path()))
        };
        match planned {
            Some(planned) if holds_init(&planned) => {
                Salvaged { init: alive, cgroup: Some(planned.path().to_owned()), maybe_cgroup: None }
            }
            planned => Salvaged { init: alive, cgroup: None, maybe_cgroup: planned },
        }
    }

    /// Writes state.json so that a reader sees all of it or nothing.
    pub(crate) fn save(&self) -> Result<()> {
        let text = serde_json::to_vec(&self.stored).at(|| "write state.json")?;
        write_atomically(&self.dir.join(STATE_FILE), &text)
    }

    /// Writes init.json: from now on the container exists. A file of its own, as replacing one makes ext4
    /// wait for the disk (ext4(5), auto_da_alloc).
    pub(crate) fn save_made(&self) -> Result<()> {
        let text = serde_json::to_vec(&self.made).at(|| "write init.json")?;
        write_atomically(&self.dir.join(INIT_FILE), &text)
    }

    /// Init's pid, or 0 while there is none.
    pub(crate) fn init_pid(&self) -> i32 {
        self.made.as_ref().map_or(0, |made| made.init.pid)
    }

    /// Keeps config.json as it was at `create`: later changes to the bundle have no effect (runtime.md).
    pub(crate) fn save_config(&self, bytes: &[u8]) -> Result<()> {
        let file = self.dir.join(CONFIG_FILE);
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file)
            .and_then(|mut f| f.write_all(bytes))
            .map_err(Errno::from)
            .at(|| format!("write {}", file.display()))
    }

    pub(crate) fn config(&self) -> Result<crate::config::Config> {
        let file = self.dir.join(CONFIG_FILE);
        let bytes = fs::read(&file).map_err(Errno::from).at(|| format!("read {}", file.display()))?;
        crate::config::parse(&bytes, &self.stored.bundle)
    }

    /// Keeps other checkpoints away until it is dropped: they would take a container that one of them has frozen for a
    /// paused one.
    pub(crate) fn lock(&self) -> Result<Flock<fs::File>> {
        let what = || format!("lock {}", self.dir.display());
        let dir = fs::File::open(&self.dir).map_err(Errno::from).at(what)?;
        Flock::lock(dir, FlockArg::LockExclusiveNonblock).map_err(|(_, e)| match e {
            nix::Error::EWOULDBLOCK => Error::new("another checkpoint of the container is being made"),
            e => Error::new(format!("{}: {}", what(), Errno::from(e))),
        })
    }

    pub(crate) fn cgroup(&self) -> Result<Option<Cgroup>> {
        self.stored.cgroup.as_deref().map(Cgroup::open).transpose().at(|| "open cgroup")
    }

    /// Init's pidfd, or `None` when it has ended.
    pub(crate) fn init(&self) -> Option<(i32, OwnedFd)> {
        let init = self.made.as_ref()?.init;
        Some((init.pid, live_init(init)?))
    }

    pub(crate) fn status(&self) -> Result<Status> {
        if self.made.is_none() {
            return Ok(Status::Creating);
        }
        if self.init().is_none() {
            return Ok(Status::Stopped);
        }
        if let Some(cgroup) = self.cgroup()?
            && cgroup.is_frozen().at(|| format!("cgroup {}", cgroup.path().display()))?
        {
            return Ok(if self.is_held() { Status::Created } else { Status::Paused });
        }
        if self.stored.waits_for_start && self.connect_start()?.is_some() {
            return Ok(Status::Created);
        }
        Ok(Status::Running)
    }

    /// A connection to the init that waits for `start`, or `None` when it waits no longer: the listener is
    /// close-on-exec, so it is gone with the program's first instruction.
    pub(crate) fn connect_start(&self) -> Result<Option<OwnedFd>> {
        let what = || format!("connect to {}", self.dir.join(START_SOCKET).display());
        let client = socket(
            AddressFamily::Unix,
            SockType::SeqPacket,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None,
        )
        .map_err(Errno::from)
        .at(what)?;
        let (_dir, address) = socket_address(&self.dir, START_SOCKET)?;
        match connect(client.as_raw_fd(), &address) {
            Ok(()) => Ok(Some(client)),
            // A full queue has a listener too.
            Err(nix::Error::EAGAIN) => Ok(Some(client)),
            Err(nix::Error::ECONNREFUSED | nix::Error::ENOENT) => Ok(None),
            Err(e) => Err(Errno::from(e)).at(what),
        }
    }

    /// Notes that the tasks, once they are frozen, wait for `start`, which has to take a lock away.
    pub(crate) fn hold(&self, lock: Option<LockName>) -> Result<()> {
        let text = serde_json::to_vec(&lock).at(|| format!("write {HELD_FILE}"))?;
        write_atomically(&self.dir.join(HELD_FILE), &text)
    }

    /// Takes away what keeps packets from a container that waits for its start. Without it they come later.
    pub(crate) fn unlock(&self) -> Result<()> {
        let lock = fs::read(self.dir.join(HELD_FILE)).ok();
        let lock: Option<LockName> = lock.and_then(|text| serde_json::from_slice(&text).ok()).flatten();
        match (lock, self.init()) {
            (Some(name), Some((init, _))) => {
                checkpoint::unlock(init, name).map_err(|e| Error::new(e.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Whether `restore --no-start` has made it and nobody has started it since.
    pub(crate) fn is_held(&self) -> bool {
        self.dir.join(HELD_FILE).exists()
    }

    /// Takes the note away; false when another process did it first.
    pub(crate) fn take_hold(&self) -> Result<bool> {
        let file = self.dir.join(HELD_FILE);
        match fs::remove_file(&file) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Errno::from(e)).at(|| format!("remove {}", file.display())),
        }
    }

    pub(crate) fn describe(&self) -> Result<State> {
        let status = self.status()?;
        let pid = match status {
            Status::Stopped | Status::Creating => 0,
            _ => self.init_pid(),
        };
        let owner = fs::metadata(&self.dir).map(|dir| dir.uid()).unwrap_or(0);
        Ok(State {
            oci_version: self.stored.oci_version.clone(),
            id: self.stored.id.clone(),
            pid,
            status,
            bundle: self.stored.bundle.clone(),
            rootfs: self.stored.rootfs.clone(),
            created: self.stored.created.clone(),
            annotations: self.stored.annotations.clone(),
            owner: user_name(owner),
        })
    }
}

fn live_init(init: ProcessId) -> Option<OwnedFd> {
    let pidfd = sys::process::pidfd_open(init.pid).ok()?;
    // The order matters: the pidfd holds the process, so what stat says afterwards is about it.
    let stat = ProcStat::read(init.pid)?;
    (stat.start_time == init.start_time && !stat.ended).then_some(pidfd)
}

/// A socket path of any length: addresses hold 107 bytes, so the directory goes in by descriptor.
pub(crate) fn socket_address(dir: &Path, name: &str) -> Result<(OwnedFd, UnixAddr)> {
    let dirfd: OwnedFd = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(dir)
        .map_err(Errno::from)
        .at(|| format!("open {}", dir.display()))?
        .into();
    let path = format!("/proc/self/fd/{}/{name}", dirfd.as_fd().as_raw_fd());
    let address = UnixAddr::new(path.as_str()).map_err(Errno::from).at(|| format!("address of {name}"))?;
    Ok((dirfd, address))
}

/// Writes a file under another name and renames it into place.
pub(crate) fn write_atomically(file: &Path, contents: &[u8]) -> Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let temporary = file.with_file_name(format!(".{name}.{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut f = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&temporary)?;
        f.write_all(contents)?;
        fs::rename(&temporary, file)
    };
    write()
        .map_err(|e| {
            let _ = fs::remove_file(&temporary);
            Errno::from(e)
        })
        .at(|| format!("write {}", file.display()))
}

/// The few fields of /proc/PID/stat that floe needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProcStat {
    pub(crate) start_time: u64,
    /// A zombie, or dead: nobody will run in it again.
    pub(crate) ended: bool,
}

impl ProcStat {
    pub(crate) fn read(pid: i32) -> Option<ProcStat> {
        ProcStat::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(stat: &[u8]) -> Option<ProcStat> {
        // The name in parentheses may contain anything, so fields count from the last parenthesis.
        let end = stat.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(stat.get(end + 2..)?).ok()?;
        let mut fields = rest.split(' ');
        let state = fields.next()?;
        Some(ProcStat {
            start_time: fields.nth(18)?.trim_end().parse().ok()?,
            ended: matches!(state, "Z" | "X" | "x"),
        })
    }
}

/// The user's name, or the number when nobody has it.
fn user_name(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}

/// What a file of the state directory says, it says again when it is written; /proc/PID/stat is read whatever a
/// process calls itself.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    fn survives<T: serde::de::DeserializeOwned + Serialize>(bytes: &[u8]) {
        let Ok(document) = serde_json::from_slice::<T>(bytes) else { return };
        let text = serde_json::to_vec(&document).expect("what was read can be written");
        let again: T = serde_json::from_slice(&text).expect("what was written can be read");
        assert_eq!(serde_json::to_vec(&again).expect("as before"), text);
    }
    survives::<Stored>(bytes);
    survives::<Made>(bytes);
    let name = bytes.escape_ascii().to_string().replace(' ', ")");
    let stat = format!("7 ({name}) Z 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 1\n");
    assert_eq!(ProcStat::parse(stat.as_bytes()), Some(ProcStat { start_time: 4711, ended: true }));
    let _ = ProcStat::parse(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for good in ["a", "web-1", "A_b+c.d", "...", &"x".repeat(1024)] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "../x", "a b", "ü", &"x".repeat(1025)] {
            assert_eq!(check_id(bad).unwrap_err().kind(), Kind::InvalidId, "{bad}");
        }
    }

    #[test]
    fn stat_fields_count_from_the_last_parenthesis() {
        let stat = b"7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 1\n";
        assert_eq!(ProcStat::parse(stat), Some(ProcStat { start_time: 4711, ended: false }));
        assert!(ProcStat::read(std::process::id() as i32).is_some_and(|stat| !stat.ended));
    }
}
