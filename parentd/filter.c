/* SPDX-License-Identifier: BSD-2-Clause */
#include "filter.h"

#include <msproto/base/mem.h>

#include <stdatomic.h>
#include <string.h>

#define WORDS        8  /* of 64 bits in a block: one line of the processor's cache */
#define BITS_SET     7  /* for each name, within one block */
#define BITS_PER_ONE 16 /* names spread unevenly over the blocks: more than an unblocked filter needs */

struct prt_filter {
	_Atomic uint64_t *word; /* owned; WORDS for each block */
	size_t blocks, capacity;
	uint8_t key[PRT_FILTER_KEY];
};

/* --- hashing --- */

static inline uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static inline void sip_rounds(uint64_t v[4], unsigned rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

/* Octet by octet: the same on every machine, and compilers know the pattern. */
static inline uint64_t little(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint64_t prt_siphash(const uint8_t key[PRT_FILTER_KEY], struct msp_span octets)
{
	uint64_t k0 = little(key, 8), k1 = little(key + 8, 8), m;
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
			  k1 ^ 0x7465646279746573u };
	size_t at = 0;

	for (; octets.len - at >= 8; at += 8) {
		m = little(octets.ptr + at, 8);
		v[3] ^= m;
		sip_rounds(v, 2);
		v[0] ^= m;
	}
	m = (uint64_t)(octets.len & 0xff) << 56;
	if (octets.len > at)
		m |= little(octets.ptr + at, octets.len - at);
	v[3] ^= m;
	sip_rounds(v, 2);
	v[0] ^= m;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* --- the filter --- */

enum msp_err prt_filter_new(size_t capacity, const uint8_t key[PRT_FILTER_KEY], struct prt_filter **out)
{
	struct prt_filter *f;

	*out = NULL;
	if (capacity > UINT32_MAX)
		return MSP_ELIMIT;
	f = msp_alloc(1, sizeof(*f));
	if (f == NULL)
		return MSP_ENOMEM;
	f->capacity = capacity;
	f->blocks = capacity / (WORDS * 64 / BITS_PER_ONE) + 1;
	memcpy(f->key, key, PRT_FILTER_KEY);
	f->word = msp_alloc(f->blocks * WORDS, sizeof(*f->word));
	if (f->word == NULL) {
		prt_filter_free(&f);
		return MSP_ENOMEM;
	}
	*out = f;
	return MSP_OK;
}

void prt_filter_free(struct prt_filter **f)
{
	if (*f == NULL)
		return;
	msp_free((*f)->word);
	msp_free(*f);
	*f = NULL;
}

/* The upper half of the hash finds the block, the lower one the bits, each 9 bits further on; spread once more, because
 * 7 times 9 is more than a half has. */
static _Atomic uint64_t *block_of(const struct prt_filter *f, struct msp_span name, uint64_t *bits)
{
	uint64_t h = prt_siphash(f->key, name);

	*bits = (h & UINT32_MAX) * 0x9e3779b97f4a7c15u;
	return f->word + ((h >> 32) * f->blocks >> 32) * WORDS;
}

void prt_filter_add(struct prt_filter *f, struct msp_span name)
{
	uint64_t bits;
	_Atomic uint64_t *word = block_of(f, name, &bits);

	for (unsigned i = 0; i < BITS_SET; i++, bits >>= 9)
		atomic_fetch_or_explicit(&word[bits >> 6 & (WORDS - 1)], UINT64_C(1) << (bits & 63),
					 memory_order_relaxed);
}

bool prt_filter_has(const struct prt_filter *f, struct msp_span name)
{
	uint64_t bits;
	_Atomic uint64_t *word = block_of(f, name, &bits);
	bool has = true;

	for (unsigned i = 0; has && i < BITS_SET; i++, bits >>= 9)
		has = (atomic_load_explicit(&word[bits >> 6 & (WORDS - 1)], memory_order_relaxed) >> (bits & 63) & 1) !=
		      0;
	return has;
}

size_t prt_filter_capacity(const struct prt_filter *f)
{
	return f->capacity;
}
