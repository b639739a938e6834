/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to a message.
 */
#include "multicast/ssdp.h"

#include <strings.h>

#include "multicast/asker.h"
#include "multicast/guard.h"
#include "multicast/leg.h"
#include "multicast/ssdp_message.h"

/* A device that is started again says goodbye, once more when it starts, and hello, of fifteen things three times each
 */
#define SOURCE_RATE  20
#define SOURCE_BURST 150
#define LEG_RATE     200
#define LEG_BURST    400
#define ANSWER_TTL   64 /* UDA 2.0 section 1.3.3: no need to limit it */
#define AGE_S	     1800
#define OURS	     UINT32_MAX /* the leg of an asker that is us: ssdp_look() */

const char *const ssdp_count_names[SSDP_COUNT_N_] = {"searches", "notifies", "answers", "rewritten"};

struct ssdp {
	struct ssdp_config conf;
	uint64_t router;
	struct guard *guard;
	struct askers askers;
	struct legs legs;
	struct ssdp_device *devices;
	size_t n_devices, cap_devices;
	uint64_t counts[SSDP_COUNT_N_];
};

struct ip ssdp_group_ip(enum ssdp_group group)
{
	static const uint8_t v4[4] = {239, 255, 255, 250}, link[16] = {0xff, 2, [15] = 0xc},
			     site[16] = {0xff, 5, [15] = 0xc};

	return group == SSDP_V4	       ? ip_from_bytes(AF_INET, v4)
	       : group == SSDP_V6_LINK ? ip_from_bytes(AF_INET6, link)
				       : ip_from_bytes(AF_INET6, site);
}

struct ssdp *ssdp_new(const struct ssdp_config *config, uint64_t random)
{
	struct ssdp *s = xcalloc(1, sizeof(*s));
	struct guard_config conf = {.seed = random,
				    .source_rate = SOURCE_RATE,
				    .source_burst = SOURCE_BURST,
				    .leg_rate = LEG_RATE,
				    .leg_burst = LEG_BURST};

	s->conf = *config;
	if (!s->conf.ttl)
		s->conf.ttl = SSDP_TTL;
	s->router = hash64("router", 6, random);
	s->guard = guard_new(&conf);
	return s;
}

void ssdp_free(struct ssdp *s)
{
	if (!s)
		return;
	legs_done(&s->legs);
	free(s->devices);
	guard_free(s->guard);
	free(s);
}

/* --- legs and time --- */

static void askers_close(struct ssdp *s, int64_t now, struct mc_actions *out)
{
	struct asker *a;

	while ((a = asker_over(&s->askers, now))) {
		for (size_t i = 0; i < a->n; i++)
			mc_close(out, a->sockets[i].leg, a->sockets[i].port);
		asker_drop(&s->askers, a);
	}
}

void ssdp_leg_set(struct ssdp *s, mono_t now, const struct mc_leg *leg, struct mc_actions *out)
{
	if (!(leg->wants & MC_SSDP))
		ssdp_leg_remove(s, now, leg->id, out);
	else if (!legs_set(&s->legs, leg))
		mc_drop(out, leg->id, "too many networks");
}

void ssdp_leg_remove(struct ssdp *s, mono_t now, uint32_t leg, struct mc_actions *out)
{
	size_t kept = 0;

	if (!legs_remove(&s->legs, leg))
		return;
	for (size_t i = 0; i < s->n_devices; i++)
		if (s->devices[i].leg != leg)
			s->devices[kept++] = s->devices[i];
	s->n_devices = kept;
	asker_leg_over(&s->askers, leg);
	askers_close(s, now.us, out);
}

void ssdp_timer(struct ssdp *s, mono_t now, struct mc_actions *out)
{
	askers_close(s, now.us, out);
}

int64_t ssdp_due(const struct ssdp *s)
{
	return asker_due(&s->askers);
}

/* Over IPv6 a device speaks from an address of its link, and names another */
static bool is_same(const struct ssdp *s, uint32_t leg, const struct ip *a, const struct ip *b)
{
	return !ip_cmp(a, b) || (s->conf.same && s->conf.same(s->conf.arg, leg, a, b));
}

/* --- devices, for people --- */

static int64_t message_age(const struct ssdp_message *m)
{
	const struct http_header *h = ssdp_find(m, "CACHE-CONTROL");
	int64_t age = 0;
	size_t at;

	if (!h)
		return AGE_S;
	for (at = 0; at + 7 < h->value.len && strncasecmp(h->value.s + at, "max-age", 7) != 0; at++)
		;
	for (at += 7; at < h->value.len && (h->value.s[at] == ' ' || h->value.s[at] == '='); at++)
		;
	for (; at < h->value.len && h->value.s[at] >= '0' && h->value.s[at] <= '9' && age < SSDP_AGE_MAX_S; at++)
		age = age * 10 + (h->value.s[at] - '0');
	return age > SSDP_AGE_MAX_S ? SSDP_AGE_MAX_S : age ? age : AGE_S;
}

/* "uuid:..." of a USN */
static bool message_uuid(const struct ssdp_message *m, char *ret, size_t size)
{
	const struct http_header *h = ssdp_find(m, "USN");
	size_t n = 0;

	if (!h || h->value.len < 6 || strncasecmp(h->value.s, "uuid:", 5) != 0)
		return false;
	while (n < h->value.len && n < size - 1 && !(n > 5 && h->value.s[n] == ':'))
		n++;
	memcpy(ret, h->value.s, n);
	ret[n] = '\0';
	return true;
}

static struct ssdp_device *device_find(struct ssdp *s, uint32_t leg, const char *usn)
{
	for (size_t i = 0; i < s->n_devices; i++)
		if (s->devices[i].leg == leg && str_eq(s->devices[i].usn, usn))
			return &s->devices[i];
	return NULL;
}

/* A place for a new one; those that are gone make room. NULL: no room */
static struct ssdp_device *device_new(struct ssdp *s, int64_t now, uint32_t leg)
{
	size_t kept = 0, of_leg = 0;

	for (size_t i = 0; i < s->n_devices; i++) {
		if (s->devices[i].until_us <= now)
			continue;
		of_leg += s->devices[i].leg == leg;
		s->devices[kept++] = s->devices[i];
	}
	s->n_devices = kept;
	if (kept >= SSDP_DEVICES || of_leg >= SSDP_DEVICES_PER_LEG)
		return NULL;
	s->n_devices++;
	return xgrow(&s->devices, kept, &s->cap_devices);
}

static void device_note(struct ssdp *s, int64_t now, uint32_t leg, const struct ip *from, const struct ssdp_message *m)
{
	const struct http_header *nts = ssdp_find(m, "NTS");
	char usn[sizeof(s->devices->usn)];
	struct ssdp_device *d;

	if (m->kind == SSDP_SEARCH || !message_uuid(m, usn, sizeof(usn)))
		return;
	d = device_find(s, leg, usn);
	if (nts && nts->value.len == 11 && !strncasecmp(nts->value.s, "ssdp:byebye", 11)) {
		if (d)
			d->until_us = now;
		return;
	}
	if (m->location < 0)
		return;
	if (!d && !(d = device_new(s, now, leg)))
		return;
	const struct http_text v = m->headers[m->location].value;

	d->leg = leg;
	d->from = *from;
	d->until_us = now + message_age(m) * USEC_PER_SEC;
	d->heard_us = now;
	d->heard++;
	str_copy(d->usn, usn);
	snprintf(d->location, sizeof(d->location), "%.*s", (int)v.len, v.s);
}

void ssdp_devices(const struct ssdp *s, mono_t now, ssdp_device_fn *fn, void *arg)
{
	for (size_t i = 0; i < s->n_devices; i++)
		if (s->devices[i].until_us > now.us)
			fn(arg, &s->devices[i]);
}

bool ssdp_has_heard(const struct ssdp *s, uint32_t leg, const struct ip *who, int64_t since_us)
{
	for (size_t i = 0; i < s->n_devices; i++)
		if (s->devices[i].leg == leg && s->devices[i].heard_us >= since_us &&
		    is_same(s, leg, &s->devices[i].from, who))
			return true;
	return false;
}

/* --- messages --- */

/*
 * The message of @from on leg @in as it is to be told on leg @to.
 * Return: false: what it names cannot be reached from there
 */
static bool message_for(struct ssdp *s, const struct ssdp_message *m, const struct mc_leg *in, const struct ip *from,
			const struct mc_leg *to, struct buf *b, struct mc_actions *out)
{
	struct endpoint inside, outside;
	struct http_text path;
	autofree char *location = NULL;

	if (m->kind != SSDP_SEARCH && ssdp_location(m, &inside, &path)) {
		/* only what speaks for itself: nobody gets a way to another's door opened */
		bool itself = !in->lan && is_same(s, in->id, &inside.ip, from);

		if (itself && s->conf.map && s->conf.map(s->conf.arg, in->id, &inside, to->id, &outside)) {
			char text[ENDPOINT_STRLEN];

			location = xasprintf("http://%s%.*s", endpoint_format(&outside, text), (int)path.len, path.s);
			s->counts[SSDP_COUNT_REWRITTEN]++;
		} else if (ip_is_link_local(&inside.ip) || ip_is_loopback(&inside.ip) ||
			   ip_is_unspecified(&inside.ip) || ip_is_multicast(&inside.ip)) {
			mc_drop(out, in->id, "LOCATION is reached on its own link only");
			return false;
		}
	}
	buf_clear(b);
	ssdp_write(m, s->router, location, b);
	return true;
}

/* Return: is it sound, and has it not been here? */
static bool message_read(struct ssdp *s, const struct mc_packet *p, struct ssdp_message *m, struct mc_actions *out)
{
	enum ssdp_bad bad = ssdp_parse(p->data, p->len, m);

	if (bad != SSDP_OK) {
		mc_drop(out, p->leg, ssdp_bad_names[bad]);
		return false;
	}
	for (size_t i = 0; i < m->n_path; i++)
		if (m->path[i] == s->router) {
			mc_drop(out, p->leg, "it came back to us");
			return false;
		}
	if (m->n_path == SSDP_PATH) {
		mc_drop(out, p->leg, "it has passed too many routers");
		return false;
	}
	return true;
}

static void forward(struct ssdp *s, mono_t now, const struct mc_leg *in, const struct mc_packet *p,
		    const struct ssdp_message *m, uint64_t hash, struct mc_actions *out)
{
	autobuf struct buf b = {0};
	struct asker *asker = NULL;
	size_t sent = 0;

	if (m->kind == SSDP_SEARCH) {
		int64_t mx = m->mx < 0 ? SSDP_MX_MAX : m->mx < 1 ? 1 : m->mx;

		asker = asker_get(&s->askers, in->id, &p->src, now.us + mx * USEC_PER_SEC + SSDP_GRACE_US);
		if (!asker) {
			mc_drop(out, in->id, "too many searches at once");
			return;
		}
	}
	for (size_t i = 0; i < s->legs.n; i++) {
		const struct mc_leg *l = &s->legs.v[i];
		uint32_t port = 0;

		if (!leg_reaches(in, l) || !leg_has_family(l, p->dst.ip.family) ||
		    !message_for(s, m, in, &p->src.ip, l, &b, out))
			continue;
		if (asker && !(port = asker_port(&s->askers, asker, l->id))) {
			mc_drop(out, in->id, "too many sockets for searches");
			continue;
		}
		guard_sent(s->guard, now, l->id, hash);
		if (asker)
			mc_send_by(out, l->id, port, &p->dst, s->conf.ttl, b.data, b.len);
		else
			mc_send(out, l->id, SSDP_PORT, &p->dst, s->conf.ttl, b.data, b.len);
		sent++;
	}
	if (sent)
		s->counts[asker ? SSDP_COUNT_SEARCHES : SSDP_COUNT_NOTIFIES]++;
}

/* What answered to ssdp_look() is announced as it would have done it itself */
static void announce(struct ssdp *s, mono_t now, const struct mc_leg *in, const struct mc_packet *p,
		     const struct ssdp_message *m, struct mc_actions *out)
{
	enum ssdp_group group = p->src.ip.family == AF_INET ? SSDP_V4 : SSDP_V6_LINK;
	struct mc_packet as = *p;
	autobuf struct buf text = {0}, words = {0};
	enum guard_verdict verdict;
	struct ssdp_message notify;
	uint64_t hash;

	as.dst = (struct endpoint){.ip = ssdp_group_ip(group), .port = SSDP_PORT};
	ssdp_notify_write(m, &as.dst, &text);
	if (ssdp_parse(text.data, text.len, &notify) != SSDP_OK)
		return;
	ssdp_text_write(&notify, &words);
	hash = guard_hash(s->guard, hash64(as.dst.ip.b, 16, 0), words.data, words.len);
	verdict = guard_heard(s->guard, now, p->leg, &p->src, GUARD_UNIQUE, hash);
	if (verdict == GUARD_PASS)
		forward(s, now, in, &as, &notify, hash, out);
	else
		mc_drop(out, p->leg, guard_verdict_names[verdict]);
}

void ssdp_look(struct ssdp *s, mono_t now, uint32_t leg, const struct ip *who, struct mc_actions *out)
{
	const struct mc_leg *l = legs_find(&s->legs, leg);
	struct endpoint from = {.ip = *who, .port = SSDP_PORT}, to = {.port = SSDP_PORT};
	struct asker *asker = l ? asker_get(&s->askers, OURS, &from, now.us + USEC_PER_SEC + SSDP_GRACE_US) : NULL;
	uint32_t port = asker ? asker_port(&s->askers, asker, leg) : 0;

	for (enum ssdp_group g = SSDP_V4; port && g <= SSDP_V6_LINK; g++) {
		struct ssdp_message m;
		autobuf struct buf text = {0}, b = {0};
		char host[ENDPOINT_STRLEN];

		to.ip = ssdp_group_ip(g);
		if (!leg_has_family(l, to.ip.family) || to.ip.family != who->family)
			continue;
		buf_printf(&text,
			   "M-SEARCH * HTTP/1.1\r\nHOST: %s\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: "
			   "ssdp:all\r\n\r\n",
			   endpoint_format(&to, host));
		if (ssdp_parse(text.data, text.len, &m) != SSDP_OK)
			continue;
		/* no other router of ours is to pass it on */
		while (m.n_path < SSDP_PATH - 1)
			m.path[m.n_path++] = s->router;
		ssdp_write(&m, s->router, NULL, &b);
		mc_send_by(out, leg, port, &to, s->conf.ttl, b.data, b.len);
	}
}

static void answer(struct ssdp *s, mono_t now, const struct mc_leg *in, const struct mc_packet *p,
		   const struct ssdp_message *m, struct mc_actions *out)
{
	struct asker *asker = asker_of(&s->askers, now.us, p->leg, p->port);
	const struct mc_leg *to = asker ? legs_find(&s->legs, asker->leg) : NULL;
	autobuf struct buf b = {0};

	if (m->kind != SSDP_RESPONSE) {
		mc_drop(out, p->leg, "no answer");
		return;
	}
	if (asker && asker->leg == OURS) {
		if (is_same(s, in->id, &p->src.ip, &asker->from.ip)) {
			device_note(s, now.us, in->id, &p->src.ip, m);
			announce(s, now, in, p, m, out);
		}
		return;
	}
	if (!to) {
		mc_drop(out, p->leg, "answer that nobody waits for");
		return;
	}
	device_note(s, now.us, in->id, &p->src.ip, m);
	if (!message_for(s, m, in, &p->src.ip, to, &b, out))
		return;
	s->counts[SSDP_COUNT_ANSWERS]++;
	mc_send(out, to->id, SSDP_PORT, &asker->from, ANSWER_TTL, b.data, b.len);
}

static bool is_group(const struct ip *ip)
{
	for (int g = 0; g < SSDP_GROUP_N_; g++) {
		struct ip group = ssdp_group_ip((enum ssdp_group)g);

		if (!ip_cmp(&group, ip))
			return true;
	}
	return false;
}

void ssdp_input(struct ssdp *s, mono_t now, const struct mc_packet *p, struct mc_actions *out)
{
	const struct mc_leg *in = legs_find(&s->legs, p->leg);
	autobuf struct buf text = {0};
	enum guard_verdict verdict;
	struct ssdp_message m;
	uint64_t hash;

	askers_close(s, now.us, out);
	if (!in)
		return;
	if (!leg_is_from(in, &p->src)) {
		mc_drop(out, p->leg, "the source is not of this link");
		return;
	}
	if (!message_read(s, p, &m, out))
		return;
	if (p->port) {
		answer(s, now, in, p, &m, out);
		return;
	}
	if (!is_group(&p->dst.ip) || m.kind == SSDP_RESPONSE) {
		mc_drop(out, p->leg, "neither search nor announcement to the group");
		return;
	}
	ssdp_text_write(&m, &text);
	hash = guard_hash(s->guard, hash64(p->dst.ip.b, 16, 0), text.data, text.len);
	verdict = guard_heard(s->guard, now, p->leg, &p->src, m.kind == SSDP_SEARCH ? GUARD_REPEATABLE : GUARD_UNIQUE,
			      hash);
	if (verdict != GUARD_PASS) {
		mc_drop(out, p->leg, guard_verdict_names[verdict]);
		return;
	}
	device_note(s, now.us, in->id, &p->src.ip, &m);
	forward(s, now, in, p, &m, hash, out);
}

const uint64_t *ssdp_counts(const struct ssdp *s)
{
	return s->counts;
}

size_t ssdp_askers(const struct ssdp *s)
{
	return s->askers.n;
}
