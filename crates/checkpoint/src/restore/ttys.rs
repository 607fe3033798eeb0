//! Terminals: pairs of the container's devpts, and the console, whose other end is outside.

use super::build::Build;
use super::files::{OPENING, open_name, reopen};
use crate::error::{At, Error, Result};
use crate::terminals;
use images::messages::{FileEntry, TermiosEntry, TtyInfoEntry};
use inject::{Arg, Batch};
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `tty_info_entry.type`
const PTY: i32 = 1;
const CONSOLE: i32 = 2;
const CURRENT: i32 = 4;
const EXTERNAL: i32 = 5;

const MASTER_MAJOR: u32 = 5;

fn info<'a>(build: &Build<'a>, file: &FileEntry) -> Option<&'a TtyInfoEntry> {
    let id = file.tty.as_ref()?.tty_info_id;
    build.snapshot.ttys.iter().find(|info| info.id == id)
}

pub(crate) fn is_master(info: &TtyInfoEntry) -> bool {
    info.rdev >> 8 == MASTER_MAJOR
}

/// Makes the terminal that the tasks have had from outside in the devpts mounted at `place`, under the number that it had.
/// It becomes the standard descriptors of the first task, and its master the build's.
pub(super) fn make_console(build: &mut Build<'_>, place: &Path) -> Result<()> {
    /// A number is had by taking all those below it.
    const NUMBERS: u32 = 256;
    let (masters, slaves): (Vec<_>, Vec<_>) = build.snapshot.ttys.iter().partition(|info| is_master(info));
    let index = |info: &TtyInfoEntry| info.pty.as_ref().map_or(0, |pty| pty.index);
    let is_lost = |slave: &&&TtyInfoEntry| masters.iter().all(|master| index(master) != index(slave));
    let Some(slave) = slaves.iter().find(is_lost).filter(|_| build.console.is_none()) else { return Ok(()) };
    if index(slave) >= NUMBERS {
        return Err(Error::new(format!("terminal {}: its number is too high", index(slave))));
    }
    let mut batch = Batch::new();
    let name = batch.string(place.join("ptmx").as_os_str().as_bytes());
    let arguments = [libc::AT_FDCWD.into(), name.into(), (libc::O_RDWR | libc::O_NOCTTY).into(), 0.into()];
    let mut masters: Vec<_> =
        (0..=index(slave)).map(|_| batch.call("open ptmx", libc::SYS_openat, &arguments)).collect();
    let master = masters.pop().expect("at least one");
    masters.iter().for_each(|other| _ = batch.call("close", libc::SYS_close, &[(*other).into()]));
    let zero = batch.words(&[0]);
    batch.call("TIOCSPTLCK", libc::SYS_ioctl, &[master.into(), libc::TIOCSPTLCK.into(), zero.into()]);
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let terminal =
        batch.call("TIOCGPTPEER", libc::SYS_ioctl, &[master.into(), libc::TIOCGPTPEER.into(), flags.into()]);
    if let (Some(uid), Some(gid)) = (slave.uid, slave.gid) {
        batch.call("fchown", libc::SYS_fchown, &[terminal.into(), uid.into(), gid.into()]);
    }
    for number in 0..3 {
        batch.call("dup3", libc::SYS_dup3, &[terminal.into(), number.into(), 0.into()]);
    }
    batch.call("close", libc::SYS_close, &[terminal.into()]);
    let outcome = build.run(0, &batch)?;
    let number = outcome.result(master).at(|| "open ptmx".to_owned())? as i32;
    build.console = Some(build.descriptor(number)?);
    let mut batch = Batch::new();
    batch.call("close", libc::SYS_close, &[number.into()]);
    build.run(0, &batch)?;
    Ok(())
}

pub(super) fn open_all(build: &mut Build<'_>) -> Result<()> {
    let files: Vec<&FileEntry> = build.snapshot.files.iter().filter(|file| file.tty.is_some()).collect();
    // The new number of each pair, by the old one.
    let mut pairs: BTreeMap<u32, u32> = BTreeMap::new();
    let (masters, others): (Vec<&FileEntry>, Vec<&FileEntry>) =
        files.into_iter().partition(|file| info(build, file).is_some_and(is_master));
    for file in masters {
        let named = |error: Error| Error::new(format!("files: terminal master {}: {error}", file.id));
        let Some(info) = info(build, file) else { continue };
        let mut batch = Batch::new();
        let name = batch.string(b"/dev/pts/ptmx");
        let fd = open_name(&mut batch, name, file.tty.as_ref().map_or(0, |tty| tty.flags));
        let zero = batch.words(&[0]);
        batch.call("TIOCSPTLCK", libc::SYS_ioctl, &[fd.into(), libc::TIOCSPTLCK.into(), zero.into()]);
        let number = batch.space(8);
        batch.call("TIOCGPTN", libc::SYS_ioctl, &[fd.into(), libc::TIOCGPTN.into(), number.into()]);
        configure(&mut batch, fd.into(), info);
        build.settle(&mut batch, fd, file.id);
        let outcome = build.run(0, &batch).map_err(named)?;
        let index = info.pty.as_ref().map_or(0, |pty| pty.index);
        pairs.insert(index, outcome.u32(number));
    }
    for file in others {
        let named = |error: Error| Error::new(format!("files: terminal {}: {error}", file.id));
        let (Some(info), Some(tty)) = (info(build, file), &file.tty) else { continue };
        let index = info.pty.as_ref().map_or(0, |pty| pty.index);
        let mut batch = Batch::new();
        // As CRIU names one from outside, whose settings are somebody else's.
        let key = format!("tty[{:x}:{:x}]", info.rdev, info.dev.unwrap_or(0));
        if let Some(from) = build.inherited(&key) {
            build.settle_inherited(&mut batch, from, file.id);
            build.run(0, &batch).map_err(named)?;
            continue;
        }
        let fd = match (info.r#type, pairs.get(&index)) {
            (PTY, Some(number)) => {
                let name = batch.string(format!("/dev/pts/{number}").as_bytes());
                open_name(&mut batch, name, tty.flags)
            }
            // After all terminals have their sessions.
            (CURRENT, _) => return Err(named(Error::new("/dev/tty is not supported"))),
            (PTY | CONSOLE | EXTERNAL, _) if build.policy.has_console => {
                // The nursery's standard input is the new terminal, here under a name of its own.
                reopen(&mut batch, 0, tty.flags & OPENING | libc::O_NOCTTY as u32)
            }
            _ => return Err(named(Error::new("its other end is outside; restore it with a console socket"))),
        };
        configure(&mut batch, fd.into(), info);
        build.settle(&mut batch, fd, file.id);
        build.run(0, &batch).map_err(named)?;
    }
    deliver(build)
}

/// Puts what was in their queues into terminals, as it was: not through their settings again.
fn deliver(build: &mut Build<'_>) -> Result<()> {
    let snapshot = build.snapshot;
    for data in &snapshot.tty_data {
        let Some(own) = snapshot.ttys.iter().find(|info| info.id == data.tty_id) else { continue };
        let is_open = |file: &&FileEntry| file.tty.as_ref().is_some_and(|tty| tty.tty_info_id == own.id);
        let number = snapshot.files.iter().find(is_open).and_then(|file| build.open.get(&file.id));
        let Some(number) = number else { continue };
        let named = |error: Error| Error::new(format!("files: terminal {}: {error}", own.id));
        let terminal = build.descriptor(*number)?;
        let put = match is_master(own) {
            true => terminals::put_into_master(terminal.as_fd(), &data.data),
            false => sys::terminal::termios(terminal.as_fd())
                .at(|| "its settings".to_owned())
                .and_then(|settings| terminals::put_into_slave(terminal.as_fd(), &data.data, &settings)),
        };
        put.map_err(named)?;
    }
    Ok(())
}

/// Its attributes and its size.
fn configure(batch: &mut Batch, fd: Arg, info: &TtyInfoEntry) {
    if let Some(termios) = &info.termios {
        let place = batch.bytes(&attributes(termios));
        batch.call("TCSETS", libc::SYS_ioctl, &[fd, libc::TCSETS.into(), place.into()]);
    }
    if let Some(size) = &info.winsize {
        let numbers = [size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel];
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| (*number as u16).to_le_bytes()).collect();
        let place = batch.bytes(&bytes);
        batch.call("TIOCSWINSZ", libc::SYS_ioctl, &[fd, libc::TIOCSWINSZ.into(), place.into()]);
    }
    if info.packet_mode && is_master(info) {
        let one = batch.words(&[1]);
        batch.call("TIOCPKT", libc::SYS_ioctl, &[fd, libc::TIOCPKT.into(), one.into()]);
    }
}

/// The kernel's struct termios.
fn attributes(termios: &TermiosEntry) -> Vec<u8> {
    let words = [termios.c_iflag, termios.c_oflag, termios.c_cflag, termios.c_lflag];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.push(termios.c_line as u8);
    // Four characters in each word of the images.
    bytes.extend(termios.c_cc.iter().flat_map(|word| word.to_le_bytes()).take(19));
    bytes.resize(36, 0);
    bytes
}

/// Gives sessions their terminals, and terminals their foreground groups.
pub(super) fn attach(build: &mut Build<'_>) -> Result<()> {
    let files: Vec<&FileEntry> = build.snapshot.files.iter().filter(|file| file.tty.is_some()).collect();
    let mut done = Vec::new();
    for file in files {
        let Some(info) = info(build, file) else { continue };
        if is_master(info) || done.contains(&info.id) {
            continue;
        }
        done.push(info.id);
        // CRIU knows the session of a slave only where a task has the slave open that is in the session.
        let index = |info: &TtyInfoEntry| info.pty.as_ref().map(|pty| pty.index);
        let is_of_pair = |other: &&TtyInfoEntry| other.id == info.id || index(other) == index(info);
        let ends = build.snapshot.ttys.iter().filter(is_of_pair);
        let Some(info) = ends.max_by_key(|end| (end.sid != 0, end.id == info.id)).filter(|end| end.sid != 0)
        else {
            continue;
        };
        let Some(leader) = build.index_of(info.sid) else { continue };
        let Some(number) = build.open.get(&file.id).copied() else { continue };
        let mut batch = Batch::new();
        batch.call("TIOCSCTTY", libc::SYS_ioctl, &[number.into(), libc::TIOCSCTTY.into(), 1.into()]);
        if info.pgrp != 0 {
            let group = batch.bytes(&info.pgrp.to_le_bytes());
            batch.call_may_fail(
                "TIOCSPGRP",
                libc::SYS_ioctl,
                &[number.into(), libc::TIOCSPGRP.into(), group.into()],
            );
        }
        build.run(leader, &batch)?;
    }
    Ok(())
}
