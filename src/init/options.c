/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: a table of options for each command, one loop over it. No getopt(), whose messages are not ours and
 * which libcs do differently.
 */
#include "init/options.h"

#include <assert.h>
#include <net/if.h>
#include <signal.h>

static const char *const restart_names[] = {"always", "on-failure", "never"};
static_assert(ARRAY_LEN(restart_names) == RESTART_N_, "one name per policy");

/* "--log: X is ...": what was given may be anything */
static int refuse(struct err *err, const char *option, const char *given, const char *allowed)
{
	autobuf struct buf safe = {0};
	str_safe(&safe, given);
	return err_set(err, -EINVAL, "%s \"%s\": %s", option, safe.data, allowed);
}

/* --- signals --------------------------------------------------------------------------------------------------------
 */

static const struct {
	const char *name;
	int number;
} signal_names[] = {
	{"HUP", SIGHUP},   {"INT", SIGINT},	{"QUIT", SIGQUIT}, {"ILL", SIGILL},   {"TRAP", SIGTRAP},
	{"ABRT", SIGABRT}, {"BUS", SIGBUS},	{"FPE", SIGFPE},   {"KILL", SIGKILL}, {"USR1", SIGUSR1},
	{"SEGV", SIGSEGV}, {"USR2", SIGUSR2},	{"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM},
	{"CHLD", SIGCHLD}, {"CONT", SIGCONT},	{"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},
	{"TTOU", SIGTTOU}, {"URG", SIGURG},	{"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
	{"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},	   {"PWR", SIGPWR},   {"SYS", SIGSYS},
};

/* glibc's, which programs and docker stop mean: 34; musl counts from 35 */
#define RTMIN_GLIBC 34

int signal_parse(const char *text, int *ret_signal)
{
	uint64_t n;

	if (parse_u64(text, 1, SIGNAL_MAX, &n) == 0) {
		*ret_signal = (int)n;
		return 0;
	}
	if (strncmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; i < ARRAY_LEN(signal_names); i++)
		if (str_eq(text, signal_names[i].name)) {
			*ret_signal = signal_names[i].number;
			return 0;
		}
	if (str_eq(text, "RTMIN") ||
	    (strncmp(text, "RTMIN+", 6) == 0 && parse_u64(text + 6, 0, SIGNAL_MAX - RTMIN_GLIBC, &n) == 0)) {
		*ret_signal = RTMIN_GLIBC + (text[5] ? (int)n : 0);
		return 0;
	}
	return -EINVAL;
}

/* --- values ---------------------------------------------------------------------------------------------------------
 */

static bool host_is_plain(const char *s, const char *more)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	for (; *s; s++)
		if (!strchr(plain, *s) && !strchr(more, *s))
			return false;
	return true;
}

static int target_unix(const char *path, struct target *t)
{
	/* unix:///path too, as other programs write it */
	if (strncmp(path, "///", 3) == 0)
		path += 2;
	if ((path[0] != '/' && path[0] != '@') || !path[1] || strlen(path) > 107)
		return -EINVAL;
	t->is_unix = true;
	return str_copy(t->host, path) ? 0 : -EINVAL;
}

static int target_tcp(const char *s, struct target *t)
{
	const char *colon = strrchr(s, ':');
	uint64_t port;

	if (!colon || parse_u64(colon + 1, 1, 65535, &port) < 0)
		return -EINVAL;
	str_print(t->port, "%u", (unsigned)port);
	size_t len = (size_t)(colon - s);
	bool brackets = len > 2 && s[0] == '[' && s[len - 1] == ']';
	if (brackets) {
		s++;
		len -= 2;
	}
	if (len == 0 || len > 253)
		return -EINVAL;
	memcpy(t->host, s, len);
	t->host[len] = '\0';
	return host_is_plain(t->host, brackets ? ":%" : "") ? 0 : -EINVAL;
}

int target_parse(const char *text, struct target *ret, struct err *err)
{
	struct target t = {.text = text};
	int r = -EINVAL;

	if (strncmp(text, "unix:", 5) == 0)
		r = target_unix(text + 5, &t);
	else if (strncmp(text, "tcp://", 6) == 0)
		r = target_tcp(text + 6, &t);
	if (r < 0)
		return refuse(err, "target", text,
			      "tcp://HOST:PORT, tcp://[ADDRESS]:PORT, unix:/PATH or unix:@NAME is wanted");
	*ret = t;
	return 0;
}

/* one word from @*s to @*out, both moved on. Return: false when a quote or a backslash has no end */
static bool word_take(const char **s, char **out)
{
	char quote = '\0';

	for (; **s && (quote || !strchr(" \t\n", **s)); (*s)++) {
		char c = **s;
		if (c == quote) {
			quote = '\0';
		} else if (!quote && (c == '\'' || c == '"')) {
			quote = c;
		} else if (c == '\\' && quote != '\'') {
			if (!*++*s)
				return false;
			*(*out)++ = **s;
		} else {
			*(*out)++ = c;
		}
	}
	*(*out)++ = '\0';
	return !quote;
}

int words_split(const char *text, char ***ret, struct err *err)
{
	size_t len = strlen(text), n = 0;

	if (len > LIMIT_INIT_TEXT)
		return err_set(err, -EINVAL, "a command of %zu bytes: at most %d are allowed", len, LIMIT_INIT_TEXT);
	/* the pointers, and behind them the words: no longer than the text and a NUL each */
	size_t head = (LIMIT_INIT_WORDS + 1) * sizeof(char *);
	autofree char **words = xcalloc(1, head + len + LIMIT_INIT_WORDS + 1);
	char *out = (char *)words + head;
	for (const char *s = text;;) {
		s += strspn(s, " \t\n");
		if (!*s)
			break;
		if (n == LIMIT_INIT_WORDS)
			return refuse(err, "command", text, "at most 64 words are allowed");
		words[n++] = out;
		if (!word_take(&s, &out))
			return refuse(err, "command", text, "a quote or a backslash is not closed");
	}
	if (n == 0 || !words[0][0])
		return refuse(err, "command", text, "a program is wanted");
	*ret = steal_ptr(words);
	return 0;
}

/* --- options --------------------------------------------------------------------------------------------------------
 */

struct parse {
	struct init_options *o;
	struct wait_options *w;
	enum restart restart; /* of the --also that follow */
	bool help, version;
};

struct option {
	const char *name;
	char letter;
	bool (*flag)(struct parse *p);					   /* without a value, or */
	int (*value)(struct parse *p, const char *value, struct err *err); /* with one */
};

static int take_if(struct parse *p, const char *v, struct err *err)
{
	if (!*v || strlen(v) >= IF_NAMESIZE || strpbrk(v, "/ \t\n"))
		return refuse(err, "interface", v, "a name of 1 to 15 characters is wanted");
	if (p->w->n_ifs == LIMIT_INIT_IFS)
		return refuse(err, "interface", v, "at most 16 are allowed");
	p->w->ifs[p->w->n_ifs++] = v;
	return 0;
}

static int take_target(struct parse *p, const char *v, struct err *err)
{
	if (p->w->n_targets == LIMIT_INIT_TARGETS)
		return refuse(err, "target", v, "at most 16 are allowed");
	int r = target_parse(v, &p->w->targets[p->w->n_targets], err);
	if (r == 0)
		p->w->n_targets++;
	return r;
}

static int take_timeout(struct parse *p, const char *v, struct err *err)
{
	uint64_t n;

	if (parse_u64(v, 0, LIMIT_INIT_SECONDS, &n) < 0)
		return refuse(err, "timeout", v, "0 to 86400 seconds are allowed, 0 being for ever");
	p->w->timeout_s = (unsigned)n;
	return 0;
}

static bool take_address(struct parse *p)
{
	return p->w->address = true;
}

static bool take_help(struct parse *p)
{
	return p->help = true;
}

static bool take_version(struct parse *p)
{
	return p->version = true;
}

static int take_log(struct parse *p, const char *v, struct err *err)
{
	const char *equals = strrchr(v, '=');
	size_t len = equals ? (size_t)(equals - v) : strlen(v);
	struct log_option l = {.fd = 1};

	if (equals && str_eq(equals + 1, "stderr"))
		l.fd = 2;
	else if (equals && !str_eq(equals + 1, "stdout"))
		return refuse(err, "--log", v, "behind the last '=' stands stdout or stderr");
	if (v[0] != '/' || len < 2 || v[len - 1] == '/' || len > 4000)
		return refuse(err, "--log", v, "the absolute path of a file is wanted");
	if (p->o->n_logs == LIMIT_INIT_LOGS)
		return refuse(err, "--log", v, "at most 16 are allowed");
	l.path = xstrndup(v, len);
	for (size_t i = 0; i < p->o->n_logs; i++)
		if (str_eq(p->o->logs[i].path, l.path)) {
			free(l.path);
			return refuse(err, "--log", v, "is given twice");
		}
	p->o->logs[p->o->n_logs++] = l;
	return 0;
}

static int take_log_full(struct parse *p, const char *v, struct err *err)
{
	p->o->log_block = str_eq(v, "block");
	return p->o->log_block || str_eq(v, "drop") ? 0 : refuse(err, "--log-full", v, "block or drop is wanted");
}

static int take_also(struct parse *p, const char *v, struct err *err)
{
	struct also_option a = {.text = v, .restart = p->restart};

	if (p->o->n_also == LIMIT_INIT_ALSO)
		return refuse(err, "--also", v, "at most 16 are allowed");
	int r = words_split(v, &a.argv, err);
	if (r < 0)
		return err_wrap(err, "--also");
	p->o->also[p->o->n_also++] = a;
	return 0;
}

static int take_restart(struct parse *p, const char *v, struct err *err)
{
	for (size_t i = 0; i < RESTART_N_; i++)
		if (str_eq(v, restart_names[i])) {
			p->restart = (enum restart)i;
			return 0;
		}
	return refuse(err, "--also-restart", v, "always, on-failure or never is wanted");
}

static bool take_group(struct parse *p)
{
	return p->o->group = true;
}

static bool take_nothing(struct parse *p)
{
	return p != NULL;
}

static int take_death_signal(struct parse *p, const char *v, struct err *err)
{
	return signal_parse(v, &p->o->death_signal) == 0
		       ? 0
		       : refuse(err, "--death-signal", v, "the name or number of a signal is wanted");
}

static int take_ok_status(struct parse *p, const char *v, struct err *err)
{
	uint64_t n;

	if (parse_u64(v, 0, 255, &n) < 0)
		return refuse(err, "--ok-status", v, "0 to 255 are allowed");
	p->o->ok_status[n / 64] |= UINT64_C(1) << n % 64;
	return 0;
}

static int take_rewrite(struct parse *p, const char *v, struct err *err)
{
	const char *colon = strchr(v, ':');
	char from[16] = "";
	int a = 0, b = 0;

	if (colon && colon - v < (int)sizeof(from)) {
		memcpy(from, v, (size_t)(colon - v));
		from[colon - v] = '\0';
	}
	if (!colon || signal_parse(from, &a) < 0 || (!str_eq(colon + 1, "0") && signal_parse(colon + 1, &b) < 0))
		return refuse(err, "--rewrite", v, "SIGNAL:SIGNAL is wanted, behind the colon 0 for nothing");
	p->o->rewrite[a] = (uint8_t)b;
	return 0;
}

static const struct option init_table[] = {
	{.name = "--log", .value = take_log},
	{.name = "--log-full", .value = take_log_full},
	{.name = "--wait-if", .value = take_if},
	{.name = "--wait-address", .flag = take_address},
	{.name = "--wait-for", .value = take_target},
	{.name = "--wait-timeout", .value = take_timeout},
	{.name = "--also", .value = take_also},
	{.name = "--also-restart", .value = take_restart},
	{.name = "--group", .letter = 'g', .flag = take_group},
	{.name = "--death-signal", .letter = 'p', .value = take_death_signal},
	{.name = "--ok-status", .letter = 'e', .value = take_ok_status},
	{.name = "--rewrite", .letter = 'r', .value = take_rewrite},
	{.name = "--subreaper", .letter = 's', .flag = take_nothing}, /* tini's: we are one whenever we are not PID 1 */
	{.name = "--help", .letter = 'h', .flag = take_help},
	{.name = "--version", .letter = 'V', .flag = take_version},
};

static const struct option wait_table[] = {
	{.name = "--if", .value = take_if},
	{.name = "--address", .flag = take_address},
	{.name = "--for", .value = take_target},
	{.name = "--timeout", .value = take_timeout},
	{.name = "--help", .letter = 'h', .flag = take_help},
};

static const struct option *option_find(const struct option *table, size_t n, const char *arg, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if ((strlen(table[i].name) == len && strncmp(table[i].name, arg, len) == 0) ||
		    (len == 2 && arg[1] == table[i].letter))
			return &table[i];
	return NULL;
}

static int unknown(const struct option *table, size_t n, const char *arg, struct err *err)
{
	const char *words[ARRAY_LEN(init_table) + 1] = {0};
	autofree char *name = xstrndup(arg, strcspn(arg, "="));

	for (size_t i = 0; i < n; i++)
		words[i] = table[i].name;
	const char *nearest = str_nearest(name, words);
	autobuf struct buf safe = {0};
	str_safe(&safe, name);
	return err_set(err, -EINVAL, "unknown option \"%s\"; %s%s", safe.data,
		       nearest ? "did you mean " : "--help lists them", nearest ? nearest : "");
}

/* Return: how many of @args were taken, "--" among them; -EINVAL */
static int options_take(const struct option *table, size_t n, char **args, struct parse *p, struct err *err)
{
	int i = 0;

	for (; args[i] && args[i][0] == '-' && args[i][1]; i++) {
		const char *arg = args[i], *value = NULL;
		if (str_eq(arg, "--"))
			return i + 1;
		size_t len = strcspn(arg, "=");
		const struct option *o = option_find(table, n, arg, len);
		if (!o)
			return unknown(table, n, arg, err);
		if (arg[len])
			value = arg + len + 1;
		if (o->flag) {
			if (value)
				return refuse(err, o->name, value, "it has no value");
			o->flag(p);
			continue;
		}
		if (!value)
			value = args[++i];
		if (!value)
			return err_set(err, -EINVAL, "%s: a value is missing", o->name);
		int r = o->value(p, value, err);
		if (r < 0)
			return r;
	}
	return i;
}

int init_options_parse(char **args, struct init_options *ret, struct err *err)
{
	struct init_options o = {0};
	struct parse p = {.o = &o, .w = &o.wait};

	for (size_t i = 0; i <= SIGNAL_MAX; i++)
		o.rewrite[i] = (uint8_t)i;
	int n = options_take(init_table, ARRAY_LEN(init_table), args, &p, err);
	o.help = p.help;
	o.version = p.version;
	if (n >= 0 && !args[n] && !o.help && !o.version)
		n = err_set(err, -EINVAL,
			    "a program to run is missing: docker-router init [OPTION...] -- PROGRAM [ARGUMENT...]");
	if (n < 0) {
		init_options_done(&o);
		return n;
	}
	o.command = args + n;
	*ret = o;
	return 0;
}

void init_options_done(struct init_options *o)
{
	for (size_t i = 0; i < o->n_logs; i++)
		free(o->logs[i].path);
	for (size_t i = 0; i < o->n_also; i++)
		free(o->also[i].argv);
	o->n_logs = o->n_also = 0;
}

int wait_options_parse(char **args, struct wait_options *ret, struct err *err)
{
	struct wait_options w = {0};
	struct parse p = {.w = &w};

	int n = options_take(wait_table, ARRAY_LEN(wait_table), args, &p, err);
	if (n < 0)
		return n;
	if (p.help)
		return 1;
	if (args[n])
		return refuse(err, "argument", args[n], "wait-net runs no program: docker-router wait-net && PROGRAM");
	*ret = w;
	return 0;
}
