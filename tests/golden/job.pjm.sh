#!/usr/bin/env bash
# pjm-2.x: n6-dp12-mp2-pp1-mbs1-gbs24-s128-2.2ghz-b81207
# key:     pjm-2_x-0123456789ab
# layout:  6 nodes x 4 ranks = DP 12 x MP 2 x PP 1
# batch:   MBS 1, GBS 24, 128 tokens a sample, AC off
#PJM -N pjm-2_x-0123456789ab
#PJM -o "/WORK/with space, # and comma/results/pjm-2.x/layouts/n6-dp12-mp2-pp1-mbs1-gbs24-s128-2.2ghz-b81207/%n.%j.out"
#PJM --spath "/WORK/with space, # and comma/results/pjm-2.x/layouts/n6-dp12-mp2-pp1-mbs1-gbs24-s128-2.2ghz-b81207/%n.%j.stats"
#PJM -j
#PJM --norestart
#PJM -L "rscgrp=small-s2.x"
#PJM -L "node=6:noncont"
#PJM -L "elapse=25:01:01"
#PJM -L "freq=2200"
#PJM --mpi "proc=24"
#PJM --mpi "max-proc-per-node=4"
#PJM -g hp000001
#PJM -x "PJM_LLIO_GFSCACHE=/vol0003:/vol0004"
#PJM -x "A=1,B=two words"
#PJM --comment "50 % of #3, then (a|b) & *"
#PJM -L "node-mem=28Gi"
#PJM --mpi rank-map-bychip
#PJM --llio "localtmp-size=30Gi"
#PJM --llio "sio-read-cache=off,cn-cache-size=128Mi"
#PJM --net-route static
#PJM -L "eco_state=0"
#PJM -S
#PJM -X
set -euo pipefail

directory='/WORK/with space, # and comma/results/pjm-2.x/layouts/n6-dp12-mp2-pp1-mbs1-gbs24-s128-2.2ghz-b81207'
# Each submission has a name of its own, from its launcher or as the job's name; a run by hand makes one.
NODESWEEP_KEY="${PJM_JOBNAME:-}"
if [[ "$NODESWEEP_KEY" != pjm-2_x-0123456789ab-* ]]; then
    NODESWEEP_KEY=pjm-2_x-0123456789ab-byhand-$(date -u +%Y%m%dT%H%M%S)-$$
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
cd -- '/WORK/with space, # and comma'

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
# Over its time limit, a job gets SIGXCPU in all its processes, and ten seconds later SIGKILL.
trap 'cause='\''"time_limit"'\''; pass_on 152' XCPU
read -r host </proc/sys/kernel/hostname || host=$(uname -n)
TZ=UTC printf 'nodesweep: %s starts on %s at %(%Y-%m-%dT%H:%M:%SZ)T\n' "$NODESWEEP_KEY" "$host" -1
export QUOTED='a, b # c % d 6'
export STARTS='/WORK/with space, # and comma/results/pjm-2.x/layouts/n6-dp12-mp2-pp1-mbs1-gbs24-s128-2.2ghz-b81207/starts'

# What this run runs on and with, into a file beside the log; whatever becomes of that, the job goes on.
. '/WORK/with space, # and comma/results/pjm-2.x/provenance.sh' "${directory}/${NODESWEEP_KEY}.provenance" >/dev/null 2>&1 &
launch=$!
wait "$launch" || :
launch=

now launched
SECONDS=0
(
    exec \
        mpiexec \
        -std-proc \
        '/WORK/with space, # and comma/results/pjm-2.x/layouts/n6-dp12-mp2-pp1-mbs1-gbs24-s128-2.2ghz-b81207/'"${NODESWEEP_KEY}".ranks/%/1000r/std \
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
((exit_code != 152)) || cause='"time_limit"'  # SIGXCPU met the launch first
echo "nodesweep: the launch ended with exit code ${exit_code}"
exit "$exit_code"
