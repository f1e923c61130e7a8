/* SPDX-License-Identifier: BSD-2-Clause */
/* What is published for each parent, and the two ways of doing it here: UPDATE into the parent zone, hidden primary. */
#include "publish_priv.h"

#include <msproto/auth/digest.h>
#include <msproto/base/mem.h>
#include <msproto/io/xchg.h>
#include <msproto/msg/edns.h>
#include <msproto/msg/notify.h>
#include <msproto/msg/update.h>
#include <msproto/wire/rdata.h>
#include <msproto/zone/serial.h>

#include <stdio.h>
#include <string.h>

#define RETRY_FIRST_MS  2000
#define RETRY_MAX_MS    600000
#define AGAIN_MS        3600000 /* somebody may have taken the records out of the parent zone */
#define ANSWER_MS       10000
#define AGAIN_FAILED_MS 10000
#define NOTIFY_TRIES    5
#define REFRESH_S       300
#define RETRY_S         60
#define EXPIRE_S        1209600
#define META_MAX        64
#define CONTENT_MAX     (64u << 10)

/* --- what ----------------------------------------------------------------------------------------------------------
 */

/* Methods that a child may be told of: those that the policy has open, strongest first. */
static void bootstrap_text(const struct prt_app *app, const struct prt_conf_parent *p, char *out, size_t len)
{
	static const struct {
		enum prt_method method;
		const char *token;
	} tokens[] = { { PRT_METHOD_APEX, "at-apex" },
		       { PRT_METHOD_NS, "at-ns" },
		       { PRT_METHOD_UNSIGNED, "unsigned" },
		       { PRT_METHOD_MANUAL, "manual" } };
	const struct prt_rules *r = prt_settings_rules(app->settings, p, &p->zone);
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < p->publish.bootstrap.count && at < len; i++)
		at += (size_t)snprintf(out + at, len - at, "%s%s", at > 0 ? "," : "", p->publish.bootstrap.item[i]);
	for (size_t i = 0; p->publish.bootstrap.count == 0 && i < sizeof(tokens) / sizeof(tokens[0]) && at < len; i++)
		if ((r->policy.methods & 1u << tokens[i].method) != 0)
			at += (size_t)snprintf(out + at, len - at, "%s%s", at > 0 ? "," : "", tokens[i].token);
}

enum msp_err prt_publisher_records(struct prt_app *app, const struct prt_conf_parent *parent, struct prt_records *out)
{
	const struct msp_conf_listen *listen = app->conf->listen.item;
	struct msp_span key[PRT_KEYS_OWN_MAX];
	char bootstrap[128];
	struct prt_records_in in = { .parent = &parent->zone,
				     .target = &app->conf->target,
				     .key = key,
				     .key_count = prt_settings_key_count(app->settings),
				     .bootstrap = bootstrap,
				     .port = msp_conf_listen_addr(&listen[0]).port,
				     .ttl = parent->publish.ttl_s,
				     .update = parent->publish.update,
				     .cds = parent->publish.cds,
				     .csync = parent->publish.csync,
				     .wildcard = parent->publish.wildcard,
				     .plain = parent->publish.plain,
				     .numbers = &app->conf->numbers };
	enum msp_err err = MSP_OK;

	bootstrap_text(app, parent, bootstrap, sizeof(bootstrap));
	for (size_t i = 0; i < in.key_count; i++)
		key[i] = msp_key_rdata(prt_settings_key(app->settings, i));
	for (; err == MSP_OK && in.address_count < parent->publish.address.count; in.address_count++)
		err = msp_addr_parse(parent->publish.address.item[in.address_count], 0, &in.address[in.address_count]);
	return err == MSP_OK ? prt_records_make(&in, out) : err;
}

/* --- UPDATE into the parent zone ---------------------------------------------------------------------------------- */

static void later(struct prt_publish_job *j, bool is_ok)
{
	if (is_ok) {
		j->pause_ms = RETRY_FIRST_MS;
		msp_timer_start(j->timer, AGAIN_MS);
		return;
	}
	msp_timer_start(j->timer, j->pause_ms);
	j->pause_ms = j->pause_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : j->pause_ms * 2;
}

static void updated(void *arg, enum msp_err err, struct msp_span answer)
{
	struct prt_publish_job *j = arg;
	struct msp_why why = { "" };

	j->xchg = NULL;
	err = msp_tsig_conclude(&j->ctx, err, answer, &j->publisher->scratch, msp_wall_now(), &why);
	if (err != MSP_OK)
		msp_log(j->app->log, MSP_LOG_WARNING, "publish-failed", MSP_F_STR("parent", MSP_NAME(&j->parent->zone)),
			MSP_F_STR("error", msp_err_text(err)), MSP_F_STR("why", why.text));
	else
		msp_log(j->app->log, MSP_LOG_INFO, "published", MSP_F_STR("parent", MSP_NAME(&j->parent->zone)));
	later(j, err == MSP_OK);
}

/* Each RRset is put in place of what is there; what lies outside of the parent zone is somebody else's to publish. */
static enum msp_err build_update(struct prt_publish_job *j, const struct msp_tsig_key *tsig, size_t *len)
{
	struct msp_msgw w;
	struct msp_span s;
	enum msp_err err;

	msp_updw_init(&w, j->publisher->message, sizeof(j->publisher->message), msp_rand_u16(&j->app->rand),
		      &j->parent->zone);
	for (size_t i = 0; i < j->records.count; i++) {
		const struct msp_rrset *set = j->records.set[i];

		if (!msp_name_is_under(&set->owner, &j->parent->zone))
			continue;
		msp_updw_del_rrset(&w, &set->owner, set->type);
		for (size_t k = 0; k < set->count; k++)
			msp_updw_add(&w, &set->owner, set->type, set->ttl, set->rdata[k]);
	}
	err = msp_msgw_finish(&w, &s);
	*len = s.len;
	return err == MSP_OK ? msp_tsig_sign_request(tsig, msp_wall_now(), j->publisher->message, len,
						     sizeof(j->publisher->message), &j->ctx)
			     : err;
}

static const struct prt_conf_backend *update_backend(const struct prt_conf_parent *p)
{
	const struct prt_conf_backend *b = p->backends.item;

	for (size_t i = 0; i < p->backends.count; i++)
		if (b[i].kind == PRT_BACKEND_UPDATE)
			return &b[i];
	return NULL;
}

static void send_update(struct prt_publish_job *j)
{
	const struct prt_conf_backend *b = update_backend(j->parent);
	const struct msp_tsig_key *tsig = prt_settings_tsig_named(j->app->settings, &b->tsig_key);
	struct msp_xchg_params p = { .server = b->addr, .transport = MSP_TCP_ONLY, .timeout_ms = { ANSWER_MS } };
	size_t len = 0;
	enum msp_err err = build_update(j, tsig, &len);

	p.message = msp_span(j->publisher->message, len);
	if (err == MSP_OK)
		err = msp_xchg_start(j->app->loop, &p, updated, j, &j->xchg);
	if (err != MSP_OK) {
		msp_tsig_ctx_fini(&j->ctx);
		later(j, false);
	}
}

/* --- hidden primary ----------------------------------------------------------------------------------------------- */

static enum msp_err add_record(struct msp_rrset **set, const struct msp_name *owner, uint16_t type, uint32_t ttl,
			       struct msp_span rdata)
{
	enum msp_err err = *set == NULL ? msp_rrset_new(owner, type, ttl, set) : MSP_OK;

	return err == MSP_OK ? msp_rrset_add(*set, rdata) : err;
}

static enum msp_err make_soa(struct prt_publish_job *j, const struct msp_name *mname)
{
	struct msp_soa soa = { .mname = *mname,
			       .serial = j->serial,
			       .refresh_s = REFRESH_S,
			       .retry_s = RETRY_S,
			       .expire_s = EXPIRE_S,
			       .minimum_s = j->parent->publish.ttl_s };
	uint8_t mem[2 * MSP_NAME_MAX + 20];
	struct msp_wr wr;
	enum msp_err err = msp_name_prepend("hostmaster", &j->parent->zone, &soa.rname);

	msp_rrset_free(&j->soa);
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_soa_write(&wr, &soa);
	if (err == MSP_OK)
		err = wr.err;
	return err == MSP_OK ? add_record(&j->soa, &j->apex, MSP_TYPE_SOA, j->parent->publish.ttl_s, msp_wr_span(&wr))
			     : err;
}

static enum msp_err content_digest(const struct prt_publish_job *j, uint8_t out[32])
{
	struct msp_buf b;
	struct msp_span s;
	enum msp_err err;

	msp_buf_init(&b, CONTENT_MAX);
	err = msp_rrset_write(j->ns, &b);
	if (err == MSP_OK)
		err = prt_records_write(&j->records, &b);
	s = msp_buf_span(&b);
	if (err == MSP_OK)
		err = msp_sha256(&s, 1, out);
	msp_buf_fini(&b);
	return err;
}

/* {serial (4), digest (32)}: a new content gets the next serial before anybody sees it. */
static enum msp_err settle_serial(struct prt_publish_job *j)
{
	uint8_t digest[32], row[36];
	char key[sizeof(struct msp_name_text) + META_MAX];
	struct msp_buf old;
	struct msp_wr wr;
	enum msp_err err = content_digest(j, digest);

	(void)snprintf(key, sizeof(key), "publish:%s", MSP_NAME(&j->parent->zone));
	msp_buf_init(&old, sizeof(row));
	if (err == MSP_OK)
		err = prt_books_meta_get(j->app->books, key, &old);
	if (err == MSP_OK && old.len == sizeof(row)) {
		struct msp_rd rd;

		msp_rd_init(&rd, msp_buf_span(&old));
		j->serial = msp_rd_u32(&rd);
		if (!msp_span_equal(msp_rd_rest(&rd), msp_span(digest, sizeof(digest))))
			j->serial = msp_serial_next(j->serial);
	} else if (err == MSP_ENOTFOUND || err == MSP_OK) {
		j->serial = (uint32_t)msp_wall_now().s; /* the state is new or was lost: ahead of what was given out */
		err = MSP_OK;
	}
	msp_wr_init(&wr, row, sizeof(row));
	msp_wr_u32(&wr, j->serial);
	msp_wr_octets(&wr, msp_span(digest, sizeof(digest)));
	if (err == MSP_OK)
		err = prt_books_meta_put(j->app->books, key, msp_wr_span(&wr));
	msp_buf_fini(&old);
	return err;
}

static enum msp_err make_zone(struct prt_publish_job *j)
{
	const struct prt_conf_publish *p = &j->parent->publish;
	struct msp_name mname, ns;
	enum msp_err err = msp_name_from_text(p->ns.item[0], &mname);

	for (size_t i = 0; err == MSP_OK && i < p->ns.count; i++) {
		err = msp_name_from_text(p->ns.item[i], &ns);
		if (err == MSP_OK)
			err = add_record(&j->ns, &j->apex, MSP_TYPE_NS, p->ttl_s, msp_name_span(&ns));
	}
	if (err == MSP_OK)
		err = settle_serial(j);
	return err == MSP_OK ? make_soa(j, &mname) : err;
}

static void notify(void *arg);

static void notified(void *arg, enum msp_err err, struct msp_span answer)
{
	struct prt_publish_down *d = arg;
	struct msp_why why = { "" };

	d->xchg = NULL;
	err = msp_tsig_conclude(&d->ctx, err, answer, &d->job->publisher->scratch, msp_wall_now(), &why);
	if (err == MSP_OK)
		return;
	msp_log(d->job->app->log, MSP_LOG_INFO, "publish-notify-failed", MSP_F_STR("to", MSP_ADDR(&d->remote.addr)),
		MSP_F_STR("error", msp_err_text(err)), MSP_F_STR("why", why.text));
	if (++d->tries < NOTIFY_TRIES)
		msp_timer_start(d->timer, (uint64_t)RETRY_FIRST_MS << d->tries);
}

static void notify(void *arg)
{
	struct prt_publish_down *d = arg;
	struct prt_publish_job *j = d->job;
	struct msp_xchg_params p = { .server = d->remote.addr, .transport = MSP_UDP_THEN_TCP, .timeout_ms = { 5000 } };
	const struct msp_tsig_key *tsig = prt_settings_tsig_named(j->app->settings, &d->remote.tsig_key);
	uint8_t mem[1500];
	struct msp_msgw w;
	struct msp_span s;
	enum msp_err err;
	size_t len;

	if (d->xchg != NULL)
		return;
	msp_notifyw_init(&w, mem, sizeof(mem), msp_rand_u16(&j->app->rand), &j->apex, MSP_TYPE_SOA, NULL);
	err = msp_msgw_finish(&w, &s);
	len = s.len;
	if (err == MSP_OK)
		err = msp_tsig_sign_request(tsig, msp_wall_now(), mem, &len, sizeof(mem), &d->ctx);
	p.message = msp_span(mem, len);
	if (err == MSP_OK)
		err = msp_xchg_start(j->app->loop, &p, notified, d, &d->xchg);
	if (err != MSP_OK && ++d->tries < NOTIFY_TRIES)
		msp_timer_start(d->timer, RETRY_FIRST_MS);
}

static enum msp_err open_downs(struct prt_publish_job *j)
{
	const struct prt_conf_publish *p = &j->parent->publish;
	const struct prt_conf_remote *remotes = p->downstreams.item;
	enum msp_err err = MSP_OK;

	j->down = p->downstreams.count > 0 ? msp_alloc(p->downstreams.count, sizeof(*j->down)) : NULL;
	if (p->downstreams.count > 0 && j->down == NULL)
		return MSP_ENOMEM;
	for (; err == MSP_OK && j->down_count < p->downstreams.count; j->down_count++) {
		struct prt_publish_down *d = &j->down[j->down_count];

		d->job = j;
		d->remote = remotes[j->down_count];
		err = msp_timer_new(j->app->loop, notify, d, &d->timer);
		if (err != MSP_OK)
			break;
		msp_timer_start(d->timer, 0);
	}
	return err;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void due(void *arg)
{
	struct prt_publish_job *j = arg;

	if (j->xchg == NULL)
		send_update(j);
}

static void job_fini(struct prt_publish_job *j)
{
	if (j->xchg != NULL)
		msp_xchg_cancel(&j->xchg);
	if (j->timer != NULL)
		msp_timer_close(&j->timer);
	msp_tsig_ctx_fini(&j->ctx);
	for (size_t i = 0; i < j->down_count; i++) {
		if (j->down[i].xchg != NULL)
			msp_xchg_cancel(&j->down[i].xchg);
		msp_timer_close(&j->down[i].timer);
		msp_tsig_ctx_fini(&j->down[i].ctx);
	}
	msp_free(j->down);
	msp_rrset_free(&j->soa);
	msp_rrset_free(&j->ns);
	prt_records_fini(&j->records);
}

static enum msp_err job_init(struct prt_publisher *p, struct prt_publish_job *j, const struct prt_conf_parent *parent)
{
	struct prt_app *app = p->app;
	enum msp_err err;

	j->publisher = p;
	j->app = app;
	j->parent = parent;
	j->pause_ms = RETRY_FIRST_MS;
	err = msp_name_prepend("_dsync", &parent->zone, &j->apex);
	if (err == MSP_OK)
		err = prt_publisher_records(app, parent, &j->records);
	if (err == MSP_OK && parent->publish.how == PRT_PUBLISH_PRIMARY) {
		err = make_zone(j);
		return err == MSP_OK ? open_downs(j) : err;
	}
	if (err == MSP_OK && parent->publish.how == PRT_PUBLISH_UPDATE) {
		err = msp_timer_new(app->loop, due, j, &j->timer);
		if (err == MSP_OK)
			msp_timer_start(j->timer, 0);
	}
	return err;
}

static enum msp_err open_jobs(struct prt_publisher *p)
{
	size_t count = p->app->conf->parents.count;
	enum msp_err err = MSP_OK;

	p->job = msp_alloc(count, sizeof(*p->job));
	if (p->job == NULL)
		return MSP_ENOMEM;
	p->settings = prt_settings_ref(p->app->settings);
	for (size_t i = 0; i < count; i++) { /* one that fails is no reason for the others to be without */
		enum msp_err own = job_init(p, &p->job[i], prt_conf_parent_at(p->app->conf, i));

		p->count = i + 1;
		err = err == MSP_OK ? own : err;
	}
	return err;
}

static void close_jobs(struct prt_publisher *p)
{
	for (size_t i = 0; i < p->count; i++)
		job_fini(&p->job[i]);
	msp_free(p->job);
	p->job = NULL;
	p->count = 0;
	prt_settings_unref(&p->settings);
}

static void renew(void *arg)
{
	prt_publisher_renew(arg);
}

enum msp_err prt_publisher_open(struct prt_app *app, struct prt_publisher **out)
{
	struct prt_publisher *p = msp_alloc(1, sizeof(*p));
	enum msp_err err;

	*out = p;
	if (p == NULL)
		return MSP_ENOMEM;
	p->app = app;
	err = msp_timer_new(app->loop, renew, p, &p->again);
	if (err == MSP_OK)
		err = open_jobs(p);
	if (err != MSP_OK)
		prt_publisher_close(out);
	return err;
}

void prt_publisher_renew(struct prt_publisher *p)
{
	enum msp_err err;

	close_jobs(p);
	err = open_jobs(p);
	if (err == MSP_OK)
		return;
	msp_log(p->app->log, MSP_LOG_ERROR, "publish-failed", MSP_F_STR("error", msp_err_text(err)));
	msp_timer_start(p->again, AGAIN_FAILED_MS); /* the store is away, perhaps */
}

void prt_publisher_close(struct prt_publisher **out)
{
	struct prt_publisher *p = *out;

	*out = NULL;
	if (p == NULL)
		return;
	close_jobs(p);
	if (p->again != NULL)
		msp_timer_close(&p->again);
	msp_free(p);
}
