//! The directory where a checkpoint or a restore leaves what people and engines read of it: its log, and statistics in
//! CRIU's form.

use crate::error::{At, Error, Result};
use images::messages::StatsEntry;
use nix::sys::stat::{SFlag, fstat};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;
use sys::path::{RESOLVE_BENEATH, openat2};

/// The images' directory, made if it is missing: it holds the memory of processes, so it is its owner's alone.
pub fn make_directory(path: &Path) -> Result<OwnedFd> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.at(|| format!("create {}", path.display()))?;
    open_directory(path)
}

pub fn open_directory(path: &Path) -> Result<OwnedFd> {
    let dir = fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path);
    Ok(dir.at(|| format!("open {}", path.display()))?.into())
}

/// The directory of `--work-path`.
#[derive(Debug)]
pub struct WorkDirectory(OwnedFd);

impl From<OwnedFd> for WorkDirectory {
    fn from(directory: OwnedFd) -> WorkDirectory {
        WorkDirectory(directory)
    }
}

impl WorkDirectory {
    /// Made if it is missing.
    pub fn open(path: &Path) -> Result<WorkDirectory> {
        Ok(WorkDirectory(make_directory(path)?))
    }

    /// One that is open.
    pub fn of(directory: &OwnedFd) -> Result<WorkDirectory> {
        directory.try_clone().map(WorkDirectory).at(|| "duplicate a directory".to_owned())
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Begins a log in this directory, or at an absolute path. A file that is there stays itself and is emptied: Podman and
    /// CRI-O make it first, with a label of SELinux that lets them read it.
    pub fn log(&self, name: impl AsRef<Path>) -> Result<LogFile> {
        let name = name.as_ref();
        let file = match (name.is_absolute(), name.parent(), name.file_name()) {
            (true, Some(directory), Some(name)) => {
                WorkDirectory(open_directory(directory)?).create(Path::new(name))?
            }
            _ => self.create(name)?,
        };
        Ok(LogFile { file, started: Instant::now() })
    }

    /// Writes stats-dump or stats-restore.
    pub fn write_statistics(&self, name: &str, statistics: &StatsEntry) -> Result<()> {
        let write = |file: File| -> std::io::Result<()> {
            let mut writer = images::Writer::new(file, &images::format::STATS)?;
            writer.entry(statistics)?;
            writer.finish().map(drop)
        };
        write(self.create(Path::new(name))?).at(|| format!("write {name}"))
    }

    fn create(&self, name: &Path) -> Result<File> {
        let what = || format!("create {}", name.display());
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let open = openat2(self.0.as_fd(), name, flags, 0o600, RESOLVE_BENEATH);
        let file = open.at(what)?;
        let mode = fstat(&file).at(what)?.st_mode;
        if SFlag::from_bits_truncate(mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(Error::new(format!("{}: it is there and not a regular file", what())));
        }
        Ok(file.into())
    }
}

/// dump.log or restore.log: a line for each thing that is done, with the time in seconds since the first.
#[derive(Debug)]
pub struct LogFile {
    file: File,
    started: Instant,
}

impl LogFile {
    /// The same log, for another process.
    pub(crate) fn try_clone(&self) -> std::io::Result<LogFile> {
        Ok(LogFile { file: self.file.try_clone()?, started: self.started })
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub fn line(&mut self, text: &str) {
        let time = self.started.elapsed();
        let line = format!("({:02}.{:06}) {text}\n", time.as_secs(), time.subsec_micros());
        // A full disk is no reason to end what is being logged.
        let _ = self.file.write_all(line.as_bytes());
    }

    /// The last line of what failed. Callers look for the word.
    pub fn error(&mut self, error: &dyn std::fmt::Display) {
        self.line(&format!("Error: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn log_keeps_the_file_that_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("dump.log");
        fs::write(&path, "of an earlier dump\n").expect("write");
        let before = path.metadata().expect("metadata").ino();
        let work = WorkDirectory::open(dir.path()).expect("open");
        let mut log = work.log("dump.log").expect("log");
        log.line("frozen");
        log.error(&Error::new("task 4: gone"));
        assert_eq!(path.metadata().expect("metadata").ino(), before);
        let text = fs::read_to_string(&path).expect("read");
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("(00.")).collect();
        assert!(lines[0].ends_with(") frozen") && lines[1].ends_with(") Error: task 4: gone"), "{text}");
    }

    #[test]
    fn nothing_but_a_regular_file_is_written_to() {
        let dir = tempfile::tempdir().expect("a directory");
        let work = WorkDirectory::open(&dir.path().join("a/b")).expect("made");
        assert_eq!(dir.path().join("a/b").metadata().expect("metadata").permissions().mode() & 0o777, 0o700);
        symlink("/dev/null", dir.path().join("a/b/dump.log")).expect("symlink");
        let error = work.log("dump.log").expect_err("a link").to_string();
        assert_eq!(error, "create dump.log: too many symbolic links encountered (ELOOP)");
        let fifo = dir.path().join("a/b/restore.log");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
        let _reader = fs::OpenOptions::new().read(true).write(true).open(&fifo).expect("open");
        let error = work.log("restore.log").expect_err("a fifo").to_string();
        assert_eq!(error, "create restore.log: it is there and not a regular file");
    }

    #[test]
    fn statistics_are_read_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let work = WorkDirectory::open(dir.path()).expect("open");
        let dump =
            images::messages::DumpStatsEntry { freezing_time: 3, pages_written: 17, ..Default::default() };
        let statistics = StatsEntry { dump: Some(dump), restore: None };
        work.write_statistics("stats-dump", &statistics).expect("write");
        let bytes = fs::read(dir.path().join("stats-dump")).expect("read");
        // go-criu's `stats` checks both.
        assert_eq!(bytes[..8], [0x40, 0x59, 0x10, 0x55, 0x06, 0x33, 0x09, 0x57]);
        let reader = images::Reader::new("stats-dump", bytes.as_slice()).expect("an image");
        assert_eq!(reader.message::<StatsEntry>().expect("statistics"), statistics);
    }
}
