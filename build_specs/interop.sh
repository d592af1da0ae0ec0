#!/bin/sh
# Installs the peers and clients the tests marked interop talk to. Says in one line what it installs; idempotent.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/sbin:/usr/sbin"
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
missing=
for pair in storescu:dcmtk gdcmscanner:libgdcm-tools dciodvfy:dicom3tools curl:curl strace:strace Xvfb:xvfb; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
    echo "interop: installing$missing"
    as_root apt-get update -qq >/dev/null
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
