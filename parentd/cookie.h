/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * DNS cookies: a source address that has shown that it gets our answers. The secret lives in this process alone and is
 * rolled; the one before is taken for as long as its cookies last. Pure.
 * @source RFC 7873 5.2, RFC 9018 4, PROTOCOL B.4
 */
#ifndef PRT_COOKIE_H
#define PRT_COOKIE_H

#include <msproto/base/addr.h>
#include <msproto/base/clock.h>
#include <msproto/base/rand.h>
#include <msproto/msg/edns.h>

#define PRT_COOKIE_LEN    24    /* client 8, server 16 */
#define PRT_COOKIE_SECRET 16    /* octets */
#define PRT_COOKIE_ROLL_S 86400 /* RFC 9018 5 */

struct prt_cookie_jar {
	uint8_t secret[2][PRT_COOKIE_SECRET]; /* the present one, the one before */
	struct msp_wall rolled;
};
void prt_cookie_init(struct prt_cookie_jar *jar, struct msp_rand *rand, struct msp_wall now);
/** A new secret when it is time; before use. */
void prt_cookie_roll(struct prt_cookie_jar *jar, struct msp_rand *rand, struct msp_wall now);

enum prt_cookie {
	PRT_COOKIE_NONE,   /* no cookie option */
	PRT_COOKIE_CLIENT, /* a client cookie; no server cookie, or not one of ours for this address and time */
	PRT_COOKIE_GOOD,
	PRT_COOKIE_MALFORMED /* a length that RFC 7873 5.2.2 does not know: FORMERR */
};
/** @param[out] answer with CLIENT and GOOD: what the response's cookie option holds, with a fresh server cookie */
enum prt_cookie prt_cookie_check(const struct prt_cookie_jar *jar, const struct msp_edns *e,
				 const struct msp_addr *peer, struct msp_wall now, uint8_t answer[PRT_COOKIE_LEN]);

#endif
