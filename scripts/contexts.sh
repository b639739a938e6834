# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts around docker-contexts.json share: the file, and docker and Compose on the host of a context.
#
# CONTEXTS_FILE (default docker-contexts.json in the top folder) and STACKS (folder of the Compose files) may be set.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CONTEXTS_FILE=${CONTEXTS_FILE:-$TOP/docker-contexts.json}
STACKS=${STACKS:-$TOP/examples/multi-stack}

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

contexts_need() {
	command -v jq >/dev/null || die "jq is needed"
	[ -f "$CONTEXTS_FILE" ] ||
		die "there is no $CONTEXTS_FILE: cp docker-contexts.json.example docker-contexts.json, and edit it"
	jq -e '.contexts | type == "object"' "$CONTEXTS_FILE" >/dev/null 2>&1 ||
		die "$CONTEXTS_FILE is not what docker-contexts.json.example shows: JSON with an object \"contexts\""
}

contexts() { # [enabled]: names
	jq -r --arg w "${1:-}" '.contexts | to_entries[] | select($w == "" or .value.enabled) | .key' "$CONTEXTS_FILE"
}

context_get() { # NAME KEY
	jq -r --arg n "$1" --arg k "$2" '.contexts[$n][$k] // ""' "$CONTEXTS_FILE"
}

context_made() { # NAME: make docker's own context for it when it is missing, or is for another host
	local host
	host=$(context_get "$1" host)
	[ "$host" != local ] || return 0
	if docker context inspect "$1" >/dev/null 2>&1; then
		[ "$(docker context inspect "$1" --format '{{.Endpoints.docker.Host}}')" = "$host" ] ||
			docker context update "$1" --docker "host=$host" >/dev/null
	else
		docker context create "$1" --description "$(context_get "$1" description)" --docker "host=$host" >/dev/null
	fi
}

docker_at() { # NAME ARGS...: docker on the host of a context; "local" is whatever docker speaks to without one
	local name=$1
	shift
	if [ "$(context_get "$name" host)" = local ]; then
		docker "$@"
	else
		docker --context "$name" "$@"
	fi
}

compose_at() { # NAME ARGS...
	local name=$1 host
	shift
	if docker compose version >/dev/null 2>&1; then
		docker_at "$name" compose "$@"
		return
	fi
	host=$(context_get "$name" host)
	command -v docker-compose >/dev/null || die "neither 'docker compose' nor docker-compose is installed"
	if [ "$host" = local ]; then
		docker-compose "$@"
	else # version 1 speaks SSH with python3-paramiko, version 2 by itself
		DOCKER_HOST=$host docker-compose "$@"
	fi
}

stack_file() { # NAME: its Compose file
	local f
	f=$(context_get "$1" compose_file)
	[ "${f#/}" != "$f" ] || f=$STACKS/$f
	[ -f "$f" ] || die "context $1: there is no $f"
	echo "$f"
}
