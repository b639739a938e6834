/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Probes that a peer answers
 *
 * A firewall on a peer, or between us, is silent. So each peer is asked, once on each way that the overlay uses:
 *
 *   discovery port   a QUERY from a port of our own to host_ip:DISCOVERY_PORT; its discovery sends a RESPONSE back. The
 *                    QUERY says part 1 of 2, and the other part never comes: it is answered all the same, but tells the
 *                    peer nothing about us, so that a diagnosis leaves no trace in anybody's table.
 *   VXLAN port       an ICMPv6 echo from the router namespace of the VNI to the peer's inner address, through the VXLAN
 *                    device; the peer's kernel answers.
 *
 * All are asked at once, three times in a second. Replies count by their sender's address; what they say does not
 * matter.
 */
#include <fcntl.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "cli/doctor.h"
#include "io/ns.h"

#define PROBE_HOSTS_MAX 256
#define PROBE_MS	1000
#define PROBE_AGAIN_MS	300
#define PROBE_SENDS	3

struct target {
	const struct peer *peer;
	bool answered;
};

struct targets {
	struct target v[PROBE_HOSTS_MAX];
	size_t n, left; /* left: not answered */
};

typedef void probe_send_fn(void *arg, const struct target *t);
typedef void probe_receive_fn(void *arg, struct targets *ts);

/* Send to all that have not answered, listen, and again. */
static void probe_run(int fd, int timeout_ms, struct targets *ts, probe_send_fn *send_fn, probe_receive_fn *receive,
		      void *arg)
{
	int64_t start = mono_now().us / 1000, end = start + timeout_ms;
	unsigned sends = 0;

	ts->left = ts->n;
	for (int64_t now = start; ts->left && now < end; now = mono_now().us / 1000) {
		if (sends < PROBE_SENDS && now >= start + (int64_t)sends * PROBE_AGAIN_MS) {
			for (size_t i = 0; i < ts->n; i++) {
				if (!ts->v[i].answered)
					send_fn(arg, &ts->v[i]);
			}
			sends++;
		}
		int64_t until = sends < PROBE_SENDS ? start + (int64_t)sends * PROBE_AGAIN_MS : end;
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, until > now ? (int)(until - now) : 0) > 0)
			receive(arg, ts);
	}
}

static void answered(struct targets *ts, struct target *t)
{
	if (!t->answered) {
		t->answered = true;
		ts->left--;
	}
}

static const char *peer_name(const struct peer *p, char out[static 140])
{
	char ip[IP_STRLEN];

	ip_format(&p->host_ip, ip);
	if (p->host_name[0])
		snprintf(out, 140, "%s (%s)", p->host_name, ip);
	else
		snprintf(out, 140, "%s", ip);
	return out;
}

/* --- discovery port --- */

static int by_address(const void *pa, const void *pb)
{
	const struct peer *a = *(const struct peer *const *)pa, *b = *(const struct peer *const *)pb;

	return ip_cmp(&a->host_ip, &b->host_ip);
}

/* Hosts of other modes need not listen there, and do not answer */
static bool speaks_datagrams(const struct peer *p)
{
	return p->source == PEER_MULTICAST || p->source == PEER_STATIC || p->source == PEER_DNS;
}

/* One target per host that is active, of our family, and listens */
static void hosts_collect(const struct discovery *disc, uint8_t family, struct targets *ts)
{
	autofree const struct peer **order = xcalloc(disc->n_peers + 1, sizeof(struct peer *));
	size_t n = 0;

	for (size_t i = 0; i < disc->n_peers; i++) {
		const struct peer *p = &disc->peers[i];
		if (p->status == PEER_ACTIVE && p->host_id[0] && speaks_datagrams(p) && p->host_ip.family == family)
			order[n++] = p;
	}
	qsort(order, n, sizeof(struct peer *), by_address);
	for (size_t i = 0; i < n && ts->n < PROBE_HOSTS_MAX; i++) {
		if (ts->n == 0 || ip_cmp(&ts->v[ts->n - 1].peer->host_ip, &order[i]->host_ip) != 0)
			ts->v[ts->n++] = (struct target){.peer = order[i]};
	}
}

struct query {
	int fd;
	uint16_t port;
	char *text;
	struct seal *seal; /* NULL: peers do not expect it */
	struct endpoint own;
	struct sockaddr_storage to; /* of the one that is asked */
	socklen_t to_len;
};

static void query_send_one(void *arg, const char *data, size_t len)
{
	const struct query *q = arg;

	(void)!sendto(q->fd, data, len, MSG_DONTWAIT, (const struct sockaddr *)&q->to, q->to_len);
}

static void query_send(void *arg, const struct target *t)
{
	struct query *q = arg;
	struct endpoint to = {.ip = t->peer->host_ip, .port = q->port};

	q->to_len = endpoint_to_sockaddr(&to, &q->to);
	if (q->seal)
		seal_data(q->seal, (struct seal_now){.mono = mono_now(), .wall = wall_now()}, &q->own, q->text,
			  strlen(q->text), query_send_one, q);
	else
		query_send_one(q, q->text, strlen(q->text));
}

static void query_receive(void *arg, struct targets *ts)
{
	const struct query *q = arg;
	char data[64];
	struct sockaddr_storage ss;

	for (int turn = 0; turn < 1024; turn++) {
		socklen_t len = sizeof(ss);
		ssize_t n = recvfrom(q->fd, data, sizeof(data), MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&ss, &len);
		if (n < 0 && errno == ECONNREFUSED)
			continue; /* an ICMP error of one of them */
		if (n < 0)
			return;
		struct endpoint from = endpoint_from_sockaddr(&ss);
		for (size_t i = 0; i < ts->n; i++) {
			if (ip_cmp(&ts->v[i].peer->host_ip, &from.ip) == 0)
				answered(ts, &ts->v[i]);
		}
	}
}

static char *query_text(const struct doctor *d)
{
	const struct discovery *disc = &d->files.discovery;
	const struct self_stack *s = &disc->self.stacks[0];
	struct mac mac = vtep_mac(disc->self.host_id, s->vni);
	struct ip vtep = vtep_ip(disc->self.host_id, s->vni);
	char mac_text[MAC_STRLEN];
	json_t *o = json_object();

	json_object_set_new(o, "type", json_string("QUERY"));
	json_object_set_new(o, "version", json_integer(1));
	json_object_set_new(o, "stack_id", json_text(s->stack_id));
	json_put_ip(o, "host_ip", &disc->self.host_ip);
	json_object_set_new(o, "vni", json_integer(s->vni));
	json_object_set_new(o, "timestamp", json_integer(d->cli->now.ms / 1000));
	json_object_set_new(o, "host_id", json_text(disc->self.host_id));
	json_object_set_new(o, "port", json_integer(disc->self.vxlan_port ? disc->self.vxlan_port : 4789));
	json_object_set_new(o, "vtep_mac", json_string(mac_format(&mac, mac_text)));
	json_put_ip(o, "vtep_ip", &vtep);
	json_object_set_new(o, "seq", json_integer(0));
	json_object_set_new(o, "part", json_integer(1));
	json_object_set_new(o, "parts", json_integer(2));
	json_object_set_new(o, "subnets", json_array());
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

/* Does discovery itself tell why the two do not hear each other: a key that one of them has not? */
static bool is_told_of(const struct doctor *d, const struct ip *ip)
{
	const struct problems *p = &d->files.discovery.problems;
	char text[IP_STRLEN];

	ip_format(ip, text);
	for (size_t i = 0; i < p->n; i++) {
		if (str_eq(p->v[i].object, text))
			return true;
	}
	return false;
}

static void query_rows(struct doctor *d, const struct targets *ts, uint16_t port)
{
	char name[140], own[IP_STRLEN];
	size_t fine = 0;

	ip_format(&d->files.discovery.self.host_ip, own);
	for (size_t i = 0; i < ts->n; i++) {
		const struct peer *p = ts->v[i].peer;
		fine += ts->v[i].answered;
		if (ts->v[i].answered)
			continue;
		if (p->source == PEER_DNS) {
			doctor_add(
				d, "discovery port", CHECK_WARNING,
				"Open it on that host for this one. Until then names of containers there are not known "
				"here, nor changes before the TTL is over.",
				"%s, found in DNS, does not answer on UDP %u", peer_name(p, name), port);
			continue;
		}
		bool told = is_told_of(d, &p->host_ip);
		autofree char *cure = xasprintf(
			"%sOpen UDP %u from %s on %s, if docker-router runs there. (It was heard by %s, so its "
			"announcements do arrive here; ours may not arrive there.)",
			told ? "First do what stands at \"discovery\" about that host. If that is done: " : "", port,
			own, p->host_name[0] ? p->host_name : "that host", peer_source_names[p->source]);
		doctor_add(d, "discovery port", CHECK_ERROR, cure, "%s does not answer on UDP %u", peer_name(p, name),
			   port);
	}
	if (fine)
		doctor_add(d, "discovery port", CHECK_OK, NULL, "%zu host%s answered on UDP %u", fine,
			   fine == 1 ? "" : "s", port);
}

void doctor_discovery_port(struct doctor *d)
{
	const struct discovery *disc = &d->files.discovery;
	struct targets ts = {.n = 0};
	struct endpoint own = {.ip = disc->self.host_ip};
	struct query q = {.port = d->cli->config.discovery_port};
	struct sockaddr_storage ss;

	if (d->files.code[FILE_DISCOVERY] != 0 || d->other_ns || ip_is_none(&own.ip))
		return;
	hosts_collect(disc, own.ip.family, &ts);
	if (ts.n == 0 || disc->self.n_stacks == 0 || !disc->self.host_id[0]) {
		doctor_add(d, "discovery port", CHECK_SKIPPED, NULL,
			   ts.n		   ? "no stack here that could ask"
			   : disc->n_peers ? "no peer that is spoken to on this port"
					   : "no peer to ask");
		return;
	}
	struct err err = {0};
	if (doctor_seal_new(d, &q.seal, &err) < 0) {
		doctor_add(d, "discovery port", CHECK_SKIPPED,
			   d->root ? "Name the key file as the host has it: --cluster-key-file FILE."
				   : "Run it as root, who may read the key file.",
			   "peers hear only what is sealed: %s", err.text);
		return;
	}
	autoclose int fd = socket(own.ip.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	q.fd = fd;
	socklen_t len = endpoint_to_sockaddr(&own, &ss);
	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, len) < 0) {
		doctor_add(d, "discovery port", CHECK_SKIPPED, NULL, "cannot send from our address: %s",
			   strerror(errno));
		seal_free(q.seal);
		return;
	}
	len = sizeof(ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		q.own = endpoint_from_sockaddr(&ss);
	q.text = query_text(d);
	if (q.text) {
		probe_run(fd, doctor_left_ms(d, PROBE_MS), &ts, query_send, query_receive, &q);
		query_rows(d, &ts, q.port);
	}
	free(q.text);
	seal_free(q.seal);
}

/* --- VXLAN port --- */

struct echo {
	int fd;
	unsigned ifindex;
	uint16_t id;
};

static void echo_send(void *arg, const struct target *t)
{
	const struct echo *e = arg;
	struct icmp6_hdr h = {.icmp6_type = ICMP6_ECHO_REQUEST, .icmp6_id = e->id};
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_scope_id = e->ifindex};

	memcpy(&to.sin6_addr, t->peer->vtep_ip.b, 16);
	(void)!sendto(e->fd, &h, sizeof(h), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
}

static void echo_receive(void *arg, struct targets *ts)
{
	const struct echo *e = arg;
	struct icmp6_hdr h;
	struct sockaddr_in6 from;

	for (int turn = 0; turn < 1024; turn++) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(e->fd, &h, sizeof(h), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
		if (n < 0)
			return;
		if (n != sizeof(h) || h.icmp6_type != ICMP6_ECHO_REPLY || h.icmp6_id != e->id)
			continue;
		for (size_t i = 0; i < ts->n; i++) {
			if (memcmp(&from.sin6_addr, ts->v[i].peer->vtep_ip.b, 16) == 0)
				answered(ts, &ts->v[i]);
		}
	}
}

static const struct rs_route *route_find(const struct rs_vni *v, const struct peer *p)
{
	for (size_t i = 0; i < v->n_routes; i++) {
		if (str_eq(v->routes[i].host_id, p->host_id))
			return &v->routes[i];
	}
	return NULL;
}

/* Hosts that the router has a route to, by this device's family */
static void vteps_collect(const struct discovery *disc, const struct rs_vni *v, const struct rs_device *dev,
			  struct targets *ts)
{
	for (size_t i = 0; i < disc->n_peers && ts->n < PROBE_HOSTS_MAX; i++) {
		const struct peer *p = &disc->peers[i];
		bool again = false;

		if (p->vni != v->vni || p->status != PEER_ACTIVE || p->vtep_ip.family != AF_INET6 ||
		    p->vxlan_endpoint.ip.family != dev->local.family || !route_find(v, p))
			continue;
		for (size_t j = 0; j < ts->n && !again; j++)
			again = ip_cmp(&ts->v[j].peer->vtep_ip, &p->vtep_ip) == 0;
		if (!again)
			ts->v[ts->n++] = (struct target){.peer = p};
	}
}

static int echo_open(const struct rs_vni *v, const struct rs_device *dev, struct echo *ret, struct err *err)
{
	autoclose int ns = v->ns[0] ? ns_open(v->ns, err) : -1;
	struct ifreq ifr = {0};

	if (v->ns[0] && ns < 0)
		return ns;
	autoclose int fd = ns_socket(ns, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, err);
	if (fd < 0)
		return fd;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", dev->name);
	if (ioctl(fd, SIOCGIFINDEX, &ifr) < 0)
		return err_errno(err, -errno, "device %s", dev->name);
	*ret = (struct echo){.fd = steal_fd(fd), .ifindex = (unsigned)ifr.ifr_ifindex, .id = (uint16_t)getpid()};
	return 0;
}

static void echo_rows(struct doctor *d, const struct rs_vni *v, const struct rs_device *dev, const struct targets *ts)
{
	char name[140], own[IP_STRLEN], peer_ip[IP_STRLEN];
	size_t fine = 0;

	ip_format(&dev->local, own);
	for (size_t i = 0; i < ts->n; i++) {
		const struct peer *p = ts->v[i].peer;
		fine += ts->v[i].answered;
		if (ts->v[i].answered)
			continue;
		autobuf struct buf why = {0};
		if (doctor_peer_refuses(d, v->vni, p, &why)) {
			doctor_add(
				d, "VXLAN", CHECK_ERROR,
				d->cli->config.mapping == MAPPING_NEVER
					? "No firewall is to blame. Set MAPPING=auto on all hosts of the VNI; or give "
					  "one of "
					  "the two another subnet, docker-router doctor on that host prints a free one."
					: "No firewall is to blame. Give one of the two another subnet: docker-router "
					  "doctor "
					  "on that host prints a free one.",
				"%s can take none of our subnets in VNI %u, so it does not answer: %s",
				peer_name(p, name), v->vni, why.data);
			continue;
		}
		autofree char *cure =
			xasprintf("Open UDP %u from %s on %s, and UDP %u from %s here. Between hosts on a hoster's "
				  "network look at its "
				  "firewall too.",
				  p->vxlan_endpoint.port, own, p->host_name[0] ? p->host_name : "that host", dev->port,
				  ip_format(&p->vxlan_endpoint.ip, peer_ip));
		doctor_add(d, "VXLAN port", CHECK_ERROR, cure, "%s does not answer over VXLAN, VNI %u, UDP %u",
			   peer_name(p, name), v->vni, p->vxlan_endpoint.port);
	}
	if (fine)
		doctor_add(d, "VXLAN port", CHECK_OK, NULL, "%zu host%s answered over VXLAN, VNI %u", fine,
			   fine == 1 ? "" : "s", v->vni);
}

void doctor_vxlan_port(struct doctor *d)
{
	const struct router_state *r = &d->files.router;
	size_t asked = 0, devices = 0;

	if (d->files.code[FILE_ROUTER] != 0 || d->files.code[FILE_DISCOVERY] != 0)
		return;
	if (!d->root) {
		doctor_add(d, "VXLAN port", CHECK_SKIPPED, "Run doctor as root.",
			   "only root may look into a router namespace");
		return;
	}
	for (size_t i = 0; i < r->n_vnis; i++)
		devices += r->vnis[i].n_devices;
	for (size_t i = 0; i < r->n_vnis; i++) {
		for (size_t j = 0; j < r->vnis[i].n_devices; j++, devices--) {
			const struct rs_vni *v = &r->vnis[i];
			struct targets ts = {.n = 0};
			struct err err = {0};
			struct echo e = {.fd = -1};

			vteps_collect(&d->files.discovery, v, &v->devices[j], &ts);
			if (ts.n == 0)
				continue;
			asked++;
			/* silent ones take all they are given: a share each, so that every VNI has its turn */
			int share = doctor_left_ms(d, DOCTOR_MS) / (int)devices;
			int timeout_ms = share < PROBE_MS ? share : PROBE_MS;
			if (timeout_ms == 0) {
				doctor_add(d, "VXLAN port", CHECK_SKIPPED, NULL, "VNI %u: no time was left", v->vni);
				continue;
			}
			if (echo_open(v, &v->devices[j], &e, &err) < 0) {
				doctor_add(d, "VXLAN port", CHECK_WARNING, "Is the router running? It makes it anew.",
					   "VNI %u: %s", v->vni, err.text);
				continue;
			}
			probe_run(e.fd, timeout_ms, &ts, echo_send, echo_receive, &e);
			close(e.fd);
			echo_rows(d, v, &v->devices[j], &ts);
		}
	}
	if (asked == 0)
		doctor_add(d, "VXLAN port", CHECK_SKIPPED, NULL, "no peer to ask");
}
