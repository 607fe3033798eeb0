//! How far a checkpoint has come, on the terminal that standard error is. The container waits meanwhile, so nothing here
//! may: what a terminal does not take at once is not shown.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{getpgrp, tcgetpgrp};
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Bytes that take a moment.
const WORTH_IT: u64 = 64 << 20;
const WIDTH: u64 = 40;
const BETWEEN: Duration = Duration::from_millis(50);

/// A bar, which is gone when this is dropped.
#[derive(Debug, Default)]
pub struct Progress {
    shown: Option<Instant>,
}

impl Progress {
    /// Shows that `done` of `total` bytes are written.
    pub fn show(&mut self, done: u64, total: u64) {
        if total < WORTH_IT || self.shown.is_some_and(|shown| shown.elapsed() < BETWEEN) || !can_write() {
            return;
        }
        self.shown = Some(Instant::now());
        write(&format!("\r{}", line(done, total)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() && can_write() {
            write("\r\x1b[K");
        }
    }
}

/// Whether standard error is a terminal, ours (in the background, writing to it may stop a process) and not held up.
fn can_write() -> bool {
    let stderr = std::io::stderr();
    let mut ready = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    stderr.is_terminal()
        // Somebody else's terminal stops nobody.
        && tcgetpgrp(&stderr).map_or(true, |foreground| foreground == getpgrp())
        && poll(&mut ready, PollTimeout::ZERO) == Ok(1)
}

fn write(text: &str) {
    // It is only for the eye.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn line(done: u64, total: u64) -> String {
    let (filled, percent) = (WIDTH * done / total, 100 * done / total);
    let bar = "=".repeat(filled as usize) + &" ".repeat((WIDTH - filled) as usize);
    format!("[{bar}] {percent:3} % of {} MiB", total >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let expected = format!("[{}]   0 % of 100 MiB", " ".repeat(40));
        assert_eq!(line(0, 100 << 20), expected);
        let expected = format!("[{}{}]  50 % of 100 MiB", "=".repeat(20), " ".repeat(20));
        assert_eq!(line(50 << 20, 100 << 20), expected);
        let expected = format!("[{}] 100 % of 100 MiB", "=".repeat(40));
        assert_eq!(line(100 << 20, 100 << 20), expected);
    }
}
