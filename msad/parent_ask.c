/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent_ask.h"

#include <stdio.h>
#include <string.h>

#include <msproto/msg/notify.h>
#include <msproto/msg/update.h>

/* ---- building
 * -------------------------------------------------------------------------------------------------------- */

static void add_opt(struct msp_msgw *w, const struct msp_numbers *n, const struct msp_keystate *ks, bool dnssec_ok)
{
	struct msp_optw o = msp_optw_open(w, MSP_EDNS_PAYLOAD, 0, dnssec_ok);

	if (ks != NULL)
		msp_optw_keystate(&o, n, ks);
	msp_optw_close(&o);
}

static enum msp_err sign(const struct msa_draft *d, struct msp_msgw *w, const struct msp_key *key, struct msp_wall now,
			 struct msp_span *out)
{
	struct msp_span plain;
	enum msp_err err = msp_msgw_finish(w, &plain);
	size_t len;

	if (err != MSP_OK)
		return err;
	len = plain.len;
	err = msp_sig0_sign(key, now, msp_span(NULL, 0), d->mem, &len, MSP_MSG_MAX);
	if (err == MSP_OK)
		*out = msp_span(d->mem, len);
	return err;
}

enum msp_err msa_ask_keystate(const struct msa_draft *d, const struct msp_key *key, struct msp_wall now,
			      struct msp_span *out)
{
	struct msp_keystate ks = { .key_id = msp_key_id(key), .state = MSP_KEYSTATE_INQUIRE };
	struct msp_msgw w;

	msp_msgw_init(&w, d->mem, MSP_MSG_MAX, d->id, MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, msp_key_owner(key), MSP_TYPE_KEY, MSP_CLASS_IN);
	add_opt(&w, d->numbers, &ks, false);
	return sign(d, &w, key, now, out);
}

enum msp_err msa_ask_roll(const struct msa_draft *d, const struct msp_name *parent, uint32_t ttl_s,
			  const struct msp_key *add, const struct msp_key *del, const struct msp_key *signer,
			  struct msp_wall now, struct msp_span *out)
{
	struct msp_msgw w;

	msp_updw_init(&w, d->mem, MSP_MSG_MAX, d->id, parent);
	if (del != NULL)
		msp_updw_del_rr(&w, msp_key_owner(del), MSP_TYPE_KEY, msp_key_rdata(del));
	if (add != NULL)
		msp_updw_add(&w, msp_key_owner(add), MSP_TYPE_KEY, ttl_s, msp_key_rdata(add));
	add_opt(&w, d->numbers, NULL, false);
	return sign(d, &w, signer, now, out);
}

enum msp_err msa_ask_upload(const struct msa_draft *d, const struct msp_name *parent, uint32_t ttl_s,
			    const struct msp_key *key, struct msp_wall now, struct msp_span *out)
{
	return msa_ask_roll(d, parent, ttl_s, key, NULL, key, now, out);
}

enum msp_err msa_ask_update(const struct msa_draft *d, const struct msp_name *parent, const struct msa_records *want,
			    const struct msa_records *any, const struct msa_records *all, const struct msp_key *key,
			    struct msp_wall now, size_t *changes, struct msp_span *out)
{
	struct msp_msgw w;

	*changes = 0;
	msp_updw_init(&w, d->mem, MSP_MSG_MAX, d->id, parent);
	for (size_t i = 0; i < want->count; i++) {
		const struct msa_record *r = &want->item[i];

		if (msa_records_has(all, r))
			continue;
		msp_updw_add(&w, &r->owner, r->type, r->ttl, r->rdata);
		(*changes)++;
	}
	for (size_t i = 0; i < any->count; i++) {
		const struct msa_record *r = &any->item[i];

		if (msa_records_has(want, r))
			continue;
		msp_updw_del_rr(&w, &r->owner, r->type, r->rdata);
		(*changes)++;
	}
	add_opt(&w, d->numbers, NULL, false);
	return sign(d, &w, key, now, out);
}

enum msp_err msa_ask_notify(const struct msa_draft *d, const struct msp_name *child, uint16_t type,
			    struct msp_span *out)
{
	struct msp_msgw w;

	msp_notifyw_init(&w, d->mem, MSP_MSG_MAX, d->id, child, type, NULL);
	return msp_msgw_finish(&w, out);
}

enum msp_err msa_ask_server(const struct msa_draft *d, const struct msp_name *name, uint16_t type, struct msp_span *out)
{
	struct msp_msgw w;

	msp_msgw_init(&w, d->mem, MSP_MSG_MAX, d->id, MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, name, type, MSP_CLASS_IN);
	add_opt(&w, d->numbers, NULL, true);
	return msp_msgw_finish(&w, out);
}

/* ---- reading
 * --------------------------------------------------------------------------------------------------------- */

/** Octets of a stranger, for logs and views: printable ASCII as it is, the rest as dots. */
static void keep_words(struct msp_span s, char *text, size_t len)
{
	size_t n = s.len < len - 1 ? s.len : len - 1;

	for (size_t i = 0; i < n; i++)
		text[i] = s.ptr[i] >= 0x20 && s.ptr[i] < 0x7f ? (char)s.ptr[i] : '.';
	text[n] = '\0';
}

static void read_options(const struct msp_msg *m, const struct msp_numbers *numbers, uint16_t key_tag,
			 struct msa_reading *r)
{
	struct msp_option o;
	struct msp_ede ede;
	struct msp_keystate ks;

	if (!m->edns.present)
		return;
	if (msp_edns_find(&m->edns, MSP_OPT_EDE, &o) && msp_ede_parse(o.data, &ede) == MSP_OK) {
		r->has_ede = true;
		r->ede = ede.code;
		keep_words(ede.text, r->extra, sizeof(r->extra));
	}
	/* spec: draft-berra-dnsop-keystate-03: a KeyState whose signature was not verified is discarded. */
	if (r->belief != MSA_VERIFIED || !msp_edns_find(&m->edns, numbers->opt_keystate, &o))
		return;
	if (msp_keystate_parse(o.data, &ks) != MSP_OK || ks.key_id != key_tag || ks.state == MSP_KEYSTATE_INQUIRE)
		return;
	r->has_state = true;
	r->state = ks.state;
	if (r->extra[0] == '\0')
		keep_words(ks.text, r->extra, sizeof(r->extra));
}

enum msp_err msa_ask_read(const struct msp_keyring *ring, const struct msp_name *receiver,
			  const struct msp_numbers *numbers, struct msp_span request, struct msp_span answer,
			  uint16_t key_tag, struct msp_wall now, struct msp_rr_scratch *scratch,
			  struct msa_reading *out)
{
	struct msp_trust trust = { .ring = ring, .policy = &msp_sig0_policy_default };
	struct msp_authmsg *auth = NULL;
	struct msp_why why = { "" };
	struct msp_msg m;
	enum msp_err err = msp_msg_parse(answer, scratch, &m, &why);

	*out = (struct msa_reading){ .belief = MSA_UNSIGNABLE };
	if (err == MSP_OK && (m.flags & MSP_FLAG_QR) == 0)
		err = MSP_EMISMATCH;
	if (err != MSP_OK)
		return err;
	out->rcode = m.rcode;
	if (ring != NULL && msp_keyring_has(ring, receiver)) {
		err = msp_trust_response(&trust, &m, request, receiver, now, &auth, &why);
		if (err == MSP_ENOMEM || err == MSP_ECRYPTO)
			return err;
		out->belief = err == MSP_OK ? MSA_VERIFIED : MSA_UNVERIFIED;
		snprintf(out->why_not, sizeof(out->why_not), "%s", err == MSP_OK ? "" : msp_err_text(err));
	}
	read_options(&m, numbers, key_tag, out);
	msp_authmsg_free(&auth);
	return MSP_OK;
}

void msa_reading_text(const struct msa_reading *r, const struct msp_numbers *numbers, char *text, size_t len)
{
	const char *ede = r->has_ede ? msp_ede_name(numbers, r->ede) : NULL;
	char code[16] = "";

	if (r->has_ede && ede == NULL)
		snprintf(code, sizeof(code), "EDE %u", r->ede);
	snprintf(text, len, "%s%s%s%s%s%s%s%s", msp_rcode_name(r->rcode), r->has_ede ? " " : "",
		 ede != NULL ? ede : code, r->has_state ? " KeyState " : "",
		 r->has_state ? msp_keystate_name(r->state) : "", r->extra[0] != '\0' ? ": " : "", r->extra,
		 r->belief == MSA_VERIFIED ? "" : " (not signed by the receiver)");
}

/* ---- meaning
 * --------------------------------------------------------------------------------------------------------- */

#define ANY_EDE (-1) /* any other, and none */

/** First match counts. ede: offset from the base of ours. */
static const struct {
	unsigned rcode;
	int ede;
	enum msa_meaning meaning;
} update_table[] = {
	{ MSP_RCODE_NOERROR, ANY_EDE, MSA_MEANS_ACCEPTED },
	{ MSP_RCODE_REFUSED, MSP_EDE_SIG0_KEY_UNKNOWN, MSA_MEANS_NO_KEY },
	{ MSP_RCODE_REFUSED, MSP_EDE_KEY_NOT_TRUSTED, MSA_MEANS_WAIT },
	{ MSP_RCODE_REFUSED, MSP_EDE_KEY_VALIDATION_FAILED, MSA_MEANS_STOP },
	{ MSP_RCODE_REFUSED, MSP_EDE_MANUAL_BOOTSTRAP, MSA_MEANS_PERSON },
	{ MSP_RCODE_REFUSED, ANY_EDE, MSA_MEANS_LIMITED },
	{ MSP_RCODE_BADKEY, ANY_EDE, MSA_MEANS_NO_KEY },
	{ MSP_RCODE_BADTIME, ANY_EDE, MSA_MEANS_CLOCK },
	{ MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_BAD_TIME, MSA_MEANS_CLOCK },
	{ MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_REPLAY, MSA_MEANS_RESIGN },
	{ MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_KEY_UNKNOWN, MSA_MEANS_NO_KEY },
	{ MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_BAD_SIGNATURE, MSA_MEANS_STOP },
	{ MSP_RCODE_NOTAUTH, MSP_EDE_SIG0_ALGORITHM, MSA_MEANS_STOP },
	{ MSP_RCODE_FORMERR, ANY_EDE, MSA_MEANS_STOP },
	{ MSP_RCODE_NOTIMP, ANY_EDE, MSA_MEANS_STOP },
};

/** As an offset of ours, or -2: somebody else's. */
static int own_ede(const struct msa_reading *r, const struct msp_numbers *numbers)
{
	if (!r->has_ede || r->ede < numbers->ede_base || r->ede >= numbers->ede_base + MSP_EDE_OWN__END)
		return -2;
	return r->ede - numbers->ede_base;
}

enum msa_meaning msa_update_meaning(const struct msa_reading *r, const struct msp_numbers *numbers)
{
	enum msa_meaning m = MSA_MEANS_AGAIN; /* SERVFAIL, NOTAUTH, NOTZONE, unmet prerequisites: look again first */
	int ede = own_ede(r, numbers);

	if (r->belief == MSA_UNVERIFIED)
		return MSA_MEANS_AGAIN;
	for (size_t i = 0; i < sizeof(update_table) / sizeof(update_table[0]); i++) {
		if (update_table[i].rcode != r->rcode || (update_table[i].ede != ANY_EDE && update_table[i].ede != ede))
			continue;
		m = update_table[i].meaning;
		break;
	}
	/* G.5: without the receiver's key a negative answer is advice at most; NOERROR is checked by asking the parent.
	 */
	return r->belief == MSA_VERIFIED || m == MSA_MEANS_ACCEPTED ? m : MSA_MEANS_AGAIN;
}

enum msa_meaning msa_state_meaning(uint8_t state)
{
	static const struct {
		uint8_t state;
		enum msa_meaning meaning;
	} table[] = {
		{ MSP_KEYSTATE_TRUSTED, MSA_MEANS_ACCEPTED },
		{ MSP_KEYSTATE_UNKNOWN, MSA_MEANS_NO_KEY },
		{ MSP_KEYSTATE_INVALID, MSA_MEANS_STOP },
		{ MSP_KEYSTATE_REFUSED, MSA_MEANS_STOP },
		{ MSP_KEYSTATE_VALIDATION_FAILED, MSA_MEANS_STOP },
		{ MSP_KEYSTATE_BOOTSTRAP_AUTO, MSA_MEANS_WAIT },
		{ MSP_KEYSTATE_BOOTSTRAP_MANUAL, MSA_MEANS_PERSON },
		{ MSP_KEYSTATE_TEMPORARY_FAILURE, MSA_MEANS_AGAIN },
		{ MSP_KEYSTATE_MALFORMED, MSA_MEANS_LIMITED },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].state == state)
			return table[i].meaning;
	return MSA_MEANS_AGAIN;
}

const char *msa_meaning_text(enum msa_meaning m)
{
	static const char *const text[] = {
#define MSA_MEANING_TEXT(name, text) text,
		MSA_MEANING_MAP(MSA_MEANING_TEXT)
#undef MSA_MEANING_TEXT
	};

	return text[m];
}
