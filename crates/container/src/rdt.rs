//! linux.intelRdt: the container's group in resctrl, which shares out cache and memory bandwidth.
//!
//! A group is a directory whose files the kernel makes with it. There are few of them in hardware, so a container
//! can join one that exists. runtime-spec 1.3 says in config-linux.md which case is which; the kernel's
//! Documentation/filesystems/resctrl.rst has the formats. The process must be in its group before it forks.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxIntelRdt;
use sys::Errno;

use crate::{At, Error, Result};

/// Puts `pid` into the group that `rdt` describes. Returns the directory to `remove` with the container, if any.
pub(crate) fn apply(rdt: &LinuxIntelRdt, id: &str, pid: i32) -> Result<Option<PathBuf>> {
    const PATH: &str = "/proc/self/mountinfo";
    let mounts = fs::read(PATH).map_err(Errno::from).at(|| format!("intelRdt: read {PATH}"))?;
    let root = mount_point(&mounts).ok_or_else(|| {
        Error::new("intelRdt: resctrl is not mounted; mount -t resctrl resctrl /sys/fs/resctrl")
    })?;
    apply_in(&root, rdt, id, pid).at(|| "intelRdt")
}

/// Removes a group; the kernel moves what is left in it to the group above. One that is gone is no error.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Errno::from(error)).at(|| format!("intelRdt: remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn apply_in(root: &Path, rdt: &LinuxIntelRdt, id: &str, pid: i32) -> Result<Option<PathBuf>> {
    let clos_id = rdt.clos_id().as_deref().filter(|clos_id| !clos_id.is_empty());
    let group = group_path(root, clos_id.unwrap_or(id))?;
    let schema = Schema::of(rdt)?;

    let made = if clos_id.is_some() && schema.is_empty() {
        if !group.is_dir() {
            return Err(Error::new(format!(
                "closID {}: {} does not exist, and no schema says how to make it",
                clos_id.unwrap_or_default(),
                group.display()
            )));
        }
        false
    } else {
        make_group(&group)?
    };

    let monitoring = *rdt.enable_monitoring() == Some(true);
    let monitor = monitoring.then(|| group.join("mon_groups").join(id));
    fill(root, &group, made, &schema, monitor.as_deref(), pid).inspect_err(|_| {
        // The error that is on its way out says more than one of these could.
        if let Some(monitor) = &monitor {
            let _ = fs::remove_dir(monitor);
        }
        if made {
            let _ = fs::remove_dir(&group);
        }
    })?;
    // The group's own monitoring goes with it.
    Ok(if made && clos_id.is_none() { Some(group) } else { monitor })
}

fn fill(
    root: &Path,
    group: &Path,
    made: bool,
    schema: &Schema,
    monitor: Option<&Path>,
    pid: i32,
) -> Result<()> {
    if made {
        schema.write(root, group)?;
    } else if !schema.is_empty() {
        let path = group.join("schemata");
        let current =
            fs::read_to_string(&path).map_err(Errno::from).at(|| format!("read {}", path.display()))?;
        schema.compare(&current).at(|| format!("{} exists with another schema", group.display()))?;
    }
    if let Some(monitor) = monitor {
        make_group(monitor).at(|| "monitoring")?;
    }
    // A task's monitoring group must belong to the group it is in, so that one comes first.
    for dir in [Some(group), monitor].into_iter().flatten() {
        let path = dir.join("tasks");
        write(&path, &format!("{pid}\n")).at(|| format!("write {pid} to {}", path.display()))?;
    }
    Ok(())
}

/// `/` is the group of all that have no other one. The kernel's own directories are no groups.
fn group_path(root: &Path, clos_id: &str) -> Result<PathBuf> {
    let error = || Error::new(format!("closID {clos_id:?} is not a name for a group"));
    match clos_id {
        "/" => Ok(root.to_owned()),
        "" | "." | ".." | "info" | "mon_data" | "mon_groups" => Err(error()),
        _ if clos_id.contains(['/', '\n', '\0']) => Err(error()),
        _ => Ok(root.join(clos_id)),
    }
}

/// Whether the group is a new one.
fn make_group(path: &Path) -> Result<bool> {
    match fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
            Err(Error::new(format!("make {}: the hardware has no group left", path.display())))
        }
        Err(error) => Err(Errno::from(error)).at(|| format!("make {}", path.display())),
    }
}

/// What is to be in a group's schemata file, as lines `RESOURCE:DOMAIN=VALUE;...`.
#[derive(Debug, PartialEq)]
struct Schema {
    /// From l3CacheSchema and memBwSchema.
    simple: Vec<String>,
    /// From schemata; has the last word.
    complete: Vec<String>,
}

impl Schema {
    fn of(rdt: &LinuxIntelRdt) -> Result<Schema> {
        let lines = |text: &Option<String>| -> Vec<String> {
            let lines = text.iter().flat_map(|text| text.lines()).map(str::trim);
            lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
        };
        let mut simple = lines(rdt.l3_cache_schema());
        simple.retain(|line| !line.starts_with("MB:"));
        let bandwidth = lines(rdt.mem_bw_schema());
        if bandwidth.len() > 1 || bandwidth.iter().any(|line| !line.starts_with("MB:")) {
            return Err(Error::new(format!("memBwSchema {:?} is not one line MB:...", bandwidth.join("\n"))));
        }
        simple.extend(bandwidth);
        let complete = rdt.schemata().iter().flatten().flat_map(|line| lines(&Some(line.clone()))).collect();
        Ok(Schema { simple, complete })
    }

    fn is_empty(&self) -> bool {
        self.simple.is_empty() && self.complete.is_empty()
    }

    fn write(&self, root: &Path, group: &Path) -> Result<()> {
        let path = group.join("schemata");
        // In two writes: the kernel refuses one that sets the same domain twice.
        for lines in [&self.simple, &self.complete] {
            if lines.is_empty() {
                continue;
            }
            let text = lines.join("\n") + "\n";
            write(&path, &text).at(|| {
                // The errno is nearly always EINVAL; the reason is in this file.
                let status = fs::read_to_string(root.join("info/last_cmd_status")).unwrap_or_default();
                match status.trim() {
                    "" | "ok" => format!("write {text:?} to {}", path.display()),
                    status => format!("write {text:?} to {}: {status}", path.display()),
                }
            })?;
        }
        Ok(())
    }

    /// Whether `current`, a schemata file, has all that is wanted. What is not mentioned may be anything.
    fn compare(&self, current: &str) -> Result<()> {
        let current = entries(current.lines());
        let wanted = entries(self.simple.iter().chain(&self.complete).map(String::as_str));
        for ((resource, domain), value) in wanted {
            let key = (resource, domain);
            match current.get(&key) {
                Some(has) if *has == value => {}
                Some(has) => {
                    let (resource, domain) = key;
                    return Err(Error::new(format!("{resource}:{domain}={has} instead of {value}")));
                }
                None => return Err(Error::new(format!("no {}:{}", key.0, key.1))),
            }
        }
        Ok(())
    }
}

/// Schemata text by resource and domain, the last one winning, with numbers in the shortest form.
fn entries<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<(&'a str, &'a str), String> {
    let is_padding = |c: char| c == '0' || c.is_whitespace();
    let shortest = |number: &'a str| match number.trim_end().trim_start_matches(is_padding) {
        "" => "0",
        digits => digits,
    };
    let mut entries = BTreeMap::new();
    for (resource, domains) in lines.filter_map(|line| line.split_once(':')) {
        for domain in domains.split(';') {
            let (domain, value) = domain.split_once('=').unwrap_or((domain, ""));
            entries.insert((resource.trim(), shortest(domain)), shortest(value).to_ascii_lowercase());
        }
    }
    entries
}

fn write(path: &Path, text: &str) -> sys::Result<()> {
    // Appending means nothing to resctrl; it lets a test see every write.
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

/// Where resctrl is mounted, from the text of mountinfo:
/// `36 35 0:31 / /sys/fs/resctrl rw,relatime shared:9 - resctrl resctrl rw`.
fn mount_point(mountinfo: &[u8]) -> Option<PathBuf> {
    mountinfo.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ').skip(3);
        let (root, path) = (fields.next()?, fields.next()?);
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        (root == b"/" && kind == b"resctrl").then(|| unescape(path))
    })
}

/// mountinfo writes space, tab, newline and backslash as `\` and three octal digits.
fn unescape(path: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Schemata as floe writes them down mean the same when they are read again; so does mountinfo's path.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let _ = mount_point(bytes);
    let text = String::from_utf8_lossy(bytes);
    let read = entries(text.lines());
    let lines: Vec<String> =
        read.iter().map(|((resource, domain), value)| format!("{resource}:{domain}={value}")).collect();
    assert_eq!(entries(lines.iter().map(String::as_str)), read);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rdt(json: &str) -> LinuxIntelRdt {
        serde_json::from_str(json).unwrap()
    }

    /// A directory that looks like resctrl, with one group `shared`.
    fn resctrl() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for dir in ["mon_groups", "info", "shared", "shared/mon_groups"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        let schemata = "    MB:0=100;1= 70\n    L3:0=00fff;1=fffff\n";
        fs::write(root.path().join("shared/schemata"), schemata).unwrap();
        fs::write(root.path().join("schemata"), schemata).unwrap();
        root
    }

    /// Applies `json` for container `web1` and pid 41. `Ok` is what is to be removed.
    fn check(root: &Path, json: &str, expected: std::result::Result<Option<&str>, &str>) {
        let result = apply_in(root, &rdt(json), "web1", 41)
            .map_err(|error| error.to_string().replace(root.to_str().unwrap(), "ROOT"));
        let expected = expected.map(|dir| dir.map(|dir| root.join(dir))).map_err(str::to_owned);
        assert_eq!(result, expected, "{json}");
    }

    fn content(root: &Path, path: &str) -> String {
        fs::read_to_string(root.join(path)).unwrap_or_else(|error| error.kind().to_string())
    }

    #[test]
    fn numbers_are_compared_in_their_shortest_form() {
        let pair = |text: &'static str| entries(std::iter::once(text)).into_iter().next().unwrap();
        for text in ["L3:1=f", " L3: 01= 00F ", "L3:0 1=0 f"] {
            assert_eq!(pair(text), (("L3", "1"), "f".to_owned()), "{text}");
        }
        assert_eq!(pair("MB:00=000"), (("MB", "0"), "0".to_owned()));
    }

    #[test]
    fn without_clos_id_the_container_gets_a_group() {
        let root = resctrl();
        let json = r#"{"l3CacheSchema": "L3:0=f\nMB:0=10", "memBwSchema": "MB:0=20", "schemata": ["L3:0=ff", "L2:0=3"]}"#;
        check(root.path(), json, Ok(Some("web1")));
        assert_eq!(content(root.path(), "web1/schemata"), "L3:0=f\nMB:0=20\nL3:0=ff\nL2:0=3\n");
        assert_eq!(content(root.path(), "web1/tasks"), "41\n");

        let root = resctrl();
        check(root.path(), "{}", Ok(Some("web1")));
        assert_eq!(content(root.path(), "web1/schemata"), "entity not found");
        assert_eq!(content(root.path(), "web1/tasks"), "41\n");
    }

    #[test]
    fn a_group_without_schema_must_exist() {
        let root = resctrl();
        check(root.path(), r#"{"closID": "shared"}"#, Ok(None));
        assert_eq!(content(root.path(), "shared/tasks"), "41\n");
        let error = "closID gold: ROOT/gold does not exist, and no schema says how to make it";
        check(root.path(), r#"{"closID": "gold"}"#, Err(error));
        assert!(!root.path().join("gold").exists());
    }

    #[test]
    fn a_group_with_schema_is_made_and_outlives_the_container() {
        let root = resctrl();
        check(root.path(), r#"{"closID": "gold", "memBwSchema": "MB:0=20"}"#, Ok(None));
        assert_eq!(content(root.path(), "gold/schemata"), "MB:0=20\n");
        // The next container joins it.
        check(root.path(), r#"{"closID": "gold", "memBwSchema": "MB:0=20"}"#, Ok(None));
        assert_eq!(content(root.path(), "gold/schemata"), "MB:0=20\n");
        assert_eq!(content(root.path(), "gold/tasks"), "41\n41\n");
    }

    #[test]
    fn an_existing_group_must_have_the_schema() {
        let root = resctrl();
        let before = content(root.path(), "shared/schemata");
        check(root.path(), r#"{"closID": "shared", "l3CacheSchema": "L3:0=FFF"}"#, Ok(None));
        check(root.path(), r#"{"closID": "shared", "schemata": ["L3:1=0fffff;0=fff", "MB:1=70"]}"#, Ok(None));
        // The last word counts.
        check(
            root.path(),
            r#"{"closID": "shared", "l3CacheSchema": "L3:0=1", "schemata": ["L3:0=fff"]}"#,
            Ok(None),
        );
        check(
            root.path(),
            r#"{"closID": "shared", "l3CacheSchema": "L3:0=ff"}"#,
            Err("ROOT/shared exists with another schema: L3:0=fff instead of ff"),
        );
        check(
            root.path(),
            r#"{"closID": "shared", "schemata": ["L2:0=ff"]}"#,
            Err("ROOT/shared exists with another schema: no L2:0"),
        );
        assert_eq!(content(root.path(), "shared/schemata"), before);
    }

    #[test]
    fn monitoring_gets_a_group_of_its_own() {
        let root = resctrl();
        let dir = "shared/mon_groups/web1";
        check(root.path(), r#"{"closID": "shared", "enableMonitoring": true}"#, Ok(Some(dir)));
        assert_eq!(content(root.path(), &format!("{dir}/tasks")), "41\n");
        assert_eq!(content(root.path(), "shared/tasks"), "41\n");

        // The default group, for which the specification has this name.
        check(root.path(), r#"{"closID": "/", "enableMonitoring": true}"#, Ok(Some("mon_groups/web1")));
        assert_eq!(content(root.path(), "tasks"), "41\n");
    }

    #[test]
    fn a_failure_leaves_no_group() {
        let root = resctrl();
        // The kernel would make mon_groups, where it can monitor.
        let error = "monitoring: make ROOT/web1/mon_groups/web1: no such file or directory (ENOENT)";
        check(root.path(), r#"{"enableMonitoring": true}"#, Err(error));
        assert!(!root.path().join("web1").exists());
    }

    #[test]
    fn names_and_schemas_are_checked() {
        let root = resctrl();
        for name in [".", "..", "../x", "a/b", "info", "mon_groups", "//"] {
            let json = format!(r#"{{"closID": "{name}", "memBwSchema": "MB:0=20"}}"#);
            check(root.path(), &json, Err(&format!("closID {name:?} is not a name for a group")));
        }
        let error = "memBwSchema \"L3:0=1\" is not one line MB:...";
        check(root.path(), r#"{"memBwSchema": "L3:0=1"}"#, Err(error));
        assert!(!root.path().join("web1").exists());
    }

    #[test]
    fn the_kernels_reason_is_in_the_error() {
        let root = resctrl();
        fs::write(root.path().join("info/last_cmd_status"), "Mask 0x5 has non-consecutive 1-bits\n").unwrap();
        let schema = Schema::of(&rdt(r#"{"schemata": ["L3:0=5"]}"#)).unwrap();
        let error = schema.write(root.path(), &root.path().join("gone")).unwrap_err().to_string();
        let expected =
            "gone/schemata: Mask 0x5 has non-consecutive 1-bits: no such file or directory (ENOENT)";
        assert!(error.ends_with(expected), "{error}");
    }

    #[test]
    fn the_mount_is_found() {
        let line = |root, path, kind| format!("36 35 0:31 {root} {path} rw shared:9 - {kind} resctrl rw\n");
        let text = line("/", "/proc", "proc")
            + &line("/", "/fake", "tmpfs - resctrl")
            + &line("/web1", "/part", "resctrl")
            + &line("/", r"/sys/fs\040\134x", "resctrl");
        assert_eq!(mount_point(text.as_bytes()), Some(PathBuf::from(r"/sys/fs \x")));
        assert_eq!(mount_point(b"36 35 0:31 / /x rw - tmpfs resctrl rw\n\ncut off"), None);
    }

    #[test]
    fn a_missing_mount_is_named_with_its_remedy() {
        if mount_point(&fs::read("/proc/self/mountinfo").unwrap()).is_some() {
            println!("skip: resctrl is mounted");
            return;
        }
        let error = apply(&rdt("{}"), "web1", 41).unwrap_err().to_string();
        assert_eq!(error, "intelRdt: resctrl is not mounted; mount -t resctrl resctrl /sys/fs/resctrl");
    }

    #[test]
    fn removing_what_is_gone_is_no_error() {
        let root = resctrl();
        let dir = root.path().join("mon_groups");
        remove(&dir).unwrap();
        assert!(!dir.exists());
        remove(&dir).unwrap();
        assert!(remove(&root.path().join("shared")).is_err());
    }
}
