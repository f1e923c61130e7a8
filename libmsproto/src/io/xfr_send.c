/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/io/xfr.h>

#include <string.h>

#include <msproto/base/mem.h>
#include <msproto/io/loop.h>
#include <msproto/msg/edns.h>

#define FULL_ENOUGH 16384 /* compression reaches no further back, so larger messages gain little */
#define OPT_LEN     11
#define REPLY_MAX   2048 /* a question, an SOA, a TSIG */

struct send {
	struct msp_msg request;   /* borrows request_octets */
	uint8_t *request_octets;  /* owned */
	struct msp_rrset *soa;    /* owned */
	struct msp_rrset **set;   /* owned, each too */
	size_t count, at, rr_at;  /* sets, and the next record */
	struct msp_tsig_key *key; /* owned; NULL: not signed */
	struct msp_tsig_ctx tsig; /* by that key */
	bool is_signed, soa_sent;
};

static void send_free(struct send *s)
{
	for (size_t i = 0; i < s->count; i++)
		msp_rrset_free(&s->set[i]);
	msp_free(s->set);
	msp_rrset_free(&s->soa);
	msp_free(s->request_octets);
	msp_tsig_ctx_fini(&s->tsig);
	msp_tsig_key_free(&s->key);
	msp_free(s);
}

/* False when it does not fit; nothing is left of it then. */
static bool add(struct msp_msgw *w, const struct msp_rrset *set, size_t i)
{
	struct msp_rr rr = { .type = set->type, .cls = MSP_CLASS_IN, .ttl = set->ttl, .rdata = set->rdata[i] };
	size_t before = w->wr.pos;

	rr.owner = set->owner;
	msp_msgw_rr(w, MSP_SEC_ANSWER, &rr);
	if (w->wr.err != MSP_ENOSPACE)
		return w->wr.err == MSP_OK;
	msp_wr_rewind(&w->wr, before);
	return false;
}

/* Records from where we are, until the message is full enough; *end when the closing SOA is in. */
static void fill(struct send *s, struct msp_msgw *w, bool *end)
{
	if (!s->soa_sent) {
		s->soa_sent = true;
		add(w, s->soa, 0);
	}
	while (s->at < s->count && w->wr.err == MSP_OK && (w->count[MSP_SEC_ANSWER] == 0 || w->wr.pos < FULL_ENOUGH)) {
		const struct msp_rrset *set = s->set[s->at];

		if (s->rr_at < set->count && !add(w, set, s->rr_at))
			return;
		if (++s->rr_at >= set->count) {
			s->at++;
			s->rr_at = 0;
		}
	}
	if (s->at == s->count)
		*end = add(w, s->soa, 0);
}

static void add_opt(struct msp_msgw *w, const struct msp_msg *request)
{
	struct msp_optw o;

	if (!request->edns.present)
		return;
	o = msp_optw_open(w, MSP_EDNS_PAYLOAD, 0, request->edns.dnssec_ok);
	msp_optw_close(&o);
}

static enum msp_err seal(struct send *s, struct msp_msgw *w, uint8_t *out, size_t cap, size_t *len)
{
	struct msp_span octets;
	enum msp_err err;

	w->wr.cap = cap; /* the room that was kept for these two */
	add_opt(w, &s->request);
	err = msp_msgw_finish(w, &octets);
	if (err != MSP_OK)
		return err;
	*len = octets.len;
	if (s->is_signed)
		err = msp_tsig_sign_response(&s->tsig, msp_wall_now(), out, len, cap);
	return err;
}

static enum msp_err pull(void *arg, uint8_t *out, size_t cap, size_t *len, bool *end)
{
	struct send *s = arg;
	struct msp_msgw w;

	if (!s->soa_sent)
		msp_msgw_respond(&w, out, cap, &s->request, MSP_RCODE_NOERROR, MSP_FLAG_AA);
	else /* RFC 5936 2.2.1: the question need not be repeated */
		msp_msgw_init(&w, out, cap, s->request.id, MSP_OPCODE_QUERY, MSP_FLAG_QR | MSP_FLAG_AA);
	w.wr.cap = cap - (s->is_signed ? MSP_TSIG_RR_MAX : 0) - OPT_LEN;
	fill(s, &w, end);
	if (w.wr.err == MSP_OK && w.count[MSP_SEC_ANSWER] == 0)
		return MSP_ENOSPACE; /* a record that no message can hold */
	return seal(s, &w, out, cap, len);
}

static void done(void *arg, enum msp_err err)
{
	(void)err; /* the client asks again */
	send_free(arg);
}

/* By UDP there is no AXFR (RFC 5936 4.2), and an IXFR gets our SOA: come by TCP (RFC 1995 2). */
static void reply_udp(struct msp_req **req, struct send *s)
{
	bool is_ixfr = s->request.question.type == MSP_TYPE_IXFR;
	uint8_t out[REPLY_MAX];
	struct msp_msgw w;
	size_t len = 0;

	msp_msgw_respond(&w, out, sizeof(out), &s->request, is_ixfr ? MSP_RCODE_NOERROR : MSP_RCODE_FORMERR,
			 is_ixfr ? MSP_FLAG_AA : 0);
	if (is_ixfr)
		add(&w, s->soa, 0);
	if (seal(s, &w, out, sizeof(out), &len) == MSP_OK)
		msp_req_reply(req, msp_span(out, len));
	else
		msp_req_drop(req);
	send_free(s);
}

static enum msp_err copy_request(struct send *s, struct msp_span message)
{
	struct msp_rr_scratch *scratch = msp_alloc(1, sizeof(*scratch));
	enum msp_err err = MSP_ENOMEM;

	s->request_octets = msp_memdup(message.ptr, message.len);
	if (scratch != NULL && s->request_octets != NULL)
		err = msp_msg_parse(msp_span(s->request_octets, message.len), scratch, &s->request, NULL);
	msp_free(scratch);
	return err;
}

static enum msp_err copy_sets(struct send *s, const struct msp_rrset *soa, const struct msp_rrset *const *sets,
			      size_t count)
{
	enum msp_err err = msp_rrset_dup(soa, &s->soa);

	if (err != MSP_OK)
		return err;
	s->set = msp_alloc(count + 1, sizeof(struct msp_rrset *));
	if (s->set == NULL)
		return MSP_ENOMEM;
	for (; s->count < count; s->count++) {
		err = msp_rrset_dup(sets[s->count], &s->set[s->count]);
		if (err != MSP_OK)
			return err;
	}
	return MSP_OK;
}

/* The state is moved; the key is copied, for its owner's configuration may go before a slow client has read it all. */
static enum msp_err take_tsig(struct send *s, struct msp_tsig_ctx *tsig)
{
	enum msp_err err = msp_tsig_key_dup(tsig->key, &s->key);

	s->tsig = *tsig;
	s->tsig.key = s->key;
	s->is_signed = true;
	memset(tsig, 0, sizeof(*tsig));
	return err;
}

void msp_xfr_send(struct msp_req **req, const struct msp_rrset *soa, const struct msp_rrset *const *sets, size_t count,
		  struct msp_tsig_ctx *tsig)
{
	struct send *s = msp_alloc(1, sizeof(*s));
	enum msp_err err = s != NULL ? MSP_OK : MSP_ENOMEM;

	if (s != NULL && tsig != NULL)
		err = take_tsig(s, tsig);
	else if (tsig != NULL)
		msp_tsig_ctx_fini(tsig);
	if (err == MSP_OK)
		err = copy_request(s, msp_req_message(*req));
	if (err == MSP_OK)
		err = soa->type == MSP_TYPE_SOA && soa->count == 1 ? copy_sets(s, soa, sets, count) : MSP_EVALUE;
	if (err != MSP_OK) {
		if (s != NULL)
			send_free(s);
		msp_req_drop(req);
	} else if (!msp_req_is_tcp(*req)) {
		reply_udp(req, s);
	} else {
		msp_req_stream(req, pull, done, s);
	}
}
