/* SPDX-License-Identifier: Apache-2.0
 *
 * What dockerd asks of a network driver (libnetwork's remote protocol), as structs, and the answers as text. Pure:
 * bodies come from dockerd, and in them what people typed: options of networks and endpoints.
 *
 *	docker network create -d docker-router-lan --ipam-driver null -o parent=br-lan lan
 *	-o parent=NAME                            bridge or interface of the host
 *	-o kind=auto|bridge|macvlan|macvlan-private
 *	-o ipam=dhcp|static                       dhcp goes with --ipam-driver null, static with --subnet
 *	-o mtu=N  -o wait=SECONDS
 *	docker run --network name=lan,driver-opt=docker-router.name=web
 */
#ifndef DRIVER_REQUEST_H
#define DRIVER_REQUEST_H

#include "state/driver.h"

enum driver_call {
	CALL_ACTIVATE,
	CALL_CAPABILITIES,
	CALL_GW_ALLOC,
	CALL_CREATE_NETWORK,
	CALL_DELETE_NETWORK,
	CALL_CREATE_ENDPOINT,
	CALL_DELETE_ENDPOINT,
	CALL_ENDPOINT_INFO,
	CALL_JOIN,
	CALL_LEAVE,
	CALL_NOTHING, /* that there is nothing to do for */
	CALL_N_
};

struct driver_request {
	enum driver_call call;
	char network[LIMIT_ID], endpoint[LIMIT_ID]; /* where the call has them */
	struct driver_network net;		    /* CALL_CREATE_NETWORK */
	/* CALL_CREATE_ENDPOINT */
	struct prefix address, address6; /* none: the driver finds one */
	struct mac mac;			 /* none: likewise */
	char name[64];
	char sandbox[256]; /* CALL_JOIN */
};

/** driver_request_parse() - Return: 0; -ENOENT an unknown call; -EBADMSG no JSON (HTTP 400); -EINVAL what a person
 * wrote */
int driver_request_parse(const char *path, const char *body, size_t len, struct driver_request *ret,
			 struct err *err) MUST_USE;

/** driver_answer_*() - Append the text of an answer */
void driver_answer_error(struct buf *out, const char *why);
void driver_answer_fixed(struct buf *out, enum driver_call call); /* where the call alone tells the answer */
/** driver_answer_endpoint() - What the request did not give: Docker wants no more */
void driver_answer_endpoint(struct buf *out, const struct driver_request *q, const struct driver_endpoint *e);
void driver_answer_join(struct buf *out, const struct driver_network *n, const struct driver_endpoint *e);
void driver_answer_info(struct buf *out, const struct driver_endpoint *e);

#endif
