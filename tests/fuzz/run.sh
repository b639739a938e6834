#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [SECONDS [NAME...]]: every fuzzer (or those named) of the folder BUILD for SECONDS (60) each, two at a time.
# What a fuzzer learns stays in BUILD/corpus for the next run; an input that breaks something is kept in BUILD/artifacts
# and named. Add such an input to tests/fuzz/corpus/fuzz-NAME, where every build replays it.
set -eu
cd "$(dirname "$0")/../.."
export BUILD="${BUILD:-build-fuzz}"
seconds=${1:-60}
[ $# -gt 0 ] && shift

fuzz() { # NAME
	corpus=$BUILD/corpus/fuzz-$1
	log=$BUILD/artifacts/fuzz-$1.log
	mkdir -p "$corpus" "$BUILD/artifacts"
	set -- "$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix="$BUILD/artifacts/fuzz-$1-" "$corpus" "tests/fuzz/corpus/fuzz-$1"
	[ ! -f "tests/fuzz/fuzz-$1.dict" ] || set -- "$@" -dict="tests/fuzz/fuzz-$1.dict"
	name=$1
	shift
	if "$BUILD/tests/fuzz/fuzz-$name" "$@" >"$log" 2>&1; then
		echo "ok fuzz-$name: $(sed -n 's/^Done \([0-9]*\) runs.*/\1 inputs/p' "$log")"
	else
		echo "not ok fuzz-$name: the end of $log:"
		tail -n 25 "$log" | sed 's/^/# /'
		return 1
	fi
}

if [ $# -eq 0 ]; then
	for f in tests/fuzz/fuzz-*.c; do
		f=${f##*/fuzz-}
		set -- "$@" "${f%.c}"
	done
fi
if [ $# -eq 1 ]; then
	fuzz "$1"
else
	echo "$# fuzzers, $seconds seconds each"
	printf '%s\n' "$@" | xargs -n 1 -P 2 tests/fuzz/run.sh "$seconds"
fi
