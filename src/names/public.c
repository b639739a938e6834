/* SPDX-License-Identifier: Apache-2.0
 *
 * A list, searched in halves. Top-level domains of two letters are those of countries, all of them.
 */
#include "names/public.h"

/* sorted */
static const char *const public_domains[] = {
	"aero", "alt",	  "app",    "arpa",	   "asia",	"biz",	"cat",	"com",	    "coop",
	"dev",	"edu",	  "gov",    "home",	   "icu",	"info", "int",	"internal", "invalid",
	"jobs", "lan",	  "local",  "localdomain", "localhost", "mil",	"mobi", "museum",   "name",
	"net",	"onion",  "online", "org",	   "page",	"post", "pro",	"site",	    "tel",
	"top",	"travel", "vip",    "website",	   "xxx",	"xyz",
};

static int domain_cmp(const void *key, const void *item)
{
	return strcmp(key, *(const char *const *)item);
}

bool name_is_public(const char *name)
{
	const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
	size_t len = strlen(last);

	if (len == 2 && last[0] >= 'a' && last[0] <= 'z' && last[1] >= 'a' && last[1] <= 'z')
		return true;
	if (strncmp(last, "xn--", 4) == 0)
		return true;
	return bsearch(last, public_domains, ARRAY_LEN(public_domains), sizeof(*public_domains), domain_cmp) != NULL;
}
