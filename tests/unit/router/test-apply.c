/* SPDX-License-Identifier: Apache-2.0
 *
 * Observing and applying against the running kernel, through a real broker in this process: a plan made by hand puts a
 * VXLAN device and a veth pair over two namespaces; then a stranger takes things away, and each must be told within a
 * deadline. Needs root: works in network and mount namespaces of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io/broker.h"
#include "io/ns.h"
#include "kernel.h"
#include "router/apply.h"
#include "router/dump.h"
#include "router/ruleset.h"
#include "router/watch.h"

#define DEADLINE_US (5 * USEC_PER_SEC)

struct fixture {
	uv_loop_t loop;
	char dir[64];
	struct broker *broker;
	struct broker_server *server;
	struct observe *o;
	struct apply *a;
	unsigned changed;
	struct timer *deadline, *tick;
	bool late;
	/* what apply told */
	unsigned applied;
	size_t done, failed;
	char why[512];
};

static const struct net_id HOST = {.kind = NET_HOST}, VNI = {.kind = NET_VNI, .vni = 1000};

static void on_changed(void *arg)
{
	struct fixture *f = arg;

	f->changed++;
}

static void on_deadline(void *arg)
{
	struct fixture *f = arg;

	f->late = true;
}

static void on_tick(void *arg)
{
	(void)arg;
}

static struct net *actual(struct fixture *f, const struct net_id *id)
{
	return net_list_find(observe_nets(f->o), id);
}

/* Run the loop until @cond, or fail. The tick: what happens in a timer does not end uv_run()'s wait for descriptors */
#define wait_for(f, cond)                                                       \
	do {                                                                    \
		(f)->late = false;                                              \
		timer_start((f)->deadline, DEADLINE_US);                        \
		while (!(cond)) {                                               \
			if ((f)->late)                                          \
				fail_msg("not within the deadline: %s", #cond); \
			timer_start((f)->tick, USEC_PER_MSEC);                  \
			uv_run(&(f)->loop, UV_RUN_ONCE);                        \
		}                                                               \
		timer_stop((f)->tick);                                          \
		timer_stop((f)->deadline);                                      \
	} while (0)

/* Digest what is under way: until nothing has been told for 25 ms */
static void settle(struct fixture *f)
{
	for (int quiet = 0; quiet < 25; quiet++) {
		unsigned before = f->changed;
		timer_start(f->tick, USEC_PER_MSEC);
		uv_run(&f->loop, UV_RUN_ONCE);
		if (f->changed != before)
			quiet = 0;
	}
}

static void fixture_open(struct fixture *f, bool with_broker)
{
	int pair[2];

	loop_init(&f->loop);
	if (with_broker) {
		str_print(f->dir, "/tmp/test-apply-XXXXXX");
		assert_non_null(mkdtemp(f->dir));
		assert_int_equal(mount("none", f->dir, "tmpfs", 0, NULL), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
		f->server = broker_serve(&f->loop, pair[0], f->dir, BROKER_OPS_ROUTER);
		assert_non_null(f->server);
		f->broker = broker_connect(&f->loop, pair[1]);
	}
	f->o = observe_new(&f->loop, f->broker, on_changed, f);
	f->a = apply_new(&f->loop, f->broker, f->o);
	f->deadline = timer_new(&f->loop, "deadline", on_deadline, f);
	f->tick = timer_new(&f->loop, "tick", on_tick, f);
}

static void fixture_close(struct fixture *f)
{
	apply_free(f->a);
	observe_free(f->o);
	broker_free(f->broker);
	broker_server_free(f->server);
	timer_free(f->deadline);
	timer_free(f->tick);
	loop_done(&f->loop);
	if (f->dir[0]) {
		umount2(f->dir, MNT_DETACH);
		rmdir(f->dir);
	}
	*f = (struct fixture){0};
}

static struct fixture fix; /* of the tests that share one kernel state; cmocka's state pointer leads here */

static void on_applied(void *arg, const struct apply_result *r)
{
	struct fixture *f = arg;

	f->applied++;
	f->done = r->done;
	f->failed = r->failed;
	str_print(f->why, "%s: %s", r->n_failures ? r->failures[0].op : "", r->n_failures ? r->failures[0].why : "");
}

static struct op *op_add(struct plan *p, enum op_kind kind, const struct net *net)
{
	struct op *o = xgrow(&p->ops, p->n, &p->cap);

	p->n++;
	o->kind = kind;
	o->net = net;
	return o;
}

static void run(struct fixture *f, struct plan *p)
{
	unsigned before = f->applied;

	apply_run(f->a, p, on_applied, f);
	for (size_t i = 0; i < p->n; i++)
		free(p->ops[i].nft_json);
	free(p->ops);
	*p = (struct plan){0};
	wait_for(f, f->applied > before);
	assert_false(apply_busy(f->a));
}

static void expect_done(struct fixture *f, size_t done)
{
	if (f->failed)
		fail_msg("%zu failed, first %s", f->failed, f->why);
	assert_int_equal(f->done, done);
}

static struct entry entry(uint8_t type, const char *dev, const char *dst, const char *via)
{
	struct entry e = {.type = type};
	struct prefix p;
	struct ip ip;

	str_copy(e.dev, dev);
	if (dst) {
		assert_int_equal(prefix_parse(dst, &p), 0);
		e.family = p.ip.family;
		memcpy(e.dst, p.ip.b, 16);
		if (type != ENTRY_NEIGH)
			e.len = p.len;
	}
	if (via) {
		assert_int_equal(ip_parse(via, &ip), 0);
		e.via_family = ip.family;
		memcpy(e.via, ip.b, 16);
	}
	if (type == ENTRY_NEIGH || type == ENTRY_FDB)
		e.mac = (struct mac){{2, 0, 0, 0, 0, 7}};
	if (type == ENTRY_ROUTE || type == ENTRY_RULE)
		e.table = 254;
	return e;
}

/* --- the desired state of this test --- */

static struct net host = {.id = {.kind = NET_HOST}}, vni = {.id = {.kind = NET_VNI, .vni = 1000}};
static struct link vx = {.name = "vx1000",
			 .kind = LINK_VXLAN,
			 .alias = ROUTER_ALIAS "vni",
			 .mtu = 1450,
			 .up = true,
			 .mac = {{2, 0, 0, 0, 1, 1}}};
static struct link leg = {.name = "leg",
			  .kind = LINK_VETH,
			  .alias = ROUTER_ALIAS "leg",
			  .mtu = 1450,
			  .up = true,
			  .mac = {{2, 0, 0, 0, 2, 1}},
			  .peer_name = "drl-1",
			  .veth_primary = true};
static struct link end = {.name = "drl-1",
			  .kind = LINK_VETH,
			  .alias = ROUTER_ALIAS "leg",
			  .mtu = 1450,
			  .up = true,
			  .mac = {{2, 0, 0, 0, 2, 2}},
			  .master = "br0",
			  .peer_name = "leg"};
static struct entry entries[8], host_route;

static void desired_init(void)
{
	vx.vxlan.vni = 1000;
	vx.vxlan.port = 4789;
	assert_int_equal(ip_parse("192.0.2.1", &vx.vxlan.local), 0);
	leg.peer_net = HOST;
	end.peer_net = VNI;
	entries[0] = entry(ENTRY_ADDR, "vx1000", "fe80::1/64", NULL);
	entries[1] = entry(ENTRY_NEIGH, "vx1000", "fe80::2", NULL);
	entries[2] = entry(ENTRY_FDB, "vx1000", NULL, "192.0.2.2");
	entries[3] = entry(ENTRY_ROUTE, "vx1000", "10.72.0.0/24", "fe80::2");
	entries[3].onlink = 1;
	entries[4] = entry(ENTRY_ROUTE, "vx1000", "2001:db8:72::/48", "fe80::2");
	entries[5] = entry(ENTRY_ADDR, "leg", "fe80::5/64", NULL);
	entries[6] = entry(ENTRY_ROUTE, "leg", "10.71.0.0/24", NULL);
	entries[7] = entry(ENTRY_RULE, "leg", NULL, NULL);
	entries[7].family = AF_INET;
	entries[7].pref = 90;
	host_route = entry(ENTRY_ROUTE, "br0", "10.72.0.0/24", "fe80::5");
	host_route.onlink = 1;
	host_route.table = 4711;
}

static char *table_json(const char *address)
{
	return xasprintf(
		"{\"nftables\":[{\"add\":{\"table\":{\"family\":\"inet\",\"name\":\"docker-router\"}}},"
		"{\"add\":{\"set\":{\"family\":\"inet\",\"table\":\"docker-router\",\"name\":\"peers4\",\"type\":"
		"\"ipv4_addr\"}}},"
		"{\"add\":{\"element\":{\"family\":\"inet\",\"table\":\"docker-router\",\"name\":\"peers4\",\"elem\":["
		"\"%s\"]}}},"
		"{\"add\":{\"chain\":{\"family\":\"inet\",\"table\":\"docker-router\",\"name\":\"fingerprint\"}}},"
		"{\"add\":{\"rule\":{\"family\":\"inet\",\"table\":\"docker-router\",\"chain\":\"fingerprint\","
		"\"comment\":\"docker-router:0123456789abcdef\",\"expr\":[{\"return\":null}]}}}]}",
		address);
}

static bool has(struct fixture *f, const struct net_id *id, const struct entry *e)
{
	const struct net *n = actual(f, id);
	const struct entry *got = n ? entry_set_find(&n->entries, e) : NULL;

	return got && entry_same(got, e);
}

/* In the kernel, by a dump of its own and not by what observe thinks */
static bool kernel_has(struct fixture *f, const struct net_id *id, const struct entry *e)
{
	struct net n = {.id = *id};
	struct err err;

	assert_int_equal(dump_links(observe_net_nl(f->o, id), &n, &err), 0);
	assert_int_equal(dump_entries(observe_net_nl(f->o, id), &n, NULL, &err), 0);
	const struct entry *got = entry_set_find(&n.entries, e);
	bool same = got && entry_same(got, e);
	net_clear(&n);
	return same;
}

/* A command in the router namespace */
#define sh_vni(f, ...)                                                                      \
	do {                                                                                \
		struct ns_guard guard_;                                                     \
		assert_int_equal(ns_enter(observe_net_fd((f)->o, &VNI), &guard_, NULL), 0); \
		sh(__VA_ARGS__);                                                            \
		ns_leave(&guard_);                                                          \
	} while (0)

/* --- tests; they build on one another --- */

static void test_want(void **state)
{
	struct fixture *f = &fix;

	fixture_open(f, true);
	assert_null(observe_net_nl(f->o, &HOST));
	observe_want(f->o, &HOST, "", 0);
	observe_want(f->o, &HOST, "", 0);
	observe_want(f->o, &VNI, "", 0);
	wait_for(f, actual(f, &HOST)->ready && actual(f, &VNI)->ready);
	wait_for(f, f->changed > 0);
	assert_true(observe_net_fd(f->o, &VNI) >= 0);
	assert_false(ns_same(observe_net_fd(f->o, &VNI), observe_net_fd(f->o, &HOST)));
	/* a container that is not there */
	struct net_id ct = {.kind = NET_CONTAINER, .container = "0123456789abcdef"};
	observe_want(f->o, &ct, "/run/docker/netns/0123456789ab", 0);
	wait_for(f, actual(f, &ct)->broken[0]);
	assert_false(actual(f, &ct)->ready);
	observe_want(f->o, &ct, "/run/docker/netns/0123456789ab", 0); /* not again within a second */
	assert_true(actual(f, &ct)->broken[0]);
	observe_forget(f->o, &ct);
	assert_null(actual(f, &ct));
}

static void test_apply_everything(void **state)
{
	struct fixture *f = &fix;
	struct plan p = {0};

	sh("ip link add dev br0 type bridge && ip link set br0 up && ip addr add 192.0.2.1/24 dev br0");
	wait_for(f, net_link(actual(f, &HOST), "br0") && net_link(actual(f, &HOST), "br0")->up);
	desired_init();
	struct op *o = op_add(&p, OP_NFT_REPLACE, &host);
	o->nft_json = table_json("192.0.2.2");
	o = op_add(&p, OP_NFT_REPLACE, &vni);
	o->nft_json = table_json("192.0.2.3");
	op_add(&p, OP_LINK_ADD, &vni)->link = &vx;
	o = op_add(&p, OP_LINK_ADD, &vni);
	o->link = &leg;
	o->peer = &end;
	o->peer_net = &host;
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		op_add(&p, OP_ENTRY_ADD, &vni)->entry = &entries[i];
	op_add(&p, OP_ENTRY_ADD, &host)->entry = &host_route;
	run(f, &p);
	expect_done(f, 5 + ARRAY_LEN(entries));

	const struct link *l = net_link(actual(f, &VNI), "vx1000");
	assert_non_null(l);
	assert_string_equal(l->alias, vx.alias);
	assert_true(l->up);
	assert_int_equal(l->mtu, 1450);
	assert_int_equal(mac_cmp(&l->mac, &vx.mac), 0);
	assert_int_equal(ip_cmp(&l->vxlan.local, &vx.vxlan.local), 0);
	l = net_link(actual(f, &HOST), "drl-1");
	assert_non_null(l);
	assert_string_equal(l->master, "br0");
	assert_true(l->up);
	assert_true(net_link(actual(f, &VNI), "leg")->up);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		assert_true(has(f, &VNI, &entries[i]));
		assert_true(kernel_has(f, &VNI, &entries[i]));
	}
	assert_true(has(f, &HOST, &host_route));
	assert_true(kernel_has(f, &HOST, &host_route));
	assert_true(actual(f, &HOST)->nft.fingerprint == UINT64_C(0x0123456789abcdef));
	assert_int_equal(nft_table_set(&actual(f, &VNI)->nft, "peers4")->n, 1);
	/* the VXLAN's socket is where it was made, in the host's namespace */
	sh("ss -Hlun | grep -q :4789");
	/* nothing came with them that nobody asked for: no link-local address of the kernel's making */
	size_t it = 0;
	for (const struct entry *e; (e = entry_set_next(&actual(f, &HOST)->entries, &it));)
		assert_true(entry_same(e, &host_route));
	it = 0;
	for (const struct entry *e; (e = entry_set_next(&actual(f, &VNI)->entries, &it));) {
		bool wanted = false;
		for (size_t i = 0; i < ARRAY_LEN(entries); i++)
			wanted |= entry_same(e, &entries[i]);
		assert_true(wanted);
	}
}

static void test_own_echoes_change_nothing(void **state)
{
	struct fixture *f = &fix;
	struct plan p = {0};

	settle(f);
	unsigned before = f->changed;
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		if (entries[i].type != ENTRY_ADDR)
			op_add(&p, OP_ENTRY_ADD, &vni)->entry = &entries[i];
	run(f, &p);
	expect_done(f, 6);
	settle(f);
	assert_int_equal(f->changed, before);
	sh("! ip -6 addr show dev drl-1 | grep -q fe80"); /* it would be there by now */
}

static void test_taken_away(void **state)
{
	struct fixture *f = &fix;
	static const char *const commands[] = {
		"ip -6 addr del fe80::1/64 dev vx1000",
		"ip -6 neigh del fe80::2 dev vx1000",
		"bridge fdb del 02:00:00:00:00:07 dev vx1000 dst 192.0.2.2",
		"ip route del 10.72.0.0/24",
		"ip -6 route del 2001:db8:72::/48",
		"ip -6 addr del fe80::5/64 dev leg",
		"ip route del 10.71.0.0/24",
		"ip rule del pref 90",
	};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		struct plan p = {0};
		unsigned before = f->changed;
		sh_vni(f, "%s", commands[i]);
		wait_for(f, f->changed > before && !has(f, &VNI, &entries[i]));
		op_add(&p, OP_ENTRY_ADD, &vni)->entry = &entries[i];
		run(f, &p);
		expect_done(f, 1);
		settle(f);
		assert_true(has(f, &VNI, &entries[i]));
		assert_true(kernel_has(f, &VNI, &entries[i]));
	}
}

static void test_changed_by_a_stranger(void **state)
{
	struct fixture *f = &fix;
	static const struct {
		size_t entry;
		const char *command;
	} cases[] = {
		{1, "ip -6 neigh replace fe80::2 lladdr 02:00:00:00:00:99 dev vx1000 nud permanent"},
		{1, "ip -6 neigh replace fe80::2 lladdr 02:00:00:00:00:99 dev vx1000 nud reachable"},
		{2, "bridge fdb replace 02:00:00:00:00:07 dev vx1000 dst 192.0.2.66"},
		{3, "ip route replace 10.72.0.0/24 dev leg"},
		{3, "ip route replace blackhole 10.72.0.0/24"},
		{4, "ip -6 route replace 2001:db8:72::/48 dev leg"},
		{4, "ip -6 route append 2001:db8:72::/48 via fe80::3 dev vx1000 protocol 212"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct plan p = {0};
		const struct entry *e = &entries[cases[i].entry];
		sh_vni(f, "%s", cases[i].command);
		wait_for(f, !has(f, &VNI, e));
		op_add(&p, OP_ENTRY_ADD, &vni)->entry = e;
		run(f, &p);
		expect_done(f, 1);
		settle(f);
		assert_true(has(f, &VNI, e));
		if (!kernel_has(f, &VNI, e))
			fail_msg("not healed after: %s", cases[i].command);
	}
	sh_vni(f, "test $(bridge fdb show dev vx1000 | grep -c 02:00:00:00:00:07) = 1");
}

static void test_strangers_are_not_our_business(void **state)
{
	struct fixture *f = &fix;

	settle(f);
	unsigned before = f->changed;
	size_t n = actual(f, &HOST)->entries.n;
	sh("ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:01 dev br0 nud reachable");
	sh("ip neigh add 192.0.2.78 lladdr 02:00:00:00:00:01 dev br0 nud permanent");
	sh("ip rule add pref 7 iif br0 lookup 7");
	sh("ip route add unreachable 10.5.0.0/16");
	sh("printf 'table ip other {\\n chain c {\\n accept\\n }\\n}\\n' | nft -f -");
	settle(f);
	assert_int_equal(f->changed, before);
	assert_int_equal(actual(f, &HOST)->entries.n, n);
	/* these are: a route that subnets could clash with, an address, a link */
	sh("ip route add 10.6.0.0/16 dev br0");
	wait_for(f, f->changed > before);
	size_t foreign = actual(f, &HOST)->n_foreign;
	assert_true(foreign > 0);
	before = f->changed;
	sh("ip route del 10.6.0.0/16 dev br0");
	wait_for(f, f->changed > before && actual(f, &HOST)->n_foreign == foreign - 1);
	before = f->changed;
	sh("ip link add dev s0 type veth peer name s1");
	wait_for(f, f->changed > before && net_link(actual(f, &HOST), "s1"));
	sh("ip link del dev s0");
	wait_for(f, !net_link(actual(f, &HOST), "s0") && !net_link(actual(f, &HOST), "s1"));
	assert_true(has(f, &HOST, &host_route));
}

static void test_underlay(void **state)
{
	struct fixture *f = &fix;
	struct ip ip;
	char dev[16];
	uint32_t mtu = 0;

	assert_int_equal(ip_parse("198.51.100.7", &ip), 0);
	assert_false(observe_underlay(f->o, &ip, dev, &mtu));
	sh("ip addr add 198.51.100.7/24 dev br0");
	wait_for(f, observe_underlay(f->o, &ip, dev, &mtu));
	assert_string_equal(dev, "br0");
	assert_true(mtu >= 1280);
	unsigned before = f->changed;
	sh("ip addr del 198.51.100.7/24 dev br0");
	wait_for(f, !observe_underlay(f->o, &ip, dev, &mtu));
	wait_for(f, f->changed > before);
}

static void test_nft_tampering(void **state)
{
	struct fixture *f = &fix;

	sh("nft add element inet docker-router peers4 '{ 203.0.113.9 }'");
	wait_for(f, nft_table_set(&actual(f, &HOST)->nft, "peers4")->n == 2);
	sh("nft flush chain inet docker-router fingerprint");
	wait_for(f, actual(f, &HOST)->nft.fingerprint == 0 && actual(f, &HOST)->nft.n_rules == 0);
	sh("nft delete table inet docker-router");
	wait_for(f, !actual(f, &HOST)->nft.present);
	assert_true(actual(f, &VNI)->nft.present);

	struct plan p = {0};
	op_add(&p, OP_NFT_REPLACE, &host)->nft_json = table_json("192.0.2.9");
	struct op *o = op_add(&p, OP_NFT_REPLACE, &vni);
	o->nft = &actual(f, &VNI)->nft;
	o->nft_json = xstrdup("{\"nftables\":[{\"add\":{\"table\":{\"family\":\"inet\"}}}]}");
	run(f, &p);
	assert_int_equal(f->done, 1);
	assert_int_equal(f->failed, 1);
	assert_non_null(strstr(f->why, "vni:1000 nft replace"));
	assert_true(actual(f, &HOST)->nft.present); /* known when apply has told */
	settle(f);
	unsigned before = f->changed;
	settle(f);
	assert_int_equal(f->changed, before);
}

static void apply_table(struct fixture *f, const struct nft_table *t)
{
	struct plan p = {0};
	struct op *o = op_add(&p, OP_NFT_REPLACE, &vni);

	o->nft = t;
	o->nft_json = ruleset_replace(t, true);
	run(f, &p);
}

/* Rules that go by netlink, behind the table: they count, and one that is taken away is missed */
static void test_mapped_rules(void **state)
{
	struct fixture *f = &fix;
	struct ruleset_mapped mapped = {.held = true};
	struct ruleset_router in = {.mapped = &mapped, .n_mapped = 1, .tunnel = "vx1000"};
	struct nft_table t = {0};
	const struct nft_table *there = &actual(f, &VNI)->nft;

	assert_int_equal(prefix_parse("172.18.0.0/16", &mapped.subnet), 0);
	assert_int_equal(prefix_parse("241.1.0.0/16", &mapped.as), 0);
	ruleset_router(&in, &t);
	apply_table(f, &t);
	expect_done(f, 1);
	assert_int_equal(there->n_rules, t.n_rules);
	assert_true(there->fingerprint == t.fingerprint);
	sh("nsenter --net=%s/vni-1000 nft flush chain inet docker-router errors4-to", f->dir);
	wait_for(f, there->n_rules == t.n_rules - 1);
	apply_table(f, &t);
	expect_done(f, 1);
	assert_int_equal(there->n_rules, t.n_rules);
	settle(f);
	unsigned before = f->changed;
	settle(f);
	assert_int_equal(f->changed, before);
	/* one that the kernel does not take is told, and the table is not what was wanted: it is tried again */
	char *chain = memmem(t.raw.data, t.raw.len, "errors4-to", 10);
	assert_non_null(chain);
	chain[0] = 'x';
	apply_table(f, &t);
	assert_int_equal(f->failed, 1);
	assert_non_null(strstr(f->why, strerror(ENOENT)));
	assert_true(there->n_rules < t.n_rules);
	for (size_t i = 0; i < t.n_sets; i++)
		free(t.sets[i].v);
	free(t.sets);
	free(t.json);
	buf_done(&t.raw);
}

/* One back while it is up or, where the kernel refuses that, down for a moment; the other was down already */
static void test_link_renamed(void **state)
{
	struct fixture *f = &fix;
	struct plan p = {0};
	struct op *o;

	int before = net_link(actual(f, &HOST), "drl-1")->ifindex;
	sh("ip link set drl-1 down && ip link set drl-1 name foo");
	sh_vni(f, "ip link set vx1000 down && ip link set vx1000 name bar && ip link set bar up");
	wait_for(f, net_link(actual(f, &HOST), "foo") && net_link(actual(f, &VNI), "bar") &&
			    net_link(actual(f, &VNI), "bar")->up);
	o = op_add(&p, OP_LINK_SET, &host);
	o->link = &end;
	str_copy(o->was.name, "foo");
	o->was.ifindex = before;
	o->set_name = o->set_up = true;
	o = op_add(&p, OP_LINK_SET, &vni);
	o->link = &vx;
	str_copy(o->was.name, "bar");
	o->was.ifindex = net_link(actual(f, &VNI), "bar")->ifindex;
	o->set_name = true;
	for (size_t i = 0; i < 5; i++) /* what it lost while it was down */
		op_add(&p, OP_ENTRY_ADD, &vni)->entry = &entries[i];
	run(f, &p);
	expect_done(f, 7);
	settle(f);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		assert_true(has(f, &VNI, &entries[i]) && kernel_has(f, &VNI, &entries[i]));
	wait_for(f, net_link(actual(f, &HOST), "drl-1") && net_link(actual(f, &VNI), "vx1000"));
	wait_for(f, net_link(actual(f, &HOST), "drl-1")->up && net_link(actual(f, &VNI), "vx1000")->up);
	assert_int_equal(net_link(actual(f, &HOST), "drl-1")->ifindex, before);
	assert_null(net_link(actual(f, &HOST), "foo"));
	assert_null(net_link(actual(f, &VNI), "bar"));
	/* one that has the name by now is not the one that was meant */
	struct plan late = {0};
	sh("ip link add dev foo type veth peer name foo-peer");
	wait_for(f, net_link(actual(f, &HOST), "foo"));
	o = op_add(&late, OP_LINK_SET, &host);
	o->link = &end;
	str_copy(o->was.name, "foo");
	o->was.ifindex = before;
	o->set_name = true;
	run(f, &late);
	assert_int_equal(f->failed, 1);
	assert_non_null(strstr(f->why, "another one"));
	sh("ip link del dev foo");
	wait_for(f, !net_link(actual(f, &HOST), "foo"));
}

static void test_link_changes(void **state)
{
	struct fixture *f = &fix;
	struct plan p = {0};
	struct op *o;

	sh_vni(f, "ip link set vx1000 mtu 1400 && ip link set vx1000 address 02:00:00:00:00:55 && "
		  "ip link set vx1000 type vxlan learning");
	wait_for(f, net_link(actual(f, &VNI), "vx1000")->vxlan.learning);
	sh("ip link set drl-1 nomaster down");
	wait_for(f, !net_link(actual(f, &HOST), "drl-1")->up && !net_link(actual(f, &HOST), "drl-1")->master[0]);
	o = op_add(&p, OP_LINK_SET, &vni);
	o->link = &vx;
	o->set_mac = o->set_mtu = o->set_vxlan = true;
	assert_int_equal(ip_parse("192.0.2.10", &vx.vxlan.local), 0);
	o = op_add(&p, OP_LINK_SET, &host);
	o->link = &end;
	o->set_master = o->set_up = true;
	run(f, &p);
	expect_done(f, 2);
	const struct link *l = net_link(actual(f, &VNI), "vx1000");
	assert_int_equal(l->mtu, 1450);
	assert_int_equal(mac_cmp(&l->mac, &vx.mac), 0);
	assert_int_equal(ip_cmp(&l->vxlan.local, &vx.vxlan.local), 0);
	assert_false(l->vxlan.learning);
	l = net_link(actual(f, &HOST), "drl-1");
	assert_true(l->up);
	assert_string_equal(l->master, "br0");
}

/* The kernel drops the IPv4 routes of a device that goes down without a word */
static void test_link_down(void **state)
{
	struct fixture *f = &fix;
	struct plan p = {0};

	assert_true(has(f, &VNI, &entries[3]));
	sh_vni(f, "ip link set vx1000 down");
	wait_for(f, !has(f, &VNI, &entries[3]) && !net_link(actual(f, &VNI), "vx1000")->up);
	assert_true(has(f, &VNI, &entries[2])); /* FDB entries stay */
	struct op *o = op_add(&p, OP_LINK_SET, &vni);
	o->link = &vx;
	o->set_up = true;
	for (size_t i = 0; i < 5; i++)
		op_add(&p, OP_ENTRY_ADD, &vni)->entry = &entries[i];
	run(f, &p);
	expect_done(f, 6);
	settle(f);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		assert_true(has(f, &VNI, &entries[i]));
		assert_true(kernel_has(f, &VNI, &entries[i]));
	}
}

static void test_link_taken_away(void **state)
{
	struct fixture *f = &fix;
	struct plan p = {0};

	sh_vni(f, "ip link del dev vx1000");
	wait_for(f, !net_link(actual(f, &VNI), "vx1000") && !has(f, &VNI, &entries[3]));
	assert_true(has(f, &VNI, &entries[6]));
	/* deleted and made again before its events are read */
	op_add(&p, OP_LINK_ADD, &vni)->link = &vx;
	op_add(&p, OP_ENTRY_ADD, &vni)->entry = &entries[0];
	run(f, &p);
	expect_done(f, 2);
	op_add(&p, OP_LINK_REMOVE, actual(f, &VNI))->link = net_link(actual(f, &VNI), "vx1000");
	op_add(&p, OP_LINK_ADD, &vni)->link = &vx;
	for (size_t i = 1; i < 5; i++)
		op_add(&p, OP_ENTRY_ADD, &vni)->entry = &entries[i];
	run(f, &p);
	expect_done(f, 6);
	settle(f);
	assert_false(has(f, &VNI, &entries[0]));
	for (size_t i = 1; i < ARRAY_LEN(entries); i++) {
		assert_true(has(f, &VNI, &entries[i]));
		assert_true(kernel_has(f, &VNI, &entries[i]));
	}
}

static void test_source_address_goes(void **state)
{
	struct fixture *f = &fix;
	struct plan p = {0};
	struct entry addr = entry(ENTRY_ADDR, "leg", "10.9.0.1/24", NULL);
	struct entry route = entry(ENTRY_ROUTE, "leg", "10.74.0.0/24", NULL);

	memcpy(route.src, addr.dst, 16);
	op_add(&p, OP_ENTRY_ADD, &vni)->entry = &addr;
	op_add(&p, OP_ENTRY_ADD, &vni)->entry = &route;
	run(f, &p);
	expect_done(f, 2);
	settle(f);
	assert_true(has(f, &VNI, &route));
	sh_vni(f, "ip addr del 10.9.0.1/24 dev leg");
	wait_for(f, !has(f, &VNI, &route));
	assert_false(kernel_has(f, &VNI, &route));
}

/* The kernel then drops every IPv4 route over the device, whatever its source, and tells of none */
static void test_last_ipv4_address_goes(void **state)
{
	struct fixture *f = &fix;
	struct plan p = {0};
	struct entry addr = entry(ENTRY_ADDR, "leg", "10.9.0.1/32", NULL);
	struct entry route = entry(ENTRY_ROUTE, "leg", "10.74.0.0/24", NULL);

	sh_vni(f, "ip -4 addr flush dev leg");
	op_add(&p, OP_ENTRY_ADD, &vni)->entry = &addr;
	op_add(&p, OP_ENTRY_ADD, &vni)->entry = &route;
	run(f, &p);
	expect_done(f, 2);
	settle(f);
	assert_true(has(f, &VNI, &route));
	sh_vni(f, "ip addr del 10.9.0.1/32 dev leg");
	wait_for(f, !has(f, &VNI, &route));
	assert_false(kernel_has(f, &VNI, &route));
}

/* Neither is told by an event of its own */
static void test_ipv6_off_and_on(void **state)
{
	struct fixture *f = &fix;
	struct plan p = {0};

	assert_false(net_link(actual(f, &VNI), "leg")->ipv6_off);
	sh_vni(f, "sysctl -qw net.ipv6.conf.leg.disable_ipv6=1");
	wait_for(f, net_link(actual(f, &VNI), "leg")->ipv6_off && !has(f, &VNI, &entries[5]));
	unsigned before = f->changed;
	sh_vni(f, "sysctl -qw net.ipv6.conf.leg.disable_ipv6=0");
	wait_for(f, !net_link(actual(f, &VNI), "leg")->ipv6_off);
	wait_for(f, f->changed > before);
	op_add(&p, OP_ENTRY_ADD, &vni)->entry = &entries[5];
	run(f, &p);
	expect_done(f, 1);
}

static void test_failures(void **state)
{
	struct fixture *f = &fix;
	struct plan p = {0};
	struct entry no_dev = entry(ENTRY_ROUTE, "notthere", "10.99.0.0/24", NULL);
	struct entry unreachable = entry(ENTRY_ROUTE, "leg", "10.98.0.0/24", "10.200.0.1");
	struct entry gone = entry(ENTRY_ROUTE, "leg", "10.97.0.0/24", NULL);
	struct entry gone6 = entry(ENTRY_ROUTE, "leg", "2001:db8:97::/48", NULL);
	struct entry gone_neigh = entry(ENTRY_NEIGH, "leg", "10.97.0.1", NULL);
	struct entry gone_fdb = entry(ENTRY_FDB, "vx1000", NULL, "192.0.2.99");
	struct entry gone_addr = entry(ENTRY_ADDR, "leg", "10.97.0.1/24", NULL);
	struct entry gone_rule = entry(ENTRY_RULE, "leg", "10.97.0.0/24", NULL);
	struct entry good = entry(ENTRY_ROUTE, "leg", "10.96.0.0/24", NULL);
	struct link twice = vx;

	gone_fdb.mac.b[5] = 0x44;
	str_copy(twice.name, "vx1000b");
	op_add(&p, OP_LINK_ADD, &vni)->link = &twice;
	op_add(&p, OP_ENTRY_ADD, &vni)->entry = &no_dev;
	op_add(&p, OP_ENTRY_ADD, &vni)->entry = &unreachable;
	op_add(&p, OP_ENTRY_ADD, &vni)->entry = &entries[7]; /* a rule that is there */
	op_add(&p, OP_ENTRY_ADD, &vni)->entry = &good;
	op_add(&p, OP_ENTRY_REMOVE, &vni)->entry = &gone;
	op_add(&p, OP_ENTRY_REMOVE, &vni)->entry = &gone6;
	op_add(&p, OP_ENTRY_REMOVE, &vni)->entry = &gone_neigh;
	op_add(&p, OP_ENTRY_REMOVE, &vni)->entry = &gone_fdb;
	op_add(&p, OP_ENTRY_REMOVE, &vni)->entry = &gone_addr;
	op_add(&p, OP_ENTRY_REMOVE, &vni)->entry = &gone_rule;
	op_add(&p, OP_ENTRY_REMOVE, &vni)->entry = &good;
	op_add(&p, OP_LINK_REMOVE, &vni)->link = &twice;
	run(f, &p);
	assert_int_equal(f->failed, 3);
	assert_int_equal(f->done, 10);
	assert_non_null(strstr(f->why, "vx1000b"));
	assert_non_null(strstr(f->why, "already exists")); /* the kernel's own words */
	assert_false(has(f, &VNI, &no_dev));
	assert_false(has(f, &VNI, &unreachable));
	assert_false(kernel_has(f, &VNI, &good));
}

static void test_a_stranger_of_our_name(void **state)
{
	struct fixture *f = &fix;
	struct plan p = {0};
	struct link theirs = end, mine = leg;
	struct op *o;

	sh("ip link add dev drl-9 type bridge && ip link set drl-9 alias somebody");
	str_copy(theirs.name, "drl-9");
	o = op_add(&p, OP_LINK_SET, &host);
	o->link = &theirs;
	o->set_alias = o->set_up = true;
	str_copy(mine.name, "leg9");
	o = op_add(&p, OP_LINK_ADD, &vni);
	o->link = &mine;
	o->peer = &theirs;
	o->peer_net = &host;
	op_add(&p, OP_LINK_REMOVE, &host)->link = &end; /* ours, by its alias */
	theirs.ifindex = 4711;
	op_add(&p, OP_LINK_REMOVE, &host)->link = &theirs; /* what was ours under this name has gone */
	run(f, &p);
	assert_int_equal(f->failed, 2);
	wait_for(f, net_link(actual(f, &HOST), "drl-9") && !net_link(actual(f, &HOST), "drl-1"));
	assert_string_equal(net_link(actual(f, &HOST), "drl-9")->alias, "somebody");
	wait_for(f, !net_link(actual(f, &VNI), "leg"));
	assert_null(net_link(actual(f, &VNI), "leg9"));
	assert_true(has(f, &VNI, &entries[7])); /* a rule stays when its device goes */
}

/* Many: written in one go, no overrun, nothing told, found by a new observer as it was written */
static void test_many(void **state)
{
	enum { N = 5000 };
	struct fixture *f = &fix;
	struct plan p = {0};
	struct entry *e = xcalloc(3 * N, sizeof(*e));

	settle(f);
	for (uint32_t i = 0; i < N; i++) {
		uint8_t hi = (uint8_t)(i >> 8), lo = (uint8_t)i;
		e[i] = entry(ENTRY_NEIGH, "vx1000", "fe80::", NULL);
		e[i].dst[8] = 1;
		e[i].dst[14] = hi;
		e[i].dst[15] = lo;
		e[N + i] = entry(ENTRY_FDB, "vx1000", NULL, "198.51.100.1");
		e[N + i].mac.b[3] = 9;
		e[i].mac.b[4] = e[N + i].mac.b[4] = hi;
		e[i].mac.b[5] = e[N + i].mac.b[5] = lo;
		e[2 * N + i] = entry(ENTRY_ROUTE, "vx1000", "10.128.0.0/32", "fe80::2");
		e[2 * N + i].dst[2] = hi;
		e[2 * N + i].dst[3] = lo;
		memcpy(e[2 * N + i].via, e[i].dst, 16);
		e[2 * N + i].onlink = 1;
	}
	for (size_t i = 0; i < 3 * N; i++)
		op_add(&p, OP_ENTRY_ADD, &vni)->entry = &e[i];
	unsigned before = f->changed;
	int64_t start = mono_now().us;
	run(f, &p);
	print_message("# %d entries in %d ms\n", 3 * N, (int)((mono_now().us - start) / 1000));
	expect_done(f, 3 * N);
	settle(f);
	assert_int_equal(f->changed, before);
	struct net *n = actual(f, &VNI);
	size_t n_entries = n->entries.n;
	observe_resync(f->o, &VNI);
	wait_for(f, f->changed > before);
	assert_int_equal(n->entries.n, n_entries);
	for (size_t i = 0; i < 3 * N; i++)
		assert_true(has(f, &VNI, &e[i]));
	/* and away again: operations that borrow from the very set that they change */
	size_t it = 0;
	for (const struct entry *x; (x = entry_set_next(&n->entries, &it));)
		if (x->type == ENTRY_FDB || x->type == ENTRY_ROUTE)
			op_add(&p, OP_ENTRY_REMOVE, n)->entry = x;
	size_t n_ops = p.n;
	run(f, &p);
	expect_done(f, n_ops);
	settle(f);
	assert_int_equal(actual(f, &VNI)->entries.n, n_entries - n_ops);
	free(e);
}

static void test_reopen(void **state)
{
	struct fixture *f = &fix;

	/* whoever comes after finds what is there; what is forgotten while it is being opened does no harm */
	observe_forget(f->o, &VNI);
	observe_want(f->o, &VNI, "", 0);
	observe_forget(f->o, &VNI);
	observe_want(f->o, &VNI, "", 0);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	observe_forget(f->o, &VNI);
	observe_want(f->o, &VNI, "", 0);
	wait_for(f, actual(f, &VNI)->ready);
	assert_non_null(net_link(actual(f, &VNI), "vx1000"));
	assert_true(has(f, &VNI, &entries[1]));
	assert_true(actual(f, &VNI)->nft.present);
	/* end with answers still open */
	observe_want(f->o, &(struct net_id){.kind = NET_VNI, .vni = 1001}, "", 0);
	struct plan p = {0};
	op_add(&p, OP_NFT_REMOVE, &vni)->nft_json = xstrdup("{\"nftables\":[]}");
	apply_run(f->a, &p, on_applied, f);
	free(p.ops[0].nft_json);
	free(p.ops);
	assert_true(apply_busy(f->a));
	fixture_close(f);
}

/* Without a broker there is one namespace, ours; and its event socket overruns */
static void test_alone_and_overrun(void **state)
{
	struct fixture *f = &fix;
	struct watch *w;

	fixture_open(f, false);
	observe_want(f->o, &VNI, "", 0);
	observe_want(f->o, &HOST, "", 0);
	assert_true(actual(f, &HOST)->ready);
	assert_true(actual(f, &VNI)->broken[0]);
	observe_forget(f->o, &VNI);
	assert_int_equal(observe_net_fd(f->o, &HOST), -1);
	struct plan p = {0};
	struct link local = vx;
	str_copy(local.name, "vxlan0");
	local.vxlan.vni = 7;
	op_add(&p, OP_NFT_REPLACE, &host)->nft_json = table_json("192.0.2.77");
	op_add(&p, OP_LINK_ADD, &host)->link = &local;
	run(f, &p);
	expect_done(f, 2);
	assert_true(net_link(actual(f, &HOST), "vxlan0")->up);
	assert_true(actual(f, &HOST)->nft.present);

	/* more events than fit, among them one that matters, and nobody reads */
	host_route.via_family = 0;
	memset(host_route.via, 0, 16);
	host_route.onlink = 0;
	op_add(&p, OP_ENTRY_ADD, &host)->entry = &host_route;
	run(f, &p);
	expect_done(f, 1);
	settle(f);
	w = observe_watch(f->o, &HOST);
	nl_set_rcvbuf(w->nl[WATCH_RT_EVENTS], 4096);
	sh("for i in $(seq 1 200); do echo \"route add 10.200.$i.0/24 dev br0\"; done >/tmp/test-apply.$$ && "
	   "ip -batch /tmp/test-apply.$$; rm /tmp/test-apply.$$; ip route del 10.72.0.0/24 table 4711");
	wait_for(f, !has(f, &HOST, &host_route));
	wait_for(f, actual(f, &HOST)->n_foreign >= 200);
	fixture_close(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_want),
		cmocka_unit_test(test_apply_everything),
		cmocka_unit_test(test_own_echoes_change_nothing),
		cmocka_unit_test(test_taken_away),
		cmocka_unit_test(test_changed_by_a_stranger),
		cmocka_unit_test(test_strangers_are_not_our_business),
		cmocka_unit_test(test_underlay),
		cmocka_unit_test(test_nft_tampering),
		cmocka_unit_test(test_mapped_rules),
		cmocka_unit_test(test_link_changes),
		cmocka_unit_test(test_link_renamed),
		cmocka_unit_test(test_link_down),
		cmocka_unit_test(test_link_taken_away),
		cmocka_unit_test(test_source_address_goes),
		cmocka_unit_test(test_last_ipv4_address_goes),
		cmocka_unit_test(test_ipv6_off_and_on),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_a_stranger_of_our_name),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_reopen),
		cmocka_unit_test(test_alone_and_overrun),
	};

	if (!kernel_fresh())
		return kernel_skip("needs root, for namespaces of its own");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
