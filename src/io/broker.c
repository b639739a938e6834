/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's side of the namespace broker: numbers its calls and finds the answers' owners again.
 */
#include "io/broker.h"

#include <fcntl.h>

#include "base/log.h"
#include "io/broker_wire.h"
#include "io/seqpacket.h"

struct broker_open_call {
	uint32_t id;
	broker_fn *fn;
	void *arg;
};

struct broker {
	struct seqpacket *link; /* NULL: the broker went away */
	struct timer *refuse;	/* answers calls that came after that */
	struct broker_open_call *calls;
	size_t n_calls, cap_calls;
	uint32_t next_id;
	unsigned busy; /* callbacks that run now */
	bool freed;    /* inside one: the memory goes when it returns */
};

/* Take call @i out and answer it. Return: false when the broker was freed in the callback, and is gone now */
static bool broker_answer(struct broker *b, size_t i, int code, int fd, const char *text)
{
	struct broker_open_call call = b->calls[i];

	b->n_calls--;
	memmove(&b->calls[i], &b->calls[i + 1], (b->n_calls - i) * sizeof(*b->calls));
	b->busy++;
	call.fn(call.arg, code, fd, text);
	b->busy--;
	if (!b->freed)
		return true;
	if (b->busy == 0)
		free(b);
	return false;
}

static void broker_refuse(void *arg)
{
	struct broker *b = arg;

	/* only those that are open now: a callback that calls again is answered in the next turn */
	for (size_t n = b->n_calls; n > 0; n--)
		if (!broker_answer(b, 0, -ECONNRESET, -1, "the namespace broker is gone"))
			return;
	if (b->n_calls > 0)
		timer_start(b->refuse, 0);
}

static void broker_closed(void *arg)
{
	struct broker *b = arg;

	seqpacket_free(b->link);
	b->link = NULL;
	broker_refuse(b);
}

static void broker_message(void *arg, const void *data, size_t len, int fd)
{
	const struct broker_reply *r = data;
	struct broker *b = arg;
	autofree char *text = NULL;

	if (len < sizeof(*r) || r->magic != BROKER_MAGIC || r->text_len != len - sizeof(*r)) {
		log_debug("broker: reply does not parse", kv_int("bytes", (int64_t)len));
		autoclose_(&fd);
		return;
	}
	text = xstrndup(r->text, r->text_len);
	for (size_t i = 0; i < b->n_calls; i++) {
		if (b->calls[i].id == r->id) {
			broker_answer(b, i, r->code, fd, text);
			return;
		}
	}
	autoclose_(&fd);
}

struct broker *broker_connect(uv_loop_t *loop, int fd)
{
	struct broker *b = xcalloc(1, sizeof(*b));

	fcntl(fd, F_SETFD, FD_CLOEXEC); /* inherited over our own exec, but not further */
	b->refuse = timer_new(loop, "broker-refuse", broker_refuse, b);
	b->link = seqpacket_new(loop, fd, sizeof(struct broker_reply) + BROKER_TEXT_BYTES, 0, broker_message,
				broker_closed, b);
	return b;
}

void broker_free(struct broker *b)
{
	if (!b)
		return;
	seqpacket_free(b->link);
	timer_free(b->refuse);
	free(b->calls);
	b->freed = true;
	if (b->busy == 0)
		free(b);
}

void broker_call(struct broker *b, enum broker_op op, const struct broker_ns *ns, int arg_n, int send_fd, broker_fn *fn,
		 void *arg)
{
	struct broker_request r = {.magic = BROKER_MAGIC, .id = b->next_id++, .op = op, .arg = arg_n};
	int fd = -1;

	if (ns)
		r.ns = *ns;
	else
		str_copy(r.ns.name, "host");
	*xgrow(&b->calls, b->n_calls, &b->cap_calls) = (struct broker_open_call){.id = r.id, .fn = fn, .arg = arg};
	b->n_calls++;
	if (!b->link) {
		timer_start(b->refuse, 0);
		return;
	}
	/* a copy, since the message may have to wait, and the caller keeps its own */
	if (send_fd >= 0)
		fd = fcntl(send_fd, F_DUPFD_CLOEXEC, 3);
	seqpacket_send(b->link, &r, sizeof(r), fd);
}
