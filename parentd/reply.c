/* SPDX-License-Identifier: BSD-2-Clause */
#include "reply.h"

#include <string.h>

#define UDP_MIN 512

unsigned prt_reply_rcode(unsigned rcode, bool has_edns)
{
	if (rcode <= 15 || has_edns)
		return rcode;
	/* PROTOCOL B.5: BADKEY and the like are refusals of a signature. */
	return rcode == MSP_RCODE_BADVERS ? MSP_RCODE_FORMERR : MSP_RCODE_NOTAUTH;
}

/* --- one attempt --------------------------------------------------------------------------------------------------
 */

enum detail { ALL, NO_TEXT, TRUNCATED, DETAIL__N };

static void add_ede(const struct prt_reply *r, enum detail detail, struct msp_optw *o)
{
	const struct prt_refusal *no = r->refusal;
	const char *text = detail == ALL ? no->why.text : "";

	if (no->has_ede)
		msp_optw_ede(o, no->is_standard ? no->ede : msp_ede_code(r->numbers, (enum msp_ede_own)no->ede), text);
}

static void add_state(const struct prt_reply *r, enum detail detail, struct msp_optw *o)
{
	struct msp_keystate ks = { .key_id = r->key_id, .state = (uint8_t)r->state };

	if (detail == ALL)
		ks.text = msp_span_str(msp_keystate_name(ks.state));
	msp_optw_keystate(o, r->numbers, &ks);
}

static void add_opt(const struct prt_reply *r, enum detail detail, bool is_signed, struct msp_msgw *w)
{
	struct msp_optw o;

	if (r->is_malformed || !r->request->edns.present)
		return; /* PROTOCOL B.1: no OPT in the request, none in the answer */
	o = msp_optw_open(w, MSP_EDNS_PAYLOAD, r->refusal->rcode, false);
	if (r->cookie_len != 0)
		msp_optw_add(&o, MSP_OPT_COOKIE, msp_span(r->cookie, r->cookie_len));
	if (r->has_state && is_signed)
		add_state(r, detail, &o);
	add_ede(r, detail, &o);
	msp_optw_close(&o);
}

static enum msp_err write_unsigned(const struct prt_reply *r, enum detail detail, bool is_signed, uint8_t *out,
				   size_t cap, size_t *len)
{
	bool has_edns = !r->is_malformed && r->request->edns.present;
	unsigned rcode = prt_reply_rcode(r->refusal->rcode, has_edns);
	struct msp_msgw w;
	struct msp_span msg;
	enum msp_err err;

	/* RFC 2931 3: a truncated answer says nothing but that it is one. */
	msp_msgw_respond(&w, out, cap, r->request, detail == TRUNCATED ? MSP_RCODE_NOERROR : rcode & 15,
			 (uint16_t)(r->flags | (detail == TRUNCATED ? MSP_FLAG_TC : 0)));
	if (detail != TRUNCATED)
		add_opt(r, detail, is_signed, &w);
	err = msp_msgw_finish(&w, &msg);
	*len = err == MSP_OK ? msg.len : 0;
	return err;
}

/* --- size and signature ---------------------------------------------------------------------------------------------
 */

static size_t size_max(const struct prt_reply *r, size_t cap)
{
	const struct msp_edns *e = &r->request->edns;
	size_t max = MSP_MSG_MAX;

	if (!r->is_tcp) {
		max = !r->is_malformed && e->present && e->payload > UDP_MIN ? e->payload : UDP_MIN;
		if (max > MSP_EDNS_PAYLOAD)
			max = MSP_EDNS_PAYLOAD;
	}
	return max < cap ? max : cap;
}

static size_t room_for(const struct prt_seal *seal)
{
	if (seal->key != NULL)
		return 11 + 18 + (size_t)msp_key_owner(seal->key)->len + msp_key_sig_len(seal->key);
	if (seal->tsig != NULL) /* owner, fixed part, algorithm name, time .. other length, MAC */
		return (size_t)msp_tsig_key_name(seal->tsig->key)->len + 10 + 13 + 16 + MSP_TSIG_MAC_MAX;
	return 0;
}

static enum msp_err write_fitting(const struct prt_reply *r, const struct prt_seal *seal, uint8_t *out, size_t cap,
				  size_t *len)
{
	bool is_signed = seal->key != NULL || seal->tsig != NULL;
	size_t room = room_for(seal), max = size_max(r, cap);
	enum msp_err err = MSP_ENOSPACE;

	for (enum detail d = ALL; d < DETAIL__N && err == MSP_ENOSPACE; d++)
		err = max > room ? write_unsigned(r, d, is_signed, out, max - room, len) : MSP_ENOSPACE;
	return err;
}

enum msp_err prt_reply_write(const struct prt_reply *r, const struct prt_seal *seal, uint8_t *out, size_t cap,
			     size_t *len, bool *is_signed)
{
	static const struct prt_seal nobody = { .key = NULL };
	enum msp_err err;

	*is_signed = false;
	if (r->is_malformed) /* sig0.h: a signature over such a request could be made to mean something else */
		seal = &nobody;
	err = write_fitting(r, seal, out, cap, len);
	if (err == MSP_OK && seal->tsig != NULL) {
		err = msp_tsig_sign_response(seal->tsig, seal->now, out, len, cap);
		*is_signed = err == MSP_OK;
	} else if (seal->key != NULL) {
		if (err == MSP_OK)
			err = msp_sig0_sign(seal->key, seal->now, r->request->raw, out, len, cap);
		*is_signed = err == MSP_OK;
		if (err != MSP_OK) /* PROTOCOL B.2: the KeyState stays out then */
			err = write_fitting(r, &nobody, out, cap, len);
	}
	return err;
}

/* --- KeyState ------------------------------------------------------------------------------------------------------
 */

enum prt_inquiry prt_inquiry_read(const struct msp_edns *e, const struct msp_numbers *n, bool compat_02,
				  uint16_t *key_id)
{
	struct msp_keystate ks = { 0 };
	struct msp_option o;
	enum msp_err err;

	*key_id = 0;
	if (!e->present || !msp_edns_find(e, n->opt_keystate, &o))
		return PRT_INQUIRY_NONE;
	err = msp_keystate_parse(o.data, &ks);
	if (o.data.len >= 2) /* as far as it can be read */
		*key_id = (uint16_t)(o.data.ptr[0] << 8 | o.data.ptr[1]);
	if (err != MSP_OK || ks.data != 0)
		return PRT_INQUIRY_MALFORMED;
	if (compat_02 && (ks.state == MSP_KEYSTATE_MALFORMED || ks.state == MSP_KEYSTATE_TEMPORARY_FAILURE))
		return PRT_INQUIRY_KEY; /* "request automatic bootstrap", "request manual bootstrap" of draft 02 */
	return ks.state == MSP_KEYSTATE_INQUIRE ? PRT_INQUIRY_KEY : PRT_INQUIRY_MALFORMED;
}
