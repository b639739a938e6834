#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Build the images docker-router:latest and docker-router-discovery:latest.
#
#   scripts/build.sh                       with packaging/docker/Dockerfile
#   scripts/build.sh --platform linux/amd64,linux/arm64 --push REGISTRY/FOLDER
#                                          for several machines, with docker buildx, to a registry
#   scripts/build.sh --import              from this machine's own build (make build) and libraries, where no base image
#                                          can be pulled
#
# TAG (default latest), BUILD (build folder for --import), DOCKER (the command: docker).
set -euo pipefail
cd "$(dirname "$0")/.."
TAG=${TAG:-latest}
BUILD=${BUILD:-build}
DOCKER=${DOCKER:-docker}
how=build platform='' push=''

usage() {
	sed -n '/^# Build/,/^# TAG/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	case $1 in
	--import) how=import ;;
	--platform)
		platform=${2:-}
		shift
		;;
	--push)
		push=${2:-}
		shift
		;;
	*) usage ;;
	esac
	shift || usage
done

build() { # NAME TARGET
	if [ -n "$platform" ]; then
		[ -n "$push" ] || { echo "build.sh: an image of several platforms needs --push: dockerd holds only its own" >&2; exit 2; }
		"$DOCKER" buildx build --platform "$platform" --push -f packaging/docker/Dockerfile --target "$2" \
			-t "$push/$1:$TAG" .
	else
		"$DOCKER" build -f packaging/docker/Dockerfile --target "$2" -t "$1:$TAG" .
	fi
}

import() {
	local root
	. packaging/docker/rootfs.sh
	[ -x "$BUILD/docker-router" ] || { echo "build.sh: there is no $BUILD/docker-router: make build first" >&2; exit 1; }
	root=$(mktemp -d)
	# shellcheck disable=SC2064 # the folder of now
	trap "rm -rf '$root'" EXIT
	chmod 755 "$root"
	mkdir -p "$root"/{dev,etc,proc,run,sys,tmp,var/lib/docker-router}
	chmod 1777 "$root/tmp"
	DESTDIR=$root meson install -C "$BUILD" --no-rebuild --quiet --strip >/dev/null
	rm -rf "${root:?}"/usr/share "${root:?}"/usr/local/share
	find "$root" -type f -perm -100 | while read -r program; do
		rootfs_libraries "$root" "$program"
	done
	rootfs_program "$root" nft || { echo "build.sh: nft is not installed" >&2; exit 1; }
	cp -L /etc/nsswitch.conf "$root/etc/" 2>/dev/null || true
	printf 'root:x:0:0:root:/:/sbin/nologin\ndocker-router:x:4790:4790::/nonexistent:/sbin/nologin\nnobody:x:65534:65534::/:/sbin/nologin\n' \
		>"$root/etc/passwd"
	printf 'root:x:0:\ndocker-router:x:4790:\nnogroup:x:65534:\n' >"$root/etc/group"
	for image in 'docker-router ["--help"]' 'docker-router-discovery ["discovery"]'; do
		tar -C "$root" --owner=0 --group=0 -c . | "$DOCKER" import --change 'ENTRYPOINT ["docker-router"]' \
			--change "CMD ${image#* }" --change 'VOLUME /var/lib/docker-router' --change 'ENV LANG=C.UTF-8' - "${image%% *}:$TAG" >/dev/null
		echo "${image%% *}:$TAG"
	done
}

case $how in
build)
	build docker-router docker-router
	build docker-router-discovery discovery
	;;
import) import ;;
esac
