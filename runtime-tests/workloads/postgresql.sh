# PostgreSQL with pgbench at work, all of it as an ordinary user.
bin=$(echo /usr/lib/postgresql/*/bin)
database=/data/database

sql() {
	"$bin/psql" --host /data --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --command "$1" postgres
}

start() {
	"$bin/initdb" --pgdata $database --auth trust --no-sync >/dev/null
	"$bin/postgres" -D $database -k /data -h 127.0.0.1 -c fsync=off -c shared_buffers=32MB >>/data/log 2>&1 &
	until sql 'select 1'; do sleep 0.1; done >/dev/null 2>&1
	"$bin/pgbench" --host /data --initialize --quiet postgres >/dev/null 2>&1
	"$bin/pgbench" --host /data --no-vacuum --client 3 --jobs 2 --rate 100 --time 100000 postgres >/data/bench 2>&1 &
	wait
}

prepare() {
	until [ "$(sql 'select count(*) from pgbench_history' 2>/dev/null || echo 0)" -gt 20 ]; do sleep 0.1; done
	sql 'select count(*) from pgbench_history' >/data/before
	# Who asked before it was up has been told so.
	: >/data/log
}

# Each transaction changes all of these by the same amount.
consistent() {
	sums=$(sql 'select (select sum(abalance) from pgbench_accounts) = (select sum(tbalance) from pgbench_tellers)
		and (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from pgbench_branches)
		and (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)')
	[ "$sums" = t ] || fail "the sums differ"
}

check() {
	consistent
	now=$(sql 'select count(*) from pgbench_history')
	[ "$now" -ge "$(cat /data/before)" ] || fail "transactions were $(cat /data/before) and are $now"
	beyond "$now" sql 'select count(*) from pgbench_history' >/dev/null || fail "pgbench stands still at $now"
	sql 'checkpoint'
	sql 'vacuum analyze pgbench_branches'
	consistent
	sql 'select count(*) from pgbench_history' >/data/before
	! grep -E 'PANIC|FATAL' /data/log || fail "the log has errors"
}
