//! BuildKit inside Docker Engine, which runs the first `runc` of its PATH: floe by that name.

use crate::case::{Caller, case, named};
use crate::{containerd, docker};

pub(crate) fn caller() -> Caller {
    let build = |name: &str, lines: &str| {
        case(name, &format!("cat >Dockerfile <<'END'\nFROM bb\n{lines}\nEND\ndocker build --progress=plain --network none -t $N . >log 2>&1 || {{ r=$?; cat log >&2; exit $r; }}
            docker run --rm --network none $N cat /made; docker rmi $N >/dev/null"))
    };
    let cases = vec![
        build("run", "RUN echo made >/made").prints("made"),
        build("floe_is_called", "RUN cat /proc/1/comm /proc/self/cgroup >/made").prints("*"),
        build("user", "USER 1000\nWORKDIR /tmp\nRUN id -u >made\nUSER 0\nRUN mv made /made").prints("1000"),
        build("environment", "ENV A=b\nRUN echo $A >/made").prints("b"),
        build("cache_mount", "RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/t echo x >/cache/x && cp /cache/x /made").prints("x"),
        build("bind_mount", "RUN --mount=type=bind,target=/ctx head -n 1 /ctx/Dockerfile >/made").prints("FROM bb"),
        build("capabilities", "RUN grep Cap.ff /proc/self/status >/made").prints("CapEff:\t00000000a80425fb"),
        build("in_parallel", "RUN echo 1 >/1\nFROM bb AS two\nRUN echo 2 >/2\nFROM bb\nCOPY --from=0 /1 /\nCOPY --from=two /2 /\nRUN cat /1 /2 >/made").prints("1\n2"),
        build("fails", "RUN exit 9").exits(1).complains("exit code: 9"),
        build("missing_program", "RUN [\"nosuch\"]").exits(1).complains("executable file not found in $PATH"),
        build("program_of_another_machine", "RUN [\"/bin/garbage\"]").exits(1).complains("exec format error"),
    ];
    Caller {
        name: "buildkit",
        packages: "docker.io docker-buildx",
        start: &[containerd::START, docker::START],
        prelude: "RUN='docker run --rm --network none'",
        leftovers: "docker ps -aq; find /sys/fs/cgroup/docker -mindepth 2 -type d || true",
        cases: named("buildkit", cases),
    }
}
