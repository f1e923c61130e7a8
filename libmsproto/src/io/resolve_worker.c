/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker process around getdns. Recursing mode only: the stub mode's validation has memory errors. Reads look-ups
 * from descriptor 3, answers there, ends when it closes. It decides what is secure; records are taken from the raw
 * message by our own parser.
 */
#include <msproto/io/resolve.h>

#include <msproto/base/mem.h>
#include <msproto/msg/msg.h>

#include "io/getdns_hints.h"
#include "io/getdns_loop.h"
#include "io/resolve_wire.h"

#include <arpa/inet.h>
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
#define TIMEOUT_MS_DEFAULT 10000u
#define CNAME_HOPS_MAX     16
#define ROOTS_MAX          16u
#define ANCHORS_MAX        64u
#define ADDRESS_SPACE_MAX  (512ul << 20)
#define ROOT_ANCHOR_FILE   "/usr/share/dns/root.key" /* Debian: dns-root-data */
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

struct worker {
	uv_loop_t uv;
	uv_pipe_t channel;
	struct getdns_loop binding;
	struct getdns_hints hints;
	getdns_context *ctx;
	getdns_dict *extensions;
	uint32_t timeout_ms;
	size_t lookup_count;
	bool ending; /* callbacks now come from the context's destruction */
	struct msp_buf in;
	char chunk[READ_CHUNK];
	struct msp_rr_scratch scratch;
};

/* One question, asked of getdns once or twice. Lives until its timer is closed. */
struct question {
	struct worker *w;
	struct resolve_ask ask;
	struct resolve_reply reply;
	uv_timer_t timer;
	struct msp_mono start;
	getdns_transaction_t transaction;
	unsigned attempt;
	bool calling;   /* inside getdns_general, which may call back at once */
	bool answered;  /* getdns has called back */
	bool cancelled; /* by us: its last callback is to be ignored */
};

/* ---- judging an answer ---- */

static void judge(struct question *q, enum msp_lookup verdict, const char *why)
{
	q->reply.verdict = verdict;
	(void)snprintf(q->reply.why, sizeof(q->reply.why), "%s", why);
}

/* The records of the asked type, at the end of the answer's own CNAME chain. *out stays NULL when there are none. */
static enum msp_err collect(struct worker *w, const struct msp_msg *m, const struct resolve_ask *ask,
			    struct msp_rrset **out)
{
	struct msp_name at = ask->name;
	enum msp_err err = MSP_OK;

	for (int hop = 0; hop <= CNAME_HOPS_MAX && err == MSP_OK; hop++) {
		struct msp_name target = { .len = 0 };
		struct msp_msg_it it;
		struct msp_rr rr;

		msp_msg_it_init(&it, m, MSP_SEC_ANSWER, &w->scratch);
		while (err == MSP_OK && msp_msg_next(&it, &rr)) {
			if (rr.cls != MSP_CLASS_IN || !msp_name_equal(&rr.owner, &at))
				continue;
			if (rr.type == ask->type) {
				if (!*out)
					err = msp_rrset_new(&rr.owner, rr.type, rr.ttl, out);
				if (err == MSP_OK && rr.ttl < (*out)->ttl)
					(*out)->ttl = rr.ttl;
				if (err == MSP_OK)
					err = msp_rrset_add(*out, rr.rdata);
			} else if (rr.type == MSP_TYPE_CNAME) {
				err = msp_name_from_wire(rr.rdata, &target);
			}
		}
		if (*out || !msp_name_is_set(&target))
			return err;
		at = target;
	}
	return err == MSP_OK ? MSP_ELIMIT : err;
}

static void judge_secure(struct question *q, const getdns_dict *response)
{
	getdns_bindata *raw = NULL;
	struct msp_msg m;
	struct msp_why why = { "" };
	enum msp_err err;

	if (getdns_dict_get_bindata(response, "/replies_full/0", &raw) != GETDNS_RETURN_GOOD) {
		judge(q, MSP_LOOKUP_FAILED, "no raw answer");
		return;
	}
	err = msp_msg_parse(msp_span(raw->data, raw->size), &q->w->scratch, &m, &why);
	if (err == MSP_OK)
		err = collect(q->w, &m, &q->ask, &q->reply.set);
	if (err != MSP_OK) {
		msp_rrset_free(&q->reply.set);
		judge(q, MSP_LOOKUP_FAILED, why.text[0] ? why.text : msp_err_text(err));
	} else if (q->reply.set) {
		judge(q, MSP_LOOKUP_SECURE, "secure");
	} else {
		judge(q, MSP_LOOKUP_NODATA,
		      m.rcode == MSP_RCODE_NXDOMAIN ? "name does not exist" : "no records of this type");
	}
}

/* dnssec_return_all_statuses hands out everything with its status, so that the decision is made here. */
static void judge_response(struct question *q, const getdns_dict *response)
{
	uint32_t rcode = 0, dnssec = 0;
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
	} else if (dnssec == GETDNS_DNSSEC_SECURE) {
		judge_secure(q, response);
	} else if (dnssec == GETDNS_DNSSEC_INSECURE) {
		judge(q, MSP_LOOKUP_INSECURE, "insecure: the zone is not signed, or no DS leads to it");
	} else if (dnssec == GETDNS_DNSSEC_INDETERMINATE) {
		judge(q, MSP_LOOKUP_INDETERMINATE, "indeterminate: no trust anchor covers the name");
	} else {
		judge(q, MSP_LOOKUP_FAILED, "not validated");
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
	send_reply(q->w, &q->reply);
	msp_rrset_free(&q->reply.set);
	q->w->lookup_count--;
	uv_close((uv_handle_t *)&q->timer, question_closed);
}

static void question_ask(struct question *q);

static void pause_over(uv_timer_t *t)
{
	question_ask(t->data);
}

/* The second attempt has run out of time: the first one's verdict stands. */
static void retry_over(uv_timer_t *t)
{
	struct question *q = t->data;

	q->cancelled = true;
	(void)getdns_cancel_callback(q->w->ctx, q->transaction);
	question_done(q);
}

static void question_answered(struct question *q)
{
	(void)uv_timer_stop(&q->timer);
	if (q->reply.verdict == MSP_LOOKUP_BOGUS && q->attempt == 1)
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

static void question_ask(struct question *q)
{
	struct msp_name_text name = msp_name_text(&q->ask.name);
	getdns_return_t rc;

	q->attempt++;
	q->answered = false;
	if (q->attempt > 1) {
		int64_t left = q->w->timeout_ms - (msp_mono_now().ms - q->start.ms);

		(void)uv_timer_start(&q->timer, retry_over,
				     (uint64_t)(left > RETRY_TIME_MIN_MS ? left : RETRY_TIME_MIN_MS), 0);
	}
	q->calling = true;
	rc = getdns_general(q->w->ctx, name.s, q->ask.type, q->w->extensions, q, &q->transaction, on_getdns);
	q->calling = false;
	getdns_hints_remove(&q->w->hints); /* read by now */
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
	struct resolve_reply busy = { .id = ask->id, .verdict = MSP_LOOKUP_FAILED, .why = "too many look-ups" };

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
	q->start = msp_mono_now();
	q->timer.data = q;
	(void)uv_timer_init(&w->uv, &q->timer);
	w->lookup_count++;
	question_ask(q);
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

/* DS or DNSKEY records in presentation form, a line each; comments start with ';'. */
static getdns_list *read_anchors(const char *path)
{
	getdns_list *list = getdns_list_create();
	FILE *f = fopen(path, "re");
	char line[4096];
	size_t count = 0;

	while (list && f && count < ANCHORS_MAX && fgets(line, sizeof(line), f)) {
		getdns_dict *rr = NULL;

		line[strcspn(line, ";\r\n")] = '\0';
		if (line[strspn(line, " \t")] == '\0')
			continue;
		if (getdns_str2rr_dict(line, &rr, NULL, 3600) != GETDNS_RETURN_GOOD) {
			count = 0;
			break;
		}
		if (getdns_list_set_dict(list, count, rr) == GETDNS_RETURN_GOOD)
			count++;
		getdns_dict_destroy(rr);
	}
	if (f)
		(void)fclose(f);
	if (count == 0) {
		getdns_list_destroy(list);
		return NULL;
	}
	return list;
}

static bool set_anchors(getdns_context *ctx, const char *path)
{
	getdns_list *list;
	getdns_return_t rc;

	if (!path && access(ROOT_ANCHOR_FILE, R_OK) != 0)
		return true; /* the library's own */
	/* Once set, the library fetches none over HTTP. */
	list = read_anchors(path ? path : ROOT_ANCHOR_FILE);
	if (!list) {
		(void)fprintf(stderr, "resolver worker: %s: no trust anchor can be read\n",
			      path ? path : ROOT_ANCHOR_FILE);
		return false;
	}
	rc = getdns_context_set_dnssec_trust_anchors(ctx, list);
	getdns_list_destroy(list);
	return rc == GETDNS_RETURN_GOOD;
}

static bool set_roots(struct worker *w, const struct settings *s)
{
	getdns_list *list = s->root_count ? getdns_list_create() : NULL;
	getdns_return_t rc = GETDNS_RETURN_GOOD;

	if (s->root_count == 0)
		return true;
	for (size_t i = 0; list && i < s->root_count && rc == GETDNS_RETURN_GOOD; i++) {
		struct msp_addr addr;
		getdns_bindata octets = { 0, addr.oct };

		if (msp_addr_parse(s->root[i], 0, &addr) != MSP_OK) {
			rc = GETDNS_RETURN_INVALID_PARAMETER;
			break;
		}
		octets.size = addr.family == MSP_FAMILY_V4 ? 4 : 16;
		rc = getdns_list_set_bindata(list, i, &octets);
	}
	if (rc == GETDNS_RETURN_GOOD)
		rc = getdns_hints_set(w->ctx, list, &w->hints);
	getdns_list_destroy(list);
	return rc == GETDNS_RETURN_GOOD;
}

static bool set_up(struct worker *w, const struct settings *s)
{
	getdns_namespace_t dns_only[] = { GETDNS_NAMESPACE_DNS };

	w->timeout_ms = s->timeout_ms;
	/* 0: nothing from /etc/resolv.conf and /etc/hosts; everything is said here. */
	if (getdns_context_create(&w->ctx, 0) != GETDNS_RETURN_GOOD)
		return false;
	w->extensions = getdns_dict_create();
	return w->extensions && getdns_context_set_namespaces(w->ctx, 1, dns_only) == GETDNS_RETURN_GOOD &&
	       getdns_context_set_resolution_type(w->ctx, GETDNS_RESOLUTION_RECURSING) == GETDNS_RETURN_GOOD &&
	       getdns_context_set_timeout(w->ctx, s->timeout_ms) == GETDNS_RETURN_GOOD &&
	       set_anchors(w->ctx, s->anchor_file) && set_roots(w, s) &&
	       getdns_loop_attach(&w->binding, w->ctx, &w->uv) == GETDNS_RETURN_GOOD &&
	       getdns_dict_set_int(w->extensions, "dnssec_return_all_statuses", GETDNS_EXTENSION_TRUE) ==
		       GETDNS_RETURN_GOOD;
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
	getdns_dict_destroy(w->extensions);
	getdns_hints_remove(&w->hints);
	getdns_context_destroy(w->ctx);
	getdns_loop_detach(&w->binding);
	(void)uv_run(&w->uv, UV_RUN_NOWAIT);
}

int msp_resolver_worker(int argc, char **argv)
{
	struct worker *w = msp_alloc(1, sizeof(*w)); /* never freed: the process ends with it */
	struct settings s = { .root_count = 0 };

	(void)syscall(SYS_close_range, CHANNEL_FD + 1, ~0u, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	if (!w || !read_settings(argc, argv, &s) || uv_loop_init(&w->uv) != 0)
		return EXIT_FAILURE;
	msp_buf_init(&w->in, 2 * (RESOLVE_FRAME_HEAD + RESOLVE_ASK_MAX) + READ_CHUNK);
	if (!set_up(w, &s) || !harden()) {
		(void)fprintf(stderr, "resolver worker: cannot start\n");
		return EXIT_FAILURE;
	}
	w->channel.data = w;
	if (uv_pipe_init(&w->uv, &w->channel, 0) != 0 || uv_pipe_open(&w->channel, CHANNEL_FD) != 0 ||
	    uv_read_start((uv_stream_t *)&w->channel, give_chunk, got) != 0)
		return EXIT_FAILURE;
	(void)uv_run(&w->uv, UV_RUN_DEFAULT);
	tear_down(w);
	/* What is left belongs to look-ups in flight: the kernel takes it, faster than a walk over the library's lists.
	 */
	_exit(EXIT_SUCCESS);
}
