//! Ids, capabilities, securebits, no_new_privs, seccomp filters, limits, priorities.

use super::*;
use images::messages::{
    CoreEntry, CredsEntry, RlimitEntry, SeccompEntry, SeccompFilter, TaskCoreEntry, ThreadCoreEntry,
};

const CORE: &str = "core-1.img";

fn creds(images: &Images, change: impl FnOnce(&mut CredsEntry)) {
    thread(images, |thread| change(thread.creds.as_mut().expect("credentials")));
}

fn thread(images: &Images, change: impl FnOnce(&mut ThreadCoreEntry)) {
    images.edit(CORE, |core: &mut CoreEntry| change(core.thread_core.as_mut().expect("a thread")));
}

fn task(images: &Images, change: impl FnOnce(&mut TaskCoreEntry)) {
    images.edit(CORE, |core: &mut CoreEntry| change(core.tc.as_mut().expect("a task")));
}

fn become_root(images: &Images) {
    creds(images, |creds| {
        (creds.uid, creds.euid, creds.suid, creds.fsuid) = (0, 0, 0, 0);
        (creds.gid, creds.egid, creds.sgid, creds.fsgid) = (0, 0, 0, 0);
    });
}

fn take_all_capabilities(images: &Images) {
    creds(images, |creds| {
        for set in [
            &mut creds.cap_inh,
            &mut creds.cap_prm,
            &mut creds.cap_eff,
            &mut creds.cap_bnd,
            &mut creds.cap_amb,
        ] {
            *set = vec![u32::MAX, u32::MAX];
        }
    });
}

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

fn has_no_capabilities(process: &Path) {
    for set in SETS {
        assert_eq!(status(process, set), "0000000000000000", "{set}");
    }
}

fn with_a_filter(bundle: &mut Bundle) {
    let rule = json!({"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5});
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}));
}

/// Each thread has config.json's filter, and what the image has more.
fn has_filters(process: &Path, least: u32) {
    let threads = fs::read_dir(process.join("task")).expect("threads");
    for thread in threads.map(|thread| thread.expect("a thread").path()) {
        assert_eq!(status(&thread, "Seccomp"), "2", "{}", thread.display());
        let count: u32 = status(&thread, "Seccomp_filters").parse().expect("a number");
        assert!(count >= least, "{}: {count} filters", thread.display());
    }
}

/// `BPF_RET | BPF_K`, SECCOMP_RET_ALLOW
const ALLOW: [u8; 8] = [6, 0, 0, 0, 0, 0, 0xff, 0x7f];

pub(super) const FORGERIES: &[Forgery] = &[
    Forgery {
        name: "root_ids",
        program: "idle",
        adapt: as_it_is,
        forge: become_root,
        then: Then::Refused(&["core-1.img", "uid 0", "1000"]),
    },
    Forgery {
        name: "one_root_id",
        program: "idle",
        adapt: as_it_is,
        forge: |images| creds(images, |creds| creds.suid = 0),
        then: Then::Refused(&["core-1.img", "uid 0"]),
    },
    Forgery {
        name: "ids_that_are_left_as_they_are",
        program: "idle",
        adapt: as_docker_does,
        forge: |images| {
            creds(images, |creds| (creds.uid, creds.euid, creds.suid) = (u32::MAX, u32::MAX, u32::MAX))
        },
        then: Then::Refused(&["core-1.img", "4294967295"]),
    },
    Forgery {
        name: "root_gid",
        program: "idle",
        adapt: as_it_is,
        forge: |images| creds(images, |creds| creds.fsgid = 0),
        then: Then::Refused(&["core-1.img", "gid 0"]),
    },
    Forgery {
        name: "supplementary_groups",
        program: "idle",
        adapt: as_it_is,
        forge: |images| creds(images, |creds| creds.groups = vec![1000, 0, 6]),
        then: Then::Refused(&["core-1.img", "gid 0"]),
    },
    Forgery {
        name: "root_where_setuid_programs_are",
        program: "idle",
        adapt: |bundle| {
            bundle.set("/process/noNewPrivileges", json!(false));
        },
        forge: |images| {
            become_root(images);
            take_all_capabilities(images);
        },
        then: Then::Runs(|process| {
            assert_eq!(status(process, "Uid"), "0\t0\t0\t0");
            has_no_capabilities(process);
        }),
    },
    Forgery {
        name: "other_ids_with_setuid",
        program: "idle",
        adapt: |bundle| {
            bundle
                .capabilities(&["CAP_SETUID", "CAP_SETGID"])
                .set("/process/user", json!({"uid": 0, "gid": 0}));
        },
        forge: |images| {
            creds(images, |creds| {
                (creds.uid, creds.euid, creds.suid, creds.fsuid) = (33, 33, 33, 33);
                creds.groups = vec![34];
            });
        },
        then: Then::Runs(|process| {
            assert_eq!(
                (status(process, "Uid"), status(process, "Groups")),
                ("33\t33\t33\t33".to_owned(), "34".to_owned())
            );
        }),
    },
    Forgery {
        name: "all_capabilities",
        program: "idle",
        adapt: as_it_is,
        forge: take_all_capabilities,
        then: Then::Runs(has_no_capabilities),
    },
    Forgery {
        name: "all_capabilities_of_root",
        program: "idle",
        adapt: |bundle| {
            bundle.capabilities(&["CAP_KILL"]).set("/process/user", json!({"uid": 0, "gid": 0}));
        },
        forge: take_all_capabilities,
        then: Then::Runs(|process| {
            for set in SETS {
                let found = u64::from_str_radix(&status(process, set), 16).expect("a set");
                assert_eq!(found & !(1 << 5), 0, "{set}");
            }
        }),
    },
    Forgery {
        name: "capabilities_of_other_threads",
        program: "threads",
        adapt: as_it_is,
        forge: |images| {
            let cores =
                fs::read_dir(&images.dir).expect("images").map(|entry| entry.expect("an entry").file_name());
            for name in
                cores.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with("core-"))
            {
                images.edit(&name, |core: &mut CoreEntry| {
                    let creds = core.thread_core.as_mut().and_then(|thread| thread.creds.as_mut());
                    let creds = creds.expect("credentials");
                    (creds.cap_prm, creds.cap_eff) = (vec![u32::MAX; 2], vec![u32::MAX; 2]);
                });
            }
        },
        then: Then::Runs(|process| {
            for thread in fs::read_dir(process.join("task")).expect("threads") {
                assert_eq!(status(&thread.expect("a thread").path(), "CapEff"), "0000000000000000");
            }
        }),
    },
    Forgery {
        name: "credentials_missing",
        program: "idle",
        adapt: as_it_is,
        forge: |images| thread(images, |thread| thread.creds = None),
        then: Then::Refused(&["core-1.img", "creds", "missing"]),
    },
    Forgery {
        name: "thread_state_missing",
        program: "idle",
        adapt: as_it_is,
        forge: |images| images.edit(CORE, |core: &mut CoreEntry| core.thread_core = None),
        then: Then::Refused(&["core-1.img", "missing"]),
    },
    Forgery {
        name: "no_new_privs_cleared",
        program: "idle",
        adapt: as_it_is,
        forge: |images| creds(images, |creds| creds.no_new_privs = None),
        then: Then::Runs(|process| assert_eq!(status(process, "NoNewPrivs"), "1")),
    },
    Forgery {
        name: "securebits",
        program: "idle",
        adapt: as_it_is,
        // SECBIT_NO_SETUID_FIXUP: who changes from root keeps capabilities.
        forge: |images| creds(images, |creds| creds.secbits = 1 << 2),
        then: Then::Refused(&["core-1.img", "securebits"]),
    },
    Forgery {
        name: "seccomp_dropped",
        program: "idle",
        adapt: with_a_filter,
        forge: |images| {
            thread(images, |thread| (thread.seccomp_mode, thread.seccomp_filter) = (Some(0), None));
            fs::remove_file(images.dir.join("seccomp.img")).expect("filters");
        },
        then: Then::Runs(|process| has_filters(process, 1)),
    },
    Forgery {
        name: "seccomp_of_one_thread_dropped",
        program: "threads",
        adapt: with_a_filter,
        forge: |images| thread(images, |thread| (thread.seccomp_mode, thread.seccomp_filter) = (None, None)),
        then: Then::Runs(|process| has_filters(process, 1)),
    },
    Forgery {
        name: "seccomp_that_allows_all",
        program: "idle",
        adapt: with_a_filter,
        forge: |images| {
            images.edit("seccomp.img", |seccomp: &mut SeccompEntry| {
                seccomp.seccomp_filters.iter_mut().for_each(|filter| filter.filter = ALLOW.to_vec());
            });
        },
        then: Then::Runs(|process| has_filters(process, 2)),
    },
    Forgery {
        name: "seccomp_in_a_circle",
        program: "idle",
        adapt: with_a_filter,
        forge: |images| {
            images
                .edit("seccomp.img", |seccomp: &mut SeccompEntry| seccomp.seccomp_filters[0].prev = Some(0));
        },
        then: Then::Refused(&["seccomp.img"]),
    },
    Forgery {
        name: "seccomp_with_many_filters",
        program: "idle",
        adapt: with_a_filter,
        forge: |images| {
            images.edit("seccomp.img", |seccomp: &mut SeccompEntry| {
                let link =
                    |prev: Option<u32>| SeccompFilter { filter: ALLOW.repeat(4096), prev, flags: None };
                seccomp.seccomp_filters = (0..64).map(|nth: u32| link(nth.checked_sub(1))).collect();
            });
            thread(images, |thread| thread.seccomp_filter = Some(63));
        },
        then: Then::Refused(&["seccomp"]),
    },
    Forgery {
        name: "seccomp_with_a_listener",
        program: "idle",
        adapt: with_a_filter,
        forge: |images| {
            images.edit("seccomp.img", |seccomp: &mut SeccompEntry| {
                seccomp.seccomp_filters[0].flags = Some(1 << 3)
            });
        },
        then: Then::Runs(|process| has_filters(process, 1)),
    },
    Forgery {
        name: "limits_above_those_of_config",
        program: "idle",
        adapt: with_limits,
        forge: |images| {
            task(images, |task| {
                let limits = task.rlimits.as_mut().expect("limits");
                limits.rlimits = vec![RlimitEntry { cur: u64::MAX, max: u64::MAX }; 16];
            });
        },
        then: Then::Runs(has_limits),
    },
    Forgery {
        name: "limits_missing",
        program: "idle",
        adapt: with_limits,
        forge: |images| task(images, |task| task.rlimits = None),
        then: Then::Runs(has_limits),
    },
    Forgery {
        name: "oom_score_below_that_of_config",
        program: "idle",
        adapt: |bundle| {
            bundle.set("/process/oomScoreAdj", json!(300));
        },
        forge: |images| task(images, |task| task.oom_score_adj = Some(-1000)),
        then: Then::Runs(|process| assert_eq!(read(process.join("oom_score_adj")).trim(), "300")),
    },
    Forgery {
        name: "realtime_priority",
        program: "idle",
        adapt: as_it_is,
        forge: |images| {
            thread(images, |thread| (thread.sched_policy, thread.sched_prio) = (Some(1), Some(99)))
        },
        then: Then::Refused(&["task 1", "sched_setscheduler", "EPERM"]),
    },
    Forgery {
        name: "niceness",
        program: "idle",
        adapt: as_it_is,
        forge: |images| thread(images, |thread| thread.sched_nice = Some(-20)),
        then: Then::Runs(|process| {
            let stat = read(process.join("stat"));
            let nice: i32 = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.split(' ').nth(16))
                .expect("19 fields")
                .parse()
                .expect("a number");
            assert!(nice >= 0, "{nice}");
        }),
    },
];

fn with_limits(bundle: &mut Bundle) {
    bundle.push("/process/rlimits", json!({"type": "RLIMIT_NPROC", "soft": 50, "hard": 60}));
    bundle.push("/process/rlimits", json!({"type": "RLIMIT_NOFILE", "soft": 300, "hard": 400}));
}

fn has_limits(process: &Path) {
    let text = read(process.join("limits"));
    let hard = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
        line.split_whitespace().nth(1).expect("a hard limit").to_owned()
    };
    assert_eq!((hard("Max processes"), hard("Max open files")), ("60".to_owned(), "400".to_owned()));
}
