/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parentd's books under a registry's load, alone: as many children as .se has, then random changes with 100 in line, as
 * an UPDATE with a new DS makes them. Prints one JSON object.
 *
 *     bench_books DIR [CHILDREN [CHANGES [OUTSTANDING]]]      DIR is kept: with a file there, loading is left out
 */
#include "bench.h"
#include "books.h"

#include <msproto/base/json.h>
#include <msproto/base/mem.h>
#include <msproto/base/rand.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 20000u
#define PEEKS 100000u

struct bench {
	struct msp_loop *loop;
	struct prt_books *books;
	struct prt_store_where where;
	struct msp_rand rand;
	unsigned children, changes, outstanding;
	unsigned begun, ended;
	bool is_ready;
};

static double seconds(void)
{
	return (double)bench_now_ns() / 1e9;
}

static struct msp_name name_of(unsigned i)
{
	struct msp_name n;
	char text[64];

	(void)snprintf(text, sizeof(text), "child%07u.se.", i);
	bench_must(msp_name_from_text(text, &n), text);
	return n;
}

static void add(struct prt_delegation *d, const struct msp_name *owner, uint16_t type, const void *rdata, size_t len)
{
	struct msp_rr rr = {
		.owner = *owner, .type = type, .cls = MSP_CLASS_IN, .ttl = 3600, .rdata = msp_span(rdata, len)
	};

	bench_must(prt_delegation_add(d, &rr), "record");
}

static void add_ds(struct bench *b, struct prt_delegation *d)
{
	uint8_t ds[36] = { 0, 0, 13, 2 };

	msp_rand_bytes(&b->rand, ds, 2);
	msp_rand_bytes(&b->rand, ds + 4, 32);
	add(d, &d->child, MSP_TYPE_DS, ds, sizeof(ds));
}

static void add_entry(struct prt_child *c, struct prt_outcome *out, enum prt_verdict verdict)
{
	struct prt_audit *a = &out->entry[out->entries++];

	prt_audit_init(a);
	a->parent = c->parent;
	a->child = c->name;
	a->verdict = verdict;
	(void)snprintf(a->who, sizeof(a->who), "key 12345");
	(void)snprintf(a->rule, sizeof(a->rule), "update by a trusted key");
	if (verdict == PRT_VERDICT_ACCEPTED)
		memset(a->message, 1, sizeof(a->message));
}

/* --- loading --- */

static enum msp_err make(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	struct bench *b = arg;
	struct prt_key *k = &c->keys.key[0];

	(void)exists;
	for (unsigned i = 1; i <= 2; i++) {
		struct msp_name ns;
		uint8_t addr[16];

		bench_must(msp_name_prepend(i == 1 ? "ns1" : "ns2", &c->name, &ns), "name");
		msp_rand_bytes(&b->rand, addr, sizeof(addr));
		add(&c->registered, &c->name, MSP_TYPE_NS, ns.oct, ns.len);
		add(&c->registered, &ns, MSP_TYPE_A, addr, 4);
		add(&c->registered, &ns, MSP_TYPE_AAAA, addr, 16);
	}
	add_ds(b, &c->registered);
	bench_must(prt_delegation_dup(&c->registered, &c->published), "dup");
	c->keys.count = 1;
	k->state = PRT_KEY_TRUSTED;
	k->method = PRT_METHOD_APEX;
	k->since = k->used = now;
	k->rdata_len = 68;
	msp_rand_bytes(&b->rand, k->rdata, k->rdata_len);
	c->scan.last = now;
	add_entry(c, out, PRT_VERDICT_IMPORTED);
	bench_must(prt_delegation_write(&c->registered, &out->entry[0].after), "write");
	out->is_changed = true;
	return MSP_OK;
}

static void load(struct bench *b)
{
	static struct msp_name names[CHUNK];
	static const struct msp_name *list[CHUNK];
	static void *args[CHUNK];
	struct msp_name parent;

	bench_must(msp_name_from_text("se.", &parent), "se.");
	for (unsigned i = 0; i < b->children;) {
		unsigned n = 0;

		for (; n < CHUNK && i < b->children; n++, i++) {
			names[n] = name_of(i);
			list[n] = &names[n];
			args[n] = b;
		}
		bench_must(prt_books_do_many(b->books, &parent, list, n, make, args), "do_many");
	}
}

/* --- changes --- */

struct change {
	struct bench *bench;
	struct prt_outcome out;
};

static enum msp_err change(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	struct change *ch = arg;
	struct prt_seen *s;

	if (!exists)
		bench_die("a child is missing");
	add_entry(c, out, PRT_VERDICT_ACCEPTED);
	bench_must(prt_delegation_write(&c->registered, &out->entry[0].before), "write");
	(void)prt_delegation_del_set(&c->registered, &c->name, MSP_TYPE_DS);
	add_ds(ch->bench, &c->registered);
	bench_must(prt_delegation_write(&c->registered, &out->entry[0].after), "write");
	if (c->change_count < PRT_CHANGES_MAX)
		c->changes[c->change_count++] = now;
	s = &c->seen[c->seen_count < PRT_SEEN_MAX ? c->seen_count++ : 0];
	msp_rand_bytes(&ch->bench->rand, s->digest, sizeof(s->digest));
	s->at = now;
	s->until.s = now.s + 600;
	c->ttl_back.s = now.s + 86400;
	out->is_changed = true;
	return MSP_OK;
}

static void start(struct change *ch);

static void on_done(void *arg, enum msp_err err)
{
	struct change *ch = arg;
	struct bench *b = ch->bench;

	bench_must(err, "change");
	b->ended++;
	if (b->begun < b->changes)
		start(ch);
	else if (b->ended == b->changes)
		msp_loop_stop(b->loop);
}

static void start(struct change *ch)
{
	struct bench *b = ch->bench;
	struct msp_name name = name_of((unsigned)msp_rand_below(&b->rand, b->children)), parent;

	bench_must(msp_name_parent(&name, 1, &parent), "parent");
	b->begun++;
	bench_must(prt_books_do(b->books, &parent, &name, change, on_done, ch, &ch->out), "do");
}

/* --- figures --- */

static double file_mib(const char *path, const char *suffix)
{
	char name[512];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, &st) == 0 ? (double)st.st_size / (1 << 20) : 0;
}

static double rss_mib(const char *what)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	unsigned long kib = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, what, strlen(what)) == 0)
			kib = strtoul(line + strlen(what) + 1, NULL, 10);
	if (f != NULL)
		fclose(f);
	return (double)kib / 1024;
}

/* Of one thread, by its name; seconds. */
static double thread_cpu(const char *want)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	double ns = 0;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		char path[512], text[256] = "";
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		f = fopen(path, "r");
		if (f == NULL)
			continue;
		(void)!fgets(text, sizeof(text), f);
		fclose(f);
		text[strcspn(text, "\n")] = '\0';
		if (strcmp(text, want) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", e->d_name);
		f = fopen(path, "r");
		if (f != NULL && fgets(text, sizeof(text), f) != NULL)
			ns += strtod(text, NULL);
		if (f != NULL)
			fclose(f);
	}
	if (dir != NULL)
		closedir(dir);
	return ns / 1e9;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double peek_p99(struct bench *b)
{
	static double took[PEEKS];
	static struct prt_child c;

	for (unsigned i = 0; i < PEEKS; i++) {
		struct msp_name name = name_of((unsigned)msp_rand_below(&b->rand, b->children));
		double from = seconds();

		bench_must(prt_books_peek(b->books, &name, &c), "peek");
		prt_child_fini(&c);
		took[i] = seconds() - from;
	}
	qsort(took, PEEKS, sizeof(took[0]), by_size);
	return took[PEEKS / 100 * 99];
}

static void open_books(struct bench *b)
{
	struct msp_why why = { "" };

	if (prt_books_open(b->loop, &b->where, 0, &b->books, &why) != MSP_OK)
		bench_die(why.text);
}

static unsigned number(int argc, char **argv, int at, unsigned otherwise)
{
	return argc > at ? (unsigned)strtoul(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	struct bench b = { .where = { .kind = PRT_STORE_SQLITE } };
	double t, load_s, open_s, filter_s, change_s, cpu, peek, mib, rss;
	struct prt_books_stats before, after;
	struct change *changes;
	char path[256];
	struct msp_log log;

	if (argc < 2)
		bench_die("DIR [CHILDREN [CHANGES [OUTSTANDING]]]");
	b.children = number(argc, argv, 2, 1500000);
	b.changes = number(argc, argv, 3, 100000);
	b.outstanding = number(argc, argv, 4, 100);
	(void)snprintf(path, sizeof(path), "%s/books.db", argv[1]);
	b.where.path = path;
	msp_rand_init_seed(&b.rand, 1);
	msp_log_init_null(&log);
	bench_must(msp_loop_new(&log, &b.loop), "loop");

	t = seconds();
	if (access(path, F_OK) != 0) {
		open_books(&b);
		load(&b);
		prt_books_close(&b.books);
	}
	load_s = seconds() - t;
	mib = file_mib(path, "");
	t = seconds();
	open_books(&b);
	open_s = seconds() - t;
	while (!prt_books_stats(b.books).has_filter)
		usleep(1000);
	filter_s = seconds() - t;
	peek = peek_p99(&b);

	changes = msp_alloc(b.outstanding, sizeof(*changes));
	if (changes == NULL)
		bench_die("memory");
	before = prt_books_stats(b.books);
	cpu = thread_cpu("books");
	t = seconds();
	for (unsigned i = 0; i < b.outstanding; i++) {
		changes[i].bench = &b;
		prt_outcome_init(&changes[i].out);
		start(&changes[i]);
	}
	msp_loop_run(b.loop);
	change_s = seconds() - t;
	cpu = thread_cpu("books") - cpu;
	after = prt_books_stats(b.books);
	rss = rss_mib("VmRSS:");
	for (unsigned i = 0; i < b.outstanding; i++)
		prt_outcome_fini(&changes[i].out);
	msp_free(changes);
	prt_books_close(&b.books);
	msp_loop_free(&b.loop);
	printf("{\"children\": %u, \"load_s\": %.2f, \"file_mib\": %.1f, \"file_after_mib\": %.1f, \"open_s\": %.3f, "
	       "\"filter_s\": %.2f, \"peek_p99_ms\": %.3f, \"rss_mib\": %.1f, \"changes_per_s\": %.0f, "
	       "\"us_per_change\": %.1f, \"changes_per_group\": %.1f}\n",
	       b.children, load_s, mib, file_mib(path, ""), open_s, filter_s, peek * 1000, rss, b.changes / change_s,
	       cpu / b.changes * 1e6, (double)(after.jobs - before.jobs) / (double)(after.groups - before.groups));
	return 0;
}
