/* SPDX-License-Identifier: Apache-2.0
 *
 * The virtual network: a heap of events, packets that wait in it, and streams.
 */
#include "net.h"

#include <inttypes.h>

#define CONNECT_US   (3 * USEC_PER_SEC) /* to an address where nobody is */
#define SYN_RETRY_US USEC_PER_SEC
#define RETRY_US     (200 * USEC_PER_MSEC)
#define NS_PER_BYTE  100 /* 10 MB/s */
#define OVERHEAD     42	 /* Ethernet, IP, UDP */

enum event_kind { EVENT_TIMER, EVENT_DATAGRAM, EVENT_CONNECT, EVENT_READY, EVENT_FRAME, EVENT_CLOSED };

struct net_event {
	int64_t at_us;
	uint64_t order;
	uint32_t host, stream;
	enum event_kind kind;
	uint8_t end;	 /* of the stream */
	uint32_t serial; /* of the host's life or of the stream: what was meant for an earlier one is dropped */
	struct net_packet *packet;
};

struct net_packet {
	struct net_packet *next;
	uint32_t from;
	uint32_t len;
	uint8_t data[1400];
	uint8_t *more; /* of a frame */
};

/* struct net_stream - [0] is who opened it */
struct net_stream {
	uint32_t host[2], number[2];
	int64_t arrives_us[2]; /* the last thing that is on its way to each */
	uint32_t serial, free;
	bool used;
};

static void pump(struct net *net, uint32_t host);

uint64_t net_random(struct net *net, uint64_t below)
{
	uint64_t z = net->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return below ? z % below : z;
}

static bool chance(struct net *net, unsigned of_1000)
{
	return of_1000 && net_random(net, 1000) < of_1000;
}

/* --- the heap --- */

static bool before(const struct net_event *a, const struct net_event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void event_push(struct net *net, struct net_event e)
{
	size_t at;

	e.order = net->order++;
	xgrow(&net->heap, net->n_heap, &net->cap_heap);
	for (at = net->n_heap++; at > 0 && before(&e, &net->heap[(at - 1) / 4]); at = (at - 1) / 4)
		net->heap[at] = net->heap[(at - 1) / 4];
	net->heap[at] = e;
}

static struct net_event event_pop(struct net *net)
{
	struct net_event top = net->heap[0], last = net->heap[--net->n_heap];
	size_t at = 0;

	for (;;) {
		size_t first = at * 4 + 1, best = first;

		if (first >= net->n_heap)
			break;
		for (size_t i = first + 1; i < first + 4 && i < net->n_heap; i++) {
			if (before(&net->heap[i], &net->heap[best]))
				best = i;
		}
		if (!before(&net->heap[best], &last))
			break;
		net->heap[at] = net->heap[best];
		at = best;
	}
	net->heap[at] = last;
	return top;
}

/* --- packets --- */

static struct net_packet *packet_new(struct net *net, uint32_t from, const void *data, size_t len)
{
	struct net_packet *p = net->free_packets;

	if (p)
		net->free_packets = p->next;
	else
		p = xmalloc(sizeof(*p));
	p->from = from;
	p->len = (uint32_t)len;
	p->more = len > sizeof(p->data) ? xmemdup(data, len) : NULL;
	if (!p->more && len)
		memcpy(p->data, data, len);
	return p;
}

static void packet_free(struct net *net, struct net_packet *p)
{
	if (!p)
		return;
	free(p->more);
	p->next = net->free_packets;
	net->free_packets = p;
}

static int64_t delay(struct net *net)
{
	return net->delay_min_us + (int64_t)net_random(net, (uint64_t)(net->delay_max_us - net->delay_min_us + 1));
}

/* --- hosts --- */

struct gossip_id net_id(const struct net *net, uint32_t host)
{
	struct gossip_id id;
	uint64_t h = hash64(&host, sizeof(host), 7), l = host;

	(void)net;
	memcpy(id.b, &h, 8);
	memcpy(id.b + 8, &l, 8);
	return id;
}

static uint32_t id_host(const struct gossip_id *id)
{
	uint64_t l;

	memcpy(&l, id->b + 8, 8);
	return (uint32_t)l;
}

/* Every fourth host has IPv6 */
static struct endpoint host_address(uint32_t host)
{
	uint8_t b[16] = {0x20, 0x01, 0x0d, 0xb8};
	size_t at = host % 4 == 3 ? 12 : 0;

	b[at] = host % 4 == 3 ? 0 : 10;
	b[at + 1] = (uint8_t)(host >> 16);
	b[at + 2] = (uint8_t)(host >> 8);
	b[at + 3] = (uint8_t)host;
	return (struct endpoint){.ip = ip_from_bytes(at ? AF_INET6 : AF_INET, b), .port = 4791};
}

static uint32_t address_host(const struct net *net, const struct endpoint *e)
{
	const uint8_t *b = e->ip.b + (e->ip.family == AF_INET6 ? 12 : 0);
	uint32_t host = (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];

	return host < net->n_hosts ? host : UINT32_MAX;
}

/* A host's own clock, and when it is what that clock shows */
static mono_t host_now(const struct net *net, const struct host *h)
{
	return (mono_t){h->clock_us + net->now_us + net->now_us / 1000000 * h->skew_ppm +
			net->now_us % 1000000 * h->skew_ppm / 1000000};
}

static int64_t host_when(const struct net *net, const struct host *h, int64_t due_us)
{
	int64_t left_us;

	if (due_us == INT64_MAX)
		return INT64_MAX;
	left_us = due_us - host_now(net, h).us;
	if (left_us <= 0)
		return net->now_us;
	return net->now_us + left_us - left_us * h->skew_ppm / 1000000 + 2;
}

static bool reaches(const struct net *net, uint32_t a, uint32_t b)
{
	return net->hosts[a].side == net->hosts[b].side;
}

/* --- streams --- */

static uint32_t stream_new(struct net *net, uint32_t from, uint32_t to, uint32_t number)
{
	uint32_t at = net->free_stream;

	if (at != UINT32_MAX) {
		net->free_stream = net->streams[at].free;
	} else {
		xgrow(&net->streams, net->n_streams, &net->cap_streams);
		at = (uint32_t)net->n_streams++;
	}
	net->streams[at] = (struct net_stream){
		.host = {from, to}, .number = {number, 0}, .serial = net->streams[at].serial + 1, .used = true};
	return at;
}

static uint32_t stream_of(const struct net *net, uint32_t host, uint32_t number, int *ret_end)
{
	for (uint32_t i = 0; i < net->n_streams; i++) {
		const struct net_stream *s = &net->streams[i];

		for (*ret_end = 0; s->used && *ret_end < 2; ++*ret_end) {
			if (s->host[*ret_end] == host && s->number[*ret_end] == number)
				return i;
		}
	}
	return UINT32_MAX;
}

static void stream_free(struct net *net, uint32_t at)
{
	net->streams[at].used = false;
	net->streams[at].free = net->free_stream;
	net->free_stream = at;
}

/* What is to happen at end @to, behind all that is on its way there */
static void stream_event(struct net *net, uint32_t at, int to, enum event_kind kind, struct net_packet *packet,
			 int64_t first_retry_us)
{
	struct net_stream *s = &net->streams[at];
	int64_t when_us = net->now_us + delay(net) + (packet ? packet->len * NS_PER_BYTE / 1000 : 0);

	for (int64_t retry_us = first_retry_us; chance(net, net->loss) && retry_us < 16 * first_retry_us; retry_us *= 2)
		when_us += retry_us;
	if (when_us <= s->arrives_us[to])
		when_us = s->arrives_us[to] + 1;
	s->arrives_us[to] = when_us;
	event_push(net, (struct net_event){.at_us = when_us,
					   .host = s->host[to],
					   .stream = at,
					   .kind = kind,
					   .end = (uint8_t)to,
					   .serial = s->serial,
					   .packet = packet});
}

static void stream_action(struct net *net, uint32_t host, const struct gossip_action *a)
{
	int end = 0;
	uint32_t at;

	if (a->kind == GOSSIP_STREAM_OPEN) {
		uint32_t to = address_host(net, &a->to);

		at = stream_new(net, host, to == UINT32_MAX ? host : to, a->stream);
		net->hosts[host].bytes += 4 * OVERHEAD;
		if (to == UINT32_MAX || !reaches(net, host, to))
			event_push(net, (struct net_event){.at_us = net->now_us + CONNECT_US,
							   .host = host,
							   .stream = at,
							   .kind = EVENT_CLOSED,
							   .serial = net->streams[at].serial});
		else
			stream_event(net, at, 1, EVENT_CONNECT, NULL, SYN_RETRY_US);
		return;
	}
	at = stream_of(net, host, a->stream, &end);
	if (at == UINT32_MAX)
		return;
	if (a->kind == GOSSIP_STREAM_SEND) {
		net->hosts[host].bytes += a->len + (1 + a->len / 1400) * (OVERHEAD + 12);
		if (reaches(net, host, net->streams[at].host[!end]))
			stream_event(net, at, !end, EVENT_FRAME, packet_new(net, host, a->data, a->len), RETRY_US);
		event_push(net, (struct net_event){.at_us = net->now_us + 50,
						   .host = host,
						   .stream = at,
						   .kind = EVENT_READY,
						   .end = (uint8_t)end,
						   .serial = net->streams[at].serial});
	} else {
		net->streams[at].number[end] = 0;
		if (reaches(net, host, net->streams[at].host[!end]))
			stream_event(net, at, !end, EVENT_CLOSED, NULL, RETRY_US);
		else
			stream_free(net, at); /* the other one finds out by its own clock */
	}
}

/* --- actions --- */

static void trace(const struct net *net, uint32_t host, const char *what, uint32_t other, uint64_t number)
{
	if (net->trace)
		printf("%12.6f host %u %s %u (%" PRIu64 ")\n", (double)net->now_us / 1e6, host, what, other, number);
}

static void datagram_action(struct net *net, uint32_t host, const struct gossip_action *a)
{
	uint32_t to = address_host(net, &a->to);
	struct host *h = &net->hosts[host];

	static const char *const types[] = {"?", "PING", "ACK", "PING_REQ", "NACK", "NEWS", "?", "?"};

	h->bytes += a->len + OVERHEAD;
	h->datagrams++;
	trace(net, host, types[((const uint8_t *)a->data)[3] & 7], to, a->len);
	if (to == UINT32_MAX || !reaches(net, host, to) || chance(net, net->loss))
		return;
	for (int copies = 1 + chance(net, net->doubled); copies > 0; copies--)
		event_push(net, (struct net_event){.at_us = net->now_us + delay(net),
						   .host = to,
						   .kind = EVENT_DATAGRAM,
						   .packet = packet_new(net, host, a->data, a->len)});
}

static void member_event(struct net *net, uint32_t host, const struct gossip_action *a)
{
	uint32_t other = id_host(&a->member.id);
	const struct host *o = &net->hosts[other];
	struct host *h = &net->hosts[host];
	bool up = a->kind == GOSSIP_UP;

	trace(net, host,
	      up				? "sees up"
	      : a->member.status == GOSSIP_LEFT ? "sees left"
						: "sees dead",
	      other, a->member.incarnation);
	if (!up && a->member.status == GOSSIP_DEAD) {
		net->deaths++;
		if (o->gossip && reaches(net, host, other) && o->asleep_us <= net->now_us) {
			net->false_alarms++;
			trace(net, host, "FALSE ALARM about", other, gossip_health(h->gossip));
		}
	}
	if (other == net->watched && up == net->watched_up && h->knows_us == INT64_MAX)
		h->knows_us = net->now_us;
}

static void pump(struct net *net, uint32_t host)
{
	struct host *h = &net->hosts[host];
	struct gossip_action a;
	bool stopped = false;
	int64_t due_us;

	while (gossip_next_action(h->gossip, &a)) {
		switch (a.kind) {
		case GOSSIP_SEND:
			datagram_action(net, host, &a);
			break;
		case GOSSIP_STREAM_OPEN:
		case GOSSIP_STREAM_SEND:
		case GOSSIP_STREAM_CLOSE:
			stream_action(net, host, &a);
			break;
		case GOSSIP_UP:
		case GOSSIP_DOWN:
			member_event(net, host, &a);
			break;
		case GOSSIP_FACT:
			h->facts++;
			break;
		case GOSSIP_STOPPED:
			stopped = true;
			break;
		case GOSSIP_ACTION_KIND_N_:
			abort();
		}
	}
	if (stopped) {
		net_crash(net, host);
		return;
	}
	due_us = host_when(net, h, gossip_due(h->gossip));
	if (due_us < h->timer_us) {
		h->timer_us = due_us;
		event_push(net,
			   (struct net_event){.at_us = due_us, .host = host, .kind = EVENT_TIMER, .serial = h->life});
	}
}

/* --- events --- */

static void on_stream(struct net *net, struct net_event *e)
{
	struct net_stream *s = &net->streams[e->stream];
	struct host *h = &net->hosts[e->host];
	uint32_t number;

	if (!s->used || s->serial != e->serial)
		return;
	if (e->kind == EVENT_CONNECT) {
		number = h->gossip ? gossip_stream_accept(h->gossip, host_now(net, h), &net->hosts[s->host[0]].address)
				   : 0;
		s->number[1] = number;
		stream_event(net, e->stream, 0, number ? EVENT_READY : EVENT_CLOSED, NULL, SYN_RETRY_US);
		return;
	}
	number = s->number[e->end];
	if (e->kind == EVENT_CLOSED) {
		stream_free(net, e->stream);
		if (h->gossip && number)
			gossip_stream_closed(h->gossip, host_now(net, h), number);
		return;
	}
	if (!h->gossip || !number)
		return;
	if (e->kind == EVENT_READY)
		gossip_stream_ready(h->gossip, host_now(net, h), number);
	else
		gossip_stream_frame(h->gossip, host_now(net, h), number,
				    e->packet->more ? e->packet->more : e->packet->data, e->packet->len);
}

static void on_event(struct net *net, struct net_event *e)
{
	struct host *h = &net->hosts[e->host];

	net->events++;
	if (h->gossip && h->asleep_us > net->now_us) {
		e->at_us = h->asleep_us;
		if (e->kind == EVENT_TIMER)
			h->timer_us = e->at_us;
		event_push(net, *e);
		return;
	}
	switch (e->kind) {
	case EVENT_TIMER:
		if (!h->gossip || e->serial != h->life || e->at_us != h->timer_us)
			return;
		h->timer_us = INT64_MAX;
		if (gossip_due(h->gossip) <= host_now(net, h).us) {
			h->wakes++;
			gossip_timer(h->gossip, host_now(net, h));
		}
		break;
	case EVENT_DATAGRAM:
		if (h->gossip) {
			h->wakes++;
			h->bytes += e->packet->len + OVERHEAD;
			gossip_datagram(h->gossip, host_now(net, h), &net->hosts[e->packet->from].address,
					e->packet->data, e->packet->len);
		}
		break;
	case EVENT_CONNECT:
	case EVENT_READY:
	case EVENT_FRAME:
	case EVENT_CLOSED:
		h->wakes += e->kind != EVENT_READY;
		on_stream(net, e);
		break;
	}
	packet_free(net, e->packet);
	if (h->gossip)
		pump(net, e->host);
}

void net_run(struct net *net, int64_t until_us)
{
	while (net->n_heap && net->heap[0].at_us <= until_us) {
		struct net_event e = event_pop(net);
		struct host *h = &net->hosts[e.host];

		net->now_us = e.at_us;
		if (h->slow_us && e.kind == EVENT_DATAGRAM && !e.stream) {
			e.stream = 1; /* once */
			e.at_us += (int64_t)net_random(net, (uint64_t)h->slow_us);
			event_push(net, e);
			continue;
		}
		on_event(net, &e);
	}
	net->now_us = until_us;
}

/* --- what a schedule does --- */

void net_init(struct net *net, size_t hosts, uint64_t seed)
{
	*net = (struct net){.random = seed * 2654435761u + 1,
			    .n_hosts = hosts,
			    .delay_min_us = 200,
			    .delay_max_us = 2000,
			    .watched = UINT32_MAX,
			    .free_stream = UINT32_MAX};
	net->book = gossip_book_new(seed);
	net->hosts = xcalloc(hosts, sizeof(*net->hosts));
	for (uint32_t i = 0; i < hosts; i++) {
		net->hosts[i].address = host_address(i);
		net->hosts[i].timer_us = INT64_MAX;
		net->hosts[i].clock_us = (int64_t)net_random(net, 1u << 30);
	}
}

void net_done(struct net *net)
{
	struct net_packet *next;

	for (size_t i = 0; i < net->n_hosts; i++)
		gossip_free(net->hosts[i].gossip);
	for (size_t i = 0; i < net->n_heap; i++)
		packet_free(net, net->heap[i].packet);
	for (struct net_packet *p = net->free_packets; p; p = next) {
		next = p->next;
		free(p);
	}
	gossip_book_free(net->book);
	free(net->hosts);
	free(net->heap);
	free(net->streams);
}

void net_start(struct net *net, uint32_t host, uint64_t incarnation, const uint32_t *join, size_t n_join, bool known)
{
	struct endpoint to[GOSSIP_JOINS];
	struct host *h = &net->hosts[host];
	struct gossip_config config = {.id = net_id(net, host),
				       .address = h->address,
				       .incarnation = incarnation,
				       .random = net_random(net, 0),
				       .join = to,
				       .n_join = n_join,
				       .book = net->book};

	for (size_t i = 0; i < n_join; i++)
		to[i] = net->hosts[join[i]].address;
	h->incarnation = incarnation;
	h->life++;
	h->leaving = false;
	h->asleep_us = 0;
	h->timer_us = INT64_MAX;
	h->knows_us = INT64_MAX;
	h->gossip = gossip_new(&config);
	net->n_running++;
	for (uint32_t i = 0; known && i < net->n_hosts; i++) {
		struct gossip_id id = net_id(net, i);

		if (i != host)
			gossip_load(h->gossip, host_now(net, h), &id, &net->hosts[i].address,
				    net->hosts[i].incarnation);
	}
	trace(net, host, "starts, joins", n_join ? join[0] : host, incarnation);
	gossip_start(h->gossip, host_now(net, h));
	pump(net, host);
}

void net_crash(struct net *net, uint32_t host)
{
	struct host *h = &net->hosts[host];
	int end;

	trace(net, host, "is no more", host, 0);
	for (uint32_t i = 0; i < net->n_streams; i++) {
		for (end = 0; net->streams[i].used && end < 2; end++) {
			if (net->streams[i].host[end] == host && net->streams[i].number[end]) {
				net->streams[i].number[end] = 0;
				stream_event(net, i, !end, EVENT_CLOSED, NULL, RETRY_US);
			}
		}
	}
	gossip_free(h->gossip);
	h->gossip = NULL;
	h->timer_us = INT64_MAX;
	net->n_running--;
}

void net_leave(struct net *net, uint32_t host)
{
	struct host *h = &net->hosts[host];

	trace(net, host, "leaves", host, 0);
	h->leaving = true;
	gossip_leave(h->gossip, host_now(net, h));
	pump(net, host);
}

void net_tell(struct net *net, uint32_t host, uint64_t key, size_t len)
{
	struct host *h = &net->hosts[host];
	uint8_t data[GOSSIP_FACT_BYTES];
	int r;

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)net_random(net, 256);
	r = gossip_fact(h->gossip, host_now(net, h), key, data, len);
	if (r < 0)
		abort();
	pump(net, host);
}

void net_watch(struct net *net, uint32_t host, bool up)
{
	net->watched = host;
	net->watched_up = up;
	for (size_t i = 0; i < net->n_hosts; i++)
		net->hosts[i].knows_us = INT64_MAX;
}

bool net_agreed(const struct net *net)
{
	const struct gossip *first = NULL;

	for (size_t i = 0; i < net->n_hosts; i++) {
		const struct gossip *g = net->hosts[i].gossip;

		if (!g)
			continue;
		if (gossip_alive(g) != net->n_running || (first && gossip_sum(g) != gossip_sum(first)))
			return false;
		first = g;
	}
	return true;
}

uint32_t net_untrue(const struct net *net, uint32_t host, uint64_t keys)
{
	const struct gossip *g = net->hosts[host].gossip;

	for (uint32_t i = 0; i < net->n_hosts; i++) {
		const struct gossip *other = net->hosts[i].gossip;
		struct gossip_id id = net_id(net, i);
		struct gossip_member m;
		bool up = gossip_find(g, &id, &m) && m.status <= GOSSIP_SUSPECT;

		if (up != (other != NULL))
			return i;
		for (uint64_t key = 1; up && key <= keys; key++) {
			size_t len = 0, true_len = 0;
			const void *data = gossip_fact_of(g, &id, key, &len);
			const void *true_data = gossip_fact_of(other, &id, key, &true_len);

			if (len != true_len || (len && memcmp(data, true_data, len) != 0))
				return i;
		}
	}
	return UINT32_MAX;
}

static void disagree(void *arg, const struct gossip_member *m)
{
	const struct net *net = arg;
	uint32_t other = id_host(&m->id);

	if ((net->hosts[other].gossip != NULL) != (m->status <= GOSSIP_SUSPECT))
		printf("   thinks host %u %s, incarnation %" PRIu64 "\n", other, gossip_status_names[m->status],
		       m->incarnation);
}

void net_disagreement(const struct net *net)
{
	for (size_t i = 0; i < net->n_hosts; i++) {
		const struct gossip *g = net->hosts[i].gossip;

		if (!g)
			continue;
		printf("  host %zu: %zu of %zu alive, sum %016" PRIx64 ", health %u\n", i, gossip_alive(g),
		       net->n_running, gossip_sum(g), gossip_health(g));
		gossip_members(g, disagree, (void *)net);
	}
}
