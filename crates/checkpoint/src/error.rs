//! The one error type of this crate.

use std::fmt;
use sys::Errno;

/// Why a dump or a restore did not happen, as one line: *object + action + cause*.
#[derive(Debug)]
pub struct Error {
    what: String,
    source: Option<Errno>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(what: impl Into<String>) -> Error {
        Error { what: what.into(), source: None }
    }

    pub(crate) fn of_kernel(what: impl Into<String>, errno: impl Into<Errno>) -> Error {
        Error { what: what.into(), source: Some(errno.into()) }
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

impl From<images::Error> for Error {
    fn from(error: images::Error) -> Error {
        Error::new(error.to_string())
    }
}

impl From<inject::Error> for Error {
    fn from(error: inject::Error) -> Error {
        Error::new(error.to_string())
    }
}

impl From<cgroup::Error> for Error {
    fn from(error: cgroup::Error) -> Error {
        Error::new(error.to_string())
    }
}

/// Names the object and the action on the way out: `.at(|| format!("open {path}"))`.
pub(crate) trait At<T> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Errno>> At<T> for std::result::Result<T, E> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::of_kernel(what(), source))
    }
}
