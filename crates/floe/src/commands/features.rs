//! `features`: the document of runtime-spec `features.md`. Callers mix stderr into it, so nothing may be said there.

use super::output;
use crate::version;
use anyhow::Result;

pub fn features() -> Result<()> {
    output::print(&document())
}

fn document() -> String {
    include_str!("../../documents/features.json")
        .replace("@VERSION@", version::VERSION)
        .replace("@COMMIT@", version::COMMIT)
        .replace("@LIBSECCOMP@", &version::libseccomp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::{Features, LinuxNamespaceType};

    #[test]
    fn document_is_what_callers_look_for() {
        let text = document();
        assert!(!text.contains('@'), "a placeholder is left");
        let features: Features = serde_json::from_str(&text).expect("the shape of runtime-spec");
        // CRI-O wants both versions, Docker, containerd and Kubernetes `rro`, containerd user namespaces and idmap.
        assert_eq!(
            (features.oci_version_min().as_str(), features.oci_version_max().as_str()),
            ("1.0.0", version::SPEC)
        );
        let options = features.mount_options().as_ref().expect("mount options");
        for option in ["rro", "idmap", "ridmap", "tmpcopyup", "rbind"] {
            assert!(options.iter().any(|known| known == option), "{option}");
        }
        assert!(options.is_sorted());
        let linux = features.linux().as_ref().expect("linux");
        let namespaces = linux.namespaces().as_ref().expect("namespaces");
        assert!(namespaces.contains(&LinuxNamespaceType::User) && namespaces.len() == 8);
        let idmap = linux.mount_extensions().as_ref().and_then(|extensions| extensions.idmap().clone());
        assert_eq!(idmap.and_then(|idmap| *idmap.enabled()), Some(true));
        assert_eq!(linux.capabilities().as_ref().map(Vec::len), Some(41));
    }
}
