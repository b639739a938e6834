#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Keep docker-contexts.json, and the docker contexts that it names: hosts that scripts/test-multi-context.sh deploys to.
#
#   setup-contexts.sh add NAME HOST DESCRIPTION COMPOSE_FILE STACK     HOST: ssh://user@host[:port], or "local"
#   setup-contexts.sh enable NAME | disable NAME | remove NAME
#   setup-contexts.sh list
set -euo pipefail
. "$(dirname "$0")/contexts.sh"

usage() {
	sed -n 's/^#   /  /p' "$0" >&2
	exit 2
}

edit() { # JQ-ARGS...: replace the file by what jq makes of it
	local new
	new=$(mktemp "$CONTEXTS_FILE.XXXXXX")
	if ! jq --indent 2 "$@" "$CONTEXTS_FILE" >"$new"; then
		rm -f "$new"
		die "$CONTEXTS_FILE could not be edited"
	fi
	chmod --reference="$CONTEXTS_FILE" "$new"
	mv "$new" "$CONTEXTS_FILE"
}

known() { # NAME
	jq -e --arg n "$1" '.contexts | has($n)' "$CONTEXTS_FILE" >/dev/null ||
		die "no context '$1' in $CONTEXTS_FILE, which has: $(contexts | xargs)"
}

case ${1:-} in
add)
	[ $# = 6 ] || usage
	[[ $2 =~ ^[a-zA-Z0-9][a-zA-Z0-9_.+-]*$ ]] || die "'$2' is no name for a context: letters, digits, '_', '.', '+', '-'"
	[[ $3 == local || $3 =~ ^ssh://[^/[:space:]]+$ ]] || die "'$3' is neither ssh://user@host[:port] nor local"
	[ -f "$CONTEXTS_FILE" ] || echo '{"contexts": {}}' >"$CONTEXTS_FILE"
	contexts_need
	edit --arg n "$2" --arg h "$3" --arg d "$4" --arg f "$5" --arg s "$6" \
		'.contexts[$n] = {description: $d, host: $h, enabled: false, compose_file: $f, stack_name: $s}'
	stack_file "$2" >/dev/null
	context_made "$2"
	echo "added $2; '${0##*/} enable $2' lets the tests deploy to it"
	;;
enable | disable)
	[ $# = 2 ] || usage
	contexts_need
	known "$2"
	[ "$1" = disable ] || context_made "$2"
	edit --arg n "$2" --argjson e "$([ "$1" = enable ] && echo true || echo false)" '.contexts[$n].enabled = $e'
	echo "$1d $2"
	;;
remove)
	[ $# = 2 ] || usage
	contexts_need
	known "$2"
	[ "$(context_get "$2" host)" = local ] || docker context rm -f "$2" >/dev/null 2>&1 || true
	edit --arg n "$2" 'del(.contexts[$n])'
	echo "removed $2"
	;;
list)
	[ $# = 1 ] || usage
	contexts_need
	{
		printf 'NAME\tENABLED\tHOST\tSTACK\tCOMPOSE FILE\tDESCRIPTION\n'
		jq -r '.contexts | to_entries[] | [.key, (if .value.enabled then "yes" else "no" end), .value.host,
			.value.stack_name, .value.compose_file, .value.description] | @tsv' "$CONTEXTS_FILE"
	} | awk -F '\t' '{ printf "%-16s %-8s %-32s %-16s %-30s %s\n", $1, $2, $3, $4, $5, $6 }'
	;;
*) usage ;;
esac
