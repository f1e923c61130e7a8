/* SPDX-License-Identifier: BSD-2-Clause */
#include "probe_dead.h"

#define FAILURES    2 /* before that it may have been chance */
#define FIRST_MS    30000
#define MOST_MS     600000
#define TRIAL_MS    90000 /* longer than a look may take: one that was broken off says nothing */
#define DOUBLED_MAX 8     /* more would be over the most */

void prt_dead_init(struct prt_dead *d, uint64_t seed)
{
	d->seed = seed;
}

/* FNV-1a, begun with the seed. */
static struct prt_dead_slot *place(struct prt_dead *d, const struct msp_addr *a)
{
	uint64_t h = 0xcbf29ce484222325u ^ d->seed;

	for (size_t i = 0; i < sizeof(a->oct); i++)
		h = (h ^ a->oct[i]) * 0x100000001b3u;
	h ^= h >> 32;
	return &d->slot[h % PRT_DEAD_SLOTS];
}

static bool is_over(const struct prt_dead_slot *s, struct msp_mono now)
{
	return msp_mono_until_ms(now, s->until) <= 0;
}

bool prt_dead_may_ask(struct prt_dead *d, const struct msp_addr *a, struct msp_mono now)
{
	struct prt_dead_slot *s = place(d, a);

	if (!msp_addr_equal(&s->addr, a) || s->failures < FAILURES)
		return true;
	if (!is_over(s, now))
		return false;
	s->is_on_trial = true;
	s->until = msp_mono_add_ms(now, TRIAL_MS);
	return true;
}

static void leave_alone(struct prt_dead_slot *s, struct msp_mono now)
{
	unsigned doubled = s->failures - FAILURES;
	uint32_t ms = doubled < DOUBLED_MAX ? (uint32_t)FIRST_MS << doubled : MOST_MS;

	s->until = msp_mono_add_ms(now, ms < MOST_MS ? ms : MOST_MS);
}

void prt_dead_note(struct prt_dead *d, const struct msp_addr *a, bool is_alive, struct msp_mono now)
{
	struct prt_dead_slot *s = place(d, a);
	bool is_its = msp_addr_equal(&s->addr, a), is_free = s->addr.family == MSP_FAMILY_NONE || is_over(s, now);

	if (is_its && is_alive)
		*s = (struct prt_dead_slot){ .failures = 0 };
	if (is_alive || (!is_its && !is_free) || (is_its && !is_free && !s->is_on_trial))
		return;
	if (!is_its)
		*s = (struct prt_dead_slot){ .addr = *a };
	s->is_on_trial = false;
	s->failures += s->failures < FAILURES + DOUBLED_MAX;
	s->until = now;
	if (s->failures >= FAILURES)
		leave_alone(s, now);
}
