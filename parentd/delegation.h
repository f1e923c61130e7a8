/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * A delegation as data: NS, glue and DS of one child; the difference of two; and the rules that its shape obeys
 * whatever path a change came by. Pure. @source RFC 1034 4.2.1, RFC 9471, PROTOCOL G.4 (checks on any proposed
 * delegation)
 */
#ifndef PRT_DELEGATION_H
#define PRT_DELEGATION_H

#include <msproto/base/addr.h>
#include <msproto/wire/rdata.h>
#include <msproto/wire/rrset.h>

#define PRT_NS_MAX   13
#define PRT_DS_MAX   24
#define PRT_ADDR_MAX 16                   /* addresses of one family at one name */
#define PRT_SETS_MAX (2 + 2 * PRT_NS_MAX) /* NS, DS; A and AAAA of each name server */

/** The parent's side of one zone cut. NS and DS are at the child, A and AAAA at or below it. */
struct prt_delegation {
	struct msp_name parent, child;
	struct msp_rrset *set[PRT_SETS_MAX]; /* owned, never empty */
	size_t count;
};
void prt_delegation_init(struct prt_delegation *d, const struct msp_name *parent, const struct msp_name *child);
/** Leaves it initialised and without records. */
void prt_delegation_clear(struct prt_delegation *d);
MSP_CHECKED enum msp_err prt_delegation_dup(const struct prt_delegation *d, struct prt_delegation *out);
/** TTLs included. */
bool prt_delegation_equal(const struct prt_delegation *a, const struct prt_delegation *b);

/** Whether a record of this owner and type can be part of the delegation of `child`. */
bool prt_delegation_has_place(const struct msp_name *child, const struct msp_name *owner, uint16_t type);
/** NULL = no such RRset. */
const struct msp_rrset *prt_delegation_get(const struct prt_delegation *d, const struct msp_name *owner, uint16_t type);
const struct msp_rrset *prt_delegation_ns(const struct prt_delegation *d);
const struct msp_rrset *prt_delegation_ds(const struct prt_delegation *d);
/** One record in; a duplicate changes nothing but the TTL of its RRset. MSP_EVALUE: has no place; MSP_ELIMIT. */
MSP_CHECKED enum msp_err prt_delegation_add(struct prt_delegation *d, const struct msp_rr *rr);
/** One record out; false when it was not there. */
bool prt_delegation_del(struct prt_delegation *d, const struct msp_name *owner, uint16_t type, struct msp_span rdata);
/** A whole RRset out, or with MSP_TYPE_ANY all of the name; false when there was none. */
bool prt_delegation_del_set(struct prt_delegation *d, const struct msp_name *owner, uint16_t type);
/** Put a whole RRset in place of what there is (NULL: delete). Copies it. */
MSP_CHECKED enum msp_err prt_delegation_put(struct prt_delegation *d, const struct msp_name *owner, uint16_t type,
					    const struct msp_rrset *set);
/** Addresses at names that are no name server (any more) go. */
void prt_delegation_drop_idle_glue(struct prt_delegation *d);

/** As uncompressed records, and back: for the store, backends, the audit trail. Reading: MSP_EVALUE, MSP_EFORMAT. */
MSP_CHECKED enum msp_err prt_delegation_write(const struct prt_delegation *d, struct msp_buf *out);
MSP_CHECKED enum msp_err prt_delegation_read(struct msp_span octets, struct prt_delegation *d);
/** What must be deleted from `before` and then added to make `after`. Stops at the first error of fn. */
typedef enum msp_err prt_record_fn(void *arg, bool is_add, const struct msp_rr *rr);
MSP_CHECKED enum msp_err prt_delegation_diff(const struct prt_delegation *before, const struct prt_delegation *after,
					     prt_record_fn *fn, void *arg);

/** What would be gone; a set of bits, for policy and for the text of refusals. */
enum prt_loss {
	PRT_LOSS_SOME_NS = 1, /* a name server is no longer named */
	PRT_LOSS_ALL_NS = 2,  /* none of the present ones is */
	PRT_LOSS_GLUE = 4,    /* an address of one that stays */
	PRT_LOSS_SOME_DS = 8,
	PRT_LOSS_LAST_DS = 16 /* the child would be insecure */
};
unsigned prt_delegation_losses(const struct prt_delegation *before, const struct prt_delegation *after);

struct prt_shape_rules {
	unsigned ns_min, ns_max, ds_max;
	uint32_t ds_digests;    /* bit n = digest type n is taken */
	uint32_t ds_algorithms; /* bit n = algorithm n is taken */
	bool private_addresses; /* glue may be where the Internet does not lead: labs */
};
/** 2 to 13 servers, 8 DS, digests 2 and 4 (RFC 8624 3.3), algorithms 8, 10, 13, 14, 15, 16 (RFC 8624 3.1). */
extern const struct prt_shape_rules prt_shape_rules_default;
/** Whether a server can be there: 4 or 16 octets of its address. @param private_too as in the rules */
bool prt_address_is_usable(struct msp_span oct, bool private_too);
/**
 * Every rule that can be checked by looking at the records alone: counts, host names, glue for the in-bailiwick servers
 * and for them alone, usable addresses, DS digests. MSP_EVALUE with the first reason.
 */
MSP_CHECKED enum msp_err prt_delegation_check(const struct prt_delegation *d, const struct prt_shape_rules *rules,
					      struct msp_why *why);
/** An address (4 or 16 octets) where a name server can be; `private_too`: also where the Internet does not lead. */
bool prt_address_is_usable(struct msp_span octets, bool private_too);

#endif
