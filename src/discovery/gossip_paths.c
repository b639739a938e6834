/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps the few addresses that matter, and says what is wrong with the way there.
 */
#include "discovery/gossip_paths.h"

#define FRESH_US (60 * USEC_PER_SEC) /* what was seen of a path counts so long */
#define SILENT	 3		     /* streams in a row without a datagram in between: those do not get through */

static bool endpoint_same(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && ip_cmp(&a->ip, &b->ip) == 0;
}

static struct gossip_path *path_find(struct gossip_paths *p, const struct endpoint *to)
{
	for (size_t i = 0; i < p->n; i++) {
		if (endpoint_same(&p->v[i].to, to))
			return &p->v[i];
	}
	return NULL;
}

void gossip_path_heard(struct gossip_paths *p, mono_t now, const struct endpoint *from)
{
	struct gossip_path *x = path_find(p, from);

	if (!x)
		return;
	x->udp_us = now.us;
	x->opened = 0;
}

/* Find it, or a place that nothing fresh is known of */
static struct gossip_path *path_make(struct gossip_paths *p, mono_t now, const struct endpoint *to)
{
	struct gossip_path *x = path_find(p, to);

	if (x)
		return x;
	if (p->n < GOSSIP_PATHS)
		x = &p->v[p->n++];
	for (size_t i = 0; !x && i < p->n; i++) {
		if (p->v[i].open_us + FRESH_US < now.us && p->v[i].failed_us + FRESH_US < now.us)
			x = &p->v[i];
	}
	if (x)
		*x = (struct gossip_path){.to = *to};
	return x;
}

bool gossip_path_opened(struct gossip_paths *p, mono_t now, const struct endpoint *to, int code)
{
	struct gossip_path *x = path_make(p, now, to);
	int before;

	if (!x)
		return false;
	if (code == 0) {
		x->opened = x->open_us + FRESH_US < now.us ? 1 : x->opened + 1;
		x->open_us = now.us;
		return x->opened == SILENT;
	}
	before = x->code;
	x->failed_us = now.us;
	x->code = code;
	return before != code;
}

static bool fresh(int64_t at_us, mono_t now)
{
	return at_us != 0 && now.us - at_us < FRESH_US;
}

static void failed_problem(const struct gossip_path *x, bool joined, const char *to, struct problems *ret)
{
	if (x->code == -ENOKEY || x->code == -EBADMSG)
		return; /* told by who has the keys */
	if (x->code == -ECONNREFUSED) {
		if (joined)
			problems_add(ret, to,
				     "Start docker-router there with DISCOVERY_MODE=gossip, or correct GOSSIP_JOIN.",
				     "nobody listens there on GOSSIP_PORT (TCP: connection refused)");
	} else if (x->udp_us > x->failed_us) {
		problems_add(ret, to, "Open GOSSIP_PORT for TCP too, on that host and on the way to it.",
			     "TCP does not get through to GOSSIP_PORT, and UDP does");
	} else if (joined) {
		problems_add(
			ret, to,
			"Is the host up, and the address right? Open GOSSIP_PORT for TCP and UDP, on that host and "
			"on the way to it.",
			"does not answer on GOSSIP_PORT, neither TCP nor UDP: %s", strerror(-x->code));
	}
}

void gossip_path_problems(const struct gossip_paths *p, mono_t now, const struct endpoint *join, size_t n_join,
			  struct problems *ret)
{
	char to[ENDPOINT_STRLEN];

	for (size_t i = 0; i < p->n; i++) {
		const struct gossip_path *x = &p->v[i];
		bool joined = false;

		endpoint_format(&x->to, to);
		for (size_t k = 0; k < n_join; k++)
			joined = joined || endpoint_same(&join[k], &x->to);
		if (fresh(x->failed_us, now) && x->failed_us > x->open_us)
			failed_problem(x, joined, to, ret);
		else if (fresh(x->open_us, now) && x->opened >= SILENT)
			problems_add(ret, to,
				     "Open GOSSIP_PORT for UDP too, on both hosts and on the way between them.",
				     "UDP does not get through to GOSSIP_PORT, and TCP does");
	}
}
