//! The one error type of this crate.

use std::fmt;

use sys::Errno;

/// What a caller of this crate does differently. Everything else is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not allowed: a rootless caller goes on without a cgroup or without device rules.
    Permission,
    /// The host lacks something: no cgroup2 at /sys/fs/cgroup, a controller, or eBPF.
    Unsupported,
    /// The cgroup or the file in it does not exist.
    NotFound,
    /// Everything that no caller tells apart.
    Other,
}

/// An error as *action + object + source*: `write 5 to pids.max: device or resource busy (EBUSY)`.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    source: Option<Errno>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(what: impl Into<String>) -> Error {
        Error { kind: Kind::Other, what: what.into(), source: None }
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Error {
        Error { kind: Kind::Unsupported, what: what.into(), source: None }
    }

    pub(crate) fn of_kernel(what: impl Into<String>, errno: Errno) -> Error {
        let kind = match nix::errno::Errno::from_raw(errno.raw()) {
            nix::errno::Errno::EPERM | nix::errno::Errno::EACCES | nix::errno::Errno::EROFS => {
                Kind::Permission
            }
            nix::errno::Errno::ENOENT => Kind::NotFound,
            _ => Kind::Other,
        };
        Error { kind, what: what.into(), source: Some(errno) }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The kernel's error number, where the kernel refused.
    pub fn errno(&self) -> Option<Errno> {
        self.source
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

// `source()` stays empty on purpose: Display already prints it, and anyhow would print it twice.
impl std::error::Error for Error {}

/// Names the action and its object on the way out: `.at(|| format!("open {path}"))`.
pub(crate) trait At<T> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Errno>> At<T> for std::result::Result<T, E> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::of_kernel(what(), source.into()))
    }
}
