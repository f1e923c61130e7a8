/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message that parses can be written again record by record, and what was written parses to the same records. Framing
 * a message and walking it finds what parsing it finds, be that records or an error.
 */
#undef NDEBUG /* the property is checked in every build */
#include <assert.h>
#include <stdlib.h>

#include <msproto/msg/edns.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct msp_rr_scratch scratch_a, scratch_b;
static uint8_t mem[MSP_MSG_MAX];

static void copy_questions(const struct msp_msg *m, struct msp_msgw *w)
{
	struct msp_rd rd;

	msp_rd_init(&rd, m->raw);
	rd.pos = m->section_at[MSP_SEC_QUESTION];
	for (unsigned i = 0; i < m->count[MSP_SEC_QUESTION]; i++) {
		struct msp_name name;
		uint16_t type;

		msp_name_read(&rd, MSP_NAME_COMP, &name);
		type = msp_rd_u16(&rd);
		msp_msgw_question(w, &name, type, msp_rd_u16(&rd));
		assert(rd.err == MSP_OK);
	}
}

static void same_records(const struct msp_msg *a, const struct msp_msg *b, enum msp_section section)
{
	struct msp_msg_it ia, ib;
	struct msp_rr ra, rb;
	unsigned n = 0;

	msp_msg_it_init(&ia, a, section, &scratch_a);
	msp_msg_it_init(&ib, b, section, &scratch_b);
	while (msp_msg_next(&ia, &ra)) {
		assert(msp_msg_next(&ib, &rb));
		assert(msp_name_same(&ra.owner, &rb.owner));
		assert(ra.type == rb.type && ra.cls == rb.cls && ra.ttl == rb.ttl);
		assert(msp_span_equal(ra.rdata, rb.rdata));
		n++;
	}
	assert(!msp_msg_next(&ib, &rb));
	assert(n == a->count[section]);
}

static void check_promises(const struct msp_msg *m)
{
	struct msp_option o;
	size_t pos = 0, count = 0;

	assert(m->tsig_at == 0 || m->sig0_at == 0);
	while (msp_edns_next(&m->edns, &pos, &o)) {
		count++;
		assert(msp_edns_count(&m->edns, o.code) >= 1);
		if (count > 64)
			return; /* quadratic from here on, and no news */
	}
	assert(pos == m->edns.options.len);
}

/* Each record alone, without memory of the one before. */
static bool walk_finds_the_same(const struct msp_msg *m, enum msp_section section)
{
	struct msp_msg_it it;
	struct msp_rr in_order, alone;
	struct msp_rd rd;

	msp_msg_it_init(&it, m, section, &scratch_a);
	rd = it.rd;
	while (msp_msg_next(&it, &in_order)) {
		msp_rr_read(&rd, &scratch_b, &alone);
		assert(rd.err == MSP_OK && rd.pos == it.rd.pos);
		assert(msp_name_same(&in_order.owner, &alone.owner) && in_order.type == alone.type);
		assert(msp_span_equal(in_order.rdata, alone.rdata));
	}
	return it.rd.err == MSP_OK;
}

static void check_frame(struct msp_span raw, enum msp_err parsed, const struct msp_msg *whole)
{
	struct msp_msg m;
	bool is_good = true;

	if (msp_msg_frame(raw, &scratch_a, &m, NULL) != MSP_OK) {
		assert(parsed != MSP_OK);
		return;
	}
	for (int s = MSP_SEC_ANSWER; s <= MSP_SEC_ADDITIONAL; s++)
		is_good = walk_finds_the_same(&m, (enum msp_section)s) && is_good;
	assert(is_good == (parsed == MSP_OK));
	assert(!is_good || (m.tsig_at == whole->tsig_at && m.sig0_at == whole->sig0_at && m.rcode == whole->rcode));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct msp_msg a, b;
	struct msp_why why;
	struct msp_span raw;
	struct msp_msgw w;

	check_frame(msp_span(data, len), msp_msg_parse(msp_span(data, len), &scratch_b, &a, NULL), &a);
	if (msp_msg_parse(msp_span(data, len), &scratch_a, &a, &why) != MSP_OK) {
		if (len < MSP_HEADER_LEN)
			return 0;
		msp_msgw_respond(&w, mem, sizeof(mem), &a, MSP_RCODE_FORMERR, 0); /* can be answered all the same */
		if (msp_msgw_finish(&w, &raw) != MSP_OK || msp_msg_parse(raw, &scratch_b, &b, &why) != MSP_OK)
			abort();
		assert(b.id == a.id && b.opcode == a.opcode && b.rcode == MSP_RCODE_FORMERR);
		return 0;
	}
	check_promises(&a);
	msp_msgw_init(&w, mem, sizeof(mem), a.id, (enum msp_opcode)a.opcode, a.flags);
	copy_questions(&a, &w);
	for (int s = MSP_SEC_ANSWER; s <= MSP_SEC_ADDITIONAL; s++) {
		struct msp_msg_it it;
		struct msp_rr rr;

		msp_msg_it_init(&it, &a, (enum msp_section)s, &scratch_a);
		while (msp_msg_next(&it, &rr))
			msp_msgw_rr(&w, (enum msp_section)s, &rr);
	}
	if (msp_msgw_finish(&w, &raw) != MSP_OK) {
		assert(w.wr.err == MSP_ENOSPACE); /* the sender compressed better than we do */
		return 0;
	}
	if (msp_msg_parse(raw, &scratch_b, &b, &why) != MSP_OK)
		abort();
	assert(a.id == b.id && a.flags == b.flags && a.rcode == b.rcode);
	assert((a.tsig_at != 0) == (b.tsig_at != 0) && (a.sig0_at != 0) == (b.sig0_at != 0));
	for (int s = MSP_SEC_QUESTION; s <= MSP_SEC_ADDITIONAL; s++)
		assert(a.count[s] == b.count[s]);
	for (int s = MSP_SEC_ANSWER; s <= MSP_SEC_ADDITIONAL; s++)
		same_records(&a, &b, (enum msp_section)s);
	return 0;
}
