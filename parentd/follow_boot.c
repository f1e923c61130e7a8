/* SPDX-License-Identifier: BSD-2-Clause */
/* Rounds of looks for keys that a child has uploaded: one method after the other, for all keys that are due by it. */
#include "follow_priv.h"

#include <msproto/base/mem.h>
#include <msproto/msg/msg.h>

#include <string.h>

#define KEYS_SEEN_MAX 64 /* KEY records at one place */
#define QUERY_MAX     512
#define VANTAGES_MAX  63 /* one bit each, and the first one is here (bootstrap.c) */

/* --- the end of a round ------------------------------------------------------------------------------------------- */

static void next_method(struct prt_errand *r);

static enum msp_err looked(struct prt_errand *r, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	struct prt_looking *l = r->looking;
	struct msp_span rdata = prt_key_rdata(&l->key[l->at]);
	struct prt_key *key = prt_keyset_find(&c->keys, rdata);
	enum msp_err err;

	l->has_failed_now = false;
	/* What was looked at in one way says nothing in another one, nor after its name servers have changed. */
	if (key == NULL || c->boot[key - c->keys.key].method != l->now ||
	    !prt_delegation_equal(&c->registered, &r->probed))
		return MSP_OK;
	err = prt_desk_looked(r->rules, c, rdata, &l->seen, now, out);
	key = prt_keyset_find(&c->keys, rdata);
	l->has_failed_now = err == MSP_OK && key != NULL && key->state == PRT_KEY_FAILED;
	return err;
}

static void next_key(struct prt_errand *r);

static void told(struct prt_errand *r, enum msp_err err)
{
	if (err == MSP_OK)
		prt_errand_outcome(r);
	r->looking->has_failed |= err == MSP_OK && r->looking->has_failed_now;
	r->looking->at++;
	next_key(r);
}

static void next_key(struct prt_errand *r)
{
	struct prt_looking *l = r->looking;

	while (l->at < l->keys && l->method[l->at] != l->now)
		l->at++;
	if (l->at == l->keys)
		next_method(r);
	else
		prt_errand_note(r, looked, told); /* octets are compared: nothing for a worker */
}

static void seen_all(struct prt_errand *r)
{
	r->looking->at = 0;
	next_key(r);
}

/* --- by DNSSEC ---------------------------------------------------------------------------------------------------- */

static struct prt_boot_secure secure_of(const struct prt_lookup *a)
{
	return (struct prt_boot_secure){
		.verdict = a->verdict,
		.keys = a->is_open          ? a->set
			: a->secure != NULL ? msp_secure_get(a->secure)
					    : NULL,
		.is_zone_unsigned = !a->is_known && a->verdict == MSP_LOOKUP_INSECURE,
	};
}

/* The apex is asked first, the signal names behind it. */
static void answered(struct prt_errand *r)
{
	struct prt_looking *l = r->looking;

	l->seen.apex = secure_of(&r->ask[0]);
	for (size_t i = 1; i < r->asks; i++)
		l->signal[i - 1] = secure_of(&r->ask[i]);
	l->seen.signal = l->signal;
	l->seen.signals = r->asks - 1;
	seen_all(r);
}

static void ask(struct prt_errand *r)
{
	struct msp_name ns[PRT_NS_MAX];
	size_t count = r->looking->now == PRT_METHOD_NS ? prt_outside_ns(&r->probed, ns) : 0;

	if (prt_errand_asks(r, 1 + count) != MSP_OK) {
		next_method(r); /* due again by itself */
		return;
	}
	r->ask[0].name = r->task->child;
	r->ask[0].is_open = r->looking->now == PRT_METHOD_NS; /* nothing protects an unsigned child's own word */
	for (size_t i = 0; i < count; i++) {
		struct prt_lookup *a = &r->ask[1 + i];

		a->is_known = prt_signal_name("_sig0key", &r->task->child, &ns[i], &a->name) != MSP_OK;
		a->verdict = MSP_LOOKUP_NODATA;
	}
	for (size_t i = 0; i < r->asks; i++)
		r->ask[i].type = MSP_TYPE_KEY;
	prt_errand_ask(r, answered);
}

/* --- by many looks ------------------------------------------------------------------------------------------------ */

static void plain_done(struct prt_plain *p, enum msp_err err)
{
	struct prt_errand *r = p->run;
	struct prt_looking *l = r->looking;

	p->err = err;
	if (--l->left > 0)
		return;
	for (size_t i = 0; i < l->plains; i++)
		l->said[i] = (struct prt_boot_plain){ .vantage = l->plain[i].vantage,
						      .err = l->plain[i].err,
						      .keys = l->plain[i].keys };
	l->seen.plain = l->said;
	l->seen.plains = l->plains;
	seen_all(r);
}

static enum msp_err take_key(struct prt_plain *p, const struct msp_rr *rr)
{
	if (rr->type != MSP_TYPE_KEY || rr->cls != MSP_CLASS_IN || !msp_name_equal(&rr->owner, &p->run->task->child))
		return MSP_OK;
	if (p->keys == NULL) {
		enum msp_err err = msp_rrset_new(&rr->owner, rr->type, rr->ttl, &p->keys);

		if (err != MSP_OK)
			return err;
	}
	return p->keys->count < KEYS_SEEN_MAX ? msp_rrset_add(p->keys, rr->rdata) : MSP_ELIMIT;
}

/* A server of the child answers for itself, a resolver for others. */
static enum msp_err read_answer(struct prt_plain *p, struct msp_span raw)
{
	uint16_t wanted = p->vantage == 0 ? MSP_FLAG_AA : MSP_FLAG_RA;
	struct msp_rr_scratch *scratch = p->run->f->scratch;
	struct msp_msg_it it;
	struct msp_msg m;
	struct msp_rr rr;
	enum msp_err err = msp_msg_parse(raw, scratch, &m, NULL);

	if (err == MSP_OK && (m.rcode != MSP_RCODE_NOERROR || (m.flags & wanted) == 0 || (m.flags & MSP_FLAG_TC) != 0))
		err = MSP_ERCODE;
	if (err != MSP_OK)
		return err;
	msp_msg_it_init(&it, &m, MSP_SEC_ANSWER, scratch);
	while (err == MSP_OK && msp_msg_next(&it, &rr))
		err = take_key(p, &rr);
	return err;
}

static void from_server(void *arg, const struct msp_batch_answer *answer, size_t count)
{
	struct prt_plain *p = arg;

	p->batch = NULL;
	plain_done(p, count != 1 ? MSP_EFORMAT : answer->err != MSP_OK ? answer->err : read_answer(p, answer->raw));
}

static void from_vantage(void *arg, enum msp_err err, struct msp_span answer)
{
	struct prt_plain *p = arg;

	p->xchg = NULL;
	plain_done(p, err == MSP_OK ? read_answer(p, answer) : err);
}

static uint32_t timeout_ms(const struct prt_errand *r)
{
	return r->f->app->conf->probe_timeout_s * 1000;
}

static enum msp_err ask_server(struct prt_plain *p)
{
	const struct prt_conf *conf = p->run->f->app->conf;
	const struct msp_batch_question q = { .name = p->run->task->child, .type = MSP_TYPE_KEY };
	const struct msp_batch_params params = {
		.server = p->addr,
		.source = p->addr.family == MSP_FAMILY_V6 ? conf->probe_source6 : conf->probe_source4,
		.question = &q,
		.count = 1,
		.timeout_ms = timeout_ms(p->run),
	};

	if (p->addr.family == MSP_FAMILY_NONE)
		return MSP_ENOTFOUND;
	return msp_batch_start(p->run->f->app->loop, &params, from_server, p, &p->batch);
}

static enum msp_err ask_vantage(struct prt_plain *p)
{
	struct prt_follow *f = p->run->f;
	struct msp_xchg_params params = { .server = p->addr, .transport = MSP_TCP_ONLY };
	uint8_t mem[QUERY_MAX];
	struct msp_msgw w;
	enum msp_err err;

	msp_msgw_init(&w, mem, sizeof(mem), msp_rand_u16(&f->app->rand), MSP_OPCODE_QUERY, MSP_FLAG_RD);
	msp_msgw_question(&w, &p->run->task->child, MSP_TYPE_KEY, MSP_CLASS_IN);
	err = msp_msgw_finish(&w, &params.message);
	params.timeout_ms[0] = timeout_ms(p->run);
	return err == MSP_OK ? msp_xchg_start(f->app->loop, &params, from_vantage, p, &p->xchg) : err;
}

static void ask_plains(struct prt_errand *r)
{
	struct prt_looking *l = r->looking;

	l->left = l->plains + 1; /* not before all have been asked */
	for (size_t i = 0; i < l->plains; i++) {
		struct prt_plain *p = &l->plain[i];
		enum msp_err err;

		p->run = r;
		err = p->vantage == 0 ? ask_server(p) : ask_vantage(p);
		if (err != MSP_OK)
			plain_done(p, err);
	}
	l->left--;
	if (l->left == 0) {
		l->left = 1;
		plain_done(&l->plain[l->plains - 1], l->plain[l->plains - 1].err);
	}
}

static const struct prt_conf_vantage *vantages(const struct prt_errand *r, size_t *count)
{
	const struct prt_conf *conf = prt_settings_conf(r->settings);

	*count = conf->vantages.count < VANTAGES_MAX ? conf->vantages.count : VANTAGES_MAX;
	return conf->vantages.item;
}

/* The servers' addresses have been found. */
static void found(struct prt_errand *r, enum msp_err err)
{
	struct prt_looking *l = r->looking;
	size_t outside, servers = err == MSP_OK ? r->evidence.count : 0;
	const struct prt_conf_vantage *vantage = vantages(r, &outside);

	if (servers > 0)
		l->plain = msp_alloc(servers + outside, sizeof(*l->plain));
	if (l->plain == NULL) {
		next_method(r);
		return;
	}
	for (size_t i = 0; i < servers; i++)
		l->plain[i].addr = r->evidence.server[i].addr;
	for (size_t i = 0; i < outside; i++) {
		l->plain[servers + i].addr = vantage[i].addr;
		l->plain[servers + i].vantage = 1 + (unsigned)i;
	}
	l->plains = servers + outside;
	ask_plains(r);
}

/* --- the end of all ----------------------------------------------------------------------------------------------- */

static void offered(struct prt_errand *r, enum msp_err err)
{
	if (err == MSP_OK)
		prt_errand_report(r, MSP_TYPE_KEY, MSP_EDE_KEY_VALIDATION_FAILED);
	prt_errand_end(r, MSP_OK);
}

/* Most methods ask resolvers only: where the child's servers want it reported, they are asked now, once. */
static void end(struct prt_errand *r)
{
	bool is_known = r->has_evidence || prt_report_is_told(r->f->reporter, &r->child.registered, r->f->wall());

	if (r->looking->has_failed && !is_known)
		prt_errand_probe(r, &r->probed, NULL, 1u << PRT_Q_SOA, offered);
	else if (r->looking->has_failed)
		offered(r, MSP_OK);
	else
		prt_errand_end(r, MSP_OK);
}

/* --- methods ------------------------------------------------------------------------------------------------------ */

static void next_method(struct prt_errand *r)
{
	static const enum prt_method order[] = { PRT_METHOD_APEX, PRT_METHOD_NS, PRT_METHOD_UNSIGNED };
	struct prt_looking *l = r->looking;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if ((l->methods & 1u << order[i]) == 0)
			continue;
		l->methods &= ~(1u << order[i]);
		l->now = order[i];
		memset(&l->seen, 0, sizeof(l->seen));
		r->f->app->stats.looks++;
		if (order[i] == PRT_METHOD_UNSIGNED)
			prt_errand_probe(r, &r->probed, NULL, 1u << PRT_Q_SOA, found);
		else
			ask(r);
		return;
	}
	end(r);
}

/* Who asked for looks has put them off already, by a lease: what is due by then is due. */
static void find_due(struct prt_errand *r)
{
	const struct prt_child *c = &r->child;
	struct prt_looking *l = r->looking;
	struct msp_wall soon = { r->f->wall().s + PRT_LOOK_EARLY_S };

	for (size_t i = 0; i < c->keys.count; i++) {
		if (c->keys.key[i].state != PRT_KEY_KNOWN || prt_boot_due(&c->boot[i], soon) != PRT_BOOT_LOOK)
			continue;
		l->method[l->keys] = c->boot[i].method;
		l->key[l->keys++] = c->keys.key[i];
		l->methods |= 1u << c->boot[i].method;
	}
}

static void loaded(struct prt_errand *r, enum msp_err err)
{
	if (err == MSP_OK && (r->child.flags & PRT_CHILD_GONE) == 0) {
		r->looking = msp_alloc(1, sizeof(*r->looking));
		err = r->looking == NULL ? MSP_ENOMEM : prt_delegation_dup(&r->child.registered, &r->probed);
		r->has_probed = r->looking != NULL && err == MSP_OK;
	}
	if (!r->has_probed) {
		prt_errand_end(r, err);
		return;
	}
	find_due(r);
	next_method(r);
}

void prt_look_begin(struct prt_errand *r)
{
	prt_errand_load(r, loaded);
}
