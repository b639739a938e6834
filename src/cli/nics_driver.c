/* SPDX-License-Identifier: Apache-2.0
 *
 * Endpoints of the network driver, as NICs: driver.json says what they are on and have, inventory.json whose they are.
 */
#include "cli/nics.h"

#include "state/driver.h"

/* Docker does not tell a driver whose an endpoint is: the container's namespace does */
static const struct inv_container *container_in(const struct inventory *inv, const char *sandbox)
{
	if (!sandbox[0])
		return NULL;
	for (size_t i = 0; i < inv->n_attach; i++)
		if (str_eq(inv->attach[i].container.sandbox, sandbox))
			return &inv->attach[i].container;
	for (size_t i = 0; i < inv->n_stacks; i++)
		for (size_t k = 0; k < inv->stacks[i].n_containers; k++)
			if (str_eq(inv->stacks[i].containers[k].sandbox, sandbox))
				return &inv->stacks[i].containers[k];
	return NULL;
}

static const struct driver_network *network_of(const struct driver_state *s, const char *id)
{
	for (size_t i = 0; i < s->n_networks; i++)
		if (str_eq(s->networks[i].id, id))
			return &s->networks[i];
	return NULL;
}

static enum nic_kind kind_of(const struct driver_endpoint *e)
{
	switch (e->kind) {
	case DRIVER_MACVLAN:
		return NIC_MACVLAN;
	case DRIVER_MACVLAN_PRIVATE:
		return NIC_MACVLAN_PRIVATE;
	case DRIVER_AUTO:
	case DRIVER_BRIDGE:
	case DRIVER_KIND_N_:
		break;
	}
	return NIC_VETH;
}

static void nic_put(const struct driver_state *s, const struct driver_endpoint *e, const struct inventory *inv,
		    struct att_nic *ret)
{
	const struct inv_container *c = container_in(inv, e->sandbox);
	const struct driver_network *net = network_of(s, e->network);
	char host[NIC_NAME], peer[NIC_NAME];

	driver_link_names(e->id, host, peer);
	if (c)
		str_copy(ret->name, c->name);
	else if (e->name[0])
		str_copy(ret->name, e->name);
	else
		str_print(ret->name, "endpoint %.12s", e->id);
	str_copy(ret->container, c ? c->id : "");
	str_copy(ret->nic, NICS_OF_NETWORK);
	str_copy(ret->parent, net ? net->parent : "");
	ret->kind = kind_of(e);
	str_copy(ret->host, ret->kind == NIC_VETH ? host : "");
	if (!e->sandbox[0])
		str_copy(ret->why, "Docker has not put it into a container");
	else if (net && net->ipam == DRIVER_DHCP && ip_is_none(&e->address.ip))
		str_copy(ret->why, "no DHCP server has given an address");
	ret->state = ret->why[0] ? NIC_WAITING : NIC_READY;
	ret->since = e->since;
	ret->mac = e->mac;
	ret->mtu = net ? net->mtu : 0;
	if (!ip_is_none(&e->address.ip))
		ret->addresses[ret->n_addresses++] = e->address;
	if (!ip_is_none(&e->address6.ip))
		ret->addresses[ret->n_addresses++] = e->address6;
	ret->gateways[0] = e->gateway;
	if (e->lease.seconds)
		ret->leases[ret->n_leases++] = (struct att_lease){.address = e->address,
								  .gateway = e->gateway,
								  .server = e->lease.server,
								  .since = e->lease.since,
								  .seconds = e->lease.seconds};
}

int nics_add_driver(const struct state_dir *dir, const struct inventory *inv, struct attach_state *to, struct err *err)
{
	struct file_owner owner = owner_of_root(dir);
	struct driver_state s = {0};
	size_t bad;
	int rc = driver_state_read(dir->fd, &owner, &s, &bad, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < s.n_endpoints; i++) {
		struct att_nic *n = xgrow(&to->nics, to->n_nics, &to->cap_nics);

		to->n_nics++;
		nic_put(&s, &s.endpoints[i], inv, n);
	}
	driver_state_done(&s);
	return 0;
}
