/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines on stderr: fixed text and key=value pairs, as text or as one JSON object a line.
 * base, io and state log at debug level only: who handles an error logs it, once.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/base.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_N_ };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/** struct kv - One pair of a log line; made by kv_str() and its kin, ended by a NULL key */
struct kv {
	const char *key;
	const char *s; /* NULL: @n is the value */
	int64_t n;
};

static inline struct kv kv_str(const char *key, const char *s)
{
	return (struct kv){.key = key, .s = s ? s : ""};
}

static inline struct kv kv_int(const char *key, int64_t n)
{
	return (struct kv){.key = key, .n = n};
}

/**
 * log_init() - Say who logs, how much and how
 * @role:   stands in front of each line; borrowed for ever (a literal)
 */
void log_init(const char *role, enum log_level level, enum log_format format);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/** log_write() - One line; keeps errno; never blocks the caller on a full pipe (the line is dropped and counted) */
void log_write(enum log_level level, const char *text, const struct kv *kv);

/**
 * log_signal() - One line from a signal handler: nothing is allocated, locked or formatted, so it has no time
 * @text, @key, @value: literals, or as harmless
 */
void log_signal(enum log_level level, const char *text, const char *key, const char *value);

/* the first pair is skipped: it stands there for the comma in front of __VA_ARGS__, which may be empty */
#define LOG_PAIRS_(...)	       ((const struct kv[]){{0}, ##__VA_ARGS__, {0}} + 1)
#define log_error(text, ...)   log_write(LOG_LEVEL_ERROR, text, LOG_PAIRS_(__VA_ARGS__))
#define log_warning(text, ...) log_write(LOG_LEVEL_WARNING, text, LOG_PAIRS_(__VA_ARGS__))
#define log_info(text, ...)    log_write(LOG_LEVEL_INFO, text, LOG_PAIRS_(__VA_ARGS__))
#define log_debug(text, ...)                                                       \
	do {                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                  \
			log_write(LOG_LEVEL_DEBUG, text, LOG_PAIRS_(__VA_ARGS__)); \
	} while (0)

/**
 * struct log_limit - Say a thing that strangers can cause at most once per @interval_us, with the count of what was
 * kept back
 */
struct log_limit {
	int64_t interval_us, next_us;
	uint64_t held;
};

/** log_limit_pass() - May the line be said at @now_us? Then *ret_held tells how many were held back since the last */
bool log_limit_pass(struct log_limit *l, int64_t now_us, uint64_t *ret_held);

#endif
