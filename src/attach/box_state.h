/* SPDX-License-Identifier: Apache-2.0
 *
 * The insides of a container's object, for box.c and box_files.c alone.
 */
#ifndef ATTACH_BOX_STATE_H
#define ATTACH_BOX_STATE_H

#include "attach/box.h"
#include "attach/client.h"
#include "attach/want.h"

enum box_step {
	BOX_CLOSED, /* does not run, or is refused */
	BOX_OPENING,
	BOX_OPEN,
	BOX_WAIT, /* to open again */
	BOX_STOPPING,
	BOX_GONE
};

struct nic {
	struct box *box;
	char name[NIC_NAME], host[NIC_NAME], parent[NIC_NAME], lent[NIC_NAME]; /* lent: a physical interface */
	enum nic_kind kind;
	bool shim;
	enum nic_state state;
	char why[200];
	wall_t since;
	bool failed; /* in this turn: not to be tried again in it */
	bool sysctl_done, sysctl_calling;
	int ifindex, host_ifindex; /* as last seen, 0 none */
	int64_t begun_us, attach_us;
	struct prefix known[LIMIT_NIC_ADDRESSES + LEASE_KIND_N_]; /* that we have put there */
	size_t n_known;
	/* as seen */
	struct mac mac;
	uint32_t mtu;
	struct prefix addresses[LIMIT_NIC_ADDRESSES];
	size_t n_addresses;
	struct ip gateways[2];
	struct client *clients[LEASE_KIND_N_]; /* NULL: none is wanted */
};

/* One question to the broker, that outlives who asked */
struct call {
	struct box *box; /* NULL: gone */
	struct call *next;
	unsigned turn; /* of the box when it asked: its namespace may be another one by now */
	int what;
	char nic[NIC_NAME];
};

struct box {
	struct boxes *all;
	struct inv_attach a;
	enum box_step step;
	struct broker_ns ns;
	int ns_fd, conf_fd; /* conf_fd: its IPv6 settings, nic_conf.h; or -1 */
	struct nl *nl, *events;
	unsigned turn, calls;
	struct call *open_calls;
	struct nic **nics; /* as a.nics */
	size_t n_nics;
	struct seen seen; /* while it works */
	bool look;	  /* it is not known any more what there is */
	struct timer *work, *retry, *patience;
	int64_t retry_us;
	/* box_files.c */
	bool flag_made, flag_calling;
	uint64_t resolv_hash;
	bool resolv_calling;
};

struct call *box_call(struct box *b, const char *nic);
void box_call_done(struct call *c);
/** box_calls_forget() - Their answers belong to nobody then */
void box_calls_forget(struct box *b);

/** box_files() - Flag and resolv.conf, as they follow from the NICs */
void box_files(struct box *b);
/** box_flag_begin() - @made: an earlier run of ours has seen to this start of the container */
void box_flag_begin(struct box *b, bool made);
void box_flag_end(struct box *b);
/** box_returned() - A physical interface is back on the host: its alias is taken off */
void box_returned(struct box *b, const char *name);

#endif
