/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What is due when: a heap of things with a time, 16 octets for each. Pure. */
#ifndef CMB_AGENDA_H
#define CMB_AGENDA_H

#include <msproto/base/clock.h>
#include <msproto/base/err.h>

#include <stddef.h>

/** To be embedded. */
struct cmb_agenda_item {
	size_t at; /* place in the heap, from 1; 0 = not in it */
};
struct cmb_agenda_entry {
	struct msp_mono due;
	struct cmb_agenda_item *item;
};
struct cmb_agenda {
	struct cmb_agenda_entry *entry; /* owned */
	size_t count, size;
};
void cmb_agenda_fini(struct cmb_agenda *a);
/** Put in, or move; MSP_MONO_NEVER takes it out. MSP_ENOMEM only when it was not in it. */
MSP_CHECKED enum msp_err cmb_agenda_set(struct cmb_agenda *a, struct cmb_agenda_item *item, struct msp_mono due);
/** MSP_MONO_NEVER when empty. */
struct msp_mono cmb_agenda_next(const struct cmb_agenda *a);
/** Take out the item that has been due longest; NULL when none is due. */
struct cmb_agenda_item *cmb_agenda_pop(struct cmb_agenda *a, struct msp_mono now);

#endif
