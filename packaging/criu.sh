#!/bin/bash
# Makes target/floe-criu_VERSION-1_all.deb: the name criu for floe. Apart, because it takes the place of the real one.
set -euo pipefail
. "$(dirname "$0")/stage.sh"

revision=$version-1
maintainer=${DEB_MAINTAINER:-$(git log -1 --format='%an <%ae>')}
doc=$stage/usr/share/doc/floe-criu

mkdir -p "$stage/usr/bin" "$stage/usr/share/man/man1" "$doc"
ln -s floe "$stage/usr/bin/criu"
ln -s floe-criu.1.gz "$stage/usr/share/man/man1/criu.1.gz"
cp packaging/copyright "$doc/copyright"
gzip -9nc >"$doc/changelog.Debian.gz" <<END
floe-criu ($revision) unstable; urgency=medium

  * Version $version; floe's changelog says what is in it.

 -- $maintainer  $(date -R -d "@$SOURCE_DATE_EPOCH")
END
find "$stage" -type f -exec chmod 0644 {} +
chmod 0755 "$stage"

mkdir "$stage/DEBIAN"
(cd "$stage" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
cat >"$stage/DEBIAN/control" <<END
Package: floe-criu
Version: $revision
Architecture: all
Maintainer: $maintainer
Depends: floe (= $revision)
Conflicts: criu
Provides: criu
Section: admin
Priority: optional
Description: floe in the place of CRIU
 Podman, CRI-O and containerd look for a program named criu before they ask
 their runtime for a checkpoint. With floe as the runtime nothing else of CRIU
 is needed: this package brings the name.
 .
 runc and crun checkpoint and restore with it, too. Of the command line of
 criu there are check and swrk.
END
chmod 0644 "$stage"/DEBIAN/*
package=target/floe-criu_${revision}_all.deb
dpkg-deb --root-owner-group -Zxz --build "$stage" "$package" >/dev/null
echo "$package"
