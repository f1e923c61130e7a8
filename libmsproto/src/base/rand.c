/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/rand.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void msp_rand_init_system(struct msp_rand *r)
{
	*r = (struct msp_rand){ .seeded = false };
}

/* splitmix64 (Steele, Lea, Flood 2014): spreads any seed, also 0, over the whole state. */
static uint64_t splitmix(uint64_t *x)
{
	uint64_t z = *x += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void msp_rand_init_seed(struct msp_rand *r, uint64_t seed)
{
	*r = (struct msp_rand){ .seeded = true };
	for (size_t i = 0; i < 4; i++)
		r->state[i] = splitmix(&seed);
}

static uint64_t rotate(uint64_t x, unsigned by)
{
	return (x << by) | (x >> (64 - by));
}

/* xoshiro256** (Blackman, Vigna 2018). */
static uint64_t sequence_next(uint64_t s[4])
{
	uint64_t out = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return out;
}

static void system_bytes(uint8_t *out, size_t len)
{
	while (len > 0) {
		ssize_t got = getrandom(out, len, 0);

		if (got < 0 && errno != EINTR)
			abort(); /* message ids and nonces would be guessable */
		if (got > 0) {
			out += got;
			len -= (size_t)got;
		}
	}
}

void msp_rand_bytes(struct msp_rand *r, void *out, size_t len)
{
	uint8_t *to = out;

	if (!r->seeded) {
		system_bytes(to, len);
		return;
	}
	while (len > 0) {
		uint64_t word = sequence_next(r->state);

		for (size_t i = 0; i < 8 && len > 0; i++, len--, word >>= 8)
			*to++ = (uint8_t)
				word; /* low octet first on every machine: the same seed gives the same octets */
	}
}

uint16_t msp_rand_u16(struct msp_rand *r)
{
	return (uint16_t)(msp_rand_u64(r) >> 48);
}

/* Numbers (ids, jitter) are wanted several times for each message: a system call for each would be felt. */
uint64_t msp_rand_u64(struct msp_rand *r)
{
	uint64_t word;

	if (r->seeded)
		return sequence_next(r->state);
	if (r->ahead_count == 0) {
		system_bytes((uint8_t *)r->ahead, sizeof(r->ahead));
		r->ahead_count = MSP_RAND_AHEAD;
	}
	word = r->ahead[--r->ahead_count];
	r->ahead[r->ahead_count] = 0;
	return word;
}

uint64_t msp_rand_below(struct msp_rand *r, uint64_t bound)
{
	uint64_t word, lowest;

	if (bound == 0)
		return 0;
	lowest = (0 - bound) % bound; /* 2^64 mod bound: the words below it would favour small results */
	do
		word = msp_rand_u64(r);
	while (word < lowest);
	return word % bound;
}

int64_t msp_rand_jitter(struct msp_rand *r, int64_t base, unsigned percent)
{
	uint64_t size = base < 0 ? 0 - (uint64_t)base : (uint64_t)base;
	uint64_t reach, offset;
	int64_t out;

	if (percent > 100)
		percent = 100;
	reach = size / 100 * percent + size % 100 * percent / 100; /* at most 2^63 */
	if (reach > INT64_MAX / 4)
		reach = INT64_MAX / 4; /* no time or length is that big; keeps the sums below from overflowing */
	offset = msp_rand_below(r, 2 * reach + 1);
	if (__builtin_add_overflow(base, (int64_t)offset - (int64_t)reach, &out))
		out = base;
	return out;
}
