/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/wire/wr.h>

#include "wire/layout.h"

#include <assert.h>
#include <string.h>

#define COMP_REACH 0x4000 /* RFC 1035 4.1.4: a pointer has 14 bits */

void msp_wr_init(struct msp_wr *wr, uint8_t *mem, size_t cap)
{
	wr->base = mem;
	wr->pos = 0;
	wr->cap = cap;
	wr->err = MSP_OK;
	wr->comp_from = 0;
	wr->owner_at = 0;
	wr->has_slots = false; /* most writers never see a name to compress */
}

static void be(struct msp_wr *wr, uint64_t v, size_t n)
{
	uint8_t *p = msp_wr_claim(wr, n);

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
	uint8_t *p = s.len != 0 ? msp_wr_claim(wr, s.len) : NULL;

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
	if (wr->owner_at + wr->comp_from >= wr->pos)
		wr->owner_at = 0;
	for (size_t i = 0; wr->has_slots && i < MSP_WR_COMP_SLOTS; i++)
		if (wr->comp_slot[i] + wr->comp_from >= wr->pos)
			wr->comp_slot[i] = 0;
	if (wr->err == MSP_ENOSPACE)
		wr->err = MSP_OK;
}

/* Where the labels of a name start, and for each the slot of the suffix from there on. The root is not among them. */
struct suffixes {
	unsigned count;
	uint8_t at[MSP_NAME_LABELS_MAX];
	uint16_t slot[MSP_NAME_LABELS_MAX];
};

/* n octets, 1 to 8, as a number: equal octets give equal numbers and, n being the same, different ones different. */
static inline uint64_t load(const uint8_t *p, size_t n)
{
	uint32_t lo, hi;

	if (n < 4) /* all of them, some twice */
		return (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
	memcpy(&lo, p, 4);
	memcpy(&hi, p + n - 4, 4);
	return (uint64_t)hi << 32 | lo;
}

static inline bool same_octets(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (; n > 8; a += 8, b += 8, n -= 8)
		if (load(a, 8) != load(b, 8))
			return false;
	return load(a, n) == load(b, n);
}

/* memcpy for a few octets, without the call. */
static inline void copy_octets(uint8_t *to, const uint8_t *from, size_t n)
{
	if (n < 8 || n > 32) {
		memcpy(to, from, n);
	} else if (n >= 16) {
		memcpy(to, from, 16);
		memcpy(to + n - 16, from + n - 16, 16);
	} else {
		memcpy(to, from, 8);
		memcpy(to + n - 8, from + n - 8, 8);
	}
}

#define HASH_FACTOR UINT64_C(0x9E3779B97F4A7C15)

static inline uint64_t hash_label(const uint8_t *label)
{
	size_t n = label[0] + 1u;
	uint64_t h = 0;

	for (; n > 8; label += 8, n -= 8)
		h = (h ^ load(label, 8)) * HASH_FACTOR;
	return h ^ load(label, n);
}

/* @return octets of the name at the start of s, 0 when there is none that is valid */
static size_t suffixes_of(struct msp_span s, struct suffixes *out)
{
	uint64_t hash[MSP_NAME_LABELS_MAX], h = 0;
	size_t room = s.len < MSP_NAME_MAX ? s.len : MSP_NAME_MAX, at = 0;
	unsigned count = 0;

	out->count = 0;
	for (; at < room && s.ptr[at] != 0; at += s.ptr[at] + 1u) {
		if (s.ptr[at] > MSP_LABEL_MAX || s.ptr[at] >= room - at)
			return 0;
		out->at[count] = (uint8_t)at;
		hash[count++] = hash_label(s.ptr + at);
	}
	if (at >= room)
		return 0;
	out->count = count;
	/* From the last label to the first, so that suffixes share their work. What a hash says decides nothing but how
	 * well names are found again. */
	while (count-- > 0) {
		h = (h ^ hash[count]) * HASH_FACTOR;
		h ^= h >> 32;
		out->slot[count] = (uint16_t)(h & (MSP_WR_COMP_SLOTS - 1));
	}
	return at + 1;
}

/* Do the octets written at `at` read as exactly this name, case included? */
static bool written_same(const struct msp_wr *wr, size_t at, const uint8_t *name)
{
	const uint8_t *base = wr->base;
	size_t end = wr->pos;

	for (unsigned hops = 0; hops <= MSP_NAME_LABELS_MAX;) {
		uint8_t len;

		if (at >= end)
			return false;
		len = base[at];
		if (len >= 0xC0) {
			size_t to;

			if (end - at < 2)
				return false;
			to = wr->comp_from + ((size_t)(len & 0x3F) << 8 | base[at + 1]);
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
		if (len >= end - at || !same_octets(base + at, name, len + 1u))
			return false;
		at += len + 1u;
		name += len + 1u;
	}
	return false;
}

static void put_pointer(uint8_t *p, size_t to)
{
	p[0] = (uint8_t)(0xC0 | to >> 8);
	p[1] = (uint8_t)to;
}

/* The longest suffix that was written before. @return its index, s->count when there is none */
static unsigned find_suffix(const struct msp_wr *wr, const uint8_t *name, const struct suffixes *s, size_t *to)
{
	for (unsigned i = 0; i < s->count; i++) {
		*to = wr->comp_slot[s->slot[i]];
		if (*to != 0 && written_same(wr, wr->comp_from + *to, name + s->at[i]))
			return i;
	}
	return s->count;
}

static void write_name(struct msp_wr *wr, struct msp_span name, const struct suffixes *s, bool comp)
{
	size_t start = wr->pos, to = 0, n;
	unsigned literal;
	uint8_t *p;

	if (!wr->has_slots)
		memset(wr->comp_slot, 0, sizeof(wr->comp_slot));
	wr->has_slots = true;
	literal = comp ? find_suffix(wr, name.ptr, s, &to) : s->count;
	n = literal < s->count ? s->at[literal] : name.len;
	p = msp_wr_claim(wr, literal < s->count ? n + 2 : n);
	if (p == NULL)
		return;
	copy_octets(p, name.ptr, n);
	if (literal < s->count)
		put_pointer(p + n, to);
	if (start < wr->comp_from)
		return;
	start -= wr->comp_from;
	/* Where two suffixes fall into one slot the longer one stays. Offset 0 would mean none: nothing is lost by
	 * that. */
	for (unsigned i = literal; i-- > 0;)
		if (start + s->at[i] < COMP_REACH)
			wr->comp_slot[s->slot[i]] = (uint16_t)(start + s->at[i]);
}

size_t msp_wr_name_prefix(struct msp_wr *wr, struct msp_span s)
{
	struct suffixes suffixes;
	size_t len = suffixes_of(s, &suffixes);

	if (len != 0 && wr->err == MSP_OK)
		write_name(wr, msp_span(s.ptr, len), &suffixes, true);
	return len;
}

void msp_wr_name_octets(struct msp_wr *wr, struct msp_span name, bool comp)
{
	struct suffixes suffixes;
	size_t len = suffixes_of(name, &suffixes);

	assert(len == name.len);
	if (wr->err == MSP_OK)
		write_name(wr, msp_span(name.ptr, len), &suffixes, comp);
}

void msp_wr_owner(struct msp_wr *wr, const struct msp_name *owner)
{
	size_t start = wr->pos;
	uint8_t *p;

	/* Records of one name follow each other. The root is shorter than a pointer. */
	if (wr->owner_at != 0 && owner->len > 2 && owner->len == wr->owner.len &&
	    same_octets(owner->oct, wr->owner.oct, owner->len)) {
		p = msp_wr_claim(wr, 2);
		if (p != NULL)
			put_pointer(p, wr->owner_at);
		return;
	}
	msp_wr_name_octets(wr, msp_name_span(owner), true);
	wr->owner_at = 0;
	if (wr->err != MSP_OK || start < wr->comp_from || start - wr->comp_from >= COMP_REACH)
		return;
	p = wr->base + start;
	wr->owner_at = p[0] >= 0xC0 ? (uint16_t)(msp_get_u16(p) & 0x3FFF) : (uint16_t)(start - wr->comp_from);
	wr->owner.len = owner->len;
	copy_octets(wr->owner.oct, owner->oct, owner->len);
}

void msp_wr_name(struct msp_wr *wr, const struct msp_name *name)
{
	msp_wr_name_octets(wr, msp_name_span(name), false);
}

void msp_wr_name_comp(struct msp_wr *wr, const struct msp_name *name)
{
	msp_wr_name_octets(wr, msp_name_span(name), true);
}
