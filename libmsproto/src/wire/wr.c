/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/wire/wr.h>

#include "wire/layout.h"

#include <string.h>

#define COMP_REACH 0x4000 /* RFC 1035 4.1.4: a pointer has 14 bits */

void msp_wr_init(struct msp_wr *wr, uint8_t *mem, size_t cap)
{
	wr->base = mem;
	wr->pos = 0;
	wr->cap = cap;
	wr->err = MSP_OK;
	wr->comp_from = 0;
	memset(wr->comp_slot, 0, sizeof(wr->comp_slot));
}

/* Room for n octets, already claimed; NULL when they do not fit. */
static uint8_t *claim(struct msp_wr *wr, size_t n)
{
	if (wr->err == MSP_OK && n > wr->cap - wr->pos)
		wr->err = MSP_ENOSPACE;
	if (wr->err != MSP_OK)
		return NULL;
	wr->pos += n;
	return wr->base + wr->pos - n;
}

static void be(struct msp_wr *wr, uint64_t v, size_t n)
{
	uint8_t *p = claim(wr, n);

	if (p == NULL)
		return;
	for (size_t i = n; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

void msp_wr_u8(struct msp_wr *wr, uint8_t v)
{
	be(wr, v, 1);
}

void msp_wr_u16(struct msp_wr *wr, uint16_t v)
{
	be(wr, v, 2);
}

void msp_wr_u32(struct msp_wr *wr, uint32_t v)
{
	be(wr, v, 4);
}

void msp_wr_u48(struct msp_wr *wr, uint64_t v)
{
	be(wr, v, 6);
}

void msp_wr_u64(struct msp_wr *wr, uint64_t v)
{
	be(wr, v, 8);
}

void msp_wr_octets(struct msp_wr *wr, struct msp_span s)
{
	uint8_t *p = s.len != 0 ? claim(wr, s.len) : NULL;

	if (p != NULL)
		memcpy(p, s.ptr, s.len);
}

void msp_wr_patch_u16(struct msp_wr *wr, size_t at, uint16_t v)
{
	if (wr->err != MSP_OK || wr->pos < 2 || at > wr->pos - 2)
		return;
	wr->base[at] = (uint8_t)(v >> 8);
	wr->base[at + 1] = (uint8_t)v;
}

void msp_wr_rewind(struct msp_wr *wr, size_t pos)
{
	if (pos < wr->pos)
		wr->pos = pos;
	for (size_t i = 0; i < MSP_WR_COMP_SLOTS; i++)
		if (wr->comp_slot[i] + wr->comp_from >= wr->pos)
			wr->comp_slot[i] = 0;
	if (wr->err == MSP_ENOSPACE)
		wr->err = MSP_OK;
}

/* Where the labels of a name start, and for each the hash of the suffix from there on. The root is not among them. */
struct suffixes {
	unsigned count;
	uint8_t at[MSP_NAME_LABELS_MAX];
	uint8_t hash[MSP_NAME_LABELS_MAX];
};

static void suffixes_of(const uint8_t *oct, struct suffixes *s)
{
	uint32_t h = 2166136261u; /* FNV-1a, run from the last label to the first so that suffixes share their work */
	unsigned at = 0;

	s->count = 0;
	while (oct[at] != 0) {
		s->at[s->count++] = (uint8_t)at;
		at += oct[at] + 1u;
	}
	for (unsigned i = s->count; i-- > 0;) {
		const uint8_t *label = oct + s->at[i];

		for (unsigned k = 0; k <= label[0]; k++)
			h = (h ^ label[k]) * 16777619u;
		s->hash[i] = (uint8_t)(h ^ h >> 8 ^ h >> 16 ^ h >> 24);
	}
}

/* Do the octets written at `at` read as exactly this name, case included? */
static bool written_same(const struct msp_wr *wr, size_t at, const uint8_t *name)
{
	for (unsigned hops = 0; hops <= MSP_NAME_LABELS_MAX;) {
		uint8_t len;

		if (at >= wr->pos)
			return false;
		len = wr->base[at];
		if (len >= 0xC0) {
			size_t to;

			if (wr->pos - at < 2)
				return false;
			to = wr->comp_from + ((size_t)(len & 0x3F) << 8 | wr->base[at + 1]);
			if (to >= at)
				return false;
			at = to;
			hops++;
			continue;
		}
		if (len != name[0])
			return false;
		if (len == 0)
			return true;
		if (len >= wr->pos - at || memcmp(wr->base + at, name, len + 1u) != 0)
			return false;
		at += len + 1u;
		name += len + 1u;
	}
	return false;
}

void msp_wr_name_octets(struct msp_wr *wr, struct msp_span name, bool comp)
{
	size_t start = wr->pos, to = 0;
	struct suffixes s;
	unsigned literal;
	uint8_t *p;

	if (wr->err != MSP_OK)
		return;
	suffixes_of(name.ptr, &s);
	literal = s.count;
	for (unsigned i = 0; comp && i < s.count; i++) {
		to = wr->comp_slot[s.hash[i]];
		if (to != 0 && written_same(wr, wr->comp_from + to, name.ptr + s.at[i])) {
			literal = i;
			break;
		}
	}
	if (literal == s.count) {
		p = claim(wr, name.len);
		if (p != NULL)
			memcpy(p, name.ptr, name.len);
	} else {
		size_t n = s.at[literal];

		p = claim(wr, n + 2);
		if (p != NULL) {
			memcpy(p, name.ptr, n);
			p[n] = (uint8_t)(0xC0 | to >> 8);
			p[n + 1] = (uint8_t)to;
		}
	}
	if (p == NULL || start < wr->comp_from)
		return;
	start -= wr->comp_from;
	/* Where two suffixes fall into one slot the longer one stays. Offset 0 would mean none: nothing is lost by
	 * that. */
	for (unsigned i = literal; i-- > 0;)
		if (start + s.at[i] < COMP_REACH)
			wr->comp_slot[s.hash[i]] = (uint16_t)(start + s.at[i]);
}

void msp_wr_name(struct msp_wr *wr, const struct msp_name *name)
{
	msp_wr_name_octets(wr, msp_name_span(name), false);
}

void msp_wr_name_comp(struct msp_wr *wr, const struct msp_name *name)
{
	msp_wr_name_octets(wr, msp_name_span(name), true);
}
