#!/bin/bash
# The life of a container, on a terminal: each command and what it says. Root; leaves nothing behind.
set -euo pipefail

floe=${FLOE_BIN:?FLOE_BIN names the binary}
name=$(basename "$floe")
busybox=$(command -v busybox)

# floe is for cgroup v2. Where the host mounts v1 or both, look at v2 in a mount namespace of our own; with a pid
# namespace, whatever happens, nothing of the demo outlives it.
if [ -z "${FLOE_DEMO_INSIDE:-}" ]; then
	if [ "$(id -u)" -ne 0 ]; then
		echo "demo: needs root" >&2
		exit 1
	fi
	FLOE_DEMO_INSIDE=1 exec unshare --mount --pid --fork --mount-proc --kill-child --propagation private "$0" "$@"
fi
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi

bold=$'\e[1m' plain=$'\e[0m'
[ -t 1 ] || bold='' plain=''
work=$(mktemp -d /tmp/floe-demo.XXXXXX)
clean_up() {
	status=$?
	"$floe" --root "$work/state" delete --force web >/dev/null 2>&1 || true
	rm -rf "$work"
	[ "$status" -eq 0 ] || echo "demo: the last step ended with status $status" >&2
}
trap clean_up EXIT

say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
# Shows a command as one would type it, then runs it.
try() {
	local word line=''
	for word in "$@"; do
		case $word in *[!A-Za-z0-9_./:=-]*) word="'$word'" ;; esac
		line+=" $word"
	done
	printf '%s$%s%s\n' "$bold" "$line" "$plain"
	case $1 in
	floe) shift && "$floe" --root "$work/state" "$@" ;;
	*) "$@" ;;
	esac
}

cd "$work"
mkdir -p bundle/rootfs/{bin,proc,sys,dev,etc,tmp}
cp "$busybox" bundle/rootfs/bin/busybox
for applet in sh ls ps hostname id sleep echo cat true; do
	ln -sf busybox "bundle/rootfs/bin/$applet"
done
cd bundle

# The default config.json with another command and without a terminal.
configure() {
	local list='' word
	for word in "$@"; do list+="${list:+, }\"$word\""; done
	rm -f config.json
	"$floe" spec
	# From the line with "args" to the one with the closing bracket there is only ["sh"].
	LIST=$list awk '
		/"args":/ { skip = 1; print "\"args\": [" ENVIRON["LIST"] "]," }
		skip { if (/\]/) skip = 0; next }
		{ sub(/"terminal": *true/, "\"terminal\": false"); print }' config.json >config.new
	mv config.new config.json
}

say "A bundle: a directory with a root file system and a config.json. '$name spec' writes the default one."
configure sh -c "echo hello from \$(hostname), process \$\$, user \$(id -u); ls /"
try ls
say "run: create it, start it, wait for it, delete it."
try floe run hello

say "The same in single steps, as container engines do it. First a program that stays."
configure sh -c "trap 'exit 0' TERM; while true; do sleep 1; done"
try floe create web
say "Created: namespaces, mounts and the cgroup are there, the program has not started."
try floe state web
echo
try floe start web
try floe list

say "A second process in the running container, and what runs there seen from outside."
try floe exec web ps
try floe exec --user 1000:1000 --env GREETING=hi web sh -c 'echo $GREETING from user $(id -u)'
try floe ps web

say "pause stops every process at once; resume lets them go on."
try floe pause web
floe_state() { "$floe" --root "$work/state" state web | sed -n 's/^ *"status": "\(.*\)",*$/\1/p'; }
echo "  status: $(floe_state)"
try floe resume web
echo "  status: $(floe_state)"

say "update changes limits while it runs."
if grep -qw pids /sys/fs/cgroup/cgroup.controllers; then
	try floe update --pids-limit 50 web
else
	printf '{"unified": {"cgroup.max.descendants": "5"}}' >limits.json
	try cat limits.json
	echo
	try floe update --resources limits.json web
fi

say "checkpoint: the container goes to disk. It counts; afterwards it is gone, and its count is in the images."
try floe kill web KILL
while [ "$(floe_state)" != stopped ]; do sleep 0.1; done
try floe delete web
configure sh -c 'n=0; while true; do n=$((n + 1)); echo $n >/tmp/count; sleep 0.1; done'
sed -i 's/"readonly": *true/"readonly": false/' config.json
try floe run --detach web
count() { cat rootfs/tmp/count; }
until [ "$(count 2>/dev/null || echo 0)" -ge 5 ] 2>/dev/null; do sleep 0.1; done
try floe checkpoint --image-path "$work/images" web
before=$(count)
echo "  counted to $before"
try ls "$work/images"
say "restore: it goes on where it was."
try floe restore --detach --image-path "$work/images" web
until [ "$(count)" -gt "$((before + 5))" ] 2>/dev/null; do sleep 0.1; done
echo "  counts on: $(count)"

say "kill sends a signal; the program ends, its state stays until delete."
try floe kill web KILL
for _ in $(seq 100); do
	[ "$(floe_state)" = stopped ] && break
	sleep 0.1
done
echo "  status: $(floe_state)"
[ "$(floe_state)" = stopped ]
try floe delete web
say "Nothing is left:"
try floe list
