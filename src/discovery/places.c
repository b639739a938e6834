/* SPDX-License-Identifier: Apache-2.0
 *
 * Taken addresses as spans that are sorted and joined when a place is looked for: so a run of taken ones is passed over
 * in one step, however many they are.
 */
#include "discovery/places.h"

#define PLACE_BITS 32
#define FEW	   64 /* so many unsorted ones are put in one by one */

void places_done(struct places *p)
{
	free(p->v);
	*p = (struct places){0};
}

void places_take(struct places *p, const struct prefix *prefix)
{
	struct span *s = xgrow(&p->v, p->n, &p->cap);
	struct prefix masked = prefix_mask(*prefix);

	p->n++;
	*s = (struct span){.first = masked.ip, .last = prefix_last(&masked)};
}

static int span_cmp(const void *a, const void *b)
{
	return ip_cmp(&((const struct span *)a)->first, &((const struct span *)b)->first);
}

/* Join what overlaps; spans come from prefixes, so those that just touch may stay two */
static void spans_join(struct places *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n; i++) {
		struct span *last = kept ? &p->v[kept - 1] : NULL;

		if (!last || ip_cmp(&p->v[i].first, &last->last) > 0)
			p->v[kept++] = p->v[i];
		else if (ip_cmp(&p->v[i].last, &last->last) > 0)
			last->last = p->v[i].last;
	}
	p->n = p->n_sorted = kept;
}

static void spans_sort(struct places *p)
{
	if (p->n_sorted == p->n)
		return;
	if (p->n - p->n_sorted > FEW) {
		qsort(p->v, p->n, sizeof(*p->v), span_cmp);
	} else {
		for (size_t i = p->n_sorted; i < p->n; i++) {
			struct span s = p->v[i];
			size_t at = i;

			while (at > 0 && span_cmp(&p->v[at - 1], &s) > 0)
				at--;
			memmove(&p->v[at + 1], &p->v[at], (i - at) * sizeof(s));
			p->v[at] = s;
		}
	}
	spans_join(p);
}

/* The first span that ends at or behind @first, if it begins before or at @last */
static const struct span *span_over(const struct places *p, const struct ip *first, const struct ip *last)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (ip_cmp(&p->v[mid].last, first) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < p->n && ip_cmp(&p->v[low].first, last) <= 0 ? &p->v[low] : NULL;
}

/* The number of the place that @ip, inside the pool, is in */
static uint64_t place_of(const struct prefix *pool, uint8_t len, const struct ip *ip)
{
	uint64_t n = 0;

	for (size_t bit = pool->len; bit < len; bit++)
		n = n << 1 | (ip->b[bit / 8] >> (7 - bit % 8) & 1);
	return n;
}

static const struct span *sets_over(struct places *const *sets, size_t n, const struct prefix *place)
{
	struct ip last = prefix_last(place);
	const struct span *s = NULL;

	for (size_t i = 0; !s && i < n; i++)
		s = span_over(sets[i], &place->ip, &last);
	return s;
}

bool places_choose(struct places *const *sets, size_t n_sets, const struct prefix *pool, uint8_t len, uint64_t hash,
		   struct prefix *ret)
{
	uint8_t grid = len - pool->len > PLACE_BITS ? (uint8_t)(pool->len + PLACE_BITS) : len;
	uint64_t places, n, tried = 0, next;

	if (len <= pool->len)
		return false;
	for (size_t i = 0; i < n_sets; i++)
		spans_sort(sets[i]);
	places = UINT64_C(1) << (grid - pool->len);
	n = hash & (places - 1);
	while (tried < places) {
		struct prefix place;
		const struct span *s;

		if (!prefix_nth(pool, grid, n, &place))
			return false;
		s = sets_over(sets, n_sets, &place);
		if (!s) {
			*ret = (struct prefix){.ip = place.ip, .len = len};
			return true;
		}
		next = prefix_has_ip(pool, &s->last) ? place_of(pool, grid, &s->last) + 1 : places;
		tried += next - n;
		n = next & (places - 1);
	}
	return false;
}
