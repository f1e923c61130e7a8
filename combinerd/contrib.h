/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What agents have contributed to a zone's apex, apart from owner data for ever: one RRset per originator and type
 * (PROTOCOL E.1, E.2). A plain value in memory; state.c keeps it on disk.
 */
#ifndef CMB_CONTRIB_H
#define CMB_CONTRIB_H

#include "apex.h"

#define CMB_ORIGINATORS_MAX 64

struct cmb_contrib_entry {
	struct msp_name originator;
	enum cmb_slot slot;
	struct msp_rrset *set; /* owned, never empty */
};
struct cmb_contrib {
	struct cmb_contrib_entry *entry; /* owned */
	size_t count, size;
	uint64_t number; /* grows by one with each change that is stored; 0 = never any */
};

/** The originator of instructions that name none (PROTOCOL E.2). */
struct msp_name cmb_originator_local(void);

void cmb_contrib_fini(struct cmb_contrib *c);
MSP_CHECKED enum msp_err cmb_contrib_dup(const struct cmb_contrib *c, struct cmb_contrib *out);
/** NULL when nothing is set. */
const struct msp_rrset *cmb_contrib_get(const struct cmb_contrib *c, const struct msp_name *originator,
					enum cmb_slot slot);
/** Takes *set, also on failure (NULL or empty: forget). MSP_ELIMIT beyond CMB_ORIGINATORS_MAX originators. */
MSP_CHECKED enum msp_err cmb_contrib_set(struct cmb_contrib *c, const struct msp_name *originator, enum cmb_slot slot,
					 struct msp_rrset **set);
/** All originators' records of one type, smallest TTL; *out NULL when nothing is set. */
MSP_CHECKED enum msp_err cmb_contrib_union(const struct cmb_contrib *c, enum cmb_slot slot, struct msp_rrset **out);
/** Whether the originator has contributed anything. */
bool cmb_contrib_has(const struct cmb_contrib *c, const struct msp_name *originator);

#endif
