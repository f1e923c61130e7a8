/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Digests of accepted signatures (PROTOCOL C.5). All memory is taken at the start: a full table costs the oldest entry,
 * never an allocation that fails in the middle of a verification. Entries go in after a signature verified, so only
 * holders of a trusted key can push others out.
 */
#include "auth/trustint.h"

#include <msproto/base/mem.h>

#include <string.h>

#define REPLAY_MAX (1u << 24)
#define NONE       UINT32_MAX

struct entry {
	uint8_t digest[32];
	int64_t until_s;
	uint32_t chain;        /* next in the same hash slot */
	uint32_t older, newer; /* by last use */
};

struct msp_replay {
	struct entry *entries; /* owned, `max` of them; the first `count` are in use */
	uint32_t *slots;       /* owned, `max` of them: hash -> first entry */
	uint32_t max, count, oldest, newest;
};

enum msp_err msp_replay_new(size_t max, struct msp_replay **out)
{
	struct msp_replay *r;

	*out = NULL;
	if (max == 0 || max > REPLAY_MAX)
		return MSP_ELIMIT;
	r = msp_alloc(1, sizeof(*r));
	if (r == NULL)
		return MSP_ENOMEM;
	r->max = (uint32_t)max;
	r->oldest = r->newest = NONE;
	r->entries = msp_alloc(max, sizeof(*r->entries));
	r->slots = msp_alloc(max, sizeof(*r->slots));
	if (r->entries == NULL || r->slots == NULL) {
		msp_replay_free(&r);
		return MSP_ENOMEM;
	}
	memset(r->slots, 0xff, max * sizeof(*r->slots)); /* NONE */
	*out = r;
	return MSP_OK;
}

void msp_replay_free(struct msp_replay **r)
{
	if (*r == NULL)
		return;
	msp_free((*r)->entries);
	msp_free((*r)->slots);
	msp_free(*r);
	*r = NULL;
}

static uint32_t *slot_of(struct msp_replay *r, const uint8_t digest[32])
{
	uint64_t hash;

	memcpy(&hash, digest, sizeof(hash)); /* SHA-256 output needs no further hashing */
	return &r->slots[hash % r->max];
}

static uint32_t find(struct msp_replay *r, const uint8_t digest[32])
{
	uint32_t i = *slot_of(r, digest);

	while (i != NONE && memcmp(r->entries[i].digest, digest, 32) != 0)
		i = r->entries[i].chain;
	return i;
}

static void unlink_age(struct msp_replay *r, uint32_t i)
{
	struct entry *e = &r->entries[i];

	*(e->older == NONE ? &r->oldest : &r->entries[e->older].newer) = e->newer;
	*(e->newer == NONE ? &r->newest : &r->entries[e->newer].older) = e->older;
}

static void link_newest(struct msp_replay *r, uint32_t i)
{
	r->entries[i].older = r->newest;
	r->entries[i].newer = NONE;
	*(r->newest == NONE ? &r->oldest : &r->entries[r->newest].newer) = i;
	r->newest = i;
}

static void unlink_chain(struct msp_replay *r, uint32_t i)
{
	uint32_t *at = slot_of(r, r->entries[i].digest);

	while (*at != i)
		at = &r->entries[*at].chain;
	*at = r->entries[i].chain;
}

/* An unused entry, else the one not used for longest. */
static uint32_t take_entry(struct msp_replay *r)
{
	uint32_t i = r->oldest;

	if (r->count < r->max)
		return r->count++;
	unlink_chain(r, i);
	unlink_age(r, i);
	return i;
}

static void insert(struct msp_replay *r, const uint8_t digest[32], struct msp_wall until)
{
	uint32_t i = find(r, digest), *slot;

	if (i != NONE) {
		unlink_age(r, i);
	} else {
		i = take_entry(r);
		memcpy(r->entries[i].digest, digest, 32);
		slot = slot_of(r, digest);
		r->entries[i].chain = *slot;
		*slot = i;
	}
	r->entries[i].until_s = until.s;
	link_newest(r, i);
}

enum msp_seen msp_replay_note(struct msp_replay *r, const uint8_t digest[32], struct msp_wall now,
			      struct msp_wall until)
{
	uint32_t i = find(r, digest);

	if (i != NONE && r->entries[i].until_s >= now.s) {
		unlink_age(r, i);
		link_newest(r, i);
		return MSP_SEEN_BEFORE;
	}
	insert(r, digest, until);
	return MSP_SEEN_NEW;
}

void msp_replay_list(const struct msp_replay *r, msp_replay_fn *fn, void *arg)
{
	for (uint32_t i = r->oldest; i != NONE; i = r->entries[i].newer)
		fn(arg, r->entries[i].digest, (struct msp_wall){ r->entries[i].until_s });
}

void msp_replay_restore(struct msp_replay *r, const uint8_t digest[32], struct msp_wall until)
{
	insert(r, digest, until);
}
