/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages with descriptors over a socket pair.
 */
#include "io/seqpacket.h"

#include <sys/socket.h>

#define SEQPACKET_FDS	 8 /* room to receive several, so as to close them */
#define SEQPACKET_A_TURN 32

struct seqpacket_out {
	void *data;
	size_t len;
	int fd;
};

struct seqpacket {
	int fd;
	size_t max;
	int flags;
	bool paused, dead;
	struct fdwatch *watch;
	struct timer *ended; /* tells the owner of the end from the loop, whoever found it */
	struct seqpacket_out *out;
	size_t first_out, n_out, cap_out;
	char *in;
	seqpacket_fn *fn;
	loop_fn *closed;
	void *arg;
	bool busy, freed; /* inside a callback; freed there: the memory goes when it returns */
};

static void seqpacket_watch(struct seqpacket *p)
{
	bool waiting = p->n_out > p->first_out;
	int events = waiting ? UV_WRITABLE : 0;

	if (!p->paused && !(waiting && p->flags & SEQPACKET_ANSWER_FIRST))
		events |= UV_READABLE;
	fdwatch_set(p->watch, p->dead ? 0 : events);
}

static void seqpacket_end(struct seqpacket *p)
{
	if (p->dead)
		return;
	p->dead = true;
	seqpacket_watch(p);
	timer_start(p->ended, 0);
}

/* Return: 0, -EAGAIN, or -errno */
static int seqpacket_try(int sock, const void *data, size_t len, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = control.space;
		m.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do {
		n = sendmsg(sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void seqpacket_write(struct seqpacket *p)
{
	while (p->first_out < p->n_out) {
		struct seqpacket_out *o = &p->out[p->first_out];
		int rc = seqpacket_try(p->fd, o->data, o->len, o->fd);

		if (rc == -EAGAIN)
			return;
		autoclose_(&o->fd);
		free(o->data);
		p->first_out++;
		if (rc < 0) {
			seqpacket_end(p);
			return;
		}
	}
	p->first_out = p->n_out = 0;
}

/* Receive one message. Return: its length, 0 at the end, -errno */
static ssize_t seqpacket_receive(struct seqpacket *p, int *ret_fd)
{
	union {
		char space[CMSG_SPACE(SEQPACKET_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = p->in, .iov_len = p->max + 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.space,
			   .msg_controllen = sizeof(control.space)};
	size_t n_fds = 0;
	ssize_t n;

	do {
		n = recvmsg(p->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*ret_fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			autoclose_(ret_fd);
			memcpy(ret_fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			n_fds++;
		}
	}
	if (n_fds > 1) {
		autoclose_(ret_fd);
		*ret_fd = -1;
	}
	return n;
}

static void seqpacket_read(struct seqpacket *p)
{
	for (int i = 0; i < SEQPACKET_A_TURN && !p->paused && !p->dead; i++) {
		int fd = -1;
		ssize_t n = seqpacket_receive(p, &fd);

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			autoclose_(&fd);
			seqpacket_end(p);
			return;
		}
		p->fn(p->arg, p->in, (size_t)n, fd);
		if (p->freed || (p->flags & SEQPACKET_ANSWER_FIRST && p->n_out > p->first_out))
			return;
	}
}

static void seqpacket_release(struct seqpacket *p)
{
	free(p->in);
	free(p);
}

static void seqpacket_ready(void *arg, int events)
{
	struct seqpacket *p = arg;

	p->busy = true;
	if (events & UV_WRITABLE)
		seqpacket_write(p);
	if (events & UV_READABLE)
		seqpacket_read(p);
	p->busy = false;
	if (p->freed)
		seqpacket_release(p);
	else
		seqpacket_watch(p);
}

static void seqpacket_ended(void *arg)
{
	struct seqpacket *p = arg;

	p->closed(p->arg);
}

struct seqpacket *seqpacket_new(uv_loop_t *loop, int fd, size_t max, int flags, seqpacket_fn *fn, loop_fn *closed,
				void *arg)
{
	struct seqpacket *p = xcalloc(1, sizeof(*p));

	p->fd = fd;
	p->max = max;
	p->flags = flags;
	p->fn = fn;
	p->closed = closed;
	p->arg = arg;
	p->in = xmalloc(max + 1);
	p->ended = timer_new(loop, "seqpacket-ended", seqpacket_ended, p);
	p->watch = fdwatch_new(loop, "seqpacket", fd, UV_READABLE, seqpacket_ready, p);
	return p;
}

void seqpacket_free(struct seqpacket *p)
{
	if (!p)
		return;
	fdwatch_free(p->watch);
	timer_free(p->ended);
	close(p->fd);
	for (size_t i = p->first_out; i < p->n_out; i++) {
		autoclose_(&p->out[i].fd);
		free(p->out[i].data);
	}
	free(p->out);
	p->freed = true;
	if (!p->busy)
		seqpacket_release(p);
}

void seqpacket_send(struct seqpacket *p, const void *data, size_t len, int fd)
{
	struct seqpacket_out *o;

	if (p->dead) {
		autoclose_(&fd);
		return;
	}
	o = xgrow(&p->out, p->n_out, &p->cap_out);
	*o = (struct seqpacket_out){.data = xmemdup(data, len), .len = len, .fd = fd};
	p->n_out++;
	if (p->n_out == p->first_out + 1) /* else those before it wait for the other end to read */
		seqpacket_write(p);
	seqpacket_watch(p);
}

void seqpacket_pause(struct seqpacket *p, bool pause)
{
	p->paused = pause;
	seqpacket_watch(p);
}
