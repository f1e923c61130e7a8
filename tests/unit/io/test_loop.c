/* SPDX-License-Identifier: BSD-2-Clause */
#include "iokit.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

static struct k_loop k;

static int setup(void **state)
{
	(void)state;
	k_open(&k);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	k_close(&k);
	return 0;
}

/* --- timers, signals --- */

struct seen {
	char text[64];
	size_t count;
	bool done;
};
static void add(struct seen *s, char c)
{
	assert_true(s->count < sizeof(s->text) - 1);
	s->text[s->count++] = c;
}
static struct seen seen;

static void on_a(void *arg)
{
	add(arg, 'a');
}
static void on_b(void *arg)
{
	add(arg, 'b');
}
static void on_end(void *arg)
{
	struct seen *s = arg;

	s->done = true;
}

static void timers_fire_in_order_and_once(void **state)
{
	struct msp_timer *a, *b, *end;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	T_OK(msp_timer_new(k.loop, on_a, &seen, &a));
	T_OK(msp_timer_new(k.loop, on_b, &seen, &b));
	T_OK(msp_timer_new(k.loop, on_end, &seen, &end));
	msp_timer_start(b, 10);
	msp_timer_start(a, 2);
	msp_timer_start(end, 25);
	assert_int_equal(seen.count, 0); /* never from inside the call, even with 0 */
	K_UNTIL(&k, &seen.done);
	assert_string_equal(seen.text, "ab");
	msp_timer_close(&a);
	msp_timer_close(&b);
	msp_timer_close(&end);
	assert_null(a);
}

static void timer_started_again_moves_and_stopped_stays_silent(void **state)
{
	struct msp_timer *a, *b, *end;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	T_OK(msp_timer_new(k.loop, on_a, &seen, &a));
	T_OK(msp_timer_new(k.loop, on_b, &seen, &b));
	T_OK(msp_timer_new(k.loop, on_end, &seen, &end));
	msp_timer_start(a, 1);
	msp_timer_start(a, 12);
	msp_timer_start(b, 4);
	msp_timer_stop(b);
	msp_timer_start(end, 20);
	K_UNTIL(&k, &seen.done);
	assert_string_equal(seen.text, "a");
	msp_timer_close(&a);
	msp_timer_close(&b);
	msp_timer_close(&end);
}

static struct msp_timer *suicide;
static void on_suicide(void *arg)
{
	msp_timer_close(&suicide);
	on_end(arg);
}
static void timer_may_be_closed_from_its_callback(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	T_OK(msp_timer_new(k.loop, on_suicide, &seen, &suicide));
	msp_timer_start(suicide, 0);
	K_UNTIL(&k, &seen.done);
	assert_null(suicide);
}

static void run_until_gives_up_at_its_limit(void **state)
{
	struct msp_mono before = msp_mono_now();

	(void)state;
	assert_false(msp_loop_run_until(k.loop, k_never, NULL, 20));
	assert_true(msp_mono_now().ms - before.ms >= 19);
}

static void signal_arrives_as_a_callback(void **state)
{
	struct msp_signal *s;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	T_OK(msp_signal_new(k.loop, SIGUSR1, on_end, &seen, &s));
	raise(SIGUSR1);
	assert_false(seen.done);
	K_UNTIL(&k, &seen.done);
	msp_signal_close(&s);
	assert_null(s);
}

static void sigpipe_is_ignored(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	close(fd[0]);
	assert_int_equal(write(fd[1], "x", 1), -1); /* and we are still here */
	assert_int_equal(errno, EPIPE);
	close(fd[1]);
}

static void stop_loop(void *arg)
{
	msp_loop_stop(arg);
}
static void run_lasts_until_stop(void **state)
{
	struct msp_timer *t;

	(void)state;
	T_OK(msp_timer_new(k.loop, stop_loop, k.loop, &t));
	msp_timer_start(t, 5);
	msp_loop_run(k.loop);
	msp_timer_close(&t);
}

/* --- work --- */

struct job {
	pthread_t loop_thread;
	bool ran_elsewhere, done;
	size_t *left;
};
static void work(void *arg)
{
	struct job *j = arg;

	j->ran_elsewhere = !pthread_equal(j->loop_thread, pthread_self());
}
static void work_done(void *arg)
{
	struct job *j = arg;

	assert_true(pthread_equal(j->loop_thread, pthread_self()));
	assert_false(j->done);
	j->done = true;
	if (j->left != NULL)
		--*j->left;
}
static void work_runs_in_the_pool_and_is_done_on_the_loop(void **state)
{
	struct job j = { .loop_thread = pthread_self() };

	(void)state;
	T_OK(msp_loop_work(k.loop, work, work_done, &j));
	assert_false(j.done);
	K_UNTIL(&k, &j.done);
	assert_true(j.ran_elsewhere);
}

static bool is_zero(void *arg)
{
	return *(size_t *)arg == 0;
}
static void work_over_the_limit_is_refused_and_room_comes_back(void **state)
{
	static struct job j[MSP_WORK_MAX + 1];
	size_t left = MSP_WORK_MAX;

	(void)state;
	for (size_t i = 0; i < MSP_WORK_MAX; i++) {
		j[i] = (struct job){ .loop_thread = pthread_self(), .left = &left };
		T_OK(msp_loop_work(k.loop, work, work_done, &j[i]));
	}
	T_ERR(msp_loop_work(k.loop, work, work_done, &j[MSP_WORK_MAX]), MSP_EBUSY);
	assert_true(msp_loop_run_until(k.loop, is_zero, &left, K_LIMIT_MS));
	left = 1;
	j[MSP_WORK_MAX] = (struct job){ .loop_thread = pthread_self(), .left = &left };
	T_OK(msp_loop_work(k.loop, work, work_done, &j[MSP_WORK_MAX]));
	assert_true(msp_loop_run_until(k.loop, is_zero, &left, K_LIMIT_MS));
}

/* --- wakes from other threads --- */

#define WAKES 1000

struct woken {
	struct msp_wake *wake;
	pthread_t loop_thread;
	size_t fired; /* atomic */
	size_t calls, seen;
	bool done;
};

static void *fire_often(void *arg)
{
	struct woken *w = arg;

	for (size_t i = 0; i < WAKES; i++) {
		__atomic_add_fetch(&w->fired, 1, __ATOMIC_SEQ_CST);
		msp_wake_fire(w->wake);
	}
	return NULL;
}

static void on_woken(void *arg)
{
	struct woken *w = arg;

	assert_true(pthread_equal(pthread_self(), w->loop_thread));
	w->calls++;
	w->seen = __atomic_load_n(&w->fired, __ATOMIC_SEQ_CST);
	w->done = w->seen == WAKES;
}

static void wakes_from_another_thread_are_told_once_or_more_on_the_loop(void **state)
{
	struct woken w = { .loop_thread = pthread_self() };
	pthread_t thread;

	(void)state;
	T_OK(msp_wake_new(k.loop, on_woken, &w, &w.wake));
	assert_int_equal(pthread_create(&thread, NULL, fire_often, &w), 0);
	K_UNTIL(&k, &w.done); /* what was done before the last one is seen */
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_in_range(w.calls, 1, WAKES);
	msp_wake_close(&w.wake);
	assert_null(w.wake);
	msp_wake_close(&w.wake);
}

static void a_closed_wake_is_silent(void **state)
{
	struct woken w = { .loop_thread = pthread_self() };
	struct msp_timer *end;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	T_OK(msp_timer_new(k.loop, on_end, &seen, &end));
	T_OK(msp_wake_new(k.loop, on_woken, &w, &w.wake));
	msp_wake_fire(w.wake);
	msp_wake_close(&w.wake);
	msp_timer_start(end, 5);
	K_UNTIL(&k, &seen.done);
	assert_int_equal(w.calls, 0);
	msp_timer_close(&end);
}

/* --- children --- */

struct child_seen {
	bool done;
	unsigned calls;
	enum msp_err err;
	int exit_status;
	char out[256], errout[256];
	size_t out_len;
};
static void on_child(void *arg, const struct msp_child_result *r)
{
	struct child_seen *s = arg;

	s->done = true;
	s->calls++;
	s->err = r->err;
	s->exit_status = r->exit_status;
	s->out_len = r->out.len;
	snprintf(s->out, sizeof(s->out), "%.*s", (int)r->out.len, (const char *)r->out.ptr);
	snprintf(s->errout, sizeof(s->errout), "%.*s", (int)r->errout.len, (const char *)r->errout.ptr);
}
static struct child_seen run(const char *script, const char *input, size_t output_max, uint64_t timeout_ms)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	struct child_seen s = { 0 };

	T_OK(msp_child_run(k.loop, argv, msp_span(input, strlen(input)), output_max, timeout_ms, on_child, &s, NULL));
	assert_false(s.done);
	K_UNTIL(&k, &s.done);
	k_settle(&k);
	assert_int_equal(s.calls, 1);
	return s;
}

static void child_output_and_exit_status_come_back(void **state)
{
	struct child_seen s = run("echo out; echo err >&2; exit 3", "", 100, 5000);

	(void)state;
	T_ERR(s.err, MSP_OK);
	assert_int_equal(s.exit_status, 3);
	assert_string_equal(s.out, "out\n");
	assert_string_equal(s.errout, "err\n");
}

static void child_gets_its_input(void **state)
{
	struct child_seen s = run("tr a-z A-Z", "hello", 100, 5000);

	(void)state;
	T_ERR(s.err, MSP_OK);
	assert_string_equal(s.out, "HELLO");
}

static void child_that_does_not_read_its_input_is_fine(void **state)
{
	static char big[300000];
	struct child_seen s;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	s = run("exit 0", big, 100, 5000);
	T_ERR(s.err, MSP_OK);
	assert_int_equal(s.exit_status, 0);
}

static void child_sees_path_and_lang_only(void **state)
{
	struct child_seen s;

	(void)state;
	assert_int_equal(setenv("MSP_TEST_SECRET", "1", 1), 0);
	s = run("/usr/bin/env | /usr/bin/grep -v -e '^PWD=' -e '^SHLVL=' -e '^_=' | /usr/bin/cut -d= -f1 | "
		"/usr/bin/sort",
		"", 200, 5000);
	assert_string_equal(s.out, "LANG\nPATH\n");
}

static void child_over_its_time_is_killed_with_what_it_started(void **state)
{
	struct child_seen s = run("echo begun; sleep 1000 & sleep 1000", "", 100, 50);

	(void)state;
	T_ERR(s.err, MSP_ETIMEOUT);
	assert_int_equal(s.exit_status, -1);
	assert_string_equal(s.out, "begun\n");
}

static void child_over_its_output_is_cut_and_killed(void **state)
{
	struct child_seen s = run("while :; do echo 0123456789; done", "", 100, 5000);

	(void)state;
	T_ERR(s.err, MSP_ELIMIT);
	assert_int_equal(s.out_len, 100);
}

static void child_may_use_its_output_up_exactly(void **state)
{
	struct child_seen s = run("printf 0123456789", "", 10, 5000);

	(void)state;
	T_ERR(s.err, MSP_OK);
	assert_int_equal(s.out_len, 10);
}

static void child_exit_counts_although_a_grandchild_holds_its_output(void **state)
{
	struct child_seen s = run("echo x; sleep 3 & exit 7", "", 100, 60000);

	(void)state;
	T_ERR(s.err, MSP_OK);
	assert_int_equal(s.exit_status, 7);
	assert_string_equal(s.out, "x\n");
}

static void child_that_cannot_start_is_told_by_the_callback(void **state)
{
	const char *argv[] = { "/nonexistent/program", NULL };
	struct child_seen s = { 0 };

	(void)state;
	T_OK(msp_child_run(k.loop, argv, msp_span(NULL, 0), 10, 1000, on_child, &s, NULL));
	assert_false(s.done);
	K_UNTIL(&k, &s.done);
	T_ERR(s.err, MSP_EIO);
	assert_int_equal(s.exit_status, -1);
}

static void child_without_absolute_path_is_refused(void **state)
{
	const char *argv[] = { "sh", NULL }, *none[] = { NULL };
	struct child_seen s = { 0 };

	(void)state;
	T_ERR(msp_child_run(k.loop, argv, msp_span(NULL, 0), 10, 1000, on_child, &s, NULL), MSP_EVALUE);
	T_ERR(msp_child_run(k.loop, none, msp_span(NULL, 0), 10, 1000, on_child, &s, NULL), MSP_EVALUE);
}

static void child_cancelled_is_told_so_once(void **state)
{
	const char *argv[] = { "/bin/sleep", "1000", NULL }, *bad[] = { "/nonexistent", NULL };
	struct child_seen s = { 0 };
	struct msp_child *c;

	(void)state;
	T_OK(msp_child_run(k.loop, argv, msp_span(NULL, 0), 10, 100000, on_child, &s, &c));
	msp_child_cancel(c);
	assert_false(s.done);
	K_UNTIL(&k, &s.done);
	T_ERR(s.err, MSP_ECANCEL);
	memset(&s, 0, sizeof(s));
	T_OK(msp_child_run(k.loop, bad, msp_span(NULL, 0), 10, 100000, on_child, &s, &c));
	msp_child_cancel(c);
	K_UNTIL(&k, &s.done);
	k_settle(&k);
	T_ERR(s.err, MSP_ECANCEL);
	assert_int_equal(s.calls, 1);
}

static void loop_free_waits_for_a_cancelled_child(void **state)
{
	const char *argv[] = { "/bin/sleep", "1000", NULL };
	struct child_seen s = { 0 };
	struct msp_loop *loop;
	struct msp_child *c;

	(void)state;
	T_OK(msp_loop_new(NULL, &loop));
	T_OK(msp_child_run(loop, argv, msp_span(NULL, 0), 10, 100000, on_child, &s, &c));
	msp_child_cancel(c);
	msp_loop_free(&loop);
	assert_null(loop);
	assert_int_equal(s.calls, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(timers_fire_in_order_and_once),
		TEST(timer_started_again_moves_and_stopped_stays_silent),
		TEST(timer_may_be_closed_from_its_callback),
		TEST(run_until_gives_up_at_its_limit),
		TEST(signal_arrives_as_a_callback),
		TEST(sigpipe_is_ignored),
		TEST(run_lasts_until_stop),
		TEST(work_runs_in_the_pool_and_is_done_on_the_loop),
		TEST(work_over_the_limit_is_refused_and_room_comes_back),
		TEST(wakes_from_another_thread_are_told_once_or_more_on_the_loop),
		TEST(a_closed_wake_is_silent),
		TEST(child_output_and_exit_status_come_back),
		TEST(child_gets_its_input),
		TEST(child_that_does_not_read_its_input_is_fine),
		TEST(child_sees_path_and_lang_only),
		TEST(child_over_its_time_is_killed_with_what_it_started),
		TEST(child_over_its_output_is_cut_and_killed),
		TEST(child_may_use_its_output_up_exactly),
		TEST(child_exit_counts_although_a_grandchild_holds_its_output),
		TEST(child_that_cannot_start_is_told_by_the_callback),
		TEST(child_without_absolute_path_is_refused),
		TEST(child_cancelled_is_told_so_once),
		TEST(loop_free_waits_for_a_cancelled_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
