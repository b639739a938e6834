/* SPDX-License-Identifier: Apache-2.0
 *
 * What the driver remembers: networks, and MACs for the endpoints to come. See plugin.h.
 */
#include "base/log.h"
#include "driver/plugin.h"

struct driver_network *plugin_network(struct plugin *p, const char *id)
{
	for (size_t i = 0; i < p->state.n_networks; i++)
		if (str_eq(p->state.networks[i].id, id))
			return &p->state.networks[i];
	return NULL;
}

int plugin_save(struct plugin *p, bool sync, struct err *err)
{
	struct err local = {0};
	struct err *e = err ? err : &local;
	int rc;

	p->state.n_endpoints = 0;
	for (size_t i = 0; i < p->n_endpoints; i++) {
		*xgrow(&p->state.endpoints, p->state.n_endpoints, &p->state.cap_endpoints) =
			*port_record(p->endpoints[i]);
		p->state.n_endpoints++;
	}
	p->state.last_update = wall_now();
	rc = driver_state_write(p->dir.fd, &p->state, sync, e);
	if (rc < 0)
		log_error(STATE_DRIVER " cannot be written, a restart would not know of the last change",
			  kv_str("why", e->text));
	return rc;
}

static void kept_remove(struct plugin *p, size_t i)
{
	memmove(p->state.kept + i, p->state.kept + i + 1, (p->state.n_kept - i - 1) * sizeof(*p->state.kept));
	p->state.n_kept--;
}

bool kept_take(struct plugin *p, const char *network, const struct mac *mac, struct driver_kept *ret)
{
	for (size_t i = p->state.n_kept; i-- > 0;) {
		const struct driver_kept *k = &p->state.kept[i];
		bool fits = mac_is_none(mac) ? !k->mac_given : mac_cmp(mac, &k->mac) == 0;

		if (!fits || !str_eq(k->network, network))
			continue;
		*ret = *k;
		kept_remove(p, i);
		return true;
	}
	return false;
}

void kept_add(struct plugin *p, const struct driver_endpoint *e)
{
	struct driver_kept *k, k_same;
	size_t n = 0, oldest = 0;

	while (kept_take(p, e->network, &e->mac, &k_same))
		;
	for (size_t i = p->state.n_kept; i-- > 0;) {
		if (!str_eq(p->state.kept[i].network, e->network))
			continue;
		n++;
		oldest = i;
	}
	if (n >= LIMIT_DRIVER_KEPT)
		kept_remove(p, oldest);
	k = xgrow(&p->state.kept, p->state.n_kept, &p->state.cap_kept);
	p->state.n_kept++;
	str_copy(k->network, e->network);
	k->mac = e->mac;
	k->mac_given = e->mac_given;
	k->address = e->address.ip;
}

void kept_forget(struct plugin *p, const char *network)
{
	for (size_t i = p->state.n_kept; i-- > 0;)
		if (str_eq(p->state.kept[i].network, network))
			kept_remove(p, i);
}

struct mac plugin_mac(const struct plugin *p, const char *kind, const char *of)
{
	autofree char *text = xasprintf("%s %s %s", p->host_id, kind, of);
	uint64_t h = hash64(text, strlen(text), 0x64726d);
	struct mac m = {{0x02}};

	for (int i = 1; i < 6; i++)
		m.b[i] = (uint8_t)(h >> (8 * i));
	return m;
}
