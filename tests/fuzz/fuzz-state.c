/* SPDX-License-Identifier: Apache-2.0
 *
 * All state files, each input as each of them. What is taken must survive being written and read again, and
 * discovery.json must come out the same whether it is read as one tree or peer by peer.
 */
#include <assert.h>

#include "state/discovery.h"
#include "state/host.h"
#include "state/inventory.h"
#include "state/names.h"
#include "state/peer_text.h"
#include "state/records.h"
#include "state/router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *reparse(json_t *o)
{
	autobuf struct buf b = {0};
	struct err e = {0};
	json_print(&b, o, JSON_COMPACT);
	json_t *again = json_parse_bounded(b.data, b.len, &e);
	assert(again && json_equal(o, again));
	json_decref(o);
	return again;
}

static void same_and_free(json_t *a, json_t *b)
{
	assert(json_equal(a, b));
	json_decref(a);
	json_decref(b);
}

/* names that follow from an inventory are such as may be told */
static void fuzz_names_of(const struct inventory *inv)
{
	struct name_stack s = {0};
	for (size_t i = 0; i < inv->n_stacks; i++) {
		names_of_stack(&inv->stacks[i], &s);
		for (size_t k = 0; k < s.n_names; k++)
			assert(label_valid(s.names[k].name) && s.names[k].n_addresses &&
			       (k == 0 || strcmp(s.names[k - 1].name, s.names[k].name) < 0));
	}
	name_stack_done(&s);
}

static void fuzz_inventory(const json_t *root)
{
	struct inventory inv, again;
	if (inventory_from_json(root, &inv, NULL) < 0)
		return;
	json_t *o = reparse(inventory_to_json(&inv));
	assert(inventory_from_json(o, &again, NULL) == 0);
	assert(inventory_same(&inv, &again));
	fuzz_names_of(&inv);
	same_and_free(o, inventory_to_json(&again));
	inventory_done(&inv);
	inventory_done(&again);
}

static void fuzz_router(const json_t *root)
{
	struct router_state s, again;
	if (router_state_from_json(root, &s, NULL) < 0)
		return;
	json_t *o = reparse(router_state_to_json(&s));
	assert(router_state_from_json(o, &again, NULL) == 0);
	same_and_free(o, router_state_to_json(&again));
	router_state_done(&s);
	router_state_done(&again);
}

static void fuzz_host(const json_t *root)
{
	struct host_state s, again;
	if (host_state_from_json(root, &s, NULL) < 0)
		return;
	json_t *o = reparse(host_state_to_json(&s));
	assert(host_state_from_json(o, &again, NULL) == 0);
	same_and_free(o, host_state_to_json(&again));
}

static void fuzz_names(const json_t *root)
{
	struct names n, again;
	if (names_from_json(root, &n, NULL) < 0)
		return;
	json_t *o = reparse(names_to_json(&n));
	assert(names_from_json(o, &again, NULL) == 0);
	assert(n.n_stacks == again.n_stacks);
	for (size_t i = 0; i < n.n_stacks; i++)
		assert(name_stack_same(&n.stacks[i], &again.stacks[i]));
	same_and_free(o, names_to_json(&again));
	names_done(&n);
	names_done(&again);
}

static void fuzz_records(const json_t *root)
{
	struct records r, again;
	if (records_from_json(root, &r, NULL) < 0)
		return;
	json_t *o = reparse(records_to_json(&r));
	assert(records_from_json(o, &again, NULL) == 0);
	same_and_free(o, records_to_json(&again));
	records_done(&r);
	records_done(&again);
}

/* both ways of writing a peer */
static void peers_written(const struct discovery *d, const json_t *o)
{
	for (size_t i = 0; i < d->n_peers; i++) {
		struct buf shorter = {0}, longer = {0};
		json_print(&longer, json_array_get(json_object_get(o, "peers"), i), JSON_COMPACT);
		if (peer_to_text(&shorter, &d->peers[i]))
			assert(str_eq(shorter.data, longer.data));
		buf_done(&shorter);
		buf_done(&longer);
	}
}

static void fuzz_discovery(const char *text, size_t size, const json_t *root)
{
	struct discovery d, again, tree;
	bool taken = discovery_from_text(text, size, &d, NULL) == 0;
	if (taken) {
		json_t *o = reparse(discovery_to_json(&d));
		peers_written(&d, o);
		assert(discovery_from_json(o, &again, NULL) == 0);
		same_and_free(o, discovery_to_json(&again));
		discovery_done(&again);
	}
	if (root && discovery_from_json(root, &tree, NULL) == 0) {
		assert(taken && tree.problems.n == d.problems.n);
		/* words may differ: "7" is no JSON document, and no peer either */
		problems_done(&tree.problems);
		problems_done(&d.problems);
		same_and_free(discovery_to_json(&d), discovery_to_json(&tree));
		discovery_done(&tree);
	}
	if (taken)
		discovery_done(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct err e = {0};
	json_t *root = json_parse_bounded(text, size, &e);
	assert(root || (e.code < 0 && *e.text));
	fuzz_discovery(text, size, root);
	fuzz_inventory(root);
	fuzz_router(root);
	fuzz_host(root);
	fuzz_names(root);
	fuzz_records(root);
	json_decref(root);
	return 0;
}
