/* SPDX-License-Identifier: Apache-2.0
 *
 * See doomed.h.
 */
#include "attach/doomed.h"

#include "attach/kernel.h"
#include "base/log.h"

#define DOOMED_AT_ONCE 256 /* all others wait for the kernel while it removes them */

struct doomed {
	struct nl *nl;
	struct timer *timer;
	int *v;
	size_t n, cap;
};

static void on_turn(void *arg)
{
	doomed_remove(arg);
}

struct doomed *doomed_new(uv_loop_t *loop, struct nl *nl)
{
	struct doomed *d = xcalloc(1, sizeof(*d));

	d->nl = nl;
	d->timer = timer_new(loop, "remove links", on_turn, d);
	return d;
}

void doomed_add(struct doomed *d, int ifindex)
{
	*xgrow(&d->v, d->n, &d->cap) = ifindex;
	d->n++;
	timer_start(d->timer, 0);
}

void doomed_remove(struct doomed *d)
{
	struct err err;

	timer_stop(d->timer);
	for (size_t i = 0; i < d->n; i += DOOMED_AT_ONCE) {
		size_t n = d->n - i < DOOMED_AT_ONCE ? d->n - i : DOOMED_AT_ONCE;

		if (kernel_remove_links(d->nl, d->v + i, n, &err) < 0)
			log_warning("NICs of containers that stopped cannot be taken away", kv_str("why", err.text));
	}
	free(d->v);
	d->v = NULL;
	d->n = d->cap = 0;
}

void doomed_free(struct doomed *d)
{
	if (!d)
		return;
	doomed_remove(d);
	timer_free(d->timer);
	free(d);
}
