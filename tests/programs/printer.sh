#!/usr/bin/env bash
# What a trainer's log looks like and nothing else: printer.sh ITERATIONS
for ((i = 1; i <= $1; i++)); do
    printf ' iteration %8d/%8d | consumed samples: %12d | elapsed time per iteration (ms): %d.5 | learning rate: 1.000E-04 | ' \
        "$i" "$1" "$((16 * i))" "$((100 + i % 3))"
    printf 'global batch size:    16 | lm loss: 1.050000E+01 | grad norm: 1.000 | number of skipped iterations:   0 |\n'
done
