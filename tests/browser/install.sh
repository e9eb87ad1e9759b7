#!/usr/bin/env bash
# Debian's Chromium, for the tests of the report page.
set -euo pipefail
. "$(dirname "$0")/../packages.sh"
need "tests/browser: Chromium" chromium chromium
