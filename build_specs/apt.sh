# Shell functions for installing system packages; read by the other scripts here.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else echo "$1 needs root, and there is no sudo here" >&2; return 3
    fi
}

# apt_install WHO PACKAGE...: says what it installs, starts no daemon, is quiet unless it fails.
apt_install() {
    who=$1; shift
    command -v apt-get >/dev/null || { echo "$who: please install: $*" >&2; exit 3; }
    echo "$who: installing system packages: $*"
    mkdir -p .make
    policy=/usr/sbin/policy-rc.d
    ours=
    if [ ! -e "$policy" ]; then
        ours=1
        printf '#!/bin/sh\nexit 101\n' > .make/policy-rc.d
        as_root install -m 755 .make/policy-rc.d "$policy"
    fi
    code=0
    { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@"; } > .make/apt.log 2>&1 || code=$?
    [ -z "$ours" ] || as_root rm -f "$policy"
    [ "$code" = 0 ] || { tail -n 20 .make/apt.log >&2; echo "$who: could not install: $*" >&2; exit 3; }
}
