# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# To be sourced where pipefail is set: grep -q ends at the first match, and pipefail would call who still writes to it a failure
grep() {
	local status=0 words=0 a
	command grep "$@" || status=$?
	for a; do
		[[ $a == -* ]] || words=$((words + 1))
	done
	[[ $1 != -*q* ]] || [ $words -gt 1 ] || [ ! -p /dev/stdin ] || cat >/dev/null
	return $status
}
