//! LXC as root, which calls `criu` by its command line: `lxc-checkpoint` with all the options that it always gives.

use crate::case::{Caller, case, named};

/// `start` runs a container that counts, with lines that are added to its configuration; `goes_on` says whether it counts
/// from where it was.
const PRELUDE: &str = r#"
start() {
    mkdir /var/lib/lxc/$N && trap 'lxc-stop -k -n $N; rm -r /var/lib/lxc/$N' EXIT
    cp -a /srv/image rootfs
    cat >/var/lib/lxc/$N/config <<-END
		lxc.rootfs.path = dir:$PWD/rootfs
		lxc.uts.name = $N
		lxc.apparmor.profile = unconfined
		lxc.mount.auto = proc:rw sys:ro
		lxc.init.cmd = /bin/sh -c 'n=0; while :; do n=\$((n + 1)); echo \$n >/new; mv /new /count; sleep .02; done'
		$1
	END
    lxc-start -n $N && counts_from 5
}
counts_from() { timeout 10 sh -c "until [ \$(cat rootfs/count || echo 0) -gt $1 ]; do sleep .05; done" 2>/dev/null; }
goes_on() { counts_from $(($1 + 3)) && test $(cat rootfs/count) -lt $(($1 + 500)); }
dump() { lxc-checkpoint -s -v -D $PWD/images -n $N && lxc-wait -n $N -s STOPPED && cat rootfs/count; }
restore() { lxc-checkpoint -r -v -D $PWD/images -n $N; }
inside() { nsenter -t $(lxc-info -n $N -pH) -a -- "$@"; }
"#;

pub(crate) fn caller() -> Caller {
    let cases = vec![
        case("empty_network", "start 'lxc.net.0.type = empty'; n=$(dump) && restore && goes_on $n; inside hostname")
            .prints("lxc-empty-network"),
        case("network_of_the_host", "start 'lxc.net.0.type = none'; n=$(dump) && restore && goes_on $n"),
        case("without_console", "start 'lxc.console.path = none'; n=$(dump) && restore && goes_on $n && test ! -e images/tty.info"),
        case(
            "bind_mount",
            "mkdir data; echo seed >data/file
            start \"lxc.mount.entry = $PWD/data data none bind,ro 0 0\"
            n=$(dump) && restore && goes_on $n && inside cat /data/file && inside sh -c 'echo x >/data/file'",
        )
        .exits(1)
        .prints("seed")
        .complains("Read-only file system"),
        case(
            "file_system_that_is_mounted_anew",
            "start 'lxc.mount.entry = none sys/kernel/mm/hugepages hugetlbfs defaults 0 0'
            n=$(dump) && restore && goes_on $n && inside grep -c ' hugetlbfs ' /proc/mounts",
        )
        .prints("1"),
        case(
            "veth",
            "ip link add br0 type bridge
            start 'lxc.net.0.type = veth
                lxc.net.0.flags = up
                lxc.net.0.link = br0
                lxc.net.0.name = eth0
                lxc.net.0.veth.pair = outer0
                lxc.net.0.ipv4.address = 192.0.2.2/24'
            n=$(dump); until ! ip link show outer0 >/dev/null 2>&1; do sleep .05; done
            restore && goes_on $n && ip -o link show master br0 up | grep -o outer0
            inside ip -o addr show dev eth0 | grep -o 192.0.2.2/24; ip link del br0",
        )
        .prints("outer0\n192.0.2.2/24"),
        case(
            "left_running",
            "start; n=$(cat rootfs/count); lxc-checkpoint -v -D $PWD/images -n $N && goes_on $n && ls images/inventory.img",
        )
        .prints("images/inventory.img"),
        case("refused", "start; mkdir images; echo lazy-pages >/tmp/$N.conf
            CRIU_CONFIG_FILE=/tmp/$N.conf lxc-checkpoint -s -v -D $PWD/images -n $N || goes_on $(cat rootfs/count) && exit 7")
            .exits(7)
            .complains("lazy-pages: a port is needed, where the dump serves memory"),
    ];
    Caller {
        name: "lxc",
        packages: "lxc",
        start: &[],
        prelude: PRELUDE,
        leftovers: "ls /var/lib/lxc; find /sys/fs/cgroup -name 'lxc.payload*'",
        cases: named("lxc", cases),
    }
}
