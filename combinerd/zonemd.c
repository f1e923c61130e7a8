/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages are read twice: once to see in how many runs owner names are in canonical order, once to digest. A few runs are
 * merged; of many the records' places are sorted first. What has one owner name is gathered, sorted, and digested.
 */
#include "zonemd.h"

#include <msproto/auth/digest.h>
#include <msproto/base/mem.h>
#include <msproto/msg/msg.h>
#include <msproto/wire/wr.h>

#include <string.h>

#define MERGE_MAX   16 /* runs that are merged; 64 KiB of memory each */
#define PAGES_MAX   (16u << 20)
#define STOP_EVERY  4096 /* records, or steps of sorting */
#define HEAD_LEN    10   /* type, class, TTL, RDLENGTH */
#define ZONEMD_HEAD 6    /* serial, scheme, hash */

/* Where a record begins. */
struct place {
	uint32_t page;
	uint32_t at;
};
struct sortable {
	uint64_t prefix; /* first octets of the name's key below the zone's: decides nearly always */
	struct place place;
};

/* Gives out records in the order of one run, or of the sorted index. */
struct cursor {
	struct msp_rd rd;
	struct place here, end; /* of a run: the next record, the first one after the run */
	size_t next;            /* of the index */
	bool has;
	struct msp_rr rr;
	struct msp_rr_scratch scratch;
};

/* A record of the owner name at hand, in canonical form. */
struct member {
	size_t at, len; /* in zd.canon */
	size_t head;    /* octets before the type */
	uint16_t type;
};

struct zd {
	const struct cmb_zonemd_params *p;
	struct msp_why *why;
	struct msp_span *page; /* owned; the first one is the apex, without a header */
	size_t pages, pages_size;
	uint64_t records;
	struct place run[MERGE_MAX + 1];
	size_t runs; /* MERGE_MAX + 1: too many */
	struct sortable *index;
	size_t index_count;
	size_t zone_key_len;
	struct cursor *cursor[MERGE_MAX];
	size_t cursors;
	struct msp_buf canon;
	struct member *member;
	size_t members, members_size;
	struct msp_digest *digest[2];
	struct cmb_zonemd_result *out;
	uint64_t steps;
	/* for comparing */
	struct msp_name a, b;
	struct msp_rr_scratch scratch;
};

static bool is_stopped(struct zd *z)
{
	return z->p->stop != NULL && ++z->steps % STOP_EVERY == 0 && z->p->stop(z->p->arg);
}

/* --- pages ------------------------------------------------------------------------------------------------------- */

static enum msp_err add_page(struct zd *z, struct msp_span page)
{
	if (z->pages == z->pages_size) {
		size_t size = z->pages_size == 0 ? 64 : 2 * z->pages_size;
		struct msp_span *more = size <= PAGES_MAX ? msp_realloc(z->page, size, sizeof(*more)) : NULL;

		if (more == NULL)
			return MSP_ENOMEM;
		z->page = more;
		z->pages_size = size;
	}
	z->page[z->pages++] = page;
	return MSP_OK;
}

/* A reader on the first record. */
static void open_page(const struct zd *z, uint32_t page, struct msp_rd *rd)
{
	msp_rd_init(rd, z->page[page]);
	if (page > 0) {
		struct msp_span head = msp_rd_take(rd, MSP_HEADER_LEN);

		if (rd->err == MSP_OK && (head.ptr[4] | head.ptr[5]) != 0)
			msp_rd_fail(rd, MSP_ECORRUPT); /* a page has no question */
	}
}

static void read_at(const struct zd *z, struct place at, struct msp_rd *rd)
{
	msp_rd_init(rd, z->page[at.page]);
	(void)msp_rd_take(rd, at.at);
}

static uint64_t key_prefix(const struct zd *z, const struct msp_name *name)
{
	struct msp_name_key key = msp_name_key(name);
	uint64_t v = 0;

	for (size_t i = z->zone_key_len; i < z->zone_key_len + sizeof(v); i++)
		v = v << 8 | (i < key.len ? key.oct[i] : 0);
	return v;
}

/* What the first reading does with a record; the second one of an unordered zone fills the index. */
typedef enum msp_err record_fn(struct zd *z, const struct msp_rr *rr, struct place at);

static enum msp_err each_record(struct zd *z, uint32_t page, record_fn *fn)
{
	enum msp_err err = MSP_OK;
	struct msp_rr rr;
	struct msp_rd rd;

	open_page(z, page, &rd);
	while (err == MSP_OK && rd.err == MSP_OK && msp_rd_left(&rd) > 0) {
		struct place at = { page, (uint32_t)rd.pos };

		if (is_stopped(z))
			return MSP_ECANCEL;
		msp_rr_read(&rd, &z->scratch, &rr);
		if (rd.err != MSP_OK)
			break;
		if (!msp_name_is_under(&rr.owner, &z->p->zone))
			return msp_fail(z->why, MSP_ECORRUPT, "%s is not in the zone", MSP_NAME(&rr.owner));
		err = fn(z, &rr, at);
	}
	return rd.err == MSP_OK ? err : msp_fail(z->why, MSP_ECORRUPT, "a stored page cannot be read");
}

static enum msp_err look_at(struct zd *z, const struct msp_rr *rr, struct place at)
{
	z->records++;
	if (z->runs == 0 || msp_name_cmp(&z->a, &rr->owner) > 0) {
		if (z->runs <= MERGE_MAX)
			z->run[z->runs++] = at;
	}
	z->a = rr->owner;
	return MSP_OK;
}

static enum msp_err put_index(struct zd *z, const struct msp_rr *rr, struct place at)
{
	z->index[z->index_count++] = (struct sortable){ key_prefix(z, &rr->owner), at };
	return MSP_OK;
}

static enum msp_err read_pages(struct zd *z)
{
	struct msp_span msg;
	enum msp_err err = add_page(z, z->p->apex);

	if (err == MSP_OK)
		err = each_record(z, 0, look_at);
	while (err == MSP_OK) {
		err = z->p->page(z->p->arg, &msg);
		if (err == MSP_OK)
			err = add_page(z, msg);
		if (err == MSP_OK)
			err = each_record(z, (uint32_t)(z->pages - 1), look_at);
	}
	return err == MSP_ENOTFOUND ? MSP_OK : err;
}

/* --- sorting: in place, so that its memory is what was asked for and no more ------------------------------------- */

struct order {
	bool (*less)(struct zd *z, size_t a, size_t b);
	void (*swap)(struct zd *z, size_t a, size_t b);
};

static void sink(struct zd *z, const struct order *o, size_t root, size_t count)
{
	for (size_t child; (child = 2 * root + 1) < count; root = child) {
		if (child + 1 < count && o->less(z, child, child + 1))
			child++;
		if (!o->less(z, root, child))
			return;
		o->swap(z, root, child);
	}
}

static enum msp_err heap_sort(struct zd *z, const struct order *o, size_t count)
{
	for (size_t i = count / 2; i-- > 0;) {
		sink(z, o, i, count);
		if (is_stopped(z))
			return MSP_ECANCEL;
	}
	for (size_t left = count; left-- > 1;) {
		o->swap(z, 0, left);
		sink(z, o, 0, left);
		if (is_stopped(z))
			return MSP_ECANCEL;
	}
	return MSP_OK;
}

static void owner_at(const struct zd *z, struct place at, struct msp_name *out)
{
	struct msp_rd rd;

	read_at(z, at, &rd);
	msp_name_read(&rd, MSP_NAME_COMP, out);
}

static bool index_less(struct zd *z, size_t a, size_t b)
{
	const struct sortable *x = &z->index[a], *y = &z->index[b];

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix;
	owner_at(z, x->place, &z->a);
	owner_at(z, y->place, &z->b);
	return msp_name_cmp(&z->a, &z->b) < 0;
}

static void index_swap(struct zd *z, size_t a, size_t b)
{
	struct sortable t = z->index[a];

	z->index[a] = z->index[b];
	z->index[b] = t;
}

static enum msp_err make_index(struct zd *z)
{
	static const struct order order = { index_less, index_swap };
	enum msp_err err = MSP_OK;

	if (z->records > CMB_ZONEMD_SORT_MAX)
		return msp_fail(z->why, MSP_ELIMIT, "ZONEMD: %llu records in no order, more than %u",
				(unsigned long long)z->records, CMB_ZONEMD_SORT_MAX);
	z->index = msp_alloc((size_t)z->records, sizeof(*z->index));
	if (z->index == NULL)
		return MSP_ENOMEM;
	for (uint32_t i = 0; err == MSP_OK && i < z->pages; i++)
		err = each_record(z, i, put_index);
	return err == MSP_OK ? heap_sort(z, &order, z->index_count) : err;
}

/* --- cursors ------------------------------------------------------------------------------------------------------ */

static enum msp_err read_record(struct zd *z, struct cursor *c)
{
	msp_rr_read(&c->rd, &c->scratch, &c->rr);
	c->has = c->rd.err == MSP_OK;
	return c->has ? MSP_OK : msp_fail(z->why, MSP_ECORRUPT, "a stored page cannot be read");
}

static enum msp_err next_of_index(struct zd *z, struct cursor *c)
{
	c->has = c->next < z->index_count;
	if (!c->has)
		return MSP_OK;
	read_at(z, z->index[c->next++].place, &c->rd);
	return read_record(z, c);
}

static enum msp_err next_of_run(struct zd *z, struct cursor *c)
{
	while (c->here.page < z->pages && msp_rd_left(&c->rd) == 0) {
		if (++c->here.page < z->pages)
			open_page(z, c->here.page, &c->rd);
	}
	c->here.at = (uint32_t)c->rd.pos;
	c->has = c->here.page < c->end.page || (c->here.page == c->end.page && c->here.at < c->end.at);
	return c->has ? read_record(z, c) : MSP_OK;
}

static enum msp_err advance(struct zd *z, struct cursor *c)
{
	return z->index != NULL ? next_of_index(z, c) : next_of_run(z, c);
}

static enum msp_err open_cursors(struct zd *z)
{
	size_t count = z->index != NULL ? 1 : z->runs;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < count; i++) {
		struct cursor *c = msp_alloc(1, sizeof(*c));

		if (c == NULL)
			return MSP_ENOMEM;
		z->cursor[z->cursors++] = c;
		c->here = z->run[i];
		c->end = i + 1 < count ? z->run[i + 1] : (struct place){ (uint32_t)z->pages, 0 };
		read_at(z, c->here, &c->rd);
		err = advance(z, c);
	}
	return err;
}

/* --- one owner name ----------------------------------------------------------------------------------------------- */

/* RFC 8976 3.3.2: the apex ZONEMD RRset and the RRSIGs over it are not digested. */
static bool is_left_out(const struct zd *z, const struct msp_rr *rr)
{
	struct msp_rrsig sig;

	if (rr->type != MSP_TYPE_ZONEMD && rr->type != MSP_TYPE_RRSIG)
		return false;
	if (!msp_name_equal(&rr->owner, &z->p->zone))
		return false;
	return rr->type == MSP_TYPE_ZONEMD ||
	       (msp_rrsig_parse(rr->rdata, &sig) == MSP_OK && sig.covered == MSP_TYPE_ZONEMD);
}

static enum msp_err gather(struct zd *z, const struct msp_rr *rr)
{
	size_t need = rr->owner.len + HEAD_LEN + rr->rdata.len;
	struct msp_name owner = rr->owner;
	struct msp_wr wr;
	uint8_t *to;

	if (is_left_out(z, rr))
		return MSP_OK;
	if (z->members == z->members_size) {
		size_t size = z->members_size == 0 ? 64 : 2 * z->members_size;
		struct member *more = msp_realloc(z->member, size, sizeof(*more));

		if (more == NULL)
			return MSP_ENOMEM;
		z->member = more;
		z->members_size = size;
	}
	to = msp_buf_reserve(&z->canon, need);
	if (to == NULL)
		return z->canon.err == MSP_ELIMIT
			       ? msp_fail(z->why, MSP_ELIMIT, "ZONEMD: too many records at %s", MSP_NAME(&rr->owner))
			       : z->canon.err;
	msp_name_lower(&owner);
	msp_wr_init(&wr, to, need - rr->rdata.len);
	msp_wr_octets(&wr, msp_name_span(&owner));
	msp_wr_u16(&wr, rr->type);
	msp_wr_u16(&wr, MSP_CLASS_IN);
	msp_wr_u32(&wr, rr->ttl);
	msp_wr_u16(&wr, (uint16_t)rr->rdata.len);
	if (wr.err != MSP_OK)
		return wr.err;
	msp_rdata_canon(rr->type, rr->rdata, to + need - rr->rdata.len);
	z->member[z->members++] = (struct member){ z->canon.len, need, owner.len, rr->type };
	msp_buf_claim(&z->canon, need);
	return MSP_OK;
}

static struct msp_span rdata_of(const struct zd *z, const struct member *m)
{
	return msp_span(z->canon.ptr + m->at + m->head + HEAD_LEN, m->len - m->head - HEAD_LEN);
}

/* Type, then RDATA as octets (RFC 8976 3.3.1, RFC 4034 6.3); of duplicates the smallest TTL comes first. */
static int member_cmp(const struct zd *z, const struct member *a, const struct member *b)
{
	int cmp;

	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	cmp = msp_span_cmp(rdata_of(z, a), rdata_of(z, b));
	return cmp != 0 ? cmp : memcmp(z->canon.ptr + a->at + a->head, z->canon.ptr + b->at + b->head, HEAD_LEN);
}

static bool member_less(struct zd *z, size_t a, size_t b)
{
	return member_cmp(z, &z->member[a], &z->member[b]) < 0;
}

static void member_swap(struct zd *z, size_t a, size_t b)
{
	struct member t = z->member[a];

	z->member[a] = z->member[b];
	z->member[b] = t;
}

static bool is_duplicate(const struct zd *z, size_t i)
{
	const struct member *a = &z->member[i - 1], *b = &z->member[i];

	return a->type == b->type && msp_span_equal(rdata_of(z, a), rdata_of(z, b));
}

static enum msp_err digest_name(struct zd *z)
{
	static const struct order order = { member_less, member_swap };
	enum msp_err err = z->members > 1 ? heap_sort(z, &order, z->members) : MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < z->members; i++) {
		struct msp_span rr = msp_span(z->canon.ptr + z->member[i].at, z->member[i].len);

		if (i > 0 && is_duplicate(z, i))
			continue;
		z->out->records++;
		for (size_t d = 0; d < sizeof(z->digest) / sizeof(z->digest[0]); d++)
			if (z->digest[d] != NULL)
				msp_digest_add(z->digest[d], rr);
	}
	z->members = 0;
	msp_buf_reset(&z->canon);
	return err;
}

/* The smallest owner name that any cursor stands on. */
static bool next_name(const struct zd *z, struct msp_name *out)
{
	const struct msp_name *least = NULL;

	for (size_t i = 0; i < z->cursors; i++)
		if (z->cursor[i]->has && (least == NULL || msp_name_cmp(&z->cursor[i]->rr.owner, least) < 0))
			least = &z->cursor[i]->rr.owner;
	if (least != NULL)
		*out = *least;
	return least != NULL;
}

static enum msp_err digest_all(struct zd *z)
{
	enum msp_err err = MSP_OK;
	struct msp_name name;

	while (err == MSP_OK && next_name(z, &name)) {
		for (size_t i = 0; err == MSP_OK && i < z->cursors; i++) {
			struct cursor *c = z->cursor[i];

			while (err == MSP_OK && c->has && msp_name_equal(&c->rr.owner, &name)) {
				err = is_stopped(z) ? MSP_ECANCEL : gather(z, &c->rr);
				if (err == MSP_OK)
					err = advance(z, c);
			}
		}
		if (err == MSP_OK)
			err = digest_name(z);
	}
	return err;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static const struct {
	enum cmb_zonemd_hash hash;
	enum msp_hash_alg alg;
} hashes[] = { { CMB_ZONEMD_SHA384, MSP_HASH_SHA384 }, { CMB_ZONEMD_SHA512, MSP_HASH_SHA512 } };

static enum msp_err open_digests(struct zd *z)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < sizeof(hashes) / sizeof(hashes[0]); i++)
		if ((z->p->hashes & CMB_ZONEMD_HASH_BIT(hashes[i].hash)) != 0)
			err = msp_digest_new(hashes[i].alg, &z->digest[i]);
	return err;
}

static enum msp_err finish_digests(struct zd *z)
{
	uint8_t oct[2][MSP_DIGEST_MAX] = { { 0 } };
	enum msp_err err = MSP_OK;
	size_t len;

	for (size_t i = 0; err == MSP_OK && i < sizeof(hashes) / sizeof(hashes[0]); i++)
		if (z->digest[i] != NULL)
			err = msp_digest_final(z->digest[i], oct[i], &len);
	memcpy(z->out->sha384, oct[0], sizeof(z->out->sha384));
	memcpy(z->out->sha512, oct[1], sizeof(z->out->sha512));
	return err;
}

static void zd_free(struct zd *z)
{
	for (size_t i = 0; i < z->cursors; i++)
		msp_free(z->cursor[i]);
	for (size_t i = 0; i < sizeof(z->digest) / sizeof(z->digest[0]); i++)
		msp_digest_free(&z->digest[i]);
	msp_buf_fini(&z->canon);
	msp_free(z->member);
	msp_free(z->index);
	msp_free(z->page);
	msp_free(z);
}

enum msp_err cmb_zonemd_digest(const struct cmb_zonemd_params *p, struct cmb_zonemd_result *out, struct msp_why *why)
{
	struct zd *z = msp_alloc(1, sizeof(*z));
	enum msp_err err;

	if (z == NULL)
		return MSP_ENOMEM;
	memset(out, 0, sizeof(*out));
	z->p = p;
	z->why = why;
	z->out = out;
	z->zone_key_len = msp_name_key(&p->zone).len;
	msp_buf_init(&z->canon, CMB_ZONEMD_NAME_MAX);
	err = open_digests(z);
	if (err == MSP_OK)
		err = read_pages(z);
	if (err == MSP_OK && z->runs > MERGE_MAX)
		err = make_index(z);
	if (err == MSP_OK)
		err = open_cursors(z);
	if (err == MSP_OK)
		err = digest_all(z);
	if (err == MSP_OK)
		err = finish_digests(z);
	zd_free(z);
	return err;
}

unsigned cmb_zonemd_hashes(const struct msp_rrset *zonemd)
{
	unsigned bits = 0;

	for (size_t i = 0; zonemd != NULL && i < zonemd->count; i++) {
		struct msp_span rdata = zonemd->rdata[i];

		if (rdata.len > ZONEMD_HEAD && rdata.ptr[4] == CMB_ZONEMD_SIMPLE &&
		    (rdata.ptr[5] == CMB_ZONEMD_SHA384 || rdata.ptr[5] == CMB_ZONEMD_SHA512))
			bits |= CMB_ZONEMD_HASH_BIT(rdata.ptr[5]);
	}
	return bits;
}

static enum msp_err add_record(struct msp_rrset *set, uint32_t serial, enum cmb_zonemd_hash hash,
			       struct msp_span digest)
{
	uint8_t mem[ZONEMD_HEAD + MSP_DIGEST_MAX];
	struct msp_wr wr;

	msp_wr_init(&wr, mem, sizeof(mem));
	msp_wr_u32(&wr, serial);
	msp_wr_u8(&wr, CMB_ZONEMD_SIMPLE);
	msp_wr_u8(&wr, (uint8_t)hash);
	msp_wr_octets(&wr, digest);
	return wr.err == MSP_OK ? msp_rrset_add(set, msp_span(mem, wr.pos)) : wr.err;
}

enum msp_err cmb_zonemd_make(const struct msp_rrset *like, uint32_t serial, unsigned bits,
			     const struct cmb_zonemd_result *r, struct msp_rrset **out)
{
	struct msp_rrset *set = NULL;
	enum msp_err err = msp_rrset_new(&like->owner, MSP_TYPE_ZONEMD, like->ttl, &set);

	if (err == MSP_OK && (bits & CMB_ZONEMD_HASH_BIT(CMB_ZONEMD_SHA384)) != 0)
		err = add_record(set, serial, CMB_ZONEMD_SHA384, msp_span(r->sha384, sizeof(r->sha384)));
	if (err == MSP_OK && (bits & CMB_ZONEMD_HASH_BIT(CMB_ZONEMD_SHA512)) != 0)
		err = add_record(set, serial, CMB_ZONEMD_SHA512, msp_span(r->sha512, sizeof(r->sha512)));
	if (err != MSP_OK)
		msp_rrset_free(&set);
	*out = set;
	return err;
}
