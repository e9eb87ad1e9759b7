#!/usr/bin/env bash
# The embedded trainer on one GPU, in less than eight minutes: throughput against a plain loop, memory against the
# formula, fp8 where torch has it.
#   bash tests/gpu/run.sh          on a GPU
#   bash tests/gpu/run.sh --dry    on the CPU, with tiny sizes: whether the check itself runs
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
export PYTHONPATH=workflow${PYTHONPATH:+:$PYTHONPATH}
exec timeout 480 "$PYTHON" tests/gpu/check.py "$@"
