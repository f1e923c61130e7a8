/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker process around getdns. Recursing mode only: the stub mode's validation has memory errors. Reads look-ups
 * from descriptor 3, answers there, ends when it closes. It decides what is secure; records are taken from the raw
 * message by our own parser.
 */
#include <msproto/io/resolve.h>

#include <msproto/base/mem.h>
#include <msproto/msg/msg.h>

#include "io/resolve_engine.h"
#include "io/resolve_judge.h"
#include "io/resolve_wire.h"

#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHANNEL_FD         3
#define LOOKUPS_MAX        1024u
#define BOGUS_PAUSE_MS     500 /* "bogus" may be a chain that could not be fetched just now */
#define RETRY_TIME_MIN_MS  1000
#define SPARES_MAX         4u  /* contexts for second attempts, at a time */
#define SPARE_FRESH_MS     400 /* under the pause: what it has cached is younger than the question */
#define TIMEOUT_MS_DEFAULT 10000u
#define ROOTS_MAX          16u
#define ADDRESS_SPACE_MAX  (512ul << 20)
#define READ_CHUNK         4096
#define EXIT_SECONDS       2

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/*
 * A context for second attempts. The first one's cache holds "bogus" for a minute, and the DS and DNSKEY that led to it
 * for their TTL: asked again there, it could only say the same.
 */
struct spare {
	struct resolve_engine engine;
	struct worker *w;
	struct msp_mono made;
	size_t users;
	uv_timer_t timer; /* ends it when it has no users */
};

struct worker {
	uv_loop_t uv;
	uv_pipe_t channel;
	struct resolve_recipe recipe;
	struct resolve_engine engine;
	struct spare *spare; /* the newest; NULL when it is gone */
	size_t spare_count;
	size_t lookup_count;
	bool ending; /* callbacks now come from a context's destruction */
	struct msp_buf in;
	char chunk[READ_CHUNK];
	struct msp_rr_scratch scratch;
};

/* One question, asked of getdns once or twice. Lives until its timer is closed. */
struct question {
	struct worker *w;
	struct spare *spare; /* NULL in the first attempt */
	struct resolve_ask ask;
	struct resolve_reply reply;
	uv_timer_t timer;
	struct msp_mono start;
	getdns_transaction_t transaction;
	bool calling;   /* inside getdns_general, which may call back at once */
	bool answered;  /* getdns has called back */
	bool cancelled; /* by us: its last callback is to be ignored */
};

/* ---- contexts for second attempts ---- */

static void spare_closed(uv_handle_t *h)
{
	msp_free(h->data);
}

/* From the loop, so never inside a callback of the context. */
static void spare_over(uv_timer_t *t)
{
	struct spare *s = t->data;
	struct worker *w = s->w;

	if (s->users > 0)
		return;
	if (w->spare == s)
		w->spare = NULL;
	w->spare_count--;
	w->ending = true; /* nobody waits for it, so whatever it still says is of no interest */
	resolve_engine_fini(&s->engine);
	w->ending = false;
	uv_close((uv_handle_t *)&s->timer, spare_closed);
}

static struct spare *spare_new(struct worker *w)
{
	struct spare *s = msp_alloc(1, sizeof(*s));

	if (!s || !resolve_engine_init(&s->engine, &w->recipe, &w->uv)) {
		msp_free(s);
		return NULL;
	}
	s->w = w;
	s->made = msp_mono_now();
	s->timer.data = s;
	(void)uv_timer_init(&w->uv, &s->timer);
	w->spare_count++;
	return s;
}

/* NULL when there is none to be had. */
static struct spare *spare_get(struct worker *w)
{
	struct msp_mono now = msp_mono_now();

	if (!w->spare ||
	    (msp_mono_reached(now, msp_mono_add_ms(w->spare->made, SPARE_FRESH_MS)) && w->spare_count < SPARES_MAX))
		w->spare = w->spare_count < SPARES_MAX ? spare_new(w) : w->spare;
	if (w->spare)
		w->spare->users++;
	return w->spare;
}

static void spare_put(struct spare *s)
{
	if (s && --s->users == 0)
		(void)uv_timer_start(&s->timer, spare_over, SPARE_FRESH_MS, 0);
}

/* ---- judging an answer ---- */

static void judge(struct question *q, enum msp_lookup verdict, const char *why)
{
	resolve_judge(&q->reply, verdict, why);
}

/* dnssec_return_all_statuses hands out everything with its status, so that the decision is made here. */
static void judge_response(struct question *q, const getdns_dict *response)
{
	uint32_t rcode = 0, dnssec = 0;
	getdns_bindata *raw = NULL;
	char why[64];

	if (getdns_dict_get_int(response, "/replies_tree/0/header/rcode", &rcode) != GETDNS_RETURN_GOOD) {
		judge(q, MSP_LOOKUP_FAILED, "no answer from any server");
		return;
	}
	if (getdns_dict_get_int(response, "/replies_tree/0/dnssec_status", &dnssec) != GETDNS_RETURN_GOOD)
		dnssec = GETDNS_DNSSEC_NOT_PERFORMED;
	if (dnssec == GETDNS_DNSSEC_BOGUS) {
		judge(q, MSP_LOOKUP_BOGUS, "bogus: DNSSEC validation failed");
	} else if (rcode != MSP_RCODE_NOERROR && rcode != MSP_RCODE_NXDOMAIN) {
		(void)snprintf(why, sizeof(why), "servers answer %s", msp_rcode_name(rcode));
		judge(q, MSP_LOOKUP_FAILED, why);
	} else if (dnssec == GETDNS_DNSSEC_INDETERMINATE) {
		judge(q, MSP_LOOKUP_INDETERMINATE, "indeterminate: no trust anchor covers the name");
	} else if (dnssec != GETDNS_DNSSEC_SECURE && dnssec != GETDNS_DNSSEC_INSECURE) {
		judge(q, MSP_LOOKUP_FAILED, "not validated");
	} else if (getdns_dict_get_bindata(response, "/replies_full/0", &raw) != GETDNS_RETURN_GOOD) {
		judge(q, MSP_LOOKUP_FAILED, "no raw answer");
	} else {
		resolve_judge_answer(&q->reply, &q->ask, dnssec == GETDNS_DNSSEC_SECURE, msp_span(raw->data, raw->size),
				     &q->w->scratch);
	}
}

/* ---- answering ---- */

struct reply_write {
	uv_write_t write;
	struct msp_buf buf;
};

static void reply_written(uv_write_t *write, int status)
{
	struct reply_write *rw = write->data;

	msp_buf_fini(&rw->buf);
	msp_free(rw);
	if (status < 0)
		_exit(EXIT_SUCCESS); /* nobody listens any more */
}

/* What cannot be told is fatal: the parent restarts us and fails what it had asked. */
static void send_reply(struct worker *w, const struct resolve_reply *reply)
{
	struct reply_write *rw = msp_alloc(1, sizeof(*rw));
	uv_buf_t b;

	if (!rw)
		_exit(EXIT_FAILURE);
	rw->write.data = rw;
	msp_buf_init(&rw->buf, RESOLVE_FRAME_HEAD + RESOLVE_REPLY_MAX);
	if (resolve_reply_write(reply, &rw->buf) != MSP_OK)
		_exit(EXIT_FAILURE);
	b = uv_buf_init((char *)rw->buf.ptr, (unsigned)rw->buf.len);
	if (uv_write(&rw->write, (uv_stream_t *)&w->channel, &b, 1, reply_written) != 0)
		_exit(EXIT_SUCCESS);
}

static void question_closed(uv_handle_t *h)
{
	msp_free(h->data);
}

static void question_done(struct question *q)
{
	spare_put(q->spare);
	send_reply(q->w, &q->reply);
	msp_rrset_free(&q->reply.set);
	q->w->lookup_count--;
	uv_close((uv_handle_t *)&q->timer, question_closed);
}

static void question_ask(struct question *q, struct resolve_engine *engine);
static void retry_over(uv_timer_t *t);

static void pause_over(uv_timer_t *t)
{
	struct question *q = t->data;
	int64_t left = q->w->recipe.timeout_ms - (msp_mono_now().ms - q->start.ms);

	q->spare = spare_get(q->w);
	if (!q->spare) {
		question_done(q);
		return;
	}
	(void)uv_timer_start(&q->timer, retry_over, (uint64_t)(left > RETRY_TIME_MIN_MS ? left : RETRY_TIME_MIN_MS), 0);
	question_ask(q, &q->spare->engine);
}

/* The second attempt has run out of time: the first one's verdict stands. */
static void retry_over(uv_timer_t *t)
{
	struct question *q = t->data;

	q->cancelled = true;
	(void)getdns_cancel_callback(q->spare->engine.ctx, q->transaction);
	question_done(q);
}

static void question_answered(struct question *q)
{
	(void)uv_timer_stop(&q->timer);
	if (q->reply.verdict == MSP_LOOKUP_BOGUS && !q->spare)
		(void)uv_timer_start(&q->timer, pause_over, BOGUS_PAUSE_MS, 0);
	else
		question_done(q);
}

static void on_getdns(getdns_context *ctx, getdns_callback_type_t kind, getdns_dict *response, void *arg,
		      getdns_transaction_t id)
{
	struct question *q = arg;

	(void)ctx;
	(void)id;
	if (q->w->ending)
		return;
	if (!q->cancelled) {
		if (kind == GETDNS_CALLBACK_COMPLETE && response)
			judge_response(q, response);
		else if (kind == GETDNS_CALLBACK_TIMEOUT)
			judge(q, MSP_LOOKUP_TIMEOUT, "no answer in time");
		else
			judge(q, MSP_LOOKUP_FAILED, "resolver library failure");
		q->answered = true;
	}
	getdns_dict_destroy(response);
	if (!q->cancelled && !q->calling)
		question_answered(q);
}

static void question_ask(struct question *q, struct resolve_engine *engine)
{
	struct msp_name_text name = msp_name_text(&q->ask.name);
	getdns_return_t rc;

	q->answered = false;
	q->calling = true;
	rc = resolve_engine_ask(engine, name.s, q->ask.type, q, &q->transaction, on_getdns);
	q->calling = false;
	if (rc != GETDNS_RETURN_GOOD && !q->answered) {
		judge(q, MSP_LOOKUP_FAILED, getdns_get_errorstr_by_id((uint16_t)rc));
		q->answered = true;
	}
	if (q->answered)
		question_answered(q);
}

static void accept_question(struct worker *w, const struct resolve_ask *ask)
{
	struct question *q;
	struct resolve_reply busy = {
		.id = ask->id, .verdict = MSP_LOOKUP_FAILED, .is_open = ask->is_open, .why = "too many look-ups"
	};

	if (w->lookup_count >= LOOKUPS_MAX) {
		send_reply(w, &busy);
		return;
	}
	q = msp_alloc(1, sizeof(*q));
	if (!q)
		_exit(EXIT_FAILURE);
	q->w = w;
	q->ask = *ask;
	q->reply.id = ask->id;
	q->reply.is_open = ask->is_open;
	q->start = msp_mono_now();
	q->timer.data = q;
	(void)uv_timer_init(&w->uv, &q->timer);
	w->lookup_count++;
	question_ask(q, &w->engine);
}

/* ---- the channel ---- */

static void give_chunk(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct worker *w = h->data;

	(void)suggested;
	*buf = uv_buf_init(w->chunk, sizeof(w->chunk));
}

static void got(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct worker *w = s->data;

	if (n < 0) { /* the parent is gone, or wants a fresh worker */
		uv_stop(&w->uv);
		return;
	}
	if (n > 0)
		msp_buf_add(&w->in, buf->base, (size_t)n);
	for (;;) {
		struct resolve_ask ask;
		struct msp_span payload;
		enum msp_err err = resolve_frame(msp_buf_span(&w->in), RESOLVE_ASK_MAX, &payload);

		if (err == MSP_ETRUNC)
			return;
		if (err != MSP_OK || resolve_ask_read(payload, &ask) != MSP_OK)
			_exit(EXIT_FAILURE);
		msp_buf_consume(&w->in, RESOLVE_FRAME_HEAD + payload.len);
		accept_question(w, &ask);
	}
}

/* ---- set-up ---- */

struct settings {
	const char *anchor_file;
	uint32_t timeout_ms;
	const char *root[ROOTS_MAX];
	size_t root_count;
};

static bool read_settings(int argc, char **argv, struct settings *s)
{
	int c;

	optind = 2; /* after --resolver-worker */
	while ((c = getopt(argc, argv, "t:a:r:")) != -1) {
		if (c == 't')
			s->timeout_ms = (uint32_t)strtoul(optarg, NULL, 10);
		else if (c == 'a')
			s->anchor_file = optarg;
		else if (c == 'r' && s->root_count < ROOTS_MAX)
			s->root[s->root_count++] = optarg;
		else
			return false;
	}
	if (s->timeout_ms == 0)
		s->timeout_ms = TIMEOUT_MS_DEFAULT;
	return optind == argc;
}

/* The library parses what strangers send: it gets a socket, some memory and nothing else. */
static bool harden(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2];
	struct rlimit no_core = { 0, 0 }, memory = { ADDRESS_SPACE_MAX, ADDRESS_SPACE_MAX };

	memset(none, 0, sizeof(none));
	return prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0 && setrlimit(RLIMIT_CORE, &no_core) == 0 &&
	       (SANITIZED || setrlimit(RLIMIT_AS, &memory) == 0) && syscall(SYS_capset, &head, none) == 0;
}

static void tear_down(struct worker *w)
{
	/* Outstanding look-ups die with the process. */
	w->ending = true;
	(void)alarm(EXIT_SECONDS);
	resolve_engine_fini(&w->engine);
	(void)uv_run(&w->uv, UV_RUN_NOWAIT);
}

int msp_resolver_worker(int argc, char **argv)
{
	struct worker *w = msp_alloc(1, sizeof(*w)); /* never freed: the process ends with it */
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct settings s = { .root_count = 0 };

	(void)syscall(SYS_close_range, CHANNEL_FD + 1, ~0u, 0);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	if (!w || !read_settings(argc, argv, &s) || uv_loop_init(&w->uv) != 0)
		return EXIT_FAILURE;
	msp_buf_init(&w->in, 2 * (RESOLVE_FRAME_HEAD + RESOLVE_ASK_MAX) + READ_CHUNK);
	if (!resolve_recipe_init(&w->recipe, s.anchor_file, s.root, s.root_count, s.timeout_ms) ||
	    !resolve_engine_init(&w->engine, &w->recipe, &w->uv) || !harden()) {
		(void)fprintf(stderr, "resolver worker: cannot start\n");
		return EXIT_FAILURE;
	}
	w->channel.data = w;
	if (uv_pipe_init(&w->uv, &w->channel, 0) != 0 || uv_pipe_open(&w->channel, CHANNEL_FD) != 0 ||
	    uv_read_start((uv_stream_t *)&w->channel, give_chunk, got) != 0)
		return EXIT_FAILURE;
	(void)uv_run(&w->uv, UV_RUN_DEFAULT);
	tear_down(w);
	/* What is left belongs to look-ups in flight: the kernel takes it. */
	_exit(EXIT_SUCCESS);
}
