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
  { say "setup: cannot make $VENV; check that this folder can be written and has about 1.3 GB free"; exit 1; }
# Whoever watches sees each package come; a log has only what went wrong.
if [ -t 2 ]; then quiet=""; else quiet="--quiet"; fi
say "setup: installing into $VENV (once; a minute or two)"
# shellcheck disable=SC2086 - an option or nothing
"$VENV/bin/python" -m pip install $quiet --disable-pip-version-check -c constraints.txt -e '.[dev,pluto]'

say "setup: compiling the loops of sensing (half a minute)"
"$VENV/bin/python" -m sensing.compilation

[ -d "$VENV/parts/root" ] || sh deploy/parts.sh "$VENV/parts" ||
  say "setup: could not fetch Debian's gpsd and chrony; the tests that need them skip and say so"
sh deploy/libiio.sh "$VENV/parts" ||
  say "setup: could not fetch Debian's libiio0; the tests that need it skip and say so"
