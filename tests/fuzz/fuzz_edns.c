/* SPDX-License-Identifier: BSD-2-Clause */
/* The input is the RDATA of an OPT. Options that are framed well survive being written again; extended errors too. */
#undef NDEBUG /* the property is checked in every build */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <msproto/msg/edns.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct msp_rr_scratch scratch_a, scratch_b;
static uint8_t mem_a[MSP_MSG_MAX], mem_b[MSP_MSG_MAX];

static void check_ede(struct msp_option opt)
{
	static uint8_t mem[MSP_MSG_MAX];
	char text[1024];
	struct msp_option back;
	struct msp_ede e, f;
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_optw o;
	struct msp_msg m;

	if (msp_ede_parse(opt.data, &e) != MSP_OK) {
		assert(opt.data.len < 2);
		return;
	}
	if (e.text.len >= sizeof(text) || (e.text.len > 0 && memchr(e.text.ptr, 0, e.text.len) != NULL))
		return; /* no C string */
	if (e.text.len > 0)
		memcpy(text, e.text.ptr, e.text.len);
	text[e.text.len] = '\0';
	msp_msgw_init(&w, mem, sizeof(mem), 1, MSP_OPCODE_QUERY, MSP_FLAG_QR);
	o = msp_optw_open(&w, MSP_EDNS_PAYLOAD, e.code & 0xfff, false);
	msp_optw_ede(&o, e.code, text);
	msp_optw_close(&o);
	if (msp_msgw_finish(&w, &raw) != MSP_OK || msp_msg_parse(raw, &scratch_b, &m, NULL) != MSP_OK)
		abort();
	assert(m.edns.ext_rcode == ((e.code & 0xfff) >> 4));
	if (!msp_edns_find(&m.edns, MSP_OPT_EDE, &back) || msp_ede_parse(back.data, &f) != MSP_OK)
		abort();
	assert(f.code == e.code && msp_span_equal(f.text, e.text));
	(void)msp_ede_name(&msp_numbers_default, e.code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct msp_rr rr = { .type = MSP_TYPE_OPT, .cls = 1232, .rdata = msp_span(data, len) };
	struct msp_msg a, b;
	struct msp_option opt;
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_optw o;
	size_t pos = 0;

	msp_name_root(&rr.owner);
	msp_msgw_init(&w, mem_a, sizeof(mem_a), 1, MSP_OPCODE_QUERY, 0);
	msp_msgw_rr(&w, MSP_SEC_ADDITIONAL, &rr);
	if (msp_msgw_finish(&w, &raw) != MSP_OK || msp_msg_parse(raw, &scratch_a, &a, NULL) != MSP_OK)
		return 0;
	assert(a.edns.present && msp_span_equal(a.edns.options, rr.rdata));

	msp_msgw_init(&w, mem_b, sizeof(mem_b), 1, MSP_OPCODE_QUERY, 0);
	o = msp_optw_open(&w, a.edns.payload, a.rcode, a.edns.dnssec_ok);
	while (msp_edns_next(&a.edns, &pos, &opt)) {
		if (opt.code == MSP_OPT_EDE)
			check_ede(opt);
		msp_optw_add(&o, opt.code, opt.data);
	}
	assert(pos == len);
	msp_optw_close(&o);
	if (msp_msgw_finish(&w, &raw) != MSP_OK || msp_msg_parse(raw, &scratch_b, &b, NULL) != MSP_OK)
		abort();
	assert(msp_span_equal(a.edns.options, b.edns.options));
	return 0;
}
