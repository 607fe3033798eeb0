#!/bin/bash
# vm.sh KERNEL SET [ARGUMENTS...]: a set of the tests with containers in a virtual machine with that kernel, systemd and
# all of cgroup v2, emulated (no KVM); ARGUMENTS are the runner's. Everything is built here: the machine has no compiler.
# SET=cri is containerd as the kubelet calls it, in the tree of `make peers`: its pods take the cpu controller.
# SET=bench compares `--systemd-cgroup run` of the release binary with crun's and runc's.
# What it said is in target/vm/KERNEL-SET.log, its kernel in target/vm/KERNEL-SET.console. Ends as the tests do, and
# after LIMIT seconds in any case.
set -euo pipefail

kernel=${1:?KERNEL}
suite=${2:?SET}
shift 2
limit=${LIMIT:-2400}
case $suite in
all | bench | cri) ;;
containers) set -- --skip programs:: --skip refused:: --skip forged:: --skip workloads:: --skip stress:: "$@" ;;
checkpoint) set -- programs:: --skip ::plain:: --skip ::pre_dumped:: --skip ::killed:: --skip ::twenty_times:: "$@" ;;
*) echo "vm: no set $suite, but all, containers, checkpoint, cri, bench" >&2 && exit 2 ;;
esac
cd "$(dirname "$0")/.."
image=$(runtime-tests/vm-image.sh "$kernel")
drives=()
prepare=

if [ "$suite" = bench ]; then
	cargo build --quiet --release --locked --package floe --package runtime-tests --bin floe --bin floe-bench
	built=$PWD/target/$(rustc -vV | sed -n 's/^host: //p')/release
	files=("$built/floe" "$built/floe-bench")
	command=("$built/floe-bench" systemd "$built/floe" /usr/bin/crun /usr/sbin/runc)
elif [ "$suite" = cri ]; then
	cargo build --quiet --locked --package floe
	runner=$(cargo test --quiet --locked --package runtime-tests --test callers --no-run --message-format json |
		sed -n 's/.*"executable":"\([^"]*\/deps\/callers-[^"]*\)".*/\1/p')
	built=$(dirname "$(dirname "$runner")")
	files=("$built/floe" "$runner" "$PWD/contrib")
	command=("$runner" --color never "${@:-cri::}")
	runtime-tests/peers.sh >/dev/null
	sid=${FLOE_PEERS:-/var/tmp/floe-peers}/sid
	if ! [ "$image/sid.img" -nt "$sid/var/lib/dpkg/status" ]; then
		rm -f "$image/sid.new"
		mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$sid" "$image/sid.new" 4G
		mv "$image/sid.new" "$image/sid.img"
	fi
	drives=(-drive if=none,id=sid,format=raw,readonly=on,file=/mnt/sid.img -device virtio-blk-pci,drive=sid)
	prepare='mkdir -p /peers/sid; mount -o ro /dev/vdb /peers/sid; export FLOE_PEERS=/peers'
else
	cargo build --quiet --locked --package floe
	runner=$(cargo test --quiet --locked --package runtime-tests --test containers --no-run --message-format json |
		sed -n 's/.*"executable":"\([^"]*\/deps\/containers-[^"]*\)".*/\1/p')
	built=$(dirname "$(dirname "$runner")")
	programs=$(dirname "$built")/tmp/programs
	find runtime-tests/programs -name '*.c' -printf '%P\n' | sed 's/\.c$//' | xargs runtime-tests/programs/compile.sh "$programs"
	files=("$built/floe" "$built/floe-probe" "$runner" "$programs")
	command=("$runner" --color never "$@")
fi

results=$PWD/target/vm
mkdir -p "$results"
run=$(mktemp -d "$results/run.XXXXXX")
trap 'rm -rf "$run"' EXIT
{
	echo '#!/bin/bash'
	# Tests of swap and huge pages need some.
	echo 'set -e; fallocate -l 256M /swap; chmod 600 /swap; mkswap -q /swap; swapon /swap'
	echo "$prepare"
	printf 'export CI=true FLOE_VM=%q FLOE_BIN=%q PATH=/usr/sbin:/usr/bin; cd %q\n' "$kernel" "$built/floe" "$PWD"
	printf "%q " "${command[@]}"
} >"$run/run.sh"
chmod 755 "$run/run.sh"
# With the paths that they have here, which the runner knows.
{
	git ls-files runtime-tests | sed "s,^,$PWD/,"
	printf '%s\n' "${files[@]}"
} | sed 's,^/,,' | tar --create --file "$run/input" --directory / --files-from -
tar --append --file "$run/input" --directory "$run" run.sh
# A drive's size is a multiple of its blocks.
truncate --size %1M "$run/input"

machine() {
	# Every kernel has NVMe and ext4 built in, so none needs an initrd.
	echo -nodefaults -no-user-config -display none -no-reboot -M pc -accel tcg,thread=multi -cpu max -smp 2 -m 4096 \
		-kernel "/mnt/$kernel/vmlinuz" \
		-drive "if=none,id=root,format=raw,cache=unsafe,snapshot=on,file=/mnt/$kernel/root.img" \
		-device nvme,serial=root,drive=root \
		-drive if=none,id=input,format=raw,readonly=on,file=/media/input -device virtio-blk-pci,drive=input \
		"${drives[@]}" -serial file:/media/console -serial stdio
}
status=0
# shellcheck disable=SC2046
unshare --mount --pid --fork --kill-child --propagation private bash -ec '
	tree=$1/tree
	mount --bind "$1" "$tree/mnt"
	mount --bind "$2" "$tree/media"
	shift 2
	exec chroot "$tree" env -i PATH=/usr/bin TMPDIR=/media timeout "$@"' bash "$image" "$run" \
	"$limit" qemu-system-x86_64 $(machine) -append "root=/dev/nvme0n1 rw rootwait console=ttyS0 quiet panic=-1 \
mitigations=off nokaslr cryptomgr.notests no_timer_check tsc=reliable random.trust_cpu=on audit=0 net.ifnames=0 hugepages=16 \
systemd.show_status=0" </dev/null | tee "$results/$kernel-$suite.log" || status=$?
mv "$run/console" "$results/$kernel-$suite.console"
ended=$(sed -n 's/^vm: exit //p' "$results/$kernel-$suite.log")
if [ -z "$ended" ]; then
	tail -n 20 "$results/$kernel-$suite.console" >&2
	echo "vm: ended without a result (QEMU: $status)" >&2
	exit 1
fi
exit "$ended"
