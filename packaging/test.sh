#!/bin/bash
# Makes all packages twice and looks at them: the same bytes, a small static binary, an installation that leaves
# nothing behind when it is purged. Root, for dpkg --root.
set -euo pipefail
cd "$(dirname "$0")/.."

passed=0
ok() {
	passed=$((passed + 1))
	echo "ok $*"
}
fail() {
	echo "packaging: $*" >&2
	exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for kind in tarball deb criu; do
	file=$(packaging/$kind.sh)
	cp "$file" "$work/$kind"
	# Another time, another umask.
	(umask 077 && packaging/$kind.sh >/dev/null)
	cmp "$file" "$work/$kind" || fail "$file is not reproducible"
	ok "$file: the same bytes twice"
done

mkdir "$work/tar"
tar -xzf "$work/tarball" -C "$work/tar" --strip-components=1
binary=$work/tar/bin/floe
[ "$(readelf -lW "$binary" | grep -c INTERP)" = 0 ] || fail "the binary has a dynamic loader"
[ "$(readelf -dW "$binary" | grep -c NEEDED)" = 0 ] || fail "the binary needs shared libraries"
[ -z "$(readelf -SW "$binary" | grep -w .symtab)" ] || fail "the binary is not stripped"
size=$(stat -c %s "$binary")
[ "$size" -le $((6 << 20)) ] || fail "the binary has $size bytes, more than 6 MiB"
ok "static, stripped, $size bytes"
"$binary" --version | grep -q "^commit: $(git describe --always --abbrev=12 2>/dev/null)" || fail "the commit is missing"
ok "the version names the commit"
for file in LICENSE README.md contrib/docker/daemon.json share/man/man1/floe-check.1 share/fish/vendor_completions.d/floe.fish \
	share/bash-completion/completions/floe; do
	[ -s "$work/tar/$file" ] || fail "the tarball lacks $file"
done
[ -z "$(tar -tvzf "$work/tarball" | awk '$2 != "0/0"')" ] || fail "somebody's user in the tarball"
ok "the tarball has all files, owned by root"

if command -v lintian >/dev/null; then
	for kind in deb criu; do
		lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$(packaging/$kind.sh)" || fail "lintian"
	done
	ok "lintian has nothing to say"
else
	echo "skip lintian: not installed"
fi

root=$work/root
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/log"
touch "$root/var/lib/dpkg/status"
cp "$work/deb" "$work/floe.deb"
files() { (cd "$root" && find . -path ./var -prune -o ! -type d -print | sort); }
dpkg --root="$root" --install "$work/floe.deb" >/dev/null
(cd "$root" && md5sum --quiet --check var/lib/dpkg/info/floe.md5sums) || fail "md5sums"
cmp "$binary" "$root/usr/bin/floe" || fail "another binary than the tarball's"
"$root/usr/bin/floe" features | grep -q ociVersionMax || fail "the installed binary does not run"
[ -s "$root/usr/share/man/man1/floe-run.1.gz" ] || fail "no man page"
[ -s "$root/usr/share/doc/floe/examples/containers.conf.d/50-floe.conf" ] || fail "no examples"
ok "dpkg installs $(files | wc -l) files"
cp "$work/criu" "$work/floe-criu.deb"
dpkg --root="$root" --install "$work/floe-criu.deb" >/dev/null
"$root/usr/bin/criu" --version | grep -qx 'Version: 4.2' || fail "criu does not answer"
dpkg --root="$root" --purge floe-criu >/dev/null
ok "criu is floe while floe-criu is installed"
dpkg --root="$root" --remove floe >/dev/null
[ -z "$(files)" ] || fail "left after remove: $(files)"
dpkg --root="$root" --install "$work/floe.deb" >/dev/null
dpkg --root="$root" --purge floe >/dev/null
[ -z "$(files)" ] || fail "left after purge: $(files)"
[ ! -e "$root/usr/share/doc/floe" ] || fail "directories are left after purge"
ok "remove and purge leave nothing"
echo "test result: ok. $passed passed; 0 failed; 0 ignored"
