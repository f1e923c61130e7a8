/* SPDX-License-Identifier: BSD-2-Clause */
/* One of several processes on one set of books in PostgreSQL; run by tests/integration/parentd/test_books_pg.py, which
 * judges by what they have written and by what is in the books at the end.
 *
 *     books_pg_main CONNECTION-FILE work NAME CHILDREN LOG TIMEOUT_MS   until SIGTERM: random jobs, their fates in LOG
 *     books_pg_main CONNECTION-FILE check                               prints all children and the whole trail
 *     books_pg_main CONNECTION-FILE hold WHAT                           prints "held" or why not; until SIGTERM
 *
 * A job is one of three, each for a child by chance: count one up (`note`), accept a message that all processes send
 * once (`seen`), or change something of which a child may have LIMIT a day (`changes`).
 */
#include "books.h"

#include <msproto/base/clock.h>
#include <msproto/base/mem.h>
#include <msproto/base/rand.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTSTANDING 64
#define MESSAGES    8 /* of each child */
#define LIMIT       5

enum what { COUNT, MESSAGE, CHANGE, WHAT__N };
static const char *const what_name[WHAT__N] = { "count", "message", "change" };

struct worker;
struct job {
	struct worker *w;
	struct msp_name child;
	enum what what;
	unsigned message;
	unsigned long number;
	struct prt_outcome out;
};

struct worker {
	struct msp_loop *loop;
	struct prt_books *books;
	struct msp_rand rand;
	struct msp_name parent;
	const char *name;
	unsigned long children, next;
	size_t under_way;
	bool is_ending;
	int log;
	struct job job[OUTSTANDING];
};

static void die(const char *what, enum msp_err err, const char *why)
{
	(void)fprintf(stderr, "%s: %s: %s\n", what, msp_err_name(err), why);
	exit(1);
}

/* In one piece, and not lost when we are killed. */
static void say(const struct worker *w, const struct job *j, const char *fate)
{
	char line[128];
	int len = snprintf(line, sizeof(line), "%s %s.%lu\n", fate, w->name, j->number);

	if (write(w->log, line, (size_t)len) != len)
		exit(1);
}

/* ---- on the books' thread ---- */

static enum msp_err decide(const struct job *j, struct prt_child *c, struct msp_wall now)
{
	uint8_t digest[PRT_SEEN_DIGEST] = { (uint8_t)(j->message + 1) };

	switch (j->what) {
	case MESSAGE:
		if (prt_child_seen(c, digest))
			return MSP_EREPLAY;
		memcpy(c->seen[c->seen_count].digest, digest, sizeof(digest));
		c->seen[c->seen_count].at = now;
		c->seen[c->seen_count++].until = (struct msp_wall){ now.s + 86400 };
		return MSP_OK;
	case CHANGE:
		if (c->change_count >= LIMIT)
			return MSP_ELIMIT;
		c->changes[c->change_count++] = now;
		return MSP_OK;
	default:
		(void)snprintf(c->note, sizeof(c->note), "%lu", strtoul(c->note, NULL, 10) + 1);
		c->ttl_back = (struct msp_wall){ now.s + (int64_t)(j->number % 1000) }; /* "due" has work too */
		return MSP_OK;
	}
}

static enum msp_err on_books(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	const struct job *j = arg;
	struct prt_audit *a = &out->entry[0];
	enum msp_err err = decide(j, c, now);

	(void)exists;
	if (err != MSP_OK)
		return err;
	prt_audit_init(a);
	out->entries = 1;
	out->is_changed = true;
	a->parent = c->parent;
	a->child = c->name;
	a->verdict = PRT_VERDICT_KEY;
	(void)snprintf(a->who, sizeof(a->who), "%s.%lu", j->w->name, j->number);
	(void)snprintf(a->rule, sizeof(a->rule), "%s", what_name[j->what]);
	(void)snprintf(a->why, sizeof(a->why), "%u", j->what == MESSAGE ? j->message : 0);
	return MSP_OK;
}

/* ---- on the loop ---- */

static void on_done(void *arg, enum msp_err err);

static void child_name(const struct worker *w, unsigned long number, struct msp_name *out)
{
	char label[32];

	(void)snprintf(label, sizeof(label), "c%lu", number);
	if (msp_name_prepend(label, &w->parent, out) != MSP_OK)
		exit(1);
}

static void hand_in(struct job *j)
{
	struct worker *w = j->w;
	enum msp_err err;

	j->number = w->next++;
	j->what = (enum what)(msp_rand_u64(&w->rand) % WHAT__N);
	j->message = (unsigned)(msp_rand_u64(&w->rand) % MESSAGES);
	child_name(w, msp_rand_u64(&w->rand) % w->children, &j->child);
	err = prt_books_do(w->books, &w->parent, &j->child, on_books, on_done, j, &j->out);
	if (err != MSP_OK)
		die("handing in", err, "");
	w->under_way++;
}

static void on_done(void *arg, enum msp_err err)
{
	struct job *j = arg;
	struct worker *w = j->w;

	say(w, j, err == MSP_OK ? "ok" : msp_err_name(err));
	w->under_way--;
	if (!w->is_ending)
		hand_in(j);
	else if (w->under_way == 0)
		msp_loop_stop(w->loop);
}

static void on_end(void *arg)
{
	struct worker *w = arg;

	w->is_ending = true;
	if (w->under_way == 0)
		msp_loop_stop(w->loop);
}

static int work(struct worker *w, const char *log)
{
	w->log = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (w->log < 0)
		die(log, MSP_EIO, "");
	for (size_t i = 0; i < OUTSTANDING; i++) {
		w->job[i].w = w;
		prt_outcome_init(&w->job[i].out);
		hand_in(&w->job[i]);
	}
	msp_loop_run(w->loop);
	for (size_t i = 0; i < OUTSTANDING; i++)
		prt_outcome_fini(&w->job[i].out);
	(void)close(w->log);
	return 0;
}

/* ---- what is there at the end ---- */

static enum msp_err print_child(void *arg, const struct prt_child *c)
{
	struct msp_wall due = prt_child_due(c);

	(void)arg;
	printf("child %s %s %zu %zu %lld\n", MSP_NAME(&c->name), c->note[0] ? c->note : "0", c->seen_count,
	       c->change_count, (long long)due.s);
	return MSP_OK;
}

struct trail {
	uint8_t link[PRT_HASH_LEN];
	uint64_t seq;
};

static enum msp_err print_record(void *arg, uint64_t seq, struct msp_span octets)
{
	struct trail *t = arg;
	struct msp_why why = { "" };
	struct prt_audit a;
	enum msp_err err = prt_audit_follow(octets, t->link, &t->seq, &why);

	if (err != MSP_OK || seq != t->seq)
		die("trail", err, why.text);
	err = prt_audit_read(octets, &a);
	if (err != MSP_OK)
		return err;
	printf("record %s %s %s %s\n", MSP_NAME(&a.child), a.rule, a.why, a.who);
	prt_audit_fini(&a);
	return MSP_OK;
}

static enum msp_err print_due(void *arg, const struct msp_name *name)
{
	(void)arg;
	printf("due %s\n", MSP_NAME(name));
	return MSP_OK;
}

static int check(struct worker *w)
{
	struct trail t = { .seq = 0 };
	struct msp_wall never = { INT64_MAX / 2 };
	struct prt_due next = { .at = { 0 } };
	enum msp_err err = prt_books_each(w->books, NULL, SIZE_MAX, print_child, NULL);

	if (err == MSP_OK)
		err = prt_books_audit(w->books, 0, SIZE_MAX, print_record, &t);
	if (err == MSP_OK)
		err = prt_books_due(w->books, never, 1u << 20, print_due, NULL, &next);
	if (err != MSP_OK)
		die("check", err, "");
	printf("last %llu %llu\n", (unsigned long long)t.seq, (unsigned long long)prt_books_last_seq(w->books));
	return 0;
}

static int hold(struct worker *w, const char *what)
{
	enum msp_err err = prt_books_hold(w->books, what);

	printf("%s\n", err == MSP_OK ? "held" : msp_err_name(err));
	(void)fflush(stdout);
	msp_loop_run(w->loop);
	return 0;
}

int main(int argc, char **argv)
{
	struct prt_store_where where = { .kind = PRT_STORE_POSTGRESQL };
	struct worker *w = msp_alloc(1, sizeof(*w));
	struct msp_signal *end = NULL;
	struct msp_why why = { "" };
	enum msp_err err;
	int rc = 2;

	if (argc < 3 || !w)
		return 2;
	where.path = argv[1];
	where.timeout_ms = argc == 7 ? (uint32_t)strtoul(argv[6], NULL, 10) : 0;
	msp_rand_init_system(&w->rand);
	err = msp_name_from_text("example.", &w->parent);
	if (err == MSP_OK)
		err = msp_loop_new(NULL, &w->loop);
	if (err == MSP_OK)
		err = msp_signal_new(w->loop, SIGTERM, on_end, w, &end);
	if (err == MSP_OK)
		err = prt_books_open(w->loop, &where, 0, &w->books, &why);
	if (err != MSP_OK)
		die("open", err, why.text);
	if (argc == 7 && strcmp(argv[2], "work") == 0) {
		w->name = argv[3];
		w->children = strtoul(argv[4], NULL, 10);
		rc = work(w, argv[5]);
	} else if (argc == 4 && strcmp(argv[2], "hold") == 0) {
		rc = hold(w, argv[3]);
	} else if (strcmp(argv[2], "check") == 0) {
		rc = check(w);
	}
	prt_books_close(&w->books);
	msp_signal_close(&end);
	msp_loop_free(&w->loop);
	msp_free(w);
	return rc;
}
