//! The one error type of this crate.

use std::fmt;
use sys::Errno;

/// An error as *object + action + cause*: `task 41: mmap of the stub: cannot allocate memory (ENOMEM)`.
#[derive(Debug)]
pub struct Error {
    what: String,
    source: Option<Errno>,
    has_ended: bool,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(what: impl Into<String>) -> Error {
        Error { what: what.into(), source: None, has_ended: false }
    }

    pub(crate) fn of_kernel(what: impl Into<String>, errno: impl Into<Errno>) -> Error {
        let errno = errno.into();
        let has_ended = errno.raw() == libc::ESRCH;
        Error { what: what.into(), source: Some(errno), has_ended }
    }

    pub(crate) fn ended(what: impl Into<String>) -> Error {
        Error { what: what.into(), source: None, has_ended: true }
    }

    /// Whether the task does not exist any more.
    pub fn has_ended(&self) -> bool {
        self.has_ended
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

/// Names the object and the action on the way out.
pub(crate) trait At<T> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Errno>> At<T> for std::result::Result<T, E> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::of_kernel(what(), source))
    }
}
