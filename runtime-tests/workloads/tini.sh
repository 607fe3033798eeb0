# tini as the first process, with children that make children.
start() {
	exec tini -- sh /workloads/run tini family
}

# Three shells that start a short-lived orphan each, for tini to reap.
family() {
	for member in 1 2 3; do
		sh /workloads/run tini member $member &
	done
	echo $$ >/data/family
	wait
}

member() {
	count=0
	while :; do
		count=$((count + 1))
		# The subshell ends first.
		(sleep 0.03 &)
		echo $count >/data/member.$1.new
		mv /data/member.$1.new /data/member.$1
		sleep 0.02
	done
}

prepare() {
	until [ -e /data/member.1 ] && [ -e /data/member.2 ] && [ -e /data/member.3 ] && [ -e /data/family ]; do
		sleep 0.05
	done
}

check() {
	[ "$(cat /proc/1/comm)" = tini ] || fail "the first process is $(cat /proc/1/comm)"
	[ -d "/proc/$(cat /data/family)" ] || fail "the family has ended"
	for member in 1 2 3; do
		cat /data/member.$member >/data/before.$member
	done
	for member in 1 2 3; do
		beyond "$(cat /data/before.$member)" cat /data/member.$member >/dev/null || fail "member $member stands still"
	done
	zombies=$(ps -eo state= | grep -c Z || true)
	[ "$zombies" -le 3 ] || fail "$zombies zombies"
}
