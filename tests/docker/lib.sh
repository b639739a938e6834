# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the tests with real dockerds share. A test sources this first, begins a lab, and states what must hold; the first
# thing that does not ends it. tests/docker/run.sh gives it a LAB of its own and a VARIANT (see there).
set -euo pipefail

TEST_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$TEST_DIR/../../lab/lib.sh"
EXAMPLES=$TOP/examples
export QUIET=1 IMAGE=lab:1

VARIANT=${VARIANT:-debian-v4}
ENGINE=${VARIANT%%-*}
UNDERLAY=v4
[[ $VARIANT != *-v6* ]] || UNDERLAY=v6
export ENGINE

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

skip() { # REASON
	echo "SKIPPED: $*"
	exit 77
}

step() { # WORDS: what comes next, for the log
	printf '\n[%s] %s\n' "$(date +%T)" "$*"
}

at_end=()
at_exit() { # CMD...: done when the test ends, last first
	at_end=("$(printf '%q ' "$@")" "${at_end[@]}")
}

end() { # PID: a child of this test, when it still runs; else its number may be somebody else's by now
	[[ $'\n'$(jobs -rp)$'\n' != *$'\n'"$1"$'\n'* ]] || kill "$1" 2>/dev/null || true
}

finish() {
	local status=$? c
	# a child that a signal meets before it has become its program would run this as well
	[ "$BASHPID" = $$ ] || exit $status
	trap '' INT TERM
	trap - ERR
	set +e
	if [ $status != 0 ] && [ $status != 77 ]; then
		show_state
	fi
	for c in "${at_end[@]}"; do
		eval "$c"
	done
	"$TOP/lab/down" || status=1
	exit $status
}
set -E # the trap below inside functions too
trap 'echo "FAILED: ${BASH_SOURCE[0]##*/} line $LINENO: $BASH_COMMAND" >&2' ERR
trap finish EXIT
trap 'exit 130' INT TERM

show_state() { # for the log of a failure
	local h
	[ -f "$DIR/nodes" ] || return 0
	for h in $(nodes host); do
		printf '\n--- %s: docker-router status, then the end of its log\n' "$h"
		timeout 5 "$TOP/lab/exec" "$h" docker-router status 2>&1 | tail -n 40
		tail -n 30 "$DIR/$h/router.log" 2>/dev/null
		printf -- '--- %s: rules, routes, links\n' "$h"
		inside "$h" ip rule
		inside "$h" ip -br addr
	done
}

# --- labs ------------------------------------------------------------------------------------------------------------

lab_begin() { # [TOPOLOGY]: two-hosts or another; for an IPv6 variant its -v6 sibling, when there is one
	local topology=${1:-two-hosts} status=0
	if [ $UNDERLAY = v6 ] && [ -f "$TOP/lab/topologies/$topology-v6" ]; then
		topology=$topology-v6
	fi
	step "lab $topology, engine $ENGINE, underlay $UNDERLAY"
	if [ "$ENGINE" != debian ]; then
		"$TOP/lab/engine.sh" "$ENGINE" >"$LAB_DIR.reason.$$" 2>&1 || status=$?
		if [ $status = 77 ]; then
			reason=$(tail -n 1 "$LAB_DIR.reason.$$")
			rm -f "$LAB_DIR.reason.$$"
			skip "$reason"
		fi
		rm -f "$LAB_DIR.reason.$$"
	fi
	"$TOP/lab/up" "$topology"
}

# exec, docker, compose, service: the lab's commands by name; the first two, asked for most, without a shell of their own
on() { # HOST CMD...
	local h=$1
	shift
	(
		[ ! -f "$LAB_DIR/$LAB/$h/env" ] || eval "$(<"$LAB_DIR/$LAB/$h/env")" # a node that is no host has none
		exec nsenter --net="/run/netns/dr-$LAB-$h" -- "$@"
	)
}
docker_on() { # HOST ARGS...
	on "$1" docker "${@:2}"
}
compose_on() { # HOST ARGS...
	"$TOP/lab/compose" "$@"
}
service_of() { # HOST dockerd|router VERB
	"$TOP/lab/service" "$@"
}

images_on() { # HOST...: docker-router and docker-router-discovery, from the build under test
	local h
	for h; do
		BUILD=$(dirname "$DOCKER_ROUTER") on "$h" "$TOP/scripts/build.sh" --import
	done
}

container_of() { # HOST PROJECT SERVICE: the name of its first container (Compose 1 and 2 join with different signs)
	docker_on "$1" ps --filter "label=com.docker.compose.project=$2" --filter "label=com.docker.compose.service=$3" \
		--format '{{.Names}}' | head -n 1
}

command -v curl >/dev/null || fail "curl is not installed"
pid_of() { # HOST CONTAINER: of its first process
	# shellcheck disable=SC2016 # for the shell there
	on "$1" sh -c 'curl -sf --unix-socket "${DOCKER_HOST#unix://}" "http://docker/containers/$0/json"' "$2" |
		sed -n 's/.*"Pid":\([1-9][0-9]*\).*/\1/p' | grep .
}

# As `docker exec`, whose cost tests would pay hundreds of times, but as root with all capabilities and without its environment
in_container() { # HOST CONTAINER CMD...
	local pid
	pid=$(pid_of "$1" "$2") || return
	env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		nsenter --target "$pid" --mount --uts --ipc --net --pid --cgroup --root --wd -- "${@:3}" </dev/null
}

# --- what must hold --------------------------------------------------------------------------------------------------

# A deadline tells what hangs from what goes on; SECONDS are those of a machine that has nothing else to do
PATIENCE=${PATIENCE:-3}
wait_until() { # WHAT SECONDS CMD...
	local what=$1 seconds=$(($2 * PATIENCE))
	shift 2
	wait_for "$what" "$seconds" "$@" && return
	fail "$what: not within $seconds s"
}

must_fail() { # CMD...
	if "$@" >/dev/null 2>&1; then
		fail "this was to fail, and did not: $*"
	fi
}

must_equal() { # WHAT EXPECTED GOT
	[ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
}

must_contain() { # WHAT PATTERN TEXT: an extended regular expression
	grep -qE -- "$2" <<<"$3" || fail "$1: nothing matches '$2' in: $3"
}

pings() { # HOST CONTAINER ADDRESS [OPTIONS...]
	local h=$1 c=$2 a=$3
	shift 3
	in_container "$h" "$c" ping -c 1 -W 1 "$@" "$a" >/dev/null 2>&1
}

connects() { # HOST CONTAINER ADDRESS [PORT]: TCP
	in_container "$1" "$2" timeout 2 nc -w 1 "$3" "${4:-80}" </dev/null >/dev/null 2>&1
}

reach() { # HOST CONTAINER ADDRESS [PORT]: must answer ping and TCP, within 10 s
	wait_until "$2 on $1 pings $3" 10 pings "$1" "$2" "$3"
	wait_until "$2 on $1 connects to $3 port ${4:-80}" 10 connects "$1" "$2" "$3" "${4:-80}"
}

unreach() { # HOST CONTAINER ADDRESS [PORT]: must answer neither
	! pings "$1" "$2" "$3" || fail "$2 on $1 reaches $3 by ping, and must not"
	! connects "$1" "$2" "$3" "${4:-80}" || fail "$2 on $1 reaches $3 port ${4:-80}, and must not"
}

reach_full_size() { # HOST CONTAINER ADDRESS MTU: the largest packet that fits goes through unfragmented, one more does not
	local header=28
	[[ $3 != *:* ]] || header=48
	wait_until "$2 on $1 reaches $3 with packets of $4 bytes" 5 pings "$1" "$2" "$3" -M "do" -s $(($4 - header))
	must_fail in_container "$1" "$2" ping -c 2 -i 0.2 -W 1 -M "do" -s $(($4 - header + 1)) "$3"
}

overlay_mtu() { # what is left for the overlay on an underlay of 1500
	if [ $UNDERLAY = v6 ]; then
		echo 1430
	else
		echo 1450
	fi
}

# --- stacks made by hand ---------------------------------------------------------------------------------------------

network_on() { # HOST NAME VNI SUBNET... [-- OPTIONS...]: VNI "-" gives no label
	local h=$1 name=$2 vni=$3 options=()
	shift 3
	[ "$vni" = - ] || options+=(--label "docker-router.vni=$vni")
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		[[ $1 != *:* ]] || options+=(--ipv6)
		options+=(--subnet "$1")
		shift
	done
	[ $# = 0 ] || shift
	docker_on "$h" network create "${options[@]}" "$@" "$name" >/dev/null
}

# Says who it is and whom it sees, on port 80; gives 1 MB on port 81: all of it, however slowly, which socat without -t does not
# shellcheck disable=SC2016 # for the shell inside
WHO='for v in 4 6,ipv6only=1; do
	l=TCP${v%%,*}-LISTEN o=fork,reuseaddr,backlog=64${v#?}
	socat $l:80,$o SYSTEM:"echo \$(hostname) \$SOCAT_PEERADDR" &
	socat -U -t 60 $l:81,$o SYSTEM:"head -c 1000000 /dev/zero" &
done
wait'

# The program of a container, or in a namespace, that is to be there and nothing else, until it is ended
IDLE=(tail -f /dev/null)

container_on() { # HOST NAME NETWORK [OPTIONS...]: an answering container
	local h=$1 name=$2 network=$3
	shift 3
	docker_on "$h" run -d --name "$name" --hostname "$name" --network "$network" "$@" lab:1 sh -c "$WHO" >/dev/null
}

ask() { # HOST CONTAINER ADDRESS [PORT]: what an answering container says
	in_container "$1" "$2" timeout 12 nc -w 10 "$3" "${4:-80}" </dev/null
}

ip6_long() { # ADDRESS with a "::": as socat writes it
	local left right
	IFS=: read -ra left <<<"${1%%::*}"
	IFS=: read -ra right <<<"${1##*::}"
	while [ $((${#left[@]} + ${#right[@]})) -lt 8 ]; do
		left+=(0)
	done
	# shellcheck disable=SC2046 # eight words
	set -- $(printf '%04x ' "${left[@]/#/0x}" "${right[@]/#/0x}")
	local IFS=:
	echo "[$*]"
}
