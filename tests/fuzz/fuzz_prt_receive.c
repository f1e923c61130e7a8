/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages against parentd's whole receive path, from octets to decision: budgets, parser, verification, the desk, the
 * answer. The input is a sequence of steps: a kind, then for most a length of two octets and a message. Some kinds sign
 * what they got with a key that the child has, or has not. Whatever comes: nothing of the child changes without a good
 * signature by a key of it that is trusted, except that an upload may be noted; and no answer is signed wrongly, holds
 * an OPT that nobody asked for, or a KeyState without a signature.
 */
#include "receive_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum step {
	STEP_PLAIN, /* as it is */
	STEP_TRUSTED,
	STEP_STRANGER,
	STEP_PENDING, /* a key that was uploaded */
	STEP_FLIPPED, /* signed by the trusted key; then one bit is changed, which the next octet says */
	STEP_AGAIN,   /* the message before, from elsewhere */
	STEP_TIME,    /* passes: the next octet, seconds */
	STEP__N
};
#define STEPS_MAX 24

static struct msp_rr_scratch scratch;
static struct msp_key *receiver, *trusted, *stranger, *pending;
static uint8_t mem[MSP_MSG_MAX];
static size_t mem_len;

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

static void check_answer(void)
{
	struct msp_msg q, r;
	struct msp_sig0_claim claim;
	struct msp_option o;
	bool has_parsed = msp_msg_parse(msp_span(mem, mem_len), &scratch, &q, NULL) == MSP_OK, is_signed;

	W_MUST(w.replies + w.drops == 1);
	if (w.replies == 0)
		return;
	W_MUST(msp_msg_parse(msp_buf_span(&w.reply), &scratch, &r, NULL) == MSP_OK);
	W_MUST((q.flags & MSP_FLAG_QR) == 0 && r.id == q.id && r.opcode == q.opcode);
	is_signed = r.sig0_at != 0;
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

static void put(const char *source, bool is_tcp)
{
	struct prt_child before, after;

	world_load(&before);
	w.replies = w.drops = 0;
	world_put(msp_span(mem, mem_len), source, is_tcp);
	world_run();
	world_load(&after);
	if (!same_delegation(&before, &after) || !same_trust(&before, &after) || !same_trust(&after, &before))
		W_MUST(is_well_signed(&before));
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

static void message(struct msp_rd *rd, uint8_t kind)
{
	size_t len = msp_rd_u16(rd);
	struct msp_span octets = msp_rd_take(rd, len < msp_rd_left(rd) ? len : msp_rd_left(rd));
	const struct msp_key *key = signer(kind);

	if (rd->err != MSP_OK || octets.len < MSP_HEADER_LEN)
		return;
	memcpy(mem, octets.ptr, octets.len);
	mem_len = octets.len;
	if (key != NULL && msp_sig0_sign(key, msp_wall_now(), msp_span(NULL, 0), mem, &mem_len, sizeof(mem)) != MSP_OK)
		return;
	if (kind == STEP_FLIPPED && msp_rd_left(rd) != 0) {
		uint8_t at = msp_rd_u8(rd);

		mem[mem_len - 1 - at % 64] ^= (uint8_t)(1 << at % 8);
	}
	put("192.0.2.1", kind % 2 == 0);
}

/* One receiver for all inputs: its tables are large, and its budgets too wide to matter. The child is a new one. */
static void begin(void)
{
	if (w.app.receiver == NULL)
		world_open(receiver);
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
		uint8_t kind = msp_rd_u8(&rd) % STEP__N;

		if (kind == STEP_TIME)
			world_pass((int64_t)msp_rd_u8(&rd) * 1000);
		else if (kind == STEP_AGAIN && mem_len != 0)
			put("198.51.100.1", true);
		else if (kind != STEP_AGAIN)
			message(&rd, kind);
	}
	return 0;
}
