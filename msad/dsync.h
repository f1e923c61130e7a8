/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Where the parent takes delegation changes: the names to ask for DSYNC, and what of the answer is of use. Pure.
 * @source RFC 9859 2, 4.1; PROTOCOL A.3, G.2 */
#ifndef MSAD_DSYNC_H
#define MSAD_DSYNC_H

#include <msproto/wire/rdata.h>
#include <msproto/wire/rrset.h>

#define MSA_DSYNC_NAMES_MAX 3 /* forms; each is asked for once */
#define MSA_DSYNC_MAX       4 /* endpoints used of one kind */

/** The walk over the names. Zeroed before the first call. */
struct msa_dsync_walk {
	struct msp_name child;
	struct msp_name asked[MSA_DSYNC_NAMES_MAX];
	size_t count;
};
/** The first name to ask: `_dsync` after the child's first label. @return MSP_ENAME: too long, or the root */
MSP_CHECKED enum msp_err msa_dsync_first(struct msa_dsync_walk *w, const struct msp_name *child);
/** The name being asked for. */
const struct msp_name *msa_dsync_name(const struct msa_dsync_walk *w);
/**
 * The last one does not exist, and said so. @param soa_owner of the SOA in that answer, the parent as far as known;
 * unset: there was none, `parent` is used.
 * @return false: no name is left, the parent takes nothing
 */
bool msa_dsync_next(struct msa_dsync_walk *w, const struct msp_name *soa_owner, const struct msp_name *parent);

enum msa_dsync_kind { MSA_DSYNC_UPDATE, MSA_DSYNC_CDS, MSA_DSYNC_CSYNC, MSA_DSYNC__N };
struct msa_endpoint_dsync {
	struct msp_name target;
	uint16_t port;
};
struct msa_dsync {
	struct {
		struct msa_endpoint_dsync at[MSA_DSYNC_MAX];
		size_t count;
	} kind[MSA_DSYNC__N];
};
/** What can be used: scheme known, port not 0, type wanted or ANY. For UPDATE records of type ANY come first. */
void msa_dsync_read(const struct msp_rrset *set, const struct msp_numbers *numbers, struct msa_dsync *out);

#endif
