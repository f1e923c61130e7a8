/* SPDX-License-Identifier: BSD-2-Clause */
/* OPTION-DATA that parses is written; that parses, and written again gives the same octets. */
#undef NDEBUG /* the property is checked in every build */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <msproto/msg/msopt.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct msp_span written(const struct msp_msopt *ms, uint8_t *mem)
{
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_optw o;

	msp_msgw_init(&w, mem, MSP_MSG_MAX, 1, MSP_OPCODE_NOTIFY, 0);
	o = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, false);
	msp_optw_msopt(&o, &msp_numbers_default, ms);
	msp_optw_close(&o);
	if (msp_msgw_finish(&w, &raw) != MSP_OK)
		assert(w.wr.err == MSP_ENOSPACE);
	return raw;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct msp_rr_scratch scratch;
	static uint8_t mem_a[MSP_MSG_MAX], mem_b[MSP_MSG_MAX];
	struct msp_msopt a, b;
	struct msp_option opt;
	struct msp_span one, two;
	struct msp_msg m;

	if (msp_msopt_parse(msp_span(data, len), &a) != MSP_OK)
		return 0;
	assert(a.operation != 0);
	assert(msp_op_name(&msp_numbers_default, a.operation) != NULL);
	one = written(&a, mem_a);
	if (one.len == 0)
		return 0;
	if (msp_msg_parse(one, &scratch, &m, NULL) != MSP_OK ||
	    !msp_edns_find(&m.edns, msp_numbers_default.opt_multisigner, &opt) ||
	    msp_msopt_parse(opt.data, &b) != MSP_OK)
		abort();
	assert(memcmp(a.has, b.has, sizeof(a.has)) == 0);
	two = written(&b, mem_b);
	assert(msp_span_equal(one, two));
	return 0;
}
