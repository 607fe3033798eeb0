//! What /proc says of a task, read as plain values. Lines and fields that are not known are skipped: a newer kernel has
//! more of them.

mod fdinfo;
mod limits;
mod maps;
mod mountinfo;
mod stat;
mod status;
mod timers;

pub(crate) use fdinfo::Fdinfo;
pub(crate) use limits::limits;
pub(crate) use maps::Mapping;
pub(crate) use mountinfo::Mountinfo;
pub(crate) use stat::Stat;
pub(crate) use status::Status;
pub(crate) use timers::{PosixTimer, posix_timers};

use crate::error::{At, Result};
use std::path::{Path, PathBuf};

/// The text of a file in /proc.
pub(crate) fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).at(|| format!("read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where a link of /proc leads.
pub(crate) fn link(path: impl AsRef<Path>) -> Result<PathBuf> {
    let path = path.as_ref();
    std::fs::read_link(path).at(|| format!("read the link {}", path.display()))
}

/// The numbers that are the names in a directory of /proc, ascending.
pub(crate) fn numbers(path: impl AsRef<Path>) -> Result<Vec<i32>> {
    let path = path.as_ref();
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(path).at(|| format!("list {}", path.display()))? {
        let entry = entry.at(|| format!("list {}", path.display()))?;
        numbers.extend(entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The children of a process, zombies included, in the order in which they were made.
pub(crate) fn children(pid: i32) -> Result<Vec<i32>> {
    let mut children = Vec::new();
    for tid in numbers(format!("/proc/{pid}/task"))? {
        let text = read(format!("/proc/{pid}/task/{tid}/children"))?;
        children.extend(text.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Ok(children)
}

/// `\040` and the like as the bytes that they stand for, as in mountinfo and maps.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes
            .get(at + 1..at + 4)
            .filter(|digits| digits.iter().all(|digit| (b'0'..b'8').contains(digit)));
        match octal {
            Some(digits) if bytes[at] == b'\\' => {
                out.push(digits.iter().fold(0u32, |sum, digit| sum * 8 + u32::from(digit - b'0')) as u8);
                at += 4;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_escapes() {
        assert_eq!(unescape("/a\\040b\\011\\134c"), b"/a b\t\\c");
        assert_eq!(unescape("\\04"), b"\\04");
    }
}
