/* SPDX-License-Identifier: Apache-2.0
 *
 * Docker JSON: the first byte says what the rest is. 'n' a network, 'c' a container, 'e' an event, 'v' a version, 's'
 * an engine as {"networks":[],"containers":[]}, of which an inventory is made, written and read again.
 */
#include <assert.h>

#include "inventory/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_of(const json_t *o, struct docker_set *ret)
{
	size_t i;
	json_t *item;

	json_array_foreach(json_object_get(o, "networks"), i, item)
	{
		struct docker_network *n = docker_network_parse(item, NULL);

		if (n)
			docker_set_put_network(ret, n);
	}
	json_array_foreach(json_object_get(o, "containers"), i, item)
	{
		struct docker_container *c = docker_container_parse(item, NULL);

		if (c)
			docker_set_put_container(ret, c);
	}
}

/* What we write we can read, and it says the same. */
static void round_trip(const struct inventory *inv)
{
	struct inventory again = {0};
	struct err err = {0};
	json_t *o = inventory_to_json(inv);

	assert(inventory_from_json(o, &again, &err) == 0);
	assert(again.n_stacks == inv->n_stacks);
	for (size_t i = 0; i < inv->n_stacks; i++) {
		assert(again.stacks[i].n_networks == inv->stacks[i].n_networks);
		assert(again.stacks[i].n_containers == inv->stacks[i].n_containers);
	}
	inventory_done(&again);
	json_decref(o);
}

static void engine(const json_t *o)
{
	struct config_network named[] = {{.name = "br0", .stack = "s", .vni = 1}};
	struct model_config config = {.networks = named, .n_networks = 1};
	struct docker_set set = {0};
	struct model_source source = {.endpoint = "unix:///x", .state = ENGINE_CONNECTED, .set = &set};
	struct inventory inv;

	set_of(o, &set);
	for (size_t i = 0; i < set.n_containers; i++)
		model_container_matters(set.containers[i], &set, &config);
	model_build(&source, 1, &config, &inv);
	round_trip(&inv);
	inventory_done(&inv);
	docker_set_done(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct docker_event event;
	struct docker_version version;
	autofree char *text = NULL;
	json_t *o;

	if (size < 1)
		return 0;
	text = xmemdup(data, size);
	o = docker_json(text + 1, size - 1, NULL);
	if (!o)
		return 0;
	if (text[0] == 'n')
		docker_network_free(docker_network_parse(o, NULL));
	else if (text[0] == 'c')
		docker_container_free(docker_container_parse(o, NULL));
	else if (text[0] == 'e' && docker_event_parse(o, &event, NULL) == 0)
		assert(event.kind < DOCKER_EVENT_KIND_N_);
	else if (text[0] == 'v' && docker_version_parse(o, &version, NULL) == 0)
		assert(version.api[0] == '1');
	else if (text[0] == 's')
		engine(o);
	json_decref(o);
	return 0;
}
