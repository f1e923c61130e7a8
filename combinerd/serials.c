/* SPDX-License-Identifier: BSD-2-Clause */
#include "serials.h"

#include <msproto/zone/serial.h>

#define FAR          1000
#define CEILING_STEP 100 /* versions for one write to the instruction store */

bool cmb_serials_needs_ceiling(const struct cmb_serials *s, uint32_t serial, bool is_signed, uint32_t *ceiling)
{
	if (s->has_ceiling && (serial == s->ceiling || msp_serial_gt(s->ceiling, serial)))
		return false;
	*ceiling = is_signed ? serial : serial + CEILING_STEP;
	if (*ceiling == 0) /* "none" */
		*ceiling = 1;
	return true;
}

void cmb_serials_restore(struct cmb_serials *s, uint32_t ceiling)
{
	s->has_owner = false; /* whatever the owner has is news */
	s->has_out = s->has_ceiling = true;
	s->last_out = s->ceiling = ceiling;
}

uint32_t cmb_serials_for_owner(const struct cmb_serials *s, uint32_t owner)
{
	/* 0 is left out, so that "no serial" can never be taken for one */
	if (!s->has_out)
		return owner != 0 ? owner : msp_serial_next(owner);
	if (owner != 0 && msp_serial_gt(owner, s->last_out))
		return owner;
	return msp_serial_next(s->last_out);
}

uint32_t cmb_serials_for_change(const struct cmb_serials *s)
{
	return msp_serial_next(s->last_out);
}

bool cmb_serials_is_news(const struct cmb_serials *s, uint32_t owner)
{
	return !s->has_owner || msp_serial_gt(owner, s->last_owner);
}

bool cmb_serials_far(uint32_t out, uint32_t owner)
{
	uint32_t distance = out - owner;

	return distance > FAR && distance < (uint32_t)0 - FAR;
}
