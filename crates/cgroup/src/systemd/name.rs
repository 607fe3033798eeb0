//! `linux.cgroupsPath` for the systemd driver: `SLICE:PREFIX:NAME`, as runc reads it (runc: docs/systemd.md), and the
//! directories that slices and units have.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// The scope of a container, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScopeName {
    pub(super) slice: String,
    pub(super) unit: String,
}

/// systemd's own limit (`UNIT_NAME_MAX`), its end not counted.
const MAX_UNIT_NAME: usize = 255;

impl ScopeName {
    /// Without a path it is `runc-ID.scope`, so that a container has the same unit with every runtime.
    pub(super) fn resolve(cgroups_path: Option<&str>, id: &str, rootless: bool) -> Result<ScopeName> {
        let default_slice = if rootless { "user.slice" } else { "system.slice" };
        let (slice, prefix, name) = match cgroups_path.filter(|path| !path.is_empty()) {
            None => ("", "runc", id),
            Some(path) => match path.split(':').collect::<Vec<_>>()[..] {
                [slice, prefix, name] => (slice, prefix, name),
                _ => {
                    return Err(Error::new(format!(
                        "linux.cgroupsPath: {path:?} must have the form SLICE:PREFIX:NAME for systemd"
                    )));
                }
            },
        };
        let slice = if slice.is_empty() { default_slice } else { slice };
        slice_path(slice)?;
        if name.is_empty() || name.ends_with(".slice") {
            return Err(Error::new(format!("linux.cgroupsPath: {name:?} is not the name of a container")));
        }
        let unit = format!("{prefix}-{name}.scope");
        // The characters of systemd.unit(5).
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\');
        if unit.len() > MAX_UNIT_NAME || !unit.chars().all(allowed) {
            return Err(Error::new(format!(
                "linux.cgroupsPath: {unit:?} is not a name that systemd has for a unit"
            )));
        }
        Ok(ScopeName { slice: slice.to_owned(), unit })
    }

    /// Its cgroup, relative to that of its manager.
    pub(super) fn path(&self) -> PathBuf {
        slice_path(&self.slice).unwrap_or_default().join(&self.unit)
    }
}

/// A slice's cgroup: dashes are levels (systemd.slice(5)), so `a-b.slice` is `a.slice/a-b.slice`.
fn slice_path(slice: &str) -> Result<PathBuf> {
    let invalid = || Error::new(format!("linux.cgroupsPath: {slice:?} is not the name of a slice"));
    let name = slice.strip_suffix(".slice").filter(|_| slice.len() <= MAX_UNIT_NAME).ok_or_else(invalid)?;
    if name == "-" {
        return Ok(PathBuf::new());
    }
    let mut path = PathBuf::new();
    for (at, _) in name.match_indices('-').chain([(name.len(), "")]) {
        let part = name[..at].rsplit('-').next().unwrap_or_default();
        if part.is_empty() || part.contains(['/', '\0']) {
            return Err(invalid());
        }
        path.push(format!("{}.slice", &name[..at]));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn check(cgroups_path: Option<&str>, rootless: bool, slice: &str, unit: &str, path: &str) {
        let name = ScopeName::resolve(cgroups_path, "web1", rootless).unwrap();
        assert_eq!((name.slice.as_str(), name.unit.as_str()), (slice, unit), "{cgroups_path:?}");
        assert_eq!(name.path(), Path::new(path));
    }

    #[test]
    fn names_are_runc_s() {
        check(None, false, "system.slice", "runc-web1.scope", "system.slice/runc-web1.scope");
        check(Some(""), true, "user.slice", "runc-web1.scope", "user.slice/runc-web1.scope");
        let pod = "kubepods-burstable-pod1_2.slice:crio:c0ffee";
        let path =
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/crio-c0ffee.scope";
        check(Some(pod), false, "kubepods-burstable-pod1_2.slice", "crio-c0ffee.scope", path);
        check(Some("::x"), false, "system.slice", "-x.scope", "system.slice/-x.scope");
        check(Some(":libpod:x"), true, "user.slice", "libpod-x.scope", "user.slice/libpod-x.scope");
        check(Some("-.slice:a:b"), false, "-.slice", "a-b.scope", "a-b.scope");
    }

    #[test]
    fn others_are_refused() {
        for path in [
            "/a/b",
            "a.slice:b",
            "a:b:c",
            "a.slice:b:c:d",
            "a/b.slice:c:d",
            "-a.slice:b:c",
            "a--b.slice:c:d",
            ".slice:b:c",
            "a.slice:b:",
            "a.slice:b:c.slice",
            "a.slice:b:c/d",
            "a.slice:b:c d",
            "...slice:a:\0",
        ] {
            assert!(ScopeName::resolve(Some(path), "web1", false).is_err(), "{path:?}");
        }
        assert!(ScopeName::resolve(Some(&format!("::{}", "x".repeat(250))), "web1", false).is_err());
        assert!(ScopeName::resolve(Some(&format!("{}.slice::x", "x".repeat(250))), "web1", false).is_err());
    }
}
