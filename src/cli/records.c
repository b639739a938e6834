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

/* Why names says that those of this stack are not answered as they stand, or NULL */
static const struct problem *held_back(const struct records *r, const char *stack_id)
{
	autofree char *object = xasprintf("stack %s", stack_id);

	for (size_t i = 0; i < r->problems.n; i++) {
		if (str_eq(r->problems.v[i].object, object))
			return &r->problems.v[i];
	}
	return NULL;
}

static void record_row(struct table *t, const struct records *all, const struct record *r)
{
	char name[RECORD_NAME_BYTES], host[64];
	autofree char *below = xasprintf("%s.%s", record_name(r, name), all->domain);
	bool only_below = held_back(all, r->stack_id);

	cell_int(t, r->vni);
	cell_value(t, json_text(name), only_below ? below : name);
	cell_str(t, kind_word(r));
	cell_str(t, r->stack_id);
	cell_str(t, record_host(r, host));
	cell_ips(t, r->addresses, r->n_addresses);
	cell_ips(t, r->mapped, r->n_mapped);
	cell_str(t, all->domain[0] ? below : "");
	cell_value(t, json_boolean(only_below), "");
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
		{"only_below_domain", "", COL_JSON},
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

/* When names does not run its file is as old as its end */
static void names_stopped(const struct cli *c, struct output *o, const struct state_files *f)
{
	bool down = role_down(f, "names");
	char until[WALL_STRLEN];
	wall_t at = f->records.last_update;

	for (size_t i = 0; i < f->host.n_roles; i++) {
		const struct host_role *r = &f->host.roles[i];
		if (str_eq(r->role, "names") && r->state != ROLE_RUNNING && r->since.ms > at.ms)
			at = r->since;
	}
	output_value(o, "answering", json_boolean(!down));
	if (down && !c->json)
		fprintf(stderr,
			"docker-router %s: the role names does not run; this is what it answered until %s. "
			"docker-router status tells what to do\n",
			c->verb, wall_format(at, until));
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
		names_stopped(c, &o, &f);
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

/* One question, and what goes into its answer */
struct question {
	struct cli *c;
	const struct state_files *f;
	const struct records *r;
	const struct asker *asker; /* NULL: nobody in particular */
	struct lookup found;	   /* without what is held back */
	struct lookup held;	   /* what is answered only below the domain */
	struct ip ip;		   /* when it is an address */
	bool by_address;
	size_t given; /* addresses that somebody gets */
	bool own, not_reached, mapped;
	struct buf docker; /* addresses that Docker's own resolver has for it */
};

static struct table *answers_table(struct question *q)
{
	static const struct column columns[] = {
		{"answer", "ANSWER", 0},      {"true_address", "CONTAINER HAS", COL_HIDE},
		{"name", "NAME", COL_SHRINK}, {"kind", "KIND", 0},
		{"stack_id", "", COL_JSON},   {"host_name", "HOST", COL_SHRINK},
		{"vni", "VNI", COL_RIGHT},    {"host_id", "", COL_JSON},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < q->found.n; i++) {
		const struct record *r = q->found.v[i];
		char name[RECORD_NAME_BYTES], host[64], own[IP_STRLEN];
		for (size_t j = 0; j < r->n_addresses; j++) {
			enum seen seen = record_seen(r, j, q->asker, &q->f->discovery, &q->f->router);
			if (q->by_address && !record_has(r, j, &q->ip))
				continue;
			if (seen == SEEN_NOT) {
				q->not_reached = true;
				continue;
			}
			q->given++;
			q->own = q->own || (q->asker && asker_is_of(q->asker, r, &q->f->discovery) && r->n_mapped);
			q->mapped = q->mapped || seen == SEEN_MAPPED;
			cell_ip(t, seen == SEEN_MAPPED ? &r->mapped[j] : &r->addresses[j]);
			cell_value(t, json_string(ip_format(&r->addresses[j], own)), seen == SEEN_MAPPED ? own : "");
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
	if (json_array_size(n->list) == 0)
		output_gap(n->o);
	json_array_append_new(n->list, json_text(text));
	output_line(n->o, "%s", text);
}

static void notes_of_answer(struct notes *n, const struct question *q)
{
	const struct lookup *l = &q->found;
	char name[RECORD_NAME_BYTES], host[64];
	bool hosts = false, vnis = false;

	for (size_t i = 0; i < l->n; i++) {
		hosts = hosts || (l->v[i]->vni == l->v[0]->vni && !str_eq(l->v[i]->host_id, l->v[0]->host_id));
		vnis = vnis || l->v[i]->vni != l->v[0]->vni;
	}
	if (q->own)
		note_add(n, "Of its own stack a container gets the addresses that the containers have.");
	if (q->mapped && !q->asker)
		note_add(n,
			 "The mapped address is what mapped stacks of the VNI and the other hosts get. Containers of "
			 "its own stack get the one that the container has; --from CONTAINER tells for one.");
	else if (q->mapped)
		note_add(n, "It is the mapped address; the one that the container has works only where nobody else "
			    "has it.");
	if (q->not_reached && q->asker)
		note_add(n,
			 "An address of it clashes with a network of %s or of this host and is not answered: it would "
			 "lead to somebody else. MAPPING=auto on all hosts of the VNI gives it another one.",
			 q->asker->container->name);
	if (q->by_address && l->n > 1)
		note_add(n, "Several have this address: whoever uses it reaches the one that is nearest, in its own "
			    "network or on its own host.");
	else if (hosts)
		note_add(n, "Several stacks are called so, all of them answer; %s.%s asks only that one.",
			 record_name(l->v[0], name), record_host(l->v[0], host));
	if (vnis)
		note_add(n, "They are in different VNIs: a container sees only those of its own.");
	if (!q->by_address && !l->below_domain && !strchr(q->c->arg, '.') && !strchr(q->c->arg, '@'))
		note_add(n,
			 "A name without a dot is Docker's first: what it knows in the container's own networks is "
			 "answered instead.%s%s%s",
			 q->r->domain[0] ? " Below " : "", q->r->domain,
			 q->r->domain[0] ? " it is this one for sure." : "");
}

static void notes_of_held_back(struct notes *n, const struct question *q)
{
	const struct problem *told = NULL;
	char name[RECORD_NAME_BYTES];

	for (size_t i = 0; i < q->held.n; i++) {
		const struct problem *p = held_back(q->r, q->held.v[i]->stack_id);
		if (p && p != told)
			note_add(n, "Not by this name, but as %s.%s: stack %s is called like a top-level domain.",
				 record_name(q->held.v[i], name), q->r->domain, q->held.v[i]->stack_id);
		told = p;
	}
}

static void notes_of_unhealthy(struct notes *n, const struct question *q)
{
	const struct inv_container *v[8];
	struct scope scope = {q->asker ? q->asker->container->vnis : NULL, q->asker ? q->asker->container->n_vnis : 0};
	size_t count = lookup_unhealthy(&q->f->inventory, q->r->domain, q->f->discovery.self.host_name, q->c->arg,
					scope, v, ARRAY_LEN(v));

	for (size_t i = 0; i < count; i++)
		note_add(n, "%s is %s: no name until it is healthy.", v[i]->name, health_names[v[i]->health]);
}

static void notes_of_asker(struct notes *n, const struct question *q)
{
	const struct records *r = q->r;
	const struct record_container *asker = q->asker ? q->asker->container : NULL;
	size_t silent = 0;

	for (size_t i = 0; i < r->n_containers; i++)
		silent += !r->containers[i].answered;
	if (asker && !asker->answered)
		note_add(n, "But %s is not answered: %s", asker->name,
			 asker->why && asker->why[0] ? asker->why : "not yet");
	else if (!asker && silent)
		note_add(n, "%zu of %zu containers of this host %s not answered; docker-router doctor tells why.",
			 silent, r->n_containers, silent == 1 ? "is" : "are");
	if (!asker && r->listen_error && r->listen_error[0])
		note_add(n, "The host itself is not answered: %s", r->listen_error);
}

/* An '@' makes it ours, and so does a host behind the stack: then it does not end like a stranger's */
static void question_hold_back(struct question *q)
{
	size_t kept = 0, len = strlen(q->c->arg);

	for (size_t i = 0; i < q->found.n && !q->by_address && !q->found.below_domain; i++) {
		const struct record *r = q->found.v[i];
		size_t n = strlen(r->stack_id), end = len && q->c->arg[len - 1] == '.' ? len - 1 : len;
		bool ends_so = end >= n && strncasecmp(q->c->arg + end - n, r->stack_id, n) == 0;
		if (!ends_so || !held_back(q->r, r->stack_id)) {
			q->found.v[kept++] = r;
			continue;
		}
		*(const struct record **)xgrow(&q->held.v, q->held.n, &q->held.cap) = r;
		q->held.n++;
	}
	if (!q->by_address && !q->found.below_domain)
		q->found.n = kept;
}

/* Of an address, only what this asker reaches by it, when there is such a thing */
static void question_narrow(struct question *q)
{
	size_t kept = 0;

	for (int pass = 0; pass < 2 && q->by_address && q->asker && !kept; pass++) {
		for (size_t i = 0; i < q->found.n; i++) {
			const struct record *r = q->found.v[i];
			bool fits = pass == 0 && asker_is_of(q->asker, r, &q->f->discovery);
			for (size_t j = 0; pass == 1 && j < r->n_addresses; j++) {
				enum seen seen = record_seen(r, j, q->asker, &q->f->discovery, &q->f->router);
				const struct ip *ip = seen == SEEN_MAPPED ? &r->mapped[j] : &r->addresses[j];
				fits = fits || (seen != SEEN_NOT && ip_cmp(ip, &q->ip) == 0);
			}
			if (fits)
				q->found.v[kept++] = r;
		}
	}
	if (kept)
		q->found.n = kept;
}

static int resolve(struct cli *c, const struct state_files *f, const struct asker *asker)
{
	const struct records *r = &f->records;
	char nearest[NEAREST_MAX][RECORD_NAME_BYTES];
	const struct record_container *who = asker ? asker->container : NULL;
	struct scope scope = {who ? who->vnis : NULL, who ? who->n_vnis : 0};
	struct question q = {.c = c, .f = f, .r = r, .asker = asker};
	struct output o;
	size_t n_nearest = 0;

	q.by_address = ip_parse(c->arg, &q.ip) == 0;
	if (q.by_address)
		lookup_address(r, &q.ip, scope, &q.found);
	else
		lookup_name(r, c->arg, scope, &q.found);
	question_hold_back(&q);
	question_narrow(&q);
	bool docker = who && !q.by_address && !q.found.below_domain &&
		      lookup_docker(&f->inventory, who->id, c->arg, &q.docker);
	bool dockers = asker && asker->elsewhere && !q.by_address && !q.found.below_domain && !docker &&
		       !strpbrk(c->arg, ".@");
	if (docker || dockers)
		q.found.n = q.held.n = 0;
	bool nothing = q.found.n + q.held.n == 0 && !docker && !dockers;

	output_begin(&o, stdout, c->json, false);
	names_stopped(c, &o, f);
	if (nothing) {
		n_nearest = lookup_nearest(r, c->arg, scope, nearest);
		if (!c->json)
			nothing_print(c, c->arg, nearest, n_nearest);
	}
	output_value(&o, "name", json_text(c->arg));
	output_value(&o, "from", who ? json_text(who->name) : json_null());
	struct table *answers = answers_table(&q);
	if (table_rows(answers) || c->json)
		output_table(&o, "answers", NULL, NULL, answers);
	else
		table_free(answers);
	output_value(&o, "nearest", nearest_json(nearest, n_nearest));
	output_value(&o, "docker", json_boolean(docker));
	struct notes notes = {.o = &o, .list = json_array()};
	if (docker)
		note_add(&notes, "Docker answers this itself: a container in a network of %s is called so (%s).",
			 who->name, q.docker.len ? q.docker.data : "no address yet");
	if (dockers)
		note_add(&notes,
			 "%s is on a network of no stack too, and only Docker knows what is called so there: a name "
			 "without a dot is left to Docker. Below %s it is ours.",
			 who->name, r->domain);
	if (q.found.n)
		notes_of_answer(&notes, &q);
	notes_of_held_back(&notes, &q);
	if (!q.by_address)
		notes_of_unhealthy(&notes, &q);
	if (!nothing && !docker)
		notes_of_asker(&notes, &q);
	output_value(&o, "notes", notes.list);
	int status = verb_end(c, &o, docker || (q.given && (!who || who->answered)) ? EXIT_DONE : EXIT_FAILED);
	lookup_done(&q.found);
	lookup_done(&q.held);
	buf_done(&q.docker);
	return status;
}

int verb_resolve(struct cli *c)
{
	struct state_files f;
	int status = EXIT_FAILED;

	state_files_load(&c->dir, &f);
	state_files_load_records(&c->dir, &f);
	if (state_files_need(c, &f, FILE_RECORDS)) {
		const struct record_container *who = c->from ? asker_find(&f.records, c->from) : NULL;
		struct asker asker;
		if (who)
			asker_make(who, &f.inventory, &f.discovery, &asker);
		if (c->from && !who)
			asker_missing(c, &f.records);
		else
			status = resolve(c, &f, who ? &asker : NULL);
	}
	state_files_done(&f);
	return status;
}
