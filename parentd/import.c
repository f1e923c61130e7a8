/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading parent zones: at the start, at intervals, on NOTIFY. First the SOA; when its serial is another one, the whole
 * zone by AXFR (IXFR is for later), aside; when all of it has come under the key, the books are made to say what it
 * says, piece by piece. A zone that lost more than half of its delegations is not believed. @source PROTOCOL E.6, G.5
 */
#include "import_priv.h"
#include "work.h"

#include <msproto/base/mem.h>
#include <msproto/io/xchg.h>
#include <msproto/io/xfr.h>

#include <string.h>

#define AT_ONCE_MAX    2 /* parents */
#define BUSY_AGAIN_MS  500
#define LOOKS_APART_MS 1000
#define RETRY_S        5 /* doubled with each failure, up to the interval */
#define ASK_TIMEOUT_MS 10000
#define INTERVAL_S     3600
#define REST_TIMES     10 /* a zone that takes a second is read again after ten at the earliest */
#define REST_MAX_MS    3600000
#define GUARD_MIN      10 /* delegations: a smaller zone may lose what it likes */
#define COUNT_STEP     20000
#define ZONE_RECORDS   UINT64_C(200000000)
#define ZONE_OCTETS    (UINT64_C(64) << 30)
#define META_LEN       12

enum phase { IDLE, BEGINNING, ASKING, TRANSFER, READING, MERGING, ENDING };

struct source {
	struct prt_importer *of;
	struct prt_settings *settings; /* owned reference; parent is in there */
	const struct prt_conf_parent *parent;
	struct msp_name zone;
	enum phase phase;
	struct msp_timer *timer;
	struct msp_mono next; /* the timer's */
	struct msp_mono rest; /* not before */
	struct msp_mono began;
	unsigned failures;
	bool is_again;    /* asked for while busy */
	bool is_believed; /* an operator says so */
	/* what is known of it: "meta" import:<parent> */
	bool is_loaded, has_serial;
	uint32_t serial;
	uint64_t children;
	/* under way */
	struct prt_work *work;
	struct msp_xchg *xchg;
	struct msp_tsig_ctx tsig;
	struct msp_xfr *xfr;
	struct prt_zonefile file;
	struct prt_merge merge;
	bool has_file, has_merge, is_over;
	uint32_t new_serial;
	uint64_t new_children, since;
	enum msp_err err;
	struct msp_why why;
	/* for people */
	struct msp_wall last_ok;
	struct msp_why last;
};

struct prt_importer {
	struct prt_app *app;
	struct source **source; /* owned */
	size_t count;
};

static const struct msp_tsig_key *key_of(const struct source *s)
{
	const struct msp_name *name = &s->parent->primary.tsig_key;

	return msp_name_is_set(name) ? prt_settings_tsig_named(s->settings, name) : NULL;
}

/* --- when
 * -------------------------------------------------------------------------------------------------------------- */

static void look_in(struct source *s, int64_t ms)
{
	struct msp_mono now = msp_mono_now(), at = msp_mono_add_ms(now, ms);

	if (at.ms < s->rest.ms)
		at = s->rest;
	s->next = at;
	msp_timer_start(s->timer, (uint64_t)msp_mono_until_ms(now, at));
}

static int64_t interval_ms(const struct source *s)
{
	uint32_t interval = s->parent->primary.interval_s;

	return (int64_t)(interval > 0 ? interval : INTERVAL_S) * 1000;
}

static void clean_up(struct source *s)
{
	prt_work_leave(&s->work);
	if (s->xchg != NULL)
		msp_xchg_cancel(&s->xchg);
	msp_tsig_ctx_fini(&s->tsig);
	if (s->xfr != NULL)
		msp_xfr_cancel(&s->xfr);
	if (s->has_merge) {
		if (s->merge.changed > 0) /* whether or not the rest has come */
			prt_backends_imported(s->of->app, &s->zone, s->merge.is_first);
		prt_merge_fini(&s->merge);
	}
	if (s->has_file)
		prt_zonefile_close(&s->file);
	s->has_merge = s->has_file = false;
	s->phase = IDLE;
}

static void succeeded(struct source *s)
{
	clean_up(s);
	s->failures = 0;
	s->last.text[0] = '\0';
	s->last_ok = msp_wall_now();
	look_in(s, s->is_again ? 0 : interval_ms(s));
	s->is_again = false;
}

static void failed(struct source *s, enum msp_err err, const struct msp_why *why)
{
	int64_t pause = (int64_t)RETRY_S * 1000 << (s->failures < 16 ? s->failures : 16);

	s->last.text[0] = '\0';
	if (why != NULL)
		s->last = *why;
	if (s->last.text[0] == '\0')
		(void)msp_fail(&s->last, err, "%s", msp_err_text(err));
	msp_log(s->of->app->log, MSP_LOG_WARNING, "import-failed", MSP_F_STR("parent", MSP_NAME(&s->zone)),
		MSP_F_STR("why", s->last.text));
	clean_up(s);
	s->failures++;
	s->is_again = false;
	if (pause > interval_ms(s))
		pause = interval_ms(s);
	look_in(s, msp_rand_jitter(&s->of->app->rand, pause, 20));
}

static void start_work(struct source *s, enum phase phase, msp_void_fn *work, msp_void_fn *done)
{
	enum msp_err err;

	s->phase = phase;
	s->err = MSP_OK;
	s->why.text[0] = '\0';
	err = prt_work_start(s->of->app->loop, work, done, s, &s->work);
	if (err != MSP_OK)
		failed(s, err, NULL);
}

/* --- the books
 * ---------------------------------------------------------------------------------------------------------- */

static const char *meta_key(const struct source *s, struct msp_buf *key)
{
	struct msp_name lower = s->zone;

	msp_name_lower(&lower);
	msp_buf_printf(key, "import:%s", MSP_NAME(&lower));
	return msp_buf_text(key);
}

static void ended_in_pool(void *arg)
{
	struct source *s = arg;
	uint8_t oct[META_LEN];
	struct msp_wr w;
	struct msp_buf key;

	/* Children were left alone, since something was decided about them meanwhile: the zone is to be read again,
	 * even if it does not change any more. */
	if (s->merge.left_alone > 0)
		s->new_serial--;
	msp_wr_init(&w, oct, sizeof(oct));
	msp_wr_u32(&w, s->new_serial);
	msp_wr_u64(&w, s->new_children);
	msp_buf_init(&key, 2048);
	s->err = prt_books_meta_put(s->of->app->books, meta_key(s, &key), msp_span(oct, sizeof(oct)));
	msp_buf_fini(&key);
}

static void ended(void *arg)
{
	struct source *s = arg;
	struct prt_app *app = s->of->app;
	int64_t took = msp_mono_now().ms - s->began.ms;

	if (s->err != MSP_OK) {
		failed(s, s->err, NULL);
		return;
	}
	s->serial = s->new_serial;
	s->children = s->new_children;
	s->has_serial = true;
	s->is_believed = false;
	app->stats.imports++;
	s->rest = msp_mono_add_ms(msp_mono_now(), took * REST_TIMES < REST_MAX_MS ? took * REST_TIMES : REST_MAX_MS);
	msp_log(app->log, MSP_LOG_NOTICE, "imported", MSP_F_STR("parent", MSP_NAME(&s->zone)),
		MSP_F_U64("serial", s->serial), MSP_F_U64("children", s->children),
		MSP_F_U64("changed", s->merge.changed), MSP_F_U64("ms", took));
	if (s->merge.too_large > 0)
		msp_log(app->log, MSP_LOG_WARNING, "delegations-too-large", MSP_F_STR("parent", MSP_NAME(&s->zone)),
			MSP_F_U64("count", s->merge.too_large),
			MSP_F_STR("first", MSP_NAME(&s->merge.too_large_first)));
	/* The journal says nothing of a first import, and a crash may have cut one off just before its end. */
	if (s->merge.is_first && s->merge.changed == 0)
		prt_backends_imported(app, &s->zone, true);
	succeeded(s);
}

/* --- the zone into the books
 * --------------------------------------------------------------------------------------------- */

static void merge_in_pool(void *arg)
{
	struct source *s = arg;

	s->err = prt_merge_step(&s->merge, &s->is_over);
}

static void merged(void *arg)
{
	struct source *s = arg;

	if (s->err != MSP_OK) {
		failed(s, s->err, NULL);
		return;
	}
	if (s->is_over)
		start_work(s, ENDING, ended_in_pool, ended);
	else
		start_work(s, MERGING, merge_in_pool, merged);
}

/* Someone who empties a zone by mistake has not emptied it for the children. */
static bool is_believable(struct source *s)
{
	if (!s->has_serial || s->is_believed || s->children < GUARD_MIN || s->new_children >= s->children / 2)
		return true;
	(void)msp_fail(&s->why, MSP_EREFUSED,
		       "only %llu of %llu delegations are left: not believed until an operator says so",
		       (unsigned long long)s->new_children, (unsigned long long)s->children);
	msp_log(s->of->app->log, MSP_LOG_ERROR, "import-not-believed", MSP_F_STR("parent", MSP_NAME(&s->zone)),
		MSP_F_STR("why", s->why.text));
	return false;
}

static void count_in_pool(void *arg)
{
	struct source *s = arg;
	enum msp_err err = MSP_OK;

	if (s->file.map == NULL)
		err = prt_zonefile_seal(&s->file);
	for (unsigned n = 0; err == MSP_OK && n < COUNT_STEP; n++) {
		struct prt_delegation d;

		err = prt_zonefile_next(&s->file, &d);
		if (err == MSP_OK)
			prt_delegation_clear(&d);
		if (err == MSP_ELIMIT)
			err = MSP_OK;
		s->new_children += err == MSP_OK;
	}
	s->is_over = err == MSP_ENOTFOUND;
	s->err = s->is_over ? MSP_OK : err;
}

static void counted(void *arg)
{
	struct source *s = arg;
	enum msp_err err = s->err;

	if (err == MSP_OK && !s->is_over) {
		start_work(s, READING, count_in_pool, counted);
		return;
	}
	if (err == MSP_OK && !is_believable(s))
		err = MSP_EREFUSED;
	if (err == MSP_OK) {
		s->has_merge = true;
		err = prt_merge_init(&s->merge, s->of->app->books, &s->file, s->since, !s->has_serial);
	}
	if (err == MSP_OK)
		start_work(s, MERGING, merge_in_pool, merged);
	else
		failed(s, err, &s->why);
}

/* --- transfer
 * ------------------------------------------------------------------------------------------------------------ */

static enum msp_err on_begin(void *arg, const struct msp_rr *soa, bool is_full)
{
	struct source *s = arg;

	s->new_serial = msp_soa_serial(soa->rdata);
	return is_full ? MSP_OK : MSP_EMISMATCH;
}

static enum msp_err on_rr(void *arg, const struct msp_rr *rr)
{
	struct source *s = arg;

	return prt_zonefile_add(&s->file, rr);
}

static const struct msp_xfrin_ops transfer_ops = { .begin = on_begin, .record = on_rr };

static void transferred(void *arg, const struct msp_xfr_result *r)
{
	struct source *s = arg;
	struct msp_why why = r->why;
	enum msp_err err = r->err;

	s->xfr = NULL;
	if (err == MSP_ERCODE)
		(void)msp_fail(&why, err, "AXFR: %s answered %s", MSP_ADDR(&s->parent->primary.addr),
			       msp_rcode_name(r->rcode));
	if (err == MSP_OK && !s->file.has_apex_ns)
		err = msp_fail(&why, MSP_EFORMAT, "the zone has no NS records of its own");
	if (err != MSP_OK)
		failed(s, err, &why);
	else
		start_work(s, READING, count_in_pool, counted);
}

static void transfer(struct source *s)
{
	struct msp_xfr_params p = { .server = s->parent->primary.addr,
				    .zone = s->zone,
				    .kind = MSP_XFR_AXFR,
				    .tsig = key_of(s),
				    .limits = { .records = ZONE_RECORDS, .octets = ZONE_OCTETS } };
	struct msp_why why = { "" };
	enum msp_err err;

	s->phase = TRANSFER;
	err = prt_zonefile_open(&s->file, s->of->app->conf->state_dir, &s->zone, &why);
	s->has_file = true;
	if (err == MSP_OK)
		err = msp_xfr_start(s->of->app->loop, &p, &transfer_ops, s, transferred, s, &s->xfr);
	if (err != MSP_OK)
		failed(s, err, &why);
}

/* --- SOA
 * ------------------------------------------------------------------------------------------------------------------ */

static enum msp_err read_soa(struct source *s, struct msp_span answer, uint32_t *serial, struct msp_why *why)
{
	struct msp_rr_scratch *scratch = msp_alloc(1, sizeof(*scratch));
	struct msp_msg_it it;
	struct msp_msg m;
	struct msp_rr rr;
	enum msp_err err = scratch != NULL ? msp_msg_parse(answer, scratch, &m, why) : MSP_ENOMEM;

	if (err == MSP_OK && s->tsig.key != NULL)
		err = msp_tsig_verify_response(&s->tsig, &m, true, msp_wall_now(), why);
	if (err == MSP_OK && m.rcode != MSP_RCODE_NOERROR)
		err = msp_fail(why, MSP_ERCODE, "SOA: %s answered %s", MSP_ADDR(&s->parent->primary.addr),
			       msp_rcode_name(m.rcode));
	if (err != MSP_OK)
		goto out;
	err = msp_fail(why, MSP_EMISMATCH, "SOA: %s gives none", MSP_ADDR(&s->parent->primary.addr));
	msp_msg_it_init(&it, &m, MSP_SEC_ANSWER, scratch);
	while (err != MSP_OK && msp_msg_next(&it, &rr)) {
		if (rr.type != MSP_TYPE_SOA || !msp_name_equal(&rr.owner, &s->zone))
			continue;
		*serial = msp_soa_serial(rr.rdata);
		err = MSP_OK;
	}
out:
	msp_free(scratch);
	return err;
}

static void answered(void *arg, enum msp_err err, struct msp_span answer)
{
	struct source *s = arg;
	struct msp_why why = { "" };
	uint32_t serial = 0;

	s->xchg = NULL;
	if (err == MSP_OK)
		err = read_soa(s, answer, &serial, &why);
	else
		(void)msp_fail(&why, err, "SOA: %s: %s", MSP_ADDR(&s->parent->primary.addr), msp_err_text(err));
	msp_tsig_ctx_fini(&s->tsig);
	if (err != MSP_OK)
		failed(s, err, &why);
	else if (s->has_serial && serial == s->serial && !s->is_believed)
		succeeded(s);
	else
		transfer(s);
}

static void ask(struct source *s)
{
	struct msp_xchg_params p = { .server = s->parent->primary.addr,
				     .transport = MSP_TCP_ONLY, /* some answer for a zone by TCP alone */
				     .timeout_ms = { ASK_TIMEOUT_MS } };
	const struct msp_tsig_key *key = key_of(s);
	uint8_t mem[1024];
	struct msp_msgw w;
	struct msp_span msg;
	enum msp_err err;
	size_t len;

	s->phase = ASKING;
	msp_msgw_init(&w, mem, sizeof(mem), msp_rand_u16(&s->of->app->rand), MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &s->zone, MSP_TYPE_SOA, MSP_CLASS_IN);
	err = msp_msgw_finish(&w, &msg);
	len = msg.len;
	p.is_signed = key != NULL;
	if (err == MSP_OK && key != NULL)
		err = msp_tsig_sign_request(key, msp_wall_now(), mem, &len, sizeof(mem), &s->tsig);
	p.message = msp_span(mem, len);
	if (err == MSP_OK)
		err = msp_xchg_start(s->of->app->loop, &p, answered, s, &s->xchg);
	if (err != MSP_OK)
		failed(s, err, NULL);
}

/* --- beginning
 * ------------------------------------------------------------------------------------------------------------ */

static enum msp_err load(struct source *s)
{
	struct msp_buf key, value;
	enum msp_err err;

	msp_buf_init(&key, 2048);
	msp_buf_init(&value, 256);
	err = prt_books_meta_get(s->of->app->books, meta_key(s, &key), &value);
	s->has_serial = err == MSP_OK && value.len == META_LEN;
	if (s->has_serial) {
		struct msp_rd rd;

		msp_rd_init(&rd, msp_buf_span(&value));
		s->serial = msp_rd_u32(&rd);
		s->children = (uint64_t)msp_rd_u32(&rd) << 32;
		s->children |= msp_rd_u32(&rd);
	}
	msp_buf_fini(&key);
	msp_buf_fini(&value);
	return err == MSP_ENOTFOUND ? MSP_OK : err;
}

/* Another process may have been at it meanwhile: what it wrote is read again each time. */
static void begin_in_pool(void *arg)
{
	struct source *s = arg;
	uint8_t hash[PRT_HASH_LEN];

	s->err = prt_books_hold(s->of->app->books, "import");
	if (s->err == MSP_OK)
		s->err = load(s);
	if (s->err == MSP_OK)
		s->err = prt_books_head(s->of->app->books, &s->since, hash);
}

static void begun(void *arg)
{
	struct source *s = arg;

	if (s->err == MSP_EBUSY) { /* another process does it */
		clean_up(s);
		look_in(s, interval_ms(s) < 10000 ? interval_ms(s) : 10000);
	} else if (s->err != MSP_OK) {
		failed(s, s->err, NULL);
	} else {
		ask(s);
	}
}

static size_t at_work(const struct prt_importer *i)
{
	size_t count = 0;

	for (size_t n = 0; n < i->count; n++)
		count += i->source[n]->phase != IDLE;
	return count;
}

static void on_timer(void *arg)
{
	struct source *s = arg;

	if (s->phase != IDLE)
		return;
	if (at_work(s->of) >= AT_ONCE_MAX) {
		look_in(s, BUSY_AGAIN_MS);
		return;
	}
	s->began = msp_mono_now();
	s->new_children = 0;
	/* Anybody can send a NOTIFY in the primary's name. */
	s->rest = msp_mono_add_ms(s->began, LOOKS_APART_MS);
	start_work(s, BEGINNING, begin_in_pool, begun);
}

/* --- from outside
 * ---------------------------------------------------------------------------------------------------------- */

static struct source *find(const struct prt_importer *i, const struct msp_name *zone)
{
	for (size_t n = 0; i != NULL && n < i->count; n++)
		if (msp_name_equal(&i->source[n]->zone, zone))
			return i->source[n];
	return NULL;
}

static void look_now(struct source *s)
{
	if (s->phase != IDLE)
		s->is_again = true;
	else
		look_in(s, 0);
}

bool prt_importer_notify(struct prt_app *app, const struct msp_name *zone, const struct msp_addr *from)
{
	struct source *s = find(app->importer, zone);

	if (s == NULL || !msp_addr_same_host(from, &s->parent->primary.addr))
		return false;
	look_now(s);
	return true;
}

bool prt_importer_start(struct prt_app *app, const struct msp_name *zone, bool force)
{
	struct source *s = find(app->importer, zone);

	if (s == NULL)
		return false;
	s->is_believed |= force;
	s->rest.ms = 0;
	look_now(s);
	return true;
}

static void source_free(struct source *s)
{
	clean_up(s);
	if (s->timer != NULL)
		msp_timer_close(&s->timer);
	prt_settings_unref(&s->settings);
	msp_free(s);
}

static enum msp_err source_new(struct prt_importer *i, const struct prt_conf_parent *parent, struct source **out)
{
	struct source *s = msp_alloc(1, sizeof(*s));
	enum msp_err err;

	if (s == NULL)
		return MSP_ENOMEM;
	s->of = i;
	s->zone = parent->zone;
	err = msp_timer_new(i->app->loop, on_timer, s, &s->timer);
	if (err != MSP_OK)
		source_free(s);
	else
		*out = s;
	return err;
}

/* One under way goes on with what it began with only if that has stayed; else it begins anew. Before it asks it reads
 * the books, for whichever primary, and the store may take its time: the loop does not wait for that. */
static void use(struct source *s, const struct prt_conf_parent *parent)
{
	bool is_same = s->settings != NULL && msp_addr_equal(&s->parent->primary.addr, &parent->primary.addr) &&
		       msp_name_equal(&s->parent->primary.tsig_key, &parent->primary.tsig_key);

	if (s->phase > BEGINNING && (!is_same || s->phase < READING)) /* the key may be another one */
		clean_up(s);
	prt_settings_unref(&s->settings);
	s->settings = prt_settings_ref(s->of->app->settings);
	s->parent = parent;
	if (s->phase == IDLE)
		look_in(s, 0);
}

static struct source *take_same(struct prt_importer *i, const struct msp_name *zone)
{
	for (size_t n = 0; n < i->count; n++) {
		struct source *s = i->source[n];

		if (s == NULL || !msp_name_equal(&s->zone, zone))
			continue;
		i->source[n] = NULL;
		return s;
	}
	return NULL;
}

static enum msp_err fill(struct prt_importer *i, struct source **now, size_t *count)
{
	const struct prt_conf *c = i->app->conf;
	enum msp_err err = MSP_OK;

	for (size_t p = 0; err == MSP_OK && p < c->parents.count; p++) {
		const struct prt_conf_parent *parent = prt_conf_parent_at(c, p);
		struct source *s;

		if (parent->primary.addr.family == MSP_FAMILY_NONE)
			continue;
		s = take_same(i, &parent->zone);
		if (s == NULL)
			err = source_new(i, parent, &s);
		if (err != MSP_OK)
			break;
		use(s, parent);
		now[(*count)++] = s;
	}
	return err;
}

static void drop(struct source **source, size_t count)
{
	for (size_t n = 0; n < count; n++)
		if (source[n] != NULL)
			source_free(source[n]);
	msp_free(source);
}

void prt_importer_renew(struct prt_importer *i)
{
	size_t most = i->app->conf->parents.count, count = 0;
	struct source **now = msp_alloc(most > 0 ? most : 1, sizeof(struct source *));
	enum msp_err err = now != NULL ? fill(i, now, &count) : MSP_ENOMEM;

	if (now != NULL) {
		drop(i->source, i->count);
		i->source = now;
		i->count = count;
	}
	if (err != MSP_OK)
		msp_log(i->app->log, MSP_LOG_ERROR, "imports-not-all", MSP_F_STR("why", msp_err_text(err)));
}

enum msp_err prt_importer_open(struct prt_app *app, struct prt_importer **out)
{
	struct prt_importer *i = msp_alloc(1, sizeof(*i));

	if (i == NULL)
		return MSP_ENOMEM;
	i->app = app;
	prt_importer_renew(i);
	*out = i;
	return MSP_OK;
}

void prt_importer_close(struct prt_importer **out)
{
	struct prt_importer *i = *out;

	if (i == NULL)
		return;
	*out = NULL;
	drop(i->source, i->count);
	msp_free(i);
}

size_t prt_importer_count(const struct prt_importer *i)
{
	return i != NULL ? i->count : 0;
}

void prt_importer_state(const struct prt_importer *i, size_t n, struct prt_import_state *out)
{
	const struct source *s = i->source[n];
	bool is_in_pool = s->work != NULL && s->phase == BEGINNING; /* reads these */

	*out = (struct prt_import_state){
		.parent = s->parent, .is_busy = s->phase != IDLE, .last_ok = s->last_ok, .last = s->last
	};
	if (is_in_pool)
		return;
	out->has_serial = s->has_serial;
	out->serial = s->serial;
	out->children = s->children;
}
