/* SPDX-License-Identifier: BSD-2-Clause */
/* Two octets of type, the rest RDATA. Checked RDATA survives text; typed values write what they were parsed from. */
#include <msproto/wire/rdata.h>
#include <msproto/wire/text.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t mem[1 << 17];

static void want(bool claim)
{
	if (!claim)
		abort();
}

#define TYPED(kind, rdata)                                                                                             \
	do {                                                                                                           \
		struct msp_##kind v_;                                                                                  \
		struct msp_wr wr_;                                                                                     \
		if (msp_##kind##_parse(rdata, &v_) == MSP_OK) {                                                        \
			msp_wr_init(&wr_, mem, sizeof(mem));                                                           \
			msp_##kind##_write(&wr_, &v_);                                                                 \
			want(wr_.err == MSP_OK && msp_span_equal(msp_wr_span(&wr_), rdata));                           \
		}                                                                                                      \
	} while (0)

static void text_and_back(uint16_t type, struct msp_span rdata)
{
	struct msp_buf text, back;

	msp_buf_init(&text, 1 << 20);
	msp_buf_init(&back, MSP_RDATA_MAX);
	msp_rdata_print(&text, NULL, type, rdata);
	want(text.err == MSP_OK && text.len != 0 && memchr(text.ptr, '\n', text.len) == NULL);
	if (type == MSP_TYPE_HSYNC_DEFAULT || type == MSP_TYPE_HSYNC3_DEFAULT || type == MSP_TYPE_HSYNCPARAM_DEFAULT) {
		/* Opaque to the check, printed for people; fuzz_hsync looks at these. */
	} else {
		want(msp_rdata_scan(msp_buf_span(&text), NULL, type, NULL, &back, NULL) == MSP_OK);
		want(msp_span_equal(msp_buf_span(&back), rdata));
	}
	msp_buf_fini(&text);
	msp_buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct msp_span rdata;
	struct msp_svcb svcb;
	struct msp_span v;
	uint16_t type;

	if (len < 2 || len - 2 > MSP_RDATA_MAX)
		return 0;
	type = (uint16_t)(data[0] << 8 | data[1]);
	rdata = msp_span(data + 2, len - 2);
	TYPED(soa, rdata);
	TYPED(dnskey, rdata);
	TYPED(ds, rdata);
	TYPED(rrsig, rdata);
	TYPED(csync, rdata);
	TYPED(dsync, rdata);
	TYPED(uri, rdata);
	TYPED(svcb, rdata);
	TYPED(tlsa, rdata);
	if (msp_svcb_parse(rdata, &svcb) == MSP_OK) {
		(void)msp_svcb_usable(&svcb);
		(void)msp_svcb_param(&svcb, type, &v);
	}
	(void)msp_soa_serial(rdata);
	(void)msp_key_tag(rdata);
	(void)msp_bitmap_has(rdata, type);
	msp_rdata_canon(type, rdata, mem); /* never checked octets must not hurt */
	want(msp_rdata_equal(type, rdata, msp_span(mem, rdata.len)));
	if (msp_rdata_check(type, rdata) == MSP_OK) {
		want(msp_rdata_check(type, msp_span(mem, rdata.len)) == MSP_OK);
		text_and_back(type, rdata);
	} else {
		struct msp_buf text;

		msp_buf_init(&text, 1 << 20);
		msp_rdata_print(&text, NULL, type, rdata);
		want(text.err == MSP_OK);
		msp_buf_fini(&text);
	}
	return 0;
}
