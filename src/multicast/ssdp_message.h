/* SPDX-License-Identifier: Apache-2.0
 *
 * One SSDP message: HTTP's headers in a datagram (UPnP Device Architecture 2.0, section 1). It is taken apart into
 * lines and put together anew, so that nothing goes out but what was understood: no stray line ends, no body, no second
 * LOCATION. Pure.
 */
#ifndef MULTICAST_SSDP_MESSAGE_H
#define MULTICAST_SSDP_MESSAGE_H

#include "base/addr.h"
#include "io/http_message.h"

#define SSDP_BYTES	 4096 /* of a message; real ones have some hundred */
#define SSDP_HEADERS	 48
#define SSDP_MX_MAX	 5 /* seconds; what is more is 5 */
#define SSDP_PATH	 4 /* relays that a message may pass */
#define SSDP_PATH_HEADER "PATH.DOCKER-ROUTER"

enum ssdp_kind { SSDP_SEARCH, SSDP_NOTIFY, SSDP_RESPONSE, SSDP_KIND_N_ };

/** struct ssdp_message - Borrows the datagram */
struct ssdp_message {
	enum ssdp_kind kind;
	struct http_text start;
	struct http_header headers[SSDP_HEADERS]; /* without ours, that of the path */
	size_t n;
	int mx;	      /* seconds, 0 to SSDP_MX_MAX; -1: none */
	int location; /* which header; -1: none */
	uint64_t path[SSDP_PATH];
	size_t n_path;
};

enum ssdp_bad {
	SSDP_OK,
	SSDP_BAD_LONG,
	SSDP_BAD_START,	 /* neither M-SEARCH, NOTIFY nor a 200 */
	SSDP_BAD_HEADER, /* no "name: value", control characters, folded, too many */
	SSDP_BAD_TWICE,	 /* a header that counts, said twice */
	SSDP_BAD_MX,
	SSDP_BAD_MAN, /* a search without "ssdp:discover" */
	SSDP_BAD_PATH,
	SSDP_BAD_N_
};
extern const char *const ssdp_bad_names[SSDP_BAD_N_];

enum ssdp_bad ssdp_parse(const void *data, size_t len, struct ssdp_message *ret) MUST_USE;
/** ssdp_find() - A header by name, of whatever case. Return: NULL: none */
const struct http_header *ssdp_find(const struct ssdp_message *m, const char *name);
/**
 * ssdp_location() - Whose address is in LOCATION
 * @ret_path: what follows host and port, borrowed
 *
 * Return: false: none, no address but a name, or no URL of http
 */
bool ssdp_location(const struct ssdp_message *m, struct endpoint *ret, struct http_text *ret_path);
/** ssdp_text_write() - What of a message is the same in all copies of relays, for guard_hash() */
void ssdp_text_write(const struct ssdp_message *m, struct buf *b);
/**
 * ssdp_write() - The message to forward
 * @router:   our number, put at the end of the path
 * @location: instead of the message's; NULL: as it is
 */
void ssdp_write(const struct ssdp_message *m, uint64_t router, const char *location, struct buf *b);
/** ssdp_notify_write() - The announcement by which the device that answered @m would tell the same to @group */
void ssdp_notify_write(const struct ssdp_message *m, const struct endpoint *group, struct buf *b);

#endif
