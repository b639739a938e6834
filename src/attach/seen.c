/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of what a namespace has; see seen.h.
 */
#include "attach/seen.h"

void seen_done(struct seen *s)
{
	free(s->links);
	free(s->addrs);
	free(s->routes);
	*s = (struct seen){0};
}

struct seen_link *seen_by_name(const struct seen *s, const char *name)
{
	for (size_t i = 0; i < s->n_links; i++)
		if (str_eq(s->links[i].name, name))
			return &s->links[i];
	return NULL;
}

struct seen_link *seen_by_index(const struct seen *s, int ifindex)
{
	for (size_t i = 0; i < s->n_links; i++)
		if (s->links[i].ifindex == ifindex)
			return &s->links[i];
	return NULL;
}

void seen_put(struct seen *s, const struct seen_link *l)
{
	struct seen_link *at = seen_by_index(s, l->ifindex);

	if (!at) {
		at = xgrow(&s->links, s->n_links, &s->cap_links);
		s->n_links++;
	}
	*at = *l;
}

void seen_remove(struct seen *s, int ifindex)
{
	struct seen_link *at = seen_by_index(s, ifindex);

	if (at)
		*at = s->links[--s->n_links];
}
