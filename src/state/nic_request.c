/* SPDX-License-Identifier: Apache-2.0
 *
 * NICs for containers that are named, and plugs.json; see nic_request.h. UCI is in uci.c.
 */
#include "state/nic_request.h"

void nic_requests_done(struct nic_requests *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].nics);
	free(r->v);
	*r = (struct nic_requests){0};
}

struct nic_request *nic_requests_find(const struct nic_requests *r, const char *container)
{
	for (size_t i = 0; i < r->n; i++)
		if (str_eq(r->v[i].container, container))
			return &r->v[i];
	return NULL;
}

struct nic_request *nic_requests_for(struct nic_requests *r, const char *container, const char *from)
{
	struct nic_request *one = nic_requests_find(r, container);

	if (one || r->n >= LIMIT_NIC_REQUESTS)
		return one;
	one = xgrow(&r->v, r->n, &r->cap);
	r->n++;
	str_copy(one->container, container);
	one->from = from;
	return one;
}

int nic_request_put(struct nic_request *r, const struct nic_spec *nic, struct err *err)
{
	for (size_t i = 0; i < r->n_nics; i++) {
		if (str_eq(r->nics[i].name, nic->name)) {
			r->nics[i] = *nic;
			return 0;
		}
	}
	if (r->n_nics >= LIMIT_NICS)
		return err_set(err, -E2BIG, "more than %d NICs for one container", LIMIT_NICS);
	*xgrow(&r->nics, r->n_nics, &r->cap_nics) = *nic;
	r->n_nics++;
	return 0;
}

size_t nic_request_remove(struct nic_request *r, const char *name)
{
	size_t kept = 0, was = r->n_nics;

	for (size_t i = 0; i < r->n_nics; i++)
		if (name && !str_eq(r->nics[i].name, name))
			r->nics[kept++] = r->nics[i];
	r->n_nics = kept;
	return was - kept;
}

void nic_requests_copy(const struct nic_requests *from, struct nic_requests *ret)
{
	for (size_t i = 0; i < from->n; i++) {
		struct nic_request *to = xgrow(&ret->v, ret->n, &ret->cap);

		ret->n++;
		*to = from->v[i];
		to->nics = from->v[i].n_nics ? xmemdup(from->v[i].nics, from->v[i].n_nics * sizeof(*to->nics)) : NULL;
		to->cap_nics = to->n_nics;
	}
}

bool nic_requests_same(const struct nic_requests *a, const struct nic_requests *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (!str_eq(a->v[i].container, b->v[i].container) || a->v[i].n_nics != b->v[i].n_nics)
			return false;
		for (size_t k = 0; k < a->v[i].n_nics; k++)
			if (!nic_same(&a->v[i].nics[k], &b->v[i].nics[k]))
				return false;
	}
	return true;
}

bool nic_request_names(const struct nic_request *r, const char *name, const char *id)
{
	size_t len = strlen(r->container);

	return str_eq(r->container, name) ||
	       (len >= 12 && strspn(r->container, "0123456789abcdef") == len && strncmp(r->container, id, len) == 0);
}

/* --- plugs.json --- */

static int plug_from_json(const json_t *o, struct nic_requests *ret, struct err *err)
{
	const json_t *array = json_object_get(o, "nics");
	char container[LIMIT_NAME] = "";
	struct nic_request *r;
	int rc = json_required(json_get_str(o, "container", container, sizeof(container), err), "container", err);

	if (rc < 0)
		return rc;
	if (!name_valid(container))
		return err_set(err, -EINVAL, "container is no name");
	r = nic_requests_for(ret, container, "docker-router plug");
	if (!r)
		return err_set(err, -E2BIG, "more than %d containers", LIMIT_NIC_REQUESTS);
	for (size_t i = 0; rc == 0 && i < json_array_size(array); i++) {
		struct nic_spec nic;

		rc = nic_from_json(json_array_get(array, i), &nic, err);
		if (rc == 0)
			rc = nic_request_put(r, &nic, err);
	}
	return rc < 0 ? err_wrap(err, "%s", container) : 0;
}

int plugs_read(int dirfd, const struct file_owner *owner, struct nic_requests *ret, struct problems *problems,
	       struct err *err)
{
	json_t *root = NULL;
	int rc = state_read_json(dirfd, STATE_PLUGS, owner, &root, err);

	if (rc < 0)
		return rc;
	rc = json_check_version(root, STATE_PLUGS, err);
	if (rc == 0)
		rc = json_check_array(root, "plugs", err);
	const json_t *array = json_object_get(root, "plugs");
	for (size_t i = 0; rc == 0 && i < json_array_size(array); i++) {
		struct err why = {0};

		if (plug_from_json(json_array_get(array, i), ret, &why) < 0)
			problems_add(problems, STATE_PLUGS, "", "plugs[%zu]: %s", i, why.text);
	}
	json_decref(root);
	return rc;
}

int plugs_write(int dirfd, const struct nic_requests *r, struct err *err)
{
	json_t *o = json_object(), *plugs = json_array();
	autobuf struct buf text = {0};

	json_put_int(o, "version", 1);
	for (size_t i = 0; i < r->n; i++) {
		json_t *plug = json_object(), *nics = json_array();

		json_put_str(plug, "container", r->v[i].container);
		for (size_t k = 0; k < r->v[i].n_nics; k++)
			json_array_append_new(nics, nic_to_json(&r->v[i].nics[k]));
		json_put(plug, "nics", nics);
		if (r->v[i].n_nics)
			json_array_append_new(plugs, plug);
		else
			json_decref(plug);
	}
	json_put(o, "plugs", plugs);
	json_print(&text, o, JSON_INDENT(1));
	buf_puts(&text, "\n");
	json_decref(o);
	/* somebody's wish, and written nowhere else: it survives a loss of power */
	return file_replace(dirfd, STATE_PLUGS, text.data, text.len, 0644, FILE_SYNC, err);
}
