/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a record is, or belongs: by bisection over the first names of pages, as stored or as changed already. */
#include "pages_edit.h"

#define LOOKED_MAX 10000000 /* records looked at: about a second of work. Beyond, the whole zone is less of it */

/** A page in either form. */
struct ref {
	uint64_t number;
	struct cmb_page *page; /* NULL: it is as stored */
	struct msp_span msg;   /* as stored */
};

static enum msp_err look_at(struct cmb_edit *e, uint64_t records)
{
	e->looked += records;
	return e->looked > LOOKED_MAX ? MSP_ELIMIT : MSP_OK;
}

/* --- walking over pages in either form ---------------------------------------------------------------------------- */

/* First page in memory from a number on that has records; NULL when there is none. */
static struct cmb_page *mem_seek(const struct cmb_edit *e, uint64_t from)
{
	struct cmb_number_key k = cmb_number_key(from);
	struct msp_map_it it;

	for (bool more = msp_map_first(&e->pages, msp_span(k.oct, sizeof(k.oct)), &it); more;
	     more = msp_map_next(&e->pages, &it)) {
		struct cmb_page *pg = it.value;

		if (pg->count > 0)
			return pg;
	}
	return NULL;
}

/* First page with a number in [from, end). MSP_ENOTFOUND. Its octets are not looked at yet. */
static enum msp_err ref_seek(struct cmb_edit *e, uint64_t from, uint64_t end, struct ref *out)
{
	struct cmb_page *mem = mem_seek(e, from);
	uint64_t number = from;
	enum msp_err err;

	if (mem != NULL && mem->number < end)
		end = mem->number; /* what is stored counts only before it */
	else
		mem = NULL;
	do
		err = cmb_snap_seek(e->snap, number, &number);
	while (err == MSP_OK && number < end && cmb_page_get(e, number) != NULL && ++number != 0);
	if (err != MSP_OK && err != MSP_ENOTFOUND)
		return err;
	if (err == MSP_OK && number < end) {
		*out = (struct ref){ .number = number };
		return MSP_OK;
	}
	if (mem == NULL)
		return MSP_ENOTFOUND;
	*out = (struct ref){ .number = mem->number, .page = mem };
	return MSP_OK;
}

/* The page that was sought last. */
static enum msp_err ref_open(struct cmb_edit *e, struct ref *r)
{
	enum msp_err err = r->page != NULL || r->msg.len > 0 ? MSP_OK : cmb_snap_here(e->snap, &r->msg);

	if (err == MSP_OK && r->page == NULL)
		cmb_snap_used(e->snap, r->msg);
	return err;
}

static enum msp_err ref_first_name(struct cmb_edit *e, struct ref *r, struct msp_name *out)
{
	enum msp_err err = ref_open(e, r);
	struct msp_rd rd;

	if (err != MSP_OK)
		return err;
	if (r->page != NULL) {
		cmb_rec_name(&r->page->rec[0], out);
		return MSP_OK;
	}
	msp_rd_init(&rd, r->msg);
	(void)msp_rd_take(&rd, MSP_HEADER_LEN);
	msp_name_read(&rd, MSP_NAME_PLAIN, out); /* nothing was written before that it could point to */
	return rd.err == MSP_OK ? MSP_OK : MSP_ECORRUPT;
}

static uint64_t run_end(const struct cmb_edit *e, unsigned run)
{
	return run + 1 < e->layout.runs ? e->layout.first[run + 1] : e->last + 1;
}

/*
 * The last page of a run whose first name is before `name`: records of that name begin there, if anywhere. The run's
 * first page when there is none; MSP_ENOTFOUND when the run is empty.
 */
static enum msp_err bisect(struct cmb_edit *e, unsigned run, const struct msp_name *name, struct ref *out)
{
	uint64_t lo = e->layout.first[run], end = run_end(e, run), hi = end;
	bool has_best = false;

	/* Pages from hi on do not begin before the name; those before lo do. */
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		struct msp_name first;
		struct ref r;
		enum msp_err err = ref_seek(e, mid, hi, &r);

		if (err == MSP_OK)
			err = ref_first_name(e, &r, &first);
		if (err != MSP_OK && err != MSP_ENOTFOUND)
			return err;
		if (err == MSP_ENOTFOUND || cmb_name_order(&first, name) >= 0) {
			hi = mid;
			continue;
		}
		*out = r;
		has_best = true;
		lo = r.number + 1;
	}
	return has_best ? MSP_OK : ref_seek(e, e->layout.first[run], end, out);
}

/* --- finding a record --------------------------------------------------------------------------------------------- */

static void note_record(struct cmb_search *s, uint64_t page, size_t at, uint16_t type, struct msp_span rdata)
{
	enum cmb_fit fit = type == s->rr->type ? CMB_FIT_TYPE : CMB_FIT_NAME;

	if (fit >= s->fit) {
		s->fit = fit;
		s->page = page;
		s->at = at + 1;
	}
	if (type == s->rr->type && msp_rdata_equal(type, rdata, s->rr->rdata)) {
		s->is_found = true;
		s->found_page = page;
		s->found_at = at;
	}
}

static enum msp_err look_in_memory(struct cmb_edit *e, const struct cmb_page *pg, struct cmb_search *s)
{
	size_t from = e->layout.is_unordered ? 0 : cmb_page_lower_bound(pg, &s->rr->owner), i;

	for (i = from; i < pg->count && !s->is_found; i++) {
		const struct cmb_rec *r = &pg->rec[i];
		struct msp_rr rr;

		if (r->name_len == s->rr->owner.len) {
			cmb_rec_rr(r, &rr);
			if (msp_name_equal(&rr.owner, &s->rr->owner)) {
				note_record(s, pg->number, i, rr.type, rr.rdata);
				continue;
			}
		}
		if (!e->layout.is_unordered)
			break;
	}
	return look_at(e, i - from + 1);
}

static enum msp_err look_in_stored(struct cmb_edit *e, const struct ref *ref, struct cmb_search *s)
{
	struct msp_rr_last last = { .at = 0 };
	struct msp_rd rd;
	uint16_t count;
	enum msp_err err = cmb_page_open(ref->msg, &rd, &count);

	if (err == MSP_OK)
		err = look_at(e, count);
	for (size_t i = 0; err == MSP_OK && i < count; i++) {
		struct msp_rr rr;

		msp_rr_read_next(&rd, e->scratch, &last, &rr);
		if (rd.err != MSP_OK)
			return MSP_ECORRUPT;
		if (rr.owner.len == s->rr->owner.len && msp_name_equal(&rr.owner, &s->rr->owner))
			note_record(s, ref->number, i, rr.type, rr.rdata);
	}
	return err;
}

static enum msp_err look(struct cmb_edit *e, struct ref *ref, struct cmb_search *s)
{
	enum msp_err err = ref_open(e, ref);

	if (err == MSP_OK)
		err = ref->page != NULL ? look_in_memory(e, ref->page, s) : look_in_stored(e, ref, s);
	if (err == MSP_OK && s->fit == CMB_FIT_NONE) {
		s->fit = CMB_FIT_ANYWHERE;
		s->page = ref->number;
	}
	return err;
}

static enum msp_err look_in_run(struct cmb_edit *e, unsigned run, struct cmb_search *s)
{
	uint64_t end = run_end(e, run);
	struct ref r;
	enum msp_err err = bisect(e, run, &s->rr->owner, &r);

	if (err == MSP_OK) /* the cursor may be elsewhere by now */
		err = ref_seek(e, r.number, end, &r);
	if (err == MSP_OK)
		err = look(e, &r, s);
	while (err == MSP_OK && !s->is_found) {
		struct msp_name first;

		err = ref_seek(e, r.number + 1, end, &r);
		if (err == MSP_OK)
			err = ref_first_name(e, &r, &first);
		if (err == MSP_OK && cmb_name_order(&first, &s->rr->owner) > 0)
			break;
		if (err == MSP_OK)
			err = look(e, &r, s);
	}
	return err == MSP_ENOTFOUND ? MSP_OK : err;
}

static enum msp_err look_everywhere(struct cmb_edit *e, struct cmb_search *s)
{
	struct ref r = { .number = 0 };
	enum msp_err err = MSP_OK;

	while (err == MSP_OK && !s->is_found) {
		err = ref_seek(e, r.number + 1, e->last + 1, &r);
		if (err == MSP_OK)
			err = look(e, &r, s);
	}
	return err == MSP_ENOTFOUND ? MSP_OK : err;
}

enum msp_err cmb_edit_find(struct cmb_edit *e, const struct msp_rr *rr, struct cmb_search *s)
{
	enum msp_err err = MSP_OK;

	*s = (struct cmb_search){ .rr = rr };
	if (e->layout.is_unordered)
		return look_everywhere(e, s);
	for (unsigned run = 0; err == MSP_OK && !s->is_found && run < e->layout.runs; run++)
		err = look_in_run(e, run, s);
	return err;
}
