/* SPDX-License-Identifier: Apache-2.0
 *
 * What client and server of the broker say to each other, and the check that every request passes before anything is
 * done for it. Both ends come from one build and one machine: plain structs, and a magic that changes with them.
 */
#ifndef IO_BROKER_WIRE_H
#define IO_BROKER_WIRE_H

#include "io/broker.h"

#define BROKER_MAGIC	  0x44524231u
#define BROKER_TEXT_BYTES 16384u

struct broker_request {
	uint32_t magic, id;
	int32_t op, arg;
	struct broker_ns ns;
};

struct broker_reply {
	uint32_t magic, id;
	int32_t code;
	uint32_t text_len;
	char text[]; /* text_len bytes, no NUL */
};

enum broker_target { TARGET_HOST, TARGET_VNI, TARGET_CONTAINER, TARGET_WIREGUARD, TARGET_N_ };

/** struct broker_ask - A request that may be carried out */
struct broker_ask {
	enum broker_op op;
	enum broker_target target;
	uint32_t vni;
	int32_t arg;
	struct broker_ns ns; /* terminated strings that follow their grammars */
};

/**
 * broker_request_check() - Is this datagram a request that we do?
 * @has_fd: a descriptor came along
 *
 * A pure function. Return: 0; -EBADMSG: not a request at all; -EINVAL: one that is not allowed, and @err says why
 */
int broker_request_check(const void *data, size_t len, bool has_fd, struct broker_ask *ret, struct err *err) MUST_USE;

/**
 * broker_sandbox_dir_ok() - May a sandbox key lie in this directory?
 * @dir:  absolute, without trailing '/'
 * @base: the last component
 */
bool broker_sandbox_dir_ok(const char *dir, const char *base);

#endif
