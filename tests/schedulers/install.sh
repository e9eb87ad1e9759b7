#!/usr/bin/env bash
# Lmod and Environment Modules of Debian, for tests of set-ups. One cannot be installed beside the other: Environment
# Modules are unpacked into a folder of their own.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/packages.sh
need "tests/schedulers: Lmod" "tclsh /usr/share/lmod/lmod/libexec/lmod" "tcl lmod"

folder=$PWD/build/environment-modules
[ ! -e "$folder/init.bash" ] || exit 0
command -v apt-get dpkg-deb >/dev/null || exit "$([ "${CI:-}" = true ] && echo 1 || echo 0)"
mkdir -p "$folder"
cd "$folder"
if { apt-get download --quiet=2 environment-modules || { apt-get update --quiet=2 && apt-get download --quiet=2 environment-modules; }; } >log 2>&1; then
    dpkg-deb --extract environment-modules_*.deb .
    # Its two paths into itself.
    sed --in-place "s|/usr/lib/[^ '}]*/modulecmd.tcl|$(echo "$folder"/usr/lib/*/modulecmd.tcl)|" usr/share/modules/init/bash
    ln --symbolic usr/share/modules/init/bash init.bash
else
    tail -n 3 log >&2
    echo "tests/schedulers: Environment Modules cannot be had by apt-get download environment-modules" >&2
    [ "${CI:-}" != true ]
fi
