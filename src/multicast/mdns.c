/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to a packet.
 */
#include "multicast/mdns.h"

#include "multicast/asker.h"
#include "multicast/guard.h"
#include "multicast/leg.h"
#include "multicast/mdns_packet.h"

#define SOURCE_RATE  50
#define SOURCE_BURST 200 /* a host with many services that starts */
#define LEG_RATE     200
#define LEG_BURST    600

const char *const mdns_count_names[MDNS_COUNT_N_] = {"queries", "responses", "legacy", "answers", "blanked"};

struct mdns {
	struct guard *guard;
	struct askers askers;
	struct legs legs;
	struct prefix *hidden;
	size_t n_hidden;
	uint64_t counts[MDNS_COUNT_N_];
};

struct ip mdns_group_ip(enum mdns_group group)
{
	static const uint8_t v4[4] = {224, 0, 0, 251}, v6[16] = {0xff, 2, [15] = 0xfb};

	return group == MDNS_V4 ? ip_from_bytes(AF_INET, v4) : ip_from_bytes(AF_INET6, v6);
}

struct mdns *mdns_new(uint64_t random)
{
	struct mdns *m = xcalloc(1, sizeof(*m));
	struct guard_config conf = {.seed = random,
				    .source_rate = SOURCE_RATE,
				    .source_burst = SOURCE_BURST,
				    .leg_rate = LEG_RATE,
				    .leg_burst = LEG_BURST};

	m->guard = guard_new(&conf);
	return m;
}

void mdns_free(struct mdns *m)
{
	if (!m)
		return;
	legs_done(&m->legs);
	free(m->hidden);
	guard_free(m->guard);
	free(m);
}

void mdns_hide(struct mdns *m, const struct prefix *prefixes, size_t n)
{
	free(m->hidden);
	m->n_hidden = n > MDNS_HIDDEN ? MDNS_HIDDEN : n;
	m->hidden = m->n_hidden ? xmemdup(prefixes, m->n_hidden * sizeof(*prefixes)) : NULL;
}

/* --- legs and time --- */

static void askers_close(struct mdns *m, int64_t now, struct mc_actions *out)
{
	struct asker *a;

	while ((a = asker_over(&m->askers, now))) {
		for (size_t i = 0; i < a->n; i++)
			mc_close(out, a->sockets[i].leg, a->sockets[i].port);
		asker_drop(&m->askers, a);
	}
}

void mdns_leg_set(struct mdns *m, mono_t now, const struct mc_leg *leg, struct mc_actions *out)
{
	if (!(leg->wants & MC_MDNS))
		mdns_leg_remove(m, now, leg->id, out);
	else if (!legs_set(&m->legs, leg))
		mc_drop(out, leg->id, "too many networks");
}

void mdns_leg_remove(struct mdns *m, mono_t now, uint32_t leg, struct mc_actions *out)
{
	if (!legs_remove(&m->legs, leg))
		return;
	asker_leg_over(&m->askers, leg);
	askers_close(m, now.us, out);
}

void mdns_timer(struct mdns *m, mono_t now, struct mc_actions *out)
{
	askers_close(m, now.us, out);
}

int64_t mdns_due(const struct mdns *m)
{
	return asker_due(&m->askers);
}

/* --- packets --- */

/* Sound from end to end? */
static bool packet_check(const uint8_t *b, size_t len)
{
	struct mdns_walk w;
	struct mdns_item item;
	int rc;

	if (mdns_walk_begin(&w, b, len))
		return false;
	while ((rc = mdns_walk_next(&w, &item)) == 1)
		;
	return rc == 0;
}

static bool types_pass(const struct mc_leg *l, const uint8_t *b, size_t len)
{
	return mdns_types_pass(b, len, (const char(*)[LIMIT_MDNS_TYPE])l->types, l->n_types);
}

/* What is told elsewhere, in @b. Return: false: nothing */
static bool packet_rewrite(struct mdns *m, uint32_t leg, uint8_t *b, size_t len, struct mc_actions *out)
{
	size_t left, blanked;

	if (!mdns_is_response(b)) {
		mdns_ask_all(b, len);
		return true;
	}
	blanked = mdns_blank(b, len, m->hidden, m->n_hidden, &left);
	m->counts[MDNS_COUNT_BLANKED] += blanked;
	if (blanked && !left)
		mc_drop(out, leg, "addresses that only their own link reaches");
	return left || !blanked;
}

/* To all other legs; for an asker from its socket */
static void reflect(struct mdns *m, mono_t now, const struct mc_leg *in, struct asker *asker,
		    const struct endpoint *group, const uint8_t *b, size_t len, uint64_t hash, struct mc_actions *out)
{
	for (size_t i = 0; i < m->legs.n; i++) {
		const struct mc_leg *l = &m->legs.v[i];
		uint32_t port = 0;

		if (!leg_reaches(in, l) || !leg_has_family(l, group->ip.family) || !types_pass(l, b, len))
			continue;
		if (asker && !(port = asker_port(&m->askers, asker, l->id))) {
			mc_drop(out, in->id, "too many sockets for queries");
			continue;
		}
		guard_sent(m->guard, now, l->id, hash);
		if (asker)
			mc_send_by(out, l->id, port, group, MDNS_TTL, b, len);
		else
			mc_send(out, l->id, MDNS_PORT, group, MDNS_TTL, b, len);
	}
}

/* A sound packet to the group */
static void group_input(struct mdns *m, mono_t now, const struct mc_leg *in, const struct mc_packet *p,
			struct mc_actions *out)
{
	uint8_t copy[MDNS_BYTES];
	enum guard_verdict verdict;
	struct asker *asker = NULL;
	bool response = mdns_is_response(p->data);
	uint64_t hash;

	memcpy(copy, p->data, p->len);
	/* what goes out is what others may send back */
	if (!packet_rewrite(m, p->leg, copy, p->len, out))
		return;
	hash = guard_hash(m->guard, p->dst.ip.family, copy, p->len);
	verdict = guard_heard(m->guard, now, p->leg, &p->src, GUARD_ONCE, hash);
	if (verdict != GUARD_PASS) {
		mc_drop(out, p->leg, guard_verdict_names[verdict]);
		return;
	}
	if (!response && p->src.port != MDNS_PORT) {
		asker = asker_get(&m->askers, p->leg, &p->src, now.us + MDNS_LEGACY_US);
		if (!asker) {
			mc_drop(out, p->leg, "too many queries at once");
			return;
		}
		asker->ids[asker->n_ids % ARRAY_LEN(asker->ids)] = mdns_id(copy);
		asker->n_ids = (uint8_t)(asker->n_ids < 7 ? asker->n_ids + 1 : 4);
	}
	m->counts[response ? MDNS_COUNT_RESPONSES : asker ? MDNS_COUNT_LEGACY : MDNS_COUNT_QUERIES]++;
	reflect(m, now, in, asker, &p->dst, copy, p->len, hash, out);
}

static bool has_asked(const struct asker *a, uint16_t id)
{
	for (size_t i = 0; i < a->n_ids && i < ARRAY_LEN(a->ids); i++)
		if (a->ids[i] == id)
			return true;
	return false;
}

/* A sound packet to the socket of somebody who asked */
static void answer_input(struct mdns *m, mono_t now, const struct mc_packet *p, struct mc_actions *out)
{
	struct asker *asker = asker_of(&m->askers, now.us, p->leg, p->port);
	const struct mc_leg *to = asker ? legs_find(&m->legs, asker->leg) : NULL;
	uint8_t copy[MDNS_BYTES];

	if (!to || !mdns_is_response(p->data) || !has_asked(asker, mdns_id(p->data))) {
		mc_drop(out, p->leg, "answer that nobody waits for");
		return;
	}
	memcpy(copy, p->data, p->len);
	if (!packet_rewrite(m, p->leg, copy, p->len, out))
		return;
	m->counts[MDNS_COUNT_ANSWERS]++;
	mc_send(out, to->id, MDNS_PORT, &asker->from, MDNS_TTL, copy, p->len);
}

void mdns_input(struct mdns *m, mono_t now, const struct mc_packet *p, struct mc_actions *out)
{
	const struct mc_leg *in = legs_find(&m->legs, p->leg);
	struct ip v4 = mdns_group_ip(MDNS_V4), v6 = mdns_group_ip(MDNS_V6);

	askers_close(m, now.us, out);
	if (!in)
		return;
	if (!packet_check(p->data, p->len)) {
		mc_drop(out, p->leg, "broken DNS");
		return;
	}
	/* section 11: who is not on the link, and section 6: who does not speak from port 5353, cannot answer */
	if (!leg_is_from(in, &p->src)) {
		mc_drop(out, p->leg, "the source is not of this link");
		return;
	}
	if (mdns_is_response(p->data) && p->src.port != MDNS_PORT) {
		mc_drop(out, p->leg, "answer from another port than 5353");
		return;
	}
	if (!p->port && ip_cmp(&p->dst.ip, &v4) && ip_cmp(&p->dst.ip, &v6)) {
		mc_drop(out, p->leg, "not to the group");
		return;
	}
	if (!types_pass(in, p->data, p->len)) {
		mc_drop(out, p->leg, "another type of service");
		return;
	}
	if (p->port)
		answer_input(m, now, p, out);
	else
		group_input(m, now, in, p, out);
}

void mdns_look(struct mdns *m, uint32_t leg, struct mc_actions *out)
{
	/* which types are there (RFC 6763 section 9): one question, PTR, IN */
	static const uint8_t query[] = "\0\0\0\0\0\1\0\0\0\0\0\0\11_services\7_dns-sd\4_udp\5local\0\0\14\0\1";
	const struct mc_leg *l = legs_find(&m->legs, leg);

	for (enum mdns_group g = 0; l && g < MDNS_GROUP_N_; g++) {
		struct endpoint to = {.ip = mdns_group_ip(g), .port = MDNS_PORT};

		if (leg_has_family(l, to.ip.family))
			mc_send(out, leg, MDNS_PORT, &to, MDNS_TTL, query, sizeof(query) - 1);
	}
}

const uint64_t *mdns_counts(const struct mdns *m)
{
	return m->counts;
}
