//! containerd with its own runc shim, through ctr.

use crate::case::{Caller, case, named};

/// The daemon that Docker and CRI use too.
pub(crate) const START: &str = r#"
if ! [ -S /run/containerd/containerd.sock ]; then
	setsid containerd >/tmp/containerd.log 2>&1 </dev/null &
	for n in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep .1; done
fi
ctr version >/dev/null
"#;

/// `--cpu-shares 0`: ctr asks for a weight by default, which takes the cpu controller.
const PRELUDE: &str = r#"
FLAGS="--runc-binary /usr/local/bin/floe --env PATH=/bin --cpu-shares 0 --rootfs"
RUN="ctr run --rm $FLAGS" ROOT=/srv/image
start() { ctr run -d $FLAGS $ROOT $N "$@" && trap 'ctr task rm -f $N >/dev/null 2>&1; ctr c rm $N' EXIT; }
status() { "$@"; echo "status $?"; }
soon() { for n in $(seq 100); do eval "$*" >/dev/null 2>&1 && return; sleep .1; done; echo "never: $*"; return 1; }
state() { ctr task ls | awk -v n=$N '$1 == n { print $3 }'; }
# A container that counts, and whether it goes on where it was.
count() { start sh -c 'n=0; while n=$((n+1)); do echo $n >/dev/shm/n; sleep .05; done'; soon 'test $(now) -gt 9'; }
now() { ctr task exec --exec-id e$RANDOM $N cat /dev/shm/n; }
counts() { soon 'test $(now) -gt $((before+2))' && test $(now) -lt $((before+200)) && echo counts; }
terminal() { sleep 9 | script -qefc "stty rows 33 cols 101; $(printf '%q ' "$@")" /dev/null | tr -d '\r'; }
"#;

pub(crate) fn caller() -> Caller {
    let task = |name: &str, script: &str| case(name, &format!("start sleep 100; {script}"));
    let cases = vec![
        case("run", "$RUN $ROOT $N sh -c 'echo hi; exit 3'").exits(3).prints("hi"),
        case("shim_calls_floe", "start sleep 100; ls /run/containerd/runc/default/$N").prints("*state.json*"),
        case("missing_program", "$RUN $ROOT $N nosuch").exits(1).complains("executable file not found in $PATH"),
        case("program_without_x", "$RUN $ROOT $N /bin/not-executable").exits(1).complains("permission denied"),
        case("program_of_another_machine", "$RUN $ROOT $N /bin/garbage")
            .exits(255)
            .complains("exec /bin/garbage: exec format error"),
        case("standard_input", "echo abc | $RUN $ROOT $N head -n 1").prints("abc"),
        case("tty", "terminal $RUN -t $ROOT $N sh -c 'tty; sleep .5; stty size; sleep .5; exit 4'").exits(4).prints("/dev/pts/0\n33 101"),
        case("privileged", "$RUN --privileged $ROOT $N grep -E 'CapEff|Seccomp:' /proc/self/status")
            .prints("CapEff:\t000001ff*ffffff\nSeccomp:\t0"),
        case("seccomp", "$RUN --seccomp $ROOT $N grep Seccomp: /proc/self/status").prints("Seccomp:\t2"),
        case("seccomp_profile", "$RUN --seccomp --seccomp-profile /srv/seccomp.json $ROOT $N mkdir /tmp/x")
            .exits(1)
            .complains("Function not implemented"),
        case("user", "$RUN --user 1000:2000 --cwd /tmp --env A=b --hostname h $ROOT $N sh -c 'id -u; id -g; pwd; echo $A; hostname'")
            .prints("1000\n2000\n/tmp\nb\nh"),
        case("capabilities", "$RUN --cap-drop CAP_CHOWN --cap-add CAP_SYS_TIME $ROOT $N grep CapEff /proc/self/status")
            .prints("CapEff:\t00000000aa0425fa"),
        case("read_only", "$RUN --read-only $ROOT $N touch /x").exits(1).complains("Read-only file system"),
        case("mount", "echo v >f; $RUN --mount type=bind,src=$PWD,dst=/mnt,options=rbind:ro $ROOT $N sh -c 'cat /mnt/f; touch /mnt/x'")
            .exits(1)
            .complains("Read-only file system")
            .prints("v"),
        case("network_of_the_host", "$RUN --net-host $ROOT $N readlink /proc/self/ns/net | cmp - <(readlink /proc/self/ns/net)"),
        case("network_by_path", "unshare -n sleep 60 & P=$!; soon '! cmp <(readlink /proc/self/ns/net) <(readlink /proc/$P/ns/net)'
            $RUN --with-ns network:/proc/$P/ns/net $ROOT $N readlink /proc/self/ns/net | cmp - <(readlink /proc/$P/ns/net); kill $P"),
        case("device", "$RUN --device /dev/fuse $ROOT $N stat -c %t:%T /dev/fuse").prints("a:e5"),
        case("no_pivot", "$RUN --no-pivot $ROOT $N echo hi").prints("hi"),
        case("cgroup", "$RUN --cgroup /ctr-cgroup/x $ROOT $N echo hi; find /sys/fs/cgroup/ctr-cgroup -delete 2>/dev/null; true").prints("hi"),
        case("same_id_in_two_namespaces", "start sleep 100; ctr -n other run --rm $FLAGS $ROOT $N echo hi").prints("hi"),
        task("task_is_running", "state").prints("RUNNING"),
        task("exec", "ctr task exec --exec-id e $N sh -c 'echo in; exit 5'").exits(5).prints("in"),
        task("exec_user", "ctr task exec --exec-id e --user 1000 --cwd /tmp $N sh -c 'id -u; pwd'").prints("1000\n/tmp"),
        task("exec_missing_program", "ctr task exec --exec-id e $N nosuch").exits(1).complains("executable file not found in $PATH"),
        task("exec_missing_directory", "ctr task exec --exec-id e --cwd /nosuch $N pwd").exits(1).complains("/nosuch"),
        task("exec_tty", "terminal ctr task exec -t --exec-id e $N sh -c 'tty; sleep .5; stty size; sleep .5; exit 6'").exits(6).prints("/dev/pts/0\n33 101"),
        task("exec_detached", "ctr task exec -d --exec-id e $N sleep 40; ctr task ps $N | wc -l").prints("3"),
        task("exec_kill", "ctr task exec -d --exec-id e $N sleep 40; ctr task kill --exec-id e -s KILL $N; soon '[ $(ctr task ps $N | wc -l) = 2 ]'"),
        task("pause", "ctr task pause $N; state; ctr task resume $N; state").prints("PAUSED\nRUNNING"),
        task("exec_paused", "ctr task pause $N; status ctr task exec --exec-id e $N true; ctr task resume $N").prints("status 1").complains("cannot exec in a paused"),
        task("metrics", "ctr task metrics $N | grep -c TIMESTAMP").prints("1"),
        task("kill_default", "ctr task kill $N; sleep .3; state").prints("RUNNING"),
        case("kill", "start sh -c 'trap \"exit 9\" TERM; >/dev/shm/up; while :; do sleep .1; done'; soon 'ctr task exec --exec-id e$n $N test -e /dev/shm/up'; ctr task kill -s TERM $N; soon '[ $(state) = STOPPED ]'; ctr task rm $N").complains("exit code 9"),
        task("kill_9", "ctr task kill -s KILL $N; soon '[ $(state) = STOPPED ]'; ctr task kill $N").exits(1).complains("already finished"),
        task("kill_all", "ctr task exec -d --exec-id z $N sleep 57; ctr task kill -a -s KILL $N; soon '[ $(state) = STOPPED ]'; pgrep -fx 'sleep 57'").exits(1),
        task("exec_stopped", "ctr task kill -s KILL $N; soon '[ $(state) = STOPPED ]'; ctr task exec --exec-id e $N true").exits(1).complains("cannot exec in a stopped"),
        task("delete_running", "ctr task delete $N").exits(1).complains("must be stopped before deletion"),
        task("delete_force", "status ctr task delete -f $N; state; ls /run/containerd/runc/default | grep -x $N").exits(1).prints("status 0").complains("137"),
        task("id_is_taken", "$RUN $ROOT $N true").exits(1).complains("already exists"),
        task("shim_dies", "kill -9 $(pgrep -f \"containerd-shim-runc-v2.* -id $N \"); soon '[ ! -e /run/containerd/runc/default/$N ]'; state"),
        case("checkpoint", "count; before=$(now); ctr task checkpoint --image-path $PWD/i --work-path $PWD/w $N >/dev/null; ls i/inventory.img w/dump.log; counts")
            .prints("i/inventory.img\nw/dump.log\ncounts"),
        case("checkpoint_and_exit", "count; ctr task checkpoint --exit --image-path $PWD/i $N >/dev/null; soon '[ $(state) = STOPPED ]'; state; ls i/inventory.img")
            .prints("STOPPED\ni/inventory.img"),
        case("checkpoint_to_an_image", "podman image exists localhost/bb || podman import -q /srv/image.tar localhost/bb >/dev/null
            podman save -q --format oci-archive -o bb.tar localhost/bb:latest; ctr i import --digests=false bb.tar >/dev/null
            FLAGS=${FLAGS%--rootfs} ROOT=localhost/bb:latest; count; before=$(now)
            ctr c checkpoint --rw --image --task $N localhost/$N:latest >/dev/null; counts; ctr task rm -f $N >/dev/null 2>&1; ctr c rm $N
            ctr c restore --rw --live $N localhost/$N:latest && counts; ctr i rm localhost/$N:latest localhost/bb:latest >/dev/null")
            .prints("counts\ncounts"),
        case("memory", "$RUN --memory-limit 67108864 $ROOT $N cat /sys/fs/cgroup/memory.max").needs("memory").prints("67108864"),
    ];
    Caller {
        name: "containerd",
        packages: "containerd",
        start: &[START],
        prelude: PRELUDE,
        leftovers: "ctr c ls -q; ls --ignore=@seccomp /run/containerd/runc/default /run/containerd/io.containerd.runtime.v2.task/default 2>/dev/null | grep -v :
            find /sys/fs/cgroup/default -mindepth 1 -type d; pgrep -ax sleep || true",
        cases: named("containerd", cases),
    }
}
