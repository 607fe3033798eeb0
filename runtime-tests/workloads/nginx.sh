# nginx: a master and two workers of another user.
start() {
	mkdir -p /data/www /data/temporary
	head -c 3000000 /dev/urandom >/data/www/file
	sha256sum </data/www/file >/data/sum
	cat >/data/nginx.conf <<-'END'
		user www-data;
		worker_processes 2;
		daemon off;
		pid /data/nginx.pid;
		error_log /dev/null;
		events { worker_connections 64; }
		http {
			access_log /data/access.log;
			client_body_temp_path /data/temporary/body;
			proxy_temp_path /data/temporary/proxy;
			fastcgi_temp_path /data/temporary/fastcgi;
			uwsgi_temp_path /data/temporary/uwsgi;
			scgi_temp_path /data/temporary/scgi;
			server { listen 80; listen unix:/data/socket; root /data/www; }
			server { listen 81; location / { proxy_pass http://unix:/data/socket; } }
		}
	END
	exec nginx -c /data/nginx.conf
}

fetch() {
	[ "$(curl -sS --max-time 5 "http://127.0.0.1:$1/file" | sha256sum)" = "$(cat /data/sum)" ]
}

prepare() {
	until fetch 80 2>/dev/null; do sleep 0.05; done
	pgrep -x nginx | sort >/data/processes
	[ "$(wc -l </data/processes)" = 3 ] || fail "processes: $(cat /data/processes)"
}

check() {
	[ "$(pgrep -x nginx | sort)" = "$(cat /data/processes)" ] || fail "processes: $(pgrep -x nginx)"
	for round in 1 2 3 4 5 6; do
		fetch 80 || fail "no answer in round $round"
		fetch 81 || fail "no answer of the proxy in round $round"
	done
	lines=$(wc -l </data/access.log)
	[ "$lines" -ge 18 ] || fail "the log has $lines lines"
	# The master still makes workers, and ends the old ones.
	nginx -c /data/nginx.conf -s reload
	for _ in $(seq 50); do
		sleep 0.1
		pgrep -x nginx | sort >/data/processes.new
		[ "$(comm -12 /data/processes /data/processes.new | wc -l)" = 1 ] && [ "$(wc -l </data/processes.new)" = 3 ] &&
			mv /data/processes.new /data/processes && return
	done
	fail "after the reload: $(cat /data/processes.new)"
}
