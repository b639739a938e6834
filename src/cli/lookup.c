/* SPDX-License-Identifier: Apache-2.0
 *
 * Which records a name means; see lookup.h. Names are put together and compared rather than taken apart: names and
 * stacks have dots in them, so that one question can be read in several ways.
 */
#include "cli/lookup.h"

#include <strings.h>

const char *record_name(const struct record *r, char out[static RECORD_NAME_BYTES])
{
	snprintf(out, RECORD_NAME_BYTES, "%s%s%s", r->name, r->name[0] ? "." : "", r->stack_id);
	return out;
}

const struct ip *record_answer(const struct record *r, size_t i)
{
	return r->n_mapped == r->n_addresses ? &r->mapped[i] : &r->addresses[i];
}

const char *record_host(const struct record *r, char out[static 64])
{
	if (r->host_name[0])
		snprintf(out, 64, "%s", r->host_name);
	else
		snprintf(out, 64, "%.8s", r->host_id[0] ? r->host_id : "unknown");
	return out;
}

static void lookup_add(struct lookup *l, const struct record *r)
{
	*(const struct record **)xgrow(&l->v, l->n, &l->cap) = r;
	l->n++;
}

void lookup_done(struct lookup *l)
{
	free(l->v);
	*l = (struct lookup){0};
}

static bool in_scope(const struct record *r, struct scope scope)
{
	for (size_t i = 0; i < scope.n; i++) {
		if (scope.vnis[i] == r->vni)
			return true;
	}
	return scope.n == 0;
}

/* Without the dot at its end and the domain. Return: false when nothing can be called so */
static bool question_trim(const char *domain, const char *question, char out[static QUESTION_BYTES], bool *ret_below)
{
	size_t n = strlen(question), suffix = strlen(domain);

	*ret_below = false;
	if (n >= QUESTION_BYTES)
		return false;
	memcpy(out, question, n + 1);
	if (n && out[n - 1] == '.')
		out[--n] = 0;
	if (suffix && n > suffix + 1 && out[n - suffix - 1] == '.' && strcasecmp(out + n - suffix, domain) == 0) {
		*ret_below = true;
		out[n - suffix - 1] = 0;
	}
	return out[0];
}

/* @question is @name, perhaps with @host, or what stands before its first dot, behind it */
static bool is_called(const char *question, const char *name, const char *host)
{
	size_t n = strlen(name);

	if (strncasecmp(question, name, n) != 0)
		return false;
	if (!question[n])
		return true;
	if (!host[0] || (question[n] != '@' && question[n] != '.'))
		return false;
	size_t brief = strcspn(host, ".");
	question += n + 1;
	return strcasecmp(question, host) == 0 ||
	       (strncasecmp(question, host, brief) == 0 && strlen(question) == brief);
}

void lookup_name(const struct records *r, const char *question, struct scope scope, struct lookup *ret)
{
	char want[QUESTION_BYTES] = "", name[RECORD_NAME_BYTES];

	*ret = (struct lookup){0};
	if (!question_trim(r->domain, question, want, &ret->below_domain))
		return;
	for (size_t i = 0; i < r->n_records; i++) {
		const struct record *one = &r->records[i];
		if (in_scope(one, scope) && is_called(want, record_name(one, name), one->host_name))
			lookup_add(ret, one);
	}
}

void lookup_part(const struct records *r, const char *name, struct lookup *ret)
{
	*ret = (struct lookup){0};
	for (size_t i = 0; i < r->n_records; i++) {
		if (r->records[i].name[0] && strcasecmp(r->records[i].name, name) == 0)
			lookup_add(ret, &r->records[i]);
	}
}

static bool record_has(const struct record *r, const struct ip *ip)
{
	for (size_t i = 0; i < r->n_addresses; i++) {
		if (ip_cmp(&r->addresses[i], ip) == 0)
			return true;
	}
	for (size_t i = 0; i < r->n_mapped; i++) {
		if (ip_cmp(&r->mapped[i], ip) == 0)
			return true;
	}
	return false;
}

void lookup_address(const struct records *r, const struct ip *ip, struct scope scope, struct lookup *ret)
{
	*ret = (struct lookup){0};
	for (size_t i = 0; i < r->n_records; i++) {
		if (in_scope(&r->records[i], scope) && record_has(&r->records[i], ip))
			lookup_add(ret, &r->records[i]);
	}
}

static bool nearest_add(char list[static NEAREST_MAX][RECORD_NAME_BYTES], size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++) {
		if (strcasecmp(list[i], name) == 0)
			return false;
	}
	if (*n < NEAREST_MAX)
		snprintf(list[(*n)++], RECORD_NAME_BYTES, "%s", name);
	return true;
}

/* The slips: the nearest, then the nearest of the others */
static void nearest_slips(const struct records *r, const char *want, struct scope scope,
			  char ret[static NEAREST_MAX][RECORD_NAME_BYTES], size_t *n)
{
	const char **words = xcalloc(r->n_records + 1, sizeof(*words));
	char *names = xcalloc(r->n_records + 1, RECORD_NAME_BYTES);
	size_t n_words = 0;

	for (size_t i = 0; i < r->n_records; i++) {
		if (in_scope(&r->records[i], scope))
			words[n_words++] = record_name(&r->records[i], names + i * RECORD_NAME_BYTES);
	}
	for (int turn = 0; turn < 3; turn++) {
		const char *word = str_nearest(want, words);
		if (!word)
			break;
		nearest_add(ret, n, word);
		size_t kept = 0;
		for (size_t i = 0; i < n_words; i++) {
			if (!str_eq(words[i], word))
				words[kept++] = words[i];
		}
		for (size_t i = kept; i < n_words; i++)
			words[i] = NULL;
		n_words = kept;
	}
	free(names);
	free(words);
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && strcasecmp(s + len - n, end) == 0;
}

size_t lookup_nearest(const struct records *r, const char *question, struct scope scope,
		      char ret[static NEAREST_MAX][RECORD_NAME_BYTES])
{
	char want[QUESTION_BYTES] = "", name[RECORD_NAME_BYTES];
	size_t n = 0;
	bool below;

	if (!question_trim(r->domain, question, want, &below))
		return 0;
	nearest_slips(r, want, scope, ret, &n);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < r->n_records && n < NEAREST_MAX; i++) {
			const struct record *one = &r->records[i];
			size_t part = strlen(one->name);
			bool same_name = part && strncasecmp(want, one->name, part) == 0 &&
					 (!want[part] || want[part] == '.' || want[part] == '@');
			bool same_stack = ends_with(want, one->stack_id);
			if (in_scope(one, scope) && (pass == 0 ? same_name : same_stack))
				nearest_add(ret, &n, record_name(one, name));
		}
	}
	return n;
}
