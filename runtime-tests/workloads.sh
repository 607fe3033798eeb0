#!/bin/bash
# Debian stable with the programs of runtime-tests/workloads, in a tree of its own: nothing of the host changes.
set -euo pipefail

peers=${FLOE_PEERS:-/var/tmp/floe-peers}
tree=$peers/workloads
packages=(default-jdk-headless mariadb-server nginx-light nodejs postgresql python3 redis-server sqlite3 tini procps curl)
# shellcheck source=runtime-tests/debian.sh
. "$(dirname "$0")/debian.sh"

if [ "$(id -u)" -ne 0 ]; then
	echo "workloads: needs root (debootstrap)" >&2
	exit 1
fi
mapfile -t missing < <(lacks "$tree" "${packages[@]}")
[ ${#missing[@]} -eq 0 ] && exit 0
need_tools debootstrap
mkdir -p "$peers"
exec {err}>&2 >"$peers/workloads.log" 2>&1
trap '[ $? -eq 0 ] || tail -n 20 "$peers/workloads.log" >&"$err"' EXIT
if [ ! -d "$tree" ]; then
	make_tree trixie "$tree.new"
	mv "$tree.new" "$tree"
fi
# What is new in the list is added to a tree that is there.
install_in "$tree" "${missing[@]}"
