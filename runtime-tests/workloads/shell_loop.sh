# A shell that counts, with a short-lived child most of the time.
start() {
	count=0
	while :; do
		count=$((count + 1))
		echo $count >/data/count.new
		mv /data/count.new /data/count
		sleep 0.02
	done
}

prepare() {
	until [ -e /data/count ]; do sleep 0.05; done
	cat /data/count >/data/before
}

# It has gone on from where it was, and still does.
check() {
	before=$(cat /data/before)
	now=$(cat /data/count)
	[ "$now" -ge "$before" ] || fail "the count was $before and is $now"
	later=$(beyond "$now" cat /data/count) || fail "the count stays at $now"
	echo "$later" >/data/before
}
