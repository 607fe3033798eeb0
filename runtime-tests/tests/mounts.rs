//! `mounts`: types, every option, destinations that are missing or symbolic links, id maps, propagation.

use crate::cases;
use crate::harness::*;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

/// Options of a tmpfs mount, and words that mountinfo must and must not show, per mount or for the superblock.
const FLAGS: [(&[&str], &[&str], &[&str]); 37] = [
    (&["ro"], &["ro"], &["rw"]),
    (&["ro", "rw"], &["rw"], &["ro"]),
    (&["rw", "ro"], &["ro"], &[]),
    (&["nosuid"], &["nosuid"], &[]),
    (&["nosuid", "suid"], &[], &["nosuid"]),
    (&["nodev"], &["nodev"], &[]),
    (&["nodev", "dev"], &[], &["nodev"]),
    (&["noexec"], &["noexec"], &[]),
    (&["noexec", "exec"], &[], &["noexec"]),
    (&["sync"], &["sync"], &[]),
    (&["sync", "async"], &[], &["sync"]),
    (&["dirsync"], &["dirsync"], &[]),
    (&["noatime"], &["noatime"], &["relatime"]),
    (&["noatime", "atime"], &[], &["noatime"]),
    (&["nodiratime"], &["nodiratime"], &[]),
    (&["nodiratime", "diratime"], &[], &["nodiratime"]),
    (&["relatime"], &["relatime"], &[]),
    (&["strictatime"], &[], &["relatime", "noatime"]),
    (&["relatime", "norelatime"], &[], &["noatime"]),
    (&["strictatime", "nostrictatime"], &["relatime"], &[]),
    (&["nosymfollow"], &["nosymfollow"], &[]),
    (&["nosymfollow", "symfollow"], &[], &["nosymfollow"]),
    (&["lazytime"], &["lazytime"], &[]),
    (&["lazytime", "nolazytime"], &[], &["lazytime"]),
    (&["defaults"], &["rw"], &["nosuid", "nodev", "noexec"]),
    (&["silent"], &["rw"], &[]),
    (&["loud"], &["rw"], &[]),
    (&["iversion"], &["rw"], &[]),
    (&["noiversion"], &["rw"], &[]),
    (&["mand"], &["rw"], &[]),
    (&["nomand"], &["rw"], &[]),
    (&["nosuid", "nodev", "noexec", "ro", "noatime"], &["nosuid", "nodev", "noexec", "ro", "noatime"], &[]),
    (&["private"], &[], &["shared", "master"]),
    (&["rprivate"], &[], &["shared", "master"]),
    (&["shared"], &["shared"], &[]),
    (&["rshared"], &["shared"], &[]),
    (&["unbindable"], &["unbindable"], &[]),
];

/// Recursive option, flags of the source and the mount below it, words that both must and must not show.
const RECURSIVE: [(&str, MsFlags, &str, &str); 19] = [
    ("rro", MsFlags::empty(), "ro", "rw"),
    ("rrw", MsFlags::MS_RDONLY, "rw", "ro"),
    ("rnosuid", MsFlags::empty(), "nosuid", ""),
    ("rsuid", MsFlags::MS_NOSUID, "", "nosuid"),
    ("rnodev", MsFlags::empty(), "nodev", ""),
    ("rdev", MsFlags::MS_NODEV, "", "nodev"),
    ("rnoexec", MsFlags::empty(), "noexec", ""),
    ("rexec", MsFlags::MS_NOEXEC, "", "noexec"),
    ("rnodiratime", MsFlags::empty(), "nodiratime", ""),
    ("rdiratime", MsFlags::MS_NODIRATIME, "", "nodiratime"),
    ("rnoatime", MsFlags::empty(), "noatime", "relatime"),
    ("ratime", MsFlags::MS_NOATIME, "", "noatime"),
    ("rrelatime", MsFlags::MS_NOATIME, "relatime", "noatime"),
    ("rnorelatime", MsFlags::MS_RELATIME, "", "noatime"),
    ("rstrictatime", MsFlags::MS_NOATIME, "", "noatime"),
    ("rnostrictatime", MsFlags::MS_STRICTATIME, "relatime", "noatime"),
    ("rnosymfollow", MsFlags::empty(), "nosymfollow", ""),
    ("rsymfollow", NOSYMFOLLOW, "", "nosymfollow"),
    ("rprivate", MsFlags::empty(), "", "shared"),
];

const NOSYMFOLLOW: MsFlags = MsFlags::from_bits_retain(256);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        bind_directory,
        bind_file,
        bind_type_is_optional,
        bind_read_only,
        bind_ro_leaves_submounts_writable,
        bind_without_rbind_hides_submounts,
        bind_keeps_the_sources_flags,
        bind_missing_source,
        bind_relative_source_is_from_the_bundle,
        destination_directory_is_created,
        destination_file_is_created,
        destination_through_a_symlink,
        destination_symlink_stays_inside,
        destination_relative_symlink_stays_inside,
        destination_dangling_symlink,
        order_is_kept,
        slave_receives_from_outside,
        rslave_receives_from_outside,
        private_receives_nothing,
        shared_sends_to_outside,
        runbindable,
        proc_type,
        sysfs_type,
        mqueue_type,
        devpts_type,
        cgroup_type_read_only,
        cgroup_type_read_write,
        cgroup_type_without_namespace,
        tmpfs_size,
        tmpfs_mode,
        tmpfs_owner,
        tmpfs_keeps_the_directorys_mode,
        tmpfs_copy_up,
        tmpfs_bad_data,
        idmap_of_the_container,
        idmap_of_the_mount,
        idmap_is_not_recursive,
        ridmap_is_recursive,
        idmap_without_mappings_is_refused,
        unknown_type,
        no_mount_is_left_outside,
    ];
    for (options, with, without) in FLAGS {
        cases.push(Case::new(format!("mounts::tmpfs_{}", options.join("_")), move |t| {
            let mut bundle = t.bundle();
            bundle.mount("/data", "tmpfs", "tmpfs", options);
            check_words(&t.facts(&mut bundle), "/data", with, without);
        }));
    }
    for (option, flags, with, without) in RECURSIVE {
        cases.push(Case::new(format!("mounts::recursive_{option}"), move |t| {
            let source = tree(t, flags);
            let mut bundle = t.bundle();
            bundle.bind(&source, "/data", &["rbind", option]);
            let facts = t.facts(&mut bundle);
            for mount in ["/data", "/data/sub"] {
                check_words(&facts, mount, &[with], &[without]);
            }
        }));
    }
    cases
}

#[track_caller]
fn check_words(facts: &Value, destination: &str, with: &[&str], without: &[&str]) {
    let fields = mount_fields(facts, destination);
    // `ro` and `rw` are of the mount; the superblock has its own.
    let superblock = fields.super_options.iter().filter(|o| *o != "ro" && *o != "rw").cloned();
    let propagation = fields.propagation.iter().map(|p| p.split(':').next().expect("word").to_owned());
    let words: Vec<String> = fields.options.iter().cloned().chain(superblock).chain(propagation).collect();
    for word in with.iter().filter(|w| !w.is_empty()) {
        assert!(words.iter().any(|w| w == word), "{destination} has no {word}: {words:?}");
    }
    for word in without {
        assert!(!words.iter().any(|w| w == word), "{destination} has {word}: {words:?}");
    }
}

/// A tmpfs with another one at `sub`, both with `flags`, each with a file `seed`.
fn tree(t: &mut Test, flags: MsFlags) -> PathBuf {
    let source = t.path("tree");
    let later = flags - MsFlags::MS_RDONLY;
    for path in [source.clone(), source.join("sub")] {
        t.mount_tmpfs(&path, later);
        std::fs::write(path.join("seed"), "seed").expect("write");
    }
    if flags.contains(MsFlags::MS_RDONLY) {
        for path in [source.join("sub"), source.clone()] {
            let none: Option<&str> = None;
            mount(none, &path, none, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY, none)
                .expect("remount");
        }
    }
    source
}

fn directory(t: &Test) -> PathBuf {
    let source = t.path("source");
    std::fs::create_dir(&source).expect("mkdir");
    std::fs::write(source.join("seed"), "seed").expect("write");
    source
}

fn bind_directory(t: &mut Test) {
    let source = directory(t);
    let mut bundle = t.bundle();
    bundle.bind(&source, "/data", &["bind"]);
    assert_eq!(t.sh(&mut bundle, "cat /data/seed; touch /data/new"), "seed");
    assert!(source.join("new").exists());
}

fn bind_file(t: &mut Test) {
    let source = directory(t).join("seed");
    let mut bundle = t.bundle();
    std::fs::write(bundle.rootfs("etc/seed"), "hidden").expect("write");
    bundle.bind(&source, "/etc/seed", &["bind", "ro"]);
    assert_eq!(
        t.sh(&mut bundle, "cat /etc/seed; echo x 2>/dev/null > /etc/seed || echo refused"),
        "seedrefused"
    );
}

fn bind_type_is_optional(t: &mut Test) {
    let source = directory(t);
    let mut bundle = t.bundle();
    bundle.push("/mounts", json!({"destination": "/data", "source": source, "options": ["bind"]}));
    assert_eq!(t.sh(&mut bundle, "cat /data/seed"), "seed");
    let mut bundle = t.bundle();
    bundle.push(
        "/mounts",
        json!({"destination": "/data", "type": "none", "source": source, "options": ["rbind"]}),
    );
    assert_eq!(t.sh(&mut bundle, "cat /data/seed"), "seed");
}

fn bind_read_only(t: &mut Test) {
    let source = directory(t);
    let mut bundle = t.bundle();
    bundle.bind(&source, "/data", &["rbind", "ro", "nosuid", "nodev", "noexec"]);
    check_words(&t.facts(&mut bundle), "/data", &["ro", "nosuid", "nodev", "noexec"], &["rw"]);
    std::fs::write(source.join("new"), "").expect("the source is still writable");
}

fn bind_ro_leaves_submounts_writable(t: &mut Test) {
    let source = tree(t, MsFlags::empty());
    let mut bundle = t.bundle();
    bundle.bind(&source, "/data", &["rbind", "ro"]);
    let facts = t.facts(&mut bundle);
    check_words(&facts, "/data", &["ro"], &[]);
    check_words(&facts, "/data/sub", &["rw"], &[]);
}

fn bind_without_rbind_hides_submounts(t: &mut Test) {
    let source = tree(t, MsFlags::empty());
    let mut bundle = t.bundle();
    bundle.bind(&source, "/data", &["bind"]);
    assert_eq!(t.sh(&mut bundle, "ls /data/sub /data"), "/data:\nseed\nsub\n\n/data/sub:");
}

fn bind_keeps_the_sources_flags(t: &mut Test) {
    let source = tree(t, MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC);
    let mut bundle = t.bundle();
    bundle.bind(&source, "/data", &["rbind"]);
    let facts = t.facts(&mut bundle);
    check_words(&facts, "/data", &["nosuid", "noexec"], &[]);
    check_words(&facts, "/data/sub", &["nosuid", "noexec"], &[]);
}

fn bind_missing_source(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.bind(&PathBuf::from("/no/such/source"), "/data", &["bind"]);
    t.run_bundle(&bundle).exits(1).refused(&["/no/such/source"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn bind_relative_source_is_from_the_bundle(t: &mut Test) {
    let mut bundle = t.bundle();
    std::fs::create_dir(bundle.dir.join("volume")).expect("mkdir");
    std::fs::write(bundle.dir.join("volume/seed"), "seed").expect("write");
    bundle.mount("/data", "bind", "volume", &["bind"]);
    assert_eq!(t.sh(&mut bundle, "cat /data/seed"), "seed");
}

fn destination_directory_is_created(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.mount("/new/deep/place", "tmpfs", "tmpfs", &[]);
    mount_line(&t.facts(&mut bundle), "/new/deep/place");
    let mode = std::fs::metadata(bundle.rootfs("new/deep")).expect("created").mode() & 0o777;
    assert_eq!(mode, 0o755);
}

fn destination_file_is_created(t: &mut Test) {
    let source = directory(t).join("seed");
    let mut bundle = t.bundle();
    bundle.bind(&source, "/new/deep/file", &["bind"]);
    assert_eq!(t.sh(&mut bundle, "cat /new/deep/file"), "seed");
    assert!(bundle.rootfs("new/deep/file").is_file());
}

fn destination_through_a_symlink(t: &mut Test) {
    let mut bundle = t.bundle();
    symlink("/data", bundle.rootfs("link")).expect("symlink");
    bundle.mount("/link", "tmpfs", "tmpfs", &[]);
    mount_line(&t.facts(&mut bundle), "/data");
}

fn destination_symlink_stays_inside(t: &mut Test) {
    let outside = t.path("outside");
    std::fs::create_dir(&outside).expect("mkdir");
    let mut bundle = t.bundle();
    symlink(&outside, bundle.rootfs("link")).expect("symlink");
    bundle.mount("/link/sub", "tmpfs", "tmpfs", &[]).args(["true"]);
    // Whether it lands inside or is refused: nothing may appear outside.
    t.run_bundle(&bundle);
    assert_eq!(std::fs::read_dir(&outside).expect("dir").count(), 0);
}

fn destination_relative_symlink_stays_inside(t: &mut Test) {
    let outside = t.path("outside");
    std::fs::create_dir(&outside).expect("mkdir");
    let mut bundle = t.bundle();
    symlink("../../../../../../outside", bundle.rootfs("link")).expect("symlink");
    symlink("../../outside", bundle.rootfs("near")).expect("symlink");
    bundle.mount("/link/a", "tmpfs", "tmpfs", &[]).mount("/near/b", "tmpfs", "tmpfs", &[]).args(["true"]);
    t.run_bundle(&bundle);
    assert_eq!(std::fs::read_dir(&outside).expect("dir").count(), 0);
}

fn destination_dangling_symlink(t: &mut Test) {
    let mut bundle = t.bundle();
    symlink("/var/missing", bundle.rootfs("link")).expect("symlink");
    bundle.mount("/link", "tmpfs", "tmpfs", &[]);
    mount_line(&t.facts(&mut bundle), "/var/missing");
}

fn order_is_kept(t: &mut Test) {
    let source = directory(t);
    let mut bundle = t.bundle();
    bundle.bind(&source, "/data", &["bind"]).mount("/data", "tmpfs", "tmpfs", &["size=64k"]);
    bundle.bind(&source, "/data/inner", &["bind"]);
    assert_eq!(t.sh(&mut bundle, "ls /data; cat /data/inner/seed"), "inner\nseed");
}

/// A shared mount outside, bound with `option`; what the container then sees of a mount made later outside.
fn later_mount(t: &mut Test, option: &str) -> String {
    let source = tree(t, MsFlags::empty());
    t.make_shared(&source);
    let mut bundle = t.bundle();
    bundle.bind(&source, "/data", &["rbind", option]);
    let container = t.start_holding(&mut bundle);
    t.mount_tmpfs(&source.join("later"), MsFlags::empty());
    std::fs::write(source.join("later/file"), "").expect("write");
    t.call(["exec", &container.id, "ls", "/data/later"]).ok().text().to_owned()
}

fn slave_receives_from_outside(t: &mut Test) {
    assert_eq!(later_mount(t, "slave"), "file");
}

fn rslave_receives_from_outside(t: &mut Test) {
    assert_eq!(later_mount(t, "rslave"), "file");
}

fn private_receives_nothing(t: &mut Test) {
    assert_eq!(later_mount(t, "rprivate"), "");
}

fn shared_sends_to_outside(t: &mut Test) {
    let source = t.path("shared");
    t.mount_tmpfs(&source, MsFlags::empty());
    t.make_shared(&source);
    let mut bundle = t.bundle();
    bundle.bind(&source, "/data", &["bind", "rshared"]).capabilities(&["CAP_SYS_ADMIN"]);
    bundle.set("/linux/rootfsPropagation", json!("shared"));
    bundle.args([
        "sh",
        "-c",
        "mkdir /data/sub && mount -t tmpfs none /data/sub && touch /data/sub/x && echo up; sleep 99",
    ]);
    let container = t.start(&bundle);
    container.wait_for_output("up");
    assert!(source.join("sub/x").exists());
    nix::mount::umount(&source.join("sub")).expect("umount");
}

fn runbindable(t: &mut Test) {
    let source = tree(t, MsFlags::empty());
    let mut bundle = t.bundle();
    bundle.bind(&source, "/data", &["rbind", "runbindable"]);
    let facts = t.facts(&mut bundle);
    check_words(&facts, "/data", &["unbindable"], &[]);
    check_words(&facts, "/data/sub", &["unbindable"], &[]);
}

fn proc_type(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.remove_mount("/proc").mount("/proc", "proc", "proc", &["nosuid", "hidepid=2"]);
    let facts = t.facts(&mut bundle);
    let fields = mount_fields(&facts, "/proc");
    assert_eq!(fields.kind, "proc");
    assert!(fields.options.iter().any(|o| o == "nosuid"));
    assert!(fields.super_options.iter().any(|o| o.starts_with("hidepid=")), "{:?}", fields.super_options);
}

fn sysfs_type(t: &mut Test) {
    let mut bundle = t.bundle();
    let facts = t.facts(&mut bundle);
    assert_eq!(mount_fields(&facts, "/sys").kind, "sysfs");
    check_words(&facts, "/sys", &["ro", "nosuid", "noexec", "nodev"], &[]);
    // sysfs shows the network namespace it was mounted in.
    assert_eq!(facts["interfaces"], json!(["lo"]));
}

fn mqueue_type(t: &mut Test) {
    let mut bundle = t.bundle();
    let facts = t.facts(&mut bundle);
    assert_eq!(mount_fields(&facts, "/dev/mqueue").kind, "mqueue");
    check_words(&facts, "/dev/mqueue", &["nosuid", "noexec", "nodev"], &[]);
}

fn devpts_type(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.remove_mount("/dev/pts");
    bundle.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0600", "mode=0600", "gid=7"]);
    let facts = t.facts(&mut bundle);
    let fields = mount_fields(&facts, "/dev/pts");
    assert_eq!(fields.kind, "devpts");
    for option in ["ptmxmode=600", "mode=600", "gid=7"] {
        assert!(fields.super_options.iter().any(|o| o == option), "{option}: {:?}", fields.super_options);
    }
}

fn cgroup_type_read_only(t: &mut Test) {
    let mut bundle = t.bundle();
    let facts = t.facts(&mut bundle);
    assert_eq!(mount_fields(&facts, "/sys/fs/cgroup").kind, "cgroup2");
    check_words(&facts, "/sys/fs/cgroup", &["ro", "nosuid", "noexec", "nodev", "relatime"], &[]);
    bundle.id = t.id();
    assert_eq!(t.sh(&mut bundle, "mkdir /sys/fs/cgroup/x 2>/dev/null || echo refused"), "refused");
}

fn cgroup_type_read_write(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.remove_mount("/sys/fs/cgroup").mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw", "nosuid"]);
    assert_eq!(t.sh(&mut bundle, "mkdir /sys/fs/cgroup/x && cat /sys/fs/cgroup/x/cgroup.type"), "domain");
}

fn cgroup_type_without_namespace(t: &mut Test) {
    // What `--cgroupns=host` asks for: the caller's view of the hierarchy.
    let mut bundle = t.bundle();
    bundle.without_namespace("cgroup");
    let script = format!("ls -d /sys/fs/cgroup/{}", environment::get().cgroup);
    assert!(t.sh(&mut bundle, &script).ends_with(&environment::get().cgroup));
}

fn tmpfs_size(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.mount("/data", "tmpfs", "tmpfs", &["size=1m", "nr_inodes=99"]);
    let facts = t.facts(&mut bundle);
    let fields = mount_fields(&facts, "/data");
    for option in ["size=1024k", "nr_inodes=99"] {
        assert!(fields.super_options.iter().any(|o| o == option), "{option}: {:?}", fields.super_options);
    }
}

fn tmpfs_mode(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.mount("/data", "tmpfs", "tmpfs", &["mode=0710"]);
    assert_eq!(t.sh(&mut bundle, "stat -c %a /data"), "710");
}

fn tmpfs_owner(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.mount("/data", "tmpfs", "tmpfs", &["uid=5", "gid=6"]);
    assert_eq!(t.sh(&mut bundle, "stat -c %u:%g /data"), "5:6");
}

fn tmpfs_keeps_the_directorys_mode(t: &mut Test) {
    // runc: without `mode=` a tmpfs over an existing directory gets that directory's mode.
    let mut bundle = t.bundle();
    std::fs::set_permissions(bundle.rootfs("data"), std::fs::Permissions::from_mode(0o750)).expect("chmod");
    bundle.mount("/data", "tmpfs", "tmpfs", &[]);
    assert_eq!(t.sh(&mut bundle, "stat -c %a /data"), "750");
}

fn tmpfs_copy_up(t: &mut Test) {
    let mut bundle = t.bundle();
    std::fs::write(bundle.rootfs("data/seed"), "seed").expect("write");
    bundle.mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    assert_eq!(t.sh(&mut bundle, "cat /data/seed; touch /data/new"), "seed");
    assert!(!bundle.rootfs("data/new").exists());
}

fn tmpfs_bad_data(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.mount("/data", "tmpfs", "tmpfs", &["no_such_option"]);
    t.run_bundle(&bundle).exits(1).refused(&["/data"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn idmap_of_the_container(t: &mut Test) {
    need_idmapped_tmpfs();
    let source = directory(t);
    let mut bundle = t.bundle();
    bundle.user_namespace(100_000, 65536).bind(&source, "/data", &["bind", "idmap"]);
    bundle.bind(&source, "/var", &["bind"]);
    let mapping = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let last = bundle.spec["mounts"].as_array().expect("mounts").len() - 2;
    bundle.set(&format!("/mounts/{last}/uidMappings"), mapping.clone());
    bundle.set(&format!("/mounts/{last}/gidMappings"), mapping);
    let script = "stat -c %u:%g /data/seed /var/seed; touch /data/new";
    assert_eq!(t.sh(&mut bundle, script), "0:0\n65534:65534");
    assert_eq!(source.join("new").metadata().expect("made by the container").uid(), 0);
}

fn idmap_of_the_mount(t: &mut Test) {
    need_idmapped_tmpfs();
    let source = directory(t);
    let mut bundle = t.bundle();
    let uids = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
    let gids = json!([{"containerID": 0, "hostID": 2000, "size": 10}]);
    bundle.push(
        "/mounts",
        json!({"destination": "/data", "type": "bind", "source": source, "options": ["bind", "idmap"],
            "uidMappings": uids, "gidMappings": gids}),
    );
    assert_eq!(t.sh(&mut bundle, "stat -c %u:%g /data/seed"), "1000:2000");
}

fn idmapped_tree(t: &mut Test, option: &str) -> String {
    need_idmapped_tmpfs();
    let source = tree(t, MsFlags::empty());
    let mut bundle = t.bundle();
    let ids = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
    bundle.push(
        "/mounts",
        json!({"destination": "/data", "type": "bind", "source": source, "options": ["rbind", option],
            "uidMappings": ids, "gidMappings": ids}),
    );
    t.sh(&mut bundle, "stat -c %u /data/seed /data/sub/seed")
}

fn idmap_is_not_recursive(t: &mut Test) {
    assert_eq!(idmapped_tree(t, "idmap"), "1000\n0");
}

fn ridmap_is_recursive(t: &mut Test) {
    assert_eq!(idmapped_tree(t, "ridmap"), "1000\n1000");
}

fn idmap_without_mappings_is_refused(t: &mut Test) {
    let source = directory(t);
    let mut bundle = t.bundle();
    bundle.bind(&source, "/data", &["bind", "idmap"]);
    t.run_bundle(&bundle).exits(1).refused(&["map"]);
}

fn unknown_type(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.mount("/data", "no-such-fs", "x", &[]);
    t.run_bundle(&bundle).exits(1).refused(&["/data"]);
    assert_eq!(t.leftovers(), [""; 0]);
}

fn no_mount_is_left_outside(t: &mut Test) {
    let source = tree(t, MsFlags::empty());
    let before = read("/proc/self/mountinfo");
    let mut bundle = t.bundle();
    bundle.bind(&source, "/data", &["rbind", "rro"]).mount("/var", "tmpfs", "tmpfs", &[]);
    let container = t.start_holding(&mut bundle);
    let own = t.dir.display().to_string();
    let of_test = |text: &str| text.lines().filter(|l| l.contains(&own)).count();
    assert_eq!(of_test(&read("/proc/self/mountinfo")), of_test(&before));
    t.call(["delete", "--force", &container.id]).ok();
}
