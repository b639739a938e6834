/* SPDX-License-Identifier: Apache-2.0
 *
 * The names that we tell: sets of our stacks, when they change, with each interval, and to those who ask. See names.h.
 */
#include "discovery/names_state.h"

/* --- sets --- */

static void text_free(struct own *o)
{
	buf_done(&o->text);
	free(o->ends);
	o->ends = NULL;
	o->n_parts = o->cap_ends = 0;
}

static void own_free(struct own *o)
{
	text_free(o);
	name_stack_done(&o->names);
	free(o);
}

void say_done(struct names_state *s)
{
	for (size_t i = 0; i < s->n_own; i++)
		own_free(s->own[i]);
	free(s->own);
	free(s->answers);
}

static void text_part(void *arg, const char *data, size_t len)
{
	struct own *o = arg;

	buf_append(&o->text, data, len);
	*xgrow(&o->ends, o->n_parts, &o->cap_ends) = o->text.len;
	o->n_parts++;
}

void names_message(const struct core *core, const struct own *o, struct wire_names *m)
{
	*m = (struct wire_names){.host_ip = core->host_ip,
				 .vni = o->names.vni,
				 .seq = o->seq,
				 .names = o->names.names,
				 .n_names = o->names.n_names};
	str_copy(m->stack_id, o->names.stack_id);
	str_copy(m->host_id, core->config.host_id);
	str_copy(m->host_name, core->config.host_name);
}

/* Encode what is not encoded yet, or was from another address */
static void text_make(struct core *core, struct core_now now, struct own *o)
{
	struct wire_names m;

	if (o->n_parts && ip_cmp(&o->host_ip, &core->host_ip) == 0)
		return;
	text_free(o);
	o->next_part = 0;
	names_message(core, o, &m);
	m.timestamp = now.wall.ms / 1000;
	if (wire_names_encode(&m, text_part, o) < m.n_names)
		core_note(core, now.mono.us, m.stack_id, "Give fewer aliases, or part the stack.",
			  "has more names or addresses than can be announced: some are left out");
	o->host_ip = core->host_ip;
	o->last_parts = o->n_parts;
}

static void part_send(struct core *core, const struct own *o, size_t part, const struct endpoint *to)
{
	size_t begin = part ? o->ends[part - 1] : 0;

	action_send(core, to, o->text.data + begin, o->ends[part] - begin);
}

static struct own *own_find(const struct names_state *s, const struct name_stack *n)
{
	for (size_t i = 0; i < s->n_own; i++) {
		if (s->own[i]->names.vni == n->vni && str_eq(s->own[i]->names.stack_id, n->stack_id))
			return s->own[i];
	}
	return NULL;
}

static void answers_forget(struct names_state *s, const struct own *o)
{
	for (size_t i = s->n_answers; i-- > 0;) {
		if (s->answers[i].own == o)
			s->answers[i] = s->answers[--s->n_answers];
	}
}

/* Stacks that are no more: GOODBYE takes their names away with them */
static void own_sweep(struct names_state *s, const struct name_stack *stacks, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_own; i++) {
		bool there = false;

		for (size_t k = 0; !there && k < n; k++)
			there = stacks[k].vni == s->own[i]->names.vni &&
				str_eq(stacks[k].stack_id, s->own[i]->names.stack_id);
		if (there) {
			s->own[kept++] = s->own[i];
			continue;
		}
		answers_forget(s, s->own[i]);
		own_free(s->own[i]);
	}
	s->n_own = kept;
}

/* When the change of a moment ago may be followed by the next */
static int64_t change_due(const struct own *o, int64_t now_us)
{
	int64_t pause_us = CHANGE_US + (int64_t)o->last_parts * CHANGE_PART_US, due_us;

	due_us = o->changed_us + (pause_us < CHANGE_MAX_US ? pause_us : CHANGE_MAX_US);
	return o->seq && due_us > now_us ? due_us : now_us;
}

void core_names(struct core *core, struct core_now now, struct name_stack *stacks, size_t n)
{
	struct names_state *s = core->names;

	if (core->stopping)
		return;
	if (!core->seq_known)
		announce_seq(core, now.wall, 0);
	own_sweep(s, stacks, n);
	for (size_t i = 0; i < n; i++) {
		struct own *o = own_find(s, &stacks[i]);

		if (o && name_stack_same(&o->names, &stacks[i]))
			continue;
		if (!o) {
			o = xcalloc(1, sizeof(*o));
			/* NOLINTNEXTLINE(bugprone-sizeof-expression): it holds pointers */
			*xgrow(&s->own, s->n_own, &s->cap_own) = o;
			s->n_own++;
		}
		if (o->changed_us <= now.mono.us) /* else one is waiting already: this goes with it */
			o->changed_us = change_due(o, now.mono.us);
		o->send_us = o->changed_us;
		text_free(o);
		name_stack_done(&o->names);
		o->names = stacks[i];
		stacks[i] = (struct name_stack){0};
		o->seq = ++core->seq; /* the file gets it when it is written the next time */
		o->going = false;
		o->next_part = 0;
		o->fresh = true;
		o->left = o->names.n_names > LARGE_NAMES ? RESENDS - 1 : RESENDS;
		o->late = o->names.n_names <= LARGE_NAMES;
		o->empty_rounds = EMPTY_ROUNDS;
	}
	core_timer(core, now);
}

void names_online(struct core *core, int64_t now_us)
{
	struct names_state *s = core->names;

	for (size_t i = 0; i < s->n_own; i++) {
		struct own *o = s->own[i];

		o->going = false;
		o->left = RESENDS;
		o->send_us = now_us;
	}
}

void names_again(struct core *core, int64_t at_us)
{
	struct names_state *s = core->names;

	for (size_t i = 0; i < s->n_own; i++) {
		struct own *o = s->own[i];

		if (o->left > 0 && o->send_us > at_us) /* the late one: now */
			o->send_us = at_us;
		if (o->left > 0 || (o->names.n_names == 0 && o->empty_rounds == 0))
			continue;
		o->left = 1;
		o->send_us = at_us;
	}
}

void names_interval(struct core *core, int64_t now_us)
{
	struct names_state *s = core->names;

	for (size_t i = 0; i < s->n_own; i++) {
		struct own *o = s->own[i];

		if (o->left > 0 || (o->names.n_names == 0 && o->empty_rounds == 0))
			continue;
		if (o->names.n_names == 0)
			o->empty_rounds--;
		o->left = 1;
		o->send_us = now_us;
	}
}

void names_answer(struct core *core, const struct endpoint *to)
{
	struct names_state *s = core->names;

	if (peers_host(&core->peers, "", &to->ip) != TABLE_NONE)
		return; /* an older program, that does not know this type */
	for (size_t i = 0; i < s->n_own; i++) {
		struct own *o = s->own[i];
		bool under_way = o->names.n_names == 0 && o->empty_rounds == 0;

		for (size_t k = 0; !under_way && k < s->n_answers; k++)
			under_way = s->answers[k].own == o && s->answers[k].to.port == to->port &&
				    ip_cmp(&s->answers[k].to.ip, &to->ip) == 0;
		if (under_way || s->n_answers >= LIMIT_NAME_ANSWERS)
			continue;
		*xgrow(&s->answers, s->n_answers, &s->cap_answers) = (struct own_answer){.to = *to, .own = o};
		s->n_answers++;
	}
}

/* --- the timer --- */

static bool own_ready(const struct own *o, int64_t now_us)
{
	return o->going || (o->left > 0 && o->send_us <= now_us);
}

/* Some datagrams of a round. Return: how many; *ret_wait: the rate does not allow more. What is news may use all of it,
 * what is said again a half */
static size_t own_turn(struct core *core, struct core_now now, struct own *o, size_t room, bool *ret_wait)
{
	int64_t burst = o->fresh ? GROUP_BURST : GROUP_BURST / 2;
	size_t sent = 0;

	if (!o->going) {
		o->going = true;
		o->next_part = 0;
	}
	text_make(core, now, o);
	while (sent < room && o->next_part < o->n_parts) {
		if (!rate_pass(&core->names->group, now.mono.us, GROUP_RATE, burst)) {
			*ret_wait = true;
			return sent;
		}
		part_send(core, o, o->next_part++, NULL);
		sent++;
	}
	if (o->next_part < o->n_parts)
		return sent;
	o->going = o->fresh = false;
	o->left--;
	o->send_us = now.mono.us + core_jitter(core, 40 * USEC_PER_MSEC, 120 * USEC_PER_MSEC);
	if (o->left < RESENDS - 1)
		o->send_us += core_jitter(core, 160 * USEC_PER_MSEC, 380 * USEC_PER_MSEC);
	if (o->left == 0 &&
	    o->late) { /* what loses three in a row would leave a name that is no more for an interval */
		o->late = false;
		o->left = 1;
		o->send_us = now.mono.us + core_jitter(core, LATE_LOW_US, LATE_HIGH_US);
	}
	return sent;
}

/* The same to one address. *ret_done: all was said, or the rate does not allow more */
static size_t answer_turn(struct core *core, struct core_now now, struct own_answer *a, size_t room, bool *ret_done)
{
	size_t sent = 0;

	text_make(core, now, a->own);
	if (a->seq != a->own->seq) { /* parts of two sets do not go together */
		a->seq = a->own->seq;
		a->next_part = 0;
	}
	while (sent < room && a->next_part < a->own->n_parts) {
		if (!rate_pass(&peers_source(&core->peers, &a->to.ip)->names_out, now.mono.us, NAMES_ANSWER_RATE,
			       NAMES_ANSWER_BURST)) {
			core->counts[COUNT_RATE]++;
			*ret_done = true;
			return sent;
		}
		part_send(core, a->own, a->next_part++, &a->to);
		sent++;
	}
	*ret_done = a->next_part >= a->own->n_parts;
	return sent;
}

static size_t rounds_step(struct core *core, struct core_now now, size_t room, bool *ret_more, bool *ret_wait)
{
	struct names_state *s = core->names;
	size_t sent = 0;

	*ret_more = false;
	for (size_t i = 0; i < s->n_own && sent < room; i++) {
		struct own *o = s->own[(s->turn + i) % s->n_own];
		bool blocked = false;

		if (!own_ready(o, now.mono.us))
			continue;
		sent += own_turn(core, now, o, room - sent < TURN_NAMES ? room - sent : TURN_NAMES, &blocked);
		*ret_more = *ret_more || (!blocked && own_ready(o, now.mono.us));
		*ret_wait = *ret_wait || blocked;
	}
	if (s->n_own)
		s->turn = (s->turn + 1) % s->n_own;
	return sent;
}

static size_t answers_step(struct core *core, struct core_now now, size_t room)
{
	struct names_state *s = core->names;
	size_t sent = 0;

	for (size_t i = 0; i < s->n_answers && sent < room;) {
		bool done = false;

		sent += answer_turn(core, now, &s->answers[i], room - sent, &done);
		if (!done)
			break;
		memmove(&s->answers[i], &s->answers[i + 1], (--s->n_answers - i) * sizeof(s->answers[0]));
	}
	return sent;
}

/* What is sent to nobody need not be kept */
static void texts_sweep(struct names_state *s)
{
	for (size_t i = 0; i < s->n_own; i++) {
		bool wanted = s->own[i]->going;

		for (size_t k = 0; !wanted && k < s->n_answers; k++)
			wanted = s->answers[k].own == s->own[i];
		if (!wanted && s->own[i]->n_parts)
			text_free(s->own[i]);
	}
}

void say_timer(struct core *core, struct core_now now)
{
	struct names_state *s = core->names;
	size_t sent = 0, before;
	bool more = true, wait = false;

	if (!core->online) {
		for (size_t i = 0; i < s->n_own; i++)
			s->own[i]->going = false;
		s->n_answers = 0;
		return;
	}
	if (s->step_us > now.mono.us || say_due(core) > now.mono.us)
		return;
	/* half for each, so that neither holds up the other */
	while (more && sent < STEP_NAMES) {
		before = sent;
		sent += rounds_step(core, now, s->n_answers ? STEP_NAMES / 2 : STEP_NAMES - sent, &more, &wait);
		if (sent == before || s->n_answers)
			break;
	}
	if (s->n_answers)
		sent += answers_step(core, now, sent < STEP_NAMES ? STEP_NAMES - sent : 1);
	texts_sweep(s);
	s->step_us = now.mono.us + (wait && sent == 0 ? 10 * STEP_NAMES_US : STEP_NAMES_US);
}

int64_t say_due(const struct core *core)
{
	const struct names_state *s = core->names;
	int64_t due_us = INT64_MAX;

	if (!core->online)
		return INT64_MAX;
	if (s->n_answers)
		return s->step_us;
	for (size_t i = 0; i < s->n_own; i++) {
		const struct own *o = s->own[i];
		int64_t at_us = o->going ? s->step_us : o->left ? o->send_us : INT64_MAX;

		if (at_us < due_us)
			due_us = at_us;
	}
	return due_us < s->step_us ? s->step_us : due_us;
}
