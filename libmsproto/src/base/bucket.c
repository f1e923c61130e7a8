/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/bucket.h>
#include <msproto/base/mem.h>
#include <msproto/base/rand.h>

#define SLOTS_MAX (1u << 24)
#define NONE      UINT32_MAX
#define TOKEN     1000 /* parts of a token: one millisecond at n tokens per second gives n parts, exactly */

struct slot {
	uint64_t prefix;
	int64_t parts; /* tokens left, in parts, as of `at` */
	struct msp_mono at;
	uint32_t chain;        /* next slot with the same hash */
	uint32_t newer, older; /* list by last use */
};

struct msp_bucket_table {
	struct slot *slots;   /* owned; count of them */
	uint32_t *heads;      /* owned; mask + 1 chains */
	uint32_t count, used; /* the first `used` slots hold something */
	uint32_t mask;
	uint32_t newest, oldest;
	uint64_t secret; /* so that nobody can choose prefixes that all fall into one chain */
	int64_t per_s, burst_parts;
};

enum msp_err msp_bucket_new(size_t slots, uint32_t per_s, uint32_t burst, struct msp_bucket_table **out)
{
	struct msp_bucket_table *t;
	struct msp_rand r;
	uint32_t chains = 1;

	if (slots == 0)
		return MSP_EVALUE;
	if (slots > SLOTS_MAX)
		return MSP_ELIMIT;
	while (chains < slots)
		chains *= 2;
	t = msp_alloc(1, sizeof(*t));
	if (t == NULL)
		return MSP_ENOMEM;
	t->slots = msp_alloc(slots, sizeof(*t->slots));
	t->heads = msp_alloc(chains, sizeof(*t->heads));
	if (t->slots == NULL || t->heads == NULL) {
		msp_bucket_free(&t);
		return MSP_ENOMEM;
	}
	for (uint32_t i = 0; i < chains; i++)
		t->heads[i] = NONE;
	t->count = (uint32_t)slots;
	t->mask = chains - 1;
	t->newest = t->oldest = NONE;
	t->per_s = per_s;
	t->burst_parts = (int64_t)burst * TOKEN;
	msp_rand_init_system(&r);
	t->secret = msp_rand_u64(&r);
	*out = t;
	return MSP_OK;
}

void msp_bucket_free(struct msp_bucket_table **t)
{
	if (*t == NULL)
		return;
	msp_free((*t)->slots);
	msp_free((*t)->heads);
	msp_free(*t);
	*t = NULL;
}

/* Family and up to 56 bits of address: the whole prefix in one word. */
static uint64_t prefix_of(const struct msp_addr *src)
{
	struct msp_addr p = msp_addr_bucket(src);
	uint64_t word = (uint64_t)p.family;

	for (size_t i = 0; i < 7; i++)
		word = word << 8 | p.oct[i];
	return word;
}

static uint32_t *chain_of(const struct msp_bucket_table *t, uint64_t prefix)
{
	uint64_t h = (prefix ^ t->secret) * 0x9e3779b97f4a7c15u;

	h = (h ^ (h >> 32)) * (t->secret | 1);
	return &t->heads[(h >> 32) & t->mask];
}

static struct slot *slot_find(const struct msp_bucket_table *t, uint64_t prefix)
{
	for (uint32_t i = *chain_of(t, prefix); i != NONE; i = t->slots[i].chain)
		if (t->slots[i].prefix == prefix)
			return &t->slots[i];
	return NULL;
}

static uint32_t slot_index(const struct msp_bucket_table *t, const struct slot *s)
{
	return (uint32_t)(s - t->slots);
}

static void list_remove(struct msp_bucket_table *t, const struct slot *s)
{
	*(s->newer == NONE ? &t->newest : &t->slots[s->newer].older) = s->older;
	*(s->older == NONE ? &t->oldest : &t->slots[s->older].newer) = s->newer;
}

static void list_add(struct msp_bucket_table *t, struct slot *s)
{
	s->newer = NONE;
	s->older = t->newest;
	*(t->newest == NONE ? &t->oldest : &t->slots[t->newest].newer) = slot_index(t, s);
	t->newest = slot_index(t, s);
}

/* A slot for a prefix not seen before: a fresh one while there are any, else the one idle longest. Not in any list. */
static struct slot *slot_claim(struct msp_bucket_table *t)
{
	struct slot *s;
	uint32_t *link;

	if (t->used < t->count)
		return &t->slots[t->used++];
	s = &t->slots[t->oldest];
	list_remove(t, s);
	for (link = chain_of(t, s->prefix); *link != slot_index(t, s); link = &t->slots[*link].chain)
		;
	*link = s->chain;
	return s;
}

static int64_t parts_at(const struct msp_bucket_table *t, const struct slot *s, struct msp_mono now)
{
	int64_t elapsed = msp_mono_until_ms(s->at, now), missing = t->burst_parts - s->parts;

	if (t->per_s == 0)
		return s->parts;
	/* Divide first: the product could overflow after a long idle time. */
	return elapsed > missing / t->per_s ? t->burst_parts : s->parts + elapsed * t->per_s;
}

bool msp_bucket_take(struct msp_bucket_table *t, const struct msp_addr *src, struct msp_mono now)
{
	uint64_t prefix = prefix_of(src);
	struct slot *s = slot_find(t, prefix);

	if (s == NULL) {
		uint32_t *head = chain_of(t, prefix);

		s = slot_claim(t);
		s->prefix = prefix;
		s->parts = t->burst_parts;
		s->at = now;
		s->chain = *head;
		*head = slot_index(t, s);
	} else {
		list_remove(t, s);
		s->parts = parts_at(t, s, now);
		if (now.ms > s->at.ms)
			s->at = now;
	}
	list_add(t, s);
	if (s->parts < TOKEN)
		return false;
	s->parts -= TOKEN;
	return true;
}

bool msp_bucket_peek(struct msp_bucket_table *t, const struct msp_addr *src, struct msp_mono now)
{
	const struct slot *s = slot_find(t, prefix_of(src));

	return (s == NULL ? t->burst_parts : parts_at(t, s, now)) >= TOKEN;
}
