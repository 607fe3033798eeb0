//! Ids for containers of users without privileges.

use super::{Finding, Status, is_root, setting};
use nix::unistd::getuid;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const GROUP: &str = "rootless";

pub(super) fn look() -> Vec<Finding> {
    vec![tool("newuidmap"), tool("newgidmap"), ranges("/etc/subuid"), ranges("/etc/subgid")]
}

/// shadow's helpers, which map what /etc/subuid and /etc/subgid allow.
fn tool(name: &str) -> Finding {
    let search = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let found: Option<PathBuf> =
        std::env::split_paths(&search).map(|dir| dir.join(name)).find(|path| path.is_file());
    let advice = "install uidmap (Debian) or shadow-utils; without it a rootless container has one user";
    match found {
        Some(path) if is_privileged(&path) => {
            Finding::new(GROUP, name, Status::Ok, path.display().to_string())
        }
        Some(path) => {
            Finding::new(GROUP, name, Status::Limited, format!("{} has no privilege", path.display()))
                .advise("reinstall it: it is setuid root, or has cap_setuid or cap_setgid")
        }
        None => Finding::new(GROUP, name, Status::Missing, "not in PATH").advise(advice),
    }
}

fn is_privileged(path: &Path) -> bool {
    let setuid = path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o4000 != 0);
    setuid || sys::path::has_attribute(path, c"security.capability")
}

/// The ranges of this user, or of everybody for root.
fn ranges(file: &'static str) -> Finding {
    let text = setting(file).unwrap_or_default();
    let uid = getuid().to_string();
    // Not by getpwuid(3), which a static binary cannot have without shared libraries.
    let passwd = setting("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(name)
    });
    let mine = |owner: &str| is_root() || owner == uid || Some(owner) == name;
    let counts: Vec<u64> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let owner = fields.next()?;
            let count = fields.nth(1)?.parse().ok()?;
            mine(owner).then_some(count)
        })
        .collect();
    let total: u64 = counts.iter().sum();
    let whose = if is_root() { "for all users" } else { "for you" };
    let found = format!("{total} ids in {} ranges {whose}", counts.len());
    match total {
        65536.. => Finding::new(GROUP, file, Status::Ok, found),
        0 => Finding::new(GROUP, file, Status::Missing, found).advise(ADD_RANGE),
        _ => Finding::new(GROUP, file, Status::Limited, found).advise(ADD_RANGE),
    }
}

const ADD_RANGE: &str =
    "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER gives a user 65536 ids";
