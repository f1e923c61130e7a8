/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/msg/msg.h>

static const char *const section_names[4] = { "question", "answer", "authority", "additional" };

static enum msp_err take_opt(struct msp_msg *m, enum msp_section section, const struct msp_rr *rr, struct msp_why *why)
{
	if (section != MSP_SEC_ADDITIONAL)
		return msp_fail(why, MSP_EFORMAT, "OPT in the %s section", section_names[section]);
	if (m->edns.present)
		return msp_fail(why, MSP_EFORMAT, "more than one OPT");
	if (!msp_name_is_root(&rr->owner))
		return msp_fail(why, MSP_EFORMAT, "OPT owned by %s, not by the root", MSP_NAME(&rr->owner));
	m->edns.present = true;
	m->edns.payload = rr->cls < 512 ? 512 : rr->cls; /* RFC 6891 6.2.3 */
	m->edns.ext_rcode = (uint8_t)(rr->ttl >> 24);
	m->edns.version = (uint8_t)(rr->ttl >> 16);
	m->edns.dnssec_ok = (rr->ttl & 0x8000) != 0;
	m->edns.options = rr->rdata; /* framing was checked by msp_rr_read: it is OPT's layout */
	m->rcode |= (uint16_t)(m->edns.ext_rcode << 4);
	return MSP_OK;
}

/** SIG with type covered 0; any other SIG, also an empty one in an UPDATE, is ordinary data (PROTOCOL C.3 step 2). */
static bool is_sig0(const struct msp_rr *rr)
{
	return rr->type == MSP_TYPE_SIG && rr->rdata.len >= 2 && rr->rdata.ptr[0] == 0 && rr->rdata.ptr[1] == 0;
}

/** What a record's place must be: OPT, TSIG and SIG(0) only in additional, and nothing after the latter two. */
static enum msp_err take_record(struct msp_msg *m, enum msp_section section, size_t at, const struct msp_rr *rr,
				struct msp_why *why)
{
	bool is_tsig = rr->type == MSP_TYPE_TSIG;

	if (m->tsig_at != 0 || m->sig0_at != 0)
		return msp_fail(why, MSP_EFORMAT, "%s after the %s record, which must be last", MSP_TYPE(rr->type),
				m->tsig_at != 0 ? "TSIG" : "SIG(0)");
	if (rr->type == MSP_TYPE_OPT)
		return take_opt(m, section, rr, why);
	if (!is_tsig && !is_sig0(rr))
		return MSP_OK;
	if (section != MSP_SEC_ADDITIONAL)
		return msp_fail(why, MSP_EFORMAT, "%s in the %s section", is_tsig ? "TSIG" : "SIG(0)",
				section_names[section]);
	*(is_tsig ? &m->tsig_at : &m->sig0_at) = at;
	return MSP_OK;
}

static enum msp_err read_questions(struct msp_msg *m, struct msp_rd *rd, struct msp_why *why)
{
	m->section_at[MSP_SEC_QUESTION] = rd->pos;
	for (unsigned i = 0; i < m->count[MSP_SEC_QUESTION]; i++) {
		struct msp_question q = { 0 };

		msp_name_read(rd, MSP_NAME_COMP, &q.name);
		q.type = msp_rd_u16(rd);
		q.cls = msp_rd_u16(rd);
		if (rd->err != MSP_OK)
			return msp_fail(why, rd->err, "question %u: %s", i + 1, msp_err_text(rd->err));
		if (i == 0)
			m->question = q;
	}
	return MSP_OK;
}

static bool is_special(uint16_t type)
{
	return type == MSP_TYPE_OPT || type == MSP_TYPE_TSIG || type == MSP_TYPE_SIG;
}

static enum msp_err read_section(struct msp_msg *m, struct msp_rd *rd, enum msp_section section, bool is_whole,
				 struct msp_rr_scratch *scratch, struct msp_why *why)
{
	enum msp_err err = MSP_OK;

	m->section_at[section] = rd->pos;
	for (unsigned i = 0; i < m->count[section] && err == MSP_OK; i++) {
		size_t at = rd->pos;
		struct msp_rr rr;

		rr.type = is_whole ? 0 : msp_rr_skip(rd);
		if (is_whole || (rd->err == MSP_OK && is_special(rr.type))) {
			rd->pos = at;
			msp_rr_read(rd, scratch, &rr);
		}
		if (rd->err != MSP_OK)
			return msp_fail(why, rd->err, "%s record %u: %s", section_names[section], i + 1,
					msp_err_text(rd->err));
		err = take_record(m, section, at, &rr, why);
	}
	return err;
}

static enum msp_err parse(struct msp_span raw, bool is_whole, struct msp_rr_scratch *scratch, struct msp_msg *out,
			  struct msp_why *why)
{
	struct msp_rd rd;
	enum msp_err err;

	*out = (struct msp_msg){ .raw = raw };
	if (raw.len < MSP_HEADER_LEN)
		return msp_fail(why, MSP_ETRUNC, "%zu octets, not even a header", raw.len);
	if (raw.len > MSP_MSG_MAX)
		return msp_fail(why, MSP_ELIMIT, "message of %zu octets", raw.len);
	msp_rd_init(&rd, raw);
	rd.floor = MSP_HEADER_LEN; /* ARCOUNT changes when a signature is cut off: no name may be made of it */
	out->id = msp_rd_u16(&rd);
	out->flags = msp_rd_u16(&rd);
	out->opcode = (out->flags >> 11) & 0xf;
	out->rcode = out->flags & 0xf;
	for (int s = MSP_SEC_QUESTION; s <= MSP_SEC_ADDITIONAL; s++)
		out->count[s] = msp_rd_u16(&rd);
	err = read_questions(out, &rd, why);
	for (int s = MSP_SEC_ANSWER; s <= MSP_SEC_ADDITIONAL && err == MSP_OK; s++)
		err = read_section(out, &rd, (enum msp_section)s, is_whole, scratch, why);
	if (err == MSP_OK && msp_rd_left(&rd) != 0)
		err = msp_fail(why, MSP_ETRAIL, "%zu octets after the last record", msp_rd_left(&rd));
	if (err != MSP_OK)
		out->tsig_at = out->sig0_at = 0; /* what they promise ("the last record") was not proven */
	return err;
}

enum msp_err msp_msg_parse(struct msp_span raw, struct msp_rr_scratch *scratch, struct msp_msg *out,
			   struct msp_why *why)
{
	return parse(raw, true, scratch, out, why);
}

enum msp_err msp_msg_frame(struct msp_span raw, struct msp_rr_scratch *scratch, struct msp_msg *out,
			   struct msp_why *why)
{
	return parse(raw, false, scratch, out, why);
}

void msp_msg_it_init(struct msp_msg_it *it, const struct msp_msg *m, enum msp_section section,
		     struct msp_rr_scratch *scratch)
{
	msp_rd_init(&it->rd, m->raw);
	it->rd.floor = MSP_HEADER_LEN;
	it->last.at = 0;
	it->rd.pos = m->section_at[section];
	it->left = section == MSP_SEC_QUESTION ? 0 : m->count[section]; /* questions are not records */
	it->scratch = scratch;
}

bool msp_msg_next(struct msp_msg_it *it, struct msp_rr *out)
{
	if (it->left == 0)
		return false;
	it->left--;
	msp_rr_read_next(&it->rd, it->scratch, &it->last, out);
	return it->rd.err == MSP_OK; /* always, for a message that was parsed, not only framed */
}

static void fail(struct msp_msgw *w, enum msp_err err)
{
	if (w->wr.err == MSP_OK)
		w->wr.err = err;
}

void msp_msgw_init(struct msp_msgw *w, uint8_t *mem, size_t cap, uint16_t id, enum msp_opcode opcode, uint16_t flags)
{
	msp_wr_init(&w->wr, mem, cap < MSP_MSG_MAX ? cap : MSP_MSG_MAX);
	for (int s = MSP_SEC_QUESTION; s <= MSP_SEC_ADDITIONAL; s++)
		w->count[s] = 0;
	w->section = MSP_SEC_QUESTION;
	msp_wr_u16(&w->wr, id);
	msp_wr_u16(&w->wr, (uint16_t)(flags | ((unsigned)opcode & 0xf) << 11));
	msp_wr_u64(&w->wr, 0); /* the counts, see msp_msgw_finish */
}

void msp_msgw_question(struct msp_msgw *w, const struct msp_name *name, uint16_t type, uint16_t cls)
{
	if (w->section != MSP_SEC_QUESTION)
		fail(w, MSP_ESTATE);
	msp_wr_name(&w->wr, name);
	msp_wr_u16(&w->wr, type);
	msp_wr_u16(&w->wr, cls);
	if (w->wr.err == MSP_OK)
		w->count[MSP_SEC_QUESTION]++; /* cannot overflow: 65535 octets hold no 65536 records */
}

void msp_msgw_rr(struct msp_msgw *w, enum msp_section section, const struct msp_rr *rr)
{
	bool is_update;

	if (section == MSP_SEC_QUESTION || section < w->section)
		fail(w, MSP_ESTATE);
	if (w->wr.err != MSP_OK)
		return;
	is_update = ((w->wr.base[2] >> 3) & 0xf) == MSP_OPCODE_UPDATE;
	msp_rr_write(&w->wr, rr, !is_update);
	if (w->wr.err != MSP_OK)
		return;
	w->section = section;
	w->count[section]++;
}

enum msp_err msp_msgw_finish(struct msp_msgw *w, struct msp_span *out)
{
	for (int s = MSP_SEC_QUESTION; s <= MSP_SEC_ADDITIONAL && w->wr.err == MSP_OK; s++)
		msp_wr_patch_u16(&w->wr, 4 + 2 * (size_t)s, w->count[s]);
	*out = msp_wr_span(&w->wr);
	return w->wr.err;
}

void msp_msgw_rcode(struct msp_msgw *w, unsigned rcode)
{
	if (w->wr.err == MSP_OK)
		w->wr.base[3] = (uint8_t)((w->wr.base[3] & 0xf0) | (rcode & 0xf));
}

void msp_msgw_respond(struct msp_msgw *w, uint8_t *mem, size_t cap, const struct msp_msg *req, unsigned rcode,
		      uint16_t flags)
{
	msp_msgw_init(w, mem, cap, req->id, (enum msp_opcode)req->opcode,
		      (uint16_t)(MSP_FLAG_QR | (req->flags & MSP_FLAG_RD) | flags));
	msp_msgw_rcode(w, rcode);
	if (msp_name_is_set(&req->question.name))
		msp_msgw_question(w, &req->question.name, req->question.type, req->question.cls);
}

bool msp_msg_answers(const struct msp_msg *resp, const struct msp_msg *req)
{
	const struct msp_question *a = &resp->question, *q = &req->question;

	if ((resp->flags & MSP_FLAG_QR) == 0 || resp->id != req->id || resp->opcode != req->opcode)
		return false;
	/* RFC 2136 3.8: the answer to an UPDATE may leave the sections out. So do servers that could not read it. */
	if (resp->count[MSP_SEC_QUESTION] == 0)
		return req->count[MSP_SEC_QUESTION] == 0 || req->opcode == MSP_OPCODE_UPDATE ||
		       resp->rcode != MSP_RCODE_NOERROR;
	return msp_name_is_set(&q->name) && a->type == q->type && a->cls == q->cls &&
	       msp_name_equal(&a->name, &q->name);
}
