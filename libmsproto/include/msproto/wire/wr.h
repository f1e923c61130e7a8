/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Bounds-checked write cursor into the caller's memory, with name compression. Errors stick (MSP_ENOSPACE).
 * Compression keeps case: a suffix is only replaced by a pointer to the very same octets (PROTOCOL E.6).
 */
#ifndef MSPROTO_WIRE_WR_H
#define MSPROTO_WIRE_WR_H

#include <msproto/base/err.h>
#include <msproto/base/span.h>
#include <msproto/wire/name.h>

#define MSP_WR_COMP_SLOTS 1024 /* a power of two */

struct msp_wr {
	uint8_t *base; /* borrowed from the caller until it is done with the writer; offsets count from here */
	size_t pos, cap;
	enum msp_err err;
	bool has_slots;    /* comp_slot is in use; before it has no values */
	uint16_t owner_at; /* where the owner of the last record was written, counted like the slots; 0 = nowhere */
	size_t comp_from;  /* offset that compression pointers count from: start of the message */
	uint16_t comp_slot[MSP_WR_COMP_SLOTS]; /* hash -> offset of a name written earlier, 0 = none; lossy by design */
	struct msp_name owner;                 /* of the last record, unless owner_at is 0 */
};

void msp_wr_init(struct msp_wr *wr, uint8_t *mem, size_t cap);
void msp_wr_u8(struct msp_wr *wr, uint8_t v);
void msp_wr_u16(struct msp_wr *wr, uint16_t v);
void msp_wr_u32(struct msp_wr *wr, uint32_t v);
void msp_wr_u48(struct msp_wr *wr, uint64_t v);
void msp_wr_u64(struct msp_wr *wr, uint64_t v);
void msp_wr_octets(struct msp_wr *wr, struct msp_span s);
/** Uncompressed name; it is remembered as a target for later compression. */
void msp_wr_name(struct msp_wr *wr, const struct msp_name *name);
/** Compressed where an equal (case too) suffix was written earlier in the first 16 KiB. */
void msp_wr_name_comp(struct msp_wr *wr, const struct msp_name *name);
/** Overwrite two octets written earlier, e.g. a length. */
void msp_wr_patch_u16(struct msp_wr *wr, size_t at, uint16_t v);
/** Forget everything written at or after pos (undo of a record that did not fit); clears MSP_ENOSPACE. */
void msp_wr_rewind(struct msp_wr *wr, size_t pos);
static inline struct msp_span msp_wr_span(const struct msp_wr *wr)
{
	return msp_span(wr->base, wr->err == MSP_OK ? wr->pos : 0);
}

#endif
