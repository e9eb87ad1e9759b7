#!/usr/bin/env bash
# A trainer whose runs of one layout take different times: arguments are the milliseconds an iteration of its first run,
# of its second one, and so on, or how that ends (crash). It prints five iterations; each start leaves a line in STARTS.
# As long as the file HOLD is there, no iteration ends.
set -eu
folder=$(basename "$(dirname "$STARTS")")
[[ $folder =~ -r([0-9]+)$ ]] && number=${BASH_REMATCH[1]} || number=1
ms=${!number}
echo "started as process $$" >>"$STARTS"
[[ $ms != crash ]] || { echo "ValueError: made to fail" && exit 1; }
echo "[before the start of training step] datetime: 2026-01-01 00:00:00 "
for ((i = 1; i <= 5; i++)); do
    while [[ -n ${HOLD:-} && -e $HOLD ]]; do sleep 0.05; done
    printf ' iteration %8d/%8d | consumed samples: %12d | elapsed time per iteration (ms): %d.%d |' \
        "$i" 5 "$((i * 16))" "$ms" "$i"
    printf ' learning rate: 1.000E-04 | global batch size: %5d | lm loss: %.6E |\n' 16 9
done
echo "[after training is done] datetime: 2026-01-01 00:00:10 "
