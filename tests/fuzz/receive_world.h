/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * A receiver without a network: its loop, clock, workers, books and neighbours are here, in one thread, and do what
 * they are told. The desk is the real one; the books are the octets of one child, as they would be stored. One test or
 * fuzz program includes this and links parentd's receive*.c and verify.c.
 */
#ifndef FUZZ_RECEIVE_WORLD_H
#define FUZZ_RECEIVE_WORLD_H

#include "backend.h"
#include "follow.h"
#include "publish.h"
#include "receive.h"
#include "reply.h"

#include <msproto/base/mem.h>
#include <msproto/wire/text.h>

#include <stdlib.h>
#include <string.h>

#define W_MUST(claim)                                                                                                  \
	do {                                                                                                           \
		if (!(claim))                                                                                          \
			abort();                                                                                       \
	} while (0)
#define W_PARENT "example."
#define W_CHILD  "child.example."
#define W_TARGET "updates.example."
#define W_START  1795493000
#define W_JOBS   64

struct msp_req {
	struct msp_buf message;
	struct msp_addr peer;
	bool is_tcp;
};

struct prt_settings {
	struct prt_conf conf;
	struct prt_conf_parent parent;
	struct prt_rules rules;
	struct msp_key *key;
	struct msp_sig0_policy sig0;
	struct msp_tsig_key *tsig, *transfer; /* a registrar's; of who may transfer what is published */
	struct msp_name registrar_of;         /* child that `tsig` speaks for */
	int refs;
};

struct world_work {
	msp_void_fn *work, *done;
	void *arg;
};
struct world_job {
	struct msp_name parent, child;
	prt_books_fn *fn;
	prt_books_done_fn *done;
	void *arg;
	struct prt_outcome *out;
};
struct prt_watch {
	prt_follow_fn *fn;
	void *arg;
};

static struct world {
	int64_t mono_ms, wall_s;
	struct prt_app app;
	struct prt_settings settings;
	struct msp_log log;
	/* the books */
	bool exists;
	struct msp_buf stored;
	unsigned peeks, commits;
	/* what is to be done */
	struct world_work work[W_JOBS];
	size_t works;
	struct world_job job[W_JOBS];
	size_t jobs;
	msp_void_fn *timer;
	void *timer_arg;
	int64_t timer_at; /* 0 = off */
	/* what came of it */
	struct msp_buf reply;
	unsigned replies, drops;
	unsigned needs, notices, scans_of_soa;
	bool had_report;
	struct prt_watch watch;
	bool is_watched, has_watch_err;
	unsigned busy; /* answers of msp_loop_work that are MSP_EBUSY from now on */
} w;

/* --- clocks ------------------------------------------------------------------------------------------------------ */

struct msp_mono msp_mono_now(void)
{
	return (struct msp_mono){ w.mono_ms };
}

struct msp_wall msp_wall_now(void)
{
	return (struct msp_wall){ w.wall_s };
}

/* --- io ----------------------------------------------------------------------------------------------------------- */

struct msp_span msp_req_message(const struct msp_req *req)
{
	return msp_buf_span(&req->message);
}

const struct msp_addr *msp_req_peer(const struct msp_req *req)
{
	return &req->peer;
}

bool msp_req_is_tcp(const struct msp_req *req)
{
	return req->is_tcp;
}

static inline void req_end(struct msp_req **req)
{
	W_MUST(*req != NULL);
	msp_buf_fini(&(*req)->message);
	msp_free(*req);
	*req = NULL;
}

void msp_req_reply(struct msp_req **req, struct msp_span message)
{
	msp_buf_reset(&w.reply);
	msp_buf_add_span(&w.reply, message);
	w.replies++;
	req_end(req);
}

void msp_req_drop(struct msp_req **req)
{
	w.drops++;
	req_end(req);
}

enum msp_err msp_loop_work(struct msp_loop *loop, msp_void_fn *work, msp_void_fn *done, void *arg)
{
	(void)loop;
	if (w.busy > 0) {
		w.busy--;
		return MSP_EBUSY;
	}
	W_MUST(w.works < W_JOBS);
	w.work[w.works++] = (struct world_work){ work, done, arg };
	return MSP_OK;
}

enum msp_err msp_timer_new(struct msp_loop *loop, msp_void_fn *cb, void *arg, struct msp_timer **out)
{
	(void)loop;
	w.timer = cb;
	w.timer_arg = arg;
	*out = (struct msp_timer *)&w.timer;
	return MSP_OK;
}

void msp_timer_start(struct msp_timer *t, uint64_t after_ms)
{
	(void)t;
	w.timer_at = w.mono_ms + (int64_t)after_ms;
}

void msp_timer_stop(struct msp_timer *t)
{
	(void)t;
	w.timer_at = 0;
}

void msp_timer_close(struct msp_timer **t)
{
	w.timer_at = 0;
	*t = NULL;
}

/* --- settings ----------------------------------------------------------------------------------------------------- */

struct prt_settings *prt_settings_ref(struct prt_settings *s)
{
	s->refs++;
	return s;
}

void prt_settings_unref(struct prt_settings **s)
{
	if (*s != NULL)
		(*s)->refs--;
	*s = NULL;
}

const struct prt_conf *prt_settings_conf(const struct prt_settings *s)
{
	return &s->conf;
}

const struct prt_conf_parent *prt_settings_parent(const struct prt_settings *s, const struct msp_name *zone)
{
	return msp_name_equal(&s->parent.zone, zone) ? &s->parent : NULL;
}

const struct prt_conf_parent *prt_settings_parent_of(const struct prt_settings *s, const struct msp_name *child)
{
	return prt_may_be_child(&s->parent.zone, child) ? &s->parent : NULL;
}

const struct prt_rules *prt_settings_rules(const struct prt_settings *s, const struct prt_conf_parent *parent,
					   const struct msp_name *child)
{
	(void)parent;
	(void)child;
	return &s->rules;
}

bool prt_settings_announces(const struct prt_settings *s, const struct prt_conf_parent *parent,
			    const struct msp_name *child, uint16_t type)
{
	(void)s;
	(void)child;
	return (type == MSP_TYPE_CDS && parent->publish.cds) || (type == MSP_TYPE_CSYNC && parent->publish.csync);
}

const struct msp_key *prt_settings_key(const struct prt_settings *s, size_t i)
{
	W_MUST(i == 0);
	return s->key;
}

const struct msp_sig0_policy *prt_settings_sig0(const struct prt_settings *s)
{
	return &s->sig0;
}

const struct msp_tsig_key *prt_settings_find_tsig(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	const struct prt_settings *s = arg;
	const struct msp_tsig_key *keys[] = { s->tsig, s->transfer };

	for (size_t i = 0; alg == MSP_TSIG_SHA256 && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i] != NULL && msp_name_equal(msp_tsig_key_name(keys[i]), name))
			return keys[i];
	return NULL;
}

bool prt_settings_registrar(const struct prt_settings *s, const struct msp_name *key, const struct msp_name *child)
{
	return msp_name_equal(msp_tsig_key_name(s->tsig), key) && msp_name_is_set(&s->registrar_of) &&
	       msp_name_equal(&s->registrar_of, child);
}

/* --- books: one child --------------------------------------------------------------------------------------------- */

static inline struct msp_name world_name(const char *text)
{
	struct msp_name n;

	W_MUST(msp_name_from_text(text, &n) == MSP_OK);
	return n;
}

static inline bool is_the_child(const struct msp_name *name)
{
	struct msp_name child = world_name(W_CHILD);

	return msp_name_equal(name, &child);
}

/* Caller: prt_child_fini. */
static inline void world_load(struct prt_child *c)
{
	struct msp_name parent = world_name(W_PARENT), child = world_name(W_CHILD);

	if (w.exists)
		W_MUST(prt_child_read(msp_buf_span(&w.stored), c) == MSP_OK);
	else
		prt_child_init(c, &parent, &child);
}

static inline void world_store(const struct prt_child *c)
{
	msp_buf_reset(&w.stored);
	W_MUST(prt_child_write(c, msp_wall_now(), &w.stored) == MSP_OK);
	w.exists = true;
}

void prt_books_expect(struct prt_books *b, size_t coming)
{
	(void)b;
	(void)coming;
}

bool prt_books_may_have(const struct prt_books *b, const struct msp_name *child)
{
	(void)b;
	return w.exists && is_the_child(child);
}

enum msp_err prt_books_peek_raw(struct prt_books *b, const struct msp_name *child, struct msp_buf *out)
{
	(void)b;
	w.peeks++;
	if (!w.exists || !is_the_child(child))
		return MSP_ENOTFOUND;
	msp_buf_add_span(out, msp_buf_span(&w.stored));
	return out->err;
}

enum msp_err prt_books_peek(struct prt_books *b, const struct msp_name *child, struct prt_child *out)
{
	(void)b;
	w.peeks++;
	if (!w.exists || !is_the_child(child))
		return MSP_ENOTFOUND;
	world_load(out);
	return MSP_OK;
}

enum msp_err prt_books_do(struct prt_books *b, const struct msp_name *parent, const struct msp_name *child,
			  prt_books_fn *fn, prt_books_done_fn *done, void *arg, struct prt_outcome *out)
{
	(void)b;
	if (w.jobs == W_JOBS)
		return MSP_EBUSY;
	w.job[w.jobs++] = (struct world_job){ *parent, *child, fn, done, arg, out };
	return MSP_OK;
}

static inline void do_job(void)
{
	struct world_job j = w.job[0];
	struct prt_child c;
	enum msp_err err;

	memmove(w.job, w.job + 1, --w.jobs * sizeof(w.job[0]));
	W_MUST(is_the_child(&j.child));
	world_load(&c);
	err = j.fn(j.arg, &c, w.exists, msp_wall_now(), j.out);
	if (err == MSP_OK && j.out->is_changed) {
		world_store(&c);
		w.commits++;
	}
	prt_child_fini(&c);
	j.done(j.arg, err);
}

/* --- neighbours --------------------------------------------------------------------------------------------------- */

void prt_follow_needs(struct prt_app *app, const struct msp_name *child, unsigned need)
{
	(void)app;
	W_MUST(is_the_child(child));
	w.needs |= need;
}

enum msp_err prt_follow_check(struct prt_app *app, const struct msp_name *child, prt_follow_fn *fn, void *arg,
			      struct prt_watch **out)
{
	(void)app;
	W_MUST(is_the_child(child));
	if (w.is_watched)
		return MSP_EBUSY;
	w.watch = (struct prt_watch){ fn, arg };
	w.is_watched = true;
	*out = &w.watch;
	return MSP_OK;
}

void prt_follow_forget(struct prt_watch **watch)
{
	if (*watch != NULL)
		w.is_watched = false;
	*watch = NULL;
}

bool prt_follow_notify(struct prt_app *app, const struct msp_name *child, uint16_t type,
		       const struct msp_name *report_to)
{
	(void)app;
	(void)type;
	W_MUST(is_the_child(child));
	w.notices++;
	w.had_report = report_to != NULL;
	return true;
}

#ifndef WORLD_PUBLISHES /* publish_serve.c is not linked */
bool prt_publisher_serve(struct prt_app *app, struct msp_req **req, const struct msp_msg *m)
{
	(void)app;
	(void)req;
	(void)m;
	return false;
}
#endif

bool prt_importer_notify(struct prt_app *app, const struct msp_name *zone, const struct msp_addr *from)
{
	(void)app;
	(void)zone;
	w.scans_of_soa += from->oct[3] == 1;
	return from->oct[3] == 1;
}

/* --- the world ---------------------------------------------------------------------------------------------------- */

/* Until nothing is left to be done. */
static inline void world_run(void)
{
	while (w.works > 0 || w.jobs > 0) {
		if (w.works > 0) {
			struct world_work now = w.work[0];

			memmove(w.work, w.work + 1, --w.works * sizeof(w.work[0]));
			now.work(now.arg);
			now.done(now.arg);
		} else {
			do_job();
		}
	}
}

static inline void world_pass(int64_t ms)
{
	w.mono_ms += ms;
	w.wall_s += ms / 1000;
	if (w.timer_at != 0 && w.timer_at <= w.mono_ms) {
		w.timer_at = 0;
		w.timer(w.timer_arg);
	}
	world_run();
}

static inline struct prt_rules world_rules(void)
{
	return (struct prt_rules){
		.policy = { .sources = (1u << PRT_SRC__N) - 1,
			    .touch = PRT_TOUCH_ALL,
			    .allow_delete = true,
			    .methods = 1u << PRT_METHOD_MANUAL },
		.keys = prt_key_rules_default,
		.boot = { .methods = 1u << PRT_METHOD_MANUAL },
		.check = { .shape = prt_shape_rules_default },
		.no_checks = true,
		.confirm_s = 600,
		.scan_retry_s = { 300, 600, 1200, 2400 },
		.check_tries = 4,
	};
}

static inline void world_open(struct msp_key *receiver)
{
	struct prt_settings *s = &w.settings;

	memset(&w, 0, sizeof(w));
	w.mono_ms = 1000000;
	w.wall_s = W_START;
	msp_log_init_null(&w.log);
	msp_buf_init(&w.stored, 1 << 20);
	msp_buf_init(&w.reply, MSP_MSG_MAX);
	s->conf.numbers = msp_numbers_default;
	s->conf.limits = (struct prt_conf_limits){ .requests_per_s = 1000000,
						   .failures_per_s = 1000000,
						   .verify_per_name_per_s = 1000000,
						   .verify_in_flight = 512,
						   .signed_refusals_per_s = 100000,
						   .defer = true };
	s->parent.zone = world_name(W_PARENT);
	s->parent.publish = (struct prt_conf_publish){ .update = true, .cds = true };
	s->rules = world_rules();
	s->sig0 = msp_sig0_policy_default;
	s->key = receiver;
	w.app.settings = s;
	w.app.conf = &s->conf;
	w.app.log = &w.log;
	msp_rand_init_seed(&w.app.rand, 1);
	W_MUST(msp_bucket_new(16, 10, 10, &w.app.log_budget) == MSP_OK);
	W_MUST(prt_receiver_open(&w.app, &w.app.receiver) == MSP_OK);
}

/** What the books have in line is never called back, as when they are closed. */
static inline void world_close(void)
{
	prt_receiver_close(&w.app.receiver);
	w.jobs = 0;
	if (w.app.receiver != NULL)
		prt_receiver_close(&w.app.receiver);
	W_MUST(w.app.receiver == NULL);
	world_run(); /* workers come back */
	W_MUST(w.settings.refs == 0);
	msp_bucket_free(&w.app.log_budget);
	msp_buf_fini(&w.stored);
	msp_buf_fini(&w.reply);
}

/** The child is delegated to two servers and has no keys. */
static inline void world_delegate(void)
{
	static const char *const lines[] = { W_CHILD " 300 NS ns1.test.", W_CHILD " 300 NS ns2.test." };
	struct prt_child c;
	struct msp_buf rdata;

	world_load(&c);
	msp_buf_init(&rdata, MSP_RDATA_MAX);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct msp_rr rr;

		W_MUST(msp_rr_scan(msp_span_str(lines[i]), NULL, NULL, 300, &rdata, &rr, NULL) == MSP_OK);
		W_MUST(prt_delegation_add(&c.registered, &rr) == MSP_OK);
		W_MUST(prt_delegation_add(&c.published, &rr) == MSP_OK);
	}
	msp_buf_fini(&rdata);
	world_store(&c);
	prt_child_fini(&c);
}

static inline void world_key(struct msp_span rdata, enum prt_key_state state)
{
	struct prt_child c;
	struct prt_key *k;

	world_load(&c);
	k = &c.keys.key[c.keys.count++];
	memset(k, 0, sizeof(*k));
	memcpy(k->rdata, rdata.ptr, rdata.len);
	k->rdata_len = (uint16_t)rdata.len;
	k->state = state;
	k->method = PRT_METHOD_MANUAL;
	k->since = msp_wall_now();
	world_store(&c);
	prt_child_fini(&c);
}

/** One message from this address comes in. Nothing is run. */
static inline void world_put(struct msp_span octets, const char *from, bool is_tcp)
{
	struct msp_req *req = msp_alloc(1, sizeof(*req));

	W_MUST(req != NULL);
	msp_buf_init(&req->message, MSP_MSG_MAX);
	msp_buf_add_span(&req->message, octets);
	W_MUST(msp_addr_parse(from, 4711, &req->peer) == MSP_OK);
	req->is_tcp = is_tcp;
	prt_receive(&w.app, req);
}

#endif
