/* SPDX-License-Identifier: Apache-2.0
 *
 * Golden tests of desired state and plan: inventory.json and discovery.json of a folder below tests/golden/router, laid
 * in front of an empty kernel with the bridges that they name (and a setting, in its file `env`), give the operations
 * in its file `plan`; planned again in front of what that makes, nothing is left to do. UPDATE=1 writes the files anew.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "router/desired.h"
#include "router/plan.h"
#include "router/wg_renew.h"
#include "router/wireguard.h"
#include "state/wg_keys.h"

#define HOST_ID "000102030405060708090a0b0c0d0e0f"

static struct net *make_net(struct net_list *l, struct net_id id)
{
	struct net *n = net_list_add(l, &id);
	n->ready = true;
	return n;
}

static void make_actual(struct net_list *actual, const struct inventory *inv)
{
	struct net *host = make_net(actual, (struct net_id){.kind = NET_HOST});
	struct link *lo = net_link_add(host, "lo");
	lo->mtu = 65536;
	make_net(actual, (struct net_id){.kind = NET_WIREGUARD});
	for (size_t i = 0; i < inv->n_stacks; i++) {
		make_net(actual, (struct net_id){.kind = NET_VNI, .vni = inv->stacks[i].vni});
		for (size_t j = 0; j < inv->stacks[i].n_networks; j++) {
			struct link *b = net_link_add(host, inv->stacks[i].networks[j].bridge);
			b->kind = LINK_BRIDGE;
			b->mtu = 1500;
			b->up = true;
			b->mac = (struct mac){{2, 0x42, (uint8_t)i, (uint8_t)j, 0, 1}};
		}
		for (size_t j = 0; j < inv->stacks[i].n_containers; j++) {
			struct net_id id = {.kind = NET_CONTAINER};
			str_copy(id.container, inv->stacks[i].containers[j].id);
			struct net *ct = make_net(actual, id);
			for (size_t k = 0; k < inv->stacks[i].containers[j].n_interfaces; k++) {
				char name[16];
				str_print(name, "eth%u", (unsigned)k % 100);
				net_link_add(ct, name)->mac = inv->stacks[i].containers[j].interfaces[k].mac;
			}
		}
	}
	/* the underlay, which nobody may claim */
	struct foreign_route *f = xgrow(&host->foreign, host->n_foreign, &host->cap_foreign);
	host->n_foreign++;
	assert_int_equal(prefix_parse("192.0.2.0/24", &f->dst), 0);
	str_copy(f->dev, "eth0");
}

static void play_wireguard(struct net *n, const struct op *o)
{
	struct net_wg *w = &n->wg[o->wg->slot];
	struct wg_device *d = &w->device;
	const struct wg_peer_change *c = &o->wg->peer;
	struct wg_peer *p = (struct wg_peer *)wg_peer_find(d, c->peer.key);

	w->present = w->known = true;
	if (o->kind == OP_WG_DEVICE) {
		memcpy(d->private_key, o->wg->private_key, WG_KEY_BYTES);
		d->port = o->wg->port;
		return;
	}
	if (o->kind == OP_WG_REMOVE) {
		assert_non_null(p);
		*p = d->peers[--d->n_peers];
	} else if (p) {
		if (c->set_psk)
			memcpy(p->psk, c->peer.psk, WG_KEY_BYTES);
		if (c->set_endpoint)
			p->endpoint = c->peer.endpoint;
		p->keepalive_s = c->set_keepalive ? c->peer.keepalive_s : p->keepalive_s;
		if (c->set_allowed) {
			p->n_allowed = c->peer.n_allowed;
			memcpy(p->allowed, c->peer.allowed, sizeof(p->allowed));
		}
	} else {
		*xgrow(&d->peers, d->n_peers, &d->cap_peers) = c->peer;
		d->n_peers++;
	}
	wg_peers_sort(d);
	free(w->notes);
	w->notes = xcalloc(d->n_peers + 1, sizeof(*w->notes));
	for (size_t i = 0; i < d->n_peers; i++)
		w->notes[i].announced = d->peers[i].endpoint;
}

/* The kernel's part: does what the plan says. What is removed is named by the actual state itself: kept apart first. */
static void play(struct net_list *actual, const struct plan *p)
{
	struct entry *gone = xcalloc(p->n + 1, sizeof(*gone));
	struct link *gone_links = xcalloc(p->n + 1, sizeof(*gone_links));

	for (size_t i = 0; i < p->n; i++) {
		if (p->ops[i].kind == OP_ENTRY_REMOVE)
			gone[i] = *p->ops[i].entry;
		if (p->ops[i].kind == OP_LINK_REMOVE)
			gone_links[i] = *p->ops[i].link;
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct op *o = &p->ops[i];
		struct net *n = net_list_find(actual, &o->net->id);
		assert_non_null(n);
		switch (o->kind) {
		case OP_NFT_REPLACE:
		case OP_NFT_ELEMENTS:
			n->nft.present = true;
			n->nft.fingerprint = o->nft->fingerprint;
			n->nft.n_rules = o->nft->n_rules;
			for (size_t s = 0; s < o->nft->n_sets; s++) {
				struct nft_set *set = nft_table_set(&n->nft, o->nft->sets[s].name);
				if (!set) {
					set = xgrow(&n->nft.sets, n->nft.n_sets, &n->nft.cap_sets);
					n->nft.n_sets++;
				}
				free(set->v);
				*set = o->nft->sets[s];
				set->v = set->n ? xmemdup(set->v, set->n * sizeof(*set->v)) : NULL;
				set->cap = set->n;
			}
			break;
		case OP_NFT_REMOVE:
			n->nft.present = false;
			break;
		case OP_SHORTCUT_REPLACE:
			n->shortcut.present = true;
			n->shortcut.fingerprint = o->nft->fingerprint;
			n->shortcut.n_rules = o->nft->n_rules;
			break;
		case OP_SHORTCUT_REMOVE:
			n->shortcut.present = false;
			break;
		case OP_LINK_ADD:
			assert_null(net_link(n, o->link->name));
			*net_link_add(n, o->link->name) = *o->link;
			net_link(n, o->link->name)->ifindex = (int)n->n_links;
			if (o->peer) {
				struct net *pn = net_list_find(actual, &o->peer_net->id);
				struct link *peer = net_link_add(pn, o->peer->name);
				*peer = *o->peer;
				peer->ifindex = (int)pn->n_links;
				peer->peer_ifindex = net_link(n, o->link->name)->ifindex;
				net_link(n, o->link->name)->peer_ifindex = peer->ifindex;
			}
			break;
		case OP_LINK_SET: {
			struct link *l = net_link(n, o->set_name ? o->was.name : o->link->name), was = *l;
			*l = *o->link;
			l->ifindex = was.ifindex;
			l->peer_ifindex = was.peer_ifindex;
			break;
		}
		case OP_LINK_REMOVE: {
			struct link *l = net_link(n, gone_links[i].name);
			assert_non_null(l);
			*l = n->links[--n->n_links];
			break;
		}
		case OP_ENTRY_ADD:
			if (o->entry->dev[0])
				assert_non_null(net_link(n, o->entry->dev));
			entry_set_put(&n->entries, o->entry);
			break;
		case OP_ENTRY_REMOVE:
			assert_non_null(entry_set_find(&n->entries, &gone[i]));
			entry_set_remove(&n->entries, &gone[i]);
			break;
		case OP_WG_DEVICE:
		case OP_WG_PEER:
		case OP_WG_REMOVE:
			play_wireguard(n, o);
			break;
		case OP_KIND_N_:
			fail();
		}
	}
	free(gone);
	free(gone_links);
}

static int line_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Entries come in the order of a hash: sorted within the plan's steps they are the same everywhere. */
static char *plan_text(const struct plan *p)
{
	struct buf out = {0};
	char **lines = xcalloc(p->n + 1, sizeof(*lines));
	size_t from = 0;

	buf_puts(&out, "");
	for (size_t i = 0; i < p->n; i++) {
		struct buf b = {0};
		op_print(&b, &p->ops[i]);
		lines[i] = b.data;
		if (p->ops[i].kind != p->ops[from].kind || p->ops[i].net != p->ops[from].net ||
		    (p->ops[i].entry && p->ops[i].entry->type != p->ops[from].entry->type)) {
			qsort(lines + from, i - from, sizeof(*lines), line_cmp);
			from = i;
		}
	}
	qsort(lines + from, p->n - from, sizeof(*lines), line_cmp);
	for (size_t i = 0; i < p->n; i++) {
		buf_printf(&out, "%s\n", lines[i]);
		free(lines[i]);
	}
	free(lines);
	return out.data;
}

struct scene {
	struct inventory inv;
	struct discovery disc;
	struct config config;
	struct net_list actual;
	struct router_state before;
	struct wg_own wg;
};

/* Two keys, of which the others may have one */
static void make_own(struct wg_own *w)
{
	static const char ring[] = "0101010101010101010101010101010101010101010101010101010101010101\n"
				   "0202020202020202020202020202020202020202020202020202020202020202\n";
	uint8_t public_key[WG_KEY_BYTES];

	assert_int_equal(keyring_parse(ring, strlen(ring), &w->ring, NULL), 0);
	memset(w->now.private_key, 7, sizeof(w->now.private_key));
	wg_public(w->now.private_key, public_key);
	w->now.present = true;
	w->now.slot = wg_key_slot(public_key);
	wg_key_format(public_key, w->say.key);
	w->say.port = 51820;
	for (size_t i = 0; i < w->ring.n; i++)
		str_copy(w->say.ring[w->say.n_ring++], w->ring.keys[i].id);
}

static void scene_load(struct scene *s, const char *dir)
{
	struct err err = {0};
	int fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC), rest;
	char *argv[] = {NULL}, lines[4][128] = {0}, *env[5] = {NULL};
	FILE *f;

	assert_true(fd >= 0);
	memset(s, 0, sizeof(*s));
	if (inventory_read(fd, NULL, &s->inv, &err) || discovery_read(fd, NULL, &s->disc, &err))
		fail_msg("%s: %s", dir, err.text);
	/* some settings, in a file of that name */
	autofree char *path = xasprintf("%s/env", dir);
	if ((f = fopen(path, "re"))) {
		for (size_t i = 0; i < ARRAY_LEN(lines) && fgets(lines[i], sizeof(lines[i]), f); i++) {
			lines[i][strcspn(lines[i], "\n")] = '\0';
			env[i] = lines[i];
		}
		fclose(f);
	}
	close(fd);
	if (config_load(FOR_ROUTER, "router", 0, argv, env, &s->config, &rest, &err))
		fail_msg("%s", err.text);
	make_actual(&s->actual, &s->inv);
	make_own(&s->wg);
}

static void scene_plan(struct scene *s, struct desired *d, struct plan *p)
{
	struct desired_input in = {.config = &s->config,
				   .host_id = HOST_ID,
				   .ns_dir = "/run/docker-router/00010203",
				   .inventory = &s->inv,
				   .discovery = &s->disc,
				   .before = &s->before,
				   .wg = s->config.encryption == ENCRYPTION_WIREGUARD ? &s->wg : NULL,
				   .actual = &s->actual,
				   .local = s->disc.self.host_ip,
				   .underlay_mtu = 1500,
				   .nics = true};
	desired_make(&in, d);
	plan_make(&d->nets, &s->actual, p);
}

static void scene_done(struct scene *s)
{
	inventory_done(&s->inv);
	discovery_done(&s->disc);
	net_list_done(&s->actual);
	router_state_done(&s->before);
	config_done(&s->config);
}

static void check_golden(const char *dir, const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", dir, name);
	autobuf struct buf want = {0};
	struct err err;

	if (getenv("UPDATE")) {
		FILE *f = fopen(path, "we");
		assert_non_null(f);
		fputs(text, f);
		fclose(f);
		return;
	}
	if (file_read(AT_FDCWD, path, 1 << 20, NULL, &want, &err))
		fail_msg("%s: %s", path, err.text);
	assert_string_equal(want.data ? want.data : "", text);
}

static void run_golden(const char *dir)
{
	struct scene s;
	struct desired d;
	struct plan p;
	struct buf refused = {0};
	char pfx[PREFIX_STRLEN];

	scene_load(&s, dir);
	scene_plan(&s, &d, &p);
	autofree char *text = plan_text(&p);
	check_golden(dir, "plan", text);
	buf_puts(&refused, "");
	for (size_t i = 0; i < d.state.n_refused; i++)
		buf_printf(&refused, "%u %s of %s on %s: %s\n%s\n", d.state.refused[i].vni,
			   prefix_format(&d.state.refused[i].prefix, pfx), d.state.refused[i].stack_id,
			   d.state.refused[i].host_id, d.state.refused[i].with, d.state.refused[i].cure);
	for (size_t i = 0; i < d.state.n_pending; i++)
		buf_printf(&refused, "%s: %s\n", d.state.pending[i].operation, d.state.pending[i].why);
	check_golden(dir, "refused", refused.data);
	buf_done(&refused);
	/* Played, planned again: IPv6 inside containers follows in a second step, then nothing is left. */
	for (int round = 0; round < 3 && p.n; round++) {
		play(&s.actual, &p);
		plan_done(&p);
		router_state_done(&s.before);
		s.before = d.state;
		memset(&d.state, 0, sizeof(d.state));
		desired_done(&d);
		scene_plan(&s, &d, &p);
	}
	assert_int_equal(p.n, 0);
	/* And all of it away again: nothing of ours stays. */
	plan_done(&p);
	desired_done(&d);
	struct net_list none = {0};
	plan_make(&none, &s.actual, &p);
	play(&s.actual, &p);
	for (size_t i = 0; i < s.actual.n; i++) {
		const struct net *n = s.actual.v[i];
		assert_false(n->nft.present);
		assert_false(n->shortcut.present);
		for (size_t j = 0; j < n->n_links; j++)
			assert_true(strncmp(n->links[j].alias, ROUTER_ALIAS, strlen(ROUTER_ALIAS)) != 0);
	}
	plan_done(&p);
	router_state_done(&s.before);
	memset(&s.before, 0, sizeof(s.before));
	scene_done(&s);
}

static void test_golden(void **state)
{
	const char *root = getenv("GOLDEN");
	DIR *dir = opendir(root ? root : "tests/golden/router");
	size_t n = 0;

	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		autofree char *path = xasprintf("%s/%s", root ? root : "tests/golden/router", e->d_name);
		print_message("# %s\n", e->d_name);
		run_golden(path);
		n++;
	}
	closedir(dir);
	assert_true(n >= 10);
}

/* The one operation that is left to do, or OP_KIND_N_ for none */
static enum op_kind next_kind(struct scene *s)
{
	struct desired d;
	struct plan p;

	scene_plan(s, &d, &p);
	assert_true(p.n <= 1);
	enum op_kind kind = p.n ? p.ops[0].kind : OP_KIND_N_;
	play(&s->actual, &p);
	plan_done(&p);
	desired_done(&d);
	return kind;
}

static void port_add(struct net *host, const char *name, const char *bridge)
{
	struct link *l = net_link_add(host, name);

	l->kind = LINK_VETH;
	str_copy(l->master, bridge);
}

static void port_remove(struct net *host, const char *name)
{
	struct link *l = net_link(host, name);

	*l = host->links[--host->n_links];
}

/* With leg and route, while a container is there; anew when what its rules name is another */
static void test_shortcut(void **state)
{
	autofree char *path = xasprintf("%s/two-hosts.d", getenv("GOLDEN") ? getenv("GOLDEN") : "tests/golden/router");
	struct scene s;
	struct desired d;
	struct plan p;

	scene_load(&s, path);
	s.config.datapath = DATAPATH_LEG;
	for (int round = 0; round < 3; round++) {
		scene_plan(&s, &d, &p);
		for (size_t i = 0; i < p.n; i++)
			assert_int_not_equal(p.ops[i].kind, OP_SHORTCUT_REPLACE);
		play(&s.actual, &p);
		plan_done(&p);
		desired_done(&d);
	}
	struct net *host = net_list_find(&s.actual, &(struct net_id){.kind = NET_HOST});
	const char *bridge = s.inv.stacks[0].networks[0].bridge;
	port_add(host, "veth1", bridge);
	port_add(host, "veth2", "br-other");
	assert_int_equal(next_kind(&s), OP_SHORTCUT_REPLACE);
	assert_int_equal(next_kind(&s), OP_KIND_N_);
	/* a port more, and less; one of another kind, and of another bridge, are nothing to it */
	uint64_t one = host->shortcut.fingerprint;
	port_add(host, "veth0", bridge);
	assert_int_equal(next_kind(&s), OP_SHORTCUT_REPLACE);
	assert_true(host->shortcut.fingerprint != one);
	/* whatever order the kernel tells them in */
	struct link *first = net_link(host, "veth1"), *second = net_link(host, "veth0"), was = *first;
	*first = *second;
	*second = was;
	assert_int_equal(next_kind(&s), OP_KIND_N_);
	port_remove(host, "veth0");
	assert_int_equal(next_kind(&s), OP_SHORTCUT_REPLACE);
	assert_true(host->shortcut.fingerprint == one);
	port_add(host, "veth3", "br-other");
	port_add(host, "eth7", bridge);
	net_link(host, "eth7")->kind = LINK_OTHER;
	assert_int_equal(next_kind(&s), OP_KIND_N_);
	/* the bridge's MAC is in it; a rule taken away, or the table */
	net_link(host, bridge)->mac.b[5]++;
	assert_int_equal(next_kind(&s), OP_SHORTCUT_REPLACE);
	host->shortcut.n_rules--;
	assert_int_equal(next_kind(&s), OP_SHORTCUT_REPLACE);
	host->shortcut.present = false;
	assert_int_equal(next_kind(&s), OP_SHORTCUT_REPLACE);
	/* not wanted; not for this grade; nobody there */
	s.config.leg_shortcut = false;
	assert_int_equal(next_kind(&s), OP_SHORTCUT_REMOVE);
	assert_int_equal(next_kind(&s), OP_KIND_N_);
	s.config.leg_shortcut = true;
	assert_int_equal(next_kind(&s), OP_SHORTCUT_REPLACE);
	port_remove(host, "veth1");
	assert_int_equal(next_kind(&s), OP_SHORTCUT_REMOVE);
	port_add(host, "veth1", bridge);
	assert_int_equal(next_kind(&s), OP_SHORTCUT_REPLACE);
	s.config.datapath = DATAPATH_AUTO;
	scene_plan(&s, &d, &p);
	play(&s.actual, &p);
	plan_done(&p);
	desired_done(&d);
	assert_false(host->shortcut.present);
	scene_done(&s);
}

/* What is taken away comes back, and only that. */
static void test_heal(void **state)
{
	autofree char *path = xasprintf("%s/two-hosts.d", getenv("GOLDEN") ? getenv("GOLDEN") : "tests/golden/router");
	struct scene s;
	struct desired d;
	struct plan p;

	scene_load(&s, path);
	scene_plan(&s, &d, &p);
	play(&s.actual, &p);
	for (size_t i = 0; i < s.actual.n; i++) {
		struct net *n = s.actual.v[i];
		size_t it = 0;
		for (const struct entry *e; (e = entry_set_next(&n->entries, &it));) {
			struct entry gone = *e;
			struct plan again;
			entry_set_remove(&n->entries, &gone);
			plan_make(&d.nets, &s.actual, &again);
			assert_int_equal(again.n, 1);
			assert_int_equal(again.ops[0].kind, OP_ENTRY_ADD);
			assert_true(entry_same(again.ops[0].entry, &gone));
			play(&s.actual, &again);
			plan_done(&again);
			it = 0;
			static int bound;
			if (++bound % 7 == 0)
				break; /* the walk starts anew after each change: a sample of each namespace is enough
					*/
		}
		for (size_t j = 0; j < n->n_links; j++) {
			if (strncmp(n->links[j].alias, ROUTER_ALIAS, strlen(ROUTER_ALIAS)) != 0)
				continue;
			struct link was = n->links[j];
			struct plan again;
			n->links[j].up = false;
			plan_make(&d.nets, &s.actual, &again);
			assert_int_equal(again.n, 1);
			assert_int_equal(again.ops[0].kind, OP_LINK_SET);
			assert_true(again.ops[0].set_up && !again.ops[0].set_mtu && !again.ops[0].set_mac);
			plan_done(&again);
			n->links[j] = was;
			if (was.kind == LINK_VXLAN) { /* changed in its place */
				n->links[j].vxlan.learning = true;
				plan_make(&d.nets, &s.actual, &again);
				assert_int_equal(again.n, 1);
				assert_true(again.ops[0].kind == OP_LINK_SET && again.ops[0].set_vxlan);
				plan_done(&again);
				n->links[j] = was;
			}
			/* renamed: it gets its name back, and what hangs on it; not made again, nor is its other end */
			str_copy(n->links[j].name, "foo");
			n->links[j].up = false;
			struct entry moved = {.type = ENTRY_TYPE_N_};
			it = 0;
			for (const struct entry *e; (e = entry_set_next(&n->entries, &it));)
				if (e->type < ENTRY_ROUTE && str_eq(e->dev, was.name)) /* whose key has the device */
					moved = *e;
			if (moved.type != ENTRY_TYPE_N_) { /* it hangs on the link, whatever that is called */
				entry_set_remove(&n->entries, &moved);
				str_copy(moved.dev, "foo");
				entry_set_put(&n->entries, &moved);
			}
			plan_make(&d.nets, &s.actual, &again);
			assert_true(again.n > 0 && again.ops[0].kind == OP_LINK_SET);
			assert_true(again.ops[0].set_name && again.ops[0].set_up);
			assert_string_equal(again.ops[0].link->name, was.name);
			for (size_t k = 1; k < again.n; k++) {
				assert_int_equal(again.ops[k].kind, OP_ENTRY_ADD);
				assert_string_equal(again.ops[k].entry->dev, was.name);
			}
			play(&s.actual, &again);
			plan_done(&again);
			if (moved.type != ENTRY_TYPE_N_)
				entry_set_remove(&n->entries, &moved);
			plan_make(&d.nets, &s.actual, &again);
			assert_int_equal(again.n, 0);
			plan_done(&again);
			n->links[j] = was;
		}
		if (n->nft.present) {
			struct plan again;
			n->nft.n_rules--;
			plan_make(&d.nets, &s.actual, &again);
			assert_int_equal(again.n, 1);
			assert_int_equal(again.ops[0].kind, OP_NFT_REPLACE);
			plan_done(&again);
			n->nft.n_rules++;
			/* and the whole table: with its elements, or peers that are sending would be shut out */
			n->nft.present = false;
			plan_make(&d.nets, &s.actual, &again);
			assert_int_equal(again.n, 1);
			assert_int_equal(again.ops[0].kind, OP_NFT_REPLACE);
			assert_int_equal(strstr(again.ops[0].nft_json, "\"192.0.2.2\"") != NULL,
					 n->id.kind == NET_HOST);
			plan_done(&again);
			n->nft.present = true;
		}
	}
	plan_done(&p);
	desired_done(&d);
	scene_done(&s);
}

/* A link that somebody else made under one of our names is not touched, and told; ours that has no alias yet gets it.
 */
static void test_blocked(void **state)
{
	autofree char *path = xasprintf("%s/two-hosts.d", getenv("GOLDEN") ? getenv("GOLDEN") : "tests/golden/router");
	struct net_id id = {.kind = NET_VNI, .vni = 1000};
	struct scene s;
	struct desired d;
	struct plan p, again;

	scene_load(&s, path);
	scene_plan(&s, &d, &p);
	play(&s.actual, &p);
	struct link *l = net_link(net_list_find(&s.actual, &id), "vx1000");
	assert_non_null(l);
	l->alias[0] = 0;
	plan_make(&d.nets, &s.actual, &again);
	assert_int_equal(again.n_blocked, 0);
	assert_int_equal(again.n, 1);
	assert_true(again.ops[0].kind == OP_LINK_SET && again.ops[0].set_alias);
	plan_done(&again);
	l->mac.b[5] ^= 1;
	plan_make(&d.nets, &s.actual, &again);
	assert_int_equal(again.n_blocked, 1);
	assert_string_equal(again.blocked[0].link->name, "vx1000");
	for (size_t i = 0; i < again.n; i++)
		assert_true(!again.ops[i].link || !str_eq(again.ops[i].link->name, "vx1000"));
	plan_done(&again);
	plan_done(&p);
	desired_done(&d);
	scene_done(&s);
}

static struct op_wg *only_wg(struct scene *s, struct desired *d, struct plan *p)
{
	plan_done(p);
	desired_done(d);
	scene_plan(s, d, p);
	assert_int_equal(p->n, 1);
	assert_int_equal(p->ops[0].kind, OP_WG_PEER);
	return p->ops[0].wg;
}

/* What WireGuard has learned stays, until something else is announced; keys that change are set, and nothing else is */
static void test_wireguard(void **state)
{
	autofree char *path = xasprintf("%s/wireguard.d", getenv("GOLDEN") ? getenv("GOLDEN") : "tests/golden/router");
	struct net_id id = {.kind = NET_WIREGUARD};
	struct scene s;
	struct desired d;
	struct plan p;

	scene_load(&s, path);
	scene_plan(&s, &d, &p);
	play(&s.actual, &p);
	struct net_wg *a = &net_list_find(&s.actual, &id)->wg[s.wg.now.slot];
	assert_int_equal(a->device.n_peers, 2);
	/* it roams */
	a->device.peers[0].endpoint.port = 9999;
	a->device.peers[0].handshake_s = 1700000000;
	plan_done(&p);
	desired_done(&d);
	scene_plan(&s, &d, &p);
	assert_int_equal(p.n, 0);
	/* a restart that remembers nothing leaves what works, and replaces what does not */
	a->notes[0].announced = a->notes[1].announced = (struct endpoint){0};
	struct op_wg *w = only_wg(&s, &d, &p);
	assert_memory_equal(w->peer.peer.key, a->device.peers[1].key, WG_KEY_BYTES);
	assert_true(w->peer.set_endpoint && !w->peer.set_psk && !w->peer.set_allowed && !w->peer.set_keepalive);
	/* it is announced elsewhere */
	for (size_t i = 0; i < 2; i++)
		a->notes[i].announced =
			wg_peer_find(&net_list_find(&d.nets, &id)->wg[s.wg.now.slot].device, a->device.peers[i].key)
				->endpoint;
	a->notes[0].announced.port++;
	w = only_wg(&s, &d, &p);
	assert_int_equal(w->peer.peer.endpoint.port, 51820);
	assert_true(w->peer.set_endpoint && !w->peer.set_psk && !w->peer.set_allowed && !w->peer.set_keepalive);
	a->notes[0].announced.port--;
	/* another pre-shared key, another address */
	a->device.peers[0].psk[0]++;
	w = only_wg(&s, &d, &p);
	assert_true(!w->peer.set_endpoint && w->peer.set_psk && !w->peer.set_allowed);
	a->device.peers[0].psk[0]--;
	a->device.peers[0].n_allowed++;
	w = only_wg(&s, &d, &p);
	assert_true(!w->peer.set_endpoint && !w->peer.set_psk && w->peer.set_allowed);
	a->device.peers[0].n_allowed--;
	/* somebody else's peer goes */
	struct wg_peer *stranger = xgrow(&a->device.peers, a->device.n_peers, &a->device.cap_peers);
	memset(stranger->key, 0xff, WG_KEY_BYTES);
	a->device.n_peers++;
	plan_done(&p);
	desired_done(&d);
	scene_plan(&s, &d, &p);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.ops[0].kind, OP_WG_REMOVE);
	/* not read yet: nothing is said to it */
	a->present = false;
	plan_done(&p);
	desired_done(&d);
	scene_plan(&s, &d, &p);
	assert_int_equal(p.n, 0);
	plan_done(&p);
	desired_done(&d);
	scene_done(&s);
}

static struct net_wg *scene_wg(struct scene *s, unsigned slot)
{
	return &net_list_find(&s->actual, &(struct net_id){.kind = NET_WIREGUARD})->wg[slot];
}

/* Plan, play, until nothing is left to do; the state that router.json would have is kept */
static void scene_settle(struct scene *s)
{
	size_t left = 1;

	for (int i = 0; i < 4 && left; i++) {
		struct desired d;
		struct plan p;
		scene_plan(s, &d, &p);
		play(&s->actual, &p);
		left = p.n;
		router_state_done(&s->before);
		s->before = d.state;
		memset(&d.state, 0, sizeof(d.state));
		plan_done(&p);
		desired_done(&d);
	}
	assert_int_equal(left, 0);
}

static const struct entry *scene_fdb(const struct scene *s, const struct ip *to)
{
	const struct net *n = net_list_find(&s->actual, &(struct net_id){.kind = NET_VNI, .vni = 1000});
	size_t it = 0;

	for (const struct entry *e; (e = entry_set_next(&n->entries, &it));)
		if (e->type == ENTRY_FDB && e->via_family == AF_INET6 && memcmp(e->via, to->b, 16) == 0)
			return e;
	return NULL;
}

static const struct entry *scene_route(const struct scene *s, const struct ip *to, uint8_t len)
{
	const struct net *n = net_list_find(&s->actual, &(struct net_id){.kind = NET_WIREGUARD});
	struct entry what = {.type = ENTRY_ROUTE, .family = AF_INET6, .len = len, .table = 254};

	memcpy(what.dst, to->b, 16);
	return entry_set_find(&n->entries, &what);
}

static struct wg_note *note_of(struct net_wg *w, const char *key_text)
{
	uint8_t key[WG_KEY_BYTES];

	assert_true(wg_key_parse(key_text, key));
	const struct wg_peer *p = wg_peer_find(&w->device, key);
	assert_non_null(p);
	return &w->notes[p - w->device.peers];
}

#define H1 "11111111111111111111111111111111" /* its key is in slot 1 */
#define H2 "22222222222222222222222222222222" /* 0 */

/* Another key of ours: a second device; each host is sent to by it once there is a session, then the first one goes */
static void test_own_key_follows(void **state)
{
	autofree char *path = xasprintf("%s/wireguard.d", getenv("GOLDEN") ? getenv("GOLDEN") : "tests/golden/router");
	struct ip h1 = wireguard_ip(H1, 1), all = wireguard_net(1).ip;
	struct scene s;
	uint8_t public_key[WG_KEY_BYTES];
	char old[16], name[16];

	scene_load(&s, path);
	scene_settle(&s);
	unsigned slot = 1 - s.wg.now.slot;
	s.wg.next = (struct wg_own_key){.present = true, .slot = slot};
	memset(s.wg.next.private_key, 9, WG_KEY_BYTES);
	wg_public(s.wg.next.private_key, public_key);
	wg_key_format(public_key, s.wg.say.next);
	s.wg.say.next_port = (uint16_t)(51820 + slot);
	net_wg_name(HOST_ID, s.wg.now.slot, old);
	net_wg_name(HOST_ID, slot, name);
	scene_settle(&s);
	assert_int_equal(scene_wg(&s, slot)->device.n_peers, 2);
	assert_int_equal(scene_wg(&s, slot)->device.port, 51820 + slot);
	assert_int_equal(scene_wg(&s, slot)->device.peers[0].keepalive_s, 25);
	assert_null(scene_route(&s, &h1, 128));
	assert_string_equal(scene_route(&s, &all, 32)->dev, old);
	/* a session on the new one with one of the two */
	note_of(scene_wg(&s, slot), s.disc.peers[0].wireguard.key)->settled = true;
	scene_settle(&s);
	const struct entry *r = scene_route(&s, &h1, 128);
	struct ip from = wireguard_ip(HOST_ID, slot);
	assert_non_null(r);
	assert_string_equal(r->dev, name);
	assert_memory_equal(r->src, from.b, 16);
	assert_string_equal(scene_route(&s, &all, 32)->dev, old);
	assert_int_equal(s.before.wireguard.n_ready, 1);
	/* a new run, before it has read the devices: as it was */
	for (unsigned i = 0; i < WG_SLOTS; i++)
		scene_wg(&s, i)->present = scene_wg(&s, i)->known = false;
	scene_settle(&s);
	assert_string_equal(scene_route(&s, &h1, 128)->dev, name);
	for (unsigned i = 0; i < WG_SLOTS; i++)
		scene_wg(&s, i)->present = scene_wg(&s, i)->known = true;
	/* it follows */
	s.wg.now = s.wg.next;
	memset(&s.wg.next, 0, sizeof(s.wg.next));
	str_copy(s.wg.say.key, s.wg.say.next);
	s.wg.say.next[0] = '\0';
	scene_settle(&s);
	assert_string_equal(scene_route(&s, &all, 32)->dev, name);
	assert_null(scene_route(&s, &h1, 128));
	const struct net *n = net_list_find(&s.actual, &(struct net_id){.kind = NET_WIREGUARD});
	assert_null(net_link(n, old));
	assert_non_null(net_link(n, name));
	scene_done(&s);
}

/* Another key of a peer's: a second peer of the device, and what goes to that host goes to the one that answers */
static void test_other_key_follows(void **state)
{
	autofree char *path = xasprintf("%s/wireguard.d", getenv("GOLDEN") ? getenv("GOLDEN") : "tests/golden/router");
	struct ip was = wireguard_ip(H1, 1), now = wireguard_ip(H1, 0);
	struct scene s;

	scene_load(&s, path);
	scene_settle(&s);
	struct wg_say *say = &s.disc.peers[0].wireguard;
	wg_key_format((const uint8_t[WG_KEY_BYTES]){3}, say->next);
	say->next_port = 51820;
	scene_settle(&s);
	struct net_wg *w = scene_wg(&s, s.wg.now.slot);
	assert_int_equal(w->device.n_peers, 3);
	assert_non_null(scene_fdb(&s, &was));
	note_of(w, say->next)->settled = true;
	scene_settle(&s);
	assert_null(scene_fdb(&s, &was));
	assert_non_null(scene_fdb(&s, &now));
	str_copy(say->key, say->next);
	say->next[0] = '\0';
	scene_settle(&s);
	assert_int_equal(w->device.n_peers, 2);
	assert_non_null(scene_fdb(&s, &now));
	scene_done(&s);
}

/* Who does not answer is reached by a relay that both have a session with, and directly again when it does */
static void test_relay(void **state)
{
	autofree char *path = xasprintf("%s/wireguard.d", getenv("GOLDEN") ? getenv("GOLDEN") : "tests/golden/router");
	struct scene s;

	scene_load(&s, path);
	unsigned slot = s.wg.now.slot;
	struct ip direct = wireguard_ip(H1, 1), by = wireguard_relay_ip(H2, 0, H1, 1),
		  own = wireguard_relay_ip(H2, 0, HOST_ID, slot);
	struct prefix all = wireguard_relay_prefix(H2, 0);
	s.disc.peers[1].wireguard.relay = true;
	s.config.wireguard_keepalive_s = 0;
	scene_settle(&s);
	const struct entry *r = scene_route(&s, &all.ip, all.len);
	assert_non_null(r);
	assert_memory_equal(r->src, own.b, 16);
	struct net_wg *w = scene_wg(&s, slot);
	assert_int_equal(w->device.peers[1].n_allowed, 2);
	assert_int_equal(prefix_cmp(&w->device.peers[1].allowed[1], &all), 0);
	assert_int_equal(w->device.peers[0].keepalive_s, 25);
	/* not as long as one of the two has none with it, or the other tells that it has not */
	note_of(w, s.disc.peers[0].wireguard.key)->lost = true;
	scene_settle(&s);
	assert_non_null(scene_fdb(&s, &direct));
	note_of(w, s.disc.peers[1].wireguard.key)->settled = true;
	scene_settle(&s);
	assert_non_null(scene_fdb(&s, &direct));
	s.disc.peers[0].wireguard.n_by = 1;
	str_copy(s.disc.peers[0].wireguard.by[0], "22222222");
	scene_settle(&s);
	assert_non_null(scene_fdb(&s, &by));
	assert_null(scene_fdb(&s, &direct));
	assert_string_equal(s.before.wireguard.peers[0].relay, H2);
	/* a new run, before it has read the device */
	w->present = w->known = false;
	scene_settle(&s);
	assert_non_null(scene_fdb(&s, &by));
	w->present = w->known = true;
	note_of(w, s.disc.peers[0].wireguard.key)->lost = false;
	scene_settle(&s);
	assert_non_null(scene_fdb(&s, &direct));
	assert_string_equal(s.before.wireguard.peers[0].relay, "");
	/* a relay takes of each host what that sends by it, and passes on nothing else */
	s.wg.say.relay = true;
	scene_settle(&s);
	struct ip theirs = wireguard_relay_ip(HOST_ID, slot, H1, 1);
	assert_int_equal(w->device.peers[0].n_allowed, 2);
	assert_int_equal(ip_cmp(&w->device.peers[0].allowed[1].ip, &theirs), 0);
	all = wireguard_relay_prefix(HOST_ID, slot);
	assert_non_null(scene_route(&s, &all.ip, all.len));
	scene_done(&s);
}

static struct wg_paths paths_of(struct scene *s)
{
	struct wg_paths p;

	wg_paths_make(&(struct desired_input){.config = &s->config,
					      .host_id = HOST_ID,
					      .discovery = &s->disc,
					      .before = &s->before,
					      .wg = &s->wg,
					      .actual = &s->actual},
		      &p);
	return p;
}

/* The old key goes when all have a session with the new one, and nothing comes by the old one any more */
static void test_renewal(void **state)
{
	autofree char *path = xasprintf("%s/wireguard.d", getenv("GOLDEN") ? getenv("GOLDEN") : "tests/golden/router");
	struct wg_renew r = {0};
	struct scene s;
	int64_t now = 1000 * USEC_PER_SEC;

	scene_load(&s, path);
	unsigned slot = s.wg.now.slot;
	s.wg.next = (struct wg_own_key){.present = true, .slot = 1 - slot};
	wg_key_format((const uint8_t[WG_KEY_BYTES]){5}, s.wg.say.next);
	scene_settle(&s);
	const struct net *n = net_list_find(&s.actual, &(struct net_id){.kind = NET_WIREGUARD});
	struct wg_note *old = note_of(scene_wg(&s, slot), s.disc.peers[0].wireguard.key),
		       *first = note_of(scene_wg(&s, 1 - slot), s.disc.peers[0].wireguard.key),
		       *second = note_of(scene_wg(&s, 1 - slot), s.disc.peers[1].wireguard.key);
	old->settled = true;
	for (int step = 0; step < 4; step++) {
		struct wg_paths p = paths_of(&s);
		/* one that has a session with the old key is waited for without end */
		assert_false(wg_renew_done(&r, &s.wg, &p, n, now += 1000 * USEC_PER_SEC));
		wg_paths_done(&p);
	}
	first->settled = true;
	for (int step = 0; step < 5; step++) {
		struct wg_paths p = paths_of(&s);
		bool done = wg_renew_done(&r, &s.wg, &p, n, now += 6 * USEC_PER_SEC);
		assert_int_equal(done, step == 4);
		/* the other has none at all: long enough by now. Something comes in by the old device: it is not quiet
		 */
		scene_wg(&s, slot)->device.peers[0].rx += step < 2 ? 5000 : 100;
		wg_paths_done(&p);
	}
	wg_renew_free(&r);
	/* who has no session at all is waited for a little */
	old->settled = first->settled = second->settled = false;
	for (int step = 0; step < 9; step++) {
		struct wg_paths p = paths_of(&s);
		assert_int_equal(wg_renew_done(&r, &s.wg, &p, n, now += 10 * USEC_PER_SEC), step == 8);
		wg_paths_done(&p);
	}
	wg_renew_free(&r);
	scene_done(&s);
}

/* wireguard-go, which thinks that it is 1420, fills up to a multiple of 16: what it makes of the longest packet fits */
static void test_wireguard_mtu(void **state)
{
	static const struct {
		const char *local;
		uint32_t overhead;
	} of[] = {{"192.0.2.1", 60}, {"2001:db8::1", 80}};

	for (size_t i = 0; i < ARRAY_LEN(of); i++) {
		struct config config = {.vxlan_port = 4789};
		struct desired_input in = {.config = &config};

		assert_int_equal(ip_parse(of[i].local, &in.local), 0);
		for (in.underlay_mtu = 1400; in.underlay_mtu <= 9000; in.underlay_mtu++) {
			uint32_t mtu = wireguard_mtu(&in), rest = mtu % 1420;

			assert_true(mtu - rest + (rest + 15) / 16 * 16 + of[i].overhead <= in.underlay_mtu);
			assert_true(mtu + of[i].overhead + 16 > in.underlay_mtu);
		}
		in.underlay_mtu = 1300;
		assert_int_equal(wireguard_mtu(&in), 1280);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_key_follows), cmocka_unit_test(test_other_key_follows),
		cmocka_unit_test(test_relay),		cmocka_unit_test(test_renewal),
		cmocka_unit_test(test_golden),		cmocka_unit_test(test_heal),
		cmocka_unit_test(test_shortcut),	cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_wireguard),	cmocka_unit_test(test_wireguard_mtu),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
