/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that seal and open for each other, each with a clock of its own, and an enemy who records, changes and says
 * again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>

#include "state/seal.h"

#define LIVE_US (90 * USEC_PER_SEC)
#define TEXT	"{\"type\":\"ANNOUNCE\"}"

struct datagram {
	char data[SEAL_MAX];
	size_t len;
};

struct member {
	struct seal *seal;
	struct endpoint at;
	int64_t skew_s; /* of its clock */
	const char *host_id;
};

static int64_t world_s = 1000; /* true time since boot, of all */

static struct seal_now now_of(const struct member *m)
{
	return (struct seal_now){.mono.us = world_s * USEC_PER_SEC,
				 .wall.ms = (1700000000 + world_s + m->skew_s) * 1000};
}

static struct keyring ring(const char *letters)
{
	struct keyring r = {.n = 0};
	autobuf struct buf text = {0};
	struct err err = {0};

	for (; *letters; letters++) {
		for (int i = 0; i < KEY_BYTES; i++)
			buf_printf(&text, "%02x", *letters);
		buf_puts(&text, "\n");
	}
	assert_int_equal(keyring_parse(text.data, text.len, &r, &err), 0);
	return r;
}

static struct member member(const char *keys, int number)
{
	struct keyring r = ring(keys);
	struct member m = {.at = {.ip = {.family = AF_INET, .b = {192, 0, 2, (uint8_t)number}}, .port = 4790}};
	char id[HOST_ID_LEN + 1];

	str_print(id, "%032x", (unsigned)number);
	m.seal = seal_new(SEAL_DISCOVERY, id, &r, LIVE_US);
	return m;
}

static void restart(struct member *m, const char *keys)
{
	struct member again = member(keys, m->at.ip.b[3]);

	seal_free(m->seal);
	m->seal = again.seal;
}

static void keys(struct member *m, const char *letters)
{
	struct keyring r = ring(letters);

	seal_keys(m->seal, &r);
}

struct said {
	struct datagram v[KEYRING_MAX];
	size_t n;
};

static void said_put(void *arg, const char *data, size_t len)
{
	struct said *s = arg;

	memcpy(s->v[s->n].data, data, len);
	s->v[s->n++].len = len;
}

static struct said say(const struct member *m)
{
	struct said s = {.n = 0};

	seal_data(m->seal, now_of(m), &m->at, TEXT, strlen(TEXT), said_put, &s);
	return s;
}

static enum seal_verdict hear(const struct member *m, const struct member *from, const struct datagram *d)
{
	static struct seal_opened o;
	enum seal_verdict v = seal_open(m->seal, now_of(m), &from->at, d->data, d->len, &o);

	if (v == SEAL_OPENED) {
		assert_int_equal(o.len, strlen(TEXT));
		assert_string_equal(o.text, TEXT);
		assert_int_equal(o.host_id[HOST_ID_LEN - 1] - '0', from->at.ip.b[3]);
	}
	return v;
}

/* As on the wire: all copies arrive, and what has to go back does. Return: what became of it, before that */
static enum seal_verdict tell(const struct member *from, const struct member *to)
{
	static struct seal_opened o, back;
	struct said s = say(from);
	enum seal_verdict best = SEAL_VERDICT_N_;

	for (size_t i = 0; i < s.n; i++) {
		enum seal_verdict v = seal_open(to->seal, now_of(to), &from->at, s.v[i].data, s.v[i].len, &o);

		if (v == SEAL_SKEWED) {
			char ask[SEAL_TALK_BYTES], answer[SEAL_TALK_BYTES];

			seal_ask(to->seal, now_of(to), &to->at, &o, ask);
			assert_int_equal(seal_open(from->seal, now_of(from), &to->at, ask, sizeof(ask), &back),
					 SEAL_ASKED);
			seal_answer(from->seal, now_of(from), &from->at, &back, answer);
			assert_int_equal(seal_open(to->seal, now_of(to), &from->at, answer, sizeof(answer), &back),
					 SEAL_PROVED);
		}
		if (v < best)
			best = v;
	}
	return best;
}

static void done(struct member *a, struct member *b)
{
	seal_free(a->seal);
	seal_free(b->seal);
}

static void test_there_and_back(void **state)
{
	struct member a = member("A", 1), b = member("A", 2);
	struct said s = say(&a);

	assert_int_equal(s.n, 1);
	assert_int_equal(s.v[0].len, strlen(TEXT) + SEAL_BYTES);
	assert_null(memmem(s.v[0].data, s.v[0].len, "ANNOUNCE", 8));
	assert_int_equal(hear(&b, &a, &s.v[0]), SEAL_OPENED);
	/* twice the same is not the same twice */
	struct said again = say(&a);
	assert_memory_not_equal(s.v[0].data + 45, again.v[0].data + 45, strlen(TEXT) + 17);
	assert_int_equal(hear(&b, &a, &again.v[0]), SEAL_OPENED);
	done(&a, &b);
}

static void test_wrong_key(void **state)
{
	static struct seal_opened o;
	struct member a = member("A", 1), b = member("B", 2);
	struct said s = say(&a);
	char id[KEY_ID_LEN + 1];

	assert_int_equal(seal_open(b.seal, now_of(&b), &a.at, s.v[0].data, s.v[0].len, &o), SEAL_NO_KEY);
	assert_string_equal(o.key_id, seal_key_id(a.seal));
	assert_true(seal_key_of(s.v[0].data, s.v[0].len, id));
	assert_string_equal(id, seal_key_id(a.seal));
	/* the id of a key that it has does not help */
	struct said ours = say(&b);
	memcpy(s.v[0].data + 1, ours.v[0].data + 1, 4);
	assert_int_equal(hear(&b, &a, &s.v[0]), SEAL_FORGED);
	done(&a, &b);
}

static void test_truncated(void **state)
{
	struct member a = member("A", 1), b = member("A", 2);
	struct said s = say(&a);
	size_t len = s.v[0].len;

	for (size_t n = 0; n < len; n++) {
		/* so that reading behind its end is seen */
		struct seal_opened *o = xmalloc(sizeof(*o));
		char *cut = xmalloc(n ? n : 1);
		enum seal_verdict v;

		memcpy(cut, s.v[0].data, n);
		v = seal_open(b.seal, now_of(&b), &a.at, cut, n, o);
		assert_true(v == SEAL_BROKEN || v == SEAL_FORGED);
		free(cut);
		free(o);
	}
	s.v[0].len++;
	assert_int_equal(hear(&b, &a, &s.v[0]), SEAL_FORGED);
	s.v[0].len = SEAL_MAX + 1;
	static struct seal_opened o;
	static char large[SEAL_MAX + 1];
	memcpy(large, s.v[0].data, 100);
	assert_int_equal(seal_open(b.seal, now_of(&b), &a.at, large, sizeof(large), &o), SEAL_BROKEN);
	done(&a, &b);
}

static void test_every_bit(void **state)
{
	struct member a = member("A", 1), b = member("A", 2);
	struct said s = say(&a);

	for (size_t bit = 0; bit < s.v[0].len * 8; bit++) {
		struct datagram d = s.v[0];
		enum seal_verdict v;

		d.data[bit / 8] ^= (char)(1 << bit % 8);
		v = hear(&b, &a, &d);
		assert_true(v == SEAL_BROKEN || v == SEAL_NO_KEY || v == SEAL_FORGED || (v == SEAL_CLEAR && bit < 8));
	}
	/* and none of it spoiled the true one */
	assert_int_equal(hear(&b, &a, &s.v[0]), SEAL_OPENED);
	done(&a, &b);
}

static void test_address(void **state)
{
	struct member a = member("A", 1), b = member("A", 2), enemy = a;
	struct said s = say(&a);

	enemy.at.ip.b[3] = 66;
	assert_int_equal(hear(&b, &enemy, &s.v[0]), SEAL_FORGED);
	enemy = a;
	enemy.at.port++;
	assert_int_equal(hear(&b, &enemy, &s.v[0]), SEAL_FORGED);
	enemy = a;
	enemy.at.ip.family = AF_INET6;
	assert_int_equal(hear(&b, &enemy, &s.v[0]), SEAL_FORGED);
	assert_int_equal(hear(&b, &a, &s.v[0]), SEAL_OPENED);
	done(&a, &b);
}

static void test_clear(void **state)
{
	struct member a = member("A", 1), b = member("A", 2);
	struct datagram d = {.data = TEXT, .len = strlen(TEXT)};

	assert_int_equal(hear(&b, &a, &d), SEAL_CLEAR);
	d.data[0] = 2;
	assert_int_equal(hear(&b, &a, &d), SEAL_BROKEN);
	d.len = 0;
	assert_int_equal(hear(&b, &a, &d), SEAL_BROKEN);
	done(&a, &b);
}

static void test_replay_and_order(void **state)
{
	static struct said s[600];
	struct member a = member("A", 1), b = member("A", 2);

	for (size_t i = 0; i < ARRAY_LEN(s); i++)
		s[i] = say(&a);
	assert_int_equal(hear(&b, &a, &s[0].v[0]), SEAL_OPENED);
	assert_int_equal(hear(&b, &a, &s[0].v[0]), SEAL_AGAIN);
	/* in the worst order that is allowed */
	for (size_t i = SEAL_WINDOW; i > 0; i--) {
		assert_int_equal(hear(&b, &a, &s[i].v[0]), SEAL_OPENED);
		assert_int_equal(hear(&b, &a, &s[i].v[0]), SEAL_AGAIN);
	}
	assert_int_equal(hear(&b, &a, &s[0].v[0]), SEAL_AGAIN);
	/* a jump; what lies within the window counts still, what lies before does not */
	assert_int_equal(hear(&b, &a, &s[599].v[0]), SEAL_OPENED);
	assert_int_equal(hear(&b, &a, &s[599 - SEAL_WINDOW].v[0]), SEAL_AGAIN);
	assert_int_equal(hear(&b, &a, &s[600 - SEAL_WINDOW].v[0]), SEAL_OPENED);
	assert_int_equal(hear(&b, &a, &s[600 - SEAL_WINDOW].v[0]), SEAL_AGAIN);
	assert_int_equal(hear(&b, &a, &s[500].v[0]), SEAL_OPENED);
	for (size_t i = 0; i < ARRAY_LEN(s); i++) {
		enum seal_verdict v = hear(&b, &a, &s[i].v[0]);

		assert_int_equal(v, i > 600 - SEAL_WINDOW && i < 599 && i != 500 ? SEAL_OPENED : SEAL_AGAIN);
	}
	/* however long it is kept, while the one who hears it runs */
	world_s += 30 * 86400;
	assert_int_equal(hear(&b, &a, &s[599].v[0]), SEAL_AGAIN);
	done(&a, &b);
}

static void test_restart_of_a_sender(void **state)
{
	struct member a = member("A", 1), b = member("A", 2);
	struct said old = say(&a), unheard = say(&a);

	assert_int_equal(hear(&b, &a, &old.v[0]), SEAL_OPENED);
	restart(&a, "A");
	assert_int_equal(tell(&a, &b), SEAL_OPENED);
	assert_int_equal(hear(&b, &a, &old.v[0]), SEAL_AGAIN);
	/* one that starts anew as who hears takes no recordings of yesterday */
	world_s += SEAL_SKEW_S + 1;
	restart(&b, "A");
	assert_int_equal(hear(&b, &a, &old.v[0]), SEAL_SKEWED);
	assert_int_equal(hear(&b, &a, &unheard.v[0]), SEAL_SKEWED);
	assert_int_equal(tell(&a, &b), SEAL_OPENED);
	done(&a, &b);
}

static void test_clock_back(void **state)
{
	struct member a = member("A", 1), b = member("A", 2);

	assert_int_equal(tell(&a, &b), SEAL_OPENED);
	/* of one that runs: the counter goes on */
	a.skew_s = -3600;
	assert_int_equal(tell(&a, &b), SEAL_OPENED);
	b.skew_s = 3600;
	assert_int_equal(tell(&b, &a), SEAL_SKEWED);
	assert_int_equal(tell(&b, &a), SEAL_OPENED);
	/* of one that starts: it is asked once */
	restart(&a, "A");
	assert_int_equal(tell(&a, &b), SEAL_SKEWED);
	assert_int_equal(tell(&a, &b), SEAL_OPENED);
	/* a clock that knows no day at all */
	a.skew_s = -1700000000;
	restart(&a, "A");
	assert_int_equal(tell(&a, &b), SEAL_SKEWED);
	assert_int_equal(tell(&a, &b), SEAL_OPENED);
	assert_int_equal(tell(&b, &a), SEAL_SKEWED);
	assert_int_equal(tell(&b, &a), SEAL_OPENED);
	done(&a, &b);
}

static void test_questions(void **state)
{
	static struct seal_opened o, asked, r;
	struct member a = member("A", 1), b = member("A", 2), c = member("A", 3);
	char ask[SEAL_TALK_BYTES], answer[SEAL_TALK_BYTES];

	a.skew_s = -7200;
	struct said s = say(&a);
	assert_int_equal(seal_open(b.seal, now_of(&b), &a.at, s.v[0].data, s.v[0].len, &o), SEAL_SKEWED);
	assert_int_equal(o.skew_s, -7200);
	seal_ask(b.seal, now_of(&b), &b.at, &o, ask);
	assert_int_equal(seal_open(a.seal, now_of(&a), &b.at, ask, sizeof(ask), &asked), SEAL_ASKED);
	seal_answer(a.seal, now_of(&a), &a.at, &asked, answer);
	/* an answer for b is none for c, and none for b when it is late */
	assert_int_equal(seal_open(c.seal, now_of(&c), &a.at, answer, sizeof(answer), &r), SEAL_SKEWED);
	world_s += 40;
	assert_int_equal(seal_open(b.seal, now_of(&b), &a.at, answer, sizeof(answer), &r), SEAL_SKEWED);
	world_s -= 40;
	assert_int_equal(seal_open(b.seal, now_of(&b), &a.at, answer, sizeof(answer), &r), SEAL_PROVED);
	assert_int_equal(seal_open(b.seal, now_of(&b), &a.at, answer, sizeof(answer), &r), SEAL_AGAIN);
	/* what a said before b knew it is not lost for good */
	assert_int_equal(hear(&b, &a, &s.v[0]), SEAL_OPENED);
	assert_int_equal(tell(&a, &b), SEAL_OPENED);
	/* an answer of one session does not prove another */
	restart(&a, "A");
	s = say(&a);
	assert_int_equal(seal_open(b.seal, now_of(&b), &a.at, s.v[0].data, s.v[0].len, &o), SEAL_SKEWED);
	seal_answer(a.seal, now_of(&a), &a.at, &asked, answer);
	assert_int_equal(seal_open(b.seal, now_of(&b), &a.at, answer, sizeof(answer), &r), SEAL_SKEWED);
	seal_free(c.seal);
	done(&a, &b);
}

static void test_own(void **state)
{
	static struct seal_opened o;
	struct member a = member("BA", 1), b = member("A", 1);
	struct said s = say(&a);

	assert_int_equal(seal_open(a.seal, now_of(&a), &a.at, s.v[0].data, s.v[0].len, &o), SEAL_OPENED);
	assert_true(o.ours);
	/* another process of the same host_id, or a cloned disk, is not us */
	s = say(&b);
	assert_int_equal(seal_open(a.seal, now_of(&a), &b.at, s.v[0].data, s.v[0].len, &o), SEAL_OPENED);
	assert_false(o.ours);
	done(&a, &b);
}

static void test_rotation(void **state)
{
	struct member a = member("A", 1), b = member("A", 2);
	static const char *const steps[][2] = {
		{"A", "A"}, {"AB", "A"}, {"AB", "AB"}, {"BA", "AB"}, {"BA", "BA"}, {"B", "BA"}, {"B", "B"},
	};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		keys(&a, steps[i][0]);
		keys(&b, steps[i][1]);
		assert_int_equal(tell(&a, &b), SEAL_OPENED);
		assert_int_equal(tell(&b, &a), SEAL_OPENED);
		world_s += 10;
	}
	/* the old key has gone with the last of its ring */
	assert_int_equal(say(&a).n, 1);
	keys(&a, "A");
	assert_int_equal(tell(&a, &b), SEAL_NO_KEY);
	done(&a, &b);
}

/* Used before it was added everywhere, and a member that was away while all changed to the new key */
static void test_rotation_with_one_away(void **state)
{
	struct member a = member("A", 1), b = member("A", 2), c = member("A", 3);

	assert_int_equal(tell(&a, &b), SEAL_OPENED);
	assert_int_equal(tell(&b, &a), SEAL_OPENED);
	keys(&a, "BA");
	assert_int_equal(seal_copies(a.seal, now_of(&a).mono), 1);
	assert_int_equal(tell(&a, &b), SEAL_OPENED);
	keys(&b, "BA");
	assert_int_equal(tell(&b, &a), SEAL_OPENED);
	assert_int_equal(tell(&a, &b), SEAL_OPENED);
	/* copies are not what keeps an old key in use: else a and b would do so for each other, for ever */
	for (int i = 0; i < 20; i++) {
		world_s += 10;
		assert_int_equal(tell(&a, &b), SEAL_OPENED);
		assert_int_equal(tell(&b, &a), SEAL_OPENED);
	}
	assert_int_equal(say(&a).n, 1);
	assert_int_equal(say(&b).n, 1);
	/* c is back, and knows nothing of it: not heard by it before, heard by it as soon as it spoke */
	assert_int_equal(tell(&a, &c), SEAL_NO_KEY);
	assert_int_equal(tell(&c, &a), SEAL_OPENED);
	assert_int_equal(tell(&a, &c), SEAL_OPENED);
	struct said s = say(&a);
	assert_int_equal(s.n, 2);
	assert_int_equal(hear(&b, &a, &s.v[1]), SEAL_OPENED);
	assert_int_equal(hear(&b, &a, &s.v[0]), SEAL_AGAIN);
	assert_int_equal(seal_copies(b.seal, now_of(&b).mono), 0);
	/* it is given the key: no more copies, some time later */
	keys(&c, "BA");
	world_s += 91;
	assert_int_equal(tell(&c, &a), SEAL_OPENED);
	assert_int_equal(say(&a).n, 1);
	seal_free(c.seal);
	done(&a, &b);
}

/* Many more processes than are kept: memory is bounded, and who speaks is heard */
static void test_many_senders(void **state)
{
	struct member a = member("A", 1), b = member("A", 2);
	struct said kept = say(&a), s;

	assert_int_equal(hear(&b, &a, &kept.v[0]), SEAL_OPENED);
	for (int i = 0; i < SEAL_SENDERS * 2; i++) {
		struct datagram d;
		struct said one = {.n = 0};

		/* a new session without the cost of a new table: what counter_next() does at its end */
		restart(&a, "A");
		seal_data(a.seal, now_of(&a), &a.at, TEXT, strlen(TEXT), said_put, &one);
		d = one.v[0];
		assert_int_equal(hear(&b, &a, &d), SEAL_OPENED);
		assert_int_equal(hear(&b, &a, &d), SEAL_AGAIN);
		if (i % 256 == 0)
			world_s++;
	}
	s = say(&a);
	assert_int_equal(hear(&b, &a, &s.v[0]), SEAL_OPENED);
	done(&a, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_replay_and_order),
		cmocka_unit_test(test_restart_of_a_sender),
		cmocka_unit_test(test_clock_back),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_rotation_with_one_away),
		cmocka_unit_test(test_many_senders),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
