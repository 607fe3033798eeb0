//! `criu check`: whether this host can dump and restore, in CRIU's words, which people and scripts look for.

use crate::Host;
use crate::command_line::Answer;
use crate::options::Result;

/// What is asked beside what every dump needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What only some processes need.
    pub(crate) extra: bool,
    /// These, and nothing else.
    pub(crate) features: Vec<String>,
}

/// Features of CRIU's that floe dumps and restores, and that no kernel since 6.1 lacks.
const ALWAYS: [&str; 26] = [
    "aio_remap",
    "can_map_vdso",
    "cgroupns",
    "clone3_set_tid",
    "external_net_ns",
    "fdinfo_lock",
    "get_rseq_conf",
    "ipv6_freebind",
    "kcmp",
    "kcmp_epoll",
    "memfd_hugetlb",
    "mnt_id",
    "net_diag_raw",
    "net_diag_v2",
    "network_lock_nftables",
    "ns_pid",
    "openat2",
    "pidfd_store",
    "seccomp_filters",
    "seccomp_suspend",
    "sk_unix_file",
    "sockopt_buf_lock",
    "tcp_half_closed",
    "timens",
    "timerfd",
    "userns",
];

/// Those that come with tracking of writes.
const OF_TRACKING: [&str; 2] = ["mem_dirty_track", "pagemap_scan"];

/// Those of dumps and restores with lazy pages.
const OF_LAZY_PAGES: [&str; 2] = ["uffd", "uffd-noncoop"];

/// Features of CRIU's that floe has no use for, or does not have.
const OTHERS: [&str; 17] = [
    "apparmor_stacking",
    "autofs",
    "breakpoints",
    "compat_cr",
    "has_ipt_legacy",
    "link_nsid",
    "loginuid",
    "move_mount_set_group",
    "newifindex",
    "nftables",
    "nsid",
    "overlayfs_maps",
    "pagemap_scan_guard_pages",
    "sk_ns",
    "timer_cr_ids",
    "tun",
    "tun_ns",
];

/// # Errors
/// A feature is missing, or not known.
pub(crate) fn check(asked: &Asked, host: &dyn Host) -> Result<Answer> {
    let answer = |text: String, status| Ok(Answer { text, status });
    for feature in &asked.features {
        match feature.as_str() {
            "list" => {
                let mut names = [ALWAYS.as_slice(), &OF_TRACKING, &OF_LAZY_PAGES, &OTHERS].concat();
                names.sort_unstable();
                return answer(names.join("\n") + "\n", 0);
            }
            name if ALWAYS.contains(&name) => {}
            name if OF_TRACKING.contains(&name) && host.tracks_writes() => {}
            name if OF_LAZY_PAGES.contains(&name) && host.fills_lazily() => {}
            name if [OF_LAZY_PAGES.as_slice(), &OF_TRACKING, &OTHERS].concat().contains(&name) => {
                return Err(format!("check: missing: {name}"));
            }
            name => return Err(format!("check: {name}: the feature is not known")),
        }
    }
    if !asked.features.is_empty() {
        return answer("Looks good.\n".to_owned(), 0);
    }
    let missing = host.missing();
    if !missing.is_empty() {
        return answer(format!("missing: {}\nDoes not look good.\n", missing.join(", ")), 1);
    }
    if asked.extra && !host.tracks_writes() {
        let text = "missing: tracking of writes (pre-dump)\nLooks good but some kernel features are missing\n\
            which, depending on your process tree, may cause\ndump or restore failure.\n";
        return answer(text.to_owned(), 1);
    }
    answer("Looks good.\n".to_owned(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Here(bool, &'static [&'static str]);

    impl Host for Here {
        fn missing(&self) -> Vec<String> {
            self.1.iter().map(|name| (*name).to_owned()).collect()
        }

        fn tracks_writes(&self) -> bool {
            self.0
        }

        fn fills_lazily(&self) -> bool {
            self.0
        }
    }

    #[test]
    fn what_is_asked_for() {
        let ask = |extra, features: &[&str], host: Here| -> Result<(String, u8)> {
            let features = features.iter().map(|name| (*name).to_owned()).collect();
            let answer = check(&Asked { extra, features }, &host)?;
            Ok((answer.text.lines().last().unwrap_or_default().to_owned(), answer.status))
        };
        let good = |status| Ok(("Looks good.".to_owned(), status));
        assert_eq!(ask(false, &[], Here(false, &[])), good(0));
        assert_eq!(ask(true, &[], Here(true, &[])), good(0));
        assert_eq!(ask(true, &[], Here(false, &[])), Ok(("dump or restore failure.".to_owned(), 1)));
        assert_eq!(ask(false, &[], Here(true, &["ptrace"])), Ok(("Does not look good.".to_owned(), 1)));
        assert_eq!(ask(false, &["mnt_id", "mem_dirty_track"], Here(true, &["ptrace"])), good(0));
        let why = |features, host| ask(false, features, host).expect_err("refused");
        assert_eq!(why(&["mem_dirty_track"], Here(false, &[])), "check: missing: mem_dirty_track");
        assert_eq!(ask(false, &["uffd"], Here(true, &[])), good(0));
        assert_eq!(why(&["uffd"], Here(false, &[])), "check: missing: uffd");
        assert_eq!(ask(false, &["uffd-noncoop"], Here(true, &[])), good(0));
        assert_eq!(why(&["tun"], Here(true, &[])), "check: missing: tun");
        assert_eq!(why(&["mnt_id", "words"], Here(true, &[])), "check: words: the feature is not known");
    }

    #[test]
    fn list() {
        let asked = Asked { extra: false, features: vec!["list".to_owned()] };
        let answer = check(&asked, &Here(false, &[])).expect("a list");
        assert_eq!((answer.status, answer.text.lines().count()), (0, ALWAYS.len() + 2 + 2 + OTHERS.len()));
    }
}
