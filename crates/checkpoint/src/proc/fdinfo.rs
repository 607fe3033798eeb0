//! /proc/PID/fdinfo/FD (proc_pid_fdinfo(5)). What only one kind of file has is read where that kind is.

use super::read;
use crate::error::{Error, Result};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fdinfo {
    pub(crate) pos: u64,
    /// As open(2) takes them, without `O_CLOEXEC`, which is the descriptor's.
    pub(crate) flags: u32,
    pub(crate) is_cloexec: bool,
    pub(crate) mnt_id: u32,
    /// The lines behind these.
    pub(crate) more: String,
}

impl Fdinfo {
    pub(crate) fn of(pid: i32, fd: i32) -> Result<Fdinfo> {
        let path = format!("/proc/{pid}/fdinfo/{fd}");
        Fdinfo::parse(&read(&path)?).ok_or_else(|| Error::new(format!("{path}: not as expected")))
    }

    fn parse(text: &str) -> Option<Fdinfo> {
        let mut info = Fdinfo::default();
        let mut has_flags = false;
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key {
                "pos" => info.pos = value.parse::<i64>().ok()? as u64,
                "flags" => {
                    let flags = u32::from_str_radix(value, 8).ok()?;
                    info.is_cloexec = flags & libc::O_CLOEXEC as u32 != 0;
                    info.flags = flags & !(libc::O_CLOEXEC as u32);
                    has_flags = true;
                }
                "mnt_id" => info.mnt_id = value.parse().ok()?,
                "ino" => {}
                _ => {
                    info.more.push_str(line);
                    info.more.push('\n');
                }
            }
        }
        Some(info).filter(|_| has_flags)
    }

    /// The value of a line that only some kinds of files have.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.more.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eventfd() {
        let info = Fdinfo::parse("pos:\t7\nflags:\t02100002\nmnt_id:\t14\nino:\t9\neventfd-count:   1f\n")
            .expect("fdinfo");
        assert_eq!((info.pos, info.flags, info.is_cloexec, info.mnt_id), (7, 0o100002, true, 14));
        assert_eq!(info.value("eventfd-count"), Some("1f"));
        assert_eq!(info.value("ticks"), None);
    }
}
