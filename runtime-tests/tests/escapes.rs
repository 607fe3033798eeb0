//! Attacks on runtimes that have worked: each test is one published way out of a container.

use crate::cases;
use crate::hardening::{Swapper, listing};
use crate::harness::*;
use std::os::unix::fs::symlink;

pub(crate) fn cases() -> Vec<Case> {
    cases![
        own_binary_cannot_be_written,
        own_binary_is_not_reachable_through_exec,
        cwd_through_a_leaked_descriptor,
        exec_cwd_through_a_leaked_descriptor,
        proc_is_a_symlink,
        sys_is_a_symlink,
        dev_is_a_symlink,
        dev_is_a_symlink_to_the_outside,
        dev_null_is_a_symlink,
        console_is_a_symlink,
        mask_source_is_a_symlink,
        mask_through_a_symlink,
        volume_over_proc,
        abstract_socket_of_the_host,
        host_files_through_proc_1_root,
        readonly_bind_creates_no_mount_point,
        symlinked_parent_of_a_file_mount,
        preserved_descriptors_only,
        config_cannot_name_proc_self,
        mounts_inside_proc,
        cgroups_of_others_in_a_user_namespace,
        console_that_changes,
        console_without_devpts,
        mask_source_that_changes,
        read_only_with_a_false_proc,
        sysctl_value_with_a_second_one,
        annotations_of_systemd,
    ]
}

fn outside(t: &Test) -> std::path::PathBuf {
    let dir = t.path("outside");
    std::fs::create_dir(&dir).expect("mkdir");
    std::fs::write(dir.join("file"), "untouched").expect("write");
    dir
}

#[track_caller]
fn check_untouched(dir: &std::path::Path) {
    assert_eq!(read(dir.join("file")), "untouched");
    assert_eq!(std::fs::read_dir(dir).expect("dir").count(), 1, "something was made outside");
}

fn own_binary_cannot_be_written(t: &mut Test) {
    // CVE-2019-5736: the image's program is a link to the runtime through /proc/self/exe.
    let before = std::fs::read(&environment::get().floe).expect("read");
    let mut bundle = t.bundle();
    symlink("/proc/self/exe", bundle.rootfs("bin/self")).expect("symlink");
    bundle.args(["/bin/self"]);
    t.run_bundle(&bundle);
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "for p in /proc/[0-9]*; do echo x >> $p/exe; done 2>/dev/null; true"]);
    t.run_bundle(&bundle);
    assert!(std::fs::read(&environment::get().floe).expect("read") == before, "the runtime was overwritten");
}

fn own_binary_is_not_reachable_through_exec(t: &mut Test) {
    let mut bundle = t.bundle();
    let script =
        "while :; do for p in /proc/[0-9]*; do readlink $p/exe; echo x >> $p/exe; done 2>/dev/null; done";
    bundle.args(["sh", "-c", script]);
    let before = std::fs::read(&environment::get().floe).expect("read");
    let container = t.start(&bundle);
    for _ in 0..20 {
        t.call(["exec", &container.id, "true"]).ok();
    }
    t.call(["delete", "--force", &container.id]).ok();
    assert!(std::fs::read(&environment::get().floe).expect("read") == before, "the runtime was overwritten");
}

fn cwd_through_a_leaked_descriptor(t: &mut Test) {
    // CVE-2024-21626.
    for fd in 3..12 {
        let mut bundle = t.bundle();
        bundle.set("/process/cwd", json!(format!("/proc/self/fd/{fd}")));
        bundle.args(["sh", "-c", "ls ../../../../.. | grep -x usr; true"]);
        assert_eq!(t.run_bundle(&bundle).stdout, "", "descriptor {fd}");
    }
}

fn exec_cwd_through_a_leaked_descriptor(t: &mut Test) {
    let mut bundle = t.bundle();
    let container = t.start_holding(&mut bundle);
    for fd in 3..12 {
        let cwd = format!("/proc/self/fd/{fd}");
        let output =
            t.call(["exec", "--cwd", &cwd, &container.id, "sh", "-c", "ls ../../../../.. | grep -x usr"]);
        assert_eq!(output.stdout, "", "descriptor {fd}");
    }
}

/// The image has `name` as a link to another directory; the mount must be refused, or land on the real place.
fn special_directory_is_a_symlink(t: &mut Test, name: &str) {
    let mut bundle = t.bundle();
    std::fs::remove_dir(bundle.rootfs(name)).expect("rmdir");
    symlink("/data", bundle.rootfs(name)).expect("symlink");
    let script = format!("test -h /{name} && echo still a link");
    bundle.args(["sh", "-c", &script]);
    let output = t.run_bundle(&bundle);
    assert!(!output.stdout.contains("still a link"), "/{name} was followed: {output:?}");
}

fn proc_is_a_symlink(t: &mut Test) {
    // CVE-2023-27561: masks would then be on another procfs.
    special_directory_is_a_symlink(t, "proc");
}

fn sys_is_a_symlink(t: &mut Test) {
    special_directory_is_a_symlink(t, "sys");
}

fn dev_is_a_symlink(t: &mut Test) {
    // CVE-2026-41579: nodes and links would be made elsewhere.
    let mut bundle = t.bundle();
    std::fs::remove_dir(bundle.rootfs("dev")).expect("rmdir");
    symlink("/data", bundle.rootfs("dev")).expect("symlink");
    bundle.args(["true"]);
    t.run_bundle(&bundle).exits(1).refused(&["/dev"]);
    assert!(!bundle.rootfs("data/ptmx").is_symlink());
}

fn dev_is_a_symlink_to_the_outside(t: &mut Test) {
    let outside = outside(t);
    let mut bundle = t.bundle();
    for mount in ["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"] {
        bundle.remove_mount(mount);
    }
    std::fs::remove_dir(bundle.rootfs("dev")).expect("rmdir");
    symlink(&outside, bundle.rootfs("dev")).expect("symlink");
    bundle.args(["true"]);
    t.run_bundle(&bundle);
    check_untouched(&outside);
}

fn dev_null_is_a_symlink(t: &mut Test) {
    // CVE-2026-88265: standard streams reopened or chowned through it.
    let outside = outside(t);
    let before = std::fs::metadata(outside.join("file")).expect("stat");
    let mut bundle = t.bundle();
    for mount in ["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"] {
        bundle.remove_mount(mount);
    }
    symlink(outside.join("file"), bundle.rootfs("dev/null")).expect("symlink");
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000})).args(["true"]);
    t.run_bundle(&bundle);
    check_untouched(&outside);
    use std::os::unix::fs::MetadataExt as _;
    let after = std::fs::metadata(outside.join("file")).expect("stat");
    assert_eq!((before.uid(), before.mode()), (after.uid(), after.mode()));
}

fn console_is_a_symlink(t: &mut Test) {
    // CVE-2025-52565, CVE-2026-88264.
    let outside = outside(t);
    let mut bundle = t.bundle();
    for mount in ["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"] {
        bundle.remove_mount(mount);
    }
    symlink(outside.join("new"), bundle.rootfs("dev/console")).expect("symlink");
    bundle.set("/process/terminal", json!(true)).args(["true"]);
    let socket = sockets::FdSocket::new(t.path("console"));
    bundle.write();
    let mut command = t.floe();
    command.args(["create", "--console-socket", socket.path(), "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    t.run(command);
    check_untouched(&outside);
}

fn mask_source_is_a_symlink(t: &mut Test) {
    // CVE-2025-31133: /dev/null of the image as the source of masks.
    let outside = outside(t);
    let mut bundle = t.bundle();
    for mount in ["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"] {
        bundle.remove_mount(mount);
    }
    symlink("/proc/sysrq-trigger", bundle.rootfs("dev/null")).expect("symlink");
    std::fs::write(bundle.rootfs("etc/secret"), "secret").expect("write");
    bundle.set("/linux/maskedPaths", json!(["/etc/secret"])).args(["cat", "/etc/secret"]);
    assert_eq!(t.run_bundle(&bundle).ok().stdout, "");
    check_untouched(&outside);
}

fn mask_through_a_symlink(t: &mut Test) {
    let mut bundle = t.bundle();
    std::fs::create_dir(bundle.rootfs("data/real")).expect("mkdir");
    std::fs::write(bundle.rootfs("data/real/secret"), "secret").expect("write");
    symlink("/data/real", bundle.rootfs("link")).expect("symlink");
    bundle.push("/linux/maskedPaths", json!("/link/secret")).args(["cat", "/data/real/secret"]);
    assert_eq!(t.run_bundle(&bundle).stdout, "");
}

fn volume_over_proc(t: &mut Test) {
    // CVE-2019-16884, CVE-2019-19921: attributes written to a file of the volume.
    let outside = outside(t);
    let mut bundle = t.bundle();
    bundle.bind(&outside, "/proc", &["bind"]).args(["true"]);
    t.run_bundle(&bundle).exits(1).refused(&["/proc"]);
    check_untouched(&outside);
}

fn abstract_socket_of_the_host(t: &mut Test) {
    // CVE-2020-15257: abstract sockets belong to the network namespace.
    use std::os::linux::net::SocketAddrExt as _;
    let name = format!("floe-{}", t.id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("name");
    let _listener = std::os::unix::net::UnixListener::bind_addr(&address).expect("bind");
    let mut bundle = t.bundle();
    assert_eq!(t.sh(&mut bundle, &format!("floe-probe connect-abstract {name}")), "errno=111");
}

fn host_files_through_proc_1_root(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.capabilities(&["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]);
    let output = t.sh(&mut bundle, "ls /proc/1/root/usr /proc/1/cwd/../usr 2>/dev/null; true");
    assert_eq!(output, "");
}

fn readonly_bind_creates_no_mount_point(t: &mut Test) {
    // A destination inside an earlier read-only bind must not be made in that bind's source.
    let outside = outside(t);
    let mut bundle = t.bundle();
    bundle.bind(&outside, "/data", &["bind", "ro"]).mount("/data/new", "tmpfs", "tmpfs", &[]).args(["true"]);
    t.run_bundle(&bundle);
    check_untouched(&outside);
}

fn symlinked_parent_of_a_file_mount(t: &mut Test) {
    // CVE-2024-45310: empty files made on the host.
    let outside = outside(t);
    let source = t.path("source");
    std::fs::write(&source, "x").expect("write");
    let mut bundle = t.bundle();
    symlink(&outside, bundle.rootfs("data/link")).expect("symlink");
    bundle.bind(&source, "/data/link/new/file", &["bind"]).args(["true"]);
    t.run_bundle(&bundle);
    check_untouched(&outside);
}

fn preserved_descriptors_only(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["/bin/floe-probe", "facts"]).write();
    let mut command = t.floe();
    command.arg("run").arg("--bundle").arg(&bundle.dir).arg(&bundle.id);
    let directory = std::fs::File::open("/").expect("open");
    sockets::pass_fds(&mut command, vec![directory.into()]);
    let facts = t.run(command).ok().json();
    let fds: Vec<&String> = facts["fds"].as_object().expect("fds").keys().collect();
    assert_eq!(fds, ["0", "1", "2"], "{}", facts["fds"]);
}

fn config_cannot_name_proc_self(t: &mut Test) {
    // A path through /proc/self/root must not lead out of the container.
    let outside = outside(t);
    let mut bundle = t.bundle();
    let path = format!("/proc/self/root/../..{}/file", outside.display());
    bundle.push("/linux/maskedPaths", json!(path)).args(["true"]);
    t.run_bundle(&bundle);
    check_untouched(&outside);
}

fn mounts_inside_proc(t: &mut Test) {
    // CVE-2019-16884, CVE-2019-19921, CVE-2025-52881: what lies over files of /proc gets what is written to them.
    let source = t.path("source");
    std::fs::create_dir(&source).expect("mkdir");
    std::fs::write(source.join("exec"), "").expect("write");
    let file = source.join("exec");
    for (destination, source) in [
        ("/proc/self/attr", &source),
        ("/proc/1/attr/exec", &file),
        ("/proc/sys/kernel", &source),
        ("/proc/sysrq-trigger", &file),
        ("/proc/../proc/sys", &source),
        ("/link/kernel", &source),
    ] {
        let mut bundle = t.bundle();
        symlink("/proc/sys", bundle.rootfs("link")).expect("symlink");
        bundle.bind(source, destination, &["bind"]).args(["true"]);
        t.run_bundle(&bundle).exits(1).refused(&["proc"]);
    }
    let mut bundle = t.bundle();
    bundle.mount("/proc/sys", "tmpfs", "tmpfs", &[]).args(["true"]);
    t.run_bundle(&bundle).exits(1).refused(&["/proc"]);
}

fn cgroups_of_others_in_a_user_namespace(t: &mut Test) {
    // CVE-2023-25809: without a cgroup namespace the container's root may be the user who owns all these cgroups.
    let mut bundle = t.bundle();
    bundle.user_namespace(0, 65536).without_namespace("cgroup").remove_mount("/sys/fs/cgroup");
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw", "nosuid", "noexec", "nodev"]);
    bundle.capabilities(&["CAP_DAC_OVERRIDE"]);
    let own = &environment::get().cgroup;
    let script =
        format!("ls -d /sys/fs/cgroup/{own} && mkdir /sys/fs/cgroup/{own}/made 2>/dev/null || echo refused");
    assert_eq!(t.sh(&mut bundle, &script), format!("/sys/fs/cgroup/{own}\nrefused"));
}

/// A bundle whose /dev is the image's own, with devpts in it.
fn with_a_dev_of_its_own(t: &mut Test) -> Bundle {
    let mut bundle = t.bundle();
    for mount in ["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"] {
        bundle.remove_mount(mount);
    }
    std::fs::create_dir(bundle.rootfs("dev/pts")).expect("mkdir");
    bundle.mount("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "ptmxmode=0666", "mode=0620"]);
    bundle.set("/process/terminal", json!(true));
    bundle
}

fn console_that_changes(t: &mut Test) {
    // CVE-2025-52565, CVE-2026-88264 as a race.
    let outside = outside(t);
    std::fs::create_dir(outside.join("pts")).expect("mkdir");
    let before = listing(&outside);
    for (name, target) in [
        ("dev/console", outside.join("file")),
        ("dev/console", outside.join("made")),
        ("dev/console", "/proc/sysrq-trigger".into()),
        ("dev/pts", outside.join("pts")),
        ("dev", outside.clone()),
    ] {
        let mut bundle = with_a_dev_of_its_own(t);
        std::fs::write(bundle.rootfs("dev/console"), "").expect("write");
        bundle.args(["true"]);
        let swapper = Swapper::new(bundle.rootfs(name), target);
        for _ in 0..30 {
            bundle.id = t.id();
            t.run_bundle(&bundle);
        }
        drop(swapper);
        assert_eq!(listing(&outside), before, "{name}");
    }
}

fn console_without_devpts(t: &mut Test) {
    // The image's own ptmx may be anything: it is looked at before it is opened.
    type Make = fn(&std::path::Path);
    let kinds: [(&str, Make); 4] = [
        ("file", |path| std::fs::write(path, "").expect("write")),
        ("link to the host's", |path| symlink("/dev/ptmx", path).expect("symlink")),
        ("link to a device", |path| symlink("/dev/zero", path).expect("symlink")),
        ("node", |path| {
            let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
            let number = nix::sys::stat::makedev(5, 2);
            nix::sys::stat::mknod(path, nix::sys::stat::SFlag::S_IFCHR, mode, number).expect("mknod");
        }),
    ];
    for (kind, make) in kinds {
        let mut bundle = with_a_dev_of_its_own(t);
        bundle.remove_mount("/dev/pts").args(["true"]);
        make(&bundle.rootfs("dev/pts/ptmx"));
        let output = t.run_bundle(&bundle);
        assert!(output.code == 1 && output.stderr.contains("/dev/pts/ptmx"), "{kind}: {output:?}");
    }
}

fn mask_source_that_changes(t: &mut Test) {
    // CVE-2025-31133, CVE-2025-62161 as a race.
    let mut bundle = with_a_dev_of_its_own(t);
    bundle.remove("/process/terminal");
    std::fs::write(bundle.rootfs("etc/secret"), "secret").expect("write");
    std::fs::write(bundle.rootfs("etc/other"), "of the image").expect("write");
    std::fs::write(bundle.rootfs("dev/null"), "of the image").expect("write");
    bundle.set("/linux/maskedPaths", json!(["/etc/secret"])).args(["cat", "/etc/secret"]);
    let swapper = Swapper::new(bundle.rootfs("dev/null"), "/etc/other".into());
    for _ in 0..30 {
        bundle.id = t.id();
        assert_eq!(t.run_bundle(&bundle).ok().stdout, "");
    }
    drop(swapper);
}

fn read_only_with_a_false_proc(t: &mut Test) {
    // CVE-2026-115521: a remount through the container's /proc/self/fd lands where the image wants it.
    let mut bundle = t.bundle();
    let source = t.path("source");
    std::fs::create_dir(&source).expect("mkdir");
    bundle.remove_mount("/proc").remove("/linux/maskedPaths").set("/linux/readonlyPaths", json!(["/etc"]));
    for process in ["self", "thread-self", "1"] {
        std::fs::create_dir_all(bundle.rootfs(&format!("proc/{process}/fd"))).expect("mkdir");
        for number in 0..64 {
            symlink("/tmp", bundle.rootfs(&format!("proc/{process}/fd/{number}"))).expect("symlink");
        }
    }
    bundle.set("/root/readonly", json!(true));
    bundle.mount("/tmp", "tmpfs", "tmpfs", &["rw"]).mount("/var", "tmpfs", "tmpfs", &["ro", "tmpcopyup"]);
    bundle.bind(&source, "/data", &["rbind", "rro"]);
    let script =
        "for d in / /etc /var /data /dev/shm /tmp; do touch $d/file 2>/dev/null && echo $d; done; true";
    assert_eq!(t.sh(&mut bundle, script), "/dev/shm\n/tmp");
}

fn sysctl_value_with_a_second_one(t: &mut Test) {
    // CVE-2022-0811: CRI-O handed sysctls to a program that split them at `+`.
    let before = read("/proc/sys/kernel/core_pattern");
    for value in ["33+kernel.core_pattern=|/evil", "33\nkernel.core_pattern=|/evil"] {
        let mut bundle = t.bundle();
        bundle.set("/linux/sysctl", json!({"net.ipv4.ip_default_ttl": value})).args(["true"]);
        t.run_bundle(&bundle);
        assert_eq!(read("/proc/sys/kernel/core_pattern"), before);
    }
}

fn annotations_of_systemd(t: &mut Test) {
    // CVE-2024-3154: properties of the unit on the host. Without systemd's driver they are words; with
    // it, `systemd::annotations_that_are_refused`.
    let mut bundle = t.bundle();
    let plain = t.facts(&mut bundle);
    bundle.set(
        "/annotations",
        json!({"org.systemd.property.ExecStartPre": "[('/bin/sh', ['-c', 'true'], false)]",
            "org.systemd.property.TasksMax": "uint64 1", "org.systemd.property.User": "'root'"}),
    );
    let annotated = t.facts_again(&mut bundle);
    for fact in ["uid", "cgroup", "rlimits", "namespaces/net"] {
        let of = |facts: &Value| facts[fact].clone();
        assert_eq!(of(&annotated), of(&plain), "{fact}");
    }
    assert_eq!(annotated["status"]["CapBnd"], plain["status"]["CapBnd"]);
}
