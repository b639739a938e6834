/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of a DNS server that is none. The first byte chooses what is read; whole messages go all the way, through the
 * state machine into a core.
 */
#include <assert.h>

#include "discovery/core.h"
#include "discovery/dns.h"
#include "discovery/dns_key.h"
#include "discovery/dns_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LISTING "_docker-router._udp.r"
#define ME	"00000000000000000000000000000001"

static struct core_now now = {.mono = {USEC_PER_SEC}, .wall = {1700000000000}};

static void on_put(void *arg, const struct peer *peer)
{
	struct err err = {0};

	(void)!core_feed_put(arg, now, FEED_DNS, peer, &err);
}

static void on_drop(void *arg, const struct peer *key)
{
	assert(name_valid(key->stack_id) && key->vni > 0);
	core_feed_drop(arg, now, FEED_DNS, key);
}

static void on_begin(void *arg)
{
	core_feed_begin(arg, FEED_DNS);
}

static void on_end(void *arg, int64_t grace_us)
{
	core_feed_end(arg, now, FEED_DNS, grace_us);
}

static void on_seen(void *arg)
{
	core_feed_seen(arg, now, FEED_DNS);
}

static void on_hosts(void *arg, const struct endpoint *hosts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert(hosts[i].port && hosts[i].ip.family == AF_INET && !ip_is_multicast(&hosts[i].ip));
	core_found(arg, now, hosts, n);
}

static void on_say(void *arg, enum log_level level, const char *text, const char *why)
{
}

static void on_seal(void *arg, const char *about, const char *in, size_t len, struct buf *ret)
{
	buf_append(ret, in, len);
}

static int on_open(void *arg, const char *about, const char *in, size_t len, struct buf *ret, struct err *err)
{
	buf_append(ret, in, len);
	return 0;
}

/* Messages one after the other, each behind two bytes with its length; what is asked gets them in turn */
static void machine(const uint8_t *data, size_t len)
{
	struct core_config cc = {.host_id = ME,
				 .announce_us = 30 * USEC_PER_SEC,
				 .timeout_us = 90 * USEC_PER_SEC,
				 .feeds = 1u << FEED_DNS};
	struct dns_config dc = {.domain = "r",
				.host_id = ME,
				.family = AF_INET,
				.port = 4790,
				.ttl_s = 60,
				.update = len & 1,
				.sealed = len & 2};
	struct core *core = core_new(&cc);
	struct dns_events events = {on_put,   on_drop, on_begin, on_end,  on_seen,
				    on_hosts, on_say,  on_seal,	 on_open, core};
	struct dns *d = dns_new(&dc, &events);
	struct problems problems = {0};
	struct buf commands = {0};
	struct dns_question q;
	struct err err = {0};
	struct discovery out;

	core_start(core, now);
	while (len > 2) {
		size_t n = (size_t)data[0] << 8 | data[1];

		data += 2;
		len -= 2;
		n = n < len ? n : len;
		now.mono.us += USEC_PER_SEC;
		if (!dns_ask(d, now.mono, &q)) {
			now.mono.us += 300 * USEC_PER_SEC;
			if (!dns_ask(d, now.mono, &q))
				break;
		}
		dns_answer(d, now.mono, q.id, 0, data, n, &err);
		data += n;
		len -= n;
	}
	if (dns_update(d, now.mono, &commands))
		dns_updated(d, now.mono, 0, &err);
	dns_problems(d, &problems);
	core_export(core, now, &out);
	for (size_t i = 0; i < out.n_peers; i++)
		assert(out.peers[i].host_id[0] && out.peers[i].source == PEER_DNS);
	core_export_done(&out);
	problems_done(&problems);
	buf_done(&commands);
	dns_free(d);
	core_free(core);
}

static void on_found(void *arg, const struct dns_found *f)
{
	const enum dns_type *type = arg;

	if (*type == DNS_TYPE_SRV)
		assert(dns_name_valid(f->target) && f->port);
	else if (*type == DNS_TYPE_TXT)
		assert(f->text_len > 0 && f->text);
	else
		assert(f->ip.family == (*type == DNS_TYPE_A ? AF_INET : AF_INET6));
}

/* What is read must be the same when it is written and read again */
static void text(const uint8_t *data, size_t len)
{
	struct buf sealed = {0}, again = {0}, printed = {0};
	struct err err = {0};
	struct peer p, q;

	if (dns_text_get(data, len, &p, &err) == 0) {
		dns_text_put(&again, &p);
		assert(dns_text_get((const uint8_t *)again.data, again.len, &q, &err) == 0);
		assert(peer_key_cmp(&p, &q) == 0 && p.seq == q.seq && p.n_subnets == q.n_subnets &&
		       p.n_mapped == q.n_mapped && p.n_avoid == q.n_avoid);
		peer_done(&p);
		peer_done(&q);
	}
	dns_text_print(&printed, data, len);
	(void)!dns_sealed_get(data, len, &sealed);
	buf_done(&sealed);
	buf_done(&again);
	buf_done(&printed);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static enum dns_type types[] = {DNS_TYPE_SRV, DNS_TYPE_TXT, DNS_TYPE_A, DNS_TYPE_AAAA};
	const uint8_t *data = bytes + 1;
	size_t len = size ? size - 1 : 0;
	struct err err = {0};
	struct dns_key key;
	uint32_t ttl_s;
	char *s;

	if (!size)
		return 0;
	switch (bytes[0] % 8) {
	case 0:
	case 1:
	case 2:
	case 3:
		(void)!dns_message_read(data, len, LISTING, types[bytes[0] % 4], on_found, &types[bytes[0] % 4], &ttl_s,
					&err);
		break;
	case 4:
		text(data, len);
		break;
	case 5:
		s = xstrndup((const char *)data, len);
		if (dns_key_parse(s, &key, &err) == 0)
			assert(dns_name_valid(key.name) && !strpbrk(key.secret, " \n;") &&
			       !strpbrk(key.algorithm, " \n"));
		free(s);
		break;
	case 6:
		s = xstrndup((const char *)data, len);
		assert(dns_update_code(s, &err) < 0 && err.text[0]);
		free(s);
		break;
	default:
		machine(data, len);
		break;
	}
	return 0;
}
