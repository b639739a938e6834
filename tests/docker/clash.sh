#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
#
# Subnets that clash and may not be mapped. Of two that come up together, the larger host id is refused. The same Compose
# file on two hosts, where Docker gives both stacks the same subnet: the newcomer is refused, on every host, also when its host id is the smaller one and over restarts; log, status and doctor name both sides
# and print the lines that end it, and they do. A subnet that is a route of one host is refused on that host alone. Nobody
# else loses a packet.
. "$(dirname "$0")/lib.sh"

FILES=$(mktemp -d)
at_exit rm -rf "$FILES"
export ROUTER_ENV=MAPPING=never # else they are mapped: mapped.sh
lab_begin three-hosts

host_id() { # HOST
	jq -r .self.host_id "$DIR/$1/state/discovery.json"
}
address_of() { # HOST
	head -n 1 "$DIR/$1/addresses" | cut -d/ -f1
}
small=h1 large=h2
[[ $(host_id h1) < $(host_id h2) ]] || { small=h2 large=h1; }
all=(h1 h2 h3)

owner_is() { # HOST PREFIX OWNER: whose is it, as HOST sees it
	[ "$(jq -r --arg p "$2" '.vnis[].routes[] | select(.prefix == $p) | .host_id' "$DIR/$1/state/router.json")" = "$(host_id "$3")" ]
}
refused_are() { # HOST WANTED: "stack@host-id ..." of what HOST refuses
	[ "$(jq -r '[.refused[] | .stack_id + "@" + .host_id] | sort | join(" ")' "$DIR/$1/state/router.json")" = "$2" ]
}
refuses() { # HOST... -- [STACK OWNER]: every HOST refuses this one and nothing else
	local h hosts=() want=''
	while [ "$1" != -- ]; do
		hosts+=("$1")
		shift
	done
	[ $# = 1 ] || want="$2@$(host_id "$3")"
	for h in "${hosts[@]}"; do
		wait_until "$h refuses '${2:-nothing}${3:+ of $3}' and nothing else" 5 refused_are "$h" "$want"
	done
}
logged() { # HOST PATTERN
	wait_until "a line in the log of $1 that matches $2" 5 grep -qE -- "$2" "$DIR/$1/router.log"
}

step "two stacks that have nothing to do with it"
network_on $small calm 100 10.81.0.0/24
network_on h3 quiet 100 10.83.0.0/24
container_on $small calm calm --ip 10.81.0.10
container_on h3 quiet quiet --ip 10.83.0.10
reach h3 quiet 10.81.0.10
network_on $small first 100 10.90.0.0/24 # established when its turn comes
pid=$(pid_of h3 quiet)
nsenter --net="/proc/$pid/ns/net" ping -i 0.02 -W 1 10.81.0.10 >"$FILES/ping" &
ping=$!
at_exit end $ping

step "two at once: the larger host id is refused, everywhere"
network_on $small both 100 10.98.0.0/24 &
both=$!
network_on $large both 100 10.98.0.0/16 &
wait $both $!
refuses "${all[@]}" -- both $large
docker_on $small network rm both >/dev/null
refuses "${all[@]}" --
docker_on $large network rm both >/dev/null

step "the same Compose file on two hosts, with the subnet that Docker likes"
cat >"$FILES/shop.yml" <<-END
	version: "2.4"
	services:
	  web:
	    image: lab:1
	    command: ["httpd", "-f", "-p", "80"]
	networks:
	  default:
	    labels:
	      docker-router.vni: "100"
END
shop() { # HOST ARGS...
	local h=$1
	shift
	compose_on "$h" -p shop -f "$FILES/shop.yml" "$@" 2>>"$FILES/compose.log"
}
subnet_of() { # HOST
	docker_on "$1" network inspect -f '{{range .IPAM.Config}}{{.Subnet}}{{end}}' shop_default
}
web_of() { # HOST: its address
	docker_on "$1" inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$(container_of "$1" shop web)"
}
shop $large up -d
subnet=$(subnet_of $large)
for h in "${all[@]}"; do
	wait_until "$h knows $subnet to be of $large" 5 owner_is "$h" "$subnet" $large
done
reach h3 quiet "$(web_of $large)"
since=${EPOCHREALTIME/[.,]/}
settled() { [ $((${EPOCHREALTIME/[.,]/} - since)) -gt 3100000 ]; } # CLAIM_SETTLE_US
wait_until "$subnet of $large is established" 10 settled
shop $small up -d
must_equal "subnet of the newcomer" "$subnet" "$(subnet_of $small)"

step "the newcomer is refused everywhere, though its host id is the smaller one"
stands() {
	refuses "${all[@]}" -- shop $small
	for h in "${all[@]}"; do
		owner_is "$h" "$subnet" $large || fail "$h changed the owner of $subnet"
	done
	must_equal "legs of shop on $small" 0 "$(jq '[.vnis[].legs[] | select(.stack_id == "shop")] | length' "$DIR/$small/state/router.json")"
	reach h3 quiet "$(web_of $large)"
}
stands
step "after restarts too"
service_of h3 router restart
service_of $small router restart
service_of $large router restart
stands

step "names: no answer rather than one that leads to a container of one's own"
asked() { # HOST CONTAINER NAME [TYPE]: what it is told
	local net
	net=/proc/$(pid_of "$1" "$2")/ns/net
	nsenter --net="$net" -- "$TEST_DIR/dns.py" ask 127.0.0.11 "$3" "${4:-A}"
}
is_told() { # HOST CONTAINER NAME WANTED
	[ "$(asked "$1" "$2" "$3")" = "$4" ]
}
none="NOERROR ns:docker-router.internal" # it is there, and has no address
for h in $small $large; do
	[ $h = $small ] && other=$large || other=$small
	web=$(container_of $h shop web)
	wait_until "shop on $h has its own" 10 is_told $h "$web" web.shop.$h.docker-router.internal "NOERROR $(web_of $h)"
	wait_until "shop on $h is told of no address of shop on $other" 10 is_told $h "$web" web.shop.$other.docker-router.internal "$none"
	must_equal "nor in short, which is nobody else's" NOERROR "$(asked $h "$web" web.shop@$other)"
	must_equal "both" "NOERROR $(web_of $h)" "$(asked $h "$web" web.shop)"
done
wait_until "quiet is told who is not refused" 10 is_told h3 quiet web.shop "NOERROR $(web_of $large)"
wait_until "and no address of who is" 10 is_told h3 quiet web.shop.$small.docker-router.internal "$none"
must_equal "records of shop on $small, elsewhere" 0 "$(jq --arg h "$(host_id $small)" \
	'[.records[] | select(.stack_id == "shop" and .host_id == $h)] | length' "$DIR/h3/state/records.json")"

step "both sides are named, with what to paste"
says() { # HOST PATTERN: of the newcomer and the other, as this host calls them
	logged "$1" "clash.*$2"
	must_contain "status of $1" "VNI 100: $2" "$(on "$1" docker-router status)"
	must_contain "doctor of $1" "$2" "$(on "$1" docker-router doctor || true)"
	must_fail on "$1" docker-router doctor
}
s="${subnet//./\\.} of stack shop on"
says $small "$s $small clashes with $s $large \($(address_of $large)\)"
says $large "$s $small clashes with $s this host"
says h3 "$s $small clashes with $s $large \($(address_of $large)\)"
must_equal "cures" 1 "$(for h in "${all[@]}"; do jq -r '.refused[].cure' "$DIR/$h/state/router.json" | sed -n 's/.*subnet: //p'; done | sort -u | wc -l)"

step "pasted, they end it"
cure=$(on $small docker-router status | sed -n '/a free one/,/subnet:/{/a free one/d;s/^      //p}')
echo "$cure"
must_equal "where it goes" "$(sed -n '/^networks/,/default/p' "$FILES/shop.yml")" "$(head -n 2 <<<"$cure")"
shop $small down -t 0
tail -n +3 <<<"$cure" >"$FILES/ipam"
sed "/^  default:/r $FILES/ipam" "$FILES/shop.yml" >"$FILES/cured.yml"
compose_on $small -p shop -f "$FILES/cured.yml" up -d 2>>"$FILES/compose.log"
refuses "${all[@]}" --
must_equal "subnet of shop on $small" "$(sed -n 's/.*subnet: //p' <<<"$cure")" "$(subnet_of $small)"
wait_until "quiet is told of both" 10 is_told h3 quiet web.shop.$small "NOERROR $(web_of $small)"
reach h3 quiet "$(web_of $small)"
reach $large "$(container_of $large shop web)" "$(web_of $small)"
reach $small "$(container_of $small shop web)" "$(web_of $large)"
reach h3 quiet "$(web_of $large)"
must_contain "doctor of $small" 'subnets +ok' "$(on $small docker-router doctor || true)"

step "the other way round, and half of a subnet: the larger id comes later and is refused; it follows when the first goes"
for h in "${all[@]}"; do
	wait_until "$h knows first" 5 owner_is "$h" 10.90.0.0/24 $small
done
network_on $large second 100 10.90.0.0/25
container_on $large second second --ip 10.90.0.10
refuses "${all[@]}" -- second $large
docker_on $small network rm first >/dev/null
refuses "${all[@]}" --
reach h3 quiet 10.90.0.10

step "a subnet that is a route of one host: refused there, and there alone"
docker_on h3 network create --subnet 10.55.0.0/16 private >/dev/null
bridge=br-$(docker_on h3 network inspect -f '{{slice .Id 0 12}}' private)
network_on $small lan 100 10.55.7.0/24
container_on $small lan lan --ip 10.55.7.10
refuses h3 -- lan $small
reach $large second 10.55.7.10
refuses $small $large --
says h3 "10\.55\.7\.0/24 of stack lan on $small clashes with route 10\.55\.0\.0/16 dev $bridge of this host"
on h3 docker-router status | sed -n 's/.*- subnet: //p' >"$FILES/offer"
must_contain "offer" '^10\.[0-9]+\.[0-9]+\.0/24$' "$(cat "$FILES/offer")"
docker_on h3 network rm private >/dev/null
refuses "${all[@]}" --
reach h3 quiet 10.55.7.10

step "nobody else lost a packet"
kill -INT $ping
wait $ping || true
tail -n 3 "$FILES/ping"
must_contain "ping of calm by quiet" ' [1-9][0-9]{2,} received, 0% packet loss' "$(cat "$FILES/ping")"
