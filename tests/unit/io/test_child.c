/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs whose input is handed over piece by piece, and whose output may be long. The rest is in test_loop.c. */
#include "iokit.h"

#include <signal.h>

#include <msproto/base/mem.h>

#define PIECE 100000

struct feeder {
	struct msp_child *child;
	unsigned pieces, given; /* to give, given */
	bool is_late;           /* feed only when told to, not from inside `want` */
	bool is_wanted;
	char piece[PIECE];
	bool done;
	unsigned calls;
	enum msp_err err;
	int exit_status;
	char out[256];
	size_t out_len;
};

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

static void feed(struct feeder *f)
{
	f->is_wanted = false;
	if (f->given == f->pieces) {
		msp_child_feed(f->child, msp_span(NULL, 0));
		return;
	}
	f->given++;
	msp_child_feed(f->child, msp_span(f->piece, sizeof(f->piece)));
}

static void on_want(void *arg, struct msp_child *child)
{
	struct feeder *f = arg;

	assert_false(f->done);
	assert_false(f->is_wanted); /* one piece at a time */
	assert_ptr_equal(child, f->child);
	f->is_wanted = true;
	if (!f->is_late)
		feed(f);
}

static void on_end(void *arg, const struct msp_child_result *r)
{
	struct feeder *f = arg;

	f->done = true;
	f->calls++;
	f->err = r->err;
	f->exit_status = r->exit_status;
	f->out_len = r->out.len;
	snprintf(f->out, sizeof(f->out), "%.*s", (int)r->out.len, (const char *)r->out.ptr);
}

static void start(struct feeder *f, const char *script, size_t output_max, bool keeps_tail, uint64_t timeout_ms)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	const struct msp_child_params p = { .argv = argv,
					    .want = f->pieces > 0 ? on_want : NULL,
					    .output_max = output_max,
					    .keeps_tail = keeps_tail,
					    .timeout_ms = timeout_ms };

	memset(f->piece, 'x', sizeof(f->piece));
	T_OK(msp_child_start(k.loop, &p, on_end, f, &f->child));
	assert_false(f->is_wanted); /* not from inside the call */
}

static void end(struct feeder *f)
{
	K_UNTIL(&k, &f->done);
	k_settle(&k);
	assert_int_equal(f->calls, 1);
}

static void input_of_any_length_arrives_whole_and_in_pieces(void **state)
{
	struct feeder f = { .pieces = 50 };

	(void)state;
	start(&f, "wc -c", 100, false, 10000);
	end(&f);
	T_ERR(f.err, MSP_OK);
	assert_int_equal(f.given, 50);
	assert_string_equal(f.out, "5000000\n");
}

static void a_piece_may_be_handed_over_later(void **state)
{
	struct feeder f = { .pieces = 3, .is_late = true };

	(void)state;
	start(&f, "wc -c", 100, false, 10000);
	for (unsigned i = 0; i < 4; i++) {
		K_UNTIL(&k, &f.is_wanted);
		k_settle(&k); /* it waits, and does not ask again */
		feed(&f);
	}
	end(&f);
	assert_string_equal(f.out, "300000\n");
}

static void a_program_that_stops_reading_ends_the_input_and_nothing_else(void **state)
{
	struct feeder f = { .pieces = 1000 };

	(void)state;
	start(&f, "head -c 10 >/dev/null; exec <&-; echo enough; exit 4", 100, false, 10000);
	end(&f);
	T_ERR(f.err, MSP_OK);
	assert_int_equal(f.exit_status, 4);
	assert_true(f.given < 1000);
	assert_string_equal(f.out, "enough\n");
}

static void a_piece_for_a_program_that_does_not_read_any_more_is_dropped(void **state)
{
	struct feeder f = { .pieces = 3, .is_late = true };

	(void)state;
	start(&f, "exec <&-; sleep 0.2; exit 0", 100, false, 10000);
	K_UNTIL(&k, &f.is_wanted);
	k_settle(&k); /* most likely nobody reads any more */
	feed(&f);
	end(&f);
	T_ERR(f.err, MSP_OK);
	assert_int_equal(f.given, 1);
}

static void a_program_that_reads_nothing_is_killed_at_its_time(void **state)
{
	struct feeder f = { .pieces = 1000 };

	(void)state;
	start(&f, "exec sleep 1000", 100, false, 100);
	end(&f);
	T_ERR(f.err, MSP_ETIMEOUT);
	assert_int_equal(f.exit_status, -1);
	assert_true(f.given < 5); /* what a pipe holds, and the piece that waits */
}

static void cancelling_while_a_piece_is_awaited_or_under_way_is_safe(void **state)
{
	(void)state;
	for (int is_late = 0; is_late < 2; is_late++) {
		struct feeder f = { .pieces = 1000, .is_late = is_late };

		start(&f, "exec sleep 1000", 100, false, 100000);
		if (is_late)
			K_UNTIL(&k, &f.is_wanted);
		else
			k_settle(&k);
		msp_child_cancel(f.child);
		end(&f);
		T_ERR(f.err, MSP_ECANCEL);
	}
}

static void cancelling_before_the_first_piece_is_safe(void **state)
{
	struct feeder f = { .pieces = 1 };

	(void)state;
	start(&f, "exec sleep 1000", 100, false, 100000);
	msp_child_cancel(f.child);
	end(&f);
	T_ERR(f.err, MSP_ECANCEL);
}

static void the_last_octets_of_long_output_are_kept(void **state)
{
	struct feeder f = { 0 };

	(void)state;
	start(&f, "seq 1 200000; echo the end", 20, true, 10000);
	end(&f);
	T_ERR(f.err, MSP_OK);
	assert_int_equal(f.exit_status, 0);
	assert_int_equal(f.out_len, 20);
	assert_non_null(strstr(f.out, "200000\nthe end\n"));
}

static void short_output_is_kept_whole_beside_a_tail(void **state)
{
	struct feeder f = { 0 };

	(void)state;
	start(&f, "printf 0123456789", 10, true, 10000);
	end(&f);
	T_ERR(f.err, MSP_OK);
	assert_string_equal(f.out, "0123456789");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(input_of_any_length_arrives_whole_and_in_pieces),
		TEST(a_piece_may_be_handed_over_later),
		TEST(a_program_that_stops_reading_ends_the_input_and_nothing_else),
		TEST(a_piece_for_a_program_that_does_not_read_any_more_is_dropped),
		TEST(a_program_that_reads_nothing_is_killed_at_its_time),
		TEST(cancelling_while_a_piece_is_awaited_or_under_way_is_safe),
		TEST(cancelling_before_the_first_piece_is_safe),
		TEST(the_last_octets_of_long_output_are_kept),
		TEST(short_output_is_kept_whole_beside_a_tail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
