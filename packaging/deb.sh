#!/bin/bash
# Makes target/floe_VERSION-1_ARCH.deb with dpkg-deb alone. No maintainer scripts: there is nothing to run.
set -euo pipefail
. "$(dirname "$0")/stage.sh"

revision=$version-1
architecture=$(dpkg --print-architecture)
# Whoever made the last change, unless the builder says otherwise.
maintainer=${DEB_MAINTAINER:-$(git log -1 --format='%an <%ae>')}
share=$stage/usr/share
doc=$share/doc/floe

install_into "$stage" /usr
gzip -9n "$share"/man/man1/*.1
# Where Debian's zsh looks for what packages bring.
mv "$share/zsh/site-functions" "$share/zsh/vendor-completions"

mkdir -p "$doc/examples" "$share/lintian/overrides"
cp packaging/copyright "$doc/copyright"
cp README.md "$doc"
cp -r docs "$doc"
cp -r contrib/. "$doc/examples"
gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
gzip -9nc >"$doc/changelog.Debian.gz" <<END
floe ($revision) unstable; urgency=medium

  * Version $version; changelog.gz says what is in it.

 -- $maintainer  $(date -R -d "@$SOURCE_DATE_EPOCH")
END
cat >"$share/lintian/overrides/floe" <<END
# No dynamic loader may run inside a container before the program does.
floe: statically-linked-binary [usr/bin/floe]
# A static position-independent executable looks like a library.
floe: shared-library-lacks-prerequisites [usr/bin/floe]
END
find "$stage" -type f ! -path '*/bin/*' -exec chmod 0644 {} +
chmod 0755 "$stage"

size=$(du -k --apparent-size -s "$stage/usr" | cut -f 1)
mkdir "$stage/DEBIAN"
(cd "$stage" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
cat >"$stage/DEBIAN/control" <<END
Package: floe
Version: $revision
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $size
Section: admin
Priority: optional
Recommends: uidmap
Suggests: podman | containerd, procps
Description: OCI container runtime with runc's command line
 floe creates, starts and deletes containers for Podman, containerd, CRI-O,
 Docker and BuildKit. It takes runc's commands and flags and gives runc's
 output, exit codes and error words, so that an engine that is pointed at it
 notices no difference.
 .
 It is one static binary and needs cgroup v2. Files that point an engine at
 floe are among the examples.
END
chmod 0644 "$stage"/DEBIAN/*
dpkg-deb --root-owner-group -Zxz --build "$stage" "target/floe_${revision}_$architecture.deb" >/dev/null
echo "target/floe_${revision}_$architecture.deb"
