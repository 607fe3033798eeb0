//! Locks of files: POSIX, flock(2), and those of open file descriptions. A lock is shown with every descriptor that could
//! give it up.

use super::{Files, Open};
use crate::error::{Error, Result};
use crate::proc::Fdinfo;
use images::messages::FileLockEntry;
use std::os::unix::fs::MetadataExt;

const POSIX: u32 = 1;
const FLOCK: u32 = 2;
const OFD: u32 = 4;
const LEASE: u32 = 8;

/// A lease that its holder is to give up, because somebody opens the file (locks.c, lease_print).
const BREAKING: &str = "BREAKING";

/// Whether one of the locks that a descriptor shows is a lease that somebody waits for.
pub(crate) fn has_breaking_lease(info: &Fdinfo) -> bool {
    info.more
        .lines()
        .any(|line| line.starts_with("lock:") && line.split_whitespace().any(|it| it == BREAKING))
}

impl Files<'_> {
    /// Notes the locks that a descriptor shows: POSIX ones once in a process, others once for an open file.
    pub(super) fn locks(&mut self, open: &Open, pid: u32, fd: i32, is_new: bool) -> Result<()> {
        for line in open.info.more.lines().filter_map(|line| line.strip_prefix("lock:")) {
            let lock = parse(line, pid, fd)
                .ok_or_else(|| Error::new(format!("{}: the lock{line} is not supported", open.owner)))?;
            if lock.flag != POSIX && !is_new {
                continue;
            }
            let key = (open.metadata.dev(), open.metadata.ino());
            let same = |(inode, known): &((u64, u64), FileLockEntry)| {
                *inode == key && FileLockEntry { fd: known.fd, ..lock } == *known && lock.flag == POSIX
            };
            if !self.locks.iter().any(same) {
                self.locks.push((key, lock));
            }
        }
        Ok(())
    }
}

/// "\t1: FLOCK  ADVISORY  WRITE 19 fe:00:123 0 EOF"
fn parse(line: &str, pid: u32, fd: i32) -> Option<FileLockEntry> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, kind, state, mode, _, _, start, end] = words[..] else { return None };
    // What it was before is not shown.
    if state == BREAKING {
        return None;
    }
    let flag = match kind {
        "POSIX" => POSIX,
        "FLOCK" => FLOCK,
        "OFDLCK" => OFD,
        "LEASE" => LEASE,
        _ => return None,
    };
    let kind = match mode {
        "READ" => libc::F_RDLCK,
        "WRITE" => libc::F_WRLCK,
        "UNLCK" => libc::F_UNLCK,
        _ => return None,
    };
    let start: i64 = start.parse().ok()?;
    let len = if end == "EOF" { 0 } else { end.parse::<i64>().ok()? - start + 1 };
    Some(FileLockEntry { flag, r#type: kind as u32, pid: pid as i32, fd, start, len })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let lock = |line| parse(line, 7, 3).map(|lock| (lock.flag, lock.r#type, lock.start, lock.len));
        assert_eq!(lock("\t1: FLOCK  ADVISORY  WRITE 19 fe:00:123 0 EOF"), Some((FLOCK, 1, 0, 0)));
        assert_eq!(lock("\t2: OFDLCK ADVISORY  READ -1 fe:00:123 10 19"), Some((OFD, 0, 10, 10)));
        assert_eq!(lock("\t1: DELEG  ACTIVE    READ 19 fe:00:123 0 EOF"), None);
    }
}
