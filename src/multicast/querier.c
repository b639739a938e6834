/* SPDX-License-Identifier: Apache-2.0
 *
 * Election and the pace of general queries.
 */
#include "multicast/querier.h"

#define NEVER	    INT64_MAX
#define LIFE_MAX_US (INT64_C(3) * 3600 * USEC_PER_SEC)

const char *const querier_mode_names[QUERIER_MODE_N_] = {"off", "auto", "on"};
const char *const querier_state_names[QUERIER_STATE_N_] = {"silent", "listening", "asking", "other"};

static void state_set(struct querier *q, enum querier_state state)
{
	q->changed |= q->state != state;
	q->state = state;
}

static void ask_begin(struct querier *q, int64_t now)
{
	state_set(q, QUERIER_ASKING);
	q->startup = q->conf.robustness;
	q->higher = 0;
	q->ask_at = now;
	q->report_at = q->listen_until = NEVER;
}

void querier_config(struct querier *q, mono_t now, const struct querier_config *conf)
{
	struct querier_config c = *conf;
	bool same;

	c.robustness = c.robustness ? c.robustness : QUERIER_ROBUSTNESS;
	c.interval_us = c.interval_us > 0 ? c.interval_us : QUERIER_INTERVAL_US;
	c.response_us = c.response_us > 0 ? c.response_us : QUERIER_RESPONSE_US;
	if (c.response_us >= c.interval_us)
		c.response_us = c.interval_us / 2;
	if (c.listen_us < 0)
		c.listen_us = c.interval_us + c.response_us;
	same = q->conf.mode == c.mode && q->conf.family == c.family &&
	       ip_is_none(&q->conf.self) == ip_is_none(&c.self) && q->conf.interval_us;
	q->conf = c;
	if (same) {
		if (q->state == QUERIER_ASKING && q->ask_at > now.us + c.interval_us)
			q->ask_at = now.us + c.interval_us;
		return;
	}
	q->send_query = q->send_anonymous = false;
	q->ask_at = q->report_at = q->listen_until = q->other_until = NEVER;
	q->other = (struct ip){0};
	if (c.mode == QUERIER_OFF || ip_is_none(&c.self)) {
		state_set(q, QUERIER_SILENT);
		q->report_at = now.us;
	} else if (c.mode == QUERIER_ON || !c.listen_us) {
		ask_begin(q, now.us);
	} else {
		state_set(q, QUERIER_LISTENING);
		q->send_anonymous = c.family == AF_INET;
		q->listen_until = now.us + c.listen_us;
		q->report_at = now.us;
	}
	querier_timer(q, now);
}

/* How long somebody's silence is no news: section 8.5, by his own values when he tells them */
static int64_t other_life(const struct querier *q, const struct gmp_message *m)
{
	int64_t robustness = m->robustness ? m->robustness : q->conf.robustness;
	int64_t interval = m->interval_us ? m->interval_us : q->conf.interval_us;
	int64_t life = robustness * interval + m->max_response_us / 2;

	/* whatever he promises, three hours are too long for a switch, and a second is no promise */
	return life < USEC_PER_SEC ? USEC_PER_SEC : life > LIFE_MAX_US ? LIFE_MAX_US : life;
}

void querier_heard(struct querier *q, mono_t now, const struct gmp_message *m)
{
	bool lower, general = ip_is_none(&m->group);

	/* a query from 0.0.0.0 is a switch's, which asks on behalf of nobody (RFC 4541 section 2.1.1) */
	if (m->kind != GMP_QUERY || m->family != q->conf.family || !ip_cmp(&m->from, &q->conf.self) ||
	    ip_is_unspecified(&m->from))
		return;
	q->heard++;
	lower = ip_is_none(&q->conf.self) || ip_cmp(&m->from, &q->conf.self) < 0;
	switch (q->state) {
	case QUERIER_SILENT:
		/* who asks makes the kernel report: nothing to do unasked meanwhile */
		if (general)
			q->report_at = now.us + other_life(q, m);
		break;
	case QUERIER_OTHER:
		/* a lower one replaces him; a higher one only when he is gone */
		if (ip_cmp(&m->from, &q->other) > 0)
			return;
		if (!general && ip_cmp(&m->from, &q->other))
			return;
		break;
	case QUERIER_ASKING:
		if (q->conf.mode == QUERIER_ON)
			break;
		if (general && !lower)
			q->higher++;
		if (!lower && q->higher < QUERIER_YIELD)
			break;
		state_set(q, QUERIER_OTHER);
		break;
	case QUERIER_LISTENING:
		state_set(q, QUERIER_OTHER);
		break;
	case QUERIER_STATE_N_:
		return;
	}
	/* a group's query says nothing of its sender's pace, but that he is there */
	if (!general && q->state == QUERIER_OTHER && q->other_until != NEVER && !ip_cmp(&m->from, &q->other))
		return;
	q->other = m->from;
	q->other_version = m->version;
	q->other_until = now.us + other_life(q, m);
	if (q->state == QUERIER_OTHER) {
		q->ask_at = q->report_at = q->listen_until = NEVER;
		q->send_query = q->send_report = q->send_anonymous = false;
	}
}

void querier_timer(struct querier *q, mono_t now)
{
	if (!q->conf.interval_us)
		return; /* never configured */
	if (q->other_until <= now.us) {
		q->other_until = NEVER;
		q->other = (struct ip){0};
		q->higher = 0;
		if (q->state == QUERIER_OTHER)
			ask_begin(q, now.us);
	}
	if (q->state == QUERIER_LISTENING && q->listen_until <= now.us)
		ask_begin(q, now.us);
	if (q->state == QUERIER_ASKING && q->ask_at <= now.us) {
		q->send_query = true;
		/* section 8.6: the first ones come four times as quickly */
		q->ask_at = now.us + (q->startup > 1 ? q->conf.interval_us / 4 : q->conf.interval_us);
		if (q->startup)
			q->startup--;
	}
	if (q->report_at <= now.us) {
		q->send_report = true;
		q->report_at = now.us + q->conf.interval_us;
	}
}

int64_t querier_due(const struct querier *q)
{
	int64_t due = NEVER;

	if (!q->conf.interval_us)
		return due;
	due = q->other_until < due ? q->other_until : due;
	due = q->listen_until < due ? q->listen_until : due;
	due = q->ask_at < due ? q->ask_at : due;
	due = q->report_at < due ? q->report_at : due;
	return due;
}

static bool take(bool *flag)
{
	bool was = *flag;

	*flag = false;
	return was;
}

bool querier_next_action(struct querier *q, enum querier_action *ret)
{
	if (take(&q->changed))
		*ret = QUERIER_CHANGED;
	else if (take(&q->send_query))
		*ret = QUERIER_SEND;
	else if (take(&q->send_anonymous))
		*ret = QUERIER_SEND_ANY;
	else if (take(&q->send_report))
		*ret = QUERIER_REPORT;
	else
		return false;
	q->sent += *ret == QUERIER_SEND || *ret == QUERIER_SEND_ANY;
	return true;
}

bool querier_is_us(const struct querier *q)
{
	return q->state == QUERIER_ASKING;
}

struct gmp_query querier_query(const struct querier *q)
{
	return (struct gmp_query){
		.version = q->conf.family == AF_INET6 ? 2 : 3,
		.max_response_us = q->conf.response_us,
		.interval_us = q->conf.interval_us,
		.robustness = q->conf.robustness,
	};
}
