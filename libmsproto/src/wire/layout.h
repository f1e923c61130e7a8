/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What the files of wire/ share about RDATA layouts and raw names; not public. The letters are explained in
 * rr.c. */
#ifndef WIRE_LAYOUT_H
#define WIRE_LAYOUT_H

#include <msproto/wire/rr.h>

/** Octets of the field that the layout letter describes, at `pos`; everything in it is checked. pos <= rdata.len. */
MSP_CHECKED enum msp_err msp_field_len(char letter, struct msp_span rdata, size_t pos, size_t *len);

/** Length of the uncompressed name at the start of s. @return MSP_OK, MSP_ETRUNC, MSP_EFORMAT (pointer), MSP_ENAME (too
 * long). */
MSP_CHECKED enum msp_err msp_name_octets_len(struct msp_span s, size_t *len);

/**
 * Read one name as msp_name_read does, uncompressed into out (room for MSP_NAME_MAX octets; those after the name are
 * not defined). Moves rd on MSP_OK only; rd->err, which must be MSP_OK before, is left alone.
 */
MSP_CHECKED enum msp_err msp_name_unpack(struct msp_rd *rd, enum msp_name_comp comp, uint8_t *out, size_t *out_len);

/** Write a valid uncompressed name given as octets; remembered as a target of compression. */
void msp_wr_name_octets(struct msp_wr *wr, struct msp_span name, bool comp);
/** The same, compressed, for the owner of a record: the owner of the record before is tried first. */
void msp_wr_owner(struct msp_wr *wr, const struct msp_name *owner);
/** The uncompressed name at the start of s, compressed. @return its octets in s; 0, and nothing written, when there is
 * no valid name. */
size_t msp_wr_name_prefix(struct msp_wr *wr, struct msp_span s);
/** Room for n octets, already claimed; NULL, and MSP_ENOSPACE in wr, when they do not fit. */
static inline uint8_t *msp_wr_claim(struct msp_wr *wr, size_t n)
{
	if (wr->err == MSP_OK && n > wr->cap - wr->pos)
		wr->err = MSP_ENOSPACE;
	if (wr->err != MSP_OK)
		return NULL;
	wr->pos += n;
	return wr->base + wr->pos - n;
}

/** Canonical order of RDATA (RFC 4034 6.3): <0, 0, >0. */
int msp_rdata_cmp(uint16_t type, struct msp_span a, struct msp_span b);

/** SVCB parameters: complete, keys strictly increasing. With `values`, the values of keys 0..6 are well-formed too. */
MSP_CHECKED enum msp_err msp_svcb_params_check(struct msp_span params, bool values);

static inline uint8_t msp_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static inline uint16_t msp_get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t msp_get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#endif
