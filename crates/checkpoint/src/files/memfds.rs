//! memfd_create(2): files of memory. Their content is dumped as shared memory is.

use super::{Files, Open, entry};
use crate::error::{At, Result};
use images::messages::{FdTypes, FileEntry, MemfdFileEntry, MemfdInodeEntry};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::statfs::{HUGETLBFS_MAGIC, fstatfs};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

/// The flags of memfd_create(2) for a file in huge pages, with their size.
fn huge_pages(file: &File) -> nix::Result<Option<u32>> {
    let fs = fstatfs(file)?;
    let is_huge = fs.filesystem_type() == HUGETLBFS_MAGIC;
    let size = |bytes: u64| bytes.trailing_zeros() << libc::MFD_HUGE_SHIFT;
    Ok(is_huge.then(|| libc::MFD_HUGETLB | size(fs.block_size() as u64)))
}

impl Files<'_> {
    pub(super) fn memfd(&mut self, open: &Open, id: u32) -> Result<FileEntry> {
        let memfd = MemfdFileEntry {
            id,
            flags: open.info.flags,
            pos: open.info.pos,
            fown: self.owner(open)?,
            inode_id: self.memfd_inode(open)?,
        };
        Ok(FileEntry { memfd: Some(Box::new(memfd)), ..entry(FdTypes::Memfd, id) })
    }

    fn memfd_inode(&mut self, open: &Open) -> Result<u32> {
        // The memory has its inode as an id, so that a mapping of it finds it, too.
        let shmid = open.metadata.ino() as u32;
        if let Some(known) = self.memfds.iter().find(|known| known.shmid == shmid) {
            return Ok(known.inode_id as u32);
        }
        let path = format!("/proc/self/fd/{}", open.file.as_raw_fd());
        let file = File::open(path).at(|| format!("{}: open the memory", open.owner))?;
        let seals = fcntl(file.as_fd(), FcntlArg::F_GET_SEALS).at(|| format!("{}: its seals", open.owner))?;
        let link = open.link.as_os_str().as_bytes();
        let name = link.strip_prefix(b"/memfd:").unwrap_or(link);
        let inode_id = self.memfds.len() as u64 + 1;
        let (uid, gid) = self.ids(&open.metadata);
        self.memfds.push(MemfdInodeEntry {
            name: name.strip_suffix(b" (deleted)").unwrap_or(name).to_vec(),
            uid,
            gid,
            size: open.metadata.size(),
            shmid,
            seals: seals as u32,
            inode_id,
            hugetlb_flag: huge_pages(&file).at(|| format!("{}: its file system", open.owner))?,
            mode: Some(open.metadata.mode()),
        });
        self.shared.insert(shmid.into(), file);
        Ok(inode_id as u32)
    }
}
