//! `spec`: writes the same config.json as runc, down to the host name `runc`, because scripts edit it.

use crate::args::Spec;
use anyhow::{Context, Result};
use nix::unistd::{getegid, geteuid};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

pub fn spec(args: &Spec) -> Result<()> {
    let bundle = args.bundle.as_deref().unwrap_or(Path::new(""));
    let path = match &args.file {
        Some(file) => bundle.join(file),
        None => bundle.join(PathBuf::from("config.json")),
    };
    let document = if args.rootless {
        rootless_document(geteuid().as_raw(), getegid().as_raw())
    } else {
        include_str!("../../documents/config.json").to_owned()
    };
    let opened = OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = match opened {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // runc's test suite looks for these words.
            anyhow::bail!("File {} exists. Remove it first", path.display())
        }
        opened => opened.with_context(|| format!("create {}", path.display()))?,
    };
    file.write_all(document.as_bytes()).with_context(|| format!("write {}", path.display()))
}

fn rootless_document(uid: u32, gid: u32) -> String {
    include_str!("../../documents/config-rootless.json")
        .replace("@UID@", &uid.to_string())
        .replace("@GID@", &gid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::{LinuxNamespaceType, Spec};

    fn namespaces(spec: &Spec) -> Vec<LinuxNamespaceType> {
        let linux = spec.linux().as_ref().expect("linux");
        linux.namespaces().iter().flatten().map(|namespace| namespace.typ()).collect()
    }

    #[test]
    fn document_is_a_spec() {
        use LinuxNamespaceType::*;
        let spec: Spec = serde_json::from_str(include_str!("../../documents/config.json")).expect("a spec");
        assert_eq!(spec.version(), crate::version::SPEC);
        assert_eq!(namespaces(&spec), [Pid, Network, Ipc, Uts, Mount, Cgroup]);
        assert_eq!(spec.mounts().as_ref().map(Vec::len), Some(7));
    }

    #[test]
    fn rootless_document_maps_the_user() {
        use LinuxNamespaceType::*;
        let spec: Spec = serde_json::from_str(&rootless_document(1000, 100)).expect("a spec");
        assert_eq!(namespaces(&spec), [Pid, Ipc, Uts, Mount, Cgroup, User]);
        let linux = spec.linux().as_ref().expect("linux");
        let uids = linux.uid_mappings().as_ref().expect("uid mappings");
        let gids = linux.gid_mappings().as_ref().expect("gid mappings");
        assert_eq!((uids[0].host_id(), uids[0].size(), gids[0].host_id()), (1000, 1, 100));
    }
}
