/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages against parentd's whole receive path, from octets to decision: budgets, parser, verification, the desk, what
 * is published, the answer. The input is a sequence of steps: a kind (with its highest bit: over the other transport),
 * then for most a length of two octets and a message. Some kinds sign what they got: SIG(0) with a key that the child
 * has, or has not; TSIG with a registrar's key, with one for transfers, or with neither. Whatever comes: nothing of the
 * child changes without a good signature by a key of it that is trusted, or by its registrar, except that an upload may
 * be noted; no zone is transferred but by TCP to who has the key for it; and no answer is signed wrongly, is longer
 * than the asker takes, holds an OPT that nobody asked for, or a KeyState without a signature.
 */
#define WORLD_PUBLISHES
#include "receive_world.h"

#include "io/tcp.h"
#include "publish_priv.h"

#include <msproto/io/xfr.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum step {
	STEP_PLAIN, /* as it is */
	STEP_TRUSTED,
	STEP_STRANGER,
	STEP_PENDING, /* a key that was uploaded */
	STEP_FLIPPED, /* signed by the trusted key; then one bit is changed, which the next octet says */
	STEP_AGAIN,   /* the message before, from elsewhere */
	STEP_TIME,    /* passes: the next octet, seconds */
	STEP_REGISTRAR,
	STEP_TRANSFER,
	STEP_FORGED, /* the registrar's name, another secret */
	STEP_STREAM, /* octets of a TCP stream, which come in pieces of so many as the next octet says, and one */
	STEP__N
};
#define STEPS_MAX       24
#define OTHER_TRANSPORT 0x80
#define UDP_MIN         512
#define W_DSYNC         "_dsync." W_PARENT

static struct msp_rr_scratch scratch;
static struct msp_key *receiver, *trusted, *stranger, *pending;
static struct msp_tsig_key *registrar, *transferrer, *forger;
static struct msp_tsig_ctx tsig; /* of what was signed last; no key: it was not */
static uint8_t mem[MSP_MSG_MAX];
static size_t mem_len;
static bool is_tcp;

static struct msp_tsig_key *tsig_key(const char *name, const char *secret)
{
	const struct msp_name n = world_name(name);
	struct msp_tsig_key *key;

	W_MUST(msp_tsig_key_new(&n, MSP_TSIG_SHA256, msp_span_str(secret), &key) == MSP_OK);
	return key;
}

/* Keys that are the same in each run: Ed25519 from a fixed RDATA cannot sign, so they are made once per process. */
static void make_keys(void)
{
	struct msp_name child = world_name(W_CHILD), target = world_name(W_TARGET);

	if (receiver != NULL)
		return;
	W_MUST(msp_key_generate(&target, MSP_ALG_ED25519, 0, &receiver) == MSP_OK);
	W_MUST(msp_key_generate(&child, MSP_ALG_ED25519, 0, &trusted) == MSP_OK);
	W_MUST(msp_key_generate(&child, MSP_ALG_ED25519, 0, &stranger) == MSP_OK);
	W_MUST(msp_key_generate(&child, MSP_ALG_ED25519, 0, &pending) == MSP_OK);
	registrar = tsig_key("registrar.", "secret of the registrar");
	transferrer = tsig_key("transfer.", "secret of the secondary");
	forger = tsig_key("registrar.", "secret of somebody else");
}

/* --- what is published: one zone, with names of which a wildcard stands, and one of a child's own ----------------- */

static struct prt_publisher publisher;
static struct prt_publish_set publish_set;
static struct prt_publish_job job;
static struct prt_publish_down down;

static struct msp_rrset *set_of(const char *line)
{
	struct msp_buf rdata;
	struct msp_rrset *set;
	struct msp_rr rr;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	W_MUST(msp_rr_scan(msp_span_str(line), NULL, NULL, 300, &rdata, &rr, NULL) == MSP_OK);
	W_MUST(msp_rrset_new(&rr.owner, rr.type, rr.ttl, &set) == MSP_OK && msp_rrset_add(set, rr.rdata) == MSP_OK);
	msp_buf_fini(&rdata);
	return set;
}

static void publish(void)
{
	const struct msp_name parent = world_name(W_PARENT), target = world_name("up." W_DSYNC);
	const struct msp_span key = msp_key_rdata(receiver);
	const struct prt_dsync_child child = {
		.zone = world_name(W_CHILD), .target = target, .port = 53, .update = true
	};
	struct prt_records_in in = { .parent = &parent,
				     .target = &target,
				     .key = &key,
				     .key_count = 1,
				     .address_count = PRT_RECORD_ADDRESSES,
				     .bootstrap = "at-apex,manual",
				     .port = 53,
				     .ttl = 300,
				     .update = true,
				     .cds = true,
				     .csync = true,
				     .wildcard = true,
				     .plain = true,
				     .child = &child,
				     .child_count = 1,
				     .numbers = &msp_numbers_default };

	for (size_t i = 0; i < in.address_count; i++) { /* so many that an answer can be too long for UDP */
		W_MUST(msp_addr_parse("2001:db8::1", 0, &in.address[i]) == MSP_OK);
		in.address[i].oct[14] = (uint8_t)i;
	}
	W_MUST(prt_records_make(&in, &job.records) == MSP_OK);
	job.apex = world_name(W_DSYNC);
	job.soa = set_of(W_DSYNC " 300 SOA ns1.test. hostmaster.test. 1 300 60 1209600 300");
	job.ns = set_of(W_DSYNC " 300 NS ns1.test.");
	down.remote.tsig_key = *msp_tsig_key_name(transferrer);
	job.down = &down;
	job.down_count = 1;
	publish_set.job = &job;
	publish_set.count = 1;
	publisher.now = &publish_set;
	w.app.publisher = &publisher;
	w.settings.tsig = registrar;
	w.settings.transfer = transferrer;
	w.settings.registrar_of = world_name(W_CHILD);
}

static const struct msp_tsig_key *find_key(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	const struct msp_tsig_key *key = arg;

	return alg == MSP_TSIG_SHA256 && msp_name_equal(msp_tsig_key_name(key), name) ? key : NULL;
}

/* Independent of the code under test. */
static bool is_tsigned_by(struct msp_tsig_key *key, struct msp_msg *m)
{
	enum msp_tsig_error error;
	struct msp_tsig_ctx ctx = { 0 };
	bool good;

	good = msp_msg_parse(msp_span(mem, mem_len), &scratch, m, NULL) == MSP_OK &&
	       msp_tsig_verify_request(m, find_key, key, msp_wall_now(), &ctx, &error) == MSP_OK;
	msp_tsig_ctx_fini(&ctx);
	return good;
}

/* In place of a stream: who gets it is what matters here. */
void msp_xfr_send(struct msp_req **req, const struct msp_rrset *soa, const struct msp_rrset *const *sets, size_t count,
		  struct msp_tsig_ctx *ctx)
{
	struct msp_msg m;

	W_MUST(is_tcp && is_tsigned_by(transferrer, &m) && m.opcode == MSP_OPCODE_QUERY);
	W_MUST(msp_name_equal(&m.question.name, &job.apex) && soa == job.soa && count >= 4);
	for (size_t i = 0; i < count; i++)
		W_MUST(msp_name_is_under(&sets[i]->owner, &job.apex));
	msp_tsig_ctx_fini(ctx);
	msp_req_drop(req);
}

/* What must not change without a good signature: all but the keys that wait and what counts them. */
static bool same_delegation(const struct prt_child *a, const struct prt_child *b)
{
	return prt_delegation_equal(&a->registered, &b->registered) &&
	       prt_delegation_equal(&a->published, &b->published) && a->pending.wait == b->pending.wait &&
	       a->flags == b->flags;
}

static bool trusts(const struct prt_child *c, struct msp_span rdata)
{
	for (size_t i = 0; i < c->keys.count; i++)
		if (c->keys.key[i].state == PRT_KEY_TRUSTED && msp_span_equal(prt_key_rdata(&c->keys.key[i]), rdata))
			return true;
	return false;
}

/* Each key trusted in one is in the other. */
static bool same_trust(const struct prt_child *a, const struct prt_child *b)
{
	for (size_t i = 0; i < a->keys.count; i++)
		if (a->keys.key[i].state == PRT_KEY_TRUSTED && !trusts(b, prt_key_rdata(&a->keys.key[i])))
			return false;
	return true;
}

/* Independent of the code under test: is this a message that a trusted key of the child has signed, in time? */
static bool is_well_signed(const struct prt_child *before)
{
	struct msp_name child = world_name(W_CHILD);
	struct msp_sig0_claim claim;
	bool good = false;
	struct msp_msg m;

	if (msp_msg_parse(msp_span(mem, mem_len), &scratch, &m, NULL) != MSP_OK ||
	    msp_sig0_claim(&m, &claim) != MSP_OK || !msp_name_equal(&claim.sig.signer, &child))
		return false;
	for (size_t i = 0; i < before->keys.count && !good; i++) {
		const struct prt_key *k = &before->keys.key[i];
		struct msp_key *key;

		if (k->state != PRT_KEY_TRUSTED || msp_key_from_rdata(&child, prt_key_rdata(k), &key) != MSP_OK)
			continue;
		good = msp_sig0_verify(&m, &claim, key, msp_span(NULL, 0), &msp_sig0_policy_default) == MSP_OK;
		msp_key_free(&key);
	}
	return good;
}

/* PROTOCOL B.1: what is advertised, and 512 without. */
static size_t longest(const struct msp_msg *q, bool has_parsed)
{
	size_t payload = has_parsed && q->edns.present && q->edns.payload > UDP_MIN ? q->edns.payload : UDP_MIN;

	if (is_tcp)
		return MSP_MSG_MAX;
	return payload < MSP_EDNS_PAYLOAD ? payload : MSP_EDNS_PAYLOAD;
}

static void check_answer(void)
{
	struct msp_msg q, r;
	struct msp_sig0_claim claim;
	struct msp_option o;
	struct msp_tsig_ctx transaction = tsig; /* a message may be sent again */
	bool has_parsed = msp_msg_parse(msp_span(mem, mem_len), &scratch, &q, NULL) == MSP_OK, is_signed;

	W_MUST(w.replies + w.drops == 1);
	if (w.replies == 0)
		return;
	W_MUST(msp_msg_parse(msp_buf_span(&w.reply), &scratch, &r, NULL) == MSP_OK);
	W_MUST((q.flags & MSP_FLAG_QR) == 0 && r.id == q.id && r.opcode == q.opcode);
	is_signed = r.sig0_at != 0;
	W_MUST(w.reply.len <= longest(&q, has_parsed));
	if (r.tsig_at != 0 && transaction.key != NULL && transaction.key != forger) {
		enum msp_err err = msp_tsig_verify_response(&transaction, &r, true, msp_wall_now(), NULL);

		W_MUST(err == MSP_OK || err == MSP_ETIME); /* of a message that came again later */
	}
	if (q.tsig_at != 0 && has_parsed && r.rcode == MSP_RCODE_NOERROR && r.opcode == MSP_OPCODE_UPDATE)
		W_MUST(r.tsig_at != 0);
	W_MUST(has_parsed || (!is_signed && !r.edns.present));
	W_MUST(!r.edns.present || q.edns.present);
	if (is_signed) {
		W_MUST(msp_sig0_claim(&r, &claim) == MSP_OK);
		W_MUST(msp_sig0_verify(&r, &claim, receiver, msp_span(mem, mem_len), &msp_sig0_policy_default) ==
		       MSP_OK);
	}
	if (msp_edns_find(&r.edns, msp_numbers_default.opt_keystate, &o))
		W_MUST(is_signed && msp_edns_find(&q.edns, msp_numbers_default.opt_keystate, &o));
}

static void put(const char *source)
{
	struct prt_child before, after;
	struct msp_msg m;

	world_load(&before);
	w.replies = w.drops = 0;
	world_put(msp_span(mem, mem_len), source, is_tcp);
	world_run();
	world_load(&after);
	if (!same_trust(&before, &after) || !same_trust(&after, &before))
		W_MUST(is_well_signed(&before));
	if (!same_delegation(&before, &after))
		W_MUST(is_well_signed(&before) || is_tsigned_by(registrar, &m));
	W_MUST(prt_keyset_count(&after.keys, PRT_KEY_TRUSTED) > 0);
	W_MUST(prt_delegation_ns(&after.registered) != NULL);
	prt_child_fini(&before);
	prt_child_fini(&after);
	W_MUST(prt_receiver_load(w.app.receiver) == 0);
	if (mem_len >= MSP_HEADER_LEN)
		check_answer();
}

static const struct msp_key *signer(uint8_t kind)
{
	switch (kind) {
	case STEP_TRUSTED:
	case STEP_FLIPPED:
		return trusted;
	case STEP_STRANGER:
		return stranger;
	case STEP_PENDING:
		return pending;
	default:
		return NULL;
	}
}

static const struct msp_tsig_key *tsigner(uint8_t kind)
{
	switch (kind) {
	case STEP_REGISTRAR:
		return registrar;
	case STEP_TRANSFER:
		return transferrer;
	case STEP_FORGED:
		return forger;
	default:
		return NULL;
	}
}

static bool sign(uint8_t kind)
{
	const struct msp_key *key = signer(kind);
	const struct msp_tsig_key *secret = tsigner(kind);
	struct msp_tsig_ctx ctx;
	struct msp_msg m;
	bool is_whole; /* else the signature may become a part of its last record */

	msp_tsig_ctx_fini(&tsig);
	tsig = (struct msp_tsig_ctx){ .key = NULL };
	if (key != NULL)
		return msp_sig0_sign(key, msp_wall_now(), msp_span(NULL, 0), mem, &mem_len, sizeof(mem)) == MSP_OK;
	if (secret == NULL)
		return true;
	is_whole = msp_msg_parse(msp_span(mem, mem_len), &scratch, &m, NULL) == MSP_OK;
	if (msp_tsig_sign_request(secret, msp_wall_now(), mem, &mem_len, sizeof(mem), &ctx) != MSP_OK)
		return false;
	if (is_whole)
		tsig = ctx;
	else
		msp_tsig_ctx_fini(&ctx);
	return true;
}

static void message(struct msp_rd *rd, uint8_t kind)
{
	size_t len = msp_rd_u16(rd);
	struct msp_span octets = msp_rd_take(rd, len < msp_rd_left(rd) ? len : msp_rd_left(rd));

	if (rd->err != MSP_OK || octets.len < MSP_HEADER_LEN)
		return;
	memcpy(mem, octets.ptr, octets.len);
	mem_len = octets.len;
	if (!sign(kind))
		return;
	if (kind == STEP_FLIPPED && msp_rd_left(rd) != 0) {
		uint8_t at = msp_rd_u8(rd);

		mem[mem_len - 1 - at % 64] ^= (uint8_t)(1 << at % 8);
	}
	put("192.0.2.1");
}

/* Whatever the pieces, the messages are those of the whole. */
static void stream(struct msp_rd *rd)
{
	size_t piece = 1u + msp_rd_u8(rd), len = msp_rd_u16(rd), at = 0;
	struct msp_span all = msp_rd_take(rd, len < msp_rd_left(rd) ? len : msp_rd_left(rd)), m;
	struct msp_tcp_frame f;

	is_tcp = true;
	msp_tsig_ctx_fini(&tsig);
	tsig = (struct msp_tsig_ctx){ .key = NULL };
	msp_tcp_frame_init(&f);
	for (size_t i = 0; rd->err == MSP_OK && i < all.len; i += piece) {
		struct msp_span in = msp_span(all.ptr + i, piece < all.len - i ? piece : all.len - i);

		while (msp_tcp_frame_next(&f, &in, &m) == MSP_OK) {
			W_MUST(m.len == ((size_t)all.ptr[at] << 8 | all.ptr[at + 1]));
			W_MUST(msp_span_equal(m, msp_span(all.ptr + at + 2, m.len)));
			at += 2 + m.len;
			if (m.len > 0)
				memcpy(mem, m.ptr, m.len);
			mem_len = m.len;
			put("192.0.2.1");
		}
		W_MUST(in.len == 0);
	}
	W_MUST(rd->err != MSP_OK || msp_tcp_frame_is_partial(&f) == (at < all.len));
	msp_tcp_frame_fini(&f);
}

/* One receiver for all inputs: its tables are large, and its budgets too wide to matter. The child is a new one. */
static void begin(void)
{
	if (w.app.receiver == NULL) {
		world_open(receiver);
		publish();
	}
	w.exists = false;
	w.wall_s = W_START;
	w.mono_ms += 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct msp_rd rd;

	make_keys();
	begin();
	world_delegate();
	world_key(msp_key_rdata(trusted), PRT_KEY_TRUSTED);
	world_key(msp_key_rdata(pending), PRT_KEY_MANUAL);
	mem_len = 0;
	msp_rd_init(&rd, msp_span(data, len));
	for (unsigned i = 0; i < STEPS_MAX && msp_rd_left(&rd) != 0; i++) {
		uint8_t how = msp_rd_u8(&rd), kind = (uint8_t)(how % OTHER_TRANSPORT % STEP__N);

		is_tcp = (kind % 2 == 0) != ((how & OTHER_TRANSPORT) != 0);
		if (kind == STEP_TIME)
			world_pass((int64_t)msp_rd_u8(&rd) * 1000);
		else if (kind == STEP_STREAM)
			stream(&rd);
		else if (kind == STEP_AGAIN && mem_len != 0)
			put("198.51.100.1");
		else if (kind != STEP_AGAIN)
			message(&rd, kind);
	}
	return 0;
}
