/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router records and docker-router resolve: which names there are, and what a container gets that asks for one.
 * Both read what names wrote down (records.json) and ask nobody.
 */
#include <strings.h>

#include "cli/cli.h"
#include "cli/lookup.h"

static void cell_ips(struct table *t, const struct ip *ips, size_t n)
{
	autobuf struct buf text = {0};
	char one[IP_STRLEN];
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		ip_format(&ips[i], one);
		buf_printf(&text, "%s%s", i ? ", " : "", one);
		json_array_append_new(list, json_string(one));
	}
	cell_value(t, list, text.data ? text.data : "");
}

static const char *kind_word(const struct record *r)
{
	return r->name[0] ? name_kind_names[r->kind] : "stack";
}

static void record_row(struct table *t, const struct records *all, const struct record *r)
{
	char name[RECORD_NAME_BYTES], host[64];
	autofree char *below = xasprintf("%s.%s", record_name(r, name), all->domain);

	cell_int(t, r->vni);
	cell_str(t, name);
	cell_str(t, kind_word(r));
	cell_str(t, r->stack_id);
	cell_str(t, record_host(r, host));
	cell_ips(t, r->addresses, r->n_addresses);
	cell_ips(t, r->mapped, r->n_mapped);
	cell_str(t, all->domain[0] ? below : "");
	cell_str(t, r->host_id);
}

static struct table *records_table(const struct records *r, const struct lookup *some)
{
	static const struct column columns[] = {
		{"vni", "VNI", COL_RIGHT},
		{"name", "NAME", COL_SHRINK},
		{"kind", "KIND", 0},
		{"stack_id", "STACK", COL_SHRINK},
		{"host_name", "HOST", COL_SHRINK},
		{"addresses", "ADDRESSES", COL_SHRINK},
		{"mapped", "MAPPED", COL_HIDE | COL_SHRINK},
		{"below_domain", "", COL_JSON},
		{"host_id", "", COL_JSON},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; some && i < some->n; i++)
		record_row(t, r, some->v[i]);
	for (size_t i = 0; !some && i < r->n_records; i++)
		record_row(t, r, &r->records[i]);
	return t;
}

static struct table *askers_table(const struct records *r, bool all)
{
	static const struct column columns[] = {
		{"container", "CONTAINER", COL_SHRINK}, {"vnis", "", COL_JSON}, {"answered", "", COL_JSON},
		{"why", "WHY NOT", COL_SHRINK},		{"id", "", COL_JSON},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < r->n_containers; i++) {
		const struct record_container *c = &r->containers[i];
		json_t *vnis = json_array();
		if (c->answered && !all) {
			json_decref(vnis);
			continue;
		}
		for (size_t j = 0; j < c->n_vnis; j++)
			json_array_append_new(vnis, json_integer(c->vnis[j]));
		cell_str(t, c->name);
		cell_value(t, vnis, "");
		cell_value(t, json_boolean(c->answered), "");
		cell_str(t, c->why && c->why[0] ? c->why : "not yet");
		cell_str(t, c->id);
	}
	return t;
}

static json_t *nearest_json(char (*nearest)[RECORD_NAME_BYTES], size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_text(nearest[i]));
	return list;
}

/* On stderr: nothing is called so, and what is */
static void nothing_print(const struct cli *c, const char *question, char (*nearest)[RECORD_NAME_BYTES], size_t n)
{
	autobuf struct buf safe = {0};

	text_safe(&safe, question, false);
	fprintf(stderr, "docker-router %s: nothing is called %s", c->verb, safe.data ? safe.data : "\"\"");
	for (size_t i = 0; i < n; i++) {
		buf_clear(&safe);
		text_safe(&safe, nearest[i], false);
		fprintf(stderr, "%s%s", i ? ", " : "; there is ", safe.data);
	}
	fputs(n ? "\n" : "; docker-router records lists what there is\n", stderr);
}

int verb_records(struct cli *c)
{
	struct state_files f;
	struct output o;
	struct lookup some = {0};
	char nearest[NEAREST_MAX][RECORD_NAME_BYTES];
	int status = EXIT_FAILED;

	state_files_load(&c->dir, &f);
	state_files_load_records(&c->dir, &f);
	if (state_files_need(c, &f, FILE_RECORDS)) {
		const struct records *r = &f.records;
		if (c->arg)
			lookup_name(r, c->arg, (struct scope){0}, &some);
		if (c->arg && some.n == 0)
			lookup_part(r, c->arg, &some);
		status = c->arg && some.n == 0 ? EXIT_FAILED : EXIT_DONE;
		if (status == EXIT_FAILED && !c->json)
			nothing_print(c, c->arg, nearest, lookup_nearest(r, c->arg, (struct scope){0}, nearest));
		output_begin(&o, stdout, c->json, false);
		output_value(&o, "domain", json_text(r->domain));
		if (status == EXIT_DONE || c->json)
			output_table(&o, "records", NULL,
				     "No names: no container of a member stack is up, here or elsewhere.",
				     records_table(r, c->arg ? &some : NULL));
		if (!c->arg)
			output_table(&o, "containers", "Containers of this host that are not answered", NULL,
				     askers_table(r, c->json));
		if (!c->arg && r->n_records && r->domain[0]) {
			output_gap(&o);
			output_line(&o, "Each also below %s, as in %s.%s", r->domain,
				    record_name(&r->records[0], nearest[0]), r->domain);
		}
		status = verb_end(c, &o, status);
	}
	lookup_done(&some);
	state_files_done(&f);
	return status;
}

/* --- resolve --- */

static const struct record_container *asker_find(const struct records *r, const char *who)
{
	size_t len = strlen(who);

	for (size_t i = 0; i < r->n_containers; i++) {
		if (str_eq(r->containers[i].name, who))
			return &r->containers[i];
	}
	for (size_t i = 0; len >= 6 && i < r->n_containers; i++) {
		if (strncmp(r->containers[i].id, who, len) == 0)
			return &r->containers[i];
	}
	return NULL;
}

static void asker_missing(const struct cli *c, const struct records *r)
{
	autobuf struct buf safe = {0};

	text_safe(&safe, c->from, false);
	fprintf(stderr, "docker-router resolve: no container %s is in a stack of this host",
		safe.data ? safe.data : "");
	for (size_t i = 0; i < r->n_containers && i < 8; i++) {
		buf_clear(&safe);
		text_safe(&safe, r->containers[i].name, false);
		fprintf(stderr, "%s%s", i ? ", " : "; there is ", safe.data ? safe.data : "");
	}
	fputs("\n", stderr);
}

static struct table *answers_table(const struct lookup *l)
{
	static const struct column columns[] = {
		{"answer", "ANSWER", 0},      {"true_address", "CONTAINER HAS", COL_HIDE},
		{"name", "NAME", COL_SHRINK}, {"kind", "KIND", 0},
		{"stack_id", "", COL_JSON},   {"host_name", "HOST", COL_SHRINK},
		{"vni", "VNI", COL_RIGHT},    {"host_id", "", COL_JSON},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < l->n; i++) {
		const struct record *r = l->v[i];
		char name[RECORD_NAME_BYTES], host[64];
		for (size_t j = 0; j < r->n_addresses; j++) {
			const struct ip *answer = record_answer(r, j);
			char own[IP_STRLEN];
			bool mapped = ip_cmp(answer, &r->addresses[j]) != 0;
			cell_ip(t, answer);
			cell_value(t, json_string(ip_format(&r->addresses[j], own)), mapped ? own : "");
			cell_str(t, record_name(r, name));
			cell_str(t, kind_word(r));
			cell_str(t, r->stack_id);
			cell_str(t, record_host(r, host));
			cell_int(t, r->vni);
			cell_str(t, r->host_id);
		}
	}
	return t;
}

/* Why the answer is this one, a sentence each */
struct notes {
	struct output *o;
	json_t *list;
};

static void PRINTF(2, 3) note_add(struct notes *n, const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	json_array_append_new(n->list, json_text(text));
	output_line(n->o, "%s", text);
}

static void notes_of_answer(struct notes *n, const struct records *r, const struct lookup *l, const char *question)
{
	char name[RECORD_NAME_BYTES], host[64];
	bool mapped = false, hosts = false, vnis = false;

	for (size_t i = 0; i < l->n; i++) {
		mapped = mapped || l->v[i]->n_mapped;
		hosts = hosts || (l->v[i]->vni == l->v[0]->vni && !str_eq(l->v[i]->host_id, l->v[0]->host_id));
		vnis = vnis || l->v[i]->vni != l->v[0]->vni;
	}
	if (mapped)
		note_add(n, "A stack that has a mapped prefix is called by it, from everywhere; the address that the "
			    "container itself has works only where nobody else has it.");
	if (hosts)
		note_add(n, "Several stacks are called so, all of them answer; %s.%s asks only that one.",
			 record_name(l->v[0], name), record_host(l->v[0], host));
	if (vnis)
		note_add(n, "They are in different VNIs: a container sees only those of its own.");
	if (!l->below_domain && !strchr(question, '.') && !strchr(question, '@'))
		note_add(n,
			 "A name without a dot is Docker's first: what it knows in the container's own networks is "
			 "answered instead.%s%s%s",
			 r->domain[0] ? " Below " : "", r->domain, r->domain[0] ? " it is this one for sure." : "");
}

/* Why names says that those of this stack are not answered as they stand, or NULL */
static const char *held_back(const struct records *r, const char *stack_id)
{
	autofree char *object = xasprintf("stack %s", stack_id);

	for (size_t i = 0; i < r->problems.n; i++) {
		if (str_eq(r->problems.v[i].object, object))
			return r->problems.v[i].text;
	}
	return NULL;
}

/* Return: how many of the answers somebody gets */
static size_t notes_of_held_back(struct notes *n, const struct records *r, const struct lookup *l)
{
	size_t given = l->n;
	const char *told = NULL;

	for (size_t i = 0; i < l->n && !l->below_domain; i++) {
		const char *why = held_back(r, l->v[i]->stack_id);
		given -= why != NULL;
		if (why && why != told)
			note_add(n, "But not by this name. Stack %s: %s", l->v[i]->stack_id, why);
		told = why;
	}
	return given;
}

static void notes_of_asker(struct notes *n, const struct cli *c, const struct records *r,
			   const struct record_container *asker)
{
	size_t silent = 0;

	for (size_t i = 0; i < r->n_containers; i++)
		silent += !r->containers[i].answered;
	if (asker && !asker->answered)
		note_add(n, "But %s is not answered: %s", asker->name,
			 asker->why && asker->why[0] ? asker->why : "not yet");
	else if (!c->from && silent)
		note_add(n, "%zu of %zu containers of this host are not answered; docker-router doctor tells why.",
			 silent, r->n_containers);
	if (!c->from && r->listen_error && r->listen_error[0])
		note_add(n, "The host itself is not answered: %s", r->listen_error);
}

static int resolve(struct cli *c, const struct records *r, const struct record_container *asker)
{
	char nearest[NEAREST_MAX][RECORD_NAME_BYTES];
	struct scope scope = {asker ? asker->vnis : NULL, asker ? asker->n_vnis : 0};
	struct lookup l;
	struct output o;
	struct ip ip;
	size_t n_nearest = 0;
	bool by_address = ip_parse(c->arg, &ip) == 0;

	if (by_address)
		lookup_address(r, &ip, scope, &l);
	else
		lookup_name(r, c->arg, scope, &l);
	size_t given = l.n;
	if (l.n == 0) {
		n_nearest = lookup_nearest(r, c->arg, scope, nearest);
		if (!c->json)
			nothing_print(c, c->arg, nearest, n_nearest);
	}
	output_begin(&o, stdout, c->json, false);
	output_value(&o, "name", json_text(c->arg));
	output_value(&o, "from", asker ? json_text(asker->name) : json_null());
	output_table(&o, "answers", NULL, NULL, answers_table(&l));
	output_value(&o, "nearest", nearest_json(nearest, n_nearest));
	struct notes notes = {.o = &o, .list = json_array()};
	if (l.n) {
		output_gap(&o);
		notes_of_answer(&notes, r, &l, c->arg);
		if (!by_address)
			given = notes_of_held_back(&notes, r, &l);
		notes_of_asker(&notes, c, r, asker);
	}
	output_value(&o, "notes", notes.list);
	int status = verb_end(c, &o, given && (!asker || asker->answered) ? EXIT_DONE : EXIT_FAILED);
	lookup_done(&l);
	return status;
}

int verb_resolve(struct cli *c)
{
	struct state_files f;
	int status = EXIT_FAILED;

	state_files_load(&c->dir, &f);
	state_files_load_records(&c->dir, &f);
	if (state_files_need(c, &f, FILE_RECORDS)) {
		const struct record_container *asker = c->from ? asker_find(&f.records, c->from) : NULL;
		if (c->from && !asker)
			asker_missing(c, &f.records);
		else
			status = resolve(c, &f.records, asker);
	}
	state_files_done(&f);
	return status;
}
