#!/usr/bin/env bash
# What a run runs on and with, for whoever compares it later:
#   provenance.sh FILE [version NAME SHELL_LINE]... [repository PATH]... [secret PART_OF_A_NAME]...
# Job scripts source it in the background before their launch, since a shell of its own takes a millisecond to start.
# It takes Bash 4.4 and its builtins, but where nothing else tells.
provenance() {
    set +efuCET  # options that a set-up may have left, here and below
    shopt -u nocasematch failglob
    shopt -s extglob
    names_are_free || exec bash "${BASH_SOURCE[0]}" "$@"
    local IFS=$' \t\n' path="$1" locale="${LC_ALL-}"
    local lines=() line='' name='' value='' file='' facts='' secrets=''
    local -A names=() checkouts=()
    shift
    LC_ALL=C SECONDS=0
    host_facts
    cpu_facts
    gpu_facts
    fact software bash "$BASH_VERSION"
    asked_facts "$@"
    IFS=:
    lines=(${LOADEDMODULES:-})
    IFS=$' \t\n'
    for line in "${lines[@]}"; do
        name="${line%/*}" value="${line#"$name"}"
        fact module "$name" "${value:1}" "${line:+loaded}"
    done
    environment_facts
    printf '%s' "$facts" >|"$path"
}
# Whether a set-up has made none of the names readonly that are used here.
names_are_free() {
    local lines line names name values value file facts secrets checkouts path folder commit locale cpu \
        headings index out url api look all
}
# Section, name, value, and what stands for an empty value; without any there is no fact. A line is whole once it has an
# end.
fact() {
    local value="${3:0:20000}"
    [[ -n "${value:=${4-}}" ]] || return 0
    if [[ "$value" == *[\\$'\t\n\r']* ]]; then
        value="${value//\\/\\\\}" value="${value//$'\t'/\\t}"
        value="${value//$'\n'/\\n}" value="${value//$'\r'/\\r}"
    fi
    facts+="$1"$'\t'"$2"$'\t'"$value"$'\n'
}
# The first line of a file, where it can be read.
fact_of_file() {
    local line=
    [[ -r "$3" ]] || return 0
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
        [[ "$line" == [cCm]* ]] || continue
        name="${line%%:*}" name="${name%%$'\t'*}"
        [[ -n "${names[$name]:-}" ]] || continue
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
    compgen -e >|"$path"
    mapfile -t lines <"$path"
    for name in "${lines[@]}"; do
        value="${!name:0:20000}"
        case "${name^^}" in
            NODESWEEP_KEY | *TOKENIZER*) ;;
            LC_ALL) value="$locale" ;;
            *TOKEN* | *SECRET* | *PASS* | *_PWD | *KEY* | *CREDENTIAL* | *AUTH* | *COOKIE* | *SESSION*) value="$out" ;;
            *PRIVATE* | *WEBHOOK* | *DSN* | *CONNECTION_STRING* | *_PAT | *_PIN) value="$out" ;;
            *) [[ -z "$secrets" || ! "${name^^}" =~ $secrets ]] || value="$out" ;;
        esac
        [[ "$value" != *://*@* ]] || value="${value//$url/://$out@}"
        values[$name]="${value:0:4000}"
    done
    all="${values[*]}"
    [[ "${all^^}" =~ $look ]] || look=
    for name in "${lines[@]}"; do
        value="${values[$name]}"
        [[ -z "$look" || ! "${value^^}" =~ $look ]] || value="$out"
        if [[ -z "$value" || "$value" == *[\\$'\t\n\r']* ]]; then
            fact environment "$name" "$value"
        else  # most of them, without the call
            facts+="environment"$'\t'"$name"$'\t'"$value"$'\n'
        fi
    done
}
# What the job asks for.
asked_facts() {
    while (($#)); do
        case "$1" in
            version)
                version "$2" "$3"
                shift
                ;;
            repository) checkout "$2" ;;
            secret) secrets+="${secrets:+|}${2^^}" ;;
        esac
        shift 2
    done
    checkout "$PWD"
}
provenance "$@"
