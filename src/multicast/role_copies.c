/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel copies the groups that somebody wants: who listens behind bridges, and the rules; see groups.h.
 */
#include "multicast/role.h"

#include <sys/mman.h>

#include "base/log.h"
#include "multicast/mdb.h"

#define RULES_RETRY_US (1 * USEC_PER_SEC)

void role_rules_soon(struct role *r)
{
	if (!timer_is_set(r->rules_timer))
		timer_start(r->rules_timer, RULES_US);
}

static void on_rules_done(void *arg, int code, int fd, const char *text)
{
	struct role *r = arg;

	r->rules_asked = false;
	if (code == 0) {
		if (r->rules_error[0])
			log_info("groups are routed again");
		r->rules_error[0] = '\0';
		role_rules_soon(r); /* they may be others by now */
		return;
	}
	if (!r->rules_error[0])
		log_warning("groups are not routed, trying again", kv_str("why", text));
	str_print(r->rules_error, "%.190s", text[0] ? text : strerror(-code));
	r->rules_known = false;
	timer_start(r->rules_timer, RULES_RETRY_US);
	role_write_soon(r, WRITE_US);
}

void role_on_rules(void *arg)
{
	struct broker_ns host = {.name = "host"};
	struct role *r = arg;
	struct buf now = {0};
	int fd;

	if (!r->broker || r->rules_asked || !r->looked)
		return;
	buf_puts(&now, "");
	r->rules_left_out = groups_rules(r->groups, &now);
	if (r->rules_known && str_eq(now.data, r->rules.data)) {
		buf_done(&now);
		return;
	}
	buf_done(&r->rules);
	r->rules = now;
	fd = memfd_create("multicast rules", MFD_CLOEXEC);
	if (fd < 0 || write(fd, now.data, now.len) != (ssize_t)now.len) {
		autoclose_(&fd);
		timer_start(r->rules_timer, RULES_RETRY_US);
		return;
	}
	r->rules_known = r->rules_asked = true;
	broker_call(r->broker, BROKER_FORWARD, &host, 0, fd, on_rules_done, r);
	close(fd);
	role_write_soon(r, WRITE_US);
}

void role_on_mdb(void *arg)
{
	struct role *r = arg;
	struct mdb m = {0};
	struct err err = {0};
	struct ip *groups;
	bool any = false;

	for (size_t i = 0; i < r->links.n; i++)
		any |= !r->links.v[i]->leg.lan && r->links.v[i]->leg.wants & MC_GROUPS;
	if (!any)
		return;
	if (mdb_read(r->dumps, &m, &err) < 0) {
		log_debug("bridges cannot be asked who listens", kv_str("why", err.text));
		timer_start(r->mdb, LOOK_RETRY_US);
		return;
	}
	groups = xcalloc(m.n + 1, sizeof(*groups));
	for (size_t i = 0; i < r->links.n; i++) {
		size_t n = 0;

		for (size_t k = 0; k < m.n; k++)
			if (m.v[k].bridge == r->links.v[i]->ifindex)
				groups[n++] = m.v[k].group;
		if (!r->links.v[i]->leg.lan)
			groups_mdb(r->groups, mono_now(), r->links.v[i]->leg.id, groups, n);
	}
	free(groups);
	mdb_done(&m);
	role_rules_soon(r);
}
