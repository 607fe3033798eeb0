# Sourced by peers.sh, vm-image.sh and workloads.sh: Debians in directories of their own. Nothing of the host changes, but
# debootstrap is installed.

mirror=${FLOE_MIRROR:-http://deb.debian.org/debian}

# need_tools PACKAGE...: installs those on the host whose programs, which have the same names, it lacks.
need_tools() {
	local missing=() tool
	for tool; do command -v "$tool" >/dev/null || missing+=("$tool"); done
	[ ${#missing[@]} -eq 0 ] && return
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# make_tree SUITE TREE: a minimal system, in which no service starts.
make_tree() {
	rm -rf "$2"
	mkdir -p "$(dirname "$2")"
	debootstrap --variant=minbase "$1" "$2" "$mirror"
	cp -L /etc/resolv.conf "$2/etc/resolv.conf"
	printf '#!/bin/sh\nexit 101\n' >"$2/usr/sbin/policy-rc.d"
	chmod 755 "$2/usr/sbin/policy-rc.d"
}

# within_tree TREE COMMAND...: in a mount and a pid namespace, because maintainer scripts want /proc and no service may
# outlive its installation.
within_tree() {
	unshare --mount --pid --fork --propagation private bash -ec '
		mount -t proc proc "$0/proc"
		exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin DEBIAN_FRONTEND=noninteractive "$@"' "$@"
}

# install_in TREE PACKAGE...
install_in() {
	within_tree "$1" apt-get -o Acquire::Check-Valid-Until=false update
	within_tree "$1" apt-get install -y --no-install-recommends "${@:2}"
	within_tree "$1" apt-get clean
}

# lacks TREE PACKAGE...: prints those that are not installed there.
lacks() {
	local package
	for package in "${@:2}"; do
		[ -e "$1/var/lib/dpkg/info/$package.list" ] || echo "$package"
	done
}
