#!/bin/sh
# compile.sh DIRECTORY PROGRAM...: compiles programs, by their sources' paths without the extension, into a directory,
# unless what is there is newer.
set -eu

directory=$1
shift
cd "$(dirname "$0")"
for program; do
	built=$directory/$program
	mkdir -p "$(dirname "$built")"
	[ -n "$(find "$program.c" ./*.h -newer "$built" 2>&1)" ] || continue
	cc -std=gnu11 -O1 -g -Wall -Wextra -Werror -static -pthread -o "$built.$$" "$program.c"
	mv "$built.$$" "$built"
done
