/* SPDX-License-Identifier: BSD-2-Clause */
#include <assert.h>
#include <string.h>

#include <msproto/wire/rdata.h>
#include <msproto/zone/serial.h>
#include <msproto/zone/xfrin.h>

/*
 * The answer is one sequence of records; where messages end means nothing (RFC 5936 2.2, RFC 1995 4):
 *
 *   AXFR   SOA data... SOA
 *   IXFR   SOA                                        nothing newer
 *          SOA data... SOA                            the whole zone after all
 *          SOA { SOA_from dels... SOA_to adds... }+ SOA
 */
enum phase {
	PH_FIRST,  /* nothing seen */
	PH_SECOND, /* IXFR, the new SOA seen: the next record tells which form it is */
	PH_FULL,   /* in a whole zone */
	PH_DELETE, /* in the deletions of a difference sequence */
	PH_ADD,    /* in its additions */
	PH_END,    /* complete */
	PH_FAILED
};

void msp_xfrin_init(struct msp_xfrin *x, enum msp_xfr_kind kind, const struct msp_name *zone, uint16_t id,
		    uint32_t have_serial, const struct msp_xfrin_limits *limits, const struct msp_xfrin_ops *ops,
		    void *arg)
{
	memset(x, 0, offsetof(struct msp_xfrin, scratch)); /* the scratch is 64 KiB and needs no value */
	x->kind = kind;
	x->zone = *zone;
	x->id = id;
	x->have_serial = have_serial;
	x->ops = ops;
	x->arg = arg;
	x->limits = *limits;
	x->phase = PH_FIRST;
}

static enum msp_err call_begin(struct msp_xfrin *x, bool is_full)
{
	x->is_full = is_full;
	return x->ops->begin != NULL ? x->ops->begin(x->arg, &x->first_soa, is_full) : MSP_OK;
}

static enum msp_err call_delta(struct msp_xfrin *x, bool is_add, const struct msp_rr *soa)
{
	return x->ops->delta != NULL ? x->ops->delta(x->arg, is_add, soa) : MSP_OK;
}

static enum msp_err call_message(struct msp_xfrin *x, const struct msp_msg *m, bool is_over)
{
	return x->ops->message != NULL ? x->ops->message(x->arg, m, is_over) : MSP_OK;
}

static bool is_first_soa(const struct msp_xfrin *x, const struct msp_rr *soa)
{
	return msp_rdata_equal(MSP_TYPE_SOA, soa->rdata, x->first_soa.rdata);
}

static enum msp_err soa_first(struct msp_xfrin *x, const struct msp_rr *soa, uint32_t serial,
			      enum msp_xfrin_state *state)
{
	assert(soa->rdata.len <= sizeof(x->soa_octets)); /* the reader checked the layout: two names and 20 octets */
	memcpy(x->soa_octets, soa->rdata.ptr, soa->rdata.len);
	x->first_soa = *soa;
	x->first_soa.rdata = msp_span(x->soa_octets, soa->rdata.len);
	x->new_serial = serial;
	if (x->kind == MSP_XFR_AXFR) {
		x->phase = PH_FULL;
		return call_begin(x, true);
	}
	if (msp_serial_gt(serial, x->have_serial)) {
		x->phase = PH_SECOND;
		return MSP_OK;
	}
	/* RFC 1995 2. Whatever a server appends, it has nothing newer for us, wherever the message happens to end. */
	x->phase = PH_END;
	*state = MSP_XFRIN_UP_TO_DATE;
	return MSP_OK;
}

static enum msp_err soa_from(struct msp_xfrin *x, const struct msp_rr *soa, uint32_t serial)
{
	x->phase = PH_DELETE;
	x->delta_from = serial;
	return call_delta(x, false, soa);
}

static enum msp_err soa_to(struct msp_xfrin *x, const struct msp_rr *soa, uint32_t serial, struct msp_why *why)
{
	if (!msp_serial_gt(serial, x->delta_from))
		return msp_fail(why, MSP_EFORMAT, "IXFR: difference from serial %u to %u does not go forward",
				x->delta_from, serial);
	if (msp_serial_gt(serial, x->new_serial))
		return msp_fail(why, MSP_EFORMAT, "IXFR: difference to serial %u goes past the new version, %u", serial,
				x->new_serial);
	if (serial == x->new_serial && !is_first_soa(x, soa))
		return msp_fail(why, MSP_EFORMAT, "IXFR: SOA %u of the last difference is not the first SOA", serial);
	x->phase = PH_ADD;
	x->delta_to = serial;
	return call_delta(x, true, soa);
}

static enum msp_err soa_last(struct msp_xfrin *x, const struct msp_rr *soa, uint32_t serial,
			     enum msp_xfrin_state *state, struct msp_why *why)
{
	if (!is_first_soa(x, soa))
		return msp_fail(why, MSP_EFORMAT, "first SOA (serial %u) and last SOA (serial %u) differ",
				x->new_serial, serial);
	x->phase = PH_END;
	*state = MSP_XFRIN_DONE;
	return MSP_OK;
}

static enum msp_err soa_second(struct msp_xfrin *x, const struct msp_rr *soa, uint32_t serial,
			       enum msp_xfrin_state *state, struct msp_why *why)
{
	enum msp_err err;

	if (serial == x->have_serial) {
		err = call_begin(x, false);
		return err == MSP_OK ? soa_from(x, soa, serial) : err;
	}
	if (serial != x->new_serial)
		return msp_fail(why, MSP_EFORMAT, "IXFR: differences begin at serial %u, we hold %u", serial,
				x->have_serial);
	/* A whole zone of nothing but its SOA. */
	err = call_begin(x, true);
	return err == MSP_OK ? soa_last(x, soa, serial, state, why) : err;
}

static enum msp_err take_soa(struct msp_xfrin *x, const struct msp_rr *soa, enum msp_xfrin_state *state,
			     struct msp_why *why)
{
	uint32_t serial = msp_soa_serial(soa->rdata);

	if (!msp_name_equal(&soa->owner, &x->zone))
		return msp_fail(why, MSP_EFORMAT, "SOA below the apex, at %s", MSP_NAME(&soa->owner));
	switch ((enum phase)x->phase) {
	case PH_FIRST:
		return soa_first(x, soa, serial, state);
	case PH_SECOND:
		return soa_second(x, soa, serial, state, why);
	case PH_FULL:
		return soa_last(x, soa, serial, state, why);
	case PH_DELETE:
		return soa_to(x, soa, serial, why);
	case PH_ADD:
		if (x->delta_to == x->new_serial)
			return soa_last(x, soa, serial, state, why);
		if (serial != x->delta_to)
			return msp_fail(why, MSP_EFORMAT, "IXFR: difference from serial %u follows one to %u", serial,
					x->delta_to);
		return soa_from(x, soa, serial);
	case PH_END:
	case PH_FAILED:
		break;
	}
	return MSP_ESTATE; /* not reached: a finished transfer is not fed */
}

static enum msp_err take_data(struct msp_xfrin *x, const struct msp_rr *rr, bool is_inside, struct msp_why *why)
{
	enum msp_err err = MSP_OK;

	if (x->phase == PH_FIRST)
		return msp_fail(why, MSP_EFORMAT, "transfer begins with %s %s, not with the SOA of the zone",
				MSP_NAME(&rr->owner), MSP_TYPE(rr->type));
	if (x->phase == PH_SECOND) {
		x->phase = PH_FULL;
		err = call_begin(x, true);
	}
	if (err != MSP_OK)
		return err;
	if (!is_inside) {
		x->out_of_zone++;
		return MSP_OK;
	}
	if (x->phase == PH_FULL)
		return x->ops->record != NULL ? x->ops->record(x->arg, rr) : MSP_OK;
	return x->ops->change != NULL ? x->ops->change(x->arg, x->phase == PH_ADD, rr) : MSP_OK;
}

static enum msp_err take_record(struct msp_xfrin *x, const struct msp_rr *rr, enum msp_xfrin_state *state,
				struct msp_why *why)
{
	bool is_inside = msp_name_is_under(&rr->owner, &x->zone);

	x->records++;
	if (x->limits.records != 0 && x->records > x->limits.records)
		return msp_fail(why, MSP_ELIMIT, "transfer of %s has more than %llu records", MSP_NAME(&x->zone),
				(unsigned long long)x->limits.records);
	if (x->phase == PH_END)
		return msp_fail(why, MSP_EFORMAT, "%s %s after the last SOA", MSP_NAME(&rr->owner), MSP_TYPE(rr->type));
	if (rr->cls != MSP_CLASS_IN || msp_type_is_meta(rr->type))
		return msp_fail(why, MSP_EFORMAT, "%s class %u %s is not zone data", MSP_NAME(&rr->owner), rr->cls,
				MSP_TYPE(rr->type));
	if (rr->type == MSP_TYPE_SOA && is_inside)
		return take_soa(x, rr, state, why);
	return take_data(x, rr, is_inside, why);
}

/** Whether the message is one of the answer to our question, and says success (RFC 5936 2.2.1, 2.2.2). */
static enum msp_err check_message(struct msp_xfrin *x, const struct msp_msg *m, unsigned *rcode, struct msp_why *why)
{
	uint16_t qtype = x->kind == MSP_XFR_AXFR ? MSP_TYPE_AXFR : MSP_TYPE_IXFR;

	if ((m->flags & MSP_FLAG_QR) == 0 || m->opcode != MSP_OPCODE_QUERY)
		return msp_fail(why, MSP_EMISMATCH, "not an answer to a query: flags %04x", m->flags);
	if (m->rcode != MSP_RCODE_NOERROR) {
		if (rcode != NULL)
			*rcode = m->rcode;
		return msp_fail(why, MSP_ERCODE, "transfer of %s: %s", MSP_NAME(&x->zone), msp_rcode_name(m->rcode));
	}
	if (m->count[MSP_SEC_QUESTION] > 1 || (m->count[MSP_SEC_QUESTION] == 0 && x->messages == 1))
		return msp_fail(why, MSP_EMISMATCH, "%u questions in message %llu", m->count[MSP_SEC_QUESTION],
				(unsigned long long)x->messages);
	if (m->count[MSP_SEC_QUESTION] == 1 && (m->question.type != qtype || m->question.cls != MSP_CLASS_IN ||
						!msp_name_equal(&m->question.name, &x->zone)))
		return msp_fail(why, MSP_EMISMATCH, "message %llu answers %s %s, not the question",
				(unsigned long long)x->messages, MSP_NAME(&m->question.name),
				MSP_TYPE(m->question.type));
	if ((m->flags & MSP_FLAG_TC) != 0)
		return msp_fail(why, MSP_EFORMAT, "truncated (TC)");
	/* RFC 5936 2.2: each message carries a record, but padding may come alone (RFC 9103, PROTOCOL C.8). */
	if (m->count[MSP_SEC_ANSWER] != 0)
		x->empty_run = 0;
	else if (x->phase == PH_FIRST)
		return msp_fail(why, MSP_EFORMAT, "answer without records");
	else if (++x->empty_run > MSP_XFRIN_EMPTY_MAX)
		return msp_fail(why, MSP_EFORMAT, "over %d messages in a row without records", MSP_XFRIN_EMPTY_MAX);
	return MSP_OK;
}

/* Nothing is taken from the sections after the answer, but a message is well-formed as a whole or not at all. */
static enum msp_err check_rest(struct msp_xfrin *x, const struct msp_msg *m, struct msp_why *why)
{
	struct msp_msg_it it;
	struct msp_rr rr;

	for (int s = MSP_SEC_AUTHORITY; s <= MSP_SEC_ADDITIONAL; s++) {
		msp_msg_it_init(&it, m, (enum msp_section)s, &x->scratch);
		while (msp_msg_next(&it, &rr))
			;
		if (it.rd.err != MSP_OK)
			return msp_fail(why, MSP_EFORMAT, "after the answer section: %s", msp_err_text(it.rd.err));
	}
	return MSP_OK;
}

static enum msp_err count_message(struct msp_xfrin *x, size_t len, struct msp_why *why)
{
	x->messages++;
	x->octets += len;
	if (x->limits.octets != 0 && x->octets > x->limits.octets)
		return msp_fail(why, MSP_ELIMIT, "transfer of %s has more than %llu octets", MSP_NAME(&x->zone),
				(unsigned long long)x->limits.octets);
	return MSP_OK;
}

static enum msp_err take_answer(struct msp_xfrin *x, const struct msp_msg *m, enum msp_xfrin_state *state,
				struct msp_why *why)
{
	struct msp_msg_it it;
	struct msp_rr rr;
	enum msp_err err = MSP_OK;

	msp_msg_it_init(&it, m, MSP_SEC_ANSWER, &x->scratch);
	while (err == MSP_OK && *state != MSP_XFRIN_UP_TO_DATE && msp_msg_next(&it, &rr))
		err = take_record(x, &rr, state, why);
	if (err == MSP_OK && it.rd.err != MSP_OK)
		err = msp_fail(why, MSP_EFORMAT, "record %u of message %llu: %s", m->count[MSP_SEC_ANSWER] - it.left,
			       (unsigned long long)x->messages, msp_err_text(it.rd.err));
	return err;
}

/* parsed: what came of parsing m; *why is set when that was an error. */
static enum msp_err feed(struct msp_xfrin *x, const struct msp_msg *m, enum msp_err parsed, enum msp_xfrin_state *state,
			 unsigned *rcode, struct msp_why *why)
{
	enum msp_err err = count_message(x, m->raw.len, why);

	/* Another's id says more than what is wrong inside. */
	if (err == MSP_OK && m->raw.len >= MSP_HEADER_LEN && m->id != x->id)
		err = msp_fail(why, MSP_EMISMATCH, "id %u, asked with %u", m->id, x->id);
	if (err == MSP_OK && parsed != MSP_OK)
		err = MSP_EFORMAT;
	if (err == MSP_OK)
		err = check_message(x, m, rcode, why);
	if (err == MSP_OK)
		err = check_rest(x, m, why);
	if (err == MSP_OK)
		err = call_message(x, m, false);
	if (err == MSP_OK)
		err = take_answer(x, m, state, why);
	if (err == MSP_OK)
		err = call_message(x, m, true);
	if (err != MSP_OK) {
		x->phase = PH_FAILED;
		*state = MSP_XFRIN_MORE;
	}
	return err;
}

static bool is_over(const struct msp_xfrin *x, enum msp_xfrin_state *state, unsigned *rcode)
{
	*state = MSP_XFRIN_MORE;
	if (rcode != NULL)
		*rcode = MSP_RCODE_NOERROR;
	return x->phase == PH_END || x->phase == PH_FAILED;
}

enum msp_err msp_xfrin_feed_msg(struct msp_xfrin *x, const struct msp_msg *m, enum msp_xfrin_state *state,
				unsigned *rcode, struct msp_why *why)
{
	if (is_over(x, state, rcode))
		return msp_fail(why, MSP_ESTATE, "the transfer is over");
	return feed(x, m, MSP_OK, state, rcode, why);
}

enum msp_err msp_xfrin_feed(struct msp_xfrin *x, struct msp_span message, enum msp_xfrin_state *state, unsigned *rcode,
			    struct msp_why *why)
{
	struct msp_msg m;
	enum msp_err parsed;

	if (is_over(x, state, rcode))
		return msp_fail(why, MSP_ESTATE, "the transfer is over");
	parsed = msp_msg_parse(message, &x->scratch, &m, why);
	return feed(x, &m, parsed, state, rcode, why);
}
