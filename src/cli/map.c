/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router map: what the overlay looks like. The model is made here, map_draw.c draws it.
 */
#include "cli/map.h"

static int stack_cmp(const void *pa, const void *pb)
{
	const struct map_stack *a = pa, *b = pb;

	return a->vni != b->vni ? (a->vni < b->vni ? -1 : 1) : strcmp(a->stack_id, b->stack_id);
}

static int host_cmp(const void *pa, const void *pb)
{
	const struct map_host *a = pa, *b = pb;

	if (a->local != b->local)
		return a->local ? -1 : 1;
	int c = strverscmp(a->name, b->name);
	if (c == 0)
		c = ip_cmp(&a->ip, &b->ip);
	return c ? c : strcmp(a->host_id, b->host_id);
}

static int member_cmp(const void *pa, const void *pb)
{
	const struct map_member *a = pa, *b = pb;

	if (a->vni != b->vni)
		return a->vni < b->vni ? -1 : 1;
	if (a->host != b->host)
		return a->host < b->host ? -1 : 1;
	return a->stack < b->stack ? -1 : a->stack > b->stack;
}

static struct map_stack *stack_add(struct map_host *h, const char *stack_id, uint32_t vni)
{
	struct map_stack *s = xgrow(&h->stacks, h->n_stacks, &h->cap_stacks);

	h->n_stacks++;
	str_copy(s->stack_id, stack_id);
	s->vni = vni;
	s->containers = -1;
	return s;
}

static int refused_cmp(const void *pa, const void *pb)
{
	const struct rs_refused *a = *(const struct rs_refused *const *)pa, *b = *(const struct rs_refused *const *)pb;
	int c = a->vni != b->vni ? (a->vni < b->vni ? -1 : 1) : strcmp(a->host_id, b->host_id);

	return c ? c : strcmp(a->stack_id, b->stack_id);
}

/* One refused subnet marks its stack, unless a mapped prefix stands in for it */
static void refused_mark(const struct state_files *f, struct map *m)
{
	const struct router_state *r = &f->router;
	autofree const struct rs_refused **order = xcalloc(r->n_refused + 1, sizeof(struct rs_refused *));
	struct rs_refused key = {0};
	const struct rs_refused *pkey = &key;
	size_t n = 0;

	for (size_t i = 0; i < r->n_refused; i++) {
		if (!refused_is_mapped(f, &r->refused[i]))
			order[n++] = &r->refused[i];
	}
	qsort(order, n, sizeof(struct rs_refused *), refused_cmp);
	for (size_t i = 0; i < m->n_members; i++) {
		struct map_host *h = &m->hosts[m->members[i].host];
		struct map_stack *s = &h->stacks[m->members[i].stack];

		key.vni = s->vni;
		str_copy(key.host_id, h->host_id);
		str_copy(key.stack_id, s->stack_id);
		if (bsearch(&pkey, order, n, sizeof(struct rs_refused *), refused_cmp))
			s->link = MAP_REFUSED;
	}
}

static void local_stacks(const struct state_files *f, struct map_host *h)
{
	if (f->code[FILE_INVENTORY] != 0) {
		for (size_t i = 0; i < f->discovery.self.n_stacks; i++) {
			const struct self_stack *own = &f->discovery.self.stacks[i];
			struct map_stack *s = stack_add(h, own->stack_id, own->vni);
			s->subnets = own->subnets;
			s->n_subnets = own->n_subnets;
			s->mapped = own->mapped;
			s->n_mapped = own->n_mapped;
		}
		return;
	}
	for (size_t i = 0; i < f->inventory.n_stacks; i++) {
		const struct inv_stack *own = &f->inventory.stacks[i];
		struct map_stack *s = stack_add(h, own->stack_id, own->vni);

		for (size_t j = 0; j < own->n_networks; j++)
			s->n_subnets += own->networks[j].n_subnets;
		s->all = xcalloc(s->n_subnets + 1, sizeof(*s->all));
		s->subnets = s->all;
		s->n_subnets = 0;
		for (size_t j = 0; j < own->n_networks; j++) {
			for (size_t k = 0; k < own->networks[j].n_subnets; k++)
				s->all[s->n_subnets++] = own->networks[j].subnets[k];
		}
		s->containers = engines_asked(f) ? (int64_t)own->n_containers : -1;
		s->n_mapped = mapped_prefixes(f, h->host_id, s->stack_id, s->vni, &s->mapped);
	}
}

static int peer_order(const void *pa, const void *pb)
{
	const struct peer *a = *(const struct peer *const *)pa, *b = *(const struct peer *const *)pb;
	int c = strcmp(a->host_id, b->host_id);

	if (c == 0 && !a->host_id[0])
		c = ip_cmp(&a->host_ip, &b->host_ip);
	return c ? c : peer_key_cmp(a, b);
}

static bool peer_same_host(const struct map_host *h, const struct peer *p)
{
	return !h->local && str_eq(h->host_id, p->host_id) && (p->host_id[0] || ip_cmp(&h->ip, &p->host_ip) == 0);
}

static void peer_hosts(const struct state_files *f, struct map *m)
{
	const struct discovery *d = &f->discovery;
	autofree const struct peer **order = xcalloc(d->n_peers + 1, sizeof(struct peer *));
	char ip[IP_STRLEN];

	for (size_t i = 0; i < d->n_peers; i++)
		order[i] = &d->peers[i];
	qsort(order, d->n_peers, sizeof(struct peer *), peer_order);
	for (size_t i = 0; i < d->n_peers; i++) {
		const struct peer *p = order[i];
		struct map_host *h = m->n_hosts ? &m->hosts[m->n_hosts - 1] : NULL;

		if (!h || !peer_same_host(h, p)) {
			h = xgrow(&m->hosts, m->n_hosts, &m->cap_hosts);
			m->n_hosts++;
			str_copy(h->host_id, p->host_id);
			h->ip = p->host_ip;
			h->stale = true;
		}
		if (!h->name[0])
			str_copy(h->name, p->host_name);
		struct map_stack *s = stack_add(h, p->stack_id, p->vni);
		s->subnets = p->subnets;
		s->n_subnets = p->n_subnets;
		s->mapped = p->mapped;
		s->n_mapped = p->n_mapped;
		s->link = p->status == PEER_STALE ? MAP_STALE : MAP_LINKED;
		h->stale = h->stale && p->status == PEER_STALE;
	}
	for (size_t i = 0; i < m->n_hosts; i++) {
		struct map_host *h = &m->hosts[i];
		if (!h->name[0] && !ip_is_none(&h->ip))
			str_copy(h->name, ip_format(&h->ip, ip));
	}
}

/* Members that have no stack are known by id and address alone */
static void member_hosts(const struct state_files *f, struct map *m)
{
	const struct discovery *d = &f->discovery;
	size_t n_others = m->n_hosts;
	char ip[IP_STRLEN];

	for (size_t i = 0; i < d->gossip.n_members; i++) {
		const struct cluster_member *c = &d->gossip.members[i];
		bool known = c->status != MEMBER_ALIVE && c->status != MEMBER_SUSPECT;

		for (size_t j = 0; j < n_others && !known; j++)
			known = str_eq(m->hosts[j].host_id, c->host_id);
		if (known)
			continue;
		struct map_host *h = xgrow(&m->hosts, m->n_hosts, &m->cap_hosts);
		m->n_hosts++;
		str_copy(h->host_id, c->host_id);
		h->ip = c->address.ip;
		str_copy(h->name, ip_format(&h->ip, ip));
		h->stale = c->status == MEMBER_SUSPECT;
	}
}

static int wg_peer_cmp(const void *pa, const void *pb)
{
	return strcmp((*(const struct rs_wg_peer *const *)pa)->host_id,
		      (*(const struct rs_wg_peer *const *)pb)->host_id);
}

/* Does any stack of this host tell a key of WireGuard? */
static bool host_encrypts(const struct discovery *d, const struct map_host *h)
{
	for (size_t i = 0; i < d->n_peers; i++) {
		if (peer_same_host(h, &d->peers[i]) && d->peers[i].wireguard.key[0])
			return true;
	}
	return false;
}

static void crypt_mark(const struct state_files *f, struct map *m)
{
	const struct rs_wireguard *wg = &f->router.wireguard;
	autofree const struct rs_wg_peer **order = xcalloc(wg->n_peers + 1, sizeof(struct rs_wg_peer *));
	struct rs_wg_peer key = {0};
	const struct rs_wg_peer *pkey = &key, **found;

	if (f->code[FILE_ROUTER] != 0)
		return;
	for (size_t i = 0; i < wg->n_peers; i++)
		order[i] = &wg->peers[i];
	qsort(order, wg->n_peers, sizeof(struct rs_wg_peer *), wg_peer_cmp);
	for (size_t i = 0; i < m->n_hosts; i++) {
		struct map_host *h = &m->hosts[i];

		if (h->local || h->n_stacks == 0)
			continue;
		str_copy(key.host_id, h->host_id);
		found = bsearch(&pkey, order, wg->n_peers, sizeof(struct rs_wg_peer *), wg_peer_cmp);
		if (wg->device[0])
			h->crypt = !found		    ? MAP_APART
				   : (*found)->relay[0]	    ? MAP_RELAYED
				   : (*found)->handshake.ms ? MAP_ENCRYPTED
							    : MAP_WAITING;
		else
			h->crypt = host_encrypts(&f->discovery, h) ? MAP_APART : MAP_CLEAR;
	}
}

void map_build(const struct state_files *f, struct map *ret)
{
	struct map m = {0};
	struct map_host *self = xgrow(&m.hosts, m.n_hosts, &m.cap_hosts);

	m.n_hosts++;
	self->local = true;
	str_copy(self->name, f->discovery.self.host_name);
	str_copy(self->host_id, f->discovery.self.host_id);
	self->ip = f->discovery.self.host_ip;
	local_stacks(f, self);
	peer_hosts(f, &m);
	member_hosts(f, &m);
	crypt_mark(f, &m);
	qsort(m.hosts, m.n_hosts, sizeof(*m.hosts), host_cmp);

	for (size_t i = 0; i < m.n_hosts; i++) {
		struct map_host *h = &m.hosts[i];
		if (h->n_stacks)
			qsort(h->stacks, h->n_stacks, sizeof(*h->stacks), stack_cmp);
		for (size_t j = 0; j < h->n_stacks; j++) {
			struct map_member *member = xgrow(&m.members, m.n_members, &m.cap_members);
			*member = (struct map_member){.vni = h->stacks[j].vni, .host = i, .stack = j};
			m.n_members++;
		}
	}
	if (m.n_members)
		qsort(m.members, m.n_members, sizeof(*m.members), member_cmp);
	for (size_t i = 0; i < m.n_members; i++)
		m.n_vnis += i == 0 || m.members[i].vni != m.members[i - 1].vni;
	refused_mark(f, &m);
	*ret = m;
}

void map_done(struct map *m)
{
	for (size_t i = 0; i < m->n_hosts; i++) {
		for (size_t j = 0; j < m->hosts[i].n_stacks; j++)
			free(m->hosts[i].stacks[j].all);
		free(m->hosts[i].stacks);
	}
	free(m->hosts);
	free(m->members);
	*m = (struct map){0};
}

static const char *const link_words[MAP_LINK_N_] = {
	[MAP_LINKED] = "active",
	[MAP_STALE] = "stale",
	[MAP_REFUSED] = "refused",
};

static const char *const crypt_words[MAP_CRYPT_N_] = {
	[MAP_UNKNOWN] = "unknown",
	[MAP_CLEAR] = "none",
	[MAP_ENCRYPTED] = "wireguard",
	[MAP_RELAYED] = "wireguard, by a relay",
	[MAP_WAITING] = "wireguard, no handshake yet",
	[MAP_APART] = "apart",
};

static json_t *stack_json(const struct map_stack *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "stack_id", json_text(s->stack_id));
	json_object_set_new(o, "vni", json_integer(s->vni));
	json_put_prefixes(o, "subnets", s->subnets, s->n_subnets);
	json_object_set_new(o, "mapped", mapped_json(s->mapped, s->n_mapped));
	json_object_set_new(o, "status", json_string(link_words[s->link]));
	json_object_set_new(o, "containers", s->containers < 0 ? json_null() : json_integer(s->containers));
	return o;
}

static void host_to_json(const struct map_host *h, json_t *o)
{
	json_object_set_new(o, "host_id", json_text(h->host_id));
	json_object_set_new(o, "host_name", json_text(h->name));
	json_put_ip(o, "host_ip", &h->ip);
	json_object_set_new(o, "local", json_boolean(h->local));
}

void map_json(const struct map *m, json_t **ret_hosts, json_t **ret_vnis)
{
	json_t *hosts = json_array(), *vnis = json_array();

	for (size_t i = 0; i < m->n_hosts; i++) {
		json_t *o = json_object(), *own = json_array();
		host_to_json(&m->hosts[i], o);
		json_object_set_new(o, "stale", json_boolean(m->hosts[i].stale));
		if (!m->hosts[i].local)
			json_object_set_new(o, "encryption", json_string(crypt_words[m->hosts[i].crypt]));
		for (size_t j = 0; j < m->hosts[i].n_stacks; j++)
			json_array_append_new(own, stack_json(&m->hosts[i].stacks[j]));
		json_object_set_new(o, "stacks", own);
		json_array_append_new(hosts, o);
	}
	json_t *stacks = NULL;
	for (size_t i = 0; i < m->n_members; i++) {
		const struct map_host *h = &m->hosts[m->members[i].host];

		if (i == 0 || m->members[i].vni != m->members[i - 1].vni) {
			json_t *o = json_object();
			stacks = json_array();
			json_object_set_new(o, "vni", json_integer(m->members[i].vni));
			json_object_set_new(o, "stacks", stacks);
			json_array_append_new(vnis, o);
		}
		json_t *s = stack_json(&h->stacks[m->members[i].stack]);
		json_object_del(s, "vni");
		host_to_json(h, s);
		json_array_append_new(stacks, s);
	}
	*ret_hosts = hosts;
	*ret_vnis = vnis;
}

int verb_map(struct cli *c)
{
	struct state_files f;
	struct output o;
	struct map m;
	int status = EXIT_FAILED;

	state_files_load(&c->dir, &f);
	/* without discovery there is still this host to draw */
	if (state_files_need(c, &f, FILE_DISCOVERY) || f.code[FILE_INVENTORY] == 0) {
		map_build(&f, &m);
		output_begin(&o, stdout, c->json, c->options & OPT_ASCII);
		if (c->json) {
			json_t *hosts, *vnis;
			map_json(&m, &hosts, &vnis);
			output_value(&o, "hosts", hosts);
			output_value(&o, "vnis", vnis);
		} else {
			autobuf struct buf text = {0};
			map_draw(&text, &m, &o.style);
			output_raw(&o, &text);
		}
		status = verb_end(c, &o, EXIT_DONE);
		map_done(&m);
	}
	state_files_done(&f);
	return status;
}
