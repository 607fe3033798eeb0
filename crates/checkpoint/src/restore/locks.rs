//! Locks of files.

use super::build::Build;
use crate::error::{Error, Result};
use inject::Batch;

/// `file_lock_entry.flag`
const POSIX: u32 = 1;
const FLOCK: u32 = 2;
const OPEN_FILE: u32 = 4;
const LEASE: u32 = 8;

/// flock(2) in `type`: LOCK_MAND and its kinds.
const LOCK_MAND: u32 = 32;

pub(super) fn restore(build: &mut Build<'_>) -> Result<()> {
    for lock in &build.snapshot.locks {
        let named = |what: String| Error::new(format!("lock of task {} fd {}: {what}", lock.pid, lock.fd));
        let owner = u32::try_from(lock.pid).ok().and_then(|pid| build.index_of(pid));
        let owner = owner.ok_or_else(|| named("no such task".to_owned()))?;
        let mut batch = Batch::new();
        match lock.flag {
            FLOCK => {
                let shared = lock.r#type == libc::F_RDLCK as u32;
                let how = match lock.r#type {
                    how if how & LOCK_MAND != 0 => how as i32,
                    _ if shared => libc::LOCK_SH,
                    _ => libc::LOCK_EX,
                };
                batch.call("flock", libc::SYS_flock, &[lock.fd.into(), (how | libc::LOCK_NB).into()]);
            }
            POSIX | OPEN_FILE => {
                // struct flock: type, whence, start, len, pid
                let mut bytes = (lock.r#type as u16).to_le_bytes().to_vec();
                bytes.resize(8, 0);
                bytes.extend_from_slice(&lock.start.to_le_bytes());
                bytes.extend_from_slice(&lock.len.to_le_bytes());
                bytes.extend_from_slice(&[0; 8]);
                let place = batch.bytes(&bytes);
                let command = if lock.flag == POSIX { libc::F_SETLK } else { libc::F_OFD_SETLK };
                batch.call("lock", libc::SYS_fcntl, &[lock.fd.into(), command.into(), place.into()]);
            }
            LEASE => {
                // Who may lease a file can make others wait.
                build.with_only(&mut batch, build.policy.file_capabilities(), |batch| {
                    let arguments = [lock.fd.into(), libc::F_SETLEASE.into(), lock.r#type.into()];
                    batch.call("lease", libc::SYS_fcntl, &arguments)
                });
            }
            other => return Err(named(format!("kind {other} is not supported"))),
        }
        build.run(owner, &batch).map_err(|error| named(error.to_string()))?;
    }
    Ok(())
}
