#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# lab/fetch.sh SUITE DIR PACKAGE...: download packages of a Debian release and unpack them below DIR, installing nothing.
# The mirror and its keys are those that the machine's own apt uses for Debian. Exit status 77 when that fails.
set -euo pipefail

[ $# -ge 3 ] || { echo "usage: lab/fetch.sh SUITE DIR PACKAGE..." >&2; exit 2; }
suite=$1 dir=$2
shift 2

skip() {
	echo "packages of Debian $suite: $*" >&2
	exit 77
}

mkdir -p "$dir"
dir=$(realpath "$dir")
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs"

# The first source of the machine whose path is Debian's main archive, in either of apt's two formats.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
	sed -n -E 's/^[[:space:]]*(deb([[:space:]]+\[[^]]*\])?|URIs:)[[:space:]]+//p' |
	grep -oE '^[^[:space:]]+' | grep -E '/debian/?$' | head -n 1) || true
[ -n "$mirror" ] || skip "no Debian mirror among the sources of this machine's apt"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
options=
[ ! -f "$keys" ] || options="[signed-by=$keys]"
echo "deb $options $mirror $suite main" >"$apt/sources.list"

get() {
	apt-get -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=- \
		-o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root \
		-o Acquire::Retries=2 -qq "$@"
}
get update >"$apt/log" 2>&1 || skip "cannot be listed: $(tail -n 1 "$apt/log")"
(cd "$apt/debs" && get download "${@/%//$suite}") >>"$apt/log" 2>&1 || skip "cannot be downloaded: $(tail -n 1 "$apt/log")"
for deb in "$apt"/debs/*.deb; do
	dpkg -x "$deb" "$dir"
done
