//! fanotify(7): what a group is and its marks, all by /proc. Events that wait are lost.

use super::watches::{handle, hex};
use super::{Files, Open, entry};
use crate::error::{Error, Result};
use crate::proc::Fdinfo;
use images::messages::{
    FanotifyFileEntry, FanotifyInodeMarkEntry, FanotifyMarkEntry, FanotifyMountMarkEntry, FdTypes, FileEntry,
    MarkType,
};

/// Who asks for such an access waits for the group's answer, which the group cannot give as long as it is held: FAN_OPEN_PERM,
/// FAN_ACCESS_PERM, FAN_OPEN_EXEC_PERM, FAN_PRE_ACCESS.
pub(crate) const DECIDES: u32 = 0x17_0000;

/// Why a group cannot be dumped.
pub(crate) fn fanotify_refused(info: &Fdinfo) -> Option<&'static str> {
    let mut marks = marks(info);
    let refused = |line: &str| match (mark(line), hex(line, "mask")) {
        (Some(mark), _) if (mark.mask | mark.ignored_mask) & DECIDES != 0 => {
            Some("fanotify that decides about accesses is not supported")
        }
        (Some(_), _) => None,
        (None, Some(_)) if hex(line, "sdev").is_some() => {
            Some("a mark of fanotify on a whole file system is not supported")
        }
        _ => Some("a mark of fanotify of an unknown kind is not supported"),
    };
    marks.find_map(refused)
}

/// Lines of marks, behind the one of the group.
fn marks(info: &Fdinfo) -> impl Iterator<Item = &str> {
    info.more.lines().filter(|line| line.starts_with("fanotify ") && !line.starts_with("fanotify flags:"))
}

impl Files<'_> {
    pub(super) fn fanotify(&mut self, open: &Open) -> Result<FileEntry> {
        let refuse = |reason: &str| Error::new(format!("{}: {reason}", open.owner));
        if let Some(reason) = fanotify_refused(&open.info) {
            return Err(refuse(reason));
        }
        let group = || {
            let line = open.info.more.lines().find(|line| line.starts_with("fanotify flags:"))?;
            Some((hex(line, "flags")? as u32, hex(line, "event-flags")? as u32))
        };
        let (faflags, evflags) = group().ok_or_else(|| refuse("fdinfo: not as expected"))?;
        let mut entries: Vec<FanotifyMarkEntry> = marks(&open.info).filter_map(mark).collect();
        for mark in &mut entries {
            if let Some(inode) = &mut mark.ie {
                let found = self.watched_path(&inode.f_handle, mark.s_dev, inode.i_ino);
                (inode.f_handle.path, inode.f_handle.mnt_id) = found.unzip();
                if inode.f_handle.path.is_none() {
                    return Err(refuse("what fanotify has marked has no name in the container"));
                }
            }
            if let Some(marked) = &mut mark.me {
                let mut mounts = self.surroundings.mounts.all().flat_map(|mounts| &mounts.list);
                let Some(mount) = mounts.find(|mount| mount.id == marked.mnt_id) else {
                    return Err(refuse(
                        "what fanotify has marked is a mount that the container does not have",
                    ));
                };
                mark.s_dev = mount.dev.0 << 20 | mount.dev.1;
                marked.path = Some(mount.mountpoint.clone());
            }
        }
        let ffy = FanotifyFileEntry {
            id: open.id,
            flags: open.info.flags,
            fown: self.owner(open)?,
            faflags,
            evflags,
            mark: entries,
        };
        Ok(FileEntry { ffy: Some(Box::new(ffy)), ..entry(FdTypes::Fanotify, open.id) })
    }
}

/// "fanotify ino:2 sdev:2b mflags:40 mask:20 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:0200...", or with `mnt_id`
/// instead of what is of the inode.
fn mark(line: &str) -> Option<FanotifyMarkEntry> {
    let hex = |key| hex(line, key);
    let mut entry = FanotifyMarkEntry {
        id: 0,
        r#type: MarkType::Mount as i32,
        mflags: hex("mflags")? as u32,
        mask: hex("mask")? as u32,
        ignored_mask: hex("ignored_mask")? as u32,
        s_dev: hex("sdev").unwrap_or(0) as u32,
        ie: None,
        me: None,
    };
    if let Some(mnt_id) = hex("mnt_id") {
        entry.me = Some(FanotifyMountMarkEntry { mnt_id: mnt_id as u32, path: None });
    } else {
        entry.r#type = MarkType::Inode as i32;
        entry.ie = Some(FanotifyInodeMarkEntry { i_ino: hex("ino")?, f_handle: handle(line)? });
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_all_kinds() {
        let refused = |line: &str| {
            fanotify_refused(&Fdinfo {
                more: format!("fanotify flags:3 event-flags:0\n{line}\n"),
                ..Fdinfo::default()
            })
        };
        let inode = "fanotify ino:13 sdev:fe00000 mflags:440 mask:0 ignored_mask:8000020 fhandle-bytes:8 \
            fhandle-type:1 f_handle:1300000000000000";
        let found = mark(inode).expect("a mark");
        assert_eq!(
            (found.r#type, found.mflags, found.ignored_mask, found.s_dev),
            (1, 0x440, 0x800_0020, 0xfe0_0000)
        );
        assert_eq!(found.ie.map(|ie| (ie.i_ino, ie.f_handle.bytes)), Some((0x13, 8)));
        let mount = mark("fanotify mnt_id:1b mflags:0 mask:20 ignored_mask:0").expect("a mark");
        assert_eq!((mount.r#type, mount.me.map(|me| me.mnt_id)), (2, Some(0x1b)));
        assert_eq!(refused(inode), None);
        assert!(refused("fanotify mnt_id:1b mflags:0 mask:10000 ignored_mask:0").is_some());
        assert!(refused("fanotify sdev:fe00000 mflags:0 mask:20 ignored_mask:0").is_some());
        assert!(refused("fanotify mnt_ns:1 mflags:0 mask:20 ignored_mask:0").is_some());
    }
}
