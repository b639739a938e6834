#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Are the hosts of docker-contexts.json reachable, and have they the images? Tests every context; fails when an enabled
# one fails.
set -euo pipefail
. "$(dirname "$0")/contexts.sh"

[ $# = 0 ] || { echo "usage: test-contexts.sh" >&2; exit 2; }
contexts_need
status=0
for name in $(contexts); do
	enabled=$(context_get "$name" enabled)
	words=''
	problem=''
	context_made "$name"
	if version=$(docker_at "$name" version --format '{{.Server.Version}} {{.Server.Os}}/{{.Server.Arch}}' 2>&1 </dev/null); then
		words="Docker $version"
		stack_file "$name" >/dev/null
		for image in docker-router:latest docker-router-discovery:latest; do
			docker_at "$name" image inspect "$image" >/dev/null 2>&1 </dev/null || problem="$problem no image $image;"
		done
		[ -z "$problem" ] || problem="$problem scripts/build.sh makes them, docker save and load bring them there"
	else
		problem=" $(tail -n 1 <<<"$version")"
	fi
	[ "$enabled" = true ] || words="${words:+$words, }not enabled"
	if [ -z "$problem" ]; then
		echo "ok      $name: $words"
	elif [ "$enabled" = true ]; then
		echo "not ok  $name: $words$problem"
		status=1
	else
		echo "not yet $name: $words;$problem"
	fi
done
exit $status
