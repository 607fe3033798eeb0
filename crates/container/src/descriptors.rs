//! Standard descriptors across a checkpoint: what of the caller's a container was given, and what takes its place when it
//! is restored.
//!
//! descriptors.json in the image directory is runc's: the targets of descriptors 0 to 2, of which a restore looks for
//! those that it has another of. Only keys are in it, which name files of the images and nothing on the host.

use crate::error::{At, Error, Result};
use crate::state::OutsideFile;
use nix::fcntl::readlinkat;
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::unistd::{UnlinkatFlags, isatty, unlinkat};
use std::fs::File;
use std::io::{Read, Write, stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use sys::Errno;
use sys::mount::mount_point;
use sys::path::{RESOLVE_BENEATH, openat2};

pub(crate) const FILE: &str = "descriptors.json";
/// Three short words, whoever wrote them.
const SIZE_LIMIT: u64 = 64 << 10;

/// Our own standard descriptors, which are init's, but for /dev/null: the container has that itself. `procfs` is the
/// host's.
pub(crate) fn outside(procfs: BorrowedFd<'_>) -> Result<Vec<OutsideFile>> {
    let mut files = Vec::new();
    for (number, fd) in [stdin().as_fd(), stdout().as_fd(), stderr().as_fd()].into_iter().enumerate() {
        let stat = match fstat(fd) {
            Err(nix::Error::EBADF) => continue,
            other => other.map_err(Errno::from).at(|| format!("descriptor {number}"))?,
        };
        if is_null(&stat) {
            continue;
        }
        let key = key(procfs, number, fd, &stat).at(|| format!("descriptor {number}"))?;
        files.push(OutsideFile { number: number as RawFd, dev: stat.st_dev, ino: stat.st_ino, key });
    }
    Ok(files)
}

fn is_null(stat: &FileStat) -> bool {
    kind(stat) == SFlag::S_IFCHR && stat.st_rdev == libc::makedev(1, 3)
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// The forms are CRIU's (criu(8), `--inherit-fd`).
fn key(procfs: BorrowedFd<'_>, number: usize, fd: BorrowedFd<'_>, stat: &FileStat) -> sys::Result<String> {
    let target = readlinkat(procfs, format!("self/fd/{number}").as_str())?;
    Ok(match target.as_bytes() {
        // pipe:[17] and the like: what has a name begins with a slash.
        [first, ..] if *first != b'/' => target.to_string_lossy().into_owned(),
        _ if kind(stat) == SFlag::S_IFCHR && isatty(fd) == Ok(true) => {
            format!("tty[{:x}:{:x}]", stat.st_rdev, stat.st_dev)
        }
        _ => format!("file[{:x}:{:x}]", mount_point(fd)?.id, stat.st_ino),
    })
}

/// Writes descriptors.json.
pub(crate) fn save(images: BorrowedFd<'_>, outside: &[OutsideFile], has_console: bool) -> Result<()> {
    let inside = if has_console { "/dev/console" } else { "/dev/null" };
    let mut targets = [inside; 3];
    for file in outside {
        if let Some(target) = targets.get_mut(file.number as usize) {
            *target = &file.key;
        }
    }
    let text = serde_json::to_vec(&targets).at(|| format!("write {FILE}"))?;
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_NOFOLLOW;
    let write = || -> sys::Result<()> {
        let file = openat2(images, FILE, flags, 0o600, RESOLVE_BENEATH)?;
        Ok(File::from(file).write_all(&text)?)
    };
    write().at(|| format!("write {FILE}"))
}

/// Takes back what `save` wrote for a dump that failed.
pub(crate) fn remove(images: BorrowedFd<'_>) {
    let _ = unlinkat(images, FILE, UnlinkatFlags::NoRemoveDir);
}

/// Reads descriptors.json: the files of the images that become our own standard descriptors. Without it there are none.
pub(crate) fn load(images: BorrowedFd<'_>) -> Result<Vec<(String, RawFd)>> {
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match openat2(images, FILE, flags, 0, RESOLVE_BENEATH) {
        Err(e) if e.raw() == libc::ENOENT => return Ok(Vec::new()),
        other => other.at(|| format!("read {FILE}"))?,
    };
    let mut text = Vec::new();
    File::from(file)
        .take(SIZE_LIMIT + 1)
        .read_to_end(&mut text)
        .map_err(Errno::from)
        .at(|| format!("read {FILE}"))?;
    if text.len() as u64 > SIZE_LIMIT {
        return Err(Error::new(format!("read {FILE}: it is larger than {SIZE_LIMIT} bytes")));
    }
    parse(&text)
}

fn parse(text: &[u8]) -> Result<Vec<(String, RawFd)>> {
    let targets: Vec<String> = serde_json::from_slice(text).at(|| format!("read {FILE}"))?;
    let numbered = targets.into_iter().zip(0..3);
    // A path is in the container, or CRIU would have refused it.
    Ok(numbered.filter(|(target, _)| !target.is_empty() && !target.starts_with('/')).collect())
}

/// Whatever is in the file, no descriptor but the standard ones comes out, and none for a path.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    for (key, number) in parse(bytes).unwrap_or_default() {
        assert!((0..3).contains(&number) && !key.starts_with('/'), "{key} {number}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runcs_file_is_read() {
        let text = br#"["/dev/null","pipe:[4711]","pipe:[4712]"]"#;
        let expected = vec![("pipe:[4711]".to_owned(), 1), ("pipe:[4712]".to_owned(), 2)];
        assert_eq!(parse(text).expect("runc's form"), expected);
        assert_eq!(parse(b"[]").expect("an empty list"), vec![]);
    }

    #[test]
    fn only_standard_descriptors_are_given() {
        let parsed = parse(br#"["pipe:[1]","","/x","pipe:[4]","pipe:[5]"]"#).expect("a list of words");
        assert_eq!(parsed, vec![("pipe:[1]".to_owned(), 0)]);
        for text in [&b"{}"[..], b"[1]", b"", b"[\"x\""] {
            let error = parse(text).expect_err("not a list of words").to_string();
            assert!(error.starts_with("read descriptors.json: "), "{error}");
        }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().expect("a directory");
        let images = File::open(dir.path()).expect("open");
        assert_eq!(load(images.as_fd()).expect("no file"), vec![]);
        let pipe = OutsideFile { number: 1, dev: 13, ino: 17, key: "pipe:[17]".to_owned() };
        save(images.as_fd(), &[pipe], false).expect("save");
        let text = std::fs::read_to_string(dir.path().join(FILE)).expect("read");
        assert_eq!(text, r#"["/dev/null","pipe:[17]","/dev/null"]"#);
        assert_eq!(load(images.as_fd()).expect("load"), vec![("pipe:[17]".to_owned(), 1)]);
        save(images.as_fd(), &[], true).expect("save again");
        assert_eq!(load(images.as_fd()).expect("load"), vec![]);
        remove(images.as_fd());
        assert!(!dir.path().join(FILE).exists());
    }
}
