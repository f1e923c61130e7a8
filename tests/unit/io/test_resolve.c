/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parent's side of the resolver, against a worker that misbehaves on demand: this program itself, called with
 * --resolver-worker. The real worker is tested in tests/integration/resolve.
 */
#include "support.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <msproto/base/mem.h>
#include <msproto/io/resolve.h>
#include <msproto/msg/msg.h>
#include <msproto/wire/text.h>

#include "io/resolve_judge.h"

#define CHANNEL_FD 3
#define WAIT_MS    30000
#define QUIET_MS   100

/* ---- the worker ---- */

static void fake_send(struct msp_buf *out)
{
	size_t at = 0;

	while (at < out->len) {
		ssize_t n = write(CHANNEL_FD, out->ptr + at, out->len - at);

		if (n <= 0)
			_exit(1);
		at += (size_t)n;
	}
	msp_buf_reset(out);
}

static void fake_answer(uint32_t id, enum msp_lookup verdict, const char *why, struct msp_rrset *set)
{
	struct resolve_reply reply = { .id = id, .verdict = verdict, .set = set };
	struct msp_buf out;

	(void)snprintf(reply.why, sizeof(reply.why), "%s", why);
	msp_buf_init(&out, RESOLVE_REPLY_MAX);
	if (resolve_reply_write(&reply, &out) != MSP_OK)
		_exit(1);
	fake_send(&out);
	msp_buf_fini(&out);
}

static struct msp_rrset *addresses(const struct msp_name *owner, uint16_t type, unsigned count)
{
	struct msp_rrset *set = NULL;

	if (msp_rrset_new(owner, type, 300, &set) != MSP_OK)
		_exit(1);
	for (unsigned i = 0; i < count; i++) {
		uint8_t oct[4] = { 192, 0, (uint8_t)(i >> 8), (uint8_t)i };

		if (msp_rrset_add(set, msp_span(oct, 4)) != MSP_OK)
			_exit(1);
	}
	return set;
}

static void fake_secure(const struct resolve_ask *ask, uint16_t type, unsigned count)
{
	struct msp_rrset *set = addresses(&ask->name, type, count);

	fake_answer(ask->id, MSP_LOOKUP_SECURE, "secure", set);
	msp_rrset_free(&set);
}

/* Answers two held questions once both are there and no third one follows. */
static void fake_hold(const struct resolve_ask *ask)
{
	static struct resolve_ask held[2];
	static unsigned count;
	struct pollfd p = { CHANNEL_FD, POLLIN, 0 };
	bool more;

	held[count++] = *ask;
	if (count < 2)
		return;
	more = poll(&p, 1, QUIET_MS) > 0;
	while (count > 0) {
		count--;
		fake_answer(held[count].id, more ? MSP_LOOKUP_FAILED : MSP_LOOKUP_NODATA,
			    more ? "limit broken" : "held", NULL);
	}
}

static void fake_raw(const void *octets, size_t len)
{
	struct msp_buf out;

	msp_buf_init(&out, 65536);
	msp_buf_add(&out, octets, len);
	fake_send(&out);
	msp_buf_fini(&out);
}

static void fake_reply(const struct resolve_reply *reply)
{
	struct msp_buf out;

	msp_buf_init(&out, RESOLVE_REPLY_MAX);
	if (resolve_reply_write(reply, &out) != MSP_OK)
		_exit(1);
	fake_send(&out);
	msp_buf_fini(&out);
}

/* "secure" and "insecure" have two records each, "denied" and "denied-insecure" none, the SOA is one label up. */
static void fake_open(const struct resolve_ask *ask, const char *label)
{
	struct resolve_reply reply = { .id = ask->id, .is_open = true, .verdict = MSP_LOOKUP_FAILED, .why = "open" };

	if (strstr(label, "denied") != NULL) {
		reply.is_negative = true;
		if (msp_name_parent(&ask->name, 1, &reply.soa_owner) != MSP_OK)
			_exit(1);
	}
	if (strstr(label, "insecure") != NULL)
		reply.verdict = MSP_LOOKUP_INSECURE;
	else if (strcmp(label, "secure") == 0 || strcmp(label, "denied") == 0)
		reply.verdict = MSP_LOOKUP_SECURE;
	else if (strcmp(label, "bogus") == 0)
		reply.verdict = MSP_LOOKUP_BOGUS;
	if (strcmp(label, "secure") == 0 || strcmp(label, "insecure") == 0)
		reply.set = addresses(&ask->name, ask->type, 2);
	fake_reply(&reply);
	msp_rrset_free(&reply.set);
}

static bool is_for_open(const char *label)
{
	static const char *const labels[] = { "secure", "insecure", "denied", "denied-insecure", "bogus", "failed" };

	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (strcmp(label, labels[i]) == 0)
			return true;
	return false;
}

static void fake_one(const struct resolve_ask *ask)
{
	static unsigned asked;
	struct msp_name_text name = msp_name_text(&ask->name);
	size_t len = strcspn(name.s, ".");

	name.s[len] = '\0';
	asked++;
	if (strcmp(name.s, "opens") == 0) /* the other kind of reply than was asked for */
		fake_open(ask, "secure");
	else if (ask->is_open && is_for_open(name.s))
		fake_open(ask, name.s);
	else if (strcmp(name.s, "secure") == 0)
		fake_secure(ask, ask->type, 2);
	else if (strcmp(name.s, "many") == 0)
		fake_secure(ask, ask->type, 5000);
	else if (strcmp(name.s, "asked") == 0)
		fake_secure(ask, ask->type, asked); /* how many questions this worker has seen */
	else if (strcmp(name.s, "bogus") == 0)
		fake_answer(ask->id, MSP_LOOKUP_BOGUS, "bogus: on purpose", NULL);
	else if (strcmp(name.s, "die") == 0)
		(void)raise(SIGKILL);
	else if (strcmp(name.s, "exit") == 0)
		_exit(7);
	else if (strcmp(name.s, "hold") == 0)
		fake_hold(ask);
	else if (strcmp(name.s, "wrongid") == 0)
		fake_answer(ask->id + 1000, MSP_LOOKUP_NODATA, "", NULL);
	else if (strcmp(name.s, "wrongtype") == 0)
		fake_secure(ask, MSP_TYPE_NULL, 1);
	else if (strcmp(name.s, "badrdata") == 0)
		fake_raw("\0\0\0\x1a\0\0\0\0\0\0\0\1a\0\0\1\0\0\0\1\0\3abc\0\0\0\0", 30); /* an A of 3 octets */
	else if (strcmp(name.s, "huge") == 0)
		fake_raw("\xff\xff\xff\xff", 4);
	else if (strcmp(name.s, "junk") == 0)
		fake_raw("\0\0\0\3abc", 7);
	else if (strcmp(name.s, "deaf") == 0) {
		(void)close(CHANNEL_FD);
		pause();
	}
	/* "hang": no answer, ever */
}

static int fake_worker(void)
{
	struct msp_buf in;

	msp_buf_init(&in, 1 << 20);
	for (;;) {
		uint8_t chunk[4096];
		struct resolve_ask ask;
		struct msp_span payload;
		ssize_t n = read(CHANNEL_FD, chunk, sizeof(chunk));

		if (n <= 0)
			_exit(0);
		msp_buf_add(&in, chunk, (size_t)n);
		while (resolve_frame(msp_buf_span(&in), RESOLVE_ASK_MAX, &payload) == MSP_OK) {
			if (resolve_ask_read(payload, &ask) != MSP_OK)
				_exit(1);
			msp_buf_consume(&in, RESOLVE_FRAME_HEAD + payload.len);
			fake_one(&ask);
		}
	}
}

/* ---- the tests ---- */

struct bench {
	struct msp_log log;
	struct msp_loop *loop;
	struct msp_resolver *r;
	size_t left;
};

struct result {
	struct bench *b;
	unsigned calls;
	enum msp_lookup verdict;
	struct msp_secure_rrset *secure;
	char why[256];
	bool close;
};

static void answered(void *arg, enum msp_lookup verdict, struct msp_secure_rrset *secure, const char *why)
{
	struct result *res = arg;

	res->calls++;
	res->verdict = verdict;
	res->secure = secure;
	(void)snprintf(res->why, sizeof(res->why), "%s", why);
	res->b->left--;
	if (res->close)
		msp_resolver_close(&res->b->r);
}

static bool all_in(void *arg)
{
	return ((struct bench *)arg)->left == 0;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void start(struct bench *b, struct result *res, const char *name)
{
	struct msp_name n = t_name(name);

	*res = (struct result){ .b = b };
	T_OK(msp_resolver_ask(b->r, &n, MSP_TYPE_A, answered, res));
	assert_int_equal(res->calls, 0); /* never from inside */
	b->left++;
}

static void settle(struct bench *b)
{
	if (!msp_loop_run_until(b->loop, all_in, b, WAIT_MS))
		fail_msg("%zu look-ups got no answer", b->left);
}

/* One look-up to its end; the number of records. */
static size_t ask(struct bench *b, const char *name, enum msp_lookup want)
{
	struct result res;
	size_t count = 0;

	start(b, &res, name);
	settle(b);
	assert_int_equal(res.calls, 1);
	if (res.verdict != want)
		fail_msg("%s: %s (%s)", name, msp_lookup_name(res.verdict), res.why);
	assert_int_equal(res.secure != NULL, want == MSP_LOOKUP_SECURE);
	if (res.secure)
		count = msp_secure_get(res.secure)->count;
	msp_secure_free(&res.secure);
	return count;
}

static char self[4096];

static int open_bench(void **state)
{
	struct bench *b = msp_alloc(1, sizeof(*b));
	struct msp_resolver_conf conf = { .worker_path = self, .timeout_ms = 1, .in_flight_max = 2, .queue_max = 5 };
	struct msp_why why = { "" };

	*state = b;
	if (!b)
		return -1;
	msp_log_init_null(&b->log);
	if (msp_loop_new(&b->log, &b->loop) != MSP_OK)
		return -1;
	return msp_resolver_open(b->loop, &conf, &b->r, &why) == MSP_OK ? 0 : -1;
}

static int close_bench(void **state)
{
	struct bench *b = *state;

	msp_resolver_close(&b->r);
	msp_loop_free(&b->loop);
	msp_free(b);
	return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : -1; /* no child is left */
}

static void verdicts_and_records_come_through(void **state)
{
	struct bench *b = *state;
	struct result res;
	struct msp_name owner = t_name("secure.example.");

	start(b, &res, "secure.example.");
	settle(b);
	assert_int_equal(res.verdict, MSP_LOOKUP_SECURE);
	assert_true(msp_name_equal(&msp_secure_get(res.secure)->owner, &owner));
	assert_int_equal(msp_secure_get(res.secure)->count, 2);
	assert_int_equal(msp_secure_get(res.secure)->ttl, 300);
	msp_secure_free(&res.secure);
	start(b, &res, "bogus.example.");
	settle(b);
	assert_int_equal(res.verdict, MSP_LOOKUP_BOGUS);
	assert_null(res.secure);
	assert_string_equal(res.why, "bogus: on purpose");
	assert_int_equal(ask(b, "many.example.", MSP_LOOKUP_SECURE), 5000);
	assert_int_equal(msp_resolver_restarts(b->r), 0);
}

static void a_dead_or_lying_worker_fails_what_it_had_and_is_replaced(void **state)
{
	static const char *const deeds[] = { "die.",      "exit.", "wrongid.", "wrongtype.",
					     "badrdata.", "huge.", "junk.",    "deaf." };
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		assert_int_equal(ask(b, deeds[i], MSP_LOOKUP_FAILED), 0);
		assert_int_equal(msp_resolver_restarts(b->r), i + 1);
		assert_int_equal(ask(b, "secure.", MSP_LOOKUP_SECURE), 2);
	}
}

static void what_waited_behind_a_death_is_asked_of_the_next_worker(void **state)
{
	struct bench *b = *state;
	struct result res[4];

	start(b, &res[0], "hang.");
	start(b, &res[1], "die.");
	start(b, &res[2], "secure."); /* two may be in flight: these two wait */
	start(b, &res[3], "bogus.");
	settle(b);
	assert_int_equal(res[0].verdict, MSP_LOOKUP_FAILED);
	assert_int_equal(res[1].verdict, MSP_LOOKUP_FAILED);
	assert_int_equal(res[2].verdict, MSP_LOOKUP_SECURE);
	assert_int_equal(res[3].verdict, MSP_LOOKUP_BOGUS);
	msp_secure_free(&res[2].secure);
}

/* The guard is 5 seconds on top of the look-up's time-out. */
static void a_worker_that_never_answers_is_a_timeout_and_is_replaced(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ask(b, "hang.", MSP_LOOKUP_TIMEOUT), 0);
	assert_int_equal(msp_resolver_restarts(b->r), 1);
	assert_int_equal(ask(b, "secure.", MSP_LOOKUP_SECURE), 2);
}

static void no_more_are_in_flight_or_waiting_than_allowed(void **state)
{
	struct bench *b = *state;
	struct result res[5], extra = { .b = b };
	struct msp_name name = t_name("hold.");

	assert_int_equal(ask(b, "secure.", MSP_LOOKUP_SECURE), 2); /* the worker is up */
	for (int i = 0; i < 4; i++)
		start(b, &res[i], "hold.");
	start(b, &res[4], "secure.");
	T_ERR(msp_resolver_ask(b->r, &name, MSP_TYPE_A, answered, &extra), MSP_EBUSY);
	settle(b);
	for (int i = 0; i < 4; i++)
		if (res[i].verdict != MSP_LOOKUP_NODATA)
			fail_msg("%s", res[i].why);
	msp_secure_free(&res[4].secure);
	assert_int_equal(extra.calls, 0);
	T_ERR(msp_resolver_ask(b->r, &name, MSP_TYPE_AXFR, answered, &extra), MSP_EVALUE);
}

static void a_flush_starts_a_fresh_worker_when_nothing_is_in_flight(void **state)
{
	struct bench *b = *state;
	struct result held[2], res;

	assert_int_equal(ask(b, "asked.", MSP_LOOKUP_SECURE), 1);
	assert_int_equal(ask(b, "asked.", MSP_LOOKUP_SECURE), 2);
	start(b, &held[0], "hold.");
	start(b, &held[1], "hold.");
	(void)msp_loop_run_until(b->loop, never, b, 10);
	msp_resolver_flush(b->r);
	msp_resolver_flush(b->r);
	start(b, &res, "asked.");
	settle(b);
	assert_int_equal(held[0].verdict, MSP_LOOKUP_NODATA);   /* what was in flight ended well */
	assert_int_equal(msp_secure_get(res.secure)->count, 1); /* and the next worker knew nothing */
	msp_secure_free(&res.secure);
	assert_int_equal(msp_resolver_restarts(b->r), 0);
}

static void closing_forgets_the_callbacks(void **state)
{
	struct bench *b = *state;
	struct result res[3];

	start(b, &res[0], "hang.");
	start(b, &res[1], "hang.");
	(void)msp_loop_run_until(b->loop, never, b, 50);
	start(b, &res[2], "secure.");
	msp_resolver_close(&b->r);
	assert_null(b->r);
	(void)msp_loop_run_until(b->loop, never, b, 50);
	for (int i = 0; i < 3; i++)
		assert_int_equal(res[i].calls, 0);
}

static void a_callback_may_close_the_resolver(void **state)
{
	struct bench *b = *state;
	struct result res[4];

	start(b, &res[0], "die.");
	start(b, &res[1], "hang.");
	start(b, &res[2], "secure.");
	res[0].close = res[1].close = true;
	b->left = 1;
	settle(b);
	(void)msp_loop_run_until(b->loop, never, b, 50);
	assert_int_equal(res[0].calls + res[1].calls, 1);
	assert_int_equal(res[2].calls, 0);
	assert_null(b->r);
}

static void a_program_that_is_not_there_is_told_at_open(void **state)
{
	struct bench *b = *state;
	struct msp_resolver_conf conf = { .worker_path = "/nonexistent/worker" };
	struct msp_resolver *r = NULL;
	struct msp_why why = { "" };

	T_ERR(msp_resolver_open(b->loop, &conf, &r, &why), MSP_EIO);
	assert_null(r);
	assert_non_null(strstr(why.text, "/nonexistent/worker"));
}

/* ---- open look-ups ---- */

struct open_result {
	struct bench *b;
	unsigned calls;
	enum msp_lookup verdict;
	bool is_negative, close;
	size_t count;
	struct msp_name owner, soa_owner;
};

static void answered_open(void *arg, const struct msp_open_answer *a)
{
	struct open_result *res = arg;

	res->calls++;
	res->verdict = a->verdict;
	res->is_negative = a->is_negative;
	res->count = a->set ? a->set->count : 0;
	if (a->set)
		res->owner = a->set->owner;
	res->soa_owner = a->soa_owner;
	assert_non_null(a->why);
	res->b->left--;
	if (res->close)
		msp_resolver_close(&res->b->r);
}

static void start_open(struct bench *b, struct open_result *res, const char *name)
{
	struct msp_name n = t_name(name);

	*res = (struct open_result){ .b = b };
	T_OK(msp_resolver_ask_open(b->r, &n, MSP_TYPE_A, answered_open, res));
	assert_int_equal(res->calls, 0);
	b->left++;
}

static void open_answers_come_through_with_what_they_hold(void **state)
{
	static const struct {
		const char *name;
		enum msp_lookup verdict;
		bool is_negative, has_soa;
		size_t count;
	} row[] = {
		{ "secure.example.", MSP_LOOKUP_SECURE, false, false, 2 },
		{ "insecure.example.", MSP_LOOKUP_INSECURE, false, false, 2 },
		{ "denied.example.", MSP_LOOKUP_SECURE, true, true, 0 },
		{ "denied-insecure.example.", MSP_LOOKUP_INSECURE, true, true, 0 },
		{ "bogus.example.", MSP_LOOKUP_BOGUS, false, false, 0 },
		{ "failed.example.", MSP_LOOKUP_FAILED, false, false, 0 },
	};
	struct msp_name zone = t_name("example.");
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct open_result res;

		start_open(b, &res, row[i].name);
		settle(b);
		assert_int_equal(res.calls, 1);
		assert_int_equal(res.verdict, row[i].verdict);
		assert_int_equal(res.is_negative, row[i].is_negative);
		assert_int_equal(res.count, row[i].count);
		assert_int_equal(msp_name_is_set(&res.soa_owner), row[i].has_soa);
		if (row[i].has_soa)
			assert_true(msp_name_equal(&res.soa_owner, &zone));
	}
	assert_int_equal(msp_resolver_restarts(b->r), 0);
}

static void a_reply_of_the_other_kind_is_a_lie(void **state)
{
	struct bench *b = *state;
	struct open_result res;

	assert_int_equal(ask(b, "opens.", MSP_LOOKUP_FAILED), 0); /* an open answer to a secure question */
	assert_int_equal(msp_resolver_restarts(b->r), 1);
	start_open(b, &res, "many."); /* and the other way round */
	settle(b);
	assert_int_equal(res.verdict, MSP_LOOKUP_FAILED);
	assert_int_equal(res.count, 0);
	assert_int_equal(msp_resolver_restarts(b->r), 2);
}

static void an_open_look_up_whose_worker_dies_or_hangs_is_not_negative(void **state)
{
	static const struct {
		const char *name;
		enum msp_lookup verdict;
	} row[] = { { "die.", MSP_LOOKUP_FAILED }, { "hang.", MSP_LOOKUP_TIMEOUT } };
	struct bench *b = *state;

	for (size_t i = 0; i < 2; i++) {
		struct open_result res;

		start_open(b, &res, row[i].name);
		settle(b);
		assert_int_equal(res.verdict, row[i].verdict);
		assert_false(res.is_negative);
		assert_int_equal(res.count, 0);
	}
}

static void a_forgotten_look_up_ends_without_a_word(void **state)
{
	struct bench *b = *state;
	struct open_result res[4];

	for (int i = 0; i < 4; i++) /* two with the worker, two waiting */
		start_open(b, &res[i], i < 2 ? "secure." : "insecure.");
	msp_resolver_forget(b->r, &res[0]);
	msp_resolver_forget(b->r, &res[2]);
	b->left = 2;
	settle(b);
	assert_int_equal(res[0].calls + res[2].calls, 0);
	assert_int_equal(res[1].calls + res[3].calls, 2);
}

static void an_open_callback_may_close_the_resolver(void **state)
{
	struct bench *b = *state;
	struct open_result res[2];

	start_open(b, &res[0], "secure.");
	start_open(b, &res[1], "insecure.");
	res[0].close = res[1].close = true;
	b->left = 1;
	settle(b);
	(void)msp_loop_run_until(b->loop, never, b, 50);
	assert_int_equal(res[0].calls + res[1].calls, 1);
}

/* ---- what the worker makes of a message ---- */

struct judged {
	struct msp_msgw w;
	uint8_t mem[4096];
	struct resolve_ask ask;
	struct resolve_reply reply;
};

static void put(struct judged *j, enum msp_section section, const char *line)
{
	struct msp_why why = { "" };
	struct msp_buf rdata;
	struct msp_rr rr;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	if (msp_rr_scan(msp_span_str(line), NULL, NULL, 300, &rdata, &rr, &why) != MSP_OK)
		fail_msg("%s: %s", line, why.text);
	msp_msgw_rr(&j->w, section, &rr);
	msp_buf_fini(&rdata);
}

static void judged_of(struct judged *j, bool is_open, const char *name, unsigned rcode)
{
	*j = (struct judged){ .ask = { 1, MSP_TYPE_A, is_open, t_name(name) } };
	j->reply.is_open = is_open;
	msp_msgw_init(&j->w, j->mem, sizeof(j->mem), 7, MSP_OPCODE_QUERY, MSP_FLAG_QR);
	msp_msgw_rcode(&j->w, rcode);
	msp_msgw_question(&j->w, &j->ask.name, MSP_TYPE_A, MSP_CLASS_IN);
}

/* The records at the end of the chain, as far as they may be told. */
static size_t judge(struct judged *j, bool is_secure, enum msp_lookup want)
{
	static struct msp_rr_scratch scratch;
	struct resolve_reply back;
	struct msp_span raw, payload;
	struct msp_buf out;
	size_t count;

	T_OK(msp_msgw_finish(&j->w, &raw));
	resolve_judge_answer(&j->reply, &j->ask, is_secure, raw, &scratch);
	if (j->reply.verdict != want)
		fail_msg("%s (%s)", msp_lookup_name(j->reply.verdict), j->reply.why);
	count = j->reply.set ? j->reply.set->count : 0;
	/* Whatever is said can be said to the other side. */
	msp_buf_init(&out, RESOLVE_REPLY_MAX);
	T_OK(resolve_reply_write(&j->reply, &out));
	T_OK(resolve_frame(msp_buf_span(&out), RESOLVE_REPLY_MAX, &payload));
	T_OK(resolve_reply_read(payload, &back));
	assert_true(msp_rrset_equal(back.set, j->reply.set));
	assert_int_equal(back.is_negative, j->reply.is_negative);
	assert_true(msp_span_equal(msp_name_span(&back.soa_owner), msp_name_span(&j->reply.soa_owner)));
	msp_rrset_free(&back.set);
	msp_rrset_free(&j->reply.set);
	msp_buf_fini(&out);
	return count;
}

#define SOA_OF(zone) zone " 300 IN SOA ns." zone " host." zone " 1 2 3 4 5"

static void insecure_records_are_for_open_look_ups_only(void **state)
{
	struct judged j;

	(void)state;
	for (int is_open = 0; is_open < 2; is_open++) {
		for (int is_secure = 0; is_secure < 2; is_secure++) {
			judged_of(&j, is_open, "a.example.", MSP_RCODE_NOERROR);
			put(&j, MSP_SEC_ANSWER, "a.example. 300 IN A 192.0.2.1");
			put(&j, MSP_SEC_ANSWER, "a.example. 200 IN A 192.0.2.2");
			assert_int_equal(judge(&j, is_secure, is_secure ? MSP_LOOKUP_SECURE : MSP_LOOKUP_INSECURE),
					 is_open || is_secure ? 2 : 0);
			assert_false(j.reply.is_negative);
		}
	}
}

static void a_denial_names_the_zone_that_denies(void **state)
{
	static const unsigned rcodes[] = { MSP_RCODE_NOERROR, MSP_RCODE_NXDOMAIN };
	struct msp_name zone = t_name("example.");
	struct judged j;

	(void)state;
	for (int i = 0; i < 4; i++) {
		judged_of(&j, true, "a.b.example.", rcodes[i / 2]);
		put(&j, MSP_SEC_AUTHORITY, "a.b.example. 300 IN NS ns.example.");
		put(&j, MSP_SEC_AUTHORITY, SOA_OF("example."));
		assert_int_equal(judge(&j, i % 2, i % 2 ? MSP_LOOKUP_SECURE : MSP_LOOKUP_INSECURE), 0);
		assert_true(j.reply.is_negative);
		assert_true(msp_name_equal(&j.reply.soa_owner, &zone));
		judged_of(&j, false, "a.b.example.", rcodes[i / 2]);
		put(&j, MSP_SEC_AUTHORITY, SOA_OF("example."));
		assert_int_equal(judge(&j, i % 2, i % 2 ? MSP_LOOKUP_NODATA : MSP_LOOKUP_INSECURE), 0);
		assert_false(j.reply.is_negative || msp_name_is_set(&j.reply.soa_owner));
	}
}

static void an_soa_that_is_missing_or_of_another_zone_is_not_named(void **state)
{
	struct judged j;

	(void)state;
	judged_of(&j, true, "a.example.", MSP_RCODE_NXDOMAIN);
	assert_int_equal(judge(&j, false, MSP_LOOKUP_INSECURE), 0);
	assert_true(j.reply.is_negative && !msp_name_is_set(&j.reply.soa_owner));
	judged_of(&j, true, "a.example.", MSP_RCODE_NXDOMAIN);
	put(&j, MSP_SEC_AUTHORITY, SOA_OF("xample."));
	put(&j, MSP_SEC_AUTHORITY, SOA_OF("b.a.example."));
	assert_int_equal(judge(&j, true, MSP_LOOKUP_SECURE), 0);
	assert_true(j.reply.is_negative && !msp_name_is_set(&j.reply.soa_owner));
}

static void cnames_lead_to_records_or_to_the_zone_that_denies(void **state)
{
	struct msp_name zone = t_name("test.");
	struct judged j;

	(void)state;
	judged_of(&j, true, "a.example.", MSP_RCODE_NOERROR);
	put(&j, MSP_SEC_ANSWER, "b.example. 300 IN CNAME c.test.");
	put(&j, MSP_SEC_ANSWER, "a.example. 300 IN CNAME b.example.");
	put(&j, MSP_SEC_ANSWER, "c.test. 300 IN A 192.0.2.1");
	put(&j, MSP_SEC_ANSWER, "d.test. 300 IN A 192.0.2.9"); /* nobody's */
	assert_int_equal(judge(&j, false, MSP_LOOKUP_INSECURE), 1);
	judged_of(&j, true, "a.example.", MSP_RCODE_NXDOMAIN);
	put(&j, MSP_SEC_ANSWER, "a.example. 300 IN CNAME c.test.");
	put(&j, MSP_SEC_AUTHORITY, SOA_OF("test."));
	assert_int_equal(judge(&j, true, MSP_LOOKUP_SECURE), 0);
	assert_true(j.reply.is_negative && msp_name_equal(&j.reply.soa_owner, &zone));
	judged_of(&j, true, "a.example.", MSP_RCODE_NOERROR);
	put(&j, MSP_SEC_ANSWER, "a.example. 300 IN CNAME b.example.");
	put(&j, MSP_SEC_ANSWER, "b.example. 300 IN CNAME a.example.");
	assert_int_equal(judge(&j, true, MSP_LOOKUP_FAILED), 0); /* a ring */
	assert_false(j.reply.is_negative);
}

static void a_message_that_does_not_parse_says_nothing(void **state)
{
	static struct msp_rr_scratch scratch;
	struct judged j;
	struct msp_span raw;

	(void)state;
	judged_of(&j, true, "a.example.", MSP_RCODE_NOERROR);
	put(&j, MSP_SEC_ANSWER, "a.example. 300 IN A 192.0.2.1");
	T_OK(msp_msgw_finish(&j.w, &raw));
	for (size_t len = 0; len < raw.len; len++) {
		resolve_judge_answer(&j.reply, &j.ask, true, msp_span(raw.ptr, len), &scratch);
		assert_int_equal(j.reply.verdict, MSP_LOOKUP_FAILED);
		assert_null(j.reply.set);
		assert_false(j.reply.is_negative);
	}
}

static void a_verdict_without_an_answer_drops_what_was_there(void **state)
{
	struct resolve_reply r = { .is_open = true, .is_negative = true, .soa_owner = t_name("example.") };

	(void)state;
	r.set = addresses(&r.soa_owner, MSP_TYPE_A, 1);
	resolve_judge(&r, MSP_LOOKUP_BOGUS, "bogus");
	assert_null(r.set);
	assert_false(r.is_negative || msp_name_is_set(&r.soa_owner));
	assert_true(r.is_open); /* still the kind that was asked for */
}

static void kinds_and_verdicts_that_do_not_go_together_are_refused(void **state)
{
	/* flags: 1 open, 2 negative, 4 SOA; verdicts by their number; a root name or nothing follows */
	static const struct {
		uint8_t flags, verdict;
		bool has_name;
		enum msp_err err;
	} row[] = {
		{ 2, 1, false, MSP_EVALUE }, { 4, 1, true, MSP_EVALUE },  { 6, 1, true, MSP_EVALUE },
		{ 5, 2, true, MSP_EVALUE },  { 8, 1, false, MSP_EVALUE }, { 1, 1, false, MSP_EVALUE },
		{ 3, 3, false, MSP_EVALUE }, { 7, 5, true, MSP_EVALUE },  { 7, 2, false, MSP_ETRUNC },
		{ 3, 2, true, MSP_ETRAIL },  { 1, 6, true, MSP_ETRAIL },  { 1, 0, false, MSP_ETRUNC },
		{ 3, 0, false, MSP_OK },     { 7, 0, true, MSP_OK },      { 7, 2, true, MSP_OK },
		{ 1, 3, false, MSP_OK },     { 0, 2, false, MSP_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		const uint8_t payload[] = { 0, 0, 0, 1, row[i].verdict, row[i].flags, 0, 0 };
		struct resolve_reply back;

		T_ERR(resolve_reply_read(msp_span(payload, row[i].has_name ? 8 : 7), &back), row[i].err);
		assert_null(back.set);
	}
}

static void frames_are_read_back_as_written_and_never_in_part(void **state)
{
	struct resolve_reply reply = { .id = 77, .verdict = MSP_LOOKUP_SECURE, .why = "because" }, back;
	struct resolve_ask question = { 5, MSP_TYPE_URI, true, t_name("_dns._tcp.a.example.") }, question_back;
	struct msp_buf out;
	struct msp_span payload;

	(void)state;
	msp_buf_init(&out, RESOLVE_REPLY_MAX);
	T_OK(resolve_ask_write(&question, &out));
	for (size_t len = 0; len < out.len; len++)
		T_ERR(resolve_frame(msp_span(out.ptr, len), RESOLVE_ASK_MAX, &payload), MSP_ETRUNC);
	T_OK(resolve_frame(msp_buf_span(&out), RESOLVE_ASK_MAX, &payload));
	T_OK(resolve_ask_read(payload, &question_back));
	assert_int_equal(question_back.id, 5);
	assert_int_equal(question_back.type, MSP_TYPE_URI);
	assert_true(question_back.is_open);
	assert_true(msp_name_same(&question.name, &question_back.name));
	T_ERR(resolve_frame(msp_buf_span(&out), 10, &payload), MSP_ELIMIT);

	msp_buf_reset(&out);
	reply.set = addresses(&question.name, MSP_TYPE_A, 3);
	T_OK(resolve_reply_write(&reply, &out));
	T_OK(resolve_frame(msp_buf_span(&out), RESOLVE_REPLY_MAX, &payload));
	for (size_t len = 0; len < payload.len;
	     len++) { /* cut between two records it is a smaller answer: well formed */
		if (resolve_reply_read(msp_span(payload.ptr, len), &back) == MSP_OK) {
			assert_true(back.set->count < 3);
			msp_rrset_free(&back.set);
		}
	}
	T_OK(resolve_reply_read(payload, &back));
	assert_int_equal(back.id, 77);
	assert_string_equal(back.why, "because");
	assert_true(msp_rrset_equal(back.set, reply.set));
	msp_rrset_free(&back.set);
	msp_rrset_free(&reply.set);
	msp_buf_reset(&out);
	reply.verdict = MSP_LOOKUP_NODATA;
	T_OK(resolve_reply_write(&reply, &out));
	msp_buf_add_u8(&out, 0); /* records with any other verdict: refused */
	T_ERR(resolve_reply_read(msp_span(out.ptr + RESOLVE_FRAME_HEAD, out.len - RESOLVE_FRAME_HEAD), &back),
	      MSP_ETRAIL);
	msp_buf_fini(&out);
}

int main(int argc, char **argv)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_bench, close_bench)
	const struct CMUnitTest tests[] = {
		TEST(verdicts_and_records_come_through),
		TEST(a_dead_or_lying_worker_fails_what_it_had_and_is_replaced),
		TEST(what_waited_behind_a_death_is_asked_of_the_next_worker),
		TEST(a_worker_that_never_answers_is_a_timeout_and_is_replaced),
		TEST(no_more_are_in_flight_or_waiting_than_allowed),
		TEST(a_flush_starts_a_fresh_worker_when_nothing_is_in_flight),
		TEST(closing_forgets_the_callbacks),
		TEST(a_callback_may_close_the_resolver),
		TEST(a_program_that_is_not_there_is_told_at_open),
		TEST(open_answers_come_through_with_what_they_hold),
		TEST(a_reply_of_the_other_kind_is_a_lie),
		TEST(an_open_look_up_whose_worker_dies_or_hangs_is_not_negative),
		TEST(a_forgotten_look_up_ends_without_a_word),
		TEST(an_open_callback_may_close_the_resolver),
		cmocka_unit_test(insecure_records_are_for_open_look_ups_only),
		cmocka_unit_test(a_denial_names_the_zone_that_denies),
		cmocka_unit_test(an_soa_that_is_missing_or_of_another_zone_is_not_named),
		cmocka_unit_test(cnames_lead_to_records_or_to_the_zone_that_denies),
		cmocka_unit_test(a_message_that_does_not_parse_says_nothing),
		cmocka_unit_test(a_verdict_without_an_answer_drops_what_was_there),
		cmocka_unit_test(kinds_and_verdicts_that_do_not_go_together_are_refused),
		cmocka_unit_test(frames_are_read_back_as_written_and_never_in_part),
	};

	if (argc > 1 && strcmp(argv[1], "--resolver-worker") == 0)
		return fake_worker();
	if (!realpath(argv[0], self))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
