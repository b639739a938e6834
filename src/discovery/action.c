/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes out of the core: the queue of actions, log lines that strangers cannot multiply, problems for the file.
 */
#include "discovery/core_state.h"
#include "discovery/names.h"

const char *const core_count_names[COUNT_N_] = {
	[COUNT_RECEIVED] = "received", [COUNT_OWN] = "own",	  [COUNT_SHAPE] = "shape",
	[COUNT_VERSION] = "version",   [COUNT_FIELD] = "field",	  [COUNT_SENDER] = "sender",
	[COUNT_IDENTITY] = "identity", [COUNT_CLAIM] = "claim",	  [COUNT_RATE] = "rate",
	[COUNT_FULL] = "full",	       [COUNT_SUBNET] = "subnet", [COUNT_OLD] = "old",
	[COUNT_PART] = "part",	       [COUNT_NAMES] = "names",	  [COUNT_CLEAR] = "clear",
	[COUNT_KEY] = "key",	       [COUNT_FORGED] = "forged", [COUNT_AGAIN] = "again",
	[COUNT_SKEWED] = "skewed",
};

/* What the log says for each kind of refusal */
static const char *const refusals[COUNT_N_] = {
	[COUNT_SHAPE] = "datagram refused: malformed",
	[COUNT_VERSION] = "datagram refused: another version",
	[COUNT_FIELD] = "datagram refused: field",
	[COUNT_SENDER] = "datagram refused: sender",
	[COUNT_IDENTITY] = "datagram refused: another host uses our host_id",
	[COUNT_CLAIM] = "datagram refused: two addresses use one host_id",
	[COUNT_RATE] = "datagrams dropped: too many from one address",
	[COUNT_FULL] = "peer refused: too many",
	[COUNT_SUBNET] = "subnet refused",
	[COUNT_NAMES] = "name refused",
	[COUNT_PART] = "datagram refused: part",
	[COUNT_CLEAR] = "datagram refused: not sealed",
	[COUNT_KEY] = "datagram refused: key",
	[COUNT_FORGED] = "datagram refused: forged",
};

uint64_t core_random(struct core *core)
{
	core->random += UINT64_C(0x9e3779b97f4a7c15);
	return hash64(&core->random, sizeof(core->random), 0);
}

int64_t core_jitter(struct core *core, int64_t low_us, int64_t high_us)
{
	return low_us + (int64_t)(core_random(core) % (uint64_t)(high_us - low_us + 1));
}

void action_clear(struct action *a)
{
	free(a->data);
	free(a->about);
	free(a->why);
	*a = (struct action){0};
}

static struct action *action_add(struct core *core, enum action_kind kind)
{
	struct action *a = xgrow(&core->actions, core->n_actions, &core->cap_actions);

	core->n_actions++;
	a->kind = kind;
	return a;
}

void action_send(struct core *core, const struct endpoint *to, const char *data, size_t len)
{
	struct action *a = action_add(core, to ? ACTION_SEND : ACTION_SEND_GROUP);

	if (to)
		a->to = *to;
	a->data = xmemdup(data, len);
	a->len = len;
}

void action_stopped(struct core *core)
{
	action_add(core, ACTION_STOPPED);
}

bool core_next_action(struct core *core, struct action *ret)
{
	if (core->action_head > 0)
		action_clear(&core->actions[core->action_head - 1]);
	if (core->action_head == core->n_actions) {
		core->action_head = core->n_actions = 0;
		if (core->changed) {
			core->changed = false;
			*ret = (struct action){.kind = ACTION_CHANGED};
			return true;
		}
		if (names_changed(core)) {
			*ret = (struct action){.kind = ACTION_NAMES};
			return true;
		}
		/* After a storm of actions the room that they needed is given back */
		if (core->cap_actions > 1024) {
			free(core->actions);
			core->actions = NULL;
			core->cap_actions = 0;
		}
		return false;
	}
	*ret = core->actions[core->action_head++];
	return true;
}

void core_say(struct core *core, enum log_level level, const char *text, char *about, char *why, uint64_t held)
{
	struct action *a = action_add(core, ACTION_LOG);

	a->level = level;
	a->key = level == LOG_LEVEL_INFO ? "peer" : "from";
	a->text = text;
	a->about = about;
	a->why = why;
	a->held = held;
}

void core_say_stack(struct core *core, enum log_level level, const char *text, char *about, char *why)
{
	core_say(core, level, text, about, why, 0);
	core->actions[core->n_actions - 1].key = "stack";
}

char *peer_text(const struct peer *peer)
{
	char ip[IP_STRLEN];

	ip_format(&peer->host_ip, ip);
	if (peer->host_name[0])
		return xasprintf("%s@%s (%s), vni %u", peer->stack_id, peer->host_name, ip, peer->vni);
	return xasprintf("%s@%s, vni %u", peer->stack_id, ip, peer->vni);
}

void core_say_peer(struct core *core, int64_t now_us, enum log_level level, const char *text, const struct peer *peer,
		   char *why)
{
	struct bucket *b = &core->peer_lines;
	int64_t next_us = b->next_us > now_us ? b->next_us : now_us;

	if (next_us - now_us > PEER_LINES_BURST * PEER_LINES_US) {
		core->peer_lines_held++;
		free(why);
		return;
	}
	b->next_us = next_us + PEER_LINES_US;
	core_say(core, level, text, peer_text(peer), why, core->peer_lines_held);
	core->peer_lines_held = 0;
}

void core_refuse(struct core *core, int64_t now_us, enum core_count count, const struct endpoint *from, const char *fmt,
		 ...)
{
	char s[ENDPOINT_STRLEN], why[400];
	uint64_t held;
	va_list ap;

	core->counts[count]++;
	core->limits[count].interval_us = LOG_PAUSE_US;
	if (!refusals[count] || !log_limit_pass(&core->limits[count], now_us, &held))
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	core_say(core, LOG_LEVEL_WARNING, refusals[count], xstrdup(endpoint_format(from, s)), xstrdup(why), held);
}

static void note_clear(struct note *n)
{
	free(n->object);
	free(n->cure);
	free(n->text);
	*n = (struct note){0};
}

void core_note(struct core *core, int64_t now_us, const char *object, const char *cure, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < core->n_notes; i++) {
		if (str_eq(core->notes[i].object, object) && str_eq(core->notes[i].text, text)) {
			core->notes[i].until_us = now_us + NOTE_US;
			return;
		}
	}
	if (core->n_notes == LIMIT_NOTES)
		return;
	core->notes[core->n_notes++] = (struct note){
		.object = xstrdup(object), .cure = xstrdup(cure), .text = xstrdup(text), .until_us = now_us + NOTE_US};
	core->changed = true;
}

void core_note_end(struct core *core, const char *object, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (size_t i = core->n_notes; i-- > 0;) {
		if (str_eq(core->notes[i].object, object) && str_eq(core->notes[i].text, text))
			core->notes[i].until_us = 0;
	}
}

void notes_expire(struct core *core, int64_t now_us)
{
	for (size_t i = core->n_notes; i-- > 0;) {
		if (core->notes[i].until_us > now_us)
			continue;
		note_clear(&core->notes[i]);
		core->notes[i] = core->notes[--core->n_notes];
		core->notes[core->n_notes] = (struct note){0};
		core->changed = true;
	}
}
