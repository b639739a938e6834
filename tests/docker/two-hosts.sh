#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4 sid-v4 debian-v6 trixie-v4
# more: sid-v6
#
# The main job: a stack on each of two Docker hosts, nothing configured but a
# label and a subnet; they reach each other by ping and TCP, by full-size packets, and see each other's true addresses.
. "$(dirname "$0")/lib.sh"

lab_begin two-hosts
step "a Compose stack on each host"
compose_on h1 -p shop -f "$TEST_DIR/two-hosts/shop.yml" up -d
compose_on h2 -p blog -f "$TEST_DIR/two-hosts/blog.yml" up -d
"$TOP/lab/drops" h1
"$TOP/lab/drops" h2
shop=$(container_of h1 shop client)
blog=$(container_of h2 blog client)
address() { # HOST CONTAINER
	docker_on "$1" inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$2"
}
shop_web=10.71.0.10 blog_web=10.72.0.10

step "they reach each other"
reach h1 "$shop" $blog_web
reach h2 "$blog" $shop_web

step "by packets of full size, unfragmented"
reach_full_size h1 "$shop" $blog_web "$(overlay_mtu)"
reach_full_size h2 "$blog" $shop_web "$(overlay_mtu)"

step "a page larger than any packet arrives whole"
for c in h1:shop h2:blog; do
	in_container "${c%:*}" "$(container_of "${c%:*}" "${c#*:}" web)" \
		sh -c 'head -c 3000000 /dev/urandom >/www/large && cat /www/large | sha256sum' >"$DIR/${c#*:}.sum"
done
must_equal "page of blog" "$(cat "$DIR/blog.sum")" \
	"$(in_container h1 "$shop" sh -c "timeout 60 wget -q -O- http://$blog_web/large | sha256sum")"
must_equal "page of shop" "$(cat "$DIR/shop.sum")" \
	"$(in_container h2 "$blog" sh -c "timeout 60 wget -q -O- http://$shop_web/large | sha256sum")"

step "source addresses arrive unchanged, both ways"
sees() { # HOST PROJECT ADDRESS
	docker_on "$1" logs "$(container_of "$1" "$2" web)" 2>&1 | grep -qF "$3]:"
}
wait_until "blog saw the shop's client by its own address" 5 sees h2 blog "$(address h1 "$shop")"
wait_until "shop saw the blog's client by its own address" 5 sees h1 shop "$(address h2 "$blog")"

step "a process of a host reaches the other host's containers"
wait_until "h1 itself reaches blog" 5 on h1 busybox wget -q -O /dev/null http://$blog_web/

step "a running container is connected to one more network of the VNI, which its NIC reached already"
docker_on h2 network create --subnet 10.79.0.0/24 --label docker-router.vni=1000 --label docker-router.stack=late late
reached() { in_container h1 "$shop" ping -c 1 -W 1 10.79.0.9; }
routed() { on h2 docker-router routes | grep -q 10.79.0.0/24; }
wait_until "the new network is part of the overlay" 10 routed
docker_on h2 network connect --ip 10.79.0.9 late "$blog"
wait_until "h1 reaches it by its new address" 10 reached
docker_on h2 network disconnect late "$blog"
docker_on h2 network rm late
reach h1 "$shop" $blog_web

step "what a person asks, and sees"
peers=$(on h1 docker-router peers)
must_contain "peers of h1" blog "$peers"
must_contain "map of h1" blog "$(on h1 docker-router map)"
on h1 docker-router peers --format json | jq -e . >/dev/null || fail "peers --format json is not JSON"

step "a stack that goes takes only itself"
compose_on h2 -p blog -f "$TEST_DIR/two-hosts/blog.yml" down
gone() { ! on h1 docker-router peers | grep -q blog; }
wait_until "blog is gone from the peers of h1" 5 gone
reach h1 "$shop" $shop_web
