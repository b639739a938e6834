/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: From engines to an inventory
 *
 * A network joins an overlay when the config file names it (by its Docker name or by its bridge's), or by its label
 * docker-router.vni; the file wins. Its stack is, in this order: the file's, the label docker-router.stack, the Compose
 * project, its own name. Running containers stand in every stack that one of their networks belongs to.
 * Everything that a person got wrong becomes a problem that names the object, the value and what is allowed, and
 * touches nothing but the object it is about. Pure: no I/O, no clock.
 */
#ifndef INVENTORY_MODEL_H
#define INVENTORY_MODEL_H

#include "inventory/docker.h"
#include "state/config.h"
#include "state/inventory.h"

/** struct model_source - One engine; everything is borrowed */
struct model_source {
	const char *endpoint, *api, *engine, *error;
	enum engine_state state;
	const struct docker_set *set;
};

/** struct model_config - What the config file says about networks; borrowed */
struct model_config {
	const struct config_network *networks;
	size_t n_networks;
	const struct nic_requests *attach; /* NICs of containers that are named; or NULL */
};

/**
 * model_network_joins() - Which stack is this network?
 * @problems: filled with what is wrong about the network and its labels, or NULL
 * Return: whether it joins an overlay; only then the outputs are set
 */
bool model_network_joins(const struct docker_network *n, const struct model_config *config,
			 char ret_stack[static LIMIT_NAME], uint32_t *ret_vni, struct problems *problems);

/** model_container_matters() - Is it on a network that joins an overlay, or on one that is not known? */
bool model_container_matters(const struct docker_container *c, const struct docker_set *set,
			     const struct model_config *config);

/** model_build() - All engines into one inventory, in canonical order; @ret's last_update stays 0 */
void model_build(const struct model_source *sources, size_t n, const struct model_config *config,
		 struct inventory *ret);

/**
 * model_carry_over() - Keep what an earlier run knew about engines that have not answered yet
 * @before: the inventory of that run
 * @inv:    what model_build() made; engines that are still connecting get their stacks of @before and become lost
 *
 * So that a restart of ours while an engine is down takes no stack away.
 */
void model_carry_over(const struct inventory *before, struct inventory *inv);

#endif
