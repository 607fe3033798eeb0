# Sourced by the scripts beside it: names, versions, and what goes into a package, below $stage.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# The time of the last change rather than that of the build, so that the same source gives the same bytes.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export LC_ALL=C.UTF-8 TZ=UTC
umask 022
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

# Binary, man pages and completions below DIRECTORY/PREFIX.
install_into() { make --no-print-directory --silent install DESTDIR="$1" PREFIX="$2"; }
