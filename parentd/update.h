/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What an UPDATE from a child asks for, and what it makes of a delegation. The sender has been authenticated by the
 * caller; the name that signed is the only name that may be touched. Pure. @source RFC 2136 2.4, 2.5, 3.2 .. 3.4;
 * PROTOCOL G.5 steps 1, 3, 4, 6, 9
 */
#ifndef PRT_UPDATE_H
#define PRT_UPDATE_H

#include "delegation.h"
#include "refusal.h"

#include <msproto/msg/update.h>

/** The name can be a child of this parent: below its apex, compared label by label (`ample.` is not below `example.`).
 * Whether there is a delegation is the caller's to know. */
bool prt_may_be_child(const struct msp_name *parent, const struct msp_name *name);

enum prt_update_class {
	PRT_UPDATE_NOTHING,    /* no update records: only prerequisites, if that */
	PRT_UPDATE_DELEGATION, /* NS and DS at the child, A and AAAA at or below it */
	PRT_UPDATE_KEY         /* KEY at the child */
};
/**
 * Every record, before anything is done: about this child, of one class, of the form that RFC 2136 wants.
 * ANY of the child's own name is refused: it would take NS, DS and KEY away together.
 * @return false: *no says why.
 */
bool prt_update_classify(const struct msp_msg *m, const struct msp_name *child, struct msp_rr_scratch *scratch,
			 enum prt_update_class *out, struct prt_refusal *no);
/**
 * Prerequisites, RFC 2136 3.2, on what is registered: the delegation, and `keys` (KEY RRset of the trusted keys, NULL =
 * none). The message has been classified.
 * @return MSP_OK; MSP_EREFUSED: one is not met, *no says which; MSP_ENOMEM
 */
MSP_CHECKED enum msp_err prt_update_prerequisites(const struct msp_msg *m, const struct prt_delegation *now,
						  const struct msp_rrset *keys, struct msp_rr_scratch *scratch,
						  struct prt_refusal *no);
/**
 * The delegation that the updates make of `now`, record by record in order (RFC 2136 3.4.2). What is left at the end
 * must have an NS, if there was one; addresses that no NS needs any more go. RFC 2136's rule for the last NS of a
 * zone's apex does not apply: an RRset may be replaced by deleting and adding it.
 * @param[out] out initialised by the call; owned by the caller with MSP_OK
 * @return MSP_OK; MSP_EREFUSED (*no says why); MSP_ENOMEM
 */
MSP_CHECKED enum msp_err prt_update_apply(const struct msp_msg *m, const struct prt_delegation *now,
					  struct msp_rr_scratch *scratch, struct prt_delegation *out,
					  struct prt_refusal *no);

#endif
