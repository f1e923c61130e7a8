/* SPDX-License-Identifier: BSD-2-Clause */
/* Arbitrary octets as records behind a header of twelve; what is read is written and read again, with and without
 * pointers. */
#include <msproto/wire/rr.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void want(bool claim)
{
	if (!claim)
		abort();
}

static void same(const struct msp_rr *a, const struct msp_rr *b)
{
	want(msp_name_same(&a->owner, &b->owner) && a->type == b->type && a->cls == b->cls && a->ttl == b->ttl);
	want(msp_span_equal(a->rdata, b->rdata));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct msp_rr_scratch scratch, scratch_back, scratch_plain;
	static uint8_t mem[1 << 18], plain[1 << 18];
	struct msp_rd rd, skip, back, back_plain;
	struct msp_rr rr, again;
	struct msp_wr wr, wr_plain;

	if (len < 12 || len > UINT16_MAX)
		return 0;
	msp_rd_init(&rd, msp_span(data, len));
	(void)msp_rd_take(&rd, 12);
	skip = rd;
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_wr_init(&wr_plain, plain, sizeof(plain));
	msp_wr_octets(&wr, msp_span(data, 12));
	for (unsigned count = 0; msp_rd_left(&rd) > 0 && count < 1000; count++) {
		size_t at = wr.pos, at_plain = wr_plain.pos;

		msp_rr_read(&rd, &scratch, &rr);
		msp_rr_skip(&skip);
		if (rd.err != MSP_OK)
			break;
		want(skip.err == MSP_OK && skip.pos == rd.pos);
		msp_rr_write(&wr, &rr, true);
		msp_rr_write(&wr_plain, &rr, false);
		if (wr_plain.err != MSP_OK || wr.err != MSP_OK)
			break;
		want(wr.pos - at <= wr_plain.pos - at_plain);
		msp_rd_init(&back, msp_span(mem, wr.pos));
		(void)msp_rd_take(&back, at);
		msp_rr_read(&back, &scratch_back, &again);
		want(msp_rd_done(&back) == MSP_OK);
		same(&rr, &again);
		msp_rd_init(&back_plain, msp_span(plain, wr_plain.pos));
		(void)msp_rd_take(&back_plain, at_plain);
		msp_rr_read(&back_plain, &scratch_plain, &again);
		want(msp_rd_done(&back_plain) == MSP_OK);
		same(&rr, &again);
		if ((count & 3) == 3) { /* now and then a record is taken back */
			msp_wr_rewind(&wr, at);
			msp_rr_write(&wr, &rr, true);
		}
	}
	return 0;
}
