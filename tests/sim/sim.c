/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulation of gossip: schedules of faults made from seeds, and what must hold after each; measurements of how
 * fast news spread, what idling costs, and of false alarms. Without arguments: the test, as TAP.
 *
 *	sim --seed N --nodes N [--trace]       one schedule
 *	sim --seeds FIRST LAST --nodes N       many; 0 nodes: of 2 to 50
 *	sim --full                             all of them, and the curve; tells how far it is
 *	sim --curve N [LOSS]                   join, crash and leave among N; LOSS in percent
 *	sim --idle N | --calm N SECONDS LOSS   traffic; false alarms
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "net.h"

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#else
#define SANITIZED 0
#endif
#define SEC	  USEC_PER_SEC
#define FACT_KEYS 4
/* Sent and received by one host in the worst schedule, on average: much of the table is new again and again */
#define MAX_BYTES_S	 120000
#define MAX_BYTES_S_NODE 300
#define MAX_RECORD	 2500 /* a member with its facts */
#define MAX_DATAGRAMS_S	 300  /* sent by one host on average */
#define MAX_TOLD	 512  /* and at once, by who wakes up among many who think others dead: LOST_BURST */
#define MAX_MEMORY	 100000
#define MAX_MEMORY_NODE	 250 /* and its facts */
#define LARGE		 200 /* hosts, from which on it is a question of what a CPU can do */

struct args {
	uint64_t seed, last_seed;
	size_t nodes;
	bool heavy; /* among many: parts of any size, and for longer */
	bool trace;
};

static double cpu_s(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* --- schedules --- */

/* struct storm - What one schedule does, and for how long */
struct storm {
	struct net net;
	struct args args;
	int64_t calm_us; /* faults end here */
	int64_t heal_us; /* the partition ends here, INT64_MAX: there is none */
	size_t faults, starts;
	size_t memory; /* the most that any host had, as often as was looked */
	bool large;
};

static uint32_t any(struct net *net)
{
	return (uint32_t)net_random(net, net->n_hosts);
}

static void start(struct storm *st, uint32_t host, uint64_t incarnation)
{
	struct net *net = &st->net;
	uint32_t join[3];
	size_t n = 1 + net_random(net, 3);

	for (size_t i = 0; i < n; i++)
		join[i] = i == 0 ? 0 : any(net);
	st->starts++;
	net_start(net, host, incarnation, join, n, false);
	for (uint64_t key = 0; key < net_random(net, FACT_KEYS + 1); key++)
		net_tell(net, host, key + 1, 1 + net_random(net, st->large ? 100 : 900));
}

static void weather(struct storm *st)
{
	static const unsigned losses[] = {0, 0, 10, 10, 50, 100, 200, 300};
	/* at 30 % one of ten probes says that somebody is dead who is not, and all tell each other so */
	size_t n = ARRAY_LEN(losses) - (st->large && !st->args.heavy ? 2 : 0);
	struct net *net = &st->net;

	net->loss = losses[net_random(net, n)];
	net->doubled = (unsigned)net_random(net, 4) * 30;
	net->delay_min_us = 100 + (int64_t)net_random(net, 20000);
	net->delay_max_us = net->delay_min_us + (int64_t)net_random(net, 60000);
}

static void partition(struct storm *st)
{
	struct net *net = &st->net;
	unsigned sides = 2 + (unsigned)net_random(net, 2);
	/* most are short; one in sixteen lasts up to half an hour */
	int64_t lasts_us =
		net_random(net, 16) ? (int64_t)net_random(net, 40) * SEC : (int64_t)(60 + net_random(net, 1740)) * SEC;
	/* when halves of many part, each tells each of half of the others, three times: minutes of a CPU */
	size_t few = !st->large ? 0 : st->args.heavy && net_random(net, 2) ? 0 : 1 + net_random(net, net->n_hosts / 50);

	if (st->large && !(st->args.heavy && st->args.seed % 20 == 0))
		lasts_us %= (st->args.heavy ? 40 : 3) * SEC;
	for (size_t i = 0; i < net->n_hosts && !few; i++)
		net->hosts[i].side = (uint8_t)net_random(net, sides);
	for (size_t i = 0; i < few; i++)
		net->hosts[any(net)].side = (uint8_t)(1 + net_random(net, sides - 1));
	st->heal_us = net->now_us + lasts_us;
	if (st->calm_us < st->heal_us)
		st->calm_us = st->heal_us;
	if (net->trace)
		printf("%12.6f partition into %u for %d s\n", (double)net->now_us / 1e6, sides, (int)(lasts_us / SEC));
}

static void heal(struct storm *st)
{
	for (size_t i = 0; i < st->net.n_hosts; i++)
		st->net.hosts[i].side = 0;
	st->heal_us = INT64_MAX;
	if (st->net.trace)
		printf("%12.6f partition heals\n", (double)st->net.now_us / 1e6);
}

/* In the middle of it, since later it is given back */
static void memory_look(struct storm *st)
{
	struct net *net = &st->net;

	for (uint32_t i = 0; i < net->n_hosts; i += st->large ? 1 + (uint32_t)net->n_hosts / 8 : 1) {
		const struct gossip *g = net->hosts[i].gossip;
		size_t bytes = g ? gossip_bytes(g) : 0;

		st->memory = bytes > st->memory ? bytes : st->memory;
	}
}

static void fault(struct storm *st)
{
	struct net *net = &st->net;
	uint32_t host = any(net);
	struct host *h = &net->hosts[host];

	st->faults++;
	memory_look(st);
	switch (net_random(net, 9)) {
	case 0:
	case 1:
		if (h->gossip)
			net_crash(net, host);
		else /* with what a clock gives, the same, or one from long ago */
			start(st, host, net_random(net, 2) ? h->incarnation + 10 : net_random(net, h->incarnation + 1));
		break;
	case 2:
		if (h->gossip && !h->leaving && h->asleep_us <= net->now_us)
			net_leave(net, host);
		break;
	case 3:
		if (h->gossip) { /* restart at once */
			net_crash(net, host);
			start(st, host, net_random(net, 2) ? h->incarnation + 1 : 0);
		}
		break;
	case 4:
		if (h->gossip && !h->leaving)
			h->asleep_us = net->now_us + (int64_t)net_random(net, 8000) * 1000;
		break;
	case 5:
		h->slow_us = net_random(net, 3) ? 0 : (int64_t)net_random(net, 150) * 1000;
		break;
	case 6:
		if (st->heal_us == INT64_MAX)
			partition(st);
		break;
	case 7:
		weather(st);
		break;
	case 8:
		if (h->gossip && !h->leaving)
			net_tell(net, host, 1 + net_random(net, FACT_KEYS),
				 net_random(net, 3) ? net_random(net, st->large ? 100 : 1000) : 0);
		break;
	}
}

/* Everybody is well, and those that are down come back, or not */
static void calm(struct storm *st)
{
	struct net *net = &st->net;

	heal(st);
	net->loss = 10;
	net->doubled = 0;
	net->delay_min_us = 200;
	net->delay_max_us = 2000;
	net_run(net, net->now_us + SEC); /* who is about to leave does */
	for (uint32_t i = 0; i < net->n_hosts; i++) {
		struct host *h = &net->hosts[i];

		h->slow_us = 0;
		h->asleep_us = 0;
		if (!h->gossip && (i == 0 || net_random(net, 2)))
			start(st, i, h->incarnation + 1);
	}
}

static bool storm_check(const struct storm *st, int64_t calm_at_us)
{
	const struct net *net = &st->net;
	size_t allowed = MAX_MEMORY + net->n_hosts * (MAX_MEMORY_NODE + (FACT_KEYS + 1) * 1100);
	int64_t seconds = net->now_us / SEC + 10;
	bool good = true;

	if (net_agreed(net)) {
		/* of many some are looked at: all have the same sum */
		for (uint32_t i = 0; i < net->n_hosts; i += st->large ? 1 + (uint32_t)net->n_hosts / 8 : 1) {
			uint32_t about = net->hosts[i].gossip ? net_untrue(net, i, FACT_KEYS) : UINT32_MAX;

			if (about == UINT32_MAX)
				continue;
			printf("  seed %" PRIu64 ": host %u believes what is not so of host %u\n", st->args.seed, i,
			       about);
			good = false;
		}
	} else {
		printf("  seed %" PRIu64 ", %zu nodes: no agreement %d s after the last fault\n", st->args.seed,
		       net->n_hosts, (int)((net->now_us - calm_at_us) / SEC));
		if (net->n_hosts <= 50)
			net_disagreement(net);
		good = false;
	}
	for (size_t i = 0; i < net->n_hosts; i++) {
		const struct host *h = &net->hosts[i];
		/* and all may have fetched the whole table from this one */
		if (h->bytes > (uint64_t)seconds * (MAX_BYTES_S + net->n_hosts * MAX_BYTES_S_NODE) +
				       st->starts * net->n_hosts * MAX_RECORD) {
			printf("  seed %" PRIu64 ": host %zu moved %" PRIu64 " bytes in %d s\n", st->args.seed, i,
			       h->bytes, (int)(net->now_us / SEC));
			good = false;
		}
		if (h->datagrams > (uint64_t)seconds * MAX_DATAGRAMS_S + MAX_TOLD) {
			printf("  seed %" PRIu64 ": host %zu sent %" PRIu64 " datagrams in %d s\n", st->args.seed, i,
			       h->datagrams, (int)seconds);
			good = false;
		}
	}
	if (st->memory > allowed) {
		printf("  seed %" PRIu64 ": a host held %zu bytes of memory\n", st->args.seed, st->memory);
		good = false;
	}
	return good;
}

/* Return: how long agreement took, -1: it did not come */
static int64_t storm_run(const struct args *args)
{
	struct storm st = {.args = *args, .heal_us = INT64_MAX};
	struct net *net = &st.net;
	int64_t next_us, calm_at_us, bound_us, took_us = -1;
	bool large = args->nodes > LARGE;

	st.large = large;
	net_init(net, args->nodes, args->seed);
	net->trace = args->trace;
	weather(&st);
	for (uint32_t i = 0; i < net->n_hosts; i++) {
		net->hosts[i].skew_ppm = (int32_t)net_random(net, 4001) - 2000;
		net->hosts[i].incarnation = net_random(net, 1000);
	}
	for (uint32_t i = 0; i < net->n_hosts; i++) {
		/* they all were there before; some have nobody to ask, so that only the dead's being pinged heals */
		if (large || args->seed % 4 == 0)
			net_start(net, i, net->hosts[i].incarnation, (uint32_t[]){0}, large, true);
		else if (i == 0 || net_random(net, 8))
			start(&st, i, net->hosts[i].incarnation);
	}
	if (large && !args->heavy)
		st.calm_us = (args->nodes > 2000 ? 2 : 4) * SEC;
	else
		st.calm_us = (int64_t)(10 + (args->nodes > 2000 ? 0 : net_random(net, 30))) * SEC;
	for (next_us = 0; net->now_us < st.calm_us;) {
		next_us +=
			large ? (int64_t)net_random(net, 200000)
			      : (int64_t)net_random(net, 3 * SEC) +
					(st.heal_us - net->now_us > 60 * SEC && st.heal_us != INT64_MAX ? 20 * SEC : 0);
		if (next_us > st.heal_us && st.heal_us != INT64_MAX) {
			net_run(net, st.heal_us);
			heal(&st);
		}
		net_run(net, next_us);
		fault(&st);
	}
	memory_look(&st);
	calm(&st);
	calm_at_us = net->now_us;
	bound_us = large ? 60 * SEC : 40 * SEC;
	while (net->now_us < calm_at_us + bound_us) {
		net_run(net, net->now_us + 100 * USEC_PER_MSEC);
		if (net_agreed(net)) {
			took_us = net->now_us - calm_at_us;
			break;
		}
	}
	memory_look(&st);
	if (!storm_check(&st, calm_at_us))
		took_us = -1;
	if (args->trace || args->last_seed)
		printf("%zu faults, %" PRIu64 " events, agreement after %.1f s\n", st.faults, net->events,
		       (double)took_us / 1e6);
	net_done(net);
	return took_us;
}

/* --- measurements --- */

static struct net *cluster(size_t nodes, size_t spare, uint64_t seed, unsigned loss)
{
	struct net *net = xcalloc(1, sizeof(*net));

	net_init(net, nodes + spare, seed);
	net->loss = loss;
	net->n_hosts = nodes; /* the spare ones are known to nobody */
	for (uint32_t i = 0; i < nodes; i++)
		net_start(net, i, 0, NULL, 0, true);
	net->n_hosts = nodes + spare;
	net_run(net, 3 * SEC);
	return net;
}

static void cluster_free(struct net *net)
{
	net_done(net);
	free(net);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* struct spread - When the news had come to so many of a hundred, in ms; INT64_MAX: not within the time */
struct spread {
	double at[5];
};
static const unsigned parts[5] = {10, 50, 90, 99, 100};

static struct spread spread(struct net *net, int64_t since_us, uint32_t about)
{
	struct spread s;
	int64_t *when = xcalloc(net->n_hosts, sizeof(*when));
	size_t n = 0;

	for (uint32_t i = 0; i < net->n_hosts; i++) {
		if (i != about && net->hosts[i].gossip)
			when[n++] = net->hosts[i].knows_us;
	}
	qsort(when, n, sizeof(*when), compare);
	for (size_t i = 0; i < 5; i++) {
		int64_t at = n ? when[(n * parts[i] + 99) / 100 - 1] : 0;

		s.at[i] = at == INT64_MAX ? 1e9 : (double)(at - since_us) / 1e3;
	}
	free(when);
	return s;
}

static void watch_until(struct net *net, int64_t until_us, uint32_t about)
{
	bool all;

	do {
		net_run(net, net->now_us + 10 * USEC_PER_MSEC);
		all = true;
		for (uint32_t i = 0; i < net->n_hosts && all; i++)
			all = i == about || !net->hosts[i].gossip || net->hosts[i].knows_us != INT64_MAX;
	} while (!all && net->now_us < until_us);
}

enum measured { JOIN, CRASH, LEAVE, MEASURED_N_ };
static const char *const measured_names[] = {"join", "crash", "leave"};

/* Each @times; the worst, and the median of what the last one of all took */
static void measure(size_t nodes, unsigned loss, unsigned times, struct spread worst[MEASURED_N_],
		    double median_ms[MEASURED_N_])
{
	int64_t *last[MEASURED_N_];
	struct net *net;

	nodes = nodes < 4 ? 4 : nodes; /* one to join, one to die, one to leave, one to see it */
	if (times > (nodes - 2) / 2)
		times = (unsigned)(nodes - 2) / 2;
	net = cluster(nodes, times, 1, loss);
	for (int m = 0; m < MEASURED_N_; m++) {
		last[m] = xcalloc(times, sizeof(**last));
		worst[m] = (struct spread){0};
	}
	for (unsigned t = 0; t < times; t++) {
		for (int m = 0; m < MEASURED_N_; m++) {
			uint32_t about = m == JOIN ? (uint32_t)(nodes + t) : m == CRASH ? t * 2 + 1 : t * 2 + 2;
			int64_t since_us = net->now_us;
			struct spread s;

			net_watch(net, about, m == JOIN);
			if (m == JOIN)
				net_start(net, about, 1, (uint32_t[]){0}, 1, false);
			else if (m == CRASH)
				net_crash(net, about);
			else
				net_leave(net, about);
			watch_until(net, net->now_us + 20 * SEC, about);
			s = spread(net, since_us, about);
			for (size_t i = 0; i < 5; i++)
				worst[m].at[i] = s.at[i] > worst[m].at[i] ? s.at[i] : worst[m].at[i];
			last[m][t] = (int64_t)(s.at[4] * 1e3);
			net_run(net, net->now_us + 2 * SEC);
		}
	}
	for (int m = 0; m < MEASURED_N_; m++) {
		qsort(last[m], times, sizeof(**last), compare);
		median_ms[m] = (double)last[m][times / 2] / 1e3;
		free(last[m]);
	}
	cluster_free(net);
}

static void curve(size_t nodes, unsigned loss, unsigned times)
{
	struct spread worst[MEASURED_N_];
	double median_ms[MEASURED_N_];

	measure(nodes, loss, times, worst, median_ms);
	for (int m = 0; m < MEASURED_N_; m++) {
		printf("# %5zu nodes, %2u %% loss, %-5s: ms until", nodes, loss / 10, measured_names[m]);
		for (size_t i = 0; i < 5; i++)
			printf(" %u %%: %.0f", parts[i], worst[m].at[i]);
		printf(" know (worst of %u; median of the last: %.0f)\n", times, median_ms[m]);
	}
	fflush(stdout);
}

struct cost {
	double bytes_s, wakes_s, memory;
	uint64_t false_alarms;
};

static struct cost idle(size_t nodes, int64_t seconds, unsigned loss, uint64_t seed, size_t fact_bytes)
{
	struct net *net = cluster(nodes, 0, seed, loss);
	struct cost c = {0};

	for (uint32_t i = 0; i < nodes && fact_bytes; i++) {
		net_tell(net, i, 1, fact_bytes);
		net_tell(net, i, 2, fact_bytes);
	}
	net_run(net, net->now_us + 20 * SEC);
	for (size_t i = 0; i < nodes; i++)
		net->hosts[i].bytes = net->hosts[i].wakes = 0;
	net_run(net, net->now_us + seconds * SEC);
	for (size_t i = 0; i < nodes; i++) {
		c.bytes_s += (double)net->hosts[i].bytes / (double)seconds / (double)nodes;
		c.wakes_s += (double)net->hosts[i].wakes / (double)seconds / (double)nodes;
		c.memory += (double)gossip_bytes(net->hosts[i].gossip) / (double)nodes;
	}
	c.false_alarms = net->false_alarms;
	if (!net_agreed(net) && fact_bytes)
		c.false_alarms += 1000000;
	cluster_free(net);
	return c;
}

/* --- the test --- */

static unsigned points, failures;

static void point(bool good, const char *fmt, ...) PRINTF(2, 3);
static void point(bool good, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("%s %u - %s\n", good ? "ok" : "not ok", ++points, text);
	fflush(stdout);
	failures += !good;
}

/* struct tally - What the processes that share the work have done; in memory that they share too */
struct tally {
	_Atomic uint64_t next;
	_Atomic int64_t worst_us, total_us, cpu_us;
	_Atomic size_t failed, done;
};

static void storm_tell(const struct args *args, int64_t took_us, double cpu)
{
	if (took_us < 0)
		printf("# replay: sim --seed %" PRIu64 " --nodes %zu%s --trace\n", args->seed, args->nodes,
		       args->heavy ? " --heavy" : "");
	if (args->nodes > 50)
		printf("# seed %" PRIu64 ", %zu nodes: agreement after %.1f s, %.1f s of CPU\n", args->seed,
		       args->nodes, (double)took_us / 1e6, cpu);
	fflush(stdout);
}

static void storms_worker(struct tally *t, uint64_t last, size_t nodes, bool heavy)
{
	for (uint64_t seed; (seed = atomic_fetch_add(&t->next, 1)) <= last;) {
		/* @nodes 0: any number to 50 */
		struct args args = {.seed = seed, .nodes = nodes ? nodes : 2 + seed * 7919 % 49, .heavy = heavy};
		double begin = cpu_s();
		int64_t took_us = storm_run(&args), worst_us = atomic_load(&t->worst_us);

		storm_tell(&args, took_us, cpu_s() - begin);
		t->failed += took_us < 0;
		t->total_us += took_us < 0 ? 0 : took_us;
		t->cpu_us += (int64_t)((cpu_s() - begin) * 1e6);
		while (took_us > worst_us && !atomic_compare_exchange_weak(&t->worst_us, &worst_us, took_us))
			;
		t->done++;
	}
}

/* Seeds do not depend on each other: a process for each CPU takes one after the other */
static bool storms(uint64_t first, uint64_t last, size_t nodes, bool heavy)
{
	struct tally *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long workers = sysconf(_SC_NPROCESSORS_ONLN);
	bool good;
	int status;

	if (t == MAP_FAILED)
		abort();
	t->next = first;
	fflush(stdout);
	for (long i = 1; i < workers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			storms_worker(t, last, nodes, heavy);
			_exit(0);
		}
	}
	storms_worker(t, last, nodes, heavy);
	good = true;
	while (wait(&status) > 0)
		good = good && status == 0;
	printf("# %zu schedules: agreement after %.1f s on average, %.1f s at worst; %.1f s of CPU\n", t->done,
	       (double)t->total_us / 1e6 / (double)(last - first + 1), (double)t->worst_us / 1e6,
	       (double)t->cpu_us / 1e6);
	good = good && t->failed == 0 && t->done == last - first + 1;
	munmap(t, sizeof(*t));
	return good;
}

static void limits(size_t nodes, unsigned loss, unsigned times, double join_ms, double crash_ms, double leave_ms)
{
	const double most[MEASURED_N_] = {join_ms, crash_ms, leave_ms};
	struct spread worst[MEASURED_N_];
	double median_ms[MEASURED_N_];

	measure(nodes, loss, times, worst, median_ms);
	for (int m = 0; m < MEASURED_N_; m++)
		point(worst[m].at[4] <= most[m],
		      "%zu nodes, %u %% loss: %s known to all after %.0f ms, at worst %.0f of %.0f", nodes, loss / 10,
		      measured_names[m], median_ms[m], worst[m].at[4], most[m]);
}

static int suite(void)
{
	struct cost c;

	limits(20, 0, 8, 300, 2000, 100);
	limits(1000, 10, 2, 1000, 3000, 1000);
	for (size_t nodes = 10; nodes <= 100 && !SANITIZED; nodes *= 10)
		curve(nodes, 10, 4);
	c = idle(20, 3600, 100, 1, 0);
	point(c.false_alarms == 0, "20 nodes, 10 %% loss, an hour: %" PRIu64 " false alarms", c.false_alarms);
	c = idle(100, 60, 0, 1, 0);
	point(c.bytes_s <= 3000 && c.wakes_s <= 15, "100 nodes idle: %.0f bytes/s and %.1f wake-ups/s", c.bytes_s,
	      c.wakes_s);
	c = idle(1000, 5, 10, 1, 0);
	point(c.memory <= 4e6, "1,000 nodes: %.0f kB of memory each, without facts", c.memory / 1e3);
	/* As much as a quarter of an hour for all tests has room for; the sanitizers make it ten times as long */
	point(storms(1, SANITIZED ? 40 : 1000, 0, false), "%d schedules of faults among 2 to 50 nodes",
	      SANITIZED ? 40 : 1000);
	point(storms(1, 2, 150, false), "2 schedules among 150");
	if (!SANITIZED)
		point(storms(1, 20, 1000, false), "20 schedules among 1,000");
	if (!SANITIZED)
		point(storms(1, 2, 5000, false), "2 schedules among 5,000");
	printf("1..%u\n", points);
	return failures > 0;
}

static int suite_full(void)
{
	static const size_t sizes[] = {10, 100, 1000, 5000};
	double begin = cpu_s();

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		curve(sizes[i], 10, sizes[i] > 100 ? 2 : 4);
	point(storms(1, 1000, 0, true), "1,000 schedules among 2 to 50 nodes");
	point(storms(1, 20, 1000, true), "20 among 1,000 nodes");
	point(storms(1, 2, 5000, true), "2 among 5,000 nodes");
	printf("1..%u\n# %.0f s of CPU\n", points, cpu_s() - begin);
	return failures > 0;
}

int main(int argc, char **argv)
{
	struct args args = {.nodes = 20};
	const char *what = argc > 1 ? argv[1] : "";
	bool one = false;

	if (str_eq(what, "--curve") && argc > 2) {
		curve(strtoul(argv[2], NULL, 10), argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) * 10 : 10,
		      strtoul(argv[2], NULL, 10) > 100 ? 3 : 10);
		return 0;
	}
	if ((str_eq(what, "--idle") || str_eq(what, "--calm")) && argc > 2) {
		struct cost c = idle(strtoul(argv[2], NULL, 10), argc > 3 ? strtol(argv[3], NULL, 10) : 60,
				     argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) * 10 : 0, 1,
				     argc > 5 ? strtoul(argv[5], NULL, 10) : 0);

		printf("%.0f bytes/s, %.1f wake-ups/s, %.0f kB of memory, %" PRIu64 " false alarms; %.1f s of CPU\n",
		       c.bytes_s, c.wakes_s, c.memory / 1e3, c.false_alarms, cpu_s());
		return c.false_alarms > 0;
	}
	if (str_eq(what, "--full"))
		return suite_full();
	for (int i = 1; i < argc; i++) {
		if (str_eq(argv[i], "--trace")) {
			args.trace = true;
		} else if (str_eq(argv[i], "--heavy")) {
			args.heavy = true;
		} else if (str_eq(argv[i], "--seed") && i + 1 < argc) {
			args.seed = args.last_seed = strtoull(argv[++i], NULL, 10);
			one = true;
		} else if (str_eq(argv[i], "--seeds") && i + 2 < argc) {
			args.seed = strtoull(argv[++i], NULL, 10);
			args.last_seed = strtoull(argv[++i], NULL, 10);
		} else if (str_eq(argv[i], "--nodes") && i + 1 < argc) {
			args.nodes = strtoul(argv[++i], NULL, 10);
		} else {
			fprintf(stderr, "sim: %s is not understood\n", argv[i]);
			return 2;
		}
	}
	if (args.nodes == 1 || (one && args.nodes == 0)) {
		fprintf(stderr, "sim: --nodes: two or more are needed\n");
		return 2;
	}
	if (one) {
		int64_t took_us = storm_run(&args);

		printf("agreement after %.1f s; %.1f s of CPU\n", (double)took_us / 1e6, cpu_s());
		return took_us < 0;
	}
	return argc > 1 ? !storms(args.seed, args.last_seed, args.nodes, args.heavy) : suite();
}
