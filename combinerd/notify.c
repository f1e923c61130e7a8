/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NOTIFY to the signers: TSIG-signed, without EDNS (the form that every signer takes, SIGNERS 4.5), repeated with
 * doubling waits until it is answered under the key. At most notifies-max are outstanding. The rest waits in line, a
 * line for each signer's address, served in turn: a signer that is silent holds up its own line only. A zone whose
 * signers have all answered has nothing here. @source RFC 1996 3.6, PROTOCOL E.6
 */
#include "shell.h"

#include <msproto/base/mem.h>
#include <msproto/msg/notify.h>

#include <stddef.h>
#include <string.h>

#define DOUBLINGS_MAX 10
#define SILENT_SHARE  8    /* a signer that did not answer gets one in so many of the places */
#define AGAIN_MS      1000 /* it could not be sent for a reason of our own */
#define SIGNERS_MAX   65536
#define PEER_KEY_LEN  19
#define DNS_PORT      53

/** Everything that is to go to one address. */
struct peer {
	uint8_t key[PEER_KEY_LEN];
	struct errand *first, *last; /* ready to be sent */
	struct peer *next;           /* in the row of those that have something ready */
	size_t errands, outstanding; /* not over yet; sent and not answered */
	bool is_in_row, is_silent;
};

enum errand_state { OVER, READY, SENT, WAITING };

/** One zone's NOTIFY to one signer. */
struct errand {
	struct cmb_notify *of;
	const struct cmb_target *to; /* borrowed from the settings */
	struct peer *peer;           /* counted (errands); NULL once it is over */
	enum errand_state state;
	struct errand *prev, *next;     /* READY: in the peer's line */
	struct cmb_agenda_item waiting; /* WAITING */
	struct msp_xchg *xchg;          /* SENT */
	struct msp_tsig_ctx tsig;       /* owned */
	unsigned tries;
	bool is_acked, uses_next; /* uses_next: the other key of a rollover */
	struct msp_why *last;     /* owned; NULL = nothing went wrong */
};

/** A zone's round of NOTIFYs about one serial. */
struct cmb_notify {
	struct cmb_hosted *hosted;     /* borrowed */
	struct cmb_settings *settings; /* shared: the targets are theirs */
	uint32_t serial;
	size_t count, unacked;
	struct errand errand[];
};

struct cmb_notifier {
	struct cmb_app *app;
	struct msp_map peers; /* owned struct peer by address and port */
	struct peer *row_first, *row_last;
	size_t outstanding;
	struct cmb_agenda agenda; /* errands that wait for their next try */
	struct msp_timer *timer;
};

/* --- signers' lines ----------------------------------------------------------------------------------------------- */

/* NOTIFY never goes over TLS (conf.h): not to its port either. */
static struct msp_addr where_to(const struct cmb_target *to)
{
	struct msp_addr a = to->conf->addr;

	if (to->conf->transport == MSP_TRANSPORT_TLS && a.port == MSP_TLS_PORT)
		a.port = DNS_PORT;
	return a;
}

static struct peer *peer_of(struct cmb_notifier *n, const struct msp_addr *a)
{
	uint8_t key[PEER_KEY_LEN] = { (uint8_t)a->family, (uint8_t)(a->port >> 8), (uint8_t)(a->port & 0xff) };
	struct peer *p;

	memcpy(key + 3, a->oct, sizeof(a->oct));
	p = msp_map_get(&n->peers, msp_span(key, sizeof(key)));
	if (p != NULL)
		return p;
	p = msp_alloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	memcpy(p->key, key, sizeof(key));
	if (msp_map_put(&n->peers, msp_span(key, sizeof(key)), p, NULL) == MSP_OK)
		return p;
	msp_free(p);
	return NULL;
}

static void row_push(struct cmb_notifier *n, struct peer *p)
{
	if (p->is_in_row || p->first == NULL)
		return;
	p->is_in_row = true;
	p->next = NULL;
	*(n->row_last ? &n->row_last->next : &n->row_first) = p;
	n->row_last = p;
}

static struct peer *row_pop(struct cmb_notifier *n)
{
	struct peer *p = n->row_first;

	if (p == NULL)
		return NULL;
	n->row_first = p->next;
	if (n->row_first == NULL)
		n->row_last = NULL;
	p->next = NULL;
	p->is_in_row = false;
	return p;
}

static void peer_release(struct cmb_notifier *n, struct peer *p)
{
	if (p->errands > 0 || p->is_in_row) /* in the row: it goes when its turn comes */
		return;
	(void)msp_map_del(&n->peers, msp_span(p->key, sizeof(p->key)));
	msp_free(p);
}

static void line_append(struct cmb_notifier *n, struct errand *e)
{
	struct peer *p = e->peer;

	e->state = READY;
	e->next = NULL;
	e->prev = p->last;
	*(p->last ? &p->last->next : &p->first) = e;
	p->last = e;
	row_push(n, p);
}

static void line_remove(struct errand *e)
{
	struct peer *p = e->peer;

	*(e->prev ? &e->prev->next : &p->first) = e->next;
	*(e->next ? &e->next->prev : &p->last) = e->prev;
	e->prev = e->next = NULL;
}

/* --- an errand's end ---------------------------------------------------------------------------------------------- */

static void arm(struct cmb_notifier *n)
{
	struct msp_mono next = cmb_agenda_next(&n->agenda);

	if (next.ms == MSP_MONO_NEVER.ms)
		msp_timer_stop(n->timer);
	else
		msp_timer_start(n->timer, (uint64_t)msp_mono_until_ms(msp_mono_now(), next));
}

static void no_longer_sent(struct cmb_notifier *n, struct errand *e)
{
	n->outstanding--;
	e->peer->outstanding--;
	row_push(n, e->peer);
}

/* Out of everything it is in. */
static void end_errand(struct cmb_notifier *n, struct errand *e)
{
	struct peer *p = e->peer;

	if (e->state == READY)
		line_remove(e);
	if (e->state == WAITING && cmb_agenda_set(&n->agenda, &e->waiting, MSP_MONO_NEVER) != MSP_OK) {
		/* cannot be: taking out needs no memory */
	}
	if (e->state == SENT) {
		if (e->xchg != NULL)
			msp_xchg_cancel(&e->xchg);
		no_longer_sent(n, e);
	}
	e->state = OVER;
	msp_tsig_ctx_fini(&e->tsig);
	memset(&e->tsig, 0, sizeof(e->tsig));
	if (p == NULL)
		return;
	e->peer = NULL;
	p->errands--;
	peer_release(n, p);
}

static void notify_free(struct cmb_notifier *n, struct cmb_notify *y)
{
	for (size_t i = 0; i < y->count; i++) {
		end_errand(n, &y->errand[i]);
		msp_free(y->errand[i].last);
	}
	y->hosted->notify = NULL;
	cmb_settings_unref(&y->settings);
	msp_free(y);
}

static void note(struct errand *e, const struct msp_why *why)
{
	if (e->last == NULL)
		e->last = msp_alloc(1, sizeof(*e->last));
	if (e->last != NULL) /* else it is in the log, at the end */
		*e->last = *why;
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

static int64_t timeout_ms(const struct cmb_notifier *n)
{
	return (int64_t)n->app->conf->notify_timeout_s * 1000;
}

static void give_up(struct cmb_notifier *n, struct errand *e)
{
	const struct cmb_notify *y = e->of;

	n->app->stats.notifies_failed++;
	msp_log(n->app->log, MSP_LOG_WARNING, "notify-given-up", MSP_F_STR("zone", MSP_NAME(&y->hosted->name)),
		MSP_F_STR("signer", MSP_ADDR(&e->to->conf->addr)), MSP_F_U64("serial", y->serial),
		MSP_F_STR("why", e->last ? e->last->text : ""));
	end_errand(n, e);
}

static void wait(struct cmb_notifier *n, struct errand *e, int64_t ms)
{
	if (cmb_agenda_set(&n->agenda, &e->waiting, msp_mono_add_ms(msp_mono_now(), ms)) != MSP_OK) {
		give_up(n, e);
		return;
	}
	e->state = WAITING;
	arm(n);
}

/* After the nth try there is a wait of 2^(n-1) times the time-out, the time-out itself included. */
static void try_again(struct cmb_notifier *n, struct errand *e, bool has_waited)
{
	unsigned doublings = e->tries > DOUBLINGS_MAX ? DOUBLINGS_MAX : e->tries - 1;

	if (e->tries >= (unsigned)n->app->conf->notify_tries)
		give_up(n, e);
	else
		wait(n, e, (timeout_ms(n) << doublings) - (has_waited ? timeout_ms(n) : 0));
}

static void acked(struct cmb_notifier *n, struct errand *e)
{
	struct cmb_notify *y = e->of;

	msp_log(n->app->log, MSP_LOG_INFO, "notify-acked", MSP_F_STR("zone", MSP_NAME(&y->hosted->name)),
		MSP_F_STR("signer", MSP_ADDR(&e->to->conf->addr)), MSP_F_U64("serial", y->serial));
	e->is_acked = true;
	end_errand(n, e);
	if (--y->unacked == 0)
		notify_free(n, y);
}

static enum msp_err read_answer(struct cmb_notifier *n, struct errand *e, struct msp_span answer, struct msp_why *why)
{
	struct msp_msg m;
	enum msp_err err = msp_msg_parse(answer, &n->app->scratch, &m, why);

	if (err == MSP_OK && e->tsig.key != NULL)
		err = msp_tsig_verify_response(&e->tsig, &m, true, msp_wall_now(), why);
	if (err == MSP_OK && m.rcode != MSP_RCODE_NOERROR)
		err = msp_fail(why, MSP_ERCODE, "answered %s", msp_rcode_name(m.rcode));
	return err;
}

/* It does not know this key (any more, or yet): the other one of a rollover is tried, at once the first time. */
static bool change_key(struct errand *e, enum msp_err err)
{
	if (e->to->key_next == NULL || (err != MSP_ENOKEY && err != MSP_ESIG && err != MSP_EUNSIGNED))
		return false;
	e->uses_next = !e->uses_next;
	return e->tries == 1;
}

static void pump(struct cmb_notifier *n);

static void answered(void *arg, enum msp_err err, struct msp_span answer)
{
	struct errand *e = arg;
	struct cmb_notifier *n = e->of->hosted->app->notifier;
	struct msp_why why = { "" };

	e->xchg = NULL;
	e->peer->is_silent = err != MSP_OK;
	no_longer_sent(n, e);
	if (err == MSP_OK)
		err = read_answer(n, e, answer, &why);
	e->state = OVER;
	if (err == MSP_OK) {
		acked(n, e);
	} else {
		if (why.text[0] == '\0')
			(void)msp_fail(&why, err, "%s", msp_err_text(err));
		note(e, &why);
		if (change_key(e, err))
			line_append(n, e);
		else
			try_again(n, e, err == MSP_ETIMEOUT);
	}
	pump(n);
}

/* The SOA is a hint, and optional: a zone is not loaded for it. */
static void write_message(struct errand *e, struct msp_msgw *w, uint8_t *mem, size_t cap)
{
	struct cmb_hosted *h = e->of->hosted;
	const struct msp_rrset *soa = h->zone != NULL && h->zone->has_served ? h->zone->served.soa : NULL;
	struct msp_rr rr;

	if (soa != NULL)
		rr = (struct msp_rr){ .owner = soa->owner,
				      .type = MSP_TYPE_SOA,
				      .cls = MSP_CLASS_IN,
				      .ttl = soa->ttl,
				      .rdata = soa->rdata[0] };
	msp_notifyw_init(w, mem, cap, msp_rand_u16(&h->app->rand), &h->name, MSP_TYPE_SOA, soa != NULL ? &rr : NULL);
}

static enum msp_err start(struct cmb_notifier *n, struct errand *e)
{
	const struct msp_tsig_key *key = e->uses_next ? e->to->key_next : e->to->key;
	struct msp_xchg_params p = { .server = where_to(e->to),
				     .source = e->to->conf->source,
				     .transport = MSP_UDP_THEN_TCP,
				     .is_signed = key != NULL,
				     .timeout_ms = { (uint32_t)timeout_ms(n) } };
	uint8_t mem[2048];
	struct msp_msgw w;
	struct msp_span msg;
	enum msp_err err;
	size_t len;

	write_message(e, &w, mem, sizeof(mem));
	err = msp_msgw_finish(&w, &msg);
	if (err != MSP_OK)
		return err;
	len = msg.len;
	msp_tsig_ctx_fini(&e->tsig);
	memset(&e->tsig, 0, sizeof(e->tsig));
	if (key != NULL)
		err = msp_tsig_sign_request(key, msp_wall_now(), mem, &len, sizeof(mem), &e->tsig);
	p.message = msp_span(mem, len);
	return err == MSP_OK ? msp_xchg_start(n->app->loop, &p, answered, e, &e->xchg) : err;
}

static void send_one(struct cmb_notifier *n, struct errand *e)
{
	enum msp_err err = start(n, e);
	struct msp_why why;

	if (err == MSP_OK) {
		e->state = SENT;
		e->tries++;
		n->outstanding++;
		e->peer->outstanding++;
		n->app->stats.notifies_out++;
		return;
	}
	(void)msp_fail(&why, err, "could not be sent: %s", msp_err_text(err));
	note(e, &why);
	if (err == MSP_EBUSY || err == MSP_ENOMEM) {
		wait(n, e, AGAIN_MS);
	} else {
		e->tries++;
		try_again(n, e, false);
	}
}

static bool may_send(const struct cmb_notifier *n, const struct peer *p)
{
	size_t max = (size_t)n->app->conf->notifies_max;

	return p->first != NULL && p->outstanding < (p->is_silent ? (max + SILENT_SHARE - 1) / SILENT_SHARE : max);
}

static void pump(struct cmb_notifier *n)
{
	struct peer *p;

	while (n->outstanding < (size_t)n->app->conf->notifies_max && (p = row_pop(n)) != NULL) {
		struct errand *e = p->first;

		if (!may_send(n, p)) { /* it comes back when one of its own is answered */
			peer_release(n, p);
			continue;
		}
		line_remove(e);
		p->errands++; /* it must not go away under us */
		send_one(n, e);
		p->errands--;
		row_push(n, p);
		peer_release(n, p);
	}
}

static void on_timer(void *arg)
{
	struct cmb_notifier *n = arg;
	struct msp_mono now = msp_mono_now();
	struct cmb_agenda_item *item;

	while ((item = cmb_agenda_pop(&n->agenda, now)) != NULL)
		line_append(n, (struct errand *)((char *)item - offsetof(struct errand, waiting)));
	arm(n);
	pump(n);
}

/* --- from outside ------------------------------------------------------------------------------------------------- */

enum msp_err cmb_notifier_open(struct cmb_app *app)
{
	struct cmb_notifier *n = msp_alloc(1, sizeof(*n));
	enum msp_err err = n != NULL ? msp_timer_new(app->loop, on_timer, n, &n->timer) : MSP_ENOMEM;

	if (err != MSP_OK) {
		msp_free(n);
		return err;
	}
	n->app = app;
	msp_map_init(&n->peers, SIGNERS_MAX);
	app->notifier = n;
	return MSP_OK;
}

void cmb_notifier_close(struct cmb_app *app)
{
	struct cmb_notifier *n = app->notifier;
	struct msp_map_it it;

	if (n == NULL)
		return;
	for (bool more = msp_map_first(&app->by_name, msp_span(NULL, 0), &it); more;
	     more = msp_map_next(&app->by_name, &it))
		cmb_notify_cancel(it.value);
	while (row_pop(n) != NULL) {
	}
	app->notifier = NULL;
	msp_map_fini(&n->peers, msp_free);
	cmb_agenda_fini(&n->agenda);
	msp_timer_close(&n->timer);
	msp_free(n);
}

void cmb_notify_all(struct cmb_hosted *h)
{
	const struct cmb_profile *profile = h->profile;
	struct cmb_notifier *n = h->app->notifier;
	struct cmb_notify *y;

	if (n == NULL)
		return;
	cmb_notify_cancel(h); /* about an older serial */
	if (profile->signer_count == 0)
		return;
	y = msp_alloc(1, sizeof(*y) + profile->signer_count * sizeof(y->errand[0]));
	if (y == NULL) {
		msp_log(h->app->log, MSP_LOG_ERROR, "no-notify", MSP_F_STR("zone", MSP_NAME(&h->name)));
		return;
	}
	y->hosted = h;
	y->settings = cmb_settings_ref(profile->settings);
	y->serial = h->head.out_serial;
	y->count = y->unacked = profile->signer_count;
	h->notify = y;
	for (size_t i = 0; i < y->count; i++) {
		struct errand *e = &y->errand[i];
		struct msp_addr addr;

		e->of = y;
		e->to = &profile->signer[i];
		addr = where_to(e->to);
		e->peer = peer_of(n, &addr);
		if (e->peer == NULL)
			continue; /* no memory: it stays without an answer, and is shown so */
		e->peer->errands++;
		line_append(n, e);
	}
	/* From the loop: whoever makes a version visible has more to do first. */
	msp_timer_start(n->timer, 0);
}

void cmb_notify_cancel(struct cmb_hosted *h)
{
	if (h->notify != NULL)
		notify_free(h->app->notifier, h->notify);
}

enum msp_err cmb_notify_each(const struct cmb_hosted *h, cmb_notify_fn *fn, void *arg)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; h->notify != NULL && err == MSP_OK && i < h->notify->count; i++) {
		const struct errand *e = &h->notify->errand[i];

		if (!e->is_acked)
			err = fn(arg, e->to, h->notify->serial, e->tries, e->last);
	}
	return err;
}
