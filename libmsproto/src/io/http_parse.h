/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Request line and header of an HTTP/1.x request without a body. Pure. @source RFC 9110, RFC 9112 2 to 6 */
#ifndef MSPROTO_SRC_IO_HTTP_PARSE_H
#define MSPROTO_SRC_IO_HTTP_PARSE_H

#include <msproto/io/http.h>

/** Where the header ends (past its empty line); 0: not yet. */
size_t msp_http_head_end(struct msp_span octets);
/**
 * Read a whole head, as cut off by msp_http_head_end.
 * @param[out] out borrows `head`; written only with 200.
 * @return 200, or the status to refuse it with: 400, 405 (a method that is none of ours), 413 (a body), 414 (long
 * target), 505.
 */
unsigned msp_http_parse(struct msp_span head, struct msp_http_request *out);
/** "OK" and so on. Static, never NULL. */
const char *msp_http_reason(unsigned status);

/** For tests, which do not wait for MSP_HTTP_TIME_MS. Of connections to come. */
void msp_http_set_time(struct msp_http *h, uint32_t time_ms);

#endif
