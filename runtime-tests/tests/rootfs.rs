//! `root`, `linux.rootfsPropagation`, masked and read-only paths.

use crate::cases;
use crate::harness::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = cases![
        absolute_path,
        read_only,
        read_only_leaves_the_hosts_copy,
        read_only_with_mounts_in_it,
        nothing_of_the_host_is_visible,
        masked_file_reads_empty,
        masked_directory_is_empty,
        masked_directory_is_read_only,
        masked_missing_path_is_fine,
        readonly_file,
        readonly_directory,
        readonly_missing_path_is_fine,
        no_pivot,
        root_is_a_mount_point,
    ];
    for (value, with, without) in [
        ("shared", "shared", ""),
        ("rshared", "shared", ""),
        ("slave", "", "shared"),
        ("rslave", "", "shared"),
        ("private", "", "shared"),
        ("rprivate", "", "master"),
        ("unbindable", "unbindable", "shared"),
        ("runbindable", "unbindable", "shared"),
    ] {
        cases.push(Case::new(format!("rootfs::propagation_{value}"), move |t| {
            let dir = t.path("bundle-1");
            t.mount_tmpfs(&dir, MsFlags::empty());
            t.make_shared(&dir);
            // Programs are hard links, so the bundle is made elsewhere and its programs copied.
            let mut bundle = bundle_on(t, &dir);
            bundle.set("/linux/rootfsPropagation", json!(value));
            // These are bind mounts from the root, which unbindable forbids.
            bundle.remove("/linux/maskedPaths").remove("/linux/readonlyPaths");
            let fields = mount_fields(&t.facts(&mut bundle), "/").propagation.join(" ");
            assert!(with.is_empty() || fields.contains(with), "{value}: {fields}");
            assert!(without.is_empty() || !fields.contains(without), "{value}: {fields}");
        }));
    }
    for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/proc/acpi", "/sys/firmware"]
    {
        cases.push(Case::new(format!("rootfs::mask{}", path.replace('/', "_")), move |t| {
            if !std::path::Path::new(path).exists() {
                skip(format!("{path} does not exist here"));
            }
            let mut bundle = t.bundle();
            bundle.set("/linux/maskedPaths", json!([path]));
            let script = format!("if [ -d {path} ]; then ls {path}; else head -c 9 {path}; fi");
            assert_eq!(t.sh(&mut bundle, &script), "");
        }));
    }
    for path in ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"] {
        cases.push(Case::new(format!("rootfs::readonly{}", path.replace('/', "_")), move |t| {
            if !std::path::Path::new(path).exists() {
                skip(format!("{path} does not exist here"));
            }
            let mut bundle = t.bundle();
            bundle.set("/linux/readonlyPaths", json!([path]));
            let facts = t.facts(&mut bundle);
            assert!(
                mount_fields(&facts, path).options.iter().any(|o| o == "ro"),
                "{}",
                mount_line(&facts, path)
            );
        }));
    }
    cases
}

/// A bundle in a directory on another file system.
fn bundle_on(t: &mut Test, dir: &std::path::Path) -> Bundle {
    let mut bundle = t.bundle_named("made");
    let status = std::process::Command::new("cp").arg("-a").arg(bundle.rootfs("")).arg(dir).status();
    assert!(status.expect("cp").success());
    bundle.dir = dir.to_owned();
    bundle
}

fn absolute_path(t: &mut Test) {
    let mut bundle = t.bundle();
    let elsewhere = t.path("elsewhere");
    std::fs::rename(bundle.rootfs(""), &elsewhere).expect("rename");
    bundle.set("/root/path", json!(elsewhere));
    assert_eq!(t.sh(&mut bundle, "echo up"), "up");
}

fn read_only(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/root/readonly", json!(true));
    let script = "touch /x /var/y 2>/dev/null || echo refused; touch /dev/shm/z && echo fine";
    assert_eq!(t.sh(&mut bundle, script), "refused\nfine");
    assert!(!bundle.rootfs("x").exists());
}

fn read_only_leaves_the_hosts_copy(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/root/readonly", json!(true));
    let container = t.start_holding(&mut bundle);
    std::fs::write(bundle.rootfs("from-outside"), "new").expect("writable outside");
    assert_eq!(t.call(["exec", &container.id, "cat", "/from-outside"]).ok().stdout, "new");
}

fn read_only_with_mounts_in_it(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.set("/root/readonly", json!(true)).mount("/not/yet/there", "tmpfs", "tmpfs", &[]);
    assert_eq!(t.sh(&mut bundle, "touch /not/yet/there/x && echo fine"), "fine");
}

fn nothing_of_the_host_is_visible(t: &mut Test) {
    let mut bundle = t.bundle();
    let facts = t.facts(&mut bundle);
    let text = facts["mountinfo"].as_str().expect("text");
    let points: Vec<&str> = text.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    let allowed = |p: &str| p == "/" || ["/proc", "/dev", "/sys"].iter().any(|top| p.starts_with(top));
    assert!(points.iter().all(|p| allowed(p)), "{points:?}");
    bundle.id = t.id();
    assert_eq!(t.sh(&mut bundle, "cd /; cd ../../..; pwd; ls -d /home /usr 2>/dev/null; true"), "/");
}

fn masked_file_reads_empty(t: &mut Test) {
    let mut bundle = t.bundle();
    std::fs::write(bundle.rootfs("etc/secret"), "secret").expect("write");
    bundle.push("/linux/maskedPaths", json!("/etc/secret"));
    assert_eq!(t.sh(&mut bundle, "cat /etc/secret; echo end"), "end");
}

fn masked_directory_is_empty(t: &mut Test) {
    let mut bundle = t.bundle();
    std::fs::write(bundle.rootfs("data/secret"), "secret").expect("write");
    bundle.push("/linux/maskedPaths", json!("/data"));
    assert_eq!(t.sh(&mut bundle, "ls /data"), "");
}

fn masked_directory_is_read_only(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/linux/maskedPaths", json!("/data"));
    assert_eq!(t.sh(&mut bundle, "touch /data/x 2>/dev/null || echo refused"), "refused");
}

fn masked_missing_path_is_fine(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/linux/maskedPaths", json!("/no/such/path"));
    assert_eq!(t.sh(&mut bundle, "echo fine"), "fine");
}

fn readonly_file(t: &mut Test) {
    let mut bundle = t.bundle();
    std::fs::write(bundle.rootfs("etc/conf"), "conf").expect("write");
    bundle.push("/linux/readonlyPaths", json!("/etc/conf"));
    assert_eq!(
        t.sh(&mut bundle, "cat /etc/conf; echo x 2>/dev/null >/etc/conf || echo refused"),
        "confrefused"
    );
}

fn readonly_directory(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/linux/readonlyPaths", json!("/data"));
    assert_eq!(
        t.sh(&mut bundle, "touch /data/x 2>/dev/null || echo refused; touch /var/x && echo fine"),
        "refused\nfine"
    );
}

fn readonly_missing_path_is_fine(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.push("/linux/readonlyPaths", json!("/no/such/path"));
    assert_eq!(t.sh(&mut bundle, "echo fine"), "fine");
}

fn no_pivot(t: &mut Test) {
    let mut bundle = t.bundle();
    bundle.args(["sh", "-c", "ls -d /data; ls /usr 2>/dev/null"]).write();
    let mut command = t.floe();
    command.args(["run", "--no-pivot", "--bundle"]).arg(&bundle.dir).arg(&bundle.id);
    assert_eq!(t.run(command).stdout.trim(), "/data");
}

fn root_is_a_mount_point(t: &mut Test) {
    let mut bundle = t.bundle();
    mount_line(&t.facts(&mut bundle), "/");
}
