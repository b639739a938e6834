/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and mapped subnets: containers that are not answered, names that mean several things or somebody who is gone,
 * the pool that mapped prefixes come from, and peers that cannot take any of our subnets.
 */
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/utsname.h>

#include "cli/doctor.h"
#include "cli/lookup.h"
#include "io/nl.h"

#define ROWS_MAX      16 /* of a kind */
#define PROTOCOL_OURS 212

/* --- names --- */

static void kernel_check(struct doctor *d)
{
	struct utsname u;
	unsigned major = 0, minor = 0;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2 || major > 5 ||
	    (major == 5 && minor >= 12))
		return;
	doctor_add(d, "names", CHECK_WARNING,
		   "Point containers to the stub: NAMES_LISTEN=ADDRESS:53 with an address that they reach, such as the "
		   "stack's gateway, and in the Compose file dns: ADDRESS.",
		   "kernel %s is older than 5.12: containers are not answered by themselves", u.release);
}

static const char *asker_cure(const char *why)
{
	/* the container's namespace: its path is not there, or it may not be entered */
	if (why[0] == '/' || strstr(why, "network namespace"))
		return "It asks Docker only, until its network namespace can be entered: docker-router host needs "
		       "root, and in "
		       "a container --pid host and --cap-add SYS_ADMIN.";
	return "It asks Docker only. On Docker's default bridge, with Podman and on kernels before 5.12, give it dns: "
	       "ADDRESS, where NAMES_LISTEN=ADDRESS:53 is an address of this host that it reaches.";
}

static void askers_check(struct doctor *d, const struct records *r)
{
	size_t silent = 0;

	for (size_t i = 0; i < r->n_containers; i++) {
		const struct record_container *c = &r->containers[i];
		if (c->answered || silent++ >= ROWS_MAX)
			continue;
		const char *why = c->why && c->why[0] ? c->why : "not yet";
		doctor_add(d, "names", CHECK_WARNING, asker_cure(why), "container %s is not answered: %s", c->name,
			   why);
	}
	if (silent > ROWS_MAX)
		doctor_add(d, "names", CHECK_WARNING, "docker-router records lists them.",
			   "%zu more containers are not answered", silent - ROWS_MAX);
	if (silent == 0 && r->n_containers)
		doctor_add(d, "names", CHECK_OK, NULL, "%zu name%s; %zu container%s answered", r->n_records,
			   r->n_records == 1 ? "" : "s", r->n_containers, r->n_containers == 1 ? " is" : "s are");
}

static void stub_check(struct doctor *d, const struct records *r)
{
	if (!r->listen_error || !r->listen_error[0])
		return;
	doctor_add(
		d, "names stub", CHECK_WARNING,
		"Who has the port: ss -ulpn. Take another one, NAMES_LISTEN=127.0.0.1:4754, and tell it to the host's "
		"resolver; or NAMES_LISTEN=off. Containers are answered all the same.",
		"the host itself is not answered at %s", r->listen_error);
}

/* Records of one stack stand together; hosts of one stack too, since they are sorted by name: look at the stacks alone
 */
static void twins_check(struct doctor *d, const struct records *r)
{
	size_t rows = 0;
	char a[64], b[64];

	for (size_t i = 0; i < r->n_records && rows < ROWS_MAX; i++) {
		const struct record *one = &r->records[i];
		if (one->name[0])
			continue;
		for (size_t j = i + 1; j < r->n_records; j++) {
			const struct record *two = &r->records[j];
			if (two->name[0] || two->vni != one->vni || !str_eq(two->stack_id, one->stack_id))
				break;
			if (str_eq(two->host_id, one->host_id))
				continue;
			rows++;
			record_host(one, a);
			record_host(two, b);
			autofree char *cure =
				xasprintf("Wanted so? Then nothing is wrong: both answer, NAME.%s.%s asks only one. "
					  "Else call one otherwise: docker-router.stack on its network.",
					  one->stack_id, a);
			doctor_add(d, "names", CHECK_INFO, cure, "VNI %u has two stacks called %s, on %s and on %s",
				   one->vni, one->stack_id, a, b);
			break;
		}
	}
}

enum presence { HOST_HERE, HOST_STALE, HOST_UNKNOWN };

static enum presence host_presence(const struct discovery *disc, const struct record *r)
{
	enum presence found = HOST_UNKNOWN;

	if (str_eq(disc->self.host_id, r->host_id))
		return HOST_HERE;
	for (size_t i = 0; i < disc->n_peers; i++) {
		const struct peer *p = &disc->peers[i];
		if (p->vni != r->vni || !str_eq(p->host_id, r->host_id) || !str_eq(p->stack_id, r->stack_id))
			continue;
		if (p->status == PEER_ACTIVE)
			return HOST_HERE;
		found = HOST_STALE;
	}
	return found;
}

static void stale_check(struct doctor *d, const struct records *r)
{
	size_t rows = 0;
	char host[64];

	if (d->files.code[FILE_DISCOVERY] != 0)
		return;
	for (size_t i = 0; i < r->n_records && rows < ROWS_MAX; i++) {
		const struct record *one = &r->records[i];
		enum presence p = one->name[0] ? HOST_HERE : host_presence(&d->files.discovery, one);
		if (p == HOST_HERE)
			continue;
		rows++;
		doctor_add(d, "names", CHECK_WARNING,
			   p == HOST_STALE
				   ? "They go with the stack, after PEER_TIMEOUT; until then who asks may be sent "
				     "to somebody who is gone."
				   : "Is the role names running? It follows within a second.",
			   "names of stack %s on %s are answered, %s", one->stack_id, record_host(one, host),
			   p == HOST_STALE ? "which was not heard of for a while" : "which nobody knows any more");
	}
}

void doctor_names(struct doctor *d)
{
	const struct state_files *f = &d->files;
	autobuf struct buf why = {0};

	if (f->code[FILE_HOST] != 0 && f->code[FILE_RECORDS] == -ENOENT)
		return; /* the two-container form has none */
	if (f->code[FILE_RECORDS] != 0) {
		state_file_why(d->cli, f, FILE_RECORDS, &why);
		doctor_add(d, "names", role_wanted(f, "names") ? CHECK_ERROR : CHECK_INFO,
			   role_wanted(f, "names") ? "Its log says more." : "Add names to ROLES to have them.", "%s",
			   why.data);
		return;
	}
	kernel_check(d);
	askers_check(d, &f->records);
	stub_check(d, &f->records);
	twins_check(d, &f->records);
	stale_check(d, &f->records);
}

/* --- mapped here, not there --- */

static bool subnets_clash(const struct self_stack *s, const struct peer *p)
{
	bool clash = false;

	for (size_t i = 0; i < s->n_subnets; i++) {
		for (size_t j = 0; j < p->n_subnets; j++)
			clash = clash || prefix_overlaps(&s->subnets[i], &p->subnets[j]);
		for (size_t j = 0; j < p->n_mapped; j++)
			clash = clash || prefix_overlaps(&s->subnets[i], &p->mapped[j].subnet);
	}
	for (size_t i = 0; i < s->n_mapped; i++) {
		for (size_t j = 0; j < p->n_subnets; j++)
			clash = clash || prefix_overlaps(&s->mapped[i].subnet, &p->subnets[j]);
	}
	return clash;
}

void doctor_mapping(struct doctor *d)
{
	const struct discovery *disc = &d->files.discovery;
	size_t rows = 0;

	for (size_t i = 0; i < disc->self.n_stacks; i++) {
		const struct self_stack *s = &disc->self.stacks[i];
		for (size_t j = 0; j < disc->n_peers && rows < ROWS_MAX; j++) {
			const struct peer *p = &disc->peers[j];
			char host[80];
			if (p->vni != s->vni || p->status != PEER_ACTIVE || !p->n_mapped == !s->n_mapped ||
			    !subnets_clash(s, p))
				continue;
			rows++;
			host_label(&d->files, p->host_id, &p->host_ip, host, sizeof(host));
			autofree char *cure = xasprintf(
				"Set MAPPING=auto on all hosts of the VNI and restart docker-router there; it is "
				"MAPPING=never on %s.",
				s->n_mapped ? host : "this host");
			doctor_add(d, "mapping", CHECK_ERROR, cure,
				   "VNI %u: stack %s here is %s, %s on %s is %s: their subnets clash, so they do not "
				   "reach each other",
				   s->vni, s->stack_id, s->n_mapped ? "mapped" : "not mapped", p->stack_id, host,
				   p->n_mapped ? "mapped" : "not");
		}
	}
}

/* --- the pool --- */

struct pool_walk {
	struct doctor *d;
	const struct prefix *pool;
	size_t rows;
};

static void on_route(void *arg, const struct nlmsghdr *nlh)
{
	struct pool_walk *w = arg;
	const struct rtmsg *r = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;
	struct prefix dst = {0};
	char text[PREFIX_STRLEN], pool[PREFIX_STRLEN], dev[IFNAMSIZ] = "";

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*r) || r->rtm_dst_len == 0 ||
	    r->rtm_table != RT_TABLE_MAIN || r->rtm_type != RTN_UNICAST || r->rtm_protocol == PROTOCOL_OURS ||
	    r->rtm_family != w->pool->ip.family)
		return;
	mnl_attr_for_each(a, nlh, sizeof(*r))
	{
		if (mnl_attr_get_type(a) == RTA_DST && mnl_attr_get_payload_len(a) == ip_size(r->rtm_family))
			dst = (struct prefix){ip_from_bytes(r->rtm_family, mnl_attr_get_payload(a)), r->rtm_dst_len};
		if (mnl_attr_get_type(a) == RTA_OIF && mnl_attr_get_payload_len(a) == 4)
			if_indextoname(mnl_attr_get_u32(a), dev);
	}
	if (ip_is_none(&dst.ip) || !prefix_overlaps(&dst, w->pool) || w->rows++ >= ROWS_MAX)
		return;
	doctor_add(w->d, "pool", prefix_contains(&dst, w->pool) ? CHECK_ERROR : CHECK_WARNING,
		   "Give all hosts a SHADOW_POOL that nobody uses, such as 242.0.0.0/8,fd64:7265::/32.",
		   "route %s dev %s of this host lies in SHADOW_POOL (%s): what is mapped there cannot be reached",
		   prefix_format(&dst, text), dev[0] ? dev : "?", prefix_format(w->pool, pool));
}

static void pool_restart(void *arg)
{
	(void)arg; /* a row twice is no harm */
}

static void pool_check(struct doctor *d, const struct prefix *pool)
{
	char request[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct pool_walk w = {.d = d, .pool = pool};
	struct nl *nl;
	struct err err;

	if (ip_is_none(&pool->ip) || nl_open(NETLINK_ROUTE, &nl, &err) < 0)
		return;
	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	struct rtmsg *r = mnl_nlmsg_put_extra_header(nlh, sizeof(*r));
	r->rtm_family = pool->ip.family;
	(void)!nl_dump(nl, nlh, on_route, pool_restart, &w, &err);
	nl_free(nl);
}

void doctor_pool(struct doctor *d)
{
	size_t before = d->n, mapped = 0;

	if (d->other_ns || d->cli->config.mapping == MAPPING_NEVER)
		return;
	pool_check(d, &d->cli->config.shadow4);
	pool_check(d, &d->cli->config.shadow6);
	for (size_t i = 0; i < d->files.discovery.self.n_stacks; i++)
		mapped += d->files.discovery.self.stacks[i].n_mapped > 0;
	if (d->n == before && mapped)
		doctor_add(d, "pool", CHECK_OK, NULL, "%zu stack%s mapped; no route of this host is in the way", mapped,
			   mapped == 1 ? " is" : "s are");
}

/* --- a peer that takes none of our subnets --- */

/* Whose prefix at the peer's overlaps @own? Its own stacks, then its routes, then stacks of third hosts */
static bool clash_find(const struct discovery *disc, uint32_t vni, const struct peer *peer, const struct prefix *own,
		       struct buf *why)
{
	char ours[PREFIX_STRLEN], theirs[PREFIX_STRLEN], ip[IP_STRLEN];

	prefix_format(own, ours);
	for (int pass = 0; pass < 3; pass++) {
		for (size_t i = 0; i < disc->n_peers; i++) {
			const struct peer *p = &disc->peers[i];
			bool same = str_eq(p->host_id, peer->host_id);
			size_t n = pass == 1 ? p->n_avoid : p->n_subnets;
			const struct prefix *v = pass == 1 ? p->avoid : p->subnets;
			if (p->vni != vni || same != (pass < 2))
				continue;
			for (size_t j = 0; j < n; j++) {
				if (!prefix_overlaps(&v[j], own))
					continue;
				prefix_format(&v[j], theirs);
				if (pass == 1)
					buf_printf(why, "%s%s clashes with its route %s", why->len ? "; " : "", ours,
						   theirs);
				else
					buf_printf(why, "%s%s clashes with %s of stack %s on %s", why->len ? "; " : "",
						   ours, theirs, p->stack_id,
						   p->host_name[0] ? p->host_name : ip_format(&p->host_ip, ip));
				return true;
			}
		}
	}
	return false;
}

bool doctor_peer_refuses(const struct doctor *d, uint32_t vni, const struct peer *peer, struct buf *ret_why)
{
	const struct discovery *disc = &d->files.discovery;
	size_t ours = 0;

	for (size_t i = 0; i < disc->self.n_stacks; i++) {
		const struct self_stack *s = &disc->self.stacks[i];
		if (s->vni != vni)
			continue;
		for (size_t j = 0; j < s->n_subnets; j++, ours++) {
			if (!clash_find(disc, vni, peer, &s->subnets[j], ret_why))
				return false;
		}
		for (size_t j = 0; j < s->n_mapped; j++, ours++) {
			if (!clash_find(disc, vni, peer, &s->mapped[j].as, ret_why))
				return false;
		}
	}
	return ours > 0;
}
