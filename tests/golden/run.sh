#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Golden tests of the verbs: for each folder of state files, tests/golden/cli/NAME.d, every verb that only reads is run as
# a table and as JSON, and all of it - output, errors, exit status - is compared with tests/golden/cli/NAME.out, which
# reads like a session. --update writes those files anew; look at the diff before committing it.
#
# usage: tests/golden/run.sh [--update] [docker-router-cli]
set -u
here=$(cd "$(dirname "$0")" && pwd)
update=
[ "${1-}" = --update ] && update=1 && shift
cli=${1-$here/../../build/src/cli/docker-router-cli}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# what the reader's surroundings may change is pinned
unset STATE_DIR RUN_DIR CONFIG LOG_LEVEL LOG_FORMAT DOCKER_HOST COLUMNS
export LC_ALL=C.UTF-8 DOCKER_ROUTER_NOW=1705314600 # 2024-01-15T10:30:00Z

session() { # STATE_DIR
	while read -r call; do
		printf '$ docker-router %s\n' "$call"
		# shellcheck disable=SC2086 # the call is several words
		"$cli" $call --state-dir "$1" </dev/null 2>&1
		printf '[%d]\n\n' $?
	done <<-END
		status
		peers
		routes
		stacks
		map
		map --ascii
		records
		records web
		groups
		groups --format json
		nics
		nics --format json
		explain multicast
		explain multicast --format json
		explain weather
		resolve web.shop
		resolve WEB.Shop@nas.docker-router.internal. --from c2bbbbbb
		resolve shop --from shop_web_1
		resolve web.shop --from shop_web_1
		resolve web --from shop_client_1
		resolve blog --from shop_client_1
		resolve sick.shop
		resolve 241.9.0.2
		resolve 172.18.0.2
		resolve 172.18.0.2 --from shop_client_1
		resolve wbe.shop
		resolve www.com
		resolve www.com.docker-router.internal
		status --format json
		peers --format json
		routes --format json
		stacks --format json
		map --format json
		records --format json
		resolve web.shop --format json
		resolve nobody.here --format json
	END
}

cases=$(find "$here/cli" -name '*.d' | sort)
failed=0
n=0
echo "1..$(echo "$cases" | wc -l)"
for case in $cases; do
	n=$((n + 1))
	name=$(basename "$case" .d)
	# a copy: its files are ours, whoever owns the checkout; the verbs believe no others
	state=$work/state
	rm -rf "$state"
	mkdir "$state"
	find "$case" -name '*.json' -exec cp {} "$state" \;
	session "$state" | sed "s|$state|STATE_DIR|g" >"$work/out"
	if [ -n "$update" ]; then
		cp "$work/out" "$here/cli/$name.out"
		echo "ok $n - $name (written)"
	elif diff -u "$here/cli/$name.out" "$work/out" >"$work/diff"; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		sed 's/^/# /' "$work/diff"
		failed=1
	fi
done
exit $failed
