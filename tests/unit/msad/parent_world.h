/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * One agent, alone in child.example., and everything around it as tables: what resolves, what the servers of the parent
 * and of the zone show, and a receiver that answers by script. Time jumps from deadline to deadline.
 */
#ifndef MSAD_PARENT_WORLD_H
#define MSAD_PARENT_WORLD_H

#include "support.h"

#include <msproto/auth/digest.h>
#include <msproto/auth/dnssec.h>
#include <msproto/auth/trust.h>
#include <msproto/base/mem.h>
#include <msproto/msg/keystate.h>
#include <msproto/msg/update.h>
#include <msproto/wire/hsync.h>
#include <msproto/wire/text.h>

#include "core.h"
#include "parent.h"
#include "state.h"
#include "zone/secure_make.h"

#define PW_WALL    1900000000
#define PW_QUEUE   4096
#define PW_SCRIPT  64
#define PW_SERVERS 2
#define PW_STORED  64

/** One answer of the resolver, for look-ups of a name and type. Unlisted: securely denied, SOA of example. */
struct pw_name {
	const char *name;
	uint16_t type;
	const char *records; /* lines; NULL = denied */
	enum msp_lookup verdict;
	const char *soa; /* denied: SOA's owner; NULL = none */
};

enum pw_sign { PW_GOOD, PW_NONE, PW_STRANGER, PW_OTHER_REQUEST, PW_DAMAGED };
/** One answer of the receiver. */
struct pw_reply {
	unsigned rcode, ede;
	int state; /* -1 = no KeyState */
	enum pw_sign sign;
	bool lost, ignores; /* lost: no answer; ignores: says NOERROR and does nothing */
	bool stalls;        /* the answer is still to come: pw.stalled_id */
	bool other_tag;
};
enum pw_kind { PW_INQUIRY, PW_UPLOAD, PW_UPDATE, PW_ROLL, PW_NOTIFY_CDS, PW_NOTIFY_CSYNC, PW_KIND__N };

struct pw_stored {
	uint8_t key[600];
	size_t key_len, len;
	uint8_t *value;
};

struct pw {
	struct msa_core *core;
	struct msp_rand rand;
	struct msp_log log;
	struct msp_key *host_key, *receiver_key, *stranger;
	struct msp_name zone, identity;
	struct msp_rrset *own, *cds, *hsync, *ns, *csync, *key_at_apex;
	struct msa_core_conf conf;
	struct msa_zone_conf zconf;
	int64_t now_ms;
	bool has_failed;
	size_t steps, fail_step, fail_nth; /* in that step that allocation fails; 0 = none does */

	const struct pw_name *names;   /* ends with name NULL; looked at before the common ones */
	const char *shown[PW_SERVERS]; /* parent's servers: lines; NULL = no answer */
	char shown_mem[PW_SERVERS][4096];
	const char *served_cds; /* of the zone's server instead of what the signer serves */
	bool own_server_dead;
	unsigned own_server_rcode;
	bool key_served; /* the zone's server shows our KEYs as soon as the combiner has them */
	bool combiner_refuses;
	struct msp_rrset *combined_key;

	/* the receiver */
	struct pw_reply script[PW_SCRIPT];
	size_t script_count, script_at;
	struct pw_reply otherwise; /* when the script is over */
	size_t seen[PW_KIND__N];
	enum pw_kind order[256];
	int64_t order_ms[256];
	struct msp_addr order_to[256];
	bool order_tcp[256];
	size_t order_count;
	struct msp_buf last[PW_KIND__N]; /* last message of each kind */
	bool saw_del_any_key;
	uint64_t stalled_id;
	unsigned lookups_failed_left; /* so many DSYNC look-ups fail */

	struct msp_key *made[8];
	char made_file[8][64];
	size_t made_count, loads, removes;
	bool key_fails;

	struct msa_action queue[PW_QUEUE];
	size_t queue_at, queue_count;
	struct pw_stored stored[PW_STORED];
	size_t stored_count;
	struct msp_rr_scratch scratch;
	uint8_t mem[MSP_MSG_MAX];
};

static inline void pw_step(struct pw *w, const struct msa_event *ev)
{
	struct msa_actions out;
	enum msp_err err;

	msa_actions_init(&out);
	if (++w->steps == w->fail_step)
		msp_mem_fail_at(w->fail_nth);
	err = msa_core_step(w->core, ev, (struct msp_mono){ w->now_ms },
			    (struct msp_wall){ PW_WALL + w->now_ms / 1000 }, &out);
	if (w->steps == w->fail_step)
		w->has_failed = msp_mem_failed();
	msp_mem_fail_at(0);
	if (w->steps != w->fail_step || err != MSP_ENOMEM)
		T_OK(err);
	if (w->queue_at == w->queue_count)
		w->queue_at = w->queue_count = 0;
	for (size_t i = 0; i < out.count; i++) {
		assert_true(w->queue_count < PW_QUEUE);
		w->queue[w->queue_count++] = out.item[i];
	}
	out.count = 0; /* theirs now */
	msa_actions_fini(&out);
}

/* ---- the resolver */

static const struct pw_name pw_common[] = {
	{ "example.", MSP_TYPE_SOA, "example. 60 SOA ns1.example. h.example. 1 60 60 60 60", MSP_LOOKUP_SECURE, NULL },
	{ "example.", MSP_TYPE_NS, "example. 60 NS ns1.example.\nexample. 60 NS ns2.example.", MSP_LOOKUP_SECURE,
	  NULL },
	{ "ns1.example.", MSP_TYPE_A, "ns1.example. 60 A 192.0.2.1", MSP_LOOKUP_SECURE, NULL },
	{ "ns2.example.", MSP_TYPE_A, "ns2.example. 60 A 192.0.2.2", MSP_LOOKUP_SECURE, NULL },
	{ "ns.provider.test.", MSP_TYPE_A, "ns.provider.test. 60 A 198.51.100.1", MSP_LOOKUP_INSECURE, NULL },
	{ "ns.child.example.", MSP_TYPE_A, "ns.child.example. 60 A 198.51.100.1", MSP_LOOKUP_INSECURE, NULL },
	{ "recv.example.", MSP_TYPE_A, "recv.example. 60 A 203.0.113.1", MSP_LOOKUP_SECURE, NULL },
	{ "recv.example.", MSP_TYPE_SVCB, "recv.example. 60 SVCB 1 . key65282=\"at-apex,at-ns\"", MSP_LOOKUP_SECURE,
	  NULL },
	{ NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL },
};
#define PW_DSYNC_BOTH                                                                                                  \
	"child._dsync.example. 60 DSYNC ANY 2 5353 recv.example.\n"                                                    \
	"child._dsync.example. 60 DSYNC CDS NOTIFY 5354 recv.example.\n"                                               \
	"child._dsync.example. 60 DSYNC CSYNC NOTIFY 5354 recv.example."
static const struct pw_name pw_offers_update[] = {
	{ "child._dsync.example.", MSP_TYPE_DSYNC, "child._dsync.example. 60 DSYNC ANY 2 5353 recv.example.",
	  MSP_LOOKUP_SECURE, NULL },
	{ NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL },
};
static const struct pw_name pw_offers_both[] = {
	{ "child._dsync.example.", MSP_TYPE_DSYNC, PW_DSYNC_BOTH, MSP_LOOKUP_SECURE, NULL },
	{ NULL, 0, NULL, MSP_LOOKUP_SECURE, NULL },
};

static inline const struct pw_name *pw_find(const struct pw_name *list, const struct msa_action *a)
{
	for (; list != NULL && list->name != NULL; list++) {
		struct msp_name n = t_name(list->name);

		if (list->type == a->type && msp_name_equal(&n, &a->name))
			return list;
	}
	return NULL;
}

static inline void pw_lookup(struct pw *w, const struct msa_action *a)
{
	const struct pw_name *n = pw_find(w->names, a);
	struct msa_event ev = { .kind = MSA_EV_LOOKUP_OPEN };
	struct msp_secure_rrset *secure = NULL;
	struct msp_rrset *set = NULL;
	enum msp_lookup verdict;
	const char *soa = "example.";
	struct msp_name recv = t_name("recv.example.");

	if (n == NULL)
		n = pw_find(pw_common, a);
	verdict = n != NULL ? n->verdict : MSP_LOOKUP_SECURE;
	if (n != NULL)
		soa = n->soa;
	if (n != NULL && n->records != NULL)
		set = t_rrset(n->records);
	if (n == NULL && a->type == MSP_TYPE_KEY && msp_name_equal(&a->name, &recv)) {
		T_OK(msp_rrset_new(&a->name, MSP_TYPE_KEY, 60, &set));
		T_OK(msp_rrset_add(set, msp_key_rdata(w->receiver_key)));
	}
	if (a->type == MSP_TYPE_DSYNC && w->lookups_failed_left > 0) {
		w->lookups_failed_left--;
		msp_rrset_free(&set);
		verdict = MSP_LOOKUP_FAILED;
	}
	if (a->kind == MSA_ACT_LOOKUP) {
		ev.kind = MSA_EV_LOOKUP;
		ev.u.lookup.id = a->id;
		ev.u.lookup.verdict = verdict == MSP_LOOKUP_SECURE && set == NULL ? MSP_LOOKUP_NODATA : verdict;
		if (verdict == MSP_LOOKUP_SECURE && set != NULL)
			T_OK(msp_secure_make(&set, &secure));
		ev.u.lookup.secure = secure;
		ev.u.lookup.why = "test";
	} else {
		bool is_answer = verdict == MSP_LOOKUP_SECURE || verdict == MSP_LOOKUP_INSECURE;

		ev.u.open.id = a->id;
		ev.u.open.verdict = verdict;
		ev.u.open.is_negative = is_answer && set == NULL;
		ev.u.open.set = is_answer ? set : NULL;
		if (ev.u.open.is_negative && soa != NULL)
			ev.u.open.soa_owner = t_name(soa);
		ev.u.open.why = "test";
	}
	pw_step(w, &ev);
	msp_secure_free(&secure);
	msp_rrset_free(&set);
}

/* ---- servers */

static inline void pw_answer(struct pw *w, uint64_t id, enum msp_err err, struct msp_span octets)
{
	struct msa_event ev = { .kind = MSA_EV_ANSWER };

	ev.u.answer.id = id;
	ev.u.answer.err = err;
	ev.u.answer.octets = octets;
	pw_step(w, &ev);
}

/** Add lines that have this type to a section; `glue`: A and AAAA. */
static inline void pw_add_lines(struct pw *w, struct msp_msgw *m, const char *lines, enum msp_section section,
				uint16_t type, bool glue)
{
	struct msp_buf rdata;
	struct msp_rr rr;

	(void)w;
	msp_buf_init(&rdata, 65536);
	while (lines != NULL && *lines != '\0') {
		size_t len = strcspn(lines, "\n");

		if (len > 0) {
			T_OK(msp_rr_scan(msp_span(lines, len), NULL, NULL, 60, &rdata, &rr, NULL));
			if (glue ? rr.type == MSP_TYPE_A || rr.type == MSP_TYPE_AAAA : rr.type == type)
				msp_msgw_rr(m, section, &rr);
		}
		lines += len + (lines[len] == '\n');
	}
	msp_buf_fini(&rdata);
}

static inline void pw_add_set(struct msp_msgw *m, const struct msp_rrset *set)
{
	for (size_t i = 0; set != NULL && i < set->count; i++) {
		struct msp_rr rr = { .owner = set->owner,
				     .type = set->type,
				     .cls = MSP_CLASS_IN,
				     .ttl = set->ttl,
				     .rdata = set->rdata[i] };

		msp_msgw_rr(m, MSP_SEC_ANSWER, &rr);
	}
}

static inline void pw_server(struct pw *w, const struct msa_action *a, const struct msp_msg *q)
{
	bool is_parent = a->addr.oct[0] == 192;
	size_t n = is_parent ? (size_t)a->addr.oct[3] - 1 : 0;
	uint16_t type = q->question.type;
	struct msp_msgw m;
	struct msp_span out;

	assert_true(a->tcp_only);
	assert_int_equal(q->flags & MSP_FLAG_RD, 0);
	if (is_parent ? w->shown[n] == NULL : w->own_server_dead) {
		pw_answer(w, a->id, MSP_ETIMEOUT, msp_span(NULL, 0));
		return;
	}
	msp_msgw_respond(&m, w->mem, sizeof(w->mem), q, is_parent ? 0 : w->own_server_rcode,
			 is_parent && type == MSP_TYPE_NS ? 0 : MSP_FLAG_AA);
	if (is_parent) {
		pw_add_lines(w, &m, w->shown[n], type == MSP_TYPE_NS ? MSP_SEC_AUTHORITY : MSP_SEC_ANSWER, type, false);
		if (type == MSP_TYPE_NS)
			pw_add_lines(w, &m, w->shown[n], MSP_SEC_ADDITIONAL, 0, true);
	} else if (type == MSP_TYPE_CDS && w->served_cds != NULL) {
		pw_add_lines(w, &m, w->served_cds, MSP_SEC_ANSWER, type, false);
	} else {
		pw_add_set(&m, type == MSP_TYPE_CDS                    ? w->cds
			       : type == MSP_TYPE_NS                   ? w->ns
			       : type == MSP_TYPE_CSYNC                ? w->csync
			       : type == MSP_TYPE_KEY && w->key_served ? w->combined_key
								       : NULL);
	}
	T_OK(msp_msgw_finish(&m, &out));
	pw_answer(w, a->id, MSP_OK, out);
}

/* ---- the receiver */

/** What the UPDATE makes of what the servers show; all of them at once. */
static inline void pw_apply(struct pw *w, const struct msp_msg *q)
{
	struct msp_buf lines;
	struct msp_msg_it it;
	struct msp_rr rr;
	struct msa_records have = { 0 };
	const char *at = w->shown[0] == NULL ? "" : w->shown[0];
	struct msp_buf rdata;

	msp_buf_init(&lines, 65536);
	msp_buf_init(&rdata, 65536);
	while (*at != '\0') {
		size_t len = strcspn(at, "\n");

		if (len > 0) {
			T_OK(msp_rr_scan(msp_span(at, len), NULL, NULL, 60, &rdata, &rr, NULL));
			T_OK(msa_records_add(&have, &rr.owner, rr.type, rr.ttl, rr.rdata));
		}
		at += len + (at[len] == '\n');
	}
	msp_msg_it_init(&it, q, MSP_SEC_UPDATE, &w->scratch);
	while (msp_msg_next(&it, &rr)) {
		if (rr.cls == MSP_CLASS_IN)
			T_OK(msa_records_add(&have, &rr.owner, rr.type, rr.ttl, rr.rdata));
		for (size_t i = 0; rr.cls == MSP_CLASS_NONE && i < have.count; i++)
			if (have.item[i].type == rr.type && msp_name_equal(&have.item[i].owner, &rr.owner) &&
			    msp_rdata_equal(rr.type, have.item[i].rdata, rr.rdata))
				have.item[i].type = 0; /* gone */
	}
	for (size_t i = 0; i < have.count; i++) {
		struct msp_rr one = { .owner = have.item[i].owner,
				      .type = have.item[i].type,
				      .cls = MSP_CLASS_IN,
				      .ttl = have.item[i].ttl,
				      .rdata = have.item[i].rdata };

		if (one.type == 0)
			continue;
		msp_rr_print(&lines, NULL, &one);
		msp_buf_printf(&lines, "\n");
	}
	for (size_t i = 0; i < PW_SERVERS; i++) {
		snprintf(w->shown_mem[i], sizeof(w->shown_mem[i]), "%s", msp_buf_text(&lines));
		w->shown[i] = w->shown_mem[i];
	}
	msp_buf_fini(&lines);
	msp_buf_fini(&rdata);
	msa_records_fini(&have);
}

static inline enum pw_kind pw_kind_of(struct pw *w, const struct msp_msg *q)
{
	struct msp_msg_it it;
	struct msp_rr rr;
	size_t dels = 0;
	bool is_key = false;

	if (q->opcode == MSP_OPCODE_NOTIFY)
		return q->question.type == MSP_TYPE_CDS ? PW_NOTIFY_CDS : PW_NOTIFY_CSYNC;
	if (q->opcode == MSP_OPCODE_QUERY)
		return PW_INQUIRY;
	msp_msg_it_init(&it, q, MSP_SEC_UPDATE, &w->scratch);
	while (msp_msg_next(&it, &rr)) {
		is_key = is_key || rr.type == MSP_TYPE_KEY;
		dels += rr.cls != MSP_CLASS_IN;
		w->saw_del_any_key = w->saw_del_any_key || rr.cls == MSP_CLASS_ANY;
	}
	if (!is_key)
		return PW_UPDATE;
	return dels > 0 || w->made_count > 1 ? PW_ROLL : PW_UPLOAD;
}

static inline void pw_receiver(struct pw *w, const struct msa_action *a, const struct msp_msg *q)
{
	const struct pw_reply *r = w->script_at < w->script_count ? &w->script[w->script_at++] : &w->otherwise;
	enum pw_kind kind = pw_kind_of(w, q);
	struct msp_key *key = r->sign == PW_STRANGER ? w->stranger : w->receiver_key;
	struct msp_option o;
	struct msp_keystate ks;
	struct msp_msgw m;
	struct msp_optw ow;
	struct msp_span out, request = a->octets;
	uint8_t other[12] = { 0 };
	size_t len;

	w->seen[kind]++;
	if (w->order_count < 256) {
		w->order_ms[w->order_count] = w->now_ms;
		w->order_to[w->order_count] = a->addr;
		w->order_tcp[w->order_count] = a->tcp_only;
		w->order[w->order_count++] = kind;
	}
	msp_buf_fini(&w->last[kind]);
	msp_buf_init(&w->last[kind], MSP_MSG_MAX);
	msp_buf_add_span(&w->last[kind], a->octets);
	if (kind < PW_NOTIFY_CDS)
		assert_true(q->sig0_at != 0);
	if (r->stalls) {
		w->stalled_id = a->id;
		return;
	}
	if (r->lost) {
		w->now_ms += a->timeout_ms;
		pw_answer(w, a->id, MSP_ETIMEOUT, msp_span(NULL, 0));
		return;
	}
	if (kind == PW_UPDATE && r->rcode == MSP_RCODE_NOERROR && !r->ignores)
		pw_apply(w, q);
	msp_msgw_respond(&m, w->mem, sizeof(w->mem), q, r->rcode & 15, 0);
	ow = msp_optw_open(&m, 1232, r->rcode, false);
	if (r->ede != 0)
		msp_optw_ede(&ow, (uint16_t)(msp_numbers_default.ede_base + r->ede), "words of the parent");
	if (r->state >= 0 && kind == PW_INQUIRY && msp_edns_find(&q->edns, msp_numbers_default.opt_keystate, &o)) {
		T_OK(msp_keystate_parse(o.data, &ks));
		assert_int_equal(ks.state, MSP_KEYSTATE_INQUIRE);
		ks.state = (uint8_t)r->state;
		ks.key_id = (uint16_t)(ks.key_id + r->other_tag);
		msp_optw_keystate(&ow, &msp_numbers_default, &ks);
	}
	msp_optw_close(&ow);
	T_OK(msp_msgw_finish(&m, &out));
	len = out.len;
	if (r->sign == PW_OTHER_REQUEST)
		request = msp_span(other, sizeof(other));
	if (r->sign != PW_NONE && kind < PW_NOTIFY_CDS)
		T_OK(msp_sig0_sign(key, (struct msp_wall){ PW_WALL + w->now_ms / 1000 }, request, w->mem, &len,
				   sizeof(w->mem)));
	if (r->sign == PW_DAMAGED)
		w->mem[len - 1] ^= 1;
	pw_answer(w, a->id, MSP_OK, msp_span(w->mem, len));
}

/* ---- the rest of the shell */

static inline void pw_view(struct pw *w)
{
	struct msa_event ev = { .kind = MSA_EV_ZONE };

	ev.u.zone = (struct msa_zone_view){ .zone = w->zone,
					    .serial = 7,
					    .hsync = w->hsync,
					    .dnskey = w->own,
					    .cds = w->cds,
					    .csync = w->csync,
					    .ns = w->ns,
					    .key = w->key_served ? w->combined_key : NULL,
					    .max_ttl_s = 3600 };
	pw_step(w, &ev);
}

static inline void pw_key(struct pw *w, const struct msa_action *a)
{
	struct msa_event ev = { .kind = MSA_EV_KEY };
	struct msp_key *key = NULL;
	char file[64] = "";

	if (a->key_verb == MSA_KEY_REMOVE) {
		w->removes++;
		return;
	}
	ev.u.key.id = a->id;
	ev.u.key.why = "test";
	if (w->key_fails) {
		ev.u.key.err = MSP_EIO;
	} else if (a->key_verb == MSA_KEY_MAKE) {
		assert_true(w->made_count < 8);
		T_OK(msp_key_generate(&w->zone, MSP_ALG_ED25519, 0, &w->made[w->made_count]));
		snprintf(w->made_file[w->made_count], 64, "K%zu.private", w->made_count);
	}
	for (size_t i = 0; !w->key_fails && i < 8; i++) {
		bool is_it = a->key_verb == MSA_KEY_MAKE ? i == w->made_count
							 : msp_span_equal(a->octets, msp_span_str(w->made_file[i]));

		if (!is_it || w->made[i] == NULL)
			continue;
		key = w->made[i]; /* the core's now; what the files hold is not needed again but by its number */
		snprintf(file, sizeof(file), "%s", w->made_file[i]);
		w->made[i] = NULL;
		break;
	}
	if (a->key_verb == MSA_KEY_MAKE)
		w->made_count++;
	else
		w->loads++;
	if (key == NULL)
		ev.u.key.err = MSP_EIO;
	ev.u.key.key = &key;
	ev.u.key.file = file;
	pw_step(w, &ev);
	msp_key_free(&key);
}

static inline void pw_combine(struct pw *w, const struct msa_action *a)
{
	struct msa_event ev = { .kind = MSA_EV_COMBINED };

	ev.u.combined.zone = a->name;
	ev.u.combined.id = a->id;
	for (size_t i = 0; i < a->combine_count; i++) {
		if (a->combine[i].type != MSP_TYPE_KEY)
			continue;
		assert_int_equal(a->combine_count, 1); /* a message of its own: a refusal must not take keys along */
		if (w->combiner_refuses) {
			ev.u.combined.err = MSP_ERCODE;
			ev.u.combined.why = "REFUSED UPDATE_TYPE";
			continue;
		}
		msp_rrset_free(&w->combined_key);
		if (a->combine[i].set != NULL)
			T_OK(msp_rrset_dup(a->combine[i].set, &w->combined_key));
	}
	pw_step(w, &ev);
	if (ev.u.combined.err == MSP_OK)
		pw_view(w);
}

static inline void pw_store(struct pw *w, const struct msa_action *a)
{
	size_t i = 0;

	while (i < w->stored_count && !msp_span_equal(a->key, msp_span(w->stored[i].key, w->stored[i].key_len)))
		i++;
	if (i == w->stored_count) {
		assert_true(w->stored_count < PW_STORED);
		w->stored_count++;
		memcpy(w->stored[i].key, a->key.ptr, a->key.len);
		w->stored[i].key_len = a->key.len;
	}
	msp_free(w->stored[i].value);
	w->stored[i].value = msp_memdup(a->octets.ptr, a->octets.len);
	w->stored[i].len = a->octets.len;
	assert_non_null(w->stored[i].value);
}

static inline void pw_send(struct pw *w, const struct msa_action *a)
{
	static struct msp_rr_scratch scratch;
	struct msp_msg q;

	T_OK(msp_msg_parse(a->octets, &scratch, &q, NULL));
	if (a->addr.oct[0] == 203)
		pw_receiver(w, a, &q);
	else
		pw_server(w, a, &q);
}

/** Do everything that is to be done now. */
static inline void pw_work(struct pw *w)
{
	while (w->queue_at < w->queue_count) {
		struct msa_action a = w->queue[w->queue_at++];
		struct msa_actions one = { .item = &a, .count = 1, .size = 1 };

		switch (a.kind) {
		case MSA_ACT_LOOKUP:
		case MSA_ACT_LOOKUP_OPEN:
			pw_lookup(w, &a);
			break;
		case MSA_ACT_SEND:
			pw_send(w, &a);
			break;
		case MSA_ACT_KEY:
			pw_key(w, &a);
			break;
		case MSA_ACT_COMBINE:
			pw_combine(w, &a);
			break;
		case MSA_ACT_STORE:
			pw_store(w, &a);
			break;
		case MSA_ACT_TRANSFER:
			pw_view(w);
			break;
		default:
			break;
		}
		msa_actions_clear(&one);
	}
}

static inline void pw_run(struct pw *w, int64_t ms)
{
	int64_t end = w->now_ms + ms;
	struct msa_event ev = { .kind = MSA_EV_TICK };

	pw_work(w);
	while (w->now_ms < end) {
		struct msp_mono next = msa_core_deadline(w->core);

		if (next.ms > end) {
			w->now_ms = end;
			break;
		}
		if (next.ms > w->now_ms)
			w->now_ms = next.ms;
		pw_step(w, &ev);
		pw_work(w);
	}
}

static inline struct msa_parent *pw_parent(struct pw *w)
{
	return msa_core_find_zone(w->core, &w->zone)->parent;
}

/** Until the phase is reached; fails when it is not within ms. */
static inline void pw_until(struct pw *w, enum msa_phase phase, int64_t ms)
{
	int64_t end = w->now_ms + ms;

	pw_work(w);
	while (pw_parent(w)->phase != phase && w->now_ms < end) {
		struct msa_event ev = { .kind = MSA_EV_TICK };
		struct msp_mono next = msa_core_deadline(w->core);

		w->now_ms = next.ms > end ? end : next.ms > w->now_ms ? next.ms : w->now_ms;
		pw_step(w, &ev);
		pw_work(w);
	}
	if (pw_parent(w)->phase != phase)
		fail_msg("phase is %s (%s), wanted %s", msa_phase_name(pw_parent(w)->phase), pw_parent(w)->why,
			 msa_phase_name(phase));
}

static inline void pw_command(struct pw *w, enum msa_event_kind kind)
{
	struct msa_event ev = { .kind = kind };

	ev.u.parent.zone = w->zone;
	pw_step(w, &ev);
}

/* ---- set-up */

static inline void pw_start(struct pw *w)
{
	struct msp_log *log = &w->log;

	w->conf.zones = &w->zconf;
	w->conf.zone_count = 1;
	T_OK(msa_core_new(&w->conf, (struct msp_wall){ PW_WALL + w->now_ms / 1000 }, &w->rand, log, &w->core));
	for (size_t i = 0; i < w->stored_count; i++)
		T_OK(msa_core_restore(w->core, msp_span(w->stored[i].key, w->stored[i].key_len),
				      msp_span(w->stored[i].value, w->stored[i].len)));
}

static inline void pw_drop_queue(struct pw *w)
{
	while (w->queue_at < w->queue_count) {
		struct msa_actions one = { .item = &w->queue[w->queue_at++], .count = 1, .size = 1 };

		msa_actions_clear(&one);
	}
	w->queue_at = w->queue_count = 0;
}

/** kill -9 and start again from what was stored. Key files: what was made is still there. */
static inline void pw_restart(struct pw *w)
{
	struct msa_parent *p = pw_parent(w);

	pw_drop_queue(w);
	for (size_t i = 0; i < 8; i++) {
		if (p->key != NULL && p->key_file != NULL && strcmp(p->key_file, w->made_file[i]) == 0) {
			w->made[i] = p->key;
			p->key = NULL;
		}
		if (p->next_key != NULL && p->next_file != NULL && strcmp(p->next_file, w->made_file[i]) == 0) {
			w->made[i] = p->next_key;
			p->next_key = NULL;
		}
	}
	msa_core_free(&w->core);
	pw_start(w);
	pw_view(w);
}

static inline struct pw *pw_new(void)
{
	struct pw *w = msp_alloc(1, sizeof(*w));
	struct msp_hsync h;
	struct msp_key *k = NULL;
	struct msp_wr wr;
	uint8_t mem[600];
	uint8_t ds[MSP_DS_MAX];
	size_t len;

	assert_non_null(w);
	msp_rand_init_seed(&w->rand, 42);
	msp_log_init_null(&w->log);
	w->zone = t_name("child.example.");
	w->identity = t_name("msa.a.test.");
	w->zconf = (struct msa_zone_conf){
		.zone = w->zone, .dnskey_ttl_s = 300, .parent_sync = MSA_PARENT_AUTO, .publish_key = true
	};
	w->zconf.ns[0] = t_name("ns.provider.test.");
	w->zconf.ns_count = 1;
	w->conf = (struct msa_core_conf){ .identity = w->identity,
					  .host = t_name("dns.msa.a.test."),
					  .numbers = msp_numbers_default,
					  .heartbeat_s = 60 };
	T_OK(msp_key_generate(&w->conf.host, MSP_ALG_ED25519, 0, &w->host_key));
	w->conf.key = w->host_key;
	{
		struct msp_name recv = t_name("recv.example.");

		T_OK(msp_key_generate(&recv, MSP_ALG_ED25519, 0, &w->receiver_key));
		T_OK(msp_key_generate(&recv, MSP_ALG_ED25519, 0, &w->stranger));
	}
	T_OK(msp_rrset_new(&w->zone, MSP_TYPE_DNSKEY, 300, &w->own));
	T_OK(msp_rrset_new(&w->zone, MSP_TYPE_CDS, 300, &w->cds));
	T_OK(msp_key_generate(&w->zone, MSP_ALG_ED25519, 257, &k));
	T_OK(msp_rrset_add(w->own, msp_key_rdata(k)));
	len = sizeof(ds);
	T_OK(msp_ds_from_dnskey(&w->zone, msp_key_rdata(k), MSP_DIGEST_SHA256, ds, &len));
	T_OK(msp_rrset_add(w->cds, msp_span(ds, len)));
	msp_key_free(&k);
	w->ns = t_rrset("child.example. 60 NS ns.provider.test.");
	T_OK(msp_rrset_new(&w->zone, MSP_TYPE_HSYNC_DEFAULT, 300, &w->hsync));
	T_OK(msp_hsync_scan(msp_span_str("ON AGENT YES msa.a.test."), NULL, &h, NULL));
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_hsync_write(&wr, &h);
	T_OK(msp_rrset_add(w->hsync, msp_wr_span(&wr)));
	w->names = pw_offers_update;
	w->key_served = true;
	for (size_t i = 0; i < PW_SERVERS; i++)
		w->shown[i] = "child.example. 60 NS ns.provider.test.";
	w->otherwise = (struct pw_reply){ .state = MSP_KEYSTATE_TRUSTED };
	for (size_t i = 0; i < PW_KIND__N; i++)
		msp_buf_init(&w->last[i], MSP_MSG_MAX);
	pw_start(w);
	return w;
}

static inline void pw_free(struct pw **pw)
{
	struct pw *w = *pw;

	pw_drop_queue(w);
	msa_core_free(&w->core);
	msp_key_free(&w->host_key);
	msp_key_free(&w->receiver_key);
	msp_key_free(&w->stranger);
	for (size_t i = 0; i < 8; i++)
		msp_key_free(&w->made[i]);
	msp_rrset_free(&w->own);
	msp_rrset_free(&w->cds);
	msp_rrset_free(&w->hsync);
	msp_rrset_free(&w->ns);
	msp_rrset_free(&w->csync);
	msp_rrset_free(&w->combined_key);
	for (size_t i = 0; i < PW_KIND__N; i++)
		msp_buf_fini(&w->last[i]);
	for (size_t i = 0; i < w->stored_count; i++)
		msp_free(w->stored[i].value);
	msp_free(w);
	*pw = NULL;
}

#endif
