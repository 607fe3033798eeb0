#!/bin/bash
# runc, crun and the engines above them from Debian sid, in a tree of their own: nothing of the host changes.
# bin/runc and bin/crun run on the host: their loader and libraries are the tree's.
set -euo pipefail

peers=${FLOE_PEERS:-/var/tmp/floe-peers}
tree=$peers/sid
packages=runc,crun,podman,criu,containerd,ca-certificates,busybox-static
mirror=${FLOE_MIRROR:-http://deb.debian.org/debian}

if [ "$(id -u)" -ne 0 ]; then
	echo "peers: needs root (debootstrap)" >&2
	exit 1
fi

tools=()
command -v debootstrap >/dev/null || tools+=(debootstrap)
command -v patchelf >/dev/null || tools+=(patchelf)
if [ ${#tools[@]} -gt 0 ]; then
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${tools[@]}" >/dev/null
fi

if [ ! -x "$tree/usr/bin/crun" ] || [ ! -x "$tree/usr/sbin/runc" ]; then
	rm -rf "$tree.new"
	mkdir -p "$peers"
	debootstrap --variant=minbase --include="$packages" sid "$tree.new" "$mirror" >"$peers/log" 2>&1 || {
		tail -n 20 "$peers/log" >&2
		exit 1
	}
	mv "$tree.new" "$tree"
fi

mkdir -p "$peers/bin"
loader=$(find "$tree/usr/lib" "$tree/usr/lib64" -name 'ld-linux-*.so.*' -print -quit)
libraries=$tree/usr/lib/$(uname -m)-linux-gnu
for program in usr/sbin/runc usr/bin/crun; do
	name=$(basename "$program")
	[ "$peers/bin/$name" -nt "$tree/$program" ] && continue
	cp "$tree/$program" "$peers/bin/$name.new"
	patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$peers/bin/$name.new"
	mv "$peers/bin/$name.new" "$peers/bin/$name"
done
"$peers/bin/runc" --version | head -n 1
"$peers/bin/crun" --version | head -n 1
