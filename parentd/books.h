/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The books: all children in the store, changed one transaction at a time by a thread of their own; several jobs share
 * a transaction and its fsync. The loop hands jobs in and gets them back; it never waits for the disk. Buckets: "child"
 * by name in canonical order (prt_child_write), "audit" by 64-bit number, "due" by 64-bit time and name, "meta"; with
 * SQLite "fresh" (books_fresh.h): children changed lately, before they are moved to "child"; with PostgreSQL "made".
 */
#ifndef PRT_BOOKS_H
#define PRT_BOOKS_H

#include "desk.h"
#include "store.h"

#include <msproto/io/loop.h>

#define PRT_JOBS_MAX  4096 /* in line: MSP_EBUSY beyond */
#define PRT_GROUP_MAX 512  /* jobs in one transaction */

struct prt_books;
/**
 * Opens the store and starts the thread. Does not read all children: what is needed of them at once (the filter) is
 * read in the background. MSP_ECORRUPT and so on with the reason.
 * @param readers connections for prt_books_peek, at least the number of threads that use it; 0 = 4
 */
MSP_CHECKED enum msp_err prt_books_open(struct msp_loop *loop, const struct prt_store_where *w, unsigned readers,
					struct prt_books **out, struct msp_why *why);
/** Finishes what is in line (their `done` are not called any more), stops the thread. NULL allowed. */
void prt_books_close(struct prt_books **b);

/**
 * A decision inside the transaction, on the books' thread.
 * @param c the child as stored; with exists false fresh and empty, stored when out->is_changed says so
 * @return MSP_OK: committed as `out` says. Anything else: nothing of this job happens, `done` gets it.
 */
typedef enum msp_err prt_books_fn(void *arg, struct prt_child *c, bool exists, struct msp_wall now,
				  struct prt_outcome *out);
/** On the loop, exactly once, after the commit. err MSP_OK: it is durable. `out` stays the job's owner's. */
typedef void prt_books_done_fn(void *arg, enum msp_err err);
/** `parent` for a child that does not exist yet. *out: initialised by the caller, filled by fn, valid until done.
 * In PostgreSQL a transaction that lost a race runs again: fn may be called more than once (each time with the child
 * loaded anew, and `out` emptied), so it keeps no state of its own. */
MSP_CHECKED enum msp_err prt_books_do(struct prt_books *b, const struct msp_name *parent, const struct msp_name *child,
				      prt_books_fn *fn, prt_books_done_fn *done, void *arg, struct prt_outcome *out);
/** The same and wait for it: operators' commands, start-up. Not from the books' thread. */
MSP_CHECKED enum msp_err prt_books_do_now(struct prt_books *b, const struct msp_name *parent,
					  const struct msp_name *child, prt_books_fn *fn, void *arg,
					  struct prt_outcome *out);
/**
 * So many requests are being verified, and most of them will be jobs in a moment: a transaction waits until as many are
 * in line as are still to come, for a millisecond or two at most. From the loop.
 */
void prt_books_expect(struct prt_books *b, size_t coming);
/** Jobs in line and under way. */
size_t prt_books_load(const struct prt_books *b);

/* --- reading: from any thread, blocking for as long as the store takes; fn may hand in jobs with prt_books_do, but
 * neither read nor wait --- */

/** MSP_ENOTFOUND. */
MSP_CHECKED enum msp_err prt_books_peek(struct prt_books *b, const struct msp_name *child, struct prt_child *out);
/** Its octets as stored, appended to out; prt_child_read_keys goes with it. */
MSP_CHECKED enum msp_err prt_books_peek_raw(struct prt_books *b, const struct msp_name *child, struct msp_buf *out);
/** False: there is certainly no such child. Never reads the store, costs well under a microsecond; true may be wrong.
 */
bool prt_books_may_have(const struct prt_books *b, const struct msp_name *child);
/** Children in canonical order from `from` (NULL = the first), at most max. */
typedef enum msp_err prt_books_child_fn(void *arg, const struct prt_child *c);
MSP_CHECKED enum msp_err prt_books_each(struct prt_books *b, const struct msp_name *from, size_t max,
					prt_books_child_fn *fn, void *arg);
/** Names only. */
typedef enum msp_err prt_books_name_fn(void *arg, const struct msp_name *name);
MSP_CHECKED enum msp_err prt_books_names(struct prt_books *b, const struct msp_name *from, size_t max,
					 prt_books_name_fn *fn, void *arg);
/** A place in the order of what is due. at 0: the beginning, or the end. */
struct prt_due {
	struct msp_wall at;
	struct msp_name_key name;
};
/**
 * Names of what is due by `now`, earliest first, at most max.
 * @param place where to begin, then where it ended: the first one that was not told, since it is not due yet or too
 * many
 */
MSP_CHECKED enum msp_err prt_books_due(struct prt_books *b, struct msp_wall now, size_t max, prt_books_name_fn *fn,
				       void *arg, struct prt_due *place);
/** Audit records from seq on, as stored. */
typedef enum msp_err prt_books_audit_fn(void *arg, uint64_t seq, struct msp_span octets);
MSP_CHECKED enum msp_err prt_books_audit(struct prt_books *b, uint64_t from, size_t max, prt_books_audit_fn *fn,
					 void *arg);
/** Of the newest record; 0 = none. */
uint64_t prt_books_last_seq(struct prt_books *b);

/** Of the newest record: what a walk of the whole trail by prt_audit_follow has to end with. */
MSP_CHECKED enum msp_err prt_books_head(struct prt_books *b, uint64_t *seq, uint8_t hash[PRT_HASH_LEN]);

/* --- small facts: watermarks, the sweep's place; blocking --- */
MSP_CHECKED enum msp_err prt_books_meta_get(struct prt_books *b, const char *key, struct msp_buf *out);
MSP_CHECKED enum msp_err prt_books_meta_put(struct prt_books *b, const char *key, struct msp_span value);
/** This process alone does `what` ("backend", "sweep") from now on. MSP_EBUSY. Ask again before each round of work:
 * after a connection to PostgreSQL was lost another process may have it. Waits for its turn in the line. */
MSP_CHECKED enum msp_err prt_books_hold(struct prt_books *b, const char *what);

/** Many children at once: import of a parent zone, benches. One transaction for all of a call; waits. `fn` as above. */
MSP_CHECKED enum msp_err prt_books_do_many(struct prt_books *b, const struct msp_name *parent,
					   const struct msp_name *const *child, size_t count, prt_books_fn *fn,
					   void *const *arg);

struct prt_books_stats {
	uint64_t jobs, groups, commits_failed, retried, peeks;
	uint64_t children; /* there are */
	uint64_t last_seq; /* of the newest audit record; PostgreSQL: of those of other processes a second late */
	bool has_filter;   /* built in the background after the start; before, prt_books_may_have is always true */
};
struct prt_books_stats prt_books_stats(const struct prt_books *b);

#endif
