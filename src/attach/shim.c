/* SPDX-License-Identifier: Apache-2.0
 *
 * Shims: planned from what containers have, compared with the kernel, changed; see shim.h.
 */
#include "attach/shim.h"

#include "attach/kernel.h"
#include "attach/want.h"
#include "base/log.h"

#define SHIMS_MAX  64
#define ROUTES_MAX 4096

struct shim {
	char parent[NIC_NAME], name[NIC_NAME], alias[160];
};

static size_t shims_wanted(struct box *const *boxes, size_t n, struct shim ret[static SHIMS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		const char *parent;

		for (size_t k = 0; (parent = box_shim_parent(boxes[i], k)); k++) {
			size_t at = 0;

			while (at < count && !str_eq(ret[at].parent, parent))
				at++;
			if (at < count || count >= SHIMS_MAX)
				continue;
			str_copy(ret[count].parent, parent);
			want_shim_name(parent, ret[count].name);
			str_print(ret[count].alias, ATTACH_ALIAS "shim:%s", parent);
			count++;
		}
	}
	return count;
}

static bool is_shim(const struct seen_link *l)
{
	return strncmp(l->alias, ATTACH_ALIAS "shim:", strlen(ATTACH_ALIAS "shim:")) == 0;
}

static void shims_remove(struct boxes *all, const struct shim *v, size_t n)
{
	for (size_t i = 0; i < all->host.n_links;) {
		const struct seen_link *l = &all->host.links[i];
		bool wanted = !is_shim(l);
		struct err err;
		int ifindex = l->ifindex;

		for (size_t k = 0; k < n; k++)
			wanted |= str_eq(l->alias, v[k].alias);
		if (wanted) {
			i++;
			continue;
		}
		if (kernel_remove_link(all->host_nl, ifindex, &err) < 0)
			log_warning("the host's macvlan cannot be removed", kv_str("why", err.text));
		seen_remove(&all->host, ifindex); /* another one is in its place then */
	}
}

static bool route_is(const struct seen_route *r, const struct want_route *w)
{
	return prefix_cmp(&r->to, &w->to) == 0 && ip_cmp(&r->src, &w->src) == 0;
}

/* The host's address on the parent from the container's subnet: the kernel would take that of any other interface */
static struct want_route shim_route(const struct seen *host, int parent, const struct ip *ip)
{
	struct want_route r = {.to = {*ip, ip_bits(ip->family)}, .metric = ip->family == AF_INET6 ? 1024 : 0};

	for (size_t i = 0; i < host->n_addrs; i++) {
		struct prefix net = prefix_mask(host->addrs[i].p);

		if (host->addrs[i].ifindex == parent && prefix_has_ip(&net, ip))
			r.src = host->addrs[i].p.ip;
	}
	return r;
}

static void shim_routes(struct boxes *all, const struct shim *s, int ifindex, int parent, const struct seen *routes,
			struct box *const *boxes, size_t n)
{
	autofree struct ip *want = xcalloc(ROUTES_MAX, sizeof(*want));
	size_t n_want = 0;
	struct err err;

	for (size_t i = 0; i < n; i++)
		n_want += box_macvlan(boxes[i], s->parent, want + n_want, ROUTES_MAX - n_want);
	for (size_t i = 0; i < routes->n_routes; i++) {
		const struct seen_route *r = &routes->routes[i];
		struct want_route gone = {.to = r->to, .via = r->via, .metric = r->metric};
		bool wanted = r->ifindex != ifindex;

		for (size_t k = 0; k < n_want; k++) {
			struct want_route w = shim_route(routes, parent, &want[k]);

			wanted |= route_is(r, &w);
		}
		if (!wanted)
			(void)!kernel_route(all->host_nl, ifindex, &gone, true, &err);
	}
	for (size_t k = 0; k < n_want; k++) {
		struct want_route r = shim_route(routes, parent, &want[k]);
		bool there = false;

		for (size_t i = 0; i < routes->n_routes; i++)
			there |= routes->routes[i].ifindex == ifindex && route_is(&routes->routes[i], &r);
		if (!there && kernel_route(all->host_nl, ifindex, &r, false, &err) < 0)
			log_warning("no way from the host to a container", kv_str("why", err.text));
	}
}

void shims_follow(struct boxes *all, struct box *const *boxes, size_t n, struct problems *problems)
{
	struct shim v[SHIMS_MAX];
	size_t count = shims_wanted(boxes, n, v);
	struct seen routes = {0};
	struct err err;

	shims_remove(all, v, count);
	if (!count)
		return;
	if (kernel_dump_rest(all->host_nl, &routes, &err) < 0) {
		problems_add(problems, "host", "", "its routes cannot be read: %s", err.text);
		seen_done(&routes);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct seen_link *parent = seen_by_name(&all->host, v[i].parent),
				       *l = seen_by_name(&all->host, v[i].name);

		if (parent && !l) {
			if (kernel_make_shim(all->host_nl, v[i].name, parent->ifindex, v[i].alias, &err) < 0)
				problems_add(problems, v[i].parent, "",
					     "host and containers on it do not reach each other: %s", err.text);
			kernel_read_link(all->host_nl, v[i].name, &all->host);
			l = seen_by_name(&all->host, v[i].name);
		}
		if (l && parent)
			shim_routes(all, &v[i], l->ifindex, parent->ifindex, &routes, boxes, n);
	}
	seen_done(&routes);
}
