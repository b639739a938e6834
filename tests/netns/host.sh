#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The supervisor with its real roles, in a network, mount and PID namespace of the test's own, without a Docker Engine:
# what it starts, restarts, refuses and leaves behind. TAP on stdout; exit 77 when something is missing here.
#
# Environment: DOCKER_ROUTER (the command; default: build/docker-router), ARTIFACTS (where logs are kept after a failure).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

DOCKER_ROUTER=${DOCKER_ROUTER:-$PWD/build/docker-router}
ROLES="inventory discovery router"

skip() {
	echo "1..0 # SKIP $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
for tool in ip jq setpriv unshare; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done
[ -x "$DOCKER_ROUTER" ] || skip "$DOCKER_ROUTER is not built"
if [ "${1:-}" != inside ]; then
	unshare --net --mount --propagation private true || skip "no namespaces here"
	# as PID 1 of its own this script takes everything along that it leaves, whatever happens
	exec unshare --net --mount --propagation private --pid --fork --mount-proc --kill-child "$0" inside
fi
ip link set dev lo up

. tests/netns/lib.sh
: >"$T/conf"

host() { # OPTION...: start one in the background
	env -u STACK_ID -u VNI "CONFIG=$T/conf" INTERFACE=lo "$DOCKER_ROUTER" host --state-dir "$T/state" --run-dir="$T/run" "$@" \
		>>"$T/host.log" 2>&1 &
	HOST=$!
}

pid_of() { # ROLE
	jq -r '.roles[] | select(.role == "'"$1"'") | .pid' "$T/state/host.json" 2>/dev/null
}
runs() { # PROGRAM PID
	[ "$(basename "$(readlink "/proc/$2/exe" 2>/dev/null)" 2>/dev/null)" = "docker-router-$1" ]
}
all_run() {
	local r
	[ "$(jq .pid "$T/state/host.json" 2>/dev/null)" = "$HOST" ] || return 1
	for r in $ROLES; do
		runs "$r" "$(pid_of "$r")" || return 1
	done
}
reads_keys() { # PID: the child of discovery that does
	tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null | grep -qx -- --read-key-file
}
count() { # PROGRAM: how many run here, children that read keys not counted, unless there is more than one of those
	local p n=0 readers=0
	for p in /proc/[0-9]*; do
		p=${p#/proc/}
		if reads_keys "$p"; then
			readers=$((readers + 1))
		elif runs "$1" "$p"; then
			n=$((n + 1))
		fi
	done
	[ "$readers" -le 1 ] || n=$((n + readers))
	echo "$n"
}
count_is() {
	[ "$(count "$1")" = "$2" ]
}
none_left() {
	local r
	for r in host $ROLES; do
		count_is "$r" 0 || return 1
	done
	for r in /proc/[0-9]*; do
		! reads_keys "${r#/proc/}" || return 1
	done
}
said() {
	grep -q -- "$1" "$T/host.log"
}

# --- starting --------------------------------------------------------------------------------------------------------

(umask 077 && "$DOCKER_ROUTER" keygen >"$T/cluster.key")
host --cluster-key-file "$T/cluster.key"
ok "all roles run" within 10 all_run
ok "the lock holds the pid" grep -qx "$HOST" "$T/state/host.lock"
id=$(cat "$T/state/host_id")
ok "host.json tells the instance" test "$(jq -r .instance "$T/state/host.json")" = "${id:0:8}"
ok "options of the command line reach the roles" test "$(tr '\0' '\n' <"/proc/$(pid_of router)/environ" |
	grep -cxE "STATE_DIR=$T/state|RUN_DIR=$T/run")" = 2
brokers() { # the roles that have been given one
	local r
	for r in $ROLES; do
		tr '\0' '\n' <"/proc/$(pid_of "$r")/environ" | grep -q ^DOCKER_ROUTER_BROKER_FD= && echo "$r"
	done
}
ok "the broker serves the router alone" test "$(brokers)" = router

second() {
	local out rc
	out=$("$DOCKER_ROUTER" host --state-dir "$T/state" --run-dir "$T/run" 2>&1)
	rc=$?
	[ "$rc" = 1 ] && [[ $out == *"pid $HOST"*"$T/state"* ]]
}
ok "a second host on the same STATE_DIR is refused by name" second
elsewhere() { # another STATE_DIR, the same network namespace: two routers would undo each other's work
	local out status=0
	out=$(timeout 5 env -u STACK_ID -u VNI CONFIG= INTERFACE=lo "$DOCKER_ROUTER" host --state-dir "$T/other" \
		--run-dir="$T/other-run" 2>&1) || status=$?
	[ "$status" = 1 ] && [[ $out == *"another host with a router works in this network namespace"* ]]
}
ok "a second host in the same network namespace is refused" elsewhere

# --- least privilege: the table in ARCHITECTURE.md -----------------------------------------------------------------------

runs_as() { # ROLE USER CAPABILITIES SECCOMP, as status tells: no more than that, and nothing that could be got back
	"$DOCKER_ROUTER" status --state-dir "$T/state" --format json 2>/dev/null | jq -e --arg r "$1" --arg u "$2" --arg c "$3" \
		--argjson s "$4" '.roles[] | select(.role == $r) | .privileges | (.user | test("^(" + $u + ")$")) and
		(.capabilities | join(" ")) == $c and (.bounding | join(" ")) == $c and .no_new_privs and .seccomp == $s' >/dev/null
}
filter=true
# a build with AddressSanitizer has none
! grep -q __asan_init "$(readlink "/proc/$(pid_of discovery)/exe")" || filter=false
ok "inventory is root without capabilities" runs_as inventory root "" false
ok "discovery is nobody of importance, and may call little" runs_as discovery "docker-router|nobody" "" "$filter"
ok "router may administer the network" runs_as router root net_admin false
ok "names is nobody of importance, and may call little" within 5 runs_as names "docker-router|nobody" "" "$filter"
ok "multicast may have raw sockets" within 5 runs_as multicast "docker-router|nobody" net_raw false
reader() { # the child of discovery that reads the key file: root, for the file's owner, without anything else
	local p want=2 dead='^Cap(Prm|Eff|Inh|Bnd|Amb):.0000000000000000$'
	[ "$filter" = true ] || want=0
	for p in $(cat "/proc/$(pid_of discovery)/task/$(pid_of discovery)/children"); do
		reads_keys "$p" || continue
		grep -qE '^Uid:.0.0.0.0$' "/proc/$p/status" && [ "$(grep -cE "$dead" "/proc/$p/status")" = 5 ] &&
			grep -qx 'NoNewPrivs:.1' "/proc/$p/status" && grep -qx "Seccomp:.$want" "/proc/$p/status" && return 0
	done
	return 1
}
ok "who reads the key file is root without capabilities, and may call little" within 5 reader

# --- dying -----------------------------------------------------------------------------------------------------------

for role in $ROLES; do
	before=$(pid_of "$role")
	kill -9 "$before"
	back() { [ "$(pid_of "$role")" != "$before" ] && all_run; }
	ok "killed $role is back" within 3 back
done
ok "host.json counts the restarts" test "$(jq '[.roles[].restarts] | add' "$T/state/host.json")" = 3

kill -9 "$HOST"
wait "$HOST" 2>/dev/null
host
ok "after a kill of host a new one runs all roles" within 10 all_run
one_each() {
	local r
	for r in $ROLES; do
		count_is "$r" 1 || return 1
	done
}
ok "and nothing of the old one is left beside them" within 5 one_each
ok "with the same identity" test "$id" = "$(cat "$T/state/host_id")"

# --- signals ---------------------------------------------------------------------------------------------------------

before=$(pid_of router)
kill -HUP "$HOST"
ok "SIGHUP re-reads" within 3 said "host: settings re-read"
ok "and restarts nobody" test "$before" = "$(pid_of router)"
told_in_status() { # TEXT
	grep -q "settings.*$1" <<<"$("$DOCKER_ROUTER" status --state-dir "$T/state")"
}
echo 'peer_timeout: soon' >"$T/conf"
kill -HUP "$HOST"
ok "settings that are refused stay as they were" within 5 said "settings stay as they were"
ok "and status says so" within 5 told_in_status soon
: >"$T/conf"
kill -HUP "$HOST"
not_told() {
	! told_in_status soon
}
ok "until they are good" within 5 not_told

stop() {
	kill -TERM "$HOST"
	wait "$HOST"
}
ok "SIGTERM ends it with 0" stop
ok "and all its roles" none_left
ok "host.json says so" test "$(jq -r '[.roles[].state] | unique | join(",")' "$T/state/host.json")" = stopped
ok "the lock is empty" test ! -s "$T/state/host.lock"

# --- being PID 1 -----------------------------------------------------------------------------------------------------

# an orphan ends: PID 1 is who has to reap it
# shellcheck disable=SC2016
unshare --pid --fork --mount-proc --kill-child sh -c '
	( while ! grep -q running "$2/state/host.json"; do sleep 0.02; done
	  (sleep 0.05 &)
	  sleep 0.5
	  grep -l "^State:.Z" /proc/[0-9]*/status | wc -l > "$2/zombies"
	  kill -TERM 1 ) &
	rm -f "$2/state/host.json"
	exec "$1" host --state-dir "$2/state" --run-dir "$2/run"
' sh "$DOCKER_ROUTER" "$T" >>"$T/host.log" 2>&1
ok "as PID 1 it ends by SIGTERM" test $? = 0
ok "and leaves no zombie" test "$(cat "$T/zombies")" = 0

# --- wrong usage -----------------------------------------------------------------------------------------------------

refused() { # STATUS WORDS CMD...
	local status=$1 words=$2 out rc
	shift 2
	out=$("$@" 2>&1)
	rc=$?
	[ "$rc" = "$status" ] && [[ $out == *"$words"* ]] && return 0
	echo "# $rc: $out"
	return 1
}
ok "a bad value is refused by its name" refused 2 "VXLAN_PORT=99999" "$DOCKER_ROUTER" host --vxlan-port 99999
ok "so is a bad variable of a role" refused 2 "ANNOUNCE_INTERVAL=x" env ANNOUNCE_INTERVAL=x "$DOCKER_ROUTER" host
ok "and an argument" refused 2 "no arguments" "$DOCKER_ROUTER" host now
ok "and an unknown role" refused 2 "ROLES=" "$DOCKER_ROUTER" host --roles inventory,nonsense
ok "without root it says what it needs" refused 1 "needs root" setpriv --reuid 65534 --regid 65534 --clear-groups \
	"${DOCKER_ROUTER_OPEN:-$DOCKER_ROUTER}" host --state-dir "$T/other"

echo "1..$n_tests"
if [ "$n_failed" -gt 0 ]; then
	tail -n 60 "$T/host.log" | sed 's/^/# /'
	exit 1
fi
