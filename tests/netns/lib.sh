# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What tests here share: a folder T, programs in PID by name, TAP, and waiting. Who puts programs into PID has a function
# end() that takes a signal and names.
T=$(mktemp -d "/tmp/docker-router-$(basename "$0" .sh).XXXXXX")
chmod 755 "$T"
declare -A PID=()
n_tests=0 n_failed=0
cleanup() {
	# a child that a signal meets before it has become its program would run this as well
	[ "$BASHPID" = $$ ] || exit
	trap - EXIT
	[ "${#PID[@]}" = 0 ] || end KILL "${!PID[@]}"
	if [ "$n_failed" -gt 0 ] && [ -n "${ARTIFACTS:-}" ]; then
		mkdir -p "$ARTIFACTS" && cp -r "$T" "$ARTIFACTS/"
	fi
	rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

. lab/grep.sh

ok() { # NAME CMD...
	local name=$1
	shift
	n_tests=$((n_tests + 1))
	if "$@"; then
		echo "ok $n_tests - ${MODE:+$MODE: }$name"
	else
		n_failed=$((n_failed + 1))
		echo "not ok $n_tests - ${MODE:+$MODE: }$name"
	fi
}

# A deadline tells what hangs from what goes on; SECONDS are those of a machine that has nothing else to do
PATIENCE=${PATIENCE:-3}
within() { # SECONDS CMD...: until it is true
	local end=$((SECONDS + $1 * PATIENCE + 1)) tries=0 pause=0.05
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		((++tries < 10)) || pause=0.2
		sleep $pause
	done
}

at_once() { # CMD...: it is true so soon that no timeout can be why
	PATIENCE=1 within 2 "$@"
}

throughout() { # SECONDS CMD...: it stays true
	local end=$((SECONDS + $1))
	shift
	while [ "$SECONDS" -lt "$end" ]; do
		"$@" || return 1
		sleep 0.2
	done
}
