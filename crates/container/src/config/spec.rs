//! Reading config.json and process documents as oci-spec's types, with errors that name the field.

use super::{Config, resolve_rootfs};
use crate::error::{At, Error, Result};
use oci_spec::runtime as oci;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;

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
    let mut warnings = Vec::new();
    let spec: oci::Spec = parse_document(bytes, "config.json", &mut warnings)?;
    let mut config = Config::from_spec(&spec, bundle)?;
    config.warnings.splice(0..0, warnings);
    Ok(config)
}

/// A process document as `exec --process` gets it.
pub fn parse_process(bytes: &[u8], warnings: &mut Vec<String>) -> Result<oci::Process> {
    // Reuse the repairs of a whole document.
    parse_document(bytes, "process", warnings)
}

/// Parses strictly first: that is the fast path. oci-spec refuses a few things that the specification
/// allows; only a document that it refuses is parsed again as plain values, repaired, and converted with
/// the path to the field that is wrong.
fn parse_document<T: DeserializeOwned>(bytes: &[u8], name: &str, warnings: &mut Vec<String>) -> Result<T> {
    if let Ok(document) = serde_json::from_slice(bytes) {
        return Ok(document);
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::new(format!("{name}: the document is empty")));
    }
    let mut value: Value = serde_json::from_slice(bytes).at(|| format!("{name}: not valid JSON"))?;
    repair(&mut value, warnings);
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let at = if path == "." { String::new() } else { format!("{path}: ") };
        Error::new(format!("{name}: {at}{}", error.into_inner()))
    })
}

/// Makes valid documents acceptable to oci-spec.
fn repair(document: &mut Value, warnings: &mut Vec<String>) {
    let process = if document.get("process").is_some() { "/process" } else { "" };

    // "A runtime MUST NOT fail if the container configuration requests capabilities that cannot be
    // granted" (config.md, capabilities).
    if let Some(sets) =
        document.pointer_mut(&format!("{process}/capabilities")).and_then(Value::as_object_mut)
    {
        for (set, names) in sets {
            let Some(names) = names.as_array_mut() else { continue };
            names.retain(|name| {
                let known = serde_json::from_value::<oci::Capability>(name.clone()).is_ok();
                if !known && name.is_string() {
                    warnings.push(format!("capabilities.{set}: unknown capability {name} is ignored"));
                }
                known || !name.is_string()
            });
        }
    }
    // Without a user the program runs as root, as with runc.
    if let Some(process) = document.pointer_mut(process).and_then(Value::as_object_mut)
        && process.contains_key("args")
    {
        process.entry("user").or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    // oci-spec's names of two flags are not those of sched_setattr(2) and the specification.
    if let Some(flags) =
        document.pointer_mut(&format!("{process}/scheduler/flags")).and_then(Value::as_array_mut)
    {
        for flag in flags {
            match flag.as_str() {
                Some("SCHED_FLAG_DL_OVERRUN") => *flag = Value::from("SCHED_FLAG_D_L_OVERRUN"),
                Some("SCHED_FLAG_RESET_ON_FORK") => *flag = Value::from("SCHED_RESET_ON_FORK"),
                _ => {}
            }
        }
    }
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
    // mode is all that a memory policy needs; Go writes the rest as null.
    if let Some(syscalls) = document.pointer_mut("/linux/seccomp/syscalls").and_then(Value::as_array_mut) {
        for syscall in syscalls {
            if let Some(names) = syscall.get_mut("names").filter(|names| names.is_null()) {
                *names = Value::Array(Vec::new());
            }
        }
    }
}
