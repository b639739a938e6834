/* SPDX-License-Identifier: Apache-2.0
 *
 * How the programs that run inside a container's network namespace (src/attach/handler.c, launch6.c) tell what happens:
 * each event is one message to a descriptor that they inherit. Numbers only, since they are programs of few system
 * calls that use nothing of ours.
 */
#ifndef IO_DHCP_EVENTS_H
#define IO_DHCP_EVENTS_H

#define DHCP_EVENTS_FD	 5
#define DHCP_EVENT_BYTES 4096

#endif
