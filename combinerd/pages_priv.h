/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What the files of the zone store share. LMDB's databases:
 *   meta     "format" -> number of this layout; another one is treated as damage
 *   zones    zone's name in lower case -> checksum, record (pages_commit.c)
 *   pages    generation, number -> checksum, message
 *   history  zone's name, sequence number -> checksum, from, to, octets of del, del, add
 */
#ifndef CMB_PAGES_PRIV_H
#define CMB_PAGES_PRIV_H

#include "pages.h"

#include <msproto/base/rand.h>

#include <lmdb.h>
#include <stdatomic.h>
#include <string.h>

#define CMB_TSIG_ROOM 160                           /* usual TSIG records; no page is larger than a message less this */
#define CMB_PAGE_MAX  (MSP_MSG_MAX - CMB_TSIG_ROOM) /* octets; only a page of one record gets over the target */
#define CMB_PAGE_GAP  (UINT64_C(1) << 20)           /* between two pages of a new generation: room for splits */
#define CMB_RUN_GAP   (UINT64_C(1) << 40)           /* runs begin at multiples of this, but for the first */
#define CMB_SUM_LEN   8

/** Part of the map that was looked at and need not stay mapped. */
struct cmb_used {
	const uint8_t *lo, *hi;
	size_t octets; /* of pages; 0: lo and hi mean nothing */
};

struct cmb_pages {
	MDB_env *env; /* owned */
	MDB_dbi meta, zones, pages, history;
	char *path; /* owned */
	unsigned readers_max;
	uint64_t map_size;
	unsigned grown;
	size_t snaps;         /* read transactions that last: the map may not be moved */
	struct cmb_used used; /* by snapshots that are closed */
	struct msp_rand rand;
	uint64_t *retired; /* owned */
	size_t retired_count, retired_size;
	struct cmb_build *builds; /* list: generations under construction, borrowed */
	uint64_t commits, commit_us;
	atomic_uint_fast64_t damaged; /* snapshots are read in other threads too */
};

enum msp_err cmb_pages_translate(int rc);
/** The other way round, for what goes wrong inside a transaction. */
int cmb_pages_rc(enum msp_err err);

/** mdb_txn_begin; after a disk error that LMDB does not get over (MDB_PANIC) its file is opened anew first, once no
 * snapshot is open. */
int cmb_pages_begin(struct cmb_pages *p, unsigned flags, MDB_txn **txn);

/**
 * A write transaction begins and ends within one call. `fn` may be called several times: the map grows when it is full.
 * @param flags 0: durable when it returns; MDB_NOMETASYNC: consistent after a crash, but perhaps not there
 */
typedef int cmb_write_fn(MDB_txn *txn, struct cmb_pages *p, void *arg);
MSP_CHECKED enum msp_err cmb_pages_write(struct cmb_pages *p, unsigned flags, cmb_write_fn *fn, void *arg);

/** Against damage, not against an enemy. `seed` says where the octets belong. Host order: an LMDB file does not travel
 * between machines either. */
uint64_t cmb_pages_sum(struct msp_span octets, uint64_t seed);

/* --- values with their checksum ----------------------------------------------------------------------------------- */

/** Put checksum and octets, given in two parts. */
int cmb_value_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, uint64_t seed, struct msp_span head, struct msp_span body);
/** @return MSP_OK or MSP_ECORRUPT; *out borrowed from the value */
MSP_CHECKED enum msp_err cmb_value_check(MDB_val val, uint64_t seed, struct msp_span *out);
/** Without looking at the checksum. */
struct msp_span cmb_value_octets(MDB_val val);

/** Keys with a number at their end. `lower` is a zone's name in lower case. */
struct cmb_key {
	uint8_t mem[MSP_NAME_MAX + 8];
	MDB_val val;
};
void cmb_key_page(struct cmb_key *k, uint64_t gen, uint64_t number);
void cmb_key_zone(struct cmb_key *k, const struct msp_name *zone);
void cmb_key_entry(struct cmb_key *k, const struct msp_name *zone, uint64_t seq);
/** The number at the end of a key that is otherwise as `like`; false when it is another zone's or generation's. */
bool cmb_key_number(MDB_val key, const struct cmb_key *like, uint64_t *number);
/** Seeds of checksums. */
uint64_t cmb_seed_page(uint64_t gen, uint64_t number);
uint64_t cmb_seed_key(MDB_val key);

int cmb_page_put(MDB_txn *txn, struct cmb_pages *p, uint64_t gen, uint64_t number, struct msp_span msg);
/** Delete at most *left values whose keys are as `like` but for their number, beginning with like's; *left is what may
 * still be deleted. *done: none are left. */
int cmb_values_drop(MDB_txn *txn, MDB_dbi dbi, const struct cmb_key *like, size_t *left, bool *done);
/** Delete at most *left pages of a generation; *left is what may still be deleted. *done: none are left. */
int cmb_page_drop(MDB_txn *txn, struct cmb_pages *p, uint64_t gen, size_t *left, bool *done);

/* --- writing a page ----------------------------------------------------------------------------------------------- */

struct cmb_pagew {
	struct msp_wr wr;
	uint16_t count;
};
void cmb_pagew_begin(struct cmb_pagew *w, uint8_t *mem, size_t cap);
/** @return MSP_OK; MSP_ENOSPACE: nothing was added, since there is no room, or since there are records already and this
 * one would make the page larger than `target`. */
MSP_CHECKED enum msp_err cmb_pagew_add(struct cmb_pagew *w, const struct msp_rr *rr, size_t target);
/** The page; empty when it has no record. */
struct msp_span cmb_pagew_end(struct cmb_pagew *w);

/* --- what a commit takes ------------------------------------------------------------------------------------------ */

uint64_t cmb_build_gen(const struct cmb_build *b);
struct cmb_build *cmb_build_next(const struct cmb_build *b);
int cmb_build_put(MDB_txn *txn, struct cmb_pages *p, const struct cmb_build *b);
void cmb_build_committed(struct cmb_build *b);
int cmb_edit_put(MDB_txn *txn, struct cmb_pages *p, const struct cmb_edit *e);

/** Of the pages of a zone's record; 0 when it cannot be read. Its checksum is not looked at. */
uint64_t cmb_record_gen(MDB_val val);

/* --- what an edit reads ------------------------------------------------------------------------------------------- */

/** Move to the first page with at least this number. MSP_ENOTFOUND: there is none. */
MSP_CHECKED enum msp_err cmb_snap_seek(struct cmb_snap *s, uint64_t from, uint64_t *number);
/** The page moved to. MSP_ECORRUPT */
MSP_CHECKED enum msp_err cmb_snap_here(struct cmb_snap *s, struct msp_span *msg);
/** Number of the last page. */
MSP_CHECKED enum msp_err cmb_snap_last(struct cmb_snap *s, uint64_t *number);

/** Canonical order (RFC 4034 6.1). Names that differ in the first label only, most of a zone, are compared quickly. */
static inline int cmb_name_order(const struct msp_name *a, const struct msp_name *b)
{
	size_t skip_a = 1u + a->oct[0], skip_b = 1u + b->oct[0], min;

	if (a->len - skip_a != b->len - skip_b || memcmp(a->oct + skip_a, b->oct + skip_b, a->len - skip_a) != 0)
		return msp_name_cmp(a, b);
	min = skip_a < skip_b ? skip_a : skip_b;
	for (size_t i = 1; i < min; i++) {
		unsigned x = a->oct[i], y = b->oct[i];

		x |= x - 'A' < 26u ? 0x20u : 0;
		y |= y - 'A' < 26u ? 0x20u : 0;
		if (x != y)
			return x < y ? -1 : 1;
	}
	return (skip_a > skip_b) - (skip_a < skip_b);
}

#endif
