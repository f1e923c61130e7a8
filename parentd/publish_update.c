/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records in the parent zone by UPDATE. What is put there is written into the books before: so what is not wanted any
 * more can be taken out one day, and nothing else is. The name of the target is ours, with all that is published there;
 * at the names below _dsync others may have records, too.
 */
#include "publish_priv.h"

#include "work.h"

#include <msproto/base/mem.h>
#include <msproto/io/xchg.h>
#include <msproto/msg/update.h>

#include <stdio.h>
#include <string.h>

#define RETRY_FIRST_MS 2000
#define RETRY_MAX_MS   600000
#define AGAIN_MS       3600000 /* somebody may have taken the records out of the parent zone */
#define ANSWER_MS      10000
#define MEMORY_MAX     (1u << 20)
#define KEY_PREFIX     "published:"
#define PART_MIN       16384 /* octets: an UPDATE that has so many takes no more RRsets; there may be another one */

static struct prt_app *app_of(const struct prt_publish_job *j)
{
	return j->set->publisher->app;
}

static void log_error(const struct prt_publish_job *j, enum msp_err err, const char *why)
{
	msp_log(app_of(j)->log, MSP_LOG_WARNING, "publish-failed", MSP_F_STR("parent", MSP_NAME(&j->parent->zone)),
		MSP_F_STR("error", msp_err_text(err)), MSP_F_STR("why", why));
}

/* The round is over. What is wanted is looked after for ever, what was to be taken out is gone. */
static void rest(struct prt_publish_job *j, bool is_ok)
{
	j->step = PRT_PUBLISH_RESTS;
	if (!is_ok) {
		msp_timer_start(j->timer, j->pause_ms);
		j->pause_ms = j->pause_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : j->pause_ms * 2;
		return;
	}
	j->pause_ms = RETRY_FIRST_MS;
	if (j->wanted.count > 0)
		msp_timer_start(j->timer, AGAIN_MS);
}

/* --- the memory: in a worker -------------------------------------------------------------------------------------- */

struct memory {
	char key[sizeof(KEY_PREFIX) + sizeof(struct msp_name_text)];
	struct msp_buf before, after;
	struct prt_records records;
};

static void memory_fini(struct memory *m)
{
	prt_records_fini(&m->records);
	msp_buf_fini(&m->before);
	msp_buf_fini(&m->after);
}

static enum msp_err memory_load(struct prt_publish_job *j, struct memory *m)
{
	enum msp_err err;

	(void)snprintf(m->key, sizeof(m->key), KEY_PREFIX "%s", MSP_NAME(&j->parent->zone));
	m->records = (struct prt_records){ .set = NULL };
	msp_buf_init(&m->before, MEMORY_MAX);
	msp_buf_init(&m->after, MEMORY_MAX);
	err = prt_books_meta_get(app_of(j)->books, m->key, &m->before);
	if (err == MSP_OK || err == MSP_ENOTFOUND)
		err = prt_records_read(msp_buf_span(&m->before), &m->records);
	return err;
}

static enum msp_err memory_save(struct prt_publish_job *j, struct memory *m)
{
	enum msp_err err = prt_records_write(&m->records, &m->after);

	if (err != MSP_OK || msp_span_equal(msp_buf_span(&m->before), msp_buf_span(&m->after)))
		return err;
	return prt_books_meta_put(app_of(j)->books, m->key, msp_buf_span(&m->after));
}

/* Other processes at the same books may have another configuration: theirs is remembered beside ours. */
static enum msp_err remember(struct prt_publish_job *j)
{
	struct memory m;
	enum msp_err err = memory_load(j, &m);

	prt_records_fini(&j->stale);
	if (err == MSP_OK)
		err = prt_records_read(msp_buf_span(&m.before), &j->stale);
	if (err == MSP_OK)
		prt_records_subtract(&j->stale, &j->wanted);
	if (err == MSP_OK)
		err = prt_records_merge(&m.records, &j->wanted);
	if (err == MSP_OK)
		err = memory_save(j, &m);
	memory_fini(&m);
	return err;
}

static enum msp_err forget(struct prt_publish_job *j)
{
	struct memory m;
	enum msp_err err = memory_load(j, &m);

	if (err == MSP_OK) {
		prt_records_subtract(&m.records, &j->stale);
		err = memory_save(j, &m);
	}
	memory_fini(&m);
	return err;
}

static void in_pool(void *arg)
{
	struct prt_publisher *p = arg;
	enum msp_err err = MSP_OK; /* a store that is away is not asked for each parent */

	for (size_t i = 0; i < p->now->count; i++) {
		struct prt_publish_job *j = &p->now->job[i];

		if (!j->is_at_work)
			continue;
		if (err == MSP_OK)
			err = j->step == PRT_PUBLISH_REMEMBERS ? remember(j) : forget(j);
		j->err = err;
	}
}

/* --- UPDATE ------------------------------------------------------------------------------------------------------- */

static const struct prt_conf_backend *update_backend(const struct prt_conf_parent *p)
{
	const struct prt_conf_backend *b = p->backends.item;

	for (size_t i = 0; i < p->backends.count; i++)
		if (b[i].kind == PRT_BACKEND_UPDATE)
			return &b[i];
	return NULL;
}

/* With all that may be left there of a time that nobody remembers. */
static bool is_all_ours(const struct prt_publish_job *j, const struct msp_rrset *set)
{
	return msp_name_equal(&set->owner, &prt_settings_conf(j->set->settings)->target);
}

static void take_out(struct msp_msgw *w, const struct msp_rrset *set)
{
	for (size_t k = 0; k < set->count; k++)
		msp_updw_del_rr(w, &set->owner, set->type, set->rdata[k]);
}

/* What is there already goes before it comes again: some servers keep the old TTL else. */
static void put_in(struct msp_msgw *w, const struct msp_rrset *set, bool is_ours)
{
	if (is_ours)
		msp_updw_del_rrset(w, &set->owner, set->type);
	else
		take_out(w, set);
	for (size_t k = 0; k < set->count; k++)
		msp_updw_add(w, &set->owner, set->type, set->ttl, set->rdata[k]);
}

/* The next part: RRsets are whole in it. What is new is there before what is old goes. */
static enum msp_err build(struct prt_publish_job *j, const struct msp_tsig_key *tsig, size_t *len)
{
	struct prt_publisher *p = j->set->publisher;
	struct msp_msgw w;
	struct msp_span s;
	enum msp_err err;

	msp_updw_init(&w, p->message, sizeof(p->message), msp_rand_u16(&p->app->rand), &j->parent->zone);
	for (; j->sent < j->wanted.count + j->stale.count && w.wr.pos < PART_MIN; j->sent++) {
		if (j->sent < j->wanted.count)
			put_in(&w, j->wanted.set[j->sent], is_all_ours(j, j->wanted.set[j->sent]));
		else
			take_out(&w, j->stale.set[j->sent - j->wanted.count]);
	}
	err = msp_msgw_finish(&w, &s);
	*len = s.len;
	return err == MSP_OK ? msp_tsig_sign_request(tsig, msp_wall_now(), p->message, len, sizeof(p->message), &j->ctx)
			     : err;
}

static void updated(void *arg, enum msp_err err, struct msp_span answer);

static enum msp_err send_part(struct prt_publish_job *j)
{
	const struct prt_conf_backend *b = update_backend(j->parent);
	const struct msp_tsig_key *tsig = prt_settings_tsig_named(j->set->settings, &b->tsig_key);
	struct msp_xchg_params p = { .server = b->addr, .transport = MSP_TCP_ONLY, .timeout_ms = { ANSWER_MS } };
	size_t len = 0;
	enum msp_err err = build(j, tsig, &len);

	p.message = msp_span(j->set->publisher->message, len);
	if (err == MSP_OK)
		err = msp_xchg_start(app_of(j)->loop, &p, updated, j, &j->xchg);
	if (err != MSP_OK)
		msp_tsig_ctx_fini(&j->ctx);
	return err;
}

/* All parts are there. */
static void sent(struct prt_publish_job *j)
{
	msp_log(app_of(j)->log, MSP_LOG_INFO, "published", MSP_F_STR("parent", MSP_NAME(&j->parent->zone)),
		MSP_F_U64("rrsets", j->wanted.count), MSP_F_U64("taken-out", j->stale.count));
	if (j->stale.count == 0) {
		rest(j, true);
		return;
	}
	j->step = PRT_PUBLISH_FORGETS;
	prt_publish_pump(j->set->publisher);
}

static void updated(void *arg, enum msp_err err, struct msp_span answer)
{
	struct prt_publish_job *j = arg;
	struct msp_why why = { "" };

	j->xchg = NULL;
	err = msp_tsig_conclude(&j->ctx, err, answer, &j->set->publisher->scratch, msp_wall_now(), &why);
	if (err == MSP_OK && j->sent == j->wanted.count + j->stale.count) {
		sent(j);
		return;
	}
	if (err == MSP_OK)
		err = send_part(j);
	if (err != MSP_OK) {
		log_error(j, err, why.text);
		rest(j, false);
	}
}

static void remembered(struct prt_publish_job *j)
{
	enum msp_err err = MSP_OK;

	j->step = PRT_PUBLISH_SENDS;
	j->sent = 0;
	if (j->wanted.count == 0 && j->stale.count == 0) {
		rest(j, true);
	} else if (update_backend(j->parent) == NULL) { /* nothing is wanted then, see conf.c */
		log_error(j, MSP_ECONF,
			  "records that were published by UPDATE stay: there is no such backend any more");
		rest(j, true);
	} else {
		err = send_part(j);
	}
	if (err != MSP_OK) {
		log_error(j, err, "");
		rest(j, false);
	}
}

/* --- rounds ------------------------------------------------------------------------------------------------------- */

static void worked(void *arg)
{
	struct prt_publisher *p = arg;

	for (size_t i = 0; i < p->now->count; i++) {
		struct prt_publish_job *j = &p->now->job[i];

		if (!j->is_at_work)
			continue;
		j->is_at_work = false;
		if (j->err != MSP_OK) {
			log_error(j, j->err, "the books do not say what was published before");
			rest(j, false);
		} else if (j->step == PRT_PUBLISH_REMEMBERS) {
			remembered(j);
		} else {
			rest(j, true);
		}
	}
	prt_publish_pump(p);
}

void prt_publish_update_pump(struct prt_publisher *p)
{
	bool any = false;

	for (size_t i = 0; i < p->now->count; i++) {
		struct prt_publish_job *j = &p->now->job[i];

		j->is_at_work = j->step == PRT_PUBLISH_REMEMBERS || j->step == PRT_PUBLISH_FORGETS;
		any |= j->is_at_work;
	}
	if (!any || prt_work_start(p->app->loop, in_pool, worked, p, &p->work) == MSP_OK)
		return;
	for (size_t i = 0; i < p->now->count; i++)
		if (p->now->job[i].is_at_work) {
			p->now->job[i].is_at_work = false;
			rest(&p->now->job[i], false);
		}
}

static void due(void *arg)
{
	struct prt_publish_job *j = arg;

	if (j->step != PRT_PUBLISH_RESTS)
		return;
	j->step = PRT_PUBLISH_REMEMBERS;
	prt_publish_pump(j->set->publisher);
}

enum msp_err prt_publish_update_init(struct prt_publish_job *j)
{
	enum msp_err err = prt_records_read(msp_span(NULL, 0), &j->wanted);

	j->pause_ms = RETRY_FIRST_MS;
	for (size_t i = 0; err == MSP_OK && i < j->records.count; i++) {
		struct prt_records one = { .set = &j->records.set[i], .count = 1 };

		if (j->parent->publish.how == PRT_PUBLISH_UPDATE &&
		    prt_publisher_reaches(j->parent, &j->records.set[i]->owner))
			err = prt_records_merge(&j->wanted, &one);
	}
	return err;
}

enum msp_err prt_publish_update_start(struct prt_publish_job *j)
{
	enum msp_err err = msp_timer_new(app_of(j)->loop, due, j, &j->timer);

	if (err == MSP_OK)
		msp_timer_start(j->timer, 0);
	return err;
}

void prt_publish_update_fini(struct prt_publish_job *j)
{
	if (j->xchg != NULL)
		msp_xchg_cancel(&j->xchg);
	if (j->timer != NULL)
		msp_timer_close(&j->timer);
	msp_tsig_ctx_fini(&j->ctx);
	prt_records_fini(&j->wanted);
	prt_records_fini(&j->stale);
}
