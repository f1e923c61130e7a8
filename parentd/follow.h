/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What a decision asks for outside (PRT_NEED_*), and what is due by itself: checks of servers, scans of CDS and CSYNC,
 * bootstrap looks, ticks, the sweep over all children, error reports. One thing at a time for each child; what is asked
 * again meanwhile is done once more afterwards, once. Everything that must survive is in the child's record: after a
 * restart what was under way is due again.
 * @source PROTOCOL G.3, G.4, G.6
 */
#ifndef PRT_FOLLOW_H
#define PRT_FOLLOW_H

#include "shell.h"

struct prt_follow;
MSP_CHECKED enum msp_err prt_follow_open(struct prt_app *app, struct prt_follow **out);
void prt_follow_renew(struct prt_follow *f);
/**
 * Nothing is called any more. Workers have left the books; what stands in the books' line is waited for. To be called
 * before the prober, the resolver and the books are closed, without a turn of the loop in between: callbacks of theirs
 * that are on their way are theirs to drop.
 */
void prt_follow_close(struct prt_follow **f);

/** See to what an outcome needs (PUBLISH goes to the backends from here). */
void prt_follow_needs(struct prt_app *app, const struct msp_name *child, unsigned need);
/**
 * As above with NEED_CHECK, and say when the change has been decided: outcome is what prt_desk_checked came to. Fires
 * exactly once, unless cancelled. For answers that wait for the checks (G.5 sync-limit).
 */
typedef void prt_follow_fn(void *arg, enum msp_err err, const struct prt_outcome *out);
struct prt_watch;
MSP_CHECKED enum msp_err prt_follow_check(struct prt_app *app, const struct msp_name *child, prt_follow_fn *fn,
					  void *arg, struct prt_watch **out);
void prt_follow_forget(struct prt_watch **w);

/** A NOTIFY for an existing child, already answered: a scan is put in line unless one is there (false: coalesced). */
bool prt_follow_notify(struct prt_app *app, const struct msp_name *child, uint16_t type,
		       const struct msp_name *report_to);
/** An operator wants a scan now, whatever the limits. */
MSP_CHECKED enum msp_err prt_follow_scan(struct prt_app *app, const struct msp_name *child);

struct prt_follow_stats {
	size_t running, waiting;
	uint64_t swept;            /* children, since the start */
	struct msp_wall sweep_end; /* of the last complete sweep; s 0 = none yet */
};
struct prt_follow_stats prt_follow_stats(const struct prt_follow *f);

#endif
