//! inotify(7), pidfds and files of namespaces.

use super::{Files, Open, entry};
use crate::error::{At, Error, Result};
use images::messages::{
    FdTypes, FhEntry, FileEntry, InotifyFileEntry, InotifyWdEntry, NsFileEntry, PidfdEntry,
};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use sys::path::{RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, open_by_handle, openat2, resolve_in_root};

/// Words of a file handle in images.
const HANDLE_WORDS: usize = 16;

impl Files<'_> {
    pub(super) fn inotify(&mut self, open: &Open) -> Result<FileEntry> {
        let lines = open.info.more.lines().filter(|line| line.starts_with("inotify "));
        let watches: Option<Vec<InotifyWdEntry>> = lines.map(watch).collect();
        let mut wd = watches.ok_or_else(|| Error::new(format!("{}: fdinfo: not as expected", open.owner)))?;
        for watch in &mut wd {
            let found = self.watched_path(&watch.f_handle, watch.s_dev, watch.i_ino);
            (watch.f_handle.path, watch.f_handle.mnt_id) = found.unzip();
        }
        let ify = InotifyFileEntry { id: open.id, flags: open.info.flags, fown: self.owner(open)?, wd };
        Ok(FileEntry { ify: Some(Box::new(ify)), ..entry(FdTypes::Inotify, open.id) })
    }

    /// Where the watched file is, and on which mount, for a restore where its handle means nothing. One without a name any
    /// more has none.
    pub(super) fn watched_path(&self, watched: &FhEntry, s_dev: u32, i_ino: u64) -> Option<(Vec<u8>, u32)> {
        let handle: Vec<u8> = watched.handle.iter().flat_map(|word| word.to_le_bytes()).collect();
        let handle = handle.get(..watched.bytes as usize)?;
        // Another mount of the same file system may not show the file.
        let all = self.surroundings.mounts.all();
        let all = all.flat_map(|mounts| mounts.list.iter().map(move |mount| (mounts, mount)));
        let of_device = all.filter(|(_, mount)| mount.dev.0 << 20 | mount.dev.1 == s_dev);
        let mut paths = of_device.filter_map(|(mounts, mount)| {
            let place = OsStr::from_bytes(&mount.mountpoint);
            let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
            let place =
                openat2(mounts.root(), place, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS).ok()?;
            let file = open_by_handle(place.as_fd(), watched.r#type as i32, handle).ok()?;
            let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
            let found = resolve_in_root(mounts.root(), &path, libc::O_NOFOLLOW).ok()?;
            let inode = std::fs::File::from(found).metadata().ok()?.ino();
            (inode == i_ino).then(|| (path.into_os_string().into_vec(), mount.id))
        });
        paths.next()
    }

    pub(super) fn pidfd(&mut self, open: &Open) -> Result<FileEntry> {
        let pid = open.info.value("Pid").and_then(|pid| pid.parse::<i32>().ok());
        let nspid = match pid {
            // It has ended, and was waited for.
            Some(-1) => -1,
            Some(pid) => match self.surroundings.numbers.get(&pid) {
                Some(number) => *number as i32,
                None => return Err(Error::new(format!("{}: its process, {pid}, is outside", open.owner))),
            },
            None => return Err(Error::new(format!("{}: fdinfo: Pid: missing", open.owner))),
        };
        let ino = open.metadata.ino() as u32;
        // As pidfd_open(2) takes them.
        let flags = open.info.flags & libc::O_NONBLOCK as u32;
        let pidfd = PidfdEntry { id: open.id, ino, flags, nspid, fown: self.owner(open)? };
        Ok(FileEntry { pidfd: Some(Box::new(pidfd)), ..entry(FdTypes::Pidfd, open.id) })
    }

    pub(super) fn namespace(&mut self, open: &Open) -> Result<FileEntry> {
        let kind =
            sys::process::namespace_kind(open.file.as_fd()).at(|| format!("{}: its kind", open.owner))?;
        let Some(ns_id) = self.surroundings.namespaces.id_of(open.metadata.ino()) else {
            return Err(Error::new(format!(
                "{}: the namespace {} is outside",
                open.owner,
                open.link.display()
            )));
        };
        let nsf = NsFileEntry { id: open.id, ns_id, ns_cflag: kind as u32, flags: open.info.flags };
        Ok(FileEntry { nsf: Some(Box::new(nsf)), ..entry(FdTypes::Ns, open.id) })
    }
}

/// "inotify wd:1 ino:2 sdev:2b mask:100 ignored_mask:0 fhandle-bytes:c fhandle-type:1 f_handle:8c19..."
fn watch(line: &str) -> Option<InotifyWdEntry> {
    let hex = |key| hex(line, key);
    Some(InotifyWdEntry {
        id: 0,
        i_ino: hex("ino")?,
        mask: hex("mask")? as u32,
        ignored_mask: hex("ignored_mask")? as u32,
        s_dev: hex("sdev")? as u32,
        // Decimal before 6.10, where hexadecimal would have been meant.
        wd: hex("wd")? as u32,
        f_handle: handle(line)?,
    })
}

/// The value of a word of such a line.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix(':'))
}

/// The same of one that is a number.
pub(super) fn hex(line: &str, key: &str) -> Option<u64> {
    u64::from_str_radix(value(line, key)?, 16).ok()
}

/// The file handle in such a line.
pub(super) fn handle(line: &str) -> Option<FhEntry> {
    let digits = value(line, "f_handle")?;
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let mut bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect::<Option<_>>()?;
    bytes.resize(bytes.len().max(HANDLE_WORDS * 8), 0);
    let words = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")));
    Some(FhEntry {
        bytes: hex(line, "fhandle-bytes")? as u32,
        r#type: hex(line, "fhandle-type")? as u32,
        handle: words.collect(),
        path: None,
        mnt_id: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch() {
        let line = "inotify wd:1 ino:2 sdev:2b mask:100 ignored_mask:0 fhandle-bytes:c fhandle-type:1 \
            f_handle:8c1991190100000000000000";
        let watch = watch(line).expect("a watch");
        assert_eq!((watch.wd, watch.s_dev, watch.mask, watch.f_handle.bytes), (1, 0x2b, 0x100, 12));
        assert_eq!(watch.f_handle.handle[..2], [0x1_1991_198c, 0]);
    }
}
