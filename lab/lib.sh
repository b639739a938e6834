# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the lab's commands share: names, places, waiting, processes. A lab is a set of network namespaces
# (dr-LAB-h1, ...) and one folder (LAB_DIR/LAB) with a folder for each host; both together are all of its state, so
# that any command can be run at any time, and lab/down can clear up after whatever was killed.
#
# Environment: LAB (name, default "lab": several labs live side by side), LAB_DIR (default /tmp/docker-router-lab).

LAB=${LAB:-lab}
LAB_DIR=${LAB_DIR:-/tmp/docker-router-lab}
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DIR=$LAB_DIR/$LAB
export LAB LAB_DIR

. "$(dirname "${BASH_SOURCE[0]}")/grep.sh"

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

note() {
	[ -n "${QUIET:-}" ] || echo "$*" >&2
}

usage() { # WORDS: wrong usage
	echo "usage: lab/$*" >&2
	exit 2
}

[[ $LAB =~ ^[a-z0-9][a-z0-9-]{0,31}$ ]] || die "LAB=$LAB: a name of up to 32 of a-z, 0-9 and '-' is needed"
[ "$(id -u)" = 0 ] || die "needs root: network namespaces and dockerd"

# --- names -----------------------------------------------------------------------------------------------------------

ns() { # NODE: the name of its network namespace
	echo "dr-$LAB-$1"
}

lab_exists() {
	[ -f "$DIR/nodes" ]
}

labs() { # the names of those that are up
	local d
	for d in "$LAB_DIR"/*/nodes; do
		[ ! -f "$d" ] || basename "$(dirname "$d")"
	done | xargs
}

lab_need() {
	lab_exists && return
	local up
	up=$(labs)
	die "no lab named '$LAB' is up (lab/up starts one)${up:+; there is $up: LAB=${up%% *} ${0#"$PWD"/} ...}"
}

node_need() { # NODE...: every one must be a node of this lab
	local n
	lab_need
	for n; do
		grep -q " $n\$" "$DIR/nodes" || die "'$n' is not in lab '$LAB', which has: $(cut -d' ' -f2 "$DIR/nodes" | xargs)"
	done
}

nodes() { # KIND: host, node or switch
	sed -n "s/^$1 //p" "$DIR/nodes" 2>/dev/null
}

inside() { # NODE CMD...: nsenter, not `ip netns exec`, which remounts /sys and so hides the cgroups from dockerd
	local n=$1
	shift
	nsenter --net="/run/netns/$(ns "$n")" -- "$@"
}

# --- waiting ---------------------------------------------------------------------------------------------------------

wait_for() { # WHAT SECONDS CMD...: until CMD succeeds; says what it waits for; fails at the deadline
	local what=$1 limit=$2 begin=$SECONDS said='' tries=0 pause=0.05
	shift 2
	until "$@" >/dev/null 2>&1; do
		if ((SECONDS - begin >= limit)); then
			[ -t 2 ] && [ -n "$said" ] && printf '\r\033[K' >&2
			return 1
		fi
		if [ -z "${QUIET:-}" ]; then
			if [ -t 2 ]; then
				printf '\r\033[K  waiting for %s ... %d s' "$what" $((SECONDS - begin)) >&2
				said=1
			elif [ -z "$said" ] && ((SECONDS > begin)); then
				echo "  waiting for $what" >&2
				said=1
			fi
		fi
		# to ask costs those who are waited for: less often the longer it takes
		((++tries < 5)) || pause=0.1
		((tries < 15)) || pause=0.25
		sleep $pause
	done
	if [ -t 2 ] && [ -n "$said" ]; then
		printf '\r\033[K' >&2
	fi
}

# --- processes -------------------------------------------------------------------------------------------------------
# A record is a file with a pid and the time the kernel started it, so that a pid that was used again is never hit.

proc_time() { # PID: its start time; fails when there is none, or only a zombie
	local s
	s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	s=${s##*) }
	# shellcheck disable=SC2086 # the fields of the line are what is wanted
	set -- $s
	[ "$1" != Z ] && [ "$1" != X ] && echo "${20}"
}

proc_start() { # RECORD LOG CMD...: run detached
	local record=$1 log=$2
	shift 2
	setsid "$@" </dev/null >>"$log" 2>&1 &
	echo "$! $(proc_time $!)" >"$record"
}

proc_pid() { # RECORD: print its pid when it still runs
	local pid begun
	read -r pid begun 2>/dev/null <"$1" || return 1
	[ -n "$begun" ] && [ "$(proc_time "$pid")" = "$begun" ] && echo "$pid"
}

proc_gone() {
	! proc_pid "$1" >/dev/null
}

proc_end() { # RECORD [SIGNAL]: end it and wait; SIGKILL after 15 s
	local pid
	if pid=$(proc_pid "$1"); then
		kill -s "${2:-TERM}" "$pid" 2>/dev/null
		if ! wait_for "the end of $(basename "$1" .proc) of $(basename "$(dirname "$1")")" 15 proc_gone "$1"; then
			kill -s KILL "$pid" 2>/dev/null
			wait_for "the end of pid $pid" 5 proc_gone "$1"
		fi
	fi
	rm -f "$1"
}

# lab_pids - every process of this lab, also what a killed parent left: in one of its network namespaces (dockerd,
# containerd, shims, docker-router), a daemon or shim with its folder on the command line, or with its root file system
# in the folder (what runs in containers).
lab_pids() {
	local p self=" $$ $BASHPID "
	{
		stat -Lc '%i %n' /run/netns/dr-"$LAB"-* /proc/[0-9]*/ns/net 2>/dev/null |
			awk -F '[ /]' '$4 == "netns" { ours[$1] = 1 } $3 == "proc" && $1 in ours { print $4 }' || true
		grep -lsaE "(docker|containerd).*$DIR/" /proc/[0-9]*/cmdline | cut -d/ -f3 || true
		grep -lsE "^[^ ]+ [^ ]+ [^ ]+ ([^ ]*$DIR/[^ ]* / |/ / .*dir=[^ ]*$DIR/)" /proc/[0-9]*/mountinfo | cut -d/ -f3 || true
	} | sort -un | while read -r p; do
		[[ $self == *" $p "* ]] || ! proc_time "$p" >/dev/null || echo "$p"
	done
}

lab_mounts() { # mounts below the lab's folder, innermost first
	awk -v d="$DIR/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r
}

# --- hosts -----------------------------------------------------------------------------------------------------------

host_env() { # HOST: the environment that its commands run with, as `export` lines
	cat "$DIR/$1/env"
}

containerd_gone() { # HOST
	local pid
	pid=$(cat "$DIR/$1/exec/containerd/containerd.pid" 2>/dev/null) || return 0
	! proc_time "$pid" >/dev/null || ! grep -qsaF "$DIR/$1/" "/proc/$pid/cmdline"
}

dockerd_start() { # HOST
	local d=$DIR/$1 args
	read -ra args <"$d/dockerd.args" || true
	proc_gone "$d/dockerd.proc" || die "dockerd of $1 runs already"
	# What a killed one left. dockerd takes a containerd that still dies, or a zombie, for a running one and waits for
	# its socket.
	wait_for "the end of the containerd of $1" 10 containerd_gone "$1" || die "the containerd of $1 does not end"
	rm -f "$d/docker.pid" "$d/exec/containerd/containerd.pid"
	(
		eval "$(host_env "$1")"
		proc_start "$d/dockerd.proc" "$d/dockerd.log" nsenter --net="/run/netns/$(ns "$1")" -- dockerd \
			--config-file "$d/daemon.json" --data-root "$d/data" --exec-root "$d/exec" \
			--pidfile "$d/docker.pid" --host "unix://$d/docker.sock" "${args[@]}"
	)
}

dockerd_answers() { # HOST
	proc_pid "$DIR/$1/dockerd.proc" >/dev/null &&
		(eval "$(host_env "$1")" && exec docker version --format '{{.Server.Version}}')
}

dockerd_wait() { # HOST SECONDS
	dockerd_up_or_dead() {
		dockerd_answers "$1" || proc_gone "$DIR/$1/dockerd.proc"
	}
	wait_for "dockerd of $1" "$2" dockerd_up_or_dead "$1" && dockerd_answers "$1" >/dev/null && return
	tail -n 20 "$DIR/$1/dockerd.log" >&2
	die "dockerd of $1 ended, or does not answer after $2 s; its log: $DIR/$1/dockerd.log"
}

router_program() {
	local program=${DOCKER_ROUTER:-$TOP/build/docker-router}
	[ -x "$program" ] || die "no $program: run 'make build' first, or ROUTER=0 for a lab without docker-router"
	echo "$program"
}

router_start() { # HOST [NAME=VALUE...]: more environment, remembered
	local d=$DIR/$1 h=$1 program
	program=$(router_program) || exit
	shift
	[ $# -gt 0 ] && printf '%s\n' "$@" >>"$d/router.env"
	(
		eval "$(host_env "$h")"
		mapfile -t more <"$d/router.env"
		proc_start "$d/router.proc" "$d/router.log" nsenter --net="/run/netns/$(ns "$h")" -- \
			unshare --uts -- sh -c 'hostname "$0" && exec env "$@"' "$h" "${more[@]}" "$program" host
	)
}

router_ready() { # HOST: all roles have written what they know
	local d=$DIR/$1
	proc_pid "$d/router.proc" >/dev/null && [ -s "$d/state/host.json" ] && [ -s "$d/state/inventory.json" ] &&
		[ -s "$d/state/discovery.json" ] && [ -s "$d/state/router.json" ]
}

router_wait() { # HOST SECONDS
	router_up_or_dead() {
		router_ready "$1" || proc_gone "$DIR/$1/router.proc"
	}
	wait_for "docker-router of $1" "$2" router_up_or_dead "$1" && router_ready "$1" && return
	tail -n 20 "$DIR/$1/router.log" >&2
	die "docker-router of $1 ended, or is not ready after $2 s; its log: $DIR/$1/router.log"
}
