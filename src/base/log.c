/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines. A line is one write() of at most PIPE_BUF bytes, so that lines of several roles on one pipe never mix, and
 * so that poll() can promise that the write will not block. No colour: the lines end in journals and `docker logs`.
 */
#include "base/log.h"

#include <assert.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static_assert(ARRAY_LEN(level_names) == LOG_LEVEL_N_, "one name per level");

/* the one mutable global of the program: who logs, how much and how */
static struct {
	const char *role;
	enum log_level level;
	enum log_format format;
	bool no_time; /* the journal stamps lines itself */
	uint64_t dropped;
} log_state = {.role = "docker-router", .level = LOG_LEVEL_INFO};

void log_init(const char *role, enum log_level level, enum log_format format)
{
	log_state.role = role;
	log_state.level = level;
	log_state.format = format;
	log_state.no_time = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level level)
{
	log_state.level = level;
}

bool log_enabled(enum log_level level)
{
	return level <= log_state.level;
}

/* the fixed text: as it is, but it may have been made of an err.text, so control characters cannot pass */
static void put_text(struct buf *b, const char *s, bool json)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c < 0x20 || c > 0x7e)
			buf_printf(b, json ? "\\\\x%02x" : "\\x%02x", c);
		else if (json && (c == '"' || c == '\\'))
			buf_printf(b, "\\%c", c);
		else
			buf_append(b, s, 1);
	}
}

static bool is_bare(const char *s)
{
	static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/,@%+";
	size_t len = strspn(s, bare);
	return len > 0 && len < 200 && !s[len];
}

static void put_value(struct buf *b, const struct kv *kv, bool json)
{
	if (!kv->s) {
		buf_printf(b, "%lld", (long long)kv->n);
		return;
	}
	autobuf struct buf safe = {0};
	str_safe(&safe, kv->s);
	if (!json && is_bare(kv->s)) {
		buf_puts(b, kv->s);
		return;
	}
	buf_puts(b, "\"");
	if (json)
		put_text(b, safe.data, true);
	else
		buf_puts(b, safe.data);
	buf_puts(b, "\"");
}

static void put_time(struct buf *b)
{
	wall_t now = wall_now();
	char text[WALL_STRLEN];
	wall_format(now, text);
	buf_printf(b, "%.19s.%03dZ", text, (int)(now.ms % 1000));
}

static void make_text(struct buf *b, enum log_level level, const char *text, const struct kv *kv)
{
	if (!log_state.no_time) {
		put_time(b);
		buf_puts(b, " ");
	}
	buf_printf(b, "%s %s: ", level_names[level], log_state.role);
	put_text(b, text, false);
	for (; kv->key; kv++) {
		buf_printf(b, " %s=", kv->key);
		put_value(b, kv, false);
	}
	if (log_state.dropped)
		buf_printf(b, " lines_dropped=%llu", (unsigned long long)log_state.dropped);
	if (b->len > PIPE_BUF - 1) {
		b->len = PIPE_BUF - 4;
		buf_puts(b, "...");
	}
	buf_puts(b, "\n");
}

static void make_json(struct buf *b, enum log_level level, const char *text, const struct kv *kv)
{
	buf_puts(b, "{\"time\":\"");
	put_time(b);
	buf_printf(b, "\",\"level\":\"%s\",\"role\":\"%s\",\"msg\":\"", level_names[level], log_state.role);
	put_text(b, text, true);
	buf_puts(b, "\"");
	bool cut = b->len > PIPE_BUF - 64;
	if (cut) { /* no pair would fit; a line that is no JSON helps nobody */
		buf_clear(b);
		buf_printf(b, "{\"level\":\"%s\",\"role\":\"%s\",\"msg\":\"(too long)\"", level_names[level],
			   log_state.role);
	}
	for (; kv->key && !cut; kv++) {
		size_t before = b->len;
		buf_printf(b, ",\"%s\":", kv->key);
		put_value(b, kv, true);
		if (b->len > PIPE_BUF - 64) {
			b->len = before;
			break;
		}
	}
	if (log_state.dropped)
		buf_printf(b, ",\"lines_dropped\":%llu", (unsigned long long)log_state.dropped);
	buf_puts(b, "}\n");
}

static bool line_out(const struct buf *b)
{
	ssize_t n = send(STDERR_FILENO, b->data, b->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == ENOTSOCK) {
		struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
		if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLOUT))
			return false;
		do
			n = write(STDERR_FILENO, b->data, b->len);
		while (n < 0 && errno == EINTR);
	}
	return n >= 0;
}

void log_write(enum log_level level, const char *text, const struct kv *kv)
{
	if (!log_enabled(level))
		return;
	int saved = errno;
	autobuf struct buf line = {0};
	if (log_state.format == LOG_FORMAT_JSON)
		make_json(&line, level, text, kv);
	else
		make_text(&line, level, text, kv);
	if (line_out(&line))
		log_state.dropped = 0;
	else
		log_state.dropped++;
	errno = saved;
}

void log_signal(enum log_level level, const char *text, const char *key, const char *value)
{
	bool json = log_state.format == LOG_FORMAT_JSON;
	const char *const parts[] = {json ? "{\"level\":\"" : "",   level_names[level],
				     json ? "\",\"role\":\"" : " ", log_state.role,
				     json ? "\",\"msg\":\"" : ": ", text,
				     json ? "\",\"" : " ",	    key,
				     json ? "\":\"" : "=",	    value,
				     json ? "\"}\n" : "\n"};
	int saved = errno;
	char line[256];
	struct buf b = {.data = line};

	if (!log_enabled(level))
		return;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t len = strlen(parts[i]);

		if (len > sizeof(line) - b.len)
			return;
		memcpy(line + b.len, parts[i], len);
		b.len += len;
	}
	(void)line_out(&b);
	errno = saved;
}

bool log_limit_pass(struct log_limit *l, int64_t now_us, uint64_t *ret_held)
{
	if (now_us < l->next_us) {
		l->held++;
		return false;
	}
	*ret_held = l->held;
	l->held = 0;
	l->next_us = now_us + l->interval_us;
	return true;
}
