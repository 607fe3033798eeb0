//! /proc/PID/limits: prlimit(2) of another user's process would take CAP_SYS_RESOURCE.

use super::read;
use crate::error::{Error, Result};

/// Resources in the order of their numbers, as the file has them (fs/proc/base.c, lnames).
const RESOURCES: usize = 16;

/// Soft and hard limit of each resource, by its number; `u64::MAX` for no limit.
pub(crate) fn limits(pid: i32) -> Result<Vec<(u64, u64)>> {
    let path = format!("/proc/{pid}/limits");
    parse(&read(&path)?).ok_or_else(|| Error::new(format!("{path}: not as expected")))
}

fn parse(text: &str) -> Option<Vec<(u64, u64)>> {
    // "Max cpu time              unlimited            unlimited            seconds"
    const NAME: usize = 26;
    let value = |word: &str| if word == "unlimited" { Some(u64::MAX) } else { word.parse().ok() };
    let limit = |line: &str| {
        let mut words = line.get(NAME..)?.split_whitespace();
        Some((value(words.next()?)?, value(words.next()?)?))
    };
    let limits: Option<Vec<_>> = text.lines().skip(1).map(limit).collect();
    limits.filter(|limits| limits.len() == RESOURCES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_this_process() {
        let limits = limits(std::process::id() as i32).expect("limits");
        let mut expected = [0u64; 2];
        for (resource, (soft, hard)) in limits.into_iter().enumerate() {
            let (s, h) = sys::process::rlimit(resource as u32).expect("getrlimit");
            expected = [s, h];
            assert_eq!([soft, hard], expected, "resource {resource}");
        }
        assert_ne!(expected, [0, 1]);
    }
}
