# sqlite3 in the middle of writes, with a write-ahead log, and another that reads.
database=/data/database

start() {
	sqlite3 $database 'pragma journal_mode = wal; create table pairs (number integer primary key, twice integer);
		create index twice on pairs (twice); create table total (count integer, sum integer); insert into total values (0, 0);' \
		>/dev/null
	touch /data/made
	# A transaction stays open for most of the time.
	number=0
	while :; do
		number=$((number + 1))
		echo "begin immediate; insert into pairs values ($number, 2 * $number);"
		sleep 0.02
		echo "update total set count = count + 1, sum = sum + 2 * $number; commit;"
		[ $((number % 50)) -eq 0 ] && echo 'pragma wal_checkpoint(truncate);'
	done | sqlite3 -cmd '.timeout 5000' $database >/data/writer 2>&1
}

query() {
	sqlite3 -cmd '.timeout 5000' $database "$1"
}

prepare() {
	# A reader would keep the journal's mode from being set.
	until [ -e /data/made ]; do sleep 0.05; done
	until [ "$(query 'select count from total' 2>/dev/null || echo 0)" -gt 10 ]; do sleep 0.05; done
	query 'select count from total' >/data/before
}

check() {
	[ "$(query 'pragma integrity_check')" = ok ] || fail "$(query 'pragma integrity_check')"
	[ "$(query 'select (select count(*) from pairs) = count and (select sum(twice) from pairs) = sum from total')" = 1 ] ||
		fail "the tables do not agree"
	now=$(query 'select count from total')
	[ "$now" -ge "$(cat /data/before)" ] || fail "the rows were $(cat /data/before) and are $now"
	later=$(beyond "$now" query 'select count from total') || fail "the writer stands still at $now"
	! grep -i error /data/writer || fail "the writer has failed"
	echo "$later" >/data/before
}
