/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The group of one zone, computed from the HSYNC RRset and what is remembered of it. @source PROTOCOL A.1 rules
 * 1-11 */
#ifndef MSAD_GROUP_H
#define MSAD_GROUP_H

#include <msproto/wire/hsync.h>
#include <msproto/wire/rrset.h>

#define MSA_GROUP_MAX 128 /* identities in one zone */

/** What became of an identity when the RRset was last looked at; persisted. */
enum msa_last { MSA_LAST_NEVER, MSA_LAST_ON, MSA_LAST_OFF, MSA_LAST_VANISHED };
struct msa_history {
	bool ever_on;
	bool ever_signed; /* ON and YES at some time: its keys are in zones, whatever it is now */
	enum msa_last last;
	uint8_t nsmgmt, sign; /* as last seen */
};
/** One identity remembered. */
struct msa_known {
	const struct msp_name *identity; /* borrowed */
	const struct msa_history *history;
};

enum msa_role { MSA_ROLE_NONE, MSA_ROLE_PARTICIPANT, MSA_ROLE_LEAVER, MSA_ROLE_STAGER };
const char *msa_role_name(enum msa_role role);

struct msa_group_row {
	struct msp_name identity;
	uint8_t state, nsmgmt, sign;
	enum msa_role role;
	bool is_self;
	bool is_vanished; /* rule 7: not in the RRset any more, was ON */
};
static inline bool msa_row_signs(const struct msa_group_row *r)
{
	return r->role == MSA_ROLE_PARTICIPANT && r->sign == MSP_HSYNC_YES;
}

struct msa_group {
	bool has_hsync;
	bool is_certain; /* false: malformed or duplicate records block new processes (rules 2, 3) */
	unsigned malformed, duplicates, vanished;
	bool nsmgmt_mixed; /* rule 4 */
	uint8_t nsmgmt;    /* effective */
	uint8_t digest[32];
	struct msa_group_row *row; /* owned, in canonical order of identities */
	size_t count;
	size_t self; /* index of our own row; count when absent (rule 5) */
	size_t signers;
};

/**
 * @param hsync NULL when the zone has none: *out is then an empty group.
 * @param known identities remembered; needed for rules 6 and 7.
 * @return MSP_OK (out to be released with msa_group_fini), MSP_ENOMEM, MSP_ECRYPTO
 */
MSP_CHECKED enum msp_err msa_group_make(const struct msp_rrset *hsync, bool compat_zero, const struct msp_name *own,
					const struct msa_known *known, size_t known_count, struct msa_group *out);
void msa_group_fini(struct msa_group *g);
/** NULL when not in the group. */
const struct msa_group_row *msa_group_find(const struct msa_group *g, const struct msp_name *identity);
/** The history of an identity after this look at the RRset: row NULL = not in the group. */
struct msa_history msa_history_next(const struct msa_history *before, const struct msa_group_row *row);
/** Digest over the identities of all signers: "the signer set is unchanged". */
MSP_CHECKED enum msp_err msa_group_signers_digest(const struct msa_group *g, uint8_t out[32]);

#endif
