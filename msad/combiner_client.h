/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Hands instructions to a combiner, UPDATE + TSIG over TCP, and reads them back by QUERY; one at a time for each zone.
 * @source PROTOCOL E.2 (idiom: delete RRset, add the full new set), E.7
 */
#ifndef MSAD_COMBINER_CLIENT_H
#define MSAD_COMBINER_CLIENT_H

#include "core.h"

#include <msproto/auth/tsig.h>
#include <msproto/io/loop.h>

struct msa_combine_set {
	uint16_t type;
	const struct msp_rrset *set; /* borrowed; NULL = contribute nothing of this type */
};
struct msa_combiner;
typedef void msa_combined_fn(void *arg, const struct msp_name *zone, uint64_t id, enum msp_err err, const char *why);

/** One for each zone. tsig, rand borrowed. `done` fires once for each msa_combiner_send that returned MSP_OK. */
MSP_CHECKED enum msp_err msa_combiner_new(struct msp_loop *loop, const struct msp_name *zone,
					  const struct msp_addr *addr, const struct msp_tsig_key *tsig,
					  struct msp_rand *rand, msa_combined_fn *done, void *arg,
					  struct msa_combiner **out);
/** @return MSP_OK, MSP_EBUSY (one is under way), MSP_ENOSPACE (over 64 KiB) */
MSP_CHECKED enum msp_err msa_combiner_send(struct msa_combiner *c, uint64_t id, const struct msa_combine_set *sets,
					   size_t count);

/** Sets are NULL when there are none; all NULL on error. Borrowed during the call. */
typedef void msa_read_fn(void *arg, const struct msp_name *zone, enum msp_err err, const struct msp_rrset *dnskey,
			 const struct msp_rrset *cds, const struct msp_rrset *cdnskey, const char *why);
/** Ask what it serves at the apex: in an unsigned owner's zone that is what was contributed (E.1, E.3). As `send`
 * otherwise. */
MSP_CHECKED enum msp_err msa_combiner_read(struct msa_combiner *c, bool with_cdnskey, msa_read_fn *done);
void msa_combiner_free(struct msa_combiner **c);

#endif
