# A JVM with fifty threads, monitors, a garbage collector at work and compiled code.
start() {
	exec java -Xmx256m -XX:+UseG1GC /workloads/Jvm.java
}

prepare() {
	until [ -e /data/status ]; do sleep 0.1; done
	cp /data/status /data/before
}

# The status is a count that all threads have reached, or what is wrong.
check() {
	now=$(cat /data/status)
	sleep 1
	later=$(cat /data/status)
	[ "$now" -ge "$(cat /data/before)" ] 2>/dev/null || fail "the status was $(cat /data/before) and is $now"
	[ "$later" -gt "$now" ] 2>/dev/null || fail "the status was $now and is $later"
	echo "$later" >/data/before
}
