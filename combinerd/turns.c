/* SPDX-License-Identifier: BSD-2-Clause */
#include "turns.h"

#include <msproto/base/mem.h>

#include <string.h>

#define FORGET_MS 600000 /* a silent address that nobody wants any more */
#define KEY_LEN   19

struct cmb_turns_peer {
	struct msp_addr addr;
	struct {
		struct cmb_turn *first, *last;
	} line[CMB_TURN__N];
	struct {
		struct cmb_turns_peer *prev, *next;
		bool is_in;
	} ready[CMB_TURN__N];
	size_t running[CMB_TURN__N];
	unsigned failures;              /* in a row; 0 = alive */
	struct msp_mono changed, until; /* of `failures`; of the back-off */
	struct cmb_agenda_item due;
};

struct key {
	uint8_t oct[KEY_LEN];
};

static struct key key_of(const struct msp_addr *a)
{
	struct key k = { { 0 } };

	k.oct[0] = (uint8_t)a->family;
	memcpy(k.oct + 1, a->oct, sizeof(a->oct));
	k.oct[17] = (uint8_t)(a->port >> 8);
	k.oct[18] = (uint8_t)a->port;
	return k;
}

static struct cmb_turns_peer *find(const struct cmb_turns *t, const struct msp_addr *addr)
{
	struct key k = key_of(addr);

	return msp_map_get(&t->peers, msp_span(k.oct, KEY_LEN));
}

void cmb_turns_init(struct cmb_turns *t)
{
	memset(t, 0, sizeof(*t));
	msp_map_init(&t->peers, CMB_TURNS_PEERS_MAX);
}

static void drop(void *peer)
{
	msp_free(peer);
}

void cmb_turns_fini(struct cmb_turns *t)
{
	msp_map_fini(&t->peers, drop);
	cmb_agenda_fini(&t->backoff);
}

/* --- which addresses somebody may speak to ------------------------------------------------------------------------ */

static void ring_take(struct cmb_turns_ring *r, struct cmb_turns_peer *p, enum cmb_turn_kind k)
{
	if (!p->ready[k].is_in)
		return;
	p->ready[k].is_in = false;
	*(p->ready[k].prev != NULL ? &p->ready[k].prev->ready[k].next : &r->first) = p->ready[k].next;
	*(p->ready[k].next != NULL ? &p->ready[k].next->ready[k].prev : &r->last) = p->ready[k].prev;
	p->ready[k].prev = p->ready[k].next = NULL;
}

static void ring_append(struct cmb_turns_ring *r, struct cmb_turns_peer *p, enum cmb_turn_kind k)
{
	if (p->ready[k].is_in)
		return;
	p->ready[k].is_in = true;
	p->ready[k].prev = r->last;
	p->ready[k].next = NULL;
	*(r->last != NULL ? &r->last->ready[k].next : &r->first) = p;
	r->last = p;
}

/* Limits for each address are looked at when the turn is given out, since they may change. */
static bool may_begin(const struct cmb_turns_peer *p, struct msp_mono now)
{
	return p->failures == 0 ||
	       (msp_mono_reached(now, p->until) && p->running[CMB_TURN_ASK] + p->running[CMB_TURN_FETCH] == 0);
}

static bool is_idle(const struct cmb_turns_peer *p)
{
	for (unsigned k = 0; k < CMB_TURN__N; k++)
		if (p->line[k].first != NULL || p->running[k] > 0)
			return false;
	return true;
}

static void backoff_out(struct cmb_turns *t, struct cmb_turns_peer *p)
{
	if (cmb_agenda_set(&t->backoff, &p->due, MSP_MONO_NEVER) != MSP_OK) {
		/* cannot be: taking out needs no memory */
	}
}

static void forget(struct cmb_turns *t, struct cmb_turns_peer *p)
{
	struct key k = key_of(&p->addr);

	backoff_out(t, p);
	for (unsigned i = 0; i < CMB_TURN__N; i++)
		ring_take(&t->ready[i], p, (enum cmb_turn_kind)i);
	msp_map_del(&t->peers, msp_span(k.oct, KEY_LEN));
	msp_free(p);
}

/* Something about the address has changed: is it in the rings that it should be in? It may be gone afterwards. */
static void settle(struct cmb_turns *t, struct cmb_turns_peer *p, struct msp_mono now)
{
	bool may = may_begin(p, now);

	for (unsigned i = 0; i < CMB_TURN__N; i++) {
		enum cmb_turn_kind k = (enum cmb_turn_kind)i;

		if (may && p->line[k].first != NULL)
			ring_append(&t->ready[k], p, k);
		else
			ring_take(&t->ready[k], p, k);
	}
	if (is_idle(p) && p->failures == 0)
		forget(t, p);
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

static enum msp_err get_peer(struct cmb_turns *t, const struct msp_addr *addr, struct cmb_turns_peer **out)
{
	struct key k = key_of(addr);
	enum msp_err err;

	*out = find(t, addr);
	if (*out != NULL)
		return MSP_OK;
	*out = msp_alloc(1, sizeof(**out));
	if (*out == NULL)
		return MSP_ENOMEM;
	(*out)->addr = *addr;
	(*out)->changed.ms = (*out)->until.ms = INT64_MIN;
	err = msp_map_put(&t->peers, msp_span(k.oct, KEY_LEN), *out, NULL);
	if (err != MSP_OK)
		msp_free(*out);
	return err;
}

static void line_add(struct cmb_turns_peer *p, struct cmb_turn *turn, bool is_first)
{
	enum cmb_turn_kind k = turn->kind;

	turn->prev = is_first ? NULL : p->line[k].last;
	turn->next = is_first ? p->line[k].first : NULL;
	*(turn->prev != NULL ? &turn->prev->next : &p->line[k].first) = turn;
	*(turn->next != NULL ? &turn->next->prev : &p->line[k].last) = turn;
}

static void line_take(struct cmb_turns_peer *p, struct cmb_turn *turn)
{
	enum cmb_turn_kind k = turn->kind;

	*(turn->prev != NULL ? &turn->prev->next : &p->line[k].first) = turn->next;
	*(turn->next != NULL ? &turn->next->prev : &p->line[k].last) = turn->prev;
	turn->prev = turn->next = NULL;
}

enum msp_err cmb_turns_join(struct cmb_turns *t, struct cmb_turn *turn, const struct msp_addr *addr,
			    enum cmb_turn_kind kind, bool is_first, struct msp_mono now)
{
	enum msp_err err = get_peer(t, addr, &turn->peer);

	if (err != MSP_OK) {
		turn->peer = NULL;
		return err;
	}
	turn->kind = kind;
	turn->state = CMB_TURN_WAITING;
	line_add(turn->peer, turn, is_first);
	t->waiting[kind]++;
	settle(t, turn->peer, now);
	return MSP_OK;
}

static void wake(struct cmb_turns *t, struct msp_mono now)
{
	struct cmb_agenda_item *item;

	while ((item = cmb_agenda_pop(&t->backoff, now)) != NULL) {
		struct cmb_turns_peer *p =
			(struct cmb_turns_peer *)((char *)item - offsetof(struct cmb_turns_peer, due));
		struct msp_mono end = msp_mono_add_ms(p->until, FORGET_MS);

		if (!is_idle(p))
			settle(t, p, now);
		else if (msp_mono_reached(now, end) || cmb_agenda_set(&t->backoff, &p->due, end) != MSP_OK)
			forget(t, p);
	}
}

static struct cmb_turn *next_of(struct cmb_turns *t, enum cmb_turn_kind k, const struct cmb_turns_limits *limits,
				struct msp_mono now)
{
	struct cmb_turns_peer *p;

	while (t->running[k] < limits->max[k] && (p = t->ready[k].first) != NULL) {
		struct cmb_turn *turn = p->line[k].first;

		ring_take(&t->ready[k], p, k);
		/* At its limit: it comes back when one of its turns ends. */
		if (turn == NULL || !may_begin(p, now) || p->running[k] >= limits->per_peer[k])
			continue;
		line_take(p, turn);
		turn->state = CMB_TURN_RUNNING;
		turn->began = now;
		t->waiting[k]--;
		t->running[k]++;
		p->running[k]++;
		settle(t, p, now);
		return turn;
	}
	return NULL;
}

struct cmb_turn *cmb_turns_next(struct cmb_turns *t, const struct cmb_turns_limits *limits, struct msp_mono now)
{
	struct cmb_turn *turn = NULL;

	wake(t, now);
	for (unsigned k = 0; turn == NULL && k < CMB_TURN__N; k++)
		turn = next_of(t, (enum cmb_turn_kind)k, limits, now);
	return turn;
}

/* --- what an address is like -------------------------------------------------------------------------------------- */

static void is_alive(struct cmb_turns *t, struct cmb_turns_peer *p, struct msp_mono now)
{
	p->failures = 0;
	p->changed = now;
	backoff_out(t, p);
}

static void is_silent(struct cmb_turns *t, struct cmb_turns_peer *p, struct msp_mono began, struct msp_mono now)
{
	int64_t wait_ms = CMB_TURNS_BACKOFF_FIRST_MS;

	/* Of many questions that were under way at the same time one failure counts, and none when another one has
	 * been answered since. */
	if (began.ms < p->changed.ms)
		return;
	for (unsigned i = 0; i < p->failures && wait_ms < CMB_TURNS_BACKOFF_MAX_MS; i++)
		wait_ms *= 2;
	if (wait_ms > CMB_TURNS_BACKOFF_MAX_MS)
		wait_ms = CMB_TURNS_BACKOFF_MAX_MS;
	if (p->failures < 32)
		p->failures++;
	p->until = msp_mono_add_ms(now, wait_ms);
	p->changed = msp_mono_add_ms(now, 1); /* not those that began in this very millisecond */
	if (cmb_agenda_set(&t->backoff, &p->due, p->until) != MSP_OK)
		is_alive(t, p, now); /* without memory for its time: no back-off */
}

void cmb_turns_end(struct cmb_turns *t, struct cmb_turn *turn, enum cmb_turn_outcome outcome, struct msp_mono now)
{
	struct cmb_turns_peer *p = turn->peer;
	enum cmb_turn_state state = turn->state;

	if (state == CMB_TURN_NONE)
		return;
	if (state == CMB_TURN_WAITING) {
		line_take(p, turn);
		t->waiting[turn->kind]--;
	} else {
		p->running[turn->kind]--;
		t->running[turn->kind]--;
		if (outcome == CMB_TURN_ANSWERED)
			is_alive(t, p, now);
		else if (outcome == CMB_TURN_SILENT)
			is_silent(t, p, turn->began, now);
	}
	turn->state = CMB_TURN_NONE;
	turn->peer = NULL;
	settle(t, p, now);
}

bool cmb_turns_is_silent(const struct cmb_turns *t, const struct msp_addr *addr, struct msp_mono now)
{
	const struct cmb_turns_peer *p = find(t, addr);

	return p != NULL && p->failures > 0 && !may_begin(p, now);
}

struct cmb_turn *cmb_turns_waiting(const struct cmb_turns *t, const struct msp_addr *addr, enum cmb_turn_kind kind)
{
	const struct cmb_turns_peer *p = find(t, addr);

	return p != NULL ? p->line[kind].first : NULL;
}

void cmb_turns_heard(struct cmb_turns *t, const struct msp_addr *addr, struct msp_mono now)
{
	struct cmb_turns_peer *p = find(t, addr);

	if (p == NULL || p->failures == 0 || msp_mono_reached(now, p->until))
		return;
	p->until = now;
	if (cmb_agenda_set(&t->backoff, &p->due, now) != MSP_OK)
		p->failures = 0;
	settle(t, p, now);
}

struct msp_mono cmb_turns_due(const struct cmb_turns *t)
{
	return cmb_agenda_next(&t->backoff);
}
