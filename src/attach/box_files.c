/* SPDX-License-Identifier: Apache-2.0
 *
 * What else a container gets: the file that says that its network is ready, its name servers; and what is told of it to
 * the state file, and to the shims.
 */
#include <sys/mman.h>

#include "attach/box_state.h"
#include "attach/kernel.h"
#include "base/log.h"

/* --- questions --- */

struct call *box_call(struct box *b, const char *nic)
{
	struct call *c = xcalloc(1, sizeof(*c));

	c->box = b;
	c->turn = b->turn;
	str_copy(c->nic, nic);
	c->next = b->open_calls;
	b->open_calls = c;
	b->calls++;
	return c;
}

void box_call_done(struct call *c)
{
	for (struct call **at = c->box ? &c->box->open_calls : NULL; at && *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			break;
		}
	}
	free(c);
}

void box_calls_forget(struct box *b)
{
	for (struct call *c = b->open_calls, *next; c; c = next) {
		next = c->next;
		c->box = NULL;
		c->next = NULL;
	}
	b->open_calls = NULL;
	b->calls = 0;
	b->flag_calling = b->resolv_calling = false;
}

/* --- the flag --- */

static bool all_ready(const struct box *b)
{
	for (size_t i = 0; i < b->n_nics; i++)
		if (b->nics[i]->state != NIC_READY)
			return false;
	return b->n_nics > 0;
}

static void on_ignored(void *arg, int code, int fd, const char *text)
{
	(void)arg;
	autoclose_(&fd);
	if (code < 0)
		log_debug("flag of a container", kv_str("why", text));
}

/* A container that was started anew still has the file of its last run, unless it was taken away then */
void box_flag_begin(struct box *b, bool made)
{
	b->flag_made = false;
	b->resolv_hash = 0;
	if (b->a.flag && !made)
		broker_call(b->all->broker, BROKER_FLAG, &b->ns, 0, -1, on_ignored, NULL);
}

void box_flag_end(struct box *b)
{
	if (b->a.flag && b->flag_made)
		broker_call(b->all->broker, BROKER_FLAG, &b->ns, 0, -1, on_ignored, NULL);
	b->flag_made = false;
}

static void on_flag(void *arg, int code, int fd, const char *text)
{
	struct call *c = arg;
	struct box *b = c->box;

	autoclose_(&fd);
	if (b) {
		b->calls--;
		b->flag_calling = false;
		if (code < 0) {
			b->flag_made = false;
			log_warning("the file of NETWORKWAIT cannot be written",
				    kv_str("container", b->a.container.name), kv_str("why", text));
		}
	}
	box_call_done(c);
}

static void flag_write(struct box *b)
{
	if (!b->a.flag || b->flag_made || b->flag_calling || !all_ready(b))
		return;
	b->flag_made = b->flag_calling = true;
	broker_call(b->all->broker, BROKER_FLAG, &b->ns, 1, -1, on_flag, box_call(b, ""));
}

/* --- resolv.conf --- */

/* The first NIC that says something; a label before leases. Return: it was a label */
static bool resolv_make(const struct box *b, struct buf *ret)
{
	char text[IP_STRLEN];
	bool label = false;

	for (size_t i = 0; i < b->n_nics && !ret->len; i++) {
		for (size_t k = 0; k < b->a.nics[i].n_dns; k++)
			buf_printf(ret, "nameserver %s\n", ip_format(&b->a.nics[i].dns[k], text));
		label = ret->len > 0;
	}
	for (size_t i = 0; i < b->n_nics && !ret->len; i++) {
		bool search = false; /* the first line of it counts */

		for (size_t kind = 0; kind < LEASE_KIND_N_ && !b->a.nics[i].no_dns; kind++) {
			const struct client *c = b->nics[i]->clients[kind];
			const struct att_lease *l = c ? client_lease(c) : NULL;

			if (!l || !l->n_dns)
				continue;
			if (l->domain[0] && !search)
				buf_printf(ret, "search %s\n", l->domain);
			search |= l->domain[0] != '\0';
			for (size_t k = 0; k < l->n_dns; k++)
				buf_printf(ret, "nameserver %s\n", ip_format(&l->dns[k], text));
		}
	}
	return label;
}

static void on_resolv(void *arg, int code, int fd, const char *text)
{
	struct call *c = arg;
	struct box *b = c->box;

	autoclose_(&fd);
	if (b) {
		b->calls--;
		b->resolv_calling = false;
		if (code < 0)
			log_warning("resolv.conf of a container cannot be written",
				    kv_str("container", b->a.container.name), kv_str("why", text));
	}
	box_call_done(c);
}

static void resolv_write(struct box *b)
{
	autobuf struct buf text = {0};
	autoclose int fd = -1;
	bool label = resolv_make(b, &text);
	uint64_t hash = text.len ? hash64(text.data, text.len, 1 + label) : 0;

	if (!hash || hash == b->resolv_hash || b->resolv_calling)
		return;
	fd = memfd_create("resolv.conf", MFD_CLOEXEC);
	if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len)
		return;
	b->resolv_hash = hash;
	b->resolv_calling = true;
	broker_call(b->all->broker, BROKER_RESOLV, &b->ns, label, fd, on_resolv, box_call(b, ""));
}

void box_files(struct box *b)
{
	resolv_write(b);
	flag_write(b);
}

/* --- what is told --- */

void box_state(const struct box *b, struct attach_state *ret)
{
	for (size_t i = 0; i < b->n_nics && ret->n_nics < LIMIT_ALL_NICS; i++) {
		const struct nic *n = b->nics[i];
		struct att_nic *to = xgrow(&ret->nics, ret->n_nics, &ret->cap_nics);

		ret->n_nics++;
		str_copy(to->container, b->a.container.id);
		str_copy(to->name, b->a.container.name);
		str_copy(to->nic, n->name);
		str_copy(to->parent, n->parent);
		str_copy(to->host, n->kind == NIC_VETH ? n->host : "");
		to->kind = n->kind;
		to->state = n->state;
		str_copy(to->why, n->why);
		to->since = n->since;
		to->attach_us = n->attach_us;
		to->mac = n->mac;
		to->mtu = n->mtu;
		memcpy(to->addresses, n->addresses, sizeof(to->addresses));
		to->n_addresses = n->n_addresses;
		memcpy(to->gateways, n->gateways, sizeof(to->gateways));
		for (size_t k = 0; k < LEASE_KIND_N_; k++)
			if (n->clients[k])
				to->leases[to->n_leases++] = *client_lease(n->clients[k]);
	}
}

/* --- shims --- */

const char *box_shim_parent(const struct box *b, size_t i)
{
	for (size_t k = 0; k < b->n_nics; k++)
		if (b->nics[k]->shim && b->nics[k]->ifindex && b->step == BOX_OPEN && i-- == 0)
			return b->nics[k]->parent;
	return NULL;
}

size_t box_macvlan(const struct box *b, const char *parent, struct ip *ret, size_t max)
{
	size_t n = 0;

	for (size_t k = 0; k < b->n_nics; k++) {
		const struct nic *nic = b->nics[k];

		for (size_t i = 0; nic->shim && nic->ifindex && b->step == BOX_OPEN && str_eq(nic->parent, parent) &&
				   i < nic->n_addresses && n < max;
		     i++)
			ret[n++] = nic->addresses[i].ip;
	}
	return n;
}

void box_returned(struct box *b, const char *name)
{
	struct seen_link *l;
	struct err err;

	kernel_read_link(b->all->host_nl, name, &b->all->host);
	l = seen_by_name(&b->all->host, name);
	if (l && kernel_set_alias(b->all->host_nl, l->ifindex, "", NULL, &err) < 0)
		log_debug("alias of an interface that came back", kv_str("why", err.text));
}
