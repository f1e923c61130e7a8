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
	bool has_ceiling;
	uint32_t ceiling; /* kept apart from the zone store (state.h): no serial beyond it has ever been handed out */
};
/**
 * Whether the ceiling must be raised, durably, before `serial` may be handed out, and to what. Raised in steps, so that
 * few versions pay for it; exactly to `serial` when is_signed, since a signed zone's serial is not ours to choose.
 */
bool cmb_serials_needs_ceiling(const struct cmb_serials *s, uint32_t serial, bool is_signed, uint32_t *ceiling);
/** The zone store was lost: go on beyond everything that may have been handed out. */
void cmb_serials_restore(struct cmb_serials *s, uint32_t ceiling);

/** Serial of the version made from new owner data with serial `owner`. */
uint32_t cmb_serials_for_owner(const struct cmb_serials *s, uint32_t owner);
/** Serial of the version made because contributions have changed. */
uint32_t cmb_serials_for_change(const struct cmb_serials *s);
/** Whether owner data with this serial is newer than what is held. */
bool cmb_serials_is_news(const struct cmb_serials *s, uint32_t owner);
/** The two serial lines are far apart: worth a line in the log. */
bool cmb_serials_far(uint32_t out, uint32_t owner);

#endif
