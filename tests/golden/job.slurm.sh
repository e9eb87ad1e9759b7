#!/usr/bin/env bash
# s.1: n3-dp12-mp1-pp1-mbs1-gbs24-s128-12c2ea
# key:     s_1-0123456789ab
# layout:  3 nodes x 4 ranks = DP 12 x MP 1 x PP 1
# batch:   MBS 1, GBS 24, 128 tokens a sample, AC off
#SBATCH --job-name=s_1-0123456789ab
#SBATCH --output="/WORK/50%% of #1, a \"b\" & c/results/s.1/layouts/n3-dp12-mp1-pp1-mbs1-gbs24-s128-12c2ea/%x.log"
#SBATCH --open-mode=append
#SBATCH --no-requeue
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=4
#SBATCH --partition=gpu-s.1
#SBATCH --time=25:01:01
#SBATCH -A "my project"
#SBATCH --comment="50 % of #3, then (a|b) & *"
#SBATCH --constraint="[a100&nvlink]"
#SBATCH --exclusive
#SBATCH --gpus-per-node=4
#SBATCH --mail-type=END
#SBATCH --mail-type=FAIL
#SBATCH --mem=0
set -euo pipefail

directory='/WORK/50% of #1, a "b" & c/results/s.1/layouts/n3-dp12-mp1-pp1-mbs1-gbs24-s128-12c2ea'
# Each submission has a name of its own, from its launcher or as the job's name; a run by hand makes one.
NODESWEEP_KEY="${SLURM_JOB_NAME:-}"
if [[ "$NODESWEEP_KEY" != s_1-0123456789ab-* ]]; then
    NODESWEEP_KEY=s_1-0123456789ab-byhand-$(date -u +%Y%m%dT%H%M%S)-$$
    echo "output goes to ${directory}/${NODESWEEP_KEY}.log"
    exec >>"${directory}/${NODESWEEP_KEY}.log" 2>&1
fi
export NODESWEEP_KEY
# A submission starts once: not again after a requeue, and not at all when its launcher has given it up.
set -o noclobber
if ! { true >"${directory}/${NODESWEEP_KEY}.started"; } 2>/dev/null; then
    echo "nodesweep: ${NODESWEEP_KEY} does not run: it has been given up, or has started before," \
        "or ${directory} cannot be written to"
    exit 75
fi
set +o noclobber
cd -- '/WORK/50% of #1, a "b" & c'

# The time into a variable; Bash 4 has no clock of its own.
now() {
    local time="${EPOCHREALTIME:-$(date +%s.%N)}"
    printf -v "$1" '%s' "${time/,/.}"
}
now started
launched=null
returned=null
cause=null
# The exit marker: how this run ended, for whoever asks after scheduler and launcher have forgotten. It is whole once its
# line has an end.
finish() {
    local exit_code=$? marker="${directory}/${NODESWEEP_KEY}.exit" ended
    trap - EXIT
    now ended
    printf '{"key": "%s", "exit_code": %d, "started": %s, "launched": %s, "returned": %s, "ended": %s, "cause": %s}\n' \
        "$NODESWEEP_KEY" "$exit_code" "$started" "$launched" "$returned" "$ended" "$cause" >|"$marker"
    exit "$exit_code"
}
trap finish EXIT
# The launch runs in the background, so that a signal to this script is dealt with at once and passed on.
launch=
pass_on() {
    [[ -z "$launch" ]] || { kill -TERM "$launch" && wait "$launch"; } 2>/dev/null || :
    exit "$1"
}
# A scheduler ends a job over its limit by the same signal as one that somebody cancels. Its clock began before ours.
over_limit() {
    local moment; now moment; ((${moment%.*} - ${started%.*} < 90056)) || cause='"time_limit"'
}
trap 'over_limit; pass_on 143' TERM
trap 'pass_on 130' INT
read -r host </proc/sys/kernel/hostname || host=$(uname -n)
TZ=UTC printf 'nodesweep: %s starts on %s at %(%Y-%m-%dT%H:%M:%SZ)T\n' "$NODESWEEP_KEY" "$host" -1
export HOST="${SLURMD_NODENAME}"
export QUOTED='a, b # c % d 3'
export STARTS='/WORK/50% of #1, a "b" & c/results/s.1/layouts/n3-dp12-mp1-pp1-mbs1-gbs24-s128-12c2ea/starts'

# What this run runs on and with, into a file beside the log; whatever becomes of that, the job goes on.
. '/WORK/50% of #1, a "b" & c/results/s.1/provenance.sh' "${directory}/${NODESWEEP_KEY}.provenance" >/dev/null 2>&1 &
launch=$!
wait "$launch" || :
launch=

now launched
SECONDS=0
(
    exec \
        srun \
        --ntasks=12 \
        --kill-on-bad-exit=1 \
        bash \
        -c \
        'ulimit -d "$0" && exec "$@"' \
        524288 \
        bash \
        /NODESWEEP/tests/programs/toy_trainer.sh \
        3 \
        0.05 \
        ok
) &
launch=$!
exit_code=0
wait "$launch" || exit_code=$?
now returned
echo "nodesweep: the launch ended with exit code ${exit_code}"
exit "$exit_code"
