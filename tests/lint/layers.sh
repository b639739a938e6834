#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The rules of ARCHITECTURE.md that a compiler does not check: a file includes its own and lower layers only, a role
# never includes another role, and the protocol cores and planners do no I/O.
set -eu
cd "$(dirname "$0")/../.."
status=0

includes() { # FILE: what it includes by "folder/..."
	sed -n 's/^#include "\([a-z]*\)\/.*/\1/p' "$1" | sort -u
}

complain() {
	echo "$*" >&2
	status=1
}

for folder in src/*/; do
	folder=$(basename "$folder")
	case $folder in
	base) allowed=" base " ;;
	io) allowed=" base io " ;;
	state) allowed=" base io state " ;;
	*) allowed=" base io state $folder " ;;
	esac
	for f in src/"$folder"/*.[ch]; do
		[ -f "$f" ] || continue
		for i in $(includes "$f"); do
			case $allowed in
			*" $i "*) ;;
			*) complain "$f includes $i/, and $folder may include only:$allowed" ;;
			esac
		done
	done
done
for i in $(includes src/main.c); do
	[ "$i" = base ] || complain "src/main.c includes $i/, and the front may include only base/"
done

# No socket, file, clock, random number or process is within reach of a core.
for f in src/discovery/core.c src/discovery/wire.c src/discovery/gossip.c src/discovery/gossip_[!cjn]*.c src/discovery/dns.c \
	src/discovery/dns_key.c src/discovery/dns_own.c src/discovery/dns_text.c src/discovery/dns_wire.c src/router/desired.c src/router/plan.c src/router/ruleset.c \
	src/router/claim.c src/router/op.c src/names/answer.c src/names/dns.c src/names/forward.c src/names/table.c \
	src/names/table_build.c \
	src/multicast/asker.c src/multicast/datagram.c src/multicast/gmp.c src/multicast/guard.c src/multicast/igmp.c \
	src/multicast/leg.c src/multicast/mdns.c src/multicast/mdns_packet.c src/multicast/membership.c \
	src/multicast/membership_filter.c src/multicast/mld.c src/multicast/querier.c src/multicast/ssdp.c \
	src/multicast/ssdp_message.c src/multicast/didl.c src/io/http_message.c src/driver/dhcp.c src/driver/dhcp_wire.c src/driver/request.c; do
	[ -f "$f" ] || continue
	bad=$(grep -nE '^#include ([<"](sys/(socket|epoll|stat|wait|random|mman|mount|time|uio|un)|fcntl|unistd|net/if|uv|curl/|libmnl|signal|time|poll|sched|dirent|spawn)|"io/)' "$f" |
		grep -vE '"io/(nl|http_message)\.h"' || true)
	[ -z "$bad" ] || complain "$f is a core and does no I/O, but: $bad"
	bad=$(grep -nE '\b(time|clock_gettime|gettimeofday|random|rand|getrandom|open|socket|sendto|recvfrom|fopen|system|usleep|sleep)\(' "$f" || true)
	[ -z "$bad" ] || complain "$f is a core and does no I/O, but calls: $bad"
done
[ $status = 0 ] && echo "layers: as they should be"
exit $status
