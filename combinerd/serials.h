/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Our own serial line: the owner's serial when it is ahead, else ours plus one; never backwards. @source
 * PROTOCOL E.6 */
#ifndef CMB_SERIALS_H
#define CMB_SERIALS_H

#include <stdbool.h>
#include <stdint.h>

struct cmb_serials {
	bool has_owner, has_out;
	uint32_t last_owner; /* serial of the owner's version last taken */
	uint32_t last_out;   /* serial last handed out, or reserved for that */
};

/** Serial of the version made from new owner data with serial `owner`. */
uint32_t cmb_serials_for_owner(const struct cmb_serials *s, uint32_t owner);
/** Serial of the version made because contributions have changed. */
uint32_t cmb_serials_for_change(const struct cmb_serials *s);
/** Whether owner data with this serial is newer than what is held. */
bool cmb_serials_is_news(const struct cmb_serials *s, uint32_t owner);
/** The two serial lines are far apart: worth a line in the log. */
bool cmb_serials_far(uint32_t out, uint32_t owner);

#endif
