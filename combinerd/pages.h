/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The zone store: versions of zones on disk, in LMDB, and the only user of it (pages*.c).
 *
 * A zone's owner data is a list of pages; a page is a DNS message with the records of a part of the zone, ready to be
 * sent once its ID is set and a TSIG added. SOA and the apex RRsets that are set apart (apex.h) are not in the pages.
 * Pages are numbered with gaps and belong to a generation; in each of at most CMB_RUNS_MAX runs of pages owner names
 * are in canonical order (RFC 4034 6.1), so that a record is found by bisection over the pages' first names and there
 * is no index to go wrong. A whole transfer makes a new generation, an incremental one rewrites the pages that it
 * touches.
 *
 * Beside the pages: one record per zone (head, owner's apex, apex served) and its history (journal). A new version is
 * one transaction: pages, record and history together, so that nothing served is ever half of two versions.
 * Every value carries a checksum over itself and its place. Readers work on a snapshot and are not disturbed.
 * @source DESIGN 2, PROTOCOL E.6
 */
#ifndef CMB_PAGES_H
#define CMB_PAGES_H

#include "apex.h"

#include <msproto/base/clock.h>
#include <msproto/msg/msg.h>

#define CMB_PAGE_TARGET 16360 /* octets: with our checksum and LMDB's header four disk pages */

struct cmb_pages;
struct cmb_pages_conf {
	const char *path;     /* a file; "-lock" beside it */
	uint64_t map_size;    /* octets of address space; the file is as large as its content */
	unsigned readers_max; /* snapshots at one time */
};
/**
 * Open or create. A file that LMDB does not take for its own, or of another format than ours, is moved aside
 * ("PATH.damaged") and a new one begun: everything in it can be transferred again; *started_anew says so.
 */
MSP_CHECKED enum msp_err cmb_pages_open(const struct cmb_pages_conf *conf, struct cmb_pages **out, bool *started_anew,
					struct msp_why *why);
void cmb_pages_close(struct cmb_pages **p);

/* --- the record of a zone ----------------------------------------------------------------------------------------- */

/** What is known of a zone without looking at its records: all that a zone at rest needs. */
struct cmb_head {
	uint64_t gen;                          /* of the pages */
	uint32_t owner_serial, out_serial;     /* of the owner's version held, and of the one served */
	uint32_t refresh_s, retry_s, expire_s; /* from the SOA, as received */
	uint32_t ceiling;                      /* state.h: serials up to this one are reserved; 0 = none */
	uint64_t instructions;                 /* number of the contributions applied (cmb_contrib.number) */
	uint64_t rules;                        /* fingerprint of the settings applied (cmb_rules_fingerprint) */
	uint64_t records, octets;              /* in the pages */
	uint64_t next_seq;                     /* of the history */
	struct msp_wall confirmed;             /* when a primary last said that this is its newest */
	bool is_signed, ns_applied;
};
/** @return MSP_OK, MSP_ENOTFOUND, MSP_ECORRUPT */
MSP_CHECKED enum msp_err cmb_pages_head(struct cmb_pages *p, const struct msp_name *zone, struct cmb_head *out);

struct cmb_record {
	struct cmb_head head;
	struct cmb_owner *owner; /* owned */
	struct cmb_apex served;  /* owned; with SOA */
};
void cmb_record_fini(struct cmb_record *r);
/** All of it. @return MSP_OK, MSP_ENOTFOUND, MSP_ECORRUPT */
MSP_CHECKED enum msp_err cmb_pages_load(struct cmb_pages *p, const struct msp_name *zone, struct cmb_record *out,
					struct msp_why *why);
/** Note that zones were confirmed, and what their versions hold, without a new version: one transaction for all. */
struct cmb_confirmed {
	const struct msp_name *zone;
	struct msp_wall at;
	uint64_t instructions, rules; /* as in struct cmb_head */
};
MSP_CHECKED enum msp_err cmb_pages_confirm(struct cmb_pages *p, const struct cmb_confirmed *zones, size_t count);
/** Forget the zone, its record and history; its pages become garbage. */
MSP_CHECKED enum msp_err cmb_pages_forget(struct cmb_pages *p, const struct msp_name *zone);

/* --- history ------------------------------------------------------------------------------------------------------ */

#define CMB_HISTORY_MAX 1000 /* entries of one zone, whatever the settings say */

/**
 * Served serial `from` -> `to`. `del` begins with the SOA of `from`, `add` with that of `to`; then the records,
 * uncompressed: what RFC 1995 4 wants, one after the other.
 */
struct cmb_delta {
	uint32_t from, to;
	struct msp_buf del, add; /* owned */
};
void cmb_delta_free(struct cmb_delta **d);
struct cmb_delta_view { /* borrowed from a snapshot */
	uint32_t from, to;
	struct msp_span del, add;
};

/* --- a whole version coming in ------------------------------------------------------------------------------------ */

/** A generation under construction. Full pages go to disk in short transactions while it grows. */
struct cmb_build;
MSP_CHECKED enum msp_err cmb_build_new(struct cmb_pages *p, struct cmb_build **out);
/** @return MSP_OK; MSP_ELIMIT: the record is too large for a message with TSIG; MSP_ENOSPACE, MSP_EIO. */
MSP_CHECKED enum msp_err cmb_build_add(struct cmb_build *b, const struct msp_rr *rr);
/**
 * A message that was received can be a page as it is: nothing but the header needs to be written anew. What is asked of
 * it is asked of every page: no question, records of this zone's pages only and in an order that cmb_build_follows has
 * agreed to, from the first to the last, and at most CMB_PAGE_TARGET octets.
 */
#define CMB_PAGE_WORTH (CMB_PAGE_TARGET / 2) /* octets: below this a page of our own is better */
/** The next record of such a message. False: it cannot be one page. Then cmb_build_retract, and add its records. */
MSP_CHECKED enum msp_err cmb_build_follows(struct cmb_build *b, const struct msp_name *owner, bool is_first,
					   bool *follows);
void cmb_build_retract(struct cmb_build *b);
/** @param msg header and `count` records, nothing else */
MSP_CHECKED enum msp_err cmb_build_add_page(struct cmb_build *b, struct msp_span msg, uint16_t count);
/**
 * No more records. Fills in gen, layout, pages, records and octets of `owner`. With to_disk everything can be read by a
 * snapshot from now on; without it the last pages may wait for cmb_pages_commit (small zones need one transaction).
 */
MSP_CHECKED enum msp_err cmb_build_seal(struct cmb_build *b, struct cmb_owner *owner, bool to_disk);
/** Without a commit before, the pages become garbage. NULL allowed. */
void cmb_build_free(struct cmb_build **b);

/* --- differences coming in ---------------------------------------------------------------------------------------- */

/**
 * Changes to the pages held, prepared in memory (at most CMB_EDIT_MAX octets of rewritten pages) against a snapshot;
 * cmb_pages_commit writes them. There may be one for a zone at a time.
 */
struct cmb_edit;
#define CMB_EDIT_MAX (32u << 20)
MSP_CHECKED enum msp_err cmb_edit_new(struct cmb_pages *p, const struct cmb_owner *owner, struct cmb_edit **out);
/** The TTL is not compared. MSP_ENOTFOUND: no such record (RFC 1995: the copy held is not what the primary thinks);
 * MSP_ELIMIT: larger than an edit may be, take the whole zone; MSP_ECORRUPT, MSP_ENOMEM. */
MSP_CHECKED enum msp_err cmb_edit_del(struct cmb_edit *e, const struct msp_rr *rr);
/** MSP_EEXIST: the record is there already. */
MSP_CHECKED enum msp_err cmb_edit_add(struct cmb_edit *e, const struct msp_rr *rr);
/** No more changes. Fills in gen, layout, pages, records and octets of `owner` (which holds the new apex). Appends the
 * net difference, uncompressed records in canonical order of names, to del and add: what was both added and deleted is
 * in neither. */
MSP_CHECKED enum msp_err cmb_edit_seal(struct cmb_edit *e, struct cmb_owner *owner, struct msp_buf *del,
				       struct msp_buf *add);
/** NULL allowed. */
void cmb_edit_free(struct cmb_edit **e);

/* --- committing --------------------------------------------------------------------------------------------------- */

/** What becomes of one zone in a transaction. All borrowed until cmb_pages_commit has returned. */
struct cmb_change {
	const struct msp_name *zone;
	struct cmb_head head;          /* gen, records, octets, is_signed are taken from `owner` */
	const struct cmb_owner *owner; /* its apex, HSYNC and layout */
	const struct cmb_apex *served;
	struct cmb_build *build;       /* sealed; or NULL */
	const struct cmb_edit *edit;   /* sealed; or NULL */
	const struct cmb_delta *delta; /* the next entry of the history; NULL: the history begins anew */
	uint32_t history_entries;      /* older entries beyond this number, or beyond */
	uint64_t history_octets;       /* these octets, go in the same transaction */
	uint64_t retire;               /* generation no longer wanted after it; 0 = none */
};
/** All changes or none, durable (fsync) on return. The zones are different ones. */
MSP_CHECKED enum msp_err cmb_pages_commit(struct cmb_pages *p, struct cmb_change *change, size_t count);

/* --- reading ------------------------------------------------------------------------------------------------------ */

/** A snapshot of one generation and of the zone's history. May be used by one thread at a time, not only its maker's.
 */
struct cmb_snap;
MSP_CHECKED enum msp_err cmb_snap_open(struct cmb_pages *p, uint64_t gen, struct cmb_snap **out);
void cmb_snap_close(struct cmb_snap **s);
/** The next page as a message with ID 0 and ARCOUNT 0, borrowed until the snapshot is closed. MSP_ENOTFOUND: that was
 * all; MSP_ECORRUPT: damaged. Pages that are missing show in the count of pages. */
MSP_CHECKED enum msp_err cmb_snap_next(struct cmb_snap *s, struct msp_span *msg);
void cmb_snap_rewind(struct cmb_snap *s);
/** Pages up to the one at `msg` have been used: their memory mapping need not stay (they are still borrowed, and come
 * back from the file cache when they are looked at again). Keeps a large zone's transfer from counting as memory in
 * use. */
void cmb_snap_used(struct cmb_snap *s, struct msp_span msg);
/**
 * The entries that lead from `serial` to `out_serial`, oldest first, without a gap, newest at most CMB_HISTORY_MAX.
 * @param[out] view room for CMB_HISTORY_MAX, borrowed until the snapshot is closed
 * @return MSP_OK; MSP_ENOTFOUND: no such chain; MSP_ECORRUPT
 */
MSP_CHECKED enum msp_err cmb_snap_history(struct cmb_snap *s, const struct msp_name *zone, uint32_t serial,
					  uint32_t out_serial, struct cmb_delta_view *view, size_t *count);

/* --- garbage ------------------------------------------------------------------------------------------------------ */

/** The generation is no longer wanted. Readers that have it keep it. */
void cmb_pages_retire(struct cmb_pages *p, uint64_t gen);
/** Retire every generation that no zone points at (left by a crash), but those under construction. */
MSP_CHECKED enum msp_err cmb_pages_find_garbage(struct cmb_pages *p);
/** Delete at most `max` pages of retired generations in one transaction; *more when some are left. */
MSP_CHECKED enum msp_err cmb_pages_sweep(struct cmb_pages *p, size_t max, bool *more);

struct cmb_pages_stats {
	uint64_t file_octets, used_octets; /* of the store's file */
	uint64_t commits, commit_us;       /* transactions and the time they took */
	uint64_t snapshots, retired;       /* open now; generations waiting to be swept */
	uint64_t damaged;                  /* values whose checksum was wrong */
};
struct cmb_pages_stats cmb_pages_stats(struct cmb_pages *p);

#endif
