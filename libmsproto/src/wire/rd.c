/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/wire/rd.h>

static const uint8_t nothing[1]; /* so that an empty span without a pointer needs no case of its own */

void msp_rd_init(struct msp_rd *rd, struct msp_span octets)
{
	rd->base = octets.ptr != NULL ? octets.ptr : nothing;
	rd->pos = 0;
	rd->floor = 0;
	rd->end = octets.ptr != NULL ? octets.len : 0;
	rd->err = MSP_OK;
}

static const uint8_t *take(struct msp_rd *rd, size_t n)
{
	if (rd->err == MSP_OK && n > rd->end - rd->pos) /* subtract on the trusted side: cannot wrap */
		rd->err = MSP_ETRUNC;
	if (rd->err != MSP_OK)
		return NULL;
	rd->pos += n;
	return rd->base + rd->pos - n;
}

static uint64_t be(struct msp_rd *rd, size_t n)
{
	const uint8_t *p = take(rd, n);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t msp_rd_u8(struct msp_rd *rd)
{
	return (uint8_t)be(rd, 1);
}

uint16_t msp_rd_u16(struct msp_rd *rd)
{
	return (uint16_t)be(rd, 2);
}

uint32_t msp_rd_u32(struct msp_rd *rd)
{
	return (uint32_t)be(rd, 4);
}

uint64_t msp_rd_u48(struct msp_rd *rd)
{
	return be(rd, 6);
}

uint64_t msp_rd_u64(struct msp_rd *rd)
{
	return be(rd, 8);
}

struct msp_span msp_rd_take(struct msp_rd *rd, size_t n)
{
	const uint8_t *p = take(rd, n);

	return msp_span(p, p != NULL ? n : 0);
}

struct msp_span msp_rd_rest(struct msp_rd *rd)
{
	return msp_rd_take(rd, msp_rd_left(rd));
}

struct msp_rd msp_rd_sub(struct msp_rd *rd, size_t n)
{
	struct msp_rd sub = *rd;

	if (take(rd, n) == NULL)
		sub.err = rd->err;
	else
		sub.end = rd->pos;
	return sub;
}

enum msp_err msp_rd_done(const struct msp_rd *rd)
{
	if (rd->err != MSP_OK)
		return rd->err;
	return rd->pos == rd->end ? MSP_OK : MSP_ETRAIL;
}

void msp_rd_fail(struct msp_rd *rd, enum msp_err err)
{
	if (rd->err == MSP_OK)
		rd->err = err;
}
