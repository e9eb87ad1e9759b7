#!/usr/bin/env bash
# Debian's Slurm, for the tests that run a real cluster. With CI=true a machine that cannot have it is an error.
set -euo pipefail

commands=(munged slurmctld slurmd slurmdbd mariadbd sbatch srun squeue scontrol sacct sacctmgr)
packages=(munge slurmctld slurmd slurmdbd slurm-client mariadb-server)

present() { command -v "${commands[@]}" | wc -l | grep --quiet --line-regexp "${#commands[@]}"; }
fetch() {
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends \
        --option DPkg::Lock::Timeout=120 "${packages[@]}" >/dev/null 2>&1
}

present && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # The lists of packages may be missing or old.
    fetch || { apt-get update --quiet=2 >/dev/null 2>&1 && fetch; } || true
    present && exit 0
fi
echo "tests/slurm: no Slurm here; as root, on Debian or Ubuntu: apt-get install ${packages[*]}" >&2
[ "${CI:-}" != true ]
