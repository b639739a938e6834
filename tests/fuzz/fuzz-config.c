/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings: the input as YAML file, and its lines as environment and as command line.
 */
#include <assert.h>

#include "state/config_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_file(const char *text, size_t size)
{
	struct config *c = xcalloc(1, sizeof(*c));
	struct err e = {0};
	int r = config_file_parse(c, "x.yaml", text, size, &e);
	assert(r == 0 || (r == -EINVAL && *e.text));
	config_done(c);
	free(c);
}

static void fuzz_lines(char *text)
{
	enum { MAX = 32 };
	char *lines[MAX + 1], *none[] = {NULL};
	int n = 0, rest = -1;
	for (char *line = strtok(text, "\n"); line && n < MAX; line = strtok(NULL, "\n"))
		/* files of this machine are not the input, and help would be printed */
		if (!strcasestr(line, "config") && !strstr(line, "-h"))
			lines[n++] = line;
	lines[n] = NULL;
	struct config *c = xcalloc(1, sizeof(*c));
	struct err e = {0};
	int all = FOR_INVENTORY | FOR_DISCOVERY | FOR_ROUTER | FOR_HOST | FOR_CLI;
	for (int pass = 0; pass < 2; pass++) {
		int r = config_load(all, "x", pass ? n : 0, pass ? lines : none, pass ? none : lines, c, &rest, &e);
		assert(r == 0 || (r == -EINVAL && *e.text));
		if (r < 0)
			continue;
		assert(rest >= 0 && rest <= n && c->discovery_port && c->peer_timeout_s > c->announce_interval_s);
		for (size_t i = 0; i < c->n_peers; i++)
			assert(c->peers[i].port);
		config_done(c);
	}
	free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xmalloc(size + 1);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	fuzz_file(text, size);
	fuzz_lines(text);
	free(text);
	return 0;
}
