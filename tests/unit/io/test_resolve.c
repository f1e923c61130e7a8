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

#include "io/resolve_wire.h"

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

static void fake_one(const struct resolve_ask *ask)
{
	static unsigned asked;
	struct msp_name_text name = msp_name_text(&ask->name);
	size_t len = strcspn(name.s, ".");

	name.s[len] = '\0';
	asked++;
	if (strcmp(name.s, "secure") == 0)
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
		fake_raw("\0\0\0\x19\0\0\0\0\0\0\1a\0\0\1\0\0\0\1\0\3abc\0\0\0\0", 29); /* an A of 3 octets */
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

static void frames_are_read_back_as_written_and_never_in_part(void **state)
{
	struct resolve_reply reply = { .id = 77, .verdict = MSP_LOOKUP_SECURE, .why = "because" }, back;
	struct resolve_ask question = { 5, MSP_TYPE_URI, t_name("_dns._tcp.a.example.") }, question_back;
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
		cmocka_unit_test(frames_are_read_back_as_written_and_never_in_part),
	};

	if (argc > 1 && strcmp(argv[1], "--resolver-worker") == 0)
		return fake_worker();
	if (!realpath(argv[0], self))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
