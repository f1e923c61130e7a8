/* SPDX-License-Identifier: BSD-2-Clause */
/* The backend of kind sql against a real server: run by tests/integration/parentd/test_backend_sql.py.
 *
 *     backend_sql_test CONNECTION-FILE
 */
#include "backend.h"
#include "backend_pg.h"
#include "pg_server.h"
#include "prt_build.h"

#include <stdatomic.h>
#include <unistd.h>

#define PATIENCE_MS 60000
#define SHOWN       "d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a" /* DIGEST_1 */
#define OTHER       C " 300 NS ns2." C "\n" C " 300 NS ns.other.test.\nns2." C " 300 A 198.41.0.4\n"

static char *conn_file;

/* ---- the tables ---- */

static struct prt_tables *fresh_tables(void)
{
	struct prt_tables *t = NULL;

	t_ask("fresh");
	T_OK(prt_tables_new(conn_file, 0, NULL, &t));
	return t;
}

static enum msp_err apply(struct prt_tables *t, const char *lines, uint64_t seq, struct msp_why *why)
{
	struct prt_delegation d;
	enum msp_err err;

	t_delegation(&d, lines);
	err = prt_tables_apply(t, &d, seq, why);
	prt_delegation_clear(&d);
	return err;
}

static void applied(struct prt_tables *t, const char *lines, uint64_t seq)
{
	struct msp_why why = { "" };
	enum msp_err err = apply(t, lines, seq, &why);

	if (err != MSP_OK)
		fail_msg("%s: %s", msp_err_name(err), why.text);
}

static void shows(const char *word, const char *want)
{
	char line[4096];

	t_ask_line(word, line, sizeof(line));
	assert_string_equal(line, want);
}

#define USUAL_ROWS(v)                                                                                                  \
	"child.example. DS 300 1 13 2 " SHOWN " " v ";child.example. NS 300 ns.other.test. " v                         \
	";child.example. NS 300 ns1.child.example. " v ";ns1.child.example. A 300 198.41.0.4 " v                       \
	";ns1.child.example. AAAA 300 2001:503:ba3e::2:30 " v

static void a_delegation_is_shown_record_by_record(void **state)
{
	struct prt_tables *t = fresh_tables();

	(void)state;
	applied(t, USUAL, 7);
	shows("delegation", USUAL_ROWS("7"));
	shows("changes", "7 child.example. add child.example. DS 300;7 child.example. add child.example. NS 300;"
			 "7 child.example. add child.example. NS 300;7 child.example. add ns1.child.example. A 300;"
			 "7 child.example. add ns1.child.example. AAAA 300");
	prt_tables_free(&t);
}

static void the_same_again_changes_nothing(void **state)
{
	struct prt_tables *t = fresh_tables();

	(void)state;
	applied(t, USUAL, 7);
	t_ask("forget");
	applied(t, USUAL, 7);
	applied(t, USUAL, 9);
	shows("delegation", USUAL_ROWS("7"));
	shows("changes", "");
	prt_tables_free(&t);
}

static void only_what_differs_is_changed(void **state)
{
	struct prt_tables *t = fresh_tables();

	(void)state;
	applied(t, USUAL, 7);
	t_ask("forget");
	applied(t, OTHER, 8);
	shows("delegation", "child.example. NS 300 ns.other.test. 7;child.example. NS 300 ns2.child.example. 8;"
			    "ns2.child.example. A 300 198.41.0.4 8");
	shows("changes", "8 child.example. delete child.example. DS 300;8 child.example. delete child.example. NS 300;"
			 "8 child.example. delete ns1.child.example. A 300;"
			 "8 child.example. delete ns1.child.example. AAAA 300;"
			 "8 child.example. add child.example. NS 300;8 child.example. add ns2.child.example. A 300");
	prt_tables_free(&t);
}

static void a_ttl_that_changes_is_a_record_out_and_in(void **state)
{
	struct prt_tables *t = fresh_tables();

	(void)state;
	applied(t, C " 300 NS ns.other.test.\n" C " 3600 DS 1 13 2 " DIGEST_1 "\n", 1);
	t_ask("forget");
	applied(t, C " 300 NS ns.other.test.\n" C " 60 DS 1 13 2 " DIGEST_1 "\n", 2);
	shows("delegation", "child.example. DS 60 1 13 2 " SHOWN " 2;child.example. NS 300 ns.other.test. 1");
	shows("changes", "2 child.example. delete child.example. DS 3600;2 child.example. add child.example. DS 60");
	prt_tables_free(&t);
}

static void names_are_in_lower_case_and_empty_is_nothing(void **state)
{
	struct prt_tables *t = fresh_tables();

	(void)state;
	applied(t, "ChilD.Example. 300 NS ns.other.test.\n", 1);
	shows("delegation", "child.example. NS 300 ns.other.test. 1");
	applied(t, "", 2);
	shows("delegation", "");
	applied(t, "", 3);
	prt_tables_free(&t);
}

static void what_is_older_than_the_tables_is_not_carried_out(void **state)
{
	struct prt_tables *t = fresh_tables();
	struct msp_why why = { "" };

	(void)state;
	applied(t, USUAL, 10);
	T_ERR(apply(t, OTHER, 9, &why), MSP_ESTALE);
	assert_non_null(strstr(why.text, "9"));
	shows("delegation", USUAL_ROWS("10"));
	applied(t, "", 11);
	T_ERR(apply(t, USUAL, 10, &why), MSP_ESTALE); /* also when nothing is left of it */
	shows("delegation", "");
	prt_tables_free(&t);
}

static void a_constraint_of_the_house_is_a_refusal(void **state)
{
	struct prt_tables *t = fresh_tables();
	struct msp_why why = { "" };

	(void)state;
	applied(t, USUAL, 1);
	t_ask("forbid");
	t_ask("forget");
	T_ERR(apply(t, C " 86400 NS ns.other.test.\n", 2, &why), MSP_EREFUSED);
	assert_non_null(strstr(why.text, "house"));
	shows("delegation", USUAL_ROWS("1"));
	shows("changes", "");
	applied(t, C " 3600 NS ns.other.test.\n", 3);
	prt_tables_free(&t);
}

static void newer_tables_are_not_touched(void **state)
{
	struct prt_tables *t = NULL;
	struct msp_why why = { "" };

	(void)state;
	t_ask("newer");
	T_OK(prt_tables_new(conn_file, 0, NULL, &t));
	T_ERR(apply(t, USUAL, 1, &why), MSP_ECORRUPT);
	assert_non_null(strstr(why.text, "99"));
	prt_tables_free(&t);
}

static void after_the_server_was_killed_it_goes_on(void **state)
{
	struct prt_tables *t = fresh_tables();
	struct msp_why why = { "" };

	(void)state;
	applied(t, USUAL, 1);
	t_ask("kill");
	T_ERR(apply(t, OTHER, 2, &why), MSP_ENET);
	T_ERR(apply(t, OTHER, 2, &why), MSP_ENET);
	t_ask("start");
	shows("delegation", USUAL_ROWS("1"));
	applied(t, USUAL, 2);
	shows("delegation", USUAL_ROWS("1"));
	prt_tables_free(&t);
}

/* ---- the driver ---- */

struct fixture {
	struct prt_app app;
	struct prt_conf_backend conf;
	struct prt_backend *b;
	struct prt_delegation want;
	struct msp_timer *timer;
	unsigned done, ticks;
	enum msp_err err;
	struct msp_why why;
};

static void on_done(void *arg, enum msp_err err, const struct msp_why *why)
{
	struct fixture *f = arg;

	f->done++;
	f->err = err;
	f->why = *why;
}

static bool is_done(void *arg)
{
	return ((struct fixture *)arg)->done > 0;
}

static void on_tick(void *arg)
{
	struct fixture *f = arg;

	f->ticks++;
	msp_timer_start(f->timer, 1);
}

static bool has_ticked(void *arg)
{
	return ((struct fixture *)arg)->ticks > 20;
}

static void set_up(struct fixture *f)
{
	struct msp_why why;

	memset(f, 0, sizeof(*f));
	t_ask("fresh");
	f->conf.name = conn_file;
	f->conf.path = conn_file;
	f->conf.timeout_s = 1;
	T_OK(msp_loop_new(NULL, &f->app.loop));
	T_OK(msp_timer_new(f->app.loop, on_tick, f, &f->timer));
	T_OK(prt_backend_sql.open(&f->app, NULL, &f->conf, &f->b, &why));
	assert_ptr_equal(f->b->driver, &prt_backend_sql);
	t_delegation(&f->want, USUAL);
}

static void tear_down(struct fixture *f)
{
	prt_backend_sql.close(&f->b);
	assert_null(f->b);
	prt_delegation_clear(&f->want);
	msp_timer_close(&f->timer);
	msp_loop_free(&f->app.loop);
}

static void hand_over(struct fixture *f, uint64_t seq)
{
	static struct prt_backend_job job;

	job = (struct prt_backend_job){ .want = &f->want, .seq = seq };
	f->done = 0;
	T_OK(prt_backend_sql.apply(f->b, &job, 1, on_done, f));
	T_ERR(prt_backend_sql.apply(f->b, &job, 1, on_done, f), MSP_EBUSY);
	assert_int_equal(f->done, 0); /* never from inside the call */
}

static void the_driver_answers_once_from_the_loop(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	for (uint64_t seq = 1; seq < 4; seq++) {
		hand_over(&f, seq);
		assert_true(msp_loop_run_until(f.app.loop, is_done, &f, PATIENCE_MS));
		assert_int_equal(f.done, 1);
		T_OK(f.err);
	}
	shows("delegation", USUAL_ROWS("1"));
	tear_down(&f);
}

static void the_loop_goes_on_while_the_server_is_silent(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	hand_over(&f, 1);
	assert_true(msp_loop_run_until(f.app.loop, is_done, &f, PATIENCE_MS));
	t_ask("freeze");
	hand_over(&f, 2);
	msp_timer_start(f.timer, 1);
	assert_true(msp_loop_run_until(f.app.loop, has_ticked, &f, PATIENCE_MS));
	assert_true(msp_loop_run_until(f.app.loop, is_done, &f, PATIENCE_MS));
	T_ERR(f.err, MSP_ENET);
	assert_true(f.why.text[0] != '\0');
	t_ask("thaw");
	hand_over(&f, 2);
	assert_true(msp_loop_run_until(f.app.loop, is_done, &f, PATIENCE_MS));
	T_OK(f.err);
	tear_down(&f);
}

static void closing_does_not_wait_for_a_silent_server(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	f.conf.timeout_s = 600; /* more than this test may take */
	prt_backend_sql.close(&f.b);
	T_OK(prt_backend_sql.open(&f.app, NULL, &f.conf, &f.b, &f.why));
	hand_over(&f, 1);
	assert_true(msp_loop_run_until(f.app.loop, is_done, &f, PATIENCE_MS));
	T_OK(f.err);
	t_ask("freeze");
	hand_over(&f, 2);
	tear_down(&f);
	assert_int_equal(f.done, 0);
	t_ask("thaw");
}

static void a_server_that_is_down_is_told_and_asked_again(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	t_ask("stop");
	hand_over(&f, 1);
	assert_true(msp_loop_run_until(f.app.loop, is_done, &f, PATIENCE_MS));
	T_ERR(f.err, MSP_ENET);
	t_ask("start");
	hand_over(&f, 1);
	assert_true(msp_loop_run_until(f.app.loop, is_done, &f, PATIENCE_MS));
	T_OK(f.err);
	shows("delegation", USUAL_ROWS("1"));
	tear_down(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_delegation_is_shown_record_by_record),
		cmocka_unit_test(the_same_again_changes_nothing),
		cmocka_unit_test(only_what_differs_is_changed),
		cmocka_unit_test(a_ttl_that_changes_is_a_record_out_and_in),
		cmocka_unit_test(names_are_in_lower_case_and_empty_is_nothing),
		cmocka_unit_test(what_is_older_than_the_tables_is_not_carried_out),
		cmocka_unit_test(a_constraint_of_the_house_is_a_refusal),
		cmocka_unit_test(newer_tables_are_not_touched),
		cmocka_unit_test(after_the_server_was_killed_it_goes_on),
		cmocka_unit_test(the_driver_answers_once_from_the_loop),
		cmocka_unit_test(the_loop_goes_on_while_the_server_is_silent),
		cmocka_unit_test(closing_does_not_wait_for_a_silent_server),
		cmocka_unit_test(a_server_that_is_down_is_told_and_asked_again),
	};

	if (argc != 2) {
		(void)fprintf(stderr, "usage: backend_sql_test CONNECTION-FILE\n");
		return 2;
	}
	conn_file = argv[1];
	return cmocka_run_group_tests_name("backend_sql", tests, NULL, NULL);
}
