/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What follows from decisions, with books that are an array, and servers, resolver and desk that do what the test says.
 */
#include "../io/iokit.h"
#include "prt_build.h"

#include "backend.h"
#include "follow_priv.h"

#include <msproto/base/mem.h>

#include <pthread.h>
#include <stdatomic.h>

#include "zone/secure_make.h"

#define NOW     1800000000
#define CHILDS  4096
#define DS_LINE C " 300 DS 1 13 2 " DIGEST_1 "\n"
#define SIGNED  C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\nns1." C " 300 A 198.41.0.4\n" DS_LINE
#define PLAIN   C " 300 NS ns1." C "\n" C " 300 NS ns.other.test.\nns1." C " 300 A 198.41.0.4\n"

static struct k_loop k;
static struct prt_app app;
static struct prt_conf conf;
static struct prt_rules rules;
static struct prt_conf_parent parent;
static bool parent_is_dropped; /* not configured any more */
static struct msp_wall now;
static size_t pokes;
static int settings_refs;

static struct msp_wall clock_of_test(void)
{
	return now;
}

static bool always(void *arg)
{
	(void)arg;
	return false;
}

static bool is_quiet(void *arg);

/* Whatever has begun is over, but for probes that are held; and a little time has passed for what must not begin. */
static void settle(void)
{
	msp_loop_run_until(k.loop, always, NULL, 40);
	msp_loop_run_until(k.loop, is_quiet, NULL, K_LIMIT_MS);
}

/* --- settings, backends ---------------------------------------------------------------------------------------------
 */

struct prt_settings *prt_settings_ref(struct prt_settings *s)
{
	settings_refs++;
	return s;
}

void prt_settings_unref(struct prt_settings **s)
{
	settings_refs--;
	*s = NULL;
}

const struct prt_conf *prt_settings_conf(const struct prt_settings *s)
{
	(void)s;
	return &conf;
}

const struct prt_conf_parent *prt_settings_parent(const struct prt_settings *s, const struct msp_name *zone)
{
	(void)s;
	(void)zone;
	return parent_is_dropped ? NULL : &parent;
}

const struct prt_conf_parent *prt_settings_parent_of(const struct prt_settings *s, const struct msp_name *child)
{
	return prt_settings_parent(s, child);
}

const struct prt_rules *prt_settings_rules(const struct prt_settings *s, const struct prt_conf_parent *p,
					   const struct msp_name *child)
{
	(void)s;
	(void)child;
	assert_ptr_equal(p, &parent);
	return &rules;
}

void prt_backends_poke(struct prt_app *a)
{
	(void)a;
	pokes++;
}

/* --- books ----------------------------------------------------------------------------------------------------------
 */

struct job {
	struct job *next;
	struct msp_name child;
	prt_books_fn *fn;
	prt_books_done_fn *done;
	void *arg;
	struct prt_outcome *out;
};
static struct {
	pthread_mutex_t lock;
	struct {
		struct msp_name name;
		size_t at;
		struct msp_buf octets;
	} child[CHILDS];
	struct msp_map index;
	size_t count, stored, jobs, peeks;
	struct job *first, *last;
	struct msp_timer *timer;
	unsigned busy;   /* so many calls find no room */
	unsigned races;  /* so many jobs find a child that has changed since */
	unsigned reruns; /* of the next job's transaction */
	bool is_held_elsewhere, is_down;
	struct msp_buf place;
	atomic_size_t places;
} books;

static size_t books_find(const struct msp_name *name)
{
	struct msp_name_key key = msp_name_key(name);
	const size_t *at = msp_map_get(&books.index, msp_name_key_span(&key));

	return at != NULL ? *at : CHILDS;
}

static void books_put(const struct prt_child *c)
{
	struct msp_name_key key = msp_name_key(&c->name);
	size_t i = books_find(&c->name);

	if (i == CHILDS) {
		i = books.count++;
		assert_true(i < CHILDS);
		books.child[i].name = c->name;
		books.child[i].at = i;
		T_OK(msp_map_put(&books.index, msp_name_key_span(&key), &books.child[i].at, NULL));
		msp_buf_init(&books.child[i].octets, PRT_CHILD_MAX);
	}
	msp_buf_reset(&books.child[i].octets);
	T_OK(prt_child_write(c, now, &books.child[i].octets));
}

enum msp_err prt_books_peek(struct prt_books *b, const struct msp_name *child, struct prt_child *out)
{
	enum msp_err err = MSP_ENOTFOUND;
	size_t i;

	(void)b;
	pthread_mutex_lock(&books.lock);
	i = books_find(child);
	if (i < CHILDS)
		err = prt_child_read(msp_buf_span(&books.child[i].octets), out);
	books.peeks++;
	pthread_mutex_unlock(&books.lock);
	return err;
}

static enum msp_err books_run(const struct msp_name *name, prt_books_fn *fn, void *arg, struct prt_outcome *out)
{
	struct prt_child c;
	size_t i = books_find(name);
	enum msp_err err;

	if (i == CHILDS)
		prt_child_init(&c, &parent.zone, name);
	else
		T_OK(prt_child_read(msp_buf_span(&books.child[i].octets), &c));
	if (books.races > 0 && i < CHILDS) {
		books.races--;
		c.last_seq++;
		books_put(&c);
	}
	err = fn(arg, &c, i < CHILDS, now, out);
	if (err == MSP_OK && out->is_changed && books.reruns > 0) { /* another process was faster */
		books.reruns--;
		prt_child_fini(&c);
		prt_outcome_fini(out);
		prt_outcome_init(out);
		return books_run(name, fn, arg, out);
	}
	if (err == MSP_OK && out->is_changed) {
		books_put(&c);
		books.stored++;
	}
	prt_child_fini(&c);
	return err;
}

static void books_serve(void *arg)
{
	struct job *j = books.first;
	enum msp_err err;

	(void)arg;
	if (j == NULL)
		return;
	books.first = j->next;
	if (books.first == NULL)
		books.last = NULL;
	pthread_mutex_lock(&books.lock);
	err = books_run(&j->child, j->fn, j->arg, j->out);
	pthread_mutex_unlock(&books.lock);
	j->done(j->arg, err);
	msp_free(j);
	if (books.first != NULL)
		msp_timer_start(books.timer, 0);
}

enum msp_err prt_books_do(struct prt_books *b, const struct msp_name *p, const struct msp_name *child, prt_books_fn *fn,
			  prt_books_done_fn *done, void *arg, struct prt_outcome *out)
{
	struct job *j;

	(void)b;
	(void)p;
	if (books.busy > 0) {
		books.busy--;
		return MSP_EBUSY;
	}
	j = msp_alloc(1, sizeof(*j));
	assert_non_null(j);
	*j = (struct job){ .child = *child, .fn = fn, .done = done, .arg = arg, .out = out };
	*(books.last != NULL ? &books.last->next : &books.first) = j;
	books.last = j;
	books.jobs++;
	msp_timer_start(books.timer, 0);
	return MSP_OK;
}

enum msp_err prt_books_do_now(struct prt_books *b, const struct msp_name *p, const struct msp_name *child,
			      prt_books_fn *fn, void *arg, struct prt_outcome *out)
{
	(void)b;
	(void)p;
	for (struct job *j = books.first; j != NULL; j = j->next)
		(void)books_run(&j->child, j->fn, j->arg, j->out);
	return books_run(child, fn, arg, out);
}

/* In the order in which they were put in. */
enum msp_err prt_books_due(struct prt_books *b, struct msp_wall at, size_t max, prt_books_name_fn *fn, void *arg,
			   struct prt_due *place)
{
	enum msp_err err = MSP_OK;
	size_t i = 0;

	(void)b;
	pthread_mutex_lock(&books.lock);
	while (place->at.s != 0 && i < books.count) {
		struct msp_name_key key = msp_name_key(&books.child[i].name);

		if (msp_span_equal(msp_name_key_span(&key), msp_name_key_span(&place->name)))
			break;
		i++;
	}
	place->at.s = 0;
	for (size_t n = 0; err == MSP_OK && i < books.count; i++) {
		struct prt_child c;
		struct msp_wall due;

		T_OK(prt_child_read(msp_buf_span(&books.child[i].octets), &c));
		due = prt_child_due(&c);
		prt_child_fini(&c);
		if (due.s == 0 || due.s > at.s)
			continue;
		if (n++ == max) {
			*place = (struct prt_due){ .at = due, .name = msp_name_key(&books.child[i].name) };
			break;
		}
		err = fn(arg, &books.child[i].name);
	}
	if (books.is_down)
		err = MSP_ENET;
	pthread_mutex_unlock(&books.lock);
	return err;
}

enum msp_err prt_books_names(struct prt_books *b, const struct msp_name *from, size_t max, prt_books_name_fn *fn,
			     void *arg)
{
	enum msp_err err = MSP_OK;

	(void)b;
	pthread_mutex_lock(&books.lock);
	for (size_t i = 0, n = 0; err == MSP_OK && i < books.count && n < max; i++) {
		if (from != NULL && msp_name_cmp(&books.child[i].name, from) < 0)
			continue;
		n++;
		err = fn(arg, &books.child[i].name);
	}
	pthread_mutex_unlock(&books.lock);
	return err;
}

enum msp_err prt_books_meta_get(struct prt_books *b, const char *key, struct msp_buf *out)
{
	(void)b;
	assert_string_equal(key, "sweep");
	msp_buf_add_span(out, msp_buf_span(&books.place));
	return books.place.len > 0 ? MSP_OK : MSP_ENOTFOUND;
}

enum msp_err prt_books_meta_put(struct prt_books *b, const char *key, struct msp_span value)
{
	(void)b;
	(void)key;
	msp_buf_reset(&books.place);
	msp_buf_add_span(&books.place, value);
	books.places++;
	return MSP_OK;
}

enum msp_err prt_books_hold(struct prt_books *b, const char *what)
{
	(void)b;
	assert_string_equal(what, "sweep");
	return books.is_held_elsewhere ? MSP_EBUSY : MSP_OK;
}

struct prt_books_stats prt_books_stats(const struct prt_books *b)
{
	(void)b;
	return (struct prt_books_stats){ .children = books.count };
}

/* --- the desk: workers call it too ----------------------------------------------------------------------------------
 */

static struct {
	pthread_mutex_t lock;
	atomic_size_t checked, scanned, failed, looked, ticked; /* counted last */
	bool scan_changes;                                      /* the DS go */
	unsigned need;                                          /* of the next outcome of a scan */
	unsigned tick_need;                                     /* what a tick asks for */
	bool tick_fails;                                        /* it stays due */
	const char *watched;                                    /* a child ... */
	atomic_size_t watched_ticks;                            /* ... whose ticks are counted */
	size_t servers, dsboots;                                /* of the scan last judged */
	unsigned asked;                                         /* questions that it has answers to */
	enum msp_lookup verdict[PRT_NS_MAX];
	enum prt_boot_outcome boot;
	struct msp_why boot_why;
	bool gives_up;           /* a key that was missed has failed */
	enum prt_source refuses; /* with PRT_NEED_REPORT: of the entry, SRC__N = none */
} desk;

void prt_outcome_init(struct prt_outcome *o)
{
	memset(o, 0, sizeof(*o));
}

void prt_outcome_fini(struct prt_outcome *o)
{
	for (size_t i = 0; i < o->entries; i++)
		prt_audit_fini(&o->entry[i]);
	memset(o, 0, sizeof(*o));
}

static void entry(const struct prt_child *c, enum prt_verdict verdict, struct prt_outcome *out)
{
	struct prt_audit *a = &out->entry[out->entries++];

	prt_audit_init(a);
	a->parent = c->parent;
	a->child = c->name;
	a->verdict = verdict;
	T_OK(prt_delegation_write(&c->registered, &a->after));
}

enum msp_err prt_desk_checked(const struct prt_rules *r, struct prt_child *c, const struct prt_evidence *e,
			      struct msp_wall at, struct prt_outcome *out)
{
	(void)r;
	(void)at;
	pthread_mutex_lock(&desk.lock);
	desk.servers = e->count;
	pthread_mutex_unlock(&desk.lock);
	prt_delegation_clear(&c->registered);
	c->registered = c->pending.wanted;
	memset(&c->pending, 0, sizeof(c->pending));
	out->is_changed = true;
	out->need = PRT_NEED_PUBLISH;
	entry(c, PRT_VERDICT_ACCEPTED, out);
	desk.checked++;
	return MSP_OK;
}

enum msp_err prt_desk_scanned(const struct prt_rules *r, struct prt_child *c, const struct prt_evidence *e,
			      const struct prt_dsboot_seen *seen, size_t seen_count, struct msp_wall at,
			      struct prt_outcome *out)
{
	(void)r;
	pthread_mutex_lock(&desk.lock);
	desk.servers = e->count;
	desk.dsboots = seen_count;
	desk.asked = 0;
	for (unsigned q = 0; e->count > 0 && q < PRT_Q__N; q++)
		desk.asked |= e->server[0].answer[q].is_asked ? 1u << q : 0;
	for (size_t i = 0; i < seen_count; i++)
		desk.verdict[i] = seen[i].verdict;
	out->need = desk.need;
	out->report_ede = MSP_EDE_CDS_INCONSISTENT;
	if ((desk.need & PRT_NEED_REPORT) != 0) {
		entry(c, PRT_VERDICT_REFUSED, out);
		out->entry[0].source = desk.refuses;
	}
	pthread_mutex_unlock(&desk.lock);
	c->scan.last = at;
	c->scan.next.s = 0;
	out->is_changed = true;
	if (desk.scan_changes) {
		(void)prt_delegation_del_set(&c->registered, &c->name, MSP_TYPE_DS);
		entry(c, PRT_VERDICT_ACCEPTED, out);
	}
	desk.scanned++;
	return MSP_OK;
}

enum msp_err prt_desk_scan_failed(const struct prt_rules *r, struct prt_child *c, const char *why, struct msp_wall at,
				  struct prt_outcome *out)
{
	(void)r;
	(void)why;
	pthread_mutex_lock(&desk.lock);
	desk.failed++;
	pthread_mutex_unlock(&desk.lock);
	c->scan.next.s = at.s + 300;
	c->scan.failures++;
	out->is_changed = true;
	return MSP_OK;
}

bool prt_desk_may_scan(struct prt_child *c, struct msp_wall at)
{
	if (c->scan.started[0].s != 0 && at.s - c->scan.started[0].s < 60)
		return false;
	c->scan.started[0] = at;
	c->scan.next.s = at.s + 300;
	return true;
}

enum msp_err prt_desk_looked(const struct prt_rules *r, struct prt_child *c, struct msp_span key,
			     const struct prt_boot_seen *seen, struct msp_wall at, struct prt_outcome *out)
{
	struct prt_key *found = prt_keyset_find(&c->keys, key);

	assert_non_null(found);
	desk.looked++;
	desk.boot = prt_boot_look(&c->boot[found - c->keys.key], &r->boot, key, seen, at, &desk.boot_why);
	if (desk.gives_up && desk.boot == PRT_BOOT_MISSED)
		found->state = PRT_KEY_FAILED;
	out->is_changed = true;
	return MSP_OK;
}

enum msp_err prt_desk_tick(const struct prt_rules *r, struct prt_child *c, struct msp_wall at, struct prt_outcome *out)
{
	(void)r;
	desk.ticked++;
	if (desk.watched != NULL && strcmp(MSP_NAME(&c->name), desk.watched) == 0)
		desk.watched_ticks++;
	if (desk.tick_fails)
		return MSP_ELIMIT;
	out->need = desk.tick_need;
	if (c->scan.next.s != 0)
		c->scan.next.s = at.s + 300;
	if (c->pending.next.s != 0)
		c->pending.next.s = at.s + 300;
	out->is_changed = true;
	return MSP_OK;
}

struct at_least {
	const atomic_size_t *have;
	size_t want;
};
static bool is_at_least(void *arg)
{
	const struct at_least *a = arg;

	return atomic_load(a->have) >= a->want;
}
#define UNTIL_DESK(counter, n)                                                                                         \
	assert_true(msp_loop_run_until(k.loop, is_at_least, &(struct at_least){ &desk.counter, (n) }, K_LIMIT_MS))

/* --- servers --------------------------------------------------------------------------------------------------------
 */

struct prt_probe {
	struct prt_probe *next;
	struct prt_delegation d;
	unsigned questions;
	prt_probe_fn *cb;
	void *arg;
};
static struct {
	struct prt_probe *first, *last;
	size_t open, most, started;
	bool is_held;
	struct msp_timer *timer;
	enum msp_err refuse;
	unsigned shows;       /* questions that have a record */
	size_t servers;       /* addresses */
	const char *agent[2]; /* where they want reports; NULL: they do not say */
	unsigned last_questions;
	struct msp_name last_known; /* a name server that was there already; unset: nobody is new */
} prober;

static void put_record(struct prt_answer *a, const struct msp_name *child, unsigned q)
{
	static const uint16_t types[PRT_Q__N] = { MSP_TYPE_SOA,     MSP_TYPE_NS,    MSP_TYPE_DNSKEY, MSP_TYPE_CDS,
						  MSP_TYPE_CDNSKEY, MSP_TYPE_CSYNC, MSP_TYPE_SOA };

	T_OK(msp_rrset_new(child, types[q], 300, &a->set));
	T_OK(msp_rrset_add(a->set, msp_span("\0\0\0\0\0", 5)));
}

static void probe_answer(struct prt_probe *p)
{
	struct prt_evidence e;

	T_OK(prt_evidence_new(&p->d.child, prober.servers, &e));
	for (size_t i = 0; i < e.count; i++) {
		struct prt_server *s = &e.server[i];

		s->host = t_name("ns.other.test.");
		s->addr = k_addr("192.0.2.1", (uint16_t)(53 + i));
		if (i < 2 && prober.agent[i] != NULL)
			s->agent = t_name(prober.agent[i]);
		for (unsigned q = 0; q < PRT_Q__N; q++) {
			s->answer[q].is_asked = (p->questions & 1u << q) != 0;
			if (s->answer[q].is_asked && (prober.shows & 1u << q) != 0)
				put_record(&s->answer[q], &p->d.child, q);
		}
	}
	prt_delegation_clear(&p->d);
	prober.open--;
	p->cb(p->arg, &e);
	msp_free(p);
}

static void prober_serve(void *arg)
{
	struct prt_probe *p;

	(void)arg;
	while (!prober.is_held && (p = prober.first) != NULL) {
		prober.first = p->next;
		if (prober.first == NULL)
			prober.last = NULL;
		probe_answer(p);
	}
}

static void let_go(void)
{
	prober.is_held = false;
	msp_timer_start(prober.timer, 0);
}

enum msp_err prt_probe_start(struct prt_prober *pr, const struct prt_delegation *d, const struct prt_delegation *known,
			     unsigned questions, prt_probe_fn *cb, void *arg, struct prt_probe **out)
{
	struct prt_probe *p;

	(void)pr;
	if (prober.refuse != MSP_OK)
		return prober.refuse;
	if (prt_delegation_ns(d) == NULL)
		return MSP_EVALUE;
	p = msp_alloc(1, sizeof(*p));
	assert_non_null(p);
	T_OK(prt_delegation_dup(d, &p->d));
	p->questions = prober.last_questions = questions;
	prober.last_known.len = 0;
	if (known != NULL)
		T_OK(msp_rdata_name_parse(prt_delegation_ns(known)->rdata[0], &prober.last_known));
	p->cb = cb;
	p->arg = arg;
	*(prober.last != NULL ? &prober.last->next : &prober.first) = p;
	prober.last = p;
	prober.started++;
	prober.open++;
	if (prober.open > prober.most)
		prober.most = prober.open;
	msp_timer_start(prober.timer, 0);
	*out = p;
	return MSP_OK;
}

void prt_probe_cancel(struct prt_probe **out)
{
	struct prt_probe **at = &prober.first, *last = NULL;

	while (*at != *out) {
		last = *at;
		at = &(*at)->next;
	}
	*at = (*out)->next;
	if (prober.last == *out)
		prober.last = last;
	prober.open--;
	prt_delegation_clear(&(*out)->d);
	msp_free(*out);
	*out = NULL;
}

/* --- the resolver, and servers asked for KEY ------------------------------------------------------------------------
 */

struct line {
	char name[256];
	uint16_t type;
	enum msp_lookup verdict;
	const char *records; /* NULL = none */
};
struct question {
	struct question *next;
	struct msp_name name;
	uint16_t type;
	msp_resolve_fn *cb;
	msp_resolve_open_fn *open;
	void *arg;
};
static struct {
	struct line line[16];
	size_t lines, asked;
	struct question *first, *last;
	struct msp_timer *timer;
	struct msp_name last_name;
} dns;

static void say(const char *name, uint16_t type, enum msp_lookup verdict, const char *records)
{
	struct line *l = &dns.line[dns.lines++];

	snprintf(l->name, sizeof(l->name), "%s", name);
	l->type = type;
	l->verdict = verdict;
	l->records = records;
}

static void dns_answer(struct question *q)
{
	const struct line *l = NULL;
	struct msp_rrset *set = NULL;
	struct msp_secure_rrset *secure = NULL;
	enum msp_lookup verdict;

	for (size_t i = 0; i < dns.lines; i++) {
		struct msp_name name = t_name(dns.line[i].name);

		if (msp_name_equal(&name, &q->name) && dns.line[i].type == q->type)
			l = &dns.line[i];
	}
	verdict = l != NULL ? l->verdict : MSP_LOOKUP_NODATA;
	if (l != NULL && l->records != NULL)
		set = t_rrset(l->records);
	if (q->open != NULL) {
		struct msp_open_answer a = { .verdict = verdict == MSP_LOOKUP_NODATA ? MSP_LOOKUP_SECURE : verdict,
					     .is_negative = set == NULL,
					     .set = set };

		q->open(q->arg, &a);
		msp_rrset_free(&set);
	} else {
		if (set != NULL && verdict == MSP_LOOKUP_SECURE)
			T_OK(msp_secure_make(&set, &secure));
		msp_rrset_free(&set);
		q->cb(q->arg, verdict, secure, "a reason");
	}
}

static void dns_serve(void *arg)
{
	struct question *q;

	(void)arg;
	while ((q = dns.first) != NULL) {
		dns.first = q->next;
		if (dns.first == NULL)
			dns.last = NULL;
		dns_answer(q);
		msp_free(q);
	}
}

static enum msp_err ask(const struct msp_name *name, uint16_t type, msp_resolve_fn *cb, msp_resolve_open_fn *open,
			void *arg)
{
	struct question *q = msp_alloc(1, sizeof(*q));

	assert_non_null(q);
	*q = (struct question){ .name = *name, .type = type, .cb = cb, .open = open, .arg = arg };
	*(dns.last != NULL ? &dns.last->next : &dns.first) = q;
	dns.last = q;
	dns.asked++;
	dns.last_name = *name;
	msp_timer_start(dns.timer, 0);
	return MSP_OK;
}

enum msp_err msp_resolver_ask(struct msp_resolver *r, const struct msp_name *name, uint16_t type, msp_resolve_fn *cb,
			      void *arg)
{
	(void)r;
	return ask(name, type, cb, NULL, arg);
}

enum msp_err msp_resolver_ask_open(struct msp_resolver *r, const struct msp_name *name, uint16_t type,
				   msp_resolve_open_fn *cb, void *arg)
{
	(void)r;
	return ask(name, type, NULL, cb, arg);
}

/* KEY at each address: answered on the spot by a timer of its own. */
struct asked {
	struct msp_addr addr;
	msp_batch_fn *batch;
	msp_xchg_fn *xchg;
	void *arg;
	bool rd;
};
static struct {
	struct asked asked[64];
	size_t count, done;
	struct msp_timer *timer;
	const char *keys;       /* what all of them show */
	const char *other_keys; /* what the last one shows */
	bool no_aa;
} plain;

static size_t build_answer(uint8_t *mem, size_t cap, const char *records, uint16_t flags)
{
	struct msp_name child = t_name(C);
	struct msp_msgw w;
	struct msp_span out;
	struct msp_rrset *set = records != NULL ? t_rrset(records) : NULL;

	msp_msgw_init(&w, mem, cap, 1, MSP_OPCODE_QUERY, MSP_FLAG_QR | flags);
	msp_msgw_question(&w, &child, MSP_TYPE_KEY, MSP_CLASS_IN);
	for (size_t i = 0; set != NULL && i < set->count; i++) {
		struct msp_rr rr = { .owner = set->owner,
				     .type = set->type,
				     .cls = MSP_CLASS_IN,
				     .ttl = set->ttl,
				     .rdata = set->rdata[i] };

		msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
	}
	msp_rrset_free(&set);
	T_OK(msp_msgw_finish(&w, &out));
	return out.len;
}

static void plain_serve(void *arg)
{
	(void)arg;
	while (plain.done < plain.count) {
		struct asked *a = &plain.asked[plain.done++];
		bool is_last = plain.done == plain.count && plain.other_keys != NULL;
		uint8_t mem[2048];
		size_t len = build_answer(mem, sizeof(mem), is_last ? plain.other_keys : plain.keys,
					  a->batch == NULL ? MSP_FLAG_RA
					  : plain.no_aa    ? 0
							   : MSP_FLAG_AA);
		struct msp_batch_answer answer = { .err = MSP_OK, .raw = msp_span(mem, len) };

		if (a->batch != NULL)
			a->batch(a->arg, &answer, 1);
		else
			a->xchg(a->arg, MSP_OK, answer.raw);
	}
}

enum msp_err msp_batch_start(struct msp_loop *loop, const struct msp_batch_params *p, msp_batch_fn *cb, void *arg,
			     struct msp_batch **out)
{
	(void)loop;
	assert_int_equal(p->count, 1);
	assert_int_equal(p->question[0].type, MSP_TYPE_KEY);
	plain.asked[plain.count++] = (struct asked){ .addr = p->server, .batch = cb, .arg = arg };
	*out = NULL;
	msp_timer_start(plain.timer, 0);
	return MSP_OK;
}

void msp_batch_cancel(struct msp_batch **b)
{
	*b = NULL;
}

enum msp_err msp_xchg_start(struct msp_loop *loop, const struct msp_xchg_params *p, msp_xchg_fn *cb, void *arg,
			    struct msp_xchg **out)
{
	(void)loop;
	assert_int_equal(p->transport, MSP_TCP_ONLY);
	plain.asked[plain.count++] =
		(struct asked){ .addr = p->server, .xchg = cb, .arg = arg, .rd = (p->message.ptr[2] & 1) != 0 };
	*out = NULL;
	msp_timer_start(plain.timer, 0);
	return MSP_OK;
}

void msp_xchg_cancel(struct msp_xchg **x)
{
	*x = NULL;
}

/* --- rig ------------------------------------------------------------------------------------------------------------
 */

static void open_rig(void)
{
	memset(&app, 0, sizeof(app));
	memset(&conf, 0, sizeof(conf));
	memset(&rules, 0, sizeof(rules));
	memset(&books, 0, sizeof(books));
	memset(&desk, 0, sizeof(desk));
	memset(&prober, 0, sizeof(prober));
	memset(&dns, 0, sizeof(dns));
	memset(&plain, 0, sizeof(plain));
	pthread_mutex_init(&books.lock, NULL);
	pthread_mutex_init(&desk.lock, NULL);
	msp_buf_init(&books.place, 512);
	msp_map_init(&books.index, CHILDS);
	now.s = NOW;
	pokes = 0;
	parent_is_dropped = false;
	k_open(&k);
	T_OK(msp_timer_new(k.loop, books_serve, NULL, &books.timer));
	T_OK(msp_timer_new(k.loop, prober_serve, NULL, &prober.timer));
	T_OK(msp_timer_new(k.loop, dns_serve, NULL, &dns.timer));
	T_OK(msp_timer_new(k.loop, plain_serve, NULL, &plain.timer));
	conf.limits.scans_in_flight = 500;
	conf.limits.scan_rate = 1000;
	conf.probe_timeout_s = 5;
	conf.numbers = msp_numbers_default;
	parent.zone = t_name(P);
	prober.servers = 2;
	rules.policy.sources = 1u << PRT_SRC_CDS | 1u << PRT_SRC_CSYNC | 1u << PRT_SRC_DSBOOT;
	rules.dsboot = PRT_DSBOOT_RFC9615;
	rules.boot = prt_boot_rules_default;
	app.loop = k.loop;
	app.log = &k.log;
	app.conf = &conf;
	app.resolver = (struct msp_resolver *)&dns;
	msp_rand_init_seed(&app.rand, 1);
	T_OK(prt_follow_open(&app, &app.follow));
	app.follow->wall = clock_of_test;
}

static bool is_quiet(void *arg)
{
	const struct prt_follow *f = app.follow;
	size_t running = 0, held = prober.is_held ? prober.open : 0;

	(void)arg;
	for (unsigned i = 0; i < PRT_LANE__N; i++)
		running += f->lane[i].running;
	return running == held && (f->waiting == 0 || held > 0) && f->agenda.work == NULL && books.first == NULL;
}

static void close_rig(void)
{
	struct job *j;

	prt_follow_close(&app.follow);
	while ((j = books.first) != NULL) {
		books.first = j->next;
		msp_free(j);
	}
	while (dns.first != NULL) {
		struct question *q = dns.first;

		dns.first = q->next;
		msp_free(q);
	}
	msp_timer_close(&books.timer);
	msp_timer_close(&prober.timer);
	msp_timer_close(&dns.timer);
	msp_timer_close(&plain.timer);
	k_close(&k);
	for (size_t i = 0; i < books.count; i++)
		msp_buf_fini(&books.child[i].octets);
	msp_buf_fini(&books.place);
	msp_map_fini(&books.index, NULL);
	assert_int_equal(settings_refs, 0);
	assert_int_equal(prober.open, 0);
}

static void store(const struct prt_child *c)
{
	pthread_mutex_lock(&books.lock);
	books_put(c);
	pthread_mutex_unlock(&books.lock);
}

static void put_child(const char *name, const char *lines)
{
	struct msp_name n = t_name(name);
	struct prt_child c;

	prt_child_init(&c, &parent.zone, &n);
	if (lines != NULL) {
		prt_delegation_clear(&c.registered);
		t_delegation(&c.registered, lines);
	}
	store(&c);
	prt_child_fini(&c);
}

static struct prt_child get_child(const char *name)
{
	struct msp_name n = t_name(name);
	struct prt_child c;

	T_OK(prt_books_peek(NULL, &n, &c));
	return c;
}

/* A change of the usual child that waits for its checks. */
static void put_pending(const char *lines)
{
	struct prt_child c = get_child(C);

	if (c.pending.wait != PRT_WAIT_NONE)
		prt_delegation_clear(&c.pending.wanted);
	c.pending.wait = PRT_WAIT_CHECKS;
	c.pending.since = now;
	t_delegation(&c.pending.wanted, lines);
	store(&c);
	prt_child_fini(&c);
}

struct watched {
	size_t calls;
	enum msp_err err;
	bool is_changed;
	struct prt_watch *w;
};

static void on_checked(void *arg, enum msp_err err, const struct prt_outcome *out)
{
	struct watched *w = arg;

	w->calls++;
	w->err = err;
	w->is_changed = out->is_changed;
	w->w = NULL;
}

static void watch(struct watched *w)
{
	struct msp_name child = t_name(C);

	memset(w, 0, sizeof(*w));
	T_OK(prt_follow_check(&app, &child, on_checked, w, &w->w));
	assert_int_equal(w->calls, 0); /* from the loop */
}

static void scan(const char *name)
{
	struct msp_name child = t_name(name);

	T_OK(prt_follow_scan(&app, &child));
}

static bool notify(void)
{
	struct msp_name child = t_name(C);

	return prt_follow_notify(&app, &child, MSP_TYPE_CDS, NULL);
}

/* --- checks ---------------------------------------------------------------------------------------------------------
 */

static void a_check_looks_at_the_servers_of_what_waits_and_tells_who_watches(void **state)
{
	struct watched w;
	struct prt_child c;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_pending(PLAIN);
	watch(&w);
	K_UNTIL_COUNT(&k, &w.calls, 1);
	assert_int_equal(w.err, MSP_OK);
	assert_true(w.is_changed);
	assert_int_equal(desk.servers, 2);
	assert_int_equal(prober.last_questions, PRT_PROBE_CHECK);
	assert_true(msp_name_is_set(&prober.last_known)); /* what is not registered is new: asked over UDP too */
	assert_int_equal(pokes, 1);
	assert_int_equal(app.stats.changes, 1);
	c = get_child(C);
	assert_true(t_is(&c.registered, PLAIN));
	prt_child_fini(&c);
	close_rig();
}

static void a_change_that_replaces_the_one_looked_at_is_looked_at_itself(void **state)
{
	struct watched w;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_pending(PLAIN);
	prober.is_held = true;
	watch(&w);
	K_UNTIL_COUNT(&k, &prober.started, 1);
	put_pending(USUAL);
	let_go();
	K_UNTIL_COUNT(&k, &w.calls, 1);
	settle();
	assert_int_equal(prober.started, 2);
	assert_int_equal(desk.checked, 1);
	assert_int_equal(w.calls, 1);
	close_rig();
}

static void a_watch_that_is_forgotten_hears_nothing(void **state)
{
	struct watched a, b, c;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_pending(PLAIN);
	prober.is_held = true;
	watch(&a);
	K_UNTIL_COUNT(&k, &prober.started, 1);
	watch(&b); /* for the one behind it */
	watch(&c);
	prt_follow_forget(&a.w);
	prt_follow_forget(&c.w);
	let_go();
	K_UNTIL_COUNT(&k, &b.calls, 1);
	settle();
	assert_int_equal(a.calls, 0);
	assert_int_equal(b.calls, 1);
	assert_int_equal(c.calls, 0);
	assert_null(app.follow->runs);
	close_rig();
}

static void a_change_without_any_server_is_judged_all_the_same(void **state)
{
	struct watched w;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_pending(DS_LINE);
	watch(&w);
	K_UNTIL_COUNT(&k, &w.calls, 1);
	assert_int_equal(desk.checked, 1);
	assert_int_equal(desk.servers, 0);
	close_rig();
}

static void a_check_of_a_child_that_is_not_there_says_so(void **state)
{
	struct watched w;

	(void)state;
	open_rig();
	watch(&w);
	K_UNTIL_COUNT(&k, &w.calls, 1);
	assert_int_equal(w.err, MSP_ENOTFOUND);
	close_rig();
}

static void a_judgement_about_a_child_that_has_changed_is_made_again(void **state)
{
	struct watched w;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_pending(PLAIN);
	books.races = 1;
	watch(&w);
	K_UNTIL_COUNT(&k, &w.calls, 1);
	assert_int_equal(w.err, MSP_OK);
	assert_int_equal(desk.checked, 2);
	assert_int_equal(prober.started, 1); /* what was seen is still true */
	assert_int_equal(books.stored, 1);
	close_rig();
}

static void a_child_that_changes_all_the_time_is_judged_in_the_books(void **state)
{
	struct watched w;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_pending(PLAIN);
	books.races = 100;
	watch(&w);
	K_UNTIL_COUNT(&k, &w.calls, 1);
	assert_int_equal(w.err, MSP_OK);
	assert_true(w.is_changed);
	assert_int_equal(desk.checked, PRT_RACES_MAX + 1);
	close_rig();
}

static void a_transaction_that_runs_twice_hands_a_judgement_over_once(void **state)
{
	struct watched w;
	struct prt_child c;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_pending(PLAIN);
	books.reruns = 1;
	watch(&w);
	K_UNTIL_COUNT(&k, &w.calls, 1);
	assert_int_equal(w.err, MSP_OK);
	c = get_child(C);
	assert_true(t_is(&c.registered, PLAIN));
	prt_child_fini(&c);
	assert_int_equal(books.stored, 1);
	close_rig();
}

static void books_and_prober_without_room_are_asked_again(void **state)
{
	struct watched w;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_pending(PLAIN);
	books.busy = 3;
	watch(&w);
	K_UNTIL_COUNT(&k, &w.calls, 1);
	assert_int_equal(w.err, MSP_OK);
	assert_true(w.is_changed);
	close_rig();
}

/* --- the line -------------------------------------------------------------------------------------------------------
 */

static void what_is_asked_again_meanwhile_is_done_once_more_and_once(void **state)
{
	(void)state;
	open_rig();
	put_child(C, SIGNED);
	prober.is_held = true;
	scan(C);
	K_UNTIL_COUNT(&k, &prober.started, 1);
	for (size_t i = 0; i < 5; i++)
		scan(C);
	assert_int_equal(prt_follow_stats(app.follow).running, 1);
	let_go();
	settle();
	assert_int_equal(prober.started, 2);
	assert_int_equal(desk.scanned, 2);
	assert_int_equal(app.follow->tasks.count, 0);
	close_rig();
}

static void no_more_than_the_limit_is_under_way_and_a_check_does_not_wait_for_scans(void **state)
{
	char name[40];
	struct watched w;

	(void)state;
	open_rig();
	conf.limits.scans_in_flight = 3;
	put_child(C, SIGNED);
	put_pending(PLAIN);
	for (size_t i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "c%zu.example.", i);
		put_child(name, SIGNED);
		scan(name);
	}
	prober.is_held = true;
	K_UNTIL_COUNT(&k, &prober.started, 3);
	settle();
	assert_int_equal(prober.started, 3);
	assert_int_equal(prt_follow_stats(app.follow).waiting, 17);
	watch(&w);
	K_UNTIL_COUNT(&k, &prober.started, 4);
	let_go();
	K_UNTIL_COUNT(&k, &prober.started, 21);
	settle();
	assert_int_equal(prober.most, 4);
	assert_int_equal(desk.scanned, 20);
	assert_int_equal(w.calls, 1);
	close_rig();
}

static void the_line_has_an_end(void **state)
{
	struct msp_name child = t_name(C);
	char name[40];

	(void)state;
	open_rig();
	conf.limits.scans_in_flight = 1;
	prober.is_held = true;
	put_child(C, SIGNED);
	scan(C);
	K_UNTIL_COUNT(&k, &prober.started, 1);
	for (size_t i = 0; i < PRT_TASKS_MAX; i++) {
		snprintf(name, sizeof(name), "c%zu.example.", i);
		scan(name);
	}
	child = t_name("more.example.");
	T_ERR(prt_follow_scan(&app, &child), MSP_EBUSY);
	scan("c7.example."); /* is there already */
	close_rig();
}

static void close_with_everything_under_way(void **state)
{
	struct watched w, v;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_pending(PLAIN);
	prober.is_held = true;
	watch(&w);
	K_UNTIL_COUNT(&k, &prober.started, 1);
	watch(&v);
	close_rig();
	assert_int_equal(w.calls + v.calls, 0);

	open_rig(); /* in the pool, or in the books */
	put_child(C, SIGNED);
	put_pending(PLAIN);
	watch(&w);
	while (books.jobs == 0)
		msp_loop_run_until(k.loop, always, NULL, 1);
	close_rig();
}

/* --- scans ----------------------------------------------------------------------------------------------------------
 */

static void a_notify_leads_to_one_scan_and_those_behind_it_are_coalesced(void **state)
{
	struct prt_child c;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	prober.shows = 1u << PRT_Q_CDS;
	prober.is_held = true;
	assert_true(notify());
	K_UNTIL_COUNT(&k, &prober.started, 1);
	assert_true(notify()); /* one more, when this one is through */
	assert_false(notify());
	assert_false(notify());
	let_go();
	settle();
	/* The second one comes within a minute of the first: it is put off, not lost. */
	assert_int_equal(prober.started, 1);
	c = get_child(C);
	assert_int_equal(c.scan.next.s, NOW + 60);
	prt_child_fini(&c);
	close_rig();
}

static void a_notify_does_not_wait_for_the_retry_of_a_look_that_failed(void **state)
{
	struct prt_child c;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	c = get_child(C);
	c.scan.started[0].s = NOW - 10;
	c.scan.failures = 3;
	c.scan.next.s = NOW + 2400;
	store(&c);
	prt_child_fini(&c);
	assert_true(notify());
	settle();
	assert_int_equal(prober.started, 0);
	c = get_child(C);
	assert_int_equal(c.scan.next.s, NOW + 50);
	prt_child_fini(&c);
	close_rig();
}

static void a_secure_child_is_asked_once_for_all_that_its_cds_needs(void **state)
{
	(void)state;
	open_rig();
	put_child(C, SIGNED);
	prober.shows = 1u << PRT_Q_CDS | 1u << PRT_Q_DNSKEY;
	scan(C);
	UNTIL_DESK(scanned, 1);
	settle();
	assert_int_equal(prober.started, 1);
	assert_int_equal(desk.asked, PRT_PROBE_CHECK | PRT_PROBE_GLANCE);
	close_rig();
}

static void csync_is_looked_at_with_its_hosts_and_a_second_soa(void **state)
{
	(void)state;
	open_rig();
	put_child(C, SIGNED);
	prober.shows = 1u << PRT_Q_CSYNC;
	scan(C);
	UNTIL_DESK(scanned, 1);
	assert_int_equal(prober.started, 2);
	assert_int_equal(prober.last_questions & PRT_PROBE_CSYNC, PRT_PROBE_CSYNC);
	assert_false(msp_name_is_set(&prober.last_known)); /* of those that are there nobody is asked over UDP */
	close_rig();
}

/* A retry of a look that has failed. */
static void retry(void)
{
	struct prt_child c = get_child(C);
	size_t before = prober.started;

	c.scan.failures = 1;
	c.scan.next.s = now.s;
	store(&c);
	prt_child_fini(&c);
	desk.tick_need = PRT_NEED_SCAN;
	prt_agenda_look(app.follow);
	K_UNTIL_COUNT(&k, &prober.started, before + 1);
	settle();
}

static bool was_idle(void)
{
	return (prober.last_questions & PRT_PROBE_IDLE) != 0;
}

static void dead_addresses_are_left_alone_by_looks_that_nobody_has_asked_for(void **state)
{
	struct prt_child c;

	(void)state;
	open_rig();
	conf.limits.sweep_s = 3600;
	put_child(C, SIGNED);
	for (size_t i = 0; i < 10 && prober.started == 0; i++) {
		prt_sweep_step(app.follow->sweep, 1000);
		settle();
	}
	assert_int_equal(prober.started, 1);
	assert_true(was_idle());
	conf.limits.sweep_s = 0;
	scan(C); /* an operator */
	settle();
	assert_int_equal(prober.started, 2);
	assert_false(was_idle());
	now.s += 60;
	retry(); /* of what the sweep has found */
	assert_true(was_idle());
	put_pending(PLAIN); /* must be seen again: a miss would begin its count anew */
	c = get_child(C);
	c.pending.wait = PRT_WAIT_CONFIRM;
	store(&c);
	prt_child_fini(&c);
	retry();
	assert_false(was_idle());
	c = get_child(C);
	prt_delegation_clear(&c.pending.wanted);
	memset(&c.pending, 0, sizeof(c.pending));
	store(&c);
	prt_child_fini(&c);
	assert_true(notify());
	settle();
	assert_false(was_idle());
	now.s += 2400;
	retry(); /* of that */
	assert_false(was_idle());
	now.s += 7200;
	retry();
	assert_true(was_idle());
	close_rig();
}

static void what_has_changed_nothing_is_not_stored(void **state)
{
	(void)state;
	open_rig();
	put_child(C, SIGNED);
	prober.shows = 1u << PRT_Q_CDS;
	scan(C);
	UNTIL_DESK(scanned, 1);
	settle();
	assert_int_equal(books.jobs, 0);
	desk.scan_changes = true;
	scan(C);
	settle();
	assert_int_equal(books.stored, 1);
	close_rig();
}

static void a_prober_that_refuses_makes_a_failed_scan(void **state)
{
	(void)state;
	open_rig();
	put_child(C, SIGNED);
	prober.refuse = MSP_ENOMEM;
	scan(C);
	settle();
	assert_int_equal(desk.failed, 1);
	assert_int_equal(books.stored, 1);
	assert_int_equal(app.stats.scan_failures, 1);
	close_rig();
}

static void signal_names_of_a_first_ds_are_looked_up_for_servers_outside(void **state)
{
	(void)state;
	open_rig();
	put_child(C, PLAIN);
	prober.shows = 1u << PRT_Q_CDS;
	say("_dsboot." C "_signal.ns.other.test.", MSP_TYPE_CDS, MSP_LOOKUP_SECURE,
	    "_dsboot." C "_signal.ns.other.test. 300 CDS 1 13 2 " DIGEST_1);
	scan(C);
	UNTIL_DESK(scanned, 1);
	assert_int_equal(prober.started, 2);
	assert_int_equal(prober.last_questions, PRT_PROBE_CDS);
	assert_int_equal(desk.dsboots, 1); /* not for the one in the child */
	assert_int_equal(desk.verdict[0], MSP_LOOKUP_SECURE);
	assert_int_equal(dns.asked, 2);
	close_rig();
}

static void the_worse_of_two_signal_look_ups_counts(void **state)
{
	(void)state;
	open_rig();
	put_child(C, PLAIN);
	prober.shows = 1u << PRT_Q_CDNSKEY;
	say("_dsboot." C "_signal.ns.other.test.", MSP_TYPE_CDS, MSP_LOOKUP_SECURE,
	    "_dsboot." C "_signal.ns.other.test. 300 CDS 1 13 2 " DIGEST_1);
	say("_dsboot." C "_signal.ns.other.test.", MSP_TYPE_CDNSKEY, MSP_LOOKUP_BOGUS, NULL);
	scan(C);
	UNTIL_DESK(scanned, 1);
	assert_int_equal(desk.verdict[0], MSP_LOOKUP_BOGUS);
	close_rig();
}

#define LABEL "a23456789012345678901234567890123456789012345678901234567890123"
static void a_signal_name_that_is_too_long_is_a_server_that_says_nothing(void **state)
{
	(void)state;
	open_rig();
	put_child(C, C " 300 NS " LABEL "." LABEL "." LABEL ".0123456789012345678901234.other.test.\n");
	prober.shows = 1u << PRT_Q_CDS;
	scan(C);
	UNTIL_DESK(scanned, 1);
	assert_int_equal(dns.asked, 2 * 0);
	assert_int_equal(desk.dsboots, 1);
	assert_int_equal(desk.verdict[0], MSP_LOOKUP_NODATA);
	close_rig();
}

/* --- keys -----------------------------------------------------------------------------------------------------------
 */

#define KEY_1 "256 3 13 oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA=="
#define KEY_2 "256 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="

/* The child has a key that waits for looks by this method. */
static void put_key(enum prt_method method)
{
	struct prt_child c = get_child(C);
	struct msp_rrset *set = t_rrset(C " 300 KEY " KEY_1);
	struct prt_key *key = &c.keys.key[c.keys.count++];

	memcpy(key->rdata, set->rdata[0].ptr, set->rdata[0].len);
	key->rdata_len = (uint16_t)set->rdata[0].len;
	key->state = PRT_KEY_KNOWN;
	key->since = now;
	c.boot[0].method = method;
	c.boot[0].next.s = NOW + 300; /* who asks has put it off */
	store(&c);
	prt_child_fini(&c);
	msp_rrset_free(&set);
}

static void look(void)
{
	struct msp_name child = t_name(C);
	size_t before = desk.looked;

	prt_follow_needs(&app, &child, PRT_NEED_LOOK);
	UNTIL_DESK(looked, before + 1);
	settle();
	assert_int_equal(desk.looked, before + 1);
}

static void a_key_at_the_apex_of_a_secure_child_is_validated(void **state)
{
	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_key(PRT_METHOD_APEX);
	say(C, MSP_TYPE_KEY, MSP_LOOKUP_SECURE, C " 300 KEY " KEY_2 "\n" C " 300 KEY " KEY_1);
	look();
	assert_int_equal(desk.boot, PRT_BOOT_VALIDATED);
	dns.lines = 0;
	say(C, MSP_TYPE_KEY, MSP_LOOKUP_SECURE, C " 300 KEY " KEY_2);
	look();
	assert_int_equal(desk.boot, PRT_BOOT_MISSED);
	now.s += 4000; /* the next one is due */
	dns.lines = 0;
	say(C, MSP_TYPE_KEY, MSP_LOOKUP_TIMEOUT, NULL);
	look();
	assert_int_equal(desk.boot, PRT_BOOT_AGAIN);
	close_rig();
}

static void without_a_resolver_nothing_is_said_about_a_key(void **state)
{
	(void)state;
	open_rig();
	app.resolver = NULL;
	put_child(C, SIGNED);
	put_key(PRT_METHOD_APEX);
	look();
	assert_int_equal(desk.boot, PRT_BOOT_AGAIN);
	close_rig();
}

#define SIGNAL "_sig0key." C "_signal.ns.other.test."
static void a_key_at_the_signal_name_of_a_server_outside_is_validated(void **state)
{
	(void)state;
	open_rig();
	put_child(C, PLAIN);
	put_key(PRT_METHOD_NS);
	say(SIGNAL, MSP_TYPE_KEY, MSP_LOOKUP_SECURE, SIGNAL " 300 KEY " KEY_1);
	say(C, MSP_TYPE_KEY, MSP_LOOKUP_INSECURE, C " 300 KEY " KEY_1);
	look();
	assert_int_equal(desk.boot, PRT_BOOT_VALIDATED);
	dns.lines--; /* the apex shows nothing */
	look();
	assert_int_equal(desk.boot, PRT_BOOT_MISSED);
	now.s += 4000; /* the next one is due */
	dns.lines = 0; /* the server's zone is not signed: nobody speaks */
	say(SIGNAL, MSP_TYPE_KEY, MSP_LOOKUP_INSECURE, NULL);
	say(C, MSP_TYPE_KEY, MSP_LOOKUP_INSECURE, C " 300 KEY " KEY_1);
	look();
	assert_int_equal(desk.boot, PRT_BOOT_MISSED);
	assert_string_equal(desk.boot_why.text, "no name server outside the child is in a signed zone");
	close_rig();
}

static void an_unsigned_child_is_looked_at_at_every_address_and_from_every_vantage_point(void **state)
{
	struct prt_conf_vantage vantage[2] = { { k_addr("192.0.2.101", 53) }, { k_addr("192.0.2.102", 53) } };

	(void)state;
	open_rig();
	conf.vantages.item = vantage;
	conf.vantages.count = 2;
	rules.boot = (struct prt_boot_rules){
		.methods = 1u << PRT_METHOD_UNSIGNED, .vantages = 3, .rounds = 2, .span_s = 100
	};
	put_child(C, PLAIN);
	put_key(PRT_METHOD_UNSIGNED);
	plain.keys = C " 300 KEY " KEY_1;
	look();
	assert_int_equal(plain.count, 4);
	assert_false(plain.asked[0].rd);
	assert_true(plain.asked[3].rd);
	assert_int_equal(desk.boot, PRT_BOOT_AGAIN); /* the first of two rounds */
	now.s += 100;
	look();
	assert_int_equal(desk.boot, PRT_BOOT_VALIDATED);
	plain.other_keys = C " 300 KEY " KEY_2;
	look();
	assert_int_equal(desk.boot, PRT_BOOT_MISSED);
	plain.other_keys = NULL;
	plain.no_aa = true; /* a server that does not answer for the child has said nothing */
	look();
	assert_int_equal(desk.boot, PRT_BOOT_AGAIN);
	close_rig();
}

static void keys_that_are_not_due_are_not_looked_at(void **state)
{
	struct msp_name child = t_name(C);
	struct prt_child c;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_key(PRT_METHOD_APEX);
	c = get_child(C);
	c.boot[0].next.s = NOW + 3600;
	store(&c);
	prt_child_fini(&c);
	prt_follow_needs(&app, &child, PRT_NEED_LOOK);
	settle();
	assert_int_equal(dns.asked, 0);
	assert_int_equal(desk.looked, 0);
	close_rig();
}

/* --- what is due ----------------------------------------------------------------------------------------------------
 */

static void put_due(const char *name, int64_t at)
{
	struct prt_child c;

	put_child(name, SIGNED);
	c = get_child(name);
	c.scan.next.s = at;
	store(&c);
	prt_child_fini(&c);
}

static void what_is_due_is_ticked_and_what_the_tick_asks_for_is_done(void **state)
{
	(void)state;
	open_rig();
	put_due("a.example.", NOW - 5);
	put_due("b.example.", NOW + 5);
	desk.tick_need = PRT_NEED_SCAN;
	prt_agenda_look(app.follow);
	UNTIL_DESK(scanned, 1);
	settle();
	assert_int_equal(desk.ticked, 1);
	assert_int_equal(desk.scanned, 1);
	now.s += 5;
	prt_agenda_look(app.follow);
	UNTIL_DESK(scanned, 2);
	close_rig();
}

static void those_that_stay_due_hold_up_nobody(void **state)
{
	char name[40];

	(void)state;
	open_rig();
	for (size_t i = 0; i < 2 * PRT_AGENDA_MAX + 100; i++) {
		snprintf(name, sizeof(name), "c%05zu.example.", i);
		put_due(name, NOW - 5);
	}
	put_due("last.example.", NOW - 1);
	desk.tick_fails = true;
	desk.watched = "last.example.";
	prt_agenda_look(app.follow);
	UNTIL_DESK(watched_ticks, 1);
	UNTIL_DESK(watched_ticks, 2); /* and they all have their turn again */
	close_rig();
}

static void what_another_process_has_seen_to_is_not_done_again(void **state)
{
	struct prt_task *t;
	struct msp_name child = t_name("a.example.");

	(void)state;
	open_rig();
	put_due("a.example.", NOW + 300); /* it has been put off since it was found due */
	T_OK(prt_task_want(app.follow, &child, PRT_DO_TICK, 0, &t));
	prt_follow_pump(app.follow);
	settle();
	assert_int_equal(books.jobs, 1);
	assert_int_equal(desk.ticked, 0);
	assert_int_equal(app.follow->tasks.count, 0);
	close_rig();
}

static void what_was_under_way_is_due_again_after_a_restart(void **state)
{
	(void)state;
	open_rig();
	put_child(C, SIGNED);
	prober.shows = 1u << PRT_Q_CDS;
	prober.is_held = true;
	assert_true(notify());
	K_UNTIL_COUNT(&k, &prober.started, 1);
	prt_follow_close(&app.follow); /* before the servers have answered */
	prober.is_held = false;
	now.s += 300;
	T_OK(prt_follow_open(&app, &app.follow));
	app.follow->wall = clock_of_test;
	desk.tick_need = PRT_NEED_SCAN;
	prt_agenda_look(app.follow);
	UNTIL_DESK(scanned, 1);
	close_rig();
}

/* --- the sweep ------------------------------------------------------------------------------------------------------
 */

static void put_children(size_t count)
{
	char name[40];

	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "c%05zu.example.", i);
		put_child(name, SIGNED);
	}
}

static bool is_swept(void *arg)
{
	struct prt_follow_stats s = prt_follow_stats(app.follow);

	prt_sweep_step(app.follow->sweep, 50);
	return s.sweep_end.s >= *(int64_t *)arg;
}

static void sweep(int64_t until)
{
	assert_true(msp_loop_run_until(k.loop, is_swept, &until, K_LIMIT_MS));
}

static void the_sweep_comes_by_every_child_once(void **state)
{
	(void)state;
	open_rig();
	conf.limits.sweep_s = 1;
	conf.limits.scan_rate = 100000;
	put_children(2500);
	sweep(NOW);
	assert_int_equal(prober.started, 2500);
	assert_int_equal(desk.scanned, 0); /* they had nothing to say */
	assert_int_equal(books.jobs, 0);
	assert_int_equal(prt_follow_stats(app.follow).swept, 2500);
	assert_true(prober.most <= 500);
	now.s += 10; /* the next one begins */
	sweep(NOW + 10);
	assert_int_equal(prober.started, 5000);
	close_rig();
}

static void a_sweep_that_was_broken_off_goes_on_at_its_place(void **state)
{
	(void)state;
	open_rig();
	conf.limits.sweep_s = 1;
	conf.limits.scan_rate = 100000;
	put_children(3500);
	while (books.places < 2)
		msp_loop_run_until(k.loop, is_swept, &(int64_t){ NOW }, 1);
	assert_true(prober.started < 3500);
	prt_follow_close(&app.follow);
	assert_true(prober.started >= 1000);
	prober.started = 0;
	T_OK(prt_follow_open(&app, &app.follow));
	app.follow->wall = clock_of_test;
	sweep(NOW);
	assert_true(prober.started <= 2500); /* not all of them again */
	assert_true(prober.started >= 500);
	close_rig();
}

static void one_process_sweeps(void **state)
{
	(void)state;
	open_rig();
	conf.limits.sweep_s = 1;
	books.is_held_elsewhere = true;
	put_children(10);
	for (size_t i = 0; i < 20; i++) {
		prt_sweep_step(app.follow->sweep, 50);
		msp_loop_run_until(k.loop, always, NULL, 2);
	}
	assert_int_equal(prober.started, 0);
	close_rig();
}

static void the_sweep_keeps_to_its_rate(void **state)
{
	(void)state;
	open_rig();
	conf.limits.sweep_s = 3600;
	conf.limits.scan_rate = 20; /* so slow that it takes longer than it should */
	put_children(1000);
	conf.limits.sweep_s = 10;
	while (prober.started < 3)
		msp_loop_run_until(k.loop, always, NULL, 1);
	prober.started = 0;
	for (size_t i = 0; i < 10; i++)
		prt_sweep_step(app.follow->sweep, 100);
	settle();
	assert_true(prober.started >= 19);
	assert_true(prober.started <= 25);
	close_rig();
}

static void few_children_are_all_reached_in_a_day(void **state)
{
	(void)state;
	open_rig();
	conf.limits.sweep_s = 86400;
	conf.limits.scan_rate = 20;
	put_children(5);
	K_UNTIL_COUNT(&k, &prober.started, 1);
	for (size_t i = 0; i < (size_t)86400 * 20; i++)
		prt_sweep_step(app.follow->sweep, 50);
	sweep(NOW);
	assert_int_equal(prober.started, 5);
	close_rig();
}

static void a_sweep_after_a_long_rest_begins_no_faster(void **state)
{
	(void)state;
	open_rig();
	conf.limits.sweep_s = 10;
	conf.limits.scan_rate = 20;
	put_children(60);
	sweep(NOW);
	assert_int_equal(prober.started, 60);
	prober.started = 0;
	for (size_t i = 0; i < 100; i++)
		prt_sweep_step(app.follow->sweep, 1000); /* nothing to be done */
	now.s += 100;
	prt_sweep_step(app.follow->sweep, 0);
	K_UNTIL_COUNT(&k, &prober.started, 1);
	settle();
	assert_true(prober.started <= 20); /* a second's worth, not all of them */
	close_rig();
}

static void after_the_clock_was_put_back_the_sweep_still_comes_by(void **state)
{
	struct prt_child c;

	(void)state;
	open_rig();
	conf.limits.sweep_s = 1;
	conf.limits.scan_rate = 100000;
	put_due("a.example.", NOW + 400 * 86400); /* the next look was arranged a year from now */
	put_child("b.example.", SIGNED);
	c = get_child("b.example.");
	c.flags |= PRT_CHILD_NOTICED;
	c.scan.last.s = NOW + 400 * 86400;
	store(&c);
	prt_child_fini(&c);
	sweep(NOW);
	assert_int_equal(prober.started, 2);
	close_rig();
}

static void the_sweep_leaves_alone_what_cannot_lead_to_anything(void **state)
{
	struct prt_child c;

	(void)state;
	open_rig();
	conf.limits.sweep_s = 1;
	conf.limits.scan_rate = 100000;
	rules.dsboot = PRT_DSBOOT_NONE;
	put_child("a.example.", PLAIN);
	put_child("b.example.", NULL);
	put_due("c.example.", NOW + 100); /* comes by itself */
	put_child("d.example.", SIGNED);
	c = get_child("d.example.");
	c.flags |= PRT_CHILD_LOCKED;
	store(&c);
	prt_child_fini(&c);
	sweep(NOW);
	assert_int_equal(prober.started, 0);
	assert_int_equal(prt_follow_stats(app.follow).swept, 4);
	close_rig();
}

/* The books keep what they have of a parent that is not configured any more, or only elsewhere. */
static void children_of_a_parent_that_is_not_configured_are_left_as_they_are(void **state)
{
	struct msp_name child = t_name(C);
	struct prt_child c;

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_pending(SIGNED);
	put_key(PRT_METHOD_APEX);
	parent_is_dropped = true;
	now.s += 3600; /* all of it is due */
	prt_agenda_look(app.follow);
	settle();
	scan(C);
	settle();
	assert_true(notify());
	settle();
	prt_follow_needs(&app, &child, PRT_NEED_LOOK | PRT_NEED_CHECK);
	settle();
	conf.limits.sweep_s = 86400;
	sweep(now.s);
	assert_int_equal(desk.ticked + desk.scanned + desk.failed + desk.checked + desk.looked, 0);
	assert_int_equal(prober.started + dns.asked, 0);
	c = get_child(C);
	assert_int_equal(c.pending.wait, PRT_WAIT_CHECKS);
	prt_child_fini(&c);
	close_rig();
}

/* --- reports --------------------------------------------------------------------------------------------------------
 */

static void a_report_is_named_after_what_went_wrong(void **state)
{
	struct msp_name child = t_name("broken.test."), agent = t_name("a01.agent-domain.example."), out;
	struct msp_name want = t_name("_er.1.broken.test.7._er.a01.agent-domain.example.");

	(void)state;
	T_OK(prt_report_name(&child, 1, 7, &agent, &out)); /* the example of RFC 9567 4.2 */
	assert_true(msp_name_same(&out, &want));
	child = t_name(LABEL "." LABEL ".test.");
	agent = t_name(LABEL "." LABEL ".example.");
	T_ERR(prt_report_name(&child, 59, 49177, &agent, &out), MSP_ENAME);
}

static void an_agent_must_be_at_or_below_a_name_server(void **state)
{
	static const struct {
		const char *agent;
		bool is_allowed;
	} cases[] = { { "ns.other.test.", true },   { "er.ns.other.test.", true },    { "other.test.", false },
		      { "ans.other.test.", false }, { "ns.other.test.evil.", false }, { "er.ns1." C, true } };
	struct prt_delegation d;

	(void)state;
	t_delegation(&d, SIGNED);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msp_name agent = t_name(cases[i].agent);

		assert_int_equal(prt_report_is_allowed(&d, &agent), cases[i].is_allowed);
	}
	prt_delegation_clear(&d);
}

static void a_failed_scan_is_reported_once_an_hour(void **state)
{
	struct msp_name child = t_name(C), agent = t_name("er.ns.other.test.");
	struct msp_name want = t_name("_er.59." C "49177._er.er.ns.other.test.");

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	prober.shows = 1u << PRT_Q_CDS;
	desk.need = PRT_NEED_REPORT;
	assert_true(prt_follow_notify(&app, &child, MSP_TYPE_CDS, &agent));
	K_UNTIL_COUNT(&k, &dns.asked, 1);
	assert_true(msp_name_equal(&dns.last_name, &want));
	assert_int_equal(app.stats.reports, 1);
	now.s += 61;
	scan(C);
	settle();
	assert_int_equal(desk.scanned, 2);
	assert_int_equal(dns.asked, 1);
	now.s += 3600;
	scan(C);
	settle();
	assert_int_equal(dns.asked, 2);
	agent = t_name("victim.test."); /* not theirs */
	now.s += 3600;
	assert_true(prt_follow_notify(&app, &child, MSP_TYPE_CDS, &agent));
	settle();
	assert_int_equal(desk.scanned, 4);
	assert_int_equal(dns.asked, 2);
	close_rig();
}

static void expect_report(size_t asked, const char *name)
{
	struct msp_name want = t_name(name);

	K_UNTIL_COUNT(&k, &dns.asked, asked);
	assert_true(msp_name_equal(&dns.last_name, &want));
}

static void scan_again(void)
{
	size_t before = desk.scanned;

	now.s += 3601;
	scan(C);
	UNTIL_DESK(scanned, before + 1);
	settle();
}

static void a_failed_scan_is_reported_where_the_servers_say(void **state)
{
	(void)state;
	open_rig();
	put_child(C, SIGNED);
	prober.shows = 1u << PRT_Q_CDS;
	desk.need = PRT_NEED_REPORT;
	desk.refuses = PRT_SRC_CDS;
	scan_again(); /* they do not */
	assert_int_equal(dns.asked, 0);
	prober.agent[0] = "victim.test."; /* not theirs */
	scan_again();
	assert_int_equal(dns.asked, 0);
	assert_int_equal(app.stats.reports, 0);
	prober.agent[1] = "er.ns.other.test."; /* the first one that may be */
	scan_again();
	expect_report(1, "_er.59." C "49177._er.er.ns.other.test.");
	desk.refuses = PRT_SRC_CSYNC;
	scan_again();
	expect_report(2, "_er.62." C "49177._er.er.ns.other.test.");
	now.s -= 1800;
	scan_again(); /* one an hour */
	assert_int_equal(dns.asked, 2);
	scan_again();
	assert_int_equal(dns.asked, 3);
	assert_int_equal(app.stats.reports, 3);
	prober.agent[1] = NULL; /* nothing of it is remembered */
	scan_again();
	assert_int_equal(dns.asked, 3);
	close_rig();
}

static void what_a_notify_says_about_reports_goes_before_what_the_servers_say(void **state)
{
	struct msp_name child = t_name(C), agent = t_name("a.ns.other.test."), foreign = t_name("victim.test.");

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	prober.shows = 1u << PRT_Q_CDS;
	prober.agent[0] = "b.ns.other.test.";
	desk.need = PRT_NEED_REPORT;
	desk.refuses = PRT_SRC_CDS;
	assert_true(prt_follow_notify(&app, &child, MSP_TYPE_CSYNC, &agent));
	expect_report(1, "_er.62." C "49177._er.a.ns.other.test.");
	settle();
	now.s += 3601;
	assert_true(prt_follow_notify(&app, &child, MSP_TYPE_CSYNC, &foreign));
	expect_report(2, "_er.59." C "49177._er.b.ns.other.test.");
	settle();
	close_rig();
}

static void what_a_notify_says_about_reports_does_not_outlive_a_clock_that_is_put_back(void **state)
{
	struct msp_name child = t_name(C), agent = t_name("a.ns.other.test.");

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	prober.shows = 1u << PRT_Q_CDS;
	prober.agent[0] = "b.ns.other.test.";
	desk.need = PRT_NEED_REPORT;
	desk.refuses = PRT_SRC_CDS;
	now.s += 10 * 365 * 86400;
	assert_true(prt_follow_notify(&app, &child, MSP_TYPE_CDS, &agent));
	expect_report(1, "_er.59." C "49177._er.a.ns.other.test.");
	settle();
	now.s -= 10 * 365 * 86400;
	scan_again();
	expect_report(2, "_er.59." C "49177._er.b.ns.other.test.");
	settle();
	close_rig();
}

#define LONG_AGENT "a23456789012345678901." LABEL "." LABEL "." LABEL ".ns.other.test."
static void an_agent_whose_name_is_too_long_keeps_no_report_from_another_one(void **state)
{
	struct msp_name child = t_name(C), agent = t_name(LONG_AGENT);

	(void)state;
	open_rig();
	put_child(C, SIGNED);
	prober.shows = 1u << PRT_Q_CDS;
	prober.agent[0] = LONG_AGENT;
	prober.agent[1] = "b.ns.other.test.";
	desk.need = PRT_NEED_REPORT;
	desk.refuses = PRT_SRC_CDS;
	assert_true(prt_follow_notify(&app, &child, MSP_TYPE_CDS, &agent));
	settle();
	expect_report(1, "_er.59." C "49177._er.b.ns.other.test.");
	settle();
	close_rig();
}

static void a_key_that_fails_for_good_is_reported_where_the_servers_say(void **state)
{
	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_key(PRT_METHOD_APEX);
	prober.agent[1] = "er.ns.other.test.";
	say(C, MSP_TYPE_KEY, MSP_LOOKUP_SECURE, C " 300 KEY " KEY_2);
	look();
	settle();
	assert_int_equal(desk.boot, PRT_BOOT_MISSED);
	assert_int_equal(prober.started, 0); /* not for good: nothing is asked */
	assert_int_equal(app.stats.reports, 0);
	now.s += 4000;
	desk.gives_up = true;
	look();
	K_UNTIL_COUNT(&k, &app.stats.reports, 1);
	expect_report(3, "_er.25." C "49163._er.er.ns.other.test.");
	assert_int_equal(prober.started, 1);
	settle();
	close_rig();
}

static void a_key_that_fails_is_reported_to_nobody_when_nobody_wants_it(void **state)
{
	(void)state;
	open_rig();
	put_child(C, SIGNED);
	put_key(PRT_METHOD_APEX);
	desk.gives_up = true;
	say(C, MSP_TYPE_KEY, MSP_LOOKUP_SECURE, C " 300 KEY " KEY_2);
	look();
	K_UNTIL_COUNT(&k, &prober.started, 1);
	settle();
	assert_int_equal(dns.asked, 1);
	assert_int_equal(app.stats.reports, 0);
	close_rig();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_check_looks_at_the_servers_of_what_waits_and_tells_who_watches),
		cmocka_unit_test(a_change_that_replaces_the_one_looked_at_is_looked_at_itself),
		cmocka_unit_test(a_watch_that_is_forgotten_hears_nothing),
		cmocka_unit_test(a_change_without_any_server_is_judged_all_the_same),
		cmocka_unit_test(a_check_of_a_child_that_is_not_there_says_so),
		cmocka_unit_test(a_judgement_about_a_child_that_has_changed_is_made_again),
		cmocka_unit_test(a_child_that_changes_all_the_time_is_judged_in_the_books),
		cmocka_unit_test(a_transaction_that_runs_twice_hands_a_judgement_over_once),
		cmocka_unit_test(books_and_prober_without_room_are_asked_again),
		cmocka_unit_test(what_is_asked_again_meanwhile_is_done_once_more_and_once),
		cmocka_unit_test(no_more_than_the_limit_is_under_way_and_a_check_does_not_wait_for_scans),
		cmocka_unit_test(the_line_has_an_end),
		cmocka_unit_test(close_with_everything_under_way),
		cmocka_unit_test(a_notify_leads_to_one_scan_and_those_behind_it_are_coalesced),
		cmocka_unit_test(a_notify_does_not_wait_for_the_retry_of_a_look_that_failed),
		cmocka_unit_test(a_secure_child_is_asked_once_for_all_that_its_cds_needs),
		cmocka_unit_test(csync_is_looked_at_with_its_hosts_and_a_second_soa),
		cmocka_unit_test(dead_addresses_are_left_alone_by_looks_that_nobody_has_asked_for),
		cmocka_unit_test(what_has_changed_nothing_is_not_stored),
		cmocka_unit_test(a_prober_that_refuses_makes_a_failed_scan),
		cmocka_unit_test(signal_names_of_a_first_ds_are_looked_up_for_servers_outside),
		cmocka_unit_test(the_worse_of_two_signal_look_ups_counts),
		cmocka_unit_test(a_signal_name_that_is_too_long_is_a_server_that_says_nothing),
		cmocka_unit_test(a_key_at_the_apex_of_a_secure_child_is_validated),
		cmocka_unit_test(without_a_resolver_nothing_is_said_about_a_key),
		cmocka_unit_test(a_key_at_the_signal_name_of_a_server_outside_is_validated),
		cmocka_unit_test(an_unsigned_child_is_looked_at_at_every_address_and_from_every_vantage_point),
		cmocka_unit_test(keys_that_are_not_due_are_not_looked_at),
		cmocka_unit_test(what_is_due_is_ticked_and_what_the_tick_asks_for_is_done),
		cmocka_unit_test(those_that_stay_due_hold_up_nobody),
		cmocka_unit_test(what_another_process_has_seen_to_is_not_done_again),
		cmocka_unit_test(what_was_under_way_is_due_again_after_a_restart),
		cmocka_unit_test(the_sweep_comes_by_every_child_once),
		cmocka_unit_test(a_sweep_that_was_broken_off_goes_on_at_its_place),
		cmocka_unit_test(one_process_sweeps),
		cmocka_unit_test(the_sweep_keeps_to_its_rate),
		cmocka_unit_test(few_children_are_all_reached_in_a_day),
		cmocka_unit_test(a_sweep_after_a_long_rest_begins_no_faster),
		cmocka_unit_test(after_the_clock_was_put_back_the_sweep_still_comes_by),
		cmocka_unit_test(the_sweep_leaves_alone_what_cannot_lead_to_anything),
		cmocka_unit_test(children_of_a_parent_that_is_not_configured_are_left_as_they_are),
		cmocka_unit_test(a_report_is_named_after_what_went_wrong),
		cmocka_unit_test(an_agent_must_be_at_or_below_a_name_server),
		cmocka_unit_test(a_failed_scan_is_reported_once_an_hour),
		cmocka_unit_test(a_failed_scan_is_reported_where_the_servers_say),
		cmocka_unit_test(what_a_notify_says_about_reports_goes_before_what_the_servers_say),
		cmocka_unit_test(what_a_notify_says_about_reports_does_not_outlive_a_clock_that_is_put_back),
		cmocka_unit_test(an_agent_whose_name_is_too_long_keeps_no_report_from_another_one),
		cmocka_unit_test(a_key_that_fails_for_good_is_reported_where_the_servers_say),
		cmocka_unit_test(a_key_that_fails_is_reported_to_nobody_when_nobody_wants_it),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
