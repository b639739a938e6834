/* SPDX-License-Identifier: Apache-2.0
 *
 * NICs for containers that are named, rather than labelled: by the config file, by /etc/config/docker (UCI), by
 * `docker-router plug`, which keeps them in plugs.json:
 *
 *	{"version":1,"plugs":[{"container":"web","nics":[{"parent":"br-lan","name":"eth1","address":"dhcp"}]}]}
 *
 * A container is named as Docker calls it, or by 12 or more digits of its id.
 */
#ifndef STATE_NIC_REQUEST_H
#define STATE_NIC_REQUEST_H

#include "state/nic.h"

#define STATE_PLUGS	   "plugs.json"
#define LIMIT_NIC_REQUESTS 256 /* containers of one source */
#define LIMIT_UCI_BYTES	   (256u << 10)

struct nic_request {
	char container[LIMIT_NAME];
	const char *from; /* where it was read, for messages; a literal or as long-lived as the settings */
	struct nic_spec *nics;
	size_t n_nics, cap_nics;
};

struct nic_requests {
	struct nic_request *v;
	size_t n, cap;
};

void nic_requests_done(struct nic_requests *r);
/** nic_requests_for() - That of a container, made where there is none. Return: NULL: LIMIT_NIC_REQUESTS */
struct nic_request *nic_requests_for(struct nic_requests *r, const char *container, const char *from);
struct nic_request *nic_requests_find(const struct nic_requests *r, const char *container);
/** nic_request_put() - One more NIC, in place of one of that name. Return: 0 or -E2BIG */
int nic_request_put(struct nic_request *r, const struct nic_spec *nic, struct err *err) MUST_USE;
/** nic_request_remove() - The NIC @name, or all when NULL. Return: how many went */
size_t nic_request_remove(struct nic_request *r, const char *name);
void nic_requests_copy(const struct nic_requests *from, struct nic_requests *ret); /* appended to @ret */
bool nic_requests_same(const struct nic_requests *a, const struct nic_requests *b);
/** nic_request_names() - Does it mean the container with this name and id? */
bool nic_request_names(const struct nic_request *r, const char *name, const char *id);

int plugs_read(int dirfd, const struct file_owner *owner, struct nic_requests *ret, struct problems *problems,
	       struct err *err) MUST_USE;
int plugs_write(int dirfd, const struct nic_requests *r, struct err *err) MUST_USE;

/**
 * uci_nics_parse() - The sections `config container 'NAME'` with `option network 'lan:eth1'` of /etc/config/docker
 * @name: of the file, for messages
 *
 * A network is a bridge whose name has "br-" before it. A NIC's other settings are options too: `option eth1_address
 * 'dhcp'`. What is malformed costs its section, and is told in @problems.
 * Return: 0; -EINVAL: the text is not UCI
 */
int uci_nics_parse(const char *name, const char *text, size_t len, struct nic_requests *ret, struct problems *problems,
		   struct err *err) MUST_USE;

#endif
