//! Text and numbers that other programs match. A change here breaks a caller; each line names its reader.

use anyhow::Error;
use container::Kind;

pub const SUCCESS: u8 = 0;
/// Exit status when something went wrong, and the container or process has no status of its own.
pub const FAILURE: u8 = 1;
/// The same for `exec`, whose other statuses are the process's (runc; conmon and CRI-O pass it on).
pub const EXEC_FAILURE: u8 = 255;

/// runc's words for what its callers tell apart, to be found somewhere in the error line.
fn words(kind: Kind) -> Option<&'static str> {
    match kind {
        // containerd's shim: `does not exist` after kill and delete means that all is well. Podman, CRI-O: message only.
        Kind::NotFound => Some("container does not exist"),
        // Docker shows it; runc's test suite matches it.
        Kind::Exists => Some("container with given ID already exists"),
        // runc's test suite.
        Kind::InvalidId => Some("invalid container ID format"),
        // containerd's shim and CRI-O: the process is gone, not an error of kill or exec.
        Kind::NotRunning => Some("container not running"),
        // go-runc's users; runc's test suite.
        Kind::StillRunning => Some("container still running"),
        // runc's test suite, for exec into a paused container.
        Kind::Paused => Some("container paused"),
        // containerd and Docker ignore every error of resume; people read this one.
        Kind::NotPaused => Some("container not paused"),
        Kind::Other => None,
    }
}

/// An error as the one line that goes to stderr and to the log, without the name of the program:
/// `create web1: mount proc at /proc: operation not permitted (EPERM)`.
///
/// Podman, Docker and BuildKit look for `executable file not found in $PATH`, `no such file or directory` and
/// `permission denied`: these come from the container crate and pass unchanged.
pub fn line(command: &str, id: Option<&str>, error: &Error) -> String {
    let mut text = chain(error);
    let kind = error.downcast_ref::<container::Error>().map_or(Kind::Other, container::Error::kind);
    if let Some(words) = words(kind).filter(|words| !text.contains(words)) {
        let separator = if text.is_empty() { "" } else { ": " };
        text = format!("{text}{separator}{words}");
    }
    let subject = match id {
        Some(id) => format!("{command} {id}: "),
        None => format!("{command}: "),
    };
    one_line(&(subject + &text))
}

/// The error and its causes. The standard library's words for an errno give way to the kernel's:
/// `no such file or directory (ENOENT)`.
pub fn chain(error: &Error) -> String {
    let text = |cause: &(dyn std::error::Error + 'static)| {
        let errno = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        errno.map_or_else(|| cause.to_string(), |errno| sys::Errno::from_raw(errno).to_string())
    };
    error.chain().map(text).collect::<Vec<_>>().join(": ")
}

/// conmon hands stderr to Podman as it is, and containerd keeps only the first line of it.
pub fn one_line(text: &str) -> String {
    text.trim_end().replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use container::At;

    #[test]
    fn every_kind_says_runcs_words() {
        for (kind, expected) in [
            (Kind::NotFound, "kill web1: container does not exist"),
            (Kind::Exists, "kill web1: container with given ID already exists"),
            (Kind::InvalidId, "kill web1: invalid container ID format"),
            (Kind::NotRunning, "kill web1: container not running"),
            (Kind::StillRunning, "kill web1: container still running"),
            (Kind::Paused, "kill web1: container paused"),
            (Kind::NotPaused, "kill web1: container not paused"),
        ] {
            let error = container::Error::of_kind(kind, "");
            assert_eq!(line("kill", Some("web1"), &error.into()), expected);
        }
    }

    #[test]
    fn words_are_added_once() {
        let error = container::Error::of_kind(Kind::NotFound, "container does not exist");
        assert_eq!(line("state", Some("web1"), &error.into()), "state web1: container does not exist");
        let error = container::Error::of_kind(Kind::NotRunning, "pidfd_send_signal: no such process (ESRCH)");
        assert_eq!(
            line("kill", Some("web1"), &error.into()),
            "kill web1: pidfd_send_signal: no such process (ESRCH): container not running"
        );
    }

    #[test]
    fn kind_survives_context() {
        let inner = Err::<(), _>(container::Error::of_kind(Kind::NotFound, "no state"));
        let error = inner.at(|| "read state.json").context("look it up").expect_err("an error");
        assert_eq!(
            line("start", Some("a"), &error),
            "start a: look it up: read state.json: no state: container does not exist"
        );
    }

    #[test]
    fn other_text_passes_unchanged_on_one_line() {
        let error = anyhow::anyhow!("exec: \"nope\": executable file not found in $PATH");
        assert_eq!(
            line("create", Some("web1"), &error),
            "create web1: exec: \"nope\": executable file not found in $PATH"
        );
        let error = Error::from(std::io::Error::from_raw_os_error(2)).context("open log /x");
        assert_eq!(line("list", None, &error), "list: open log /x: no such file or directory (ENOENT)");
        let error = anyhow::anyhow!("hook /x: exit status 1: first\nsecond\r\n");
        assert_eq!(line("list", None, &error), "list: hook /x: exit status 1: first\\nsecond");
    }
}
