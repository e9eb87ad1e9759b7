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
if ! (set -o noclobber && : >"${directory}/${NODESWEEP_KEY}.started") 2>/dev/null; then
    echo "nodesweep: ${NODESWEEP_KEY} does not run: it has been given up, or has started before," \
        "or ${directory} cannot be written to"
    exit 75
fi
cd -- /WORK

# Bash 4 has no clock of its own.
now() {
    local time="${EPOCHREALTIME:-$(date +%s.%N)}"
    printf '%s' "${time/,/.}"
}
started=$(now)
launched=null
returned=null
cause=null
# The exit marker: how this run ended, for whoever asks after scheduler and launcher have forgotten.
finish() {
    local exit_code=$? marker="${directory}/${NODESWEEP_KEY}.exit"
    trap - EXIT
    printf '{"key": "%s", "exit_code": %d, "started": %s, "launched": %s, "returned": %s, "ended": %s, "cause": %s}\n' \
        "$NODESWEEP_KEY" "$exit_code" "$started" "$launched" "$returned" "$(now)" "$cause" >"${marker}.tmp"
    mv -- "${marker}.tmp" "$marker"
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
    local time=$(now); ((${time%.*} - ${started%.*} < 3595)) || cause='"time_limit"'
}
trap 'over_limit; pass_on 143' TERM
trap 'pass_on 130' INT
echo "nodesweep: ${NODESWEEP_KEY} starts on $(uname -n) at $(date -u +%Y-%m-%dT%H:%M:%SZ)"
export STARTS='/WORK/it'"'"'s a folder/results/toy/layouts/n1-dp4-mp1-pp1-mbs1-gbs16-s128-12c2ea/starts'


# What this run runs on and with, for whoever compares it later: in a process of its own, so that it cannot fail the job.
(
provenance() {
    set +efu
    shopt -s extglob
    shopt -u nocasematch failglob
    local path="${directory}/${NODESWEEP_KEY}.provenance" locale="${LC_ALL-}" IFS=$' \t\n'
    local lines=() line='' name='' value='' file='' facts=''
    local -A names=() checkouts=()
    LC_ALL=C SECONDS=0
    host_facts
    cpu_facts
    gpu_facts
    fact software bash "$BASH_VERSION"
    asked_facts
    IFS=:
    lines=(${LOADEDMODULES:-})
    IFS=$' \t\n'
    for line in "${lines[@]}"; do
        name="${line%/*}" value="${line#"$name"}"
        fact module "$name" "${value:1}" "${line:+loaded}"
    done
    environment_facts
    printf '%s' "$facts" >"${path}.tmp" && exec mv -- "${path}.tmp" "$path"
    exec rm -f -- "${path}.tmp"
}
# Section, name, value, and what stands for an empty value; without any there is no fact.
fact() {
    local value="${3:0:20000}"
    value="${value:-${4:-}}"
    [[ -n "$value" ]] || return 0
    if [[ "$value" == *[\\$'\t\n\r']* ]]; then
        value="${value//\\/\\\\}" value="${value//$'\t'/\\t}"
        value="${value//$'\n'/\\n}" value="${value//$'\r'/\\r}"
    fi
    facts+="$1"$'\t'"$2"$'\t'"$value"$'\n'
}
# The first line of a file, where it can be read.
fact_of_file() {
    local line=
    { IFS= read -r -n 4000 line <"$3"; } 2>/dev/null
    fact "$1" "$2" "$line"
}
host_facts() {
    fact_of_file host name /proc/sys/kernel/hostname
    for file in "${PBS_NODEFILE:-}" "${PJM_O_NODEINF:-}"; do
        [[ -r "$file" ]] || continue
        mapfile -t -n 200000 lines <"$file"
        for name in "${lines[@]}"; do
            [[ -z "$name" || -n "${names[$name]:-}" ]] || value+="${value:+ }$name" names[$name]=seen
        done
    done
    fact host nodes "${SLURM_JOB_NODELIST:-${value:-}}"
    lines=()
    for name in ostype osrelease version; do
        { read -r line <"/proc/sys/kernel/$name" && lines+=("$line"); } 2>/dev/null
    done
    fact host kernel "${lines[*]} $HOSTTYPE"
    mapfile -t -n 40 lines </etc/os-release
    for line in "${lines[@]}"; do
        value="${line#PRETTY_NAME=}"
        [[ "$value" == "$line" ]] || fact host system "${value//\"/}"
    done
    fact_of_file host load /proc/loadavg
    fact_of_file host 'transparent huge pages' /sys/kernel/mm/transparent_hugepage/enabled
}
cpu_facts() {
    local cpu=/sys/devices/system/cpu
    names=(
        ['model name']='cpu model' ['CPU implementer']='cpu implementer' ['CPU part']='cpu part'
        ['CPU variant']='cpu variant' ['CPU revision']='cpu revision' [microcode]='cpu microcode'
        ['cpu MHz']='clock MHz of thread 0' [cpu]='cpu model' [machine]='machine'
    )
    mapfile -t -n 40 lines </proc/cpuinfo
    for line in "${lines[@]}"; do
        name="${line%%:*}" name="${name%%$'\t'*}"
        [[ -n "$name" && -n "${names[$name]:-}" ]] || continue
        fact hardware "${names[$name]}" "${line#*: }"
        names[$name]=
    done
    names=()
    for file in "$cpu"/cpu[0-9]*/topology/physical_package_id; do
        { read -r value <"$file" && names[package$value]=seen; }
    done
    fact hardware 'cpu sockets' "${#names[@]}"
    fact_of_file hardware 'cpu threads' "$cpu/online"
    fact_of_file hardware 'cpu threads of its first core' "$cpu/cpu0/topology/thread_siblings_list"
    fact_of_file hardware 'numa nodes' /sys/devices/system/node/online
    mapfile -t -n 80 lines </proc/self/status
    for line in "${lines[@]}"; do
        [[ "$line" != Cpus_allowed_list:* ]] || fact hardware 'cpu threads of the job' "${line#*$'\t'}"
    done
    read -r name value </proc/meminfo
    fact hardware memory "$value"
    for name in driver governor min_freq max_freq cur_freq; do
        fact_of_file hardware "clock ${name/freq/kHz}" "$cpu/cpu0/cpufreq/scaling_$name"
    done
    fact_of_file hardware 'clock boost' "$cpu/cpufreq/boost"
    fact_of_file hardware 'clock no turbo' "$cpu/intel_pstate/no_turbo"
}
gpu_facts() {
    local headings values index
    if type -P nvidia-smi >/dev/null; then
        value=name,driver_version,vbios_version,memory.total,clocks.max.sm,clocks.sm,clocks.mem,power.limit
        mapfile -t -n 33 lines < <(timeout -k 2 10 nvidia-smi --query-gpu="$value" --format=csv)
        IFS=, read -r -a headings <<<"${lines[0]:-}"
        for ((index = 1; index < ${#lines[@]}; index++)); do
            IFS=, read -r -a values <<<"${lines[index]}"
            for name in "${!values[@]}"; do
                fact hardware "gpu $((index - 1)) ${headings[name]## }" "${values[name]## }"
            done
        done
    elif type -P rocm-smi >/dev/null; then
        mapfile -t -n 64 lines < <(timeout -k 2 10 rocm-smi --showproductname --showdriverversion --showclocks --csv)
        for index in "${!lines[@]}"; do
            fact hardware "rocm-smi $index" "${lines[index]}"
        done
    fi
}
# The first line that a shell line prints, if it does within 20 s; all of them together within a minute.
version() {
    local line=
    ((SECONDS < 60)) || return 0
    IFS= read -r -t 23 -n 1000 line < <(timeout -k 2 20 bash -c "$2" </dev/null)
    fact software "$1" "$line" '(no answer)'
}
# The commit of the checkout that a path lies in, with -dirty after it where files that git knows were changed.
checkout() {
    local folder="$1" commit=
    [[ "$folder" == /* ]] || folder="${PWD}/${folder}"
    until [[ -e "${folder}/.git" ]]; do
        [[ "$folder" == */* ]] || return 0
        folder="${folder%/*}"
    done
    [[ -z "${checkouts[$folder]:-}" ]] && ((SECONDS < 60)) && type -P git >/dev/null || return 0
    checkouts[$folder]=seen
    IFS= read -r -t 23 -n 100 commit < <(
        timeout -k 2 20 git --no-optional-locks -C "$folder" describe --always --dirty --abbrev=40 --exclude='*'
    )
    fact repository "${folder//[[:cntrl:]]/ }" "$commit" '(no answer)'
}
# All exported variables; what may be a secret, by its name or its look, is named without its value.
environment_facts() {
    local out='(left out)' url='://+([^[:space:]])@' api='(API|ACCESS|ACCOUNT)_?KEY' look all
    look='(TOKEN|SECRET|PASSWORD|PASSWD|[?&]SIG|'"$api"')[=:"]|BEARER |PRIVATE KEY-|GITHUB_PAT_|GLPAT-'
    look+='|(^|[^A-Z])(GH[PORSU]_|HF_|SK-)[A-Z0-9]{12}'
    local -A values=()
    compgen -e >"${path}.tmp"
    mapfile -t lines <"${path}.tmp"
    for name in "${lines[@]}"; do
        value="${!name}"
        value="${value:0:20000}"
        case "${name^^}" in
            NODESWEEP_KEY | *TOKENIZER*) ;;
            LC_ALL) value="$locale" ;;
            *TOKEN* | *SECRET* | *PASS* | *_PWD | *KEY* | *CREDENTIAL* | *AUTH* | *COOKIE* | *SESSION*) value="$out" ;;
            *PRIVATE* | *WEBHOOK* | *DSN* | *CONNECTION_STRING* | *_PAT | *_PIN) value="$out" ;;

        esac
        [[ "$value" != *://*@* ]] || value="${value//$url/://$out@}"
        values[$name]="${value:0:4000}"
    done
    all="${values[*]}"
    [[ "${all^^}" =~ $look ]] || look='^$'
    for name in "${lines[@]}"; do
        value="${values[$name]}"
        [[ "$look" == '^$' || ! "${value^^}" =~ $look ]] || value="$out"
        fact environment "$name" "$value"
    done
}
asked_facts() {
    checkout "$PWD"
}
provenance
) >/dev/null 2>&1 &
launch=$!
wait "$launch" || :
launch=

launched=$(now)
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
returned=$(now)
echo "nodesweep: the launch ended with exit code ${exit_code}"
exit "$exit_code"
