//! Compiled programs, kept in the runtime's root: libseccomp takes milliseconds for a profile of some hundred calls.
//!
//! A file is named by a hash of its key and has the whole key in it, so a collision is a miss and not another
//! profile's program. It counts only if nobody but us could have written it. Not to be had is never an error.

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use oci_spec::runtime::LinuxSeccomp;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use sys::security::SockFilter;

/// No container id: `@` is not allowed in one.
const DIRECTORY: &str = "@seccomp";
/// To be raised when a profile's program changes for another reason than libseccomp's.
const FORMAT: u32 = 1;
/// Engines have a handful of profiles; one that invents a new one each time must not fill the memory that /run is in.
const MOST_FILES: usize = 64;
/// struct sock_filter.
const INSTRUCTION: usize = 8;

/// Where the program of one profile is, or would be.
#[derive(Debug)]
pub(super) struct Entry {
    file: PathBuf,
    key: Vec<u8>,
}

impl Entry {
    /// `None` before the first container: then there is no root yet, and this is not what makes it.
    pub(super) fn of(root: &Path, profile: &LinuxSeccomp, strict: bool) -> Option<Entry> {
        let version = libseccomp::ScmpVersion::current().ok()?;
        let (major, minor, micro) = (version.major, version.minor, version.micro);
        let arch = std::env::consts::ARCH;
        let mut key = format!("{FORMAT} {major}.{minor}.{micro} {arch} {strict}\n").into_bytes();
        serde_json::to_writer(&mut key, profile).ok()?;
        // Another version of Rust may hash otherwise: then the file is not found, and made again.
        let mut hasher = DefaultHasher::new();
        hasher.write(&key);
        let hash = hasher.finish();
        Some(Entry { file: root.join(DIRECTORY).join(format!("{hash:016x}")), key })
    }

    pub(super) fn read(&self) -> Option<Vec<SockFilter>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let mut file = File::from(open(&self.file, flags, Mode::empty()).ok()?);
        let metadata = file.metadata().ok()?;
        let ours = metadata.uid() == nix::unistd::geteuid().as_raw() && metadata.mode() & 0o022 == 0;
        if !metadata.is_file() || !ours {
            return None;
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        file.read_to_end(&mut bytes).ok()?;
        let program = bytes.strip_prefix(&self.key[..])?;
        (!program.is_empty() && program.len() % INSTRUCTION == 0).then(|| instructions(program))
    }

    pub(super) fn write(&self, program: &[SockFilter]) {
        let Some(directory) = self.file.parent() else { return };
        // Fails without the root, too.
        if fs::DirBuilder::new().mode(0o700).create(directory).is_err() {
            let Ok(files) = fs::read_dir(directory) else { return };
            if files.count() >= MOST_FILES {
                let _ = fs::remove_dir_all(directory);
                return;
            }
        }
        let mut bytes = self.key.clone();
        for instruction in program {
            bytes.extend(instruction.code.to_ne_bytes());
            bytes.extend([instruction.jt, instruction.jf]);
            bytes.extend(instruction.k.to_ne_bytes());
        }
        let _ = crate::state::write_atomically(&self.file, &bytes);
    }
}

/// struct sock_filter (linux/filter.h), as libseccomp exports it and as it is kept.
pub(super) fn instructions(bytes: &[u8]) -> Vec<SockFilter> {
    bytes
        .chunks_exact(INSTRUCTION)
        .map(|b| SockFilter {
            code: u16::from_ne_bytes([b[0], b[1]]),
            jt: b[2],
            jf: b[3],
            k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn profile(name: &str) -> LinuxSeccomp {
        let text = format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["{name}"],"action":"SCMP_ACT_ALLOW"}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    const PROGRAM: [SockFilter; 2] =
        [SockFilter { code: 0x20, jt: 1, jf: 2, k: 4 }, SockFilter { code: 6, jt: 0, jf: 0, k: 0x7fff_0000 }];

    #[test]
    fn what_is_written_is_read_for_the_same_profile_only() {
        let root = tempfile::tempdir().unwrap();
        let entry = Entry::of(root.path(), &profile("read"), false).unwrap();
        assert_eq!(entry.read(), None);
        entry.write(&PROGRAM);
        assert_eq!(entry.read().as_deref(), Some(&PROGRAM[..]));
        for other in [(profile("write"), false), (profile("read"), true)] {
            let other = Entry::of(root.path(), &other.0, other.1).unwrap();
            assert_eq!(other.read(), None);
            // Even where the hashes are the same.
            fs::copy(&entry.file, &other.file).unwrap();
            assert_eq!(other.read(), None);
        }
    }

    #[test]
    fn files_of_others_and_damaged_ones_do_not_count() {
        let root = tempfile::tempdir().unwrap();
        let entry = Entry::of(root.path(), &profile("read"), false).unwrap();
        entry.write(&PROGRAM);
        let whole = fs::read(&entry.file).unwrap();
        for damaged in [&whole[..whole.len() - 1], &whole[..entry.key.len()], &whole[1..], b""] {
            fs::write(&entry.file, damaged).unwrap();
            assert_eq!(entry.read(), None);
        }
        fs::write(&entry.file, &whole).unwrap();
        assert!(entry.read().is_some());
        fs::set_permissions(&entry.file, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(entry.read(), None);
    }

    #[test]
    fn there_are_never_many_and_none_without_a_root() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..3 * MOST_FILES {
            Entry::of(root.path(), &profile(&format!("call{number}")), false).unwrap().write(&PROGRAM);
            let count = fs::read_dir(root.path().join(DIRECTORY)).map_or(0, Iterator::count);
            assert!(count <= MOST_FILES, "{count}");
        }
        let missing = root.path().join("missing");
        Entry::of(&missing, &profile("read"), false).unwrap().write(&PROGRAM);
        assert!(!missing.exists());
    }
}
