#!/bin/bash
# Debian stable with the programs of runtime-tests/workloads, in a tree of its own: nothing of the host changes.
set -euo pipefail

peers=${FLOE_PEERS:-/var/tmp/floe-peers}
tree=$peers/workloads
packages=(default-jdk-headless nginx-light nodejs postgresql python3 redis-server sqlite3 tini procps curl)
mirror=${FLOE_MIRROR:-http://deb.debian.org/debian}

if [ "$(id -u)" -ne 0 ]; then
	echo "workloads: needs root (debootstrap)" >&2
	exit 1
fi
if ! command -v debootstrap >/dev/null; then
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
fi

# In a mount and a pid namespace: maintainer scripts want /proc, and no service may outlive its installation.
within_tree() {
	unshare --mount --pid --fork --propagation private bash -ec '
		mount -t proc proc "$0/proc"
		exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin DEBIAN_FRONTEND=noninteractive "$@"' "$tree" "$@"
}

make_tree() {
	rm -rf "$tree.new"
	debootstrap --variant=minbase trixie "$tree.new" "$mirror"
	cp -L /etc/resolv.conf "$tree.new/etc/resolv.conf"
	printf '#!/bin/sh\nexit 101\n' >"$tree.new/usr/sbin/policy-rc.d"
	chmod 755 "$tree.new/usr/sbin/policy-rc.d"
	mv "$tree.new" "$tree"
}

# What is new in the list is added to a tree that is there.
install_packages() {
	within_tree apt-get update
	within_tree apt-get install -y --no-install-recommends "${packages[@]}"
	within_tree apt-get clean
}

missing=0
for package in "${packages[@]}"; do
	[ -e "$tree/var/lib/dpkg/info/$package.list" ] || missing=1
done
[ $missing -eq 0 ] && exit 0
mkdir -p "$peers"
{
	[ -d "$tree" ] || make_tree
	install_packages
} >"$peers/workloads.log" 2>&1 || {
	tail -n 20 "$peers/workloads.log" >&2
	exit 1
}
