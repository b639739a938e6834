#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `make demo`: two Docker hosts in network namespaces of this machine, a Compose stack on each, and what they say to each
# other; then everything is taken down. KEEP=1 leaves it up and says how to look around. LAB is its name, "demo" unless set.
set -euo pipefail
export LAB=${LAB:-demo}
. "$(dirname "$0")/lib.sh"
cd "$TOP"

if [ -t 1 ]; then
	bold=$'\033[1m' plain=$'\033[0m'
else
	bold='' plain=''
fi
title() {
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}
show() { # CMD...: print it, then what it says, indented
	printf '  $ LAB=%s %s\n' "$LAB" "$*"
	"$@" 2>&1 | sed 's/^/    /'
}

leave() {
	local status=$?
	trap '' INT TERM
	if [ -n "${KEEP:-}" ] && [ $status = 0 ]; then
		exit 0
	fi
	if [ $status != 0 ] && [ -f "$DIR/nodes" ]; then
		for h in $(nodes host); do
			echo "--- the end of the log of docker-router on $h" >&2
			tail -n 15 "$DIR/$h/router.log" >&2 || true
		done
	fi
	title "Taking it all down"
	lab/down || status=1
	[ $status != 0 ] || echo "  done: nothing is left of it"
	exit $status
}
trap leave EXIT
trap 'echo; exit 130' INT TERM

if [ -e "$DIR" ]; then
	title "A demo is up still: taking it down first"
	lab/down
fi

begin=$SECONDS
title "Two hosts, each with a dockerd and a docker-router of its own, on one switch"
printf '  $ LAB=%s lab/up two-hosts\n' "$LAB"
BRIEF=1 lab/up two-hosts

title "A stack on each: examples/two-hosts/shop.yml on h1, blog.yml on h2"
for s in "h1 shop" "h2 blog"; do
	read -r h p <<<"$s"
	printf '  $ LAB=%s lab/compose %s -p %s -f examples/two-hosts/%s.yml up -d\n' "$LAB" "$h" "$p" "$p"
	lab/compose "$h" -p "$p" -f "examples/two-hosts/$p.yml" up -d >"$DIR/compose.log" 2>&1 || {
		cat "$DIR/compose.log" >&2
		die "Compose failed on $h"
	}
done
sed -n '/^networks:/,$s/^/    /p' examples/two-hosts/shop.yml

container() { # HOST PROJECT SERVICE
	lab/docker "$1" ps --format '{{.Names}}' --filter "label=com.docker.compose.project=$2" \
		--filter "label=com.docker.compose.service=$3"
}
subnet() { # HOST PROJECT
	lab/docker "$1" network inspect -f '{{(index .IPAM.Config 0).Subnet}}' "${2}_default"
}
shop=$(container h1 shop client)
blog=$(container h2 blog client)
fetches() { # HOST CONTAINER URL
	lab/docker "$1" exec "$2" timeout 2 wget -qO- "$3"
}
wait_for "shop to reach blog" 30 fetches h1 "$shop" http://web.blog/ || die "shop does not reach blog"
wait_for "blog to reach shop" 30 fetches h2 "$blog" http://web.shop/ || die "blog does not reach shop"

title "Docker gave both the same subnet: shop $(subnet h1 shop), blog $(subnet h2 blog)"
title "From a container of shop on h1 to blog on h2, by name"
show lab/docker h1 exec "$shop" ping -c 3 -i 0.2 web.blog
show lab/docker h1 exec "$shop" wget -qO- http://web.blog/
title "And the other way"
show lab/docker h2 exec "$blog" ping -c 3 -i 0.2 web.shop
show lab/docker h2 exec "$blog" wget -qO- http://web.shop/
title "As docker-router on h1 sees it: each stack is mapped to a prefix of its own"
show lab/exec h1 docker-router map
title "The names that containers can ask for"
show lab/exec h1 docker-router records
title "The way there, hop by hop"
show lab/exec h1 docker-router ping web.blog
echo
echo "  $((SECONDS - begin)) s from nothing to here"

if [ -n "${KEEP:-}" ]; then
	cat <<-END

		${bold}It stays up.${plain} To look around:
		  export LAB=$LAB
		  lab/status                                 what is up
		  lab/exec h1 docker-router status           also: peers, routes, stacks, map, records, doctor
		  lab/exec h1 docker-router resolve web.blog
		  lab/docker h1 ps                           the docker command of h1
		  lab/compose h2 -p blog -f examples/two-hosts/blog.yml exec client sh
		  lab/pcap sw                                what crosses the wire
		  lab/cut h1 h2                              pull the cable; lab/heal plugs it in
		  lab/down                                   the end
	END
fi
