//! Open message queues. Images of CRIU have no place for them: they are files of a plugin there, and floe-state.json has the
//! rest.

use super::{Files, Open, entry};
use crate::error::{Error, Result};
use crate::message_queues::{NOT_OWN, Queue};
use crate::snapshot::QueueFile;
use crate::target::NamespaceKind;
use images::messages::{ExtFileEntry, FdTypes, FileEntry};
use std::os::unix::fs::MetadataExt;

impl Files<'_> {
    pub(super) fn message_queue(&mut self, open: &Open) -> Result<FileEntry> {
        if !self.surroundings.externals.owns(NamespaceKind::Ipc) {
            return Err(Error::new(format!("{}: {NOT_OWN}", open.owner)));
        }
        let ino = open.metadata.ino();
        let known = self.message_queues.iter().position(|queue| queue.ino == ino);
        let queue = match known {
            Some(queue) => queue,
            None => {
                let queue = Queue::removed(&open.file, self.surroundings.maps)?;
                self.message_queues.push(queue);
                self.message_queues.len() - 1
            }
        };
        let flags = open.info.flags & (libc::O_ACCMODE | libc::O_NONBLOCK) as u32;
        self.side.queue_files.insert(open.id, QueueFile { queue: queue as u32, flags });
        let ext = ExtFileEntry { id: open.id, fown: self.owner(open)? };
        Ok(FileEntry { ext: Some(Box::new(ext)), ..entry(FdTypes::Ext, open.id) })
    }
}
