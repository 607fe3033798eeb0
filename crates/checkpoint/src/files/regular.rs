//! Files with a name: they are opened again by their path. One that was deleted, and has no other name, goes into the
//! images with its content.

use super::{Files, Open, Surroundings, entry};
use crate::error::{At, Error, Result};
use crate::snapshot::{Ghost, GhostChunk};
use crate::target::FileIdentity;
use images::messages::{
    FdTypes, FileEntry, GhostFileEntry, RegFileEntry, RemapFilePathEntry, RemapType, Timeval,
};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// What the kernel appends to the path of a file that was deleted.
const DELETED: &[u8] = b" (deleted)";

impl Files<'_> {
    /// The entry of a name, which has the id of the file unless the file is more than that.
    pub(super) fn named(&mut self, open: &Open, id: u32) -> Result<FileEntry> {
        let link = open.link.as_os_str().as_bytes();
        let is_linked = open.metadata.nlink() > 0 && link.ends_with(DELETED) && !self.leads_to(open, link);
        let is_deleted = open.metadata.nlink() == 0 || is_linked;
        let path = link.strip_suffix(DELETED).filter(|_| is_deleted).unwrap_or(link);
        let mount = open.info.mnt_id;
        if self.surroundings.mounts.of_mount(mount).is_none() || self.is_named_as_external(open) {
            return self.external(open, id);
        }
        if open.metadata.nlink() == 0 {
            self.ghost(open, id)?;
        } else if is_linked {
            self.link(open, id, path, mount)?;
        } else {
            self.check_path(open, path)?;
        }
        let reg = RegFileEntry {
            id,
            flags: open.info.flags,
            pos: open.info.pos,
            fown: self.owner(open)?,
            name: path.to_vec(),
            mnt_id: Some(mount as i32),
            size: open.metadata.is_file().then(|| open.metadata.size()),
            mode: Some(open.metadata.mode()),
            ..RegFileEntry::default()
        };
        Ok(FileEntry { reg: Some(Box::new(reg)), ..entry(FdTypes::Reg, id) })
    }

    /// Whether a file is from outside although the container has a path to it.
    fn is_named_as_external(&self, open: &Open) -> bool {
        let file = self.surroundings.externals.file(&open.metadata, open.info.mnt_id);
        file.is_some_and(|file| !matches!(file.identity, FileIdentity::Inode { .. }))
    }

    /// The entry of a file from outside, which has a key in place of a name and keeps nothing of its own but its id: what
    /// takes its place has an offset and flags.
    fn external(&self, open: &Open, id: u32) -> Result<FileEntry> {
        let Some(file) = self.surroundings.externals.file(&open.metadata, open.info.mnt_id) else {
            return Err(Error::new(format!(
                "{}: {} is on a mount that the container does not have",
                open.owner,
                open.link.display()
            )));
        };
        let reg = RegFileEntry {
            id,
            flags: open.info.flags,
            pos: open.info.pos,
            fown: self.owner(open)?,
            name: file.key.clone().into_bytes(),
            mode: Some(open.metadata.mode()),
            ext: Some(true),
            ..RegFileEntry::default()
        };
        Ok(FileEntry { reg: Some(Box::new(reg)), ..entry(FdTypes::Reg, id) })
    }

    fn leads_to(&self, open: &Open, path: &[u8]) -> bool {
        self.check_path(open, path).is_ok()
    }

    /// Links a file whose name was removed, and which has others somewhere, to a name that a restore finds.
    fn link(&mut self, open: &Open, id: u32, path: &[u8], mount: u32) -> Result<()> {
        let key = (open.metadata.dev(), open.metadata.ino());
        let link = match self.linked.get(&key) {
            Some(link) => *link,
            None => {
                let Surroundings { mounts, guardian, .. } = self.surroundings;
                let name = self.links.make(mounts.root_of(mount), path, open.file.as_fd(), guardian);
                let name = name.map_err(|error| Error::new(format!("{}: {error}", open.owner)))?;
                let link = self.new_id();
                let reg = RegFileEntry {
                    id: link,
                    fown: super::no_owner(),
                    name,
                    mnt_id: Some(mount as i32),
                    ..RegFileEntry::default()
                };
                let reg = FileEntry { reg: Some(Box::new(reg)), ..entry(FdTypes::Reg, link) };
                self.entries.insert(link, reg);
                self.linked.insert(key, link);
                link
            }
        };
        let remap_type = Some(RemapType::Linked as i32);
        self.remaps.push(RemapFilePathEntry { orig_id: id, remap_id: link, remap_type });
        Ok(())
    }

    /// A path must lead to the file that is open: not to another one that has its name now, or lies over it.
    fn check_path(&self, open: &Open, path: &[u8]) -> Result<()> {
        let root = self.surroundings.mounts.root_of(open.info.mnt_id);
        let name = std::ffi::OsStr::from_bytes(path);
        let found = sys::path::resolve_in_root(root, name, libc::O_NOFOLLOW)
            .and_then(|file| Ok(File::from(file).metadata()?));
        match found {
            Ok(found) if (found.dev(), found.ino()) == (open.metadata.dev(), open.metadata.ino()) => Ok(()),
            Ok(_) => Err(Error::new(format!(
                "{}: its path, {}, leads to another file now",
                open.owner,
                open.link.display()
            ))),
            Err(errno) => Err(Error::of_kernel(
                format!("{}: look for its path, {}", open.owner, open.link.display()),
                errno,
            )),
        }
    }

    /// Notes a deleted file; its content is written with the images.
    fn ghost(&mut self, open: &Open, id: u32) -> Result<()> {
        let known = self.ghosts.iter().find(|(_, (ghost, _))| {
            (ghost.entry.dev, ghost.entry.ino)
                == (Some(open.metadata.dev() as u32), Some(open.metadata.ino()))
        });
        let remap_id = match known {
            Some((id, _)) => *id,
            None => {
                let id = self.ghosts.len() as u32 + 1;
                self.ghosts.insert(id, ghost(open, self.ids(&open.metadata))?);
                id
            }
        };
        self.remaps.push(RemapFilePathEntry {
            orig_id: id,
            remap_id,
            remap_type: Some(RemapType::Ghost as i32),
        });
        Ok(())
    }
}

fn ghost(open: &Open, (uid, gid): (u32, u32)) -> Result<(Ghost, File)> {
    let metadata = &open.metadata;
    let is_regular = metadata.is_file();
    let flags = if is_regular { libc::O_RDONLY } else { libc::O_PATH };
    // Whatever it was opened for, for reading.
    let path = format!("/proc/self/fd/{}", open.file.as_raw_fd());
    let file = File::options().read(true).custom_flags(flags).open(path);
    let file = file.at(|| format!("{}: open the deleted file", open.owner))?;
    let time = |sec: i64, nsec: i64| Some(Timeval { tv_sec: sec as u64, tv_usec: (nsec / 1000) as u64 });
    let entry = GhostFileEntry {
        uid,
        gid,
        mode: metadata.mode(),
        dev: Some(metadata.dev() as u32),
        ino: Some(metadata.ino()),
        rdev: (metadata.rdev() != 0).then_some(metadata.rdev() as u32),
        atim: time(metadata.atime(), metadata.atime_nsec()),
        mtim: time(metadata.mtime(), metadata.mtime_nsec()),
        chunks: is_regular.then_some(true),
        size: is_regular.then(|| metadata.size()),
        symlnk_target: None,
    };
    let chunks = match is_regular {
        true => chunks(&file, metadata.size()).at(|| format!("{}: look for its content", open.owner))?,
        false => Vec::new(),
    };
    Ok((Ghost { entry, chunks }, file))
}

/// Where a file has content, by `SEEK_DATA` and `SEEK_HOLE` of lseek(2).
fn chunks(file: &File, size: u64) -> sys::Result<Vec<GhostChunk>> {
    use nix::unistd::{Whence, lseek};
    let mut chunks = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match lseek(file.as_fd(), at as i64, Whence::SeekData) {
            Ok(start) => start as u64,
            // Nothing but a hole is left.
            Err(nix::Error::ENXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let end = lseek(file.as_fd(), start as i64, Whence::SeekHole)? as u64;
        chunks.push(GhostChunk { offset: start, len: end - start, at: start });
        at = end;
    }
    Ok(chunks)
}
