/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/resolve_wire.h"

#include <string.h>

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
	msp_buf_add_span(out, msp_name_span(&ask->name));
	return close_frame(out, start);
}

enum msp_err resolve_ask_read(struct msp_span payload, struct resolve_ask *out)
{
	struct msp_rd rd;

	msp_rd_init(&rd, payload);
	out->id = msp_rd_u32(&rd);
	out->type = msp_rd_u16(&rd);
	msp_name_read(&rd, MSP_NAME_PLAIN, &out->name);
	return msp_rd_done(&rd);
}

enum msp_err resolve_reply_write(const struct resolve_reply *reply, struct msp_buf *out)
{
	size_t start = out->len, why_len = strlen(reply->why);
	const struct msp_rrset *set = reply->set;

	add_u32(out, 0);
	add_u32(out, reply->id);
	msp_buf_add_u8(out, (uint8_t)reply->verdict);
	msp_buf_add_u8(out, (uint8_t)why_len);
	msp_buf_add(out, reply->why, why_len);
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

enum msp_err resolve_reply_read(struct msp_span payload, struct resolve_reply *out)
{
	struct msp_rd rd;
	struct msp_span why;
	uint8_t verdict;

	msp_rd_init(&rd, payload);
	out->set = NULL;
	out->id = msp_rd_u32(&rd);
	verdict = msp_rd_u8(&rd);
	why = msp_rd_take(&rd, msp_rd_u8(&rd));
	if (rd.err != MSP_OK)
		return rd.err;
	if (verdict > MSP_LOOKUP_FAILED || why.len > RESOLVE_WHY_MAX)
		return MSP_EVALUE;
	if (why.len > 0)
		memcpy(out->why, why.ptr, why.len);
	out->why[why.len] = '\0';
	out->verdict = (enum msp_lookup)verdict;
	return out->verdict == MSP_LOOKUP_SECURE ? read_set(&rd, &out->set) : msp_rd_done(&rd);
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
