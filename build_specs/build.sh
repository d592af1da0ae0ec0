#!/bin/sh
# Makes dist/filmjacket, one folder that runs without Python, and then starts it: a build that does not run has failed.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/sbin:/usr/sbin"
. build_specs/apt.sh
missing=
command -v objdump >/dev/null || missing=binutils
.venv/bin/python -c 'from PyInstaller.depend.bindepend import get_python_library_path as path; path()' 2>/dev/null || \
    missing="$missing $(.venv/bin/python -c 'import sys; print("libpython%d.%d" % sys.version_info[:2])')"
# shellcheck disable=SC2086
[ -z "$missing" ] || apt_install build $missing
echo "build: making dist/filmjacket (a few minutes)"
mkdir -p .make
if ! PYINSTALLER_CONFIG_DIR=.make/pyinstaller .venv/bin/python -m PyInstaller --noconfirm --clean --log-level WARN \
    --distpath dist --workpath build build_specs/filmjacket.spec > .make/build.log 2>&1; then
    tail -n 40 .make/build.log >&2
    echo "build: failed; .make/build.log says why" >&2
    exit 1
fi
echo "build: starting what was made"
QT_QPA_PLATFORM=offscreen .venv/bin/python -m pytest -q -m build tests/test_build_frozen.py
echo "build: dist/filmjacket, $(du -sm dist/filmjacket | cut -f1) MB"
