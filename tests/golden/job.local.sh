#!/usr/bin/env bash
# quickstart: n2-dp1-mp1-pp1-cp2-mbs2-gbs16-s256-ac-5b69f0
# key:     quickstart-0123456789ab
# layout:  2 nodes x 1 ranks = DP 1 x MP 1 x PP 1 x CP 2
# batch:   MBS 2, GBS 16, 256 tokens a sample, AC on
set -euo pipefail

# What is called nodesweep_ is this script's own; all else belongs to set-up and launch, which run in a process below it.
nodesweep_directory=/WORK/results/quickstart/layouts/n2-dp1-mp1-pp1-cp2-mbs2-gbs16-s256-ac-5b69f0
# Each submission has a name of its own, from its launcher: in the environment, or as the job's name where that is not
# carried over. A run by hand makes one.
nodesweep_key=
nodesweep_take_key() {
    local name
    for name in "$@"; do
        if [[ "$name" =~ ^quickstart-0123456789ab-[A-Za-z0-9_-]+$ && "$name" != *-byhand-* ]]; then
            nodesweep_key="$name"
            return
        fi
    done
}
nodesweep_take_key "${NODESWEEP_KEY:-}" 
nodesweep_by_hand="${nodesweep_key:+no}"
if [[ -z "$nodesweep_key" ]]; then
    nodesweep_key=quickstart-0123456789ab-byhand-$(date -u +%Y%m%dT%H%M%S)-$$
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
    local host boot_id script text job_id="" odd='[!A-Za-z0-9._:@-]'
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
trap 'nodesweep_pass_on 143' TERM
trap 'nodesweep_pass_on 130' INT
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
    cd -- /WORK

    nodesweep_begins environment ''
    [[ "${NODESWEEP_KEY:-}" == "$nodesweep_key" ]] || builtin export NODESWEEP_KEY="$nodesweep_key"
    builtin export NODESWEEP_KEY
    builtin export CUDA_VISIBLE_DEVICES=''
    builtin export OMP_NUM_THREADS=1
    builtin set -- \
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
        --ffn-hidden-size=384 \
        --num-attention-heads=8 \
        --vocab-size=2048 \
        --group-query-attention \
        --num-query-groups=4 \
        --swiglu \
        --normalization=RMSNorm \
        --disable-bias-linear \
        --position-embedding-type=rope \
        --seq-length=256 \
        --micro-batch-size=2 \
        --global-batch-size=16 \
        --train-iters=6 \
        --tensor-model-parallel-size=1 \
        --pipeline-model-parallel-size=1 \
        --context-parallel-size=2 \
        --recompute-granularity=full \
        --local-ranks=2

    # What this run runs on and with, into a file beside the log; whatever becomes of that, the job goes on.
    (
        . /WORK/results/quickstart/provenance.sh /WORK/results/quickstart/layouts/n2-dp1-mp1-pp1-cp2-mbs2-gbs16-s256-ac-5b69f0"/${NODESWEEP_KEY}.provenance" \
            version python '/VENV/bin/python --version' \
            version torch '/VENV/bin/python -c '"'"'from importlib.metadata import version; print(version("torch"))'"'"'' \
            repository /NODESWEEP
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
if ((nodesweep_exit_code == 124 || nodesweep_exit_code == 137)) &&
        ((${nodesweep_returned%%.*} - ${nodesweep_launched%%.*} >= 600)); then
        nodesweep_cause='"time_limit"'
    fi
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
