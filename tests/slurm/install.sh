#!/usr/bin/env bash
# Debian's Slurm, for the tests that run a real cluster.
set -euo pipefail
. "$(dirname "$0")/../packages.sh"
need "tests/slurm: Slurm" "munged slurmctld slurmd slurmdbd mariadbd sbatch srun squeue scontrol sacct sacctmgr" \
    "munge slurmctld slurmd slurmdbd slurm-client mariadb-server"
