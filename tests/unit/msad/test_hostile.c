/* SPDX-License-Identifier: BSD-2-Clause */
/* A peer that is listed, greeted, verified, and means ill: it may stall and hurt itself (DESIGN 7, S14). */
#include "fixture.h"

#define DATA_MAX 3

struct lines {
	unsigned bye, other;
};

static void count_line(void *arg, enum msp_log_level level, const char *line)
{
	struct lines *l = arg;

	(void)level;
	if (strncmp(line, "peer-bye", 8) == 0)
		l->bye++;
	else
		l->other++;
}

static void send_op(struct fx *f, enum fx_who who, uint8_t operation, const uint8_t digest[32])
{
	struct msa_event ev = { .kind = MSA_EV_REQUEST };
	struct msp_msopt ms = { .operation = operation, .transports = 1, .syncs = 3 };
	struct msp_msgw w;
	struct msp_optw o;
	struct msp_span out;
	size_t len;

	ms.has[MSP_TLV_IDENTITY] = ms.has[MSP_TLV_INSTANCE] = ms.has[MSP_TLV_INTERVAL] = true;
	ms.identity = f->identity[who];
	ms.interval_s = 60;
	ms.epoch = FX_WALL;
	ms.sequence = ++f->sequence;
	ms.has[MSP_TLV_GROUP] = true;
	memcpy(ms.group, msa_core_find_zone(f->core, &f->zone)->group.digest, 32);
	if (digest != NULL) {
		ms.has[MSP_TLV_DATA_VERSION] = ms.has[MSP_TLV_DATA_DIGEST] = true;
		ms.data_version = f->sequence;
		memcpy(ms.data_digest, digest, 32);
	}
	msp_msgw_init(&w, f->mem, sizeof(f->mem), 9, MSP_OPCODE_NOTIFY, MSP_FLAG_AA);
	msp_msgw_question(&w, &f->zone, MSP_TYPE_SOA, MSP_CLASS_IN);
	o = msp_optw_open(&w, 1232, 0, false);
	msp_optw_msopt(&o, &msp_numbers_default, &ms);
	msp_optw_close(&o);
	T_OK(msp_msgw_finish(&w, &out));
	len = out.len;
	T_OK(msp_sig0_sign(f->key[who], (struct msp_wall){ FX_WALL + f->now_ms / 1000 }, msp_span(NULL, 0), f->mem,
			   &len, sizeof(f->mem)));
	ev.u.request.id = ++f->request_id;
	ev.u.request.peer = f->addr[who];
	ev.u.request.octets = msp_span(f->mem, len);
	fx_step(f, &ev);
}

/** Answer whatever pull queries are in the last actions with what the peer has; returns how many there were. */
static size_t answer_pulls(struct fx *f, enum fx_who who, const struct msa_contribution *c)
{
	struct {
		uint64_t id;
		uint8_t oct[MSP_EDNS_PAYLOAD];
		size_t len;
	} q[DATA_MAX];
	size_t n = 0;

	for (size_t i = 0; i < f->out.count && n < DATA_MAX; i++) {
		const struct msa_action *a = &f->out.item[i];

		if (a->kind != MSA_ACT_SEND || !a->tcp_only || !msp_addr_same_host(&a->addr, &f->addr[who]))
			continue;
		q[n].id = a->id;
		q[n].len = a->octets.len;
		memcpy(q[n++].oct, a->octets.ptr, a->octets.len);
	}
	for (size_t i = 0; i < n; i++) {
		struct msa_event ev = { .kind = MSA_EV_ANSWER };
		const struct msp_rrset *set;
		struct msp_msg req;
		struct msp_msgw w;
		struct msp_span out;
		size_t len;

		T_OK(msp_msg_parse(msp_span(q[i].oct, q[i].len), &f->scratch, &req, NULL));
		set = req.question.type == MSP_TYPE_DNSKEY ? c->dnskey
		      : req.question.type == MSP_TYPE_CDS  ? c->cds
							   : c->ns;
		msp_msgw_respond(&w, f->mem, sizeof(f->mem), &req, 0, MSP_FLAG_AA);
		for (size_t k = 0; set != NULL && k < set->count; k++) {
			struct msp_rr rr = { .owner = req.question.name,
					     .type = set->type,
					     .cls = MSP_CLASS_IN,
					     .ttl = set->ttl,
					     .rdata = set->rdata[k] };

			msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
		}
		T_OK(msp_msgw_finish(&w, &out));
		len = out.len;
		T_OK(msp_sig0_sign(f->key[who], (struct msp_wall){ FX_WALL + f->now_ms / 1000 },
				   msp_span(q[i].oct, q[i].len), f->mem, &len, sizeof(f->mem)));
		ev.u.answer.id = q[i].id;
		ev.u.answer.octets = msp_span(f->mem, len);
		fx_step(f, &ev);
	}
	return n;
}

/* Each accepted contribution is stored, sent to the combiner and signed anew: not as often as a peer likes. */
static void new_contributions_at_every_turn_are_pulled_at_a_pace(void **state)
{
	struct fx *f = fx_new();
	struct msa_contribution c = { .version = 1 };
	struct msp_key *k = NULL;
	size_t pulls = 0, stores = 0;

	(void)state;
	T_OK(msp_key_generate(&f->zone, MSP_ALG_ED25519, 257, &k));
	for (unsigned i = 0; i < 1000; i++) { /* ten seconds, a hundred a second */
		msp_rrset_free(&c.dnskey);
		T_OK(msp_rrset_new(&f->zone, MSP_TYPE_DNSKEY, 300 + i, &c.dnskey));
		T_OK(msp_rrset_add(c.dnskey, msp_key_rdata(k)));
		T_OK(msa_contribution_digest(&f->zone, &c, c.digest));
		send_op(f, FX_B, msp_numbers_default.op_data, c.digest);
		pulls += answer_pulls(f, FX_B, &c) > 0;
		for (size_t a = 0; a < f->out.count; a++)
			stores += f->out.item[a].kind == MSA_ACT_STORE && f->out.item[a].key.ptr[0] == 'P';
		fx_tick(f, 10);
		pulls += answer_pulls(f, FX_B, &c) > 0;
	}
	assert_in_range(pulls, 5, 12);
	assert_in_range(stores, 0, 12);
	/* And when it comes to rest, what it has last is what is held. */
	for (unsigned i = 0; i < 30; i++) {
		fx_tick(f, 100);
		(void)answer_pulls(f, FX_B, &c);
	}
	assert_memory_equal(fx_member(f, FX_B)->held.digest, c.digest, 32);
	msa_contribution_fini(&c);
	msp_key_free(&k);
	fx_free(&f);
}

/* It announces what it does not deliver: the back-off that each announcement resets is not all there is. */
static void announcements_that_are_lies_are_looked_at_at_a_pace(void **state)
{
	struct fx *f = fx_new();
	struct msa_contribution none = { 0 };
	uint8_t digest[32] = { 0 };
	size_t pulls = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		digest[0] = (uint8_t)i;
		digest[1] = (uint8_t)(i >> 8);
		send_op(f, FX_B, MSP_OP_HEARTBEAT, digest);
		pulls += answer_pulls(f, FX_B, &none) > 0;
		fx_tick(f, 10);
		pulls += answer_pulls(f, FX_B, &none) > 0;
	}
	assert_in_range(pulls, 5, 12);
	assert_int_equal(fx_member(f, FX_B)->held.version, 0);
	fx_free(&f);
}

static void a_group_that_changes_at_every_turn_fills_no_log(void **state)
{
	struct fx *f = fx_new();
	struct lines l = { 0 };

	(void)state;
	f->log = (struct msp_log){ .level = MSP_LOG_NOTICE, .sink = count_line, .arg = &l };
	for (unsigned i = 0; i < 1000; i++) {
		(void)fx_request(f,
				 fx_build(f, &(struct fx_message){ .claims = FX_B,
								   .signs = FX_B,
								   .operation = MSP_OP_HEARTBEAT,
								   .other_group = i % 2 }),
				 FX_B);
		fx_tick(f, 2);
	}
	assert_in_range(l.other, 0, 20);
	fx_free(&f);
}

/* The budget of a source does not hold who has many sources. */
static void hellos_of_one_peer_from_everywhere_have_a_budget(void **state)
{
	struct fx *f = fx_new();
	size_t stores = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		f->addr[FX_X].oct[1] = (uint8_t)(i >> 8);
		f->addr[FX_X].oct[2] = (uint8_t)i;
		(void)fx_request(
			f,
			fx_build(f, &(struct fx_message){ .claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO }),
			FX_X);
		stores += fx_count(f, MSA_ACT_STORE);
	}
	assert_in_range(stores, 1, 20);
	/* Nobody else pays for it. */
	assert_int_equal(fx_request(f,
				    fx_build(f, &(struct fx_message){ .claims = FX_C,
								      .signs = FX_C,
								      .operation = MSP_OP_HELLO }),
				    FX_C)
				 .rcode,
			 MSP_RCODE_NOERROR);
	fx_free(&f);
}

static void a_thousand_goodbyes_are_one_line(void **state)
{
	struct fx *f = fx_new();
	struct lines l = { 0 };

	(void)state;
	f->log = (struct msp_log){ .level = MSP_LOG_DEBUG, .sink = count_line, .arg = &l };
	for (unsigned i = 0; i < 1000; i++)
		send_op(f, FX_B, msp_numbers_default.op_bye, NULL);
	assert_int_equal(l.bye, 1);
	assert_in_range(l.other, 0, 50);
	fx_free(&f);
}

/** What the combiner is told in the last actions; acknowledged. @return how many instructions there were. */
static size_t look_at_combine(struct fx *f, const struct msp_rrset *keys, const struct msp_rrset *cds)
{
	size_t n = 0;

	for (const struct msa_action *a = fx_find(f, MSA_ACT_COMBINE, 0); a != NULL;
	     a = fx_find(f, MSA_ACT_COMBINE, 0), n++) {
		struct msa_event ev = { .kind = MSA_EV_COMBINED };

		for (size_t t = 0; t < a->combine_count; t++) {
			if (a->combine[t].type == MSP_TYPE_DNSKEY)
				assert_true(msp_rrset_contains(a->combine[t].set, keys));
			if (a->combine[t].type == MSP_TYPE_CDS)
				assert_true(msp_rrset_contains(a->combine[t].set, cds));
		}
		ev.u.combined.zone = f->zone;
		ev.u.combined.id = a->id;
		ev.u.combined.why = "";
		fx_step(f, &ev);
	}
	return n;
}

/* State was lost and read back; c has not been heard of yet. b says that c's keys are its own, and then drops them. */
static void another_s_keys_cannot_be_claimed_and_then_dropped(void **state)
{
	struct fx *f = fx_new_bare();
	struct msa_event back = { .kind = MSA_EV_READBACK };
	struct msa_contribution c = { .version = 1 };
	struct msp_rrset *keys = NULL, *cds = NULL, *own = f->own;
	struct msp_key *k = NULL;
	struct msp_name name;

	(void)state;
	T_OK(msp_rrset_new(&f->zone, MSP_TYPE_DNSKEY, 300, &keys));
	for (uint16_t flags = 256; flags <= 257; flags++) {
		T_OK(msp_key_generate(&f->zone, MSP_ALG_ED25519, flags, &k));
		T_OK(msp_rrset_add(keys, msp_key_rdata(k)));
		msp_key_free(&k);
	}
	T_OK(msa_cds_of(&f->zone, keys, 300, &cds));
	back.u.readback.zone = f->zone;
	back.u.readback.dnskey = keys;
	back.u.readback.cds = cds;
	fx_step(f, &back);
	for (enum fx_who i = FX_A; i <= FX_C; i++)
		fx_hsync(f, "ON AGENT YES", i);
	T_OK(msp_rrset_dup(own, &f->own));
	T_OK(msp_rrset_merge(f->own, keys));
	fx_view(f);
	msp_rrset_free(&f->own);
	f->own = own;
	T_OK(msp_name_prepend("_dns._tcp", &f->identity[FX_B], &name));
	fx_locate(f, FX_B, fx_lookup_id(f, &name, MSP_TYPE_URI));
	send_op(f, FX_B, MSP_OP_HELLO, NULL);
	for (unsigned round = 0; round < 2; round++) {
		if (round == 0)
			T_OK(msp_rrset_dup(keys, &c.dnskey));
		else
			msp_rrset_free(&c.dnskey);
		T_OK(msa_contribution_digest(&f->zone, &c, c.digest));
		send_op(f, FX_B, msp_numbers_default.op_data, c.digest);
		for (unsigned i = 0; i < 50; i++) {
			(void)answer_pulls(f, FX_B, &c);
			(void)look_at_combine(f, keys, cds);
			fx_tick(f, 100);
		}
		assert_memory_equal(fx_member(f, FX_B)->held.digest, c.digest, 32);
	}
	msa_contribution_fini(&c);
	msp_rrset_free(&keys);
	msp_rrset_free(&cds);
	fx_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_contributions_at_every_turn_are_pulled_at_a_pace),
		cmocka_unit_test(announcements_that_are_lies_are_looked_at_at_a_pace),
		cmocka_unit_test(a_group_that_changes_at_every_turn_fills_no_log),
		cmocka_unit_test(hellos_of_one_peer_from_everywhere_have_a_budget),
		cmocka_unit_test(a_thousand_goodbyes_are_one_line),
		cmocka_unit_test(another_s_keys_cannot_be_claimed_and_then_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
