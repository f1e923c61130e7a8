/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Children that were changed lately, with SQLite: in memory, and in the store one behind the other, a row for each
 * transaction; moved to their places later. A child's place is a page of its own among hundreds of thousands, written
 * twice for each change; most children that change at all change again soon. Changed by the books' thread alone, within
 * its transactions; asked by any thread.
 */
#ifndef PRT_BOOKS_FRESH_H
#define PRT_BOOKS_FRESH_H

#include "store.h"

#include <msproto/base/clock.h>
#include <msproto/base/map.h>

#include <pthread.h>

#define PRT_FRESH_OCTETS_MAX (16u << 20) /* in memory; beyond, the oldest move */
#define PRT_FRESH_ROWS_MAX   512u

struct prt_fresh_entry;
struct prt_fresh {
	pthread_mutex_t lock;                    /* of the map, and of what others look at in its entries */
	pthread_rwlock_t walks;                  /* held by those who walk over all children: nothing moves meanwhile */
	struct msp_map map;                      /* name -> entry */
	struct msp_map due;                      /* time and name -> entry; also of the transaction under way */
	struct prt_fresh_entry *oldest, *newest; /* what is committed, by row */
	struct prt_fresh_entry *staged;          /* what the transaction under way has changed */
	uint64_t first, last;                    /* rows in the store; first == last + 1: none */
	uint64_t moved_to;                       /* the transaction under way has moved the rows before; 0 = none */
	uint64_t rows_max;                       /* PRT_FRESH_ROWS_MAX; tests make it small */
	size_t octets;                           /* of what is committed */
	bool holds_walks;
	struct msp_buf row;
};
void prt_fresh_init(struct prt_fresh *f);
void prt_fresh_fini(struct prt_fresh *f);
/** After a start: what the last process left. MSP_ECORRUPT. */
MSP_CHECKED enum msp_err prt_fresh_recover(struct prt_fresh *f, struct prt_store *s);

/** Also of the transaction under way. Appends to out. MSP_ENOTFOUND: as the store has it. */
MSP_CHECKED enum msp_err prt_fresh_get(const struct prt_fresh *f, struct msp_span key, struct msp_buf *out);
/** due: when something is to be done for it; due_before: what the store says about that. MSP_ENOMEM: nothing has
 * changed. */
MSP_CHECKED enum msp_err prt_fresh_stage(struct prt_fresh *f, struct msp_span key, struct msp_span octets,
					 struct msp_wall due_before, struct msp_wall due);
/** The oldest rows, at most `rows`, move to where they belong. Waits for those who walk when `must`, else leaves it. */
MSP_CHECKED enum msp_err prt_fresh_move(struct prt_fresh *f, struct prt_store *s, uint64_t rows, bool must);
/** Rows that should be moved now. */
uint64_t prt_fresh_excess(const struct prt_fresh *f);
static inline bool prt_fresh_is_empty(const struct prt_fresh *f)
{
	return f->first > f->last;
}
/** What was staged, as a row. */
MSP_CHECKED enum msp_err prt_fresh_store(struct prt_fresh *f, struct prt_store *s);
/** The store has committed it, or has not. */
void prt_fresh_commit(struct prt_fresh *f);
void prt_fresh_rollback(struct prt_fresh *f);

/** From any thread: what is committed. Appends to out. MSP_ENOTFOUND: ask the store. */
MSP_CHECKED enum msp_err prt_fresh_find(struct prt_fresh *f, struct msp_span key, struct msp_buf *out);
/** Appends what is due, earliest first from `from` on (64-bit time and name), at most max: 64-bit time, 16-bit length,
 * name. @param[out] row for prt_fresh_was_there */
MSP_CHECKED enum msp_err prt_fresh_due(struct prt_fresh *f, struct msp_span from, size_t max, struct msp_buf *out,
				       uint64_t *row);
/** Of this name the answer of prt_fresh_due counts, not the store's. */
bool prt_fresh_was_there(struct prt_fresh *f, struct msp_span key, uint64_t row);

#endif
