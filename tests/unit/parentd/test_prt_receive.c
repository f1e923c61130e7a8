/* SPDX-License-Identifier: BSD-2-Clause */
/* The receive path from octets to answers, without a network: receive_world.h. */
#include "update_text.h"

#include "receive_world.h"

#include <msproto/msg/notify.h>

#define SOURCE               "192.0.2.1"
#define TO_A                 "del " W_CHILD " NS\nadd " W_CHILD " 300 NS a.test.\nadd " W_CHILD " 300 NS b.test."
#define PRT_CANDIDATES_TRIED 4

static struct msp_rr_scratch scratch;

struct got {
	struct msp_msg m;
	bool is_there, is_signed; /* by the receiver, over the request */
	bool has_state;
	struct msp_keystate ks;
	uint16_t ede; /* 0 = none */
};

struct fixture {
	struct msp_key *receiver, *key, *other; /* of the child: `key` is trusted, `other` is not known */
	uint8_t mem[4096];
	size_t len;
	struct got got;
};

static struct msp_key *make_key(const char *owner, uint8_t alg)
{
	struct msp_name name = t_name(owner);
	struct msp_key *key;

	T_OK(msp_key_generate(&name, alg, 0, &key));
	return key;
}

static int open_world(void **state)
{
	struct fixture *f = msp_alloc(1, sizeof(*f));

	f->receiver = make_key(W_TARGET, MSP_ALG_ED25519);
	f->key = make_key(W_CHILD, MSP_ALG_ECDSAP256);
	f->other = make_key(W_CHILD, MSP_ALG_ED25519);
	world_open(f->receiver);
	world_delegate();
	world_key(msp_key_rdata(f->key), PRT_KEY_TRUSTED);
	*state = f;
	return 0;
}

static int close_world(void **state)
{
	struct fixture *f = *state;

	world_close();
	msp_tsig_key_free(&w.settings.tsig);
	msp_key_free(&f->receiver);
	msp_key_free(&f->key);
	msp_key_free(&f->other);
	msp_free(f);
	return 0;
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static void add_option(struct msp_msgw *m, uint16_t code, struct msp_span data)
{
	struct msp_optw o = msp_optw_open(m, 1232, 0, false);

	if (data.ptr != NULL)
		msp_optw_add(&o, code, data);
	msp_optw_close(&o);
}

static void finish(struct fixture *f, struct msp_msgw *m, const struct msp_key *key)
{
	struct msp_span raw;

	T_OK(msp_msgw_finish(m, &raw));
	f->len = raw.len;
	if (key != NULL)
		T_OK(msp_sig0_sign(key, msp_wall_now(), msp_span(NULL, 0), f->mem, &f->len, sizeof(f->mem)));
}

/* option: NULL ptr = an empty OPT; code 0: no OPT */
static void make_update(struct fixture *f, const char *lines, const struct msp_key *key, uint16_t code,
			struct msp_span data)
{
	struct msp_name zone = t_name(W_PARENT);
	struct msp_msgw m;

	msp_updw_init(&m, f->mem, sizeof(f->mem), 0x4711, &zone);
	while (*lines != '\0') {
		size_t len = strcspn(lines, "\n");

		t_update_line(&m, lines, len);
		lines += len + (lines[len] == '\n');
	}
	if (code != 0)
		add_option(&m, code, data);
	finish(f, &m, key);
}

static void make_query(struct fixture *f, const char *name, uint16_t type, const struct msp_key *key,
		       struct msp_span state)
{
	struct msp_name n = t_name(name);
	struct msp_msgw m;

	msp_msgw_init(&m, f->mem, sizeof(f->mem), 0x815, MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&m, &n, type, MSP_CLASS_IN);
	add_option(&m, msp_numbers_default.opt_keystate, state);
	finish(f, &m, key);
}

static void make_notify(struct fixture *f, const char *name, uint16_t type)
{
	struct msp_name n = t_name(name);
	struct msp_msgw m;

	msp_notifyw_init(&m, f->mem, sizeof(f->mem), 0x123, &n, type, NULL);
	add_option(&m, 0, msp_span(NULL, 0));
	finish(f, &m, NULL);
}

static void upload_lines(const struct msp_key *key, char *out, size_t len)
{
	struct msp_buf b;

	msp_buf_init(&b, 4096);
	msp_rdata_print(&b, NULL, MSP_TYPE_KEY, msp_key_rdata(key));
	(void)snprintf(out, len, "del " W_CHILD " KEY\nadd " W_CHILD " 300 KEY %s", msp_buf_text(&b));
	msp_buf_fini(&b);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void read_answer(struct fixture *f)
{
	struct got *g = &f->got;
	struct msp_sig0_claim claim;
	struct msp_option o;
	struct msp_ede ede;

	memset(g, 0, sizeof(*g));
	if (w.replies == 0)
		return;
	assert_int_equal(w.replies, 1);
	g->is_there = true;
	T_OK(msp_msg_parse(msp_buf_span(&w.reply), &scratch, &g->m, NULL));
	if (msp_sig0_claim(&g->m, &claim) == MSP_OK)
		g->is_signed = msp_sig0_verify(&g->m, &claim, f->receiver, msp_span(f->mem, f->len),
					       &msp_sig0_policy_default) == MSP_OK;
	assert_int_equal(g->is_signed, g->m.sig0_at != 0); /* never a wrong one */
	if (msp_edns_find(&g->m.edns, msp_numbers_default.opt_keystate, &o)) {
		T_OK(msp_keystate_parse(o.data, &g->ks));
		g->has_state = true;
		assert_true(g->is_signed);
	}
	if (msp_edns_find(&g->m.edns, MSP_OPT_EDE, &o)) {
		T_OK(msp_ede_parse(o.data, &ede));
		g->ede = ede.code;
	}
}

static void send_from(struct fixture *f, const char *source, bool is_tcp)
{
	w.replies = w.drops = 0;
	world_put(msp_span(f->mem, f->len), source, is_tcp);
	world_run();
	read_answer(f);
}

static void send(struct fixture *f)
{
	send_from(f, SOURCE, true);
}

static void update(struct fixture *f, const char *lines, const struct msp_key *key)
{
	make_update(f, lines, key, 1, msp_span(NULL, 0));
	send(f);
}

#define T_ANSWER(f, code, why)                                                                                         \
	do {                                                                                                           \
		if (!(f)->got.is_there || (f)->got.m.rcode != (code) || (f)->got.ede != (why))                         \
			fail_msg("answer %d, rcode %u, ede %u", (f)->got.is_there, (f)->got.m.rcode, (f)->got.ede);    \
	} while (0)

static bool has_ns(const char *host)
{
	const struct msp_rrset *ns;
	struct msp_name n = t_name(host);
	struct prt_child c;
	bool found;

	world_load(&c);
	ns = prt_delegation_ns(&c.registered);
	found = ns != NULL && msp_rrset_has(ns, msp_name_span(&n));
	prt_child_fini(&c);
	return found;
}

static bool is_published(void)
{
	struct prt_child c;
	bool yes;

	world_load(&c);
	yes = !prt_child_is_unpublished(&c);
	prt_child_fini(&c);
	return yes;
}

static enum prt_key_state state_of(const struct msp_key *key)
{
	struct prt_child c;
	struct prt_key *k;
	enum prt_key_state s;

	world_load(&c);
	k = prt_keyset_find(&c.keys, msp_key_rdata(key));
	s = k == NULL ? PRT_KEY_ABSENT : k->state;
	prt_child_fini(&c);
	return s;
}

static struct msp_span inquiry(uint8_t out[4], const struct msp_key *key, uint8_t state, uint8_t data)
{
	out[0] = (uint8_t)(msp_key_id(key) >> 8);
	out[1] = (uint8_t)msp_key_id(key);
	out[2] = state;
	out[3] = data;
	return msp_span(out, 4);
}

/* --- UPDATE ------------------------------------------------------------------------------------------------------- */

static void a_signed_update_is_done_and_answered_signed(void **state)
{
	struct fixture *f = *state;
	uint64_t before = msp_key_verify_count();

	w.settings.parent.backends.count = 1;
	make_update(f, TO_A, f->key, 1, msp_span(NULL, 0));
	w.replies = 0;
	world_put(msp_span(f->mem, f->len), SOURCE, true);
	world_run();
	assert_int_equal(msp_key_verify_count() - before, 1);
	read_answer(f);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_true(f->got.is_signed);
	assert_false(f->got.has_state); /* nobody asked */
	assert_true(has_ns("a.test."));
	assert_false(has_ns("ns1.test."));
	assert_int_equal(w.needs, PRT_NEED_PUBLISH);
	assert_int_equal(w.app.stats.updates_accepted, 1);
	assert_int_equal(w.app.stats.signatures, 1);
	assert_false(is_published());
	assert_int_equal(w.app.stats.published, 0);
}

static void without_a_backend_what_is_accepted_is_published(void **state)
{
	struct fixture *f = *state;

	update(f, TO_A, f->key);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_true(has_ns("a.test."));
	assert_true(is_published());
	assert_int_equal(w.needs, 0);
	assert_int_equal(w.app.stats.published, 1);
}

static void where_the_zone_is_read_that_says_what_is_published(void **state)
{
	struct fixture *f = *state;

	w.settings.parent.primary.addr = (struct msp_addr){ .family = MSP_FAMILY_V4, .port = 53 };
	update(f, TO_A, f->key);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_false(is_published());
	assert_int_equal(w.needs, PRT_NEED_PUBLISH);
}

static void a_key_that_was_taken_back_does_not_live_on_in_the_cache(void **state)
{
	struct fixture *f = *state;
	struct prt_child c;

	update(f, TO_A, f->key); /* it is known now */
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	world_load(&c);
	c.keys.count = 0;
	world_store(&c);
	prt_child_fini(&c);
	update(f, "del " W_CHILD " NS\nadd " W_CHILD " 300 NS c.test.\nadd " W_CHILD " 300 NS d.test.", f->key);
	assert_int_equal(f->got.m.rcode != MSP_RCODE_NOERROR, 1);
	assert_false(has_ns("c.test."));
}

static void a_name_that_is_no_child_costs_nothing(void **state)
{
	struct fixture *f = *state;
	struct msp_key *stranger = make_key("stranger.example.", MSP_ALG_ECDSAP256);
	uint64_t before = msp_key_verify_count();

	w.settings.conf.limits.signed_refusals_per_s = 0;
	prt_receiver_renew(w.app.receiver);
	update(f, "add stranger.example. 300 NS a.test.", stranger);
	T_ANSWER(f, MSP_RCODE_REFUSED, 49173);
	assert_int_equal(msp_key_verify_count() - before, 0);
	assert_int_equal(w.peeks, 0);
	assert_int_equal(w.app.stats.unknown_keys, 1);
	assert_int_equal(prt_receiver_load(w.app.receiver), 0);
	msp_key_free(&stranger);
}

static void a_key_of_nobody_is_badkey_without_public_key_work(void **state)
{
	struct fixture *f = *state;
	uint64_t before = msp_key_verify_count();

	make_update(f, TO_A, f->other, 1, msp_span(NULL, 0));
	w.replies = 0;
	world_put(msp_span(f->mem, f->len), SOURCE, true);
	world_run();
	assert_int_equal(msp_key_verify_count() - before, 0);
	read_answer(f);
	T_ANSWER(f, MSP_RCODE_BADKEY, 49161);
	assert_true(f->got.is_signed);
	make_update(f, TO_A, f->other, 0, msp_span(NULL, 0));
	send(f);
	T_ANSWER(f, MSP_RCODE_NOTAUTH, 0);
	assert_false(f->got.m.edns.present);
	assert_false(has_ns("a.test."));
}

static void what_cannot_be_from_a_child_is_refused_by_the_table(void **state)
{
	struct fixture *f = *state;
	struct msp_key *apex = make_key(W_PARENT, MSP_ALG_ED25519), *outside = make_key("ample.", MSP_ALG_ED25519);
	struct msp_name zone = t_name("other.");
	struct msp_msgw m;

	update(f, TO_A, NULL);
	T_ANSWER(f, MSP_RCODE_REFUSED, 49168);
	assert_false(f->got.is_signed);
	update(f, TO_A, apex);
	T_ANSWER(f, MSP_RCODE_REFUSED, 49173);
	update(f, TO_A, outside);
	T_ANSWER(f, MSP_RCODE_REFUSED, 49173);

	msp_updw_init(&m, f->mem, sizeof(f->mem), 1, &zone);
	add_option(&m, 0, msp_span(NULL, 0));
	finish(f, &m, f->key);
	send(f);
	T_ANSWER(f, MSP_RCODE_NOTAUTH, MSP_EDE_NOT_AUTHORITATIVE);

	w.wall_s += 700;
	f->len = 0;
	make_update(f, TO_A, f->key, 1, msp_span(NULL, 0));
	w.wall_s -= 700;
	send(f);
	T_ANSWER(f, MSP_RCODE_NOTAUTH, 49166);
	w.settings.sig0.algorithms = 1u << MSP_ALG_ED25519;
	update(f, TO_A, f->key);
	T_ANSWER(f, MSP_RCODE_NOTAUTH, 49169);
	assert_false(has_ns("a.test."));
	msp_key_free(&apex);
	msp_key_free(&outside);
}

static void no_bit_of_a_signed_message_can_be_changed(void **state)
{
	struct fixture *f = *state;
	uint8_t whole[sizeof(f->mem)];
	struct msp_buf before;
	struct msp_msg m;

	make_update(f, TO_A, f->key, 1, msp_span(NULL, 0));
	memcpy(whole, f->mem, f->len);
	msp_buf_init(&before, 1 << 20);
	msp_buf_add_span(&before, msp_buf_span(&w.stored));
	T_OK(msp_msg_parse(msp_span(whole, f->len), &scratch, &m, NULL));
	for (size_t i = 0; i < f->len * 8; i++) {
		if (i / 8 >= m.sig0_at + 3 && i / 8 < m.sig0_at + 9)
			continue; /* class and TTL of the SIG are not signed, and mean nothing: RFC 2931 3 */
		memcpy(f->mem, whole, f->len);
		f->mem[i / 8] ^= (uint8_t)(1 << i % 8);
		w.replies = 0;
		world_put(msp_span(f->mem, f->len), SOURCE, i % 2 == 0);
		world_run();
		if (!msp_span_equal(msp_buf_span(&before), msp_buf_span(&w.stored)))
			fail_msg("bit %zu of %zu", i, f->len * 8);
	}
	assert_true(w.app.stats.bad_signatures > 100);
	msp_buf_fini(&before);
	memcpy(f->mem, whole, f->len);
	send(f);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_true(has_ns("a.test."));
}

static void bad_signatures_use_up_the_budget_of_their_source(void **state)
{
	struct fixture *f = *state;
	uint64_t before = msp_key_verify_count();

	w.settings.conf.limits.failures_per_s = 3;
	prt_receiver_renew(w.app.receiver);
	make_update(f, TO_A, f->key, 1, msp_span(NULL, 0));
	f->mem[f->len - 1] ^= 1;
	for (int i = 0; i < 10; i++) {
		w.replies = 0;
		world_put(msp_span(f->mem, f->len), SOURCE, true);
		world_run();
	}
	assert_int_equal(msp_key_verify_count() - before, 3);
	read_answer(f);
	T_ANSWER(f, MSP_RCODE_REFUSED, MSP_EDE_BLOCKED);
	assert_false(f->got.is_signed);
	assert_int_equal(w.app.stats.bad_signatures, 3);
	assert_int_equal(w.app.stats.over_budget, 7);
	make_update(f, TO_A, f->key, 1, msp_span(NULL, 0));
	send_from(f, "198.51.100.1", true); /* another source */
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
}

static void who_forges_a_name_by_udp_does_not_keep_it_from_others(void **state)
{
	struct fixture *f = *state;

	w.settings.conf.limits.verify_per_name_per_s = 2;
	prt_receiver_renew(w.app.receiver);
	make_update(f, TO_A, f->key, 1, msp_span(NULL, 0));
	f->mem[f->len - 1] ^= 1;
	for (int i = 0; i < 5; i++) {
		char source[32];

		(void)snprintf(source, sizeof(source), "10.0.%d.1", i);
		send_from(f, source, false);
	}
	T_ANSWER(f, MSP_RCODE_SERVFAIL, MSP_EDE_BLOCKED);
	assert_int_equal(w.app.stats.verifications, 2);
	make_update(f, TO_A, f->key, 1, msp_span(NULL, 0));
	send_from(f, SOURCE, true); /* TCP: the address is its own */
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
}

static void at_most_four_keys_of_a_tag_are_tried(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	/* Octets added in pairs leave the tag as it is: every 32 octets are an Ed25519 public key of a kind. */
	for (int i = 1; i <= 8; i++) {
		uint8_t rdata[36];
		struct msp_span real = msp_key_rdata(f->other);
		unsigned move = (unsigned)i;

		assert_int_equal(real.len, sizeof(rdata));
		memcpy(rdata, real.ptr, sizeof(rdata));
		if (rdata[4] < 0xf0 && rdata[6] >= move) {
			rdata[4] = (uint8_t)(rdata[4] + move);
			rdata[6] = (uint8_t)(rdata[6] - move);
		} else {
			rdata[4] = (uint8_t)(rdata[4] - move);
			rdata[6] = (uint8_t)(rdata[6] + move);
		}
		if (msp_key_tag(msp_span(rdata, sizeof(rdata))) == msp_key_id(f->other))
			world_key(msp_span(rdata, sizeof(rdata)), PRT_KEY_FAILED);
	}
	make_update(f, TO_A, f->other, 1, msp_span(NULL, 0));
	before = msp_key_verify_count();
	w.replies = 0;
	world_put(msp_span(f->mem, f->len), SOURCE, true);
	world_run();
	assert_in_range(msp_key_verify_count() - before, 1, PRT_CANDIDATES_TRIED);
	read_answer(f);
	T_ANSWER(f, MSP_RCODE_NOTAUTH, 49165);
}

static void a_key_that_was_good_once_is_not_believed_when_it_is_gone(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[4];
	struct prt_child c;
	unsigned peeks;

	update(f, TO_A, f->key);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	peeks = w.peeks;
	make_update(f, TO_A, f->key, 1, msp_span(NULL, 0));
	f->mem[f->len - 1] ^= 1;
	send(f);
	T_ANSWER(f, MSP_RCODE_NOTAUTH, 49165);
	assert_int_equal(w.app.stats.verifications, 2); /* once for each message */
	update(f, "add " W_CHILD " 300 NS c.test.", f->key);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_int_equal(w.peeks, peeks + 1); /* only what did not verify was looked up */

	world_load(&c);
	memcpy(c.keys.key[0].rdata, msp_key_rdata(f->other).ptr, msp_key_rdata(f->other).len);
	c.keys.key[0].rdata_len = (uint16_t)msp_key_rdata(f->other).len;
	world_store(&c);
	prt_child_fini(&c);
	update(f, "add " W_CHILD " 300 NS d.test.", f->key);
	T_ANSWER(f, MSP_RCODE_BADKEY, 49161);
	assert_false(has_ns("d.test."));
	make_query(f, W_CHILD, MSP_TYPE_KEY, f->key, inquiry(octets, f->key, 2, 0));
	send(f);
	assert_int_equal(f->got.ks.state, MSP_KEYSTATE_UNKNOWN);
	update(f, "add " W_CHILD " 300 NS d.test.", f->other);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
}

static void an_upload_is_believed_to_be_possession_and_no_more(void **state)
{
	struct fixture *f = *state;
	char lines[1024];

	upload_lines(f->other, lines, sizeof(lines));
	update(f, lines, f->other);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_true(f->got.is_signed);
	assert_in_range(state_of(f->other), PRT_KEY_KNOWN, PRT_KEY_MANUAL);
	assert_int_equal(state_of(f->key), PRT_KEY_TRUSTED);
	/* It changes no delegation, */
	update(f, TO_A, f->other);
	assert_int_equal(f->got.m.rcode, MSP_RCODE_REFUSED);
	assert_in_range(f->got.ede, 49162, 49164);
	assert_false(has_ns("a.test."));
	/* and nobody uploads a key that he does not have. */
	upload_lines(f->receiver, lines, sizeof(lines));
	update(f, lines, f->other);
	assert_int_not_equal(f->got.m.rcode, MSP_RCODE_NOERROR);
	assert_int_equal(state_of(f->receiver), PRT_KEY_ABSENT);
}

static void a_message_counts_once(void **state)
{
	struct fixture *f = *state;
	unsigned commits;

	update(f, TO_A, f->key);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	commits = w.commits;
	send(f); /* a retransmission */
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_int_equal(w.commits, commits);
	send_from(f, "198.51.100.7", true);
	T_ANSWER(f, MSP_RCODE_NOTAUTH, 49167);
	assert_int_equal(w.app.stats.replays, 1);
	assert_int_equal(w.commits, commits);
}

static void a_registrar_speaks_for_its_children(void **state)
{
	struct fixture *f = *state;
	struct msp_name name = t_name("registrar.");
	uint8_t secret[32] = { 1 };
	struct msp_tsig_ctx ctx = { .key = NULL };

	T_OK(msp_tsig_key_new(&name, MSP_TSIG_SHA256, msp_span(secret, sizeof(secret)), &w.settings.tsig));
	for (int may = 0; may < 2; may++) {
		if (may)
			w.settings.registrar_of = t_name(W_CHILD);
		make_update(f, TO_A, NULL, 1, msp_span(NULL, 0));
		T_OK(msp_tsig_sign_request(w.settings.tsig, msp_wall_now(), f->mem, &f->len, sizeof(f->mem), &ctx));
		send(f);
		T_ANSWER(f, may ? MSP_RCODE_NOERROR : MSP_RCODE_REFUSED, may ? 0 : MSP_EDE_PROHIBITED);
		T_OK(msp_tsig_verify_response(&ctx, &f->got.m, true, msp_wall_now(), NULL));
		msp_tsig_ctx_fini(&ctx);
		assert_int_equal(has_ns("a.test."), may);
	}
	f->mem[40] ^= 1;
	send(f);
	assert_true(f->got.m.rcode == MSP_RCODE_NOTAUTH || f->got.m.rcode == MSP_RCODE_FORMERR);
}

/* --- answers that wait -------------------------------------------------------------------------------------------- */

static void wait_for_checks(struct fixture *f, bool defer)
{
	w.settings.rules.no_checks = false;
	w.settings.conf.limits.sync_limit_ms = 5000;
	w.settings.conf.limits.defer = defer;
	update(f, TO_A, f->key);
	assert_false(f->got.is_there);
	assert_true(w.is_watched);
}

static void an_answer_says_what_the_checks_said(void **state)
{
	struct fixture *f = *state;
	struct prt_outcome out;

	wait_for_checks(f, true);
	prt_outcome_init(&out);
	(void)prt_refuse_own(&out.refusal, MSP_EDE_DELEGATION_CHECK, "G.4", "a.test. does not answer");
	w.is_watched = false;
	w.watch.fn(w.watch.arg, MSP_OK, &out);
	prt_outcome_fini(&out);
	world_run();
	read_answer(f);
	T_ANSWER(f, MSP_RCODE_REFUSED, 49174);
	assert_true(f->got.is_signed);
	assert_int_equal(prt_receiver_load(w.app.receiver), 0);
}

static void checks_that_take_too_long_are_finished_later(void **state)
{
	struct fixture *f = *state;
	struct prt_child c;

	wait_for_checks(f, true);
	world_pass(4900);
	assert_int_equal(w.replies, 0);
	world_pass(200);
	read_answer(f);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_false(w.is_watched);
	world_load(&c);
	assert_int_equal(c.pending.wait, PRT_WAIT_CHECKS);
	prt_child_fini(&c);
}

static void or_nothing_is_changed(void **state)
{
	struct fixture *f = *state;
	struct prt_child c;

	wait_for_checks(f, false);
	world_pass(5100);
	read_answer(f);
	T_ANSWER(f, MSP_RCODE_SERVFAIL, 23);
	assert_true(f->got.is_signed);
	world_load(&c);
	assert_int_equal(c.pending.wait, PRT_WAIT_NONE);
	prt_child_fini(&c);
	send(f); /* sent again, it is told the same */
	T_ANSWER(f, MSP_RCODE_SERVFAIL, 23);
}

static void what_is_under_way_is_dropped_at_the_end(void **state)
{
	struct fixture *f = *state;

	/* One in each place; close_world looks whether anything is left. */
	wait_for_checks(f, true);
	make_update(f, TO_A, f->key, 1, msp_span(NULL, 0));
	world_put(msp_span(f->mem, f->len), SOURCE, true);
	w.work[0].work(w.work[0].arg);
	w.work[0].done(w.work[0].arg);
	w.works = 0;
	assert_int_equal(w.jobs, 1); /* in the books */
	world_put(msp_span(f->mem, f->len), SOURCE, true);
	assert_int_equal(w.works, 1); /* with a worker */
	w.busy = 1000;
	for (int i = 0; i < 40; i++)
		world_put(msp_span(f->mem, f->len), SOURCE, true);
	assert_int_equal(prt_receiver_load(w.app.receiver), 43); /* the rest in line */
}

static void work_goes_on_when_the_pool_was_full(void **state)
{
	struct fixture *f = *state;

	w.busy = 3;
	make_update(f, TO_A, f->key, 1, msp_span(NULL, 0));
	send(f);
	assert_false(f->got.is_there);
	for (int i = 0; i < 5; i++)
		world_pass(10);
	read_answer(f);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
}

/* --- KeyState ----------------------------------------------------------------------------------------------------- */

static void a_key_is_told_its_state(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[4];
	char lines[1024];

	make_query(f, W_CHILD, MSP_TYPE_KEY, f->key, inquiry(octets, f->key, 2, 0));
	send(f);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_true(f->got.has_state);
	assert_int_equal(f->got.ks.state, MSP_KEYSTATE_TRUSTED);
	assert_int_equal(f->got.ks.key_id, msp_key_id(f->key));
	make_query(f, W_CHILD, MSP_TYPE_ANY, f->other, inquiry(octets, f->other, 2, 0));
	send(f);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_int_equal(f->got.ks.state, MSP_KEYSTATE_UNKNOWN);
	upload_lines(f->other, lines, sizeof(lines));
	make_update(f, lines, f->other, msp_numbers_default.opt_keystate, inquiry(octets, f->other, 2, 0));
	send(f);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_true(f->got.has_state);
	assert_in_range(f->got.ks.state, MSP_KEYSTATE_BOOTSTRAP_AUTO, MSP_KEYSTATE_BOOTSTRAP_MANUAL);
	assert_int_equal(w.app.stats.keystates, 3);
}

static void nobody_else_is_told_of_it(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[4];

	make_query(f, W_CHILD, MSP_TYPE_KEY, NULL, inquiry(octets, f->key, 2, 0));
	send(f);
	T_ANSWER(f, MSP_RCODE_REFUSED, 49168);
	assert_false(f->got.has_state);
	make_query(f, W_CHILD, MSP_TYPE_KEY, f->key, inquiry(octets, f->key, 2, 0));
	f->mem[f->len - 1] ^= 1;
	send(f);
	T_ANSWER(f, MSP_RCODE_NOTAUTH, 49165);
	assert_false(f->got.has_state);
	make_query(f, "sibling.example.", MSP_TYPE_KEY, f->key, inquiry(octets, f->key, 2, 0));
	send(f);
	T_ANSWER(f, MSP_RCODE_REFUSED, MSP_EDE_PROHIBITED);
	assert_false(f->got.has_state);
}

static void a_malformed_inquiry_is_called_so(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[4];

	for (int i = 0; i < 4; i++) {
		struct msp_span o = inquiry(octets, f->key, (uint8_t)(i == 1 ? 3 : i == 2 ? 4 : 2), i == 3);

		o.len -= i == 0;
		make_query(f, W_CHILD, MSP_TYPE_KEY, f->key, o);
		send(f);
		T_ANSWER(f, MSP_RCODE_FORMERR, 0);
		assert_true(f->got.has_state);
		assert_int_equal(f->got.ks.state, MSP_KEYSTATE_MALFORMED);
		assert_int_equal(f->got.ks.key_id, msp_key_id(f->key));
	}
}

static void without_budget_for_a_signature_there_is_no_state(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[4];

	w.settings.conf.limits.signed_refusals_per_s = 1;
	prt_receiver_renew(w.app.receiver);
	make_query(f, W_CHILD, MSP_TYPE_KEY, f->other, inquiry(octets, f->other, 2, 0));
	send(f);
	assert_true(f->got.has_state);
	send(f);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_false(f->got.is_signed);
	assert_false(f->got.has_state);
	make_query(f, W_CHILD, MSP_TYPE_KEY, f->key, inquiry(octets, f->key, 2, 0));
	send(f); /* what is verified is always signed */
	assert_true(f->got.has_state);
}

/* --- NOTIFY ------------------------------------------------------------------------------------------------------- */

static void a_notify_is_answered_and_handed_on(void **state)
{
	struct fixture *f = *state;

	make_notify(f, W_CHILD, MSP_TYPE_CDS);
	send_from(f, SOURCE, false);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_int_equal(f->got.m.flags & MSP_FLAG_AA, MSP_FLAG_AA);
	assert_int_equal(w.notices, 1);
	assert_int_equal(w.peeks, 0);
	make_notify(f, W_CHILD, MSP_TYPE_CSYNC); /* not published */
	send_from(f, SOURCE, false);
	T_ANSWER(f, MSP_RCODE_REFUSED, 49176);
	make_notify(f, "sibling.example.", MSP_TYPE_CDS);
	send_from(f, SOURCE, false);
	T_ANSWER(f, MSP_RCODE_REFUSED, 49173);
	make_notify(f, W_PARENT, MSP_TYPE_CDS);
	send_from(f, SOURCE, false);
	T_ANSWER(f, MSP_RCODE_REFUSED, 49173);
	assert_int_equal(w.notices, 1);
	for (int i = 0; i < 20; i++) {
		make_notify(f, W_CHILD, MSP_TYPE_CDS);
		send_from(f, SOURCE, false);
	}
	T_ANSWER(f, MSP_RCODE_NOERROR, MSP_EDE_BLOCKED);
	assert_true(w.notices < 10);
}

static void a_notify_of_several_is_discarded(void **state)
{
	struct fixture *f = *state;
	struct msp_name child = t_name(W_CHILD), other = t_name("sibling.example.");
	struct msp_msgw m;

	msp_msgw_init(&m, f->mem, sizeof(f->mem), 1, MSP_OPCODE_NOTIFY, MSP_FLAG_AA);
	msp_msgw_question(&m, &child, MSP_TYPE_CDS, MSP_CLASS_IN);
	msp_msgw_question(&m, &other, MSP_TYPE_CDS, MSP_CLASS_IN);
	finish(f, &m, NULL);
	send_from(f, SOURCE, false);
	assert_false(f->got.is_there);
	assert_int_equal(w.drops, 1);
	assert_int_equal(w.notices, 0);
}

static void reports_go_to_the_name_servers_of_the_child_alone(void **state)
{
	static const struct {
		const char *agent;
		bool is_good;
	} cases[] = { { "ns1.test.", true }, { "agent.ns2.test.", true }, { "test.", false }, { "xns1.test.", false } };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msp_name child = t_name(W_CHILD), agent = t_name(cases[i].agent);
		struct msp_msgw m;

		msp_notifyw_init(&m, f->mem, sizeof(f->mem), 1, &child, MSP_TYPE_CDS, NULL);
		add_option(&m, MSP_OPT_REPORT_CHANNEL, msp_name_span(&agent));
		finish(f, &m, NULL);
		send_from(f, SOURCE, false);
		T_ANSWER(f, MSP_RCODE_NOERROR, 0);
		assert_int_equal(w.notices, i + 1);
		assert_int_equal(w.had_report, cases[i].is_good);
	}
}

static void a_primary_tells_of_the_parent_zone(void **state)
{
	struct fixture *f = *state;

	make_notify(f, W_PARENT, MSP_TYPE_SOA);
	send_from(f, "192.0.2.1", false);
	T_ANSWER(f, MSP_RCODE_NOERROR, 0);
	assert_int_equal(w.scans_of_soa, 1);
	send_from(f, "192.0.2.2", false);
	T_ANSWER(f, MSP_RCODE_REFUSED, MSP_EDE_PROHIBITED);
	make_notify(f, "other.", MSP_TYPE_SOA);
	send_from(f, "192.0.2.1", false);
	T_ANSWER(f, MSP_RCODE_NOTAUTH, MSP_EDE_NOT_AUTHORITATIVE);
}

/* --- budgets ------------------------------------------------------------------------------------------------------ */

static void a_cookie_is_heard_where_its_prefix_is_not(void **state)
{
	struct fixture *f = *state;
	struct msp_name child = t_name(W_CHILD);
	uint8_t cookie[PRT_COOKIE_MAX] = { 1, 2, 3 };
	struct msp_option o;
	struct msp_msgw m;

	w.settings.conf.limits.requests_per_s = 3;
	prt_receiver_renew(w.app.receiver);
	msp_notifyw_init(&m, f->mem, sizeof(f->mem), 1, &child, MSP_TYPE_CSYNC, NULL);
	add_option(&m, MSP_OPT_COOKIE, msp_span(cookie, 8));
	finish(f, &m, NULL);
	send_from(f, SOURCE, false);
	assert_true(msp_edns_find(&f->got.m.edns, MSP_OPT_COOKIE, &o));
	assert_int_equal(o.data.len, PRT_COOKIE_MAX);
	memcpy(cookie, o.data.ptr, sizeof(cookie));
	for (int i = 0; i < 5; i++)
		send_from(f, SOURCE, false);
	assert_false(f->got.is_there); /* the prefix is over its budget */
	assert_int_equal(w.app.stats.dropped, 3);

	msp_notifyw_init(&m, f->mem, sizeof(f->mem), 1, &child, MSP_TYPE_CSYNC, NULL);
	add_option(&m, MSP_OPT_COOKIE, msp_span(cookie, sizeof(cookie)));
	finish(f, &m, NULL);
	for (int i = 0; i < 5; i++) {
		send_from(f, SOURCE, false);
		assert_int_equal(f->got.is_there, i < 3); /* a budget of its own */
	}
	send_from(f, "192.0.2.2", false); /* stolen */
	assert_false(f->got.is_there);
}

static void what_is_verified_costs_no_budget(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[4];

	w.settings.conf.limits.requests_per_s = 1;
	prt_receiver_renew(w.app.receiver);
	for (int i = 0; i < 10; i++) {
		make_query(f, W_CHILD, MSP_TYPE_KEY, f->key, inquiry(octets, f->key, 2, 0));
		send_from(f, SOURCE, false);
		assert_true(f->got.has_state);
	}
}

static void malformed_messages_are_answered_bare(void **state)
{
	struct fixture *f = *state;

	update(f, TO_A, f->key);
	f->mem[f->len++] = 0; /* an octet behind the end */
	send(f);
	T_ANSWER(f, MSP_RCODE_FORMERR, 0);
	assert_false(f->got.m.edns.present);
	assert_int_equal(f->got.m.sig0_at, 0);
	make_update(f, TO_A, f->key, 1, msp_span(NULL, 0));
	f->mem[2] |= 0x80; /* an answer */
	send(f);
	assert_false(f->got.is_there);
	make_update(f, TO_A, f->key, 1, msp_span(NULL, 0));
	f->mem[2] = (uint8_t)(6 << 3);
	send(f);
	T_ANSWER(f, MSP_RCODE_NOTIMP, 0);
	make_query(f, W_CHILD, MSP_TYPE_A, NULL, msp_span(NULL, 0));
	send(f);
	T_ANSWER(f, MSP_RCODE_REFUSED, MSP_EDE_NOT_AUTHORITATIVE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_signed_update_is_done_and_answered_signed),
		TEST(without_a_backend_what_is_accepted_is_published),
		TEST(where_the_zone_is_read_that_says_what_is_published),
		TEST(a_key_that_was_taken_back_does_not_live_on_in_the_cache),
		TEST(a_name_that_is_no_child_costs_nothing),
		TEST(a_key_of_nobody_is_badkey_without_public_key_work),
		TEST(what_cannot_be_from_a_child_is_refused_by_the_table),
		TEST(no_bit_of_a_signed_message_can_be_changed),
		TEST(bad_signatures_use_up_the_budget_of_their_source),
		TEST(who_forges_a_name_by_udp_does_not_keep_it_from_others),
		TEST(at_most_four_keys_of_a_tag_are_tried),
		TEST(a_key_that_was_good_once_is_not_believed_when_it_is_gone),
		TEST(an_upload_is_believed_to_be_possession_and_no_more),
		TEST(a_message_counts_once),
		TEST(a_registrar_speaks_for_its_children),
		TEST(an_answer_says_what_the_checks_said),
		TEST(checks_that_take_too_long_are_finished_later),
		TEST(or_nothing_is_changed),
		TEST(what_is_under_way_is_dropped_at_the_end),
		TEST(work_goes_on_when_the_pool_was_full),
		TEST(a_key_is_told_its_state),
		TEST(nobody_else_is_told_of_it),
		TEST(a_malformed_inquiry_is_called_so),
		TEST(without_budget_for_a_signature_there_is_no_state),
		TEST(a_notify_is_answered_and_handed_on),
		TEST(a_notify_of_several_is_discarded),
		TEST(reports_go_to_the_name_servers_of_the_child_alone),
		TEST(a_primary_tells_of_the_parent_zone),
		TEST(a_cookie_is_heard_where_its_prefix_is_not),
		TEST(what_is_verified_costs_no_budget),
		TEST(malformed_messages_are_answered_bare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
