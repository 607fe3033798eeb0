//! Podman as a user, with and without a cgroup that is the user's.

use crate::case::{Caller, case, named};

const START: &str = r#"
mkdir -p /run/user/2001 /sys/fs/cgroup/rootless/own /srv/rootless/.config/containers
printf '[storage]\ndriver = "vfs"\n' >/srv/rootless/.config/containers/storage.conf
chown -R 2001:2001 /run/user/2001 /srv/rootless
chown 2001:2001 /sys/fs/cgroup/rootless{,/own}{,/cgroup.procs,/cgroup.subtree_control}
setpriv --reuid 2001 --regid 2001 --groups 2001,3001 env -C / HOME=/srv/rootless XDG_RUNTIME_DIR=/run/user/2001 \
	podman import -q --change CMD=/bin/sh /srv/image.tar localhost/bb
"#;

/// `delegated` runs a command in the cgroup of the user.
const PRELUDE: &str = r#"
P="setpriv --reuid 2001 --regid 2001 --groups 2001,3001 env HOME=/srv/rootless XDG_RUNTIME_DIR=/run/user/2001 podman --runtime floe"
RUN="$P run --rm --cgroups=disabled"
start() { $P run -d --cgroups=disabled --name $N "$@" >/dev/null && trap '$P rm -f -t0 $N >/dev/null' EXIT; }
state() { $P inspect $N --format '{{.State.Status}} {{.State.ExitCode}}'; }
terminal() { sleep 9 | script -qefc "stty rows 33 cols 101; $(printf '%q ' "$@")" /dev/null | tr -d '\r'; }
soon() { for n in $(seq 100); do eval "$*" >/dev/null 2>&1 && return; sleep .1; done; echo "never: $*"; return 1; }
delegated() { echo $BASHPID >/sys/fs/cgroup/rootless/own/cgroup.procs; "$@"; }
"#;

pub(crate) fn caller() -> Caller {
    let cases = vec![
        case("run", "$RUN bb sh -c 'id -u; cat /proc/self/uid_map; exit 3'")
            .exits(3)
            .prints("0\n         0       2001          1\n         1     200000      65536"),
        case("with_a_cgroup", "(delegated $P run --rm bb echo hi)").prints("hi"),
        case("missing_program", "$RUN bb nosuch").exits(127).complains("executable file not found in $PATH"),
        case("program_without_x", "$RUN bb /bin/not-executable").exits(126).complains("permission denied"),
        case("program_of_another_machine", "$RUN bb /bin/garbage").exits(255).complains("exec format error"),
        case("tty", "terminal $RUN -it bb sh -c 'tty; sleep .5; stty size; exit 4'").exits(4).prints("/dev/pts/0\n33 101"),
        case("tty_of_a_user", "terminal $RUN -it -u 1000 bb sh -c 'echo x >/dev/tty'").prints("x"),
        case("keep_id", "$RUN --userns keep-id bb id -u").prints("2001"),
        case("keep_id_as", "$RUN --userns keep-id:uid=5,gid=6 bb sh -c 'id -u; id -g'").prints("5\n6"),
        case("nomap", "$RUN --userns nomap bb id -u").prints("0"),
        // While others have all ids there are none to take.
        case("auto", "soon '$RUN --userns auto:size=100 bb cat /proc/self/uid_map >map'; cat map")
            .prints("         0 *        100"),
        case("uidmap", "$RUN --uidmap 0:1:100 bb cat /proc/self/uid_map").prints("         0          1        100"),
        case("keep_groups", "$RUN --group-add keep-groups bb id -G").prints("0 65534"),
        case("user", "$RUN -u 1000:2000 bb sh -c 'id -u; id -g'").prints("1000\n2000"),
        case("network_host", "$RUN --network host bb id -u").prints("0"),
        case("privileged", "$RUN --privileged bb grep -E 'CapEff|Seccomp:' /proc/self/status")
            .prints("CapEff:\t000001ff*ffffff\nSeccomp:\t0"),
        case("volume_ro", "echo v >f; $RUN -v $PWD:/v:ro bb sh -c 'cat /v/f; touch /v/x'")
            .exits(1)
            .prints("v")
            .complains("Read-only file system"),
        case("volume_chown", "$RUN -u 1000 -v $N:/data:U bb stat -c %u /data/file; $P volume rm $N >/dev/null").prints("1000"),
        case("volume_idmap", "echo v >f; $RUN -v $PWD:/v:idmap bb cat /v/f").prints("v"),
        case("tmpfs_of_the_user", "$RUN -u 1000 --tmpfs /t:U bb touch /t/x"),
        case("read_only", "$RUN --read-only bb sh -c 'touch /tmp/y && echo t; touch /x'").exits(1).prints("t"),
        case("device", "$RUN --device /dev/fuse bb stat -c %t:%T /dev/fuse").prints("a:e5"),
        case("sysctl", "$RUN --sysctl net.ipv4.ip_forward=1 bb cat /proc/sys/net/ipv4/ip_forward").prints("1"),
        case("seccomp_file", "$RUN --security-opt seccomp=/srv/seccomp.json bb mkdir /tmp/x")
            .exits(1)
            .complains("Function not implemented"),
        case("masked_by_default", "$RUN bb sh -c 'ls /sys/firmware | wc -l; echo 1 >/proc/sys/kernel/msgmax'")
            .exits(1)
            .prints("0"),
        case("ulimit", "$RUN --ulimit nofile=100:200 bb sh -c 'ulimit -n; ulimit -Hn'").prints("100\n200"),
        case("init", "$RUN --init bb cat /proc/1/comm").prints("podman-init"),
        case("exec", "start bb sleep 100; $P exec $N sh -c 'id -u; exit 5'").exits(5).prints("0"),
        case("exec_tty", "start bb sleep 100; terminal $P exec -it -u 1000 $N sh -c 'tty; id -u'").prints("/dev/pts/0\n1000"),
        case("exec_missing_directory", "start bb sleep 100; $P exec -w /nosuch $N pwd").exits(127).complains("/nosuch"),
        case("cp", "start bb sleep 100; $P cp $N:/etc/passwd - | tar -t").prints("passwd"),
        case("stop", "start bb sh -c 'trap \"echo term; exit 9\" TERM; echo up; while :; do sleep .1; done'
            soon '$P logs $N | grep up'; $P stop $N >/dev/null; $P logs $N; state").prints("up\nterm\nexited 9"),
        case("pause_without_a_cgroup", "start bb sleep 100; $P pause $N").exits(125),
        case("pod", "$P pod create --name $N --share ipc,uts >/dev/null; $RUN --pod $N bb hostname; $P pod rm -f -t0 $N >/dev/null")
            .prints("rootless-pod"),
        case("build", "printf 'FROM localhost/bb\\nRUN id -u >/made\\nUSER 1000\\nRUN id -u >/tmp/made\\n' >Containerfile
            $P build -q --network none --isolation oci -t $N . >/dev/null; $RUN $N cat /made /tmp/made; $P rmi -f $N >/dev/null")
            .prints("0\n1000"),
        case("memory", "(delegated $P run --rm -m 64m bb true)").exits(126).complains("memory"),
    ];
    Caller {
        name: "rootless",
        packages: "podman conmon",
        start: &[START],
        prelude: PRELUDE,
        leftovers: "ls --ignore=@seccomp /run/user/2001/floe 2>/dev/null; pgrep -ax conmon; pgrep -ax sleep || true",
        cases: named("rootless", cases),
    }
}
