//! The one error type of this crate.

use std::fmt;
use sys::Errno;

/// What a caller does differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The file does not exist: in CRIU's format an image without entries.
    NotFound,
    /// The file is not what it should be: cut off, changed, or of another type.
    Damaged,
    /// Everything that no caller tells apart.
    Other,
}

/// An error as *object + cause*: `core-41.img: byte 96: core_entry.mtype: missing`.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    source: Option<Errno>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// `file` is not an image as it should be, and `offset`, in bytes from its start, is where that shows.
    pub fn damaged(file: &str, offset: u64, why: impl fmt::Display) -> Error {
        Error { kind: Kind::Damaged, what: format!("{file}: byte {offset}: {why}"), source: None }
    }

    /// The same where no place can be named; `why` begins with the field where there is one.
    pub fn refused(file: &str, why: impl fmt::Display) -> Error {
        Error { kind: Kind::Damaged, what: format!("{file}: {why}"), source: None }
    }

    pub(crate) fn of_kernel(what: impl Into<String>, errno: impl Into<Errno>) -> Error {
        let errno = errno.into();
        let kind = if errno.raw() == nix::libc::ENOENT { Kind::NotFound } else { Kind::Other };
        Error { kind, what: what.into(), source: Some(errno) }
    }

    pub(crate) fn of_io(what: impl Into<String>, error: &std::io::Error) -> Error {
        let what = what.into();
        match error.raw_os_error() {
            Some(errno) => Error::of_kernel(what, Errno::from_raw(errno)),
            None => Error { kind: Kind::Other, what: format!("{what}: {error}"), source: None },
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
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
