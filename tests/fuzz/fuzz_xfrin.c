/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Input: kind (1 octet, low bit: IXFR), serial held (4), then messages of the answer, each behind a length of 2 octets,
 * for the zone example. A transfer that succeeds gives the same calls when every record comes in a message of its own.
 */
#undef NDEBUG /* the property is checked in every build */
#include <assert.h>
#include <stdlib.h>

#include <msproto/zone/xfrin.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define RECORDS_MAX 20000

static uint8_t mem[MSP_MSG_MAX];

/* FNV-1a over everything handed out. */
struct sum {
	uint64_t hash, calls;
};

static void add(struct sum *s, const void *ptr, size_t len)
{
	const uint8_t *p = ptr;

	for (size_t i = 0; i < len; i++)
		s->hash = (s->hash ^ p[i]) * UINT64_C(0x100000001b3);
}

static enum msp_err note(struct sum *s, uint8_t what, const struct msp_rr *rr)
{
	struct msp_name zone;

	if (msp_name_from_wire(msp_span("\7example\0", 9), &zone) != MSP_OK)
		abort();
	assert(msp_name_is_under(&rr->owner, &zone) && rr->cls == MSP_CLASS_IN);
	s->calls++;
	add(s, &what, 1);
	add(s, rr->owner.oct, rr->owner.len);
	add(s, &rr->type, sizeof(rr->type));
	add(s, &rr->ttl, sizeof(rr->ttl));
	add(s, rr->rdata.ptr, rr->rdata.len);
	return MSP_OK;
}

static enum msp_err on_begin(void *arg, const struct msp_rr *soa, bool is_full)
{
	return note(arg, is_full ? 1 : 2, soa);
}

static enum msp_err on_record(void *arg, const struct msp_rr *rr)
{
	assert(rr->type != MSP_TYPE_SOA && !msp_type_is_meta(rr->type));
	return note(arg, 3, rr);
}

static enum msp_err on_delta(void *arg, bool is_add, const struct msp_rr *soa)
{
	assert(soa->type == MSP_TYPE_SOA);
	return note(arg, is_add ? 4 : 5, soa);
}

static enum msp_err on_change(void *arg, bool is_add, const struct msp_rr *rr)
{
	assert(rr->type != MSP_TYPE_SOA && !msp_type_is_meta(rr->type));
	return note(arg, is_add ? 6 : 7, rr);
}

static const struct msp_xfrin_ops ops = {
	.begin = on_begin, .record = on_record, .delta = on_delta, .change = on_change
};

struct input {
	enum msp_xfr_kind kind;
	uint32_t have;
	uint16_t id;
	struct msp_name zone;
	struct msp_rd chunks;
};

static void start(struct msp_xfrin *x, const struct input *in, struct sum *sum)
{
	const struct msp_xfrin_limits limits = { .records = RECORDS_MAX, .octets = 1 << 20 };

	*sum = (struct sum){ .hash = UINT64_C(0xcbf29ce484222325) };
	msp_xfrin_init(x, in->kind, &in->zone, in->id, in->have, &limits, &ops, sum);
}

static struct msp_span next_chunk(struct msp_rd *rd)
{
	return msp_rd_take(rd, msp_rd_u16(rd));
}

/** One record, as the next message. */
static enum msp_err feed_alone(struct msp_xfrin *x, const struct input *in, const struct msp_rr *rr, bool is_first,
			       enum msp_xfrin_state *state)
{
	struct msp_span raw;
	struct msp_msgw w;

	msp_msgw_init(&w, mem, sizeof(mem), in->id, MSP_OPCODE_QUERY, MSP_FLAG_QR);
	if (is_first)
		msp_msgw_question(&w, &in->zone, in->kind == MSP_XFR_AXFR ? MSP_TYPE_AXFR : MSP_TYPE_IXFR,
				  MSP_CLASS_IN);
	msp_msgw_rr(&w, MSP_SEC_ANSWER, rr);
	if (msp_msgw_finish(&w, &raw) != MSP_OK)
		abort();
	return msp_xfrin_feed(x, raw, state, NULL, NULL);
}

static void feed_again(struct msp_xfrin *x, struct input in, const struct sum *want, enum msp_xfrin_state want_state,
		       uint64_t out_of_zone)
{
	static struct msp_rr_scratch scratch;
	enum msp_xfrin_state state = MSP_XFRIN_MORE;
	struct msp_rr rr;
	struct sum sum;
	bool is_first = true;

	start(x, &in, &sum);
	while (state == MSP_XFRIN_MORE) {
		struct msp_msg_it it;
		struct msp_msg m;

		if (msp_msg_parse(next_chunk(&in.chunks), &scratch, &m, NULL) != MSP_OK)
			abort();
		msp_msg_it_init(&it, &m, MSP_SEC_ANSWER, &scratch);
		while (state == MSP_XFRIN_MORE && msp_msg_next(&it, &rr)) {
			if (feed_alone(x, &in, &rr, is_first, &state) != MSP_OK)
				abort();
			is_first = false;
		}
	}
	assert(state == want_state && sum.hash == want->hash && sum.calls == want->calls);
	assert(x->out_of_zone == out_of_zone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct msp_xfrin x;
	enum msp_xfrin_state state = MSP_XFRIN_MORE;
	enum msp_err err = MSP_OK;
	struct input in = { 0 };
	struct msp_why why;
	struct msp_rd rd;
	unsigned rcode;
	struct sum sum;

	msp_rd_init(&rd, msp_span(data, len));
	in.kind = (msp_rd_u8(&rd) & 1) != 0 ? MSP_XFR_IXFR : MSP_XFR_AXFR;
	in.have = msp_rd_u32(&rd);
	if (rd.err != MSP_OK || msp_rd_left(&rd) < 4)
		return 0;
	in.id = (uint16_t)(data[7] << 8 | data[8]); /* of the first message, so that the rest is reached */
	in.chunks = rd;
	if (msp_name_from_wire(msp_span("\7example\0", 9), &in.zone) != MSP_OK)
		abort();
	start(&x, &in, &sum);
	while (err == MSP_OK && state == MSP_XFRIN_MORE && msp_rd_left(&rd) > 0)
		err = msp_xfrin_feed(&x, next_chunk(&rd), &state, &rcode, &why);
	assert(err == MSP_OK || state == MSP_XFRIN_MORE);
	assert(err != MSP_ERCODE || rcode != 0);
	/* Alone, every record costs a header: keep clear of the limit on octets. */
	if (err == MSP_OK && state != MSP_XFRIN_MORE && len < 20000)
		feed_again(&x, in, &sum, state, x.out_of_zone);
	return 0;
}
