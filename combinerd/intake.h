/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The owner's records on their way in: the apex RRsets that are set apart here, everything else into the store as it
 * comes, a whole zone (cmb_build) or differences (cmb_edit) as the primary has it. Nothing of it is visible before it
 * has been committed; an intake that is closed leaves nothing but garbage pages. Pure but for the store behind it.
 * @source RFC 5936 2.2, RFC 1995 4, PROTOCOL E.6
 */
#ifndef CMB_INTAKE_H
#define CMB_INTAKE_H

#include "guard.h"
#include "pages.h"

#include <msproto/zone/xfrin.h>

#define CMB_INTAKE_DIFF_MAX (32u << 20) /* octets of deletions, and of additions; beyond: take the whole zone */

/** The records of the owner name that came last, to drop those that come twice (RFC 5936 2.2). */
struct cmb_once {
	struct msp_name owner;
	struct msp_buf octets;    /* owned: their RDATA, one after the other */
	struct cmb_once_rr *item; /* owned */
	size_t count, size;
	uint32_t *table; /* owned: hash table of count, when there are many; NULL = none */
	size_t table_size;
};

/** A message that becomes a page as it is, if all of its records belong into the pages. */
struct cmb_as_is {
	const struct msp_msg *msg;      /* borrowed while it is fed; NULL: its records are added one by one */
	uint16_t taken;                 /* records that were looked at */
	struct msp_rr_scratch *scratch; /* owned; NULL until a message turns out to be no page */
};

struct cmb_intake {
	struct cmb_pages *pages;           /* borrowed */
	const struct msp_numbers *numbers; /* borrowed */
	struct msp_name zone;
	struct cmb_guard_limits limits;
	struct cmb_guard guard;
	struct cmb_owner *base;  /* owned: what differences would be applied to; NULL = none are expected */
	struct cmb_owner *owner; /* owned: the version that comes in; NULL until it begins */
	struct cmb_build *build; /* owned; or NULL */
	struct cmb_edit *edit;   /* owned; or NULL */
	struct msp_buf del, add; /* owned: net difference, with edit */
	struct cmb_once once;
	struct cmb_as_is as_is;
	uint32_t serial; /* of the version that comes in, since it began */
	bool has_begun, ttl_differs;
	int64_t sigs_more; /* differences: apex RRSIGs that say whether the zone is signed, added less deleted ones */
	/** The zone itself is at fault: no other way to transfer it helps. */
	bool is_final;
	struct msp_why why; /* of the error that stopped it; empty when it was none of ours */
};

/**
 * @param base what is held, for differences (copied as far as needed); NULL: a whole zone is expected
 * @return MSP_OK, MSP_ENOMEM
 */
MSP_CHECKED enum msp_err cmb_intake_open(struct cmb_pages *pages, const struct msp_name *zone,
					 const struct msp_numbers *numbers, const struct cmb_guard_limits *limits,
					 const struct cmb_owner *base, struct cmb_intake **out);
/** NULL allowed. */
void cmb_intake_close(struct cmb_intake **in);
/**
 * For msp_xfr_start; arg is the struct cmb_intake. MSP_ENOTFOUND, MSP_EEXIST: the differences do not fit what is held
 * (RFC 1995: take the whole zone); MSP_EFORMAT; MSP_ELIMIT: a guard (is_final), or too large for differences;
 * MSP_ENOSPACE, MSP_EIO, MSP_ENOMEM: not the primary's fault.
 */
extern const struct msp_xfrin_ops cmb_intake_ops;
/**
 * The transfer is complete and verified to its last message: check it and seal it. Then owner, and build or edit with
 * del and add, may be taken out.
 * @param to_disk see cmb_build_seal
 * @return as above; MSP_EREFUSED: the differences shrink the zone too much; take the whole zone, so that what waits for
 * an operator does not keep a snapshot open.
 */
MSP_CHECKED enum msp_err cmb_intake_finish(struct cmb_intake *in, bool to_disk);

#endif
