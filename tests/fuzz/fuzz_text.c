/* SPDX-License-Identifier: BSD-2-Clause */
/* Any text as one record; what is understood prints to something that is understood as the same. */
#include <msproto/wire/text.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void want(bool claim)
{
	if (!claim)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct msp_name origin = { .len = 9, .oct = "\7example" };
	struct msp_buf rdata, text, again;
	struct msp_rr rr, back;
	struct msp_why why;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	msp_buf_init(&again, MSP_RDATA_MAX);
	msp_buf_init(&text, 1 << 20);
	if (msp_rr_scan(msp_span(data, len), NULL, &origin, 3600, &rdata, &rr, &why) == MSP_OK) {
		msp_rr_print(&text, NULL, &rr);
		want(text.err == MSP_OK);
		/* HSYNC3 and HSYNCPARAM print for people and are read in generic form only. */
		if (rr.type != MSP_TYPE_HSYNC3_DEFAULT && rr.type != MSP_TYPE_HSYNCPARAM_DEFAULT &&
		    (rr.type != MSP_TYPE_HSYNC_DEFAULT ||
		     (rr.rdata.len > 2 && rr.rdata.ptr[0] != 0 && rr.rdata.ptr[1] != 0 && rr.rdata.ptr[2] != 0))) {
			want(msp_rr_scan(msp_buf_span(&text), NULL, NULL, 0, &again, &back, &why) == MSP_OK);
			want(msp_name_same(&rr.owner, &back.owner) && rr.type == back.type && rr.cls == back.cls &&
			     rr.ttl == back.ttl && msp_span_equal(rr.rdata, back.rdata));
		}
	}
	msp_buf_fini(&rdata);
	msp_buf_fini(&again);
	msp_buf_fini(&text);
	return 0;
}
