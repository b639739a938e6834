/* SPDX-License-Identifier: Apache-2.0
 *
 * One container's sockets and rule: made through the broker, watched, given up. See the header for the states.
 */
#include "names/container.h"

#include <arpa/inet.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/log.h"
#include "names/answer.h"
#include "names/forward.h"

#define RETRY_FIRST_US (20 * USEC_PER_MSEC)
#define RETRY_LAST_US  (30 * USEC_PER_SEC)
#define PROBE_US       (100 * USEC_PER_MSEC) /* an answer or a refusal comes in less than one */
#define RESEND_US      (50 * USEC_PER_MSEC)  /* while it is refused: dockerd starts in a second or two */
/*
 * A flow that began while dockerd was replacing its rules leads past them, to a name server of the container's own if
 * there is one, and is not refused: it is left after a second, and a few times more
 */
#define RENEW_FIRST_US USEC_PER_SEC
#define RENEW_LAST_US  (16 * USEC_PER_SEC)
#define FLOW_IDLE_US   (30 * USEC_PER_SEC) /* net.netfilter.nf_conntrack_udp_timeout */
#define ROUNDS	       4		   /* batches of one container before others have their turn */

enum step { STEP_LISTEN, STEP_ASK, STEP_PROBE, STEP_RULE, STEP_ANSWERED, STEP_WAIT };

struct container {
	struct serve *serve;
	struct broker_ns ns;
	char id[LIMIT_ID];
	enum step step;
	bool calling; /* the broker will answer */
	bool anew;    /* but by then it is another sandbox */
	bool freed;   /* or nobody wants to know */
	int64_t retry_us, renew_us;
	unsigned refused; /* in a row */
	bool resending;	  /* the timer is set for that */
	bool heard;	  /* since the timer was set */
	int64_t asked_us; /* on, last */
	int listen_fd, ask_fd, rule_fd;
	struct fdwatch *listen_watch, *ask_watch;
	struct timer *timer;
	struct forward forward;
	const struct viewer *viewer;
	char why[200];
	uint16_t random[32]; /* for ids, from the kernel in one go */
	size_t n_random;
};

static void container_call(struct container *c);
static void ask_again(struct container *c);

/* --- states --- */

static void container_close(struct container *c)
{
	/* the rule first: from here on Docker's resolver is asked */
	autoclose_(&c->rule_fd);
	fdwatch_free(c->listen_watch);
	fdwatch_free(c->ask_watch);
	c->listen_watch = c->ask_watch = NULL;
	autoclose_(&c->listen_fd);
	autoclose_(&c->ask_fd);
	c->rule_fd = c->listen_fd = c->ask_fd = -1;
	forward_done(&c->forward);
}

static void container_begin(struct container *c)
{
	timer_stop(c->timer);
	container_close(c);
	c->step = STEP_LISTEN;
	c->refused = 0;
	container_call(c);
}

static void container_say(struct container *c, const char *why)
{
	if (str_eq(c->why, why))
		return;
	str_copy(c->why, why);
	log_debug("container is not answered", kv_str("container", c->id), kv_str("why", why));
	c->serve->changed(c->serve->arg);
}

static void container_wait(struct container *c, const char *why)
{
	container_close(c);
	c->step = STEP_WAIT;
	timer_start(c->timer, c->retry_us);
	c->retry_us = c->retry_us * 2 > RETRY_LAST_US ? RETRY_LAST_US : c->retry_us * 2;
	container_say(c, why);
}

static void container_no_resolver(struct container *c)
{
	container_wait(c, "Docker's resolver does not answer at 127.0.0.11: on Docker's default bridge there is none; "
			  "give the container dns: with the address of NAMES_LISTEN");
}

static void resend_later(struct container *c)
{
	if (c->resending)
		return;
	c->resending = true;
	timer_start(c->timer, RESEND_US);
}

static void renew_later(struct container *c)
{
	if (c->renew_us > RENEW_LAST_US)
		return;
	timer_start(c->timer, c->renew_us);
	c->renew_us *= 2;
}

/* Not while more is under way than could be sent again, if that is answered */
static bool renew_now(struct container *c)
{
	int64_t now_us = mono_now().us;
	bool busy = c->heard;

	c->heard = false;
	for (unsigned i = 0; busy && i < FORWARD_KEPT; i++)
		busy = forward_kept(&c->forward, now_us, i) != NULL;
	return !busy;
}

static void on_timer(void *arg)
{
	struct container *c = arg;

	if (c->step == STEP_PROBE) { /* neither answered nor refused: somebody is there */
		c->step = STEP_RULE;
		container_call(c);
	} else if (c->step == STEP_WAIT) {
		container_begin(c);
	} else if (c->step == STEP_ANSWERED) {
		if (c->resending || renew_now(c))
			ask_again(c);
		else
			timer_start(c->timer, RENEW_FIRST_US);
	}
}

/* --- to and from Docker's resolver --- */

static uint16_t container_random(struct container *c)
{
	if (!c->n_random) {
		if (getrandom(c->random, sizeof(c->random), GRND_NONBLOCK) != sizeof(c->random))
			return (uint16_t)hash64(&c->serve->asked_on, sizeof(c->serve->asked_on),
						(uint64_t)mono_now().us);
		c->n_random = ARRAY_LEN(c->random);
	}
	return c->random[--c->n_random];
}

/* What has not been answered, by another port, and so another flow to the resolver. It may have been refused as well */
static void ask_again(struct container *c)
{
	struct sockaddr_in resolver = {.sin_family = AF_INET, .sin_port = htons(53)};
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	int64_t now_us = mono_now().us;

	c->resending = false;
	inet_pton(AF_INET, "127.0.0.11", &resolver.sin_addr);
	if (connect(c->ask_fd, &none, sizeof(none)) < 0 ||
	    connect(c->ask_fd, (struct sockaddr *)&resolver, sizeof(resolver)) < 0) {
		log_debug("cannot ask anew", kv_str("container", c->id), kv_int("errno", errno));
		resend_later(c);
		return;
	}
	for (unsigned i = 0; i < FORWARD_KEPT; i++) {
		const struct forward_query *q = forward_kept(&c->forward, now_us, i);
		if (q && send(c->ask_fd, q->bytes, q->len, 0) < 0) {
			/* the one before was refused: nobody else will hear of that */
			resend_later(c);
			return;
		}
	}
	renew_later(c);
}

/*
 * The kernel told that nobody listens: an old flow, or dockerd is being started again. In between, our own names go on
 * being answered, and what is Docker's to answer waits for it.
 */
static void container_refused(struct container *c)
{
	c->serve->refused++;
	c->renew_us = RENEW_FIRST_US;
	if (c->refused++ == 0)
		ask_again(c);
	else
		resend_later(c);
}

static void ask_on(struct container *c, int64_t now_us, const struct sockaddr_in *client, uint8_t *query, size_t len)
{
	uint16_t client_id, id;

	memcpy(&client_id, query, sizeof(client_id)); /* as it stands: it is only put back */
	id = forward_add(&c->forward, now_us, container_random(c), client, client_id, dns_question_hash(query, len));
	memcpy(query, &id, sizeof(id));
	forward_keep(&c->forward, query, len);
	c->serve->asked_on++;
	if (now_us - c->asked_us > FLOW_IDLE_US) { /* the kernel has forgotten the flow: this begins one */
		c->renew_us = RENEW_FIRST_US;
		if (!timer_is_set(c->timer))
			renew_later(c);
	}
	c->asked_us = now_us;
	/* a full socket loses it; what is refused is an earlier one, and this one is sent with that if it was kept */
	if (send(c->ask_fd, query, len, 0) >= 0 || errno != ECONNREFUSED)
		return;
	container_refused(c);
	if (len > FORWARD_BYTES && send(c->ask_fd, query, len, 0) < 0)
		log_debug("cannot ask", kv_str("container", c->id), kv_int("errno", errno));
}

static void on_probe(struct container *c)
{
	timer_stop(c->timer);
	c->step = STEP_RULE;
	container_call(c);
}

static void on_ask(void *arg, int events)
{
	struct container *c = arg;
	uint8_t *in = c->serve->batch->answer;
	int64_t now_us = mono_now().us;

	for (int i = 0; i < ROUNDS * BATCH; i++) {
		ssize_t n = recv(c->ask_fd, in, sizeof(c->serve->batch->answer), MSG_DONTWAIT);
		struct sockaddr_in client;
		uint16_t id;

		if (n < 0 && errno == ECONNREFUSED) {
			if (c->step == STEP_PROBE)
				container_no_resolver(c);
			else
				container_refused(c);
			return;
		}
		if (n < 0)
			return;
		if (c->refused) {
			c->refused = 0;
			c->resending = false;
			renew_later(c);
		}
		if (c->step == STEP_PROBE) {
			on_probe(c);
			return;
		}
		if (n < DNS_HEADER_BYTES)
			continue;
		memcpy(&id, in, sizeof(id));
		if (!forward_take(&c->forward, now_us, id, dns_question_hash(in, (size_t)n), &client, &id))
			continue;
		c->heard = true;
		memcpy(in, &id, sizeof(id));
		if (sendto(c->listen_fd, in, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&client, sizeof(client)) < 0)
			log_debug("cannot answer", kv_str("container", c->id), kv_str("why", strerror(errno)));
	}
}

/* --- queries --- */

/* Return: false: no more for now */
static bool serve_batch(struct container *c)
{
	struct batch *b = c->serve->batch;
	struct sockaddr_in from[BATCH];
	struct iovec iov[BATCH], iov_out[BATCH];
	struct mmsghdr in[BATCH], out[BATCH];
	int64_t now_us = mono_now().us;
	unsigned n_out = 0;
	int n;

	for (size_t i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){.iov_base = b->in[i], .iov_len = sizeof(b->in[i])};
		in[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &from[i],
						     .msg_namelen = sizeof(from[i]),
						     .msg_iov = &iov[i],
						     .msg_iovlen = 1}};
	}
	n = recvmmsg(c->listen_fd, in, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		size_t len = in[i].msg_len, out_len = 0;

		if (in[i].msg_hdr.msg_flags & MSG_TRUNC)
			continue;
		switch (c->serve->table ? answer_query(c->serve->table, c->viewer, &c->serve->turn, b->in[i], len,
						       b->out[n_out], &out_len)
			: len < DNS_HEADER_BYTES ? VERDICT_DROP
						 : VERDICT_ASK_ON) {
		case VERDICT_REPLY:
			iov_out[n_out] = (struct iovec){.iov_base = b->out[n_out], .iov_len = out_len};
			out[n_out] = (struct mmsghdr){.msg_hdr = {.msg_name = &from[i],
								  .msg_namelen = sizeof(from[i]),
								  .msg_iov = &iov_out[n_out],
								  .msg_iovlen = 1}};
			n_out++;
			break;
		case VERDICT_ASK_ON:
			ask_on(c, now_us, &from[i], b->in[i], len);
			break;
		case VERDICT_DROP:
			break;
		}
	}
	c->serve->answered += n_out;
	for (unsigned sent = 0; sent < n_out;) {
		int rc = sendmmsg(c->listen_fd, out + sent, n_out - sent, MSG_DONTWAIT);

		sent += rc > 0 ? (unsigned)rc : 1; /* one that cannot be sent is lost, the others are not */
	}
	return n == BATCH;
}

static void on_listen(void *arg, int events)
{
	struct container *c = arg;

	for (int i = 0; i < ROUNDS && serve_batch(c); i++)
		;
}

/* --- the broker's answers --- */

static void container_probe(struct container *c)
{
	uint8_t header[DNS_HEADER_BYTES] = {0};
	uint16_t id = container_random(c);

	memcpy(header, &id, sizeof(id));
	c->step = STEP_PROBE;
	timer_start(c->timer, PROBE_US);
	/* a refusal of it comes by the socket */
	if (send(c->ask_fd, header, sizeof(header), 0) < 0 && errno != ECONNREFUSED)
		container_wait(c, strerror(errno));
}

static void container_take(struct container *c, int fd)
{
	switch (c->step) {
	case STEP_LISTEN:
		c->listen_fd = fd;
		c->listen_watch = fdwatch_new(c->serve->loop, "queries", fd, UV_READABLE, on_listen, c);
		c->step = STEP_ASK;
		container_call(c);
		return;
	case STEP_ASK:
		c->ask_fd = fd;
		c->ask_watch = fdwatch_new(c->serve->loop, "answers", fd, UV_READABLE, on_ask, c);
		container_probe(c);
		return;
	case STEP_RULE:
		c->rule_fd = fd;
		c->step = STEP_ANSWERED;
		c->retry_us = RETRY_FIRST_US;
		c->renew_us = RENEW_FIRST_US;
		c->resending = false;
		renew_later(c);
		c->why[0] = '\0';
		c->serve->changed(c->serve->arg);
		return;
	case STEP_PROBE:
	case STEP_ANSWERED:
	case STEP_WAIT:
		break;
	}
	autoclose_(&fd);
}

static void on_broker(void *arg, int code, int fd, const char *text)
{
	struct container *c = arg;

	c->calling = false;
	if (c->freed) {
		autoclose_(&fd);
		free(c);
	} else if (c->anew) {
		autoclose_(&fd);
		c->anew = false;
		container_begin(c);
	} else if (c->step == STEP_WAIT) {
		/* given up while it was under way */
		autoclose_(&fd);
	} else if (code < 0 || fd < 0) {
		autoclose_(&fd);
		/* what no try will change is tried seldom */
		if (code == -EOPNOTSUPP)
			c->retry_us = RETRY_LAST_US;
		container_wait(c, text[0] ? text : strerror(-code));
	} else {
		container_take(c, fd);
	}
}

static int container_port(const struct container *c)
{
	struct sockaddr_in sin = {0};
	socklen_t len = sizeof(sin);

	return getsockname(c->listen_fd, (struct sockaddr *)&sin, &len) < 0 ? 0 : ntohs(sin.sin_port);
}

static void container_call(struct container *c)
{
	enum broker_op op = c->step == STEP_RULE ? BROKER_DNS_RULE : BROKER_DNS;
	int arg = c->step == STEP_RULE ? container_port(c) : c->step == STEP_ASK ? BROKER_DNS_ASK : BROKER_DNS_LISTEN;

	if (c->calling) {
		c->anew = true;
		return;
	}
	c->calling = true;
	broker_call(c->serve->broker, op, &c->ns, arg, -1, on_broker, c);
}

/* --- from outside --- */

static void container_where(struct container *c, const struct inv_container *now)
{
	str_copy(c->ns.sandbox, now->sandbox);
	c->ns.pid = now->pid;
}

struct container *container_new(struct serve *s, const struct inv_container *from)
{
	struct container *c = xcalloc(1, sizeof(*c));

	c->serve = s;
	c->listen_fd = c->ask_fd = c->rule_fd = -1;
	c->retry_us = RETRY_FIRST_US;
	str_copy(c->id, from->id);
	str_print(c->ns.name, "ct:%s", from->id);
	container_where(c, from);
	c->timer = timer_new(s->loop, "container", on_timer, c);
	container_table_changed(c);
	container_begin(c);
	return c;
}

void container_free(struct container *c)
{
	if (!c)
		return;
	container_close(c);
	timer_free(c->timer);
	c->freed = true;
	if (!c->calling || !c->serve->broker)
		free(c);
}

void container_update(struct container *c, const struct inv_container *now)
{
	if (str_eq(c->ns.sandbox, now->sandbox) && c->ns.pid == now->pid)
		return;
	container_where(c, now);
	c->retry_us = RETRY_FIRST_US;
	container_begin(c);
}

void container_table_changed(struct container *c)
{
	c->viewer = c->serve->table ? table_viewer(c->serve->table, c->id) : NULL;
}

const char *container_id(const struct container *c)
{
	return c->id;
}

bool container_answered(const struct container *c)
{
	return c->step == STEP_ANSWERED;
}

bool container_failing(const struct container *c)
{
	return c->step != STEP_ANSWERED && c->why[0] && c->retry_us > USEC_PER_SEC;
}

const char *container_why(const struct container *c)
{
	return c->step == STEP_ANSWERED ? "" : c->why;
}
