#!/bin/sh
# Builds bandpact_VERSION_ARCH.deb: sh deploy/deb/build.sh WHEEL OUT [DEPS]
#
# WHEEL  what `python -m build` made
# OUT    the folder for the package
# DEPS   a folder of installed dependencies (pip install --target DEPS -c constraints.txt WHEEL) that goes along in
#        /opt/bandpact/deps, so that the package needs no network. Left out, the package holds bandpact alone and finds
#        its dependencies in PYTHONPATH.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
wheel=$1 out=$2 deps=${3:-}
PYTHON=${PYTHON:-python3}
version=$(basename "$wheel" | cut -d- -f2)
if [ -n "$deps" ]; then
  arch=$(dpkg --print-architecture)
  python=$("$PYTHON" -c 'import sys; a, b = sys.version_info[:2]; print(f"python3 (>= {a}.{b}), python3 (<< {a}.{b + 1})")')
else
  arch=all python="python3 (>= 3.11)"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/bandpact

mkdir -p "$root/DEBIAN" "$root/opt/bandpact/app" "$root/usr/bin" "$root/usr/share/doc/bandpact" "$root/lib/systemd/system"
"$PYTHON" -m zipfile -e "$wheel" "$root/opt/bandpact/app"
[ -z "$deps" ] || cp -a "$deps" "$root/opt/bandpact/deps"

cat >"$root/usr/bin/bandpact" <<'RUN'
#!/bin/sh
PYTHONPATH=/opt/bandpact/app:/opt/bandpact/deps${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
# -P: no module is taken from the folder that it is called in, which others may write to.
exec /usr/bin/env python3 -P -m agent.cli.main "$@"
RUN
chmod 755 "$root/usr/bin/bandpact"

# Units, users and rules, as `bandpact install-service` writes them, where packages put them.
for unit in bandpact bandpact-warden bandpact-mute; do
  sed -e 's|/usr/bin/env bandpact|/usr/bin/bandpact|; s|/etc/bandpact/config.toml|/var/lib/bandpact/node.toml|' \
    -e 's|^\[Service\]$|[Service]\nEnvironment=BANDPACT_RUN_FOLDER=/run/bandpact|' \
    "$here/$unit.service" >"$root/lib/systemd/system/$unit.service"
done
mkdir -p "$root/usr/lib/sysusers.d" "$root/usr/lib/tmpfiles.d" "$root/lib/udev/rules.d" "$root/usr/share/bandpact"
cp "$here/bandpact.sysusers" "$root/usr/lib/sysusers.d/bandpact.conf"
cp "$here/bandpact.tmpfiles" "$root/usr/lib/tmpfiles.d/bandpact.conf"
cp "$here/70-bandpact-pluto.rules" "$root/lib/udev/rules.d/70-bandpact-pluto.rules"
mkdir -p "$root/usr/lib/systemd/system-sleep"
install -m 755 "$here/bandpact.sleep" "$root/usr/lib/systemd/system-sleep/bandpact"
cp -r "$here/bandpact.nft" "$here/prometheus" "$here/grafana" "$here/pluto" "$root/usr/share/bandpact/"
cp "$here/../LICENSE" "$root/usr/share/doc/bandpact/copyright"

# Manual pages and completion, from the command line that is packed.
PYTHONPATH="$root/opt/bandpact/app:$root/opt/bandpact/deps${PYTHONPATH:+:$PYTHONPATH}" \
  "$PYTHON" -m agent.install.manual "$work/manual"
mkdir -p "$root/usr/share/man" "$root/usr/share/bash-completion/completions" "$root/usr/share/zsh/vendor-completions" \
  "$root/usr/share/fish/vendor_completions.d"
cp -r "$work/manual/man/man1" "$root/usr/share/man/"
gzip -9n "$root"/usr/share/man/man1/*.1
cp "$work/manual/completions/bash/bandpact" "$root/usr/share/bash-completion/completions/bandpact"
cp "$work/manual/completions/zsh/_bandpact" "$root/usr/share/zsh/vendor-completions/_bandpact"
cp "$work/manual/completions/fish/bandpact.fish" "$root/usr/share/fish/vendor_completions.d/bandpact.fish"

cat >"$root/DEBIAN/control" <<CONTROL
Package: bandpact
Version: $version
Architecture: $arch
Maintainer: bandpact maintainers <maintainers@bandpact.example>
Depends: $python
Recommends: chrony | gpsd, libiio0, nftables
Section: hamradio
Priority: optional
Installed-Size: $(du -sk "$root" | cut -f1)
Description: share radio spectrum by agreement between neighbours
 Each node senses which parts of a band are in use, signs what it saw, and settles with its neighbour who may transmit
 where, when and how loud. Its radio transmits only while such a settlement covers what it is about to send.
CONTROL
cat >"$root/DEBIAN/postinst" <<'POST'
#!/bin/sh
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
  systemd-sysusers bandpact.conf || true
  systemd-tmpfiles --create bandpact.conf || true
  udevadm control --reload || true
  systemctl daemon-reload || true
fi
POST
cat >"$root/DEBIAN/prerm" <<'PRE'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl disable --now bandpact bandpact-warden bandpact-mute || true
fi
PRE
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm"
find "$root" -name __pycache__ -type d -prune -exec rm -rf {} +
chmod -R u=rwX,go=rX "$root"
mkdir -p "$out"
dpkg-deb --root-owner-group -Znone -b "$root" "$out/bandpact_${version}_${arch}.deb" >/dev/null
echo "$out/bandpact_${version}_${arch}.deb"
