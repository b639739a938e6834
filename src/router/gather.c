/* SPDX-License-Identifier: Apache-2.0 */
#include "router/gather.h"

#include "base/log.h"

static void gathered(void *arg, int code, int fd, const char *text)
{
	if (code < 0 && code != -ECONNRESET)
		log_debug("packets are not put together", kv_str("why", text));
}

#define ALIAS_INSIDE ROUTER_ALIAS "inside:"

static bool is_above_tun(const struct net_list *actual, const struct net_id *vni, const struct link *l)
{
	static const struct net_id id = {.kind = NET_WIREGUARD};
	const struct net *wg = net_list_find(actual, &id);

	if (vni->kind != NET_VNI || l->kind != LINK_VXLAN || strncmp(l->alias, ALIAS_INSIDE, strlen(ALIAS_INSIDE)) != 0)
		return false;
	for (size_t i = 0; wg && i < wg->n_links; i++)
		if (wg->links[i].kind == LINK_TUN)
			return true;
	return false;
}

void gather_link(struct broker *broker, const struct net_list *actual, const struct net_id *vni, const struct link *l)
{
	struct broker_ns ns = {0};
	char name[96];

	if (!broker || !is_above_tun(actual, vni, l))
		return;
	str_copy(ns.name, net_id_print(vni, name));
	str_copy(ns.iface, l->name);
	broker_call(broker, BROKER_GATHER, &ns, 0, -1, gathered, NULL);
}

void gather_all(struct broker *broker, const struct net_list *actual)
{
	for (size_t i = 0; i < actual->n; i++)
		for (size_t j = 0; j < actual->v[i]->n_links; j++)
			gather_link(broker, actual, &actual->v[i]->id, &actual->v[i]->links[j]);
}
