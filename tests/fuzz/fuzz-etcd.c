/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of an etcd that is none. The first byte chooses what is asked; what comes out of listings and watches goes
 * the whole way, through the state machine into a core.
 */
#include <assert.h>

#include "discovery/core.h"
#include "discovery/etcd.h"
#include "discovery/etcd_wire.h"
#include "state/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PREFIX "/d"

static const struct core_now now = {.mono = {USEC_PER_SEC}, .wall = {1700000000000}};

static void on_put(void *arg, const struct peer *peer)
{
	struct err err = {0};

	(void)!core_feed_put(arg, now, FEED_ETCD, peer, &err);
}

static void on_drop(void *arg, const struct peer *key)
{
	assert(name_valid(key->stack_id) && key->vni > 0);
	core_feed_drop(arg, now, FEED_ETCD, key);
}

static void on_names(void *arg, const struct peer *key, uint64_t seq, struct name_stack *names)
{
	assert(name_valid(key->stack_id) && key->vni > 0 && str_eq(names->stack_id, key->stack_id));
	core_feed_names(arg, now, FEED_ETCD, key, seq, names);
}

static void on_names_drop(void *arg, const struct peer *key)
{
	core_feed_names_drop(arg, now, FEED_ETCD, key);
}

static void on_begin(void *arg)
{
	core_feed_begin(arg, FEED_ETCD);
}

static void on_end(void *arg, int64_t grace_us)
{
	core_feed_end(arg, now, FEED_ETCD, grace_us);
}

static void on_seen(void *arg)
{
	core_feed_seen(arg, now, FEED_ETCD);
}

static void on_say(void *arg, enum log_level level, const char *text, const char *why)
{
}

static void on_kv(void *arg, const struct etcd_kv *kv)
{
	assert(kv->key[0] && kv->revision > 0 && kv->value_len <= ETCD_VALUE_BYTES);
}

static void machine(const char *data, size_t len, bool watch)
{
	struct core_config cc = {.host_id = "00000000000000000000000000000001",
				 .announce_us = 30 * USEC_PER_SEC,
				 .timeout_us = 90 * USEC_PER_SEC,
				 .feeds = 1u << FEED_ETCD};
	struct etcd_config ec = {.n_endpoints = 1, .prefix = PREFIX, .ttl_s = 30};
	struct core *core = core_new(&cc);
	struct etcd_events events = {on_put, on_drop, on_names, on_names_drop, on_begin, on_end, on_seen, on_say, core};
	struct etcd *e = etcd_new(&ec, &events);
	static const char list[] = "{\"header\":{\"revision\":\"5\"}}";
	struct err err = {0};
	struct etcd_request r;
	struct discovery d;
	struct names n = {0};

	core_start(core, now);
	for (int i = 0; i < 3; i++) {
		if (etcd_request(e, now.mono, &r))
			etcd_answer(e, now.mono, 0, 200, watch ? list : data, watch ? strlen(list) : len, &err);
	}
	if (watch && etcd_watch(e, now.mono, &r) == ETCD_WATCH_START)
		etcd_watch_line(e, now.mono, data, len);
	core_export(core, now, &d);
	for (size_t i = 0; i < d.n_peers; i++)
		assert(d.peers[i].host_id[0] && d.peers[i].source == PEER_ETCD);
	core_export_done(&d);
	core_names_export(core, now, &n);
	for (size_t i = 0; i < n.n_stacks; i++)
		assert(n.stacks[i].n_names > 0 && n.stacks[i].names[0].n_addresses > 0);
	names_done(&n);
	etcd_free(e);
	core_free(core);
}

/* A listing with a peer, and with what shall be its names */
static void names(const char *data, size_t len)
{
	static const char key[] = PREFIX "/blog/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/7";
	static const char of_names[] = PREFIX "/blog/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/7/names";
	static const char peer[] = "{\"stack_id\":\"blog\",\"host_ip\":\"192.0.2.2\",\"vni\":7,\"host_id\":"
				   "\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"seq\":5,\"subnets\":[\"10.0.0.0/8\"]}";
	autobuf struct buf b = {0};

	buf_puts(&b, "{\"header\":{\"revision\":\"5\"},\"kvs\":[{\"mod_revision\":\"5\",\"key\":\"");
	base64_put(&b, key, strlen(key));
	buf_puts(&b, "\",\"value\":\"");
	base64_put(&b, peer, strlen(peer));
	buf_puts(&b, "\"},{\"mod_revision\":\"5\",\"key\":\"");
	base64_put(&b, of_names, strlen(of_names));
	buf_puts(&b, "\",\"value\":\"");
	base64_put(&b, data, len);
	buf_puts(&b, "\"}]}");
	machine(b.data, b.len, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes + 1;
	size_t len = size ? size - 1 : 0;
	char token[64] = "";
	int64_t a = 0, b = 0;
	struct etcd_range range = {0};
	struct etcd_watch w;
	struct err err = {0};

	if (!size)
		return 0;
	switch ((uint8_t)(bytes[0] - '0') % 9) {
	case 0:
		if (etcd_get_token(data, len, token, sizeof(token), &err) == 0)
			assert(token[0] && !strpbrk(token, "\r\n "));
		break;
	case 1:
		if (etcd_get_grant(data, len, &a, &err) == 0)
			assert(a != 0);
		break;
	case 2:
		if (etcd_get_alive(data, len, &a, &b, &err) == 0)
			assert(a >= 0);
		break;
	case 3:
		assert(etcd_refusal(400, data, len, &err) < 0);
		break;
	case 4:
		if (etcd_get_range(data, len, PREFIX, on_kv, NULL, &range, &err) == 0)
			assert(range.revision > 0);
		buf_done(&range.last);
		break;
	case 5:
		(void)!etcd_get_watch(data, len, PREFIX, on_kv, NULL, &w, &err);
		break;
	case 6:
		machine(data, len, false);
		break;
	case 7:
		machine(data, len, true);
		break;
	default:
		names(data, len);
		break;
	}
	return 0;
}
