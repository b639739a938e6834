#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/docker/run.sh [--first] [--together|--alone] [--results FILE] [TEST...]: run the tests that need namespaces (tests/netns) and dockerds
# (tests/docker), each in a lab of its own. TEST is a name, or name/variant; none: all. Prints a line for each, and the
# log of what failed; keeps the logs of failures in ARTEFACTS (default /tmp/docker-router-tests).
#
# A test is a script beside this one that exits 0, 77 (skipped: its line "SKIPPED: reason" is told) or otherwise, with
# in its head
#   # variants: debian-v4 debian-v6 sid-v4      it runs once for each; told to it as VARIANT (engine-underlay); --first
#                                               runs only the first
#   # more: trixie-v6                          and once for each of these with FULL=1
#   # timeout: 300                              seconds that it may take with nothing beside it, 180 without; a test that
#                                               hangs is ended after three times as much, with FULL=1 eight times
#   # alone: why                                it measures time: nothing else runs beside it
# Five run side by side (they mostly wait; LANES), the longest first, and then one by one those that say alone; --together runs
# only the former, --alone only the latter.
# What it leaves behind - a namespace, a process, a mount - is a failure of its own, and so is a report of a sanitizer.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# Debian's programs before others of the same names: a python3 that is a script that looks for one takes ten times as long
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH

first='' kinds='together alone' results=/dev/null
while [ $# -gt 0 ]; do
	case $1 in
	--first) first=1 ;;
	--together | --alone) kinds=${1#--} ;;
	--results)
		results=$2
		shift
		;;
	-*)
		echo "usage: tests/docker/run.sh [--first] [--together|--alone] [--results FILE] [TEST...]" >&2
		exit 2
		;;
	*) break ;;
	esac
	shift
done
export DOCKER_ROUTER=${DOCKER_ROUTER:-$PWD/${BUILD:-build}/docker-router}
ARTEFACTS=${ARTEFACTS:-/tmp/docker-router-tests}
LANES=${LANES:-5}
number=0
reachable=$(mktemp -d)
export DOCKER_ROUTER_OPEN=$DOCKER_ROUTER # one that every user can run
if ! setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$DOCKER_ROUTER"; then
	# some tests run the roles as another user, who cannot look into a folder such as /root
	chmod 755 "$reachable"
	cp -L "$DOCKER_ROUTER" "$reachable"
	find "$(dirname "$(readlink -f "$DOCKER_ROUTER")")" -mindepth 2 -maxdepth 2 -type f -perm -1 -name 'docker-router-*' \
		-exec cp -t "$reachable" {} +
	DOCKER_ROUTER_OPEN=$reachable/docker-router
fi
outcome=$(mktemp -d) # of each test: a file, its first line "ok", "not ok" or "skip"
trap 'rm -rf "$outcome" "$reachable"' EXIT

head_of() { # SCRIPT WORD
	sed -n "1,20s/^# $2: //p" "$1"
}

tests() { # KIND [NAME...]: those of that kind with these names, or all: script and variant, the longest first
	local script name variant variants limit kind=$1
	shift
	for script in tests/netns/*.sh tests/docker/*.sh; do
		name=$(basename "$script" .sh)
		case $script in
		*/lib.sh | */*-lib.sh | */run.sh | *'*'*) continue ;;
		esac
		variants=$(head_of "$script" variants)
		[ -z "${FULL:-}" ] || read -r variants <<<"$variants $(head_of "$script" more)" # none stays none
		[ -z "$first" ] || variants=${variants%% *}
		[ "$kind" = "$([ -n "$(head_of "$script" alone)" ] && echo alone || echo together)" ] || continue
		limit=$(head_of "$script" timeout)
		for variant in ${variants:--}; do
			[ $# = 0 ] || [[ " $* " == *" $name "* ]] || [[ " $* " == *" $name/$variant "* ]] || continue
			echo "${limit:-180} $script $variant"
		done
	done | sort -s -k 1,1nr | cut -d' ' -f2-
}

leftovers() { # of the test's lab: lines that say what was left
	local n
	for n in /run/netns/dr-"$LAB"-*; do
		[ ! -e "$n" ] || echo "left behind: namespace $(basename "$n")"
	done
	(
		. lab/lib.sh
		lab_mounts | sed 's/^/left behind: mount /'
		for n in $(lab_pids); do
			echo "left behind: process $n $(tr '\0' ' ' <"/proc/$n/cmdline" | cut -c1-100)"
		done
		[ ! -e "$DIR" ] || echo "left behind: $DIR"
	)
}

stop() {
	trap '' INT TERM
	local lab
	jobs -p | xargs -r kill 2>/dev/null
	wait
	while read -r lab; do
		LAB=$lab QUIET=1 lab/down
	done < <(cat "$outcome"/*.lab 2>/dev/null)
	exit 130
}
trap stop INT TERM

run() { # NUMBER SCRIPT VARIANT: in a process of its own
	local script=$2 variant=$3 name limit begin seconds status=0 log left
	name=$(basename "$script" .sh)
	[ "$variant" = - ] || name=$name/$variant
	export LAB=t$$-$1 LAB_LOGS=$ARTEFACTS/${name//\//-}
	rm -rf "$LAB_LOGS"
	mkdir -p "$LAB_LOGS"
	log=$LAB_LOGS/test.log
	limit=$(head_of "$script" timeout)
	limit=$((${limit:-180} * $([ -n "${FULL:-}" ] && echo 8 || echo 3)))
	echo "$LAB" >"$outcome/$1.lab"
	begin=${EPOCHREALTIME/[.,]/}
	# timeout has a process group of its own
	VARIANT=${variant#-} timeout -k 30 "${limit:-180}" bash "$script" >"$log" 2>&1 </dev/null &
	script_pid=$!
	trap 'kill $script_pid 2>/dev/null; wait $script_pid; exit 130' TERM
	wait $script_pid || status=$?
	trap - TERM
	[ "$status" != 124 ] || echo "FAILED: not done after ${limit:-180} s" >>"$log"
	left=$(leftovers)
	if [ -n "$left" ]; then
		echo "$left" >>"$log"
		lab/down >>"$log" 2>&1
		status=1
	fi
	if grep -lE 'AddressSanitizer|LeakSanitizer|UndefinedBehavior|runtime error:' "$LAB_LOGS"/* >>"$log" 2>/dev/null; then
		echo "FAILED: a sanitizer has something to say, in the files above" >>"$log"
		status=1
	fi
	rm -f "$outcome/$1.lab"
	seconds=$(((${EPOCHREALTIME/[.,]/} - begin) / 100000))
	seconds=$((seconds / 10)).$((seconds % 10))
	# one write each, so that lanes do not mix their lines
	case $status in
	0)
		printf 'ok %s\n' "$name" >"$outcome/$1"
		printf 'ok %s (%s s)\n' "$name" "$seconds"
		rm -rf "$LAB_LOGS"
		;;
	77)
		printf 'skip %s\n' "$name" >"$outcome/$1"
		printf 'skip %s: %s\n' "$name" "$(sed -n 's/^SKIPPED: //p' "$log" | tail -n 1)"
		rm -rf "$LAB_LOGS"
		;;
	*)
		printf 'not ok %s\n' "$name" >"$outcome/$1"
		# first why, which may stand far above the state of all hosts
		printf 'not ok %s (%s s), logs in %s\n%s\n' "$name" "$seconds" "$LAB_LOGS" \
			"$({ head -n -100 "$log" | grep '^FAILED'; tail -n 100 "$log"; } | sed 's/^/    /')"
		;;
	esac
}

lane() { # SCRIPT VARIANT: start it when there is room
	while [ "$(jobs -rp | wc -l)" -ge "$LANES" ]; do
		wait -n || true
	done
	number=$((number + 1))
	run $number "$1" "$2" </dev/null &
}

mkdir -p "$ARTEFACTS"
for kind in $kinds; do
	[ "$kind" = together ] || LANES=1
	while read -r script variant; do
		lane "$script" "$variant"
	done < <(tests "$kind" "$@")
	wait
done
[ $number -gt 0 ] || {
	echo "no test is named $*" >&2
	exit 2
}
for ((i = 1; i <= number; i++)); do
	cat "$outcome/$i" 2>/dev/null || echo "not ok test $i: ended without a result"
done >"$outcome/all"
cat "$outcome/all" >>"$results"
rmdir "$ARTEFACTS" 2>/dev/null
count() { # START OF LINE
	grep -c "^$1" "$outcome/all"
}
echo "$(count 'ok ') passed, $(count 'not ok') failed, $(count 'skip ') skipped"
[ "$(count 'not ok')" = 0 ]
