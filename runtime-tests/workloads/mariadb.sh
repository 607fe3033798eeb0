# MariaDB, whose InnoDB reads and writes through io_submit(2), with transactions of three clients at work.
database=/data/database
socket=/data/socket

sql() {
	mariadb --no-defaults --socket $socket --user mysql --batch --skip-column-names --execute "$1" bank
}

start() {
	mkdir $database
	mariadb-install-db --no-defaults --datadir=$database --auth-root-authentication-method=normal >/dev/null 2>&1
	/usr/sbin/mariadbd --no-defaults --datadir $database --socket $socket --skip-networking --skip-grant-tables \
		--innodb-linux-aio=aio --innodb-flush-method=O_DIRECT --innodb-buffer-pool-size=16M >/data/log 2>&1 &
	until mariadb --no-defaults --socket $socket --execute 'create database bank'; do sleep 0.1; done >/dev/null 2>&1
	sql "create table accounts (id int primary key, balance bigint not null, filler varchar(3000));
		create table history (id bigint auto_increment primary key, delta bigint not null);
		insert into accounts select seq, 0, repeat('x', 3000) from seq_1_to_5000;
		delimiter //
		create procedure work() while true do
			set @delta = floor(rand() * 1000) - 500, @id = 1 + floor(rand() * 5000);
			start transaction;
			update accounts set balance = balance + @delta where id = @id;
			insert into history (delta) values (@delta);
			commit;
			do sleep(0.01);
		end while //"
	for client in 1 2 3; do sql 'call work()' >>/data/clients 2>&1 & done
	wait
}

prepare() {
	until [ "$(sql 'select count(*) from history' 2>/dev/null || echo 0)" -gt 20 ]; do sleep 0.1; done
	sql 'select count(*) from history' >/data/before
	grep -q 'Using Linux native AIO' /data/log || fail "no native AIO: $(cat /data/log)"
}

consistent() {
	sums=$(sql 'select (select sum(balance) from accounts) = (select sum(delta) from history)')
	[ "$sums" = 1 ] || fail "the sums differ"
}

check() {
	consistent
	now=$(sql 'select count(*) from history')
	[ "$now" -ge "$(cat /data/before)" ] || fail "transactions were $(cat /data/before) and are $now"
	beyond "$now" sql 'select count(*) from history' >/dev/null ||
		fail "the clients stand still at $now: $(cat /data/clients)"
	sql 'flush tables; check table accounts, history' | awk '$NF != "OK" { exit 1 }' || fail "tables are damaged"
	consistent
	sql 'select count(*) from history' >/data/before
	! grep '\[ERROR\]' /data/log || fail "the log has errors"
}
