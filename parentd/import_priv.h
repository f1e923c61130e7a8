/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Between import.c (the loop: SOA, transfer, when) and import_zone.c, import_merge.c (the pool: what the transfer says,
 * and how the books differ). The records that make delegations go into a file without a name while they come; memory is
 * needed for an index only, and only when the primary does not send in canonical order.
 */
#ifndef PRT_IMPORT_PRIV_H
#define PRT_IMPORT_PRIV_H

#include "backend.h"

#include <msproto/base/map.h>

/* --- import_zone.c: the file ----------------------------------------------------------------------------------------
 */

struct prt_zonefile {
	struct msp_name parent;
	int fd; /* -1: none */
	struct msp_buf out;
	uint64_t size, records;
	struct msp_name_key last; /* of last_owner */
	struct msp_name last_owner;
	bool is_sorted, has_apex_ns;
	/* reading */
	const uint8_t *map;    /* owned */
	const uint8_t **index; /* owned; NULL: as it is */
	uint64_t at;           /* record number with an index, octets without */
	uint64_t dropped;      /* octets that the system may forget again */
	struct msp_name cut;
	bool has_cut;
};
/** The file is made in `directory` and has no name when this returns. */
MSP_CHECKED enum msp_err prt_zonefile_open(struct prt_zonefile *z, const char *directory, const struct msp_name *parent,
					   struct msp_why *why);
/** A record of the zone, of any type. */
MSP_CHECKED enum msp_err prt_zonefile_add(struct prt_zonefile *z, const struct msp_rr *rr);
/** All records are in. Long for a large zone that is not in order: for the pool. */
MSP_CHECKED enum msp_err prt_zonefile_seal(struct prt_zonefile *z);
void prt_zonefile_rewind(struct prt_zonefile *z);
/**
 * The next delegation in canonical order of children. Idle addresses (at no server of this child) are left out.
 * @param d initialised by the call; the caller clears it
 * @return MSP_OK; MSP_ENOTFOUND: there is no more; MSP_ELIMIT: more than a delegation holds, d has its child's name
 */
MSP_CHECKED enum msp_err prt_zonefile_next(struct prt_zonefile *z, struct prt_delegation *d);
void prt_zonefile_close(struct prt_zonefile *z);

/* --- import_merge.c --------------------------------------------------------------------------------------------------
 */

#define PRT_MERGE_CHUNK 256
struct prt_merge {
	struct prt_books *books; /* borrowed */
	struct msp_name parent;
	struct prt_zonefile *zone; /* borrowed; sealed */
	uint64_t since; /* journal's end before the transfer: children that have changed since are left alone */
	/* Children whose delegation has moved since then, or has been published: what the transfer says of them may be
	 * older. `looked`: the journal has been gone through up to there. */
	struct msp_map moved;
	uint64_t looked;
	bool is_full;  /* more than fit: none that has a newer record is touched */
	bool is_first; /* nothing was imported before: one line in the log for all, no record for each */
	/* progress */
	bool zone_over, books_over, has_head;
	enum msp_err head_err;
	struct prt_delegation head;
	struct prt_merge_child {
		struct msp_name name;
		struct prt_delegation published; /* owned */
		bool is_gone;
	} * child; /* owned, of the books: a chunk */
	size_t child_at, child_count;
	struct msp_name child_last;
	struct prt_merge_item {
		struct prt_delegation d; /* owned */
		struct prt_merge *of;
	} * item; /* owned: what differs */
	size_t item_count;
	uint64_t seen, changed, too_large;
	uint64_t left_alone; /* at least so many of those that differ have changed since `since`; the books' thread
				counts */
	struct msp_name too_large_first;
};
MSP_CHECKED enum msp_err prt_merge_init(struct prt_merge *m, struct prt_books *books, struct prt_zonefile *zone,
					uint64_t since, bool is_first);
void prt_merge_fini(struct prt_merge *m);
/** In the pool: some of it, about 1 000 children or one transaction. *over: that was all. */
MSP_CHECKED enum msp_err prt_merge_step(struct prt_merge *m, bool *over);

#endif
