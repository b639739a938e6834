/* SPDX-License-Identifier: Apache-2.0
 *
 * ICMP as it arrives on a raw socket, and records.json with a question about it: what ping and resolve read that others
 * have written. The first byte says which.
 */
#include <assert.h>

#include "cli/lookup.h"
#include "cli/ping.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ping(uint8_t family, const uint8_t *data, size_t size)
{
	struct ip to = {.family = family, .b = {241, 9, 0, 9}};
	struct ping_answer a = ping_parse(&to, 0x1234, data, size);

	assert(a.kind < PING_KIND_N_);
	assert(a.kind == PING_TOO_BIG || a.mtu == 0);
	assert(a.kind != PING_NOTHING || (a.seq == 0 && !a.damaged && !a.elsewhere));
}

/* A question, a newline, the file */
static void question(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	struct records r;
	struct lookup l;
	char nearest[NEAREST_MAX][RECORD_NAME_BYTES];
	struct err err;

	if (!end)
		return;
	autofree char *text = xstrndup((const char *)data, (size_t)(end - data));
	json_t *root = json_parse_bounded((const char *)end + 1, size - (size_t)(end - data) - 1, &err);
	if (!root || records_from_json(root, &r, &err) != 0) {
		json_decref(root);
		return;
	}
	lookup_name(&r, text, (struct scope){0}, &l);
	assert(l.n <= r.n_records);
	for (size_t i = 0; i < l.n; i++) {
		char name[RECORD_NAME_BYTES], host[64];
		assert(record_host(l.v[i], host)[0]);
		assert(strncmp(record_name(l.v[i], name), l.v[i]->name, strlen(l.v[i]->name)) == 0);
		for (size_t j = 0; j < l.v[i]->n_addresses; j++)
			assert(!ip_is_none(record_answer(l.v[i], j)));
	}
	lookup_done(&l);
	size_t n = lookup_nearest(&r, text, (struct scope){0}, nearest);
	assert(n <= NEAREST_MAX);
	lookup_part(&r, text, &l);
	lookup_done(&l);
	records_done(&r);
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == '4' || data[0] == '6') {
		autofree uint8_t *exact = size > 1 ? xmemdup(data + 1, size - 1) : xmalloc(1);
		ping(data[0] == '4' ? AF_INET : AF_INET6, exact, size - 1);
	} else {
		question(data + 1, size - 1);
	}
	return 0;
}
