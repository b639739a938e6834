/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: PID 1 of a container.
 *
 *     WAIT --network is there--> RUN --program ended--> END_ALSO --side processes ended--> END_LOGS --> exit
 *       '---- SIGTERM and its kin ------------------------^             (TERM, after 2 s KILL)  (pump drained, at most
 * 5 s)
 *
 * One loop reads signals from a descriptor; everything else is a child: the program, side processes, the pump
 * (init/pump.h), and who waits for the network (init/wait.h). None of them can block it.
 *
 * - Every signal that can be caught goes to the program, real-time ones and those of the terminal too; with --group to
 * its process group. What the kernel sends us for faults of our own is not passed on.
 * - The program leads a process group of its own, in the foreground where there is a terminal, with the signal mask
 * that we were started with.
 * - Orphans are reaped; where we are not PID 1 we ask to be their reaper.
 * - The exit status is the program's, or 128 + the signal that ended it; 127 it does not exist, 126 it cannot be run.
 */
#ifndef INIT_RUN_H
#define INIT_RUN_H

#include "init/options.h"

/** init_run() - Be init. Return: the exit status */
int init_run(const struct init_options *o) MUST_USE;

/** hold_run() - Hold namespaces: reap, and end when told to. Return: the exit status */
int hold_run(void) MUST_USE;

#endif
