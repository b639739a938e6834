/* SPDX-License-Identifier: Apache-2.0
 *
 * What the role names needs inside a container, made by the broker: sockets, and the rule that brings the container's
 * queries to one of them. See docs/decisions/11.
 */
#ifndef IO_DNS_RULE_H
#define IO_DNS_RULE_H

#include "base/base.h"

#define DNS_TABLE "docker-router-names"

/**
 * dns_listen_open() - The UDP socket that queries of the container come to: DNS_ADDRESS inside @ns_fd, a port that the
 * kernel picks, so that none is taken which a program there is made for
 *
 * Return: fd; -errno
 */
int dns_listen_open(int ns_fd, struct err *err) MUST_USE;
/**
 * dns_ask_open() - A UDP socket from DNS_ADDRESS, any port, connected to Docker's resolver at 127.0.0.11 port 53
 *
 * Its port is not locked: connect() to AF_UNSPEC and again to the resolver gives another one, without help.
 * Return: fd; -ENETUNREACH while the namespace has no loopback yet; -errno
 */
int dns_ask_open(int ns_fd, struct err *err) MUST_USE;
/**
 * dns_rule_open() - The netlink socket that owns the table DNS_TABLE inside @ns_fd
 *
 * Its rules send UDP from here to 127.0.0.11 port 53 to DNS_ADDRESS port @port, unless it comes from DNS_ADDRESS, and
 * make what comes back from there come from 127.0.0.11 port 53. Without connection tracking: a client's port that has
 * been used before would lead to where the rule led then. The kernel takes the table away when the last descriptor of
 * the socket is closed.
 *
 * Return: fd; -EOPNOTSUPP: a kernel before 5.12, without tables that go with their owner; -EPERM: another socket owns a
 * table of that name; -errno
 */
int dns_rule_open(int ns_fd, uint16_t port, struct err *err) MUST_USE;

#endif
