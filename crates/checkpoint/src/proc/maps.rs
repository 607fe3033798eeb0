//! /proc/PID/smaps (proc_pid_smaps(5)): the mappings with their flags.

use super::{read, unescape};
use crate::error::{Error, Result};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// `PROT_` of mmap(2).
    pub(crate) prot: u32,
    pub(crate) is_shared: bool,
    /// Offset in the file, in bytes.
    pub(crate) offset: u64,
    pub(crate) ino: u64,
    /// A path, `[heap]`, or nothing.
    pub(crate) name: Vec<u8>,
    /// Bytes of its pages: more than usual in huge pages of hugetlbfs.
    pub(crate) page_size: u64,
    /// Bytes of it that are in memory.
    pub(crate) rss: u64,
    /// pkeys(7); 0 is what all memory has.
    pub(crate) protection_key: u32,
    /// `VmFlags`: words of two letters.
    pub(crate) flags: Vec<String>,
}

impl Mapping {
    /// All mappings of a process by ascending address.
    pub(crate) fn of(pid: i32) -> Result<Vec<Mapping>> {
        let path = format!("/proc/{pid}/smaps");
        let text = read(&path)?;
        let mut mappings: Vec<Mapping> = Vec::new();
        for line in text.lines() {
            // "Rss:   4 kB" against "7f47df725000-7f47df726000 r--p 00000000 fe:00 316535   /usr/lib/a"
            let key = line.split_whitespace().next().unwrap_or_default();
            if !key.ends_with(':') {
                let mapping = Mapping::parse(line);
                mappings.push(mapping.ok_or_else(|| Error::new(format!("{path}: not as expected: {line}")))?);
            } else if let (Some(flags), Some(mapping)) = (line.strip_prefix("VmFlags:"), mappings.last_mut())
            {
                mapping.flags = flags.split_whitespace().map(str::to_owned).collect();
            } else if let (Some(number), Some(mapping)) =
                (line.strip_prefix("ProtectionKey:"), mappings.last_mut())
            {
                mapping.protection_key = number.trim().parse().unwrap_or(0);
            } else if let (Some(size), Some(mapping)) =
                (line.strip_prefix("KernelPageSize:"), mappings.last_mut())
            {
                mapping.page_size = bytes(size);
            } else if let (Some(size), Some(mapping)) = (line.strip_prefix("Rss:"), mappings.last_mut()) {
                mapping.rss = bytes(size);
            }
        }
        Ok(mappings)
    }

    fn parse(line: &str) -> Option<Mapping> {
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let permissions = words.next()?;
        let prot = |letter, bit| if permissions.contains(letter) { bit as u32 } else { 0 };
        let offset = words.next()?;
        let _dev = words.next()?;
        Some(Mapping {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            prot: prot('r', libc::PROT_READ) | prot('w', libc::PROT_WRITE) | prot('x', libc::PROT_EXEC),
            is_shared: permissions.ends_with('s'),
            offset: u64::from_str_radix(offset, 16).ok()?,
            ino: words.next()?.parse().ok()?,
            name: unescape(words.next().unwrap_or_default().trim_start()),
            page_size: 0,
            rss: 0,
            protection_key: 0,
            flags: Vec::new(),
        })
    }

    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|has| has == flag)
    }

    /// Whether pages are locked when they are touched first. Kernels that do not say so, like 6.1, tell it by the pages that
    /// are not there: otherwise all are, or have been.
    pub(crate) fn is_locked_on_fault(&self) -> bool {
        self.has("lf") || self.has("lo") && self.rss < self.end - self.start
    }
}

/// "4 kB"
fn bytes(size: &str) -> u64 {
    let kilobytes = size.trim().strip_suffix(" kB").and_then(|size| size.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let mapping =
            Mapping::parse("7f0-8f0 rw-s 00010000 00:01 1026                       /dev/zero (deleted)");
        let mapping = mapping.expect("a mapping");
        assert_eq!((mapping.start, mapping.end, mapping.offset, mapping.ino), (0x7f0, 0x8f0, 0x10000, 1026));
        assert!(mapping.is_shared && mapping.prot == 3);
        assert_eq!(mapping.name, b"/dev/zero (deleted)");
        assert_eq!(Mapping::parse("7f0-8f0 ---p 00000000 00:00 0 ").expect("anonymous").name, b"");
    }
}
