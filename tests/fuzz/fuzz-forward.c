/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of who took over the role multicast, on their way to nft: what is made of them is one table of ours with chains
 * that copy or hand on, whatever stands in them.
 */
#include <assert.h>

#include "io/forward_rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool begins(const char *line, const char *with)
{
	return strncmp(line, with, strlen(with)) == 0;
}

/* One line of what nft reads */
static void line_check(const char *line)
{
	static const char *const known[] = {"table netdev " FORWARD_TABLE,
					    "delete table netdev " FORWARD_TABLE,
					    "\tchain from-",
					    "\t\ttype filter hook ingress device \"",
					    "\t}",
					    "}"};
	size_t quotes = 0;

	for (const char *p = line; *p; p++) {
		assert(*p == '\t' || (*p >= ' ' && *p < 0x7f));
		quotes += *p == '"';
	}
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (begins(line, known[i]))
			return;
	assert(begins(line, "\t\tip ") || begins(line, "\t\tip6 "));
	assert(quotes == 2 && line[strlen(line) - 1] == '"' && !strchr(line, ';'));
	assert(strstr(line, " dup to \"") || (strstr(line, " saddr { ") && strstr(line, " daddr device \"")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xmemdup(size ? data : (const uint8_t *)"", size ? size : 1); /* of its exact size */
	autobuf struct buf out = {0};
	struct err err = {0};
	int rc = forward_rule_make(text, size, &out, &err);

	if (rc < 0) {
		assert((rc == -EINVAL || rc == -E2BIG) && err.text[0]);
	} else {
		char *save = NULL;

		assert(begins(out.data, "table netdev " FORWARD_TABLE "\ndelete table netdev " FORWARD_TABLE "\n"));
		for (char *line = strtok_r(out.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			line_check(line);
	}
	free(text);
	return 0;
}
