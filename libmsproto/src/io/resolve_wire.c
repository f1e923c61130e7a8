/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/resolve_wire.h"

#include <string.h>

/* What kind of ask or reply it is, and what follows. */
enum { FLAG_OPEN = 1, FLAG_NEGATIVE = 2, FLAG_SOA = 4 };

static void add_u16(struct msp_buf *b, uint16_t v)
{
	msp_buf_add_u8(b, (uint8_t)(v >> 8));
	msp_buf_add_u8(b, (uint8_t)v);
}

static void add_u32(struct msp_buf *b, uint32_t v)
{
	add_u16(b, (uint16_t)(v >> 16));
	add_u16(b, (uint16_t)v);
}

/* The length is known at the end only. */
static enum msp_err close_frame(struct msp_buf *b, size_t start)
{
	size_t len;

	if (b->err != MSP_OK)
		return b->err;
	len = b->len - start - RESOLVE_FRAME_HEAD;
	for (unsigned i = 0; i < RESOLVE_FRAME_HEAD; i++)
		b->ptr[start + i] = (uint8_t)(len >> (8 * (RESOLVE_FRAME_HEAD - 1 - i)));
	return MSP_OK;
}

enum msp_err resolve_ask_write(const struct resolve_ask *ask, struct msp_buf *out)
{
	size_t start = out->len;

	add_u32(out, 0);
	add_u32(out, ask->id);
	add_u16(out, ask->type);
	msp_buf_add_u8(out, ask->is_open ? FLAG_OPEN : 0);
	msp_buf_add_span(out, msp_name_span(&ask->name));
	return close_frame(out, start);
}

enum msp_err resolve_ask_read(struct msp_span payload, struct resolve_ask *out)
{
	struct msp_rd rd;
	uint8_t flags;

	msp_rd_init(&rd, payload);
	out->id = msp_rd_u32(&rd);
	out->type = msp_rd_u16(&rd);
	flags = msp_rd_u8(&rd);
	out->is_open = flags == FLAG_OPEN;
	msp_name_read(&rd, MSP_NAME_PLAIN, &out->name);
	if (rd.err == MSP_OK && flags > FLAG_OPEN)
		return MSP_EVALUE;
	return msp_rd_done(&rd);
}

enum msp_err resolve_reply_write(const struct resolve_reply *reply, struct msp_buf *out)
{
	size_t start = out->len, why_len = strlen(reply->why);
	const struct msp_rrset *set = reply->set;
	bool has_soa = msp_name_is_set(&reply->soa_owner);

	add_u32(out, 0);
	add_u32(out, reply->id);
	msp_buf_add_u8(out, (uint8_t)reply->verdict);
	msp_buf_add_u8(out, (uint8_t)((reply->is_open ? FLAG_OPEN : 0) | (reply->is_negative ? FLAG_NEGATIVE : 0) |
				      (has_soa ? FLAG_SOA : 0)));
	msp_buf_add_u8(out, (uint8_t)why_len);
	msp_buf_add(out, reply->why, why_len);
	if (has_soa)
		msp_buf_add_span(out, msp_name_span(&reply->soa_owner));
	if (set) {
		msp_buf_add_span(out, msp_name_span(&set->owner));
		add_u16(out, set->type);
		add_u32(out, set->ttl);
		for (size_t i = 0; i < set->count; i++) {
			add_u16(out, (uint16_t)set->rdata[i].len);
			msp_buf_add_span(out, set->rdata[i]);
		}
	}
	return close_frame(out, start);
}

static enum msp_err read_set(struct msp_rd *rd, struct msp_rrset **out)
{
	struct msp_rrset *set = NULL;
	struct msp_name owner;
	uint16_t type;
	uint32_t ttl;
	enum msp_err err;

	msp_name_read(rd, MSP_NAME_PLAIN, &owner);
	type = msp_rd_u16(rd);
	ttl = msp_rd_u32(rd);
	if (rd->err != MSP_OK)
		return rd->err;
	err = msp_rrset_new(&owner, type, ttl, &set);
	while (err == MSP_OK && msp_rd_left(rd) > 0) {
		struct msp_span rdata = msp_rd_take(rd, msp_rd_u16(rd));

		err = rd->err;
		if (err == MSP_OK)
			err = msp_rdata_check(type, rdata);
		if (err == MSP_OK)
			err = msp_rrset_add(set, rdata);
	}
	if (err == MSP_OK && set->count == 0)
		err = MSP_ETRUNC;
	if (err == MSP_OK)
		*out = set;
	else
		msp_rrset_free(&set);
	return err;
}

/* Whether flags and verdict go together, and whether records follow. */
static enum msp_err check_kind(uint8_t flags, enum msp_lookup verdict, bool *has_set)
{
	bool is_answer = verdict == MSP_LOOKUP_SECURE || verdict == MSP_LOOKUP_INSECURE;

	*has_set = false;
	switch (flags) {
	case 0:
		*has_set = verdict == MSP_LOOKUP_SECURE;
		return MSP_OK;
	case FLAG_OPEN:
		*has_set = is_answer;
		return verdict == MSP_LOOKUP_NODATA ? MSP_EVALUE : MSP_OK;
	case FLAG_OPEN | FLAG_NEGATIVE:
	case FLAG_OPEN | FLAG_NEGATIVE | FLAG_SOA:
		return is_answer ? MSP_OK : MSP_EVALUE;
	default:
		return MSP_EVALUE;
	}
}

enum msp_err resolve_reply_read(struct msp_span payload, struct resolve_reply *out)
{
	struct msp_rd rd;
	struct msp_span why;
	uint8_t verdict, flags;
	enum msp_err err;
	bool has_set;

	msp_rd_init(&rd, payload);
	*out = (struct resolve_reply){ .set = NULL };
	out->id = msp_rd_u32(&rd);
	verdict = msp_rd_u8(&rd);
	flags = msp_rd_u8(&rd);
	why = msp_rd_take(&rd, msp_rd_u8(&rd));
	if (rd.err != MSP_OK)
		return rd.err;
	if (verdict > MSP_LOOKUP_FAILED || why.len > RESOLVE_WHY_MAX)
		return MSP_EVALUE;
	if (why.len > 0)
		memcpy(out->why, why.ptr, why.len);
	out->verdict = (enum msp_lookup)verdict;
	out->is_open = (flags & FLAG_OPEN) != 0;
	out->is_negative = (flags & FLAG_NEGATIVE) != 0;
	err = check_kind(flags, out->verdict, &has_set);
	if (err != MSP_OK)
		return err;
	if ((flags & FLAG_SOA) != 0)
		msp_name_read(&rd, MSP_NAME_PLAIN, &out->soa_owner);
	return has_set ? read_set(&rd, &out->set) : msp_rd_done(&rd);
}

enum msp_err resolve_frame(struct msp_span in, size_t max, struct msp_span *payload)
{
	size_t len = 0;

	if (in.len < RESOLVE_FRAME_HEAD)
		return MSP_ETRUNC;
	for (unsigned i = 0; i < RESOLVE_FRAME_HEAD; i++)
		len = len << 8 | in.ptr[i];
	if (len > max)
		return MSP_ELIMIT;
	if (in.len - RESOLVE_FRAME_HEAD < len)
		return MSP_ETRUNC;
	*payload = msp_span(in.ptr + RESOLVE_FRAME_HEAD, len);
	return MSP_OK;
}
