#!/bin/bash
# vm-image.sh KERNEL: a Debian with a kernel of that series (6.1, 6.12, …) for vm.sh, from Debian's packages, and QEMU
# to boot it. Prints the directory that it made or found in $FLOE_VM_CACHE: `tree`, `KERNEL/vmlinuz`, `KERNEL/root.img`.
set -euo pipefail

kernel=${1:?KERNEL}
top=$(cd "$(dirname "$0")/.." && pwd)
cache=${FLOE_VM_CACHE:-$top/target/vm}
# shellcheck source=runtime-tests/debian.sh
. "$top/runtime-tests/debian.sh"
# An image that another version of this script made is of no use.
made=$cache/$(cat "$top/runtime-tests/vm-image.sh" "$top/runtime-tests/debian.sh" | sha256sum | cut -c 1-12)
tree=$made/tree
log=$cache/log

# Debian's QEMU 7.2 crashes guests; trixie's does not. It lives in the tree of the guest and runs there by chroot.
# Podman, crun and runc are for containers in containers.
packages=(systemd systemd-sysv dbus kmod busybox-static iproute2 procps uidmap qemu-system-x86 podman crun runc)

make_root() {
	make_tree trixie "$tree.new"
	local suite
	for suite in trixie bookworm sid; do echo "deb $mirror $suite main"; done >"$tree.new/etc/apt/sources.list"
	# Only kernels come from the others.
	printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n\n' bookworm sid >"$tree.new/etc/apt/preferences"
	install_in "$tree.new" "${packages[@]}"
	configure
	mv "$tree.new" "$tree"
}

# What vm.sh sends is a tar on the virtio drive. Its run.sh writes to the second serial line, whose last line is the exit
# status.
configure() {
	local etc=$tree.new/etc unit
	: >"$etc/machine-id"
	: >"$etc/fstab"
	echo vm >"$etc/hostname"
	echo '127.0.0.1 localhost vm' >"$etc/hosts"
	cat >"$etc/systemd/system/tests.service" <<-'END'
		[Unit]
		After=basic.target dbus.service
		Requires=dbus.service
		[Service]
		Environment=HOME=/root LANG=C.UTF-8
		ExecStart=/usr/local/sbin/tests
		ExecStopPost=systemctl poweroff --force --force
		StandardOutput=tty
		StandardError=tty
		TTYPath=/dev/ttyS1
		Delegate=yes
		TasksMax=infinity
		OOMPolicy=continue
	END
	cat >"$tree.new/usr/local/sbin/tests" <<-'END'
		#!/bin/sh
		# Without carriage returns.
		stty -opost </dev/ttyS1
		modprobe --all virtio_pci virtio_blk
		cd / && tar -xpf /dev/vda
		status=0
		/run.sh || status=$?
		echo "vm: exit $status"
		# Waits until that is written: systemd drops what is not when it uses the line.
		stty -opost </dev/ttyS1
	END
	chmod 755 "$tree.new/usr/local/sbin/tests"
	ln -s ../tests.service "$etc/systemd/system/multi-user.target.wants/"
	ln -s /usr/lib/systemd/system/multi-user.target "$etc/systemd/system/default.target"
	# What only a real machine needs.
	for unit in getty.target serial-getty@ttyS0.service systemd-udevd.service systemd-udev-trigger.service \
		systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-logind.service systemd-firstboot.service \
		systemd-random-seed.service systemd-hwdb-update.service systemd-journal-flush.service \
		systemd-journal-catalog-update.service systemd-update-done.service systemd-machine-id-commit.service \
		systemd-pstore.service systemd-binfmt.service systemd-timesyncd.service systemd-tpm2-setup.service \
		systemd-tpm2-setup-early.service systemd-pcrproduct.service apt-daily.timer apt-daily-upgrade.timer \
		dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer; do
		ln -sf /dev/null "$etc/systemd/system/$unit"
	done
}

make_image() {
	local name=linux-image-cloud-amd64 version image download=$tree/srv/kernel release
	version=$(chroot "$tree" apt-cache madison $name | awk -v start="$kernel." 'index($3, start) == 1 { print $3; exit }')
	if [ -z "$version" ]; then
		chroot "$tree" apt-cache madison $name
		echo "Debian has no kernel $kernel; above are those that it has"
		return 1
	fi
	image=$(chroot "$tree" apt-cache depends "$name=$version" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p')
	rm -rf "$download" "$made/$kernel.new"
	mkdir "$download" "$made/$kernel.new"
	# Since 7.x what was one package is several.
	chroot "$tree" sh -ec '
		cd /srv/kernel
		apt-get download "$1" $(apt-cache depends "$1" | sed -n "s/^ *Depends: \(linux-\(binary\|modules\)-.*\)/\1/p")
		for file in *.deb; do dpkg-deb -x "$file" .; done' sh "$image"
	mv "$(find "$download" -name 'vmlinuz*' -type f)" "$made/$kernel.new/vmlinuz"
	release=$(find "$download" -path '*lib/modules/*' -prune -printf '%f\n')
	rm -rf "$tree/usr/lib/modules"
	mkdir "$tree/usr/lib/modules"
	find "$download" -path '*lib/modules/*' -prune -exec mv {} "$tree/usr/lib/modules/" \;
	rm -rf "$download"
	chroot "$tree" depmod "$release"
	# Sparse: the guest sees 4 GiB, the host stores what is used.
	mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$tree" "$made/$kernel.new/root.img" 4G
	mv "$made/$kernel.new" "$made/$kernel"
}

if [ "$(id -u)" -ne 0 ]; then
	echo "vm: needs root (debootstrap, chroot)" >&2
	exit 1
fi
mkdir -p "$cache"
exec {lock}>"$cache/lock"
flock "$lock"
exec {out}>&1 >"$log" {err}>&2 2>&1
trap '[ $? -eq 0 ] || { tail -n 20 "$log"; echo "vm: no image with kernel $kernel from $mirror"; } >&"$err"' EXIT
need_tools debootstrap
if [ ! -d "$tree" ]; then
	rm -rf "$cache"/????????????/
	make_root
fi
[ -d "$made/$kernel" ] || make_image
echo "$made" >&"$out"
