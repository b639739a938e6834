/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed values of a store. The first byte chooses: a text as a stranger may put it there; or what a member seals,
 * changed as the next bytes say (where, to what), which must not open.
 */
#include <assert.h>

#include "state/seal_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct value_keys keys_make(void)
{
	struct value_keys k = {.n = 0};
	struct keyring r = {.n = 2};

	key_make(&r.keys[0]);
	key_make(&r.keys[1]);
	value_keys_derive(&k, VALUE_ETCD, &r);
	keyring_done(&r);
	return k;
}

static enum seal_verdict open_copy(const struct value_keys *k, const void *data, size_t len, struct buf *ret)
{
	char *copy = xmalloc(len ? len : 1); /* so that reading behind its end is seen */
	char id[KEY_ID_LEN + 1];
	enum seal_verdict v;

	memcpy(copy, data, len);
	v = value_open(k, "place", copy, len, ret, id);
	free(copy);
	return v;
}

static void stranger(const struct value_keys *k, const uint8_t *data, size_t size)
{
	struct value_keys none = {.n = 0};
	autobuf struct buf out = {0}, clear = {0};
	enum seal_verdict v = open_copy(k, data, size, &out);

	assert(v != SEAL_OPENED && out.len == 0);
	v = open_copy(&none, data, size, &clear);
	assert(v == SEAL_OPENED || v == SEAL_BROKEN || v == SEAL_NO_KEY);
	if (v == SEAL_OPENED)
		assert(clear.len == size && memcmp(clear.data, data, size) == 0);
}

static void changed(const struct value_keys *k, const uint8_t *data, size_t size)
{
	autobuf struct buf text = {0}, out = {0};
	uint8_t where = data[0];
	char to = (char)data[1];
	bool same;

	value_seal(k, "place", data + 2, size - 2, &text);
	assert(text.len == value_sealed_len(k, size - 2));
	same = text.data[where % text.len] == to;
	text.data[where % text.len] = to;
	if (open_copy(k, text.data, text.len, &out) == SEAL_OPENED)
		assert(same && out.len == size - 2 && memcmp(out.data, data + 2, out.len) == 0);
	else
		assert(!same && out.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct value_keys k;

	if (!k.n)
		k = keys_make();
	if (size < 1)
		return 0;
	if (data[0] % 2 == 0)
		stranger(&k, data + 1, size - 1);
	else if (size >= 3)
		changed(&k, data + 1, size - 1);
	return 0;
}
