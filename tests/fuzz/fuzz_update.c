/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of a message that are well-formed prerequisites or updates are the ones that our builders make from them.
 */
#undef NDEBUG /* the property is checked in every build */
#include <assert.h>
#include <stdlib.h>

#include <msproto/msg/update.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct msp_rr_scratch scratch_a, scratch_b;
static uint8_t mem[MSP_MSG_MAX];

static void rebuild(struct msp_msgw *w, const struct msp_rr *rr, enum msp_section section)
{
	enum msp_prereq prereq;
	struct msp_why why;
	enum msp_upd upd;

	if (section == MSP_SEC_PREREQ) {
		if (msp_prereq_classify(rr, &prereq, &why) == MSP_OK)
			msp_updw_prereq(w, prereq, &rr->owner, rr->type, rr->rdata);
		return;
	}
	if (msp_upd_classify(rr, &upd, &why) != MSP_OK)
		return;
	switch (upd) {
	case MSP_UPD_ADD:
		msp_updw_add(w, &rr->owner, rr->type, rr->ttl, rr->rdata);
		break;
	case MSP_UPD_DEL_RRSET:
		msp_updw_del_rrset(w, &rr->owner, rr->type);
		break;
	case MSP_UPD_DEL_NAME:
		msp_updw_del_name(w, &rr->owner);
		break;
	case MSP_UPD_DEL_RR:
		msp_updw_del_rr(w, &rr->owner, rr->type, rr->rdata);
		break;
	}
}

/** Written alone, it reads back as it was. */
static void check_record(const struct msp_rr *rr, enum msp_section section)
{
	struct msp_msg_it it;
	struct msp_name zone;
	struct msp_span raw;
	struct msp_msgw w;
	struct msp_rr back;
	struct msp_msg m;

	msp_name_root(&zone);
	msp_updw_init(&w, mem, sizeof(mem), 1, &zone);
	rebuild(&w, rr, section);
	if (w.count[section] == 0)
		return;
	if (msp_msgw_finish(&w, &raw) != MSP_OK || msp_msg_parse(raw, &scratch_b, &m, NULL) != MSP_OK ||
	    msp_update_check(&m, NULL) != MSP_OK)
		abort();
	msp_msg_it_init(&it, &m, section, &scratch_b);
	if (!msp_msg_next(&it, &back))
		abort();
	assert(msp_name_same(&rr->owner, &back.owner));
	assert(rr->type == back.type && rr->cls == back.cls && rr->ttl == back.ttl);
	assert(msp_span_equal(rr->rdata, back.rdata));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct msp_msg_it it;
	struct msp_msg m;
	struct msp_rr rr;

	if (msp_msg_parse(msp_span(data, len), &scratch_a, &m, NULL) != MSP_OK)
		return 0;
	if (msp_update_check(&m, NULL) == MSP_OK)
		assert(m.question.type == MSP_TYPE_SOA && m.count[MSP_SEC_ZONE] == 1);
	for (int s = MSP_SEC_PREREQ; s <= MSP_SEC_UPDATE; s++) {
		msp_msg_it_init(&it, &m, (enum msp_section)s, &scratch_a);
		while (msp_msg_next(&it, &rr))
			check_record(&rr, (enum msp_section)s);
	}
	return 0;
}
