//! Reading config.json and process documents, with errors that name the field.
//!
//! The types are oci-spec's but for the two that it parses more narrowly than the specification wants
//! (unknown capabilities, scheduler flags) or at a cost (a regular expression engine for CPU lists, which
//! would be a tenth of the binary).

use super::{Config, resolve_rootfs};
use crate::error::{At, Error, Result};
use oci_spec::runtime as oci;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// config.json (runtime-spec `config.md`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    #[serde(default)]
    pub(super) oci_version: String,
    pub(super) root: Option<oci::Root>,
    pub(super) mounts: Option<Vec<oci::Mount>>,
    pub(super) process: Option<ProcessDocument>,
    pub(super) hostname: Option<String>,
    pub(super) domainname: Option<String>,
    pub(super) hooks: Option<oci::Hooks>,
    pub(super) annotations: Option<HashMap<String, String>>,
    pub(super) linux: Option<oci::Linux>,
}

/// The `process` section, which is also the document of `exec --process`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessDocument {
    pub(super) terminal: Option<bool>,
    pub(super) console_size: Option<oci::Box>,
    /// Without one the program runs as root, as with runc.
    #[serde(default)]
    pub(super) user: oci::User,
    pub(super) args: Option<Vec<String>>,
    pub(super) env: Option<Vec<String>>,
    #[serde(default)]
    pub(super) cwd: PathBuf,
    pub(super) capabilities: Option<CapabilityNames>,
    pub(super) rlimits: Option<Vec<oci::PosixRlimit>>,
    pub(super) no_new_privileges: Option<bool>,
    pub(super) apparmor_profile: Option<String>,
    pub(super) oom_score_adj: Option<i32>,
    pub(super) selinux_label: Option<String>,
    pub(super) io_priority: Option<oci::LinuxIOPriority>,
    pub(super) scheduler: Option<SchedulerDocument>,
    #[serde(rename = "execCPUAffinity")]
    pub(super) exec_cpu_affinity: Option<AffinityDocument>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct CapabilityNames {
    pub(super) bounding: Option<Vec<String>>,
    pub(super) effective: Option<Vec<String>>,
    pub(super) permitted: Option<Vec<String>>,
    pub(super) inheritable: Option<Vec<String>>,
    pub(super) ambient: Option<Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct SchedulerDocument {
    pub(super) policy: oci::LinuxSchedulerPolicy,
    pub(super) nice: Option<i32>,
    pub(super) priority: Option<i32>,
    pub(super) flags: Option<Vec<String>>,
    pub(super) runtime: Option<u64>,
    pub(super) deadline: Option<u64>,
    pub(super) period: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct AffinityDocument {
    pub(super) initial: Option<String>,
    #[serde(rename = "final")]
    pub(super) after: Option<String>,
}

/// Reads a bundle: the document's bytes, to be kept with the container, and what they mean.
pub fn load(bundle: &Path, config_file: Option<&Path>) -> Result<(Vec<u8>, Config)> {
    let bundle = std::fs::canonicalize(bundle)
        .map_err(sys::Errno::from)
        .at(|| format!("bundle {}", bundle.display()))?;
    let file = config_file.map_or_else(|| bundle.join("config.json"), Path::to_owned);
    let bytes = std::fs::read(&file).map_err(sys::Errno::from).at(|| format!("read {}", file.display()))?;
    let mut config = parse(&bytes, &bundle)?;
    resolve_rootfs(&mut config)?;
    Ok((bytes, config))
}

/// The document's meaning for a bundle at `bundle`, without a look at the file system.
pub fn parse(bytes: &[u8], bundle: &Path) -> Result<Config> {
    Config::from_document(&parse_document(bytes, "config.json")?, bundle)
}

/// A process document as `exec --process` gets it.
pub fn parse_process(bytes: &[u8]) -> Result<ProcessDocument> {
    parse_document(bytes, "process")
}

/// Parses strictly first: that is the fast path. Only a document that is refused is looked at again, to
/// repair what oci-spec alone refuses and to find out which field is wrong.
fn parse_document<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T> {
    if let Ok(document) = serde_json::from_slice(bytes) {
        return Ok(document);
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::new(format!("{name}: the document is empty")));
    }
    let mut value: Value = serde_json::from_slice(bytes).at(|| format!("{name}: not valid JSON"))?;
    repair(&mut value);
    // One value to a line, so that the line of an error tells the field.
    let pretty = serde_json::to_string_pretty(&value).at(|| name)?;
    serde_json::from_str(&pretty).map_err(|error| {
        let field = field_at(&pretty, error.line());
        let at = if field.is_empty() { String::new() } else { format!("{field}: ") };
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        Error::new(format!("{name}: {at}{text}"))
    })
}

/// The path to the value on a line of a pretty-printed document, as in `process.rlimits[0].type`.
fn field_at(pretty: &str, line: usize) -> String {
    // For each level of indentation the key, or how many items of the array came before.
    let mut path: Vec<(String, usize)> = Vec::new();
    for text in pretty.lines().take(line) {
        let content = text.trim_start();
        let depth = (text.len() - content.len()) / 2;
        if depth == 0 || content.starts_with(['}', ']']) {
            path.truncate(depth);
            continue;
        }
        let key = content.strip_prefix('"').and_then(|rest| rest.split_once("\": ")).map(|(key, _)| key);
        let before =
            path.get(depth - 1).filter(|(name, _)| name.is_empty()).map_or(0, |(_, count)| count + 1);
        path.truncate(depth - 1);
        path.push((key.unwrap_or_default().to_owned(), before));
    }
    path.iter().enumerate().fold(String::new(), |path, (level, (key, before))| match (level, key.as_str()) {
        (_, "") => format!("{path}[{before}]"),
        (0, key) => key.to_owned(),
        (_, key) => format!("{path}.{key}"),
    })
}

/// Makes valid documents acceptable to oci-spec.
fn repair(document: &mut Value) {
    // pids.limit is optional since 1.3.
    if let Some(resources) = document.pointer_mut("/linux/resources").and_then(Value::as_object_mut)
        && resources.get("pids").and_then(Value::as_object).is_some_and(|pids| !pids.contains_key("limit"))
    {
        resources.remove("pids");
    }
    // uint64 in the specification, where the largest value means no limit.
    if let Some(limits) =
        document.pointer_mut("/linux/resources/hugepageLimits").and_then(Value::as_array_mut)
    {
        for limit in limits {
            if let Some(limit) = limit.get_mut("limit")
                && limit.as_u64().is_some_and(|limit| i64::try_from(limit).is_err())
            {
                *limit = Value::from(i64::MAX);
            }
        }
    }
    // Go writes an empty list as null.
    if let Some(syscalls) = document.pointer_mut("/linux/seccomp/syscalls").and_then(Value::as_array_mut) {
        for syscall in syscalls {
            if let Some(names) = syscall.get_mut("names").filter(|names| names.is_null()) {
                *names = Value::Array(Vec::new());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        let error = parse_document::<Document>(json.as_bytes(), "config.json").unwrap_err();
        assert_eq!(error.to_string(), format!("config.json: {expected}"));
    }

    #[test]
    fn errors_name_the_field() {
        check("", "the document is empty");
        check(r#"{"root":{"path":7}}"#, "root.path: invalid type: integer `7`, expected path string");
        check(
            r#"{"process":{"rlimits":[{"type":"RLIMIT_CPU","hard":1,"soft":1},{"type":"RLIMIT_CPU","hard":"x"}]}}"#,
            "process.rlimits[1].hard: invalid type: string \"x\", expected u64",
        );
        check(r#"{"mounts":[{"source":"x"}]}"#, "mounts[0]: missing field `destination`");
        check(
            r#"{"process":{"args":["a",2]}}"#,
            "process.args[1]: invalid type: integer `2`, expected a string",
        );
    }

    #[test]
    fn what_only_oci_spec_refuses_is_accepted() {
        for json in [
            r#"{"linux":{"resources":{"pids":{}}}}"#,
            r#"{"linux":{"resources":{"hugepageLimits":[{"pageSize":"2MB","limit":18446744073709551615}]}}}"#,
            r#"{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":null,"action":"SCMP_ACT_ERRNO"}]}}}"#,
        ] {
            assert!(parse_document::<Document>(json.as_bytes(), "config.json").is_ok(), "{json}");
        }
    }
}
