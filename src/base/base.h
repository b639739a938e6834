/* SPDX-License-Identifier: Apache-2.0
 *
 * What every file uses: attributes, allocation, errors, growable buffers, arrays.
 * Allocation aborts when memory is out: what must survive is the kernel's, and a restart adopts it. Any size that
 * comes from outside is bounded by its parser before it is allocated.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUST_USE     __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define autofree  __attribute__((cleanup(autofree_)))
#define autoclose __attribute__((cleanup(autoclose_)))
#define autobuf	  __attribute__((cleanup(buf_done)))

/** alloc_sparing() - For a role that stays small: one arena, and what a list took for milliseconds is given back */
void alloc_sparing(void);
/** alloc_trim() - Give back what is free: after a list of megabytes, which comes seldom */
void alloc_trim(void);

/** xmalloc() and its kin - allocate or abort; the result is freed with free() */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);
void *xmemdup(const void *p, size_t size);

/**
 * xgrow() - Make room for one more element in an array
 * @items: address of the array's pointer, changed when it moves
 * @n:     elements in use
 * @cap:   elements there is room for, changed
 * @size:  size of one element
 *
 * Return: the address of the new, zeroed element items[n]; the caller counts n up.
 */
void *xgrow_(void **items, size_t n, size_t *cap, size_t size);
#define xgrow(items, n, cap) ((__typeof__(**(items)) *)xgrow_((void **)(items), (n), (cap), sizeof(**(items))))

static inline void autofree_(void *p)
{
	free(*(void **)p);
}

static inline void autoclose_(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void *steal_ptr_(void *p)
{
	void *taken = *(void **)p;
	*(void **)p = NULL;
	return taken;
}

static inline int steal_fd_(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

/** steal_ptr(), steal_fd() - hand a local over to a new owner */
#define steal_ptr(p) ((__typeof__(*(p)) *)steal_ptr_(&(p)))
#define steal_fd(fd) steal_fd_(&(fd))

/**
 * struct err - Why something failed, in words for the person who runs it
 * @code: negative errno
 * @text: one line, no newline; wrapped upward: "leg of shop: create veth: File exists"
 *
 * Filled on failure only. Functions take it last, may be given NULL, and return the code.
 */
struct err {
	int code;
	char text[320];
};

/** err_set() - Fill @err (may be NULL) with a message. Return: @code, a negative errno */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF(3, 4);
/** err_errno() - err_set() with ": strerror(code)" behind the message */
int err_errno(struct err *err, int code, const char *fmt, ...) PRINTF(3, 4);
/** err_wrap() - Put "prefix: " in front of a message that is there. Return: its code */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF(2, 3);

/**
 * struct buf - Bytes that grow; always NUL-terminated behind @len when @data is set
 */
struct buf {
	char *data;
	size_t len, cap;
};

void buf_reserve(struct buf *b, size_t more);
void buf_append(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_clear(struct buf *b);
void buf_done(struct buf *b);

/** str_copy() - Copy into an array of fixed size; false when @src did not fit (then truncated) */
bool str_copy_(char *dst, size_t size, const char *src);
#define str_copy(dst, src) str_copy_((dst), sizeof(dst), (src))
/** str_print() - snprintf into an array of fixed size */
#define str_print(dst, ...) snprintf((dst), sizeof(dst), __VA_ARGS__)
static inline bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/**
 * str_safe() - Quote text from outside for a log line or a terminal
 * @b: what is appended to: printable ASCII as it is, everything else, '"' and '\\' as \xNN; at most 200 characters
 */
void str_safe(struct buf *b, const char *s);

/** str_nearest() - The word of @words (NULL-terminated) that @word is a slip of, to say "did you mean"; or NULL */
const char *str_nearest(const char *word, const char *const *words);

/** parse_u64() - A decimal number, the whole string, min <= n <= max. Return: 0, -EINVAL or -ERANGE */
int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret_n) MUST_USE;

/** hash64() - A stable 64-bit hash (FNV-1a, finished by a mix), same on every machine; not for secrets */
uint64_t hash64(const void *data, size_t len, uint64_t seed);

#endif
