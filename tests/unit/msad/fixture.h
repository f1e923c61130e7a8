/* SPDX-License-Identifier: BSD-2-Clause */
/** @file One core, "msa.a.test.", with peers b (OPERATIONAL), c (located, not greeted) and d (not located) in
 * zone.example. */
#ifndef MSAD_FIXTURE_H
#define MSAD_FIXTURE_H

#include "support.h"

#include <msproto/auth/trust.h>
#include <msproto/base/mem.h>
#include <msproto/msg/msopt.h>
#include <msproto/wire/hsync.h>

#include "contribution.h"
#include "core.h"
#include "state.h"
#include "zone/secure_make.h"

#define FX_WALL 1900000000

enum fx_who { FX_A, FX_B, FX_C, FX_D, FX_X, FX__N }; /* x: a stranger with a key of its own */
struct fx {
	struct msa_core *core;
	struct msp_rand rand;
	struct msp_log log;
	struct msp_key *key[FX__N];
	struct msp_name identity[FX__N], host[FX__N], zone;
	struct msp_addr addr[FX__N];
	struct msp_rrset *own, *hsync; /* keys of our signer, and the owner's word */
	struct msa_actions out;        /* of the last step */
	int64_t now_ms;
	uint64_t request_id, sequence;
	struct msp_rr_scratch scratch;
	uint8_t mem[MSP_MSG_MAX];
};

static inline void fx_step(struct fx *f, const struct msa_event *ev)
{
	msa_actions_clear(&f->out);
	T_OK(msa_core_step(f->core, ev, (struct msp_mono){ f->now_ms }, (struct msp_wall){ FX_WALL + f->now_ms / 1000 },
			   &f->out));
}

static inline void fx_tick(struct fx *f, int64_t ms)
{
	struct msa_event ev = { .kind = MSA_EV_TICK };

	f->now_ms += ms;
	fx_step(f, &ev);
}

static inline size_t fx_count(const struct fx *f, enum msa_action_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < f->out.count; i++)
		n += f->out.item[i].kind == kind;
	return n;
}

static inline const struct msa_action *fx_find(const struct fx *f, enum msa_action_kind kind, size_t nth)
{
	for (size_t i = 0; i < f->out.count; i++)
		if (f->out.item[i].kind == kind && nth-- == 0)
			return &f->out.item[i];
	return NULL;
}

static inline void fx_view(struct fx *f)
{
	struct msa_event ev = { .kind = MSA_EV_ZONE };

	ev.u.zone = (struct msa_zone_view){
		.zone = f->zone, .serial = 7, .hsync = f->hsync, .dnskey = f->own, .max_ttl_s = 3600
	};
	fx_step(f, &ev);
}

static inline struct msa_peer *fx_peer(struct fx *f, enum fx_who who)
{
	return msa_core_find_peer(f->core, &f->identity[who]);
}

static inline struct msa_member *fx_member(struct fx *f, enum fx_who who)
{
	struct msa_zone *z = msa_core_find_zone(f->core, &f->zone);

	for (size_t i = 0; i < z->member_count; i++)
		if (msp_name_equal(&z->member[i]->peer->identity, &f->identity[who]))
			return z->member[i];
	return NULL;
}

/** The id of the look-up for name and type in the last actions, 0 when there is none. */
static inline uint64_t fx_lookup_id(const struct fx *f, const struct msp_name *name, uint16_t type)
{
	for (size_t i = 0; i < f->out.count; i++)
		if (f->out.item[i].kind == MSA_ACT_LOOKUP && f->out.item[i].type == type &&
		    msp_name_equal(&f->out.item[i].name, name))
			return f->out.item[i].id;
	return 0;
}

/** Answer a look-up; steals the set. */
static inline void fx_answer_lookup(struct fx *f, uint64_t id, enum msp_lookup verdict, struct msp_rrset *set)
{
	struct msa_event ev = { .kind = MSA_EV_LOOKUP };
	struct msp_secure_rrset *secure = NULL;

	assert_true(id != 0);
	if (set != NULL)
		T_OK(msp_secure_make(&set, &secure));
	ev.u.lookup.id = id;
	ev.u.lookup.verdict = verdict;
	ev.u.lookup.secure = secure;
	ev.u.lookup.why = "test";
	fx_step(f, &ev);
	msp_secure_free(&secure);
}

static inline struct msp_rrset *fx_uri(const char *owner, const char *target)
{
	char line[700];

	snprintf(line, sizeof(line), "%s 3600 URI 10 1 \"%s\"", owner, target);
	return t_rrset(line);
}

/** Feed what discovery of one peer asks for, from the four ids known after its start. */
static inline void fx_locate(struct fx *f, enum fx_who who, uint64_t uri_id)
{
	struct msp_rrset *set = NULL;
	char target[300];
	uint64_t svcb, key, a, aaaa;

	snprintf(target, sizeof(target), "dns://%.250s:5399/", MSP_NAME(&f->host[who]));
	fx_answer_lookup(f, uri_id, MSP_LOOKUP_SECURE, fx_uri("x.test.", target));
	svcb = fx_lookup_id(f, &f->host[who], MSP_TYPE_SVCB);
	key = fx_lookup_id(f, &f->host[who], MSP_TYPE_KEY);
	fx_answer_lookup(f, svcb, MSP_LOOKUP_NODATA, NULL);
	a = fx_lookup_id(f, &f->host[who], MSP_TYPE_A);
	aaaa = fx_lookup_id(f, &f->host[who], MSP_TYPE_AAAA);
	T_OK(msp_rrset_new(&f->host[who], MSP_TYPE_A, 3600, &set));
	T_OK(msp_rrset_add(set, msp_span(f->addr[who].oct, 4)));
	fx_answer_lookup(f, a, MSP_LOOKUP_SECURE, set);
	fx_answer_lookup(f, aaaa, MSP_LOOKUP_NODATA, NULL);
	set = NULL;
	T_OK(msp_rrset_new(&f->host[who], MSP_TYPE_KEY, 3600, &set));
	T_OK(msp_rrset_add(set, msp_key_rdata(f->key[who])));
	fx_answer_lookup(f, key, MSP_LOOKUP_SECURE, set);
}

/* ---- messages to the core
 * -------------------------------------------------------------------------------------------- */

struct fx_message {
	enum fx_who claims; /* TLV 1 */
	enum fx_who signs;
	bool no_signature, no_identity, no_instance, no_option;
	uint8_t operation;
	uint16_t qtype;                  /* 0 = SOA */
	const struct msp_name *qname;    /* NULL = the zone */
	const struct msp_name *identity; /* instead of claims */
	const struct msp_name *peer_identity;
	int64_t wall_offset_s;
	uint64_t epoch, sequence; /* 0 = fresh */
	bool other_group;
	struct msp_span raw_option; /* instead of everything */
	unsigned opcode_query;
};

static inline struct msp_span fx_build(struct fx *f, const struct fx_message *want)
{
	struct msp_msopt ms = { .operation = want->operation, .transports = 1, .syncs = 3 };
	struct msa_zone *z = msa_core_find_zone(f->core, &f->zone);
	struct msp_msgw w;
	struct msp_optw o;
	struct msp_span out;
	size_t len;

	ms.has[MSP_TLV_IDENTITY] = !want->no_identity;
	ms.identity = want->identity != NULL ? *want->identity : f->identity[want->claims];
	ms.has[MSP_TLV_INTERVAL] = true;
	ms.interval_s = 60;
	ms.has[MSP_TLV_INSTANCE] = !want->no_instance;
	ms.epoch = want->epoch != 0 ? want->epoch : FX_WALL;
	ms.sequence = want->sequence != 0 ? want->sequence : ++f->sequence;
	ms.has[MSP_TLV_GROUP] = true;
	memcpy(ms.group, z->group.digest, 32);
	if (want->other_group)
		ms.group[0] ^= 1;
	if (want->peer_identity != NULL) {
		ms.has[MSP_TLV_PEER_IDENTITY] = true;
		ms.peer_identity = *want->peer_identity;
	}
	if (want->operation != MSP_OP_HELLO) {
		ms.has[MSP_TLV_DATA_VERSION] = ms.has[MSP_TLV_DATA_DIGEST] = true;
		ms.data_version = 99;
		memset(ms.data_digest, 0x99, 32);
	}
	msp_msgw_init(&w, f->mem, sizeof(f->mem), 0x1234, want->opcode_query ? MSP_OPCODE_QUERY : MSP_OPCODE_NOTIFY,
		      MSP_FLAG_AA);
	msp_msgw_question(&w, want->qname != NULL ? want->qname : &f->zone,
			  want->qtype != 0 ? want->qtype : MSP_TYPE_SOA, MSP_CLASS_IN);
	o = msp_optw_open(&w, 1232, 0, false);
	if (want->raw_option.ptr != NULL)
		msp_optw_add(&o, msp_numbers_default.opt_multisigner, want->raw_option);
	else if (!want->no_option && !want->opcode_query)
		msp_optw_msopt(&o, &msp_numbers_default, &ms);
	msp_optw_close(&o);
	T_OK(msp_msgw_finish(&w, &out));
	len = out.len;
	if (!want->no_signature)
		T_OK(msp_sig0_sign(f->key[want->signs],
				   (struct msp_wall){ FX_WALL + f->now_ms / 1000 + want->wall_offset_s },
				   msp_span(NULL, 0), f->mem, &len, sizeof(f->mem)));
	return msp_span(f->mem, len);
}

/** What came back. */
struct fx_reply {
	bool is_dropped, is_signed, has_ede, has_option;
	unsigned rcode;
	uint16_t ede;
	struct msp_msopt option;
	struct msp_msg msg;
};

static inline struct fx_reply fx_request(struct fx *f, struct msp_span octets, enum fx_who from)
{
	struct msa_event ev = { .kind = MSA_EV_REQUEST };
	struct fx_reply r = { 0 };
	const struct msa_action *a;
	struct msp_option o;
	struct msp_ede ede;

	ev.u.request.id = ++f->request_id;
	ev.u.request.peer = f->addr[from];
	ev.u.request.peer.port = 40000;
	ev.u.request.octets = octets;
	fx_step(f, &ev);
	assert_int_equal(fx_count(f, MSA_ACT_REPLY), 1); /* each request, exactly once */
	a = fx_find(f, MSA_ACT_REPLY, 0);
	assert_int_equal(a->id, f->request_id);
	r.is_dropped = a->octets.len == 0;
	if (r.is_dropped)
		return r;
	T_OK(msp_msg_parse(a->octets, &f->scratch, &r.msg, NULL));
	r.rcode = r.msg.rcode;
	r.is_signed = r.msg.sig0_at != 0;
	r.has_ede = r.msg.edns.present && msp_edns_find(&r.msg.edns, MSP_OPT_EDE, &o) &&
		    msp_ede_parse(o.data, &ede) == MSP_OK;
	if (r.has_ede)
		r.ede = ede.code;
	r.has_option = r.msg.edns.present && msp_edns_find(&r.msg.edns, msp_numbers_default.opt_multisigner, &o) &&
		       msp_msopt_parse(o.data, &r.option) == MSP_OK;
	return r;
}

/* ---- set-up
 * ---------------------------------------------------------------------------------------------------------- */

static inline void fx_hsync(struct fx *f, const char *fields, enum fx_who who)
{
	struct msp_hsync h;
	uint8_t mem[600];
	char text[600];
	struct msp_wr wr;

	snprintf(text, sizeof(text), "%s %.500s", fields, MSP_NAME(&f->identity[who]));
	T_OK(msp_hsync_scan(msp_span_str(text), NULL, &h, NULL));
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_hsync_write(&wr, &h);
	T_OK(msp_rrset_add(f->hsync, msp_wr_span(&wr)));
}

static inline struct fx *fx_new_bare(void)
{
	static const char *const letter[FX__N] = { "a", "b", "c", "d", "x" };
	struct fx *f = msp_alloc(1, sizeof(*f));
	struct msa_zone_conf zone = { .signer_mode = MSA_SIGNER_COMMAND, .dnskey_ttl_s = 300 };
	struct msa_core_conf conf = {
		.numbers = msp_numbers_default, .zones = &zone, .zone_count = 1, .heartbeat_s = 60
	};
	struct msp_key *k = NULL;

	assert_non_null(f);
	msp_rand_init_seed(&f->rand, 42);
	msp_log_init_null(&f->log);
	msa_actions_init(&f->out);
	f->zone = t_name("zone.example.");
	for (size_t i = 0; i < FX__N; i++) {
		char text[100];

		snprintf(text, sizeof(text), "msa.%s.test.", letter[i]);
		f->identity[i] = t_name(text);
		snprintf(text, sizeof(text), "dns.msa.%s.test.", letter[i]);
		f->host[i] = t_name(text);
		snprintf(text, sizeof(text), "10.0.%zu.1", i);
		T_OK(msp_addr_parse(text, 5399, &f->addr[i]));
		T_OK(msp_key_generate(&f->host[i], MSP_ALG_ED25519, 0, &f->key[i]));
	}
	T_OK(msp_rrset_new(&f->zone, MSP_TYPE_DNSKEY, 300, &f->own));
	for (unsigned i = 0; i < 2; i++) {
		T_OK(msp_key_generate(&f->zone, MSP_ALG_ED25519, (uint16_t)(256 + i), &k));
		T_OK(msp_rrset_add(f->own, msp_key_rdata(k)));
		msp_key_free(&k);
	}
	T_OK(msp_rrset_new(&f->zone, MSP_TYPE_HSYNC_DEFAULT, 300, &f->hsync));
	zone.zone = f->zone;
	conf.identity = f->identity[FX_A];
	conf.host = f->host[FX_A];
	conf.key = f->key[FX_A];
	T_OK(msa_core_new(&conf, (struct msp_wall){ FX_WALL }, &f->rand, &f->log, &f->core));
	return f;
}

/** b OPERATIONAL and MEMBER, c KNOWN, d NEEDED with its discovery failed. */
static inline struct fx *fx_new(void)
{
	struct fx *f = fx_new_bare();
	struct msp_name name;
	uint64_t id[FX__N] = { 0 };
	struct fx_reply r;

	for (enum fx_who i = FX_A; i <= FX_D; i++)
		fx_hsync(f, "ON AGENT YES", i);
	fx_view(f);
	for (enum fx_who i = FX_B; i <= FX_D; i++) {
		T_OK(msp_name_prepend("_dns._tcp", &f->identity[i], &name));
		id[i] = fx_lookup_id(f, &name, MSP_TYPE_URI);
	}
	fx_answer_lookup(f, id[FX_D], MSP_LOOKUP_INSECURE, NULL);
	fx_locate(f, FX_B, id[FX_B]);
	fx_locate(f, FX_C, id[FX_C]);
	r = fx_request(f, fx_build(f, &(struct fx_message){ .claims = FX_B, .signs = FX_B, .operation = MSP_OP_HELLO }),
		       FX_B);
	assert_int_equal(r.rcode, MSP_RCODE_NOERROR);
	assert_true(r.is_signed && r.has_option);
	assert_int_equal(fx_peer(f, FX_B)->link, MSA_LINK_OPERATIONAL);
	assert_int_equal(fx_member(f, FX_B)->state, MSA_MEMBER_MEMBER);
	return f;
}

static inline void fx_free(struct fx **f)
{
	msa_core_free(&(*f)->core);
	msa_actions_fini(&(*f)->out);
	for (size_t i = 0; i < FX__N; i++)
		msp_key_free(&(*f)->key[i]);
	msp_rrset_free(&(*f)->own);
	msp_rrset_free(&(*f)->hsync);
	msp_free(*f);
	*f = NULL;
}

#endif
