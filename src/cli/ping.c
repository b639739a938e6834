/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: docker-router ping
 *
 * From the host's own namespace an echo to a container passes the router namespace of the VNI, then that of the peer,
 * and is answered by the container: three hops, two where the stack is here, none between where the bridge is enough.
 * All hop limits are tried at once; the smallest that brings a reply is the length of the way. Then comes a round every
 * 200 ms. A kernel answers a sender at most once a second with "time exceeded", after a handful (icmp_ratelimit): what
 * it could not answer is not sent, so that such a hop does not look lossy.
 *
 * The path MTU is found with echoes that may not be fragmented, first one of 1500 bytes: who cannot pass it on says
 * what fits, or says nothing; the rest is halving. IP_PMTUDISC_PROBE makes the kernel send them whatever it has
 * learned.
 */
#include <netinet/icmp6.h>
#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/signalfd.h>

#include <linux/icmp.h> /* after libc's own: musl */

#include "cli/cli.h"
#include "cli/lookup.h"
#include "cli/ping.h"

#define HOPS_MAX	 8
#define ROUND_US	 (200 * USEC_PER_MSEC)
#define WAIT_US		 USEC_PER_SEC
#define GRACE_US	 (300 * USEC_PER_MSEC) /* for the hops between, once the end has answered */
#define ANSWERS_AT_ONCE	 5		       /* that a hop gives before it answers once a second only */
#define MTU_FIRST	 1500
#define MTU_LIMIT	 9217 /* not looked for beyond */
#define MTU_TRIES	 2
#define WHO_BYTES	 256
#define IP_HEADER_OF(v4) ((v4) ? 20u : 40u)

struct hop {
	uint32_t sent, received, damaged, elsewhere;
	int64_t min_us, max_us, sum_us, sent_us; /* @sent_us: of the last one */
	struct ip from;
	enum ping_kind kind;
};

struct probe {
	uint8_t hop; /* 0: one for the MTU */
	bool answered;
	struct ping_answer answer;
	struct ip from;
	int64_t sent_us;
};

struct ping {
	struct cli *cli;
	struct state_files files;
	struct lookup found;
	struct ip to;
	char name[RECORD_NAME_BYTES]; /* "" when an address was given */
	const struct record *record;  /* that has the address, or NULL */
	const struct rs_vni *vni;     /* whose route leads there, or NULL */
	const struct rs_route *route;
	int fd, signal_fd;
	uint16_t id;
	struct probe *probes; /* by sequence number */
	size_t n_probes, cap_probes;
	struct hop hops[HOPS_MAX + 1]; /* by hop limit, 1 the first */
	unsigned n_hops;	       /* of the way; HOPS_MAX + 1: the end has not answered */
	uint32_t mtu, mtu_told;	       /* 0: unknown, not told */
	uint32_t mtu_from;	       /* the hop that told it, 0: unknown */
	bool stopped, tty;
	int send_errno; /* the last echo could not even be sent */
	uint8_t packet[PING_BYTES_MAX];
};

/* --- whom --- */

static bool is_local(const struct ping *p, const struct record *r)
{
	return r && r->host_id[0] && str_eq(r->host_id, p->files.discovery.self.host_id);
}

static bool target_resolve(struct ping *p)
{
	struct cli *c = p->cli;
	const struct records *r = &p->files.records;
	char nearest[NEAREST_MAX][RECORD_NAME_BYTES];

	if (ip_parse(c->arg, &p->to) == 0) {
		lookup_address(r, &p->to, (struct scope){0}, &p->found);
		p->record = p->found.n ? p->found.v[0] : NULL;
		/* several have it: the host reaches its own bridge, whatever others have */
		for (size_t i = 0; i < p->found.n && !is_local(p, p->record); i++)
			p->record = p->found.v[i];
		if (p->record && p->found.n > 1 && !is_local(p, p->record))
			p->record = p->found.v[0];
		return true;
	}
	if (!state_files_need(c, &p->files, FILE_RECORDS))
		return false;
	lookup_name(r, c->arg, (struct scope){0}, &p->found);
	if (p->found.n == 0) {
		autobuf struct buf safe = {0};
		size_t n = lookup_nearest(r, c->arg, (struct scope){0}, nearest);
		text_safe(&safe, c->arg, false);
		if (n) {
			buf_puts(&safe, "; there is ");
			text_safe(&safe, nearest[0], false);
		}
		fprintf(stderr, "docker-router ping: nothing is called %s%s\n", safe.data ? safe.data : "\"\"",
			n ? "" : "; docker-router records lists what there is");
		return false;
	}
	for (size_t i = 0; i < p->found.n && !p->record; i++) {
		if (p->found.v[i]->n_addresses)
			p->record = p->found.v[i];
	}
	if (!p->record) {
		fputs("docker-router ping: it is known, but without an address\n", stderr);
		return false;
	}
	p->to = *record_answer(p->record, 0);
	record_name(p->record, p->name);
	return true;
}

static size_t addresses_count(const struct lookup *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->v[i]->n_addresses;
	return n;
}

static void route_find(struct ping *p)
{
	for (size_t i = 0; i < p->files.router.n_vnis; i++) {
		const struct rs_vni *v = &p->files.router.vnis[i];
		for (size_t j = 0; j < v->n_routes; j++) {
			const struct rs_route *r = &v->routes[j];
			if (!prefix_has_ip(&r->prefix, &p->to) || (p->record && p->record->vni != v->vni) ||
			    (p->route && p->route->prefix.len >= r->prefix.len))
				continue;
			p->vni = v;
			p->route = r;
		}
	}
}

/* --- sending and receiving --- */

static int64_t now_us(void)
{
	return mono_now().us;
}

static int socket_open(struct ping *p, struct err *err)
{
	bool v4 = p->to.family == AF_INET;
	int probe = IP_PMTUDISC_PROBE /* of IPv6 it is the same number */, on = 1, code = 0;
	autoclose int fd = socket(p->to.family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
				  v4 ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6);

	if (fd < 0)
		return err_errno(err, -errno, "cannot send ICMP");
	if (v4) {
		struct icmp_filter f = {
			.data = ~(1u << ICMP_ECHOREPLY | 1u << ICMP_DEST_UNREACH | 1u << ICMP_TIME_EXCEEDED)};
		code |= setsockopt(fd, SOL_RAW, ICMP_FILTER, &f, sizeof(f));
		code |= setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe));
	} else {
		struct icmp6_filter f;
		ICMP6_FILTER_SETBLOCKALL(&f);
		ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &f);
		ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &f);
		ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &f);
		ICMP6_FILTER_SETPASS(ICMP6_TIME_EXCEEDED, &f);
		code |= setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &f, sizeof(f));
		code |= setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof(probe));
		code |= setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof(on));
	}
	if (code)
		return err_errno(err, -errno, "cannot set up the ICMP socket");
	p->fd = steal_fd(fd);
	return 0;
}

/* Return: the probe, or NULL when all numbers are used up */
static struct probe *echo_send(struct ping *p, uint8_t hop, size_t payload)
{
	struct endpoint to = {.ip = p->to};
	struct sockaddr_storage ss;
	socklen_t ss_len = endpoint_to_sockaddr(&to, &ss);
	bool v4 = p->to.family == AF_INET;
	int limit = hop ? hop : 64;

	if (p->n_probes > UINT16_MAX)
		return NULL;
	struct probe *probe = xgrow(&p->probes, p->n_probes, &p->cap_probes);
	uint16_t seq = (uint16_t)p->n_probes++;
	size_t len = ping_make(p->to.family, p->id, seq, payload, p->packet);
	if (setsockopt(p->fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TTL : IPV6_UNICAST_HOPS, &limit, sizeof(limit)) <
	    0)
		limit = 0; /* cannot be: then all hops look like the last */
	*probe = (struct probe){.hop = hop, .sent_us = now_us()};
	p->send_errno = 0;
	if (sendto(p->fd, p->packet, len, 0, (struct sockaddr *)&ss, ss_len) < 0)
		p->send_errno = errno;
	return probe;
}

static void hop_answered(struct ping *p, const struct probe *probe, int64_t took_us)
{
	struct hop *h = &p->hops[probe->hop];

	h->min_us = h->received == 0 || took_us < h->min_us ? took_us : h->min_us;
	h->max_us = took_us > h->max_us ? took_us : h->max_us;
	h->sum_us += took_us;
	h->received++;
	h->damaged += probe->answer.damaged;
	h->elsewhere += probe->answer.elsewhere;
	h->from = probe->from;
	h->kind = probe->answer.kind;
	if (probe->answer.kind == PING_REPLY && probe->hop < p->n_hops)
		p->n_hops = probe->hop;
}

static void echo_receive(struct ping *p)
{
	for (int turn = 0; turn < 4096; turn++) {
		struct sockaddr_storage ss = {0};
		socklen_t ss_len = sizeof(ss);
		ssize_t n = recvfrom(p->fd, p->packet, sizeof(p->packet), 0, (struct sockaddr *)&ss, &ss_len);
		int64_t at = now_us();
		if (n < 0)
			return;
		struct ping_answer a = ping_parse(&p->to, p->id, p->packet, (size_t)n);
		struct endpoint from = endpoint_from_sockaddr(&ss);
		if (a.kind == PING_NOTHING || a.seq >= p->n_probes || p->probes[a.seq].answered)
			continue;
		if (a.kind == PING_REPLY && ip_cmp(&from.ip, &p->to) != 0)
			a.elsewhere = true;
		struct probe *probe = &p->probes[a.seq];
		probe->answered = true;
		probe->answer = a;
		probe->from = from.ip;
		if (probe->hop)
			hop_answered(p, probe, at - probe->sent_us);
	}
}

/* Until @until_us, or less when @done says so, or who watches has seen enough */
static void listen_until(struct ping *p, int64_t until_us, bool (*done)(const struct ping *p))
{
	for (int64_t now = now_us(); now < until_us && !p->stopped && !(done && done(p)); now = now_us()) {
		struct pollfd fds[2] = {{.fd = p->fd, .events = POLLIN}, {.fd = p->signal_fd, .events = POLLIN}};
		struct timespec left = {.tv_sec = (until_us - now) / USEC_PER_SEC,
					.tv_nsec = (until_us - now) % USEC_PER_SEC * 1000};
		if (ppoll(fds, 2, &left, NULL) <= 0)
			continue;
		if (fds[0].revents)
			echo_receive(p);
		if (fds[1].revents)
			p->stopped = true;
	}
}

static bool all_answered(const struct ping *p)
{
	for (size_t i = 0; i < p->n_probes; i++) {
		if (!p->probes[i].answered && p->probes[i].hop <= p->n_hops)
			return false;
	}
	return true;
}

static bool end_answered(const struct ping *p)
{
	return p->n_hops <= HOPS_MAX;
}

/* What is on another host is behind two router namespaces: who answers at once is somebody else with that address */
static bool is_another(const struct ping *p)
{
	return p->n_hops == 1 && p->record && p->record->host_id[0] && !is_local(p, p->record);
}

static bool last_answered(const struct ping *p)
{
	return p->probes[p->n_probes - 1].answered;
}

/* --- the rounds --- */

static void PRINTF(2, 3) progress(struct ping *p, const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list ap;

	if (!p->tty)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	fprintf(stderr, "\r\033[K%s", text);
}

static bool hop_would_answer(const struct ping *p, unsigned hop)
{
	const struct hop *h = &p->hops[hop];

	return hop == p->n_hops || h->sent < ANSWERS_AT_ONCE || now_us() - h->sent_us >= USEC_PER_SEC;
}

static void round_send(struct ping *p)
{
	unsigned last = end_answered(p) ? p->n_hops : HOPS_MAX;

	for (unsigned hop = 1; hop <= last; hop++) {
		if (!hop_would_answer(p, hop) || !echo_send(p, (uint8_t)hop, p->cli->size))
			continue;
		p->hops[hop].sent++;
		p->hops[hop].sent_us = now_us();
		if (p->send_errno) {
			/* no route, or too big for the interface itself: the next hops would say the same */
			return;
		}
		echo_receive(p); /* what is back already should not wait for the others to be sent */
	}
}

/* Those behind the end were sent before it was known where that is */
static void hops_cut(struct ping *p)
{
	for (unsigned i = p->n_hops + 1; i <= HOPS_MAX; i++)
		p->hops[i] = (struct hop){0};
}

static void rounds(struct ping *p)
{
	int64_t start = now_us();

	progress(p, "looking for the way ...");
	round_send(p);
	if (p->send_errno)
		return;
	listen_until(p, start + WAIT_US, end_answered);
	if (end_answered(p))
		listen_until(p, now_us() + GRACE_US, all_answered);
	hops_cut(p);
	for (uint32_t i = 1; i < p->cli->count && !p->stopped && !p->send_errno; i++) {
		int64_t begin = now_us();
		progress(p, "round %u of %u, %u hop%s ...", i + 1, p->cli->count, end_answered(p) ? p->n_hops : 0,
			 end_answered(p) && p->n_hops == 1 ? "" : "s");
		round_send(p);
		/* the whole interval: with one answer in hand the next would come too early for the hops between */
		listen_until(p, begin + ROUND_US, NULL);
	}
	listen_until(p, now_us() + WAIT_US, all_answered);
	hops_cut(p);
}

/* --- the path MTU --- */

static unsigned hop_of(const struct ping *p, const struct ip *from)
{
	for (unsigned i = 1; i <= HOPS_MAX; i++) {
		if (p->hops[i].received && ip_cmp(&p->hops[i].from, from) == 0)
			return i;
	}
	return 0;
}

/* Does a packet of @bytes pass? Return: true; else *ret_mtu is what was told, or 0 */
static bool mtu_try(struct ping *p, uint32_t bytes, uint32_t *ret_mtu)
{
	*ret_mtu = 0;
	for (int i = 0; i < MTU_TRIES && !p->stopped; i++) {
		progress(p, "does a packet of %u bytes pass ...", bytes);
		const struct probe *probe =
			echo_send(p, 0, bytes - IP_HEADER_OF(p->to.family == AF_INET) - PING_HEADER);
		if (!probe || p->send_errno == EMSGSIZE)
			return false;
		listen_until(p, now_us() + WAIT_US, last_answered);
		probe = &p->probes[p->n_probes - 1];
		if (!probe->answered)
			continue;
		if (probe->answer.kind == PING_TOO_BIG) {
			*ret_mtu = p->mtu_told = probe->answer.mtu;
			p->mtu_from = hop_of(p, &probe->from);
		}
		return probe->answer.kind == PING_REPLY;
	}
	return false;
}

static void mtu_find(struct ping *p)
{
	uint32_t good = IP_HEADER_OF(p->to.family == AF_INET) + PING_HEADER + p->cli->size, bad = MTU_LIMIT, told;
	uint32_t next = MTU_FIRST > good ? MTU_FIRST : (good + bad) / 2;

	while (bad > good + 1 && !p->stopped && p->n_probes < UINT16_MAX) {
		if (mtu_try(p, next, &told)) {
			good = next;
		} else {
			bad = next;
			if (told > good && told < bad) {
				bad = told + 1;
				next = told;
				continue;
			}
		}
		next = good + (bad - good) / 2;
	}
	if (!p->stopped)
		p->mtu = good;
	if (good != p->mtu_told)
		p->mtu_from = 0;
}

/* --- what is printed --- */

static bool is_end(const struct ping *p, unsigned hop)
{
	return hop == p->n_hops;
}

static void who_text(const struct ping *p, unsigned hop, char out[static WHO_BYTES])
{
	char host[80], ip[IP_STRLEN], name[RECORD_NAME_BYTES];
	const struct rs_route *r = p->route;
	bool remote = r && !ip_is_none(&r->host_ip);

	out[0] = 0;
	if (is_end(p, hop) || (!end_answered(p) && p->vni && hop == (remote ? 3 : 2))) {
		snprintf(out, WHO_BYTES, "%s",
			 p->record && !is_another(p) ? record_name(p->record, name) : ip_format(&p->to, ip));
	} else if (hop == 1 && p->vni) {
		host_label(&p->files, p->files.discovery.self.host_id, NULL, host, sizeof(host));
		snprintf(out, WHO_BYTES, "%s, router namespace of VNI %u", host, p->vni->vni);
	} else if (hop == 2 && remote && p->vni) {
		host_label(&p->files, r->host_id, &r->host_ip, host, sizeof(host));
		snprintf(out, WHO_BYTES, "%s (%s), router namespace of VNI %u", host, ip_format(&r->host_ip, ip),
			 p->vni->vni);
	}
}

/* Hops that have no address of their own answer from one that everybody has; RFC 7600 */
static bool is_nobodys(const struct ip *ip)
{
	struct prefix link_local, dummy;

	return prefix_parse("169.254.0.0/16", &link_local) == 0 && prefix_parse("192.0.0.8/32", &dummy) == 0 &&
	       (prefix_has_ip(&link_local, ip) || prefix_has_ip(&dummy, ip) || ip_is_link_local(ip));
}

static void cell_ms(struct table *t, bool known, int64_t us)
{
	char text[32];

	if (!known) {
		cell_value(t, json_null(), "");
		return;
	}
	str_print(text, "%.2f ms", (double)us / 1000);
	cell_value(t, json_integer(us), text);
}

/* Of a way whose end is silent: those that answered, and the next */
static unsigned hops_shown(const struct ping *p)
{
	unsigned n = 0;

	if (end_answered(p))
		return p->n_hops;
	for (unsigned i = 1; i <= HOPS_MAX; i++) {
		if (p->hops[i].received)
			n = i;
	}
	return n < HOPS_MAX ? n + 1 : n;
}

static struct table *hops_table(const struct ping *p)
{
	static const struct column columns[] = {
		{"hop", "HOP", COL_RIGHT},
		{"who", "WHO", COL_SHRINK},
		{"address", "ADDRESS", COL_HIDE},
		{"sent", "SENT", COL_RIGHT},
		{"unanswered", "UNANSWERED", COL_RIGHT},
		{"min_us", "MIN", COL_RIGHT},
		{"avg_us", "AVG", COL_RIGHT},
		{"max_us", "MAX", COL_RIGHT},
		{"damaged", "", COL_JSON},
		{"answers", "", COL_JSON},
	};
	static const char *const words[PING_KIND_N_] = {
		[PING_NOTHING] = "",
		[PING_REPLY] = "reply",
		[PING_EXPIRED] = "time exceeded",
		[PING_UNREACHABLE] = "unreachable",
		[PING_TOO_BIG] = "too big",
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (unsigned i = 1; i <= hops_shown(p); i++) {
		const struct hop *h = &p->hops[i];
		char who[WHO_BYTES], ip[IP_STRLEN] = "";

		who_text(p, i, who);
		cell_int(t, i);
		cell_str(t, who[0] ? who : "?");
		if (h->received)
			ip_format(&h->from, ip);
		cell_value(t, ip[0] ? json_string(ip) : json_null(), h->received && is_nobodys(&h->from) ? "" : ip);
		cell_int(t, h->sent);
		cell_int(t, h->sent - h->received);
		cell_ms(t, h->received, h->min_us);
		cell_ms(t, h->received, h->received ? h->sum_us / h->received : 0);
		cell_ms(t, h->received, h->max_us);
		cell_int(t, h->damaged);
		cell_str(t, words[h->kind]);
	}
	return t;
}

static void target_print(const struct ping *p, struct output *o)
{
	char ip[IP_STRLEN], host[64], name[RECORD_NAME_BYTES];

	ip_format(&p->to, ip);
	if (!p->record) {
		output_line(o, "%s, no name that is known", ip);
		return;
	}
	if (is_another(p)) {
		output_line(o,
			    "%s: somebody on a network of this host answers, not %s on %s, which has this address too",
			    ip, record_name(p->record, name), record_host(p->record, host));
		return;
	}
	for (size_t i = 0; i < p->record->n_addresses; i++) {
		char own[IP_STRLEN];
		if (ip_cmp(record_answer(p->record, i), &p->to) != 0 && ip_cmp(&p->record->addresses[i], &p->to) != 0)
			continue;
		ip_format(&p->record->addresses[i], own);
		output_line(o, "%s is %s%s%s%s on %s, VNI %u", record_name(p->record, name), ip,
			    str_eq(ip, own) ? "" : " (the container has ", str_eq(ip, own) ? "" : own,
			    str_eq(ip, own) ? "" : ")", record_host(p->record, host), p->record->vni);
		break;
	}
	for (size_t i = 0; !p->name[0] && i < p->found.n; i++) {
		if (p->found.v[i] != p->record)
			output_line(o, "%s on %s, VNI %u, has this address too; it is not what is reached from here",
				    record_name(p->found.v[i], name), record_host(p->found.v[i], host),
				    p->found.v[i]->vni);
	}
	if (p->name[0] && addresses_count(&p->found) > 1)
		output_line(o, "It has %zu addresses; this is the first.", addresses_count(&p->found));
}

static void mtu_print(const struct ping *p, struct output *o)
{
	char who[WHO_BYTES];

	if (!p->mtu)
		return;
	who_text(p, p->mtu_from, who);
	if (p->mtu == MTU_LIMIT - 1)
		output_line(o, "Path MTU %u or more", p->mtu);
	else if (p->mtu_from && who[0])
		output_line(o, "Path MTU %u, told by hop %u", p->mtu, p->mtu_from);
	else
		output_line(o, "Path MTU %u", p->mtu);
}

static void trouble_print(const struct ping *p, struct output *o)
{
	bool between_lost = false;

	if (p->send_errno && !p->n_probes)
		return;
	uint32_t fits = p->send_errno == EMSGSIZE ? ping_largest(&p->to) : 0;
	if (fits)
		output_line(o, "Too big for the interface itself: --size %u is the largest that fits", fits);
	else if (p->send_errno == EMSGSIZE)
		output_line(o, "Too big for the interface itself: take a smaller --size");
	else if (p->send_errno)
		output_line(o, "Cannot be sent: %s", strerror(p->send_errno));
	else if (!end_answered(p))
		output_line(o, "It does not answer. docker-router doctor looks for the reason.");
	if (end_answered(p) && p->hops[p->n_hops].received < p->hops[p->n_hops].sent)
		output_line(o, "%u of %u echoes came not back: loss",
			    p->hops[p->n_hops].sent - p->hops[p->n_hops].received, p->hops[p->n_hops].sent);
	for (unsigned i = 1; i <= hops_shown(p); i++) {
		const struct hop *h = &p->hops[i];
		between_lost = between_lost || (i < p->n_hops && h->received && h->received < h->sent);
		if (h->kind == PING_UNREACHABLE)
			output_line(o, "Hop %u says that it cannot be reached from there", i);
		if (h->kind == PING_TOO_BIG)
			output_line(o, "Hop %u says that packets of this size do not pass; take a smaller --size", i);
		if (h->damaged)
			output_line(o, "Hop %u: %u of its answers came damaged", i, h->damaged);
		if (h->elsewhere)
			output_line(o, "Hop %u: %u of its answers name another address than that was asked", i,
				    h->elsewhere);
	}
	if (between_lost && end_answered(p) && p->hops[p->n_hops].received == p->hops[p->n_hops].sent)
		output_line(
			o,
			"Nothing was lost: what a hop between left unanswered is the kernel's limit for such answers.");
}

static int result_print(const struct ping *p)
{
	struct output o;
	char ip[IP_STRLEN];
	bool answered = end_answered(p) && p->hops[p->n_hops].received && !is_another(p);

	if (p->tty)
		fputs("\r\033[K", stderr);
	output_begin(&o, stdout, p->cli->json, false);
	output_value(&o, "name", p->record ? json_text(p->cli->arg) : json_null());
	output_value(&o, "address", json_string(ip_format(&p->to, ip)));
	output_value(&o, "answered", json_boolean(answered));
	output_value(&o, "somebody_else", json_boolean(is_another(p)));
	output_value(&o, "path_mtu", p->mtu ? json_integer(p->mtu) : json_null());
	output_value(&o, "path_mtu_told_by_hop", p->mtu_from ? json_integer(p->mtu_from) : json_null());
	target_print(p, &o);
	output_table(&o, "hops", "", NULL, hops_table(p));
	output_gap(&o);
	mtu_print(p, &o);
	trouble_print(p, &o);
	return verb_end(p->cli, &o, answered ? EXIT_DONE : EXIT_FAILED);
}

static int ping_run(struct ping *p)
{
	struct err err = {0};
	char here[64];
	sigset_t stop;

	if (geteuid() != 0) {
		fputs("docker-router ping: needs root, to send ICMP with a hop limit\n", stderr);
		return EXIT_FAILED;
	}
	if (host_ns_enter(&p->files, here) < 0) {
		autobuf struct buf safe = {0};
		text_safe(&safe, p->files.host.netns, false);
		fprintf(stderr,
			"docker-router ping: the host works in network namespace %s, this is %s; run it there: nsenter "
			"--net=/run/netns/NAME docker-router ping ...\n",
			safe.data ? safe.data : "?", here);
		return EXIT_FAILED;
	}
	route_find(p);
	if (socket_open(p, &err) < 0) {
		fprintf(stderr, "docker-router ping: %s\n", err.text);
		return EXIT_FAILED;
	}
	if (getrandom(&p->id, sizeof(p->id), 0) != sizeof(p->id))
		p->id = (uint16_t)getpid();
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	p->signal_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	rounds(p);
	if (end_answered(p) && !p->stopped && !p->send_errno)
		mtu_find(p);
	p->send_errno = p->mtu ? 0 : p->send_errno;
	return result_print(p);
}

int verb_ping(struct cli *c)
{
	struct ping *p = xcalloc(1, sizeof(*p));
	int status = EXIT_FAILED;

	p->cli = c;
	p->fd = p->signal_fd = -1;
	p->n_hops = HOPS_MAX + 1;
	p->tty = isatty(STDERR_FILENO) && !c->json;
	state_files_load(&c->dir, &p->files);
	state_files_load_records(&c->dir, &p->files);
	if (target_resolve(p))
		status = ping_run(p);
	if (p->fd >= 0)
		close(p->fd);
	if (p->signal_fd >= 0)
		close(p->signal_fd);
	free(p->probes);
	lookup_done(&p->found);
	state_files_done(&p->files);
	free(p);
	return status;
}
