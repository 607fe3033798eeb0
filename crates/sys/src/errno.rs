//! The kernel's error number with the text that floe prints for it.

use std::fmt;

/// An error number from errno(3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(i32);

pub type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    pub const fn from_raw(errno: i32) -> Errno {
        Errno(errno)
    }

    /// The error of the last libc call in this thread.
    pub fn last() -> Errno {
        Errno(nix::errno::Errno::last_raw())
    }

    pub const fn raw(self) -> i32 {
        self.0
    }

    /// Turns libc's -1 convention into a `Result`.
    pub fn check(result: libc::c_long) -> Result<libc::c_long> {
        if result < 0 { Err(Errno::last()) } else { Ok(result) }
    }
}

/// strerror(3) in lower case with the symbolic name, as in `no such file or directory (ENOENT)`: callers
/// match the words (Podman, Docker), people search for the name.
impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = nix::errno::Errno::from_raw(self.0);
        if errno == nix::errno::Errno::UnknownErrno {
            return write!(f, "error {}", self.0);
        }
        let text = errno.desc();
        let mut chars = text.chars();
        let first: String = chars.next().map(|c| c.to_lowercase().collect()).unwrap_or_default();
        // Acronyms at the start (RFS, I/O) stay as they are.
        if chars.clone().next().is_some_and(|c| !c.is_lowercase()) {
            write!(f, "{text} ({errno:?})")
        } else {
            write!(f, "{first}{} ({errno:?})", chars.as_str())
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Errno {}

impl From<nix::errno::Errno> for Errno {
    fn from(errno: nix::errno::Errno) -> Errno {
        Errno(errno as i32)
    }
}

/// An I/O error of the standard library; one that has no errno (short write, bad UTF-8) becomes `EIO`.
impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_callers_match() {
        assert_eq!(Errno::from_raw(libc::ENOENT).to_string(), "no such file or directory (ENOENT)");
        assert_eq!(Errno::from_raw(libc::EACCES).to_string(), "permission denied (EACCES)");
        assert_eq!(Errno::from_raw(libc::EIO).to_string(), "I/O error (EIO)");
        assert_eq!(Errno::from_raw(4000).to_string(), "error 4000");
    }
}
