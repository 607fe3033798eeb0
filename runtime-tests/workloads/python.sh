# python3 with threads, a queue, and a subprocess at two pipes.
start() {
	exec python3 /workloads/python.py
}

ask() {
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect("/data/socket")
s.sendall(sys.argv[1].encode())
s.shutdown(socket.SHUT_WR)
print(s.makefile().read())' "$1"
}

prepare() {
	until [ -S /data/socket ]; do sleep 0.05; done
	ask remember >/dev/null
}

check() {
	answer=$(ask check)
	[ "$answer" = good ] || fail "$answer"
}
