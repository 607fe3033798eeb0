//! Trees that cannot be, signals that end what is being built, descriptors beyond all limits, cgroups of others.

use super::*;
use images::format::CGROUP;
use images::messages::{
    CgMemberEntry, CgSetEntry, CgroupEntry, CoreEntry, Fstype, MntEntry, PosixTimerEntry, PstreeEntry,
    SiginfoEntry, SignalQueueEntry, TaskCoreEntry, TaskKobjIdsEntry, UtsnsEntry,
};

const fn of_idle(name: &'static str, forge: fn(&Images), then: Then) -> Forgery {
    Forgery { name, program: "idle", adapt: as_it_is, forge, then }
}

fn first(images: &Images, change: impl FnOnce(&mut PstreeEntry)) {
    images.edit("pstree.img", change);
}

fn last(images: &Images, change: impl FnOnce(&mut PstreeEntry)) {
    images.edit_all("pstree.img", |tasks| change(&mut tasks.last_mut().expect("a task").0));
}

fn task(images: &Images, change: impl FnOnce(&mut TaskCoreEntry)) {
    images.edit("core-1.img", |core: &mut CoreEntry| change(core.tc.as_mut().expect("a task")));
}

/// A signal of the last task of the tree, for it alone or for its first thread.
fn signal(images: &Images, number: i32) {
    let mut pid = 0;
    last(images, |task| pid = task.pid);
    let mut siginfo = number.to_le_bytes().to_vec();
    siginfo.resize(128, 0);
    images.edit(&format!("core-{pid}.img"), |core: &mut CoreEntry| {
        let queue = SignalQueueEntry { signals: vec![SiginfoEntry { siginfo }] };
        core.thread_core.as_mut().expect("a thread").signals_p = Some(queue);
    });
}

fn zombie(images: &Images, exit_code: u32) {
    const ZOMBIE: u32 = 2;
    let mut changed = 0;
    for name in images.names("core-") {
        images.edit(&name, |core: &mut CoreEntry| {
            if let Some(task) = core.tc.as_mut().filter(|task| task.task_state == ZOMBIE) {
                task.exit_code = exit_code;
                changed += 1;
            }
        });
    }
    assert!(changed > 0, "no zombie");
}

fn descriptor(images: &Images, change: fn(&mut Vec<(FdinfoEntry, Vec<u8>)>)) {
    let name = images.names("fdinfo-").into_iter().next().expect("a table");
    images.edit_all(&name, change);
}

const fn of_tree(name: &'static str, forge: fn(&Images), then: Then) -> Forgery {
    Forgery { name, program: "tree", adapt: as_it_is, forge, then }
}

const fn of_zombies(name: &'static str, forge: fn(&Images)) -> Forgery {
    Forgery { name, program: "zombies", adapt: as_it_is, forge, then: Then::Refused(&["exit_code"]) }
}

pub(super) const FORGERIES: &[Forgery] = &[
    of_tree("pid_twice", |images| last(images, |task| task.pid = 1), Then::Refused(&["pstree.img", "twice"])),
    of_idle("pid_of_nobody", |images| first(images, |task| task.pid = 0), Then::Refused(&["pstree.img"])),
    of_tree(
        "parent_missing",
        |images| last(images, |task| task.ppid = 4444),
        Then::Refused(&["pstree.img", "4444"]),
    ),
    of_idle(
        "group_that_is_no_id",
        |images| first(images, |task| task.pgid = u32::MAX),
        Then::Refused(&["pstree.img"]),
    ),
    of_idle(
        "session_that_is_no_id",
        |images| first(images, |task| task.sid = u32::MAX),
        Then::Refused(&["pstree.img"]),
    ),
    of_tree(
        "group_of_nobody",
        |images| last(images, |task| task.pgid = 3_000_000_000 >> 2),
        Then::Refused(&["task"]),
    ),
    of_tree("session_of_nobody", |images| last(images, |task| task.sid = 1 << 30), Then::Refused(&["task"])),
    of_idle(
        "thread_twice",
        |images| first(images, |task| task.threads = vec![1, 1]),
        Then::Refused(&["pstree.img", "twice"]),
    ),
    of_idle(
        "threads_that_are_not_there",
        |images| first(images, |task| task.threads = (1..100_000).collect()),
        Then::Refused(&["core-2.img", "missing"]),
    ),
    of_idle(
        "thread_of_another_pid",
        |images| first(images, |task| task.threads = vec![7]),
        Then::Refused(&["pstree.img"]),
    ),
    of_idle(
        "state_that_is_none",
        |images| task(images, |task| task.task_state = 77),
        Then::Refused(&["core-1.img", "77"]),
    ),
    of_idle(
        "first_task_that_has_ended",
        |images| task(images, |task| task.task_state = 2),
        Then::Refused(&["core-1.img", "ended"]),
    ),
    of_tree("pending_kill", |images| signal(images, libc::SIGKILL), Then::Refused(&["core-", "signal 9"])),
    of_tree("pending_stop", |images| signal(images, libc::SIGSTOP), Then::Refused(&["core-", "signal 19"])),
    of_tree("pending_nothing", |images| signal(images, 0), Then::Refused(&["core-", "signal 0"])),
    of_zombies("zombie_that_is_stopped", |images| zombie(images, libc::SIGSTOP as u32)),
    of_zombies("zombie_that_lives", |images| zombie(images, libc::SIGWINCH as u32)),
    of_zombies("zombie_of_no_signal", |images| zombie(images, 0x7f)),
    of_idle(
        "descriptor_twice",
        |images| descriptor(images, |table| table.push(table[0].clone())),
        Then::Refused(&["fdinfo-", "twice"]),
    ),
    of_idle(
        "descriptor_of_any_number",
        |images| descriptor(images, |table| table[0].0.fd = i32::MAX as u32),
        Then::Refused(&["descriptor 2147483647"]),
    ),
    of_idle(
        "descriptor_beyond_the_limit",
        |images| descriptor(images, |table| table[0].0.fd = 900_000_000),
        Then::Refused(&["descriptors are needed"]),
    ),
    of_idle(
        "descriptor_of_nothing",
        |images| descriptor(images, |table| table[0].0.id = 99_999),
        Then::Refused(&["fdinfo-", "99999"]),
    ),
    of_tree(
        "table_of_everybody",
        |images| {
            for name in images.names("ids-") {
                images.edit(&name, |ids: &mut TaskKobjIdsEntry| ids.files_id = 1);
            }
        },
        Then::Either,
    ),
    of_idle(
        "cgroup_above",
        |images| {
            let member = CgMemberEntry { path: b"/../../..".to_vec(), ..CgMemberEntry::default() };
            let set = CgSetEntry { id: 1, ctls: vec![member] };
            images.add("cgroup.img", &CGROUP, &CgroupEntry { sets: vec![set], ..CgroupEntry::default() });
            task(images, |task| task.cg_set = Some(1));
            images.edit("core-1.img", |core: &mut CoreEntry| {
                core.thread_core.as_mut().expect("a thread").cg_set = Some(1);
            });
        },
        Then::Runs(|process| {
            let own = read(process.join("cgroup"));
            let line = own.lines().find(|line| line.starts_with("0::")).expect("cgroup v2");
            assert!(line.contains(&environment::get().cgroup), "{line}");
        }),
    ),
    Forgery {
        name: "timer_of_any_number",
        program: "posix_timers",
        adapt: as_it_is,
        forge: |images| {
            task(images, |task| {
                let timers: &mut Vec<PosixTimerEntry> = &mut task.timers.as_mut().expect("timers").posix;
                timers.iter_mut().for_each(|timer| timer.it_id = u32::MAX);
            });
        },
        then: Then::Refused(&["timer"]),
    },
    of_idle("personality", |images| task(images, |task| task.personality = u32::MAX), Then::Either),
    of_idle(
        "host_name_of_config",
        |images| {
            let name = images.names("utsns-").into_iter().next().expect("names");
            images.edit(&name, |uts: &mut UtsnsEntry| uts.nodename = b"another".to_vec());
        },
        Then::Runs(|process| {
            let pid = process.file_name().and_then(|pid| pid.to_str()).expect("a pid");
            let found = Command::new("nsenter")
                .args(["--uts", "--target", pid, "hostname"])
                .output()
                .expect("nsenter");
            assert_eq!(String::from_utf8_lossy(&found.stdout), "floe-test\n");
        }),
    ),
    Forgery {
        name: "host_name_that_is_long",
        program: "ns_uts",
        adapt: |bundle| {
            bundle.capabilities(&["CAP_SYS_ADMIN"]).set("/process/user", json!({"uid": 0, "gid": 0}));
        },
        forge: |images| {
            let name = images.names("utsns-").into_iter().next().expect("names");
            images.edit(&name, |uts: &mut UtsnsEntry| uts.nodename = vec![b'x'; 5000]);
        },
        then: Then::Refused(&["sethostname"]),
    },
    of_tree(
        "network_of_a_task",
        |images| images.edit("ids-2.img", |ids: &mut TaskKobjIdsEntry| ids.net_ns_id = Some(77)),
        Then::Refused(&["task 2", "net namespace"]),
    ),
    of_tree(
        "mounts_of_a_task",
        |images| images.edit("ids-2.img", |ids: &mut TaskKobjIdsEntry| ids.mnt_ns_id = Some(77)),
        Then::Refused(&["task 2", "CAP_SYS_ADMIN"]),
    ),
    of_mounts(
        "mounts_without_a_root",
        |images| {
            images.edit("ids-2.img", |ids: &mut TaskKobjIdsEntry| ids.mnt_ns_id = Some(77));
        },
        &["mount namespace 77", "no root"],
    ),
    of_mounts(
        "mounts_of_the_host",
        |images| nested_mounts(images, |mount| mount.root = b"/etc".to_vec()),
        &["mount namespace", "no mount of the container shows"],
    ),
    of_mounts(
        "mounts_of_a_kind_that_has_a_device",
        |images| {
            nested_mounts(images, |mount| {
                (mount.root_dev, mount.fstype) = (1, Fstype::Overlayfs as u32);
            });
        },
        &["mount namespace", "no mount of the container shows"],
    ),
];

const fn of_mounts(name: &'static str, forge: fn(&Images), refused: &'static [&'static str]) -> Forgery {
    Forgery {
        name,
        program: "nested_mounts",
        adapt: |bundle| {
            bundle.capabilities(&["CAP_SYS_ADMIN"]).set("/process/user", json!({"uid": 0, "gid": 0}));
        },
        forge,
        then: Then::Refused(refused),
    }
}

/// Changes all mounts of the first namespace that a task has made.
fn nested_mounts(images: &Images, change: fn(&mut MntEntry)) {
    let name = images.names("mountpoints-").into_iter().nth(1).expect("a second namespace");
    images.edit_all(&name, |mounts: &mut Vec<(MntEntry, Vec<u8>)>| {
        mounts.iter_mut().for_each(|(mount, _)| change(mount));
    });
}
