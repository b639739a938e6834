/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries of containers and of the host's resolver, and answers of Docker's: whatever comes in, what goes out is sound
 * DNS within its bounds, and a name that the table is asked for leads to addresses of stacks that may be seen. The
 * first byte chooses who asks.
 */
#include <assert.h>

#include "../unit/names/world.h"
#include "names/answer.h"
#include "names/forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t name_skip(const uint8_t *b, size_t len, size_t at)
{
	for (;;) {
		assert(at < len);
		if (b[at] >= 0xc0) {
			assert(at + 2 <= len && (size_t)((b[at] & 0x3f) << 8 | b[at + 1]) < at);
			return at + 2;
		}
		assert(b[at] <= 63);
		if (!b[at])
			return at + 1;
		at += b[at] + 1u;
	}
}

/* Every record ends where it says, and the last one where the reply does */
static void reply_check(const uint8_t *in, const uint8_t *b, size_t len)
{
	size_t at = DNS_HEADER_BYTES, records;

	assert(len >= DNS_HEADER_BYTES && len <= DNS_REPLY_BYTES);
	assert(b[0] == in[0] && b[1] == in[1] && b[2] & 0x80 && !(b[2] & 0x02));
	records = (size_t)(b[7] + b[9] + b[11]);
	assert(b[6] == 0 && b[8] == 0 && b[10] == 0);
	if (b[5])
		at = name_skip(b, len, at) + 4;
	for (; records > 0; records--) {
		at = name_skip(b, len, at) + 10;
		assert(at <= len);
		at += (size_t)(b[at - 2] << 8 | b[at - 1]);
	}
	assert(at == len);
}

static void find_check(const struct table *t, const struct viewer *v, bool vni_1000, const uint8_t *data, size_t size)
{
	struct ip ips[FIND_MAX];
	char name[DNS_NAME_BYTES];
	size_t n, len = size < sizeof(name) - 1 ? size : sizeof(name) - 1;
	enum find found;

	memcpy(name, data, len);
	name[len] = '\0';
	found = table_find(t, v, name, 0, ips, &n);
	assert(n <= FIND_MAX && (n == 0 || found == FIND_NAME));
	/* VNI 2000 has 10.90.0.0/24 and 10.91.0.0/24, and VNI 1000 all the rest; nobody has 192.0.2.0/24 */
	for (size_t i = 0; i < n; i++) {
		bool of_2000 = ips[i].b[0] == 10 && (ips[i].b[1] == 90 || ips[i].b[1] == 91);

		assert(of_2000 != vni_1000 && ips[i].b[0] != 192);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	static const char *const who[] = {"c1", "c2", "c3", "c4"};
	uint8_t out[DNS_REPLY_BYTES];
	struct sockaddr_in client = {.sin_family = AF_INET};
	struct forward f = {0};
	uint32_t turn = 0;
	uint16_t id;
	size_t len;

	if (!w.table)
		world_init(&w);
	if (size < 1)
		return 0;
	uint8_t *copy = xmalloc(size > 1 ? size - 1 : 1); /* so that reading behind its end is seen */
	memcpy(copy, data + 1, size - 1);
	const char *viewer = who[data[0] % ARRAY_LEN(who)];

	if (answer_query(w.table, table_viewer(w.table, viewer), &turn, copy, size - 1, out, &len) == VERDICT_REPLY)
		reply_check(copy, out, len);
	if (answer_host(w.table, &turn, copy, size - 1, out, &len) == VERDICT_REPLY)
		reply_check(copy, out, len);
	find_check(w.table, table_viewer(w.table, viewer), !str_eq(viewer, "c4"), copy, size - 1);
	/* as an answer: only to whoever asked that */
	id = forward_add(&f, 1, data[0], &client, 7, dns_question_hash(copy, size - 1));
	assert(forward_take(&f, 2, id, dns_question_hash(copy, size - 1), &client, &id) && id == 7);
	forward_done(&f);
	free(copy);
	return 0;
}
