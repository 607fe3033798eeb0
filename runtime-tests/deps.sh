#!/bin/bash
# Installs what building and testing need on Debian; does nothing, and needs no root, when all of it is there.
set -euo pipefail

missing=()
need() { # package, then a file that it brings
	[ -e "$2" ] || missing+=("$1")
}

libdir=/usr/lib/$(uname -m)-linux-gnu
need gcc /usr/bin/gcc
# libFuzzer is compiled for make fuzz.
need g++ /usr/bin/g++
need libc6-dev "$libdir/libc.a"
need libseccomp-dev "$libdir/libseccomp.a"
need busybox-static /usr/bin/busybox
need uidmap /usr/bin/newuidmap
command -v ip >/dev/null || missing+=(iproute2)
need procps /usr/bin/ps
need git /usr/bin/git

# Debian's busybox package has the same file, linked dynamically: useless in an empty root file system.
if [ -e /usr/bin/busybox ] && ldd /usr/bin/busybox >/dev/null 2>&1; then
	missing+=(busybox-static)
fi

[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null; then
	echo "please install: ${missing[*]} (Debian's package names)" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "please install, as root: apt-get install ${missing[*]}" >&2
	exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null; then
	echo "apt-get cannot install them; please install: ${missing[*]}" >&2
	exit 1
fi
