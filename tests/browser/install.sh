#!/usr/bin/env bash
# Debian's Chromium, for the tests of the report page. With CI=true a machine that cannot have it is an error.
set -euo pipefail

present() { command -v chromium >/dev/null; }
fetch() {
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends \
        --option DPkg::Lock::Timeout=120 chromium
}

present && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    log=$(mktemp)
    # The lists of packages may be missing or old.
    if fetch >"$log" 2>&1 || { apt-get update --quiet=2 >>"$log" 2>&1 && fetch >>"$log" 2>&1; }; then
        rm "$log"
        present && exit 0
    else
        tail -n 3 "$log" >&2 # why apt-get could not, before the line that says what to do
        rm "$log"
    fi
fi
echo "tests/browser: no chromium here; as root, on Debian or Ubuntu: apt-get install chromium" >&2
[ "${CI:-}" != true ]
