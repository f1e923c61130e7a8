/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The owner's zones as pages in LMDB: a page is a DNS message with the records of a part of the zone, ready to be sent
 * once its ID is set and a TSIG added. SOA and the apex RRsets that are set apart (apex.h) are not in the pages. The
 * only user of LMDB.
 *
 * A new version of a zone is a new generation of pages, written in short transactions; one last transaction points the
 * zone at it. Every value carries a checksum over itself and its place. Readers work on a snapshot and are not
 * disturbed.
 * @source DESIGN 2
 */
#ifndef CMB_PAGES_H
#define CMB_PAGES_H

#include "apex.h"

#include <msproto/msg/msg.h>

struct cmb_pages;
struct cmb_pages_conf {
	const char *path;     /* a file; "-lock" beside it */
	uint64_t map_size;    /* octets of address space; the file is as large as its content */
	unsigned readers_max; /* snapshots at one time */
};
/**
 * Open or create. A file that LMDB does not take for its own is moved aside ("PATH.damaged") and a new one begun:
 * everything in it can be transferred again; *started_anew says so.
 */
MSP_CHECKED enum msp_err cmb_pages_open(const struct cmb_pages_conf *conf, struct cmb_pages **out, bool *started_anew,
					struct msp_why *why);
void cmb_pages_close(struct cmb_pages **p);

/** What is held of a zone. *out_serial: the serial that was reserved for it. @return MSP_OK, MSP_ENOTFOUND,
 * MSP_ECORRUPT. */
MSP_CHECKED enum msp_err cmb_pages_load(struct cmb_pages *p, const struct msp_name *zone, struct cmb_owner **out,
					uint32_t *out_serial, struct msp_why *why);
/** Forget the zone; its pages become garbage. */
MSP_CHECKED enum msp_err cmb_pages_forget(struct cmb_pages *p, const struct msp_name *zone);

/** A generation under construction. */
struct cmb_build;
MSP_CHECKED enum msp_err cmb_build_new(struct cmb_pages *p, struct cmb_build **out);
/** @return MSP_OK; MSP_ELIMIT: the record is too large for a message with TSIG; MSP_ENOSPACE, MSP_EIO. */
MSP_CHECKED enum msp_err cmb_build_add(struct cmb_build *b, const struct msp_rr *rr);
/** All pages are on disk; gen, pages, records and octets of `owner` are filled in. */
MSP_CHECKED enum msp_err cmb_build_seal(struct cmb_build *b, struct cmb_owner *owner);
/** Point the zone at the sealed generation, with the serial reserved for it. */
MSP_CHECKED enum msp_err cmb_build_flip(struct cmb_build *b, const struct msp_name *zone, const struct cmb_owner *owner,
					uint32_t out_serial);
/** Without a flip before, the pages become garbage. NULL allowed. */
void cmb_build_free(struct cmb_build **b);

/** A snapshot to read one generation from. */
struct cmb_snap;
MSP_CHECKED enum msp_err cmb_snap_open(struct cmb_pages *p, uint64_t gen, struct cmb_snap **out);
void cmb_snap_close(struct cmb_snap **s);
/** Page `number` as a message with ID 0, borrowed until the snapshot is closed. MSP_ECORRUPT: damaged or not there. */
MSP_CHECKED enum msp_err cmb_snap_page(struct cmb_snap *s, uint32_t number, struct msp_span *msg);

/** The generation is no longer wanted. Readers that have it keep it. */
void cmb_pages_retire(struct cmb_pages *p, uint64_t gen);
/** Retire every generation that no zone points at (left by a crash). */
MSP_CHECKED enum msp_err cmb_pages_find_garbage(struct cmb_pages *p);
/** Delete at most `max` pages of retired generations in one transaction; *more when some are left. */
MSP_CHECKED enum msp_err cmb_pages_sweep(struct cmb_pages *p, size_t max, bool *more);

#define CMB_PAGE_TARGET 16360 /* octets: with our checksum and LMDB's header four disk pages */

#endif
