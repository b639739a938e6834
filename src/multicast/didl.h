/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: HTTP relay that puts addresses right
 *
 * A media server behind a published port writes its own address into what it says: http://172.30.0.2:8200/... in its
 * description and in every list of media (DIDL-Lite in replies of ContentDirectory). One struct didl sits in one
 * connection, bytes in, bytes out, however they are cut:
 *
 *	requests    Host: names the server; Accept-Encoding is left out, so that replies can be read
 *	replies     Location:, and XML bodies up to DIDL_XML_BYTES: http://INSIDE becomes http://OUTSIDE, lengths are
 *put right. Everything else (media, pictures, longer or compressed XML) passes as it is, without being kept
 *
 * What is not sound HTTP/1.x ends the connection: http_message.h. After a 101 both ways are passed untouched. Pure.
 */
#ifndef MULTICAST_DIDL_H
#define MULTICAST_DIDL_H

#include "base/addr.h"

#define DIDL_XML_BYTES (4u << 20)
#define DIDL_REQUESTS  16 /* sent ahead of their replies */

struct didl;

/** didl_new() - @inside: the server as it calls itself; @outside: where its clients reach it */
struct didl *didl_new(const struct endpoint *inside, const struct endpoint *outside);
void didl_free(struct didl *d);

/** didl_request() - From the client; what is for the server is appended to @out. Return: 0; -EBADMSG: close both */
int didl_request(struct didl *d, const void *data, size_t len, struct buf *out) MUST_USE;
/** didl_response() - From the server; what is for the client is appended to @out. Return: 0; -EBADMSG: close both */
int didl_response(struct didl *d, const void *data, size_t len, struct buf *out) MUST_USE;
/** didl_response_end() - The server has closed. Return: 0; -EBADMSG: in the middle of a reply */
int didl_response_end(struct didl *d, struct buf *out) MUST_USE;

/** didl_rewritten() - How many addresses were changed */
uint64_t didl_rewritten(const struct didl *d);
/** didl_kept() - Bytes that wait inside for the rest of a head or body */
size_t didl_kept(const struct didl *d);

#endif
