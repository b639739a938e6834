/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: what is taken, and how it is refused.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "init/options.h"

static void test_all_of_it(void **state)
{
	struct init_options o;
	char *args[] = {(char *)"--log",
			(char *)"/a.log",
			(char *)"--log=/b=c.log=stderr",
			(char *)"--log-full",
			(char *)"block",
			(char *)"--wait-if=eth1",
			(char *)"--wait-address",
			(char *)"--wait-for",
			(char *)"tcp://db:5432",
			(char *)"--wait-timeout",
			(char *)"9",
			(char *)"--also-restart=on-failure",
			(char *)"--also",
			(char *)"udhcpc -f",
			(char *)"--also-restart",
			(char *)"never",
			(char *)"--also=x",
			(char *)"-g",
			(char *)"-p",
			(char *)"SIGINT",
			(char *)"-e",
			(char *)"143",
			(char *)"-r",
			(char *)"TERM:RTMIN+3",
			(char *)"-s",
			(char *)"--",
			(char *)"-odd",
			(char *)"--log",
			NULL};

	assert_int_equal(init_options_parse(args, &o, NULL), 0);
	assert_int_equal(o.n_logs, 2);
	assert_string_equal(o.logs[0].path, "/a.log");
	assert_int_equal(o.logs[0].fd, 1);
	assert_string_equal(o.logs[1].path, "/b=c.log");
	assert_int_equal(o.logs[1].fd, 2);
	assert_true(o.log_block && o.group && o.wait.address);
	assert_int_equal(o.wait.n_ifs, 1);
	assert_string_equal(o.wait.ifs[0], "eth1");
	assert_int_equal(o.wait.n_targets, 1);
	assert_string_equal(o.wait.targets[0].host, "db");
	assert_string_equal(o.wait.targets[0].port, "5432");
	assert_int_equal(o.wait.timeout_s, 9);
	assert_int_equal(o.n_also, 2);
	assert_int_equal(o.also[0].restart, RESTART_ON_FAILURE);
	assert_string_equal(o.also[0].argv[1], "-f");
	assert_int_equal(o.also[1].restart, RESTART_NEVER);
	assert_int_equal(o.death_signal, SIGINT);
	assert_true(o.ok_status[2] == UINT64_C(1) << 15);
	assert_int_equal(o.rewrite[SIGTERM], 37);
	assert_int_equal(o.rewrite[SIGHUP], SIGHUP);
	assert_string_equal(o.command[0], "-odd");
	assert_string_equal(o.command[1], "--log");
	init_options_done(&o);
}

static void test_a_program_needs_no_dashes(void **state)
{
	struct init_options o;

	assert_int_equal(init_options_parse((char *[]){(char *)"sh", (char *)"-g", NULL}, &o, NULL), 0);
	assert_false(o.group);
	assert_string_equal(o.command[1], "-g");
	init_options_done(&o);
	/* a lone dash is a program, as cat would take it */
	assert_int_equal(init_options_parse((char *[]){(char *)"-", NULL}, &o, NULL), 0);
	init_options_done(&o);
	assert_int_equal(init_options_parse((char *[]){(char *)"--help", NULL}, &o, NULL), 0);
	assert_true(o.help);
	init_options_done(&o);
}

static void test_refused(void **state)
{
	static const struct {
		const char *a, *b, *text;
	} rows[] = {
		{"--lgo", NULL, "unknown option \"--lgo\"; did you mean --log"},
		{"--zzzzzzzzzz", NULL, "unknown option \"--zzzzzzzzzz\"; --help lists them"},
		{"-", NULL, NULL},
		{"--log", NULL, "--log: a value is missing"},
		{"--group=yes", "x", "--group \"yes\": it has no value"},
		{"--log", "a.log", "--log \"a.log\": the absolute path of a file is wanted"},
		{"--log", "/", "--log \"/\": the absolute path of a file is wanted"},
		{"--log", "/a/", "--log \"/a/\": the absolute path of a file is wanted"},
		{"--log", "=stdout", "--log \"=stdout\": the absolute path of a file is wanted"},
		{"--log", "/a=stdot", "--log \"/a=stdot\": behind the last '=' stands stdout or stderr"},
		{"--log-full", "no", "--log-full \"no\": block or drop is wanted"},
		{"--wait-if", "", "interface \"\": a name of 1 to 15 characters is wanted"},
		{"--wait-if", "0123456789abcdef",
		 "interface \"0123456789abcdef\": a name of 1 to 15 characters is wanted"},
		{"--wait-timeout", "-1", "timeout \"-1\": 0 to 86400 seconds are allowed, 0 being for ever"},
		{"--wait-timeout", "86401", "timeout \"86401\": 0 to 86400 seconds are allowed, 0 being for ever"},
		{"--also", "", "--also: command \"\": a program is wanted"},
		{"--also", "'a", "--also: command \"'a\": a quote or a backslash is not closed"},
		{"--also-restart", "maybe", "--also-restart \"maybe\": always, on-failure or never is wanted"},
		{"-p", "NONE", "--death-signal \"NONE\": the name or number of a signal is wanted"},
		{"-e", "256", "--ok-status \"256\": 0 to 255 are allowed"},
		{"-r", "TERM", "--rewrite \"TERM\": SIGNAL:SIGNAL is wanted, behind the colon 0 for nothing"},
		{"-r", "TERM:65", "--rewrite \"TERM:65\": SIGNAL:SIGNAL is wanted, behind the colon 0 for nothing"},
		{"-r", "0:15", "--rewrite \"0:15\": SIGNAL:SIGNAL is wanted, behind the colon 0 for nothing"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct init_options o;
		struct err err = {0};
		char *args[] = {(char *)rows[i].a, (char *)rows[i].b, NULL};
		int r = init_options_parse(args, &o, &err);
		if (!rows[i].text) {
			assert_int_equal(r, 0);
			init_options_done(&o);
			continue;
		}
		assert_int_equal(r, -EINVAL);
		assert_string_equal(err.text, rows[i].text);
	}
}

/* each kind has a bound, and the one behind it is refused without a leak */
static void test_bounds(void **state)
{
	static const struct {
		const char *option, *value;
		int most;
	} rows[] = {{"--log", "/l%d", LIMIT_INIT_LOGS},
		    {"--also", "a%d", LIMIT_INIT_ALSO},
		    {"--wait-if", "e%d", LIMIT_INIT_IFS},
		    {"--wait-for", "tcp://h:%d", LIMIT_INIT_TARGETS}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char values[32][32], *args[80];
		int n = 0;
		for (int j = 0; j <= rows[i].most; j++) {
			snprintf(values[j], sizeof(values[j]), rows[i].value, j + 1);
			args[n++] = (char *)rows[i].option;
			args[n++] = values[j];
		}
		args[n] = (char *)"true";
		args[n + 1] = NULL;
		struct init_options o;
		assert_int_equal(init_options_parse(args, &o, NULL), -EINVAL);
		assert_int_equal(init_options_parse(args + 2, &o, NULL), 0);
		init_options_done(&o);
	}
	struct init_options o;
	assert_int_equal(
		init_options_parse((char *[]){(char *)"--log=/a", (char *)"--log=/a=stderr", (char *)"x", NULL}, &o,
				   NULL),
		-EINVAL);
}

static void test_targets(void **state)
{
	static const struct {
		const char *text, *host, *port;
		bool is_unix;
	} good[] = {
		{"tcp://db:5432", "db", "5432", false},
		{"tcp://192.0.2.1:1", "192.0.2.1", "1", false},
		{"tcp://[2001:db8::1]:80", "2001:db8::1", "80", false},
		{"tcp://[fe80::1%eth0]:080", "fe80::1%eth0", "80", false},
		{"unix:/run/x.sock", "/run/x.sock", "", true},
		{"unix:///run/x.sock", "/run/x.sock", "", true},
		{"unix:@name", "@name", "", true},
	};
	static const char *const bad[] = {"",
					  "db:5432",
					  "tcp:db:5432",
					  "tcp://db",
					  "tcp://:5432",
					  "tcp://db:0",
					  "tcp://db:65536",
					  "tcp://db:5 ",
					  "tcp://2001:db8::1:80",
					  "tcp://[]:80",
					  "tcp://a b:80",
					  "tcp://a/b:80",
					  "http://db:80",
					  "unix:",
					  "unix:/",
					  "unix:x",
					  "unix:@",
					  "TCP://db:80"};
	struct target t;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(target_parse(good[i].text, &t, NULL), 0);
		assert_string_equal(t.host, good[i].host);
		assert_string_equal(t.port, good[i].port);
		assert_int_equal(t.is_unix, good[i].is_unix);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};
		assert_int_equal(target_parse(bad[i], &t, &err), -EINVAL);
		assert_non_null(strstr(err.text, "tcp://HOST:PORT"));
	}
	char path[256] = "unix:/", host[512] = "tcp://";
	memset(path + 6, 'x', 107);
	assert_int_equal(target_parse(path, &t, NULL), -EINVAL);
	path[112] = '\0';
	assert_int_equal(target_parse(path, &t, NULL), 0);
	memset(host + 6, 'x', 254);
	strcat(host, ":1");
	assert_int_equal(target_parse(host, &t, NULL), -EINVAL);
	assert_int_equal(target_parse("tcp://", &t, NULL), -EINVAL);
}

static void expect_words(const char *text, const char *joined)
{
	char **words;
	autobuf struct buf b = {0};

	assert_int_equal(words_split(text, &words, NULL), 0);
	for (size_t i = 0; words[i]; i++)
		buf_printf(&b, "<%s>", words[i]);
	assert_string_equal(b.data, joined);
	free(words);
}

static void test_words(void **state)
{
	char **words;

	expect_words("a", "<a>");
	expect_words("  a\tb\n c ", "<a><b><c>");
	expect_words("sh -c 'a \"b\" \\c'", "<sh><-c><a \"b\" \\c>");
	expect_words("a \"b 'c' \\\" d\"e ''", "<a><b 'c' \" de><>");
	expect_words("a\\ b \\'", "<a b><'>");
	static const char *const bad[] = {"", " ", "'a", "a \"b", "a\\", "''", "\"\""};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(words_split(bad[i], &words, NULL), -EINVAL);
	char many[2 * (LIMIT_INIT_WORDS + 1) + 1] = "", *end = many;
	for (int i = 0; i <= LIMIT_INIT_WORDS; i++)
		end += sprintf(end, "x ");
	assert_int_equal(words_split(many, &words, NULL), -EINVAL);
	assert_int_equal(words_split(many + 2, &words, NULL), 0);
	free(words);
	autofree char *lengthy = xcalloc(1, LIMIT_INIT_TEXT + 2);
	memset(lengthy, 'x', LIMIT_INIT_TEXT + 1);
	assert_int_equal(words_split(lengthy, &words, NULL), -EINVAL);
	assert_int_equal(words_split(lengthy + 1, &words, NULL), 0);
	free(words);
}

static void test_signals(void **state)
{
	static const struct {
		const char *text;
		int number;
	} rows[] = {{"TERM", 15},  {"SIGTERM", 15},    {"15", 15},	{"64", 64},
		    {"RTMIN", 34}, {"SIGRTMIN+3", 37}, {"RTMIN+30", 64}};
	static const char *const bad[] = {"", "0", "65", "term", "SIG", "RTMIN+31", "RTMIN+", "RTMINX", "TERM ", "-1"};
	int n;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(signal_parse(rows[i].text, &n), 0);
		assert_int_equal(n, rows[i].number);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(signal_parse(bad[i], &n), -EINVAL);
}

static void test_wait_net(void **state)
{
	struct wait_options w;
	struct err err = {0};
	char *args[] = {(char *)"--if",		 (char *)"eth1",	(char *)"--address",
			(char *)"--for=unix:/x", (char *)"--timeout=5", NULL};

	assert_int_equal(wait_options_parse(args, &w, NULL), 0);
	assert_true(w.n_ifs == 1 && w.address && w.n_targets == 1 && w.timeout_s == 5);
	assert_int_equal(wait_options_parse((char *[]){NULL}, &w, NULL), 0);
	assert_int_equal(w.n_ifs, 0);
	assert_int_equal(wait_options_parse((char *[]){(char *)"-h", NULL}, &w, NULL), 1);
	assert_int_equal(wait_options_parse((char *[]){(char *)"--log=/x", NULL}, &w, &err), -EINVAL);
	assert_int_equal(wait_options_parse((char *[]){(char *)"sh", NULL}, &w, &err), -EINVAL);
	assert_non_null(strstr(err.text, "runs no program"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_it), cmocka_unit_test(test_a_program_needs_no_dashes),
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_targets),	  cmocka_unit_test(test_words),
		cmocka_unit_test(test_signals),	  cmocka_unit_test(test_wait_net),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
