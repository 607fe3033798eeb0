//! What is in the queues of pseudo terminals. Nobody can look at it without taking it, so it is taken and put back, by one
//! who is not killed with us: the guardian. A restore only puts.
//!
//! Settings of a terminal change what goes into it and how it is read. While it is taken and put back, they are neutral.

use crate::error::{At, Error, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use sys::terminal::{Property, Termios, property, receive, set_termios, termios};

/// Bytes from which on a terminal does not take more before it is read (N_TTY_BUF_SIZE, TTY_THRESHOLD_THROTTLE).
const FULL: usize = 4096 - 128;

/// Places in `Termios::characters`.
const VSTART: usize = 8;
const VSTOP: usize = 9;

/// What a slave has received, as far as nobody has read it. It is still there afterwards, an unfinished line as such.
pub(crate) fn look_at_slave(slave: BorrowedFd<'_>) -> Result<Vec<u8>> {
    let what = || "look at what it has received".to_owned();
    // A look at lines that are not finished needs other settings, and a reader that does not wait.
    let own = termios(slave).at(what)?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let reader =
        File::options().read(true).custom_flags(flags).open(format!("/proc/self/fd/{}", slave.as_raw_fd()));
    let mut reader = reader.at(what)?;
    settle(slave).at(what)?;
    set_termios(slave, &neutral(&own, 0)).at(what)?;
    let count = property(slave, Property::Received).at(what)? as usize;
    if count == 0 || count >= FULL {
        set_termios(slave, &own).at(what)?;
        return match count {
            0 => Ok(Vec::new()),
            _ => Err(Error::new(format!("{}: it is full", what()))),
        };
    }
    let mut bytes = vec![0; count];
    let read = reader.read_exact(&mut bytes).at(what);
    put_into_slave(slave, &bytes, &own)?;
    read.map(|()| bytes)
}

/// Lets a slave, which has nothing in its queue, receive bytes that were processed already, and gives it these settings.
pub(crate) fn put_into_slave(slave: BorrowedFd<'_>, bytes: &[u8], settings: &Termios) -> Result<()> {
    let what = || "put back what it has received".to_owned();
    // Lines are lines again, but nothing is echoed, mapped, erased or a signal.
    set_termios(slave, &neutral(settings, libc::ICANON)).at(what)?;
    let put = bytes.iter().try_for_each(|byte| receive(slave, *byte));
    set_termios(slave, settings).at(what)?;
    put.at(what)
}

/// What a slave has written and nobody has read from its master. It is still there afterwards.
pub(crate) fn look_at_master(master: BorrowedFd<'_>) -> Result<Vec<u8>> {
    let what = || "look at what it has received".to_owned();
    let mut bytes = Vec::new();
    loop {
        settle(master).at(what)?;
        let count = property(master, Property::Received).at(what)? as usize;
        if count == 0 {
            break;
        }
        // Each read begins with a byte of its own, and clears what it tells.
        if property(master, Property::PacketMode).at(what)? != 0 {
            return Err(Error::new(format!("{}: it is in packet mode", what())));
        }
        let mut part = vec![0; count];
        let read = nix::unistd::read(master, &mut part).at(what)?;
        bytes.extend_from_slice(&part[..read]);
    }
    put_into_master(master, &bytes)?;
    Ok(bytes)
}

/// Lets a master receive bytes from its slave.
pub(crate) fn put_into_master(master: BorrowedFd<'_>, bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let what = || "put back what it has received".to_owned();
    let slave = sys::process::pty_peer(master).at(what)?;
    // Full is an error, not a reason to wait.
    fcntl(&slave, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).at(what)?;
    let own = termios(slave.as_fd()).at(what)?;
    // Lines stay lines when nothing else changes.
    set_termios(slave.as_fd(), &Termios { output: 0, ..own }).at(what)?;
    let put = File::from(slave.try_clone().at(what)?).write_all(bytes);
    set_termios(slave.as_fd(), &own).at(what)?;
    put.at(what)
}

/// Whether we may put anything into terminals: tried with one of our own.
pub(crate) fn can_put() -> bool {
    let master = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open("/dev/ptmx");
    let slave = master.map_err(sys::Errno::from).and_then(|master| {
        sys::process::unlock_pty(master.as_fd())?;
        Ok((sys::process::pty_peer(master.as_fd())?, master))
    });
    slave.is_ok_and(|(slave, _master): (OwnedFd, File)| receive(slave.as_fd(), b'.').is_ok())
}

/// Settings with which bytes go through as they are. `lines` is `ICANON` if lines are to stay lines.
fn neutral(own: &Termios, lines: u32) -> Termios {
    // A master in packet mode is told when these change.
    let mut characters = [0; 19];
    characters[VSTART] = own.characters[VSTART];
    characters[VSTOP] = own.characters[VSTOP];
    Termios { input: own.input & libc::IXON, output: 0, local: own.local & lines, characters, ..*own }
}

/// Waits until what was sent has been received: a look for input where there is none does that.
fn settle(terminal: BorrowedFd<'_>) -> nix::Result<()> {
    poll(&mut [PollFd::new(terminal, PollFlags::POLLIN)], PollTimeout::ZERO)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (File, File) {
        let master = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open("/dev/ptmx");
        let master = master.expect("a master");
        sys::process::unlock_pty(master.as_fd()).expect("unlocked");
        let slave = sys::process::pty_peer(master.as_fd()).expect("a slave");
        (master, File::from(slave))
    }

    #[test]
    fn lines_stay_lines() {
        if !can_put() {
            eprintln!("skipped: TIOCSTI takes CAP_SYS_ADMIN");
            return;
        }
        let (mut master, mut slave) = pair();
        let settings = termios(slave.as_fd()).expect("settings");
        master.write_all(b"one\rtwo\rthr").expect("written");
        for _ in 0..2 {
            assert_eq!(look_at_slave(slave.as_fd()).expect("a look"), b"one\ntwo\nthr");
        }
        // What was typed is echoed once.
        let echoed = b"one\r\ntwo\r\nthr";
        assert_eq!(look_at_master(master.as_fd()).expect("a look"), echoed);
        assert_eq!(termios(slave.as_fd()).expect("settings"), settings);
        let mut buffer = [0; 64];
        assert_eq!(slave.read(&mut buffer).expect("a line"), 4);
        assert_eq!(slave.read(&mut buffer).expect("a line"), 4);
        master.write_all(b"ee\r").expect("written");
        assert_eq!(slave.read(&mut buffer).expect("a line"), 6);
        assert_eq!(&buffer[..6], b"three\n");
        let read = master.read(&mut buffer).expect("an echo");
        assert_eq!(&buffer[..read], b"one\r\ntwo\r\nthree\r\n");
    }
}
