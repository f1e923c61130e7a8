/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Differences applied to stored pages whose octets are the input's, with a good checksum: a page that is no message is
 * MSP_ECORRUPT and never a crash, and what an edit writes can be read again.
 *
 * Input: runs (low 3 bits) and is_unordered (0x80); then up to three pages, each a length of two octets and that many
 * octets; then changes of three octets: what, name, RDATA.
 */
#undef NDEBUG /* the property is checked in every build */
#include <assert.h>

#include "pages_priv.h"

#include <msproto/base/mem.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GEN         7
#define PAGES       3
#define CHANGES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One store for all runs, in memory where there is such a place; its files have no names any more. */
static struct cmb_pages *the_store(void)
{
	static struct cmb_pages *p;
	char dir[64] = "/dev/shm/fuzzeditXXXXXX", path[96], lock[112];
	struct cmb_pages_conf conf = { .path = path, .map_size = 64u << 20, .readers_max = 4 };
	bool anew;

	if (p != NULL)
		return p;
	if (mkdtemp(dir) == NULL) {
		snprintf(dir, sizeof(dir), "/tmp/fuzzeditXXXXXX");
		if (mkdtemp(dir) == NULL)
			abort();
	}
	snprintf(path, sizeof(path), "%s/zones", dir);
	snprintf(lock, sizeof(lock), "%s-lock", path);
	if (cmb_pages_open(&conf, &p, &anew, NULL) != MSP_OK)
		abort();
	(void)unlink(path);
	(void)unlink(lock);
	(void)rmdir(dir);
	return p;
}

struct put {
	struct msp_rd *rd;
	struct cmb_owner *owner;
};

static int put_pages(MDB_txn *txn, struct cmb_pages *p, void *arg)
{
	struct put *put = arg;
	size_t left = 1000;
	bool done;
	int rc = cmb_page_drop(txn, p, GEN, &left, &done);

	for (uint64_t i = 1; rc == 0 && i <= PAGES && msp_rd_left(put->rd) > 0; i++) {
		size_t len = msp_rd_u16(put->rd);
		struct msp_span msg = msp_rd_take(put->rd, len < msp_rd_left(put->rd) ? len : msp_rd_left(put->rd));

		rc = cmb_page_put(txn, p, GEN, i * CMB_PAGE_GAP, msg);
		put->owner->pages++;
		put->owner->octets += msg.len;
	}
	put->owner->records = 10000;
	return rc;
}

static void choose_record(struct msp_rd *rd, struct msp_rr *out, uint8_t *rdata)
{
	static const char *const names[] = { "a.test.", "b.test.", "c.b.test.",   "zz.test.",
					     "test.",   "A.test.", "\\000.test.", "." };
	unsigned name = msp_rd_u8(rd), what = msp_rd_u8(rd);

	*out = (struct msp_rr){ .cls = MSP_CLASS_IN, .ttl = what & 3 };
	if (msp_name_from_text(names[name % 8], &out->owner) != MSP_OK)
		abort();
	out->type = name & 0x80 ? MSP_TYPE_NS : name & 0x40 ? 60000 : MSP_TYPE_A;
	memset(rdata, 0, 60000);
	rdata[3] = (uint8_t)(what & 7);
	out->rdata = msp_span(rdata, out->type == 60000 ? (size_t)what * what : out->type == MSP_TYPE_NS ? 1 : 4);
}

static void apply(struct cmb_edit *e, struct msp_rd *rd)
{
	static uint8_t rdata[65536];
	bool is_damaged = false;

	for (unsigned i = 0; i < CHANGES_MAX && msp_rd_left(rd) >= 3; i++) {
		bool is_add = msp_rd_u8(rd) & 1;
		struct msp_rr rr;
		enum msp_err err;

		choose_record(rd, &rr, rdata);
		err = is_add ? cmb_edit_add(e, &rr) : cmb_edit_del(e, &rr);
		assert(!is_damaged || err == MSP_ECORRUPT);
		is_damaged = err == MSP_ECORRUPT;
	}
}

static void check_written(struct cmb_pages *p, struct cmb_owner *o, const struct cmb_edit *e)
{
	struct msp_name zone = { .len = 6, .oct = "\004test" };
	struct cmb_change c = { .zone = &zone, .owner = o, .served = &o->apex, .edit = e, .head.next_seq = 1 };
	struct cmb_snap *s = NULL;
	struct msp_span msg;

	if (cmb_pages_commit(p, &c, 1) != MSP_OK)
		abort();
	if (cmb_snap_open(p, GEN, &s) != MSP_OK)
		abort();
	while (cmb_snap_next(s, &msg) == MSP_OK)
		;
	cmb_snap_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cmb_pages *p = the_store();
	struct cmb_owner o = { .gen = GEN };
	struct put put = { .owner = &o };
	struct cmb_edit *e = NULL;
	struct msp_buf del, add;
	struct msp_rd rd;
	uint8_t what;

	msp_rd_init(&rd, msp_span(data, size));
	what = msp_rd_u8(&rd);
	put.rd = &rd;
	if (rd.err != MSP_OK || cmb_pages_write(p, 0, put_pages, &put) != MSP_OK)
		return 0;
	o.layout.runs = what % 4;
	for (unsigned i = 0; i < o.layout.runs; i++)
		o.layout.first[i] = (i + 1) * CMB_PAGE_GAP;
	o.layout.is_unordered = (what & 0x80) != 0;
	msp_buf_init(&del, 1u << 20);
	msp_buf_init(&add, 1u << 20);
	if (cmb_edit_new(p, &o, &e) != MSP_OK)
		abort();
	apply(e, &rd);
	if (cmb_edit_seal(e, &o, &del, &add) == MSP_OK)
		check_written(p, &o, e);
	cmb_edit_free(&e);
	msp_buf_fini(&del);
	msp_buf_fini(&add);
	return 0;
}
