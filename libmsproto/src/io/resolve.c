/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parent's side of the resolver: queue, supervision, time-outs. getdns and libunbound run in a child process
 * (resolve_worker.c), because a crash there must cost a restart and nothing else.
 */
#include <msproto/io/resolve.h>

#include <msproto/base/mem.h>

#include "io/loop_priv.h"
#include "io/resolve_wire.h"
#include "zone/secure_make.h"

#include <signal.h>
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
#define LINGER_MS          3000 /* for a worker that was told to end */
#define WORKER_FD          3
#define ARGS_MAX           (8 + 2 * 16)
#define ADDR_TEXT_MAX      64

struct lookup {
	struct lookup *next;
	struct resolve_ask ask;
	struct msp_mono deadline;
	msp_resolve_fn *cb;
	void *arg; /* borrowed until the callback */
};

struct lookup_list {
	struct lookup *first, **last;
	size_t count;
};

/* A child process. Outlives the resolver's interest in it: it goes with its last handle. */
struct worker {
	struct msp_resolver *r; /* NULL once it was given up */
	uv_process_t process;
	uv_pipe_t pipe;
	uv_timer_t linger;
	unsigned open_handles;
	bool running, pipe_closing;
	struct msp_buf in;
};

struct msp_resolver {
	struct msp_loop *loop;
	struct msp_resolver_conf conf; /* pointers owned */
	char *worker_path, *anchor_file;
	struct worker *worker;                    /* NULL while there is none */
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

/* Calls back and frees l. @return false when the callback closed the resolver: r is gone then. */
static bool finish(struct msp_resolver *r, struct lookup *l, enum msp_lookup verdict, struct msp_secure_rrset *secure,
		   const char *why)
{
	bool goes_on;

	r->calling++;
	l->cb(l->arg, verdict, secure, why);
	r->calling--;
	msp_free(l);
	goes_on = !r->closed;
	release(r);
	return goes_on;
}

static bool finish_failed(struct msp_resolver *r, const char *why)
{
	while (r->failed.first)
		if (!finish(r, list_take(&r->failed, &r->failed.first), MSP_LOOKUP_FAILED, NULL, why))
			return false;
	return true;
}

/* ---- the child process ---- */

static void worker_handle_closed(uv_handle_t *h)
{
	struct worker *w = h->data;

	if (--w->open_handles > 0)
		return;
	msp_buf_fini(&w->in);
	msp_free(w);
}

static void worker_close_pipe(struct worker *w)
{
	if (!w->pipe_closing)
		uv_close((uv_handle_t *)&w->pipe, worker_handle_closed);
	w->pipe_closing = true;
}

static void worker_linger_over(uv_timer_t *t)
{
	struct worker *w = t->data;

	if (w->running)
		(void)uv_process_kill(&w->process, SIGKILL);
}

/* No word from it is heard any more. It ends by itself when its pipe closes, unless it is to be killed. */
static void worker_give_up(struct worker *w, bool kill)
{
	if (w->r)
		w->r->worker = NULL;
	w->r = NULL;
	worker_close_pipe(w);
	if (w->running && kill)
		(void)uv_process_kill(&w->process, SIGKILL);
	else if (w->running)
		(void)uv_timer_start(&w->linger, worker_linger_over, LINGER_MS, 0);
}

static void start_later(struct msp_resolver *r);

/* It died, or said something it must not, or is stuck. @return false when a callback closed r. */
static bool worker_lost(struct msp_resolver *r, const char *why)
{
	worker_give_up(r->worker, true);
	r->flush = false; /* its cache went with it */
	r->restarts++;
	msp_log(msp_loop_log(r->loop), MSP_LOG_WARNING, "resolver-worker-lost", MSP_F_STR("why", why),
		MSP_F_U64("in-flight", r->flight.count), MSP_F_U64("restarts", r->restarts));
	while (r->flight.first)
		list_add(&r->failed, list_take(&r->flight, &r->flight.first));
	start_later(r);
	return finish_failed(r, why);
}

static void worker_exited(uv_process_t *process, int64_t status, int signum)
{
	struct worker *w = process->data;
	char why[64];

	w->running = false;
	uv_close((uv_handle_t *)&w->process, worker_handle_closed);
	uv_close((uv_handle_t *)&w->linger, worker_handle_closed);
	if (!w->r)
		return;
	if (signum)
		(void)snprintf(why, sizeof(why), "resolver worker died of signal %d", signum);
	else
		(void)snprintf(why, sizeof(why), "resolver worker exited with status %lld", (long long)status);
	(void)worker_lost(w->r, why);
}

static void pump_soon(struct msp_resolver *r);

static struct lookup *take_in_flight(struct msp_resolver *r, uint32_t id)
{
	for (struct lookup **at = &r->flight.first; *at; at = &(*at)->next)
		if ((*at)->ask.id == id)
			return list_take(&r->flight, at);
	return NULL;
}

/* @return false when r is gone, or the worker given up. */
static bool got_reply(struct msp_resolver *r, struct msp_span payload)
{
	struct msp_secure_rrset *secure = NULL;
	struct resolve_reply reply;
	struct lookup *l;

	if (resolve_reply_read(payload, &reply) != MSP_OK) {
		(void)worker_lost(r, "resolver worker sent a malformed answer");
		return false;
	}
	l = take_in_flight(r, reply.id);
	if (!l || (reply.set && reply.set->type != l->ask.type)) {
		msp_rrset_free(&reply.set);
		if (l)
			list_add(&r->failed, l);
		(void)worker_lost(r, "resolver worker answered what was not asked");
		return false;
	}
	r->backoff_ms = BACKOFF_MIN_MS; /* it works */
	if (reply.set && msp_secure_make(&reply.set, &secure) != MSP_OK) {
		msp_rrset_free(&reply.set);
		reply.verdict = MSP_LOOKUP_FAILED;
		(void)snprintf(reply.why, sizeof(reply.why), "out of memory");
	}
	pump_soon(r);
	return finish(r, l, reply.verdict, secure, reply.why);
}

static void give_octets(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct worker *w = h->data;

	(void)suggested;
	*buf = w->r ? uv_buf_init((char *)w->r->loop->octets, MSP_LOOP_OCTETS) : uv_buf_init(NULL, 0);
}

static void got_octets(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct worker *w = s->data;
	struct msp_resolver *r = w->r;

	if (!r || n == 0)
		return;
	if (n < 0) {
		/* Its exit status, which tells more, may be a moment away; but it may also live on without a pipe. */
		(void)worker_lost(r, "resolver worker closed its pipe");
		return;
	}
	msp_buf_add(&w->in, buf->base, (size_t)n);
	if (w->in.err != MSP_OK) {
		(void)worker_lost(r, "resolver worker sent too much");
		return;
	}
	while (w->r) {
		struct msp_span payload;
		enum msp_err err = resolve_frame(msp_buf_span(&w->in), RESOLVE_REPLY_MAX, &payload);

		if (err == MSP_ETRUNC)
			return;
		if (err != MSP_OK) {
			(void)worker_lost(r, "resolver worker sent too much");
			return;
		}
		if (!got_reply(r, payload))
			return;
		msp_buf_consume(&w->in, RESOLVE_FRAME_HEAD + payload.len);
	}
}

struct worker_args {
	char timeout[16];
	char root[16][ADDR_TEXT_MAX];
	char *argv[ARGS_MAX + 1];
};

/* Text that uv_spawn takes as char * and only reads. */
static char *arg(const char *text)
{
	union {
		const char *in;
		char *out;
	} u = { text };

	return u.out;
}

static void make_args(const struct msp_resolver *r, struct worker_args *a)
{
	size_t n = 0;

	(void)snprintf(a->timeout, sizeof(a->timeout), "%u", r->conf.timeout_ms);
	a->argv[n++] = r->worker_path;
	a->argv[n++] = arg("--resolver-worker");
	a->argv[n++] = arg("-t");
	a->argv[n++] = a->timeout;
	if (r->anchor_file) {
		a->argv[n++] = arg("-a");
		a->argv[n++] = r->anchor_file;
	}
	for (size_t i = 0; i < r->conf.root_server_count; i++) {
		struct msp_addr host = r->conf.root_server[i];

		host.port = 0;
		(void)snprintf(a->root[i], sizeof(a->root[i]), "%s", MSP_ADDR(&host));
		a->argv[n++] = arg("-r");
		a->argv[n++] = a->root[i];
	}
	a->argv[n] = NULL;
}

static int spawn(struct msp_resolver *r, struct worker *w)
{
	char *env[] = { arg("PATH=/usr/bin:/bin"), arg("LANG=C"), NULL };
	uv_stdio_container_t stdio[WORKER_FD + 1] = { { .flags = UV_IGNORE }, { .flags = UV_IGNORE } };
	uv_process_options_t options = { .exit_cb = worker_exited, .file = r->worker_path };
	struct worker_args args;

	make_args(r, &args);
	stdio[2].flags = UV_INHERIT_FD; /* what it has to complain about belongs into our log */
	stdio[2].data.fd = 2;
	stdio[WORKER_FD].flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE;
	stdio[WORKER_FD].data.stream = (uv_stream_t *)&w->pipe;
	options.args = args.argv;
	options.env = env;
	options.cwd = "/";
	options.stdio = stdio;
	options.stdio_count = WORKER_FD + 1;
	return uv_spawn(&r->loop->uv, &w->process, &options);
}

static enum msp_err worker_start(struct msp_resolver *r, struct msp_why *why)
{
	struct worker *w = msp_alloc(1, sizeof(*w));
	int rc;

	if (!w)
		return msp_fail(why, MSP_ENOMEM, "resolver worker: out of memory");
	w->r = r;
	w->process.data = w->pipe.data = w->linger.data = w;
	msp_buf_init(&w->in, RESOLVE_FRAME_HEAD + RESOLVE_REPLY_MAX + MSP_LOOP_OCTETS);
	(void)uv_pipe_init(&r->loop->uv, &w->pipe, 0);
	(void)uv_timer_init(&r->loop->uv, &w->linger);
	w->open_handles = 3;
	rc = spawn(r, w);
	w->running = rc == 0;
	if (rc == 0)
		rc = uv_read_start((uv_stream_t *)&w->pipe, give_octets, got_octets);
	if (rc != 0) {
		worker_give_up(w, true);
		if (!w->running) { /* the process handle is initialised in any case, but no exit will be told */
			uv_close((uv_handle_t *)&w->process, worker_handle_closed);
			uv_close((uv_handle_t *)&w->linger, worker_handle_closed);
		}
		return msp_fail(why, MSP_EIO, "%s: %s", r->worker_path, uv_strerror(rc));
	}
	r->worker = w;
	return MSP_OK;
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

static void start_later(struct msp_resolver *r)
{
	msp_timer_start(r->backoff, r->backoff_ms);
	r->backoff_ms = r->backoff_ms * 2 < BACKOFF_MAX_MS ? r->backoff_ms * 2 : BACKOFF_MAX_MS;
}

/* ---- look-ups ---- */

struct ask_write {
	uv_write_t write;
	struct msp_buf buf;
};

static void ask_written(uv_write_t *w, int status)
{
	struct ask_write *a = w->data;

	(void)status; /* a broken pipe shows on the reading side, too */
	msp_buf_fini(&a->buf);
	msp_free(a);
}

static enum msp_err send_ask(struct worker *w, const struct resolve_ask *ask)
{
	struct ask_write *a = msp_alloc(1, sizeof(*a));
	enum msp_err err;
	uv_buf_t b;

	if (!a)
		return MSP_ENOMEM;
	a->write.data = a;
	msp_buf_init(&a->buf, RESOLVE_FRAME_HEAD + RESOLVE_ASK_MAX);
	err = resolve_ask_write(ask, &a->buf);
	if (err == MSP_OK) {
		b = uv_buf_init((char *)a->buf.ptr, (unsigned)a->buf.len);
		if (uv_write(&a->write, (uv_stream_t *)&w->pipe, &b, 1, ask_written) != 0)
			err = MSP_ENET;
	}
	if (err != MSP_OK) {
		msp_buf_fini(&a->buf);
		msp_free(a);
	}
	return err;
}

static void start_ticking(struct msp_resolver *r)
{
	if (!r->ticking)
		msp_timer_start(r->tick, TICK_MS);
	r->ticking = true;
}

static void flush_now(struct msp_resolver *r)
{
	r->flush = false;
	if (r->worker)
		worker_give_up(r->worker, false);
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
		if (send_ask(r->worker, &l->ask) != MSP_OK) {
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
		if (!finish(r, list_take(&r->flight, &r->flight.first), MSP_LOOKUP_TIMEOUT, NULL,
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

enum msp_err msp_resolver_ask(struct msp_resolver *r, const struct msp_name *name, uint16_t type, msp_resolve_fn *cb,
			      void *arg)
{
	struct lookup *l;

	if (!msp_name_is_set(name) || msp_type_is_meta(type))
		return MSP_EVALUE;
	if (r->queue.count >= r->conf.queue_max)
		return MSP_EBUSY;
	l = msp_alloc(1, sizeof(*l));
	if (!l)
		return MSP_ENOMEM;
	l->ask.name = *name;
	l->ask.type = type;
	l->cb = cb;
	l->arg = arg;
	l->deadline = msp_mono_add_ms(msp_mono_now(), (int64_t)r->conf.timeout_ms + NO_WORKER_MS);
	list_add(&r->queue, l);
	start_ticking(r);
	pump_soon(r);
	return MSP_OK;
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
	if (r->worker)
		worker_give_up(r->worker, false);
	if (r->tick)
		msp_timer_close(&r->tick);
	if (r->backoff)
		msp_timer_close(&r->backoff);
	list_drop(&r->queue);
	list_drop(&r->flight);
	list_drop(&r->failed);
	release(r);
}
