# node with timers, a worker thread and an HTTP server.
start() {
	exec node /workloads/node.js
}

ask() {
	curl -sS --max-time 5 "http://127.0.0.1:8080/$1"
}

prepare() {
	until ask remember >/dev/null 2>&1; do sleep 0.05; done
}

check() {
	answer=$(ask check)
	[ "$answer" = good ] || fail "$answer"
}
