/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of `doctor` share: rows, the namespace that is looked at, and the time that is left. A check never
 * fails the command, it adds rows; and each row that is not fine says what to do.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli/cli.h"
#include "cli/run.h"
#include "state/seal.h"

enum check_state { CHECK_OK, CHECK_INFO, CHECK_WARNING, CHECK_ERROR, CHECK_SKIPPED, CHECK_STATE_N_ };

struct check {
	const char *check; /* a literal */
	enum check_state state;
	char *what, *cure;
};

#define DOCTOR_MS 4800 /* for all of it */

struct doctor {
	struct cli *cli;
	struct state_files files;
	bool root;
	bool other_ns; /* the host works in another network namespace, and we could not enter it */
	struct check *checks;
	size_t n, cap;
	mono_t start;
	bool tty, progress_shown;
};

/** doctor_add() - A row; @cure: lines to do, or NULL */
void doctor_add(struct doctor *d, const char *check, enum check_state state, const char *cure, const char *fmt, ...)
	PRINTF(5, 6);
/** doctor_step() - What comes now: shown on a terminal when it takes longer than a second in all */
void doctor_step(struct doctor *d, const char *what);
/** doctor_left_ms() - What is left for a child or a wait: @max at most, 0: nothing, skip it */
int doctor_left_ms(const struct doctor *d, int max);

/** doctor_run() - run_wait() within the time that is left; -ETIME when none is */
int doctor_run(const struct doctor *d, const char *const *argv, int ns_fd, const char *input, struct run_result *ret,
	       struct err *err) MUST_USE;

/* doctor_kernel.c */
void doctor_kernel(struct doctor *d);
/** kernel_options_table() - Rows {option, why}: what a kernel must have */
struct table *kernel_options_table(void);

/* doctor_host.c */
void doctor_roles(struct doctor *d);
void doctor_programs(struct doctor *d);
void doctor_engines(struct doctor *d);
/** doctor_pids() - Containers have processes, but not one is seen here: a router in a container without --pid host */
void doctor_pids(struct doctor *d);
/** doctor_managers() - @root_dir: "" or where /etc and /usr/lib are looked for (tests) */
void doctor_managers(struct doctor *d, const char *root_dir);

/* doctor_net.c */
void doctor_forwarding(struct doctor *d);
void doctor_firewall(struct doctor *d);
void doctor_mtu(struct doctor *d);
void doctor_paths(struct doctor *d);

/** struct firewall_view - What a filter table means for traffic from a bridge back to the same bridge */
struct firewall_view {
	bool forward_drop; /* policy of FORWARD */
	bool accepts;	   /* a rule lets bridge -> same bridge pass */
	bool raw_drops;	   /* raw PREROUTING drops what did not come in by the bridge (Docker 28) */
};
/** firewall_parse() - @save: text of iptables-save or ip6tables-save; pure */
void firewall_parse(const char *save, const char *bridge, struct firewall_view *ret);

/* doctor_seal.c */
void doctor_sealing(struct doctor *d);
/** doctor_seal_new() - What our questions are sealed with. Return: 0, *ret is NULL where discovery is not sealed;
 * negative: the keys cannot be had, told in @err */
int doctor_seal_new(const struct doctor *d, struct seal **ret, struct err *err) MUST_USE;

/* doctor_probe.c */
void doctor_discovery_port(struct doctor *d);
void doctor_vxlan_port(struct doctor *d);

/* doctor_multicast.c */
void doctor_multicast(struct doctor *d);
/** igmp_has() - Is the IPv4 @group joined on @interface? @proc: text of /proc/net/igmp; pure */
bool igmp_has(const char *proc, const char *interface, const struct ip *group);
/** struct firewall_input - What a filter table means for the LAN on its way to our ports */
struct firewall_input {
	bool drops;   /* what no rule lets in */
	bool lets_in; /* a rule is for our ports, or for all */
};
/** firewall_input_parse() - @save: text of iptables-save; pure */
void firewall_input_parse(const char *save, const char *interface, struct firewall_input *ret);

/* doctor_attach.c */
void doctor_attach(struct doctor *d);

/* doctor_names.c */
void doctor_names(struct doctor *d);
/** doctor_mapping() - Are stacks of one VNI mapped on one host and not on another? Then they do not meet */
void doctor_mapping(struct doctor *d);
void doctor_pool(struct doctor *d);
/** doctor_peer_refuses() - Do all our subnets in the VNI clash with what the peer has or knows, so that it has no way
 * to us whatever the firewall? @ret_why: which with which */
bool doctor_peer_refuses(const struct doctor *d, uint32_t vni, const struct peer *peer, struct buf *ret_why);

/** doctor_has_ipv6() - Does a stack of this host have an IPv6 subnet? */
bool doctor_has_ipv6(const struct doctor *d);

#endif
