# Sourced by scripts that install what tests need: need WHOSE COMMANDS PACKAGES, each a list of words.
# Nothing is done where all commands are there. With CI=true a machine that cannot have them is an error.
need() {
    local whose="$1" log
    local -a commands packages
    read -r -a commands <<<"$2"
    read -r -a packages <<<"$3"
    present() { command -v "${commands[@]}" | wc -l | grep --quiet --line-regexp "${#commands[@]}"; }
    fetch() {
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends \
            --option DPkg::Lock::Timeout=120 "${packages[@]}"
    }

    ! present || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        log=$(mktemp)
        # The lists of packages may be missing or old.
        if fetch >"$log" 2>&1 || { apt-get update --quiet=2 >>"$log" 2>&1 && fetch >>"$log" 2>&1; }; then
            rm "$log"
            ! present || return 0
        else
            tail -n 3 "$log" >&2 # why apt-get could not, before the line that says what to do
            rm "$log"
        fi
    fi
    echo "$whose is not all here; as root, on Debian or Ubuntu: apt-get install ${packages[*]}" >&2
    [ "${CI:-}" != true ]
}
