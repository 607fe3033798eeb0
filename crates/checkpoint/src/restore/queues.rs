//! Message queues of POSIX. The container's user makes them, so the kernel decides by the namespace's limits and the user's
//! (`RLIMIT_MSGQUEUE`); we fill them.

use super::build::Build;
use super::files::reopen;
use crate::error::{At, Error, Result};
use crate::message_queues;
use crate::snapshot::PosixQueue;
use crate::target::NamespaceKind;
use inject::{Batch, Call};
use std::os::fd::AsFd;

/// Makes the queues, and the open files that they are.
pub(super) fn open_all(build: &mut Build<'_>) -> Result<()> {
    let side = &build.snapshot.side;
    if !side.message_queues.is_empty() && !build.policy.owns(NamespaceKind::Ipc) {
        return Err(Error::new("message queues of somebody else's IPC namespace are not made"));
    }
    // Those that lose their names first: others may have got these.
    for is_named in [false, true] {
        let queues = side.message_queues.iter().enumerate();
        for (nth, queue) in queues.filter(|(_, queue)| queue.name.is_some() == is_named) {
            let name = queue.name.as_deref().unwrap_or("without a name");
            open(build, nth as u32, queue)
                .map_err(|error| Error::new(format!("message queue {name}: {error}")))?;
        }
    }
    Ok(())
}

fn open(build: &mut Build<'_>, nth: u32, queue: &PosixQueue) -> Result<()> {
    const OF_REMOVED: &str = ".floe-removed";
    let mut batch = Batch::new();
    let name = batch.string(queue.name.as_deref().unwrap_or(OF_REMOVED).as_bytes());
    // struct mq_attr: flags, messages, bytes of each, and what there is
    let attributes = batch.words(&[0, queue.max_messages.into(), queue.max_size.into(), 0, 0, 0, 0, 0]);
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_NONBLOCK;
    let arguments = [name.into(), flags.into(), 0o600.into(), attributes.into()];
    let made = batch.call("mq_open", libc::SYS_mq_open, &arguments);
    if queue.name.is_none() {
        batch.call("mq_unlink", libc::SYS_mq_unlink, &[name.into()]);
    }
    let number = build.run(0, &batch)?.result(made).unwrap_or(0) as i32;
    let copy = build.descriptor(number)?;
    for message in &queue.messages {
        message_queues::put(copy.as_fd(), message).at(|| "put a message into it".to_owned())?;
    }
    let mut batch = Batch::new();
    let files = build.snapshot.side.queue_files.iter().filter(|(_, file)| file.queue == nth);
    let opened: Vec<(u32, Call)> = files
        .map(|(id, file)| {
            let flags = file.flags & (libc::O_ACCMODE | libc::O_NONBLOCK) as u32;
            (*id, reopen(&mut batch, number, flags))
        })
        .collect();
    for (id, fd) in opened {
        build.settle(&mut batch, fd, id);
    }
    // Whoever it belongs to: it is made.
    batch.call("fchown", libc::SYS_fchown, &[number.into(), queue.uid.into(), queue.gid.into()]);
    batch.call("fchmod", libc::SYS_fchmod, &[number.into(), queue.mode.into()]);
    batch.call("close", libc::SYS_close, &[number.into()]);
    build.run(0, &batch)?;
    Ok(())
}
