/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/mem.h>
#include <msproto/wire/rrset.h>

#include "wire/layout.h"

#include <string.h>

enum msp_err msp_rrset_new(const struct msp_name *owner, uint16_t type, uint32_t ttl, struct msp_rrset **out)
{
	struct msp_rrset *set = msp_alloc(1, sizeof(*set));

	if (set == NULL)
		return MSP_ENOMEM;
	set->owner = *owner;
	set->type = type;
	set->ttl = ttl;
	*out = set;
	return MSP_OK;
}

static void free_octets(struct msp_span s)
{
	union { /* a set owns the octets that its spans lend out */
		const uint8_t *lent;
		void *owned;
	} p = { s.ptr };

	msp_free(p.owned);
}

static void drop_all(struct msp_rrset *set)
{
	for (size_t i = 0; i < set->count; i++)
		free_octets(set->rdata[i]);
	set->count = 0;
}

void msp_rrset_free(struct msp_rrset **set)
{
	if (*set == NULL)
		return;
	drop_all(*set);
	msp_free((*set)->rdata);
	msp_free(*set);
	*set = NULL;
}

/* Where the RDATA is, or where it belongs. */
static bool find(const struct msp_rrset *set, struct msp_span rdata, size_t *at)
{
	size_t lo = 0, hi = set->count;

	/* Records mostly arrive in order, so ask the last one first. */
	if (hi > 0 && msp_rdata_cmp(set->type, set->rdata[hi - 1], rdata) < 0) {
		*at = hi;
		return false;
	}
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = msp_rdata_cmp(set->type, set->rdata[mid], rdata);

		if (d == 0) {
			*at = mid;
			return true;
		}
		if (d < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*at = lo;
	return false;
}

static enum msp_err grow(struct msp_rrset *set, size_t count)
{
	size_t size = set->size != 0 ? set->size : 2;
	struct msp_span *rdata;

	if (count > MSP_RRSET_MAX)
		return MSP_ELIMIT;
	if (count <= set->size)
		return MSP_OK;
	while (size < count)
		size *= 2;
	rdata = msp_realloc(set->rdata, size, sizeof(*rdata));
	if (rdata == NULL)
		return MSP_ENOMEM;
	set->rdata = rdata;
	set->size = size;
	return MSP_OK;
}

enum msp_err msp_rrset_add(struct msp_rrset *set, struct msp_span rdata)
{
	enum msp_err err;
	uint8_t *copy;
	size_t at;

	if (rdata.len > MSP_RDATA_MAX)
		return MSP_ELIMIT;
	if (rdata.ptr == NULL)
		rdata = msp_span("", 0);
	if (find(set, rdata, &at))
		return MSP_OK;
	err = grow(set, set->count + 1);
	if (err != MSP_OK)
		return err;
	copy = msp_memdup(rdata.ptr, rdata.len);
	if (copy == NULL)
		return MSP_ENOMEM;
	memmove(set->rdata + at + 1, set->rdata + at, (set->count - at) * sizeof(*set->rdata));
	set->rdata[at] = msp_span(copy, rdata.len);
	set->count++;
	return MSP_OK;
}

bool msp_rrset_del(struct msp_rrset *set, struct msp_span rdata)
{
	size_t at;

	if (!find(set, rdata, &at))
		return false;
	free_octets(set->rdata[at]);
	set->count--;
	memmove(set->rdata + at, set->rdata + at + 1, (set->count - at) * sizeof(*set->rdata));
	return true;
}

bool msp_rrset_has(const struct msp_rrset *set, struct msp_span rdata)
{
	size_t at;

	return find(set, rdata, &at);
}

enum msp_err msp_rrset_dup(const struct msp_rrset *set, struct msp_rrset **out)
{
	struct msp_rrset *copy = NULL;
	enum msp_err err = msp_rrset_new(&set->owner, set->type, set->ttl, &copy);

	if (err == MSP_OK)
		err = msp_rrset_merge(copy, set);
	if (err == MSP_OK)
		*out = copy;
	else
		msp_rrset_free(&copy);
	return err;
}

bool msp_rrset_equal(const struct msp_rrset *a, const struct msp_rrset *b)
{
	size_t na = a != NULL ? a->count : 0, nb = b != NULL ? b->count : 0;

	if (na == 0 || nb == 0)
		return na == nb;
	if (na != nb || a->type != b->type || !msp_name_equal(&a->owner, &b->owner))
		return false;
	for (size_t i = 0; i < na; i++)
		if (!msp_rdata_equal(a->type, a->rdata[i], b->rdata[i]))
			return false;
	return true;
}

enum msp_err msp_rrset_merge(struct msp_rrset *into, const struct msp_rrset *from)
{
	struct msp_rrset add = { 0 }; /* copies of what is missing, in order: nothing changes unless all can be had */
	enum msp_err err;
	size_t i, k, end;

	if (from == NULL || from->count == 0 || from == into)
		return MSP_OK;
	add.type = into->type;
	for (i = 0; i < from->count; i++) {
		if (msp_rrset_has(into, from->rdata[i]))
			continue;
		err = msp_rrset_add(&add, from->rdata[i]);
		if (err != MSP_OK)
			goto out;
	}
	err = grow(into, into->count + add.count);
	if (err != MSP_OK)
		goto out;
	i = into->count;
	k = add.count;
	end = i + k;
	into->count = end;
	while (k > 0) {
		if (i > 0 && msp_rdata_cmp(into->type, into->rdata[i - 1], add.rdata[k - 1]) > 0)
			into->rdata[--end] = into->rdata[--i];
		else
			into->rdata[--end] = add.rdata[--k];
	}
	add.count = 0; /* they are into's now */
out:
	drop_all(&add);
	msp_free(add.rdata);
	return err;
}

void msp_rrset_subtract(struct msp_rrset *from, const struct msp_rrset *what)
{
	if (what == NULL)
		return;
	if (what == from) {
		drop_all(from);
		return;
	}
	for (size_t i = 0; i < what->count && from->count > 0; i++)
		(void)msp_rrset_del(from, what->rdata[i]);
}

bool msp_rrset_contains(const struct msp_rrset *whole, const struct msp_rrset *part)
{
	if (part == NULL || part->count == 0)
		return true;
	if (whole == NULL || part->count > whole->count || part->type != whole->type ||
	    !msp_name_equal(&part->owner, &whole->owner))
		return false;
	for (size_t i = 0; i < part->count; i++)
		if (!msp_rrset_has(whole, part->rdata[i]))
			return false;
	return true;
}

enum msp_err msp_rrset_write(const struct msp_rrset *set, struct msp_buf *out)
{
	for (size_t i = 0; i < set->count; i++) {
		uint8_t head[10];
		struct msp_wr wr;

		msp_wr_init(&wr, head, sizeof(head));
		msp_wr_u16(&wr, set->type);
		msp_wr_u16(&wr, MSP_CLASS_IN);
		msp_wr_u32(&wr, set->ttl);
		msp_wr_u16(&wr, (uint16_t)set->rdata[i].len);
		msp_buf_add_span(out, msp_name_span(&set->owner));
		msp_buf_add(out, head, sizeof(head));
		msp_buf_add_span(out, set->rdata[i]);
	}
	return out->err;
}

enum msp_err msp_rrset_read(struct msp_span octets, struct msp_rrset **out)
{
	struct msp_rrset *set = NULL;
	enum msp_err err = MSP_OK;
	struct msp_name owner;
	struct msp_rd rd;

	msp_rd_init(&rd, octets);
	while (msp_rd_left(&rd) > 0) {
		struct msp_span rdata;
		uint16_t type, cls;
		uint32_t ttl;

		msp_name_read(&rd, MSP_NAME_PLAIN, &owner);
		type = msp_rd_u16(&rd);
		cls = msp_rd_u16(&rd);
		ttl = msp_rd_u32(&rd);
		rdata = msp_rd_take(&rd, msp_rd_u16(&rd));
		err = rd.err;
		if (err == MSP_OK)
			err = msp_rdata_check(type, rdata);
		if (err == MSP_OK && cls != MSP_CLASS_IN)
			err = MSP_EVALUE;
		if (err == MSP_OK && set == NULL)
			err = msp_rrset_new(&owner, type, ttl, &set);
		if (err == MSP_OK && (type != set->type || !msp_name_equal(&owner, &set->owner)))
			err = MSP_EFORMAT;
		if (err == MSP_OK)
			err = msp_rrset_add(set, rdata);
		if (err != MSP_OK)
			goto out;
		if (ttl < set->ttl) /* PROTOCOL A.0: one TTL per RRset, the smallest */
			set->ttl = ttl;
	}
	*out = set;
	set = NULL;
out:
	msp_rrset_free(&set);
	return err;
}
