/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks up names for joining.
 */
#include "discovery/gossip_joins.h"

#include "base/log.h"

#define FOUND_US  (60 * USEC_PER_SEC)
#define RETRY_US  (3 * USEC_PER_SEC)
#define ADDRESSES 4 /* of one name */

struct lookup {
	uv_getaddrinfo_t request;   /* first: it is cast back */
	struct gossip_joins *joins; /* NULL: nobody wants to know any more */
	struct join_target target;
	bool running;
	int code; /* of the last one; 0: found, or not asked yet */
	int64_t next_us;
	struct endpoint found[ADDRESSES];
	size_t n_found;
};

struct gossip_joins {
	uv_loop_t *loop;
	uint16_t port;
	loop_fn *changed;
	void *arg;
	struct timer *timer;
	struct lookup *lookups[LIMIT_JOIN];
	size_t n;
};

static void joins_run(void *arg);

static void lookup_drop(struct lookup *l)
{
	l->joins = NULL;
	if (!l->running)
		free(l);
	else
		uv_cancel((uv_req_t *)&l->request);
}

static size_t results_take(const struct addrinfo *info, uint16_t port, struct endpoint *ret)
{
	size_t n = 0;

	for (; info && n < ADDRESSES; info = info->ai_next) {
		struct sockaddr_storage ss = {0};

		if (info->ai_addrlen > sizeof(ss) || (info->ai_family != AF_INET && info->ai_family != AF_INET6))
			continue;
		memcpy(&ss, info->ai_addr, info->ai_addrlen);
		ret[n] = endpoint_from_sockaddr(&ss);
		ret[n].port = port;
		if (!ip_is_multicast(&ret[n].ip) && !ip_is_unspecified(&ret[n].ip))
			n++;
	}
	return n;
}

static bool found_same(const struct endpoint *a, const struct endpoint *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (a[i].port != b[i].port || a[i].scope != b[i].scope || ip_cmp(&a[i].ip, &b[i].ip) != 0)
			return false;
	}
	return true;
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *info)
{
	struct lookup *l = (struct lookup *)request;
	struct gossip_joins *j = l->joins;
	struct endpoint found[ADDRESSES] = {0};
	size_t n = status == 0 ? results_take(info, l->target.address.port, found) : 0;
	bool changed;

	uv_freeaddrinfo(info);
	l->running = false;
	if (!j) {
		free(l);
		return;
	}
	if (status != 0 && l->code != status)
		log_warning("a name to join by is not found, trying again", kv_str("name", l->target.host),
			    kv_str("why", uv_strerror(status)));
	changed = l->code != status;
	l->code = status;
	if (n > 0) { /* one that cannot be looked up now is where it was */
		changed = changed || n != l->n_found || !found_same(l->found, found, n);
		memcpy(l->found, found, sizeof(found));
		l->n_found = n;
	}
	l->next_us = mono_now().us + (n ? FOUND_US : RETRY_US);
	joins_run(j);
	if (changed)
		j->changed(j->arg);
}

static void joins_run(void *arg)
{
	struct gossip_joins *j = arg;
	int64_t now_us = mono_now().us, next_us = INT64_MAX;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

	for (size_t i = 0; i < j->n; i++) {
		struct lookup *l = j->lookups[i];

		if (!ip_is_none(&l->target.address.ip) || l->running)
			continue;
		if (l->next_us <= now_us) {
			l->code = uv_getaddrinfo(j->loop, &l->request, on_found, l->target.host, NULL, &hints);
			l->running = l->code == 0;
			l->next_us = now_us + RETRY_US;
		}
		if (!l->running && l->next_us < next_us)
			next_us = l->next_us;
	}
	if (next_us != INT64_MAX)
		timer_start(j->timer, next_us - now_us);
}

struct gossip_joins *gossip_joins_new(uv_loop_t *loop, uint16_t port, loop_fn *changed, void *arg)
{
	struct gossip_joins *j = xcalloc(1, sizeof(*j));

	*j = (struct gossip_joins){.loop = loop, .port = port, .changed = changed, .arg = arg};
	j->timer = timer_new(loop, "names to join by", joins_run, j);
	setenv("UV_THREADPOOL_SIZE", "1", 0);
	return j;
}

void gossip_joins_free(struct gossip_joins *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->n; i++)
		lookup_drop(j->lookups[i]);
	timer_free(j->timer);
	free(j);
}

void gossip_joins_set(struct gossip_joins *j, const struct join_list *list)
{
	struct lookup *old[LIMIT_JOIN];
	size_t n_old = j->n;

	memcpy(old, j->lookups, sizeof(old));
	j->n = 0;
	for (size_t i = 0; i < list->n; i++) {
		struct join_target target;
		struct lookup *l = NULL;

		if (join_parse(list->to[i], j->port, &target) < 0)
			continue;
		for (size_t k = 0; k < n_old && !l; k++) {
			if (!old[k] || !str_eq(old[k]->target.host, target.host) ||
			    old[k]->target.address.port != target.address.port)
				continue;
			l = old[k];
			old[k] = NULL;
		}
		if (!l) {
			l = xcalloc(1, sizeof(*l));
			l->joins = j;
			l->target = target;
		}
		j->lookups[j->n++] = l;
	}
	for (size_t k = 0; k < n_old; k++) {
		if (old[k])
			lookup_drop(old[k]);
	}
	joins_run(j);
	j->changed(j->arg);
}

size_t gossip_joins_get(const struct gossip_joins *j, uint8_t family, struct endpoint ret[static GOSSIP_JOINS])
{
	size_t n = 0;

	for (size_t i = 0; i < j->n; i++) {
		const struct lookup *l = j->lookups[i];
		bool literal = !ip_is_none(&l->target.address.ip);

		for (size_t k = 0; k < (literal ? 1 : l->n_found) && n < GOSSIP_JOINS; k++) {
			ret[n] = literal ? l->target.address : l->found[k];
			n += ret[n].ip.family == family;
		}
	}
	return n;
}

void gossip_joins_problems(const struct gossip_joins *j, uint8_t family, struct problems *ret)
{
	for (size_t i = 0; i < j->n; i++) {
		const struct lookup *l = j->lookups[i];
		bool fits = l->n_found == 0;

		if (l->code != 0 && l->n_found == 0)
			problems_add(ret, l->target.host, "Correct GOSSIP_JOIN, or the name server.",
				     "cannot be joined by: the name is not found: %s", uv_strerror(l->code));
		for (size_t k = 0; k < l->n_found; k++)
			fits = fits || l->found[k].ip.family == family;
		if (!ip_is_none(&l->target.address.ip))
			fits = l->target.address.ip.family == family;
		if (!fits && family)
			problems_add(ret, l->target.host,
				     "All members need addresses of one family: set HOST_IP, or another GOSSIP_JOIN.",
				     "cannot be joined by: it has no %s address, and HOST_IP is one",
				     family == AF_INET6 ? "IPv6" : "IPv4");
	}
}
