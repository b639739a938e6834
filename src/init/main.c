/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router-init: init, wait-net and hold, in one executable that is bind-mounted into images of others. It is
 * linked statically, by musl where that is there, and has no other library: see docs/decisions.
 */
#include "base/log.h"
#include "init/options.h"
#include "init/run.h"
#include "init/wait.h"

static const char init_help[] =
	"Usage: docker-router init [OPTION...] -- PROGRAM [ARGUMENT...]\n\n"
	"Run PROGRAM as PID 1 should: reap, pass signals on, end with its status. In any image, without "
	"docker-router:\n"
	"docker-router-init is a static executable that can be mounted into it.\n\n"
	"  --log FILE[=stdout|stderr]  what is written to FILE goes to stdout (several)\n"
	"  --log-full drop|block       when nobody reads stdout: drop lines and count them, or let the writer wait "
	"(drop)\n"
	"  --wait-if NAME              start PROGRAM when this interface is up (several)\n"
	"  --wait-address              ... and has an address\n"
	"  --wait-for TARGET           ... and tcp://HOST:PORT or unix:/PATH takes connections (several)\n"
	"  --wait-timeout SECONDS      end with status 1 when it takes longer (0: wait for ever)\n"
	"  --also COMMAND              run this beside PROGRAM, and start it again when it ends (several)\n"
	"  --also-restart POLICY       of the --also that follow: always, on-failure, never (always)\n"
	"  -g, --group                 signals go to the process group of PROGRAM\n"
	"  -p, --death-signal SIGNAL   get this when our parent dies\n"
	"  -e, --ok-status STATUS      this exit status of PROGRAM counts as 0 (several)\n"
	"  -r, --rewrite SIGNAL:SIGNAL pass on another signal; 0: none (several)\n"
	"  -s, --subreaper             nothing: it is one wherever it is not PID 1\n"
	"  -h, --help\n"
	"  -V, --version\n\n"
	"docker-router-init wait-net and docker-router-init hold are the commands of docker-router of those names.\n";

static const char wait_help[] =
	"Usage: docker-router wait-net [OPTION...]\n\n"
	"Wait for the network; for entry points: docker-router-init wait-net --if eth1 && exec PROGRAM\n"
	"With NETWORKWAIT=1 in the environment also for /tmp/.nsnetsetup.\n\n"
	"  --if NAME            this interface is up (several)\n"
	"  --address            ... and has an address that can be used\n"
	"  --for TARGET         tcp://HOST:PORT or unix:/PATH takes connections (several)\n"
	"  --timeout SECONDS    end with status 1 when it takes longer (0: wait for ever)\n"
	"  -h, --help\n";

static const char hold_help[] =
	"Usage: docker-router hold\n\n"
	"Do nothing, until SIGTERM: a container whose network others join, by network_mode: service:... of\n"
	"Compose, and which stays when they are started again.\n";

static int wrong(const struct err *err)
{
	fprintf(stderr, "docker-router-init: %s\n", err->text);
	return 2;
}

static int wait_main(char **args)
{
	struct wait_options w;
	struct err err = {0};
	int r = wait_options_parse(args, &w, &err);

	if (r < 0)
		return wrong(&err);
	if (r > 0) {
		fputs(wait_help, stdout);
		return 0;
	}
	return wait_run(&w) < 0 ? 1 : 0;
}

static int hold_main(char **args)
{
	if (args[0] && (str_eq(args[0], "--help") || str_eq(args[0], "-h"))) {
		fputs(hold_help, stdout);
		return 0;
	}
	if (args[0]) {
		fputs("docker-router-init: hold has no options\n", stderr);
		return 2;
	}
	return hold_run();
}

static int init_main(char **args)
{
	struct init_options o;
	struct err err = {0};

	if (init_options_parse(args, &o, &err) < 0)
		return wrong(&err);
	int status = 0;
	if (o.help)
		fputs(init_help, stdout);
	else if (o.version)
		puts("docker-router-init " RELEASE);
	else
		status = init_run(&o);
	init_options_done(&o);
	return status;
}

int main(int argc, char **argv)
{
	char **args = argv + (argc > 0);

	log_init("docker-router-init", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	if (args[0] && str_eq(args[0], "wait-net"))
		return wait_main(args + 1);
	if (args[0] && str_eq(args[0], "hold"))
		return hold_main(args + 1);
	return init_main(args + (args[0] && str_eq(args[0], "init")));
}
