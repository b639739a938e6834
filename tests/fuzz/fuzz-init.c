/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of docker-router-init: arguments divided by NUL, targets and commands of side processes in them.
 */
#include <assert.h>

#include "init/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARGS_MAX 128

static void one_value(const char *s)
{
	struct target t;
	struct err err = {0};
	char **words;
	int number;

	if (target_parse(s, &t, &err) == 0)
		assert(t.host[0] && (t.is_unix ? strlen(t.host) < 108 && !t.port[0] : t.port[0] != '\0'));
	else
		assert(err.text[0]);
	if (words_split(s, &words, NULL) == 0) {
		size_t n = 0, len = 0;
		for (; words[n]; n++)
			len += strlen(words[n]);
		assert(n > 0 && n <= LIMIT_INIT_WORDS && len <= strlen(s));
		free(words);
	}
	if (signal_parse(s, &number) == 0)
		assert(number > 0 && number <= SIGNAL_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = xmalloc(size + 1);
	char *args[ARGS_MAX + 1];
	size_t n = 0;

	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	for (char *s = text; n < ARGS_MAX && s <= text + size; s += strlen(s) + 1) {
		one_value(s);
		args[n++] = s;
	}
	args[n] = NULL;
	struct init_options o;
	struct err err = {0};
	if (init_options_parse(args, &o, &err) == 0) {
		assert(o.help || o.version || o.command[0]);
		assert(o.n_logs <= LIMIT_INIT_LOGS && o.n_also <= LIMIT_INIT_ALSO);
		init_options_done(&o);
	} else {
		assert(err.text[0]);
	}
	struct wait_options w;
	if (wait_options_parse(args, &w, NULL) == 0)
		assert(w.n_ifs <= LIMIT_INIT_IFS && w.n_targets <= LIMIT_INIT_TARGETS);
	return 0;
}
