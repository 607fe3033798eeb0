//! The options of one mount, one to a line after type, source and destination.
#![no_main]

use container::config::{FsOption, Mount, MountKind, parse};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use std::path::Path;

/// The mount that the options mean, or why they are refused.
fn mount(fstype: &str, source: &str, destination: &str, options: &[&str]) -> Result<Mount, String> {
    let document = json!({
        "ociVersion": "1.3.0",
        "root": { "path": "rootfs" },
        "process": { "args": ["true"], "cwd": "/" },
        "linux": { "namespaces": [{ "type": "mount" }] },
        "mounts": [{ "type": fstype, "source": source, "destination": destination, "options": options }],
    });
    let config =
        parse(document.to_string().as_bytes(), Path::new("/bundle")).map_err(|error| error.to_string())?;
    Ok(config.mounts.into_iter().next().expect("there is one"))
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let [fstype, source, destination] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    let options: Vec<&str> = lines.collect();
    let Ok(once) = mount(fstype, source, destination, &options) else { return };
    for attr in [once.attr, once.recursive_attr] {
        // Access time is a field that is cleared before it is set.
        assert_eq!(attr.set & attr.clear & !0x70, 0, "both set and cleared");
        assert_eq!(attr.propagation, 0);
    }
    // The last word on each attribute is the same when all are said again.
    let twice =
        mount(fstype, source, destination, &[&options[..], &options[..]].concat()).expect("accepted before");
    assert_eq!((once.attr, once.recursive_attr), (twice.attr, twice.recursive_attr));
    assert_eq!((once.idmap, once.source_nofollow), (twice.idmap, twice.source_nofollow));
    if let MountKind::Filesystem { fstype, options: set, .. } = &once.kind {
        assert!(!fstype.is_empty());
        let length = |option: &FsOption| match option {
            FsOption::Flag(key) => key.len(),
            FsOption::Value(key, value) => key.len() + value.len(),
        };
        assert!(set.iter().map(length).sum::<usize>() <= bytes.len() * 3, "more than was said");
    }
});
