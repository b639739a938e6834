/* SPDX-License-Identifier: Apache-2.0
 *
 * What says which NICs a container gets. The first byte: 'l' labels, a line each, "KEY=VALUE"; 'u' /etc/config/docker;
 * 'p' plugs.json; 'a' attach.json. What comes through is written and read again as the same.
 */
#include <assert.h>

#include "inventory/attach.h"
#include "state/attach.h"
#include "state/nic_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct nic_spec *nic)
{
	json_t *o = nic_to_json(nic);
	struct nic_spec same;
	struct err err = {0};

	assert(nic_from_json(o, &same, &err) == 0);
	assert(nic_same(nic, &same));
	json_decref(o);
}

static void labels(char *text)
{
	struct docker_container *c = xcalloc(1, sizeof(*c));
	struct inventory inv = {0};

	str_copy(c->id, "0123456789ab");
	str_copy(c->name, "web");
	c->running = true;
	c->pid = 1;
	for (char *line = strtok(text, "\n"); line && c->labels.n < DOCKER_LABELS; line = strtok(NULL, "\n")) {
		char *eq = strchr(line, '=');
		struct docker_label *l;

		if (!eq)
			continue;
		*eq = '\0';
		l = xgrow(&c->labels.v, c->labels.n, &c->labels.cap);
		c->labels.n++;
		l->key = xstrdup(line);
		l->value = xstrdup(eq + 1);
	}
	attach_add(c, NULL, &inv);
	for (size_t i = 0; i < inv.n_attach; i++)
		for (size_t k = 0; k < inv.attach[i].n_nics; k++)
			again(&inv.attach[i].nics[k]);
	inventory_done(&inv);
	docker_container_free(c);
}

static void uci(const char *text, size_t len)
{
	struct nic_requests r = {0};
	struct problems p = {0};
	struct err err = {0};

	if (uci_nics_parse("x", text, len, &r, &p, &err) < 0)
		assert(err.text[0]);
	for (size_t i = 0; i < r.n; i++)
		for (size_t k = 0; k < r.v[i].n_nics; k++)
			again(&r.v[i].nics[k]);
	nic_requests_done(&r);
	problems_done(&p);
}

static void state_file(const char *text, size_t len)
{
	json_t *o = json_parse_bounded(text, len, NULL), *p;
	struct attach_state s = {0}, t = {0};

	if (o && attach_state_from_json(o, &s, NULL) == 0) {
		p = attach_state_to_json(&s);
		assert(attach_state_from_json(p, &t, NULL) == 0);
		assert(t.n_nics == s.n_nics);
		json_decref(p);
	}
	json_decref(o);
	attach_state_done(&s);
	attach_state_done(&t);
}

static void plug(const char *text, size_t len)
{
	json_t *o = json_parse_bounded(text, len, NULL);
	struct nic_spec nic;

	if (o && nic_from_json(o, &nic, NULL) == 0)
		again(&nic);
	json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = xstrndup((const char *)data, size);

	if (size < 1)
		return 0;
	if (data[0] == 'l')
		labels(text + 1);
	else if (data[0] == 'u')
		uci((const char *)data + 1, size - 1);
	else if (data[0] == 'p')
		plug((const char *)data + 1, size - 1);
	else if (data[0] == 'a')
		state_file((const char *)data + 1, size - 1);
	return 0;
}
