//! The one error type of this crate.

use std::fmt;

/// What a caller of this crate does differently. Everything else is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No container has this id.
    NotFound,
    /// The id is in use.
    Exists,
    /// The id is not a valid name.
    InvalidId,
    /// The operation needs a running container.
    NotRunning,
    /// The operation needs a stopped container.
    StillRunning,
    /// The operation is refused while the container is paused.
    Paused,
    /// `resume` of a container that is not paused.
    NotPaused,
    /// Everything that no caller tells apart.
    Other,
}

/// An error as *action + object + source*, printed general to specific on one line:
/// `mount proc at /proc: operation not permitted (EPERM)`.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error whose text says all there is to say.
    pub fn new(what: impl Into<String>) -> Error {
        Error { kind: Kind::Other, what: what.into(), source: None }
    }

    pub fn of_kind(kind: Kind, what: impl Into<String>) -> Error {
        Error { kind, what: what.into(), source: None }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl From<checkpoint::Error> for Error {
    fn from(error: checkpoint::Error) -> Error {
        Error::new(error.to_string())
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

// `source()` stays empty on purpose: Display already prints the chain, and anyhow would print it twice.
impl std::error::Error for Error {}

/// Names the action and its object on the way out: `.at(|| format!("open {path}"))`.
pub trait At<T> {
    fn at<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> At<T> for std::result::Result<T, E> {
    fn at<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|source| {
            let source = source.into();
            let kind = source.downcast_ref::<Error>().map_or(Kind::Other, Error::kind);
            Error { kind, what: what().into(), source: Some(source) }
        })
    }
}
