//! Buildah as root: `RUN` and `buildah run` with OCI isolation.

use crate::case::{Caller, case, named};

const PRELUDE: &str = r#"
export BUILDAH_ISOLATION=oci BUILDAH_RUNTIME=floe
C=$(buildah from --name $N localhost/bb) && trap 'buildah rm $C >/dev/null' EXIT
RUN="buildah run --network none --runtime floe"
"#;

pub(crate) fn caller() -> Caller {
    let cases = vec![
        case("run", "$RUN $C sh -c 'echo hi; id -u'").prints("hi\n0"),
        case("exit_status", "$RUN $C sh -c 'exit 6'").exits(6).complains("exit status 6"),
        case("missing_program", "$RUN $C nosuch").exits(1).complains("executable file not found in $PATH"),
        case("user_and_volume", "echo v >f; $RUN --user 1000 -v $PWD:/v:ro $C sh -c 'id -u; cat /v/f'")
            .prints("1000\nv"),
        case("tty", "sleep 5 | script -qefc \"$RUN -t $C tty\" /dev/null | tr -d '\\r'").prints("/dev/pts/0"),
        case("commit", "$RUN $C sh -c 'echo made >/made'; cat $(buildah mount $C)/made").prints("made"),
        case("capabilities", "$RUN --cap-drop all $C grep CapEff /proc/self/status")
            .prints("CapEff:\t0000000000000000"),
    ];
    Caller {
        name: "buildah",
        packages: "buildah",
        start: &["podman image exists localhost/bb || podman import -q /srv/image.tar localhost/bb"],
        prelude: PRELUDE,
        leftovers: "buildah ls -q; ls --ignore=@seccomp /run/floe 2>/dev/null || true",
        cases: named("buildah", cases),
    }
}
