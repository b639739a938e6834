#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/bench/run.sh [ROW...]: measure; see bench.py for the rows. Results as a table, and as JSON in BUILD/bench.json.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
export BUILD=${BUILD:-$top/build}
export DOCKER_ROUTER=${DOCKER_ROUTER:-$(realpath "$top/$BUILD/docker-router" 2>/dev/null || realpath "$BUILD/docker-router")}
exec python3 "$top/tests/bench/bench.py" "$@"
