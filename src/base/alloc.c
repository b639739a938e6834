/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation that aborts when memory is out, and arrays that grow. Sizes are checked for overflow here, bounds on what
 * comes from outside are the parsers' business.
 */
#include "base/base.h"

#include <malloc.h>

void alloc_sparing(void)
{
#ifdef __GLIBC__ /* musl has one arena, and gives back what it can */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 256 * 1024);
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

void alloc_trim(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

static void *check(void *p)
{
	static const char message[] = "out of memory\n";
	if (p)
		return p;
	/* neither stdio nor the log: both may allocate */
	ssize_t unused = write(STDERR_FILENO, message, sizeof(message) - 1);
	(void)unused;
	abort();
}

void *xmalloc(size_t size)
{
	return check(malloc(size ? size : 1));
}

void *xcalloc(size_t n, size_t size)
{
	if (!n || !size)
		n = size = 1;
	return check(calloc(n, size));
}

void *xrealloc(void *p, size_t size)
{
	return check(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
	return check(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return check(strndup(s, n));
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return check(s);
}

void *xmemdup(const void *p, size_t size)
{
	void *copy = xmalloc(size);
	if (size)
		memcpy(copy, p, size);
	return copy;
}

void *xgrow_(void **items, size_t n, size_t *cap, size_t size)
{
	if (n >= *cap) {
		/* half as much again: an array of 10,000 peers should not waste another 10,000 */
		size_t more = *cap < 8 ? 8 : *cap + *cap / 2, bytes;
		if (more <= n)
			more = n + 1;
		if (__builtin_mul_overflow(more, size, &bytes))
			check(NULL);
		*items = xrealloc(*items, bytes);
		*cap = more;
	}
	char *item = (char *)*items + n * size;
	memset(item, 0, size);
	return item;
}
