//! Docker Engine with floe as its default runtime.

use crate::case::{Caller, case, named};
use crate::containerd;

/// dockerd reads contrib's daemon.json; what is said here has nothing to do with floe, but for the default. BuildKit in
/// dockerd takes the first `runc` of its PATH, whatever the runtimes are.
pub(crate) const START: &str = r#"
if ! [ -S /run/docker.sock ]; then
	mkdir -p /usr/local/lib/floe-as-runc
	ln -s /usr/local/bin/floe /usr/local/lib/floe-as-runc/runc
	PATH=/usr/local/lib/floe-as-runc:$PATH setsid dockerd --default-runtime floe --experimental --containerd /run/containerd/containerd.sock \
		--iptables=false --ip6tables=false --bridge=none >/tmp/dockerd.log 2>&1 </dev/null &
	for n in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep .1; done
fi
docker version >/dev/null || { tail /tmp/dockerd.log >&2; exit 1; }
docker image inspect bb >/dev/null 2>&1 || docker import --change 'ENV PATH=/bin' --change 'CMD ["sh"]' /srv/image.tar bb >/dev/null
"#;

const PRELUDE: &str = r#"
RUN="docker run --rm --network none"
start() { docker run -d --network ${NETWORK:-none} --name $N "$@" >/dev/null && trap 'docker rm -f $N >/dev/null' EXIT; }
state() { docker inspect $N --format '{{.State.Status}} {{.State.ExitCode}}'; }
status() { "$@"; echo "status $?"; }
# Docker 28 looks for the network namespace of what it restores before there is one (bind-mount /proc/0/ns/net).
count() { NETWORK=host start "$@" bb sh -c 'n=0; while n=$((n+1)); do echo $n >/n; sleep .05; done'; soon 'test $(now) -gt 9'; }
# Docker uploads the checkpoint and fails while containerd still has the content that checkpoint create gave it.
restore() { soon docker start --checkpoint $1 $N; }
now() { docker exec $N cat /n; }
counts() { soon 'test $(now) -gt $((before+2))' && test $(now) -lt $((before+200)) && echo counts; }
terminal() { sleep 9 | script -qefc "stty rows 33 cols 101; $(printf '%q ' "$@")" /dev/null | tr -d '\r'; }
soon() { for n in $(seq 100); do eval "$*" >/dev/null 2>&1 && return; sleep .1; done; echo "never: $*"; return 1; }
"#;

pub(crate) fn caller() -> Caller {
    let exec = |name: &str, script: &str| case(name, &format!("start -e CE=1 bb sleep 100; {script}"));
    const TRAP: &str = r#"start bb sh -c 'trap "echo term; exit 9" TERM; echo up; while :; do sleep .1; done'; soon 'docker logs $N | grep up'; "#;
    let trapping = |name: &str, script: &str| case(name, &format!("{TRAP}{script}"));
    let cases = vec![
        case("run", "$RUN bb sh -c 'echo hi; exit 3'").exits(3).prints("hi"),
        case("default_runtime", "docker info --format '{{.DefaultRuntime}}'; start bb sleep 100; docker inspect $N --format '{{.HostConfig.Runtime}}'")
            .prints("floe\nfloe"),
        case("named_runtime", "$RUN --runtime floe bb echo hi").prints("hi"),
        case("standard_input", "echo abc | $RUN -i bb cat").prints("abc"),
        case("missing_program", "$RUN bb nosuch").exits(127).complains("exec: \"nosuch\": executable file not found in $PATH".trim_start_matches("exec: ")),
        case("missing_path", "$RUN bb /no/such").exits(127).complains("no such file or directory"),
        case("program_without_x", "$RUN bb /bin/not-executable").exits(126).complains("permission denied"),
        case("program_is_a_directory", "$RUN bb /etc").exits(126).complains("is a directory"),
        case("program_below_a_file", "$RUN bb /etc/passwd/x").exits(125).complains("not a directory"),
        case("program_of_another_machine", "$RUN bb /bin/garbage").exits(255).complains("exec /bin/garbage: exec format error"),
        case("program_without_interpreter", "$RUN bb /bin/no-interpreter").exits(255).complains("no such file or directory"),
        case("failed_run_detached", "docker run -d --network none --name $N bb nosuch >/dev/null; state; docker rm $N >/dev/null").prints("created 127").complains("nosuch"),
        case("docker_refuses", "$RUN --nosuch bb true").exits(125),
        case("user", "$RUN -u 1000:2000 --group-add 55 -w /new/dir -e A=b -h h bb sh -c 'id -u; id -G; pwd; echo $A; hostname'").prints("1000\n2000 55\n/new/dir\nb\nh"),
        case("cap_drop", "$RUN --cap-drop all --cap-add net_raw bb grep CapEff /proc/self/status").prints("CapEff:\t0000000000002000"),
        case("privileged", "$RUN --privileged bb grep -E 'CapEff|Seccomp:' /proc/self/status; $RUN --privileged bb mount -t tmpfs x /data").prints("CapEff:\t000001ff*ffffff\nSeccomp:\t0"),
        case("no_new_privileges", "$RUN --security-opt no-new-privileges -u 1000 bb grep NoNew /proc/self/status").prints("NoNewPrivs:\t1"),
        case("seccomp_default", "$RUN bb unshare -U true").exits(1).complains("Operation not permitted"),
        case("seccomp_file", "$RUN --security-opt seccomp=/srv/seccomp.json bb mkdir /tmp/x").exits(1).complains("Function not implemented"),
        case("seccomp_unconfined", "$RUN --security-opt seccomp=unconfined bb grep Seccomp: /proc/self/status").prints("Seccomp:\t0"),
        case("tmpfs", "$RUN --tmpfs /t:size=1m,mode=700 bb grep ' /t ' /proc/mounts").prints("tmpfs /t tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700*"),
        case("tmpfs_of_a_user", "$RUN -u 1000 --tmpfs /scratch bb touch /scratch/x"),
        case("mount_tmpfs", "$RUN --mount type=tmpfs,dst=/m,tmpfs-mode=0750 bb stat -c %a /m").prints("750"),
        case("volume", "echo v >f; $RUN -v $PWD:/v bb sh -c 'cat /v/f; echo w >/v/w'; cat w").prints("v\nw"),
        case("volume_ro", "$RUN -v $PWD:/v:ro bb touch /v/x").exits(1).complains("Read-only file system"),
        case("volume_recursive_ro", "mkdir s; mount -t tmpfs t s; $RUN --mount type=bind,src=$PWD,dst=/v,ro,bind-recursive=readonly,bind-propagation=rprivate bb touch /v/s/x; r=$?; umount s; exit $r").exits(1).complains("Read-only file system"),
        case("volume_named", "$RUN -v $N:/data bb cat /data/file; docker volume rm $N >/dev/null").prints("seed"),
        case("read_only", "$RUN --read-only bb touch /x").exits(1).complains("Read-only file system"),
        case("shm_size", "$RUN --shm-size 1m bb grep /dev/shm /proc/mounts").prints("*size=1024k*"),
        case("sysctl", "$RUN --sysctl net.ipv4.ip_forward=1 bb cat /proc/sys/net/ipv4/ip_forward").prints("1"),
        case("init", "$RUN --init bb cat /proc/1/comm").prints("docker-init"),
        case("device", "$RUN --device /dev/fuse bb stat -c %t:%T /dev/fuse").prints("a:e5"),
        case("device_read_only", "$RUN --device /dev/fuse:/dev/own:r bb sh -c 'echo x >/dev/own'").exits(1).complains("Operation not permitted"),
        case("ulimit", "$RUN --ulimit nofile=100:200 bb sh -c 'ulimit -n; ulimit -Hn'").prints("100\n200"),
        case("oom_score_adj", "$RUN --oom-score-adj 400 bb cat /proc/self/oom_score_adj").prints("400"),
        case("network_host", "docker run --rm --network host bb readlink /proc/self/ns/net | cmp - <(readlink /proc/self/ns/net)"),
        case("pid_host", "$RUN --pid host bb readlink /proc/self/ns/pid | cmp - <(readlink /proc/self/ns/pid)"),
        case("of_another_container", "start --ipc shareable bb sleep 100; docker run --rm --network container:$N --pid container:$N --ipc container:$N bb ps -o comm").prints("COMMAND\nsleep\nps"),
        case("cgroupns", "$RUN --cgroupns private bb tail -n 1 /proc/self/cgroup; $RUN --cgroupns host bb tail -n 1 /proc/self/cgroup").prints("0::/\n0::/*docker/*"),
        case("tty", "terminal $RUN -it bb sh -c 'tty; sleep .5; stty size; exit 4'").exits(4).prints("/dev/pts/0\n33 101"),
        exec("exec", "docker exec $N sh -c 'echo hi; exit 5'").exits(5).prints("hi"),
        exec("exec_tty", "terminal docker exec -it $N sh -c 'tty; sleep .5; stty size; exit 6'").exits(6).prints("/dev/pts/0\n33 101"),
        exec("exec_user", "docker exec -u 1000 -w /tmp -e X=y $N sh -c 'id -u; pwd; echo $X$CE'").prints("1000\n/tmp\ny1"),
        exec("exec_missing", "docker exec $N nosuch").exits(127).prints("*executable file not found in $PATH"),
        exec("exec_without_x", "docker exec $N /bin/not-executable").exits(126).prints("*permission denied*"),
        exec("exec_missing_directory", "docker exec -w /nosuch $N pwd").exits(127).prints("*/nosuch*"),
        exec("exec_privileged", "docker exec --privileged $N grep CapEff /proc/self/status").prints("CapEff:\t000001ff*ffffff"),
        exec("exec_standard_input", "echo in | docker exec -i $N cat").prints("in"),
        exec("exec_detached", "docker exec -d $N sleep 44; sleep .3; docker top $N -o pid,args | grep -c sleep").prints("2"),
        exec("pause", "docker pause $N >/dev/null; state; docker exec $N true; echo $?; docker unpause $N >/dev/null; state").prints("paused 0\n1\nrunning 0").complains("is paused"),
        exec("stats", "docker stats --no-stream --format '{{.Name}}' $N").prints("docker-stats"),
        exec("update_restart_policy", "docker update --restart always $N >/dev/null; docker inspect $N --format '{{.HostConfig.RestartPolicy.Name}}'").prints("always"),
        exec("cp", "echo c >c; docker cp -q c $N:/tmp/c; docker exec $N cat /tmp/c; docker cp -q $N:/etc/group d; head -n 1 d").prints("c\nroot:x:0:"),
        exec("kill", "docker kill $N >/dev/null; docker wait $N; state").prints("137\nexited 137"),
        exec("restart", "docker restart -t 0 $N >/dev/null; state").prints("running 0"),
        trapping("stop", "docker stop $N >/dev/null; docker logs $N; state").prints("up\nterm\nexited 9"),
        trapping("start_again", "docker stop $N >/dev/null; docker start $N >/dev/null; state").prints("running 0"),
        case("stop_timeout", "start bb sh -c 'trap : TERM; while :; do sleep .1; done'; sleep .3; docker stop -t 1 $N >/dev/null; state").prints("exited 137"),
        case("logs", "start bb sh -c 'echo one; echo two >&2'; docker wait $N >/dev/null; docker logs $N").prints("one").complains("two"),
        case("wait", "start bb sh -c 'sleep .5; exit 8'; docker wait $N").prints("8"),
        case("healthcheck", "start --health-cmd true --health-interval 1s bb sleep 100; soon 'docker inspect $N --format {{.State.Health.Status}} | grep -x healthy'; docker inspect $N --format {{.State.Health.Status}}").prints("healthy"),
        case("restart_policy", "start --restart on-failure:2 bb false; soon 'state | grep exited && docker inspect $N --format {{.RestartCount}} | grep 2'; docker inspect $N --format {{.RestartCount}}").prints("2"),
        case("checkpoint", "count; before=$(now); docker checkpoint create $N cp >/dev/null; soon 'state | grep exited'; restore cp; counts; docker checkpoint ls $N | grep -c ^cp")
            .prints("counts\n1"),
        case("checkpoint_leave_running", "count; before=$(now); docker checkpoint create --leave-running $N cp >/dev/null; counts; docker checkpoint rm $N cp; docker checkpoint ls $N | grep -c ^cp")
            .exits(1)
            .prints("counts\n0"),
        case("checkpoint_directory", "count; before=$(now); docker checkpoint create --checkpoint-dir $PWD $N cp >/dev/null; soon 'state | grep exited'; docker checkpoint ls --checkpoint-dir $PWD $N | grep -c ^cp").prints("1"),
        case("checkpoint_twice", "count; for c in one two; do before=$(now); docker checkpoint create $N $c >/dev/null; soon 'state | grep exited'; restore $c; counts; done")
            .prints("counts\ncounts"),
        case("parallel", "for i in 1 2 3 4; do $RUN bb echo c$i & done | sort; wait").prints("c1\nc2\nc3\nc4"),
        case("build", "printf 'FROM bb\\nRUN echo x >/made\\nUSER 1000\\nRUN id -u >/tmp/made\\n' | DOCKER_BUILDKIT=0 docker build -q --network none -t $N - >/dev/null; $RUN $N cat /made /tmp/made; docker rmi $N >/dev/null").prints("x\n1000"),
        case("memory", "$RUN -m 64m bb cat /sys/fs/cgroup/memory.max").needs("memory").prints("67108864"),
        case("memory_update", "start -m 64m bb sleep 100; docker update -m 100m --memory-swap -1 $N >/dev/null; docker exec $N cat /sys/fs/cgroup/memory.max").needs("memory").prints("104857600"),
        case("pids", "$RUN --pids-limit 10 bb cat /sys/fs/cgroup/pids.max").needs("pids").prints("10"),
        case("cpus", "$RUN --cpus 0.5 bb cat /sys/fs/cgroup/cpu.max").needs("cpu").prints("50000 100000"),
    ];
    Caller {
        name: "docker",
        packages: "docker.io docker-cli containerd",
        start: &[containerd::START, START],
        prelude: PRELUDE,
        leftovers: "docker ps -aq; find /sys/fs/cgroup/docker -mindepth 1 -type d; pgrep -ax sleep || true",
        cases: named("docker", cases),
    }
}
