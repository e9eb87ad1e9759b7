#!/usr/bin/env bash
# zstd, for the tests that read logs compressed by it.
set -euo pipefail
. "$(dirname "$0")/../packages.sh"
need "tests/logs: zstd" "zstd" "zstd"
