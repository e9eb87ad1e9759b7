#!/usr/bin/env bash
# A stand-in for a trainer of somebody else's: prints Megatron-DeepSpeed iteration lines and does nothing.
# Arguments: iterations, seconds an iteration, and optionally how it ends after one iteration: crash, once (a crash in its
# first run only), oom, or silent (it goes on for ever and says nothing); missing: it ends before any iteration.
# As long as the file HOLD is there, no iteration ends.
set -eu
iterations=$1 seconds=$2 ending=${3:-ok}
echo "started as process $$" >>"${STARTS:-/dev/null}"
[[ $ending != missing ]] || exec no-such-program
echo "[before the start of training step] datetime: 2026-01-01 00:00:00 "
for ((i = 1; i <= iterations; i++)); do
    sleep "$seconds"
    while [[ -n ${HOLD:-} && -e $HOLD ]]; do sleep 0.05; done
    printf ' iteration %8d/%8d | consumed samples: %12d | elapsed time per iteration (ms): %.1f |' \
        "$i" "$iterations" "$((i * 16))" "$((i == 1 ? 900 : 500))"
    printf ' learning rate: 1.000E-04 | global batch size: %5d | lm loss: %.6E |\n' 16 9
    case $ending in
        oom) echo "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes." && exit 1 ;;
        silent) sleep 600 ;;
        once) [[ $(wc -l <"$STARTS") -gt 1 ]] || { echo "ValueError: made to fail once" && exit 1; } ;;
        crash) echo "ValueError: made to fail" && exit 1 ;;
    esac
done
echo "[after training is done] datetime: 2026-01-01 00:00:10 "
