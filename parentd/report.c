/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Error reports: a question whose name says what went wrong, through the resolver like any other; what is answered does
 * not matter. Where a child wants them sent its servers say in their answers to a look, each time. A NOTIFY may say it
 * too: that is remembered for as long as its retries last; a restart forgets it, and the next NOTIFY says it again.
 */
#include "follow_priv.h"

#include <msproto/base/mem.h>

#include <stdio.h>
#include <string.h>

#define CHANNELS_MAX 20000
#define CHANNEL_S    7200 /* 5 + 10 + 20 + 40 minutes, and some */
#define PAUSE_S      3600 /* G.3: one for each child and code in an hour */
#define CLEAN_S      60
#define KEY_MAX      (MSP_NAME_KEY_MAX + 2)

/* Both begin with the time after which they count no more. */
struct sent {
	struct msp_wall until;
};
struct channel {
	struct msp_wall until;
	struct msp_name agent;
	uint16_t type;
};
struct prt_reporter {
	struct prt_follow *f;
	struct msp_map channels; /* owned, by child */
	struct msp_map sent;     /* owned, by child and code */
	struct msp_wall cleaned; /* when old ones were looked for last */
};

enum msp_err prt_report_name(const struct msp_name *child, uint16_t type, uint16_t code, const struct msp_name *agent,
			     struct msp_name *out)
{
	char text[16];
	enum msp_err err;

	(void)snprintf(text, sizeof(text), "%u._er", code);
	err = msp_name_prepend(text, agent, out);
	if (err == MSP_OK)
		err = msp_name_concat(child, out, out);
	(void)snprintf(text, sizeof(text), "_er.%u", type);
	return err == MSP_OK ? msp_name_prepend(text, out, out) : err;
}

bool prt_report_is_allowed(const struct prt_delegation *d, const struct msp_name *agent)
{
	const struct msp_rrset *ns = prt_delegation_ns(d);

	for (size_t i = 0; ns != NULL && i < ns->count; i++) {
		struct msp_name host;

		if (msp_rdata_name_parse(ns->rdata[i], &host) == MSP_OK && msp_name_is_under(agent, &host))
			return true;
	}
	return false;
}

/* --- what is remembered ------------------------------------------------------------------------------------------- */

/* A map that is full loses what is old; a walk through all of it, so not for everybody who asks. */
static void make_room(struct prt_reporter *r, struct msp_map *m, struct msp_wall now)
{
	struct msp_span from = { NULL, 0 };
	uint8_t key[KEY_MAX];
	struct msp_map_it it;

	if (m->count < m->max || (now.s >= r->cleaned.s && now.s - r->cleaned.s < CLEAN_S))
		return;
	r->cleaned = now;
	for (bool more = msp_map_first(m, from, &it); more; more = msp_map_first(m, from, &it)) {
		while (more && ((const struct sent *)it.value)->until.s > now.s)
			more = msp_map_next(m, &it);
		if (!more)
			return;
		memcpy(key, it.key.ptr, it.key.len);
		from = msp_span(key, it.key.len); /* the walk goes on behind it */
		msp_free(msp_map_del(m, from));
	}
}

enum msp_err prt_reporter_open(struct prt_follow *f)
{
	struct prt_reporter *r = msp_alloc(1, sizeof(*r));

	if (r == NULL)
		return MSP_ENOMEM;
	r->f = f;
	msp_map_init(&r->channels, CHANNELS_MAX);
	msp_map_init(&r->sent, PRT_REPORTS_MAX);
	f->reporter = r;
	return MSP_OK;
}

void prt_reporter_close(struct prt_follow *f)
{
	struct prt_reporter *r = f->reporter;

	if (r == NULL)
		return;
	msp_map_fini(&r->channels, msp_free);
	msp_map_fini(&r->sent, msp_free);
	msp_free(r);
	f->reporter = NULL;
}

void prt_report_channel(struct prt_reporter *r, const struct msp_name *child, uint16_t type,
			const struct msp_name *agent, struct msp_wall now)
{
	struct msp_name_key key = msp_name_key(child);
	struct channel *c = msp_map_get(&r->channels, msp_name_key_span(&key));

	if (c == NULL) {
		make_room(r, &r->channels, now);
		c = msp_alloc(1, sizeof(*c));
		if (c == NULL || msp_map_put(&r->channels, msp_name_key_span(&key), c, NULL) != MSP_OK) {
			msp_free(c); /* no report, then */
			return;
		}
	}
	c->agent = *agent;
	c->type = type;
	c->until.s = now.s + CHANNEL_S;
}

/* @return false: not again within the hour, or nowhere to note it */
static bool may_send(struct prt_reporter *r, const struct msp_name *child, uint16_t code, struct msp_wall now)
{
	struct msp_name_key name = msp_name_key(child);
	uint8_t key[KEY_MAX];
	struct sent *s;
	struct msp_span k;

	memcpy(key, name.oct, name.len);
	key[name.len] = (uint8_t)(code >> 8);
	key[name.len + 1] = (uint8_t)code;
	k = msp_span(key, name.len + 2u);
	s = msp_map_get(&r->sent, k);
	if (s != NULL && now.s < s->until.s && s->until.s - now.s <= PAUSE_S)
		return false;
	if (s == NULL) {
		make_room(r, &r->sent, now);
		s = msp_alloc(1, sizeof(*s));
		if (s == NULL || msp_map_put(&r->sent, k, s, NULL) != MSP_OK) {
			msp_free(s);
			return false;
		}
	}
	s->until.s = now.s + PAUSE_S;
	return true;
}

static void ignore(void *arg, const struct msp_open_answer *answer)
{
	(void)arg;
	(void)answer;
}

/* An agent whose name leaves no room for a report is none: anybody can name one in a NOTIFY, and there may be others.
 */
static bool has_room(const struct msp_name *child, const struct msp_name *agent)
{
	struct msp_name longest;

	return prt_report_name(child, UINT16_MAX, UINT16_MAX, agent, &longest) == MSP_OK;
}

const struct msp_name *prt_report_offer(const struct prt_evidence *e, const struct prt_delegation *d)
{
	for (size_t i = 0; i < e->count; i++)
		if (msp_name_is_set(&e->server[i].agent) && prt_report_is_allowed(d, &e->server[i].agent) &&
		    has_room(&d->child, &e->server[i].agent))
			return &e->server[i].agent;
	return NULL;
}

/* None longer than it is remembered: the clock was put back. */
static const struct channel *told(const struct prt_reporter *r, const struct prt_delegation *d, struct msp_wall now)
{
	struct msp_name_key key = msp_name_key(&d->child);
	const struct channel *c = msp_map_get(&r->channels, msp_name_key_span(&key));

	if (c == NULL || now.s >= c->until.s || c->until.s - now.s > CHANNEL_S)
		return NULL;
	return prt_report_is_allowed(d, &c->agent) && has_room(&d->child, &c->agent) ? c : NULL;
}

bool prt_report_is_told(const struct prt_reporter *r, const struct prt_delegation *d, struct msp_wall now)
{
	return told(r, d, now) != NULL;
}

bool prt_report(struct prt_reporter *r, const struct prt_delegation *d, const struct msp_name *offer, uint16_t type,
		enum msp_ede_own ede, struct msp_wall now)
{
	const struct channel *c = told(r, d, now);
	const struct msp_name *agent = c != NULL ? &c->agent : offer;
	uint16_t code = msp_ede_code(&r->f->app->conf->numbers, ede);
	struct msp_resolver *resolver = r->f->app->resolver;
	struct msp_name name;

	if (agent == NULL || resolver == NULL)
		return false;
	if (prt_report_name(&d->child, c != NULL ? c->type : type, code, agent, &name) != MSP_OK ||
	    !may_send(r, &d->child, code, now))
		return false;
	return msp_resolver_ask_open(resolver, &name, MSP_TYPE_TXT, ignore, r) == MSP_OK;
}
