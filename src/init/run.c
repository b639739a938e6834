/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of PID 1. See init/run.h for the states.
 */
#include "init/run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "init/pump.h"
#include "init/signals.h"
#include "init/wait.h"

#define BACKOFF_MIN_US (100 * USEC_PER_MSEC)
#define BACKOFF_MAX_US (30 * USEC_PER_SEC)
#define PUMP_MIN_US    (10 * USEC_PER_MSEC)
#define PUMP_MAX_US    (100 * USEC_PER_MSEC) /* a FIFO is soon full */
#define LOOK_AGAIN_US  (200 * USEC_PER_MSEC)
#define STEADY_US      (10 * USEC_PER_SEC) /* who ran that long begins again with the shortest */
#define END_ALSO_US    (2 * USEC_PER_SEC)
#define END_LOGS_US    (5 * USEC_PER_SEC)
#define NEVER	       INT64_MAX

enum phase { PHASE_WAIT, PHASE_RUN, PHASE_END_ALSO, PHASE_END_LOGS, PHASE_DONE };

/* a child that is started again */
struct kept {
	pid_t pid;
	mono_t began;
	int64_t again_us; /* when to start it; NEVER while it runs, or for good */
	int64_t backoff_us;
};

struct init {
	const struct init_options *o;
	enum phase phase;
	int64_t deadline_us; /* of the phase */
	int status;
	uint64_t mask_before;
	int signal_fd, watch_fd;
	pid_t program, waiter;
	struct kept also[LIMIT_INIT_ALSO];
	struct log_file files[LIMIT_INIT_LOGS];
	struct pump_log logs[LIMIT_INIT_LOGS];
	struct kept pump;
	int64_t look_us; /* when to look after the logs without an event; NEVER */
	bool look_failed;
};

static int64_t now_us(void)
{
	return mono_now().us;
}

/* --- children
 * --------------------------------------------------------------------------------------------------------- */

/* In a child: as if we had never been. @tty: take the terminal's foreground, where stdin is one */
static void child_begin(const struct init *in, bool tty)
{
	setpgid(0, 0);
	/* SIGTTOU is still blocked, or a process in the background would stop here */
	if (tty)
		tcsetpgrp(STDIN_FILENO, getpgrp());
	signals_block(in->mask_before);
}

static pid_t child_exec(const struct init *in, char **argv, bool tty)
{
	pid_t pid = fork();

	if (pid != 0) {
		if (pid < 0)
			log_error("fork", kv_str("why", strerror(errno)));
		else
			setpgid(pid, pid); /* here too: a signal may be passed on before the child has done it */
		return pid;
	}
	child_begin(in, tty);
	execvp(argv[0], argv);
	int why = errno;
	log_error("cannot be run", kv_str("program", argv[0]), kv_str("why", strerror(why)));
	_exit(why == ENOENT ? 127 : 126);
}

static void program_start(struct init *in)
{
	in->phase = PHASE_RUN;
	in->program = child_exec(in, in->o->command, true);
	if (in->program < 0) {
		in->status = 126;
		in->phase = PHASE_END_ALSO;
		in->deadline_us = 0;
	}
}

static void waiter_start(struct init *in)
{
	in->waiter = fork();
	if (in->waiter == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signals_block(0);
		_exit(wait_run(&in->o->wait) == 0 ? 0 : 1);
	}
	if (in->waiter < 0)
		log_error("fork", kv_str("why", strerror(errno)));
}

static void kept_started(struct kept *k, pid_t pid)
{
	k->pid = pid > 0 ? pid : 0;
	k->began = mono_now();
	k->again_us = pid > 0 ? NEVER : now_us() + BACKOFF_MAX_US;
}

/* it ended: when is it started again? */
static void kept_again(struct kept *k, int64_t least_us, int64_t most_us)
{
	if (k->backoff_us < least_us || now_us() - k->began.us >= STEADY_US)
		k->backoff_us = least_us;
	k->again_us = now_us() + k->backoff_us;
	k->backoff_us = k->backoff_us * 2 < most_us ? k->backoff_us * 2 : most_us;
}

static void pump_start(struct init *in)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* where we are not PID 1 and are killed: it passes on what is there, and ends */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		prctl(PR_SET_NAME, PUMP_NAME);
		int r = pump_run(in->logs, in->o->n_logs, in->o->log_block);
		_exit(r < 0 ? 2 : r);
	}
	if (pid < 0)
		log_error("fork", kv_str("why", strerror(errno)));
	kept_started(&in->pump, pid);
	if (pid > 0 && in->phase == PHASE_END_LOGS)
		kill(pid, SIGTERM); /* the one before ended without being done */
}

static void also_start(struct init *in, size_t i)
{
	kept_started(&in->also[i], child_exec(in, in->o->also[i].argv, false));
}

static int status_of(int w)
{
	return WIFSIGNALED(w) ? 128 + WTERMSIG(w) : WEXITSTATUS(w);
}

/* --- logs
 * ------------------------------------------------------------------------------------------------------------- */

static int logs_begin(struct init *in)
{
	struct err err = {0};
	bool is_new;
	int r = 0;

	if (!in->o->n_logs)
		return 0;
	in->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	for (size_t i = 0; i < in->o->n_logs && r == 0; i++) {
		in->files[i] = (struct log_file){.path = in->o->logs[i].path, .out = in->o->logs[i].fd};
		r = log_file_place(&in->files[i], in->watch_fd, &is_new, &err);
		if (r == 0 && (r = pump_log_init(&in->logs[i], &in->files[i], in->o->log_block)) < 0)
			err_errno(&err, r, "log %s", in->files[i].path);
	}
	if (r < 0)
		log_error(err.text);
	else
		pump_start(in);
	return r;
}

/* something happened in the folder of a log */
static void logs_look(struct init *in)
{
	char events[4096];
	bool changed = false, failed = false;

	while (read(in->watch_fd, events, sizeof(events)) > 0)
		;
	for (size_t i = 0; i < in->o->n_logs; i++) {
		struct err err = {0};
		bool is_new = false;
		if (log_file_place(&in->files[i], in->watch_fd, &is_new, &err) < 0) {
			/* a folder that goes while it is looked at tells nothing more: it is tried again, and said once
			 */
			if (!in->look_failed)
				log_error(err.text);
			failed = true;
		}
		changed = changed || is_new;
	}
	in->look_failed = failed;
	in->look_us = failed ? now_us() + LOOK_AGAIN_US : NEVER;
	if (changed && in->pump.pid)
		kill(in->pump.pid, SIGUSR1); /* its successor knows the new ones */
}

static void pump_ended(struct init *in, int w)
{
	in->pump.pid = 0;
	for (size_t i = 0; i < in->o->n_logs; i++)
		log_file_prune(&in->files[i]);
	if (w == 0 && in->phase == PHASE_END_LOGS) {
		in->phase = PHASE_DONE; /* all is out */
		return;
	}
	bool killed = !WIFEXITED(w) || WEXITSTATUS(w) != PUMP_AGAIN; /* 0: somebody else sent it SIGTERM */
	if (killed)
		log_warning("the log pump ended and is started again", kv_int("status", status_of(w)));
	kept_again(&in->pump, killed ? PUMP_MIN_US : 0, killed ? PUMP_MAX_US : 0);
}

/* --- the end
 * ---------------------------------------------------------------------------------------------------------- */

static bool also_runs(const struct init *in)
{
	for (size_t i = 0; i < in->o->n_also; i++)
		if (in->also[i].pid)
			return true;
	return false;
}

static void also_kill(struct init *in, int number)
{
	for (size_t i = 0; i < in->o->n_also; i++)
		if (in->also[i].pid)
			kill(-in->also[i].pid, number);
}

static void end_begin(struct init *in, int status)
{
	in->status = status;
	in->phase = PHASE_END_ALSO;
	in->deadline_us = now_us() + END_ALSO_US;
	also_kill(in, SIGTERM);
	if (in->o->group && in->program > 0)
		kill(-in->program, SIGTERM); /* what it left of its group */
}

/* on to the next phase, when this one is over */
static void end_step(struct init *in)
{
	if (in->phase == PHASE_END_ALSO && also_runs(in) && now_us() >= in->deadline_us) {
		also_kill(in, SIGKILL);
		in->deadline_us = NEVER;
	}
	if (in->phase == PHASE_END_ALSO && !also_runs(in)) {
		in->phase = in->o->n_logs ? PHASE_END_LOGS : PHASE_DONE;
		in->deadline_us = now_us() + END_LOGS_US;
		if (in->o->n_logs)
			logs_look(in); /* what was rotated last */
		if (in->pump.pid)
			kill(in->pump.pid, SIGTERM);
	}
	if (in->phase == PHASE_END_LOGS && now_us() >= in->deadline_us) {
		log_warning("nobody reads stdout: what is left of the logs is lost");
		if (in->pump.pid)
			kill(in->pump.pid, SIGKILL);
		in->phase = PHASE_DONE;
	}
}

/* --- events
 * ----------------------------------------------------------------------------------------------------------- */

static void also_ended(struct init *in, size_t i, int w)
{
	const struct also_option *a = &in->o->also[i];
	struct kept *k = &in->also[i];

	k->pid = 0;
	if (in->phase >= PHASE_END_ALSO)
		return;
	if (a->restart == RESTART_NEVER || (a->restart == RESTART_ON_FAILURE && w == 0)) {
		log_info("a side process ended", kv_str("also", a->text), kv_int("status", status_of(w)));
		return;
	}
	kept_again(k, BACKOFF_MIN_US, BACKOFF_MAX_US);
	log_warning("a side process ended and is started again", kv_str("also", a->text),
		    kv_int("status", status_of(w)), kv_int("in_ms", (k->again_us - now_us()) / USEC_PER_MSEC));
}

static void program_ended(struct init *in, int w)
{
	int status = status_of(w);

	if (status < 256 && in->o->ok_status[status / 64] >> status % 64 & 1)
		status = 0;
	end_begin(in, status);
	in->program = 0;
}

static void waiter_ended(struct init *in, int w)
{
	in->waiter = 0;
	if (in->phase != PHASE_WAIT)
		return;
	if (w == 0)
		program_start(in);
	else
		end_begin(in, 1);
}

static void reap(struct init *in)
{
	pid_t pid;
	int w;

	while ((pid = waitpid(-1, &w, WNOHANG)) > 0) {
		if (pid == in->program)
			program_ended(in, w);
		else if (pid == in->waiter)
			waiter_ended(in, w);
		else if (pid == in->pump.pid)
			pump_ended(in, w);
		for (size_t i = 0; i < in->o->n_also; i++)
			if (pid == in->also[i].pid)
				also_ended(in, i, w);
	}
}

static void signal_arrived(struct init *in, int number)
{
	if (number == SIGCHLD)
		return; /* every round reaps */
	int to = in->o->rewrite[number];
	if (in->phase == PHASE_WAIT &&
	    (to == SIGTERM || to == SIGINT || to == SIGQUIT || to == SIGHUP || to == SIGKILL)) {
		if (in->waiter > 0)
			kill(in->waiter, SIGKILL);
		end_begin(in, 128 + to);
	} else if (in->program > 0 && to) {
		kill(in->o->group ? -in->program : in->program, to);
	}
}

static int64_t next_us(const struct init *in)
{
	int64_t next = in->phase >= PHASE_END_ALSO ? in->deadline_us : NEVER;

	if (in->o->n_logs && !in->pump.pid && in->pump.again_us < next)
		next = in->pump.again_us;
	if (in->phase < PHASE_END_LOGS && in->look_us < next)
		next = in->look_us;
	for (size_t i = 0; i < in->o->n_also && in->phase < PHASE_END_ALSO; i++)
		if (in->also[i].again_us < next)
			next = in->also[i].again_us;
	return next;
}

static void start_due(struct init *in)
{
	int64_t now = now_us();

	if (in->o->n_logs && !in->pump.pid && in->pump.again_us <= now && in->phase < PHASE_DONE)
		pump_start(in);
	for (size_t i = 0; i < in->o->n_also && in->phase < PHASE_END_ALSO; i++)
		if (!in->also[i].pid && in->also[i].again_us <= now)
			also_start(in, i);
}

static void init_loop(struct init *in)
{
	struct pollfd polls[] = {{.fd = in->signal_fd, .events = POLLIN}, {.fd = in->watch_fd, .events = POLLIN}};

	while (in->phase != PHASE_DONE) {
		int64_t next = next_us(in), now = now_us();
		int timeout = next == NEVER ? -1 : next <= now ? 0 : (int)((next - now + 999) / 1000);
		polls[1].revents = 0;
		poll(polls, ARRAY_LEN(polls), timeout);
		for (int s; (s = signals_read(in->signal_fd));)
			signal_arrived(in, s);
		reap(in);
		if ((polls[1].revents || in->look_us <= now_us()) && in->phase < PHASE_END_LOGS)
			logs_look(in);
		start_due(in);
		end_step(in);
	}
}

/* 0, 1 and 2 are there, so that nothing else gets their numbers */
static void std_open(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int init_run(const struct init_options *o)
{
	struct init in = {.o = o, .phase = PHASE_WAIT, .watch_fd = -1, .look_us = NEVER, .status = 1};

	std_open();
	in.mask_before = signals_block(~SIGNALS_OWN);
	in.signal_fd = signals_fd(~SIGNALS_OWN);
	if (in.signal_fd < 0) {
		log_error("signalfd", kv_str("why", strerror(-in.signal_fd)));
		return 1;
	}
	if (getpid() != 1)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (o->death_signal)
		prctl(PR_SET_PDEATHSIG, o->death_signal);
	if (logs_begin(&in) < 0)
		return 1;
	for (size_t i = 0; i < o->n_also; i++)
		also_start(&in, i);
	if (wait_is_needed(&o->wait))
		waiter_start(&in);
	else
		program_start(&in);
	init_loop(&in);
	for (size_t i = 0; i < o->n_logs; i++) {
		pump_log_done(&in.logs[i]);
		log_file_done(&in.files[i]);
	}
	return in.status;
}

int hold_run(void)
{
	signals_block(~SIGNALS_OWN);
	int fd = signals_fd(~SIGNALS_OWN);

	if (fd < 0)
		return 1;
	if (getpid() != 1)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (struct pollfd p = {.fd = fd, .events = POLLIN};;) {
		poll(&p, 1, -1);
		int s = signals_read(fd);
		if (s == SIGTERM || s == SIGINT || s == SIGQUIT)
			return 0;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
