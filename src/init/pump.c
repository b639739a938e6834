/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving what is in FIFOs to stdout. See init/pump.h for how.
 */
#include "init/pump.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "init/signals.h"

#define SPILL_BYTES (1 << 20)
/* no limit: a buffer is cut only where one is set */
#define ALL_BYTES ((size_t)1 << 30)
/* an ordinary file tells nobody that it grows */
#define FILE_MS	    200
#define DROP_BYTES  65536
#define PUNCH_BYTES (1 << 20)

enum out_kind { OUT_PIPE, OUT_COPY, OUT_SOCKET, OUT_DEAD };

struct work {
	struct pump_log *log;
	enum out_kind kind;
	int out;	  /* maybe opened anew, so that it does not block */
	size_t spilled;	  /* bytes in the spill */
	bool is_writable; /* as far as we know */
	bool is_stuck;	  /* block: the FIFO waits until something went out */
	off_t punched;
};

struct pump {
	struct work *works;
	size_t n;
	bool block, draining;
	char *dropped; /* DROP_BYTES, for what is not spliced */
};

int pump_log_init(struct pump_log *p, struct log_file *file, bool block)
{
	*p = (struct pump_log){.file = file, .spill = {-1, -1}};
	if (pipe2(p->spill, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	if (!block)
		fcntl(p->spill[1], F_SETPIPE_SZ, SPILL_BYTES); /* where it may not: a smaller one */
	p->state = mmap(NULL, sizeof(*p->state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->state == MAP_FAILED) {
		p->state = NULL;
		return -ENOMEM;
	}
	return 0;
}

void pump_log_done(struct pump_log *p)
{
	autoclose_(&p->spill[0]);
	autoclose_(&p->spill[1]);
	if (p->state)
		munmap(p->state, sizeof(*p->state));
	p->state = NULL;
}

static size_t waiting(int fd)
{
	int n = 0;

	return ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : 0;
}

/* --- bytes that survive the reader
 * -------------------------------------------------------------------------------------------------------------- */

static size_t bytes_left(const struct pump_bytes *b)
{
	return b->done < b->n ? b->n - b->done : 0;
}

/* A SIGKILL may come between any two stores, and the next pump sees what was stored: this keeps them in their order */
static void in_order(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

static void bytes_read(struct pump_bytes *b, int fd)
{
	memset(b->bytes, 0, b->n);
	in_order();
	b->n = 0;
	in_order();
	b->done = 0;
	b->reading = true;
	ssize_t n = read(fd, b->bytes, sizeof(b->bytes));
	b->n = n > 0 ? (size_t)n : 0;
	in_order();
	b->reading = false;
}

/* of a read() that was killed */
static void bytes_found(struct pump_bytes *b)
{
	size_t n = sizeof(b->bytes);

	if (!b->reading)
		return;
	while (n > b->n && b->bytes[n - 1] == '\0')
		n--;
	b->n = n;
	b->reading = false;
}

static void work_begin(struct work *w, struct pump_log *log)
{
	struct stat st;
	char name[64];

	*w = (struct work){.log = log, .out = log->file->out, .is_writable = true};
	w->spilled = waiting(log->spill[0]);
	bytes_found(&log->state->copying);
	bytes_found(&log->state->taking);
	if (log->state->done_then > log->state->taking.done && log->state->spilled_then == w->spilled)
		log->state->taking.done = log->state->done_then;
	if (fstat(w->out, &st) < 0)
		w->kind = OUT_DEAD;
	else if (S_ISSOCK(st.st_mode))
		w->kind = OUT_SOCKET;
	else
		w->kind = S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode) ? OUT_PIPE : OUT_COPY;
	if (!S_ISCHR(st.st_mode))
		return;
	/* a terminal: O_NONBLOCK on the descriptor that others have too would be theirs as well */
	str_print(name, "/proc/self/fd/%d", w->out);
	int fd = open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	w->out = fd < 0 ? w->out : fd;
}

/* --- out
 * -------------------------------------------------------------------------------------------------------------- */

/* what a write or a splice gave. Return: bytes that went; 0 for none now */
static size_t out_result(struct work *w, ssize_t n)
{
	if (n >= 0)
		return (size_t)n;
	if (errno == EAGAIN)
		w->is_writable = false;
	else if (errno == EINVAL && w->kind == OUT_PIPE)
		w->kind = OUT_COPY;
	else if (errno != EINTR)
		w->kind = OUT_DEAD; /* whoever listened is gone, or the disk is full: as with any program's stdout */
	return 0;
}

static void out_copy(struct work *w)
{
	struct pump_state *s = w->log->state;

	if (!bytes_left(&s->copying) && w->spilled) {
		bytes_read(&s->copying, w->log->spill[0]);
		size_t n = s->copying.n;
		w->spilled -= n && n < w->spilled ? n : w->spilled;
	}
	const char *p = s->copying.bytes + s->copying.done;
	size_t len = bytes_left(&s->copying);
	if (len)
		s->copying.done +=
			out_result(w, w->kind == OUT_SOCKET ? send(w->out, p, len, MSG_DONTWAIT | MSG_NOSIGNAL)
							    : write(w->out, p, len));
}

static uint64_t lines_in(const char *p, size_t n)
{
	uint64_t lines = 0;

	for (const char *end = p + n; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
		lines++;
	return lines;
}

static void lose(struct pump_state *s, const char *p, size_t n)
{
	s->lost_bytes += n;
	s->lost_lines += lines_in(p, n);
}

static void out_discard(struct work *w, char *scratch)
{
	struct pump_state *s = w->log->state;
	ssize_t n;

	lose(s, s->copying.bytes + s->copying.done, bytes_left(&s->copying));
	s->copying.done = s->copying.n;
	while ((n = read(w->log->spill[0], scratch, DROP_BYTES)) > 0)
		lose(s, scratch, (size_t)n);
	w->spilled = 0;
}

/* the spill is empty: say what was lost. What is written goes into it, and so stays in order. */
static void drop_tell(struct work *w)
{
	struct pump_state *s = w->log->state;
	char text[sizeof(s->holding) + 512];
	size_t n = s->held;

	memcpy(text, s->holding, n);
	if (n && s->lost_bytes && text[n - 1] != '\n')
		text[n++] = '\n';
	if (s->lost_bytes)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n,
			"docker-router-init: %.300s: %llu lines (%llu bytes) were lost, since they were not read fast "
			"enough\n",
			w->log->file->path, (unsigned long long)s->lost_lines, (unsigned long long)s->lost_bytes);
	if (n && write(w->log->spill[1], text, n) != (ssize_t)n)
		return; /* an empty pipe takes it; if not, the next turn tries again */
	w->spilled += n;
	s->mode = s->at_line_start || !s->lost_bytes ? PUMP_FLOW : PUMP_SKIP;
	s->held = 0;
	s->lost_bytes = s->lost_lines = 0;
}

static void work_out(struct pump *p, struct work *w)
{
	struct pump_state *s = w->log->state;

	while (w->is_writable && w->kind != OUT_DEAD && (w->spilled || bytes_left(&s->copying))) {
		size_t before = w->spilled + bytes_left(&s->copying);
		if (w->kind == OUT_PIPE && !bytes_left(&s->copying)) {
			size_t n = out_result(w, splice(w->log->spill[0], NULL, w->out, NULL, ALL_BYTES,
							SPLICE_F_NONBLOCK | SPLICE_F_MOVE));
			w->spilled -= n < w->spilled ? n : w->spilled;
		} else {
			out_copy(w);
		}
		if (w->spilled + bytes_left(&s->copying) < before)
			w->is_stuck = false;
	}
	w->is_stuck = w->is_stuck && !w->is_writable;
	if (w->kind == OUT_DEAD)
		out_discard(w, p->dropped);
	else if (s->mode == PUMP_DROP && !w->spilled && !bytes_left(&s->copying))
		drop_tell(w);
}

/* --- in
 * --------------------------------------------------------------------------------------------------------------- */

static void drop_begin(struct pump_state *s)
{
	s->mode = PUMP_DROP;
	s->held = 0;
	s->held_whole = false;
	s->at_line_start = true; /* nothing is lost yet */
}

/* throw away @n bytes, but for the first line, the beginning of which may be in the spill */
static void drop_bytes(struct pump_state *s, const char *p, size_t n)
{
	if (n)
		s->at_line_start = p[n - 1] == '\n';
	if (!s->held_whole) {
		const char *end = memchr(p, '\n', n);
		size_t len = end ? (size_t)(end - p) + 1 : n, room = sizeof(s->holding) - 1 - s->held;
		if (len > room)
			len = room;
		memcpy(s->holding + s->held, p, len);
		s->held += len;
		s->held_whole = end || s->held == sizeof(s->holding) - 1;
		p += len;
		n -= len;
	}
	lose(s, p, n);
}

static void drop_read(struct pump *p, struct work *w, int fd)
{
	ssize_t n = read(fd, p->dropped, DROP_BYTES);

	if (n > 0)
		drop_bytes(w->log->state, p->dropped, (size_t)n);
}

/* as much of @p as is to stay together: up to the last end of a line in a page, or a page */
static size_t piece(const char *p, size_t n)
{
	if (n > PIPE_BUF)
		n = PIPE_BUF;
	const char *end = memrchr(p, '\n', n);
	return end ? (size_t)(end - p) + 1 : n;
}

/* from what was read into the spill, in pieces; what has no room is dropped */
static void spill_taken(struct work *w)
{
	struct pump_state *s = w->log->state;
	struct pump_bytes *b = &s->taking;

	for (size_t left; (left = bytes_left(b)) > 0; b->done = s->done_then) {
		const char *p = b->bytes + b->done;
		size_t len = piece(p, left);
		s->spilled_then = w->spilled + len;
		in_order();
		s->done_then = b->done + len;
		if (write(w->log->spill[1], p, len) != (ssize_t)len) {
			drop_begin(s);
			drop_bytes(s, p, left);
			b->done = b->n;
			break;
		}
		w->spilled += len;
	}
	s->done_then = 0;
}

/* behind a gap: up to the end of a line it is lost, what follows is passed on */
static void skip_taken(struct work *w)
{
	struct pump_state *s = w->log->state;
	struct pump_bytes *b = &s->taking;
	size_t left = bytes_left(b);
	const char *p = b->bytes + b->done, *end = memchr(p, '\n', left);
	size_t lost = end ? (size_t)(end - p) + 1 : left;

	b->done += lost;
	lose(s, p, lost);
	if (!end)
		return;
	s->mode = PUMP_FLOW;
	spill_taken(w);
}

/*
 * Into the spill. What came one line at a time is copied, since splice() would give each line a page of its own and the
 * spill be full of 256 lines; a write() goes on in the last page, and one of up to a page is not cut.
 */
static void spill(struct work *w, int fd)
{
	struct pump_state *s = w->log->state;

	if (waiting(fd) >= DROP_BYTES) { /* pages that are full */
		ssize_t moved = splice(fd, NULL, w->log->spill[1], NULL, ALL_BYTES, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (moved > 0)
			w->spilled += (size_t)moved;
		else if (moved < 0 && errno == EAGAIN)
			drop_begin(s);
		return;
	}
	bytes_read(&s->taking, fd);
	spill_taken(w);
}

static void flow(struct pump *p, struct work *w, int fd)
{
	struct pump_state *s = w->log->state;

	if (w->kind == OUT_PIPE && w->is_writable && !w->spilled && !bytes_left(&s->copying)) {
		if (out_result(w, splice(fd, NULL, w->out, NULL, ALL_BYTES, SPLICE_F_NONBLOCK | SPLICE_F_MOVE)))
			return;
	}
	if (!p->block) {
		spill(w, fd);
	} else if (w->kind != OUT_PIPE && !bytes_left(&s->copying)) {
		bytes_read(&s->copying, fd);
	} else {
		w->is_stuck = true; /* what waits, waits in the FIFO */
	}
}

static void work_fifo(struct pump *p, struct work *w, int fd)
{
	if (w->kind == OUT_DEAD || w->log->state->mode == PUMP_DROP) {
		drop_read(p, w, fd);
	} else if (w->log->state->mode == PUMP_FLOW) {
		flow(p, w, fd);
	} else {
		bytes_read(&w->log->state->taking, fd);
		skip_taken(w);
	}
}

/*
 * An ordinary file: passed on as far as there is room; what is out gives its space back. Copied, since splice() would
 * hand on the very pages that a program may still change, and that are emptied below. Return: is there more?
 */
static bool work_file(struct pump *p, struct work *w, int fd)
{
	struct stat st;
	off_t at = lseek(fd, 0, SEEK_CUR);

	if (fstat(fd, &st) < 0 || at < 0)
		return false;
	if (st.st_size < at)
		at = lseek(fd, 0, SEEK_SET); /* it was cut */
	if (w->kind == OUT_DEAD) {
		lseek(fd, 0, SEEK_END);
		return false;
	}
	if (w->log->state->mode != PUMP_FLOW || at >= st.st_size)
		return false;
	ssize_t n = pread(fd, p->dropped, PIPE_BUF, at);
	if (n > 0) {
		n = (ssize_t)piece(p->dropped, (size_t)n);
		n = write(w->log->spill[1], p->dropped, (size_t)n);
	}
	if (n <= 0)
		return false;
	w->spilled += (size_t)n;
	at = lseek(fd, at + n, SEEK_SET);
	/* not every file system can */
	if (at - w->punched > PUNCH_BYTES && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, at) == 0)
		w->punched = at;
	return at < st.st_size;
}

/* --- the loop
 * --------------------------------------------------------------------------------------------------------- */

static bool work_is_done(const struct work *w)
{
	struct stat st;

	for (size_t i = 0; i < w->log->file->n_sources; i++) {
		const struct log_source *s = &w->log->file->sources[i];
		if (s->is_file ? fstat(s->fd, &st) == 0 && lseek(s->fd, 0, SEEK_CUR) < st.st_size : waiting(s->fd) > 0)
			return false;
	}
	return w->kind == OUT_DEAD ||
	       (!w->spilled && !bytes_left(&w->log->state->copying) && w->log->state->mode != PUMP_DROP);
}

/* what was lost behind the last line that told of it */
static void work_end(struct work *w)
{
	struct pump_state *s = w->log->state;

	if (!s->lost_bytes || w->kind == OUT_DEAD)
		return;
	s->held = 0;
	drop_tell(w);
	while (w->spilled && w->kind != OUT_DEAD && w->is_writable) {
		if (w->kind == OUT_PIPE) {
			size_t n = out_result(
				w, splice(w->log->spill[0], NULL, w->out, NULL, ALL_BYTES, SPLICE_F_NONBLOCK));
			w->spilled -= n < w->spilled ? n : w->spilled;
		} else {
			out_copy(w);
		}
	}
}

struct seat {
	struct work *w;
	int fd;
	bool is_out;
};

/* one round of the loop. Return: has a signal come? */
static bool pump_round(struct pump *p, int signal_fd, struct pollfd *polls, struct seat *seats)
{
	size_t n = 1;
	int timeout = -1;

	polls[0] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
	for (struct work *w = p->works; w < p->works + p->n; w++) {
		/* first, since what goes out makes room, and ends a wait of the FIFO */
		work_out(p, w);
		const struct log_file *f = w->log->file;
		for (size_t i = 0; i < f->n_sources; i++) {
			if (f->sources[i].is_file)
				timeout = work_file(p, w, f->sources[i].fd) ? 0 : timeout == 0 ? 0 : FILE_MS;
			else if (!w->is_stuck) {
				seats[n] = (struct seat){.w = w, .fd = f->sources[i].fd};
				polls[n++] = (struct pollfd){.fd = f->sources[i].fd, .events = POLLIN};
			}
		}
		if (w->spilled || bytes_left(&w->log->state->copying) || w->is_stuck) {
			seats[n] = (struct seat){.w = w, .is_out = true};
			polls[n++] = (struct pollfd){.fd = w->out, .events = POLLOUT};
		}
	}
	if (poll(polls, n, p->draining && timeout < 0 ? FILE_MS : timeout) <= 0)
		return false;
	for (size_t i = 1; i < n; i++) {
		if (!polls[i].revents)
			continue;
		if (seats[i].is_out)
			seats[i].w->is_writable = true;
		else
			work_fifo(p, seats[i].w, seats[i].fd);
	}
	return polls[0].revents != 0;
}

static bool pump_is_done(const struct pump *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (!work_is_done(&p->works[i]))
			return false;
	return true;
}

/* Is there a file that nobody writes any more? PID 1 closes it, and starts a pump without. */
static bool pump_has_over(const struct pump *p)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t j = 0; j < p->works[i].log->file->n_sources; j++)
			if (log_source_is_over(&p->works[i].log->file->sources[j]))
				return true;
	return false;
}

int pump_run(struct pump_log *logs, size_t n, bool block)
{
	size_t most = 1 + n * (LIMIT_LOG_SOURCES + 1);
	autofree struct work *works = xcalloc(n, sizeof(*works));
	autofree struct pollfd *polls = xcalloc(most, sizeof(*polls));
	autofree struct seat *seats = xcalloc(most, sizeof(*seats));
	autofree char *dropped = xmalloc(DROP_BYTES);
	struct pump p = {.works = works, .n = n, .block = block, .dropped = dropped};
	autoclose int signal_fd = signals_fd(SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGUSR1));

	if (signal_fd < 0)
		return signal_fd;
	for (size_t i = 0; i < n; i++) {
		work_begin(&works[i], &logs[i]);
		/* of a pump that was killed with it */
		if (logs[i].state->mode == PUMP_SKIP)
			skip_taken(&works[i]);
		else
			spill_taken(&works[i]);
	}
	for (;;) {
		int s = pump_round(&p, signal_fd, polls, seats) ? signals_read(signal_fd) : 0;
		if (s == SIGUSR1 || (s == 0 && !p.draining && pump_has_over(&p)))
			return PUMP_AGAIN;
		p.draining = p.draining || s == SIGTERM;
		if (p.draining && pump_is_done(&p))
			break;
	}
	for (size_t i = 0; i < n; i++)
		work_end(&works[i]);
	return 0;
}
