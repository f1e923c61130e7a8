/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One zone and one primary: the SOA query, the transfer, and what came of them. Differences are asked for when they can
 * be used; whatever is wrong with them, the whole zone is asked for at once, from the same primary (RFC 1995 4,
 * PROTOCOL E.6).
 */
#include "fetch.h"

#include <msproto/base/mem.h>
#include <msproto/zone/serial.h>

#include <string.h>

#define ASK_MS_1           2000
#define ASK_MS_2           4000
#define CONNECT_MS         5000
#define NO_IXFR_MS         3600000 /* a primary that does not speak it is not asked again before that */
#define NO_IXFR_BRIEF_MS   300000
#define TO_DISK_OCTETS     (1u << 20) /* a zone from this size on is written before its commit */
#define IXFR_RECORDS_SPARE 64

const char *cmb_method_name(enum cmb_method m)
{
	static const char *const name[] = { "SOA", "IXFR", "AXFR" };

	return name[m];
}

static bool is_asking(const struct cmb_hosted *h)
{
	return h->refresh.state == CMB_RF_ASKING;
}

void cmb_fetch_say_failed(struct cmb_fetch *f, enum msp_err err, const struct msp_why *why)
{
	struct cmb_hosted *h = f->hosted;
	const char *detail = why != NULL && why->text[0] != '\0' ? why->text : msp_err_text(err);
	struct msp_why all;

	(void)msp_fail(&all, err, "%s from %s: %.180s", cmb_method_name(f->method), MSP_ADDR(&f->target->conf->addr),
		       detail);
	cmb_hosted_set_trouble(h, &all);
	h->app->stats.refresh_failures++;
	msp_log(h->app->log, MSP_LOG_WARNING, "refresh-failed", MSP_F_STR("zone", MSP_NAME(&h->name)),
		MSP_F_STR("what", cmb_method_name(f->method)), MSP_F_STR("primary", MSP_ADDR(&f->target->conf->addr)),
		MSP_F_STR("error", msp_err_name(err)), MSP_F_STR("why", detail));
}

/* Not the primary's fault: no other primary would help. */
static bool is_ours(enum msp_err err)
{
	return err == MSP_ENOSPACE || err == MSP_EIO || err == MSP_ENOMEM || err == MSP_ECORRUPT || err == MSP_EBUSY ||
	       err == MSP_ESTATE;
}

void cmb_fetch_fail(struct cmb_fetch *f, enum msp_err err, const struct msp_why *why)
{
	struct cmb_hosted *h = f->hosted;

	cmb_fetch_say_failed(f, err, why);
	if (err == MSP_ENOKEY)
		cmb_trust_doubt(h->app, f->target->tls);
	if (is_asking(h))
		cmb_upstream_step(h, CMB_REV_ASK_FAILED);
	else
		cmb_upstream_step(h, is_ours(err) ? CMB_REV_TAKE_FAILED : CMB_REV_FETCH_FAILED);
}

void cmb_fetch_end_turn(struct cmb_fetch *f, enum cmb_turn_outcome outcome)
{
	struct cmb_upstream *u = f->hosted->app->upstream;

	cmb_turns_end(&u->turns, &f->turn, outcome, msp_mono_now());
	if (outcome == CMB_TURN_SILENT)
		cmb_upstream_avoid(u, &f->target->conf->addr);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static const struct msp_tsig_key *key_of(const struct cmb_fetch *f)
{
	const struct cmb_target *t = f->target;

	return f->use_next && t->key_next != NULL ? t->key_next : t->key;
}

/* RFC 8945 5.2: BADKEY and BADSIG come with NOTAUTH. During a rollover the primary may be before us or behind us. */
static bool try_other_key(struct cmb_fetch *f, unsigned rcode)
{
	const struct cmb_target *t = f->target;

	if (rcode != MSP_RCODE_NOTAUTH || f->tried_other || t->key == NULL || t->key_next == NULL)
		return false;
	f->tried_other = true;
	f->use_next = !f->use_next;
	msp_log(f->hosted->app->log, MSP_LOG_INFO, "other-key", MSP_F_STR("zone", MSP_NAME(&f->hosted->name)),
		MSP_F_STR("primary", MSP_ADDR(&t->conf->addr)),
		MSP_F_STR("key", MSP_NAME(msp_tsig_key_name(key_of(f)))));
	return true;
}

/* Knot answers for its catalog zones over TCP only. */
static bool try_tcp(struct cmb_fetch *f, unsigned rcode)
{
	if (rcode != MSP_RCODE_REFUSED || f->by_tcp || f->target->tls != NULL)
		return false;
	f->by_tcp = true;
	return true;
}

static void remember_key(struct cmb_fetch *f)
{
	struct cmb_refresh *r = &f->hosted->refresh;
	uint16_t bit = cmb_fetch_bit(f->primary);

	if (f->use_next)
		r->key_next |= bit;
	else
		r->key_next &= (uint16_t)~bit;
}

/* --- what a primary has ------------------------------------------------------------------------------------------- */

/* Nothing newer there. */
static void up_to_date(struct cmb_fetch *f)
{
	struct cmb_hosted *h = f->hosted;

	remember_key(f);
	cmb_hosted_refreshed(h);
	cmb_upstream_step(h, is_asking(h) ? CMB_REV_SAME : CMB_REV_FETCHED);
}

/* The version that a guard has put aside for an operator, or that has been refused. */
static bool is_kept_back(const struct cmb_hosted *h, uint32_t serial)
{
	return (h->held != NULL && cmb_apex_serial(&h->held->owner->apex) == serial) ||
	       (h->has_refused && h->refused_serial == serial);
}

static bool is_ahead(const struct cmb_hosted *h, uint32_t serial)
{
	return !h->has_head || msp_serial_gt(serial, h->head.owner_serial);
}

/* --- SOA query ---------------------------------------------------------------------------------------------------- */

static enum msp_err find_soa(struct cmb_hosted *h, const struct msp_msg *m, uint32_t *serial, struct msp_why *why)
{
	struct msp_msg_it it;
	struct msp_rr rr;

	msp_msg_it_init(&it, m, MSP_SEC_ANSWER, &h->app->scratch);
	while (msp_msg_next(&it, &rr)) {
		if (rr.type != MSP_TYPE_SOA || rr.cls != MSP_CLASS_IN || !msp_name_equal(&rr.owner, &h->name))
			continue;
		*serial = msp_soa_serial(rr.rdata);
		return MSP_OK;
	}
	return msp_fail(why, MSP_EFORMAT, "no SOA in the answer");
}

static enum msp_err read_answer(struct cmb_fetch *f, struct msp_span answer, uint32_t *serial, unsigned *rcode,
				struct msp_why *why)
{
	struct msp_msg m;
	enum msp_err err = msp_msg_parse(answer, &f->hosted->app->scratch, &m, why);

	if (err != MSP_OK)
		return err;
	*rcode = m.rcode;
	/* Nothing but failure is taken from such an answer, so that its TSIG may be missing (RFC 8945 5.3). */
	if (m.rcode != MSP_RCODE_NOERROR)
		return msp_fail(why, MSP_ERCODE, "answered %s", msp_rcode_name(m.rcode));
	if (key_of(f) != NULL)
		err = msp_tsig_verify_response(&f->tsig, &m, true, msp_wall_now(), why);
	else if (m.tsig_at != 0)
		err = msp_fail(why, MSP_ENOKEY, "answer with a TSIG to a question without");
	return err == MSP_OK ? find_soa(f->hosted, &m, serial, why) : err;
}

static void asked(void *arg, enum msp_err err, struct msp_span answer)
{
	struct cmb_fetch *f = arg;
	struct cmb_hosted *h = f->hosted;
	struct msp_why why = { "" };
	unsigned rcode = MSP_RCODE_NOERROR;
	uint32_t serial = 0;

	f->ask = NULL;
	cmb_fetch_end_turn(f, err == MSP_OK ? CMB_TURN_ANSWERED : CMB_TURN_SILENT);
	if (err == MSP_OK)
		err = read_answer(f, answer, &serial, &rcode, &why);
	msp_tsig_ctx_fini(&f->tsig);
	memset(&f->tsig, 0, sizeof(f->tsig));
	if (err != MSP_OK && (try_other_key(f, rcode) || try_tcp(f, rcode))) {
		cmb_upstream_go_on(h, CMB_DO_ASK);
	} else if (err != MSP_OK) {
		cmb_fetch_fail(f, err, &why);
	} else if (!is_ahead(h, serial)) {
		up_to_date(f);
	} else {
		remember_key(f);
		cmb_upstream_step(h, is_kept_back(h, serial) ? CMB_REV_KEPT_BACK : CMB_REV_AHEAD);
	}
	cmb_upstream_pump(h->app->upstream);
}

enum msp_err cmb_fetch_ask(struct cmb_fetch *f)
{
	struct cmb_hosted *h = f->hosted;
	const struct cmb_conf_remote *to = f->target->conf;
	struct msp_xchg_params p = { .server = to->addr,
				     .source = to->source,
				     .transport = f->by_tcp ? MSP_TCP_ONLY : MSP_UDP_THEN_TCP,
				     .tls = f->target->tls,
				     .timeout_ms = { ASK_MS_1, ASK_MS_2 } };
	uint8_t mem[MSP_NAME_MAX + MSP_HEADER_LEN + 4 + MSP_TSIG_RR_MAX];
	struct msp_msgw w;
	struct msp_span query;
	enum msp_err err;
	size_t len;

	msp_msgw_init(&w, mem, sizeof(mem), msp_rand_u16(&h->app->rand), MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &h->name, MSP_TYPE_SOA, MSP_CLASS_IN);
	err = msp_msgw_finish(&w, &query);
	if (err != MSP_OK)
		return err;
	len = query.len;
	if (key_of(f) != NULL)
		err = msp_tsig_sign_request(key_of(f), msp_wall_now(), mem, &len, sizeof(mem), &f->tsig);
	if (err != MSP_OK)
		return err;
	p.message = msp_span(mem, len);
	err = msp_xchg_start(h->app->loop, &p, asked, f, &f->ask);
	if (err == MSP_OK)
		h->app->stats.soa_queries++;
	return err;
}

/* --- transfer ----------------------------------------------------------------------------------------------------- */

/* The intake becomes a candidate. */
static enum msp_err offer(struct cmb_fetch *f)
{
	struct cmb_hosted *h = f->hosted;
	struct cmb_intake *in = f->intake;
	struct cmb_candidate *c = msp_alloc(1, sizeof(*c));

	if (c == NULL)
		return MSP_ENOMEM;
	c->owner = in->owner;
	c->build = in->build;
	c->edit = in->edit;
	c->del = in->del;
	c->add = in->add;
	c->ttl_differs = in->ttl_differs;
	c->is_forced = h->refresh.is_forced;
	in->owner = NULL;
	in->build = NULL;
	in->edit = NULL;
	memset(&in->del, 0, sizeof(in->del));
	memset(&in->add, 0, sizeof(in->add));
	f->serial = in->serial;
	f->was_ixfr = c->edit != NULL;
	cmb_intake_close(&f->intake);
	remember_key(f);
	if (is_asking(h)) /* over TLS: the question brought the answer */
		(void)cmb_refresh_step(&h->refresh, CMB_REV_AHEAD, msp_mono_now(), &h->app->rand);
	f->is_offered = true;
	h->app->upstream->offered++;
	cmb_hosted_offer(h, &c);
	return MSP_OK;
}

/* An operator may have accepted another version while this one was on its way, or pages have turned out damaged. */
static bool is_base_gone(const struct cmb_hosted *h, const struct cmb_intake *in)
{
	return in->edit != NULL && (!h->has_head || h->is_damaged || h->head.gen != in->base->gen ||
				    h->head.owner_serial != cmb_apex_serial(&in->base->apex));
}

static enum msp_err take(struct cmb_fetch *f, const struct msp_xfr_result *r, struct msp_why *why)
{
	struct cmb_hosted *h = f->hosted;
	struct cmb_intake *in = f->intake;
	enum msp_err err;

	if (!in->has_begun)
		return msp_fail(why, MSP_EFORMAT, "the answer was no zone");
	if (h->is_committing) /* what this one is compared with, and applied to, is settled first */
		cmb_commits_flush(h->app);
	if (is_base_gone(h, in))
		return msp_fail(why, MSP_ENOTFOUND, "another version is held by now");
	if (h->refresh.is_held && !h->refresh.is_forced) {
		uint32_t serial = in->serial;

		if (!is_ahead(h, serial)) { /* as any secondary would: nothing new */
			cmb_intake_close(&f->intake);
			up_to_date(f);
			return MSP_OK;
		}
		if (is_kept_back(h, serial)) {
			cmb_intake_close(&f->intake);
			cmb_upstream_step(h, CMB_REV_KEPT_BACK);
			return MSP_OK;
		}
	}
	err = cmb_intake_finish(in, f->profile->needs_inspection || r->octets > TO_DISK_OCTETS);
	if (err != MSP_OK) {
		*why = in->why;
		return err;
	}
	if (r->out_of_zone > 0)
		msp_log(h->app->log, MSP_LOG_WARNING, "out-of-zone-dropped", MSP_F_STR("zone", MSP_NAME(&h->name)),
			MSP_F_U64("records", r->out_of_zone));
	return offer(f);
}

/* For how long this primary is not asked for differences; 0: only this time not. */
static int64_t no_ixfr_ms(enum msp_err err, unsigned rcode)
{
	if (err != MSP_ERCODE)
		return 0;
	return rcode == MSP_RCODE_SERVFAIL ? NO_IXFR_BRIEF_MS : NO_IXFR_MS;
}

static bool is_fallback(const struct cmb_fetch *f, const struct msp_xfr_result *r, enum msp_err err)
{
	if (f->method != CMB_BY_IXFR || f->is_whole || (f->intake != NULL && f->intake->is_final))
		return false;
	switch (err) {
	case MSP_ERCODE:
		return r->rcode == MSP_RCODE_NOTIMP || r->rcode == MSP_RCODE_FORMERR ||
		       r->rcode == MSP_RCODE_SERVFAIL || r->rcode == MSP_RCODE_REFUSED;
	case MSP_ECLOSED: /* some close on what they do not know */
		return r->messages == 0;
	case MSP_ENOTFOUND:
	case MSP_EEXIST:
	case MSP_EFORMAT:
	case MSP_ELIMIT:
	case MSP_EREFUSED:
	case MSP_EMISMATCH:
	case MSP_ECORRUPT:
		return true;
	default:
		return false;
	}
}

static void fall_back(struct cmb_fetch *f, enum msp_err err, unsigned rcode, const struct msp_why *why)
{
	struct cmb_hosted *h = f->hosted;
	struct cmb_refresh *r = &h->refresh;
	int64_t ms = no_ixfr_ms(err, rcode);
	bool is_known_ahead = f->intake != NULL && f->intake->has_begun;

	h->app->stats.ixfr_in_fallbacks++;
	msp_log(h->app->log, MSP_LOG_NOTICE, "ixfr-fallback", MSP_F_STR("zone", MSP_NAME(&h->name)),
		MSP_F_STR("primary", MSP_ADDR(&f->target->conf->addr)), MSP_F_STR("error", msp_err_name(err)),
		MSP_F_STR("why", why->text[0] != '\0' ? why->text : msp_err_text(err)));
	cmb_intake_close(&f->intake);
	f->is_whole = true;
	if (ms > 0) {
		if (msp_mono_reached(msp_mono_now(), r->no_ixfr_until))
			r->no_ixfr = 0;
		r->no_ixfr |= cmb_fetch_bit(f->primary);
		r->no_ixfr_until = msp_mono_add_ms(msp_mono_now(), ms);
	}
	if (!is_asking(h))
		cmb_upstream_go_on(h, CMB_DO_FETCH);
	else if (is_known_ahead)
		cmb_upstream_step(h, CMB_REV_AHEAD);
	else
		cmb_upstream_go_on(h, CMB_DO_ASK);
}

static void not_taken(struct cmb_fetch *f, const struct msp_xfr_result *r, enum msp_err err, const struct msp_why *why)
{
	struct cmb_hosted *h = f->hosted;
	unsigned rcode = err == MSP_ERCODE ? r->rcode : MSP_RCODE_NOERROR;

	if (try_other_key(f, rcode)) {
		cmb_intake_close(&f->intake);
		cmb_upstream_go_on(h, is_asking(h) ? CMB_DO_ASK : CMB_DO_FETCH);
	} else if (is_fallback(f, r, err)) {
		fall_back(f, err, rcode, why);
	} else {
		if (f->intake != NULL && f->intake->is_final)
			h->app->stats.refused_versions++;
		cmb_intake_close(&f->intake);
		cmb_fetch_fail(f, err, why);
	}
}

static enum cmb_turn_outcome heard(const struct msp_xfr_result *r)
{
	bool is_dead = r->err == MSP_ETIMEOUT || r->err == MSP_ENET || r->err == MSP_ECLOSED;

	return is_dead && r->messages == 0 ? CMB_TURN_SILENT : CMB_TURN_ANSWERED;
}

static void fetched(void *arg, const struct msp_xfr_result *r)
{
	struct cmb_fetch *f = arg;
	struct cmb_app *app = f->hosted->app;
	struct msp_why why = r->why;
	enum msp_err err = r->err;

	f->xfr = NULL;
	f->records = r->records;
	f->octets = r->octets;
	app->stats.records_in += r->records;
	app->stats.octets_in += r->octets;
	cmb_fetch_end_turn(f, heard(r));
	if (err == MSP_OK && r->state == MSP_XFRIN_UP_TO_DATE) {
		cmb_intake_close(&f->intake);
		up_to_date(f);
	} else {
		if (err == MSP_OK)
			err = take(f, r, &why);
		else if (f->intake->why.text[0] != '\0')
			why = f->intake->why; /* our reason to stop it */
		if (err != MSP_OK)
			not_taken(f, r, err, &why);
	}
	cmb_upstream_pump(app->upstream);
}

/* Differences apply to what is held, when that can be had and its records can be found. */
static const struct cmb_owner *held_for_ixfr(struct cmb_hosted *h)
{
	struct cmb_zone *z = cmb_hosted_zone(h);

	if (z == NULL || z->owner == NULL || z->owner->layout.is_unordered || cmb_rrset_empty(z->owner->apex.soa))
		return NULL;
	return z->owner;
}

static void set_limits(const struct cmb_conf_settings *set, bool is_ixfr, struct msp_xfr_params *p,
		       struct cmb_guard_limits *g)
{
	g->records = (uint64_t)set->max_records;
	g->names = (uint64_t)set->max_names;
	g->rrset_octets = set->max_rrset;
	g->shrink_percent = (unsigned)set->max_shrink;
	/* Differences name a record at most twice for each version; what they come to is looked at in the end. */
	p->limits.records = is_ixfr && g->records != 0 ? 2 * g->records + IXFR_RECORDS_SPARE : g->records;
	if (p->limits.records != 0)
		p->limits.records += 2; /* the framing SOAs */
	p->limits.octets = set->max_octets;
	p->connect_timeout_ms = CONNECT_MS;
	p->idle_timeout_ms = set->transfer_idle_s * 1000;
	p->total_timeout_ms = set->transfer_max_s * 1000;
}

enum msp_err cmb_fetch_transfer(struct cmb_fetch *f)
{
	struct cmb_hosted *h = f->hosted;
	const struct cmb_conf_remote *to = f->target->conf;
	const struct cmb_owner *base = f->method == CMB_BY_IXFR ? held_for_ixfr(h) : NULL;
	struct msp_xfr_params p = { .server = to->addr, .source = to->source, .zone = h->name };
	const struct msp_numbers *numbers = &cmb_settings_conf(f->settings)->numbers;
	struct cmb_guard_limits guard;
	struct msp_rr soa;
	enum msp_err err;

	if (f->method == CMB_BY_IXFR && base == NULL) {
		if (is_asking(h)) {
			f->method = CMB_BY_SOA;
			return cmb_fetch_ask(f);
		}
		f->method = CMB_BY_AXFR;
	}
	p.kind = base != NULL ? MSP_XFR_IXFR : MSP_XFR_AXFR;
	if (base != NULL) {
		soa = (struct msp_rr){ .owner = h->name,
				       .type = MSP_TYPE_SOA,
				       .cls = MSP_CLASS_IN,
				       .ttl = base->apex.soa->ttl,
				       .rdata = base->apex.soa->rdata[0] };
		p.have_soa = &soa;
	}
	p.tls = f->target->tls;
	p.pool = h->app->upstream->pool;
	p.tsig = key_of(f);
	set_limits(f->profile->conf, base != NULL, &p, &guard);
	err = cmb_intake_open(h->app->pages, &h->name, numbers, &guard, base, &f->intake);
	if (err == MSP_OK)
		err = msp_xfr_start(h->app->loop, &p, &cmb_intake_ops, f->intake, fetched, f, &f->xfr);
	if (err != MSP_OK)
		cmb_intake_close(&f->intake);
	return err;
}
