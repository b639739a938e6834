/* SPDX-License-Identifier: Apache-2.0
 *
 * IGMP and MLD of hosts and of other queriers on two legs, with time that passes: whatever is sent, what is kept stays
 * within its bounds and runs out, and what is built from it is understood. And solicitations of routers.
 */
#include <assert.h>

#include "feed.h"
#include "multicast/advertise.h"
#include "multicast/igmp.h"
#include "multicast/membership.h"
#include "multicast/mld.h"
#include "multicast/querier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Most packets should get beyond the checksum */
static void sign(uint8_t *p, size_t len, bool v6, bool options)
{
	size_t head = v6 ? (options ? 48 : 40) : len ? (p[0] & 15) * 4u : 0;
	uint32_t sum = 0;

	if (len < head + 4 || head < 20)
		return;
	if (v6)
		sum = gmp_sum((uint32_t)(len - head) + 58, p + 8, 32);
	p[head + 2] = p[head + 3] = 0;
	gmp_set16(p + head + 2, gmp_checksum(sum, p + head, len - head));
}

/* What was asked for can be said, and is understood by ourselves */
static void say(const struct ip *group, const struct membership_filter *f)
{
	bool v6 = group->family == AF_INET6;
	uint8_t sources[GMP_SOURCES * 16], out[GMP_PACKET];
	struct ip from = ip_from_bytes(group->family, v6 ? "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1" : "\xc0\0\2\1");
	struct gmp_record r = {f->exclude ? GMP_TO_EXCLUDE : GMP_TO_INCLUDE, *group, sources, f->n};
	struct gmp_message m;
	size_t n, len;

	assert(f->n <= GMP_SOURCES);
	for (size_t i = 0; i < f->n; i++) {
		assert(f->sources[i].family == group->family);
		assert(i == 0 || ip_cmp(&f->sources[i - 1], &f->sources[i]) < 0);
		memcpy(sources + i * ip_size(group->family), f->sources[i].b, ip_size(group->family));
	}
	len = v6 ? mld_report_build(&from, &r, 1, out, &n) : igmp_report_build(&from, &r, 1, out, &n);
	assert(n == 1 && len <= GMP_PACKET);
	if (v6)
		assert(mld_parse(out, len, &m) == MLD_OK);
	else
		assert(igmp_parse(out, len, &m) == IGMP_OK);
}

static void drain(struct membership *m)
{
	struct membership_action a;
	size_t n = 0;

	while (membership_next_action(m, &a)) {
		assert(n++ < 100000);
		if (a.kind == MEMBERSHIP_ASK)
			say(&a.group, a.filter);
		if (a.kind == MEMBERSHIP_QUERY)
			assert(a.n_sources <= GMP_SOURCES);
	}
}

struct walk {
	const struct membership *m;
	size_t n;
};

static void check(void *arg, const struct membership_entry *e)
{
	struct walk *w = arg;

	w->n++;
	assert(!gmp_group_refused(&e->group) && !gmp_group_is_local(&e->group));
	assert(e->filter.exclude || e->filter.n);
	assert(membership_wants(w->m, e->leg, &e->group, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = {data, size};
	struct membership *m = membership_new();
	struct querier q[2] = {0};
	struct event e;
	int64_t now = 0;
	struct walk walk = {m, 0};

	for (uint32_t id = 1; id <= 3; id++) {
		struct membership_leg leg = {.id = id, .domain = 1, .upstream = true};

		assert(membership_leg_set(m, (mono_t){0}, &leg) == 0);
		membership_querier(m, (mono_t){0}, id, AF_INET, id != 2);
		membership_querier(m, (mono_t){0}, id, AF_INET6, id != 2);
	}
	for (int i = 0; i < 2; i++) {
		struct querier_config c = {
			.mode = QUERIER_AUTO,
			.family = i ? AF_INET6 : AF_INET,
			.self = ip_from_bytes(i ? AF_INET6 : AF_INET, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\7"),
			.listen_us = i ? QUERIER_LISTEN : 0};

		querier_config(&q[i], (mono_t){0}, &c);
	}
	while (feed_next(&f, &e)) {
		bool v6 = e.what[0] & 1, good;
		struct gmp_message msg;
		enum querier_action a;

		now += e.what[1] * USEC_PER_SEC / 4;
		if (!(e.what[0] & 2))
			sign(e.data, e.len, v6, !(e.what[0] & 4));
		membership_timer(m, (mono_t){now});
		drain(m);
		querier_timer(&q[v6], (mono_t){now});
		if (v6 && advertise_is_solicitation(e.data, e.len))
			assert(e.len >= 48 && e.data[40] == 133);
		good = v6 ? mld_parse(e.data, e.len, &msg) == MLD_OK : igmp_parse(e.data, e.len, &msg) == IGMP_OK;
		if (good) {
			querier_heard(&q[v6], (mono_t){now}, &msg);
			membership_heard(m, (mono_t){now}, 1 + e.what[2] % 3, &msg);
		}
		drain(m);
		while (querier_next_action(&q[v6], &a))
			;
		assert(querier_due(&q[v6]) > now - 1 || querier_due(&q[v6]) == INT64_MAX);
		free(e.data);
	}
	membership_entries(m, check, &walk);
	assert(walk.n <= MEMBERSHIP_GROUPS);
	/* nothing is for ever */
	for (int i = 0; i < 100000 && membership_due(m) != INT64_MAX; i++) {
		now = membership_due(m) > now ? membership_due(m) : now;
		membership_timer(m, (mono_t){now});
		drain(m);
	}
	assert(membership_due(m) == INT64_MAX);
	walk.n = 0;
	membership_entries(m, check, &walk);
	assert(walk.n == 0);
	membership_free(m);
	return 0;
}
