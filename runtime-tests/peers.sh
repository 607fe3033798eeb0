#!/bin/bash
# runc, crun and the engines above them from Debian sid, in a tree of their own: nothing of the host changes.
# bin/runc, bin/crun and bin/criu run on the host: their loader and libraries are the tree's.
set -euo pipefail

peers=${FLOE_PEERS:-/var/tmp/floe-peers}
tree=$peers/sid
packages=(runc crun podman criu libcriu2 containerd ca-certificates busybox-static
	buildah catatonit checkpointctl containernetworking-plugins curl docker-buildx docker-cli docker.io iproute2 lxc
	netavark nftables procps protobuf-compiler python3-pycriu uidmap)
# Where the interface of CRI is described: a package for Go, of which only this file is wanted.
cri_package=golang-k8s-cri-api-dev
cri_proto=usr/share/gocode/src/k8s.io/cri-api/pkg/apis/runtime/v1/api.proto
# shellcheck source=runtime-tests/debian.sh
. "$(dirname "$0")/debian.sh"

if [ "$(id -u)" -ne 0 ]; then
	echo "peers: needs root (debootstrap)" >&2
	exit 1
fi

need_tools debootstrap patchelf
mkdir -p "$peers"
mapfile -t missing < <(lacks "$tree" "${packages[@]}")
exec {err}>&2
trap '[ $? -eq 0 ] || tail -n 20 "$peers/log" >&"$err"' EXIT
if [ ${#missing[@]} -gt 0 ] || [ ! -e "$tree/$cri_proto" ]; then
	if [ ! -d "$tree" ]; then
		make_tree sid "$tree.new"
		mv "$tree.new" "$tree"
	fi
	# A tree that an older version of this script made lacks packages that are new in the list.
	install_in "$tree" "${missing[@]}"
	within_tree "$tree" bash -ec "cd /tmp; apt-get download $cri_package; dpkg-deb -x $cri_package*.deb x
		install -D x/$cri_proto /$cri_proto; rm -r x $cri_package*.deb"
fi >"$peers/log" 2>&1

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
