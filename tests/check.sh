#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `make check`: everything. Lint but for clang-tidy, unit tests, the tests with namespaces and dockerds; beside them a second
# build, with sanitizers, with its unit tests and the tests of what parses and what dies, and the simulation, and a virtual
# machine; in the end the tests that want to be alone. The last line is "N passed, N failed, N skipped"; the exit status is 0
# when nothing failed.
#
# Environment: BUILD, BUILD_ASAN (folders), WERROR=1 (warnings are errors), QUICK=1 (no dockerds), FULL=1 (every
# variant on every engine, all of them with the sanitizers, clang-tidy; three quarters of an hour).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH # see tests/docker/run.sh
BUILD=${BUILD:-build} BUILD_ASAN=${BUILD_ASAN:-build-asan}
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
results=$(mktemp) beside=$(mktemp -d)
trap 'rm -rf "$results" "$beside"' EXIT
more='' sim='' # what runs beside, each a process group of its own
stop() {
	local group tries
	trap '' INT TERM HUP
	for group in $more $sim; do
		kill -TERM -- "-$group" 2>/dev/null
	done
	wait
	for group in $more $sim; do # labs are still being taken down
		for ((tries = 0; tries < 600; tries++)); do
			kill -0 -- "-$group" 2>/dev/null || break
			sleep 0.2
		done
	done
	exit 130
}
trap stop INT TERM HUP
ARTEFACTS=${ARTEFACTS:-/tmp/docker-router-tests}

title() {
	printf '\n== %s\n' "$*"
}
result() { # ok|not ok|skip NAME
	echo "$*" >>"$results"
}
step() { # NAME CMD...: one test that is a command
	local name=$1 begin=$SECONDS status=0
	shift
	"$@" || status=$?
	case $status in
	0) echo "ok $name ($((SECONDS - begin)) s)" && result ok "$name" ;;
	77) echo "skip $name" && result skip "$name" ;;
	*) echo "not ok $name ($((SECONDS - begin)) s)" && result not ok "$name" ;;
	esac
	return $status
}

units() { # BUILD NAME SETUP [OPTION...]: meson's tests, each point of their TAP counted
	local log=$1/meson-logs/testlog-$3.json
	rm -f "$log"
	meson test -C "$1" --no-rebuild --print-errorlogs --quiet --timeout-multiplier 3 \
		--num-processes $((2 * $(nproc))) --setup "${@:3}"
	[ -s "$log" ] || {
		echo "not ok $2: no tests were run"
		result not ok "$2"
		return
	}
	# a program that died tells no "not ok" of its own
	jq -r --arg s "$2" '. as $t | ((.stdout // "") | split("\n")) as $l |
		($l[] | select(test("^ok .*# *SKIP"; "i")) | "skip \($s) \($t.name)"),
		($l[] | select(test("^ok ")) | select(test("# *SKIP"; "i") | not) | "ok \($s) \($t.name)"),
		($l[] | select(test("^not ok ")) | "not ok \($s) \($t.name)"),
		(if any($l[]; test("^(not )?ok ")) and ($t.result | IN("OK", "SKIP", "EXPECTEDFAIL")) then empty
		 elif $t.result == "OK" or $t.result == "EXPECTEDFAIL" then "ok \($s) \($t.name)"
		 elif $t.result == "SKIP" then "skip \($s) \($t.name)"
		 elif any($l[]; test("^not ok ")) then empty
		 else "not ok \($s) \($t.name)" end)' "$log" >>"$results"
	echo "$2: $(grep -c "^ok $2 " "$results") passed, $(grep -c "^not ok $2 " "$results") failed," \
		"$(grep -c "^skip $2 " "$results") skipped"
}

labs() { # ARGS...: of run.sh, which ends with 1 when a test failed, and otherwise with more than that
	local status=0
	ARTEFACTS=$ARTEFACTS tests/docker/run.sh --results "$results" "$@" || status=$?
	[ $status -le 1 ] || result not ok "tests/docker/run.sh $*: status $status"
}
with_sanitizers() { # --together|--alone TEST...
	ARTEFACTS=$ARTEFACTS/sanitizers DOCKER_ROUTER=$asan labs --first "$@"
}

built=
title "build"
step build make --no-print-directory build "BUILD=$BUILD" && built=1
plain=$(realpath "$BUILD")/docker-router asan=$(realpath -m "$BUILD_ASAN")/docker-router
# with sanitizers what parses and what dies; FULL=1: all
some=(host two-hosts alone faults-docker faults-wire) some_alone=(faults-kill) lanes=2
[ -z "${FULL:-}" ] || some=() some_alone=() lanes=3
if [ -n "$built" ]; then
	# labs mostly wait; what has minutes to compute takes what they leave
	set -m
	(
		results=$beside/sim.results
		renice -n 19 $BASHPID >/dev/null
		units "$BUILD" simulation all --suite sim
		# an emulated machine that is kept waiting loses packets, which it counts
		renice -n -10 $BASHPID >/dev/null 2>&1 || renice -n 0 $BASHPID >/dev/null
		[ -n "${QUICK:-}" ] || DOCKER_ROUTER=$plain step vm-wireguard tests/vm/wireguard.sh
		: >"$beside/sim.end"
	) >"$beside/sim" 2>&1 </dev/null &
	sim=$!
	(
		results=$beside/more.results
		if step "build with sanitizers" nice -n 19 make --no-print-directory asan "BUILD_ASAN=$BUILD_ASAN"; then
			: >"$beside/asan"
			units "$BUILD_ASAN" unit-asan all
			[ -n "${QUICK:-}" ] || LANES=$lanes with_sanitizers --together "${some[@]}"
		fi
		: >"$beside/more.end"
	) >"$beside/more" 2>&1 </dev/null &
	more=$!
	set +m
fi

title "lint"
FAST=$([ -n "${FULL:-}" ] || echo 1) BUILD=$BUILD tests/lint/run.sh --results "$results"

if [ -n "$built" ]; then
	title "unit tests"
	units "$BUILD" unit quick
	if [ -z "${QUICK:-}" ]; then
		title "namespaces and dockerds"
		DOCKER_ROUTER=$plain labs --together
	fi
	wait "$more" "$sim"
	more='' sim=''
	cat "$beside"/*.results >>"$results"
	[ -e "$beside/more.end" ] || result not ok "what runs with sanitizers was ended"
	[ -e "$beside/sim.end" ] || result not ok "the simulation was ended"
	title "beside them: with sanitizers"
	cat "$beside/more"
	title "beside them: the simulation, and a virtual machine"
	cat "$beside/sim"
	if [ -z "${QUICK:-}" ]; then
		title "alone"
		DOCKER_ROUTER=$plain labs --alone
		[ ! -e "$beside/asan" ] || with_sanitizers --alone "${some_alone[@]}"
		rmdir "$ARTEFACTS" 2>/dev/null
	fi
fi

count() {
	grep -c "^$1" "$results"
}
title "result"
grep '^not ok' "$results"
echo "$(count 'ok ') passed, $(count 'not ok ') failed, $(count 'skip ') skipped"
[ "$(count 'not ok ')" = 0 ]
