#!/bin/sh
# Unpacks Debian's gpsd, gpsfake and chrony, with what they need and is not here, into the folder given; `make test` runs
# the clock against them. They are never installed: that would start daemons, and chrony would take over this machine's
# clock. Where all of them are installed already there is nothing to do.
set -eu
PARTS=$1

have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }
if have gpsd && have gpsfake && have chronyd && have chronyc; then
  mkdir -p "$PARTS/root"
  exit 0
fi
have apt-get && have dpkg || exit 1

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
# gpsd-clients' own file is enough of it: its desktop programs are not wanted, nor all that they depend on.
wanted() {
  apt-get -s --no-install-recommends install gpsd python3-gps chrony 2>/dev/null | awk '/^Inst/ { print $2 }'
  echo gpsd-clients
}
fetch() {
  names=$(wanted)
  [ "$names" != gpsd-clients ] || return 1 # no package lists here yet
  # shellcheck disable=SC2086 # a list of packages
  apt-get -qq download $names >/dev/null 2>&1
}

mkdir -p "$PARTS/debs"
cd "$PARTS/debs"
fetch || { as_root apt-get -qq update >/dev/null 2>&1 && fetch; } || exit 1
for one in *.deb; do dpkg -x "$one" "$PARTS/new"; done
mv "$PARTS/new" "$PARTS/root"
rm -rf "$PARTS/debs"
