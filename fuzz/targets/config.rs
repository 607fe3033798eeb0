//! config.json and `exec --process`: any document is refused by name or means one thing.
#![no_main]

use container::config::{MountKind, parse};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let bundle = Path::new("/bundle");
    let config = match parse(bytes, bundle) {
        Ok(config) => config,
        Err(error) => {
            assert!(error.to_string().starts_with("config.json: "), "{error}");
            return;
        }
    };
    assert!(config.rootfs.starts_with(bundle) || config.rootfs.is_absolute());
    assert!(config.creates(libc::CLONE_NEWNS) || config.joins(libc::CLONE_NEWNS));
    assert!(
        config.joined_namespaces.iter().all(|(kind, path)| path.is_absolute() && !config.creates(kind.flag))
    );
    assert!(!config.process.args.is_empty() && config.process.cwd.is_absolute());
    for mount in &config.mounts {
        assert!(mount.destination.starts_with('/'));
        assert!(mount.idmap.is_none() || matches!(mount.kind, MountKind::Bind { .. }));
    }
    assert!(config.masked_paths.iter().chain(&config.readonly_paths).all(|path| path.starts_with('/')));
    assert!(config.sysctls.iter().all(|(file, _)| !file.starts_with('/') && !file.contains("..")));
    assert_eq!(parse(bytes, bundle).expect("it was accepted before"), config);
});
