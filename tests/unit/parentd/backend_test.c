/* SPDX-License-Identifier: BSD-2-Clause */
/* Backends and the import over real books in SQLite; the backends themselves are made up here. */
#include "prt_build.h"

#include "backend_priv.h"
#include "import_priv.h"
#include "store.h"

#include <msproto/base/mem.h>

#include <unistd.h>

#define LIMIT_MS  20000
#define CALLS_MAX 64

/* --- the parts of parentd that are called --------------------------------------------------------------------------
 */

struct prt_settings *prt_settings_ref(struct prt_settings *s)
{
	return s;
}

void prt_settings_unref(struct prt_settings **s)
{
	*s = NULL;
}

enum msp_err prt_store_open_pg(const struct prt_store_where *w, struct prt_store **out, struct msp_why *why)
{
	(void)w;
	(void)out;
	return msp_fail(why, MSP_ENOTIMP, "not here");
}

/* --- backends that do as they are told -------------------------------------------------------------------------------
 */

struct call {
	size_t count; /* jobs */
	char child[4][64];
	char ns[4][64]; /* the first server wanted */
};

/* One for each kind of backend; the parent's first is "update", the second "sql", the third "file". */
static struct teller {
	struct call call[CALLS_MAX];
	size_t calls;
	bool is_silent;       /* never answers */
	enum msp_err all;     /* what everything is answered */
	const char *bad;      /* this child ... */
	enum msp_err bad_err; /* ... is answered so, and a call that has it among others too */
} teller[4];

struct fake {
	struct prt_backend base;
	struct teller *of;
	struct msp_timer *timer;
	prt_backend_done_fn *done;
	void *arg;
	enum msp_err err;
};

static struct prt_app app;
static struct prt_conf conf;
static struct msp_log log_null;
static char dir[64];

static void answer(void *arg)
{
	struct fake *f = arg;
	struct msp_why why = { "because" };

	f->done(f->arg, f->err, f->err == MSP_OK ? NULL : &why);
}

static enum msp_err open_as(const struct prt_backend_driver *driver, struct teller *of, struct prt_backend **out)
{
	struct fake *f = msp_alloc(1, sizeof(*f));

	f->base.driver = driver;
	f->of = of;
	*out = &f->base;
	return msp_timer_new(app.loop, answer, f, &f->timer);
}

#define OPEN(name)                                                                                                     \
	static enum msp_err open_##name(struct prt_app *a, const struct prt_conf_parent *parent,                       \
					const struct prt_conf_backend *c, struct prt_backend **out,                    \
					struct msp_why *why)                                                           \
	{                                                                                                              \
		(void)a;                                                                                               \
		(void)parent;                                                                                          \
		(void)why;                                                                                             \
		return open_as(&prt_backend_##name, &teller[c->kind], out);                                            \
	}
OPEN(update)
OPEN(file)
OPEN(hook)
OPEN(sql)

static void note_job(struct call *c, const struct prt_backend_job *j)
{
	const struct msp_rrset *ns = prt_delegation_ns(j->want);
	struct msp_name host;

	if (c->count < 4) {
		snprintf(c->child[c->count], 64, "%.60s", MSP_NAME(&j->want->child));
		if (ns != NULL && msp_rdata_name_parse(ns->rdata[0], &host) == MSP_OK)
			snprintf(c->ns[c->count], 64, "%.60s", MSP_NAME(&host));
	}
	c->count++;
}

static enum msp_err fake_apply(struct prt_backend *b, const struct prt_backend_job *jobs, size_t count,
			       prt_backend_done_fn *done, void *arg)
{
	struct fake *f = (struct fake *)b;
	struct teller *t = f->of;
	struct call *c = &t->call[t->calls++];

	assert_true(t->calls < CALLS_MAX);
	f->done = done;
	f->arg = arg;
	f->err = t->all;
	for (size_t i = 0; i < count; i++) {
		note_job(c, &jobs[i]);
		if (t->bad != NULL && strcmp(MSP_NAME(&jobs[i].want->child), t->bad) == 0)
			f->err = t->bad_err;
	}
	if (!t->is_silent)
		msp_timer_start(f->timer, 0);
	return MSP_OK;
}

static void fake_close(struct prt_backend **b)
{
	struct fake *f = (struct fake *)*b;

	msp_timer_close(&f->timer);
	msp_free(f);
	*b = NULL;
}

const struct prt_backend_driver prt_backend_update = {
	.name = "update", .batch = 3, .open = open_update, .apply = fake_apply, .close = fake_close
};
const struct prt_backend_driver prt_backend_file = { .name = "file",
						     .batch = PRT_BATCH_MAX,
						     .is_whole = true,
						     .open = open_file,
						     .apply = fake_apply,
						     .close = fake_close };
const struct prt_backend_driver prt_backend_hook = {
	.name = "hook", .batch = 1, .open = open_hook, .apply = fake_apply, .close = fake_close
};
const struct prt_backend_driver prt_backend_sql = {
	.name = "sql", .batch = 3, .open = open_sql, .apply = fake_apply, .close = fake_close
};

/* --- a parent, and its children
 * --------------------------------------------------------------------------------------- */

static struct prt_conf_backend backend_conf[2];
static struct prt_conf_parent parent_conf;

static void configure(int first, int second)
{
	static char names[4][8] = { "update", "file", "hook", "sql" };

	backend_conf[0] = (struct prt_conf_backend){ .name = names[first], .kind = first, .retry_s = 3600 };
	if (second >= 0)
		backend_conf[1] = (struct prt_conf_backend){ .name = names[second], .kind = second, .retry_s = 3600 };
	for (size_t i = 0; i < 2; i++)
		backend_conf[i].retry_max_s = 7200;
	parent_conf.zone = t_name(P);
	parent_conf.backends = (struct msp_conf_list){ backend_conf, second >= 0 ? 2 : 1 };
	conf.parents = (struct msp_conf_list){ &parent_conf, 1 };
	app.conf = &conf;
}

static void open_books(void)
{
	char path[128];
	struct prt_store_where w = { .kind = PRT_STORE_SQLITE, .path = path };
	struct msp_why why = { "" };

	snprintf(path, sizeof(path), "%s/parentd.db", dir);
	if (prt_books_open(app.loop, &w, 4, &app.books, &why) != MSP_OK)
		fail_msg("%s", why.text);
}

static void open_backends(void)
{
	struct msp_why why = { "" };

	T_OK(prt_backends_open(&app, &app.backends, &why));
}

static void reopen(void)
{
	prt_backends_close(&app.backends);
	prt_books_close(&app.books);
	open_books();
	open_backends();
}

static void begin(int first, int second)
{
	memset(teller, 0, sizeof(teller));
	memset(&app, 0, sizeof(app));
	msp_log_init_null(&log_null);
	app.log = &log_null;
	msp_rand_init_seed(&app.rand, 1);
	T_OK(msp_loop_new(&log_null, &app.loop));
	snprintf(dir, sizeof(dir), "/tmp/prtbackXXXXXX");
	assert_non_null(mkdtemp(dir));
	configure(first, second);
	open_books();
}

static void end(void)
{
	static const char *const left[] = { "parentd.db", "parentd.db-wal", "parentd.db-shm" };
	char path[128];

	prt_backends_close(&app.backends);
	prt_books_close(&app.books);
	msp_loop_free(&app.loop);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, left[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(dir), 0);
}

/* A delegation to ns.<label>.test. and ns2.<label>.test. */
static void delegation(struct prt_delegation *d, const char *child, const char *label)
{
	struct msp_name parent = t_name(P), name = t_name(child);
	char lines[512];
	struct msp_rrset *set;

	snprintf(lines, sizeof(lines), "%s 300 NS ns.%s.test.\n%s 300 NS ns2.%s.test.", child, label, child, label);
	set = t_rrset(lines);
	prt_delegation_init(d, &parent, &name);
	T_OK(prt_delegation_put(d, &name, MSP_TYPE_NS, set));
	msp_rrset_free(&set);
}

static enum msp_err do_import(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	(void)exists;
	return prt_desk_imported(c, arg, now, out);
}

static enum msp_err do_set(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	static const struct prt_rules rules;
	struct prt_asker asker = { .source = PRT_SRC_OPERATOR, .who = "operator anna" };

	assert_true(exists);
	return prt_desk_set(&rules, c, arg, true, &asker, now, out);
}

static void job(const char *child, const char *label, prt_books_fn *fn)
{
	struct msp_name parent = t_name(P), name = t_name(child);
	struct prt_delegation d;
	struct prt_outcome out;

	delegation(&d, child, label);
	prt_outcome_init(&out);
	T_OK(prt_books_do_now(app.books, &parent, &name, fn, &d, &out));
	prt_outcome_fini(&out);
	prt_delegation_clear(&d);
}

static void made(const char *child)
{
	job(child, "old", do_import);
}

static void accepted(const char *child, const char *label)
{
	job(child, label, do_set);
	prt_backends_poke(&app);
}

static bool shows(const struct prt_delegation *d, const char *child, const char *label)
{
	struct prt_delegation want;
	bool same;

	delegation(&want, child, label);
	same = prt_delegation_equal(d, &want);
	prt_delegation_clear(&want);
	return same;
}

static bool is_published(const char *child, const char *label)
{
	struct msp_name name = t_name(child);
	struct prt_child *c = msp_alloc(1, sizeof(*c));
	bool yes;

	T_OK(prt_books_peek(app.books, &name, c));
	yes = shows(&c->published, child, label);
	prt_child_fini(c);
	msp_free(c);
	return yes;
}

static bool is_registered(const char *child, const char *label)
{
	struct msp_name name = t_name(child);
	struct prt_child *c = msp_alloc(1, sizeof(*c));
	bool yes;

	T_OK(prt_books_peek(app.books, &name, c));
	yes = shows(&c->registered, child, label);
	prt_child_fini(c);
	msp_free(c);
	return yes;
}

/* --- waiting
 * -------------------------------------------------------------------------------------------------------------- */

static size_t want_calls;

static bool has_calls(void *arg)
{
	return ((struct teller *)arg)->calls >= want_calls;
}

static void run_calls(struct teller *t, size_t calls)
{
	want_calls = calls;
	assert_true(msp_loop_run_until(app.loop, has_calls, t, LIMIT_MS));
}

/* All that can be done for now is done: every backend idle, or waiting for its pause to end. */
static bool is_quiet(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < prt_backends_count(app.backends); i++) {
		struct prt_backend_state s;

		prt_backends_state(app.backends, i, &s);
		if (s.is_standby || s.is_busy || (s.place < prt_books_last_seq(app.books) && !s.is_down))
			return false;
	}
	return true;
}

static void run_quiet(void)
{
	assert_true(msp_loop_run_until(app.loop, is_quiet, NULL, LIMIT_MS));
}

struct published {
	const char *child, *label;
};

static bool published(void *arg)
{
	struct published *p = arg;

	return is_published(p->child, p->label);
}

static void run_published(const char *child, const char *label)
{
	struct published p = { child, label };

	assert_true(msp_loop_run_until(app.loop, published, &p, LIMIT_MS));
}

static void forget_calls(void)
{
	for (size_t i = 0; i < 4; i++)
		teller[i].calls = 0;
}

static struct prt_backend_state state(size_t i)
{
	struct prt_backend_state s;

	prt_backends_state(app.backends, i, &s);
	return s;
}

/* --- backends
 * ---------------------------------------------------------------------------------------------------------------- */

static void an_accepted_change_is_applied_and_published(void **unused)
{
	(void)unused;
	begin(PRT_BACKEND_UPDATE, -1);
	made("a.example.");
	open_backends();
	run_quiet();
	assert_int_equal(teller[0].calls, 0); /* what was imported is true already */
	accepted("a.example.", "new");
	run_published("a.example.", "new");
	run_quiet();
	assert_int_equal(teller[0].calls, 1);
	assert_string_equal(teller[0].call[0].child[0], "a.example.");
	assert_string_equal(teller[0].call[0].ns[0], "ns.new.test.");
	assert_int_equal(app.stats.published, 1);
	end();
}

static void without_any_backend_what_is_accepted_is_published_at_once(void **unused)
{
	(void)unused;
	begin(PRT_BACKEND_UPDATE, -1);
	parent_conf.backends.count = 0;
	made("a.example.");
	accepted("a.example.", "before");
	open_backends();
	run_published("a.example.", "before");
	accepted("a.example.", "new");
	run_published("a.example.", "new");
	run_quiet();
	assert_int_equal(prt_backends_count(app.backends), 1);
	assert_string_equal(state(0).conf->name, "none");
	assert_false(state(0).is_down);
	assert_int_equal(teller[0].calls, 0);
	/* with a zone that is read it is published when it stands there */
	parent_conf.primary.addr.family = MSP_FAMILY_V4;
	prt_backends_renew(app.backends);
	assert_int_equal(prt_backends_count(app.backends), 0);
	parent_conf.primary.addr.family = MSP_FAMILY_NONE;
	end();
}

static void several_changes_of_a_child_become_one(void **unused)
{
	(void)unused;
	begin(PRT_BACKEND_UPDATE, -1);
	made("a.example.");
	made("b.example.");
	accepted("a.example.", "one");
	accepted("b.example.", "one");
	accepted("a.example.", "two");
	accepted("a.example.", "three");
	open_backends();
	run_published("a.example.", "three");
	run_quiet();
	assert_int_equal(teller[0].calls, 1);
	assert_int_equal(teller[0].call[0].count, 2);
	assert_true(is_published("b.example.", "one"));
	end();
}

static void a_backend_that_is_down_is_asked_again_and_nothing_is_lost(void **unused)
{
	(void)unused;
	begin(PRT_BACKEND_UPDATE, -1);
	made("a.example.");
	made("b.example.");
	open_backends();
	teller[0].all = MSP_ENET;
	accepted("a.example.", "new");
	run_calls(&teller[0], 1);
	run_quiet();
	assert_true(state(0).is_down);
	assert_string_equal(state(0).last.text, "because");
	assert_true(state(0).next.s > 0);
	accepted("b.example.", "new"); /* meanwhile others are accepted all the same */
	run_quiet();
	assert_int_equal(teller[0].calls, 1); /* it waits for its pause */
	assert_false(is_published("a.example.", "new"));
	teller[0].all = MSP_OK;
	prt_backends_renew(app.backends); /* an operator's reload asks at once */
	run_published("b.example.", "new");
	run_quiet();
	assert_true(is_published("a.example.", "new"));
	assert_false(state(0).is_down);
	assert_string_equal(state(0).last.text, "");
	assert_int_equal(app.stats.backend_failures, 1);
	end();
}

static enum msp_err count_failed(void *arg, uint64_t seq, struct msp_span octets)
{
	struct prt_audit a;

	(void)seq;
	T_OK(prt_audit_read(octets, &a));
	if (a.verdict == PRT_VERDICT_FAILED) {
		++*(unsigned *)arg;
		assert_non_null(strstr(a.why, "update: because"));
	}
	prt_audit_fini(&a);
	return MSP_OK;
}

static void who_is_refused_is_found_and_the_others_go_through(void **unused)
{
	unsigned count = 0;

	(void)unused;
	begin(PRT_BACKEND_UPDATE, -1);
	made("a.example.");
	made("b.example.");
	made("c.example.");
	accepted("a.example.", "new");
	accepted("b.example.", "new");
	accepted("c.example.", "new");
	teller[0].bad = "b.example.";
	teller[0].bad_err = MSP_EREFUSED;
	open_backends();
	run_published("c.example.", "new");
	run_quiet();
	assert_true(is_published("a.example.", "new"));
	assert_true(is_published("b.example.", "old"));
	assert_true(is_registered("b.example.", "old")); /* the books show what the parent has */
	T_OK(prt_books_audit(app.books, 1, 1000, count_failed, &count));
	assert_int_equal(count, 1);
	assert_false(state(0).is_down);
	assert_int_equal(state(0).left, 0);
	end();
}

static void who_fails_is_set_aside_and_tried_again(void **unused)
{
	(void)unused;
	begin(PRT_BACKEND_HOOK, -1);
	made("a.example.");
	made("b.example.");
	teller[PRT_BACKEND_HOOK].bad = "a.example.";
	teller[PRT_BACKEND_HOOK].bad_err = MSP_ERCODE;
	open_backends();
	accepted("a.example.", "new");
	run_calls(&teller[PRT_BACKEND_HOOK], 1);
	run_quiet();
	assert_int_equal(state(0).left, 1);
	accepted("b.example.", "new");
	reopen(); /* who is aside is known after a crash too */
	run_published("b.example.", "new");
	assert_true(is_published("a.example.", "old"));
	assert_true(is_registered("a.example.", "new"));
	run_quiet();
	assert_int_equal(state(0).left, 1);
	teller[PRT_BACKEND_HOOK].bad = NULL;
	reopen();
	run_published("a.example.", "new");
	run_quiet();
	assert_int_equal(state(0).left, 0);
	end();
}

static void a_crash_only_repeats_work(void **unused)
{
	(void)unused;
	begin(PRT_BACKEND_UPDATE, -1);
	made("a.example.");
	open_backends();
	run_quiet();
	teller[0].is_silent = true;
	accepted("a.example.", "new");
	run_calls(&teller[0], 1); /* it may have been done, nobody knows */
	reopen();
	run_calls(&teller[0], 2);
	assert_string_equal(teller[0].call[1].ns[0], "ns.new.test.");
	teller[0].is_silent = false;
	reopen();
	run_published("a.example.", "new");
	run_quiet();
	assert_int_equal(teller[0].calls, 3);
	reopen();
	run_quiet();
	assert_int_equal(teller[0].calls, 3); /* and what is done is done */
	end();
}

static void published_is_what_all_backends_have(void **unused)
{
	(void)unused;
	begin(PRT_BACKEND_UPDATE, PRT_BACKEND_SQL);
	made("a.example.");
	open_backends();
	run_quiet();
	forget_calls();
	teller[PRT_BACKEND_SQL].all = MSP_ENET;
	accepted("a.example.", "one");
	run_calls(&teller[PRT_BACKEND_SQL], 1);
	run_quiet();
	assert_int_equal(teller[0].calls, 1);
	accepted("a.example.", "two"); /* the one that works goes on */
	run_calls(&teller[0], 2);
	run_quiet();
	assert_true(is_published("a.example.", "old"));
	reopen();
	run_calls(&teller[PRT_BACKEND_SQL], 2);
	run_quiet();
	assert_true(is_published("a.example.", "old"));
	teller[PRT_BACKEND_SQL].all = MSP_OK;
	prt_backends_renew(app.backends);
	run_published("a.example.", "two");
	run_quiet();
	assert_int_equal(teller[0].calls, 2); /* nothing was left for that one to do */
	end();
}

static void what_one_backend_refuses_the_other_takes_back(void **unused)
{
	(void)unused;
	begin(PRT_BACKEND_UPDATE, PRT_BACKEND_SQL);
	made("a.example.");
	open_backends();
	run_quiet();
	forget_calls();
	teller[PRT_BACKEND_SQL].bad = "a.example.";
	teller[PRT_BACKEND_SQL].bad_err = MSP_EREFUSED;
	accepted("a.example.", "new");
	run_calls(&teller[PRT_BACKEND_SQL], 1);
	teller[PRT_BACKEND_SQL].bad = NULL;
	run_calls(&teller[0], 2);
	run_quiet();
	assert_string_equal(teller[0].call[1].ns[0], "ns.old.test.");
	assert_true(is_registered("a.example.", "old"));
	assert_true(is_published("a.example.", "old"));
	end();
}

static void another_set_of_backends_begins_with_what_is_not_published(void **unused)
{
	(void)unused;
	begin(PRT_BACKEND_UPDATE, PRT_BACKEND_SQL);
	for (unsigned i = 0; i < 5; i++) {
		char name[32];

		snprintf(name, sizeof(name), "c%u.example.", i);
		made(name);
	}
	open_backends();
	run_quiet();
	forget_calls();
	teller[PRT_BACKEND_SQL].is_silent = true;
	accepted("c1.example.", "new");
	accepted("c3.example.", "new");
	run_calls(&teller[0], 1);
	run_calls(&teller[PRT_BACKEND_SQL], 1);
	assert_true(is_published("c3.example.", "old"));
	configure(PRT_BACKEND_UPDATE, -1); /* the silent one is given up */
	prt_backends_renew(app.backends);
	run_published("c1.example.", "new");
	run_published("c3.example.", "new");
	run_quiet();
	assert_int_equal(prt_backends_count(app.backends), 1);
	end();
}

static void a_backend_that_writes_everything_hears_of_imports(void **unused)
{
	(void)unused;
	begin(PRT_BACKEND_FILE, -1);
	open_backends();
	run_calls(&teller[PRT_BACKEND_FILE], 1); /* at each start */
	run_quiet();
	assert_int_equal(teller[PRT_BACKEND_FILE].call[0].count, 0);
	made("a.example.");
	prt_backends_poke(&app);
	run_calls(&teller[PRT_BACKEND_FILE], 2);
	assert_int_equal(teller[PRT_BACKEND_FILE].call[1].count, 0);
	accepted("a.example.", "new");
	run_published("a.example.", "new");
	end();
}

static void a_mirror_begins_with_all_children_and_hears_of_imports(void **unused)
{
	const struct teller *t = &teller[PRT_BACKEND_SQL];
	struct msp_name parent = t_name(P);

	(void)unused;
	begin(PRT_BACKEND_SQL, -1);
	made("a.example.");
	made("b.example.");
	open_backends();
	run_quiet();
	assert_int_equal(t->calls, 1);
	assert_int_equal(t->call[0].count, 2);
	made("c.example.");
	prt_backends_poke(&app);
	run_calls(&teller[PRT_BACKEND_SQL], 2);
	assert_string_equal(t->call[1].child[0], "c.example.");
	run_quiet();
	reopen();
	run_quiet();
	assert_int_equal(t->calls, 2); /* it has them */
	prt_backends_imported(&app, &parent, true);
	run_calls(&teller[PRT_BACKEND_SQL], 3);
	assert_int_equal(t->call[2].count, 3);
	run_quiet();
	assert_int_equal(app.stats.published, 0); /* nothing of that was news */
	end();
}

static void at_eight_failures_in_a_row_it_is_the_backend(void **unused)
{
	char name[32];

	(void)unused;
	begin(PRT_BACKEND_UPDATE, -1);
	open_backends();
	run_quiet();
	teller[0].all = MSP_ERCODE;
	for (unsigned i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "c%u.example.", i);
		made(name);
		accepted(name, "new");
	}
	run_calls(&teller[0], 4); /* all together, then each by itself */
	run_quiet();
	assert_true(state(0).is_down);
	teller[0].all = MSP_OK;
	prt_backends_renew(app.backends);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "c%u.example.", i);
		run_published(name, "new");
	}
	run_quiet();
	assert_int_equal(state(0).left, 0);
	end();
}

/* --- import
 * --------------------------------------------------------------------------------------------------------------------
 */

static const char *const zone_lines[] = {
	"example. 300 SOA ns.example. h.example. 1 2 3 4 5",
	"example. 300 NS ns.test.",
	"www.example. 300 A 192.0.2.1",
	"a.example. 300 NS ns.a.example.",
	"a.example. 300 NS ns.out.test.",
	("a.example. 300 DS 1 13 2 " DIGEST_1),
	"a.example. 300 RRSIG DS 13 2 300 20300101000000 20200101000000 1 example. AAAA",
	"ns.a.example. 300 A 192.0.2.2",
	"ns.a.example. 300 AAAA 2001:db8::2",
	"other.a.example. 300 A 192.0.2.3",    /* idle: a sibling's server perhaps */
	"deep.a.example. 300 NS ns.out.test.", /* below a cut: nobody sees it */
	"b.example. 300 NS ns.out.test.",
	"x.y.z.example. 300 NS ns.out.test.",
};
#define ZONE_LINES (sizeof(zone_lines) / sizeof(zone_lines[0]))

static void add_line(struct prt_zonefile *z, const char *line)
{
	struct msp_buf rdata;
	struct msp_rr rr;
	struct msp_why why = { "" };

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	if (msp_rr_scan(msp_span_str(line), NULL, NULL, 300, &rdata, &rr, &why) != MSP_OK)
		fail_msg("%s: %s", line, why.text);
	T_OK(prt_zonefile_add(z, &rr));
	msp_buf_fini(&rdata);
}

/* The nth line of `order` (a step through all of them), without those whose text has `without` in it. */
static void fill_zone(struct prt_zonefile *z, size_t step, const char *without)
{
	struct msp_name parent = t_name(P);
	struct msp_why why = { "" };

	T_OK(prt_zonefile_open(z, dir, &parent, &why));
	for (size_t n = 0, at = 0; n < ZONE_LINES; n++, at = (at + step) % ZONE_LINES)
		if (without == NULL || strstr(zone_lines[at], without) == NULL)
			add_line(z, zone_lines[at]);
	T_OK(prt_zonefile_seal(z));
}

static void read_import(struct prt_zonefile *z, uint64_t since, bool is_first, struct prt_merge *m)
{
	bool over = false;

	T_OK(prt_merge_init(m, app.books, z, since, is_first));
	while (!over)
		T_OK(prt_merge_step(m, &over));
	prt_zonefile_close(z);
}

/* How many were left alone. */
static uint64_t import_zone(size_t step, const char *without, uint64_t since)
{
	struct prt_zonefile z;
	struct prt_merge m;

	fill_zone(&z, step, without);
	read_import(&z, since, false, &m);
	prt_merge_fini(&m);
	return m.left_alone;
}

static void delegations_are_found_in_whatever_order_they_come(void **unused)
{
	static const char *const names[] = { "a.example.", "b.example.", "x.y.z.example." };

	(void)unused;
	snprintf(dir, sizeof(dir), "/tmp");
	for (size_t step = 1; step < ZONE_LINES; step++) { /* 13 lines: each step visits all */
		struct prt_zonefile z;
		struct prt_delegation d;

		fill_zone(&z, step, NULL);
		assert_true(z.has_apex_ns);
		for (size_t i = 0; i < 3; i++) {
			T_OK(prt_zonefile_next(&z, &d));
			assert_string_equal(MSP_NAME(&d.child), names[i]);
			assert_int_equal(d.count, i == 0 ? 4 : 1); /* NS, DS, A, AAAA */
			prt_delegation_clear(&d);
		}
		T_ERR(prt_zonefile_next(&z, &d), MSP_ENOTFOUND);
		prt_zonefile_rewind(&z);
		T_OK(prt_zonefile_next(&z, &d));
		prt_delegation_clear(&d);
		prt_zonefile_close(&z);
	}
}

static void what_is_more_than_a_delegation_is_said_to_be(void **unused)
{
	struct msp_name parent = t_name(P);
	struct msp_why why = { "" };
	struct prt_zonefile z;
	struct prt_delegation d;
	char line[128];

	(void)unused;
	T_OK(prt_zonefile_open(&z, "/tmp", &parent, &why));
	for (unsigned i = 0; i < PRT_NS_MAX + 1; i++) {
		snprintf(line, sizeof(line), "big.example. 300 NS ns%u.test.", i);
		add_line(&z, line);
	}
	add_line(&z, "small.example. 300 NS ns.test.");
	T_OK(prt_zonefile_seal(&z));
	T_ERR(prt_zonefile_next(&z, &d), MSP_ELIMIT);
	assert_string_equal(MSP_NAME(&d.child), "big.example.");
	T_OK(prt_zonefile_next(&z, &d));
	prt_delegation_clear(&d);
	prt_zonefile_close(&z);
}

static uint64_t here(void)
{
	return prt_books_last_seq(app.books);
}

/* Nine servers with names and addresses as long and as many as can be: 78 KiB of records. */
static void add_giant(struct prt_zonefile *z, const char *child)
{
	char host[330], line[700], label[64];

	memset(label, 'x', sizeof(label));
	for (unsigned n = 0; n < 9; n++) {
		snprintf(host, sizeof(host), "%u%.62s.%.62s.%.62s.%.40s.%s", n, label, label, label, label, child);
		snprintf(line, sizeof(line), "%s 300 NS %s", child, host);
		add_line(z, line);
		for (unsigned a = 0; a < PRT_ADDR_MAX; a++) {
			snprintf(line, sizeof(line), "%s 300 A 192.0.2.%u", host, a);
			add_line(z, line);
			snprintf(line, sizeof(line), "%s 300 AAAA 2001:db8::%u", host, a);
			add_line(z, line);
		}
	}
}

static void a_child_with_more_records_than_the_trail_takes_is_left_out_alone(void **unused)
{
	struct msp_name parent = t_name(P), first = t_name("b0.example.");
	struct msp_why why = { "" };
	struct prt_zonefile z;
	struct prt_merge m;
	char line[64];

	(void)unused;
	begin(PRT_BACKEND_UPDATE, -1);
	for (unsigned round = 0; round < 2; round++) { /* the first import of all, and another one */
		T_OK(prt_zonefile_open(&z, dir, &parent, &why));
		for (unsigned n = 0; n < 10; n++) {
			snprintf(line, sizeof(line), "a%u.example. %u NS ns.out.test.", n, 300 + round);
			add_line(&z, line);
			if (n % 5 == 0) {
				snprintf(line, sizeof(line), "b%u.example.", n);
				add_giant(&z, line);
			}
		}
		T_OK(prt_zonefile_seal(&z));
		read_import(&z, here(), round == 0, &m);
		assert_int_equal(m.changed, 10);
		assert_int_equal(m.too_large, 2);
		assert_true(msp_name_equal(&m.too_large_first, &first));
		prt_merge_fini(&m);
	}
	end();
}

static bool is_gone(const char *child)
{
	struct msp_name name = t_name(child);
	struct prt_child *c = msp_alloc(1, sizeof(*c));
	bool yes;

	T_OK(prt_books_peek(app.books, &name, c));
	yes = (c->flags & PRT_CHILD_GONE) != 0;
	prt_child_fini(c);
	msp_free(c);
	return yes;
}

static void an_import_writes_what_differs_and_marks_what_is_gone(void **unused)
{
	uint64_t seq, was;

	(void)unused;
	begin(PRT_BACKEND_UPDATE, -1);
	made("b.example.");
	made("gone.example.");
	was = here();
	import_zone(5, NULL, here());
	assert_true(is_gone("gone.example."));
	assert_false(is_gone("a.example."));
	assert_false(is_gone("x.y.z.example."));
	assert_false(is_published("b.example.", "old"));
	seq = here();
	assert_int_equal(seq, 4 + was); /* b is another one, gone is gone, a and x are new: all on record */
	import_zone(1, NULL, here());
	assert_int_equal(here(), seq); /* the same again is nothing */
	import_zone(1, "b.example.", here());
	assert_true(is_gone("b.example."));
	import_zone(3, NULL, here());
	assert_false(is_gone("b.example."));
	end();
}

static void the_first_import_leaves_no_record_for_each_child(void **unused)
{
	struct prt_zonefile z;
	struct prt_merge m;

	(void)unused;
	begin(PRT_BACKEND_UPDATE, -1);
	fill_zone(&z, 1, NULL);
	read_import(&z, 0, true, &m);
	assert_int_equal(m.changed, 3);
	prt_merge_fini(&m);
	assert_int_equal(here(), 0);
	assert_false(is_gone("a.example."));
	end();
}

static enum msp_err do_lock(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	struct prt_asker asker = { .source = PRT_SRC_OPERATOR, .who = "operator anna" };

	(void)arg;
	(void)exists;
	return prt_desk_lock(c, true, "for a moment", &asker, now, out);
}

static void a_record_that_moves_nothing_keeps_nobody_from_being_removed(void **unused)
{
	uint64_t before;

	(void)unused;
	begin(PRT_BACKEND_UPDATE, -1);
	made("gone.example.");
	before = here();
	job("gone.example.", "x", do_lock); /* during the transfer */
	assert_true(here() > before);
	assert_int_equal(import_zone(1, NULL, before), 0);
	assert_true(is_gone("gone.example."));
	end();
}

static void what_is_accepted_stands_and_what_changed_since_is_left_alone(void **unused)
{
	uint64_t before;

	(void)unused;
	begin(PRT_BACKEND_UPDATE, -1);
	made("b.example.");
	accepted("b.example.", "new");
	assert_int_equal(import_zone(1, NULL, here()), 0);
	assert_true(is_registered("b.example.", "new"));
	before = here();
	accepted("b.example.", "newer");
	made("c.example.");
	/* Its transfer began before that. b in it is as published; c, made meanwhile, is not: the zone is read again.
	 */
	assert_int_equal(import_zone(1, NULL, before - 1), 1);
	assert_true(is_registered("b.example.", "newer"));
	assert_false(is_published("b.example.", "newer"));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_accepted_change_is_applied_and_published),
		cmocka_unit_test(without_any_backend_what_is_accepted_is_published_at_once),
		cmocka_unit_test(several_changes_of_a_child_become_one),
		cmocka_unit_test(a_backend_that_is_down_is_asked_again_and_nothing_is_lost),
		cmocka_unit_test(who_is_refused_is_found_and_the_others_go_through),
		cmocka_unit_test(who_fails_is_set_aside_and_tried_again),
		cmocka_unit_test(a_crash_only_repeats_work),
		cmocka_unit_test(published_is_what_all_backends_have),
		cmocka_unit_test(what_one_backend_refuses_the_other_takes_back),
		cmocka_unit_test(another_set_of_backends_begins_with_what_is_not_published),
		cmocka_unit_test(a_backend_that_writes_everything_hears_of_imports),
		cmocka_unit_test(a_mirror_begins_with_all_children_and_hears_of_imports),
		cmocka_unit_test(at_eight_failures_in_a_row_it_is_the_backend),
		cmocka_unit_test(delegations_are_found_in_whatever_order_they_come),
		cmocka_unit_test(what_is_more_than_a_delegation_is_said_to_be),
		cmocka_unit_test(a_child_with_more_records_than_the_trail_takes_is_left_out_alone),
		cmocka_unit_test(an_import_writes_what_differs_and_marks_what_is_gone),
		cmocka_unit_test(the_first_import_leaves_no_record_for_each_child),
		cmocka_unit_test(a_record_that_moves_nothing_keeps_nobody_from_being_removed),
		cmocka_unit_test(what_is_accepted_stands_and_what_changed_since_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
