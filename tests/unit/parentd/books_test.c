/* SPDX-License-Identifier: BSD-2-Clause */
/* The books on real files in a directory of their own; and on stores that misbehave. */
#include "prt_child_build.h"
#include "store_cases.h"

#include "books_priv.h"

#include <msproto/base/mem.h>
#include <msproto/base/rand.h>
#include <msproto/kit/store.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_MS    20000
#define KILL_ROUNDS 12
#define NOBODY      UINT32_MAX

struct fixture {
	char dir[64], path[96];
	struct msp_log log;
	struct msp_loop *loop;
	struct prt_books *books;
	struct prt_store_where where;
	struct msp_name parent;
	size_t waiting; /* jobs whose done has not been called */
};

static void open_books(struct fixture *f)
{
	struct msp_why why = { "" };

	if (prt_books_open(f->loop, &f->where, 2, &f->books, &why) != MSP_OK)
		fail_msg("%s", why.text);
}

static int setup(void **state)
{
	struct fixture *f = msp_alloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/prtbooksXXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/books.db", f->dir);
	f->where.path = f->path;
	f->parent = t_name(P);
	msp_log_init_null(&f->log);
	T_OK(msp_loop_new(&f->log, &f->loop));
	open_books(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	struct fixture *f = *state;
	char path[128];
	int rc;

	prt_books_close(&f->books);
	msp_loop_free(&f->loop);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s%s", f->path, ends[i]);
		(void)unlink(path);
	}
	rc = rmdir(f->dir);
	msp_free(f);
	return rc;
}

static void reopen(struct fixture *f)
{
	prt_books_close(&f->books);
	open_books(f);
}

/* --- jobs --- */

/* What a job does, and what became of it. */
struct job {
	struct fixture *f;
	const char *tell;  /* audit entry's text; NULL = none */
	enum msp_err says; /* the decision's own error */
	size_t mem_fails;  /* from then on, on the books' thread; 0 = never */
	int64_t due;
	unsigned runs;
	bool is_done, existed, changes_nothing, closes, has_records;
	enum msp_err err;
	struct prt_outcome out;
};

static void add_entry(struct prt_outcome *out, const struct prt_child *c, const char *text)
{
	struct prt_audit *a = &out->entry[out->entries++];

	prt_audit_init(a);
	a->parent = c->parent;
	a->child = c->name;
	a->verdict = PRT_VERDICT_ACCEPTED;
	(void)snprintf(a->why, sizeof(a->why), "%s", text);
}

/* Counts in scan.inception. */
static enum msp_err bump(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	struct job *j = arg;

	assert_true(now.s > 0);
	j->runs++;
	j->existed = exists;
	c->scan.inception++;
	c->scan.next.s = j->due;
	if (j->has_records && !exists)
		t_delegation(&c->registered, USUAL);
	if (j->tell != NULL)
		add_entry(out, c, j->tell);
	if (j->has_records)
		T_OK(prt_delegation_write(&c->registered, &out->entry[0].after));
	out->is_changed = !j->changes_nothing;
	msp_mem_fail_at(j->mem_fails);
	return j->says;
}

static void on_done(void *arg, enum msp_err err)
{
	struct job *j = arg;

	assert_false(j->is_done);
	j->is_done = true;
	j->err = err;
	j->f->waiting--;
	if (j->closes)
		prt_books_close(&j->f->books);
}

static struct msp_name numbered(unsigned i)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "child%u." P, i);
	return t_name(text);
}

static enum msp_err hand_in(struct fixture *f, struct job *j, const struct msp_name *child)
{
	enum msp_err err;

	j->f = f;
	prt_outcome_init(&j->out);
	err = prt_books_do(f->books, &f->parent, child, bump, on_done, j, &j->out);
	f->waiting += err == MSP_OK;
	return err;
}

static bool nobody_waits(void *arg)
{
	return ((struct fixture *)arg)->waiting == 0;
}

/* For what another thread does without waking the loop. */
static void until(struct fixture *f, bool (*claim)(void *arg))
{
	unsigned i = 0;

	while (i < LIMIT_MS && !msp_loop_run_until(f->loop, claim, f, 1))
		i++;
	assert_true(i < LIMIT_MS);
}

static void run(struct fixture *f)
{
	assert_true(msp_loop_run_until(f->loop, nobody_waits, f, LIMIT_MS));
}

static enum msp_err do_now(struct fixture *f, struct job *j, const struct msp_name *child)
{
	enum msp_err err;

	prt_outcome_init(&j->out);
	err = prt_books_do_now(f->books, &f->parent, child, bump, j, &j->out);
	prt_outcome_fini(&j->out);
	return err;
}

/* What is stored of the child; 0 = it does not exist. */
static uint32_t counted(struct fixture *f, const struct msp_name *child)
{
	struct prt_child c;
	enum msp_err err = prt_books_peek(f->books, child, &c);
	uint32_t n;

	if (err == MSP_ENOTFOUND)
		return 0;
	T_OK(err);
	assert_true(msp_name_equal(&c.name, child));
	n = c.scan.inception;
	prt_child_fini(&c);
	return n;
}

struct trail {
	uint8_t link[PRT_HASH_LEN];
	uint64_t seq;
	struct msp_why why;
};

static enum msp_err follow(void *arg, uint64_t seq, struct msp_span octets)
{
	struct trail *t = arg;
	enum msp_err err = prt_audit_follow(octets, t->link, &t->seq, &t->why);

	return err == MSP_OK && seq != t->seq ? MSP_ESTATE : err;
}

/* The whole trail follows, and ends where the head says. @return its length */
static uint64_t trail_length(struct fixture *f)
{
	struct trail t = { .seq = 0 };
	uint8_t hash[PRT_HASH_LEN];
	uint64_t seq;

	if (prt_books_audit(f->books, 0, SIZE_MAX, follow, &t) != MSP_OK)
		fail_msg("%s", t.why.text);
	T_OK(prt_books_head(f->books, &seq, hash));
	assert_true(seq == t.seq);
	assert_memory_equal(hash, t.link, PRT_HASH_LEN);
	assert_true(prt_books_last_seq(f->books) == seq);
	return seq;
}

/* --- the ordinary --- */

static void a_decision_is_stored_and_told(void **state)
{
	struct fixture *f = *state;
	struct msp_name child = t_name(C);
	struct job j = { .tell = "first" }, k = { .tell = "second" };
	struct prt_child c;

	T_OK(hand_in(f, &j, &child));
	assert_false(j.is_done); /* never from the inside */
	run(f);
	T_OK(j.err);
	assert_false(j.existed);
	assert_int_equal(j.out.entries, 1);
	assert_int_equal(j.out.entry[0].seq, 1);
	prt_outcome_fini(&j.out);
	T_OK(hand_in(f, &k, &child));
	run(f);
	assert_true(k.existed);
	prt_outcome_fini(&k.out);
	T_OK(prt_books_peek(f->books, &child, &c));
	assert_int_equal(c.scan.inception, 2);
	assert_int_equal(c.last_seq, 2);
	assert_true(msp_name_equal(&c.parent, &f->parent));
	prt_child_fini(&c);
	assert_int_equal(trail_length(f), 2);
	assert_int_equal(prt_books_load(f->books), 0);
	reopen(f);
	assert_int_equal(counted(f, &child), 2);
	assert_int_equal(trail_length(f), 2);
}

static void a_refusal_leaves_a_record_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	struct msp_name child = t_name(C);
	struct job j = { .tell = "no", .changes_nothing = true }, k = { .changes_nothing = true };

	T_OK(do_now(f, &j, &child));
	assert_int_equal(counted(f, &child), 0);
	assert_int_equal(trail_length(f), 1);
	T_OK(do_now(f, &k, &child)); /* nothing at all */
	assert_int_equal(trail_length(f), 1);
}

static void a_decision_that_fails_leaves_nothing_and_its_group_is_unharmed(void **state)
{
	struct fixture *f = *state;
	struct msp_name a = numbered(1), b = numbered(2);
	struct job ok = { .tell = "a" }, bad = { .tell = "b", .says = MSP_ESTATE }, last = { .tell = "c" };

	T_OK(hand_in(f, &ok, &a));
	T_OK(hand_in(f, &bad, &b));
	T_OK(hand_in(f, &last, &a));
	run(f);
	T_OK(ok.err);
	T_ERR(bad.err, MSP_ESTATE);
	T_OK(last.err);
	assert_int_equal(counted(f, &a), 2);
	assert_int_equal(counted(f, &b), 0);
	assert_int_equal(trail_length(f), 2);
	prt_outcome_fini(&ok.out);
	prt_outcome_fini(&bad.out);
	prt_outcome_fini(&last.out);
}

/* Blocks the books' thread until told otherwise, so that the others gather behind. */
struct gate {
	struct job job;
	int fds[2];
};

static enum msp_err wait_at_gate(void *arg, struct prt_child *c, bool exists, struct msp_wall now,
				 struct prt_outcome *out)
{
	struct gate *g = arg;
	char octet;

	assert_int_equal(read(g->fds[0], &octet, 1), 1);
	return bump(&g->job, c, exists, now, out);
}

static void gate_done(void *arg, enum msp_err err)
{
	on_done(&((struct gate *)arg)->job, err);
}

static void close_gate(struct fixture *f, struct gate *g, const struct msp_name *child)
{
	memset(g, 0, sizeof(*g));
	assert_int_equal(pipe(g->fds), 0);
	g->job.f = f;
	prt_outcome_init(&g->job.out);
	T_OK(prt_books_do(f->books, &f->parent, child, wait_at_gate, gate_done, g, &g->job.out));
	f->waiting++;
}

static void open_gate(struct gate *g)
{
	assert_int_equal(write(g->fds[1], "x", 1), 1);
}

static void fini_gate(struct gate *g)
{
	(void)close(g->fds[0]);
	(void)close(g->fds[1]);
	prt_outcome_fini(&g->job.out);
}

static void those_in_line_share_a_transaction(void **state)
{
	static struct job jobs[PRT_GROUP_MAX + 10];
	struct fixture *f = *state;
	struct msp_name child = t_name(C);
	const size_t count = sizeof(jobs) / sizeof(jobs[0]);
	struct gate g;

	memset(jobs, 0, sizeof(jobs));
	close_gate(f, &g, &child);
	while (prt_books_stats(f->books).groups > 0) /* none yet */
		fail();
	for (size_t i = 0; i < count; i++) {
		struct msp_name name = numbered((unsigned)i % 7);

		jobs[i].tell = "x";
		T_OK(hand_in(f, &jobs[i], &name));
	}
	assert_int_equal(prt_books_load(f->books), count + 1);
	open_gate(&g);
	run(f);
	/* The gate's own, a full one, and the rest; one more should the gate have been taken late. */
	assert_true(prt_books_stats(f->books).groups <= 3);
	assert_int_equal(prt_books_stats(f->books).jobs, count + 1);
	for (size_t i = 0; i < count; i++) {
		T_OK(jobs[i].err);
		assert_int_equal(jobs[i].out.entry[0].seq, i + 1); /* in order */
		prt_outcome_fini(&jobs[i].out);
	}
	assert_int_equal(trail_length(f), count);
	fini_gate(&g);
}

static void a_full_line_takes_no_more(void **state)
{
	static struct job jobs[PRT_JOBS_MAX];
	struct fixture *f = *state;
	struct msp_name child = t_name(C);
	struct gate g;

	memset(jobs, 0, sizeof(jobs));
	close_gate(f, &g, &child);
	for (size_t i = 0; i < PRT_JOBS_MAX - 1; i++)
		T_OK(hand_in(f, &jobs[i], &child));
	T_ERR(hand_in(f, &jobs[PRT_JOBS_MAX - 1], &child), MSP_EBUSY);
	open_gate(&g);
	run(f);
	assert_int_equal(counted(f, &child), PRT_JOBS_MAX);
	assert_false(jobs[PRT_JOBS_MAX - 1].is_done);
	T_OK(hand_in(f, &jobs[PRT_JOBS_MAX - 1], &child)); /* there is room again */
	run(f);
	for (size_t i = 0; i < PRT_JOBS_MAX; i++)
		prt_outcome_fini(&jobs[i].out);
	fini_gate(&g);
}

static void closing_finishes_what_is_in_line(void **state)
{
	static struct job jobs[100];
	struct fixture *f = *state;
	struct msp_name child = t_name(C);

	memset(jobs, 0, sizeof(jobs));
	for (size_t i = 0; i < 100; i++)
		T_OK(hand_in(f, &jobs[i], &child));
	prt_books_close(&f->books);
	assert_null(f->books);
	f->waiting = 0;
	open_books(f);
	assert_int_equal(counted(f, &child), 100);
	for (size_t i = 0; i < 100; i++) {
		assert_false(jobs[i].is_done);
		prt_outcome_fini(&jobs[i].out);
	}
}

static void a_callback_may_close_the_books(void **state)
{
	struct fixture *f = *state;
	struct msp_name child = t_name(C);
	struct job a = { .closes = true }, b = { 0 };

	T_OK(hand_in(f, &a, &child));
	T_OK(hand_in(f, &b, &child));
	f->waiting = 1; /* b's is not called any more, or has been before */
	run(f);
	assert_null(f->books);
	prt_outcome_fini(&a.out);
	prt_outcome_fini(&b.out);
	open_books(f);
	assert_int_equal(counted(f, &child), 2);
}

/* --- reading --- */

static enum msp_err make(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	const enum msp_err *says = arg;

	(void)now;
	assert_false(exists);
	t_key(&c->keys, 7, PRT_KEY_TRUSTED);
	c->flags = PRT_CHILD_NOTICED;
	add_entry(out, c, "made");
	out->is_changed = true;
	return *says;
}

static enum msp_err make_many(struct fixture *f, unsigned from, unsigned to, unsigned bad)
{
	static struct msp_name names[2048];
	static const struct msp_name *list[2048];
	static void *args[2048];
	static enum msp_err good, wrong = MSP_ELIMIT;
	enum msp_err err = MSP_OK;

	while (err == MSP_OK && from < to) {
		unsigned n = 0;

		for (; n < 2048 && from < to; n++, from++) {
			names[n] = numbered(from);
			list[n] = &names[n];
			args[n] = from == bad ? &wrong : &good;
		}
		err = prt_books_do_many(f->books, &f->parent, list, n, make, args);
	}
	return err;
}

static void many_are_made_at_once_or_not_at_all(void **state)
{
	struct fixture *f = *state;
	struct msp_name first = numbered(0), last = numbered(499);

	T_ERR(make_many(f, 0, 500, 400), MSP_ELIMIT);
	assert_int_equal(trail_length(f), 0);
	assert_true(prt_books_stats(f->books).last_seq == 0);
	assert_true(prt_books_stats(f->books).children == 0);
	T_ERR(prt_books_peek_raw(f->books, &first, &(struct msp_buf){ .cap = 1024 }), MSP_ENOTFOUND);
	T_OK(make_many(f, 0, 500, NOBODY));
	assert_int_equal(trail_length(f), 500);
	assert_int_equal(prt_books_stats(f->books).children, 500);
	assert_true(prt_books_may_have(f->books, &last));
	reopen(f);
	assert_int_equal(prt_books_stats(f->books).children, 500);
}

struct names {
	char text[512];
	size_t count;
};

static enum msp_err note_name(void *arg, const struct msp_name *name)
{
	struct names *n = arg;
	size_t len = strlen(n->text);

	(void)snprintf(n->text + len, sizeof(n->text) - len, "%s ", MSP_NAME(name));
	n->count++;
	return MSP_OK;
}

static enum msp_err note_child(void *arg, const struct prt_child *c)
{
	assert_int_equal(c->scan.inception, 1);
	return note_name(arg, &c->name);
}

static void children_come_in_canonical_order(void **state)
{
	static const char *const names[] = { "b." P, "A." P, "x.b." P, "\\000." P, "\\001\\255." P };
	struct fixture *f = *state;
	struct names all = { "", 0 }, some = { "", 0 }, each = { "", 0 };
	struct msp_name from = t_name("b." P);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct msp_name name = t_name(names[i]);
		struct job j = { 0 };

		T_OK(do_now(f, &j, &name));
	}
	T_OK(prt_books_names(f->books, NULL, 100, note_name, &all));
	assert_string_equal(all.text, "\\000." P " \\001\\255." P " a." P " b." P " x.b." P " ");
	T_OK(prt_books_names(f->books, &from, 1, note_name, &some));
	assert_string_equal(some.text, "b." P " ");
	T_OK(prt_books_each(f->books, &from, 10, note_child, &each));
	assert_string_equal(each.text, "b." P " x.b." P " ");
}

static void keys_are_peeked_at(void **state)
{
	struct fixture *f = *state;
	struct msp_name name = numbered(3);
	struct prt_keyset keys;
	struct msp_buf raw;
	unsigned flags;

	T_OK(make_many(f, 0, 5, NOBODY));
	msp_buf_init(&raw, 4096);
	T_OK(prt_books_peek_raw(f->books, &name, &raw));
	T_OK(prt_child_read_keys(msp_buf_span(&raw), &keys, &flags));
	assert_int_equal(keys.count, 1);
	assert_int_equal(flags, PRT_CHILD_NOTICED);
	assert_int_equal(prt_books_stats(f->books).peeks, 1);
	msp_buf_fini(&raw);
}

static void what_is_due_comes_in_order(void **state)
{
	struct fixture *f = *state;
	struct msp_name a = t_name("a." P), b = t_name("b." P), c = t_name("c." P);
	struct names due = { "", 0 }, one = { "", 0 }, later = { "", 0 };
	struct job j = { .due = 300 }, k = { .due = 100 }, l = { .due = 200 };
	struct prt_due next = { .at = { 0 } };

	T_OK(do_now(f, &j, &a));
	T_OK(do_now(f, &k, &b));
	T_OK(do_now(f, &l, &c));
	T_OK(prt_books_due(f->books, (struct msp_wall){ 250 }, 10, note_name, &due, &next));
	assert_string_equal(due.text, "b." P " c." P " ");
	assert_int_equal(next.at.s, 300);
	next.at.s = 0;
	T_OK(prt_books_due(f->books, (struct msp_wall){ 250 }, 1, note_name, &one, &next));
	assert_string_equal(one.text, "b." P " ");
	assert_int_equal(next.at.s, 200);
	T_OK(prt_books_due(f->books, (struct msp_wall){ 250 }, 1, note_name, &one, &next)); /* from there on */
	assert_string_equal(one.text, "b." P " c." P " ");
	assert_int_equal(next.at.s, 300);
	next.at.s = 0;
	j.due = 0; /* nothing any more */
	k.due = 400;
	T_OK(do_now(f, &j, &a));
	T_OK(do_now(f, &k, &b));
	T_OK(prt_books_due(f->books, (struct msp_wall){ 1000 }, SIZE_MAX, note_name, &later, &next));
	assert_string_equal(later.text, "c." P " b." P " ");
	assert_int_equal(next.at.s, 0);
}

static void small_facts_are_kept(void **state)
{
	struct fixture *f = *state;
	static uint8_t delegation[1 + PRT_AUDIT_OCTETS_MAX]; /* the largest of all */
	struct msp_buf out;

	msp_buf_init(&out, 2 * sizeof(delegation));
	T_OK(prt_books_meta_put(f->books, "backend-has:x", msp_span(delegation, sizeof(delegation))));
	T_OK(prt_books_meta_get(f->books, "backend-has:x", &out));
	assert_int_equal(out.len, sizeof(delegation));
	msp_buf_reset(&out);
	T_ERR(prt_books_meta_get(f->books, "sweep", &out), MSP_ENOTFOUND);
	T_OK(prt_books_meta_put(f->books, "sweep", msp_span_str("k.se.")));
	T_ERR(prt_books_meta_put(f->books, "head", msp_span_str("x")), MSP_EVALUE); /* not to be overwritten */
	reopen(f);
	T_OK(prt_books_meta_get(f->books, "sweep", &out));
	assert_string_equal(msp_buf_text(&out), "k.se.");
	msp_buf_fini(&out);
	T_OK(prt_books_hold(f->books, "backend"));
}

static bool has_filter(void *arg)
{
	return prt_books_stats(((struct fixture *)arg)->books).has_filter;
}

static void names_that_are_not_there_are_known_without_asking(void **state)
{
	struct fixture *f = *state;
	unsigned wrong = 0;

	T_OK(make_many(f, 0, 100, NOBODY));
	reopen(f);
	until(f, has_filter);
	T_OK(make_many(f, 100, 200, NOBODY)); /* after it was built */
	for (unsigned i = 0; i < 200; i++) {
		struct msp_name name = numbered(i);

		assert_true(prt_books_may_have(f->books, &name));
	}
	for (unsigned i = 200; i < 5200; i++) {
		struct msp_name name = numbered(i);

		wrong += prt_books_may_have(f->books, &name);
	}
	assert_true(wrong < 10);
	assert_int_equal(prt_books_stats(f->books).peeks, 0);
}

#define GROWN 70000u /* more than a new filter is made for */

static bool has_grown(void *arg)
{
	struct prt_books *b = ((struct fixture *)arg)->books;
	struct prt_filter *filter = atomic_load(&b->filter);

	return filter != NULL && prt_filter_capacity(filter) >= GROWN && atomic_load(&b->building) == NULL;
}

static void the_filter_grows_while_children_are_made(void **state)
{
	struct fixture *f = *state;

	T_OK(make_many(f, 0, GROWN, NOBODY));
	until(f, has_grown);
	for (unsigned i = 0; i < GROWN; i++) {
		struct msp_name name = numbered(i);

		assert_true(prt_books_may_have(f->books, &name));
	}
}

static struct msp_store *inside(struct fixture *f)
{
	return prt_store_sqlite_inside(f->books->store);
}

/* --- what is fresh --- */

static bool is_tidy(void *arg)
{
	struct prt_books *b = ((struct fixture *)arg)->books;
	bool is_empty;

	pthread_mutex_lock(&b->fresh.lock);
	is_empty = prt_fresh_is_empty(&b->fresh);
	pthread_mutex_unlock(&b->fresh.lock);
	return is_empty;
}

/* What the store has at the child's own place. */
static uint32_t placed(struct fixture *f, const struct msp_name *child)
{
	struct msp_name_key key = msp_name_key(child);
	struct prt_reader *r = &f->books->reader[0];
	struct prt_child c;
	uint32_t n;

	pthread_mutex_lock(&r->lock);
	msp_buf_reset(&r->octets);
	T_OK(prt_store_get(r->store, BUCKET_CHILD, msp_name_key_span(&key), false, &r->octets));
	T_OK(prt_child_read(msp_buf_span(&r->octets), &c));
	pthread_mutex_unlock(&r->lock);
	n = c.scan.inception;
	prt_child_fini(&c);
	return n;
}

static enum msp_err sum_counts(void *arg, const struct prt_child *c)
{
	*(uint32_t *)arg += c->scan.inception;
	return MSP_OK;
}

static uint32_t sum(struct fixture *f)
{
	uint32_t n = 0;

	T_OK(prt_books_each(f->books, NULL, SIZE_MAX, sum_counts, &n));
	return n;
}

static void what_is_fresh_is_tidied_away_when_nobody_is_in_line(void **state)
{
	struct fixture *f = *state;
	struct msp_name child = numbered(3);

	T_OK(make_many(f, 0, 5, NOBODY));
	for (unsigned i = 0; i < 20; i++) {
		struct job j = { .tell = "x", .due = 1000 + i };

		T_OK(do_now(f, &j, &child));
	}
	assert_false(is_tidy(f));
	assert_int_equal(placed(f, &child), 0);
	assert_int_equal(counted(f, &child), 20);
	assert_int_equal(sum(f), 20);
	reopen(f);
	assert_int_equal(counted(f, &child), 20);
	until(f, is_tidy);
	assert_int_equal(placed(f, &child), 20);
	assert_int_equal(counted(f, &child), 20);
	assert_int_equal(sum(f), 20);
	assert_int_equal(trail_length(f), 25);
}

static void what_is_fresh_is_bounded(void **state)
{
	struct fixture *f = *state;
	uint32_t at_home = 0;

	T_OK(make_many(f, 0, 50, NOBODY));
	for (unsigned i = 0; i < 2 * PRT_FRESH_ROWS_MAX; i++) {
		struct msp_name child = numbered(i % 50);
		struct job j = { 0 };

		T_OK(do_now(f, &j, &child)); /* a row for each */
	}
	assert_true(f->books->fresh.last + 1 - f->books->fresh.first <= PRT_FRESH_ROWS_MAX + 4);
	assert_int_equal(sum(f), 2 * PRT_FRESH_ROWS_MAX);
	for (unsigned i = 0; i < 50; i++) {
		struct msp_name child = numbered(i);

		at_home += placed(f, &child);
	}
	assert_int_equal(at_home, 0); /* all of them have changed again meanwhile: nothing was moved in vain */
	reopen(f);
	assert_int_equal(sum(f), 2 * PRT_FRESH_ROWS_MAX);
}

/* Everything that can happen, in any order, against a model of two numbers for each child. */
#define MODEL_CHILDREN 30
#define MODEL_STEPS    1500
struct model {
	struct fixture *f;
	struct msp_rand rand;
	uint32_t count[MODEL_CHILDREN]; /* 0 = it does not exist */
	int64_t due[MODEL_CHILDREN];
	unsigned seen;
	int64_t last;
};

static unsigned number_of(const struct msp_name *name)
{
	unsigned i = 0;
	struct msp_name n = numbered(0);

	while (!msp_name_equal(&n, name)) {
		assert_true(++i < MODEL_CHILDREN);
		n = numbered(i);
	}
	return i;
}

static enum msp_err same_count(void *arg, const struct prt_child *c)
{
	struct model *m = arg;
	unsigned i = number_of(&c->name);

	assert_int_equal(c->scan.inception, m->count[i]);
	assert_int_equal(c->scan.next.s, m->due[i]);
	m->seen++;
	return MSP_OK;
}

static enum msp_err in_turn(void *arg, const struct msp_name *name)
{
	struct model *m = arg;
	unsigned i = number_of(name);

	assert_true(m->due[i] != 0 && m->due[i] >= m->last);
	m->last = m->due[i];
	m->seen++;
	return MSP_OK;
}

static void compare(struct model *m)
{
	int64_t limit = 1 + (int64_t)msp_rand_below(&m->rand, 100), next = 0;
	unsigned exist = 0, due = 0;
	struct prt_due told = { .at = { 0 } };

	for (unsigned i = 0; i < MODEL_CHILDREN; i++) {
		exist += m->count[i] > 0;
		due += m->due[i] != 0 && m->due[i] <= limit;
		if (m->due[i] > limit && (next == 0 || m->due[i] < next))
			next = m->due[i];
	}
	m->seen = 0;
	T_OK(prt_books_each(m->f->books, NULL, SIZE_MAX, same_count, m));
	assert_int_equal(m->seen, exist);
	m->seen = 0;
	m->last = 0;
	T_OK(prt_books_due(m->f->books, (struct msp_wall){ limit }, SIZE_MAX, in_turn, m, &told));
	assert_int_equal(m->seen, due);
	assert_int_equal(told.at.s, next);
	m->seen = 0;
	m->last = 0;
	told.at.s = 0;
	do { /* two at a time, each time from where it ended */
		T_OK(prt_books_due(m->f->books, (struct msp_wall){ limit }, 2, in_turn, m, &told));
	} while (told.at.s != 0 && told.at.s <= limit);
	assert_int_equal(m->seen, due);
}

/* A few jobs, one group or several, one of whose writes may fail. */
static void change_some(struct model *m)
{
	unsigned who[6], count = 1 + (unsigned)msp_rand_below(&m->rand, 6);
	bool fails = msp_rand_below(&m->rand, 5) == 0;
	struct job jobs[6];

	if (fails)
		msp_store_fail_at(inside(m->f), 1 + (size_t)msp_rand_below(&m->rand, 12));
	for (unsigned i = 0; i < count; i++) {
		struct msp_name name;

		who[i] = (unsigned)msp_rand_below(&m->rand, MODEL_CHILDREN);
		name = numbered(who[i]);
		jobs[i] = (struct job){ .tell = "x", .due = (int64_t)msp_rand_below(&m->rand, 100) };
		T_OK(hand_in(m->f, &jobs[i], &name));
	}
	run(m->f);
	msp_store_fail_at(inside(m->f), 0);
	for (unsigned i = 0; i < count; i++) {
		prt_outcome_fini(&jobs[i].out);
		if (jobs[i].err != MSP_OK) {
			assert_true(fails && jobs[i].err == MSP_EIO);
			continue;
		}
		m->count[who[i]]++;
		m->due[who[i]] = jobs[i].due;
	}
}

/* All of them `times` times in one transaction; many times is more than what is kept fresh. */
#define MANY_TIMES 20
static void change_all(struct model *m, unsigned times)
{
	static struct msp_name names[MODEL_CHILDREN];
	static const struct msp_name *list[MODEL_CHILDREN * MANY_TIMES];
	static struct job jobs[MODEL_CHILDREN * MANY_TIMES];
	static void *args[MODEL_CHILDREN * MANY_TIMES];

	for (unsigned i = 0; i < MODEL_CHILDREN * times; i++) {
		unsigned who = i % MODEL_CHILDREN;

		names[who] = numbered(who);
		list[i] = &names[who];
		jobs[i] = (struct job){ .due = (int64_t)msp_rand_below(&m->rand, 100) };
		args[i] = &jobs[i];
		m->count[who]++;
		m->due[who] = jobs[i].due;
	}
	T_OK(prt_books_do_many(m->f->books, &m->f->parent, list, MODEL_CHILDREN * times, bump, args));
}

static void whatever_happens_the_books_are_right(void **state)
{
	static struct model m;

	memset(&m, 0, sizeof(m));
	m.f = *state;
	msp_rand_init_seed(&m.rand, 4711);
	for (unsigned step = 0; step < MODEL_STEPS; step++) {
		uint64_t dice = msp_rand_below(&m.rand, 1000);

		m.f->books->fresh.rows_max = 6;
		if (dice < 10)
			reopen(m.f);
		else if (dice < 20)
			change_all(&m, dice < 15 ? 1 : MANY_TIMES);
		else if (dice == 20)
			until(m.f, is_tidy);
		else
			change_some(&m);
		if (step % 8 == 0)
			compare(&m);
	}
	compare(&m);
	(void)trail_length(m.f);
	until(m.f, is_tidy);
	compare(&m);
	for (unsigned i = 0; i < MODEL_CHILDREN; i++) {
		struct msp_name name = numbered(i);

		if (m.count[i] > 0)
			assert_int_equal(placed(m.f, &name), m.count[i]);
	}
}

/* --- failures --- */

static void a_write_that_fails_anywhere_undoes_the_group(void **state)
{
	struct fixture *f = *state;
	struct msp_name a = numbered(1), b = numbered(2);
	uint32_t want = 0;
	size_t n;

	for (n = 1; n < 50; n++) {
		struct job x = { .tell = "x", .due = T_NOON + (int64_t)n }, y = { .tell = "y" };
		struct gate g;
		struct msp_name c = numbered(3);

		close_gate(f, &g, &c);
		T_OK(hand_in(f, &x, &a));
		T_OK(hand_in(f, &y, &b));
		msp_store_fail_at(inside(f), n);
		open_gate(&g);
		run(f);
		msp_store_fail_at(inside(f), 0);
		fini_gate(&g);
		prt_outcome_fini(&x.out);
		prt_outcome_fini(&y.out);
		want += x.err == MSP_OK;
		assert_true(x.err == MSP_OK || x.err == MSP_EIO);
		assert_int_equal(counted(f, &a), want);
		if (x.err == MSP_OK && y.err == MSP_OK && g.job.err == MSP_OK)
			break;
		(void)trail_length(f);
	}
	assert_true(n > 5 && n < 50);
	assert_true(prt_books_stats(f->books).commits_failed > 0);
	(void)trail_length(f);
}

/* Memory that runs out after a decision fails that job, or the next one in its group, and neither leaves a trace. */
static void no_memory_anywhere_undoes_the_job(void **state)
{
	struct fixture *f = *state;
	struct msp_name a = t_name(C);
	struct job first = { .tell = "x", .has_records = true };
	uint32_t want = 1;
	unsigned failed = 0;

	T_OK(do_now(f, &first, &a));
	for (unsigned n = 1; n < 60; n++) {
		struct job x = { .tell = "x", .has_records = true, .mem_fails = n }, y = { .tell = "y" }, after = { 0 };
		struct msp_name gate = numbered(1000 + n), fresh = numbered(2000 + n);
		uint64_t length = trail_length(f);
		struct gate g;

		close_gate(f, &g, &gate);
		T_OK(hand_in(f, &x, &a));
		T_OK(hand_in(f, &y, &a));
		T_OK(hand_in(f, &after, &fresh)); /* nothing of it has to be read; gives the thread its memory back */
		open_gate(&g);
		run(f);
		T_OK(g.job.err);
		T_OK(after.err);
		want += (x.err == MSP_OK ? 1u : 0) + (y.err == MSP_OK ? 1u : 0);
		failed += (x.err != MSP_OK ? 1u : 0) + (y.err != MSP_OK ? 1u : 0);
		assert_int_equal(counted(f, &a), want);
		assert_int_equal(trail_length(f), length + (x.err == MSP_OK) + (y.err == MSP_OK));
		fini_gate(&g);
		prt_outcome_fini(&x.out);
		prt_outcome_fini(&y.out);
	}
	assert_true(failed > 10);
}

/* A store around a real one that fails as it is told to. */
struct wrapped {
	struct prt_store base;
	struct prt_store *real;
	unsigned busy, lost_before, lost_after, dead_revivals; /* how often */
	unsigned commits, revivals;
};

static struct wrapped *of(struct prt_store *s)
{
	return (struct wrapped *)s;
}

static enum msp_err w_begin(struct prt_store *s)
{
	return prt_store_begin(of(s)->real);
}

static bool once(unsigned *n)
{
	return *n > 0 && (*n)-- > 0;
}

static enum msp_err w_commit(struct prt_store *s)
{
	struct wrapped *w = of(s);
	enum msp_err err;

	w->commits++;
	if (once(&w->busy)) {
		prt_store_rollback(w->real);
		return MSP_EBUSY;
	}
	if (once(&w->lost_before)) {
		prt_store_rollback(w->real);
		return MSP_ENET;
	}
	err = prt_store_commit(w->real);
	return once(&w->lost_after) ? MSP_ENET : err;
}

static void w_rollback(struct prt_store *s)
{
	prt_store_rollback(of(s)->real);
}

static enum msp_err w_get(struct prt_store *s, const char *bucket, struct msp_span key, bool lock, struct msp_buf *out)
{
	return prt_store_get(of(s)->real, bucket, key, lock, out);
}

static enum msp_err w_put(struct prt_store *s, const char *bucket, struct msp_span key, struct msp_span value)
{
	return prt_store_put(of(s)->real, bucket, key, value);
}

static enum msp_err w_del(struct prt_store *s, const char *bucket, struct msp_span key)
{
	return prt_store_del(of(s)->real, bucket, key);
}

static enum msp_err w_each(struct prt_store *s, const char *bucket, struct msp_span from, size_t max, bool keys_only,
			   prt_store_fn *fn, void *arg)
{
	return keys_only ? prt_store_keys(of(s)->real, bucket, from, max, fn, arg)
			 : prt_store_each(of(s)->real, bucket, from, max, fn, arg);
}

static enum msp_err w_hold(struct prt_store *s, const char *what)
{
	return prt_store_hold(of(s)->real, what);
}

static enum msp_err w_revive(struct prt_store *s, struct msp_why *why)
{
	(void)why;
	of(s)->revivals++;
	return once(&of(s)->dead_revivals) ? MSP_ENET : MSP_OK;
}

static void w_close(struct prt_store *s)
{
	prt_store_close(&of(s)->real);
}

static const struct prt_store_ops w_ops = { w_begin, w_commit, w_rollback, w_get,    w_put,
					    w_del,   w_each,   w_hold,     w_revive, w_close };

/* Nobody is in line: the books' thread does not look at its store. */
static void wrap(struct fixture *f, struct wrapped *w)
{
	w->base.ops = &w_ops;
	w->real = f->books->store;
	f->books->store = &w->base;
	f->books->leaves_marks = true;
}

static void who_was_overtaken_decides_again(void **state)
{
	struct fixture *f = *state;
	struct wrapped w = { .busy = 3 };
	struct msp_name child = t_name(C);
	struct job j = { .tell = "x" };

	wrap(f, &w);
	T_OK(hand_in(f, &j, &child));
	run(f);
	T_OK(j.err);
	assert_int_equal(j.runs, 4);
	assert_int_equal(j.out.entries, 1); /* emptied each time */
	assert_int_equal(counted(f, &child), 1);
	assert_int_equal(trail_length(f), 1);
	assert_int_equal(prt_books_stats(f->books).retried, 3);
	prt_outcome_fini(&j.out);
	j = (struct job){ .tell = "y" };
	w.busy = 1000;
	T_ERR(do_now(f, &j, &child), MSP_EBUSY); /* it ends */
	assert_true(j.runs < 100);
	assert_int_equal(trail_length(f), 1);
	prt_books_close(&f->books);
}

static void a_commit_that_was_not_answered_is_found_out_about(void **state)
{
	struct fixture *f = *state;
	struct wrapped w = { .lost_after = 1 };
	struct msp_name child = t_name(C);
	struct job j = { .tell = "x" }, k = { .tell = "y" };

	wrap(f, &w);
	T_OK(do_now(f, &j, &child));
	assert_int_equal(j.runs, 1); /* it had happened */
	assert_int_equal(counted(f, &child), 1);
	w.lost_before = 1;
	w.dead_revivals = 2;
	T_OK(do_now(f, &k, &child));
	assert_int_equal(k.runs, 2); /* it had not */
	assert_int_equal(counted(f, &child), 2);
	assert_int_equal(trail_length(f), 2);
	assert_int_equal(w.revivals, 1 + 3);
	prt_books_close(&f->books);
}

/* --- the trail, the end of the process --- */

static void a_tampered_record_shows(void **state)
{
	struct fixture *f = *state;
	struct trail t = { .seq = 0 };
	struct prt_store *s = NULL;
	struct msp_buf octets;
	uint8_t key[8];

	T_OK(make_many(f, 0, 10, NOBODY));
	prt_books_close(&f->books);
	T_OK(prt_store_open(&f->where, &s, NULL));
	msp_buf_init(&octets, 4096);
	prt_be64(5, key);
	T_OK(prt_store_get(s, BUCKET_AUDIT, msp_span(key, 8), false, &octets));
	octets.ptr[octets.len - PRT_HASH_LEN - 4] ^= 1;
	T_OK(prt_store_put(s, BUCKET_AUDIT, msp_span(key, 8), msp_buf_span(&octets)));
	msp_buf_fini(&octets);
	prt_store_close(&s);
	open_books(f);
	T_ERR(prt_books_audit(f->books, 0, SIZE_MAX, follow, &t), MSP_ECORRUPT);
	assert_true(t.seq == 4 || t.seq == 5);
	assert_true(strlen(t.why.text) > 0);
}

static void a_trail_cut_at_its_end_shows(void **state)
{
	struct fixture *f = *state;
	struct trail t = { .seq = 0 };
	uint8_t hash[PRT_HASH_LEN], key[8];
	struct prt_store *s = NULL;
	uint64_t seq;

	T_OK(make_many(f, 0, 10, NOBODY));
	prt_books_close(&f->books);
	T_OK(prt_store_open(&f->where, &s, NULL));
	prt_be64(10, key);
	T_OK(prt_store_del(s, BUCKET_AUDIT, msp_span(key, 8)));
	prt_store_close(&s);
	open_books(f);
	T_OK(prt_books_audit(f->books, 0, SIZE_MAX, follow, &t));
	T_OK(prt_books_head(f->books, &seq, hash));
	assert_true(seq == 10 && t.seq == 9);
	assert_memory_not_equal(hash, t.link, PRT_HASH_LEN);
}

static void a_damaged_child_harms_nobody_else(void **state)
{
	struct fixture *f = *state;
	struct msp_name bad = numbered(3), good = numbered(4);
	struct msp_name_key key = msp_name_key(&bad);
	struct job x = { 0 }, y = { 0 };
	struct prt_store *s = NULL;

	T_OK(make_many(f, 0, 10, NOBODY));
	prt_books_close(&f->books);
	T_OK(prt_store_open(&f->where, &s, NULL));
	T_OK(prt_store_put(s, BUCKET_CHILD, msp_name_key_span(&key), msp_span_str("damaged")));
	prt_store_close(&s);
	open_books(f);
	T_OK(hand_in(f, &x, &bad));
	T_OK(hand_in(f, &y, &good));
	run(f);
	T_ERR(x.err, MSP_ECORRUPT);
	T_OK(y.err);
	prt_outcome_fini(&x.out);
	prt_outcome_fini(&y.out);
}

static void a_foreign_file_is_refused(void **state)
{
	struct fixture *f = *state;
	struct msp_why why = { "" };
	struct prt_books *b = NULL;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/nothing/there", f->dir);
	T_ERR(prt_books_open(f->loop, &(struct prt_store_where){ .path = path }, 0, &b, &why), MSP_EIO);
	assert_null(b);
	assert_true(strlen(why.text) > 0);
}

/* A process that makes decisions as fast as it can, and says which are durable. */
struct told {
	uint32_t child, count;
};

struct killed_job {
	struct job job;
	uint32_t child;
	int report;
};

static void tell_done(void *arg, enum msp_err err)
{
	struct killed_job *k = arg;
	struct told told = { k->child, 0 };
	struct prt_child c;
	struct msp_name name = numbered(k->child);

	if (err != MSP_OK || prt_books_peek(k->job.f->books, &name, &c) != MSP_OK)
		_exit(1);
	told.count = c.scan.inception;
	prt_child_fini(&c);
	if (write(k->report, &told, sizeof(told)) != (ssize_t)sizeof(told))
		_exit(1);
	prt_outcome_fini(&k->job.out);
	prt_outcome_init(&k->job.out);
	if (prt_books_do(k->job.f->books, &k->job.f->parent, &name, bump, tell_done, k, &k->job.out) != MSP_OK)
		_exit(1);
}

_Noreturn static void work_until_killed(struct fixture *f, int report)
{
	static struct killed_job jobs[20];

	for (uint32_t i = 0; i < 20; i++) {
		struct msp_name name = numbered(i);

		jobs[i] = (struct killed_job){ .job = { .f = f, .tell = "x" }, .child = i, .report = report };
		prt_outcome_init(&jobs[i].job.out);
		if (prt_books_do(f->books, &f->parent, &name, bump, tell_done, &jobs[i], &jobs[i].job.out) != MSP_OK)
			_exit(1);
	}
	msp_loop_run(f->loop);
	_exit(1);
}

/* The process is a fresh one: threads do not survive a fork. */
_Noreturn static void begin_to_work(const char *path, int report)
{
	struct fixture f = { .where = { .path = path }, .parent = t_name(P) };

	msp_log_init_null(&f.log);
	if (msp_loop_new(&f.log, &f.loop) != MSP_OK || prt_books_open(f.loop, &f.where, 1, &f.books, NULL) != MSP_OK)
		_exit(1);
	work_until_killed(&f, report);
}

static void what_was_told_survives_kill_9(void **state)
{
	struct fixture *f = *state;
	uint32_t last[20] = { 0 };
	uint64_t length = 0;
	struct msp_rand rand;

	msp_rand_init_seed(&rand, 20261124);
	for (int round = 0; round < KILL_ROUNDS; round++) {
		uint64_t goal = 20 + msp_rand_below(&rand, 400), told_count = 0;
		struct told told;
		int fds[2], status;
		pid_t pid;

		prt_books_close(&f->books);
		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)close(fds[0]);
			begin_to_work(f->path, fds[1]);
		}
		(void)close(fds[1]);
		for (; told_count < goal; told_count++) {
			assert_int_equal(read(fds[0], &told, sizeof(told)), sizeof(told));
			last[told.child] = told.count;
		}
		usleep((useconds_t)msp_rand_below(&rand, 500)); /* somewhere in a group */
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		while (read(fds[0], &told, sizeof(told)) == (ssize_t)sizeof(told))
			last[told.child] = told.count;
		(void)close(fds[0]);
		open_books(f);
		assert_true(trail_length(f) >= length + goal);
		length = 0;
		for (unsigned i = 0; i < 20; i++) {
			struct msp_name name = numbered(i);
			uint32_t n = counted(f, &name);

			assert_true(n >= last[i]);     /* nothing is lost */
			assert_true(n <= last[i] + 1); /* one may have been committed and not told */
			last[i] = n;
			length += n;
		}
		assert_true(trail_length(f) == length); /* a record for each, never half a job */
	}
}

static void a_sqlite_store_does_what_stores_do(void **state)
{
	struct fixture *f = *state;
	struct prt_store *s = NULL, *reader = NULL;
	struct prt_store_where w = f->where;

	prt_books_close(&f->books);
	T_OK(prt_store_open(&w, &s, NULL));
	t_store_cases(s);
	w.is_reader = true;
	T_OK(prt_store_open(&w, &reader, NULL));
	t_store_holds(reader, "meta", "a", "elsewhere");
	assert_int_not_equal(prt_store_put(reader, "meta", msp_span_str("b"), msp_span_str("x")), MSP_OK);
	t_store_holds(s, "meta", "b", NULL);
	T_OK(prt_store_begin(s));
	t_store_put(s, "meta", "a", "not yet");
	t_store_holds(reader, "meta", "a", "elsewhere");
	T_OK(prt_store_commit(s));
	t_store_holds(reader, "meta", "a", "not yet");
	prt_store_close(&reader);
	prt_store_close(&s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sqlite_store_does_what_stores_do),
		TEST(a_decision_is_stored_and_told),
		TEST(a_refusal_leaves_a_record_and_nothing_else),
		TEST(a_decision_that_fails_leaves_nothing_and_its_group_is_unharmed),
		TEST(those_in_line_share_a_transaction),
		TEST(a_full_line_takes_no_more),
		TEST(closing_finishes_what_is_in_line),
		TEST(a_callback_may_close_the_books),
		TEST(many_are_made_at_once_or_not_at_all),
		TEST(children_come_in_canonical_order),
		TEST(keys_are_peeked_at),
		TEST(what_is_due_comes_in_order),
		TEST(small_facts_are_kept),
		TEST(names_that_are_not_there_are_known_without_asking),
		TEST(the_filter_grows_while_children_are_made),
		TEST(what_is_fresh_is_tidied_away_when_nobody_is_in_line),
		TEST(what_is_fresh_is_bounded),
		TEST(whatever_happens_the_books_are_right),
		TEST(a_write_that_fails_anywhere_undoes_the_group),
		TEST(no_memory_anywhere_undoes_the_job),
		TEST(who_was_overtaken_decides_again),
		TEST(a_commit_that_was_not_answered_is_found_out_about),
		TEST(a_tampered_record_shows),
		TEST(a_trail_cut_at_its_end_shows),
		TEST(a_damaged_child_harms_nobody_else),
		TEST(a_foreign_file_is_refused),
		TEST(what_was_told_survives_kill_9),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
