/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parent's side of the resolver: queue, supervision, time-outs. getdns and libunbound run in a child process
 * (resolve_worker.c), because a crash there must cost a restart and nothing else.
 */
#include <msproto/io/resolve.h>

#include <msproto/base/mem.h>

#include "io/loop_priv.h"
#include "io/resolve_child.h"
#include "zone/secure_make.h"

#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS_DEFAULT 10000u
#define IN_FLIGHT_DEFAULT  100u
#define QUEUE_DEFAULT      10000u
#define IN_FLIGHT_MAX      1000u /* what a worker accepts */
#define GUARD_MS           5000  /* on top of the look-up's own time-out: then the worker is taken for stuck */
#define NO_WORKER_MS       60000 /* how long a look-up waits for a worker that does not come up */
#define TICK_MS            250
#define BACKOFF_MIN_MS     100u
#define BACKOFF_MAX_MS     10000u

struct lookup {
	struct lookup *next;
	struct resolve_ask ask;
	struct msp_mono deadline;
	msp_resolve_fn *cb; /* of these two that which goes with ask.is_open */
	msp_resolve_open_fn *open;
	void *arg; /* borrowed until the callback */
	bool is_forgotten;
};

struct lookup_list {
	struct lookup *first, **last;
	size_t count;
};

struct msp_resolver {
	struct msp_loop *loop;
	struct msp_resolver_conf conf; /* pointers owned */
	char *worker_path, *anchor_file;
	struct resolve_child *worker;             /* NULL while there is none */
	struct lookup_list queue, flight, failed; /* waiting; with the worker; awaiting their callbacks */
	uint32_t next_id;
	uint64_t restarts;
	uint32_t backoff_ms;
	struct msp_timer *tick, *backoff;
	bool ticking, flush, closed;
	unsigned calling; /* callbacks under way: closing then waits with the memory */
	struct msp_task pump;
};

/* ---- lists ---- */

static void list_init(struct lookup_list *list)
{
	list->first = NULL;
	list->last = &list->first;
	list->count = 0;
}

static void list_add(struct lookup_list *list, struct lookup *l)
{
	l->next = NULL;
	*list->last = l;
	list->last = &l->next;
	list->count++;
}

static struct lookup *list_take(struct lookup_list *list, struct lookup **at)
{
	struct lookup *l = *at;

	*at = l->next;
	if (list->last == &l->next)
		list->last = at;
	list->count--;
	return l;
}

static void list_drop(struct lookup_list *list)
{
	while (list->first)
		msp_free(list_take(list, &list->first));
}

/* ---- callbacks ---- */

static void release(struct msp_resolver *r)
{
	if (!r->closed || r->calling || r->pump.queued)
		return;
	msp_free(r->worker_path);
	msp_free(r->anchor_file);
	msp_free(r);
}

static void tell_open(const struct lookup *l, struct resolve_reply *reply)
{
	const struct msp_open_answer a = { .verdict = reply->verdict,
					   .is_negative = reply->is_negative,
					   .set = reply->set,
					   .soa_owner = reply->soa_owner,
					   .why = reply->why };

	l->open(l->arg, &a);
	msp_rrset_free(&reply->set);
}

/* The only place where an RRset becomes a secure one: the worker was asked for it and has said so. */
static void tell_secure(const struct lookup *l, struct resolve_reply *reply)
{
	struct msp_secure_rrset *secure = NULL;
	const char *why = reply->why;

	if (reply->verdict == MSP_LOOKUP_SECURE && msp_secure_make(&reply->set, &secure) != MSP_OK) {
		msp_rrset_free(&reply->set);
		reply->verdict = MSP_LOOKUP_FAILED;
		why = "out of memory";
	}
	l->cb(l->arg, reply->verdict, secure, why);
}

/* Calls back and frees l; takes over what the reply holds. @return false when the callback closed the resolver: r is
 * gone then. */
static bool finish(struct msp_resolver *r, struct lookup *l, struct resolve_reply *reply)
{
	bool goes_on;

	r->calling++;
	if (l->is_forgotten)
		msp_rrset_free(&reply->set);
	else if (l->ask.is_open)
		tell_open(l, reply);
	else
		tell_secure(l, reply);
	r->calling--;
	msp_free(l);
	goes_on = !r->closed;
	release(r);
	return goes_on;
}

static bool finish_without(struct msp_resolver *r, struct lookup *l, enum msp_lookup verdict, const char *why)
{
	struct resolve_reply none = { .verdict = verdict };

	(void)snprintf(none.why, sizeof(none.why), "%s", why);
	return finish(r, l, &none);
}

static bool finish_failed(struct msp_resolver *r, const char *why)
{
	while (r->failed.first)
		if (!finish_without(r, list_take(&r->failed, &r->failed.first), MSP_LOOKUP_FAILED, why))
			return false;
	return true;
}

/* ---- the worker ---- */

static void start_later(struct msp_resolver *r)
{
	msp_timer_start(r->backoff, r->backoff_ms);
	r->backoff_ms = r->backoff_ms * 2 < BACKOFF_MAX_MS ? r->backoff_ms * 2 : BACKOFF_MAX_MS;
}

/* It died, or said something it must not, or is stuck. @return false when a callback closed r. */
static bool worker_lost(struct msp_resolver *r, const char *why)
{
	resolve_child_give_up(&r->worker, true);
	r->flush = false; /* its cache went with it */
	r->restarts++;
	msp_log(msp_loop_log(r->loop), MSP_LOG_WARNING, "resolver-worker-lost", MSP_F_STR("why", why),
		MSP_F_U64("in-flight", r->flight.count), MSP_F_U64("restarts", r->restarts));
	while (r->flight.first)
		list_add(&r->failed, list_take(&r->flight, &r->flight.first));
	start_later(r);
	return finish_failed(r, why);
}

static void on_lost(void *arg, const char *why)
{
	struct msp_resolver *r = arg;

	r->worker = NULL; /* given up already */
	(void)worker_lost(r, why);
}

static struct lookup *take_in_flight(struct msp_resolver *r, uint32_t id)
{
	for (struct lookup **at = &r->flight.first; *at; at = &(*at)->next)
		if ((*at)->ask.id == id)
			return list_take(&r->flight, at);
	return NULL;
}

static void pump_soon(struct msp_resolver *r);

static bool is_reply_to(const struct resolve_reply *reply, const struct lookup *l)
{
	return reply->is_open == l->ask.is_open && (reply->set == NULL || reply->set->type == l->ask.type);
}

static void on_reply(void *arg, struct resolve_reply *reply)
{
	struct msp_resolver *r = arg;
	struct lookup *l = take_in_flight(r, reply->id);

	if (!l || !is_reply_to(reply, l)) {
		msp_rrset_free(&reply->set);
		if (l)
			list_add(&r->failed, l);
		(void)worker_lost(r, "resolver worker answered what was not asked");
		return;
	}
	r->backoff_ms = BACKOFF_MIN_MS; /* it works */
	pump_soon(r);
	(void)finish(r, l, reply);
}

static enum msp_err worker_start(struct msp_resolver *r, struct msp_why *why)
{
	const struct resolve_child_conf conf = { .path = r->worker_path,
						 .anchor_file = r->anchor_file,
						 .timeout_ms = r->conf.timeout_ms,
						 .root = r->conf.root_server,
						 .root_count = r->conf.root_server_count };

	return resolve_child_start(r->loop, &conf, on_reply, on_lost, r, &r->worker, why);
}

static void start_now(void *arg)
{
	struct msp_resolver *r = arg;
	struct msp_why why = { "" };

	if (r->worker)
		return;
	if (worker_start(r, &why) == MSP_OK) {
		pump_soon(r);
		return;
	}
	msp_log(msp_loop_log(r->loop), MSP_LOG_ERROR, "resolver-worker-start-failed", MSP_F_STR("why", why.text));
	start_later(r);
}

/* ---- look-ups ---- */

static void start_ticking(struct msp_resolver *r)
{
	if (!r->ticking)
		msp_timer_start(r->tick, TICK_MS);
	r->ticking = true;
}

static void flush_now(struct msp_resolver *r)
{
	r->flush = false;
	resolve_child_give_up(&r->worker, false);
	start_now(r);
}

/* From the loop: hand look-ups to the worker as far as it may have them. */
static void pump(void *arg)
{
	struct msp_resolver *r = arg;

	if (r->closed) {
		release(r);
		return;
	}
	if (r->flush && r->worker && r->flight.count == 0)
		flush_now(r);
	while (r->worker && !r->flush && r->queue.first && r->flight.count < r->conf.in_flight_max) {
		struct lookup *l = list_take(&r->queue, &r->queue.first);

		l->ask.id = r->next_id++;
		l->deadline = msp_mono_add_ms(msp_mono_now(), (int64_t)r->conf.timeout_ms + GUARD_MS);
		list_add(&r->flight, l);
		if (resolve_child_send(r->worker, &l->ask) != MSP_OK) {
			(void)worker_lost(r, "resolver worker cannot be written to");
			return;
		}
	}
}

static void pump_soon(struct msp_resolver *r)
{
	msp_loop_post(r->loop, &r->pump, pump, r);
}

/* In order of dispatch, so the first is due first. @return false when r is gone. */
static bool guard_flight(struct msp_resolver *r, struct msp_mono now)
{
	bool stuck = false;

	while (r->flight.first && msp_mono_reached(now, r->flight.first->deadline)) {
		stuck = true;
		if (!finish_without(r, list_take(&r->flight, &r->flight.first), MSP_LOOKUP_TIMEOUT,
				    "resolver worker does not answer"))
			return false;
	}
	return stuck && r->worker ? worker_lost(r, "resolver worker does not answer") : true;
}

static bool guard_queue(struct msp_resolver *r, struct msp_mono now)
{
	while (!r->worker && r->queue.first && msp_mono_reached(now, r->queue.first->deadline))
		list_add(&r->failed, list_take(&r->queue, &r->queue.first));
	return finish_failed(r, "resolver worker does not start");
}

static void tick(void *arg)
{
	struct msp_resolver *r = arg;
	struct msp_mono now = msp_mono_now();

	r->ticking = false;
	if (!guard_flight(r, now) || !guard_queue(r, now))
		return;
	if (r->flight.first || r->queue.first)
		start_ticking(r);
}

static enum msp_err enqueue(struct msp_resolver *r, const struct lookup *what)
{
	struct lookup *l;

	if (!msp_name_is_set(&what->ask.name) || msp_type_is_meta(what->ask.type))
		return MSP_EVALUE;
	if (r->queue.count >= r->conf.queue_max)
		return MSP_EBUSY;
	l = msp_alloc(1, sizeof(*l));
	if (!l)
		return MSP_ENOMEM;
	*l = *what;
	l->deadline = msp_mono_add_ms(msp_mono_now(), (int64_t)r->conf.timeout_ms + NO_WORKER_MS);
	list_add(&r->queue, l);
	start_ticking(r);
	pump_soon(r);
	return MSP_OK;
}

enum msp_err msp_resolver_ask(struct msp_resolver *r, const struct msp_name *name, uint16_t type, msp_resolve_fn *cb,
			      void *arg)
{
	const struct lookup l = { .ask = { .type = type, .name = *name }, .cb = cb, .arg = arg };

	return enqueue(r, &l);
}

enum msp_err msp_resolver_ask_open(struct msp_resolver *r, const struct msp_name *name, uint16_t type,
				   msp_resolve_open_fn *cb, void *arg)
{
	const struct lookup l = { .ask = { .type = type, .is_open = true, .name = *name }, .open = cb, .arg = arg };

	return enqueue(r, &l);
}

/* They go their way, and end without a word. */
static void forget_in(struct lookup_list *list, const void *arg)
{
	for (struct lookup *l = list->first; l; l = l->next)
		if (l->arg == arg)
			l->is_forgotten = true;
}

void msp_resolver_forget(struct msp_resolver *r, const void *arg)
{
	forget_in(&r->queue, arg);
	forget_in(&r->flight, arg);
	forget_in(&r->failed, arg);
}

void msp_resolver_flush(struct msp_resolver *r)
{
	r->flush = r->worker != NULL; /* without a worker there is no cache */
	pump_soon(r);
}

uint64_t msp_resolver_restarts(const struct msp_resolver *r)
{
	return r->restarts;
}

/* ---- opening and closing ---- */

static enum msp_err copy_conf(struct msp_resolver *r, const struct msp_resolver_conf *conf, struct msp_why *why)
{
	if (conf->root_server_count > sizeof(conf->root_server) / sizeof(conf->root_server[0]))
		return msp_fail(why, MSP_ECONF, "too many root servers");
	r->conf = *conf;
	r->conf.worker_path = r->conf.trust_anchor_file = NULL;
	if (r->conf.timeout_ms == 0)
		r->conf.timeout_ms = TIMEOUT_MS_DEFAULT;
	if (r->conf.in_flight_max == 0)
		r->conf.in_flight_max = IN_FLIGHT_DEFAULT;
	if (r->conf.in_flight_max > IN_FLIGHT_MAX)
		r->conf.in_flight_max = IN_FLIGHT_MAX;
	if (r->conf.queue_max == 0)
		r->conf.queue_max = QUEUE_DEFAULT;
	r->worker_path = msp_strdup(conf->worker_path);
	r->anchor_file = conf->trust_anchor_file ? msp_strdup(conf->trust_anchor_file) : NULL;
	if (!r->worker_path || (conf->trust_anchor_file && !r->anchor_file))
		return msp_fail(why, MSP_ENOMEM, "resolver: out of memory");
	return MSP_OK;
}

enum msp_err msp_resolver_open(struct msp_loop *loop, const struct msp_resolver_conf *conf, struct msp_resolver **out,
			       struct msp_why *why)
{
	struct msp_resolver *r = msp_alloc(1, sizeof(*r));
	enum msp_err err;

	*out = NULL;
	if (!r)
		return msp_fail(why, MSP_ENOMEM, "resolver: out of memory");
	r->loop = loop;
	r->backoff_ms = BACKOFF_MIN_MS;
	list_init(&r->queue);
	list_init(&r->flight);
	list_init(&r->failed);
	err = copy_conf(r, conf, why);
	if (err == MSP_OK)
		err = msp_timer_new(loop, tick, r, &r->tick);
	if (err == MSP_OK)
		err = msp_timer_new(loop, start_now, r, &r->backoff);
	if (err == MSP_OK)
		err = worker_start(r, why);
	if (err == MSP_OK)
		*out = r;
	else
		msp_resolver_close(&r);
	return err;
}

void msp_resolver_close(struct msp_resolver **rp)
{
	struct msp_resolver *r = *rp;

	if (!r)
		return;
	*rp = NULL;
	r->closed = true;
	resolve_child_give_up(&r->worker, false);
	if (r->tick)
		msp_timer_close(&r->tick);
	if (r->backoff)
		msp_timer_close(&r->backoff);
	list_drop(&r->queue);
	list_drop(&r->flight);
	list_drop(&r->failed);
	release(r);
}
