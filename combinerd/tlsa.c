/* SPDX-License-Identifier: BSD-2-Clause */
#include "tlsa.h"

#include <msproto/base/mem.h>

#include <stdio.h>

#define TTL_MIN_S     60
#define TTL_MAX_S     86400
#define GRACE_S       86400 /* PROTOCOL D.2: an answer holds a day longer than its TTL when no other can be had */
#define RETRY_MIN_S   15
#define RETRY_MAX_S   900
#define DOUBT_PAUSE_S 60
#define NAME_TEXT_MAX 300

struct user {
	struct user *next;
	struct msp_tls *tls; /* shared */
};

/* One name of the DNS. */
struct watch {
	struct watch *next;
	struct cmb_tlsa *keeper;
	struct msp_name name;
	struct user *users;         /* owned */
	struct msp_rrset *set;      /* owned; NULL = nothing known */
	struct msp_mono good_until; /* of `set` */
	struct msp_mono asked;
	struct msp_timer *timer; /* owned: the next look */
	uint32_t retry_s;        /* pause after the next failure */
	bool is_asking;
};

struct cmb_tlsa {
	struct cmb_tlsa_params p;
	struct watch *watches;
	size_t count;
};

static void look(void *arg);

static void watch_free(struct watch *w)
{
	struct user *u;

	while ((u = w->users) != NULL) {
		w->users = u->next;
		msp_tls_unref(&u->tls);
		msp_free(u);
	}
	msp_timer_close(&w->timer);
	msp_rrset_free(&w->set);
	msp_free(w);
}

/* Nobody uses it any more. While an answer is on its way it stays. */
static void let_go(struct watch *w)
{
	struct watch **at = &w->keeper->watches;

	msp_timer_stop(w->timer);
	if (w->is_asking)
		return;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->keeper->count--;
	watch_free(w);
}

static void wait_s(struct watch *w, uint32_t s)
{
	msp_timer_start(w->timer, (uint64_t)s * 1000);
}

static void supply(const struct watch *w, struct msp_tls *tls)
{
	struct msp_why why = { "" };

	if (msp_tls_set_tlsa(tls, w->set, &why) != MSP_OK)
		msp_log(msp_loop_log(w->keeper->p.loop), MSP_LOG_WARNING, "tlsa-unusable",
			MSP_F_STR("name", MSP_NAME(&w->name)), MSP_F_STR("reason", why.text));
}

/* Takes `set` (NULL = none). */
static void replace(struct watch *w, struct msp_rrset *set)
{
	if (!msp_rrset_equal(w->set, set))
		msp_log(msp_loop_log(w->keeper->p.loop), MSP_LOG_NOTICE, "tlsa-changed",
			MSP_F_STR("name", MSP_NAME(&w->name)), MSP_F_U64("records", set != NULL ? set->count : 0));
	msp_rrset_free(&w->set);
	w->set = set;
	for (struct user *u = w->users; u != NULL; u = u->next)
		supply(w, u->tls);
}

static void take(struct watch *w, const struct msp_rrset *found)
{
	uint32_t ttl_s = found->ttl < TTL_MIN_S ? TTL_MIN_S : found->ttl > TTL_MAX_S ? TTL_MAX_S : found->ttl;
	struct msp_rrset *copy = NULL;

	if (msp_rrset_dup(found, &copy) != MSP_OK) {
		wait_s(w, RETRY_MIN_S);
		return;
	}
	w->good_until = msp_mono_add_ms(w->keeper->p.now(), ((int64_t)ttl_s + GRACE_S) * 1000);
	w->retry_s = RETRY_MIN_S;
	replace(w, copy);
	wait_s(w, ttl_s - ttl_s / 10);
}

static void miss(struct watch *w, enum msp_lookup verdict, const char *why)
{
	/* Only a secure denial takes away at once what was secure; everything else may be an attack or a failure. */
	if (w->set != NULL && (verdict == MSP_LOOKUP_NODATA || msp_mono_reached(w->keeper->p.now(), w->good_until)))
		replace(w, NULL);
	msp_log(msp_loop_log(w->keeper->p.loop), MSP_LOG_WARNING, "tlsa-not-found",
		MSP_F_STR("name", MSP_NAME(&w->name)), MSP_F_STR("verdict", msp_lookup_name(verdict)),
		MSP_F_STR("reason", why));
	wait_s(w, w->retry_s);
	w->retry_s = w->retry_s * 2 < RETRY_MAX_S ? w->retry_s * 2 : RETRY_MAX_S;
}

static void on_answer(void *arg, enum msp_lookup verdict, struct msp_secure_rrset *secure, const char *why)
{
	struct watch *w = arg;

	w->is_asking = false;
	if (w->users == NULL)
		let_go(w);
	else if (verdict == MSP_LOOKUP_SECURE)
		take(w, msp_secure_get(secure));
	else
		miss(w, verdict, why != NULL ? why : "");
	msp_secure_free(&secure);
}

static void look(void *arg)
{
	struct watch *w = arg;
	const struct cmb_tlsa_params *p = &w->keeper->p;
	enum msp_err err;

	if (w->is_asking)
		return;
	w->asked = p->now();
	w->is_asking = true;
	err = p->ask(p->ask_arg, &w->name, MSP_TYPE_TLSA, on_answer, w);
	if (err == MSP_OK)
		return;
	w->is_asking = false;
	miss(w, MSP_LOOKUP_FAILED, msp_err_text(err));
}

enum msp_err cmb_tlsa_open(const struct cmb_tlsa_params *p, struct cmb_tlsa **out)
{
	struct cmb_tlsa *t = msp_alloc(1, sizeof(*t));

	if (t == NULL)
		return MSP_ENOMEM;
	t->p = *p;
	if (t->p.now == NULL)
		t->p.now = msp_mono_now;
	*out = t;
	return MSP_OK;
}

void cmb_tlsa_close(struct cmb_tlsa **t)
{
	struct cmb_tlsa *old = *t;
	struct watch *w;

	*t = NULL;
	if (old == NULL)
		return;
	while ((w = old->watches) != NULL) {
		old->watches = w->next;
		watch_free(w);
	}
	msp_free(old);
}

static enum msp_err find_or_make(struct cmb_tlsa *t, const struct msp_name *name, struct watch **out)
{
	struct watch *w = t->watches;
	enum msp_err err;

	while (w != NULL && !msp_name_equal(&w->name, name))
		w = w->next;
	*out = w;
	if (w != NULL)
		return MSP_OK;
	if (t->count >= CMB_TLSA_NAMES_MAX)
		return MSP_ELIMIT;
	w = msp_alloc(1, sizeof(*w));
	if (w == NULL)
		return MSP_ENOMEM;
	err = msp_timer_new(t->p.loop, look, w, &w->timer);
	if (err != MSP_OK) {
		msp_free(w);
		return err;
	}
	w->keeper = t;
	w->name = *name;
	w->retry_s = RETRY_MIN_S;
	w->next = t->watches;
	t->watches = w;
	t->count++;
	msp_timer_start(w->timer, 0); /* from the loop: who asks may call back at once */
	*out = w;
	return MSP_OK;
}

enum msp_err cmb_tlsa_add(struct cmb_tlsa *t, struct msp_tls *tls, const char *auth_name)
{
	char text[NAME_TEXT_MAX];
	struct msp_name name;
	struct watch *w;
	struct user *u;
	enum msp_err err;
	int len = snprintf(text, sizeof(text), "_%d._tcp.%s", MSP_TLS_PORT, auth_name);

	if (len < 0 || (size_t)len >= sizeof(text))
		return MSP_ENAME;
	err = msp_name_from_text(text, &name);
	if (err != MSP_OK)
		return MSP_ENAME;
	u = msp_alloc(1, sizeof(*u));
	if (u == NULL)
		return MSP_ENOMEM;
	err = find_or_make(t, &name, &w);
	if (err != MSP_OK) {
		msp_free(u);
		return err;
	}
	u->tls = msp_tls_ref(tls);
	u->next = w->users;
	w->users = u;
	if (w->set != NULL)
		supply(w, tls);
	return MSP_OK;
}

/* NULL: nobody uses this context. *link is what points to the user then. */
static struct watch *watch_of(struct cmb_tlsa *t, const struct msp_tls *tls, struct user ***link)
{
	for (struct watch *w = t->watches; w != NULL; w = w->next) {
		for (*link = &w->users; **link != NULL; *link = &(**link)->next) {
			if ((**link)->tls == tls)
				return w;
		}
	}
	return NULL;
}

void cmb_tlsa_remove(struct cmb_tlsa *t, struct msp_tls *tls)
{
	struct user **link, *u;
	struct watch *w = watch_of(t, tls, &link);

	if (w == NULL)
		return;
	u = *link;
	*link = u->next;
	msp_tls_unref(&u->tls);
	msp_free(u);
	if (w->users == NULL)
		let_go(w);
}

void cmb_tlsa_doubt(struct cmb_tlsa *t, const struct msp_tls *tls)
{
	struct user **link;
	struct watch *w = watch_of(t, tls, &link);

	if (w != NULL && msp_mono_reached(t->p.now(), msp_mono_add_ms(w->asked, DOUBT_PAUSE_S * 1000)))
		msp_timer_start(w->timer, 0);
}
