#!/usr/bin/env bash
# toy: n1-dp4-mp1-pp1-mbs1-gbs16-s128-12c2ea
# key:     toy-0123456789ab
# layout:  1 nodes x 4 ranks = DP 4 x MP 1 x PP 1
# batch:   MBS 1, GBS 16, 128 tokens a sample, AC off
#PBS -N toy-0123456789ab
#PBS -S /bin/bash
#PBS -o '/WORK/it'"'"'s a folder/results/toy/layouts/n1-dp4-mp1-pp1-mbs1-gbs16-s128-12c2ea/toy-0123456789ab.log'
#PBS -j oe
#PBS -k oed
#PBS -r n
#PBS -q debug
#PBS -l walltime=1:00:00
#PBS -l select=1:ncpus=48:mpiprocs=4:ngpus=4:mem=180gb:ompthreads=12
#PBS -l place=scatter:excl
#PBS -A 'two words # and 100%, really'
#PBS -W umask=0027
#PBS -W sandbox=HOME
#PBS -V
#PBS -l filesystems=home:eagle
#PBS -l 'software="one, two"'
#PBS -l exclusive=True
set -euo pipefail

directory='/WORK/it'"'"'s a folder/results/toy/layouts/n1-dp4-mp1-pp1-mbs1-gbs16-s128-12c2ea'
# Each submission has a name of its own, from its launcher or as the job's name; a run by hand makes one.
NODESWEEP_KEY="${PBS_JOBNAME:-}"
if [[ "$NODESWEEP_KEY" != toy-0123456789ab-* ]]; then
    NODESWEEP_KEY=toy-0123456789ab-byhand-$(date -u +%Y%m%dT%H%M%S)-$$
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
cd -- /WORK

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
    local moment; now moment; ((${moment%.*} - ${started%.*} < 3595)) || cause='"time_limit"'
}
trap 'over_limit; pass_on 143' TERM
trap 'pass_on 130' INT
read -r host </proc/sys/kernel/hostname || host=$(uname -n)
TZ=UTC printf 'nodesweep: %s starts on %s at %(%Y-%m-%dT%H:%M:%SZ)T\n' "$NODESWEEP_KEY" "$host" -1
export STARTS='/WORK/it'"'"'s a folder/results/toy/layouts/n1-dp4-mp1-pp1-mbs1-gbs16-s128-12c2ea/starts'

# What this run runs on and with, into a file beside the log; whatever becomes of that, the job goes on.
. '/WORK/it'"'"'s a folder/results/toy/provenance.sh' "${directory}/${NODESWEEP_KEY}.provenance" >/dev/null 2>&1 &
launch=$!
wait "$launch" || :
launch=

now launched
SECONDS=0
(
    exec \
        bash \
        /NODESWEEP/tests/programs/toy_trainer.sh \
        3 \
        0.01 \
        ok
) &
launch=$!
exit_code=0
wait "$launch" || exit_code=$?
now returned
echo "nodesweep: the launch ended with exit code ${exit_code}"
exit "$exit_code"
