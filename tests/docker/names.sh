#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4 sid-v4
# more: debian-v6 trixie-v4
# timeout: 240
#
# Two Compose files that nobody touched, with examples/two-hosts as it stands: Docker gives both stacks the same subnet, and
# still each reaches the other by name, over HTTP, with large bodies, and with a path MTU below that of its link. Names
# follow containers: scaled, unhealthy, stopped, removed; nobody of another VNI gets them; host and stub; restart of names.
. "$(dirname "$0")/lib.sh"

lab_begin two-hosts
"$TOP/lab/drops" h1
"$TOP/lab/drops" h2
step "a Compose stack on each host"
compose_on h1 -p shop -f "$EXAMPLES/two-hosts/shop.yml" up -d
compose_on h2 -p blog -f "$EXAMPLES/two-hosts/blog.yml" up -d
shop=$(container_of h1 shop client) shop_web=$(container_of h1 shop web)
blog=$(container_of h2 blog client) blog_web=$(container_of h2 blog web)
subnet_of() { # HOST NETWORK
	docker_on "$1" network inspect -f '{{(index .IPAM.Config 0).Subnet}}' "$2"
}
address_of() { # HOST CONTAINER
	docker_on "$1" inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$2"
}
must_equal "Docker's choice" "$(subnet_of h1 shop_default)" "$(subnet_of h2 blog_default)"

page() { # HOST CONTAINER URL
	in_container "$1" "$2" timeout 60 wget -q -O- "$3"
}
page_is() { # HOST CONTAINER URL WANTED
	[ "$(page "$1" "$2" "$3" 2>/dev/null)" = "$4" ]
}
# shellcheck disable=SC2120
looked_up() { # HOST CONTAINER NAME [TYPE]: addresses, sorted; empty when there is none
	in_container "$1" "$2" nslookup -type="${4:-a}" "$3" 127.0.0.11 2>/dev/null | sed '1,/^$/d' |
		sed -n 's/^Address[^:]*: *//p' | sort | tr '\n' ' ' | sed 's/ $//' || true
}
has() { # HOST CONTAINER NAME COUNT: so many addresses
	[ "$(looked_up "$1" "$2" "$3" | wc -w)" = "$4" ]
}

step "by name, both ways"
wait_until "shop gets the page of web.blog" 15 page_is h1 "$shop" http://web.blog/ "hello from blog"
wait_until "blog gets the page of web.shop" 15 page_is h2 "$blog" http://web.shop/ "hello from shop"
must_equal "its own" "hello from shop" "$(page h1 "$shop" http://web/)"
must_equal "under the domain" "hello from blog" "$(page h1 "$shop" http://web.blog.docker-router.internal/)"
must_equal "by the host" "hello from blog" "$(page h1 "$shop" http://web.blog.h2/)"
mapped=$(looked_up h1 "$shop" web.blog)
must_contain "a mapped address" '^241\.' "$mapped"
must_contain "stack blog: its services" "$mapped" "$(looked_up h1 "$shop" blog)"
must_contain "PTR" "web\.blog\.docker-router\.internal|$blog_web\.blog" "$(in_container h1 "$shop" nslookup "$mapped" 127.0.0.11)"

step "Docker's own names and the world outside are as before"
must_equal "web of its own stack" "$(address_of h1 "$shop_web")" "$(looked_up h1 "$shop" web)"
must_fail in_container h1 "$shop" nslookup nobody.blog 127.0.0.11

step "a page larger than any packet, both ways"
for c in "h1 $shop_web" "h2 $blog_web"; do
	read -r h name <<<"$c"
	in_container "$h" "$name" sh -c 'head -c 3000000 /dev/urandom >/www/large && cat /www/large | sha256sum' >"$DIR/$h.sum"
done
must_equal "page of blog" "$(cat "$DIR/h2.sum")" \
	"$(in_container h1 "$shop" sh -c "timeout 60 wget -q -O- http://web.blog/large | sha256sum")"
must_equal "page of shop" "$(cat "$DIR/h1.sum")" \
	"$(in_container h2 "$blog" sh -c "timeout 60 wget -q -O- http://web.shop/large | sha256sum")"

step "errors find their way back: path MTU, time exceeded, port unreachable"
mtu=$(overlay_mtu)
service_of h2 router restart DATAPATH=leg # a NIC has the tunnel's MTU, a leg that of its network
docker_on h2 network create -o com.docker.network.driver.mtu=1300 --label docker-router.vni=1000 \
	--label docker-router.stack=narrow narrow >/dev/null
container_on h2 narrow narrow
wait_until "narrow is known" 10 has h1 "$shop" narrow.narrow 1
narrow=$(looked_up h1 "$shop" narrow.narrow)
reach h1 "$shop" "$narrow"
told() { # PATTERN CMD...: of the shop's client
	local pattern=$1
	shift
	grep -qE "$pattern" <<<"$(in_container h1 "$shop" "$@" 2>&1 || true)"
}
wait_until "the link's MTU is known" 5 told "mtu ?= ?$mtu" ping -c 2 -i 0.2 -W 1 -M "do" -s 1460 "$narrow"
wait_until "the path's MTU is learned" 5 told 'mtu ?= ?1300' ping -c 2 -i 0.2 -W 1 -M "do" -s 1350 "$narrow"
must_equal "a large page" 1000000 "$(in_container h1 "$shop" sh -c "timeout 60 nc $narrow 81 </dev/null | wc -c")"
wait_until "time exceeded, first hop" 5 told 'Time to live exceeded' ping -c 1 -W 1 -t 1 "$narrow"
wait_until "time exceeded, second" 5 told 'Time to live exceeded' ping -c 1 -W 1 -t 2 "$narrow"
wait_until "port unreachable" 5 told 'refused' sh -c "echo x | socat -T1 - UDP:$narrow:9"
service_of h2 router restart DATAPATH=auto

step "names follow the containers"
compose_on h2 -p blog -f "$EXAMPLES/two-hosts/blog.yml" up -d --scale web=3 2>/dev/null
wait_until "three addresses" 15 has h1 "$shop" web.blog 3
compose_on h2 -p blog -f "$EXAMPLES/two-hosts/blog.yml" up -d --scale web=1 2>/dev/null
wait_until "one address" 15 has h1 "$shop" web.blog 1
docker_on h2 run -d --name ill --network blog_default --network-alias Ill_Alias --health-cmd 'test ! -e /ill' --health-interval 1s \
	--health-retries 1 lab:1 "${IDLE[@]}" >/dev/null
wait_until "healthy: there" 20 has h1 "$shop" ill.blog 1
must_equal "its alias" "$(looked_up h1 "$shop" ill.blog)" "$(looked_up h1 "$shop" ill_alias.blog)"
in_container h2 ill touch /ill
wait_until "unhealthy: gone" 10 has h1 "$shop" ill.blog 0
in_container h2 ill rm /ill
wait_until "healthy again" 10 has h1 "$shop" ill.blog 1
docker_on h2 kill ill >/dev/null
wait_until "killed: gone" 3 has h1 "$shop" ill.blog 0

step "nobody of another VNI"
network_on h1 other 2000 10.99.0.0/24
container_on h1 other other
wait_until "it has its own names" 10 has h1 other other.other 1
must_equal "web.blog, seen from VNI 2000" '' "$(looked_up h1 other web.blog)"
must_fail page h1 other http://web.blog.docker-router.internal/

step "the stub for the host"
stub() { # NAME: as the host sees it
	on h1 busybox nslookup "$1" 127.0.0.1:4753 2>/dev/null | sed '1,/^$/d' | grep -o '241\.[0-9.]*' | head -n 1
}
must_equal "web.blog for the host" "$(looked_up h1 "$shop" web.blog)" "$(stub web.blog.docker-router.internal)"
must_equal "page for the host" "hello from blog" "$(on h1 busybox wget -q -O- "http://$(stub web.blog.docker-router.internal)/")"

step "what a person asks, and sees"
must_contain "records" '^1000 +web\.blog +service +blog +h2 +172\.18\.' "$(on h1 docker-router records)"
must_contain "resolve" "$(looked_up h1 "$shop" web.blog)" "$(on h1 docker-router resolve web.blog)"
must_contain "stacks" '241\.' "$(on h1 docker-router stacks)"
must_contain "map" '241\.' "$(on h1 docker-router map)"
must_contain "ping" 'web\.blog|blog' "$(on h1 docker-router ping web.blog --count 2)"

step "after a restart of both: the same mapped prefix, and names"
before=$(looked_up h1 "$shop" web.blog)
service_of h1 router restart
service_of h2 router restart
wait_until "names are back" 15 page_is h1 "$shop" http://web.blog/ "hello from blog"
must_equal "address after the restart" "$before" "$(looked_up h1 "$shop" web.blog)"

step "names is killed: Docker's resolver is there at once, ours soon"
pid=$(on h1 docker-router status --format json | jq -r '.. | objects | select(.role? == "names") | .pid' | head -n 1)
kill -9 "$pid"
must_equal "web of its own stack" "$(address_of h1 "$shop_web")" "$(looked_up h1 "$shop" web)"
wait_until "web.blog is back" 10 page_is h1 "$shop" http://web.blog/ "hello from blog"

step "a stack that goes takes its names along"
compose_on h2 -p blog -f "$EXAMPLES/two-hosts/blog.yml" down
wait_until "web.blog is gone" 5 has h1 "$shop" web.blog 0
must_equal "its own" "hello from shop" "$(page h1 "$shop" http://web/)"
