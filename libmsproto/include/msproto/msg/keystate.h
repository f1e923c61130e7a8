/* SPDX-License-Identifier: BSD-2-Clause */
/** @file KeyState EDNS(0) option. @source draft-berra-dnsop-keystate-02/-03, PROTOCOL B.2 */
#ifndef MSPROTO_MSG_KEYSTATE_H
#define MSPROTO_MSG_KEYSTATE_H

#include <msproto/msg/edns.h>

#define MSP_KEYSTATE_MAP(X)                                                                                            \
	X(MALFORMED, 0, "request malformed")                                                                           \
	X(TEMPORARY_FAILURE, 1, "temporary failure")                                                                   \
	X(INQUIRE, 2, "inquiry")                                                                                       \
	X(TRUSTED, 4, "key trusted")                                                                                   \
	X(UNKNOWN, 5, "key unknown")                                                                                   \
	X(INVALID, 6, "key invalid")                                                                                   \
	X(REFUSED, 7, "key refused")                                                                                   \
	X(VALIDATION_FAILED, 8, "key validation failed")                                                               \
	X(BOOTSTRAP_AUTO, 9, "automatic bootstrap in progress")                                                        \
	X(BOOTSTRAP_MANUAL, 10, "manual bootstrap required")
enum msp_keystate_state {
#define MSP_KEYSTATE_ENUM(name, value, text) MSP_KEYSTATE_##name = (value),
	MSP_KEYSTATE_MAP(MSP_KEYSTATE_ENUM)
#undef MSP_KEYSTATE_ENUM
};
#define MSP_KEYSTATE_TEXT_MAX 1024 /* accepted; ours are cut at 128 */

struct msp_keystate {
	uint16_t key_id;
	uint8_t state, data;
	struct msp_span text; /* borrowed, unescaped, from the network */
};

/** Known state value? (3 and 11..255 are not.) */
bool msp_keystate_assigned(uint8_t state);
const char *msp_keystate_name(uint8_t state); /* "TRUSTED" or "?" */
/**
 * Parse OPTION-DATA.
 * @return MSP_OK, MSP_ETRUNC (under 4 octets), MSP_EVALUE (state unassigned; *out is filled all the same so that KEY-ID
 * can be echoed), MSP_ELIMIT (text over MSP_KEYSTATE_TEXT_MAX).
 */
MSP_CHECKED enum msp_err msp_keystate_parse(struct msp_span data, struct msp_keystate *out);
/** Add the option; text cut at 128 octets on a UTF-8 boundary. */
void msp_optw_keystate(struct msp_optw *o, const struct msp_numbers *n, const struct msp_keystate *ks);

#endif
