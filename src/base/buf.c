/* SPDX-License-Identifier: Apache-2.0
 *
 * Growable bytes, strings of fixed size, numbers from text.
 */
#include "base/base.h"

void buf_reserve(struct buf *b, size_t more)
{
	size_t need;
	if (__builtin_add_overflow(b->len, more, &need) || __builtin_add_overflow(need, 1, &need))
		abort();
	if (need <= b->cap)
		return;
	size_t cap = b->cap < 64 ? 64 : b->cap;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	b->data = xrealloc(b->data, cap);
	b->cap = cap;
	b->data[b->len] = '\0';
}

void buf_append(struct buf *b, const void *data, size_t len)
{
	buf_reserve(b, len);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_reserve(b, 120);
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
	if (n >= 0 && (size_t)n >= b->cap - b->len) {
		buf_reserve(b, (size_t)n);
		n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
	}
	va_end(again);
	va_end(ap);
	if (n > 0)
		b->len += (size_t)n;
	b->data[b->len] = '\0';
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

bool str_copy_(char *dst, size_t size, const char *src)
{
	size_t len = strnlen(src, size);
	bool fits = len < size;
	if (!fits)
		len = size - 1;
	memmove(dst, src, len);
	/* the rest too: structs with such arrays are compared as bytes */
	memset(dst + len, 0, size - len);
	return fits;
}

void str_safe(struct buf *b, const char *s)
{
	size_t n = 0;
	buf_reserve(b, 0);
	for (; *s && n < 200; s++, n++) {
		unsigned char c = (unsigned char)*s;
		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			buf_printf(b, "\\x%02x", c);
		else
			buf_append(b, s, 1);
	}
	if (*s)
		buf_puts(b, "...");
}

/* Levenshtein's distance of two short words; long ones are as far apart as can be */
static size_t distance(const char *a, const char *b)
{
	size_t row[33], len_a = strnlen(a, 33), len_b = strnlen(b, 33);
	if (len_a > 32 || len_b > 32)
		return 32;
	for (size_t j = 0; j <= len_b; j++)
		row[j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[len_b];
}

const char *str_nearest(const char *word, const char *const *words)
{
	const char *nearest = NULL;
	size_t best = strlen(word) / 3 + 1; /* a letter wrong in a short word, two in one of six */
	if (best > 3)
		best = 3;
	for (; *words; words++) {
		size_t d = distance(word, *words);
		if (d < best || (d == best && !nearest)) {
			best = d;
			nearest = *words;
		}
	}
	return nearest;
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret_n)
{
	uint64_t n = 0;
	bool over = false;
	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			over = true;
	}
	if (over || n < min || n > max)
		return -ERANGE;
	*ret_n = n;
	return 0;
}
