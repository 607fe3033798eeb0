//! Mount options: the table of every word that an entry of `mounts` may carry, and what it becomes.

use super::{IdMap, id_maps};
use crate::error::{Error, Result};
use oci_spec::runtime as oci;
use std::path::{Path, PathBuf};
use sys::mount::{
    MOUNT_ATTR_ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY, MOUNT_ATTR_RELATIME,
    MOUNT_ATTR_STRICTATIME, MountAttr,
};

/// How a mount takes part in propagation (mount_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED` or `MS_UNBINDABLE`.
    pub flag: u64,
    pub recursive: bool,
}

impl Propagation {
    pub fn parse(word: &str) -> Option<Propagation> {
        let (word, recursive) = match word.strip_prefix('r') {
            Some(rest) => (rest, true),
            None => (word, false),
        };
        let flag = match word {
            "private" => libc::MS_PRIVATE,
            "slave" => libc::MS_SLAVE,
            "shared" => libc::MS_SHARED,
            "unbindable" => libc::MS_UNBINDABLE,
            _ => return None,
        };
        Some(Propagation { flag, recursive })
    }
}

/// An option for the file system itself, as fsconfig(2) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FsOption {
    Flag(String),
    Value(String, String),
}

/// An idmapped mount. Empty maps mean the container's user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Idmap {
    pub recursive: bool,
    pub uid_maps: Vec<IdMap>,
    pub gid_maps: Vec<IdMap>,
}

/// What the file system is filled with before it is shown (`tmpcopyup`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopySource {
    Nothing,
    /// What the container's root file system has at the destination.
    Destination,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountKind {
    Bind {
        source: PathBuf,
        recursive: bool,
    },
    Filesystem {
        fstype: String,
        source: String,
        options: Vec<FsOption>,
        copy: CopySource,
    },
    /// Other attributes for what is mounted at the destination already.
    Remount,
    /// The container's cgroup; types `cgroup` and `cgroup2` both mean it.
    Cgroup,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Absolute path in the container.
    pub destination: String,
    pub kind: MountKind,
    pub attr: MountAttr,
    /// Applied to the whole tree after `attr`.
    pub recursive_attr: MountAttr,
    pub propagation: Vec<Propagation>,
    pub idmap: Option<Idmap>,
    /// `copy-symlink`, `src-nofollow`, `dest-nofollow` of crun.
    pub source_nofollow: bool,
}

impl Mount {
    pub fn is_readonly(&self) -> bool {
        self.attr.set & MOUNT_ATTR_RDONLY != 0
    }
}

/// What one option word does.
enum Word {
    Bind {
        recursive: bool,
    },
    /// Attribute bits to set or clear, on the mount or on its tree.
    Attr {
        bits: u64,
        on: bool,
        recursive: bool,
    },
    /// One of the exclusive access time modes; `on` false goes back to relatime if that mode is set.
    Atime {
        mode: u64,
        on: bool,
        recursive: bool,
    },
    Propagation(Propagation),
    Idmap {
        recursive: bool,
    },
    CopyUp,
    SourceNofollow,
    Remount,
    /// A file system flag that fsconfig(2) knows.
    Superblock,
    /// No effect in today's kernels: `defaults`, `silent`, `iversion` and the like.
    Nothing,
    Data,
}

fn word(option: &str) -> Word {
    let attr = |bits, on| Word::Attr { bits, on, recursive: false };
    let tree = |bits, on| Word::Attr { bits, on, recursive: true };
    match option {
        "bind" => Word::Bind { recursive: false },
        "rbind" => Word::Bind { recursive: true },

        "ro" => attr(MOUNT_ATTR_RDONLY, true),
        "rw" => attr(MOUNT_ATTR_RDONLY, false),
        "nosuid" => attr(MOUNT_ATTR_NOSUID, true),
        "suid" => attr(MOUNT_ATTR_NOSUID, false),
        "nodev" => attr(MOUNT_ATTR_NODEV, true),
        "dev" => attr(MOUNT_ATTR_NODEV, false),
        "noexec" => attr(MOUNT_ATTR_NOEXEC, true),
        "exec" => attr(MOUNT_ATTR_NOEXEC, false),
        "nodiratime" => attr(MOUNT_ATTR_NODIRATIME, true),
        "diratime" => attr(MOUNT_ATTR_NODIRATIME, false),
        "nosymfollow" => attr(MOUNT_ATTR_NOSYMFOLLOW, true),
        "symfollow" => attr(MOUNT_ATTR_NOSYMFOLLOW, false),
        "rro" => tree(MOUNT_ATTR_RDONLY, true),
        "rrw" => tree(MOUNT_ATTR_RDONLY, false),
        "rnosuid" => tree(MOUNT_ATTR_NOSUID, true),
        "rsuid" => tree(MOUNT_ATTR_NOSUID, false),
        "rnodev" => tree(MOUNT_ATTR_NODEV, true),
        "rdev" => tree(MOUNT_ATTR_NODEV, false),
        "rnoexec" => tree(MOUNT_ATTR_NOEXEC, true),
        "rexec" => tree(MOUNT_ATTR_NOEXEC, false),
        "rnodiratime" => tree(MOUNT_ATTR_NODIRATIME, true),
        "rdiratime" => tree(MOUNT_ATTR_NODIRATIME, false),
        "rnosymfollow" => tree(MOUNT_ATTR_NOSYMFOLLOW, true),
        "rsymfollow" => tree(MOUNT_ATTR_NOSYMFOLLOW, false),

        "noatime" => Word::Atime { mode: MOUNT_ATTR_NOATIME, on: true, recursive: false },
        "atime" => Word::Atime { mode: MOUNT_ATTR_NOATIME, on: false, recursive: false },
        "relatime" => Word::Atime { mode: MOUNT_ATTR_RELATIME, on: true, recursive: false },
        "strictatime" => Word::Atime { mode: MOUNT_ATTR_STRICTATIME, on: true, recursive: false },
        "nostrictatime" => Word::Atime { mode: MOUNT_ATTR_STRICTATIME, on: false, recursive: false },
        "rnoatime" => Word::Atime { mode: MOUNT_ATTR_NOATIME, on: true, recursive: true },
        "ratime" => Word::Atime { mode: MOUNT_ATTR_NOATIME, on: false, recursive: true },
        "rrelatime" => Word::Atime { mode: MOUNT_ATTR_RELATIME, on: true, recursive: true },
        "rstrictatime" => Word::Atime { mode: MOUNT_ATTR_STRICTATIME, on: true, recursive: true },
        "rnostrictatime" => Word::Atime { mode: MOUNT_ATTR_STRICTATIME, on: false, recursive: true },
        // Without another mode the kernel's default is relatime, so asking for none of it changes nothing.
        "norelatime" | "rnorelatime" => Word::Nothing,

        "sync" | "async" | "dirsync" | "mand" | "nomand" | "lazytime" | "nolazytime" => Word::Superblock,
        // `iversion` has been always on or chosen by the file system since 2023 (kernel commit 1ff20307393e);
        // `silent` only keeps a failing mount(2) out of the kernel log, which fsconfig(2) does anyway;
        // `acl` is no flag of mount(2) either; the recursive ones are crun's and have no mount attribute.
        "defaults" | "silent" | "loud" | "iversion" | "noiversion" | "acl" | "noacl" | "rsync" | "rasync"
        | "rdirsync" | "rmand" | "rnomand" | "copy-symlink" | "dest-nofollow" => Word::Nothing,

        "tmpcopyup" => Word::CopyUp,
        "src-nofollow" => Word::SourceNofollow,
        "remount" => Word::Remount,
        "idmap" => Word::Idmap { recursive: false },
        "ridmap" => Word::Idmap { recursive: true },
        _ => match Propagation::parse(option) {
            Some(propagation) => Word::Propagation(propagation),
            None => Word::Data,
        },
    }
}

fn apply_attr(attr: &mut MountAttr, bits: u64, on: bool) {
    if on {
        attr.set |= bits;
        attr.clear &= !bits;
    } else {
        attr.clear |= bits;
        attr.set &= !bits;
    }
}

/// Access time modes are one field of the attributes: setting one clears the field first.
fn apply_atime(attr: &mut MountAttr, mode: u64, on: bool) {
    let current = (attr.clear & MOUNT_ATTR_ATIME != 0).then_some(attr.set & MOUNT_ATTR_ATIME);
    let mode = match (on, current) {
        (true, _) => mode,
        (false, Some(other)) if other != mode => other,
        (false, _) => MOUNT_ATTR_RELATIME,
    };
    attr.set = attr.set & !MOUNT_ATTR_ATIME | mode;
    attr.clear |= MOUNT_ATTR_ATIME;
}

/// Options of one array item that the kernel's mount(2) would split: at commas outside quotes. overlayfs
/// escapes commas of its own, and its options come one to an item.
fn split_data(fstype: &str, item: &str) -> Vec<String> {
    if fstype == "overlay" {
        return vec![item.to_owned()];
    }
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in item.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => parts.push(String::new()),
            c => parts.last_mut().expect("never empty").push(c),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// `label` is the option with linux.mountLabel, for every file system that can have one.
pub(super) fn mounts(
    mounts: &[oci::Mount],
    label: Option<&FsOption>,
    bundle: &Path,
    warnings: &mut Vec<String>,
) -> Result<Vec<Mount>> {
    mounts.iter().map(|mount| parse(mount, label, bundle, warnings)).collect()
}

fn parse(
    mount: &oci::Mount,
    label: Option<&FsOption>,
    bundle: &Path,
    warnings: &mut Vec<String>,
) -> Result<Mount> {
    let destination = mount.destination().to_string_lossy().into_owned();
    let bad = |what: &str| Error::new(format!("config.json: mounts: {destination}: {what}"));
    if destination.is_empty() {
        return Err(Error::new("config.json: mounts: an entry has an empty destination"));
    }
    let fstype = mount.typ().clone().unwrap_or_default();
    let source = mount.source().clone().unwrap_or_default();

    let (mut attr, mut recursive_attr) = (MountAttr::default(), MountAttr::default());
    let mut bind = (fstype == "bind").then_some(false);
    let mut propagation = Vec::new();
    let mut idmap = None;
    let mut copy = CopySource::Nothing;
    let (mut source_nofollow, mut remount) = (false, false);
    let mut options: Vec<FsOption> = Vec::new();
    let mut data = Vec::new();
    for option in mount.options().iter().flatten() {
        match word(option) {
            Word::Bind { recursive } => bind = Some(recursive || bind == Some(true)),
            Word::Attr { bits, on, recursive: false } => apply_attr(&mut attr, bits, on),
            Word::Attr { bits, on, recursive: true } => apply_attr(&mut recursive_attr, bits, on),
            Word::Atime { mode, on, recursive: false } => apply_atime(&mut attr, mode, on),
            Word::Atime { mode, on, recursive: true } => apply_atime(&mut recursive_attr, mode, on),
            Word::Propagation(p) => propagation.push(p),
            Word::Idmap { recursive } => idmap = Some(recursive),
            Word::CopyUp => copy = CopySource::Destination,
            Word::SourceNofollow => source_nofollow = true,
            Word::Remount => remount = true,
            // "async" and the like are the defaults of a new superblock.
            Word::Superblock if ["async", "nomand", "nolazytime"].contains(&option.as_str()) => {
                let on = option.strip_prefix("no").unwrap_or("sync");
                options.retain(|set| *set != FsOption::Flag(on.to_owned()));
            }
            Word::Superblock => options.push(FsOption::Flag(option.clone())),
            Word::Nothing => {}
            Word::Data => data.push(option.as_str()),
        }
    }

    let kind = if remount {
        MountKind::Remount
    } else if let Some(recursive) = bind {
        if source.as_os_str().is_empty() {
            return Err(bad("a bind mount needs a source"));
        }
        // mount(2) ignores a bind mount's data, so callers may well send some; a bare word is a misspelt
        // flag, and its loss could be the loss of a protection.
        if let Some(option) = data.iter().find(|option| !option.contains('=')) {
            return Err(bad(&format!("unknown option \"{option}\" for a bind mount")));
        }
        for option in data {
            warnings.push(format!("mounts: {destination}: \"{option}\" means nothing for a bind mount"));
        }
        if copy != CopySource::Nothing {
            return Err(bad("tmpcopyup is only for tmpfs"));
        }
        MountKind::Bind { source: bundle.join(&source), recursive }
    } else if fstype == "cgroup" || fstype == "cgroup2" {
        MountKind::Cgroup
    } else {
        if fstype.is_empty() {
            return Err(bad("the type is missing"));
        }
        if copy != CopySource::Nothing && fstype != "tmpfs" {
            return Err(bad("tmpcopyup is only for tmpfs"));
        }
        for item in data {
            for part in split_data(&fstype, item) {
                options.push(match part.split_once('=') {
                    Some((key, value)) => FsOption::Value(key.to_owned(), value.to_owned()),
                    // "newinstance" has been the only way of devpts since Linux 4.7.
                    None if fstype == "devpts" && part == "newinstance" => continue,
                    None => FsOption::Flag(part),
                });
            }
        }
        // Labels are for file systems that hold files of the container's own (runc and crun: not for
        // /proc and /sys, whose labels the policy gives).
        if let Some(label) = label
            && !["proc", "sysfs"].contains(&fstype.as_str())
            && !options
                .iter()
                .any(|option| matches!(option, FsOption::Value(key, _) if key.ends_with("context")))
        {
            options.push(label.clone());
        }
        let source = if source.as_os_str().is_empty() {
            fstype.clone()
        } else {
            source.to_string_lossy().into_owned()
        };
        MountKind::Filesystem { fstype, source, options, copy }
    };

    let uid_maps = id_maps(mount.uid_mappings(), "mounts.uidMappings")?;
    let gid_maps = id_maps(mount.gid_mappings(), "mounts.gidMappings")?;
    if uid_maps.is_empty() != gid_maps.is_empty() {
        return Err(bad("uidMappings and gidMappings must be given together"));
    }
    // Mappings without the option are an idmapped mount too (config.md, mounts).
    let idmap = match idmap {
        Some(recursive) => Some(Idmap { recursive, uid_maps, gid_maps }),
        None if !uid_maps.is_empty() => Some(Idmap { recursive: false, uid_maps, gid_maps }),
        None => None,
    };
    if idmap.is_some() && !matches!(kind, MountKind::Bind { .. }) {
        return Err(bad("idmapped mounts must be bind mounts"));
    }
    let destination = if destination.starts_with('/') { destination } else { format!("/{destination}") };
    Ok(Mount { destination, kind, attr, recursive_attr, propagation, idmap, source_nofollow })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Mount> {
        parse(&serde_json::from_str(json).unwrap(), None, Path::new("/bundle"), &mut Vec::new())
    }

    #[test]
    fn last_word_wins() {
        let mount = check(r#"{"destination":"/x","type":"tmpfs","options":["ro","nosuid","rw"]}"#).unwrap();
        assert_eq!((mount.attr.set, mount.attr.clear), (MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY));
    }

    #[test]
    fn access_time_is_one_field() {
        let attr = |options: &str| {
            let mount = check(&format!(r#"{{"destination":"/x","type":"tmpfs","options":{options}}}"#));
            mount.unwrap().attr
        };
        let noatime = attr(r#"["relatime","noatime"]"#);
        assert_eq!((noatime.set, noatime.clear), (MOUNT_ATTR_NOATIME, MOUNT_ATTR_ATIME));
        let back = attr(r#"["noatime","atime"]"#);
        assert_eq!((back.set, back.clear), (0, MOUNT_ATTR_ATIME));
        let strict = attr(r#"["strictatime","atime"]"#);
        assert_eq!(strict.set, MOUNT_ATTR_STRICTATIME);
    }

    #[test]
    fn bind_source_is_below_the_bundle() {
        let mount = check(r#"{"destination":"x","source":"data","options":["rbind"]}"#).unwrap();
        assert_eq!(mount.destination, "/x");
        assert_eq!(mount.kind, MountKind::Bind { source: "/bundle/data".into(), recursive: true });
    }

    #[test]
    fn remount_changes_what_is_there() {
        let mount = check(r#"{"destination":"/x","options":["remount","ro"]}"#).unwrap();
        assert_eq!((mount.kind, mount.attr.set), (MountKind::Remount, MOUNT_ATTR_RDONLY));
    }

    #[test]
    fn data_splits_at_commas_outside_quotes() {
        assert_eq!(split_data("tmpfs", "size=1k,mode=755"), ["size=1k", "mode=755"]);
        assert_eq!(split_data("tmpfs", r#"context="a:s0:c1,c2",x"#), ["context=a:s0:c1,c2", "x"]);
        assert_eq!(split_data("overlay", "lowerdir=/a\\,b"), ["lowerdir=/a\\,b"]);
    }

    #[test]
    fn refusals_name_the_destination() {
        for (json, text) in [
            (r#"{"destination":"/x","type":"bind","source":"/y","options":["bogus"]}"#, "bogus"),
            (r#"{"destination":"/x","type":"bind"}"#, "source"),
            (r#"{"destination":"/x"}"#, "type is missing"),
            (r#"{"destination":"/x","type":"proc","options":["tmpcopyup"]}"#, "tmpcopyup"),
            (r#"{"destination":"/x","type":"tmpfs","options":["idmap"]}"#, "idmapped"),
        ] {
            let error = check(json).unwrap_err().to_string();
            assert!(error.contains("/x") && error.contains(text), "{error}");
        }
    }
}
