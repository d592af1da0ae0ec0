#!/bin/sh
# Installs the peers and clients the tests marked interop talk to. Says in one line what it installs; idempotent.
# A daemon that a package brings (Orthanc) is not started: tests start their own on a free port and stop it.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/sbin:/usr/sbin"
. build_specs/apt.sh
missing=
for pair in storescu:dcmtk gdcmscanner:libgdcm-tools dciodvfy:dicom3tools Orthanc:orthanc curl:curl strace:strace Xvfb:xvfb chromium:chromium node:nodejs npm:npm; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing="$missing orthanc-dicomweb"
# shellcheck disable=SC2086
[ -z "$missing" ] || apt_install interop $missing
# Under systemd an installed daemon would start with the next boot.
case "$missing" in *orthanc*) if [ -d /run/systemd/system ]; then as_root systemctl disable -q orthanc; fi ;; esac

# Clients get environments of their own: they want other versions of libraries than we do.
environment() {  # NAME: the packages of build_specs/NAME.txt in .make/NAME
    stamp=.make/$1/.installed
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(cksum < "build_specs/$1.txt")" ] && return
    echo "interop: installing $2 into .make/$1"
    .venv/bin/python -m venv --clear ".make/$1"
    ".make/$1/bin/python" -m pip install -q --no-cache-dir --disable-pip-version-check -r "build_specs/$1.txt"
    cksum < "build_specs/$1.txt" > "$stamp"
}
environment ambra ambra-sdk
environment clients "dicomweb-client and dicomtrolley"

# The browsers' client, with the request object browsers have. No lock file: it would carry download addresses.
stamp=.make/node/.installed
if ! [ -f "$stamp" ] || [ "$(cat "$stamp")" != "$(cksum < build_specs/clients-npm.txt)" ]; then
    echo "interop: installing dicomweb-client (npm) into .make/node"
    rm -rf .make/node && mkdir -p .make/node
    # shellcheck disable=SC2046
    npm install --prefix .make/node --no-save --no-package-lock --no-audit --no-fund --silent $(cat build_specs/clients-npm.txt)
    cksum < build_specs/clients-npm.txt > "$stamp"
fi
