/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Netlink
 *
 * Requests are collected in a batch and handed to the kernel in one sendmsg(), which carries all of them out before it
 * returns. Only the last message of a batch asks for an ack, so success is silent; what failed is answered in any case,
 * and found again by its sequence number.
 *
 * The kernel queues its answers while it works. A small receive buffer could overflow before we read the first one, and
 * then failures would be lost. So a batch holds no more requests than answers fit into the buffer, and if it overflows
 * all the same, every request of the batch that has no answer counts as failed with ENOBUFS: better to do it twice than
 * to believe in a success.
 *
 * Nothing waits without a deadline.
 */
#include "io/nl.h"

#include <assert.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"

#define NL_BATCH_BYTES	 65536u
#define NL_PAYLOAD_BYTES 8192u
#define NL_RECEIVE_BYTES 65536u
#define NL_BUFFER_BYTES	 (8 << 20)
#define NL_ANSWER_BYTES	 2048u /* what one error with its text takes of the receive buffer, at most */
#define NL_DEADLINE_US	 (5 * USEC_PER_SEC)
#define NL_DUMP_REPEATS	 5
#define NL_EVENTS_A_TURN 1000
#define NL_DRAIN_READS	 65536

struct nl_request {
	uint32_t seq;
	void *cookie;
	int code; /* NL_OPEN while no answer has come */
	char *extack;
};
#define NL_OPEN 1

struct nl_failure {
	void *cookie;
	int code;
	char *extack;
};

struct nl {
	int fd;
	uint32_t seq;
	/* the batch; the buffer is there only between the first nl_begin() and nl_commit() */
	char *batch;
	size_t batch_len;
	struct nlmsghdr *open, *last; /* between nl_begin() and nl_end(); the one that was ended last */
	struct nl_request *requests;
	size_t n_requests, cap_requests, max_requests;
	struct nl_failure *failures;
	size_t n_failures, cap_failures;
	int broken; /* the socket itself failed: told by nl_commit() */
	/* events */
	struct fdwatch *watch;
	nl_msg_fn *event;
	loop_fn *lost;
	void *event_arg;
	bool busy, freed; /* inside a callback; freed there: the memory goes when it returns */
};

static void nl_buffer(int fd, int force, int plain, int bytes)
{
	if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

static void nl_bound_batch(struct nl *nl)
{
	int bytes = 0;
	socklen_t len = sizeof(bytes);

	getsockopt(nl->fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len);
	nl->max_requests = bytes > 0 ? (size_t)bytes / NL_ANSWER_BYTES : 1;
	if (nl->max_requests == 0)
		nl->max_requests = 1;
}

int nl_adopt(int fd, struct nl **ret, struct err *err)
{
	static const int options[] = {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK};
	struct sockaddr_nl self = {0};
	socklen_t len = sizeof(self);
	struct nl *nl;
	int on = 1;

	/* Old kernels lack some of them: then errors say less, and dumps more, than we want. Both can be lived with */
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		(void)setsockopt(fd, SOL_NETLINK, options[i], &on, sizeof(on));
	if (getsockname(fd, (struct sockaddr *)&self, &len) == 0 && self.nl_family == AF_NETLINK && self.nl_pid == 0) {
		self = (struct sockaddr_nl){.nl_family = AF_NETLINK};
		if (bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0) {
			int rc = err_errno(err, -errno, "bind a netlink socket");

			close(fd);
			return rc;
		}
	} else if (self.nl_family != AF_NETLINK) {
		close(fd);
		return err_set(err, -EINVAL, "not a netlink socket");
	}
	nl = xcalloc(1, sizeof(*nl));
	nl->fd = fd;
	nl->seq = (uint32_t)mono_now().us; /* so that a late answer to a predecessor is none to us */
	nl_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, NL_BUFFER_BYTES);
	nl_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, NL_BUFFER_BYTES / 8);
	nl_bound_batch(nl);
	*ret = nl;
	return 0;
}

int nl_open(int protocol, struct nl **ret, struct err *err)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

	if (fd < 0)
		return err_errno(err, -errno, "open a netlink socket");
	return nl_adopt(fd, ret, err);
}

static void nl_forget_failures(struct nl *nl)
{
	for (size_t i = 0; i < nl->n_failures; i++)
		free(nl->failures[i].extack);
	nl->n_failures = 0;
}

void nl_free(struct nl *nl)
{
	if (!nl)
		return;
	fdwatch_free(nl->watch);
	nl_forget_failures(nl);
	free(nl->failures);
	free(nl->requests);
	free(nl->batch);
	close(nl->fd);
	nl->freed = true;
	if (!nl->busy)
		free(nl);
}

void nl_set_rcvbuf(struct nl *nl, int bytes)
{
	(void)setsockopt(nl->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	nl_bound_batch(nl);
}

int nl_fd(const struct nl *nl)
{
	return nl->fd;
}

static int nl_wait(int fd, short events, int64_t deadline_us)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left_us = deadline_us - mono_now().us;
		int n;

		if (left_us <= 0)
			return -ETIMEDOUT;
		n = poll(&p, 1, (int)((left_us + 999) / 1000));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int nl_send(struct nl *nl, const void *data, size_t len)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int64_t deadline_us = mono_now().us + NL_DEADLINE_US;

	for (;;) {
		ssize_t n = sendto(nl->fd, data, len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
		int rc;

		if (n >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		/* an overrun that nobody has read yet is told to whoever calls next; it is no fault of what is sent */
		if (errno == ENOBUFS && mono_now().us < deadline_us) {
			socklen_t size = sizeof(rc);

			getsockopt(nl->fd, SOL_SOCKET, SO_ERROR, &rc, &size);
			rc = nl_wait(nl->fd, POLLOUT, deadline_us);
			if (rc < 0)
				return rc;
			continue;
		}
		if (errno != EAGAIN)
			return -errno;
		rc = nl_wait(nl->fd, POLLOUT, deadline_us);
		if (rc < 0)
			return rc;
	}
}

/*
 * Receive one datagram of the kernel's. Return: its length; 0: pass over it; -EAGAIN: none there; -EMSGSIZE: cut;
 * -ENOBUFS: overrun; else -errno
 */
static ssize_t nl_receive(struct nl *nl, void *in, size_t size)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {.iov_base = in, .iov_len = size};
	struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	do {
		n = recvmsg(nl->fd, &m, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (m.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return from.nl_pid == 0 ? n : 0; /* another process may send to us too: not our business */
}

static int nl_receive_until(struct nl *nl, void *in, size_t size, int64_t deadline_us)
{
	for (;;) {
		ssize_t n = nl_receive(nl, in, size);
		int rc;

		if (n != 0 && n != -EAGAIN)
			return (int)n;
		rc = nl_wait(nl->fd, POLLIN, deadline_us);
		if (rc < 0)
			return rc;
	}
}

/* The code of an NLMSG_ERROR or NLMSG_DONE, and the kernel's words for it */
static int nl_answer(const struct nlmsghdr *h, char *text, size_t size)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
	size_t payload = mnl_nlmsg_get_payload_len(h), at = sizeof(*e);

	text[0] = '\0';
	if (h->nlmsg_type == NLMSG_DONE) {
		if (payload < sizeof(int))
			return 0; /* older kernels end a dump without a code */
		at = sizeof(int);
	} else if (payload < sizeof(*e)) {
		return -EBADMSG;
	} else if (!(h->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > NLMSG_HDRLEN) {
		at += NLMSG_ALIGN(e->msg.nlmsg_len - NLMSG_HDRLEN); /* the request comes back whole */
	}
	if (h->nlmsg_flags & NLM_F_ACK_TLVS && at < payload) {
		const struct nlattr *a = (const void *)((const char *)e + at);

		for (int left = (int)(payload - at); mnl_attr_ok(a, left);) {
			if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG)
				snprintf(text, size, "%.*s", (int)mnl_attr_get_payload_len(a),
					 (const char *)mnl_attr_get_payload(a));
			left -= (int)MNL_ALIGN(a->nla_len);
			a = mnl_attr_next(a);
		}
	}
	return e->error > 0 ? -EBADMSG : e->error;
}

/* --- batches --- */

static struct nl_request *nl_request_find(struct nl *nl, uint32_t seq)
{
	uint32_t i = nl->n_requests ? seq - nl->requests[0].seq : 0; /* consecutive, and it may wrap */

	return i < nl->n_requests ? &nl->requests[i] : NULL;
}

static void nl_collect_answers(struct nl *nl, const void *in, int n)
{
	char text[160];

	for (const struct nlmsghdr *h = in; mnl_nlmsg_ok(h, n); h = mnl_nlmsg_next(h, &n)) {
		struct nl_request *r = nl_request_find(nl, h->nlmsg_seq);

		if (!r || h->nlmsg_type != NLMSG_ERROR || r->code != NL_OPEN)
			continue;
		r->code = nl_answer(h, text, sizeof(text));
		if (r->code < 0 && text[0])
			r->extack = xstrdup(text);
	}
}

/* Read the answers until that to the last request, which asked for an ack */
static int nl_collect(struct nl *nl)
{
	char in[NL_RECEIVE_BYTES] __attribute__((aligned(8)));
	int64_t deadline_us = mono_now().us + NL_DEADLINE_US;
	const struct nl_request *last = &nl->requests[nl->n_requests - 1];
	bool overrun = false;

	while (last->code == NL_OPEN || overrun) {
		int n = overrun ? (int)nl_receive(nl, in, sizeof(in))
				: nl_receive_until(nl, in, sizeof(in), deadline_us);

		if (n == -ENOBUFS)
			overrun = true; /* read what did fit, to leave the buffer empty */
		else if (n == -EAGAIN)
			return -ENOBUFS;
		else if (n < 0 && n != -EMSGSIZE) /* cut: an echo that nobody asked for; answers are short */
			return n;
		else if (n > 0)
			nl_collect_answers(nl, in, n);
	}
	return 0;
}

/* Say how the requests of a batch ended, in their order. @rc: of the batch as a whole */
static void nl_settle(struct nl *nl, int rc)
{
	for (size_t i = 0; i < nl->n_requests; i++) {
		struct nl_request *r = &nl->requests[i];

		/* without an answer it was done - or, if the batch broke, nobody told us */
		if (r->code == NL_OPEN)
			r->code = rc;
		if (r->code < 0) {
			*xgrow(&nl->failures, nl->n_failures, &nl->cap_failures) = (struct nl_failure){
				.cookie = r->cookie, .code = r->code, .extack = steal_ptr(r->extack)};
			nl->n_failures++;
		}
		free(r->extack);
	}
	nl->n_requests = 0;
	nl->batch_len = 0;
}

static void nl_flush(struct nl *nl)
{
	int rc = nl->broken;

	if (nl->n_requests == 0)
		return;
	nl->last->nlmsg_flags |= NLM_F_ACK;
	if (rc == 0)
		rc = nl_send(nl, nl->batch, nl->batch_len);
	if (rc == 0)
		rc = nl_collect(nl);
	if (rc < 0 && rc != -ENOBUFS)
		nl->broken = rc;
	nl_settle(nl, rc);
}

struct nlmsghdr *nl_begin(struct nl *nl, uint16_t type, uint16_t flags, void *cookie)
{
	struct nl_request *r;

	assert(!nl->open);
	if (!nl->batch)
		nl->batch = xmalloc(NL_BATCH_BYTES);
	if (nl->batch_len + NLMSG_HDRLEN + NL_PAYLOAD_BYTES > NL_BATCH_BYTES || nl->n_requests >= nl->max_requests)
		nl_flush(nl);
	r = xgrow(&nl->requests, nl->n_requests, &nl->cap_requests);
	*r = (struct nl_request){.seq = nl->seq++, .cookie = cookie, .code = NL_OPEN};
	nl->n_requests++;
	nl->open = mnl_nlmsg_put_header(nl->batch + nl->batch_len);
	nl->open->nlmsg_type = type;
	nl->open->nlmsg_flags = flags | NLM_F_REQUEST;
	nl->open->nlmsg_seq = r->seq;
	return nl->open;
}

void nl_end(struct nl *nl)
{
	assert(nl->open && nl->open->nlmsg_len <= NLMSG_HDRLEN + NL_PAYLOAD_BYTES);
	nl->batch_len += NLMSG_ALIGN(nl->open->nlmsg_len);
	nl->last = steal_ptr(nl->open);
}

int nl_commit(struct nl *nl, nl_fail_fn *fail, void *arg)
{
	struct nl_failure *failures;
	size_t n;
	int broken;

	assert(!nl->open);
	nl_flush(nl);
	free(nl->batch);
	nl->batch = NULL;
	/* taken out first: @fail may begin the next batch */
	failures = steal_ptr(nl->failures);
	n = nl->n_failures;
	nl->n_failures = nl->cap_failures = 0;
	broken = nl->broken;
	nl->broken = 0;
	for (size_t i = 0; i < n; i++) {
		if (fail)
			fail(arg, failures[i].cookie, failures[i].code, failures[i].extack ? failures[i].extack : "");
		free(failures[i].extack);
	}
	free(failures);
	return broken ? broken : (int)n;
}

/* --- transactions of nf_tables --- */

static void nl_bracket(struct buf *b, uint16_t type, uint32_t seq)
{
	_Alignas(struct nlmsghdr) char bytes[64];
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(h, sizeof(*nfg));

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = seq;
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
	buf_append(b, bytes, NLMSG_ALIGN(h->nlmsg_len));
}

/* Number the messages; the last one asks for an ack: the end of a transaction has none to give before Linux 6.10 */
static uint32_t nl_number(struct nl *nl, char *messages, size_t len)
{
	struct nlmsghdr *last = NULL;
	int left = (int)len;

	for (struct nlmsghdr *h = (void *)messages; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		h->nlmsg_seq = nl->seq++;
		last = h;
	}
	assert(last && left == 0);
	last->nlmsg_flags |= NLM_F_ACK;
	return last->nlmsg_seq;
}

/* Return: 0, 1 when the last one is done, or -errno */
static int nl_transaction_answers(const void *in, int n, uint32_t first, uint32_t last, struct err *err)
{
	char text[160];

	for (const struct nlmsghdr *h = in; mnl_nlmsg_ok(h, n); h = mnl_nlmsg_next(h, &n)) {
		if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq - first > last - first)
			continue;
		int code = nl_answer(h, text, sizeof(text));
		if (code < 0)
			return err_errno(err, code, "%s", text[0] ? text : "nf_tables");
		if (h->nlmsg_seq == last)
			return 1;
	}
	return 0;
}

int nl_transaction(struct nl *nl, const void *messages, size_t len, struct err *err)
{
	char in[NL_RECEIVE_BYTES] __attribute__((aligned(8)));
	int64_t deadline_us = mono_now().us + NL_DEADLINE_US;
	autobuf struct buf b = {0};
	uint32_t first = nl->seq++;

	assert(!nl->open);
	nl_bracket(&b, NFNL_MSG_BATCH_BEGIN, first);
	size_t at = b.len;
	buf_append(&b, messages, len);
	uint32_t last = nl_number(nl, b.data + at, len);
	nl_bracket(&b, NFNL_MSG_BATCH_END, nl->seq++);
	int rc = nl_send(nl, b.data, b.len);
	if (rc < 0)
		return err_errno(err, rc, "send to nf_tables");
	while (rc == 0) {
		int n = nl_receive_until(nl, in, sizeof(in), deadline_us);
		if (n < 0 && n != -EMSGSIZE) /* cut: an echo that nobody asked for */
			return err_errno(err, n, "answer of nf_tables");
		if (n > 0) /* after an error, what else there is to say is passed over by its number */
			rc = nl_transaction_answers(in, n, first, last, err);
	}
	return rc < 0 ? rc : 0;
}

/* --- dumps --- */

/* One pass. Return: 0; 1: interrupted, what came may be inconsistent; -errno */
static int nl_dump_once(struct nl *nl, struct nlmsghdr *req, nl_msg_fn *fn, void *arg, struct err *err)
{
	char in[NL_RECEIVE_BYTES] __attribute__((aligned(8)));
	int64_t deadline_us;
	bool interrupted = false, cut = false;
	char text[160];
	int rc;

	req->nlmsg_seq = nl->seq++;
	rc = nl_send(nl, req, req->nlmsg_len);
	if (rc < 0)
		return err_errno(err, rc, "netlink dump: send");
	deadline_us = mono_now().us + NL_DEADLINE_US;
	for (;;) {
		int n = nl_receive_until(nl, in, sizeof(in), deadline_us);

		if (n == -EMSGSIZE) {
			cut = true; /* the dump must still be read to its end */
			continue;
		}
		if (n == -ENOBUFS)
			continue; /* of an earlier batch: a dump goes on as fast as it is read */
		if (n < 0)
			return err_errno(err, n, "netlink dump: receive");
		deadline_us = mono_now().us + NL_DEADLINE_US; /* it moves: a long dump is no dead one */
		for (const struct nlmsghdr *h = (void *)in; mnl_nlmsg_ok(h, n); h = mnl_nlmsg_next(h, &n)) {
			if (h->nlmsg_seq != req->nlmsg_seq)
				continue;
			interrupted |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
				rc = nl_answer(h, text, sizeof(text));
				if (rc == -EINTR || (rc == 0 && interrupted))
					return 1;
				if (rc < 0)
					return err_errno(err, rc, text[0] ? "netlink dump: %s" : "netlink dump%s",
							 text);
				if (cut)
					return err_errno(err, -EMSGSIZE, "netlink dump: a message was cut");
				return 0;
			}
			if (h->nlmsg_type >= NLMSG_MIN_TYPE)
				fn(arg, h);
		}
	}
}

int nl_dump(struct nl *nl, struct nlmsghdr *req, nl_msg_fn *fn, loop_fn *restart, void *arg, struct err *err)
{
	req->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
	for (int i = 0;; i++) {
		int rc = nl_dump_once(nl, req, fn, arg, err);

		if (rc <= 0)
			return rc;
		if (i == NL_DUMP_REPEATS)
			return err_set(err, -EAGAIN, "netlink dump: interrupted by changes %d times in a row", i + 1);
		if (restart)
			restart(arg);
	}
}

int nl_get(struct nl *nl, struct nlmsghdr *req, nl_msg_fn *fn, void *arg, struct err *err)
{
	char in[NL_RECEIVE_BYTES] __attribute__((aligned(8)));
	int64_t deadline_us;
	char text[160];
	int rc;

	/* With the ack the end is known, whether an answer comes or not */
	req->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	req->nlmsg_seq = nl->seq++;
	rc = nl_send(nl, req, req->nlmsg_len);
	if (rc < 0)
		return err_errno(err, rc, "netlink: send");
	deadline_us = mono_now().us + NL_DEADLINE_US;
	for (;;) {
		int n = nl_receive_until(nl, in, sizeof(in), deadline_us);

		if (n == -ENOBUFS)
			continue; /* of an earlier batch */
		if (n < 0)
			return err_errno(err, n, "netlink: receive");
		for (const struct nlmsghdr *h = (void *)in; mnl_nlmsg_ok(h, n); h = mnl_nlmsg_next(h, &n)) {
			if (h->nlmsg_seq != req->nlmsg_seq)
				continue;
			if (h->nlmsg_type == NLMSG_ERROR) {
				rc = nl_answer(h, text, sizeof(text));
				if (rc == 0)
					return 0;
				return err_errno(err, rc, text[0] ? "netlink: %s" : "netlink%s", text);
			}
			if (fn && h->nlmsg_type >= NLMSG_MIN_TYPE)
				fn(arg, h);
		}
	}
}

/* --- events --- */

static void nl_drain(struct nl *nl, void *in, size_t size)
{
	/* What is still queued is older than the dump that follows. Bounded: in a storm the next overrun finds us again
	 */
	for (int i = 0; i < NL_DRAIN_READS; i++)
		if (nl_receive(nl, in, size) == -EAGAIN)
			break;
}

/* Pass on what is queued, up to a bound, so that others get their turn in a storm */
static void nl_read_events(struct nl *nl)
{
	char in[NL_RECEIVE_BYTES] __attribute__((aligned(8)));

	for (int budget = NL_EVENTS_A_TURN; budget > 0; budget--) {
		ssize_t n = nl_receive(nl, in, sizeof(in));
		int left = (int)n;

		if (n == -ENOBUFS || n == -EMSGSIZE) {
			log_debug("netlink events were lost", kv_int("code", n));
			nl_drain(nl, in, sizeof(in));
			nl->lost(nl->event_arg);
			return;
		}
		if (n < 0)
			return;
		for (const struct nlmsghdr *h = (void *)in; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			budget--;
			if (h->nlmsg_type >= NLMSG_MIN_TYPE)
				nl->event(nl->event_arg, h);
			if (nl->freed)
				return;
		}
		if (left > 0)
			log_debug("netlink event does not parse", kv_int("bytes_left", left));
	}
}

static void nl_readable(void *arg, int events)
{
	struct nl *nl = arg;

	(void)events;
	nl->busy = true;
	nl_read_events(nl);
	nl->busy = false;
	if (nl->freed)
		free(nl);
}

int nl_listen(struct nl *nl, uv_loop_t *loop, const unsigned *groups, nl_msg_fn *fn, loop_fn *lost, void *arg,
	      struct err *err)
{
	for (; *groups; groups++)
		if (setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, groups, sizeof(*groups)) < 0)
			return err_errno(err, -errno, "join netlink group %u", *groups);
	nl->event = fn;
	nl->lost = lost;
	nl->event_arg = arg;
	if (!nl->watch)
		nl->watch = fdwatch_new(loop, "netlink", nl->fd, UV_READABLE, nl_readable, nl);
	return 0;
}
