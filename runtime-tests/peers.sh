#!/bin/bash
# runc, crun and the engines above them from Debian sid, in a tree of their own: nothing of the host changes.
# bin/runc, bin/crun and bin/criu run on the host: their loader and libraries are the tree's.
set -euo pipefail

peers=${FLOE_PEERS:-/var/tmp/floe-peers}
tree=$peers/sid
packages=(runc crun podman criu containerd ca-certificates busybox-static
	buildah catatonit containernetworking-plugins curl docker-buildx docker-cli docker.io iproute2 netavark nftables
	procps protobuf-compiler python3-pycriu uidmap)
# Where the interface of CRI is described: a package for Go, of which only this file is wanted.
cri_package=golang-k8s-cri-api-dev
cri_proto=usr/share/gocode/src/k8s.io/cri-api/pkg/apis/runtime/v1/api.proto
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
	debootstrap --variant=minbase sid "$tree.new" "$mirror" >"$peers/log" 2>&1 || {
		tail -n 20 "$peers/log" >&2
		exit 1
	}
	mv "$tree.new" "$tree"
fi

# In a mount and a pid namespace: maintainer scripts want /proc, and no service may outlive its installation.
within_tree() {
	unshare --mount --pid --fork --propagation private bash -ec '
		mount -t proc proc "$0/proc"
		exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin DEBIAN_FRONTEND=noninteractive "$@"' "$tree" "$@"
}

# A tree that an older version of this script made lacks packages that are new in the list.
missing=()
for package in "${packages[@]}"; do
	[ -e "$tree/var/lib/dpkg/info/$package.list" ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ] || [ ! -e "$tree/$cri_proto" ]; then
	cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
	printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
	chmod 755 "$tree/usr/sbin/policy-rc.d"
	{
		within_tree apt-get update
		within_tree apt-get install -y --no-install-recommends "${missing[@]}"
		within_tree apt-get clean
		within_tree bash -ec "cd /tmp; apt-get download $cri_package; dpkg-deb -x $cri_package*.deb x
			install -D x/$cri_proto /$cri_proto; rm -r x $cri_package*.deb"
	} >"$peers/log" 2>&1 || {
		tail -n 20 "$peers/log" >&2
		exit 1
	}
fi

mkdir -p "$peers/bin"
loader=$(find "$tree/usr/lib" "$tree/usr/lib64" -name 'ld-linux-*.so.*' -print -quit)
libraries=$tree/usr/lib/$(uname -m)-linux-gnu
for program in usr/sbin/runc usr/bin/crun usr/sbin/criu; do
	name=$(basename "$program")
	[ "$peers/bin/$name" -nt "$tree/$program" ] && continue
	cp "$tree/$program" "$peers/bin/$name.new"
	patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$peers/bin/$name.new"
	mv "$peers/bin/$name.new" "$peers/bin/$name"
done
"$peers/bin/runc" --version | sed -n 1p
"$peers/bin/crun" --version | sed -n 1p
"$peers/bin/criu" --version | sed -n 's/^Version:/criu version/p'
