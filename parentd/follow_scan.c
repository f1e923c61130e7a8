/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A look at CDS and CSYNC. Most children have nothing to say: a child without DS is asked three cheap questions first,
 * one with DS at once for all that is needed to believe its CDS, since a second connection would cost more than the
 * questions. What is seen is judged by a worker: where nothing follows, the books hear nothing of it.
 */
#include "follow_priv.h"

#include <msproto/base/mem.h>

#include <stdio.h>
#include <string.h>

#define BETWEEN_S  60 /* G.3: looks on NOTIFY */
#define HOUR_S     3600
#define NOTICED_S  7200 /* retries of a NOTIFY: 5 + 10 + 20 + 40 minutes, and some */
#define DAY_S      86400
#define RARER      7 /* sweeps */
#define DS_BITS    ((1u << PRT_Q_CDS) | (1u << PRT_Q_CDNSKEY))
#define CSYNC_BITS (1u << PRT_Q_CSYNC)

static bool is_open(const struct prt_rules *rules, enum prt_source source)
{
	return (rules->policy.sources & 1u << source) != 0;
}

static bool is_secure(const struct prt_child *c)
{
	return prt_delegation_ds(&c->registered) != NULL;
}

bool prt_scan_is_worth(const struct prt_rules *rules, const struct prt_child *c)
{
	if ((c->flags & PRT_CHILD_GONE) != 0 || prt_delegation_ns(&c->registered) == NULL)
		return false;
	if (is_secure(c))
		return is_open(rules, PRT_SRC_CDS) || is_open(rules, PRT_SRC_CSYNC);
	return is_open(rules, PRT_SRC_DSBOOT) && rules->dsboot != PRT_DSBOOT_NONE;
}

/* --- what was seen ------------------------------------------------------------------------------------------------ */

static bool shows(const struct prt_evidence *e, enum prt_question q)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->server[i].answer[q].set != NULL && e->server[i].answer[q].set->count > 0)
			return true;
	return false;
}

static bool shows_ds(const struct prt_evidence *e)
{
	return shows(e, PRT_Q_CDS) || shows(e, PRT_Q_CDNSKEY);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* What the servers of another delegation show is no evidence. */
static bool is_still(struct prt_errand *r, const struct prt_child *c)
{
	r->is_obsolete = !prt_delegation_equal(&c->registered, &r->base);
	return !r->is_obsolete;
}

static enum msp_err scanned(struct prt_errand *r, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	uint8_t failures = c->scan.failures;
	enum msp_err err;

	if (!is_still(r, c))
		return MSP_OK;
	err = prt_desk_scanned(r->rules, c, &r->evidence, r->dsboots > 0 ? r->dsboot : NULL, r->dsboots, now, out);
	r->is_failure = c->scan.failures > failures;
	return err;
}

static enum msp_err failed(struct prt_errand *r, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	return prt_desk_scan_failed(r->rules, c, r->why, now, out);
}

static void decided(struct prt_errand *r, enum msp_err err)
{
	if (err == MSP_OK && r->is_obsolete) { /* once more, with the servers that it has now */
		r->task->want |= PRT_NEED_SCAN;
		r->task->by |= PRT_BY_DUE;
	}
	r->f->app->stats.scan_failures += r->is_failure;
	if (err == MSP_OK)
		prt_errand_outcome(r);
	prt_errand_end(r, err);
}

static void fail(struct prt_errand *r, const char *what, enum msp_err err)
{
	r->f->app->stats.scan_failures++;
	if (r->by == PRT_BY_SWEEP) { /* it comes by again */
		prt_errand_end(r, err);
		return;
	}
	(void)snprintf(r->why, sizeof(r->why), "%s: %s", what, msp_err_text(err));
	prt_errand_decide(r, failed, decided);
}

static void decide(struct prt_errand *r)
{
	prt_errand_decide(r, scanned, decided);
}

/* --- RFC 9615 ----------------------------------------------------------------------------------------------------- */

/* How far both look-ups of a name server together can be believed: one that is denied says nothing beside one that is
 * there; of all else the worse. */
static enum msp_lookup together(enum msp_lookup a, enum msp_lookup b)
{
	static const enum msp_lookup order[] = { MSP_LOOKUP_BOGUS,   MSP_LOOKUP_INSECURE, MSP_LOOKUP_INDETERMINATE,
						 MSP_LOOKUP_TIMEOUT, MSP_LOOKUP_FAILED,   MSP_LOOKUP_SECURE,
						 MSP_LOOKUP_NODATA };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return MSP_LOOKUP_FAILED;
}

static void signalled(struct prt_errand *r)
{
	for (size_t i = 0; i < r->dsboots; i++) {
		const struct prt_lookup *cds = &r->ask[2 * i], *cdnskey = &r->ask[2 * i + 1];
		struct prt_dsboot_seen *s = &r->dsboot[i];

		s->verdict = together(cds->verdict, cdnskey->verdict);
		s->cds = cds->secure != NULL ? msp_secure_get(cds->secure) : NULL;
		s->cdnskey = cdnskey->secure != NULL ? msp_secure_get(cdnskey->secure) : NULL;
	}
	decide(r);
}

static enum msp_err ask_signals(struct prt_errand *r)
{
	struct msp_name ns[PRT_NS_MAX];
	size_t count = prt_outside_ns(&r->base, ns);
	enum msp_err err = prt_errand_asks(r, 2 * count);

	if (err != MSP_OK)
		return err;
	for (size_t i = 0; i < count; i++) {
		r->dsboot[i].ns = ns[i];
		for (size_t k = 0; k < 2; k++) {
			struct prt_lookup *a = &r->ask[2 * i + k];

			a->type = k == 0 ? MSP_TYPE_CDS : MSP_TYPE_CDNSKEY;
			/* A name that cannot be has nothing to show: this name server fails. */
			a->is_known = prt_signal_name("_dsboot", &r->task->child, &ns[i], &a->name) != MSP_OK;
			a->verdict = MSP_LOOKUP_NODATA;
		}
	}
	r->dsboots = count;
	prt_errand_ask(r, signalled);
	return MSP_OK;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

static void seen_all(struct prt_errand *r, enum msp_err err)
{
	bool wants_signals = !is_secure(&r->child) && r->rules->dsboot == PRT_DSBOOT_RFC9615;

	if (err == MSP_OK && wants_signals) {
		err = ask_signals(r);
		if (err == MSP_OK)
			return;
	}
	if (err == MSP_OK)
		decide(r);
	else
		fail(r, "look at the servers", err);
}

/* --- CSYNC: the name servers that the child would have, too ------------------------------------------------------- */

static enum msp_err add_set(struct prt_delegation *d, const struct msp_rrset *set)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && set != NULL && i < set->count; i++) {
		const struct msp_rr rr = { .owner = set->owner,
					   .type = set->type,
					   .cls = MSP_CLASS_IN,
					   .ttl = set->ttl,
					   .rdata = set->rdata[i] };

		err = prt_delegation_add(d, &rr);
	}
	return err;
}

/* The delegation that the servers show: the apex NS RRset of the first one that has one, addresses as any of them says.
 * Only for the question where to look: what is proposed is evidence.c's to say. */
static enum msp_err apex(const struct prt_errand *r, struct prt_delegation *d)
{
	const struct prt_evidence *e = &r->evidence;
	enum msp_err err = MSP_OK;

	prt_delegation_init(d, &r->base.parent, &r->base.child);
	for (size_t i = 0; err == MSP_OK && i < e->count && prt_delegation_ns(d) == NULL; i++)
		err = add_set(d, e->server[i].answer[PRT_Q_NS].set);
	for (size_t i = 0; err == MSP_OK && i < e->count; i++) {
		const struct prt_server *s = &e->server[i];

		for (size_t k = 0; err == MSP_OK && k < s->hosts; k++) {
			err = add_set(d, s->at[k].a.set);
			if (err == MSP_OK)
				err = add_set(d, s->at[k].aaaa.set);
		}
	}
	for (size_t i = 0; err == MSP_OK && i < r->base.count; i++) {
		const struct msp_rrset *set = r->base.set[i];

		/* glue that CSYNC does not speak of stays */
		if (set->type != MSP_TYPE_NS && prt_delegation_get(d, &set->owner, set->type) == NULL)
			err = add_set(d, set);
	}
	prt_delegation_drop_idle_glue(d);
	return err;
}

static bool has_all(const struct prt_delegation *d, const struct prt_delegation *part)
{
	for (size_t i = 0; i < part->count; i++)
		if (!msp_rrset_contains(prt_delegation_get(d, &part->set[i]->owner, part->set[i]->type), part->set[i]))
			return false;
	return true;
}

static bool is_known(const struct prt_evidence *e, const struct prt_server *s)
{
	for (size_t i = 0; i < e->count; i++)
		if (msp_name_equal(&e->server[i].host, &s->host) && msp_addr_equal(&e->server[i].addr, &s->addr))
			return true;
	return false;
}

/* Servers of both looks, each once: they are moved. */
static enum msp_err join(struct prt_evidence *first, struct prt_evidence *second, struct prt_evidence *out)
{
	size_t count = first->count;
	enum msp_err err;

	for (size_t i = 0; i < second->count; i++)
		count += !is_known(first, &second->server[i]);
	err = prt_evidence_new(&first->child, count, out);
	if (err != MSP_OK)
		return err;
	count = first->count;
	for (size_t i = 0; i < second->count; i++) {
		if (is_known(first, &second->server[i]))
			continue;
		out->server[count++] = second->server[i];
		memset(&second->server[i], 0, sizeof(second->server[i]));
	}
	memcpy(out->server, first->server, first->count * sizeof(first->server[0]));
	memset(first->server, 0, first->count * sizeof(first->server[0]));
	return MSP_OK;
}

static void seen_new(struct prt_errand *r, enum msp_err err)
{
	struct prt_evidence both;

	if (err == MSP_OK)
		err = join(&r->former, &r->evidence, &both);
	if (err == MSP_OK) {
		prt_evidence_fini(&r->evidence);
		r->evidence = both;
	}
	seen_all(r, err);
}

/* RFC 7477 copies what the child says; whether servers that are new answer for it has to be seen first (G.4). */
static void seen_csync(struct prt_errand *r, enum msp_err err)
{
	struct prt_delegation d;
	struct msp_why why;

	if (err != MSP_OK) {
		seen_all(r, err);
		return;
	}
	err = apex(r, &d);
	if (err != MSP_OK || has_all(&r->base, &d) ||
	    prt_delegation_check(&d, &r->rules->check.shape, &why) != MSP_OK) {
		prt_delegation_clear(&d); /* nobody new, or nobody to be asked: it is judged as it is */
		seen_all(r, MSP_OK);
		return;
	}
	r->former = r->evidence;
	r->has_former = true;
	r->has_evidence = false;
	prt_errand_probe(r, &d, &r->base, r->questions, seen_new);
	prt_delegation_clear(&d);
}

static void seen_first(struct prt_errand *r, enum msp_err err)
{
	bool is_csync, is_ds;

	if (err != MSP_OK) {
		fail(r, "look at the servers", err);
		return;
	}
	is_csync = shows(&r->evidence, PRT_Q_CSYNC);
	is_ds = shows_ds(&r->evidence);
	if (is_csync)
		prt_errand_probe(r, &r->probed, NULL, PRT_PROBE_CSYNC | (r->questions & DS_BITS), seen_csync);
	else if (is_ds && !is_secure(&r->child))
		prt_errand_probe(r, &r->probed, NULL, PRT_PROBE_CDS, seen_all);
	else if (!is_ds && r->by == PRT_BY_SWEEP && r->child.scan.failures == 0 &&
		 r->child.pending.wait == PRT_WAIT_NONE)
		prt_errand_end(r, MSP_OK); /* it has nothing to say, and nobody has said that it had */
	else
		decide(r);
}

/*
 * Nobody has asked for it: not an operator, not a NOTIFY in the time that its retries last. Who has asked has perhaps
 * mended just what was dead, and hears what is so now. Nor is it put before what waits to be seen again: its count
 * would begin anew. What is left are the sweep, which comes by again, and retries of what the sweep has found.
 */
static bool is_unasked(const struct prt_errand *r)
{
	const struct prt_scan *s = &r->child.scan;

	for (size_t i = 0; i < sizeof(s->started) / sizeof(s->started[0]); i++)
		if (s->started[i].s != 0 && r->f->wall().s - s->started[i].s < NOTICED_S)
			return false;
	return (r->by & (PRT_BY_NOTIFY | PRT_BY_OPERATOR)) == 0 && r->child.pending.wait == PRT_WAIT_NONE &&
	       (r->by == PRT_BY_SWEEP || s->failures > 0);
}

static void look(struct prt_errand *r)
{
	unsigned questions = DS_BITS | (is_secure(&r->child) ? PRT_PROBE_CHECK : 1u << PRT_Q_SOA);

	if (is_secure(&r->child) && is_open(r->rules, PRT_SRC_CSYNC))
		questions |= CSYNC_BITS;
	r->f->app->stats.scans++;
	r->is_idle = is_unasked(r);
	r->has_base = prt_delegation_dup(&r->child.registered, &r->base) == MSP_OK;
	if (!r->has_base) {
		fail(r, "look at the servers", MSP_ENOMEM);
		return;
	}
	prt_errand_probe(r, &r->child.registered, NULL, questions, seen_first);
}

/* --- may it be looked at now -------------------------------------------------------------------------------------- */

/* When the limits on NOTIFY leave room again. */
static struct msp_wall next_start(const struct prt_scan *s, struct msp_wall now)
{
	size_t max = sizeof(s->started) / sizeof(s->started[0]), in_hour = 0;
	struct msp_wall oldest = now, next = now;

	for (size_t i = 0; i < max; i++) {
		struct msp_wall t = s->started[i];

		if (t.s == 0 || now.s - t.s >= HOUR_S)
			continue;
		in_hour++;
		oldest = t.s < oldest.s ? t : oldest;
		next.s = t.s + BETWEEN_S > next.s ? t.s + BETWEEN_S : next.s;
	}
	if (in_hour == max && oldest.s + HOUR_S > next.s)
		next.s = oldest.s + HOUR_S;
	return next;
}

/* A NOTIFY that comes too early is not forgotten: it is due when its time has come, even after a restart, and does not
 * wait for the retries of a look that found something else. */
static enum msp_err may_scan(struct prt_errand *r, struct prt_child *c, struct msp_wall now, struct prt_outcome *out)
{
	struct msp_wall next;

	r->may = prt_desk_may_scan(c, now);
	next = next_start(&c->scan, now);
	if (!r->may && c->scan.next.s != 0 && c->scan.next.s <= next.s)
		return MSP_OK;
	if (!r->may)
		c->scan.next = next;
	out->is_changed = true;
	return MSP_OK;
}

static void allowed(struct prt_errand *r, enum msp_err err)
{
	if (err == MSP_OK && r->may)
		look(r);
	else
		prt_errand_end(r, err);
}

/* The sweep leaves alone what comes by itself soon, and comes more rarely to those who send NOTIFY (G.3). A look that
 * was in time to come, or that is to be more than a day away, is from before the clock was put back: neither counts. */
static bool is_passed_by(const struct prt_errand *r)
{
	const struct prt_scan *s = &r->child.scan;
	int64_t rare_s = (int64_t)r->f->app->conf->limits.sweep_s * RARER, now = r->f->wall().s;

	if ((r->child.flags & PRT_CHILD_LOCKED) != 0 || (s->next.s != 0 && s->next.s - now <= DAY_S))
		return true;
	return (r->child.flags & PRT_CHILD_NOTICED) != 0 && s->last.s != 0 && s->last.s <= now &&
	       now - s->last.s < rare_s;
}

static void loaded(struct prt_errand *r, enum msp_err err)
{
	bool is_asked = (r->by & PRT_BY_OPERATOR) != 0;

	if (err != MSP_OK || (r->child.flags & PRT_CHILD_GONE) != 0 ||
	    (!is_asked && !prt_scan_is_worth(r->rules, &r->child)) || (r->by == PRT_BY_SWEEP && is_passed_by(r)))
		prt_errand_end(r, err);
	else if ((r->by & ~(PRT_BY_NOTIFY | PRT_BY_SWEEP)) == 0 && (r->by & PRT_BY_NOTIFY) != 0)
		prt_errand_note(r, may_scan, allowed);
	else
		look(r);
}

void prt_scan_begin(struct prt_errand *r)
{
	prt_errand_load(r, loaded);
}
