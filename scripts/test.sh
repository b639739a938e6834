#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The quick part of the tests: unit tests and the rules of the layers; needs neither root nor Docker. `make check` runs
# everything.
set -euo pipefail
cd "$(dirname "$0")/.."
exec make --no-print-directory test "$@"
