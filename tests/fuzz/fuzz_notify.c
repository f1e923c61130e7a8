/* SPDX-License-Identifier: BSD-2-Clause */
/* A NOTIFY that passes can be built again with its hint, and passes with the same hint. */
#undef NDEBUG /* the property is checked in every build */
#include <assert.h>
#include <stdlib.h>

#include <msproto/msg/notify.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct msp_rr_scratch scratch_a, scratch_b;
	static uint8_t mem[MSP_MSG_MAX];
	uint32_t hint_a = 0, hint_b = 0;
	struct msp_rr rr, *soa = NULL;
	bool has_a, has_b;
	struct msp_msg_it it;
	struct msp_msg a, b;
	struct msp_span raw;
	struct msp_msgw w;

	if (msp_msg_parse(msp_span(data, len), &scratch_a, &a, NULL) != MSP_OK ||
	    msp_notify_check(&a, &scratch_a, &has_a, &hint_a, NULL) != MSP_OK)
		return 0;
	msp_msg_it_init(&it, &a, MSP_SEC_ANSWER, &scratch_a);
	while (has_a && soa == NULL && msp_msg_next(&it, &rr))
		if (rr.type == MSP_TYPE_SOA && rr.cls == MSP_CLASS_IN && msp_name_equal(&rr.owner, &a.question.name))
			soa = &rr;
	msp_notifyw_init(&w, mem, sizeof(mem), a.id, &a.question.name, a.question.type, soa);
	if (msp_msgw_finish(&w, &raw) != MSP_OK || msp_msg_parse(raw, &scratch_b, &b, NULL) != MSP_OK ||
	    msp_notify_check(&b, &scratch_b, &has_b, &hint_b, NULL) != MSP_OK)
		abort();
	assert(has_a == has_b && hint_a == hint_b);
	assert(msp_name_same(&a.question.name, &b.question.name) && a.question.type == b.question.type);
	return 0;
}
