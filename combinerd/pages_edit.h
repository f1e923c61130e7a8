/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What the files of an edit share. Pages that change are unpacked to lists of records (pages_edit_mem.c), found and
 * changed there (pages_edit_find.c, pages_edit.c), and packed again at the end (pages_edit_pack.c), where one that has
 * got too full becomes several. Until the commit all of it is in memory.
 */
#ifndef CMB_PAGES_EDIT_H
#define CMB_PAGES_EDIT_H

#include "pages_priv.h"

#include "netdiff.h"

#include <msproto/base/map.h>

#define CMB_REC_HEAD 10 /* octets of a record between owner and RDATA */

/** A record, uncompressed. */
struct cmb_rec {
	const uint8_t *ptr; /* borrowed: from the page's block or from a struct cmb_added */
	uint32_t len;
	uint8_t name_len;
};

/** A page that is changed, or has been: without records it is deleted, or was never there. */
struct cmb_page {
	uint64_t number;
	size_t old_octets; /* on disk; 0 = not there */
	bool is_touched;
	uint8_t *block;      /* owned: the records it had, unpacked */
	struct cmb_rec *rec; /* owned */
	size_t count, size;
};

/** A page as it is to be stored. */
struct cmb_page_out {
	uint64_t number;
	uint8_t *msg; /* owned; NULL: delete it */
	size_t len;
};

struct cmb_added;
struct cmb_edit {
	struct cmb_pages *p;                 /* borrowed */
	uint64_t gen, records, octets, last; /* last: number of the last page */
	int64_t page_count;
	enum msp_err err; /* the first one that leaves it unusable */
	struct cmb_layout layout;
	struct cmb_snap *snap;   /* owned, until sealed: what is to be written is in memory then */
	struct msp_map pages;    /* owned: number, 8 octets -> struct cmb_page */
	struct cmb_added *added; /* owned list: records that came in */
	struct cmb_netdiff net;
	size_t memory;                  /* octets, about */
	uint64_t looked;                /* records looked at */
	struct msp_rr_scratch *scratch; /* owned */
	struct cmb_page_out *out;       /* owned */
	size_t out_count, out_size;
};

/* --- pages in memory ---------------------------------------------------------------------------------------------- */

void cmb_rec_name(const struct cmb_rec *r, struct msp_name *out);
void cmb_rec_rr(const struct cmb_rec *r, struct msp_rr *out);
/** Room for the record's octets must be at `mem`. */
struct cmb_rec cmb_rec_write(uint8_t *mem, const struct msp_rr *rr);

/** Account for memory. @return MSP_OK, MSP_ELIMIT */
MSP_CHECKED enum msp_err cmb_edit_spend(struct cmb_edit *e, size_t octets);

struct cmb_number_key {
	uint8_t oct[8]; /* in network order, so that the map's order is that of the numbers */
};
struct cmb_number_key cmb_number_key(uint64_t number);
/** NULL when the page is not in memory. */
struct cmb_page *cmb_page_get(const struct cmb_edit *e, uint64_t number);
/** The page, to change it; one that is not stored begins empty. */
MSP_CHECKED enum msp_err cmb_page_load(struct cmb_edit *e, uint64_t number, struct cmb_page **out);
void cmb_page_free(void *page);
MSP_CHECKED enum msp_err cmb_page_insert(struct cmb_edit *e, struct cmb_page *pg, size_t at, struct cmb_rec r);
void cmb_page_remove(struct cmb_page *pg, size_t at);
/** First record whose name is not before `name`, in a page in order. */
size_t cmb_page_lower_bound(const struct cmb_page *pg, const struct msp_name *name);
/** The header of a page, and a reader of its records. @return MSP_OK, MSP_ECORRUPT */
MSP_CHECKED enum msp_err cmb_page_open(struct msp_span msg, struct msp_rd *rd, uint16_t *count);

/* --- finding ------------------------------------------------------------------------------------------------------ */

/** How well an addition fits to a place. */
enum cmb_fit { CMB_FIT_NONE, CMB_FIT_ANYWHERE, CMB_FIT_NAME, CMB_FIT_TYPE };

struct cmb_search {
	const struct msp_rr *rr;
	bool is_found;
	uint64_t found_page;
	size_t found_at;
	/* where it would be put */
	enum cmb_fit fit;
	uint64_t page;
	size_t at; /* not with CMB_FIT_ANYWHERE */
};
/** @return MSP_OK (whether found or not), MSP_ECORRUPT, MSP_ELIMIT: too much work */
MSP_CHECKED enum msp_err cmb_edit_find(struct cmb_edit *e, const struct msp_rr *rr, struct cmb_search *s);

/* --- packing ------------------------------------------------------------------------------------------------------ */

/** Fill in out; page_count and octets are those afterwards. MSP_ELIMIT: there is no number left between two pages. */
MSP_CHECKED enum msp_err cmb_edit_pack(struct cmb_edit *e);
void cmb_edit_drop_out(struct cmb_edit *e, size_t from);

#endif
