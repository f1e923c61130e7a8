/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Addresses that did not take connections of late. A hosting provider's dead server stands in the delegations of many
 * thousand children: without this a sweep would wait for it once for each of them. Bounded: what finds its place taken
 * is not remembered. Pure.
 */
#ifndef PRT_PROBE_DEAD_H
#define PRT_PROBE_DEAD_H

#include <msproto/base/addr.h>
#include <msproto/base/clock.h>

#define PRT_DEAD_SLOTS 4096

struct prt_dead_slot {
	struct msp_addr addr; /* family NONE: free */
	unsigned failures;    /* in a row */
	bool is_on_trial;     /* one has been let through: what it finds counts */
	struct msp_mono until;
};
struct prt_dead {
	uint64_t seed;
	struct prt_dead_slot slot[PRT_DEAD_SLOTS];
};
/** d zeroed. seed: not to be guessed, so that nobody chooses addresses that share a place with others. */
void prt_dead_init(struct prt_dead *d, uint64_t seed);
/**
 * False: it did not take the last two connections or more, leave it alone. For 30 s after the second one, doubled with
 * each further one up to 10 minutes; then one is let through, and the others when that one was answered.
 */
bool prt_dead_may_ask(struct prt_dead *d, const struct msp_addr *a, struct msp_mono now);
/** What came of a connection, whoever made it. What fails while it is left alone was under way before: not counted. */
void prt_dead_note(struct prt_dead *d, const struct msp_addr *a, bool is_alive, struct msp_mono now);

#endif
