/* SPDX-License-Identifier: Apache-2.0
 *
 * Labels and requests to attach[]; see attach.h.
 */
#include "inventory/attach.h"

#include "state/names.h"

static const char *label(const struct docker_labels *l, const char *key)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i].key, key))
			return l->v[i].value;
	return NULL;
}

PRINTF(3, 4)
static void problem(struct problems *p, const char *container, const char *fmt, ...)
{
	char object[LIMIT_NAME + 16], words[512];
	va_list ap;

	if (p->n >= LIMIT_PROBLEMS)
		return;
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	str_print(object, "container %s", container);
	problems_add(p, object, "", "%s", words);
}

bool attach_wanted(const struct docker_container *c, const struct nic_requests *requests)
{
	if (label(&c->labels, LABEL_ATTACH))
		return true;
	for (size_t i = 0; requests && i < requests->n; i++)
		if (nic_request_names(&requests->v[i], c->name, c->id))
			return true;
	return false;
}

/* --- labels --- */

/* "docker-router.attach.eth1.address" to its NIC, and "address". A NIC's name may have dots */
static struct nic_spec *label_nic(struct nic_specs *specs, const char *key, const char **ret_setting)
{
	const char *name = key + strlen(LABEL_ATTACH) + 1, *dot = strrchr(key, '.');
	size_t len = (size_t)(dot - name);

	if (dot < name)
		return NULL;
	for (size_t i = 0; i < specs->n; i++) {
		if (strlen(specs->v[i].name) == len && strncmp(specs->v[i].name, name, len) == 0) {
			*ret_setting = dot + 1;
			return &specs->v[i];
		}
	}
	return NULL;
}

static void labels_apply(const struct docker_container *c, struct nic_specs *specs, bool *broken,
			 struct problems *problems)
{
	for (size_t i = 0; i < c->labels.n; i++) {
		const struct docker_label *l = &c->labels.v[i];
		const char *setting;
		struct nic_spec *nic;
		struct err err;

		if (strncmp(l->key, LABEL_ATTACH ".", strlen(LABEL_ATTACH ".")) != 0)
			continue;
		nic = label_nic(specs, l->key, &setting);
		autobuf struct buf key = {0};
		str_safe(&key, l->key);
		if (!nic) {
			problem(problems, c->name,
				"label %.120s has no effect: " LABEL_ATTACH " names no NIC that it is about", key.data);
		} else if (nic_set(nic, setting, l->value, &err) < 0) {
			problem(problems, c->name, "label %.120s: %s; the NIC is left out", key.data, err.text);
			broken[nic - specs->v] = true;
		}
	}
}

static void labels_parse(const struct docker_container *c, struct inv_attach *a, struct problems *problems)
{
	const char *value = label(&c->labels, LABEL_ATTACH);
	autofree struct nic_specs *specs = xcalloc(1, sizeof(*specs));
	bool broken[LIMIT_NICS] = {0};
	struct err err;

	if (!value)
		return;
	if (nic_list_parse(value, "", specs, &err) < 0) {
		problem(problems, c->name, "label " LABEL_ATTACH ": %s", err.text);
		return;
	}
	labels_apply(c, specs, broken, problems);
	for (size_t i = 0; i < specs->n; i++) {
		if (!broken[i] && nic_check(&specs->v[i], &err) < 0) {
			problem(problems, c->name, "label " LABEL_ATTACH ".%s.%s; the NIC is left out",
				specs->v[i].name, err.text);
			broken[i] = true;
		}
		if (broken[i])
			continue;
		*xgrow(&a->nics, a->n_nics, &a->cap_nics) = specs->v[i];
		a->n_nics++;
	}
}

/* --- the whole --- */

static void request_apply(const struct nic_request *r, struct inv_attach *a, struct problems *problems)
{
	for (size_t i = 0; i < r->n_nics; i++) {
		size_t at = 0;

		while (at < a->n_nics && !str_eq(a->nics[at].name, r->nics[i].name))
			at++;
		if (at < a->n_nics) {
			a->nics[at] = r->nics[i];
		} else if (a->n_nics >= LIMIT_NICS) {
			problem(problems, a->container.name, "%s: more than %d NICs", r->from, LIMIT_NICS);
			return;
		} else {
			*xgrow(&a->nics, a->n_nics, &a->cap_nics) = r->nics[i];
			a->n_nics++;
		}
	}
}

/* A DHCP server shows it to people, and some put it into their DNS: one label, or none */
static void hostname_of(const struct docker_container *c, char ret[static 64])
{
	char text[LIMIT_NAME + 16], lower[LABEL_BYTES];

	if (c->service[0] && c->number > 1)
		str_print(text, "%s-%u", c->service, c->number);
	else
		str_print(text, "%s", c->service[0] ? c->service : c->name);
	for (char *s = text; *s; s++)
		if (*s == '_' || *s == '.')
			*s = '-';
	if (label_lower(text, lower) && lower[0] != '-')
		snprintf(ret, 64, "%s", lower);
	else
		ret[0] = '\0';
}

static bool known(const struct inventory *inv, const char *id)
{
	for (size_t i = 0; i < inv->n_attach; i++)
		if (str_eq(inv->attach[i].container.id, id))
			return true;
	return false;
}

void attach_add(const struct docker_container *c, const struct nic_requests *requests, struct inventory *inv)
{
	struct inv_attach *a;

	/* pid 0: the engine has listed it and not told more yet */
	if (!c->running || c->pid <= 0 || !attach_wanted(c, requests) || known(inv, c->id))
		return;
	if (inv->n_attach >= LIMIT_CONTAINERS) {
		problem(&inv->problems, c->name, "more than %d containers with NICs: left out", LIMIT_CONTAINERS);
		return;
	}
	a = xgrow(&inv->attach, inv->n_attach, &inv->cap_attach);
	str_copy(a->container.id, c->id);
	str_copy(a->container.name, c->name);
	str_copy(a->container.service, c->service);
	str_copy(a->container.sandbox, c->sandbox);
	a->container.pid = c->pid;
	a->running = true;
	a->paused = c->paused;
	a->flag = c->wants_flag;
	nic_owner(c->project, c->service, c->number, c->name, a->owner, sizeof(a->owner));
	hostname_of(c, a->hostname);
	if (c->host_network)
		str_copy(a->refused, "it uses the host's network, which has the bridge already");
	else if (c->shares_network)
		str_copy(a->refused, "it shares the network of another container: give that one the NIC");
	labels_parse(c, a, &inv->problems);
	for (size_t i = 0; requests && i < requests->n; i++)
		if (nic_request_names(&requests->v[i], c->name, c->id))
			request_apply(&requests->v[i], a, &inv->problems);
	if (a->n_nics) {
		inv->n_attach++;
		return;
	}
	free(a->nics);
	*a = (struct inv_attach){0};
}

void attach_add_missing(const struct nic_requests *requests, struct inventory *inv)
{
	size_t running = inv->n_attach;

	for (size_t i = 0; requests && i < requests->n; i++) {
		const struct nic_request *r = &requests->v[i];
		struct inv_attach *a;
		bool there = known(inv, r->container);

		for (size_t k = 0; !there && k < running; k++)
			there = nic_request_names(r, inv->attach[k].container.name, inv->attach[k].container.id);
		if (there || !r->n_nics || inv->n_attach >= LIMIT_CONTAINERS)
			continue;
		a = xgrow(&inv->attach, inv->n_attach, &inv->cap_attach);
		inv->n_attach++;
		str_copy(a->container.id, r->container);
		str_copy(a->container.name, r->container);
		str_copy(a->owner, r->container);
		request_apply(r, a, &inv->problems);
	}
}
