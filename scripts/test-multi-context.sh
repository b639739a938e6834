#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Deploy to every enabled context of docker-contexts.json its stack, wait until each stack's discovery.json holds all
# others, ping from each to each, and take all down again (KEEP=1 leaves it). WAIT: seconds to wait at most (90).
set -euo pipefail
. "$(dirname "$0")/contexts.sh"

[ $# = 0 ] || { echo "usage: [KEEP=1] [WAIT=seconds] test-multi-context.sh" >&2; exit 2; }
contexts_need
mapfile -t names < <(contexts enabled)
[ ${#names[@]} -ge 2 ] || die "two contexts must be enabled at least (setup-contexts.sh enable NAME); these are: ${names[*]:-none}"
declare -A file service address stack
for n in "${names[@]}"; do
	context_made "$n"
	file[$n]=$(stack_file "$n")
	stack[$n]=$(context_get "$n" stack_name)
done
twice=$(printf '%s\n' "${stack[@]}" | sort | uniq -d | xargs)
[ -z "$twice" ] || die "two enabled contexts have the stack name $twice"

at() { # NAME COMPOSE-ARGS...
	local n=$1
	shift
	compose_at "$n" -f "${file[$n]}" "$@" </dev/null
}

finish() {
	local status=$?
	trap '' INT TERM
	if [ -n "${KEEP:-}" ]; then
		echo "left up: docker --context NAME compose -f FILE down ends it"
	else
		echo "taking the stacks down"
		for n in "${names[@]}"; do
			out=$(at "$n" down -v 2>&1) || echo "  $n: 'down' failed: $(tail -n 1 <<<"$out")" >&2
		done
	fi
	exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

for n in "${names[@]}"; do
	echo "$n: starting ${stack[$n]} (${file[$n]##*/})"
	at "$n" up -d >/dev/null 2>&1 || { at "$n" up -d || true; die "$n: ${stack[$n]} does not start"; }
	service[$n]=$(at "$n" config --services 2>/dev/null | sed -n "/^test/p")
	[ -n "${service[$n]}" ] || die "${file[$n]} has no service test..."
	id=$(at "$n" ps -q "${service[$n]}" 2>/dev/null)
	address[$n]=$(docker_at "$n" inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$id" </dev/null | xargs)
done

missing() { # NAME: which stacks its discovery.json does not hold yet
	local n have
	have=$(at "$1" exec -T "${service[$1]}" cat /shared/discovery.json 2>/dev/null |
		jq -r '.peers[] | select(.status == "active") | .stack_id' 2>/dev/null) || true
	for n in "${names[@]}"; do
		[ "$n" = "$1" ] || grep -qxF "${stack[$n]}" <<<"$have" || echo "${stack[$n]}"
	done
}

status=0
deadline=$((SECONDS + ${WAIT:-90}))
for n in "${names[@]}"; do
	echo "$n: waiting until ${stack[$n]} knows all others"
	while lacks=$(missing "$n" | xargs) && [ -n "$lacks" ]; do
		if [ $SECONDS -ge $deadline ]; then
			echo "not ok  ${stack[$n]} does not know $lacks"
			status=1
			break
		fi
		sleep 0.5
	done
	[ -n "$lacks" ] || echo "ok      ${stack[$n]} knows all others"
done
for n in "${names[@]}"; do
	for m in "${names[@]}"; do
		[ "$n" != "$m" ] || continue
		# routes follow discovery.json within a moment
		if at "$n" exec -T "${service[$n]}" sh -c "for i in 1 2 3 4 5 6 7 8 9 10; do ping -c 1 -W 1 ${address[$m]} && exit; done; exit 1" \
			>/dev/null 2>&1; then
			echo "ok      ${stack[$n]} reaches ${stack[$m]} (${address[$m]})"
		else
			echo "not ok  ${stack[$n]} does not reach ${stack[$m]} (${address[$m]})"
			status=1
		fi
	done
done
exit $status
