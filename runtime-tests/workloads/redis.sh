# redis-server with 100,000 keys, a subscriber, and a key that expires.
redis() {
	redis-cli -s /data/socket "$@"
}

start() {
	(
		until redis ping; do sleep 0.05; done >/dev/null 2>&1
		exec redis-cli -s /data/socket subscribe news >/data/news
	) &
	exec redis-server --save '' --port 6379 --bind 127.0.0.1 --unixsocket /data/socket --dir /data --daemonize no \
		--logfile /dev/null
}

sum='local sum = 0 for i = 1, 100000 do sum = sum + redis.call("get", "key:" .. i) end return sum'

prepare() {
	until grep -q subscribe /data/news 2>/dev/null; do sleep 0.05; done
	redis eval 'for i = 1, 100000 do redis.call("set", "key:" .. i, i * 7) end' 0 >/dev/null
	redis set expiring x ex 10000 >/dev/null
	redis rpush list a b c >/dev/null
}

check() {
	[ "$(redis dbsize)" -ge 100002 ] || fail "keys: $(redis dbsize)"
	[ "$(redis eval "$sum" 0)" = 35000350000 ] || fail "the sum of the values is $(redis eval "$sum" 0)"
	[ "$(redis lrange list 0 -1 | tr '\n' ' ')" = "a b c " ] || fail "the list is $(redis lrange list 0 -1)"
	ttl=$(redis ttl expiring)
	[ "$ttl" -gt 9000 ] && [ "$ttl" -le 10000 ] || fail "the expiring key has $ttl s"
	[ "$(redis-cli -p 6379 incr counter)" -gt 0 ] || fail "no answer over TCP"
	[ "$(redis publish news "message $$")" = 1 ] || fail "the subscriber is gone"
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		grep -q "message $$" /data/news && return
		sleep 0.1
	done
	fail "the subscriber has not heard"
}
