/* SPDX-License-Identifier: Apache-2.0
 *
 * Carrying out a plan. Operations run in the plan's order: a row of nft transactions is started together and waited
 * for, links are made one by one, entries of one namespace go to the kernel in one batch. What could not be done is
 * told and does not keep the rest from being done.
 *
 * The plan borrows from desired and actual, both of which may change while nft runs, and actual changes with every
 * entry that is written: so the run has a copy of what it needs.
 */
#include "router/apply.h"

#include <sys/mman.h>

#include "base/log.h"
#include "io/child.h"
#include "router/apply_link.h"
#include "router/encode.h"
#include "router/gather.h"
#include "router/nft_netdev.h"
#include "router/wg_control.h"

#define NFT_AT_ONCE	4
#define NFT_TIMEOUT_MS	20000
#define FAILURES_TOLD	64
#define ENTRIES_A_BATCH 4096

/* struct nft_call - One transaction under way */
struct nft_call {
	struct apply *a;
	size_t op;
	int memfd;
	struct child *child; /* without a broker */
};

/* struct run - A plan being carried out; all that its operations point to is its own */
struct run {
	struct op *ops;
	size_t n, at, paused_at;
	struct net **nets; /* only their ids are filled */
	size_t n_nets, cap_nets;
	struct link *links;
	struct entry *entries;
	struct nft_table *tables; /* only what nft's JSON cannot say is filled, and the number of rules */
	size_t n_tables;
	size_t n_awaited;	/* nft transactions that what follows must wait for */
	bool *failed;		/* as ops: of the batch under way */
	struct net_id *touched; /* nets whose links changed and were not read again */
	size_t n_touched, cap_touched;
	struct apply_result result;
	struct wg_peer_change *wg; /* of the operations on the WireGuard device under way */
	size_t wg_from, wg_to;
	bool busy; /* something is waited for that nothing may overtake */
	apply_done_fn *fn;
	void *arg;
};

struct apply {
	uv_loop_t *loop;
	struct broker *broker;
	struct observe *observe;
	struct run *run;
	struct timer *next; /* the next batch of entries: the loop turns in between */
	struct nft_call *nft[NFT_AT_ONCE];
	size_t n_nft;
};

void apply_result_done(struct apply_result *r)
{
	for (size_t i = 0; i < r->n_failures; i++) {
		free(r->failures[i].op);
		free(r->failures[i].why);
	}
	free(r->failures);
	*r = (struct apply_result){0};
}

/* --- the copy --- */

static const struct net *run_net(struct run *run, const struct net *n)
{
	if (!n)
		return NULL;
	for (size_t i = run->n_nets; i-- > 0;) /* the last one first: operations of one net stand together */
		if (net_id_same(&run->nets[i]->id, &n->id))
			return run->nets[i];
	struct net *copy = xcalloc(1, sizeof(*copy));
	copy->id = n->id;
	*xgrow(&run->nets, run->n_nets, &run->cap_nets) = copy;
	run->n_nets++;
	return copy;
}

static void run_copy_ops(struct run *run, const struct plan *plan)
{
	size_t n_links = 0, n_entries = 0, n_tables = 0;

	for (size_t i = 0; i < plan->n; i++) {
		struct op *op = &run->ops[i];
		*op = plan->ops[i];
		op->net = run_net(run, op->net);
		op->peer_net = run_net(run, op->peer_net);
		if (op->link) {
			run->links[n_links] = *op->link;
			op->link = &run->links[n_links++];
		}
		if (op->peer) {
			run->links[n_links] = *op->peer;
			op->peer = &run->links[n_links++];
		}
		if (op->entry) {
			run->entries[n_entries] = *op->entry;
			op->entry = &run->entries[n_entries++];
		}
		if (op->nft) {
			run->tables[n_tables].n_rules = op->nft->n_rules;
			buf_append(&run->tables[n_tables].raw, op->nft->raw.data, op->nft->raw.len);
			op->nft = &run->tables[n_tables++];
		}
		if (op->wg)
			op->wg = xmemdup(op->wg, sizeof(*op->wg));
		if (op->nft_json)
			op->nft_json = xstrdup(op->nft_json);
	}
}

static struct run *run_new(const struct plan *plan, apply_done_fn *fn, void *arg)
{
	struct run *run = xcalloc(1, sizeof(*run));
	size_t n_links = 0, n_entries = 0, n_tables = 0;

	for (size_t i = 0; i < plan->n; i++) {
		n_links += (plan->ops[i].link != NULL) + (plan->ops[i].peer != NULL);
		n_entries += plan->ops[i].entry != NULL;
		n_tables += plan->ops[i].nft != NULL;
	}
	run->fn = fn;
	run->arg = arg;
	run->n = plan->n;
	run->ops = xcalloc(plan->n + 1, sizeof(*run->ops));
	run->failed = xcalloc(plan->n + 1, sizeof(*run->failed));
	run->links = xcalloc(n_links + 1, sizeof(*run->links));
	run->entries = xcalloc(n_entries + 1, sizeof(*run->entries));
	run->tables = xcalloc(n_tables + 1, sizeof(*run->tables));
	run->n_tables = n_tables;
	run_copy_ops(run, plan);
	return run;
}

static void run_free(struct run *run)
{
	if (!run)
		return;
	for (size_t i = 0; i < run->n; i++) {
		free(run->ops[i].nft_json);
		op_wg_free(run->ops[i].wg);
	}
	for (size_t i = 0; i < run->n_nets; i++)
		net_free(run->nets[i]);
	free(run->nets);
	free(run->ops);
	free(run->failed);
	free(run->links);
	free(run->entries);
	for (size_t i = 0; i < run->n_tables; i++)
		buf_done(&run->tables[i].raw);
	free(run->tables);
	free(run->touched);
	if (run->wg)
		explicit_bzero(run->wg, (run->wg_to - run->wg_from) * sizeof(*run->wg));
	free(run->wg);
	apply_result_done(&run->result);
	free(run);
}

/* --- how an operation ended --- */

static void run_fail(struct run *run, const struct op *op, int code, const char *why)
{
	struct apply_result *r = &run->result;
	struct buf text = {0};

	r->failed++;
	if (r->n_failures >= FAILURES_TOLD)
		return;
	struct apply_failure *f = xgrow(&r->failures, r->n_failures, &r->cap_failures);
	r->n_failures++;
	op_print(&text, op);
	f->op = text.data;
	f->why = xstrdup(why);
	f->code = code;
}

static void run_ended(struct run *run, const struct op *op, int code, const struct err *err)
{
	if (code < 0)
		run_fail(run, op, code, err->text);
	else
		run->result.done++;
}

/* --- nft --- */

/* Elements of sets may come while the rest is done; the tables that they are in may not. */
static bool is_awaited(const struct op *op)
{
	return op->kind == OP_NFT_REPLACE || op->kind == OP_NFT_REMOVE;
}

static bool is_shortcut(const struct op *op)
{
	return op->kind == OP_SHORTCUT_REPLACE || op->kind == OP_SHORTCUT_REMOVE;
}

static bool is_nft(const struct op *op)
{
	return op->kind == OP_NFT_REPLACE || op->kind == OP_NFT_ELEMENTS || op->kind == OP_NFT_REMOVE;
}

static int memfd_of(const char *text, struct err *err)
{
	int fd = memfd_create("nft", MFD_CLOEXEC);
	size_t len = strlen(text), at = 0;

	if (fd < 0)
		return err_errno(err, -errno, "memfd");
	while (at < len) {
		ssize_t n = write(fd, text + at, len - at);
		if (n < 0) {
			int code = err_errno(err, -errno, "memfd: write");
			close(fd);
			return code;
		}
		at += (size_t)n;
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void run_go(struct apply *a);

/* The first line of what nft said, without the pages of JSON that may follow */
static void first_line(const char *text, char *ret, size_t size)
{
	snprintf(ret, size, "%.*s", (int)strcspn(text, "\n"), text);
}

/* The rules that no JSON can say, behind the transaction that has made their chains */
static int nft_raw(struct apply *a, const struct op *op, struct err *err)
{
	struct nl *nl = observe_net_nf(a->observe, &op->net->id);

	if (op->kind != OP_NFT_REPLACE || !op->nft || !op->nft->raw.len)
		return 0;
	return nl ? nl_transaction(nl, op->nft->raw.data, op->nft->raw.len, err)
		  : err_set(err, -ENODEV, "the namespace is not open");
}

static void nft_ended(struct nft_call *call, int code, const char *text)
{
	struct apply *a = call->a;
	struct run *run = a->run;
	struct op *op = &run->ops[call->op];
	char line[256];

	for (size_t i = 0; i < a->n_nft; i++)
		if (a->nft[i] == call) {
			a->nft[i] = a->nft[--a->n_nft];
			break;
		}
	close(call->memfd);
	free(call);
	run->n_awaited -= is_awaited(op);
	if (code < 0) {
		first_line(text && text[0] ? text : strerror(-code), line, sizeof(line));
		run_fail(run, op, code, line);
	} else {
		struct err err = {0};
		run_ended(run, op, nft_raw(a, op, &err), &err);
	}
	free(op->nft_json); /* may be the largest thing we have */
	op->nft_json = NULL;
	observe_nft(a->observe, &op->net->id);
	run_go(a);
}

static void nft_answered(void *arg, int code, int fd, const char *text)
{
	autoclose_(&fd);
	nft_ended(arg, code, text);
}

static void nft_exited(void *arg, const struct child_result *r)
{
	struct nft_call *call = arg;

	call->child = NULL;
	nft_ended(call, r->status == 0 ? 0 : -EINVAL, r->err_out && r->err_out->data ? r->err_out->data : "nft failed");
}

static int nft_spawn(struct apply *a, struct nft_call *call, struct err *err)
{
	static const char *const argv[] = {"nft", "-j", "-f", "-", NULL};
	struct child_spec spec = {.argv = argv,
				  .stdin_fd = call->memfd,
				  .ns_fd = -1,
				  .timeout_ms = NFT_TIMEOUT_MS,
				  .flags = CHILD_COLLECT | CHILD_PDEATHSIG};

	return child_spawn(a->loop, &spec, nft_exited, call, &call->child, err);
}

static void nft_start(struct apply *a, size_t i)
{
	const struct op *op = &a->run->ops[i];
	struct nft_call *call = xcalloc(1, sizeof(*call));
	struct broker_ns ns = {0};
	struct err err;
	char name[96];
	int rc;

	*call = (struct nft_call){.a = a, .op = i};
	rc = call->memfd = memfd_of(op->nft_json, &err);
	if (rc >= 0 && a->broker) {
		str_copy(ns.name, net_id_print(&op->net->id, name));
		broker_call(a->broker, BROKER_NFT, &ns, 0, call->memfd, nft_answered, call);
	} else if (rc >= 0) {
		rc = nft_spawn(a, call, &err);
	}
	if (rc < 0) {
		run_fail(a->run, op, rc, err.text);
		if (call->memfd >= 0)
			close(call->memfd);
		free(call);
		return;
	}
	a->nft[a->n_nft++] = call;
	a->run->n_awaited += is_awaited(op);
}

/* --- links --- */

static void run_touch(struct run *run, const struct net *n)
{
	for (size_t i = 0; n && i < run->n_touched; i++)
		if (net_id_same(&run->touched[i], &n->id))
			return;
	if (!n)
		return;
	*xgrow(&run->touched, run->n_touched, &run->cap_touched) = n->id;
	run->n_touched++;
}

static void run_read_links(struct apply *a)
{
	struct run *run = a->run;
	struct err err;

	for (size_t i = 0; i < run->n_touched; i++)
		if (observe_links(a->observe, &run->touched[i], &err) < 0)
			log_debug("cannot read links", kv_str("error", err.text));
	run->n_touched = 0;
}

/* wireguard-go runs and has made its device, or could not */
static void wireguard_started(void *arg, int code, int fd, const char *text)
{
	struct apply *a = arg;
	struct run *run = a->run;
	const struct op *op = &run->ops[run->wg_from];
	struct err err = {0};

	autoclose_(&fd);
	run->busy = false;
	if (code < 0)
		err_set(&err, code, "%s: make: the kernel has no WireGuard, and wireguard-go: %s", op->link->name,
			text && text[0] ? text : strerror(-code));
	else
		code = apply_link_take(a->observe, op, &err);
	run_ended(run, op, code, &err);
	run_touch(run, op->net);
	if (code == 0) {
		run_read_links(a);
		gather_all(a->broker, observe_nets(a->observe));
	}
	run_go(a);
}

static void wireguard_start(struct apply *a, const struct op *op)
{
	struct broker_ns ns = {.name = "wireguard"};

	a->run->busy = true;
	a->run->wg_from = (size_t)(op - a->run->ops);
	str_copy(ns.iface, op->link->name);
	broker_call(a->broker, BROKER_WIREGUARD, &ns, 0, -1, wireguard_started, a);
}

static void run_link(struct apply *a, const struct op *op)
{
	struct err err = {0};

	if (op->kind == OP_LINK_ADD && op->link->kind == LINK_WIREGUARD && a->broker) {
		int rc = apply_link(a->observe, op, &err);
		if (rc == -EOPNOTSUPP) {
			wireguard_start(a, op);
			return;
		}
		run_ended(a->run, op, rc, &err);
		run_touch(a->run, op->net);
		return;
	}
	int rc = apply_link(a->observe, op, &err);
	if (rc == 0 && op->kind == OP_LINK_ADD)
		gather_link(a->broker, observe_nets(a->observe), &op->net->id, op->link);
	run_ended(a->run, op, rc, &err);
	run_touch(a->run, op->net);
	run_touch(a->run, op->peer_net);
}

/* --- the leg's shortcut --- */

static void run_shortcut(struct apply *a, const struct op *op)
{
	struct nl *nl = observe_net_nf(a->observe, &op->net->id);
	autobuf struct buf messages = {0};
	struct err err = {0};
	int code;

	if (op->kind == OP_SHORTCUT_REPLACE)
		buf_append(&messages, op->nft->raw.data, op->nft->raw.len);
	else
		nft_netdev_remove(&messages);
	code = nl ? nl_transaction(nl, messages.data, messages.len, &err)
		  : err_set(&err, -ENODEV, "the namespace is not open, or has no nf_tables");
	/* a container that has just gone gives the first of these too, but not for long enough to be told */
	if ((code == -ENOENT || code == -EOPNOTSUPP) && op->net->id.kind == NET_VNI)
		err_set(&err, code,
			"%s; multicast over the overlay needs CONFIG_NF_TABLES_NETDEV and CONFIG_NFT_DUP_NETDEV",
			strerror(-code));
	else if (code == -ENOENT || code == -EOPNOTSUPP)
		err_set(&err, code,
			"%s; needs Linux 5.16 with CONFIG_NETFILTER_EGRESS, CONFIG_NF_TABLES_NETDEV and "
			"CONFIG_NFT_FWD_NETDEV, or LEG_SHORTCUT=off",
			strerror(-code));
	run_ended(a->run, op, code, &err);
	observe_nft(a->observe, &op->net->id);
}

/* --- the WireGuard device --- */

static bool is_wg(const struct op *op)
{
	return op->kind == OP_WG_DEVICE || op->kind == OP_WG_PEER || op->kind == OP_WG_REMOVE;
}

static void wg_changed(void *arg, int code, const char *why)
{
	struct apply *a = arg;
	struct run *run = a->run;
	struct err err = {0};

	if (code < 0)
		err_set(&err, code, "%s", why);
	explicit_bzero(run->wg, (run->wg_to - run->wg_from) * sizeof(*run->wg));
	free(steal_ptr(run->wg));
	for (size_t i = run->wg_from; i < run->wg_to; i++)
		run_ended(run, &run->ops[i], code, &err);
	run->busy = false;
	run_go(a);
}

/* Those of one device, which stand together, are one request */
static void run_wg(struct apply *a)
{
	struct run *run = a->run;
	struct wg_change c = {0};

	run->wg_from = run->wg_to = run->at;
	unsigned slot = run->ops[run->at].wg->slot;
	while (run->wg_to < run->n && is_wg(&run->ops[run->wg_to]) && run->ops[run->wg_to].wg->slot == slot)
		run->wg_to++;
	c.peers = run->wg = xcalloc(run->wg_to - run->wg_from, sizeof(*run->wg));
	for (size_t i = run->wg_from; i < run->wg_to; i++) {
		const struct op_wg *w = run->ops[i].wg;
		if (run->ops[i].kind != OP_WG_DEVICE) {
			run->wg[c.n_peers++] = w->peer;
			continue;
		}
		c.set_private_key = w->set_private_key;
		c.set_port = w->set_port;
		memcpy(c.private_key, w->private_key, sizeof(c.private_key));
		c.port = w->port;
	}
	run->at = run->wg_to;
	run->busy = true;
	wg_control_change(observe_wireguard(a->observe), slot, &c, wg_changed, a);
	explicit_bzero(&c, sizeof(c));
}

/* --- entries --- */

static bool is_entry(const struct op *op)
{
	return op->kind == OP_ENTRY_ADD || op->kind == OP_ENTRY_REMOVE;
}

static bool is_done_anyway(const struct op *op, int code)
{
	if (op->kind == OP_ENTRY_ADD)
		return code == -EEXIST;
	return code == -ENOENT || code == -ESRCH || code == -ENODEV || code == -EADDRNOTAVAIL || code == -ENXIO;
}

static void entry_failed(void *arg, void *cookie, int code, const char *extack)
{
	struct run *run = arg;
	char why[256];

	size_t i = (size_t)(uintptr_t)cookie - 1;
	if (is_done_anyway(&run->ops[i], code))
		return;
	run->failed[i] = true;
	if (extack[0])
		str_print(why, "%s (%s)", strerror(-code), extack);
	else
		str_print(why, "%s", strerror(-code));
	run_fail(run, &run->ops[i], code, why);
}

/* Ifindex of an entry's device; the same one thousands of times in a row */
struct device {
	char name[16];
	int ifindex;
};

static int device_index(const struct net *actual, const struct entry *e, struct device *last)
{
	if (!e->dev[0] || e->type == ENTRY_RULE)
		return 0;
	if (!last->ifindex || !str_eq(last->name, e->dev)) {
		const struct link *l = net_link(actual, e->dev);
		memcpy(last->name, e->dev, sizeof(last->name));
		last->ifindex = l ? l->ifindex : 0;
	}
	return last->ifindex ? last->ifindex : -ENODEV;
}

static void entry_write(struct run *run, size_t i, struct nl *nl, const struct net *actual, struct device *device)
{
	const struct op *op = &run->ops[i];
	const struct entry *e = op->entry;
	bool remove = op->kind == OP_ENTRY_REMOVE;
	int ifindex = device_index(actual, e, device);

	if (ifindex < 0 && (!remove || e->type != ENTRY_ROUTE)) {
		if (!remove)
			entry_failed(run, (void *)(uintptr_t)(i + 1), -ENODEV, e->dev);
		return; /* with the device, what stood on it is gone. A route is removed by its key alone */
	}
	struct encode_head head = encode_entry_head(e, remove);
	encode_entry(nl_begin(nl, head.type, head.flags, (void *)(uintptr_t)(i + 1)), e, ifindex > 0 ? ifindex : 0,
		     remove);
	nl_end(nl);
}

/* The entries from @at on that belong to one net, in one batch. Return: behind the last */
static size_t run_entries(struct apply *a, size_t at)
{
	struct run *run = a->run;
	const struct net *net = run->ops[at].net;
	const struct net *actual = net_list_find(observe_nets(a->observe), &net->id);
	struct nl *nl = observe_net_nl(a->observe, &net->id);
	struct device device = {0};
	size_t end = at;

	while (end < run->n && end - at < ENTRIES_A_BATCH && is_entry(&run->ops[end]) && run->ops[end].net == net)
		end++;
	if (!nl || !actual) {
		for (size_t i = at; i < end; i++)
			run_fail(run, &run->ops[i], -ENODEV, "the namespace is not open");
		return end;
	}
	for (size_t i = at; i < end; i++)
		entry_write(run, i, nl, actual, &device);
	if (nl_commit(nl, entry_failed, run) < 0)
		log_debug("netlink socket failed", kv_str("operation", "entries"));
	for (size_t i = at; i < end; i++) {
		if (run->failed[i])
			continue;
		run->result.done++;
		observe_applied(a->observe, &net->id, run->ops[i].entry, run->ops[i].kind == OP_ENTRY_REMOVE);
	}
	return end;
}

/* --- the run --- */

static void run_finish(struct apply *a)
{
	struct run *run = steal_ptr(a->run);

	run->fn(run->arg, &run->result);
	run_free(run);
}

/* Go on until something must be waited for, or the end */
static void run_go(struct apply *a)
{
	struct run *run = a->run;

	while (run->at < run->n && !run->busy) {
		const struct op *op = &run->ops[run->at];
		if (is_nft(op)) {
			if (a->n_nft == NFT_AT_ONCE || (run->n_awaited && !is_awaited(op)))
				return;
			nft_start(a, run->at++);
			continue;
		}
		if (run->n_awaited || timer_is_set(a->next))
			return;
		if (is_entry(op)) {
			run_read_links(a);
			run->at = run_entries(a, run->at);
			if (run->at < run->n && run->at - run->paused_at >= ENTRIES_A_BATCH) {
				run->paused_at = run->at;
				timer_start(a->next, 0);
				return;
			}
		} else if (is_shortcut(op)) {
			run_shortcut(a, op);
			run->at++;
		} else if (is_wg(op)) {
			run_read_links(a);
			run_wg(a);
		} else {
			run_link(a, op);
			run->at++;
		}
	}
	if (a->n_nft || run->busy)
		return;
	run_read_links(a);
	run_finish(a);
}

static void on_next(void *arg)
{
	run_go(arg);
}

struct apply *apply_new(uv_loop_t *loop, struct broker *broker, struct observe *o)
{
	struct apply *a = xcalloc(1, sizeof(*a));

	a->loop = loop;
	a->broker = broker;
	a->observe = o;
	a->next = timer_new(loop, "apply", on_next, a);
	return a;
}

void apply_free(struct apply *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n_nft; i++) {
		child_abandon(a->nft[i]->child);
		close(a->nft[i]->memfd);
		free(a->nft[i]);
	}
	timer_free(a->next);
	run_free(a->run);
	free(a);
}

bool apply_busy(const struct apply *a)
{
	return a->run != NULL;
}

void apply_run(struct apply *a, const struct plan *plan, apply_done_fn *fn, void *arg)
{
	a->run = run_new(plan, fn, arg);
	run_go(a);
}
