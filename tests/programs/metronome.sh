#!/usr/bin/env bash
# A trainer that waits instead of computing, so that other work on the machine hardly slows it: metronome.sh ITERATIONS
# Each iteration waits PACE seconds; what it took is measured and printed as Megatron-DeepSpeed prints it.
set -euo pipefail
now() { printf -v "$1" '%s' "${EPOCHREALTIME//[.,]/}"; }
for ((i = 1; i <= $1; i++)); do
    now began
    sleep "$PACE"
    now ended
    printf ' iteration %8d/%8d | consumed samples: %12d | elapsed time per iteration (ms): %d.%03d | ' \
        "$i" "$1" "$((4 * i))" "$(((ended - began) / 1000))" "$(((ended - began) % 1000))"
    printf 'learning rate: 1.000E-04 | global batch size:     4 | lm loss: 1.050000E+01 | loss scale: 1.0 |\n'
done
