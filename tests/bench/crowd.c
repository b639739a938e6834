/* SPDX-License-Identifier: Apache-2.0
 *
 * crowd: many members of the mode gossip in one process, with real sockets and the code of discovery, for the rows that
 * need more members than a machine has room for. Each has an address of its own on lo, and tells one stack.
 *
 *	crowd COUNT    members 10.99.0.2, 10.99.0.3, ... as gossip.py numbers them
 *
 * What they say to each other stays in the process, but for streams; what others say and hear passes the kernel.
 * They know each other from the start, and tell their stacks. Each second it prints how many know the same as the
 * first, and how many members that one knows.
 */
#include <signal.h>
#include <sys/resource.h>

#include "discovery/gossip.h"
#include "discovery/gossip_net.h"
#include "discovery/wire.h"
#include "state/identity.h"

#define PORT 4791
#define VNI  1000

struct one {
	struct crowd *crowd;
	struct gossip *gossip;
	struct gossip_net *net;
	struct timer *timer;
	struct endpoint at;
};

/* A datagram from one of ours to another: the kernel need not carry it */
struct letter {
	size_t to;
	struct endpoint from;
	size_t len;
	char data[1500];
};

struct crowd {
	uv_loop_t loop;
	struct letter *letters;
	size_t n_letters, cap_letters;
	struct timer *post;
	struct one *v;
	size_t n;
	struct timer *tell;
};

/* Which of ours is there? As gossip.py has them: 200 addresses in each /24 */
static size_t one_at(const struct crowd *c, const struct ip *ip)
{
	size_t number = (size_t)ip->b[2] * 200 + ip->b[3] - 1;

	return number >= 1 && number <= c->n ? number - 1 : SIZE_MAX;
}

static void send_to(struct one *o, const struct gossip_action *a)
{
	struct crowd *c = o->crowd;
	size_t to = one_at(c, &a->to.ip);

	if (to == SIZE_MAX || a->len > sizeof(c->letters->data)) {
		(void)!gossip_net_send(o->net, &a->to, a->data, a->len);
		return;
	}
	struct letter *l = xgrow(&c->letters, c->n_letters, &c->cap_letters);
	c->n_letters++;
	l->to = to;
	l->from = o->at;
	l->len = a->len;
	memcpy(l->data, a->data, a->len);
	if (!timer_is_set(c->post))
		timer_start(c->post, 0);
}

static void drain(struct one *o)
{
	struct gossip_action a;
	int64_t due_us;

	while (gossip_next_action(o->gossip, &a)) {
		if (a.kind == GOSSIP_SEND)
			send_to(o, &a);
		else if (a.kind == GOSSIP_STREAM_OPEN)
			gossip_net_open(o->net, a.stream, &a.to);
		else if (a.kind == GOSSIP_STREAM_SEND)
			gossip_net_frame(o->net, a.stream, a.data, a.len);
		else if (a.kind == GOSSIP_STREAM_CLOSE)
			gossip_net_close(o->net, a.stream);
	}
	due_us = gossip_due(o->gossip) - mono_now().us;
	timer_start(o->timer, due_us > 0 ? due_us : 0);
}

static void on_timer(void *arg)
{
	struct one *o = arg;

	gossip_timer(o->gossip, mono_now());
	drain(o);
}

static const struct seal *on_seal(void *arg)
{
	return NULL;
}

static void on_datagram(void *arg, const struct endpoint *from, const char *data, size_t len)
{
	struct one *o = arg;

	if (!o->gossip) /* not started yet */
		return;
	gossip_datagram(o->gossip, mono_now(), from, data, len);
	drain(o);
}

static uint32_t on_accept(void *arg, const struct endpoint *from)
{
	return gossip_stream_accept(((struct one *)arg)->gossip, mono_now(), from);
}

static void on_ready(void *arg, uint32_t number)
{
	gossip_stream_ready(((struct one *)arg)->gossip, mono_now(), number);
	drain(arg);
}

static void on_frame(void *arg, uint32_t number, const void *data, size_t len)
{
	gossip_stream_frame(((struct one *)arg)->gossip, mono_now(), number, data, len);
	drain(arg);
}

static void on_closed(void *arg, uint32_t number)
{
	gossip_stream_closed(((struct one *)arg)->gossip, mono_now(), number);
	drain(arg);
}

static void on_opened(void *arg, const struct endpoint *to, int code)
{
}

static void on_no_key(void *arg, const struct endpoint *with, const char *key_id)
{
}

static void fact_tell(void *arg, const char *data, size_t len)
{
	struct one *o = arg;

	(void)!gossip_fact(o->gossip, mono_now(), 1, data, len);
}

static struct endpoint address_of(size_t number)
{
	uint8_t b[4] = {10, 99, (uint8_t)(number / 200), (uint8_t)(number % 200 + 1)};

	return (struct endpoint){.ip = ip_from_bytes(AF_INET, b), .port = PORT};
}

static struct gossip_id id_of(size_t i)
{
	struct gossip_id id;

	memset(id.b, 0xcc, sizeof(id.b));
	id.b[14] = (uint8_t)(i >> 8);
	id.b[15] = (uint8_t)i;
	return id;
}

static void one_start(struct crowd *c, size_t i)
{
	struct one *o = &c->v[i];
	const struct gossip_net_events events = {.seal = on_seal,
						 .datagram = on_datagram,
						 .accept = on_accept,
						 .ready = on_ready,
						 .frame = on_frame,
						 .closed = on_closed,
						 .opened = on_opened,
						 .no_key = on_no_key,
						 .arg = o};
	struct gossip_config config = {.id = id_of(i), .address = address_of(i + 1), .incarnation = 1, .random = i + 1};
	struct wire_msg m = {.type = WIRE_ANNOUNCE, .vni = VNI, .port = 4789, .seq = 1, .n_subnets = 1};
	struct err err = {0};

	o->crowd = c;
	o->at = config.address;
	o->net = gossip_net_new(&c->loop, &events);
	o->timer = timer_new(&c->loop, "member", on_timer, o);
	if (gossip_net_bind(o->net, &o->at, &err) < 0) {
		fprintf(stderr, "crowd: %s\n", err.text);
		exit(1);
	}
	o->gossip = gossip_new(&config);
	for (size_t k = 0; k < sizeof(config.id.b); k++)
		snprintf(m.host_id + 2 * k, 3, "%02x", config.id.b[k]);
	str_print(m.host_name, "crowd%zu", i + 1);
	str_print(m.stack_id, "s%zu", i + 1);
	m.host_ip = o->at.ip;
	m.vtep_mac = vtep_mac(m.host_id, VNI);
	m.vtep_ip = vtep_ip(m.host_id, VNI);
	m.subnets[0] = (struct prefix){ip_from_bytes(AF_INET, (uint8_t[]){11, (uint8_t)(i >> 8), (uint8_t)i, 0}), 24};
	wire_encode(&m, fact_tell, o);
	for (size_t k = 0; k < c->n; k++) {
		struct gossip_id id = id_of(k);
		struct endpoint at = address_of(k + 1);

		if (k != i)
			gossip_load(o->gossip, mono_now(), &id, &at, 1);
	}
	gossip_start(o->gossip, mono_now());
	drain(o);
}

static void on_post(void *arg)
{
	struct crowd *c = arg;
	struct letter *v = c->letters;
	size_t n = c->n_letters;

	c->letters = NULL;
	c->n_letters = c->cap_letters = 0;
	for (size_t i = 0; i < n; i++)
		on_datagram(&c->v[v[i].to], &v[i].from, v[i].data, v[i].len);
	free(v);
}

static void on_tell(void *arg)
{
	struct crowd *c = arg;
	size_t agree = 0;

	for (size_t i = 0; i < c->n; i++)
		agree += gossip_sum(c->v[i].gossip) == gossip_sum(c->v[0].gossip);
	printf("%zu %zu\n", agree, gossip_alive(c->v[0].gossip));
	fflush(stdout);
	timer_start(c->tell, USEC_PER_SEC);
}

int main(int argc, char **argv)
{
	struct rlimit files = {65536, 65536};
	struct crowd c = {.n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0};

	if (c.n == 0 || c.n > 10000) {
		fprintf(stderr, "usage: crowd COUNT\n");
		return 2;
	}
	(void)!setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_DFL);
	loop_init(&c.loop);
	c.v = xcalloc(c.n, sizeof(*c.v));
	c.post = timer_new(&c.loop, "post", on_post, &c);
	for (size_t i = 0; i < c.n; i++)
		one_start(&c, i);
	c.tell = timer_new(&c.loop, "tell", on_tell, &c);
	timer_start(c.tell, USEC_PER_SEC);
	loop_run(&c.loop);
	return 0;
}
