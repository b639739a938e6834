/* SPDX-License-Identifier: Apache-2.0
 *
 * The names that peers tell: sets are put together from their parts, kept beside the peer that they are of, and copied
 * out for the file. See names.h.
 */
#include "discovery/names_state.h"

#include <assert.h>

bool rate_pass(struct bucket *b, int64_t now_us, int64_t rate, int64_t burst)
{
	const int64_t cost_us = USEC_PER_SEC / rate;
	int64_t next_us = b->next_us > now_us ? b->next_us : now_us;

	if (next_us + cost_us - now_us > burst * cost_us)
		return false;
	b->next_us = next_us + cost_us;
	return true;
}

struct names_state *names_state_new(void)
{
	struct names_state *s = xcalloc(1, sizeof(*s));

	s->check_us = INT64_MAX;
	return s;
}

static void partial_free(struct names_partial *p)
{
	name_stack_done(&p->names);
	free(p);
}

static void heard_free(struct heard *h)
{
	if (!h)
		return;
	name_stack_done(&h->names);
	free(h);
}

void names_state_free(struct names_state *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_heard; i++)
		heard_free(s->heard[i]);
	for (size_t i = 0; i < s->n_partials; i++)
		partial_free(s->partials[i]);
	free(s->heard);
	say_done(s);
	free(s);
}

void names_start(struct core *core)
{
	core->names->changed = true;
}

bool names_changed(struct core *core)
{
	bool changed = core->names->changed;

	core->names->changed = false;
	return changed;
}

/* --- whose names --- */

struct entry *names_entry(struct core *core, uint32_t place)
{
	struct entry *e = place < core->peers.n_entries ? &core->peers.entries[place] : NULL;

	return e && e->used && !e->gone ? e : NULL;
}

/* What is kept of the peer at @place. What was kept of another one that was there before does not count */
struct heard *names_heard(struct core *core, uint32_t place)
{
	struct names_state *s = core->names;
	struct heard *h = place < s->n_heard ? s->heard[place] : NULL;
	struct entry *e = names_entry(core, place);

	if (!h || !e || h->names.vni != e->peer.vni || !str_eq(h->names.stack_id, e->peer.stack_id) ||
	    !str_eq(h->names.host_id, e->peer.host_id))
		return NULL;
	return h;
}

void names_heard_drop(struct core *core, uint32_t place)
{
	struct names_state *s = core->names;
	struct heard *h = place < s->n_heard ? s->heard[place] : NULL;

	if (!h)
		return;
	s->changed = s->changed || h->names.n_names > 0;
	s->n_names -= h->names.n_names;
	s->n_addresses -= h->n_addresses;
	heard_free(h);
	s->heard[place] = NULL;
}

static struct heard *heard_make(struct core *core, uint32_t place)
{
	struct names_state *s = core->names;
	const struct peer *peer = &core->peers.entries[place].peer;
	struct heard *h = names_heard(core, place);

	if (h)
		return h;
	names_heard_drop(core, place);
	while (s->n_heard <= place) {
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): it holds pointers */
		xgrow(&s->heard, s->n_heard, &s->cap_heard);
		s->n_heard++;
	}
	h = s->heard[place] = xcalloc(1, sizeof(*h));
	str_copy(h->names.host_id, peer->host_id);
	str_copy(h->names.stack_id, peer->stack_id);
	h->names.vni = peer->vni;
	return h;
}

void names_peer_changed(struct core *core, uint32_t place)
{
	struct heard *h = names_heard(core, place);

	if (!h || h->names.n_names == 0)
		return;
	core->names->changed = true;
	h->check_us = 0;
}

void names_peer_gone(struct core *core, uint32_t place)
{
	names_heard_drop(core, place);
}

/* --- which addresses --- */

static bool address_inside(const struct peer *peer, const struct ip *ip)
{
	return prefixes_have_ip(peer->subnets, peer->n_subnets, ip) || mapped_find(peer->mapped, peer->n_mapped, ip);
}

/* Tell of a name that leads out of its stack's subnets; one is enough */
static void heard_check(struct core *core, int64_t now_us, const struct heard *h, const struct entry *e)
{
	const struct endpoint *from = &core->peers.hosts[e->host].from;
	char ip[IP_STRLEN];

	for (size_t i = 0; i < h->names.n_names; i++) {
		const struct name *n = &h->names.names[i];

		for (size_t k = 0; k < n->n_addresses; k++) {
			autofree char *who = NULL;

			if (address_inside(&e->peer, &n->addresses[k]))
				continue;
			who = peer_text(&e->peer);
			ip_format(&n->addresses[k], ip);
			core_refuse(core, now_us, COUNT_NAMES, from, "name %s of %s: %s is in none of its subnets",
				    n->name, who, ip);
			core_note(core, now_us, who, "",
				  "names with addresses outside of its stack's subnets are refused");
			return;
		}
	}
}

static void checks_timer(struct core *core, int64_t now_us)
{
	struct names_state *s = core->names;

	if (now_us < s->check_us)
		return;
	s->check_us = INT64_MAX;
	for (uint32_t i = 0; i < s->n_heard; i++) {
		struct heard *h = names_heard(core, i);

		if (!h || h->check_us == 0)
			continue;
		if (h->check_us <= now_us) {
			h->check_us = 0;
			heard_check(core, now_us, h, &core->peers.entries[i]);
		} else if (h->check_us < s->check_us) {
			s->check_us = h->check_us;
		}
	}
}

/* --- sets --- */

static int name_order(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (int)x->kind - (int)y->kind;
}

static int ip_order(const void *a, const void *b)
{
	return ip_cmp(a, b);
}

/* Put the addresses of @more to those of @n; what is too much is left out */
static void addresses_unite(struct name *n, struct name *more)
{
	size_t room = LIMIT_NAME_ADDRESSES - n->n_addresses;
	size_t count = more->n_addresses < room ? more->n_addresses : room;

	n->addresses = xrealloc(n->addresses, (n->n_addresses + count) * sizeof(*n->addresses));
	memcpy(&n->addresses[n->n_addresses], more->addresses, count * sizeof(*n->addresses));
	n->n_addresses += count;
	free(more->addresses);
}

static void addresses_tidy(struct name *n)
{
	size_t kept = 0;

	qsort(n->addresses, n->n_addresses, sizeof(*n->addresses), ip_order);
	for (size_t i = 0; i < n->n_addresses; i++) {
		if (!kept || ip_cmp(&n->addresses[kept - 1], &n->addresses[i]) != 0)
			n->addresses[kept++] = n->addresses[i];
	}
	n->n_addresses = kept;
}

/* Sorted, each name once: pieces of one name are united, of two kinds the first counts. Return: all addresses */
static size_t names_tidy(struct name_stack *s)
{
	size_t kept = 0, addresses = 0;

	if (s->n_names)
		qsort(s->names, s->n_names, sizeof(*s->names), name_order);
	for (size_t i = 0; i < s->n_names; i++) {
		struct name *last = kept ? &s->names[kept - 1] : NULL;

		if (!last || !str_eq(last->name, s->names[i].name))
			s->names[kept++] = s->names[i];
		else if (last->kind == s->names[i].kind)
			addresses_unite(last, &s->names[i]);
		else
			free(s->names[i].addresses);
	}
	s->n_names = kept;
	for (size_t i = 0; i < kept; i++) {
		addresses_tidy(&s->names[i]);
		addresses += s->names[i].n_addresses;
	}
	return addresses;
}

/* What else the sender has made us keep. To be counted only where there is so much that it matters */
static size_t names_of_source(struct core *core, uint32_t place)
{
	const struct ip *ip = &core->peers.entries[place].peer.host_ip;
	size_t n = 0;

	for (uint32_t i = 0; i < core->names->n_heard; i++) {
		const struct heard *h = i == place ? NULL : names_heard(core, i);

		if (h && ip_cmp(&core->peers.entries[i].peer.host_ip, ip) == 0)
			n += h->names.n_names;
	}
	return n;
}

static bool set_fits(struct core *core, int64_t now_us, const struct endpoint *from, uint32_t place,
		     const struct name_stack *names, size_t n_addresses)
{
	struct names_state *s = core->names;
	const struct heard *h = names_heard(core, place);
	size_t others = s->n_names - (h ? h->names.n_names : 0);
	size_t addresses = s->n_addresses - (h ? h->n_addresses : 0) + n_addresses;
	bool fits = others + names->n_names <= LIMIT_NAMES && addresses <= (size_t)4 * LIMIT_NAMES &&
		    names->n_names <= LIMIT_NAMES_PER_STACK;
	char ip[IP_STRLEN];

	if (fits && (others + names->n_names <= LIMIT_NAMES_PER_SOURCE ||
		     names_of_source(core, place) + names->n_names <= LIMIT_NAMES_PER_SOURCE))
		return true;
	core_refuse(core, now_us, COUNT_FULL, from, "%d names are taken, %d of one address", LIMIT_NAMES,
		    LIMIT_NAMES_PER_SOURCE);
	core_note(core, now_us, ip_format(&from->ip, ip), "Find what announces so many names there.",
		  "announces more names than are taken, new ones are refused");
	return false;
}

/* A whole set; takes the names */
void names_take(struct core *core, int64_t now_us, const struct endpoint *from, uint32_t place, uint64_t seq,
		struct name_stack *names)
{
	struct names_state *s = core->names;
	size_t n_addresses = names_tidy(names);
	struct heard *h;

	if (!set_fits(core, now_us, from, place, names, n_addresses)) {
		name_stack_done(names);
		return;
	}
	h = heard_make(core, place);
	h->seq = seq;
	h->heard_us = now_us;
	str_copy(names->host_id, h->names.host_id);
	str_copy(names->stack_id, h->names.stack_id);
	names->vni = h->names.vni;
	if (name_stack_same(&h->names, names)) {
		name_stack_done(names);
		return;
	}
	if (s->n_names == 0)
		s->scan_us = now_us + core->config.timeout_us / 2;
	s->n_names += names->n_names - h->names.n_names;
	s->n_addresses += n_addresses - h->n_addresses;
	name_stack_done(&h->names);
	h->names = *names;
	*names = (struct name_stack){0};
	h->n_addresses = n_addresses;
	h->check_us = now_us + CHECK_US;
	if (h->check_us < s->check_us)
		s->check_us = h->check_us;
	s->changed = true;
}

/* --- parts --- */

static void partial_drop(struct names_state *s, size_t nth)
{
	partial_free(s->partials[nth]);
	s->partials[nth] = s->partials[--s->n_partials];
}

static bool partial_same(const struct names_partial *p, const struct endpoint *from, const struct wire_names *m)
{
	return ip_cmp(&p->from.ip, &from->ip) == 0 && p->names.vni == m->vni && str_eq(p->names.host_id, m->host_id) &&
	       str_eq(p->names.stack_id, m->stack_id);
}

/* Where one more partial of this source finds room: the oldest of it goes when it has too many, else the oldest of all
 */
static void partials_room(struct core *core, const struct endpoint *from)
{
	struct names_state *s = core->names;
	size_t of_source = 0, oldest = 0, oldest_of_source = 0;

	for (size_t i = 0; i < s->n_partials; i++) {
		if (s->partials[i]->since_us < s->partials[oldest]->since_us)
			oldest = i;
		if (ip_cmp(&s->partials[i]->from.ip, &from->ip) != 0)
			continue;
		if (of_source++ == 0 || s->partials[i]->since_us < s->partials[oldest_of_source]->since_us)
			oldest_of_source = i;
	}
	if (of_source < LIMIT_PARTIALS_PER_SOURCE && s->n_partials < LIMIT_NAME_PARTIALS)
		return;
	core->counts[COUNT_PART]++;
	partial_drop(s, of_source >= LIMIT_PARTIALS_PER_SOURCE ? oldest_of_source : oldest);
}

/* Find or make. NULL: what is open is of a newer set, or was too much */
static struct names_partial *partial_open(struct core *core, int64_t now_us, const struct endpoint *from,
					  const struct wire_names *m)
{
	struct names_state *s = core->names;
	struct names_partial *p;

	for (size_t i = 0; i < s->n_partials; i++) {
		p = s->partials[i];
		if (!partial_same(p, from, m))
			continue;
		if (p->seq == m->seq && p->parts == m->parts)
			return p;
		if (p->seq > m->seq || (p->seq == m->seq && p->parts == 0))
			return NULL;
		partial_drop(s, i);
		break;
	}
	partials_room(core, from);
	p = xcalloc(1, sizeof(*p));
	p->from = *from;
	p->seq = m->seq;
	p->parts = m->parts;
	p->since_us = now_us;
	str_copy(p->names.host_id, m->host_id);
	str_copy(p->names.stack_id, m->stack_id);
	p->names.vni = m->vni;
	s->partials[s->n_partials++] = p;
	return p;
}

static size_t partials_names(const struct names_state *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_partials; i++)
		n += s->partials[i]->names.n_names;
	return n;
}

/* Move the names of @m over. Return: false when they are too many */
static bool names_move(struct name_stack *to, size_t *n_addresses, struct wire_names *m)
{
	for (size_t i = 0; i < m->n_names; i++)
		*n_addresses += m->names[i].n_addresses;
	/* a name in several pieces counts for each */
	if (to->n_names + m->n_names > LIMIT_NAMES_PER_STACK + WIRE_NAMES_PARTS ||
	    *n_addresses > LIMIT_STACK_NAME_ADDRESSES)
		return false;
	for (size_t i = 0; i < m->n_names; i++) {
		*xgrow(&to->names, to->n_names, &to->cap_names) = m->names[i];
		to->n_names++;
	}
	m->n_names = 0;
	return true;
}

/* Put a part to the others. Return: true when @ret is the whole set */
static bool parts_unite(struct core *core, int64_t now_us, const struct endpoint *from, struct wire_names *m,
			struct name_stack *ret)
{
	struct names_state *s = core->names;
	struct names_partial *p = partial_open(core, now_us, from, m);
	uint16_t bit = (uint16_t)(m->part - 1);
	bool whole;

	if (!p) {
		core->counts[COUNT_OLD]++;
		return false;
	}
	if (p->have[bit / 8] & (1u << (bit % 8)))
		return false;
	if (partials_names(s) + m->n_names > LIMIT_NAMES || !names_move(&p->names, &p->n_addresses, m)) {
		core_refuse(core, now_us, COUNT_PART, from, "names: more than %d of a stack, or with %zu addresses",
			    LIMIT_NAMES_PER_STACK, LIMIT_STACK_NAME_ADDRESSES);
		p->parts = 0; /* it can never be whole; dropped by its time */
		return false;
	}
	p->have[bit / 8] |= (uint8_t)(1u << (bit % 8));
	whole = ++p->n_have == p->parts;
	if (!whole)
		return false;
	*ret = p->names;
	p->names = (struct name_stack){0};
	for (size_t i = 0; i < s->n_partials; i++) {
		if (s->partials[i] == p) {
			partial_drop(s, i);
			break;
		}
	}
	return true;
}

/* Parts that got lost: their host is asked for all, now and then */
static void partial_expire(struct core *core, struct core_now now, const struct names_partial *p)
{
	uint32_t host = peers_host(&core->peers, p->names.host_id, &p->from.ip);

	core->counts[COUNT_PART]++;
	if (host == TABLE_NONE || now.mono.us < core->names->ask_us)
		return;
	core->names->ask_us = now.mono.us + ASK_PAUSE_US;
	announce_ask(core, now, &core->peers.hosts[host].from);
}

static void partials_timer(struct core *core, struct core_now now)
{
	struct names_state *s = core->names;

	for (size_t i = s->n_partials; i-- > 0;) {
		if (now.mono.us - s->partials[i]->since_us < PARTIAL_US)
			continue;
		partial_expire(core, now, s->partials[i]);
		partial_drop(s, i);
	}
}

/* --- a datagram --- */

bool names_admit(struct source *from, int64_t now_us)
{
	return rate_pass(&from->names_in, now_us, NAMES_RATE, NAMES_BURST);
}

static bool decode(struct core *core, int64_t now_us, const struct endpoint *from, const char *data, size_t len,
		   struct wire_names *m)
{
	struct err err = {0};
	int r = wire_names_decode(data, len, m, &err);

	if (r == 0)
		return true;
	core_refuse(core, now_us,
		    r == -EBADMSG	    ? COUNT_SHAPE
		    : r == -EPROTONOSUPPORT ? COUNT_VERSION
					    : COUNT_FIELD,
		    from, "%s", err.text);
	return false;
}

/* The peer whose names these are, if it is known at this very address */
static uint32_t peer_of(struct core *core, int64_t now_us, const struct endpoint *from, const struct wire_names *m)
{
	struct peer_key key = {.host_id = m->host_id, .stack_id = m->stack_id, .host_ip = &m->host_ip, .vni = m->vni};
	char a[IP_STRLEN], b[IP_STRLEN];
	uint32_t place;
	struct entry *e;

	if (str_eq(m->host_id, core->config.host_id)) {
		core->counts[COUNT_OWN]++;
		return TABLE_NONE;
	}
	if (ip_cmp(&m->host_ip, &from->ip) != 0) {
		core_refuse(core, now_us, COUNT_SENDER, from, "host_ip %s: it came from %s", ip_format(&m->host_ip, a),
			    ip_format(&from->ip, b));
		return TABLE_NONE;
	}
	place = peers_find(&core->peers, &key);
	e = names_entry(core, place);
	if (!e || ip_cmp(&core->peers.hosts[e->host].from.ip, &from->ip) != 0) {
		core->counts[COUNT_NAMES]++;
		return TABLE_NONE;
	}
	return place;
}

static bool set_is_old(const struct core *core, int64_t now_us, const struct heard *h, uint64_t seq)
{
	return h && seq < h->seq && now_us - h->heard_us <= 2 * core->config.announce_us;
}

static void names_apply(struct core *core, int64_t now_us, const struct endpoint *from, uint32_t place,
			struct wire_names *m)
{
	struct heard *h = names_heard(core, place);
	struct name_stack names = {0};
	size_t n_addresses = 0;

	if (set_is_old(core, now_us, h, m->seq)) {
		core->counts[COUNT_OLD]++;
		return;
	}
	if (h && h->seq == m->seq) { /* said again */
		h->heard_us = now_us;
		return;
	}
	if (m->parts > 1 ? parts_unite(core, now_us, from, m, &names) : names_move(&names, &n_addresses, m))
		names_take(core, now_us, from, place, m->seq, &names);
}

void names_datagram(struct core *core, struct core_now now, const struct endpoint *from, const char *data, size_t len)
{
	struct wire_names m;
	uint32_t place;

	if (!decode(core, now.mono.us, from, data, len, &m))
		return;
	place = peer_of(core, now.mono.us, from, &m);
	if (place != TABLE_NONE)
		names_apply(core, now.mono.us, from, place, &m);
	wire_names_done(&m);
}

/* --- the timer --- */

/* A peer that is there and tells no names any more: it was replaced by a program that does not know them */
static void scan_timer(struct core *core, int64_t now_us)
{
	struct names_state *s = core->names;
	int64_t silent_us = 2 * core->config.timeout_us;

	if (now_us < s->scan_us || now_us < core->patience_us)
		return;
	s->scan_us = now_us + core->config.timeout_us / 2;
	for (uint32_t i = 0; i < s->n_heard; i++) {
		struct heard *h = s->heard[i];

		/* a feed says what it has once */
		bool kept =
			h && (h->fed || (i < core->peers.n_entries && core->peers.entries[i].fed & 1u << FEED_GOSSIP));

		if (h && (!names_heard(core, i) || (h->names.n_names && !kept && now_us - h->heard_us > silent_us)))
			names_heard_drop(core, i);
	}
}

void names_timer(struct core *core, struct core_now now)
{
	partials_timer(core, now);
	checks_timer(core, now.mono.us);
	if (core->names->n_names)
		scan_timer(core, now.mono.us);
	say_timer(core, now);
}

int64_t names_due(const struct core *core)
{
	const struct names_state *s = core->names;
	int64_t due_us = say_due(core), at_us;

	for (size_t i = 0; i < s->n_partials; i++) {
		at_us = s->partials[i]->since_us + PARTIAL_US;
		if (at_us < due_us)
			due_us = at_us;
	}
	if (s->n_names) {
		at_us = s->scan_us > core->patience_us ? s->scan_us : core->patience_us;
		if (at_us < due_us)
			due_us = at_us;
	}
	return s->check_us < due_us ? s->check_us : due_us;
}

/* --- the file --- */

void core_names_load(struct core *core, struct core_now now, const struct names *n)
{
	assert(!core->started);
	for (size_t i = 0; i < n->n_stacks; i++) {
		const struct name_stack *from = &n->stacks[i];
		struct ip none = {0};
		struct peer_key key = {
			.host_id = from->host_id, .stack_id = from->stack_id, .host_ip = &none, .vni = from->vni};
		uint32_t place = peers_find(&core->peers, &key);
		struct name_stack names = {0};

		if (!names_entry(core, place))
			continue;
		for (size_t k = 0; k < from->n_names && k < LIMIT_NAMES_PER_STACK; k++) {
			struct name *to = xgrow(&names.names, names.n_names, &names.cap_names);

			*to = from->names[k];
			to->addresses = xmemdup(to->addresses, to->n_addresses * sizeof(*to->addresses));
			names.n_names++;
		}
		names_take(core, now.mono.us, &core->peers.hosts[core->peers.entries[place].host].from, place, 0,
			   &names);
		if (names_heard(core, place)) /* the feed may be away for as long as it likes */
			names_heard(core, place)->fed = core->peers.entries[place].fed;
	}
}

static bool name_export(const struct peer *peer, const struct name *n, struct name *ret)
{
	struct ip addresses[LIMIT_NAME_ADDRESSES];
	size_t kept = 0;

	for (size_t i = 0; i < n->n_addresses; i++) {
		if (address_inside(peer, &n->addresses[i]))
			addresses[kept++] = n->addresses[i];
	}
	if (!kept)
		return false;
	*ret = *n;
	ret->addresses = xmemdup(addresses, kept * sizeof(*addresses));
	ret->n_addresses = kept;
	return true;
}

void core_names_export(struct core *core, struct core_now now, struct names *ret)
{
	struct names n = {.last_update = now.wall};

	for (uint32_t i = 0; i < core->names->n_heard; i++) {
		const struct heard *h = names_heard(core, i);
		const struct peer *peer = &core->peers.entries[i].peer;
		struct name_stack *s;

		if (!h || h->names.n_names == 0 || core->peers.entries[i].ghost)
			continue;
		s = xgrow(&n.stacks, n.n_stacks, &n.cap_stacks);
		str_copy(s->host_id, peer->host_id);
		str_copy(s->host_name, peer->host_name);
		str_copy(s->stack_id, peer->stack_id);
		s->vni = peer->vni;
		s->names = xcalloc(h->names.n_names, sizeof(*s->names));
		s->cap_names = h->names.n_names;
		for (size_t k = 0; k < h->names.n_names; k++)
			s->n_names += name_export(peer, &h->names.names[k], &s->names[s->n_names]);
		if (s->n_names)
			n.n_stacks++;
		else
			name_stack_done(s);
	}
	names_sort(&n);
	*ret = n;
}
