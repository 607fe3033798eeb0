//! The systemd driver: a container's cgroup is a transient scope, made, changed and stopped by a systemd manager.
//!
//! One StartTransientUnit per container and one SetUnitProperties per update; everything else goes to the cgroup's files,
//! as without systemd. Each call has a deadline. systemd sees the end of a scope by itself, and is asked for it only when
//! it does not.
//!
//! A scope needs a process from its first moment, and that process is the one who asks for it (`FirstProcess`): systemd
//! is told no pid, which would be another process's in a pid namespace, but knows the sender. It leaves once init is in.

mod bus;
mod message;
mod name;
mod properties;
mod variant;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use serde::{Deserialize, Serialize};
use sys::clone::{Child, CloneArgs, spawn};

use crate::create::Created;
use crate::error::{At, Error, Result};
use crate::resources::Resources;
use crate::{Cgroup, MOUNT, require_cgroup2, with_default_rules};

use bus::{Connection, Failure, MANAGER};
use message::Value;
use name::ScopeName;

pub use bus::Address;
pub use properties::{Property, of_annotations};

#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    message::fuzz(bytes);
    let text = String::from_utf8_lossy(bytes);
    let _ = variant::parse(&text);
    let _ = Address::of_bus(&text);
    if let Ok(name) = ScopeName::resolve(Some(&text), "a", false) {
        assert!(name.path().is_relative() && name.path().ends_with(&name.unit));
    }
}

/// How long systemd may take for an answer, and for a job: as long as it gives a job itself (`DefaultTimeoutStartSec`).
/// It works on one start after the other, so with many at once the last has to wait for all others.
const LIMIT: Duration = Duration::from_secs(90);

/// How long it may take to see that a scope has no processes any more.
const OWN_END_LIMIT: Duration = Duration::from_secs(5);

/// The systemd that makes the scopes: the system's, or a user's own.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Manager {
    /// Where it may be reached, the best first.
    pub addresses: Vec<Address>,
    pub is_user: bool,
}

/// The unit of a container.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Scope {
    unit: String,
    slice: String,
    manager: Manager,
    /// systemd forgets it even when it has failed.
    is_collected: bool,
}

impl Scope {
    /// Resolves `linux.cgroupsPath`, which is `SLICE:PREFIX:NAME` for systemd. `properties` are those that `create` will
    /// get. Nobody is asked.
    pub fn resolve(
        manager: Manager,
        cgroups_path: Option<&Path>,
        id: &str,
        properties: &[Property],
    ) -> Result<Scope> {
        let path = cgroups_path.map(|path| path.to_string_lossy());
        let ScopeName { slice, unit } = ScopeName::resolve(path.as_deref(), id, manager.is_user)?;
        let is_collected = !properties.iter().any(|property| property.name == COLLECT_MODE);
        Ok(Scope { unit, slice, manager, is_collected })
    }

    /// The cgroup that it will have. A user's manager is asked for its own.
    pub fn cgroup(&self) -> Result<Cgroup> {
        require_cgroup2()?;
        let name = ScopeName { slice: self.slice.clone(), unit: self.unit.clone() };
        let mut dir = Path::new(MOUNT).to_owned();
        if self.manager.is_user {
            let manager =
                self.with_connection("Get ControlGroup", |systemd| systemd.property("ControlGroup"))?;
            dir.push(manager.trim_start_matches('/'));
        }
        Cgroup::open(&dir.join(name.path()))
    }

    /// Starts the scope with the limits that systemd has properties for, and `properties` besides, which win. `cgroup`
    /// is its own (`Scope::cgroup`); the result is that of `Cgroup::create`.
    ///
    /// Limits so low that they could keep the container's first process out are only set by `Created::limit`.
    pub fn create(&self, cgroup: &Cgroup, resources: &Resources, properties: &[Property]) -> Result<Created> {
        let (late, limits): (Vec<_>, Vec<_>) =
            properties::of_resources(resources).into_iter().partition(Property::is_tight);
        let mut all = self.properties();
        all.extend(self.device_properties(resources));
        all.extend(limits);
        all.extend_from_slice(properties);
        let first = FirstProcess::start(|| self.start(&all))?;
        let started = Started { scope: self.clone(), cgroup: cgroup.clone(), first: Some(first), late };
        started.enter(resources)
    }

    /// Applies limits to a running container's cgroup, in systemd first, and exactly in the files of its directory `dir`.
    /// New device rules are told to systemd; `Cgroup::set_devices` is to follow.
    pub fn update(&self, cgroup: &Cgroup, dir: BorrowedFd<'_>, resources: &Resources) -> Result<()> {
        // A limit below the present usage would be an OOM kill at once.
        resources.check_usage(dir)?;
        let mut changed = properties::of_resources(resources);
        if !resources.devices.is_empty() {
            changed.extend(self.device_properties(resources));
        }
        self.set(changed)?;
        cgroup.apply(dir, resources)
    }

    /// Puts the calling process into the scope, which only systemd can do where neither our cgroup nor one above it is the
    /// user's (cgroup-v2.rst, "Delegation Containment").
    pub fn enter(&self) -> Result<()> {
        self.with_connection("AttachProcessesToUnit", |systemd| {
            let ourselves = Value::Array("u".into(), vec![Value::Uint32(0)]);
            let arguments = [Value::string(&self.unit), Value::string(""), ourselves];
            systemd.call(MANAGER, "AttachProcessesToUnit", &arguments).map(drop)
        })
    }

    /// Waits for the end of the scope, whose processes are dead or dying, and stops it if it does not come. One that
    /// does not exist has ended.
    pub fn stop(&self, cgroup: &Cgroup) -> Result<()> {
        // With the last process of a scope, systemd removes its cgroup.
        if self.is_collected && ends_within(cgroup, OWN_END_LIMIT) {
            return Ok(());
        }
        self.with_connection("StopUnit", |systemd| {
            let arguments = [Value::string(&self.unit), Value::string("replace")];
            match systemd.call(MANAGER, "StopUnit", &arguments) {
                Ok(answer) => drop(systemd.job_result(&job(answer)?)?),
                Err(Failure::Refused { name, .. }) if name == NO_SUCH_UNIT => return Ok(()),
                Err(failure) => return Err(failure),
            }
            if !self.is_collected {
                // Refused if it has not failed.
                let _ = systemd.call(MANAGER, "ResetFailedUnit", &arguments[..1]);
            }
            Ok(())
        })
    }

    fn set(&self, properties: Vec<Property>) -> Result<()> {
        if properties.is_empty() {
            return Ok(());
        }
        self.with_connection("SetUnitProperties", |systemd| {
            let properties = understood(systemd, properties.clone())?;
            // For as long as the unit lives: a transient one is not written to /etc.
            let arguments = [Value::string(&self.unit), Value::Bool(true), in_array(properties)];
            systemd.call(MANAGER, "SetUnitProperties", &arguments).map(drop)
        })
    }

    /// Those that every container's scope has.
    fn properties(&self) -> Vec<Property> {
        let mut properties = vec![
            Property::new("Description", Value::String(format!("Container scope {} of floe", self.unit))),
            Property::new("Slice", Value::string(&self.slice)),
            // The sender of the call.
            Property::new("PIDs", Value::Array("u".into(), vec![Value::Uint32(0)])),
            // What is below the scope's cgroup is the container's, and all controllers are enabled for it.
            Property::new("Delegate", Value::Bool(true)),
            Property::new("DefaultDependencies", Value::Bool(false)),
            Property::new(COLLECT_MODE, Value::string("inactive-or-failed")),
        ];
        for name in ["CPUAccounting", "IOAccounting", "MemoryAccounting", "TasksAccounting"] {
            properties.push(Property::new(name, Value::Bool(true)));
        }
        properties
    }

    /// A user's manager may load no device programs.
    fn device_properties(&self, resources: &Resources) -> Vec<Property> {
        match self.manager.is_user {
            true => Vec::new(),
            false => properties::of_devices(&with_default_rules(&resources.devices)),
        }
    }

    /// Makes the unit around the calling process.
    fn start(&self, properties: &[Property]) -> Result<()> {
        let mut is_first_attempt = true;
        self.with_connection("StartTransientUnit", |systemd| {
            let arguments = [
                Value::string(&self.unit),
                Value::string("fail"),
                in_array(understood(systemd, properties.to_vec())?),
                Value::Array("(sa(sv))".into(), Vec::new()),
            ];
            let mut answer = systemd.call(MANAGER, "StartTransientUnit", &arguments);
            if matches!(&answer, Err(Failure::Refused { name, .. }) if name == UNIT_EXISTS) {
                // systemd was lost after it had done what it was asked for.
                if !is_first_attempt && self.holds_us() {
                    return Ok(());
                }
                // One that has failed and that nobody has looked after.
                let _ = systemd.call(MANAGER, "ResetFailedUnit", &arguments[..1]);
                answer = systemd.call(MANAGER, "StartTransientUnit", &arguments);
            }
            is_first_attempt = false;
            match systemd.job_result(&job(answer?)?)?.as_str() {
                "done" => Ok(()),
                result => {
                    let _ = systemd.call(MANAGER, "ResetFailedUnit", &arguments[..1]);
                    Err(Failure::Refused {
                        name: String::new(),
                        text: format!("the job's result is {result}"),
                    })
                }
            }
        })
    }

    fn holds_us(&self) -> bool {
        Cgroup::of_process(std::process::id() as i32).is_ok_and(|own| own.path().ends_with(&self.unit))
    }

    /// Does `calls`, and does them again when systemd was lost meanwhile, until the deadline.
    fn with_connection<T>(
        &self,
        what: &str,
        mut calls: impl FnMut(&mut Connection) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let result = Connection::open(&self.manager.addresses, &self.unit, LIMIT)
                .and_then(|mut connection| calls(&mut connection));
            match result {
                Err(Failure::Lost) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                result => return result.map_err(|failure| self.explain(what, failure)),
            }
        }
    }

    fn explain(&self, call: &str, failure: Failure) -> Error {
        let why = match failure {
            Failure::Unreachable(addresses) => {
                return Error::unsupported(format!(
                    "{call} {}: systemd cannot be reached: {addresses}",
                    self.unit
                ));
            }
            Failure::Timeout => format!("no answer from systemd within {} s", LIMIT.as_secs()),
            Failure::Lost => format!("systemd has not come back within {} s", LIMIT.as_secs()),
            Failure::Refused { name, text } if name.is_empty() => text,
            Failure::Refused { name, text } => format!("{text} ({name})"),
            Failure::Nonsense => "the answer is not understood".to_owned(),
        };
        Error::new(format!("{call} {}: {why}", self.unit))
    }
}

const COLLECT_MODE: &str = "CollectMode";

const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// Whether the cgroup has been removed; there is no event for it that would not be lost.
fn ends_within(cgroup: &Cgroup, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(100);
    while cgroup.exists() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
    true
}

/// The object path of a job, from the answer to what has queued it.
fn job(answer: Vec<String>) -> std::result::Result<String, Failure> {
    answer.into_iter().next().ok_or(Failure::Nonsense)
}

fn in_array(properties: Vec<Property>) -> Value {
    Value::Array("(sv)".into(), properties.into_iter().map(Property::into_argument).collect())
}

/// Those that this systemd knows: one property too many, and nothing is done.
fn understood(
    systemd: &mut Connection,
    properties: Vec<Property>,
) -> std::result::Result<Vec<Property>, Failure> {
    // FIXME: remove when 252 is the oldest supported systemd.
    const KNOWS_IDLE: u32 = 252;
    if !properties.iter().any(Property::is_idle) {
        return Ok(properties);
    }
    let version = systemd.property("Version")?;
    let number = version.trim_start_matches('v').split(|c: char| !c.is_ascii_digit()).next();
    if number.and_then(|number| number.parse().ok()).is_some_and(|number: u32| number >= KNOWS_IDLE) {
        return Ok(properties);
    }
    Ok(properties.into_iter().filter(|property| !property.is_idle()).collect())
}

impl Connection {
    /// A property of the manager that is a string.
    fn property(&mut self, name: &str) -> std::result::Result<String, Failure> {
        let arguments = [Value::string(MANAGER), Value::string(name)];
        let answer = self.call("org.freedesktop.DBus.Properties", "Get", &arguments)?;
        answer.into_iter().next().ok_or(Failure::Nonsense)
    }
}

/// A scope that was started for one container, until the container is there.
#[derive(Debug)]
pub(crate) struct Started {
    scope: Scope,
    cgroup: Cgroup,
    first: Option<FirstProcess>,
    late: Vec<Property>,
}

impl Started {
    fn enter(self, resources: &Resources) -> Result<Created> {
        let dir = self.first.as_ref().map_or(Ok(()), |first| first.require_in(&self.cgroup));
        match dir.and_then(|()| self.cgroup.prepare(resources)) {
            Ok(dir) => Ok(Created::in_scope(dir, self)),
            Err(error) => {
                // The first error is the one to tell.
                let _ = self.undo();
                Err(error)
            }
        }
    }

    /// The container's own first process is in the cgroup now.
    pub(crate) fn release(&mut self) {
        self.first = None;
    }

    pub(crate) fn set_late(&self) -> Result<()> {
        self.scope.set(self.late.clone())
    }

    pub(crate) fn undo(self) -> Result<()> {
        drop(self.first);
        self.scope.stop(&self.cgroup)?;
        self.cgroup.delete()
    }
}

/// The process that a scope begins with. It ends when it is dropped, or with us.
#[derive(Debug)]
struct FirstProcess(Child);

impl FirstProcess {
    /// Starts a process that does `work` and then waits for its end; returns when the work is done.
    fn start(work: impl FnOnce() -> Result<()>) -> Result<FirstProcess> {
        let what = || "start the first process of the scope".to_owned();
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).at(what)?;
        let child = spawn(&CloneArgs::default(), || {
            // What is open here would be open for somebody who waits for its end, such as for init's.
            let alone = sys::process::close_all_but(&[theirs.as_raw_fd()])
                .and_then(|()| sys::process::prctl(DEATH_SIGNAL, nix::libc::SIGKILL as u64, 0, 0));
            let outcome = match alone.at(what).and_then(|_| work()) {
                Ok(()) => String::new(),
                Err(error) => error.to_string(),
            };
            let told = send(theirs.as_raw_fd(), format!(" {outcome}").as_bytes(), MsgFlags::MSG_NOSIGNAL);
            // Whoever has died before we asked for a signal does not listen, either.
            while outcome.is_empty() && told.is_ok() {
                nix::unistd::pause();
            }
            0
        })
        .at(what)?;
        let first = FirstProcess(child);
        drop(theirs);
        match receive(&ours).at(what)?.as_str() {
            " " => Ok(first),
            "" => Err(Error::new(format!("{}: it ended", what()))),
            outcome => Err(Error::new(&outcome[1..])),
        }
    }

    /// systemd has the last word on where a unit is.
    fn require_in(&self, cgroup: &Cgroup) -> Result<()> {
        let actual = Cgroup::of_process(self.0.pid)?;
        if actual == *cgroup {
            return Ok(());
        }
        let (actual, planned) = (actual.path().display(), cgroup.path().display());
        Err(Error::new(format!("systemd has made the scope in cgroup {actual}, not in {planned}")))
    }
}

impl Drop for FirstProcess {
    fn drop(&mut self) {
        let _ = sys::process::pidfd_send_signal(self.0.pidfd.as_fd(), nix::libc::SIGKILL);
        let _ = sys::process::wait_pidfd(self.0.pidfd.as_fd(), true);
    }
}

const DEATH_SIGNAL: i32 = nix::libc::PR_SET_PDEATHSIG;

/// One packet, empty at the end.
fn receive(socket: &OwnedFd) -> nix::Result<String> {
    let mut buffer = [0; 4096];
    loop {
        match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => {}
            received => return Ok(String::from_utf8_lossy(&buffer[..received?]).into_owned()),
        }
    }
}
