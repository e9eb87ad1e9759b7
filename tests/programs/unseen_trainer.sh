#!/usr/bin/env bash
# A trainer that no format of nodesweep describes: ticks counted from 0, milliseconds, its own words for everything.
set -eu
ticks=$1
echo "== unseen trainer, warming up =="
for ((tick = 0; tick < ticks; tick++)); do
  echo "(gpu0) tick #$tick out of $ticks took 2$((50 - tick)).5ms // xent=6.$((90 - tick))0 // vram 1.5GB"
  echo "    pace: 8258 tok/s"
done
echo "== that was it =="
