/* SPDX-License-Identifier: BSD-2-Clause */
/* OPTION-DATA that parses is written and parsed to the same value, but for text over our own limit. */
#undef NDEBUG /* the property is checked in every build */
#include <assert.h>
#include <stdlib.h>

#include <msproto/msg/keystate.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct msp_rr_scratch scratch;
	static uint8_t mem[4096];
	struct msp_keystate a, b;
	struct msp_option opt;
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_optw o;
	struct msp_msg m;

	if (msp_keystate_parse(msp_span(data, len), &a) != MSP_OK)
		return 0;
	msp_msgw_init(&w, mem, sizeof(mem), 1, MSP_OPCODE_QUERY, 0);
	o = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false);
	msp_optw_keystate(&o, &msp_numbers_default, &a);
	msp_optw_close(&o);
	if (msp_msgw_finish(&w, &raw) != MSP_OK || msp_msg_parse(raw, &scratch, &m, NULL) != MSP_OK ||
	    !msp_edns_find(&m.edns, msp_numbers_default.opt_keystate, &opt) ||
	    msp_keystate_parse(opt.data, &b) != MSP_OK)
		abort();
	assert(a.key_id == b.key_id && a.state == b.state && a.data == b.data);
	if (a.text.len <= 128)
		assert(msp_span_equal(a.text, b.text));
	else
		assert(b.text.len <= 128 && msp_span_equal(msp_span(a.text.ptr, b.text.len), b.text));
	return 0;
}
