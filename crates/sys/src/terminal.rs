//! What ioctl_tty(2) tells about a terminal, and does to it.
#![allow(unsafe_code)] // ioctl(2) takes any request's memory.

use crate::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd};

/// The kernel's struct termios.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Termios {
    pub input: u32,
    pub output: u32,
    pub control: u32,
    pub local: u32,
    pub line: u8,
    pub characters: [u8; 19],
}

/// A property that is an int.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// The number of a pseudo terminal, of its master (`TIOCGPTN`).
    Number,
    /// Its slave cannot be opened (`TIOCGPTLCK`).
    Locked,
    /// `TIOCGEXCL`
    Exclusive,
    /// `TIOCGPKT`
    PacketMode,
    /// Bytes that can be read (`FIONREAD`); in canonical mode, those of whole lines.
    Received,
}

pub fn termios(terminal: BorrowedFd<'_>) -> Result<Termios> {
    settings(terminal, libc::TCGETS)
}

/// Which bits of the settings cannot be changed (`TIOCGLCKTRMIOS`).
pub fn locked_termios(terminal: BorrowedFd<'_>) -> Result<Termios> {
    const TIOCGLCKTRMIOS: libc::Ioctl = 0x5456;
    settings(terminal, TIOCGLCKTRMIOS)
}

fn settings(terminal: BorrowedFd<'_>, request: libc::Ioctl) -> Result<Termios> {
    let mut termios = Termios::default();
    // SAFETY: both requests write a struct termios of the kernel, which `Termios` is.
    Errno::check(unsafe { libc::ioctl(terminal.as_raw_fd(), request, &raw mut termios) }.into())?;
    Ok(termios)
}

pub fn property(terminal: BorrowedFd<'_>, property: Property) -> Result<i32> {
    let request: libc::Ioctl = match property {
        Property::Number => 0x8004_5430,
        Property::Locked => 0x8004_5439,
        Property::Exclusive => 0x8004_5440,
        Property::PacketMode => 0x8004_5438,
        Property::Received => libc::FIONREAD,
    };
    let mut value: libc::c_int = 0;
    // SAFETY: all of them write an int.
    Errno::check(unsafe { libc::ioctl(terminal.as_raw_fd(), request, &raw mut value) }.into())?;
    Ok(value)
}

/// Sets what `termios` tells, at once (`TCSETS`).
pub fn set_termios(terminal: BorrowedFd<'_>, termios: &Termios) -> Result<()> {
    let termios = std::ptr::from_ref(termios);
    // SAFETY: the request reads a struct termios of the kernel, which `Termios` is.
    Errno::check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TCSETS, termios) }.into())?;
    Ok(())
}

/// Lets a terminal receive a byte as if it had come from its other end (`TIOCSTI`). It has when this returns.
///
/// # Errors
/// `EIO`, `EPERM`: without CAP_SYS_ADMIN in the initial user namespace.
pub fn receive(terminal: BorrowedFd<'_>, byte: u8) -> Result<()> {
    let byte = std::ptr::from_ref(&byte);
    // SAFETY: the request reads one byte.
    Errno::check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, byte) }.into())?;
    Ok(())
}

/// Rows, columns, and the size in pixels, width first.
pub fn window(terminal: BorrowedFd<'_>) -> Result<[u16; 4]> {
    let mut size = [0u16; 4];
    // SAFETY: the kernel writes a struct winsize, which is four numbers of 16 bits.
    Errno::check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, size.as_mut_ptr()) }.into())?;
    Ok(size)
}
