/* SPDX-License-Identifier: Apache-2.0
 *
 * What we say: own stacks, three times when they change and once per interval; questions; answers. Nothing is sent
 * while no address or no stack is there.
 */
#include <assert.h>

#include "discovery/core_state.h"
#include "discovery/names.h"
#include "state/peer_text.h"

/* Stacks per step and the time between steps, when many are to be said at once: receivers' buffers are finite */
#define STEP_STACKS 64
#define STEP_US	    (20 * USEC_PER_MSEC)
/* From so many peers on, answers to a question to all are spread, 50 us a peer, so that they do not meet in the asker's
 * buffer */
#define SPREAD_PEERS 256
#define SPREAD_US    50
/* With more stacks than this everything is said twice, not three times, and a question that is repeated within a second
 * is not answered again: else receivers would take us for a flood (SOURCE_BURST) */
#define MANY_STACKS	128
#define ANSWER_AGAIN_US (1 * USEC_PER_SEC)
#define GROUP_ANSWER_US (5 * USEC_PER_SEC) /* between two answers by the group */
#define GROUP_LOW_US	(300 * USEC_PER_MSEC)
#define GROUP_HIGH_US	(800 * USEC_PER_MSEC)

void announce_seq(struct core *core, wall_t wall, uint64_t seen)
{
	/* The file may be a few changes behind, the clock may have been set back: each alone would mute us */
	uint64_t by_clock = wall.ms > 0 ? (uint64_t)wall.ms : 0;
	uint64_t by_file = seen ? seen + 1000 : 0;
	uint64_t seq = by_clock > by_file ? by_clock : by_file;

	if (seq > core->seq)
		core->seq = seq;
	core->seq_known = true;
}

static uint64_t seq_next(struct core *core)
{
	core->changed = true;
	return ++core->seq;
}

/* --- sending --- */

struct sending {
	struct core *core;
	const struct endpoint *to;
};

static void send_part(void *arg, const char *data, size_t len)
{
	struct sending *s = arg;

	action_send(s->core, s->to, data, len);
}

void announce_message(const struct core *core, const struct local *l, struct wire_msg *m)
{
	*m = (struct wire_msg){.type = WIRE_ANNOUNCE,
			       .host_ip = core->host_ip,
			       .vni = l->stack.vni,
			       .uplink = l->stack.uplink,
			       .epoch = l->stack.epoch,
			       .port = core->config.vxlan_port,
			       .seq = l->seq,
			       .n_subnets = l->n_subnets,
			       .n_mapped = l->n_mapped,
			       .n_avoid = l->n_avoid,
			       .n_groups = l->stack.n_groups};
	if (core->config.sealed)
		m->wireguard = core->wireguard;
	str_copy(m->stack_id, l->stack.stack_id);
	str_copy(m->host_id, core->config.host_id);
	str_copy(m->host_name, core->config.host_name);
	m->vtep_mac = vtep_mac(m->host_id, m->vni);
	m->vtep_ip = vtep_ip(m->host_id, m->vni);
	memcpy(m->subnets, l->subnets, l->n_subnets * sizeof(m->subnets[0]));
	memcpy(m->mapped, l->mapped, l->n_mapped * sizeof(m->mapped[0]));
	memcpy(m->avoid, l->avoid, l->n_avoid * sizeof(m->avoid[0]));
	memcpy(m->groups, l->stack.groups, l->stack.n_groups * sizeof(m->groups[0]));
}

static void local_send(struct core *core, struct core_now now, const struct local *l, enum wire_type type,
		       const struct endpoint *to)
{
	struct wire_msg m;

	announce_message(core, l, &m);
	m.type = type;
	m.timestamp = now.wall.ms / 1000;
	wire_encode(&m, send_part, &(struct sending){.core = core, .to = to});
}

/* The stack that speaks for us in a question, or NULL */
static const struct local *local_speaker(const struct core *core)
{
	for (size_t i = 0; i < core->n_locals; i++) {
		if (!core->locals[i]->leaving)
			return core->locals[i];
	}
	return NULL;
}

/* The pause before the datagram after which @left remain */
static int64_t resend_pause(struct core *core, uint8_t left)
{
	if (core->stopping)
		return core_jitter(core, 20 * USEC_PER_MSEC, 60 * USEC_PER_MSEC);
	if (left == RESENDS - 1)
		return core_jitter(core, 40 * USEC_PER_MSEC, 120 * USEC_PER_MSEC);
	return core_jitter(core, 200 * USEC_PER_MSEC, 500 * USEC_PER_MSEC);
}

/* --- stacks --- */

static void local_free(struct local *l)
{
	free(l);
}

static void local_schedule(struct core *core, struct local *l, size_t nth, int64_t now_us, uint8_t times)
{
	l->left = times;
	l->send_us = now_us + (int64_t)(nth / STEP_STACKS) * STEP_US;
}

static uint8_t resends(const struct core *core)
{
	return core->n_locals > MANY_STACKS ? RESENDS - 1 : RESENDS;
}

static void locals_announce(struct core *core, int64_t now_us, uint8_t times)
{
	size_t nth = 0;

	for (size_t i = 0; i < core->n_locals; i++) {
		if (!core->locals[i]->leaving && core->locals[i]->left < times)
			local_schedule(core, core->locals[i], nth++, now_us, times);
	}
}

void announce_local(struct core *core, struct local *l, size_t nth, int64_t now_us)
{
	l->seq = seq_next(core);
	local_schedule(core, l, nth, now_us, resends(core));
}

static void announce_next(struct core *core, int64_t now_us)
{
	int64_t interval_us = core->config.announce_us;

	core->announce_us = now_us + core_jitter(core, interval_us / 10 * 9, interval_us / 10 * 11);
}

void announce_query(struct core *core, int64_t now_us)
{
	core->query_left = RESENDS;
	core->query_us = now_us;
}

void announce_refresh(struct core *core, struct core_now now, bool moved)
{
	bool was = core->online;

	core->online = core->started && !core->stopping && !ip_is_none(&core->host_ip) && local_speaker(core);
	if (!core->online) {
		core->query_left = 0;
		core->n_answers = 0;
		return;
	}
	if (was && !moved)
		return;
	if (moved) {
		for (size_t i = 0; i < core->n_locals; i++)
			core->locals[i]->seq = seq_next(core);
	}
	announce_query(core, now.mono.us);
	locals_announce(core, now.mono.us, resends(core));
	names_online(core, now.mono.us);
	announce_next(core, now.mono.us);
}

static struct local *local_find(const struct core *core, const struct local_stack *s)
{
	for (size_t i = 0; i < core->n_locals; i++) {
		if (core->locals[i]->stack.vni == s->vni && str_eq(core->locals[i]->stack.stack_id, s->stack_id))
			return core->locals[i];
	}
	return NULL;
}

static int prefix_order(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

/* Sorted and zero where unused, so that equal ones are equal bytes for the comparison below */
static void stack_canonical(struct local_stack *ret, const struct local_stack *s)
{
	memset(ret, 0, sizeof(*ret));
	str_copy(ret->stack_id, s->stack_id);
	ret->vni = s->vni;
	ret->uplink = s->uplink;
	ret->epoch = s->epoch;
	ret->n_subnets = s->n_subnets;
	for (size_t i = 0; i < s->n_subnets; i++)
		ret->subnets[i] = prefix_mask(s->subnets[i]);
	qsort(ret->subnets, ret->n_subnets, sizeof(ret->subnets[0]), prefix_order);
	memcpy(ret->groups, s->groups, s->n_groups * sizeof(s->groups[0]));
	ret->n_groups = groups_tidy(ret->groups, s->n_groups);
}

static bool stack_same(const struct local_stack *a, const struct local_stack *b)
{
	if (a->n_subnets != b->n_subnets || a->n_groups != b->n_groups || a->epoch != b->epoch ||
	    ip_cmp(&a->uplink, &b->uplink) != 0)
		return false;
	for (size_t i = 0; i < a->n_subnets; i++) {
		if (prefix_cmp(&a->subnets[i], &b->subnets[i]) != 0)
			return false;
	}
	for (size_t i = 0; i < a->n_groups; i++) {
		if (prefix_cmp(&a->groups[i], &b->groups[i]) != 0)
			return false;
	}
	return true;
}

static bool stack_in(const struct local_stack *s, const struct local_stack *stacks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (stacks[i].vni == s->vni && str_eq(stacks[i].stack_id, s->stack_id))
			return true;
	}
	return false;
}

static void local_leave(struct core *core, struct local *l, size_t nth, int64_t now_us)
{
	l->leaving = true;
	l->seq = seq_next(core);
	local_schedule(core, l, nth, now_us, ip_is_none(&core->host_ip) || !core->started ? 0 : resends(core));
}

static void locals_sweep(struct core *core)
{
	size_t kept = 0;

	for (size_t i = 0; i < core->n_locals; i++) {
		if (core->locals[i]->leaving && core->locals[i]->left == 0)
			local_free(core->locals[i]);
		else
			core->locals[kept++] = core->locals[i];
	}
	core->n_locals = kept;
}

void announce_stacks(struct core *core, struct core_now now, const struct local_stack *stacks, size_t n)
{
	size_t nth = 0;

	assert(n <= LIMIT_STACKS);
	for (size_t i = 0; i < core->n_locals; i++) {
		if (!core->locals[i]->leaving && !stack_in(&core->locals[i]->stack, stacks, n))
			local_leave(core, core->locals[i], nth++, now.mono.us);
	}
	for (size_t i = 0; i < n; i++) {
		struct local *l = local_find(core, &stacks[i]);
		struct local_stack s;

		stack_canonical(&s, &stacks[i]);
		if (l && !l->leaving && stack_same(&l->stack, &s))
			continue;
		if (!l) {
			l = xcalloc(1, sizeof(*l));
			/* NOLINTNEXTLINE(bugprone-sizeof-expression): it holds pointers */
			*xgrow(&core->locals, core->n_locals, &core->cap_locals) = l;
			core->n_locals++;
			str_copy(l->stack.stack_id, s.stack_id);
			l->stack.vni = s.vni;
			clash_local(core, l);
		}
		l->stack = s;
		l->n_subnets = s.n_subnets;
		memcpy(l->subnets, s.subnets, sizeof(s.subnets));
		l->leaving = false;
		l->seq = seq_next(core);
		local_schedule(core, l, nth++, now.mono.us, n > MANY_STACKS ? RESENDS - 1 : RESENDS);
	}
	locals_sweep(core);
	/* Before it is said for the first time */
	clash_changed(core);
	clash_settle(core, now);
	announce_refresh(core, now, false);
}

void core_wireguard(struct core *core, struct core_now now, const struct wg_say *w)
{
	if (wg_say_same(&core->wireguard, w))
		return;
	core->wireguard = *w;
	for (size_t i = 0; core->config.sealed && i < core->n_locals; i++) {
		if (!core->locals[i]->leaving)
			announce_local(core, core->locals[i], i, now.mono.us);
	}
}

bool core_is_sealed(const struct core *core)
{
	return core->config.sealed;
}

void core_sealed(struct core *core, struct core_now now, bool sealed)
{
	if (core->config.sealed == sealed)
		return;
	core->config.sealed = sealed;
	/* parts that came in clear are not to be ended by one that is sealed */
	parts_forget(core);
	for (size_t i = 0; i < core->n_locals; i++) {
		if (!core->locals[i]->leaving)
			announce_local(core, core->locals[i], i, now.mono.us);
	}
}

void announce_stop(struct core *core, struct core_now now)
{
	size_t nth = 0;

	core->stopping = true;
	if (core->config.goodbye) {
		for (size_t i = 0; i < core->n_locals; i++)
			local_leave(core, core->locals[i], nth++, now.mono.us);
	}
	for (size_t i = 0; i < core->n_locals; i++) {
		/* With goodbye off also those that were just being said are cut short: traffic shall flow on */
		if (!core->config.goodbye || !core->locals[i]->leaving)
			core->locals[i]->left = 0;
	}
	announce_refresh(core, now, false);
}

/* --- questions and answers --- */

void announce_ask(struct core *core, struct core_now now, const struct endpoint *to)
{
	if (core->online)
		local_send(core, now, local_speaker(core), WIRE_QUERY, to);
}

static void answer_send(struct core *core, struct core_now now, const struct endpoint *to)
{
	struct source *source = peers_source(&core->peers, &to->ip);

	for (size_t i = 0; i < core->n_locals; i++) {
		if (core->locals[i]->leaving)
			continue;
		if (!bucket_pass(&source->out, now.mono.us)) {
			core->counts[COUNT_RATE]++;
			return;
		}
		local_send(core, now, core->locals[i], WIRE_RESPONSE, to);
	}
	names_answer(core, to);
}

/* Never more often than every few seconds: one answer is for all who asked until then */
static void answer_by_group(struct core *core, int64_t now_us, int64_t delay_us)
{
	int64_t at_us = now_us + delay_us, earliest_us = core->group_answer_us + GROUP_ANSWER_US;

	if (!core->config.multicast || core->group_answer_us > now_us)
		return;
	core->group_answer_us = at_us > earliest_us ? at_us : earliest_us;
	locals_announce(core, core->group_answer_us, 1);
	names_again(core, core->group_answer_us);
}

void announce_answer(struct core *core, struct core_now now, struct host *h, const struct endpoint *to,
		     enum answer_kind kind)
{
	struct answer *a;

	if (!core->online)
		return;
	if (h && core->n_locals > MANY_STACKS / 4) {
		if (h->answered_us != 0 && now.mono.us - h->answered_us < ANSWER_AGAIN_US)
			return;
		h->answered_us = now.mono.us;
	}
	if (kind == ANSWER_OLDER || (kind == ANSWER_QUERY && core->peers.n_alive < SPREAD_PEERS))
		answer_by_group(core, now.mono.us,
				kind == ANSWER_OLDER ? 0 : core_jitter(core, GROUP_LOW_US, GROUP_HIGH_US));
	if (core->peers.n_alive < SPREAD_PEERS || core->n_answers >= LIMIT_ANSWERS) {
		answer_send(core, now, to);
		return;
	}
	a = xgrow(&core->answers, core->n_answers, &core->cap_answers);
	core->n_answers++;
	*a = (struct answer){.to = *to,
			     .send_us = now.mono.us + core_jitter(core, 0, (int64_t)core->peers.n_alive * SPREAD_US)};
}

/* --- the timer --- */

static void locals_timer(struct core *core, struct core_now now)
{
	bool swept = false;

	for (size_t i = 0; i < core->n_locals; i++) {
		struct local *l = core->locals[i];

		if (l->left == 0 || l->send_us > now.mono.us || ip_is_none(&core->host_ip) || !core->started)
			continue;
		local_send(core, now, l, l->leaving ? WIRE_GOODBYE : WIRE_ANNOUNCE, NULL);
		l->left--;
		l->send_us = now.mono.us + (l->left ? resend_pause(core, l->left) : 0);
		swept = swept || (l->leaving && l->left == 0);
	}
	if (swept)
		locals_sweep(core);
}

static bool locals_silent(const struct core *core)
{
	for (size_t i = 0; i < core->n_locals; i++) {
		if (core->locals[i]->left > 0 && !ip_is_none(&core->host_ip))
			return false;
	}
	return true;
}

static void answers_timer(struct core *core, struct core_now now)
{
	for (size_t i = core->n_answers; i-- > 0;) {
		if (core->answers[i].send_us > now.mono.us)
			continue;
		answer_send(core, now, &core->answers[i].to);
		core->answers[i] = core->answers[--core->n_answers];
	}
}

void announce_timer(struct core *core, struct core_now now)
{
	if (core->query_left && core->query_us <= now.mono.us && core->online) {
		local_send(core, now, local_speaker(core), WIRE_QUERY, NULL);
		core->query_left--;
		/* A large site has answered; asking it all a third time costs more than the few that were lost */
		if (core->peers.n_alive >= SPREAD_PEERS && core->query_left == 1)
			core->query_left = 0;
		core->query_us = now.mono.us + resend_pause(core, core->query_left);
	}
	if (core->online && core->announce_us <= now.mono.us) {
		locals_announce(core, now.mono.us, 1);
		names_interval(core, now.mono.us);
		announce_next(core, now.mono.us);
	}
	locals_timer(core, now);
	answers_timer(core, now);
	if (core->stopping && !core->stopped && locals_silent(core)) {
		core->stopped = true;
		action_stopped(core);
	}
}

int64_t announce_due(const struct core *core)
{
	int64_t due_us = INT64_MAX;

	if (!core->started || ip_is_none(&core->host_ip))
		return core->stopping && !core->stopped ? 0 : INT64_MAX;
	if (core->stopping && !core->stopped && locals_silent(core))
		return 0;
	if (core->online && core->announce_us < due_us)
		due_us = core->announce_us;
	if (core->online && core->query_left && core->query_us < due_us)
		due_us = core->query_us;
	for (size_t i = 0; i < core->n_locals; i++) {
		if (core->locals[i]->left && core->locals[i]->send_us < due_us)
			due_us = core->locals[i]->send_us;
	}
	for (size_t i = 0; i < core->n_answers; i++) {
		if (core->answers[i].send_us < due_us)
			due_us = core->answers[i].send_us;
	}
	return due_us;
}
