#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# lab/engine.sh SUITE: print the folder with the Docker Engine and Compose of another Debian release (trixie, sid, ...),
# downloaded once into LAB_DIR/cache/engine-SUITE; the system is not touched. runc stays the system's: the newer one wants
# a newer C library. Exit status 77 with the reason when it cannot be downloaded.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# = 1 ] || usage "engine.sh SUITE"
suite=$1
[[ $suite =~ ^[a-z]+$ ]] || die "'$suite' is no Debian release"
dir=$LAB_DIR/cache/engine-$suite

if [ ! -x "$dir/usr/sbin/dockerd" ]; then
	mkdir -p "$LAB_DIR/cache"
	exec 8>"$LAB_DIR/cache/engine-$suite.lock"
	flock 8
fi
if [ ! -x "$dir/usr/sbin/dockerd" ]; then
	note "  downloading the Docker of Debian $suite"
	new=$dir.new
	rm -rf "$new"
	"$TOP/lab/fetch.sh" "$suite" "$new" docker.io docker-cli containerd docker-compose 8>&- || exit
	PATH=$new/usr/sbin:$new/usr/bin:$PATH "$new/usr/sbin/dockerd" --version >/dev/null 2>&1 || {
		echo "dockerd of Debian $suite does not run here: $("$new/usr/sbin/dockerd" --version 2>&1 | head -n 1)" >&2
		exit 77
	}
	rm -rf "$dir"
	mv "$new" "$dir"
fi
echo "$dir"
