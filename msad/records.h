/* SPDX-License-Identifier: BSD-2-Clause */
/** @file A small set of records of several owners and types: a delegation as it is shown, or as it should be. Pure. */
#ifndef MSAD_RECORDS_H
#define MSAD_RECORDS_H

#include <msproto/wire/rrset.h>

#define MSA_RECORDS_MAX 256

struct msa_record {
	struct msp_name owner;
	uint16_t type;
	uint32_t ttl;          /* not compared */
	struct msp_span rdata; /* owned */
};
/** Zeroed = empty. */
struct msa_records {
	struct msa_record *item; /* owned */
	size_t count, size;
};
void msa_records_fini(struct msa_records *r);
/** Copied in; one that is there already is MSP_OK. @return MSP_OK, MSP_ENOMEM, MSP_ELIMIT */
MSP_CHECKED enum msp_err msa_records_add(struct msa_records *r, const struct msp_name *owner, uint16_t type,
					 uint32_t ttl, struct msp_span rdata);
MSP_CHECKED enum msp_err msa_records_add_set(struct msa_records *r, const struct msp_rrset *set);
MSP_CHECKED enum msp_err msa_records_merge(struct msa_records *into, const struct msa_records *from);
bool msa_records_has(const struct msa_records *r, const struct msa_record *one);
/** Leave in `r` what is in `with`, too. */
void msa_records_intersect(struct msa_records *r, const struct msa_records *with);
bool msa_records_equal(const struct msa_records *a, const struct msa_records *b);
/** How many of a type. */
size_t msa_records_count(const struct msa_records *r, uint16_t type);

#endif
