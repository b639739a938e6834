#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# front.sh BUILD: the command table as people, the docker command and other images meet it. TAP.
set -u
front=$1/src/docker-router
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0

# check NAME STATUS PATTERN COMMAND...: exit status, and a pattern that the output (both streams) must match
check() {
	name=$1 want=$2 pattern=$3
	shift 3
	out=$("$@" 2>&1)
	status=$?
	n=$((n + 1))
	if [ "$status" = "$want" ] && printf '%s\n' "$out" | grep -q -- "$pattern"; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		printf '# exit status %s, wanted %s with %s:\n%s\n' "$status" "$want" "$pattern" "$out" | sed 's/^[^#]/# &/'
	fi
}

echo 1..18
check 'no command: help, exit 2' 2 '^Usage: docker-router COMMAND' "$front"
check 'help' 0 '^  peers ' "$front" --help
check 'unknown command' 2 'unknown command "statsu"; did you mean status?' "$front" statsu
check 'nothing like it' 2 'unknown command "\\x1b\[2J"; docker-router --help lists them' "$front" "$(printf '\033[2J')"
check 'metadata for docker' 0 '^{"SchemaVersion":"0.1.0","Vendor":"Docker Router","Version":"[0-9]' \
	"$front" docker-cli-plugin-metadata

export DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND=docker
check 'as a plugin: help' 0 '^Usage: docker router COMMAND' "$front" router --help
check 'as a plugin: behind global options' 2 'did you mean status?' "$front" --log-level debug -D router statsu
check 'as a plugin: not in another context' 2 'not in the context "lab"' "$front" --context lab router peers
check 'as a plugin: the context of this host' 2 'did you mean status?' "$front" --context=default router statsu
unset DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND

# a tree of our own, with executables that tell how they were started
mkdir -p "$dir/build/src/router" "$dir/build/src/cli" "$dir/flat" "$dir/bin"
cp "$front" "$dir/build/src/"
# shellcheck disable=SC2016 # for the script that is written
printf '#!/bin/sh\necho "$(basename "$0") $$: $*"\n' >"$dir/build/src/router/docker-router-router"
chmod +x "$dir/build/src/router/docker-router-router"
cp "$dir/build/src/router/docker-router-router" "$dir/build/src/cli/docker-router-cli"
ln -s src/docker-router "$dir/build/docker-router"
check 'a role gets its arguments' 0 '^docker-router-router [0-9]*: --dry-run x$' "$dir/build/docker-router" router --dry-run x
check 'a verb keeps its name' 0 '^docker-router-cli [0-9]*: peers --format json$' \
	"$dir/build/docker-router" peers --format json
check 'options in front of a verb' 0 '^docker-router-cli [0-9]*: map --ascii --format json --state-dir status x$' \
	"$dir/build/docker-router" --ascii --format json --state-dir status map x
check 'options and no command' 2 'unknown command "--state-dir"' "$dir/build/docker-router" --state-dir down
check 'help of a command' 0 '^docker-router-router [0-9]*: --help$' "$dir/build/docker-router" help router
check 'the pid is the one that was started' 0 same sh -c '
	"$1" router >"$2" & pid=$!
	wait $pid
	grep -q "router $pid:" "$2" && echo same' - "$dir/build/docker-router" "$dir/out"

cp "$front" "$dir/build/src/router/docker-router-router" "$dir/flat/"
check 'executables beside the front' 0 '^docker-router-router' "$dir/flat/docker-router" router
ln -s docker-router "$dir/flat/docker-router-discovery"
if "$dir/flat/docker-router" version >/dev/null 2>&1; then
	echo "ok 15 - under the name of discovery # SKIP this machine has docker-router installed"
	echo "ok 16 - what is not installed is told # SKIP this machine has docker-router installed"
	exit
fi
check 'under the name of discovery, without running itself for ever' 1 \
	'docker-router-discovery is not installed' timeout 10 "$dir/flat/docker-router-discovery" --x
check 'what is not installed is told' 1 'docker-router-cli is not installed: it is neither in' \
	"$dir/flat/docker-router" version
