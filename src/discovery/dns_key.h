/* SPDX-License-Identifier: Apache-2.0
 *
 * DNS_TSIG_KEY_FILE: the key that updates are signed with, as tsig-keygen prints it
 *
 *	key "docker-router" { algorithm hmac-sha256; secret "base64"; };
 *
 * or in a line, hmac-sha256:docker-router:base64 (as in the first line that knot's keymgr -t prints, without its '#').
 * Pure; what is wrong is told without the secret.
 */
#ifndef DISCOVERY_DNS_KEY_H
#define DISCOVERY_DNS_KEY_H

#include "discovery/dns_wire.h"

struct dns_key {
	char name[DNS_NAME_BYTES], algorithm[16], secret[256];
};

/** dns_key_parse() - Return: 0 or -EINVAL. Wipe @ret when it is no longer needed */
int dns_key_parse(const char *text, struct dns_key *ret, struct err *err) MUST_USE;

#endif
