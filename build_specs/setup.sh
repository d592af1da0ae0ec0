#!/bin/sh
# Makes .venv and installs everything the program and its tests need. Says in one line what it installs.
# Does nothing when nothing changed. Needs: git, make, Python >= 3.11, and apt for missing system packages.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.filmjacket-installed
wanted=$(cat pyproject.toml constraints.txt build_specs/setup.sh | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

apt_updated=
apt_install() {
    command -v apt-get >/dev/null || { echo "setup: please install: $*" >&2; exit 3; }
    echo "setup: installing system packages: $*"
    if [ -z "$apt_updated" ]; then as_root apt-get update -qq >/dev/null; apt_updated=1; fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

python=
for candidate in python3.14 python3.13 python3.12 python3.11 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate; break
    fi
done
[ -n "$python" ] || { echo "setup: Python 3.11 or newer is needed" >&2; exit 3; }

"$python" -c 'import ensurepip, venv' 2>/dev/null || \
    apt_install "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"

# Shared libraries Qt loads, by the file each package brings.
missing=
need() { ldconfig -p 2>/dev/null | grep -q "$1" || missing="$missing $2"; }
if [ "$(uname -s)" = Linux ]; then
    PATH="$PATH:/sbin:/usr/sbin"
    need libEGL.so.1 libegl1; need libGL.so.1 libgl1; need libxkbcommon.so.0 libxkbcommon0
    need libdbus-1.so.3 libdbus-1-3; need libfontconfig.so.1 libfontconfig1; need libglib-2.0.so.0 libglib2.0-0
    need libxcb-cursor.so.0 libxcb-cursor0; need libxkbcommon-x11.so.0 libxkbcommon-x11-0
    need libxcb-icccm.so.4 libxcb-icccm4; need libxcb-image.so.0 libxcb-image0; need libxcb-keysyms.so.1 libxcb-keysyms1
    need libxcb-render-util.so.0 libxcb-render-util0; need libxcb-shape.so.0 libxcb-shape0
    need libxcb-xinerama.so.0 libxcb-xinerama0; need libxcb-randr.so.0 libxcb-randr0
    [ -n "$(find /usr/share/fonts -name 'DejaVuSans.ttf' 2>/dev/null | head -n 1)" ] || missing="$missing fonts-dejavu-core"
    # shellcheck disable=SC2086
    [ -z "$missing" ] || apt_install $missing
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "setup: installing Python packages into .venv (several minutes the first time)"
.venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt setuptools
.venv/bin/python -m pip install -q --disable-pip-version-check --no-build-isolation -c constraints.txt -e '.[dev]'
echo "$wanted" > "$stamp"
