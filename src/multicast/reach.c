/* SPDX-License-Identifier: Apache-2.0
 *
 * Pairs of subnets to lines; see reach.h.
 */
#include "multicast/reach.h"

#include "io/forward_rule.h"

/* A subnet that packets can be routed to or from */
static bool is_wide(const struct prefix *p, uint8_t family)
{
	return p->ip.family == family && !ip_is_link_local(&p->ip) && p->len >= (family == AF_INET ? 8 : 16);
}

static size_t wide_count(const struct mc_leg *l, uint8_t family)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n_subnets; i++)
		n += is_wide(&l->subnets[i], family);
	return n;
}

/* The address for all hosts of an IPv4 subnet; false: it has none */
static bool broadcast_of(const struct prefix *p, struct ip *ret)
{
	if (p->ip.family != AF_INET || p->len > 30)
		return false;
	*ret = p->ip;
	for (int i = p->len; i < 32; i++)
		ret->b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return true;
}

static void line_put(const struct link *in, const struct link *out, const struct prefix *to, struct buf *b)
{
	char text[PREFIX_STRLEN], ip[IP_STRLEN];
	struct ip all;
	size_t n = 0;

	buf_printf(b, "%s %s %s", in->ifname, out->ifname, prefix_format(to, text));
	for (size_t i = 0; i < in->leg.n_subnets && n < FORWARD_LISTED; i++)
		if (is_wide(&in->leg.subnets[i], to->ip.family))
			buf_printf(b, "%s%s", n++ ? "," : " from=", prefix_format(&in->leg.subnets[i], text));
	n = 0;
	for (size_t i = 0; i < out->n_own && n < FORWARD_LISTED - 1; i++)
		if (prefix_has_ip(to, &out->own[i]))
			buf_printf(b, "%s%s", n++ ? "," : " but=", ip_format(&out->own[i], ip));
	if (broadcast_of(to, &all))
		buf_printf(b, "%s%s", n ? "," : " but=", ip_format(&all, ip));
	buf_puts(b, "\n");
}

static bool has_subnet(const struct link *l, const struct prefix *p)
{
	for (size_t i = 0; i < l->leg.n_subnets; i++)
		if (prefix_cmp(&l->leg.subnets[i], p) == 0)
			return true;
	return false;
}

static size_t way_rules(const struct link *in, const struct link *out, size_t *n, struct buf *b)
{
	size_t left_out = 0;

	for (size_t i = 0; i < out->leg.n_subnets; i++) {
		const struct prefix *to = &out->leg.subnets[i];

		/* where both have the same subnet no route says which is meant */
		if (!is_wide(to, to->ip.family) || !wide_count(&in->leg, to->ip.family) || has_subnet(in, to))
			continue;
		if (*n >= REACH_RULES) {
			left_out++;
			continue;
		}
		line_put(in, out, to, b);
		(*n)++;
	}
	return left_out;
}

size_t reach_rules(const struct links *links, struct buf *out)
{
	size_t n = 0, left_out = 0;

	for (size_t i = 0; i < links->n; i++)
		for (size_t k = 0; links->v[i]->leg.routed && k < links->n; k++)
			if (links->v[k]->leg.lan) {
				left_out += way_rules(links->v[k], links->v[i], &n, out);
				left_out += way_rules(links->v[i], links->v[k], &n, out);
			}
	return left_out;
}

size_t reach_prefixes(const struct links *links, struct prefix *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < links->n; i++)
		for (size_t k = 0; links->v[i]->leg.routed && k < links->v[i]->leg.n_subnets; k++)
			if (is_wide(&links->v[i]->leg.subnets[k], AF_INET6) && n < max)
				ret[n++] = links->v[i]->leg.subnets[k];
	return n;
}

static int line_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void lines_sort(struct buf *text)
{
	autofree char *copy = xstrdup(text->data ? text->data : "");
	char **lines = NULL, *save = NULL;
	size_t n = 0, cap = 0;

	for (char *s = strtok_r(copy, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		*xgrow(&lines, n, &cap) = s; /* NOLINT(bugprone-sizeof-expression): it holds pointers */
		n++;
	}
	if (n > 1)
		qsort(lines, n, sizeof(*lines), line_cmp);
	buf_clear(text);
	buf_puts(text, "");
	for (size_t i = 0; i < n; i++)
		buf_printf(text, "%s\n", lines[i]);
	free(lines);
}
