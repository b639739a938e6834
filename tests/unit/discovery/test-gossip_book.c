/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids and addresses by number: found again, shared, forgotten with their last user, within bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "discovery/gossip_book.h"

static struct gossip_id id_of(uint64_t i)
{
	struct gossip_id id;
	uint64_t w[2] = {i * UINT64_C(0x9e3779b97f4a7c15), i};

	memcpy(id.b, w, sizeof(id.b));
	return id;
}

static void test_found(void **state)
{
	struct gossip_book *b = gossip_book_new(1);
	struct gossip_id id;

	id = id_of(7);
	assert_int_equal(book_id_find(b, &id), BOOK_NONE);
	for (unsigned i = 0; i < 1000; i++) {
		id = id_of(i);
		assert_int_equal(book_id_add(b, &id), i);
	}
	for (unsigned i = 0; i < 1000; i++) {
		id = id_of(i);
		assert_int_equal(book_id_find(b, &id), i);
		assert_memory_equal(book_id(b, (uint16_t)i)->b, id.b, sizeof(id.b));
	}
	id = id_of(1000);
	assert_int_equal(book_id_find(b, &id), BOOK_NONE);
	gossip_book_free(b);
}

/* Any order of adding and dropping: what has users is found, nothing else is, and numbers are used again */
static void test_users(void **state)
{
	struct gossip_book *b = gossip_book_new(2);
	unsigned users[300] = {0};
	uint64_t random = 1;
	struct gossip_id id;

	for (unsigned turn = 0; turn < 20000; turn++) {
		unsigned i;

		random = hash64(&random, sizeof(random), 5);
		i = (unsigned)(random % ARRAY_LEN(users));
		id = id_of(i);
		if (random & 1 << 20 || !users[i]) {
			assert_true(book_id_add(b, &id) < ARRAY_LEN(users));
			users[i]++;
		} else {
			book_id_drop(b, book_id_find(b, &id));
			users[i]--;
		}
		assert_int_equal(book_id_find(b, &id) != BOOK_NONE, users[i] > 0);
	}
	for (unsigned i = 0; i < ARRAY_LEN(users); i++) {
		id = id_of(i);
		for (; users[i]; users[i]--)
			book_id_drop(b, book_id_find(b, &id));
	}
	assert_int_equal(b->ids.n_used, 0);
	assert_true(b->ids.n <= ARRAY_LEN(users));
	gossip_book_free(b);
}

static void test_addresses(void **state)
{
	struct gossip_book *b = gossip_book_new(3);
	struct endpoint e = {.ip = {AF_INET, {192, 0, 2, 1}}, .port = 4791}, other = e, six = e, again;
	uint16_t n = book_address_add(b, &e);

	other.port = 4792;
	six.ip.family = AF_INET6;
	assert_int_equal(book_address_add(b, &e), n);
	assert_int_not_equal(book_address_add(b, &other), n);
	assert_int_not_equal(book_address_add(b, &six), n);
	assert_true(book_address_is(b, n, &e));
	assert_false(book_address_is(b, n, &other));
	assert_false(book_address_is(b, n, &six));
	again = book_address(b, n);
	assert_int_equal(again.port, e.port);
	assert_int_equal(ip_cmp(&again.ip, &e.ip), 0);
	book_address_drop(b, n);
	assert_true(book_address_is(b, n, &e)); /* of the other user */
	gossip_book_free(b);
}

static void test_full(void **state)
{
	struct gossip_book *b = gossip_book_new(4);
	struct gossip_id id;

	for (unsigned i = 0; i < BOOK_NONE; i++) {
		id = id_of(i);
		assert_int_equal(book_id_add(b, &id), i);
	}
	id = id_of(BOOK_NONE);
	assert_int_equal(book_id_add(b, &id), BOOK_NONE);
	id = id_of(5);
	book_id_drop(b, book_id_find(b, &id));
	id = id_of(BOOK_NONE);
	assert_int_equal(book_id_add(b, &id), 5);
	assert_true(book_bytes(b) < 4u << 20);
	gossip_book_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_full),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
