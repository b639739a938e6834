/* SPDX-License-Identifier: Apache-2.0
 *
 * `docker-router nics`: which NICs containers have, on what, and since when; `plug` and `unplug`, which write down what
 * a container is to have (plugs.json).
 */
#include <fcntl.h>
#include <sys/file.h>

#include "cli/nics.h"
#include "state/nic_request.h"

/* --- nics --- */

static const struct att_lease *lease_of(const struct att_nic *n)
{
	for (size_t i = 0; i < n->n_leases; i++)
		if (!ip_is_none(&n->leases[i].address.ip))
			return &n->leases[i];
	return NULL;
}

/* "bound to 192.0.2.1, 43m left" */
static void cell_lease(struct table *t, const struct att_nic *n, wall_t now)
{
	const struct att_lease *l = lease_of(n);
	wall_t over = {l ? l->since.ms + (int64_t)l->seconds * 1000 : 0};
	char text[24];

	if (!l)
		cell_value(t, json_null(), n->n_leases ? "none" : "");
	else if (l->seconds == UINT32_MAX)
		cell_value(t, json_integer(-1), "for ever");
	else
		cell_value(t, json_integer(over.ms > now.ms ? (over.ms - now.ms) / 1000 : 0),
			   text_age(now, over, text));
}

static void cell_server(struct table *t, const struct att_nic *n)
{
	const struct att_lease *l = lease_of(n);
	struct ip none = {0};

	cell_ip(t, l ? &l->server : &none);
}

static struct table *nics_table(const struct attach_state *s, wall_t now)
{
	static const struct column columns[] = {
		{"container", "CONTAINER", COL_SHRINK},
		{"nic", "NIC", 0},
		{"kind", "KIND", 0},
		{"parent", "ON", 0},
		{"state", "STATE", 0},
		{"addresses", "ADDRESS", COL_SHRINK},
		{"lease", "LEASE", COL_RIGHT | COL_HIDE},
		{"server", "FROM", COL_HIDE},
		{"since", "AGE", COL_RIGHT},
		{"why", "WHY", COL_HIDE | COL_SHRINK},
		{"mac", "", COL_JSON},
		{"mtu", "", COL_JSON},
		{"host", "", COL_JSON},
		{"attach_us", "", COL_JSON},
		{"id", "", COL_JSON},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < s->n_nics; i++) {
		const struct att_nic *n = &s->nics[i];
		char mac[MAC_STRLEN];

		cell_str(t, n->name);
		cell_str(t, n->nic);
		cell_str(t, nic_kind_names[n->kind]);
		cell_str(t, n->parent);
		cell_str(t, nic_state_names[n->state]);
		cell_prefixes(t, n->addresses, n->n_addresses);
		cell_lease(t, n, now);
		cell_server(t, n);
		cell_age(t, n->since, now);
		cell_str(t, n->why);
		cell_str(t, mac_is_none(&n->mac) ? "" : mac_format(&n->mac, mac));
		cell_int(t, n->mtu);
		cell_str(t, n->host);
		cell_int(t, n->attach_us);
		cell_str(t, n->container);
	}
	return t;
}

int verb_nics(struct cli *c)
{
	struct file_owner owner = owner_of_root(&c->dir);
	struct attach_state s = {0};
	struct inventory inv = {0};
	struct err err = c->dir_why, more;
	int rc = c->dir.fd < 0 ? c->dir_why.code : attach_state_read(c->dir.fd, &owner, &s, &err), driver = -ENOENT;
	struct output o;

	if (rc == 0 || (c->dir.fd >= 0 && rc == -ENOENT)) {
		if (inventory_read(c->dir.fd, &owner, &inv, &more) < 0)
			inv = (struct inventory){0};
		driver = nics_add_driver(&c->dir, &inv, &s, &more);
		inventory_done(&inv);
	}
	if (driver < 0 && driver != -ENOENT)
		fprintf(stderr, "docker-router nics: those of the network driver are not known: %s\n", more.text);
	if (driver == 0 && rc == -ENOENT) /* no attach here, but a network driver */
		rc = 0;
	if (rc == -ENOENT)
		err_set(&err, rc, "there is no attach.json in %s: does docker-router host run, with the role attach?",
			c->config.state_dir);
	if (rc < 0) {
		fprintf(stderr, "docker-router nics: %s\n", err.text);
		return EXIT_FAILED;
	}
	output_begin(&o, stdout, c->json, false);
	output_table(&o, "nics", NULL,
		     "No container has the label docker-router.attach, is plugged, or is on a network of the driver.",
		     nics_table(&s, c->now));
	if (c->json)
		output_value(&o, "problems", problems_to_json(&s.problems));
	attach_state_done(&s);
	return verb_end(c, &o, EXIT_DONE);
}

/* --- plug and unplug --- */

struct plugging {
	struct cli *cli;
	struct state_dir dir;
	int lock;
	struct nic_requests plugs;
};

static int complain(const struct plugging *p, const char *text)
{
	fprintf(stderr, "docker-router %s: %s\n", p->cli->verb, text);
	return EXIT_FAILED;
}

/* Two that plug at the same time would lose what one of them wrote */
static int plugging_begin(struct plugging *p)
{
	struct problems problems = {0};
	struct file_owner owner;
	struct err err = {0};
	int rc;

	if (geteuid() != 0)
		return complain(p, "needs root, as what says what containers get");
	if (!name_valid(p->cli->arg))
		return complain(p, "that is not the name or id of a container"), EXIT_USAGE;
	if (state_dir_open(p->cli->config.state_dir, &p->dir, &err) < 0)
		return complain(p, err.text);
	p->lock = openat(p->dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->lock < 0 || flock(p->lock, LOCK_EX) < 0)
		return complain(p, strerror(errno));
	owner = owner_of_root(&p->dir);
	rc = plugs_read(p->dir.fd, &owner, &p->plugs, &problems, &err);
	if (rc == 0 && problems.n)
		rc = err_set(&err, -EINVAL, "%s: %s", STATE_PLUGS, problems.v[0].text);
	problems_done(&problems);
	return rc < 0 && rc != -ENOENT ? complain(p, err.text) : 0;
}

static int plugging_end(struct plugging *p, bool write, int status)
{
	struct err err;

	if (write && plugs_write(p->dir.fd, &p->plugs, &err) < 0)
		status = complain(p, err.text);
	nic_requests_done(&p->plugs);
	autoclose_(&p->lock);
	if (p->dir.fd >= 0)
		state_dir_done(&p->dir);
	return status;
}

/* "br-lan:eth1 address=dhcp routes=10.0.0.0/8 via 192.0.2.1": a word without '=' belongs to the one before it */
static int nic_parse(const char *text, struct nic_spec *ret, struct err *err)
{
	autofree struct nic_specs *specs = xcalloc(1, sizeof(*specs));
	autofree char *copy = xstrdup(text);
	char *save = NULL, *word = strtok_r(copy, " ", &save);
	autobuf struct buf value = {0};
	char key[32] = "";
	int rc = nic_list_parse(word ? word : "", "", specs, err);

	if (rc == 0 && specs->n != 1)
		rc = err_set(err, -EINVAL, "one NIC at a time");
	while (rc == 0) {
		char *eq;

		word = strtok_r(NULL, " ", &save);
		eq = word ? strchr(word, '=') : NULL;
		if (word && !eq && key[0]) {
			buf_printf(&value, " %s", word);
			continue;
		}
		if (key[0]) {
			rc = nic_set(&specs->v[0], key, value.data ? value.data : "", err);
			if (rc < 0)
				err_wrap(err, "%s", key);
		}
		if (!word || rc < 0)
			break;
		if (!eq || (size_t)(eq - word) >= sizeof(key)) {
			rc = err_set(err, -EINVAL, "settings are KEY=VALUE, such as address=dhcp");
			break;
		}
		str_print(key, "%.*s", (int)(eq - word), word);
		buf_clear(&value);
		buf_puts(&value, eq + 1);
	}
	if (rc == 0)
		rc = nic_check(&specs->v[0], err);
	if (rc == 0)
		*ret = specs->v[0];
	return rc;
}

int verb_plug(struct cli *c)
{
	struct plugging p = {.cli = c, .dir.fd = -1, .lock = -1};
	struct nic_request *r;
	struct nic_spec nic;
	struct err err = {0};
	struct output o;
	int status;

	if (!c->arg2)
		return complain(&p, "BRIDGE:NAME is missing; see --help"), EXIT_USAGE;
	if (nic_parse(c->arg2, &nic, &err) < 0)
		return complain(&p, err.text), EXIT_USAGE;
	status = plugging_begin(&p);
	if (status != 0)
		return plugging_end(&p, false, status);
	r = nic_requests_for(&p.plugs, c->arg, "docker-router plug");
	if (!r || nic_request_put(r, &nic, &err) < 0)
		return plugging_end(&p, false, complain(&p, r ? err.text : "there are too many containers"));
	status = plugging_end(&p, true, EXIT_DONE);
	if (status != EXIT_DONE)
		return status;
	output_begin(&o, stdout, c->json, false);
	output_value(&o, "container", json_text(c->arg));
	output_value(&o, "nic", nic_to_json(&nic));
	output_line(&o, "%s gets %s on %s whenever it runs; docker-router nics tells how that goes.", c->arg, nic.name,
		    nic.parent);
	return verb_end(c, &o, EXIT_DONE);
}

int verb_unplug(struct cli *c)
{
	struct plugging p = {.cli = c, .dir.fd = -1, .lock = -1};
	int status = plugging_begin(&p);
	struct nic_request *r = status == 0 ? nic_requests_find(&p.plugs, c->arg) : NULL;
	struct output o;
	size_t n;

	if (status != 0)
		return plugging_end(&p, false, status);
	n = r ? nic_request_remove(r, c->arg2) : 0;
	if (!n)
		return plugging_end(&p, false,
				    complain(&p, "it was not plugged by docker-router plug; a label or the config file "
						 "may say so"));
	status = plugging_end(&p, true, EXIT_DONE);
	if (status != EXIT_DONE)
		return status;
	output_begin(&o, stdout, c->json, false);
	output_value(&o, "removed", json_integer((json_int_t)n));
	output_line(&o, "%s no longer gets %s.", c->arg, c->arg2 ? c->arg2 : "any of them");
	return verb_end(c, &o, EXIT_DONE);
}
