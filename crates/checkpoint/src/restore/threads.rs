//! The other threads of each process.

use super::build::Build;
use super::tree::clone3;
use crate::error::Result;
use inject::Batch;

const FLAGS: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM;

pub(super) fn make(build: &mut Build<'_>) -> Result<()> {
    for (index, task) in build.living() {
        let first = build.layout.first[index];
        let mut batch = Batch::new();
        for (nth, tid) in task.entry.threads.iter().enumerate().skip(1) {
            clone3(&mut batch, FLAGS as u64, 0, *tid, build.mailbox(first + nth));
        }
        build.run(index, &batch)?;
    }
    Ok(())
}
