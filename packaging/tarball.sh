#!/bin/bash
# Makes target/floe-VERSION-linux-ARCH.tar.gz: the static binary and what belongs to it, for any distribution.
set -euo pipefail
. "$(dirname "$0")/stage.sh"

name=floe-$version-linux-$(uname -m)
install_into "$stage" "/$name"
cp -r README.md LICENSE CHANGELOG.md ARCHITECTURE.md CONTRIBUTING.md docs contrib "$stage/$name"
tar --directory "$stage" --create --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
	--mode=u+rwX,go+rX,go-w --format=ustar "$name" | gzip -9n >"target/$name.tar.gz"
echo "target/$name.tar.gz"
