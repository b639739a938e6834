/* SPDX-License-Identifier: Apache-2.0
 *
 * records.json: what the role names answers, and to whom. For the verbs and for people; nothing depends on it.
 *
 *	{"version":1,"last_update":"...","domain":"docker-router.internal","listen":["127.0.0.1:4753"],
 *	 "listen_error":"",
 *	 "containers":[{"id":"...","name":"shop_web_1","vnis":[1000],"answered":true,"why":""}],
 *	 "records":[{"name":"web","kind":"service","stack_id":"shop","host_id":"32 hex","host_name":"nas","vni":1000,
 *	   "addresses":["172.18.0.2"],"mapped":["241.7.0.2"]}],
 *	 "problems":[...]}
 *
 * "listen" is where the host's own resolver is answered; one string in older files. "why" of a container that is
 * answered is "" or "by NAMES_LISTEN": it asks there by itself.
 *
 * "addresses" are the containers' own, "mapped" those that others use where that is so, in the same order.
 */
#ifndef STATE_RECORDS_H
#define STATE_RECORDS_H

#include "state/names.h"

struct record {
	char name[LABEL_BYTES]; /* "": the stack itself */
	enum name_kind kind;
	char stack_id[LIMIT_NAME], host_id[HOST_ID_LEN + 1], host_name[64];
	uint32_t vni;
	struct ip *addresses, *mapped; /* @mapped: as many, or none */
	size_t n_addresses, n_mapped;
};

struct record_container {
	char id[LIMIT_ID], name[LIMIT_NAME];
	uint32_t vnis[16];
	size_t n_vnis;
	bool answered; /* its queries come to us */
	char *why;     /* how, unless in its own namespace; or why not; or "" */
};

struct records {
	wall_t last_update;
	char domain[64];
	struct endpoint listen[LIMIT_LISTEN];
	size_t n_listen;
	char *listen_error; /* where the host's own resolver cannot be served, and why; or "" */
	struct record_container *containers;
	size_t n_containers, cap_containers;
	struct record *records; /* sorted by vni, stack_id, name, host_id */
	size_t n_records, cap_records;
	struct problems problems;
};

void records_done(struct records *r);
json_t *records_to_json(const struct records *r);
int records_from_json(const json_t *root, struct records *ret, struct err *err) MUST_USE;
int records_read(int dirfd, const struct file_owner *owner, struct records *ret, struct err *err) MUST_USE;
int records_write(int dirfd, const struct records *r, struct err *err) MUST_USE;

#endif
