/* SPDX-License-Identifier: BSD-2-Clause */
/* First octet: which form the rest is read as. */
#include <msproto/wire/hsync.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void want(bool claim)
{
	if (!claim)
		abort();
}

static void hsync(struct msp_span rdata, bool compat)
{
	struct msp_hsync h, back;
	uint8_t mem[600];
	struct msp_buf text;
	struct msp_wr wr;

	if (msp_hsync_parse(rdata, compat, &h) != MSP_OK)
		return;
	msp_buf_init(&text, 1 << 16);
	msp_hsync_print(&text, &h);
	want(text.err == MSP_OK);
	want(msp_hsync_scan(msp_buf_span(&text), NULL, &back, NULL) == MSP_OK);
	want(h.state == back.state && h.nsmgmt == back.nsmgmt && h.sign == back.sign);
	want(msp_name_same(&h.identity, &back.identity) && h.has_upstream == back.has_upstream);
	want(!h.has_upstream || msp_name_same(&h.upstream, &back.upstream));
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_hsync_write(&wr, &h);
	if (wr.err == MSP_OK) {
		want(compat || msp_span_equal(msp_wr_span(&wr), rdata));
		want(msp_hsync_parse(msp_wr_span(&wr), false, &back) == MSP_OK && back.state == h.state);
	} else {
		want(!msp_hsync_valid(&h));
	}
	msp_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct msp_hsync3 h3;
	struct msp_hsync h;
	struct msp_buf text;
	struct msp_span rest;

	if (len == 0)
		return 0;
	rest = msp_span(data + 1, len - 1);
	msp_buf_init(&text, 1 << 20);
	switch (data[0] & 3) {
	case 0:
	case 1:
		hsync(rest, (data[0] & 1) != 0);
		break;
	case 2:
		if (msp_hsync3_parse(rest, &h3) == MSP_OK)
			msp_hsync3_print(&text, &h3);
		want(msp_hsyncparam_check(rest) == msp_hsyncparam_print(&text, rest, (data[0] & 4) != 0) ||
		     text.err != MSP_OK);
		break;
	default:
		if (msp_hsync_scan(rest, NULL, &h, NULL) == MSP_OK)
			want(h.identity.len != 0);
		break;
	}
	msp_buf_fini(&text);
	return 0;
}
