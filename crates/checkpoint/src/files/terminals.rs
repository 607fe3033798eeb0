//! Terminals: pseudo terminals of the container's own devpts.

use super::{Files, Open, entry};
use crate::error::{At, Error, Result};
use crate::terminals;
use images::messages::{
    FdTypes, FileEntry, TermiosEntry, TtyDataEntry, TtyFileEntry, TtyInfoEntry, TtyPtyEntry, TtyType,
    WinsizeEntry,
};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use sys::terminal::{Property, Termios, locked_termios, property, termios, window};

/// The controlling terminal of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Controlling {
    /// Its device number.
    pub(crate) dev: u64,
    /// Session and foreground process group, by their numbers in the container.
    pub(crate) session: u32,
    pub(crate) foreground: u32,
}

/// Why a terminal is refused: images know them by their numbers alone.
pub(crate) const OTHER_DEVPTS: &str =
    "it is a terminal of a devpts that the container's first process does not see";

impl Files<'_> {
    pub(super) fn terminal(&mut self, open: &Open) -> Result<FileEntry> {
        let regf_id = self.new_id();
        let named = self.named(open, regf_id)?;
        self.entries.insert(regf_id, named);
        let tty_info_id = self.terminal_info(open)?;
        let tty = TtyFileEntry {
            id: open.id,
            tty_info_id,
            flags: open.info.flags,
            fown: self.owner(open)?,
            regf_id: Some(regf_id),
        };
        Ok(FileEntry { tty: Some(Box::new(tty)), ..entry(FdTypes::Tty, open.id) })
    }

    fn terminal_info(&mut self, open: &Open) -> Result<u32> {
        let (major, minor) = (libc::major(open.metadata.rdev()), libc::minor(open.metadata.rdev()));
        let fd = open.file.as_fd();
        let what = || format!("{}: look at the terminal", open.owner);
        let (is_master, index) = match (major, minor) {
            (5, 2) => (true, property(fd, Property::Number).at(what)? as u32),
            (136..=143, _) => (false, (major - 136) * 256 + minor),
            _ => return Err(Error::new(format!("{}: {} is not supported", open.owner, open.link.display()))),
        };
        if self.surroundings.mounts.is_only_nested(open.info.mnt_id, open.metadata.dev()) {
            return Err(Error::new(format!("{}: {}", open.owner, super::OTHER_DEVPTS)));
        }
        // As CRIU numbers the two ends of a pair.
        let id = index << 1 | u32::from(is_master);
        if self.terminals.iter().any(|known| known.id == id) {
            return Ok(id);
        }
        // What came from outside is whose it is.
        if self.surroundings.mounts.of_mount(open.info.mnt_id).is_some() {
            self.terminal_queue(open, id, is_master)?;
        }
        let is_set = |which| property(fd, which).map(|value| value != 0);
        // Master and slave have one session, which belongs to the slave's number.
        let dev = libc::makedev(136 + index / 256, index % 256);
        let controlling = self.surroundings.terminals.iter().find(|terminal| terminal.dev == dev);
        let [ws_row, ws_col, ws_xpixel, ws_ypixel] = window(fd).at(what)?.map(u32::from);
        let (uid, gid) = self.ids(&open.metadata);
        self.terminals.push(TtyInfoEntry {
            id,
            r#type: TtyType::Pty as i32,
            locked: is_master && is_set(Property::Locked).at(what)?,
            exclusive: is_set(Property::Exclusive).at(what)?,
            packet_mode: is_master && is_set(Property::PacketMode).at(what)?,
            sid: controlling.map_or(0, |terminal| terminal.session),
            pgrp: controlling.map_or(0, |terminal| terminal.foreground),
            rdev: kernel_device(open.metadata.rdev()),
            termios: Some(settings(&termios(fd).at(what)?)),
            termios_locked: Some(settings(&locked_termios(fd).at(what)?)),
            winsize: Some(WinsizeEntry { ws_row, ws_col, ws_xpixel, ws_ypixel }),
            pty: Some(TtyPtyEntry { index }),
            dev: Some(open.metadata.dev() as u32),
            uid: Some(uid),
            gid: Some(gid),
        });
        Ok(id)
    }
}

impl Files<'_> {
    /// What is on its way to this end.
    fn terminal_queue(&mut self, open: &Open, tty_id: u32, is_master: bool) -> Result<()> {
        let fd = open.file.as_fd();
        // Without the right to put it back only what shows is noticed, and in the way.
        if !*self.can_put.get_or_insert_with(terminals::can_put) {
            return match property(fd, Property::Received).at(|| open.owner.clone())? {
                0 => Ok(()),
                _ => Err(Error::new(format!(
                    "{}: what it has received cannot be looked at without CAP_SYS_ADMIN",
                    open.owner
                ))),
            };
        }
        let data = self.surroundings.guardian.look_at_terminal(fd, is_master);
        let data = data.map_err(|error| Error::new(format!("{}: {error}", open.owner)))?;
        if !data.is_empty() {
            self.terminal_data.push(TtyDataEntry { tty_id, data });
        }
        Ok(())
    }
}

/// A device number as images have it: 16 bits of old.
fn kernel_device(dev: u64) -> u32 {
    libc::major(dev) << 8 | libc::minor(dev)
}

fn settings(termios: &Termios) -> TermiosEntry {
    TermiosEntry {
        c_iflag: termios.input,
        c_oflag: termios.output,
        c_cflag: termios.control,
        c_lflag: termios.local,
        c_line: termios.line.into(),
        c_ispeed: 0,
        c_ospeed: 0,
        c_cc: characters(&termios.characters),
    }
}

/// CRIU copies the bytes into an array of as many words.
fn characters(bytes: &[u8; 19]) -> Vec<u32> {
    let mut padded = [0; 19 * 4];
    padded[..bytes.len()].copy_from_slice(bytes);
    padded.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("four bytes"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_as_criu_has_them() {
        let mut bytes = [0; 19];
        bytes[..5].copy_from_slice(&[3, 0x1c, 0x7f, 0x15, 4]);
        let words = characters(&bytes);
        assert_eq!((words.len(), words[0], words[1]), (19, 360651779, 4));
    }
}
