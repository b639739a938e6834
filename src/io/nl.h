/* SPDX-License-Identifier: Apache-2.0
 *
 * Netlink over libmnl: requests in batches, dumps that repeat when interrupted, events that say when they were lost.
 * A socket belongs to one namespace for life. Never dies of what it reads: a message that does not parse is counted and
 * passed over, a sequence that does not match is dropped.
 */
#ifndef IO_NL_H
#define IO_NL_H

#include <libmnl/libmnl.h>

#include "base/base.h"
#include "io/loop.h"

struct nl;

/**
 * nl_open() - A netlink socket in the namespace of the caller; nl_adopt() - over a descriptor that was passed (taken)
 *
 * Sets strict checking, extended acks, capped acks, and buffers of 8 MiB where allowed (SO_RCVBUFFORCE), else as large
 * as permitted.
 */
int nl_open(int protocol, struct nl **ret, struct err *err) MUST_USE;
int nl_adopt(int fd, struct nl **ret, struct err *err) MUST_USE;
void nl_free(struct nl *nl);

/**
 * nl_begin() - Start one request in the current batch
 * @type, @flags: as in nlmsghdr; NLM_F_REQUEST is added
 *
 * Return: the header, with room for 8 KiB of payload; add with mnl_nlmsg_put_extra_header() and mnl_attr_put*().
 * The batch is sent when full and by nl_commit(). NLM_F_ACK is not needed: errors are answered anyway.
 */
struct nlmsghdr *nl_begin(struct nl *nl, uint16_t type, uint16_t flags, void *cookie);
/** nl_end() - The request is complete */
void nl_end(struct nl *nl);

/** nl_fail_fn - One request failed: its cookie, -errno, and the kernel's extended ack text ("" when none) */
typedef void nl_fail_fn(void *arg, void *cookie, int code, const char *extack);
/**
 * nl_commit() - Send what is left of the batch and wait for the kernel's answers (synchronous; the kernel works inside
 * sendmsg)
 * @fail: called once per failed request, in order
 * Return: number of failed requests, or -errno when the socket itself failed
 */
int nl_commit(struct nl *nl, nl_fail_fn *fail, void *arg) MUST_USE;

/**
 * nl_transaction() - Send messages to nf_tables as one transaction: all of them are carried out, or none
 * @messages: complete ones, each aligned; not empty. Their numbers and acks are set here
 * Return: 0, or -errno of the first that the kernel refused, its words in @err
 */
int nl_transaction(struct nl *nl, const void *messages, size_t len, struct err *err) MUST_USE;

/** nl_msg_fn - One message of a dump or an event. */
typedef void nl_msg_fn(void *arg, const struct nlmsghdr *nlh);
/**
 * nl_dump() - Send @req (a complete header made by mnl in the caller's buffer; NLM_F_DUMP is added) and pass every
 * message
 * @restart: called before a repeat, when the kernel said NLM_F_DUMP_INTR: throw away what came so far (max 5 repeats)
 */
int nl_dump(struct nl *nl, struct nlmsghdr *req, nl_msg_fn *fn, loop_fn *restart, void *arg, struct err *err) MUST_USE;
/** nl_get() - One request, one answer message, or -errno with the extended ack in @err. @fn may be NULL: wait for the
 * ack */
int nl_get(struct nl *nl, struct nlmsghdr *req, nl_msg_fn *fn, void *arg, struct err *err) MUST_USE;

/**
 * nl_listen() - Join groups and call @fn for each event from the loop
 * @groups:  RTNLGRP_* / NFNLGRP_*, 0-terminated
 * @lost:    called when the kernel dropped events (ENOBUFS): dump again
 *
 * Use a socket of its own for events: requests and dumps go over another.
 */
int nl_listen(struct nl *nl, uv_loop_t *loop, const unsigned *groups, nl_msg_fn *fn, loop_fn *lost, void *arg,
	      struct err *err) MUST_USE;
/** nl_set_rcvbuf() - For tests of overrun: shrink the buffer */
void nl_set_rcvbuf(struct nl *nl, int bytes);
int nl_fd(const struct nl *nl);

#endif
