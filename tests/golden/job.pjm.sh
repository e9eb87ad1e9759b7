#!/usr/bin/env bash
# pjm-2.x: n6-dp12-mp2-pp1-mbs1-gbs24-s128-2.2ghz-b81207
# key:     pjm-2_x-0123456789ab
# layout:  6 nodes x 4 ranks = DP 12 x MP 2 x PP 1, 2.2 GHz
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

# What is called nodesweep_ is this script's own; all else belongs to set-up and launch, which run in a process below it.
nodesweep_directory='/WORK/with space, # and comma/results/pjm-2.x/layouts/n6-dp12-mp2-pp1-mbs1-gbs24-s128-2.2ghz-b81207'
# Each submission has a name of its own, from its launcher: in the environment, or as the job's name where that is not
# carried over. A run by hand makes one.
nodesweep_key=
nodesweep_take_key() {
    local name
    for name in "$@"; do
        if [[ "$name" =~ ^pjm-2_x-0123456789ab-[A-Za-z0-9_-]+$ && "$name" != *-byhand-* ]]; then
            nodesweep_key="$name"
            return
        fi
    done
}
nodesweep_take_key "${NODESWEEP_KEY:-}" "${PJM_JOBNAME:-}"
nodesweep_by_hand="${nodesweep_key:+no}"
if [[ -z "$nodesweep_key" ]]; then
    nodesweep_key=pjm-2_x-0123456789ab-byhand-$(date -u +%Y%m%dT%H%M%S)-$$
    echo "output goes to ${nodesweep_directory}/${nodesweep_key}.log"
    exec >>"${nodesweep_directory}/${nodesweep_key}.log" 2>&1
fi
NODESWEEP_KEY="$nodesweep_key"
export NODESWEEP_KEY
# A launcher notes a submission before it makes it. One that no journal names is of results that have been deleted since;
# what a network file system shows may be a minute old.
nodesweep_is_wanted() {
    local lines seconds
    for ((seconds = 0; seconds <= 60; seconds += 5)); do
        ((seconds == 0)) || sleep 5
        lines=()
        { mapfile -t lines <"${nodesweep_directory}/journal.jsonl"; } 2>/dev/null || :
        [[ "${lines[*]:-}" != *"\"${nodesweep_key}\""* ]] || return 0
    done
    echo "nodesweep: ${nodesweep_key} does not run: ${nodesweep_directory}/journal.jsonl does not name it;" \
        "the results that it was submitted for have been deleted or made anew"
    return 1
}
[[ -z "$nodesweep_by_hand" ]] || nodesweep_is_wanted || exit 75
# The time into a variable; Bash 4 has no clock of its own.
nodesweep_now() {
    local time="${EPOCHREALTIME:-$(date +%s.%N)}"
    printf -v "$1" '%s' "${time/,/.}"
}
nodesweep_now nodesweep_started
# A submission starts once: not again after a requeue, and not at all when its launcher has given it up.
nodesweep_start() {
    local host boot_id script text job_id="${PJM_JOBID:-}" odd='[!A-Za-z0-9._:@-]'
    { read -r host </proc/sys/kernel/hostname; } 2>/dev/null || host=$(uname -n)
    { read -r boot_id </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot_id=
    read -r script _ < <(sha256sum <"${BASH_SOURCE[0]:-/dev/null}" 2>/dev/null) || script=
    printf -v text '{"key": "%s", "job_id": "%s", "host": "%s", "boot_id": "%s", "pid": %d, "script_sha256": "%s", "time": %s}' \
        "$nodesweep_key" "${job_id//$odd/_}" "${host//$odd/_}" "${boot_id//$odd/_}" "$$" "$script" "$nodesweep_started"
    set -o noclobber
    if ! { { echo "$text" || :; } >"${nodesweep_directory}/${nodesweep_key}.started"; } 2>/dev/null; then
        echo "nodesweep: ${nodesweep_key} does not run: it has been given up, or has started before," \
            "or ${nodesweep_directory} cannot be written to"
        exit 75
    fi
    set +o noclobber
    TZ=UTC printf 'nodesweep: %s starts on %s at %(%Y-%m-%dT%H:%M:%SZ)T\n' "$nodesweep_key" "$host" -1
}
nodesweep_start

nodesweep_launched=null
nodesweep_returned=null
nodesweep_cause=null
# The exit marker: how this run ended, for whoever asks after scheduler and launcher have forgotten. It is whole once its
# line has an end.
nodesweep_finish() {
    local exit_code=$? ended
    trap - EXIT
    nodesweep_now ended
    printf '{"key": "%s", "exit_code": %d, "started": %s, "launched": %s, "returned": %s, "ended": %s, "cause": %s}\n' \
        "$nodesweep_key" "$exit_code" "$nodesweep_started" "$nodesweep_launched" "$nodesweep_returned" "$ended" \
        "$nodesweep_cause" >|"${nodesweep_directory}/${nodesweep_key}.exit" || :
    exit "$exit_code"
}
trap nodesweep_finish EXIT
# What the process below says through this pipe of how far it has come: the times of the launch, or what it does, where
# the log ended before, the place of that in the config, and where the log ended after it had failed.
exec 250<> <(:)
nodesweep_does=(directory 0 '' '')
nodesweep_hear() {
    local word rest
    while read -r -t 0 -u 250 && read -r -t 1 -u 250 word rest; do
        case "$word" in
            launched | returned) [[ ! "$rest" =~ ^[0-9]+([.][0-9]+)?$ ]] || printf -v "nodesweep_$word" '%s' "$rest" ;;
            failed) nodesweep_does[3]="${rest%% *}" ;;
            *) nodesweep_does=("$word" "${rest%% *}" "${rest#* }" '') ;;
        esac
    done
}
# A signal to this script is dealt with at once and passed on; a set-up that does not heed it is killed.
nodesweep_child=
nodesweep_pass_on() {
    nodesweep_hear
    if [[ -n "$nodesweep_child" && "$nodesweep_launched" == null ]]; then
        [[ "${nodesweep_does[0]}" != [0-9]* ]] ||
            echo "nodesweep: not launched: set-up line ${nodesweep_does[0]} (${nodesweep_does[2]}) had not ended" \
                "when the job was ended"
        { sleep 3 && kill -KILL "$nodesweep_child"; } >/dev/null 2>&1 &
    fi
    [[ -z "$nodesweep_child" ]] || { kill -TERM "$nodesweep_child" && wait "$nodesweep_child"; } 2>/dev/null || :
    exit "$1"
}
# A scheduler ends a job over its limit by the same signal as one that somebody cancels. Its clock began before ours.
nodesweep_over_limit() {
    local moment; nodesweep_now moment; ((${moment%.*} - ${nodesweep_started%.*} < 90056)) || nodesweep_cause='"time_limit"'
}
trap 'nodesweep_over_limit; nodesweep_pass_on 143' TERM
trap 'nodesweep_pass_on 130' INT
# Over its time limit, a job gets SIGXCPU in all its processes, and ten seconds later SIGKILL.
trap 'nodesweep_cause='\''"time_limit"'\''; nodesweep_pass_on 152' XCPU
trap 'nodesweep_pass_on 129' HUP
nodesweep_signalled=
trap 'nodesweep_signalled=1; kill -USR1 "$nodesweep_child" 2>/dev/null || :' USR1
trap 'nodesweep_signalled=1; kill -USR2 "$nodesweep_child" 2>/dev/null || :' USR2

# Bash would write the whole of a process below into the log if a signal ended it.
exec 249>&2 2>/dev/null
(
    trap - EXIT
    # What is being done, its place in the config, and where the log ends.
    nodesweep_look() {
        { IFS=$' \t' builtin read -r _ nodesweep_position <"/proc/$$/fdinfo/$1"; } 2>/dev/null || nodesweep_position=0
        [[ "$nodesweep_log_end" -ge "$nodesweep_position" ]] || nodesweep_log_end="$nodesweep_position"
    }
    nodesweep_begins() {
        nodesweep_place="$2"
        nodesweep_log_end=0
        nodesweep_look 1
        nodesweep_look 249  # it may be the same file and yet have a place of its own
        builtin printf '%s %s %s\n' "$1" "$nodesweep_log_end" "$2" 251>"/proc/$$/fd/250" >&251
    }
    nodesweep_says() {
        nodesweep_time="${EPOCHREALTIME:-$(builtin command -p date +%s.%N)}" || builtin printf -v nodesweep_time '%(%s)T' -1
        builtin printf '%s %s\n' "$1" "${nodesweep_time/,/.}" 251>"/proc/$$/fd/250" >&251
    }
    nodesweep_begins directory ''
    cd -- '/WORK/with space, # and comma'

    nodesweep_begins environment ''
    [[ "${NODESWEEP_KEY:-}" == "$nodesweep_key" ]] || builtin export NODESWEEP_KEY="$nodesweep_key"
    builtin export NODESWEEP_KEY
    builtin export QUOTED='a, b # c % d 6'
    builtin export STARTS='/WORK/with space, # and comma/results/pjm-2.x/layouts/n6-dp12-mp2-pp1-mbs1-gbs24-s128-2.2ghz-b81207/starts'
    builtin set -- \
        mpiexec \
        -std-proc \
        '/WORK/with space, # and comma/results/pjm-2.x/layouts/n6-dp12-mp2-pp1-mbs1-gbs24-s128-2.2ghz-b81207/'"${NODESWEEP_KEY}".ranks/%/1000r/std \
        bash \
        /NODESWEEP/tests/programs/toy_trainer.sh \
        3 \
        0.05 \
        ok

    # What this run runs on and with, into a file beside the log; whatever becomes of that, the job goes on.
    (
        . '/WORK/with space, # and comma/results/pjm-2.x/provenance.sh' '/WORK/with space, # and comma/results/pjm-2.x/layouts/n6-dp12-mp2-pp1-mbs1-gbs24-s128-2.2ghz-b81207'"/${NODESWEEP_KEY}.provenance"
    ) >/dev/null 2>&1 || :

    nodesweep_says launched
    builtin exec "$@"
) 2>&249 249>&- 250>&- &
nodesweep_child=$!
while
    nodesweep_signalled=
    nodesweep_exit_code=0
    wait "$nodesweep_child" || nodesweep_exit_code=$?
    [[ -n "$nodesweep_signalled" ]]  # which ends the wait, and not what is waited for
do :; done
exec 2>&249 249>&-
nodesweep_now nodesweep_ended
((nodesweep_exit_code != 143)) || sleep 1  # a signal for all processes of a job may reach this one last
nodesweep_hear
nodesweep_child=
if [[ "$nodesweep_launched" != null ]]; then
    [[ "$nodesweep_returned" != null ]] || nodesweep_returned="$nodesweep_ended"
((nodesweep_exit_code != 152)) || nodesweep_cause='"time_limit"'  # SIGXCPU met the launch first
    echo "nodesweep: the launch ended with exit code ${nodesweep_exit_code}"
    exit "$nodesweep_exit_code"
fi
# The launch was not begun. The last output of what failed tells why, where the log can be read here.
nodesweep_tell_failure() {
    local what line start="${nodesweep_does[1]}" end="${nodesweep_does[3]}" last='' lines=()
    case "${nodesweep_does[0]}" in
        directory) what="the working directory cannot be entered" ;;
        environment) what="the environment of the launch cannot be made, exit code ${nodesweep_exit_code}" ;;
        *)
            what="set-up line ${nodesweep_does[0]} (${nodesweep_does[2]}) ended${end:- the shell}"
            what="${what%"$end"} with exit code ${nodesweep_exit_code}"
            ;;
    esac
    if [[ -f /dev/fd/1 ]]; then
        mapfile -t lines < <(head -c "${end:--0}" <"/proc/$$/fd/1" | tail -c "+$((start + 1))" | tail -c 4000)
        [[ "$(tail -c 1 <"/proc/$$/fd/1" | od -An -tx1)" == *0a ]] || echo  # what failed wrote no whole line
    fi
    for line in "${lines[@]:-}"; do
        [[ "$line" != *[![:space:]]* ]] || last="${line//[[:cntrl:]]/ }"
    done
    [[ ! "$last" =~ ^"${BASH_SOURCE[0]:-}: line "[0-9]+": "(.*)$ ]] || last="${BASH_REMATCH[1]}"
    echo "nodesweep: not launched: ${what}${last:+: ${last:0:300}}"
}
nodesweep_tell_failure
nodesweep_cause='"setup_failed"'
exit "$((nodesweep_exit_code ? nodesweep_exit_code : 1))"
