#!/bin/sh
# Makes .venv and installs everything the program and its tests need. Says in one line what it installs.
# Does nothing when nothing changed. Needs: git, make, Python >= 3.11, and apt for missing system packages.
# Writes nothing outside this folder except system packages.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/sbin:/usr/sbin"
. build_specs/apt.sh

stamp=.venv/.filmjacket-installed
wanted=$(cat pyproject.toml constraints.txt build_specs/setup.sh | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c pass 2>/dev/null && exit 0

python=
for candidate in python3.14 python3.13 python3.12 python3.11 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate; break
    fi
done
[ -n "$python" ] || { echo "setup: Python 3.11 or newer is needed" >&2; exit 3; }

# Everything missing from the system is installed at once, by what each package brings.
missing=
"$python" -c 'import ensurepip, venv' 2>/dev/null || \
    missing="$missing $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
need() { ldconfig -p 2>/dev/null | grep -qF "$1" || missing="$missing $2"; }
if [ "$(uname -s)" = Linux ]; then
    need libEGL.so.1 libegl1; need libGL.so.1 libgl1; need libxkbcommon.so.0 libxkbcommon0
    need libdbus-1.so.3 libdbus-1-3; need libfontconfig.so.1 libfontconfig1; need libglib-2.0.so.0 libglib2.0-0
    need libxcb-cursor.so.0 libxcb-cursor0; need libxkbcommon-x11.so.0 libxkbcommon-x11-0
    need libxcb-icccm.so.4 libxcb-icccm4; need libxcb-image.so.0 libxcb-image0; need libxcb-keysyms.so.1 libxcb-keysyms1
    need libxcb-render-util.so.0 libxcb-render-util0; need libxcb-shape.so.0 libxcb-shape0
    need libxcb-xinerama.so.0 libxcb-xinerama0; need libxcb-randr.so.0 libxcb-randr0
    # Names on discs come in every script: Latin, Greek, Cyrillic, Arabic and Hebrew (DejaVu), Chinese, Japanese and Korean
    # (one font of 1.6 MB), Thai. Without a font they would show as boxes.
    font() { [ -n "$(find /usr/share/fonts -iname "$1" 2>/dev/null | head -n 1)" ]; }
    font 'DejaVuSans.ttf' || missing="$missing fonts-dejavu-core"
    font '*cjk*.ttc' || font '*cjk*.otf' || font 'wqy-*' || missing="$missing fonts-wqy-microhei"
    font 'Loma.*' || font 'NotoSansThai*' || missing="$missing fonts-tlwg-loma-otf"
fi
# shellcheck disable=SC2086
[ -z "$missing" ] || apt_install setup $missing

# A half-made environment, or one whose Python is gone or too old, is made anew.
.venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || "$python" -m venv --clear .venv
echo "setup: installing Python packages into .venv (a minute or several the first time)"
install() {
    .venv/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check -c constraints.txt "$@" || {
        echo "setup: Python packages could not be installed; is the network there? Run the same command again." >&2; exit 3
    }
}
install setuptools
install --no-build-isolation -e '.[dev]'
echo "$wanted" > "$stamp"
