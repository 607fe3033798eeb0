//! What this host offers to containers: one finding for each thing that floe needs, uses or will use.
//!
//! Everything is tried, nothing is inferred from a version. Probes leave nothing behind: namespaces belong to children
//! that end at once, mounts are held by descriptors and attached nowhere.

mod cgroups;
mod checkpoint;
mod mounts;
mod namespaces;
mod processes;
mod rootless;
mod security;

pub use checkpoint::{fills_lazily, look as for_checkpoints, tracks_writes};
use container::Runtime;
use serde::Serialize;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use sys::clone::{CloneArgs, spawn};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    /// There, but not for everybody or not all of it.
    Limited,
    Missing,
}

/// One line of the answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub group: &'static str,
    pub name: String,
    pub status: Status,
    /// Without it no container runs.
    pub required: bool,
    pub found: String,
    /// What to do about it; empty where there is nothing to do.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub advice: &'static str,
}

impl Finding {
    fn new(
        group: &'static str,
        name: impl Into<String>,
        status: Status,
        found: impl Into<String>,
    ) -> Finding {
        Finding { group, name: name.into(), status, required: false, found: found.into(), advice: "" }
    }

    /// `ok` with what was found, or the status, the error and the advice.
    fn of(
        group: &'static str,
        name: impl Into<String>,
        outcome: Outcome,
        otherwise: Status,
        found: impl Into<String>,
        advice: &'static str,
    ) -> Finding {
        match outcome {
            Ok(()) => Finding::new(group, name, Status::Ok, found),
            Err(errno) => Finding::new(group, name, otherwise, errno.to_string()).advise(advice),
        }
    }

    fn advise(self, advice: &'static str) -> Finding {
        Finding { advice, ..self }
    }

    fn require(self) -> Finding {
        Finding { required: true, ..self }
    }

    /// Nothing can be done before this is there.
    pub fn prevents_containers(&self) -> bool {
        self.required && self.status == Status::Missing
    }
}

/// Looks at everything. `paths` are those whose file systems are asked about idmapped mounts.
pub fn look(rt: &Runtime, paths: &[PathBuf]) -> Vec<Finding> {
    let mut findings = processes::look();
    findings.extend(cgroups::look(rt));
    findings.extend(namespaces::look());
    findings.extend(mounts::look(paths));
    findings.extend(security::look());
    findings.extend(rootless::look());
    findings.extend(checkpoint::look());
    findings
}

type Outcome = sys::Result<()>;

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The contents of a file of procfs or sysfs, trimmed; `None` where there is none.
fn setting(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Runs `probes` in a child that has new namespaces, and root in them. They end with it.
fn in_namespaces<const N: usize>(
    kinds: i32,
    probes: impl FnOnce() -> [Outcome; N],
) -> sys::Result<[Outcome; N]> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    in_child(kinds, || {
        if kinds & libc::CLONE_NEWUSER != 0 {
            let maps = [
                ("setgroups", "deny".to_owned()),
                ("uid_map", format!("0 {uid} 1")),
                ("gid_map", format!("0 {gid} 1")),
            ];
            for (file, text) in maps {
                if let Err(error) = std::fs::write(format!("/proc/self/{file}"), text) {
                    return [Err(error.into()); N];
                }
            }
        }
        probes()
    })
}

/// Runs `probes` in a child and returns what it found, by way of a pipe of error numbers.
fn in_child<const N: usize>(kinds: i32, probes: impl FnOnce() -> [Outcome; N]) -> sys::Result<[Outcome; N]> {
    let (mut answers, ours): (PipeReader, PipeWriter) = std::io::pipe()?;
    let child = spawn(&CloneArgs { flags: kinds as u64, ..CloneArgs::default() }, || {
        let numbers = probes().map(|outcome| outcome.err().map_or(0, |errno| errno.raw()).to_ne_bytes());
        i32::from((&ours).write_all(&numbers.concat()).is_err())
    })?;
    drop(ours);
    let mut bytes = Vec::new();
    let read = answers.read_to_end(&mut bytes);
    sys::process::wait_pidfd(child.pidfd.as_fd(), true)?;
    read?;
    let mut numbers = bytes.chunks_exact(4).map(|b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    Ok(std::array::from_fn(|_| match numbers.next() {
        Some(0) => Ok(()),
        Some(errno) => Err(sys::Errno::from_raw(errno)),
        // It was killed.
        None => Err(sys::Errno::from_raw(libc::EIO)),
    }))
}
