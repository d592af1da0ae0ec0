#!/bin/sh
# Installs the peers and clients the tests marked interop talk to. Says in one line what it installs; idempotent.
# A daemon that a package brings (Orthanc) is not started: tests start their own on a free port and stop it.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/sbin:/usr/sbin"
. build_specs/apt.sh
missing=
for pair in storescu:dcmtk gdcmscanner:libgdcm-tools dciodvfy:dicom3tools Orthanc:orthanc curl:curl strace:strace Xvfb:xvfb chromium:chromium; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing="$missing orthanc-dicomweb"
# shellcheck disable=SC2086
[ -z "$missing" ] || apt_install interop $missing
# Under systemd an installed daemon would start with the next boot.
case "$missing" in *orthanc*) if [ -d /run/systemd/system ]; then as_root systemctl disable -q orthanc; fi ;; esac

# The V3 vendor's client wants other versions of libraries than we do: it gets an environment of its own.
stamp=.make/ambra/.installed
if ! [ -f "$stamp" ] || [ "$(cat "$stamp")" != "$(cksum < build_specs/ambra.txt)" ]; then
    echo "interop: installing ambra-sdk into .make/ambra"
    .venv/bin/python -m venv --clear .make/ambra
    .make/ambra/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check -r build_specs/ambra.txt
    cksum < build_specs/ambra.txt > "$stamp"
fi
