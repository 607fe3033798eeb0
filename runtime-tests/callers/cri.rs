//! containerd's CRI, as the kubelet calls it. crictl is not in Debian: gRPC is spoken by curl, and protoc knows the
//! messages, so that requests and answers are protobuf's text format.

use crate::case::{Caller, Case, case, named};
use crate::containerd;

const START: &str = r#"
# An option that is newer than protoc, without meaning for it.
mkdir -p /tmp/cri
sed 's/ \[debug_redact = true\]//' /usr/share/gocode/src/k8s.io/cri-api/pkg/apis/runtime/v1/api.proto >/tmp/cri/api.proto
podman image exists localhost/bb || podman import -q /srv/image.tar localhost/bb
podman import -q --change 'ENTRYPOINT ["/bin/sleep","1000"]' /srv/image.tar localhost/pause:1
podman save -q --format oci-archive -o /tmp/bb.tar localhost/bb:latest
podman save -q --format oci-archive -o /tmp/pause.tar localhost/pause:1
for image in bb pause; do ctr -n k8s.io images import --digests=false /tmp/$image.tar >/dev/null; done
for n in $(seq 50); do ctr -n k8s.io images ls -q | grep -q pause && break; sleep .1; done
"#;

/// `cri METHOD REQUEST` prints the answer, or the error on standard error. A case has the pod `$POD`, and `container`
/// makes `$C` in it.
const PRELUDE: &str = r#"
cri() {
	printf '%s' "$2" | protoc --encode=runtime.v1.$1Request -I /tmp/cri api.proto | perl -0777 -ne 'print pack("CN", 0, length), $_' |
		curl -s --http2-prior-knowledge --unix-socket /run/containerd/containerd.sock -D head -o answer --data-binary @- \
			-H 'content-type: application/grpc' -H 'te: trailers' http://cri/runtime.v1.RuntimeService/$1
	[ -s answer ] || printf '\0\0\0\0\0' >answer
	tail -c +6 answer | protoc --decode=runtime.v1.$1Response -I /tmp/cri api.proto
	tr -d '\r' <head | grep -q '^grpc-status: 0' || { grep -a grpc-message head >&2; return 1; }
}
field() { sed -n "s/^ *$1: \"\\?\\([^\"]*\\)\"\\?$/\\1/p" | head -n 1; }
POD_CONFIG="metadata { name: \"$N\" uid: \"$N\" namespace: \"test\" } log_directory: \"$PWD\""
pod() { # more of the configuration
	POD_CONFIG="$POD_CONFIG $1"
	POD=$(cri RunPodSandbox "config { $POD_CONFIG } runtime_handler: \"floe\"" | field pod_sandbox_id)
	[ "$POD" ] && trap 'cri StopPodSandbox "pod_sandbox_id: \"$POD\""; cri RemovePodSandbox "pod_sandbox_id: \"$POD\""' EXIT
}
container() { # command as protobuf list, more of the configuration
	C=$(cri CreateContainer "pod_sandbox_id: \"$POD\" sandbox_config { $POD_CONFIG } config { metadata { name: \"c\" }
		image { image: \"localhost/bb:latest\" } log_path: \"log\" command: [$1] envs { key: \"PATH\" value: \"/bin\" } $2 }" | field container_id)
	[ "$C" ] && cri StartContainer "container_id: \"$C\""
}
status() { cri ContainerStatus "container_id: \"$C\"" | field "$1"; }
execute() { cri ExecSync "container_id: \"$C\" timeout: 10 cmd: [$1]"; }
soon() { for n in $(seq 100); do eval "$*" >/dev/null 2>&1 && return; sleep .1; done; echo "never: $*"; return 1; }
SLEEP='"sleep", "100"'
"#;

pub(crate) fn caller() -> Caller {
    let running =
        |name: &str, script: &str| -> Case { case(name, &format!("pod; container \"$SLEEP\"; {script}")) };
    let cases = vec![
        case("version", "cri Version '' | field runtime_name").prints("containerd"),
        case("handler_features", "cri Status '' | grep -A 6 'name: \"floe\"' | grep -E 'recursive_read_only_mounts|user_namespaces'")
            .prints("*recursive_read_only_mounts: true*user_namespaces: true"),
    ];
    // Every sandbox has a weight.
    let in_pods = vec![
        case("pod", "pod; cri PodSandboxStatus \"pod_sandbox_id: \\\"$POD\\\"\" | grep -c 'namespace: \"test\"'").prints("1"),
        running("container", "status state; ls /run/containerd/runc/k8s.io | grep -c $C").prints("CONTAINER_RUNNING\n1"),
        running("exec", "execute '\"sh\", \"-c\", \"echo in; exit 5\"'").prints("stdout: \"in\\n\"\nexit_code: 5"),
        running("exec_missing_program", "execute '\"nosuch\"'").exits(1).complains("executable file not found in $PATH"),
        running("stop", "cri StopContainer \"container_id: \\\"$C\\\" timeout: 1\"; status state; status exit_code; cri RemoveContainer \"container_id: \\\"$C\\\"\"")
            .prints("CONTAINER_EXITED\n143"),
        running("stats", "cri ContainerStats \"container_id: \\\"$C\\\"\" | grep -c 'name: \"c\"'").prints("1"),
        running("list", "cri ListContainers \"filter { id: \\\"$C\\\" }\" | field state").prints("CONTAINER_RUNNING"),
        running("network", "execute '\"ip\", \"-o\", \"-4\", \"addr\", \"show\", \"eth0\"' | grep -c 10.99").prints("1"),
        running("update", "cri UpdateContainerResources \"container_id: \\\"$C\\\" linux { memory_limit_in_bytes: 67108864 }\"
            execute '\"cat\", \"/sys/fs/cgroup/memory.max\"' | field stdout")
            .needs("memory")
            .prints("67108864\\n"),
        case("exit_status", "pod; container '\"sh\", \"-c\", \"echo out; exit 7\"'; soon '[ $(status state) = CONTAINER_EXITED ]'; status exit_code; cut -d ' ' -f 2- log")
            .prints("7\nstdout F out"),
        case("missing_program", "pod; container '\"nosuch\"'").exits(1).complains("executable file not found in $PATH"),
        case("program_of_another_machine", "pod; container '\"/bin/garbage\"'; soon '[ $(status state) = CONTAINER_EXITED ]'; status exit_code; cut -d ' ' -f 2- log")
            .prints("255\nstderr F exec /bin/garbage: exec format error*"),
        case("security_context", "pod; container '\"sh\", \"-c\", \"id -u; grep -E \\\"CapEff|NoNew|Seccomp:\\\" /proc/self/status; touch /x\"' \
            'linux { security_context { run_as_user { value: 1000 } no_new_privs: true readonly_rootfs: true seccomp { profile_type: RuntimeDefault } capabilities { drop_capabilities: \"ALL\" } } }'
            soon '[ $(status state) = CONTAINER_EXITED ]'; cut -d ' ' -f 4- log")
            .prints("1000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\ntouch: /x: Read-only file system"),
        case("privileged", "pod 'linux { security_context { privileged: true } }'; container '\"mount\", \"-t\", \"tmpfs\", \"x\", \"/data\"' 'linux { security_context { privileged: true } }'
            soon '[ $(status state) = CONTAINER_EXITED ]'; status exit_code").prints(""),
        case("recursive_read_only_mount", "mkdir v v/s; mount -t tmpfs t v/s; pod; container \"$SLEEP\" \"mounts { container_path: \\\"/v\\\" host_path: \\\"$PWD/v\\\" readonly: true recursive_read_only: true }\"
            execute '\"touch\", \"/v/s/x\"' | field exit_code; umount v/s").prints("1"),
        case("user_namespace", "U='userns_options { mode: POD uids { container_id: 0 host_id: 100000 length: 65536 } gids { container_id: 0 host_id: 100000 length: 65536 } }'
            pod \"linux { security_context { namespace_options { $U } } }\"; container \"$SLEEP\" \"linux { security_context { namespace_options { $U } } }\"
            execute '\"cat\", \"/proc/self/uid_map\"' | field stdout").prints("         0     100000      65536\\n"),
        case("pid_of_the_pod", "O='namespace_options { pid: POD }'; pod \"linux { security_context { $O } }\"; container \"$SLEEP\" \"linux { security_context { $O } }\"
            execute '\"cat\", \"/proc/1/cmdline\"' | field stdout").prints("/bin/sleep\\0001000\\000"),
        case("host_namespaces", "O='namespace_options { network: NODE pid: NODE ipc: NODE }'; pod \"linux { security_context { $O } }\"; container \"$SLEEP\" \"linux { security_context { $O } }\"
            execute '\"readlink\", \"/proc/self/ns/net\"' | field stdout | grep -c $(readlink /proc/self/ns/net | tr -dc 0-9)").prints("1"),
        case("hostname_and_sysctl", "pod 'hostname: \"h\" linux { sysctls { key: \"net.ipv4.ip_forward\" value: \"1\" } }'; container \"$SLEEP\"
            execute '\"sh\", \"-c\", \"hostname; cat /proc/sys/net/ipv4/ip_forward\"' | field stdout").prints("h\\n1\\n"),
        // The kubelet's forensic checkpoint: the container runs on.
        case("checkpoint", "now() { execute '\"cat\", \"/n\"' | sed -n 's/^stdout: \"\\([0-9]*\\).*/\\1/p'; }
            pod; container '\"sh\", \"-c\", \"n=0; while n=$((n+1)); do echo $n >/n; sleep .05; done\"'; soon 'test $(now) -gt 9'
            before=$(now); cri CheckpointContainer \"container_id: \\\"$C\\\" location: \\\"$PWD/c.tar\\\" timeout: 60\"
            status state; soon 'test $(now) -gt $((before+2))' && echo counts
            tar -tf c.tar | sed 's,^checkpoint/[^/]*\\.img$,checkpoint/*.img,' | sort -u; tar -xOf c.tar checkpoint/inventory.img | head -c 4 | od -An -tx1
            checkpointctl inspect c.tar | grep -o 'Runtime: .*\\|Engine: .*'")
            .prints("CONTAINER_RUNNING\ncounts\ncheckpoint/\ncheckpoint/*.img\ncheckpoint/descriptors.json\ncheckpoint/floe-manifest.json\n\
                config.dump\ncontainer.log\ndump.log\nrootfs-diff.tar\nspec.dump\nstats-dump\nstatus\nstatus.dump\n 16 31 31 58\n\
                Runtime: io.containerd.runc.v2\nEngine: containerd"),
    ];
    Caller {
        name: "cri",
        packages: "containerd containernetworking-plugins",
        start: &[containerd::START, START],
        prelude: PRELUDE,
        leftovers: "ctr -n k8s.io c ls -q; ls --ignore=@seccomp /run/containerd/runc/k8s.io 2>/dev/null; pgrep -ax sleep || true",
        cases: named(
            "cri",
            cases.into_iter().chain(in_pods.into_iter().map(|case| case.needs("cpu"))).collect(),
        ),
    }
}
