#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes and starts the containers of /etc/config/docker that have an image, when dockerd answers:
#
#	config container 'openwrt'
#		option image 'registry.example.org/openwrt:arm64'
#		option network 'lan:eth1 container:eth0'       # docker-router reads that itself
#		option docker_network 'none'                   # none when there is a network, else Docker's bridge
#		option start '1'
#		list env 'NAME=VALUE'
#		list volume '/opt/data:/data'
#		list create '--cap-add=NET_ADMIN'              # more of `docker create`
#
# One that is there is left as it is, and started; it was told to wait by NETWORKWAIT=1 until its interfaces are there. Run by
# procd; ends when all is done.
# shellcheck disable=SC3043 # ash has local

FUNCTIONS=${FUNCTIONS:-/lib/functions.sh}
DOCKER=${DOCKER:-docker}
WAIT=${WAIT:-300} # seconds for dockerd

say() {
	logger -t docker-router "$*"
}

# The docker command asks /_ping before anything else
docker_answers() {
	"$DOCKER" version >/dev/null 2>&1
}

docker_wait() {
	local waited=0
	until docker_answers; do
		[ "$waited" -lt "$WAIT" ] || return 1
		[ $waited != 0 ] || say "waiting for dockerd"
		sleep 1
		waited=$((waited + 1))
	done
}

add_env() {
	case $1 in
	[A-Za-z_]*=*) arguments="$arguments
--env=$1" ;;
	*) say "container '$name': env '$1' is not understood: allowed is NAME=VALUE" ;;
	esac
}

add_volume() {
	arguments="$arguments
--volume=$1"
}

add_create() {
	case $1 in
	-*) arguments="$arguments
$1" ;;
	*) say "container '$name': create '$1' is not understood: allowed is an option of docker create" ;;
	esac
}

create() { # NAME IMAGE NETWORK
	local arguments="--name=$name" docker_network
	config_get docker_network "$1" docker_network
	[ -n "$docker_network" ] || [ -z "$3" ] || docker_network=none
	[ -z "$docker_network" ] || arguments="$arguments
--network=$docker_network"
	[ -z "$3" ] || arguments="$arguments
--env=NETWORKWAIT=1"
	config_list_foreach "$1" env add_env
	config_list_foreach "$1" volume add_volume
	config_list_foreach "$1" create add_create
	# one argument a line: what stands in a value is never a word of its own, and no pattern
	local IFS='
'
	set -f
	# shellcheck disable=SC2086
	set -- $arguments -- "$2"
	set +f
	"$DOCKER" create --restart=unless-stopped "$@" >/dev/null
}

container() { # SECTION
	local name image network start
	name=$1
	config_get image "$1" image
	config_get network "$1" network
	config_get_bool start "$1" start 1
	[ -n "$image" ] || return 0
	case $name in
	[!A-Za-z0-9]* | *[!A-Za-z0-9_.-]* | ?)
		say "container '$name': allowed are two and more letters, digits, '_', '.' and '-'"
		return 0
		;;
	esac
	case $image in
	-* | *[[:space:]]*)
		say "container '$name': image '$image' is not understood"
		return 0
		;;
	esac
	if ! "$DOCKER" container inspect "$name" >/dev/null 2>&1; then
		create "$1" "$image" "$network" || {
			say "container '$name' cannot be made of $image"
			failed=1
			return 0
		}
		say "container '$name' made of $image"
	fi
	[ "$start" = 1 ] || return 0
	"$DOCKER" start "$name" >/dev/null || {
		say "container '$name' cannot be started"
		failed=1
	}
}

has_image() {
	local image
	config_get image "$1" image
	[ -z "$image" ] || wanted=1
}

# shellcheck source=/dev/null
. "$FUNCTIONS"
failed=0 wanted=0
config_load docker
config_foreach has_image container
[ $wanted = 1 ] || exit 0
docker_wait || {
	say "dockerd does not answer after $WAIT s, no container is started"
	exit 1
}
config_foreach container container
exit $failed
