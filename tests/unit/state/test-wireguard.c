/* SPDX-License-Identifier: Apache-2.0
 *
 * What hosts tell of WireGuard: as text and back, and which key of the ring a pair takes.
 */
#include "tempdir.h"

#include "state/wireguard.h"

#define KEY  "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define NEXT "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyE=" /* in the other slot */
#define BASE "\"key\":\"" KEY "\",\"port\":51820,\"ring\":[\"1a2b3c4d\",\"00000000\"]"

static void test_key(void **state)
{
	static const char *const bad[] = {"",
					  "AQID",
					  KEY "A",
					  "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=",
					  "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy-=",
					  "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAA",
					  "=QIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="};
	uint8_t key[32];
	char text[WG_KEY_TEXT];

	assert_true(wg_key_parse(KEY, key));
	for (size_t i = 0; i < 32; i++)
		assert_int_equal(key[i], i + 1);
	wg_key_format(key, text);
	assert_string_equal(text, KEY);
	memset(key, 0xff, sizeof(key));
	wg_key_format(key, text);
	assert_true(wg_key_parse(text, key));
	assert_int_equal(key[31], 0xff);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (wg_key_parse(bad[i], key))
			fail_msg("\"%s\" was taken", bad[i]);
}

static int say(const char *text, struct wg_say *ret)
{
	json_t *o = json_parse_bounded(text, strlen(text), NULL);
	int rc = wg_say_from_json(o, ret, NULL);

	json_decref(o);
	return rc;
}

static void test_say(void **state)
{
	static const char text[] = "{\"key\":\"" KEY "\",\"port\":51820,\"ring\":[\"1a2b3c4d\",\"00000000\"]}";
	struct tempdir *t = *state;
	autobuf struct buf b = {0};
	struct wg_say w, back;
	struct err err;

	assert_int_equal(say(text, &w), 0);
	wg_say_print(&b, &w);
	assert_string_equal(b.data, text);
	assert_int_equal(wg_file_write(t->fd, &w, &err), 0);
	assert_int_equal(wg_file_read(t->fd, NULL, &back, &err), 0);
	assert_true(wg_say_same(&w, &back));
	back.ring[1][0] = '1';
	assert_false(wg_say_same(&w, &back));
	assert_int_equal(say("{\"port\":51820,\"ring\":[]}", &w), -EINVAL);
	assert_int_equal(say("{\"key\":\"" KEY "\",\"port\":0,\"ring\":[]}", &w), -EINVAL);
	assert_int_equal(say("{\"key\":\"" KEY "\",\"port\":1}", &w), -EINVAL);
	assert_int_equal(say("{\"key\":\"" KEY "\",\"port\":1,\"ring\":[\"1A2B3C4D\"]}", &w), -EINVAL);
	assert_int_equal(say("{\"key\":\"" KEY "\",\"port\":1,\"ring\":[1]}", &w), -EINVAL);
	assert_int_equal(say("{\"key\":\"" KEY "\",\"port\":1,\"ring\":"
			     "[\"11111111\",\"22222222\",\"33333333\",\"44444444\",\"55555555\"]}",
			     &w),
			 -EINVAL);
	assert_int_equal(say("{\"key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"port\":1,\"ring\":[]}", &w),
			 -EINVAL);
	assert_int_equal(say("[]", &w), -EINVAL);
}

/* What may be left out; in each of the forms */
static void test_more(void **state)
{
	static const char *const texts[] = {
		"{" BASE ",\"next\":{\"key\":\"" NEXT "\",\"port\":51821}}",
		"{" BASE ",\"relay\":true}",
		"{" BASE ",\"by\":[\"1a2b3c4d\"]}",
		"{" BASE ",\"next\":{\"key\":\"" NEXT "\",\"port\":51821},\"relay\":true,"
		"\"by\":[\"11111111\",\"22222222\",\"33333333\",\"44444444\"]}",
	};
	static const char *const bad[] = {
		"{" BASE ",\"next\":{\"key\":\"" KEY "\",\"port\":51821}}",
		"{" BASE ",\"next\":{\"key\":\"" NEXT "\",\"port\":0}}",
		"{" BASE ",\"next\":{\"port\":51821}}",
		"{" BASE ",\"next\":[]}",
		"{" BASE ",\"relay\":1}",
		"{" BASE ",\"by\":[\"111\"]}",
		"{" BASE ",\"by\":[\"11111111\",\"22222222\",\"33333333\",\"44444444\",\"55555555\"]}",
	};
	struct tempdir *t = *state;
	struct wg_say w, back, before = {0};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		autobuf struct buf b = {0};
		assert_int_equal(say(texts[i], &w), 0);
		assert_false(wg_say_same(&w, &before));
		before = w;
		wg_say_print(&b, &w);
		assert_string_equal(b.data, texts[i]);
		assert_int_equal(wg_file_write(t->fd, &w, &err), 0);
		assert_int_equal(wg_file_read(t->fd, NULL, &back, &err), 0);
		assert_true(wg_say_same(&w, &back));
	}
	assert_string_equal(w.next, NEXT);
	assert_true(w.next_port == 51821 && w.relay && w.n_by == WG_RELAYS);
	assert_int_equal(say("{" BASE ",\"next\":null,\"relay\":false,\"by\":null}", &w), 0);
	assert_true(!w.next[0] && !w.relay && !w.n_by);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (say(bad[i], &w) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
}

static struct wg_say ring(const char *a, const char *b, const char *c)
{
	const char *ids[] = {a, b, c};
	struct wg_say w = {.port = 1};

	for (size_t i = 0; i < ARRAY_LEN(ids) && ids[i]; i++)
		str_copy(w.ring[w.n_ring++], ids[i]);
	return w;
}

static const char *common(struct wg_say a, struct wg_say b)
{
	static char ret[WG_RING_ID];
	const char *one = wg_common_key(&a, &b), *other = wg_common_key(&b, &a);

	assert_true(!one == !other);
	if (!one)
		return "none";
	assert_string_equal(one, other);
	str_copy(ret, one);
	return ret;
}

/* Whatever step of a rotation each of the two has come to, both take the same key */
static void test_common_key(void **state)
{
	const char *o = "0aaaaaaa", *n = "0bbbbbbb";

	assert_string_equal(common(ring(o, NULL, NULL), ring(o, NULL, NULL)), o);
	assert_string_equal(common(ring(o, n, NULL), ring(o, NULL, NULL)), o);
	assert_string_equal(common(ring(o, n, NULL), ring(o, n, NULL)), o);
	assert_string_equal(common(ring(n, o, NULL), ring(o, NULL, NULL)), o);
	assert_string_equal(common(ring(n, o, NULL), ring(o, n, NULL)), o); /* the smaller: one of them, the same */
	assert_string_equal(common(ring(n, o, NULL), ring(n, o, NULL)), n);
	assert_string_equal(common(ring(n, NULL, NULL), ring(n, o, NULL)), n);
	assert_string_equal(common(ring(n, NULL, NULL), ring(o, n, NULL)), n);
	assert_string_equal(common(ring(n, NULL, NULL), ring(o, NULL, NULL)), "none");
	assert_string_equal(common(ring(NULL, NULL, NULL), ring(o, NULL, NULL)), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key),
		cmocka_unit_test_setup_teardown(test_say, tempdir_make, tempdir_remove),
		cmocka_unit_test_setup_teardown(test_more, tempdir_make, tempdir_remove),
		cmocka_unit_test(test_common_key),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("tests", tests, NULL, NULL);
}
