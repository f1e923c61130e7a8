/* SPDX-License-Identifier: BSD-2-Clause */
#include "apex.h"

#include <msproto/base/mem.h>

#include <string.h>

#define SOA_TAIL 20 /* serial, refresh, retry, expire, minimum */

static const uint16_t slot_type[CMB_SLOT__N] = {
#define SLOT_ROW(name, type) [CMB_##name] = MSP_TYPE_##type,
	CMB_SLOT_MAP(SLOT_ROW)
#undef SLOT_ROW
};

uint16_t cmb_slot_type(enum cmb_slot slot)
{
	return slot_type[slot];
}

bool cmb_slot_of(uint16_t type, enum cmb_slot *out)
{
	for (unsigned i = 0; i < CMB_SLOT__N; i++)
		if (slot_type[i] == type) {
			*out = (enum cmb_slot)i;
			return true;
		}
	return false;
}

void cmb_apex_fini(struct cmb_apex *a)
{
	msp_rrset_free(&a->soa);
	for (unsigned i = 0; i < CMB_SLOT__N; i++)
		msp_rrset_free(&a->set[i]);
}

static enum msp_err set_add(struct msp_rrset **set, const struct msp_rr *rr, bool *ttl_differs)
{
	if (*set == NULL) {
		enum msp_err err = msp_rrset_new(&rr->owner, rr->type, rr->ttl, set);

		if (err != MSP_OK)
			return err;
	}
	if ((*set)->ttl != rr->ttl) {
		/* PROTOCOL A.0: members of one RRset get one TTL, the smallest */
		*ttl_differs = true;
		if (rr->ttl < (*set)->ttl)
			(*set)->ttl = rr->ttl;
	}
	return msp_rrset_add(*set, rr->rdata);
}

enum msp_err cmb_apex_add(struct cmb_apex *a, const struct msp_rr *rr, bool *ttl_differs)
{
	enum cmb_slot slot;

	if (rr->type == MSP_TYPE_SOA)
		return a->soa != NULL ? MSP_EEXIST : set_add(&a->soa, rr, ttl_differs);
	if (!cmb_slot_of(rr->type, &slot))
		return MSP_EVALUE;
	return set_add(&a->set[slot], rr, ttl_differs);
}

static enum msp_err set_dup(const struct msp_rrset *from, struct msp_rrset **out)
{
	return cmb_rrset_empty(from) ? MSP_OK : msp_rrset_dup(from, out);
}

enum msp_err cmb_apex_dup(const struct cmb_apex *a, struct cmb_apex *out)
{
	enum msp_err err;

	memset(out, 0, sizeof(*out));
	err = set_dup(a->soa, &out->soa);
	for (unsigned i = 0; err == MSP_OK && i < CMB_SLOT__N; i++)
		err = set_dup(a->set[i], &out->set[i]);
	if (err != MSP_OK)
		cmb_apex_fini(out);
	return err;
}

enum msp_err cmb_apex_write(const struct cmb_apex *a, struct msp_buf *out)
{
	enum msp_err err = a->soa != NULL ? msp_rrset_write(a->soa, out) : MSP_OK;

	for (unsigned i = 0; err == MSP_OK && i < CMB_SLOT__N; i++)
		if (a->set[i] != NULL)
			err = msp_rrset_write(a->set[i], out);
	return err;
}

enum msp_err cmb_apex_read(struct msp_span octets, struct cmb_apex *out, struct msp_rrset **other)
{
	struct msp_rr_scratch *scratch = msp_alloc(1, sizeof(*scratch));
	struct cmb_apex a = { 0 };
	struct msp_rrset *rest = NULL;
	enum msp_err err = scratch ? MSP_OK : MSP_ENOMEM;
	struct msp_rd rd;
	struct msp_rr rr;
	bool ttl_differs = false;

	msp_rd_init(&rd, octets);
	while (err == MSP_OK && msp_rd_left(&rd) > 0) {
		enum cmb_slot slot;

		msp_rr_read(&rd, scratch, &rr);
		if (rd.err != MSP_OK)
			err = rd.err;
		else if (rr.type == MSP_TYPE_SOA || cmb_slot_of(rr.type, &slot))
			err = cmb_apex_add(&a, &rr, &ttl_differs);
		else
			err = other != NULL ? set_add(&rest, &rr, &ttl_differs) : MSP_ECORRUPT;
	}
	msp_free(scratch);
	if (err != MSP_OK) {
		cmb_apex_fini(&a);
		msp_rrset_free(&rest);
		return err;
	}
	*out = a;
	if (other != NULL)
		*other = rest;
	return MSP_OK;
}

bool cmb_rrset_same(const struct msp_rrset *a, const struct msp_rrset *b)
{
	if (cmb_rrset_empty(a) || cmb_rrset_empty(b))
		return cmb_rrset_empty(a) && cmb_rrset_empty(b);
	return a->ttl == b->ttl && msp_rrset_equal(a, b);
}

bool cmb_apex_equal(const struct cmb_apex *a, const struct cmb_apex *b)
{
	for (unsigned i = 0; i < CMB_CONTRIB_SLOTS; i++)
		if (!cmb_rrset_same(a->set[i], b->set[i]))
			return false;
	return true;
}

uint32_t cmb_apex_serial(const struct cmb_apex *a)
{
	return cmb_rrset_empty(a->soa) ? 0 : msp_soa_serial(a->soa->rdata[0]);
}

enum msp_err cmb_soa_with_serial(const struct msp_rrset *soa, uint32_t serial, struct msp_rrset **out)
{
	uint8_t oct[2 * MSP_NAME_MAX + SOA_TAIL];
	struct msp_span from = soa->rdata[0];
	struct msp_rrset *copy = NULL;
	struct msp_wr wr;
	enum msp_err err;

	if (from.len < SOA_TAIL + 2 || from.len > sizeof(oct))
		return MSP_EFORMAT;
	msp_wr_init(&wr, oct, sizeof(oct));
	msp_wr_octets(&wr, msp_span(from.ptr, from.len - SOA_TAIL));
	msp_wr_u32(&wr, serial);
	msp_wr_octets(&wr, msp_span(from.ptr + from.len - (SOA_TAIL - 4), SOA_TAIL - 4));
	err = msp_rrset_new(&soa->owner, MSP_TYPE_SOA, soa->ttl, &copy);
	if (err == MSP_OK)
		err = msp_rrset_add(copy, msp_wr_span(&wr));
	if (err != MSP_OK)
		msp_rrset_free(&copy);
	*out = copy;
	return err;
}

void cmb_owner_free(struct cmb_owner **o)
{
	if (*o == NULL)
		return;
	cmb_apex_fini(&(*o)->apex);
	msp_rrset_free(&(*o)->hsync);
	msp_free(*o);
	*o = NULL;
}

enum msp_err cmb_owner_dup(const struct cmb_owner *o, struct cmb_owner **out)
{
	struct cmb_owner *copy = msp_alloc(1, sizeof(*copy));
	enum msp_err err;

	*out = NULL;
	if (copy == NULL)
		return MSP_ENOMEM;
	copy->is_signed = o->is_signed;
	err = cmb_apex_dup(&o->apex, &copy->apex);
	if (err == MSP_OK)
		err = set_dup(o->hsync, &copy->hsync);
	if (err != MSP_OK)
		cmb_owner_free(&copy);
	*out = copy;
	return err;
}
