#!/bin/sh
# Unpacks Debian's libiio0, with what it needs and is not here, into the folder given, where the Pluto driver finds it.
# Nothing is installed; where the library is on the system already there is nothing to do.
set -eu
PARTS=$1

if [ "${BANDPACT_LIBIIO_UNPACK:-}" != always ] && /sbin/ldconfig -p 2>/dev/null | grep -q 'libiio\.so\.0'; then exit 0; fi
[ ! -d "$PARTS/libiio" ] || exit 0
command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 || exit 1

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
fetch() {
  names=$(apt-get -s --no-install-recommends install libiio0 2>/dev/null | awk '/^Inst/ { print $2 }')
  # shellcheck disable=SC2086 # a list of packages
  apt-get -qq download libiio0 $names >/dev/null 2>&1
}

rm -rf "$PARTS/libiio.debs" "$PARTS/libiio.new"
mkdir -p "$PARTS/libiio.debs"
cd "$PARTS/libiio.debs"
fetch || { as_root apt-get -qq update >/dev/null 2>&1 && fetch; } || exit 1
for one in *.deb; do dpkg -x "$one" ../libiio.new; done
cd ..
mv libiio.new libiio
rm -rf libiio.debs
