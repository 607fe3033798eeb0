//! fanotify(7). The kernel asks whether the container could have CAP_SYS_ADMIN, where a group or a mark takes it.

use super::build::Build;
use super::files::{open_name, path};
use super::mounts;
use crate::error::{Error, Result};
use crate::files::DECIDES;
use images::messages::{FanotifyFileEntry, FanotifyMarkEntry};
use inject::{Batch, Call};

/// A group without marks.
pub(super) fn open(batch: &mut Batch, entry: &FanotifyFileEntry) -> Call {
    let nonblock = if entry.flags & libc::O_NONBLOCK as u32 != 0 { libc::FAN_NONBLOCK } else { 0 };
    let flags = entry.faflags & !(libc::FAN_CLOEXEC | libc::FAN_NONBLOCK) | nonblock;
    batch.call("fanotify_init", libc::SYS_fanotify_init, &[flags.into(), entry.evflags.into()])
}

/// Gives all groups their marks.
pub(super) fn mark_all(build: &mut Build<'_>) -> Result<()> {
    for entry in build.snapshot.files.iter().filter_map(|file| file.ffy.as_deref()) {
        // The kernel lists the last one first.
        for mark in entry.mark.iter().rev() {
            add(build, entry.id, mark)
                .map_err(|error| Error::new(format!("files: fanotify {}: {error}", entry.id)))?;
        }
    }
    build.enter_mounts_of(None)
}

fn add(build: &mut Build<'_>, id: u32, mark: &FanotifyMarkEntry) -> Result<()> {
    if (mark.mask | mark.ignored_mask) & DECIDES != 0 {
        return Err(Error::new("a mark that decides about accesses is not supported"));
    }
    let (name, of_kind) = match (&mark.ie, &mark.me) {
        (Some(inode), _) => (inode.f_handle.path.clone(), libc::FAN_MARK_INODE),
        (None, Some(mount)) => {
            let name = mount.path.clone().or_else(|| mounts::mountpoint(build.snapshot, mount.mnt_id));
            (name, libc::FAN_MARK_MOUNT)
        }
        (None, None) => (None, libc::FAN_MARK_INODE),
    };
    let name = name.ok_or_else(|| Error::new("what it has marked has no name, which is not supported"))?;
    let on = match (&mark.ie, &mark.me) {
        (Some(inode), _) => inode.f_handle.mnt_id,
        (None, mount) => mount.as_ref().map(|mount| mount.mnt_id),
    };
    let mut batch = Batch::new();
    build.enter_in(&mut batch, on);
    // fanotify_mark(2) follows links of procfs. The name itself is that of what is marked, be it a link.
    let place = batch.string(&path(&name));
    let found = open_name(&mut batch, place, (libc::O_PATH | libc::O_NOFOLLOW) as u32);
    batch.call("close", libc::SYS_close, &[found.into()]);
    let ignored = match mark.mflags & libc::FAN_MARK_IGNORE {
        0 => libc::FAN_MARK_IGNORED_MASK,
        ignore => ignore,
    };
    let evictable = mark.mflags & libc::FAN_MARK_EVICTABLE;
    let survives = mark.mflags & libc::FAN_MARK_IGNORED_SURV_MODIFY;
    for (mask, flags) in [(mark.mask, 0), (mark.ignored_mask, ignored | survives)] {
        if mask != 0 {
            let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_DONT_FOLLOW | of_kind | evictable | flags;
            let at = libc::AT_FDCWD.into();
            let arguments = [build.number(id).into(), flags.into(), mask.into(), at, place.into()];
            batch.call("fanotify_mark", libc::SYS_fanotify_mark, &arguments);
        }
    }
    build.run(0, &batch)?;
    Ok(())
}
