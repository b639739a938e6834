/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenWrt's /etc/config/docker, as much of it as says which NICs a container gets. The grammar of UCI is small: one
 * `config TYPE 'NAME'`, `option KEY 'VALUE'` or `list KEY 'VALUE'` a line, words quoted by ' or " or not at all, a
 * quoted one may go over lines, '#' begins a comment where a word could begin.
 */
#include "state/nic_request.h"

#define WORDS	   3
#define WORD_BYTES 1024

struct uci {
	const char *p, *end;
	size_t line; /* where the words begin */
	size_t now;
	char words[WORDS][WORD_BYTES];
	size_t n;
	const char *wrong;
};

struct section {
	char container[LIMIT_NAME], network[WORD_BYTES];
	struct {
		char key[64], value[WORD_BYTES];
	} options[LIMIT_NICS * 4];
	size_t n_options, line;
	bool open;
};

/* One word from where a word begins; quotes may join with what stands beside them, as in a shell */
static void word_read(struct uci *u)
{
	char *out = u->n < WORDS ? u->words[u->n] : NULL;
	size_t len = 0;
	char quote = 0;

	for (; u->p < u->end; u->p++) {
		char c = *u->p;

		if (!c) {
			u->wrong = "a NUL";
		} else if (quote ? c == quote : c == '\'' || c == '"') {
			quote = quote ? 0 : c;
			continue;
		} else if (!quote && (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';')) {
			break;
		} else if (c == '\\' && quote != '\'' && u->p + 1 < u->end) {
			c = *++u->p;
		}
		u->now += c == '\n';
		if (len + 1 >= WORD_BYTES)
			u->wrong = "a word of more than 1023 bytes";
		else if (out)
			out[len++] = c;
	}
	if (quote)
		u->wrong = "a quote that does not end";
	if (out)
		out[len] = '\0';
	u->n++;
}

/* The words of the next line that has any. Return: false at the end */
static bool line_read(struct uci *u)
{
	u->n = 0;
	while (u->p < u->end) {
		char c = *u->p;

		if (c == '\n' || c == ';') {
			u->p++;
			u->now += c == '\n';
			if (u->n)
				return true;
		} else if (c == ' ' || c == '\t' || c == '\r') {
			u->p++;
		} else if (c == '#') {
			while (u->p < u->end && *u->p != '\n')
				u->p++;
		} else {
			if (!u->n)
				u->line = u->now;
			word_read(u);
		}
	}
	return u->n > 0;
}

/* "eth1_address" of a NIC that the section has */
static struct nic_spec *option_nic(struct nic_specs *specs, const char *key, const char **ret_setting)
{
	for (size_t i = 0; i < specs->n; i++) {
		size_t len = strlen(specs->v[i].name);

		if (strncmp(key, specs->v[i].name, len) == 0 && key[len] == '_') {
			*ret_setting = key + len + 1;
			return &specs->v[i];
		}
	}
	return NULL;
}

static int section_nics(const struct section *s, struct nic_specs *ret, struct err *err)
{
	int rc = nic_list_parse(s->network, "br-", ret, err);

	if (rc < 0)
		return err_wrap(err, "option network");
	for (size_t i = 0; i < s->n_options; i++) {
		const char *setting;
		struct nic_spec *nic = option_nic(ret, s->options[i].key, &setting);

		if (!nic)
			continue; /* image and the like, for the init script */
		rc = nic_set(nic, setting, s->options[i].value, err);
		if (rc < 0)
			return err_wrap(err, "option %s", s->options[i].key);
	}
	for (size_t i = 0; i < ret->n; i++) {
		rc = nic_check(&ret->v[i], err);
		if (rc < 0)
			return err_wrap(err, "%s", ret->v[i].name);
	}
	return 0;
}

static void section_end(struct section *s, const char *name, struct nic_requests *ret, struct problems *problems)
{
	struct nic_specs *specs;
	struct nic_request *r;
	struct err err = {0};
	int rc = 0;

	if (!s->open || !s->network[0]) {
		*s = (struct section){0};
		return;
	}
	specs = xcalloc(1, sizeof(*specs));
	if (!name_valid(s->container))
		rc = err_set(&err, -EINVAL, "config container needs the container's name");
	if (rc == 0)
		rc = section_nics(s, specs, &err);
	r = rc == 0 ? nic_requests_for(ret, s->container, name) : NULL;
	if (rc == 0 && !r)
		rc = err_set(&err, -E2BIG, "more than %d containers", LIMIT_NIC_REQUESTS);
	for (size_t i = 0; rc == 0 && i < specs->n; i++)
		rc = nic_request_put(r, &specs->v[i], &err);
	if (rc < 0)
		problems_add(problems, name, "", "line %zu: %s", s->line, err.text);
	free(specs);
	*s = (struct section){0};
}

static void line_take(const struct uci *u, struct section *s)
{
	bool list = str_eq(u->words[0], "list");

	if (!s->open || u->n < 3)
		return;
	if (str_eq(u->words[1], "network")) {
		size_t at = list ? strlen(s->network) : 0;

		snprintf(s->network + at, sizeof(s->network) - at, "%s%s", at ? " " : "", u->words[2]);
	} else if (strlen(u->words[1]) < sizeof(s->options[0].key) && s->n_options < ARRAY_LEN(s->options)) {
		str_copy(s->options[s->n_options].key, u->words[1]);
		str_copy(s->options[s->n_options].value, u->words[2]);
		s->n_options++;
	}
}

int uci_nics_parse(const char *name, const char *text, size_t len, struct nic_requests *ret, struct problems *problems,
		   struct err *err)
{
	struct uci *u = xcalloc(1, sizeof(*u));
	struct section *s = xcalloc(1, sizeof(*s));
	int rc = 0;

	u->p = text;
	u->end = text + len;
	u->now = 1;
	if (len > LIMIT_UCI_BYTES)
		rc = err_set(err, -E2BIG, "%s: more than %u bytes", name, LIMIT_UCI_BYTES);
	while (rc == 0 && line_read(u)) {
		bool config = str_eq(u->words[0], "config");

		if (!u->wrong && !config && !str_eq(u->words[0], "option") && !str_eq(u->words[0], "list") &&
		    !str_eq(u->words[0], "package"))
			u->wrong = "config, option or list is expected";
		if (u->wrong) {
			rc = err_set(err, -EINVAL, "%s line %zu: %s", name, u->line, u->wrong);
			break;
		}
		if (!config) {
			line_take(u, s);
			continue;
		}
		section_end(s, name, ret, problems);
		s->open = u->n >= 2 && str_eq(u->words[1], "container");
		s->line = u->line;
		if (s->open && (u->n < 3 || !str_copy(s->container, u->words[2])))
			s->container[0] = '\0';
	}
	section_end(s, name, ret, problems);
	free(s);
	free(u);
	return rc;
}
