/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of the containers of a stack: how they follow from an inventory, and names.json, in which discovery writes what
 * peers say about theirs.
 *
 *	{"version":1,"last_update":"...",
 *	 "stacks":[{"host_id":"32 hex","host_name":"nas","stack_id":"shop","vni":1000,
 *	   "names":[{"name":"web","kind":"service","addresses":["172.18.0.2","fd00::2"]}]}],
 *	 "problems":[...]}
 *
 * Addresses are those that the container itself has; what others must use follows from struct mapped (discovery.h).
 */
#ifndef STATE_NAMES_H
#define STATE_NAMES_H

#include "state/identity.h"
#include "state/inventory.h"

/* Ordered: when one name is several things, the first that there is counts, and only that */
enum name_kind { NAME_SERVICE, NAME_CONTAINER, NAME_ALIAS, NAME_KIND_N_ };
extern const char *const name_kind_names[NAME_KIND_N_]; /* "service", "container", "alias" */

#define LABEL_BYTES 64 /* NUL included */

struct name {
	char name[LABEL_BYTES]; /* lower case; label_valid() */
	enum name_kind kind;
	struct ip *addresses; /* sorted, each once; at least one */
	size_t n_addresses;
};

struct name_stack {
	char host_id[HOST_ID_LEN + 1], host_name[64]; /* "" in what names_of_stack() makes */
	char stack_id[LIMIT_NAME];
	uint32_t vni;
	struct name *names; /* sorted by name */
	size_t n_names, cap_names;
};

struct names {
	wall_t last_update;
	struct name_stack *stacks; /* sorted by vni, stack_id, host_id */
	size_t n_stacks, cap_stacks;
	struct problems problems;
};

/** label_valid() - May it stand before the stack's name: 1 to 63 of a-z 0-9 _ - ., no dot at its ends, none doubled? */
bool label_valid(const char *s);
/** label_lower() - Copy in lower case. Return: false when the result is no label_valid() */
bool label_lower(const char *s, char ret[static LABEL_BYTES]);

/**
 * names_of_stack() - The names of a stack of ours
 * @ret: zeroed, or what was made before and is freed; name_stack_done() when no longer needed
 *
 * Of containers that are there and not HEALTH_STARTING or HEALTH_UNHEALTHY: the service, the container's name, the
 * aliases. A name that is no label_valid() is left out. At most LIMIT_NAMES_PER_STACK.
 */
void names_of_stack(const struct inv_stack *s, struct name_stack *ret);
bool name_stack_same(const struct name_stack *a, const struct name_stack *b);
void name_stack_done(struct name_stack *s);

/**
 * name_stack_to_value() - Append one stack and its @seq, for a store: {"host_id":...,"stack_id":...,"vni":...,"seq":17,
 * "names":[...]}, as in names.json. What is beyond @max_bytes is left out
 * Return: how many of its names are in it
 */
size_t name_stack_to_value(struct buf *b, const struct name_stack *s, uint64_t seq, size_t max_bytes);
/** name_stack_from_value() - @ret: name_stack_done(). Names that are none are left out. Return: 0 or -EINVAL */
int name_stack_from_value(const char *s, size_t len, struct name_stack *ret, uint64_t *ret_seq,
			  struct err *err) MUST_USE;

void names_done(struct names *n);
void names_sort(struct names *n);
/** names_from_json() - As inventory_from_json(): what is broken is left out and told in ret->problems */
int names_from_json(const json_t *root, struct names *ret, struct err *err) MUST_USE;
json_t *names_to_json(const struct names *n);
int names_read(int dirfd, const struct file_owner *owner, struct names *ret, struct err *err) MUST_USE;
int names_write(int dirfd, const struct names *n, struct err *err) MUST_USE;

#endif
