/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The inside of struct prt_books, for books.c (the thread that writes) and books_read.c (everybody else). */
#ifndef PRT_BOOKS_PRIV_H
#define PRT_BOOKS_PRIV_H

#include "books.h"
#include "books_fresh.h"
#include "filter.h"

#include <pthread.h>
#include <stdatomic.h>

#define BUCKET_CHILD "child"
#define BUCKET_AUDIT "audit"
#define BUCKET_DUE   "due"
#define BUCKET_META  "meta"
#define BUCKET_FRESH "fresh" /* SQLite: books_fresh.h */
#define BUCKET_MADE  "made"  /* PostgreSQL: number of a child -> its name, so that other processes hear of it */
#define MADE_KEEP    100000u
#define RECORD_MAX   (256u << 10) /* octets of one child; written parts are at most 64 KiB each */

/** What the whole of the books is at: "head" in "meta", changed by every transaction. */
struct prt_head {
	uint64_t seq; /* of the newest audit record */
	uint8_t hash[PRT_HASH_LEN];
	uint64_t children; /* ever made; children are not taken out */
};
/** octets: memory for it, emptied. */
MSP_CHECKED enum msp_err prt_head_load(struct prt_store *s, bool lock, struct msp_buf *octets, struct prt_head *out);

struct prt_reader {
	pthread_mutex_t lock;
	struct prt_store *store; /* owned */
	struct msp_buf octets;
};

struct prt_job;
/** Jobs, first in first out. */
struct prt_line {
	struct prt_job *first, *last;
};

struct prt_books {
	struct msp_loop *loop; /* borrowed */
	struct msp_wake *wake; /* owned */
	bool is_shared;        /* other processes write, too */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t work, finished, stopping;
	struct prt_line line, done; /* to be done; to be told on the loop */
	size_t in_line;
	size_t wanted; /* jobs in line for which the thread is woken */
	bool stop;
	struct prt_line telling;    /* the loop's alone */
	bool is_telling, is_closed; /* the loop's alone: closed by what was told, freed when that returns */
	atomic_size_t load, coming;

	/* the writing thread's */
	pthread_t thread;
	bool has_thread;
	struct prt_store *store; /* owned */
	struct prt_head head;
	struct prt_fresh fresh; /* unused when other processes write, too */
	bool is_direct;         /* the transaction under way writes children to where they belong */
	struct prt_child child;
	struct msp_buf in, octets, trail;
	bool leaves_marks;               /* PostgreSQL: to find out whether a commit has happened */
	uint64_t group_id, group_number; /* the mark */

	/* readers */
	struct prt_reader *reader; /* owned, readers of them */
	unsigned readers;
	atomic_uint turn;

	/* the filter, and the thread that builds it (books_read.c) */
	pthread_t scout;
	bool has_scout;
	struct prt_reader scouting;
	pthread_cond_t grown; /* with lock: the filter is too small */
	uint8_t filter_key[PRT_FILTER_KEY];
	_Atomic(struct prt_filter *) filter, building;
	struct prt_filter *retired[64]; /* owned; somebody may still be asking */
	unsigned retired_count;
	uint64_t made_seen; /* the scout's */

	struct {
		atomic_uint_fast64_t jobs, groups, commits_failed, retried, peeks, children, last_seq;
	} n;
};

/** The readers and the scout. */
MSP_CHECKED enum msp_err prt_books_open_readers(struct prt_books *b, const struct prt_store_where *w, unsigned readers,
						struct msp_why *why);
void prt_books_close_readers(struct prt_books *b);
/** This audit record is there: prt_books_stats says so from now on. From any thread. */
void prt_books_note_seq(struct prt_books *b, uint64_t seq);
/** A child has been made, and that has been committed. The writing thread's. */
void prt_books_note_made(struct prt_books *b, const struct msp_name *child);

/** The index of what is due, for one name. */
MSP_CHECKED enum msp_err prt_due_move(struct prt_store *s, struct msp_span name, struct msp_wall before,
				      struct msp_wall after);
void prt_be64(uint64_t v, uint8_t oct[8]);
uint64_t prt_from_be64(const uint8_t oct[8]);

#endif
