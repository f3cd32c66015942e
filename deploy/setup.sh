#!/bin/sh
# Makes the virtual environment and installs the exact versions of constraints.txt into it.
set -eu
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}

say() { printf '%s\n' "$*" >&2; }

command -v "$PYTHON" >/dev/null 2>&1 || { say "setup: no $PYTHON here; run: sudo apt-get install python3 python3-venv"; exit 1; }
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  { say "setup: $("$PYTHON" --version) is too old; give Python 3.11 or newer: make PYTHON=python3.11"; exit 1; }

install_venv() {
  if [ "$(id -u)" = 0 ]; then as=""; elif sudo -n true 2>/dev/null; then as="sudo -n"; else return 1; fi
  command -v apt-get >/dev/null 2>&1 || return 1
  say "setup: installing Debian's python3-venv"
  { $as apt-get -qq update && DEBIAN_FRONTEND=noninteractive $as apt-get -qq install -y python3-venv; } >/dev/null
}

if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
  install_venv || { say "setup: Python cannot make virtual environments; run: sudo apt-get install python3-venv"; exit 1; }
fi
[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV" ||
  { say "setup: cannot make $VENV; check that this folder can be written and has about 700 MB free"; exit 1; }
say "setup: installing into $VENV (once; a minute or two)"
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'

# The parts the clock's tests run against: Debian's gpsd with gpsfake, and chrony. They are only unpacked beside the
# environment: installing them would start daemons here and replace the one that keeps this machine's clock.
PARTS="$VENV/parts"
PACKAGES="gpsd gpsd-clients python3-gps libgps28 libbluetooth3 chrony"
unpack_parts() {
  command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 || return 1
  mkdir -p "$PARTS/debs" && cd "$PARTS/debs" || return 1
  # shellcheck disable=SC2086 # a list of packages
  if ! apt-get -qq download $PACKAGES >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then apt-get -qq update; elif sudo -n true 2>/dev/null; then sudo -n apt-get -qq update; fi >/dev/null 2>&1
    apt-get -qq download $PACKAGES >/dev/null 2>&1 || return 1
  fi
  for one in *.deb; do dpkg -x "$one" "$PARTS/root" || return 1; done
}
[ -d "$PARTS/root" ] || (unpack_parts) ||
  say "setup: could not fetch Debian's gpsd and chrony; the tests that need them will skip and say so"
