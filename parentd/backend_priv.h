/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Between backend.c (the loop: when, and what came of it) and backend_walk.c (the pool: what the books say). A walk
 * belongs to one of the two at a time.
 *
 * What is durable of a backend, in the books' "meta": its place in the journal; the names of children set aside; and,
 * only where a parent has several backends, for each child that not all of them have yet what this one has. All of it
 * is written after the fact and only says what need not be done again.
 */
#ifndef PRT_BACKEND_PRIV_H
#define PRT_BACKEND_PRIV_H

#include "backend.h"

#include <pthread.h>

#define PRT_LEFT_MAX 250 /* children set aside, of one backend */

enum prt_item_state { PRT_ITEM_TODO, PRT_ITEM_DONE, PRT_ITEM_REFUSED, PRT_ITEM_FAILED };
/** One child to be made what is registered. */
struct prt_item {
	const char *backend; /* borrowed from the walk */
	struct msp_name child;
	uint64_t seq;
	struct prt_delegation have, want, maybe; /* owned */
	bool is_true;                            /* published already: there is nothing to be said when it is done */
	bool is_noted; /* of several backends this one has something else than what is published */
	enum prt_item_state state;
	struct msp_why why;
};

struct prt_walk {
	/* who: set once */
	struct prt_books *books; /* borrowed */
	struct msp_name parent;
	const char *name;         /* borrowed from the walker */
	pthread_mutex_t *marking; /* borrowed: one walk at a time says what is published */
	/* set before each reading */
	const char *other[PRT_BACKENDS_MAX]; /* borrowed: the parent's other backends */
	size_t other_count, batch;
	bool is_whole, is_forced; /* forced: with is_whole, there is something to be done in any case */
	bool is_mirror;           /* has all children, and so hears of what others have changed */
	bool is_new;              /* is_mirror: it is to begin with all children again */
	size_t left_turn;         /* so many of those set aside are to be tried again now */

	/* where: durable */
	bool is_loaded;
	bool is_scan; /* it has no place yet: looks at all children for what is not published, then walks from `to` */
	uint64_t place, saved;
	struct msp_name scan_from; /* not set = the first */
	struct msp_name left[PRT_LEFT_MAX];
	size_t left_count;

	/* what is to be done next; cleared by prt_walk_done */
	struct prt_item *item; /* owned, PRT_BATCH_MAX */
	size_t count;
	bool is_dirty;           /* is_whole: something was imported */
	uint64_t to;             /* the place afterwards */
	struct msp_name scan_to; /* is_scan: go on behind this child; not set = the scan is over */
	bool is_end;             /* nothing more to read for now */
	uint64_t published, refused;
	struct msp_why why;
};

MSP_CHECKED enum msp_err prt_walk_init(struct prt_walk *w, struct prt_books *books, const struct msp_name *parent,
				       const char *name, pthread_mutex_t *marking);
void prt_walk_fini(struct prt_walk *w);
/** In the pool: find out what is to be done next. count 0 and not dirty: nothing; is_end says whether to come again. */
MSP_CHECKED enum msp_err prt_walk_read(struct prt_walk *w);
/**
 * In the pool: the items' states are known. Says in the books what is published and what was refused, keeps those that
 * failed aside, goes on. MSP_ELIMIT: too many are aside already. Nothing has moved unless MSP_OK.
 */
MSP_CHECKED enum msp_err prt_walk_mark(struct prt_walk *w);
/** Forget the batch, e.g. to read it again. */
void prt_walk_done(struct prt_walk *w);
/** In the pool, before the first reading of a parent's walks: is the set of its backends another one than last time?
 * Then all of them look at all children. */
MSP_CHECKED enum msp_err prt_walk_set(struct prt_books *books, const struct msp_name *parent, const char *const *name,
				      size_t count);

#endif
