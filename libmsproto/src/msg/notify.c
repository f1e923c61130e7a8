/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/msg/notify.h>
#include <msproto/wire/rdata.h>

void msp_notifyw_init(struct msp_msgw *w, uint8_t *mem, size_t cap, uint16_t id, const struct msp_name *zone,
		      uint16_t type, const struct msp_rr *soa)
{
	msp_msgw_init(w, mem, cap, id, MSP_OPCODE_NOTIFY, MSP_FLAG_AA); /* RFC 1996 3.7 */
	msp_msgw_question(w, zone, type, MSP_CLASS_IN);
	if (soa != NULL)
		msp_msgw_rr(w, MSP_SEC_ANSWER, soa);
}

enum msp_err msp_notify_check(const struct msp_msg *m, struct msp_rr_scratch *scratch, bool *has_hint,
			      uint32_t *serial_hint, struct msp_why *why)
{
	struct msp_msg_it it;
	struct msp_rr rr;

	*has_hint = false;
	if (m->opcode != MSP_OPCODE_NOTIFY || (m->flags & MSP_FLAG_QR) != 0)
		return msp_fail(why, MSP_EFORMAT, "not a NOTIFY request: flags %04x", m->flags);
	if (m->count[MSP_SEC_QUESTION] != 1 || m->question.cls != MSP_CLASS_IN)
		return msp_fail(why, MSP_EFORMAT, "NOTIFY: %u questions, the first of class %u",
				m->count[MSP_SEC_QUESTION], m->question.cls);
	/* RFC 1996 3.7 and 3.11: a hint at most; whoever acts on it asks for the SOA itself */
	msp_msg_it_init(&it, m, MSP_SEC_ANSWER, scratch);
	while (!*has_hint && msp_msg_next(&it, &rr)) {
		if (rr.type != MSP_TYPE_SOA || rr.cls != MSP_CLASS_IN || !msp_name_equal(&rr.owner, &m->question.name))
			continue;
		*has_hint = true;
		*serial_hint = msp_soa_serial(rr.rdata);
	}
	return MSP_OK;
}
