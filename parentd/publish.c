/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is published for each parent, and one way of doing it: as hidden primary. A new configuration is made ready
 * beside the old one, which goes on until the books have told what is to be known of before: they may take their time.
 */
#include "publish_priv.h"

#include "work.h"

#include <msproto/auth/digest.h>
#include <msproto/base/mem.h>
#include <msproto/io/xchg.h>
#include <msproto/msg/edns.h>
#include <msproto/msg/notify.h>
#include <msproto/wire/rdata.h>
#include <msproto/zone/serial.h>

#include <stdio.h>
#include <string.h>

#define RETRY_FIRST_MS  2000
#define AGAIN_FAILED_MS 10000
#define NOTIFY_TRIES    5
#define REFRESH_S       300
#define RETRY_S         60
#define EXPIRE_S        1209600
#define META_MAX        64
#define CONTENT_MAX     (2u << 20)
#define NAMES_MAX       4096

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

	in.child = prt_settings_dsync(app->settings, parent, &in.child_count);
	bootstrap_text(app, parent, bootstrap, sizeof(bootstrap));
	for (size_t i = 0; i < in.key_count; i++)
		key[i] = msp_key_rdata(prt_settings_key(app->settings, i));
	for (; err == MSP_OK && in.address_count < parent->publish.address.count; in.address_count++)
		err = msp_addr_parse(parent->publish.address.item[in.address_count], 0, &in.address[in.address_count]);
	return err == MSP_OK ? prt_records_make(&in, out) : err;
}

bool prt_publisher_reaches(const struct prt_conf_parent *parent, const struct msp_name *owner)
{
	return prt_conf_publishes(parent, owner);
}

/* Children look for them: somebody has to publish them. */
static void say_what_is_left_out(const struct prt_publish_job *j)
{
	struct prt_app *app = j->set->publisher->app;
	struct msp_buf names;

	msp_buf_init(&names, NAMES_MAX);
	for (size_t i = 0; j->parent->publish.how == PRT_PUBLISH_UPDATE && i < j->records.count; i++)
		if (!prt_publisher_reaches(j->parent, &j->records.set[i]->owner))
			msp_buf_printf(&names, "%s%s %s", names.len > 0 ? ", " : "",
				       MSP_NAME(&j->records.set[i]->owner), MSP_TYPE(j->records.set[i]->type));
	if (names.len > 0)
		msp_log(app->log, MSP_LOG_WARNING, "publish-left-out", MSP_F_STR("parent", MSP_NAME(&j->parent->zone)),
			MSP_F_STR("records", msp_buf_text(&names)), MSP_F_STR("why", "outside of the parent zone"));
	msp_buf_fini(&names);
}

/* --- hidden primary ----------------------------------------------------------------------------------------------- */

static enum msp_err add_record(struct msp_rrset **set, const struct msp_name *owner, uint16_t type, uint32_t ttl,
			       struct msp_span rdata)
{
	enum msp_err err = *set == NULL ? msp_rrset_new(owner, type, ttl, set) : MSP_OK;

	return err == MSP_OK ? msp_rrset_add(*set, rdata) : err;
}

static enum msp_err make_soa(struct prt_publish_job *j)
{
	struct msp_soa soa = { .serial = j->serial,
			       .refresh_s = REFRESH_S,
			       .retry_s = RETRY_S,
			       .expire_s = EXPIRE_S,
			       .minimum_s = j->parent->publish.ttl_s };
	uint8_t mem[2 * MSP_NAME_MAX + 20];
	struct msp_wr wr;
	enum msp_err err = msp_name_prepend("hostmaster", &j->parent->zone, &soa.rname);

	if (err == MSP_OK)
		err = msp_name_from_text(j->parent->publish.ns.item[0], &soa.mname);
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

/* {serial (4), digest (32)}: a new content gets the next serial before anybody sees it. In a worker. */
static enum msp_err settle_serial(struct prt_publish_job *j)
{
	struct prt_books *books = j->set->publisher->app->books;
	uint8_t digest[32], row[36];
	char key[sizeof(struct msp_name_text) + META_MAX];
	struct msp_buf old;
	struct msp_wr wr;
	enum msp_err err = content_digest(j, digest);

	(void)snprintf(key, sizeof(key), "publish:%s", MSP_NAME(&j->parent->zone));
	msp_buf_init(&old, sizeof(row));
	if (err == MSP_OK)
		err = prt_books_meta_get(books, key, &old);
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
		err = prt_books_meta_put(books, key, msp_wr_span(&wr));
	msp_buf_fini(&old);
	return err;
}

static enum msp_err make_ns(struct prt_publish_job *j)
{
	const struct prt_conf_publish *p = &j->parent->publish;
	struct msp_name ns;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < p->ns.count; i++) {
		err = msp_name_from_text(p->ns.item[i], &ns);
		if (err == MSP_OK)
			err = add_record(&j->ns, &j->apex, MSP_TYPE_NS, p->ttl_s, msp_name_span(&ns));
	}
	return err;
}

static void notify(void *arg);

static void notified(void *arg, enum msp_err err, struct msp_span answer)
{
	struct prt_publish_down *d = arg;
	struct prt_publisher *p = d->job->set->publisher;
	struct msp_why why = { "" };

	d->xchg = NULL;
	err = msp_tsig_conclude(&d->ctx, err, answer, &p->scratch, msp_wall_now(), &why);
	if (err == MSP_OK)
		return;
	msp_log(p->app->log, MSP_LOG_INFO, "publish-notify-failed", MSP_F_STR("to", MSP_ADDR(&d->remote.addr)),
		MSP_F_STR("error", msp_err_text(err)), MSP_F_STR("why", why.text));
	if (++d->tries < NOTIFY_TRIES)
		msp_timer_start(d->timer, (uint64_t)RETRY_FIRST_MS << d->tries);
}

static void notify(void *arg)
{
	struct prt_publish_down *d = arg;
	struct prt_publish_job *j = d->job;
	struct prt_app *app = j->set->publisher->app;
	struct msp_xchg_params p = { .server = d->remote.addr, .transport = MSP_UDP_THEN_TCP, .timeout_ms = { 5000 } };
	const struct msp_tsig_key *tsig = prt_settings_tsig_named(j->set->settings, &d->remote.tsig_key);
	uint8_t mem[1500];
	struct msp_msgw w;
	struct msp_span s;
	enum msp_err err;
	size_t len;

	if (d->xchg != NULL)
		return;
	msp_notifyw_init(&w, mem, sizeof(mem), msp_rand_u16(&app->rand), &j->apex, MSP_TYPE_SOA, NULL);
	err = msp_msgw_finish(&w, &s);
	len = s.len;
	if (err == MSP_OK)
		err = msp_tsig_sign_request(tsig, msp_wall_now(), mem, &len, sizeof(mem), &d->ctx);
	p.message = msp_span(mem, len);
	if (err == MSP_OK)
		err = msp_xchg_start(app->loop, &p, notified, d, &d->xchg);
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
		err = msp_timer_new(j->set->publisher->app->loop, notify, d, &d->timer);
		if (err != MSP_OK)
			break;
		msp_timer_start(d->timer, 0);
	}
	return err;
}

/* --- a configuration ---------------------------------------------------------------------------------------------- */

static void job_fini(struct prt_publish_job *j)
{
	prt_publish_update_fini(j);
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

static bool is_primary(const struct prt_publish_job *j)
{
	return j->parent->publish.how == PRT_PUBLISH_PRIMARY;
}

static enum msp_err job_init(struct prt_publish_set *s, struct prt_publish_job *j, const struct prt_conf_parent *parent)
{
	enum msp_err err;

	j->set = s;
	j->parent = parent;
	err = msp_name_prepend("_dsync", &parent->zone, &j->apex);
	if (err == MSP_OK)
		err = prt_publisher_records(s->publisher->app, parent, &j->records);
	if (err == MSP_OK && is_primary(j))
		err = make_ns(j);
	return err == MSP_OK ? prt_publish_update_init(j) : err;
}

static void set_free(struct prt_publish_set **out)
{
	struct prt_publish_set *s = *out;

	*out = NULL;
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++)
		job_fini(&s->job[i]);
	msp_free(s->job);
	prt_settings_unref(&s->settings);
	msp_free(s);
}

static enum msp_err set_new(struct prt_publisher *p, struct prt_publish_set **out)
{
	size_t count = p->app->conf->parents.count;
	struct prt_publish_set *s = msp_alloc(1, sizeof(*s));
	enum msp_err err = MSP_OK;

	if (s == NULL)
		return MSP_ENOMEM;
	s->publisher = p;
	s->settings = prt_settings_ref(p->app->settings);
	s->job = msp_alloc(count, sizeof(*s->job));
	if (s->job == NULL)
		err = MSP_ENOMEM;
	for (; err == MSP_OK && s->count < count; s->count++) {
		err = job_init(s, &s->job[s->count], prt_conf_parent_at(p->app->conf, s->count));
		if (err != MSP_OK)
			job_fini(&s->job[s->count]);
	}
	if (err == MSP_OK)
		*out = s;
	else
		set_free(&s);
	return err;
}

/* --- one after the other ------------------------------------------------------------------------------------------ */

static void failed(struct prt_publisher *p, enum msp_err err)
{
	set_free(&p->next);
	msp_log(p->app->log, MSP_LOG_ERROR, "publish-failed", MSP_F_STR("error", msp_err_text(err)));
	msp_timer_start(p->again, AGAIN_FAILED_MS); /* the store is away, perhaps */
}

static void install(struct prt_publisher *p)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < p->next->count; i++)
		if (is_primary(&p->next->job[i]))
			err = make_soa(&p->next->job[i]);
	if (err != MSP_OK) {
		failed(p, err);
		return;
	}
	set_free(&p->now);
	p->now = p->next;
	p->next = NULL;
	for (size_t i = 0; i < p->now->count; i++) { /* one that fails is no reason for the others to be without */
		struct prt_publish_job *j = &p->now->job[i];
		enum msp_err own = prt_publish_update_start(j);

		say_what_is_left_out(j);
		if (own == MSP_OK && is_primary(j))
			own = open_downs(j);
		err = err == MSP_OK ? own : err;
	}
	if (err != MSP_OK)
		failed(p, err);
}

static void settle(void *arg)
{
	struct prt_publisher *p = arg;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; i < p->next->count; i++) {
		if (err == MSP_OK && is_primary(&p->next->job[i]))
			err = settle_serial(&p->next->job[i]);
		p->next->job[i].err = err;
	}
}

static void settled(void *arg)
{
	struct prt_publisher *p = arg;
	enum msp_err err = p->next->job[p->next->count - 1].err; /* the first error stays */

	if (err == MSP_OK)
		install(p);
	else
		failed(p, err);
	prt_publish_pump(p);
}

static void prepare(struct prt_publisher *p)
{
	bool needs_books = false;
	enum msp_err err = set_new(p, &p->next);

	for (size_t i = 0; err == MSP_OK && i < p->next->count; i++)
		needs_books |= is_primary(&p->next->job[i]);
	if (err == MSP_OK && needs_books)
		err = prt_work_start(p->app->loop, settle, settled, p, &p->work);
	else if (err == MSP_OK)
		install(p);
	if (err != MSP_OK)
		failed(p, err);
}

void prt_publish_pump(struct prt_publisher *p)
{
	if (p->work != NULL)
		return;
	if (p->is_stale) {
		p->is_stale = false;
		prepare(p);
	}
	if (p->work == NULL && p->now != NULL)
		prt_publish_update_pump(p);
}

void prt_publisher_renew(struct prt_publisher *p)
{
	p->is_stale = true;
	prt_publish_pump(p);
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
		prt_publisher_renew(p);
	else
		prt_publisher_close(out);
	return err;
}

void prt_publisher_close(struct prt_publisher **out)
{
	struct prt_publisher *p = *out;

	*out = NULL;
	if (p == NULL)
		return;
	prt_work_leave(&p->work);
	set_free(&p->next);
	set_free(&p->now);
	if (p->again != NULL)
		msp_timer_close(&p->again);
	msp_free(p);
}
