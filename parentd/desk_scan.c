/* SPDX-License-Identifier: BSD-2-Clause */
/* What a look at the child's CDS, CDNSKEY and CSYNC leads to. RFC 7344, 7477, 8078, 9615; PROTOCOL G.3, G.4. */
#include "desk_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HOUR_S       3600
#define BETWEEN_S    60 /* G.3: one look in a minute ... */
#define STARTED_MAX  10 /* ... and ten in an hour */
#define RETRIES      4
#define DELAY_STEP_S 3600 /* between looks at a child whose first DS proves itself by time */

bool prt_desk_may_scan(struct prt_child *c, struct msp_wall now)
{
	struct msp_wall *oldest = &c->scan.started[0];
	int64_t newest = 0;

	for (size_t i = 0; i < STARTED_MAX; i++) {
		struct msp_wall *t = &c->scan.started[i];

		if (t->s > now.s)
			*t = now; /* the clock was put back */
		if (t->s < oldest->s)
			oldest = t;
		if (t->s > newest)
			newest = t->s;
	}
	if ((newest != 0 && now.s - newest < BETWEEN_S) || (oldest->s != 0 && now.s - oldest->s < HOUR_S))
		return false;
	*oldest = now;
	c->scan.next.s = now.s + PRT_LEASE_S; /* should the one that comes now be lost */
	return true;
}

/** One look; each half of it, CDS and CSYNC, puts in what it comes to. */
struct look {
	const struct prt_desk *k;
	const struct prt_evidence *e;
	const struct prt_findings *found; /* about what is asked for now */
	struct prt_desk_words how;        /* what speaks for it beside that */
	bool must_wait, is_refused;
	enum prt_source source; /* of what must wait or is refused */
	enum msp_ede_own ede;
	char why[512], result[PRT_TEXT_MAX];
};

MSP_PRINTF(3, 4)
static void result(struct look *l, enum prt_source source, const char *text, ...)
{
	size_t len = strlen(l->result);
	va_list ap;

	len += (size_t)snprintf(l->result + len, sizeof(l->result) - len, "%s%s: ", len > 0 ? "; " : "",
				prt_source_name(source));
	if (len >= sizeof(l->result))
		return;
	va_start(ap, text);
	(void)vsnprintf(l->result + len, sizeof(l->result) - len, text, ap);
	va_end(ap);
}

/* A NOTIFY has led to this look, or to the first of its retries. */
static bool is_notified(const struct prt_desk *k)
{
	for (size_t i = 0; i < STARTED_MAX; i++)
		if (k->c->scan.started[i].s != 0 && k->now.s - k->c->scan.started[i].s < 2 * HOUR_S)
			return true;
	return false;
}

static bool is_there(const struct prt_answer *a)
{
	return a->is_asked && a->err == MSP_OK && a->set != NULL && a->set->count > 0;
}

static bool shows_anything(const struct prt_evidence *e)
{
	for (size_t i = 0; i < e->count; i++)
		if (is_there(&e->server[i].answer[PRT_Q_CDS]) || is_there(&e->server[i].answer[PRT_Q_CDNSKEY]) ||
		    is_there(&e->server[i].answer[PRT_Q_CSYNC]))
			return true;
	return false;
}

/* --- the end of a look ----------------------------------------------------------------------------------------------
 */

/* G.4 check 3: 5, 10, 20, 40 minutes, then a report; the next NOTIFY, or the sweep, begins anew. */
static void try_again(struct look *l)
{
	struct prt_scan *s = &l->k->c->scan;

	if (s->failures < RETRIES) {
		s->next.s = l->k->now.s + (int64_t)l->k->r->scan_retry_s[s->failures++];
		return;
	}
	s->failures = 0;
	l->is_refused = true;
	s->result[0] = '\0'; /* on record, whether or not it was before */
}

/* What is refused is on record, and reported, once: not again with each NOTIFY that anybody may send. */
static enum msp_err finish(struct look *l)
{
	struct prt_scan *s = &l->k->c->scan;
	struct prt_asker by = prt_desk_nobody(l->source, prt_source_name(l->source));
	enum msp_err err = MSP_OK;

	if (l->must_wait)
		try_again(l);
	else
		s->failures = 0;
	if (l->is_refused && strcmp(l->result, s->result) != 0) {
		l->k->out->need |= PRT_NEED_REPORT;
		l->k->out->report_ede = (uint16_t)l->ede;
		err = prt_desk_entry(l->k, PRT_VERDICT_REFUSED, &by, "G.4: checks behind NOTIFY", l->why, NULL, NULL);
	}
	memcpy(s->result, l->result, sizeof(s->result));
	return err;
}

/* --- what is asked for ----------------------------------------------------------------------------------------------
 */

/* What waits is not asked for any more, or could not be seen again. */
static enum msp_err withdraw(const struct look *l, enum prt_source source, const char *why)
{
	return l->k->c->pending.wait != PRT_WAIT_NONE && l->k->c->pending.source == source
		       ? prt_desk_drop(l->k, NULL, "G.4", why, false)
		       : MSP_OK;
}

static enum msp_err refuse(struct look *l, enum prt_source source, enum msp_ede_own ede, const char *why)
{
	l->is_refused = true;
	l->source = source;
	l->ede = ede;
	prt_desk_text(l->why, sizeof(l->why), why);
	result(l, source, "refused: %s", why);
	return withdraw(l, source, "refused now");
}

static enum msp_err wait_for_servers(struct look *l, enum prt_source source, enum msp_ede_own ede, const char *why)
{
	/* Of a child that asks for nothing wherever it can be seen, a dead server is not our business (check 2). */
	if (!shows_anything(l->e) && !is_notified(l->k)) {
		result(l, source, "nothing seen; not all servers answer");
		/* what has to prove itself by being there was not there */
		return l->k->c->pending.wait != PRT_WAIT_OPERATOR ? withdraw(l, source, "not seen again at all servers")
								  : MSP_OK;
	}
	l->must_wait = true;
	l->source = source;
	l->ede = ede;
	prt_desk_text(l->why, sizeof(l->why), why);
	result(l, source, "waits: %s", why);
	/* any difference begins the count anew; what an operator has been shown stays there */
	return l->k->c->pending.wait != PRT_WAIT_OPERATOR ? withdraw(l, source, "not seen again at all servers")
							  : MSP_OK;
}

/* What waits is what is asked for now. All DS may have been asked to go by an UPDATE before: two that say so by
 * different ways are no less than one that says so twice. */
static bool is_the_same(const struct prt_pending *p, enum prt_source source, const struct prt_delegation *wanted)
{
	return p->wait != PRT_WAIT_NONE && prt_delegation_equal(wanted, &p->wanted) &&
	       (p->source == source || (p->wait == PRT_WAIT_CONFIRM && source == PRT_SRC_CDS));
}

static enum msp_err put(struct look *l, enum prt_wait wait, struct prt_delegation *wanted, enum prt_source source,
			struct msp_wall next, const char *rule, const char *why)
{
	struct prt_pending *p = &l->k->c->pending;
	struct prt_asker by = prt_desk_nobody(source, prt_source_name(source));

	result(l, source, "%s", why);
	if (p->wait != wait || !is_the_same(p, source, wanted))
		return prt_desk_wait(l->k, wait, wanted, &by, next, rule, why);
	p->source = source;
	p->next = next; /* the same still waits, since then */
	return MSP_OK;
}

static enum msp_err accept(struct look *l, struct prt_delegation *wanted, enum prt_source source, const char *rule,
			   uint32_t inception)
{
	struct prt_asker by = prt_desk_nobody(source, prt_source_name(source));
	struct prt_child *c = l->k->c;
	enum msp_err err;

	prt_desk_say(&l->how, "shown by all that answer; ");
	prt_desk_say_evidence(&l->how, l->found, l->e);
	err = prt_desk_accept(l->k, wanted, &by, rule, l->how.text);
	if (err != MSP_OK)
		return err;
	if (inception != 0)
		c->scan.inception = inception;
	/* G.3: who notifies needs no frequent sweep; a change that was found without shows that it does */
	c->flags &= ~PRT_CHILD_NOTICED;
	if (is_notified(l->k))
		c->flags |= PRT_CHILD_NOTICED;
	result(l, source, "accepted");
	return MSP_OK;
}

/* How long a wish must have been there before it is believed; 0: it is believed at once, or policy says. */
static uint32_t proof_s(const struct look *l, enum prt_source source)
{
	const struct prt_rules *r = l->k->r;

	return source == PRT_SRC_DSBOOT && r->dsboot == PRT_DSBOOT_DELAY ? r->dsboot_delay_s : r->confirm_s;
}

/* Another change waits: this one is looked at again when that has probably been decided. */
static void give_way(struct look *l, enum prt_source source)
{
	struct prt_child *c = l->k->c;

	result(l, source, "waits for another change");
	if (c->scan.next.s == 0)
		c->scan.next.s = l->k->now.s + (c->pending.wait == PRT_WAIT_OPERATOR ? HOUR_S : PRT_LEASE_S);
}

/* The servers agree, and it would work: what was looked at is evidence enough. Whether it may be is policy's to say. */
static enum msp_err decide(struct look *l, struct prt_delegation *wanted, enum prt_source source, bool is_human,
			   uint32_t inception)
{
	const struct prt_desk *k = l->k;
	const struct prt_pending *p = &k->c->pending;
	int64_t left = proof_s(l, source);
	struct prt_ruling ruling;

	prt_desk_settle_ttl(k->r, k->c, wanted);
	if (!prt_desk_may_displace(k->c, source)) {
		give_way(l, source);
		return MSP_OK;
	}
	if (p->wait == PRT_WAIT_CONFIRM && is_the_same(p, source, wanted)) {
		left -= k->now.s - p->since.s;
		prt_desk_say(&l->how, "asked for since %lld s; ", (long long)(k->now.s - p->since.s));
	}
	prt_desk_judge(k->r, k->c, wanted, source, left <= 0, k->now, &ruling);
	if (ruling.decision != PRT_REFUSE && ruling.decision != PRT_LATER && source == PRT_SRC_DSBOOT &&
	    k->r->dsboot == PRT_DSBOOT_DELAY && left > 0) {
		ruling.decision = PRT_CONFIRM;
		ruling.rule = PRT_RULE_DELAY;
		left = left > DELAY_STEP_S ? DELAY_STEP_S : left;
	}
	if (ruling.decision == PRT_ALLOW && is_human)
		ruling.decision = PRT_PROPOSE;
	switch (ruling.decision) {
	case PRT_REFUSE:
		return refuse(l, source, ruling.refusal.is_standard ? MSP_EDE_DELEGATION_CHECK : ruling.refusal.ede,
			      ruling.refusal.why.text);
	case PRT_LATER:
		return put(l, PRT_WAIT_TURN, wanted, source, ruling.not_before, ruling.rule, "waits for its turn");
	case PRT_CONFIRM:
		return put(l, PRT_WAIT_CONFIRM, wanted, source, (struct msp_wall){ k->now.s + left }, ruling.rule,
			   "must be seen again");
	case PRT_PROPOSE:
		if (inception != 0) /* an operator approves it, or nobody: older data is not shown to him either */
			k->c->scan.inception = inception;
		return put(l, PRT_WAIT_OPERATOR, wanted, source, (struct msp_wall){ 0 }, ruling.rule,
			   "an operator decides");
	case PRT_ALLOW:
		break;
	}
	return accept(l, wanted, source, ruling.rule, inception);
}

static enum msp_err act(struct look *l, enum prt_source source, enum prt_ask ask, struct prt_delegation *wanted,
			uint32_t inception, const struct prt_findings *f)
{
	char why[512];
	enum msp_ede_own ede = prt_desk_findings(f, why, sizeof(why));

	l->found = f;
	switch (ask) {
	case PRT_ASK_NOTHING:
		break;
	case PRT_ASK_CHANGE:
	case PRT_ASK_DELETE:
	case PRT_ASK_HUMAN:
		return decide(l, wanted, source, ask == PRT_ASK_HUMAN, inception);
	case PRT_ASK_WAIT:
		return wait_for_servers(l, source, ede, why);
	case PRT_ASK_REFUSED:
		return refuse(l, source, ede, why);
	}
	result(l, source, "no change");
	return withdraw(l, source, "not asked for any more");
}

/* --- the first DS: RFC 9615 4.2 -------------------------------------------------------------------------------------
 */

static bool same_data(const struct msp_rrset *a, const struct msp_rrset *b)
{
	size_t count = a != NULL ? a->count : 0;

	if (count != (b != NULL ? b->count : 0))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!msp_rrset_has(b, a->rdata[i]))
			return false;
	return true;
}

static const struct prt_dsboot_seen *find_seen(const struct prt_dsboot_seen *seen, size_t count,
					       const struct msp_name *ns)
{
	for (size_t i = 0; i < count; i++)
		if (msp_name_equal(&seen[i].ns, ns))
			return &seen[i];
	return NULL;
}

/* All copies are the same: at each server of the child, and at the signal name. */
static bool agrees(const struct prt_evidence *e, const struct prt_dsboot_seen *s)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct prt_answer *cds = &e->server[i].answer[PRT_Q_CDS];
		const struct prt_answer *cdnskey = &e->server[i].answer[PRT_Q_CDNSKEY];

		if (cds->err != MSP_OK && cdnskey->err != MSP_OK)
			continue; /* out of reach, which the rules have allowed */
		if (!same_data(s->cds, cds->set) || !same_data(s->cdnskey, cdnskey->set))
			return false;
	}
	return true;
}

static enum prt_ask hear(const struct look *l, const struct prt_dsboot_seen *s, const struct msp_name *ns,
			 struct msp_why *why)
{
	enum msp_lookup v = s != NULL ? s->verdict : MSP_LOOKUP_FAILED;
	bool is_silent = v == MSP_LOOKUP_TIMEOUT || v == MSP_LOOKUP_FAILED || v == MSP_LOOKUP_INDETERMINATE;

	if (v != MSP_LOOKUP_SECURE && v != MSP_LOOKUP_NODATA) { /* NODATA: of one of the two types */
		(void)msp_fail(why, MSP_EINSECURE, "RFC 9615: signal name of %s: %s", MSP_NAME(ns), msp_lookup_name(v));
		return is_silent ? PRT_ASK_WAIT : PRT_ASK_REFUSED;
	}
	if (!agrees(l->e, s)) {
		(void)msp_fail(why, MSP_EVALUE, "RFC 9615: the signal name of %s says something else", MSP_NAME(ns));
		return PRT_ASK_WAIT;
	}
	return PRT_ASK_CHANGE;
}

/* CHANGE when every name server outside the child vouches for it, and there is one. */
static enum prt_ask vouch(struct look *l, const struct prt_dsboot_seen *seen, size_t count, struct msp_why *why)
{
	const struct msp_rrset *ns = prt_delegation_ns(&l->k->c->registered);
	enum prt_ask ask = PRT_ASK_CHANGE;
	size_t outside = 0;

	for (size_t i = 0; ask == PRT_ASK_CHANGE && i < ns->count; i++) {
		struct msp_name host;

		if (msp_rdata_name_parse(ns->rdata[i], &host) != MSP_OK)
			return PRT_ASK_REFUSED;
		if (msp_name_is_under(&host, &l->k->c->name))
			continue;
		outside++;
		ask = hear(l, find_seen(seen, count, &host), &host, why);
	}
	if (outside > 0) {
		prt_desk_say(&l->how, "vouched for at %zu signal names; ", outside);
		return ask;
	}
	(void)msp_fail(why, MSP_EVALUE, "RFC 9615: no name server outside the child can vouch for its first DS");
	return PRT_ASK_REFUSED;
}

/* RRSIG times are 32 bits that lie near now (RFC 4034 3.1.5). */
static void say_inception(struct look *l, uint32_t inception)
{
	time_t at = (time_t)(l->k->now.s + (int32_t)(inception - (uint32_t)l->k->now.s));
	char text[24];
	struct tm tm;

	if (inception != 0 && gmtime_r(&at, &tm) != NULL && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		prt_desk_say(&l->how, "signed at %s; ", text);
}

static enum msp_err look_cds(struct look *l, const struct prt_dsboot_seen *seen, size_t count)
{
	const struct prt_desk *k = l->k;
	bool is_first = prt_delegation_ds(&k->c->registered) == NULL;
	enum prt_source source = is_first ? PRT_SRC_DSBOOT : PRT_SRC_CDS;
	struct prt_delegation wanted;
	struct prt_findings f = { .count = 0 };
	struct msp_why why = { "" };
	uint32_t inception;
	enum prt_ask ask;
	enum msp_err err;

	if (is_first && k->r->dsboot == PRT_DSBOOT_NONE)
		return withdraw(l, source, "the first DS is not taken from CDS");
	err = prt_ask_cds(l->e, &k->c->registered, &k->r->check, k->c->scan.inception, k->now, &ask, &wanted,
			  &inception, &f);
	if (err != MSP_OK)
		return err;
	if (ask == PRT_ASK_CHANGE && is_first && k->r->dsboot == PRT_DSBOOT_RFC9615)
		ask = vouch(l, seen, count, &why);
	if (why.text[0] != '\0') {
		f.count = 1;
		f.item[0] = (struct prt_finding){ .is_fatal = true, .ede = MSP_EDE_DELEGATION_CHECK, .why = why };
	}
	say_inception(l, inception);
	err = act(l, source, ask, &wanted, inception, &f);
	prt_delegation_clear(&wanted);
	return err;
}

/* --- CSYNC ----------------------------------------------------------------------------------------------------------
 */

static bool csync_serial(const struct prt_evidence *e, uint32_t *serial)
{
	struct msp_csync c;

	for (size_t i = 0; i < e->count; i++) {
		const struct prt_answer *a = &e->server[i].answer[PRT_Q_CSYNC];

		if (!is_there(a) || msp_csync_parse(a->set->rdata[0], &c) != MSP_OK)
			continue;
		*serial = c.serial;
		return true;
	}
	return false;
}

/* An operator has had it before, and decided: it does not come back until the child asks anew (with another serial). */
static bool was_shown(const struct prt_child *c, uint32_t serial)
{
	return c->pending.wait == PRT_WAIT_NONE && c->scan.has_csync && serial != 0 && c->scan.csync_serial == serial;
}

static enum msp_err look_csync(struct look *l)
{
	const struct prt_desk *k = l->k;
	struct prt_findings f = { .count = 0 };
	struct prt_delegation wanted;
	bool has_serial;
	uint32_t serial = 0;
	enum prt_ask ask;
	enum msp_err err;

	/* one change at a time, and DS first: it is what breaks */
	if (k->c->pending.wait != PRT_WAIT_NONE && k->c->pending.source != PRT_SRC_CSYNC) {
		if (csync_serial(l->e, &serial))
			give_way(l, PRT_SRC_CSYNC);
		return MSP_OK;
	}
	err = prt_ask_csync(l->e, &k->c->registered, &k->r->check, k->now, &ask, &wanted, &f);
	if (err != MSP_OK)
		return err;
	has_serial = csync_serial(l->e, &serial);
	if (ask == PRT_ASK_HUMAN && was_shown(k->c, serial))
		ask = PRT_ASK_NOTHING;
	l->how = (struct prt_desk_words){ .len = 0 };
	prt_desk_say(&l->how, "serial %u; ", (unsigned)serial);
	err = act(l, PRT_SRC_CSYNC, ask, &wanted, 0, &f);
	prt_delegation_clear(&wanted);
	if (err == MSP_OK && has_serial && (ask == PRT_ASK_CHANGE || ask == PRT_ASK_HUMAN)) {
		k->c->scan.has_csync = true;
		k->c->scan.csync_serial = serial;
	}
	return err;
}

/* --- a look ---------------------------------------------------------------------------------------------------------
 */

enum msp_err prt_desk_scanned(const struct prt_rules *r, struct prt_child *c, const struct prt_evidence *e,
			      const struct prt_dsboot_seen *seen, size_t seen_count, struct msp_wall now,
			      struct prt_outcome *out)
{
	const struct prt_desk k = { r, c, now, out };
	struct look l = { .k = &k, .e = e };
	enum msp_err err;

	prt_desk_heal(&k);
	c->scan.last = now;
	c->scan.next.s = 0;
	out->is_changed = true;
	if (!prt_desk_is_delegated(c))
		return MSP_OK;
	err = look_cds(&l, seen, seen_count);
	if (err == MSP_OK && !l.must_wait)
		err = look_csync(&l);
	return err == MSP_OK ? finish(&l) : err;
}

enum msp_err prt_desk_scan_failed(const struct prt_rules *r, struct prt_child *c, const char *why, struct msp_wall now,
				  struct prt_outcome *out)
{
	const struct prt_desk k = { r, c, now, out };
	struct look l = { .k = &k, .must_wait = true, .source = PRT_SRC_CDS, .ede = MSP_EDE_CDS_INCONSISTENT };

	prt_desk_heal(&k);
	c->scan.last = now;
	c->scan.next.s = 0;
	out->is_changed = true;
	if (!prt_desk_is_delegated(c))
		return MSP_OK;
	prt_desk_text(l.why, sizeof(l.why), why);
	(void)snprintf(l.result, sizeof(l.result), "failed: %s", why);
	return finish(&l);
}
