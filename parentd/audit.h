/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The audit trail: one record for each decision, each with the SHA-256 of the one before, so that a record that was
 * changed or taken out shows. It is the backend's journal too. Pure.
 * @source PROTOCOL G.8
 */
#ifndef PRT_AUDIT_H
#define PRT_AUDIT_H

#include "policy.h"

#include <msproto/base/json.h>

#define PRT_AUDIT_OCTETS_MAX (64u << 10)

/** What was decided. name, text */
#define PRT_VERDICT_MAP(X)                                                                                             \
	X(REFUSED, "refused")                                                                                          \
	X(ACCEPTED, "accepted")   /* the delegation is another one now */                                              \
	X(WAITS, "waits")         /* for checks, a second look, its turn, an operator */                               \
	X(DROPPED, "dropped")     /* what waited does not any more */                                                  \
	X(KEY, "key")             /* the key set is another one now */                                                 \
	X(LOCK, "lock")           /* locked or unlocked */                                                             \
	X(IMPORTED, "imported")   /* the parent zone was changed by others */                                          \
	X(PUBLISHED, "published") /* the backend has it */                                                             \
	X(FAILED, "failed")       /* the backend refused it */
enum prt_verdict {
#define PRT_VERDICT_ENUM(name, text) PRT_VERDICT_##name,
	PRT_VERDICT_MAP(PRT_VERDICT_ENUM)
#undef PRT_VERDICT_ENUM
		PRT_VERDICT__N
};
const char *prt_verdict_name(enum prt_verdict v);

struct prt_audit {
	uint64_t seq; /* from 1, without gaps */
	struct msp_wall at;
	struct msp_name parent, child;
	enum prt_verdict verdict;
	enum prt_source source;
	struct msp_addr peer; /* family NONE: nobody asked */
	bool is_tcp;
	uint16_t key_tag;
	uint8_t message[PRT_HASH_LEN]; /* SHA-256 of the request; zero without */
	char who[96];                  /* "key 12345", "operator anna", "cds" */
	char rule[96], why[512];       /* what decided, and what exactly; findings of checks, "; " between them */
	unsigned rcode, ede;           /* answered; ede 0 = none */
	struct msp_buf before, after; /* owned: delegations as written (KEY: key RDATAs, each behind a 16-bit length) */
	uint8_t previous[PRT_HASH_LEN]; /* hash of record seq - 1; zero for the first */
};
void prt_audit_init(struct prt_audit *a);
void prt_audit_fini(struct prt_audit *a);
/** Canonical octets: what is stored and hashed. */
MSP_CHECKED enum msp_err prt_audit_write(const struct prt_audit *a, struct msp_buf *out);
/** `a` initialised by the call with MSP_OK. MSP_ECORRUPT */
MSP_CHECKED enum msp_err prt_audit_read(struct msp_span octets, struct prt_audit *a);
MSP_CHECKED enum msp_err prt_audit_hash(struct msp_span octets, uint8_t hash[PRT_HASH_LEN]);
/**
 * Walk the trail in order, record by record.
 * @param link zeroed before the first; *seq 0
 * @return MSP_OK; MSP_ECORRUPT: this record does not follow the one before (why says what)
 */
MSP_CHECKED enum msp_err prt_audit_follow(struct msp_span octets, uint8_t link[PRT_HASH_LEN], uint64_t *seq,
					  struct msp_why *why);
/** For msctl and the export: every member, names and records in presentation form, hashes in hex. */
MSP_CHECKED enum msp_err prt_audit_json(const struct prt_audit *a, json_t **out);
/** A delegation as a JSON array of records in presentation form. */
MSP_CHECKED enum msp_err prt_delegation_json(const struct prt_delegation *d, json_t **out);

#endif
