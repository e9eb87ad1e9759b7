#!/usr/bin/env bash
# quickstart: n8-dp2-mp2-pp2-mbs2-gbs16-s256-ac-474051
# key:     quickstart-0123456789ab
# layout:  8 nodes x 1 ranks = DP 2 x MP 2 x PP 2
# batch:   MBS 2, GBS 16, 256 tokens a sample, AC on
set -euo pipefail

directory=/WORK/results/quickstart/layouts/n8-dp2-mp2-pp2-mbs2-gbs16-s256-ac-474051
# Each submission has a name of its own, from its launcher or as the job's name; a run by hand makes one.
NODESWEEP_KEY="${NODESWEEP_KEY:-}"
if [[ -z "$NODESWEEP_KEY" ]]; then
    NODESWEEP_KEY=quickstart-0123456789ab-byhand-$(date -u +%Y%m%dT%H%M%S)-$$
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
trap 'pass_on 143' TERM
trap 'pass_on 130' INT
read -r host </proc/sys/kernel/hostname || host=$(uname -n)
TZ=UTC printf 'nodesweep: %s starts on %s at %(%Y-%m-%dT%H:%M:%SZ)T\n' "$NODESWEEP_KEY" "$host" -1
export CUDA_VISIBLE_DEVICES=''
export OMP_NUM_THREADS=1

# What this run runs on and with, into a file beside the log; whatever becomes of that, the job goes on.
. /WORK/results/quickstart/provenance.sh "${directory}/${NODESWEEP_KEY}.provenance" \
    version python '/VENV/bin/python --version' \
    version torch '/VENV/bin/python -c '"'"'from importlib.metadata import version; print(version("torch"))'"'"'' \
    repository /NODESWEEP >/dev/null 2>&1 &
launch=$!
wait "$launch" || :
launch=

now launched
SECONDS=0
(
    exec \
        timeout \
        --kill-after=10 \
        600 \
        bash \
        -c \
        'ulimit -d "$0" && exec "$@"' \
        786432 \
        /VENV/bin/python \
        -m \
        minitrain \
        --num-layers=4 \
        --hidden-size=128 \
        --ffn-hidden-size=512 \
        --num-attention-heads=8 \
        --vocab-size=2048 \
        --seq-length=256 \
        --micro-batch-size=2 \
        --global-batch-size=16 \
        --train-iters=6 \
        --tensor-model-parallel-size=2 \
        --pipeline-model-parallel-size=2 \
        --recompute-granularity=full \
        --local-ranks=8
) &
launch=$!
exit_code=0
wait "$launch" || exit_code=$?
now returned
if ((SECONDS >= 600 && (exit_code == 124 || exit_code == 137))); then
    cause='"time_limit"'
fi
echo "nodesweep: the launch ended with exit code ${exit_code}"
exit "$exit_code"
