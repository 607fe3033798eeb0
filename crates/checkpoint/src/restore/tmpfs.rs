//! The content of the container's tmpfs, from archives of tar.
//!
//! The mounts are there already, most of them from config.json, and so is what it puts into them: what exists is not
//! replaced, and device nodes are only made where the images alone say which there are. Names are resolved below the mount they belong to and nowhere else.

use super::build::Build;
use crate::credentials::IdMaps;
use crate::error::{At, Error, Result};
use flate2::read::GzDecoder;
use images::messages::{Fstype, MntEntry};
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags};
use nix::sys::statvfs::FsFlags;
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use sys::path::{
    RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2,
};
use sys::process::{CapSets, capget, capset};
use tar::{Archive, Entry, EntryType};

const TMPFS_MAGIC: i64 = 0x0102_1994;

/// Fills a mount of a tmpfs that has an archive. `own` are the places where the container has one of its own.
pub(super) fn fill(build: &Build<'_>, mount: &MntEntry, own: &[PathBuf]) -> Result<()> {
    if mount.fstype != Fstype::Tmpfs as u32 || mount.root != b"/" {
        return Ok(());
    }
    let root = format!("/proc/{}/root", build.init);
    let root = File::open(&root).at(|| format!("open {root}"))?;
    let maps = IdMaps::of(build.init)?;
    let _guard = FileUser::become_root_of(&maps).at(|| "become the container's root".to_owned())?;
    let names =
        [format!("tmpfs-dev-{}.tar.gz.img", mount.root_dev), format!("tmpfs-{}.tar.gz.img", mount.mnt_id)];
    for name in names {
        if let Some(file) = build.images.raw(&name)? {
            fill_one(root.as_fd(), own, mount, &maps, file, build.policy.mounts.is_some())
                .map_err(|error| Error::new(format!("{name}: {error}")))?;
        }
    }
    Ok(())
}

fn fill_one(
    root: BorrowedFd<'_>,
    own: &[PathBuf],
    mount: &MntEntry,
    maps: &IdMaps,
    archive: File,
    with_devices: bool,
) -> Result<()> {
    let mountpoint = mount.mountpoint.strip_prefix(b".").unwrap_or(&mount.mountpoint);
    let path = Path::new(OsStr::from_bytes(mountpoint));
    let place = || path.display().to_string();
    let open = |path: &Path| {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        openat2(root, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    };
    let top = open(path).at(place)?;
    let statistics = nix::sys::statfs::fstatfs(&top).at(place)?;
    if statistics.filesystem_type().0 != TMPFS_MAGIC {
        return Err(Error::new(format!("{} is no tmpfs in config.json", path.display())));
    }
    // Masks, and what config.json lets nobody write to.
    if nix::sys::statvfs::fstatvfs(&top).at(place)?.flags().contains(FsFlags::ST_RDONLY) {
        return Ok(());
    }
    // A directory of the host's may be on a tmpfs, too.
    let id = |dir: &OwnedFd| nix::sys::stat::fstat(dir).map(|stat| (stat.st_dev, stat.st_ino));
    let here = id(&top).at(place)?;
    if !own.iter().any(|path| open(path).is_ok_and(|dir| id(&dir) == Ok(here))) {
        return Err(Error::new(format!("{} is no tmpfs in config.json", path.display())));
    }
    let mut archive = Archive::new(GzDecoder::new(archive));
    let mut directories = Vec::new();
    for entry in archive.entries().at(place)? {
        let mut entry = entry.at(place)?;
        let name = clean(&entry)?;
        extract(top.as_fd(), maps, &mut entry, &name, with_devices, &mut directories)
            .map_err(|error| Error::new(format!("{}: {error}", path.join(&name).display())))?;
    }
    // What is made in a directory changes its time; so the innermost come first.
    for (name, times) in directories.iter().rev() {
        let dir = match name.as_os_str().is_empty() {
            true => top.try_clone().at(place)?,
            false => open_below(top.as_fd(), name, libc::O_RDONLY | libc::O_DIRECTORY).at(place)?,
        };
        nix::sys::stat::futimens(dir, times, times).at(place)?;
    }
    Ok(())
}

/// As whom files are made. A file system that is mounted in a user namespace takes none of a user who is not in it; ours is
/// not, although root.
struct FileUser {
    before: CapSets,
}

impl FileUser {
    fn become_root_of(maps: &IdMaps) -> sys::Result<FileUser> {
        let before = capget()?;
        if let (Some(uid), Some(gid)) = (maps.outer_uid(0), maps.outer_gid(0)) {
            setfsgid(Gid::from_raw(gid));
            setfsuid(Uid::from_raw(uid));
            // Another user than 0 has lost those for files, capabilities(7).
            capset(&before)?;
        }
        Ok(FileUser { before })
    }
}

impl Drop for FileUser {
    fn drop(&mut self) {
        setfsgid(nix::unistd::getegid());
        setfsuid(nix::unistd::geteuid());
        let _ = capset(&self.before);
    }
}

/// The name of an entry, below the mount.
fn clean<R: Read>(entry: &Entry<'_, R>) -> Result<PathBuf> {
    let name = entry.path().at(|| "a name".to_owned())?;
    let mut clean = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            _ => return Err(Error::new(format!("{}: not a name below the mount", name.display()))),
        }
    }
    Ok(clean)
}

fn open_below(top: BorrowedFd<'_>, name: &Path, flags: i32) -> sys::Result<OwnedFd> {
    openat2(top, name, flags | libc::O_NOFOLLOW, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)
}

fn extract<R: Read>(
    top: BorrowedFd<'_>,
    maps: &IdMaps,
    entry: &mut Entry<'_, R>,
    name: &Path,
    with_devices: bool,
    directories: &mut Vec<(PathBuf, TimeSpec)>,
) -> io::Result<()> {
    let time = modified(entry)?;
    let header = entry.header();
    let (kind, mode) = (header.entry_type(), Mode::from_bits_truncate(header.mode()? & 0o7777));
    let owner = (maps.outer_uid(header.uid()? as u32), maps.outer_gid(header.gid()? as u32));
    let (Some(uid), Some(gid)) = owner else {
        return Err(io::Error::other("its owner is not in the user namespace"));
    };
    let owner = (Uid::from_raw(uid), Gid::from_raw(gid));
    let Some(last) = name.file_name() else {
        // The mount itself.
        nix::sys::stat::fchmod(top, mode)?;
        nix::unistd::fchown(top, Some(owner.0), Some(owner.1))?;
        directories.push((PathBuf::new(), time));
        return Ok(());
    };
    let parent = match name.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => open_below(top, parent, libc::O_RDONLY | libc::O_DIRECTORY).map_err(of_kernel)?,
        None => top.try_clone_to_owned()?,
    };
    let made = match kind {
        EntryType::Directory => nix::sys::stat::mkdirat(&parent, last, mode),
        EntryType::Symlink => match entry.link_name_bytes() {
            Some(target) => nix::unistd::symlinkat(OsStr::from_bytes(&target), &parent, last),
            None => Err(nix::errno::Errno::EINVAL),
        },
        EntryType::Link => {
            let target = entry.link_name()?.unwrap_or_default().into_owned();
            let target: PathBuf = target.components().filter(|part| *part != Component::CurDir).collect();
            let existing = open_below(top, &target, libc::O_PATH).map_err(of_kernel)?;
            let existing = format!("/proc/self/fd/{}", existing.as_raw_fd());
            nix::unistd::linkat(
                nix::fcntl::AT_FDCWD,
                existing.as_str(),
                &parent,
                last,
                AtFlags::AT_SYMLINK_FOLLOW,
            )
        }
        EntryType::Fifo => nix::sys::stat::mknodat(&parent, last, SFlag::S_IFIFO, mode, 0),
        EntryType::Char | EntryType::Block if with_devices => {
            let kind = if kind == EntryType::Char { SFlag::S_IFCHR } else { SFlag::S_IFBLK };
            let number = |half: io::Result<Option<u32>>| half.map(Option::unwrap_or_default);
            let (major, minor) = (number(header.device_major())?, number(header.device_minor())?);
            nix::sys::stat::mknodat(&parent, last, kind, mode, libc::makedev(major, minor))
        }
        // config.json says which devices there are.
        EntryType::Char | EntryType::Block => return Ok(()),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let flags =
                OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            nix::fcntl::openat(&parent, last, flags, Mode::empty()).and_then(|file| {
                let copied = copy_sparsely(entry, &File::from(file));
                copied
                    .map(drop)
                    .map_err(|error| nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
            })
        }
        other => return Err(io::Error::other(format!("entries of kind {other:?} are not supported"))),
    };
    match made {
        // What config.json puts there.
        Err(nix::errno::Errno::EEXIST) if kind != EntryType::Directory => return Ok(()),
        Err(nix::errno::Errno::EEXIST) => {}
        made => made?,
    }
    if kind == EntryType::Link {
        return Ok(());
    }
    let no_follow = AtFlags::AT_SYMLINK_NOFOLLOW;
    let is_mount =
        kind == EntryType::Directory && open_below(top, name, libc::O_RDONLY | libc::O_DIRECTORY).is_err();
    if is_mount {
        // Another file system is mounted on it, which has attributes of its own.
        return Ok(());
    }
    nix::unistd::fchownat(&parent, last, Some(owner.0), Some(owner.1), no_follow)?;
    if kind != EntryType::Symlink {
        nix::sys::stat::fchmodat(&parent, last, mode, nix::sys::stat::FchmodatFlags::FollowSymlink)?;
    }
    if kind == EntryType::Directory {
        directories.push((name.to_owned(), time));
    } else {
        nix::sys::stat::utimensat(&parent, last, &time, &time, UtimensatFlags::NoFollowSymlink)?;
    }
    Ok(())
}

/// Copies an entry's content, and leaves holes where pages are zeros.
fn copy_sparsely(from: &mut impl Read, to: &File) -> io::Result<()> {
    const PAGE: usize = 4096;
    let mut page = Vec::with_capacity(PAGE);
    let mut at = 0;
    while from.by_ref().take(PAGE as u64).read_to_end(&mut page)? > 0 {
        if page.iter().any(|byte| *byte != 0) {
            to.write_all_at(&page, at)?;
        }
        at += page.len() as u64;
        page.clear();
    }
    to.set_len(at)
}

/// When an entry was last modified. Parts of a second are in an extended header.
fn modified<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<TimeSpec> {
    let mut text = None;
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        if extension.key_bytes() == b"mtime" {
            text = extension.value().ok().map(str::to_owned);
        }
    }
    let Some((seconds, parts)) = text.as_deref().and_then(|text| text.split_once('.')) else {
        return Ok(TimeSpec::new(entry.header().mtime()? as i64, 0));
    };
    let number = |text: &str| text.parse::<i64>().map_err(|_| io::Error::other("mtime is no number"));
    let parts = format!("{parts:0<9}");
    Ok(TimeSpec::new(number(seconds)?, number(parts.get(..9).unwrap_or("0"))?))
}

fn of_kernel(errno: sys::Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw())
}
