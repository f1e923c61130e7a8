/* SPDX-License-Identifier: BSD-2-Clause */
#include "records.h"

#include <msproto/base/mem.h>

static void drop(struct msa_record *one)
{
	union {
		const uint8_t *borrowed;
		uint8_t *owned;
	} u = { .borrowed = one->rdata.ptr };

	msp_free(u.owned);
}

void msa_records_fini(struct msa_records *r)
{
	for (size_t i = 0; i < r->count; i++)
		drop(&r->item[i]);
	msp_free(r->item);
	*r = (struct msa_records){ 0 };
}

static bool same(const struct msa_record *a, const struct msa_record *b)
{
	return a->type == b->type && msp_name_equal(&a->owner, &b->owner) &&
	       msp_rdata_equal(a->type, a->rdata, b->rdata);
}

bool msa_records_has(const struct msa_records *r, const struct msa_record *one)
{
	for (size_t i = 0; i < r->count; i++)
		if (same(&r->item[i], one))
			return true;
	return false;
}

static enum msp_err grow(struct msa_records *r)
{
	size_t size = r->size == 0 ? 8 : r->size * 2;
	struct msa_record *grown;

	if (r->count < r->size)
		return MSP_OK;
	if (r->count >= MSA_RECORDS_MAX)
		return MSP_ELIMIT;
	grown = msp_realloc(r->item, size, sizeof(*grown));
	if (grown == NULL)
		return MSP_ENOMEM;
	r->item = grown;
	r->size = size;
	return MSP_OK;
}

enum msp_err msa_records_add(struct msa_records *r, const struct msp_name *owner, uint16_t type, uint32_t ttl,
			     struct msp_span rdata)
{
	struct msa_record one = { .owner = *owner, .type = type, .ttl = ttl, .rdata = rdata };
	uint8_t *copy;
	enum msp_err err;

	if (msa_records_has(r, &one))
		return MSP_OK;
	err = grow(r);
	if (err != MSP_OK)
		return err;
	copy = msp_memdup(rdata.ptr, rdata.len);
	if (copy == NULL)
		return MSP_ENOMEM;
	one.rdata = msp_span(copy, rdata.len);
	r->item[r->count++] = one;
	return MSP_OK;
}

enum msp_err msa_records_add_set(struct msa_records *r, const struct msp_rrset *set)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; set != NULL && i < set->count && err == MSP_OK; i++)
		err = msa_records_add(r, &set->owner, set->type, set->ttl, set->rdata[i]);
	return err;
}

enum msp_err msa_records_merge(struct msa_records *into, const struct msa_records *from)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; i < from->count && err == MSP_OK; i++)
		err = msa_records_add(into, &from->item[i].owner, from->item[i].type, from->item[i].ttl,
				      from->item[i].rdata);
	return err;
}

void msa_records_intersect(struct msa_records *r, const struct msa_records *with)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->count; i++) {
		if (msa_records_has(with, &r->item[i]))
			r->item[kept++] = r->item[i];
		else
			drop(&r->item[i]);
	}
	r->count = kept;
}

bool msa_records_equal(const struct msa_records *a, const struct msa_records *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!msa_records_has(b, &a->item[i]))
			return false;
	return true;
}

size_t msa_records_count(const struct msa_records *r, uint16_t type)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += r->item[i].type == type;
	return n;
}
