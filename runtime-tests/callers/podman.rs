//! Podman as root.

use crate::case::{Caller, Case, case, named};

pub(crate) fn caller() -> Caller {
    let cases = [
        run(),
        process(),
        terminal(),
        security(),
        mounts(),
        namespaces(),
        descriptors(),
        exec(),
        life_cycle(),
        pods(),
        limits(),
        build(),
        checkpoint(),
    ];
    Caller {
        name: "podman",
        packages: "podman conmon checkpointctl",
        start: &[
            "podman import -q --change CMD=/bin/sh --change ENV=FROM_IMAGE=1 /srv/image.tar localhost/bb",
        ],
        prelude: PRELUDE,
        leftovers: "podman ps -aq; podman pod ps -q; ls --ignore=@seccomp /run/floe; pgrep -ax conmon; pgrep -ax sleep
            find /sys/fs/cgroup -name 'libpod-*'; grep /containers/storage/.*/merged /proc/mounts || true",
        cases: named("podman", cases.into_iter().flatten().collect()),
    }
}

/// `start` makes a container that is removed at the end; `terminal` runs a command on one of 33 lines.
const PRELUDE: &str = r#"
P="podman --runtime floe" RUN="podman --runtime floe run --rm"
start() { $P run -d --name $N "$@" >/dev/null && trap '$P rm -f -t0 $N >/dev/null' EXIT; }
state() { $P inspect $N --format '{{.State.Status}} {{.State.ExitCode}}'; }
# Podman says "stopped" until its clean-up has run.
ended() { soon 'state | grep exited'; state; }
status() { "$@"; echo "status $?"; }
terminal() { sleep 9 | script -qefc "stty rows 33 cols 101; $(printf '%q ' "$@")" /dev/null | tr -d '\r'; }
soon() { for n in $(seq 100); do eval "$*" >/dev/null 2>&1 && return; sleep .1; done; echo "never: $*"; return 1; }
# What systemd would be to a service: got has the messages up to READY. TREE lends the container its programs.
listen() {
	export NOTIFY_SOCKET=$PWD/s
	perl -MIO::Socket::UNIX -e 'alarm 20; $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "s");
		while (recv $s, $m, 999, 0 or 1) { print "$m\n"; last if $m =~ /READY/ }' >got &
	soon test -S s
}
TREE="-v /usr:/usr:ro"
"#;

fn run() -> Vec<Case> {
    vec![
        case("run", "$RUN bb echo hi").prints("hi"),
        case(
            "uses_floe",
            "start bb sleep 100; $P inspect $N --format '{{.OCIRuntime}}'; ls /run/floe | grep -c .",
        )
        .prints("floe\n*"),
        case("info", "$P info --format '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}'")
            .prints("floe /usr/local/bin/floe"),
        case("path_without_configuration", "podman --runtime /usr/local/bin/floe run --rm bb echo hi")
            .prints("hi"),
        case("standard_input", "echo input | $RUN -i bb cat").prints("input"),
        case("exit_status", "$RUN bb sh -c 'exit 3'").exits(3),
        case("missing_program", "$RUN bb nosuch")
            .exits(127)
            .complains("exec \"nosuch\": executable file not found in $PATH"),
        case("missing_path", "$RUN bb /no/such")
            .exits(127)
            .complains("/no/such\": no such file or directory"),
        case("program_without_x", "$RUN bb /bin/not-executable").exits(126).complains("permission denied"),
        case("program_is_a_directory", "$RUN bb /etc")
            .exits(126)
            .complains("is a directory: permission denied"),
        case("program_below_a_file", "$RUN bb /etc/passwd/x").exits(126).complains("not a directory"),
        case("program_of_another_machine", "$RUN bb /bin/garbage")
            .exits(255)
            .complains("exec /bin/garbage: exec format error"),
        case("program_without_interpreter", "$RUN bb /bin/no-interpreter")
            .exits(255)
            .complains("exec /bin/no-interpreter: no such file or directory"),
        case("program_is_empty", "$RUN bb ''").exits(127),
        case("podman_refuses", "$RUN --nosuch bb true").exits(125).complains("unknown flag"),
        case("missing_working_directory", "$RUN -w /nowhere/x bb pwd").exits(126).complains("/nowhere/x"),
        case("working_directory_is_a_file", "$RUN -w /etc/passwd bb pwd").exits(126).complains("/etc/passwd"),
        case("failed_run_detached", "$P run -d --name $N bb nosuch; echo $?; state; $P rm $N >/dev/null")
            .prints("127\ncreated *")
            .complains("executable file not found"),
        case("without_log", "podman --runtime /usr/local/bin/floe run --rm bb nosuch").exits(127),
        case("rootfs", "mkdir r; tar -C r -xf /srv/image.tar; $RUN --rootfs $PWD/r echo hi").prints("hi"),
        case(
            "rootfs_overlay",
            "mkdir r; tar -C r -xf /srv/image.tar; $RUN --rootfs $PWD/r:O sh -c 'echo x >/n; cat /n'; ls r/n",
        )
        .exits(2)
        .prints("x"),
        case(
            "pidfile",
            "start --pidfile $PWD/pid bb sleep 100; cmp pid <($P inspect $N --format '{{.State.Pid}}' | tr -d '\\n')",
        ),
        case("parallel", "for i in 1 2 3 4 5 6; do $RUN bb echo c$i & done | sort; wait")
            .prints("c1\nc2\nc3\nc4\nc5\nc6"),
    ]
}

fn process() -> Vec<Case> {
    vec![
        case("environment", "$RUN -e A=b -e E= bb sh -c 'echo $A-$E-$FROM_IMAGE-$container'").prints("b--1-podman"),
        case("home", "$RUN -u 1000 bb sh -c 'echo $HOME'").prints("/usr/user"),
        case("user", "$RUN -u user bb id; $RUN -u 1000:2000 bb id; $RUN -u 12345 bb id").prints(
            "uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)\n\
             uid=1000(user) gid=2000(extra) groups=2000(extra)\n\
             uid=12345(12345) gid=0(root) groups=0(root)",
        ),
        case("group_add", "$RUN --group-add 55 --group-add extra bb id -G").prints("0 55 2000"),
        case("keep_groups", "setpriv --groups 0,3001 $RUN --group-add keep-groups bb id -G").prints("0 3001"),
        case("working_directory", "$RUN -w /etc bb pwd").prints("/etc"),
        case("umask", "$RUN --umask 0077 bb sh -c umask; $RUN bb sh -c umask").prints("0077\n0022"),
        case("ulimit", "$RUN --ulimit nofile=100:200 bb sh -c 'ulimit -n; ulimit -Hn'").prints("100\n200"),
        case("ulimit_too_large", "$RUN --ulimit nofile=9000000000:9000000000 bb true").exits(126),
        case("oom_score_adj", "$RUN --oom-score-adj 500 bb cat /proc/self/oom_score_adj").prints("500"),
        case("personality", "$RUN --personality LINUX32 bb uname -m").prints("i*86"),
        case("init", "$RUN --init bb cat /proc/1/comm").prints("podman-init"),
        case("init_signal", "$RUN --init bb sh -c 'kill -9 $$; sleep 1'").exits(137),
        case("hostname", "$RUN --hostname foo.bar bb hostname; $RUN --uts host bb hostname").prints("foo.bar\ncallers"),
        case(
            "sysctl",
            "$RUN --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=9999 bb \
             cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax",
        )
        .prints("1\n9999"),
        case("sysctl_of_the_host", "$RUN --net host --sysctl net.ipv4.ip_forward=1 bb true").exits(125),
        case("sysctl_unknown", "$RUN --sysctl net.ipv4.nosuch=1 bb true").exits(127).complains("nosuch"),
        case("timezone", "$RUN --tz UTC bb date +%Z").prints("UTC"),
        case("systemd_mode", "$RUN --systemd=always bb sh -c 'grep -c -E \" (/run|/tmp) tmpfs\" /proc/mounts'").prints("2"),
        case("annotation_keeps_groups", "setpriv --groups 0,3001 $RUN --annotation run.oci.keep_original_groups=1 bb id -G")
            .prints("0 3001"),
        case("secret", "echo s3 | $P secret create $N - >/dev/null; $RUN --secret $N bb cat /run/secrets/$N; $P secret rm $N >/dev/null")
            .prints("s3"),
        case("passwd_entry", "$RUN -u 5555 --passwd-entry 'foo:x:5555:0::/:/bin/sh' bb whoami").prints("foo"),
        case("hosts", "$RUN --network bridge --add-host a:1.2.3.4 bb grep 1.2.3.4 /etc/hosts").prints("1.2.3.4*a"),
    ]
}

fn terminal() -> Vec<Case> {
    vec![
        case("tty", "terminal $RUN -it bb sh -c 'tty; sleep .5; stty size; test -t 1 && echo yes'").prints("/dev/pts/0\n33 101\nyes"),
        case("tty_exit_status", "terminal $RUN -it bb sh -c 'exit 7'").exits(7),
        case("tty_of_a_user", "terminal $RUN -it -u 1000 bb sh -c 'echo x >/dev/tty; stat -c %u:%g:%a $(tty)'")
            .prints("x\n1000:5:620"),
        case("tty_userns", "terminal $RUN -it --uidmap 0:100000:65536 -u 1000 bb sh -c 'tty; id -u'").prints("/dev/pts/0\n1000"),
        case("tty_resize", "sleep 9 | script -qefc \"(sleep 2; stty rows 44 cols 122) <\\$(tty) & $RUN -it bb sh -c 'sleep 4; stty size'\" /dev/null | tr -d '\\r'")
            .prints("44 122"),
        case("tty_detached", "start -t bb sh -c 'tty; sleep 100'; soon $P logs $N; sleep .3; $P logs $N").prints("/dev/pts/0*"),
    ]
}

fn security() -> Vec<Case> {
    const STATUS: &str = "grep -E 'CapEff|NoNew|Seccomp:' /proc/self/status";
    vec![
        case("capabilities", "$RUN bb grep CapEff /proc/self/status").prints("CapEff:\t00000000800405fb"),
        case("cap_drop", &format!("$RUN --cap-drop all bb {STATUS}"))
            .prints("CapEff:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t2"),
        case("cap_add", "$RUN --cap-drop all --cap-add SYS_TIME,NET_ADMIN bb grep CapEff /proc/self/status")
            .prints("CapEff:\t0000000002001000"),
        case("cap_ambient", "$RUN -u 1000 --cap-add net_raw bb grep CapAmb /proc/self/status")
            .prints("CapAmb:\t0000000000002000"),
        case("cap_of_a_user", "$RUN -u 1000 bb grep CapEff /proc/self/status")
            .prints("CapEff:\t0000000000000000"),
        case(
            "privileged",
            &format!("$RUN --privileged bb {STATUS}; $RUN --privileged bb mount -t tmpfs x /data"),
        )
        .prints("CapEff:\t000001ff*ffffff\nNoNewPrivs:\t0\nSeccomp:\t0"),
        case(
            "privileged_in_the_hosts_namespaces",
            "$RUN --privileged --pid host --net host --ipc host --uts host --cgroupns host bb mount -o remount,rw /sys",
        ),
        case("no_new_privileges", "$RUN --security-opt no-new-privileges bb grep NoNew /proc/self/status")
            .prints("NoNewPrivs:\t1"),
        case(
            "seccomp_unconfined",
            "$RUN --security-opt seccomp=unconfined bb grep Seccomp: /proc/self/status",
        )
        .prints("Seccomp:\t0"),
        case("seccomp_file", "$RUN --security-opt seccomp=/srv/seccomp.json bb mkdir /tmp/x")
            .exits(1)
            .complains("Function not implemented"),
        case("seccomp_broken", "echo garbage >bad; $RUN --security-opt seccomp=$PWD/bad bb true").exits(125),
        case("mask", "$RUN --security-opt mask=/etc:/data/file bb sh -c 'ls /etc; cat /data/file'"),
        case(
            "masked_by_default",
            "$RUN bb sh -c 'cat /proc/kcore | wc -c; ls /sys/firmware | wc -l; echo 1 >/proc/sys/kernel/msgmax'",
        )
        .exits(1)
        .prints("0\n0")
        .complains("Read-only file system"),
        case("unmask", "$RUN --security-opt unmask=ALL bb sh -c 'grep -c \" /proc/\" /proc/mounts'")
            .exits(1)
            .prints("0"),
        case(
            "label_disable",
            "$RUN --security-opt label=disable --security-opt apparmor=unconfined bb echo ok",
        )
        .prints("ok"),
        case("device", "$RUN --device /dev/fuse bb stat -c %t:%T /dev/fuse").prints("a:e5"),
        case("device_read_only", "$RUN --device /dev/fuse:/dev/own:r bb sh -c 'true </dev/own && echo readable; echo x >/dev/own'").exits(1).prints("readable").complains("Operation not permitted"),
        case("device_missing", "$RUN --device /dev/nosuch bb true").exits(125),
        case(
            "device_cgroup_rule",
            "$RUN --cap-add mknod --device-cgroup-rule 'c 10:200 rwm' bb mknod /dev/own c 10 200",
        ),
        case("device_not_allowed", "$RUN --cap-add mknod bb sh -c 'mknod /dev/own c 10 229; cat /dev/own'").exits(1).complains("Operation not permitted"),
        case("device_directory", "mkdir d; mknod d/zero c 1 5; $RUN --device $PWD/d:/dev/d bb head -c 1 /dev/d/zero | wc -c").prints("1"),
        case("read_only", "$RUN --read-only bb sh -c 'touch /tmp/x /run/x /dev/shm/x && echo tmp; touch /x'")
            .exits(1)
            .prints("tmp")
            .complains("Read-only file system"),
        case("read_only_everywhere", "$RUN --read-only --read-only-tmpfs=false bb touch /tmp/x")
            .exits(1)
            .complains("Read-only"),
    ]
}

fn mounts() -> Vec<Case> {
    const VOLUME: &str = "mkdir v; chmod 777 v; echo v >v/f; V=$PWD/v; ";
    let volume = |name: &str, script: &str| case(name, &format!("{VOLUME}{script}"));
    vec![
        volume("volume", "$RUN -v $V:/v bb sh -c 'cat /v/f; echo w >/v/w'; cat v/w").prints("v\nw"),
        volume("volume_ro", "$RUN -v $V:/v:ro bb touch /v/x").exits(1).complains("Read-only file system"),
        volume("volume_z", "$RUN -v $V:/v:Z bb cat /v/f").prints("v"),
        volume("volume_chown", "$RUN -u 1000 -v $V:/v:U bb stat -c %u /v/f").prints("1000"),
        volume("volume_overlay", "$RUN -v $V:/v:O bb sh -c 'echo x >/v/o; ls /v'; ls v").prints("f\no\nf"),
        volume("volume_idmap", "$RUN --uidmap 0:100000:65536 -v $V:/v:idmap bb stat -c %u /v/f").prints("0"),
        volume("volume_idmap_given", "$RUN -v \"$V:/v:idmap=uids=0-5000-10;gids=0-6000-10\" bb stat -c %u:%g /v/f").prints("5000:6000"),
        volume("volume_propagation", "for o in rslave shared private unbindable; do $RUN -v $V:/v:$o bb sh -c 'grep \" /v \" /proc/self/mountinfo | cut -d\" \" -f7 | sed s/:.*//'; done")
            .prints("-\nshared\n-\nunbindable"),
        volume("volume_options", "$RUN -v $V:/v:noexec,nosuid,nodev,ro bb grep ' /v ' /proc/mounts").prints("tmpfs /v tmpfs ro,nosuid,nodev,noexec,*"),
        volume("volume_is_a_file", "$RUN -v $V/f:/etc/new:ro bb cat /etc/new").prints("v"),
        volume("volume_missing", "$RUN -v /no/such/dir:/v bb true").exits(125).complains("/no/such/dir"),
        case("volume_named", "$RUN -v $N:/data bb sh -c 'cat /data/file; echo z >/data/z'; $RUN -v $N:/d bb cat /d/z; $P volume rm $N >/dev/null").prints("seed\nz"),
        case("volume_subpath", "$P volume create $N >/dev/null; $RUN -v $N:/s bb mkdir /s/p; $RUN --mount type=volume,src=$N,dst=/q,subpath=/p bb ls -d /q; $P volume rm $N >/dev/null").prints("/q"),
        volume("mount_bind", "$RUN --mount type=bind,src=$V,dst=/v,ro,bind-nonrecursive bb cat /v/f").prints("v"),
        case("mount_image", "$RUN --mount type=image,src=bb,dst=/image bb cat /image/data/file").prints("seed"),
        volume("mount_glob", "$RUN --mount \"type=glob,src=$V/f*,dst=/g\" bb ls /g").prints("f"),
        case("mount_devpts", "$RUN --mount type=devpts,dst=/data/pts bb grep -c /data/pts /proc/mounts").prints("1"),
        case("mount_tmpfs", "$RUN --mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700 bb grep ' /t ' /proc/mounts").prints("tmpfs /t tmpfs *size=1024k,mode=700*"),
        case("tmpfs_copies_up", "$RUN --tmpfs /data bb cat /data/file").prints("seed"),
        case("tmpfs_options", "$RUN --tmpfs /t:size=1m,mode=0700,noexec,noatime bb grep ' /t ' /proc/mounts").prints("tmpfs /t tmpfs *noexec,noatime,size=1024k,mode=700*"),
        case("tmpfs_ro", "$RUN --tmpfs /data:ro bb touch /data/x").exits(1).complains("Read-only"),
        case("tmpfs_of_the_user", "$RUN -u 1000 --tmpfs /t:U,mode=700 bb touch /t/y"),
        case("shm_size", "$RUN --shm-size 1m bb grep /dev/shm /proc/mounts").prints("*size=1024k*"),
        case(
            "propagation_of_a_live_mount",
            "mkdir p; mount -t tmpfs t p; mount --make-shared p; start -v $PWD/p:/p:rslave bb sleep 100
             mkdir p/x; mount -t tmpfs t p/x; echo y >p/x/y; $P exec $N cat /p/x/y; $P rm -f -t0 $N >/dev/null; umount -R p",
        )
        .prints("y"),
    ]
}

fn namespaces() -> Vec<Case> {
    vec![
        case("pid_host", "$RUN --pid host bb readlink /proc/self/ns/pid | cmp - <(readlink /proc/self/ns/pid)"),
        case("network_host", "$RUN --net host bb readlink /proc/self/ns/net | cmp - <(readlink /proc/self/ns/net)"),
        case("network_bridge", "$RUN --network bridge bb ip -o -4 addr show eth0").prints("*eth0*inet 10.*"),
        case("network_bridge_two", "start --network bridge bb nc -l -p 80 -e echo reached; A=$($P inspect $N --format '{{.NetworkSettings.IPAddress}}'); $RUN --network bridge bb nc $A 80")
            .prints("reached"),
        case("ipc_host", "$RUN --ipc host bb readlink /proc/self/ns/ipc | cmp - <(readlink /proc/self/ns/ipc)"),
        case("ipc_none", "$RUN --ipc none bb grep /dev/shm /proc/mounts").exits(1),
        case("cgroupns_host", "$RUN --cgroupns host bb tail -n 1 /proc/self/cgroup").prints("0::/*libpod_parent/libpod-*"),
        case("cgroupns_private", "$RUN bb tail -n 1 /proc/self/cgroup").prints("0::/"),
        case("of_another_container", "start --ipc shareable bb sleep 100; $RUN --net container:$N --pid container:$N --ipc container:$N --uts container:$N --cgroupns container:$N bb ps -o comm")
            .prints("COMMAND\nsleep\nps"),
        case("userns_uidmap", "$RUN --uidmap 0:100000:65536 bb sh -c 'cat /proc/self/uid_map; id -u; touch /x && stat -c %u /x'")
            .prints("         0     100000      65536\n0\n0"),
        // To Podman, the keep-id of another case takes all IDs while it runs.
        case("userns_auto", "soon '$RUN --userns auto:size=1024 bb cat /proc/self/uid_map >map'; cat map").prints("         0    1*       1024"),
        case("userns_keep_id", "$RUN --userns keep-id bb id -u").prints("0"),
        case("userns_nomap", "$RUN --userns nomap bb true").exits(125).complains("rootless"),
        case("userns_host", "$RUN --userns host bb cat /proc/self/uid_map").prints("         0          0 4294967295"),
        case("userns_network_host", "$RUN --uidmap 0:100000:65536 --net host bb id -u").prints("0"),
        case("userns_all_host", "$RUN --uidmap 0:100000:65536 --ipc host --uts host --pid host bb id -u").prints("0"),
        case("userns_privileged", "$RUN --uidmap 0:100000:65536 --privileged bb grep CapEff /proc/self/status").prints("CapEff:\t000001ff*ffffff"),
        case("userns_device", "$RUN --uidmap 0:100000:65536 --device /dev/fuse bb test -c /dev/fuse"),
        case("userns_read_only", "$RUN --uidmap 0:100000:65536 --read-only -v /srv/image/data:/v:ro bb cat /v/file").prints("seed"),
        case("userns_of_another_container", "start --uidmap 0:100000:65536 bb sleep 100; $RUN --userns container:$N --net container:$N --pid container:$N --ipc container:$N bb cat /proc/self/uid_map; $P exec -u 1000 $N id -u")
            .prints("         0     100000      65536\n1000"),
        case("cgroups_disabled", "$RUN --cgroups=disabled --cgroupns host bb tail -n 1 /proc/self/cgroup").prints("0::/tests"),
        // Podman moves its caller too.
        case(
            "cgroups_split",
            "mkdir /sys/fs/cgroup/$N; (echo $BASHPID >/sys/fs/cgroup/$N/cgroup.procs; $RUN --cgroups=split --cgroupns host bb tail -n 1 /proc/self/cgroup)",
        )
        .prints("0::/podman-cgroups-split/libpod-payload-*"),
        case("cgroup_parent", "$RUN --cgroup-parent /$N --cgroupns host bb tail -n 1 /proc/self/cgroup").prints("0::/podman-cgroup-parent/libpod-*"),
    ]
}

fn descriptors() -> Vec<Case> {
    vec![
        case("no_descriptors", "exec 7</dev/null; $RUN bb ls /proc/self/fd").prints("0\n1\n2\n3"),
        case("preserve_fds", "echo v >f; exec 3<f; $RUN --preserve-fds 1 bb sh -c 'cat <&3'").prints("v"),
        case("preserve_fd", "echo v >f; exec 4<f; $RUN --preserve-fd 4 bb sh -c 'cat <&4'").prints("v"),
        case("socket_activation", "systemd-socket-activate -l $PWD/s --fdname web $RUN bb sh -c 'echo $LISTEN_FDS $LISTEN_PID; readlink /proc/self/fd/3' >out 2>/dev/null & sleep 1; curl -s --max-time 2 --unix-socket s http://x; wait; cat out")
            .prints("1 1\nsocket:*"),
        case("sd_notify", "listen; $RUN --sdnotify=container $TREE bb systemd-notify --ready; wait; cat got").prints("*READY=1*"),
        case("sd_notify_of_conmon", "listen; $P run -d --rm --name $N --sdnotify=conmon bb sleep 1; wait; cat got").prints("*READY=1*"),
        case("sd_notify_ignored", "NOTIFY_SOCKET=$PWD/s $RUN --sdnotify=ignore bb sh -c 'echo x$NOTIFY_SOCKET'").prints("x"),
    ]
}

fn exec() -> Vec<Case> {
    let exec = |name: &str, script: &str| case(name, &format!("start -e CE=1 bb sleep 100; {script}"));
    vec![
        exec("exec", "$P exec $N echo hi").prints("hi"),
        exec("exec_exit_status", "$P exec $N sh -c 'exit 5'").exits(5),
        exec("exec_killed", "$P exec $N sh -c 'kill -9 $$'").exits(137),
        exec("exec_missing", "$P exec $N nosuch").exits(127).complains("executable file not found in $PATH"),
        exec("exec_without_x", "$P exec $N /bin/not-executable").exits(126).complains("permission denied"),
        exec("exec_directory", "$P exec $N /etc").exits(126).complains("is a directory: permission denied"),
        exec("exec_in_a_missing_directory", "$P exec -w /nosuch $N pwd").exits(127).complains("/nosuch"),
        exec("exec_user", "$P exec -u user $N id; $P exec -u 1000:2000 $N id -G")
            .prints("uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)\n2000"),
        exec("exec_unknown_user", "$P exec -u nosuch $N id")
            .exits(255)
            .complains("unable to find user nosuch"),
        exec("exec_working_directory", "$P exec -w /etc $N pwd").prints("/etc"),
        exec("exec_environment", "$P exec -e X=y $N sh -c 'echo $X$CE'").prints("y1"),
        exec("exec_standard_input", "echo in | $P exec -i $N cat").prints("in"),
        exec("exec_detached", "$P exec -d $N sleep 50 >/dev/null; sleep .3; $P exec $N ps -o args | sort")
            .prints("COMMAND\nps -o args\nsleep 100\nsleep 50"),
        exec("exec_privileged", "$P exec --privileged $N grep CapEff /proc/self/status")
            .prints("CapEff:\t000001ff*ffffff"),
        exec("exec_capabilities", "$P exec $N grep -E 'CapEff|Seccomp:' /proc/self/status")
            .prints("CapEff:\t00000000800405fb\nSeccomp:\t2"),
        exec("exec_tty", "terminal $P exec -it $N sh -c 'tty; sleep .5; stty size; exit 4'")
            .exits(4)
            .prints("/dev/pts/0\n33 101"),
        exec("exec_tty_of_a_user", "terminal $P exec -it -u 1000 $N sh -c 'echo hi >/dev/tty'").prints("hi"),
        exec("exec_preserve_fds", "echo v >f; exec 3<f; $P exec --preserve-fds 1 $N sh -c 'cat <&3'")
            .prints("v"),
        exec("exec_no_descriptors", "$P exec $N ls /proc/self/fd").prints("0\n1\n2\n3"),
        exec("exec_cgroup", "$P exec $N tail -n 1 /proc/self/cgroup").prints("0::/"),
        exec("top", "$P top $N pid comm | tail -n 1").prints("1 *sleep"),
        exec("top_ps", "$P top $N -ef | grep -c 'sleep 100'").prints("1"),
        exec("cp", "echo c >c; $P cp c $N:/tmp/c; $P exec $N cat /tmp/c; $P cp $N:/etc/group d; head -n 1 d")
            .prints("c\nroot:x:0:"),
        exec("diff", "$P exec $N touch /new; $P diff $N | grep new").prints("A /new"),
    ]
}

fn life_cycle() -> Vec<Case> {
    const TRAP: &str = r#"bb sh -c 'trap "echo term; exit 9" TERM; echo up; while :; do sleep .1; done'; soon '$P logs $N | grep up'; "#;
    let trapping = |name: &str, script: &str| case(name, &format!("start {TRAP}{script}"));
    vec![
        trapping("stop", "sleep .3; $P stop $N >/dev/null; $P logs $N; state").prints("up\nterm\nexited 9"),
        trapping("start_again", "$P stop $N >/dev/null; $P start $N >/dev/null; state; $P kill -s TERM $N >/dev/null; $P wait $N; ended").prints("running 0\n9\nexited 9"),
        case("stop_timeout", "start --stop-signal INT bb sh -c 'trap : INT; while :; do sleep .1; done'; sleep .3; $P stop -t 1 $N >/dev/null; state").prints("exited 137"),
        case("kill", "start bb sleep 100; $P kill $N >/dev/null; $P wait $N; ended; status $P kill $N").prints("137\nexited 137\nstatus 125").complains("can only kill running containers"),
        case("kill_unknown_signal", "start bb sleep 100; $P kill -s NOSUCH $N; state").prints("running 0").complains("NOSUCH"),
        case("kill_realtime_signal", "start --init bb sh -c 'sleep 100; echo $?'; sleep .3; $P kill -s RTMIN+3 $N >/dev/null; $P wait $N").prints("165"),
        case("kill_pid_host", "start --pid host bb sh -c 'sleep 777 & sleep 778'; sleep .3; $P stop -t 1 $N >/dev/null; pgrep -fx 'sleep 77[78]'; state").prints("exited 1*"),
        case("signal_proxy", "$P run --name $N bb sh -c 'trap \"echo got; exit 5\" TERM; echo up; while :; do sleep .1; done' & soon '$P logs $N | grep up'; kill -TERM $!; wait $!; r=$?; $P rm -f -t0 $N >/dev/null; exit $r").exits(5).prints("up\ngot"),
        case("wait", "start bb sh -c 'sleep 1; exit 8'; $P wait $N").prints("8"),
        case("logs", "start bb sh -c 'echo one; echo two >&2'; $P wait $N >/dev/null; $P logs $N").prints("one").complains("two"),
        case("attach", "start -i bb cat; (echo hello; sleep 1) | timeout 2 $P attach --sig-proxy=false $N; true").prints("hello"),
        case("start_attached", "$P create --name $N bb sh -c 'echo hi; exit 6' >/dev/null; $P start -a $N; r=$?; $P rm $N >/dev/null; exit $r").exits(6).prints("hi"),
        case("created", "$P create --name $N bb sleep 100 >/dev/null; $P init $N >/dev/null; $P ps -a --filter name=$N --format '{{.Status}}'; $P rm -f -t0 $N >/dev/null").prints("Initialized"),
        case("pause", "start bb sleep 100; $P pause $N >/dev/null; state; $P unpause $N >/dev/null; state").prints("paused 0\nrunning 0"),
        case("pause_and_exec", "start bb sleep 100; $P pause $N >/dev/null; $P exec $N true; r=$?; $P unpause $N >/dev/null; exit $r").exits(255).complains("container state improper"),
        case("pause_and_stop", "start bb sleep 100; $P pause $N >/dev/null; $P stop -t 1 $N").exits(125),
        case("pause_and_remove", "start bb sleep 100; $P pause $N >/dev/null; $P rm -f -t 0 $N >/dev/null; $P container exists $N").exits(1),
        case("unpause_running", "start bb sleep 100; $P unpause $N").exits(125).complains("paused"),
        case("restart", "start bb sleep 100; A=$($P inspect $N --format '{{.State.Pid}}'); $P restart -t 0 $N >/dev/null; test $A != $($P inspect $N --format '{{.State.Pid}}'); state").prints("running 0"),
        case("restart_policy", "start --restart on-failure:2 bb sh -c 'echo x; exit 1'; soon '$P logs $N | grep -c x | grep 3'; ended").prints("exited 1"),
        case("rename", "start bb sleep 100; $P rename $N $N-2; $P exec $N-2 echo hi; $P rename $N-2 $N").prints("hi"),
        case("rm_force", "start bb sh -c 'trap : TERM; while :; do sleep .1; done'; $P rm -f -t 0 $N >/dev/null; $P container exists $N").exits(1),
        case("conmon_dies", "start bb sleep 100; kill -9 $($P inspect $N --format '{{.State.ConmonPid}}'); sleep .5; $P rm -f -t0 $N >/dev/null; $P container exists $N").exits(1),
        case("healthcheck", "start --health-cmd 'test -e /tmp/ok' --health-interval disable bb sleep 100; $P healthcheck run $N; echo $?; $P exec $N touch /tmp/ok; $P healthcheck run $N; echo $?").prints("*1\n0"),
        case("hooks", r#"mkdir h; for s in createRuntime createContainer startContainer poststart poststop prestart; do
            printf '{"version":"1.0.0","hook":{"path":"/bin/sh","args":["sh","-c","echo %s >>'$PWD'/log"]},"when":{"always":true},"stages":["%s"]}' $s $s >h/$s.json; done
            podman --runtime floe --hooks-dir $PWD/h run --rm -v $PWD:$PWD bb true; sleep .3; sort log"#)
            .prints("createContainer\ncreateRuntime\npoststart\npoststop\nprestart\nstartContainer"),
        case("hook_fails", r#"mkdir h; echo '{"version":"1.0.0","hook":{"path":"/bin/false"},"when":{"always":true},"stages":["createRuntime"]}' >h/x.json
            podman --runtime floe --hooks-dir $PWD/h run --rm bb true"#).exits(126).complains("hook"),
        case("stats", "start bb sleep 100; $P stats --no-stream --format '{{.Name}}' $N").prints("podman-stats"),
    ]
}

fn pods() -> Vec<Case> {
    vec![
        case("pod", "$P pod create --name $N --share net,ipc,uts,pid >/dev/null; $RUN --pod $N bb sh -c 'hostname; ps -o comm | grep -c catatonit'; $P pod rm -f -t0 $N >/dev/null")
            .prints("podman-pod\n1"),
        case("pod_pause", "$P pod create --name $N >/dev/null; $P run -d --pod $N bb sleep 100 >/dev/null; $P pod pause $N >/dev/null; $P pod inspect $N --format '{{.State}}'; $P pod unpause $N >/dev/null; $P pod inspect $N --format '{{.State}}'; $P pod stop -t 0 $N >/dev/null; $P pod rm -f $N >/dev/null")
            .prints("Paused\nRunning"),
        case("pod_userns", "$P pod create --name $N --uidmap 0:100000:65536 --share net,ipc,uts,user >/dev/null; $RUN --pod $N bb cat /proc/self/uid_map; $P pod rm -f -t0 $N >/dev/null")
            .prints("         0     100000      65536"),
        case("pod_hostname", "$P pod create --name $N --hostname ph >/dev/null; $RUN --pod $N bb hostname; $P pod rm -f -t0 $N >/dev/null").prints("ph"),
        case("kube_play", r#"cat >k.yaml <<'END'
apiVersion: v1
kind: Pod
metadata: {name: kube}
spec:
  hostNetwork: true
  restartPolicy: Never
  volumes:
  - {name: e, emptyDir: {}}
  initContainers:
  - {name: i, image: localhost/bb, command: [sh, -c, "echo init >/e/f"], volumeMounts: [{name: e, mountPath: /e}]}
  containers:
  - name: c1
    image: localhost/bb
    command: [sh, -c, "cat /e/f; id -u; grep CapBnd /proc/self/status; sleep 50"]
    securityContext: {runAsUser: 1000, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: e, mountPath: /e}]
  - name: c2
    image: localhost/bb
    command: [sh, -c, "grep NoNew /proc/self/status; touch /x; sleep 50"]
    securityContext: {readOnlyRootFilesystem: true}
END
            $P kube play k.yaml >/dev/null; soon '$P logs kube-c1 | grep CapBnd; $P logs kube-c2 2>&1 | grep only'; $P logs kube-c1; sleep .3; $P logs kube-c2; $P exec kube-c1 id -u; $P kube down k.yaml >/dev/null"#)
            .prints("init\n1000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t0\n1000")
            .complains("Read-only file system"),
    ]
}

fn limits() -> Vec<Case> {
    vec![
        case("memory", "$RUN -m 64m bb cat /sys/fs/cgroup/memory.max").needs("memory").prints("67108864"),
        case("memory_oom", "$RUN -m 32m bb sh -c 'head -c 100m /dev/zero | tail'").needs("memory").exits(137),
        case("memory_swap", "$RUN -m 64m --memory-swap 100m bb cat /sys/fs/cgroup/memory.swap.max").needs("memory").prints("37748736"),
        case("memory_update", "start -m 64m bb sleep 100; $P update -m 100m $N >/dev/null; $P exec $N cat /sys/fs/cgroup/memory.max").needs("memory").prints("104857600"),
        case("pids", "$RUN --pids-limit 10 bb cat /sys/fs/cgroup/pids.max").needs("pids").prints("10"),
        case("cpus", "$RUN --cpus 0.5 bb cat /sys/fs/cgroup/cpu.max").needs("cpu").prints("50000 100000"),
        case("cpus_update", "start bb sleep 100; $P update --cpus 1 $N >/dev/null; $P exec $N cat /sys/fs/cgroup/cpu.max").needs("cpu").prints("100000 100000"),
        case("cpuset", "$RUN --cpuset-cpus 0 bb cat /sys/fs/cgroup/cpuset.cpus").needs("cpuset").prints("0"),
        case("hugetlb", "$RUN --cgroup-conf hugetlb.2MB.max=4194304 bb cat /sys/fs/cgroup/hugetlb.2MB.max").needs("hugetlb").prints("4194304"),
        case("update_restart_policy", "start bb sleep 100; $P update --restart always $N >/dev/null; $P inspect $N --format '{{.HostConfig.RestartPolicy.Name}}'").prints("always"),
    ]
}

fn build() -> Vec<Case> {
    vec![
        case("build", "printf 'FROM localhost/bb\\nRUN echo made >/made\\nUSER 1000\\nWORKDIR /tmp\\nRUN id -u >made\\n' >Containerfile; $P build -q --isolation oci --network none -t $N . >/dev/null; $RUN $N cat /made /tmp/made; $P rmi -f $N >/dev/null")
            .prints("made\n1000"),
        case("build_mounts", "echo c >c; printf 'FROM localhost/bb\\nRUN --mount=type=tmpfs,target=/cache --mount=type=bind,source=/,target=/ctx cp /ctx/c /made\\n' >Containerfile; $P build -q --isolation oci --network none -t $N . >/dev/null; $RUN $N cat /made; $P rmi -f $N >/dev/null")
            .prints("c"),
        case("build_fails", "printf 'FROM localhost/bb\\nRUN exit 9\\n' >Containerfile; $P build -q --isolation oci --network none .").exits(9).complains("exit status 9"),
    ]
}

/// `count` is a container that counts; `counts` says whether it has gone on, and not from the beginning.
fn checkpoint() -> Vec<Case> {
    let with = |script: &str| {
        r#"count() { start "$@" bb sh -c 'n=0; while n=$((n+1)); do echo $n >/n; sleep .05; done'; soon 'test $(now) -gt 9'; }
now() { $P exec ${1:-$N} cat /n; }
counts() { before=$(cat n.before) c=$1; soon 'test $(now $c) -gt $((before+2))' && test $(now $c) -lt $((before+200)) && echo counts; }
checkpoint() { now >n.before; $P container checkpoint "$@" $N >/dev/null; }
restore() { $P container restore "$@" >/dev/null; }
"#
        .to_owned()
            + script
    };
    let checkpoint = |name: &str, script: &str| case(&format!("checkpoint_{name}"), &with(script));
    vec![
        checkpoint("stops", "count; checkpoint; state; restore $N; counts; state").prints("exited 0\ncounts\nrunning 0"),
        checkpoint("leave_running", "count; checkpoint --leave-running; counts").prints("counts"),
        checkpoint("keep", "count; checkpoint --keep; restore --keep $N; counts").prints("counts"),
        checkpoint("twice", "count; for n in 1 2 3; do checkpoint; restore $N; counts; done")
            .prints("counts\ncounts\ncounts"),
        checkpoint(
            "export",
            "count; checkpoint --export $PWD/c.tar.gz; $P rm -f $N >/dev/null; restore --import $PWD/c.tar.gz; counts",
        )
        .prints("counts"),
        checkpoint(
            "clone",
            "count; checkpoint --leave-running --export c.tar.zst; restore --import c.tar.zst --name $N-2
            counts $N-2; $P rm -f -t0 $N-2 >/dev/null; counts",
        )
        .prints("counts\ncounts"),
        checkpoint(
            "files",
            "count; $P exec $N sh -c 'echo kept >/kept; rm /etc/group'; checkpoint -e c.tar; $P rm -f -t0 $N >/dev/null
            restore -i c.tar; $P exec $N sh -c 'cat /kept; ls /etc/group' 2>&1; counts",
        )
        .prints("kept\nls: /etc/group: No such file or directory\ncounts"),
        checkpoint("statistics", "count; now >n.before; $P container checkpoint --print-stats $N | grep -o 'runtime_checkpoint_duration\\|frozen_time'")
            .prints("runtime_checkpoint_duration\nfrozen_time"),
        checkpoint(
            "pre_checkpoint",
            "count; checkpoint -P -e pre.tar.gz; checkpoint --with-previous -e c.tar.gz; $P rm -f -t0 $N >/dev/null
            restore --import-previous pre.tar.gz -i c.tar.gz; counts",
        )
        .prints("counts"),
        checkpoint("all", "count; now >n.before; $P container checkpoint $N >/dev/null; $P container list -a --filter name=$N --format '{{.Status}}' | cut -c1-6").prints("Exited"),
        checkpoint("host_network", "count --network host; checkpoint; restore $N; counts").prints("counts"),
        checkpoint("memory_limit", "count --memory 100m; checkpoint; restore $N; counts").needs("memory").prints("counts"),
        checkpoint("read_only", "start --read-only --tmpfs /t bb sh -c 'n=0; while n=$((n+1)); do echo $n >/t/n; sleep .05; done'
            now() { $P exec $N cat /t/n; }; soon 'test $(now) -gt 9'; checkpoint; restore $N; counts").prints("counts"),
        checkpoint("init", "count --init; checkpoint; restore $N; counts").prints("counts"),
        checkpoint("user", "start --cap-drop all --security-opt no-new-privileges bb sh -c 'n=0; while n=$((n+1)); do echo $n >/dev/shm/n; sleep .05; done'
            now() { $P exec $N cat /dev/shm/n; }; soon 'test $(now) -gt 9'; checkpoint; restore $N; counts
            $P exec $N grep -E 'NoNewPrivs|CapEff' /proc/1/status").prints("counts\nCapEff:\t0000000000000000\nNoNewPrivs:\t1"),
        checkpoint("terminal", "count -t; checkpoint; restore $N; counts").prints("counts"),
        checkpoint("logs", "start bb sh -c 'n=0; while n=$((n+1)); do echo $n; sleep .05; done'; soon '$P logs $N | grep -x 9'
            $P container checkpoint $N >/dev/null; restore $N; last=$($P logs $N | tail -n1); soon '$P logs $N | grep -x $((last+9))'
            $P logs $N | awk '$1 != NR { print \"line\", NR, \"is\", $1 }'"),
        checkpoint(
            "preserve_fds",
            "echo v >f; exec 3<f; start --preserve-fds 1 bb sh -c 'exec 3<&-; n=0; while n=$((n+1)); do echo $n >/n; sleep .05; done'
            soon 'test $(now) -gt 9'; checkpoint; restore $N; counts",
        )
        .prints("counts"),
        // Programs, their arguments and environment are read out of the pages.
        checkpoint(
            "checkpointctl",
            "start bb sh -c 'WORD=a-word-in-memory; while :; do sleep 99; done'; soon '$P top $N | grep 99'
            now() { echo; }; checkpoint -e c.tar.gz; checkpointctl show c.tar.gz | grep -o \"^$N .* floe\" | tr -s ' ' | cut -d ' ' -f 1,2,4
            checkpointctl inspect --ps-tree-cmd --ps-tree-env c.tar.gz | grep -o '\\[1\\].*\\|sleep 99\\|FROM_IMAGE=1'
            checkpointctl memparse c.tar.gz | grep -c '^1 *sh *[1-9][0-9.]* KiB'
            checkpointctl memparse --pid 1 --search a-word-in-memory c.tar.gz | grep -m 1 -o a-word-in-memory
            checkpointctl inspect --all c.tar.gz | grep -o 'Pages written: [1-9]\\|Open files\\|Destination: /proc$' | sort -u",
        )
        .prints(
            "podman-checkpoint-checkpointctl localhost/bb:latest floe\n[1]  sh -c WORD=a-word-in-memory; while :; do sleep 99; done \n\
             FROM_IMAGE=1\nsleep 99\nFROM_IMAGE=1\n1\na-word-in-memory\nDestination: /proc\nOpen files\nPages written: *",
        ),
        checkpoint("pod", "$P pod create --name $N-p >/dev/null; trap '$P pod rm -f -t0 $N-p >/dev/null' EXIT
            $P run -d --pod $N-p --name $N bb sh -c 'n=0; while n=$((n+1)); do echo $n >/n; sleep .05; done' >/dev/null
            soon 'test $(now) -gt 9'; checkpoint; restore $N; counts").prints("counts"),
    ]
}
