/* SPDX-License-Identifier: BSD-2-Clause */
#include "records.h"

#include <msproto/base/mem.h>
#include <msproto/wire/rdata.h>

#include <stdlib.h>
#include <string.h>

#define SETS_MAX      8
#define BOOTSTRAP_MAX 200

static struct msp_rrset *set_of(const struct prt_records *r, const struct msp_name *owner, uint16_t type)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->set[i]->type == type && msp_name_equal(&r->set[i]->owner, owner))
			return r->set[i];
	return NULL;
}

static enum msp_err add(struct prt_records *r, const struct msp_name *owner, uint16_t type, uint32_t ttl,
			struct msp_span rdata)
{
	struct msp_rrset *set = set_of(r, owner, type);
	enum msp_err err = MSP_OK;

	if (set == NULL) {
		if (r->count == SETS_MAX)
			return MSP_ELIMIT;
		err = msp_rrset_new(owner, type, ttl, &set);
		if (err == MSP_OK)
			r->set[r->count++] = set;
	}
	return err == MSP_OK ? msp_rrset_add(set, rdata) : err;
}

static enum msp_err add_dsync(const struct prt_records_in *in, struct prt_records *r, const struct msp_name *owner,
			      uint16_t type, uint8_t scheme)
{
	struct msp_dsync d = { .rrtype = type, .scheme = scheme, .port = in->port, .target = *in->target };
	uint8_t mem[MSP_NAME_MAX + 8];
	struct msp_wr wr;

	msp_wr_init(&wr, mem, sizeof(mem));
	msp_dsync_write(&wr, &d);
	return wr.err == MSP_OK ? add(r, owner, MSP_TYPE_DSYNC, in->ttl, msp_wr_span(&wr)) : wr.err;
}

static enum msp_err add_dsyncs(const struct prt_records_in *in, struct prt_records *r, const char *labels)
{
	struct msp_name owner;
	enum msp_err err = msp_name_prepend(labels, in->parent, &owner);

	if (err == MSP_OK && in->cds)
		err = add_dsync(in, r, &owner, MSP_TYPE_CDS, MSP_DSYNC_NOTIFY);
	if (err == MSP_OK && in->csync)
		err = add_dsync(in, r, &owner, MSP_TYPE_CSYNC, MSP_DSYNC_NOTIFY);
	if (err == MSP_OK && in->update)
		err = add_dsync(in, r, &owner, MSP_TYPE_ANY, in->numbers->dsync_update);
	return err;
}

static enum msp_err add_svcb(const struct prt_records_in *in, struct prt_records *r)
{
	struct msp_svcb svcb = { .priority = 1 };
	uint8_t params[BOOTSTRAP_MAX + 8], mem[BOOTSTRAP_MAX + 16];
	struct msp_wr p, wr;

	msp_wr_init(&p, params, sizeof(params));
	msp_svcb_param_write(&p, in->numbers->svcb_bootstrap, msp_span_str(in->bootstrap));
	if (p.err != MSP_OK)
		return p.err;
	svcb.params = msp_wr_span(&p);
	msp_name_root(&svcb.target); /* "." = the owner itself */
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_svcb_write(&wr, &svcb);
	return wr.err == MSP_OK ? add(r, in->target, MSP_TYPE_SVCB, in->ttl, msp_wr_span(&wr)) : wr.err;
}

static int compare(const void *a, const void *b)
{
	const struct msp_rrset *const *x = a, *const *y = b;
	int c = msp_name_cmp(&(*x)->owner, &(*y)->owner);

	return c != 0 ? c : (int)(*x)->type - (int)(*y)->type;
}

enum msp_err prt_records_make(const struct prt_records_in *in, struct prt_records *out)
{
	enum msp_err err = MSP_OK;

	*out = (struct prt_records){ .set = msp_alloc(SETS_MAX, sizeof(struct msp_rrset *)) };
	if (out->set == NULL)
		return MSP_ENOMEM;
	if (in->wildcard)
		err = add_dsyncs(in, out, "*._dsync");
	if (err == MSP_OK && in->plain)
		err = add_dsyncs(in, out, "_dsync");
	for (size_t i = 0; err == MSP_OK && i < in->address_count; i++) {
		const struct msp_addr *a = &in->address[i];
		bool is_v6 = a->family == MSP_FAMILY_V6;

		err = add(out, in->target, is_v6 ? MSP_TYPE_AAAA : MSP_TYPE_A, in->ttl,
			  msp_span(a->oct, is_v6 ? 16 : 4));
	}
	for (size_t i = 0; err == MSP_OK && i < in->key_count; i++)
		err = add(out, in->target, MSP_TYPE_KEY, in->ttl, in->key[i]);
	if (err == MSP_OK && in->bootstrap != NULL && in->bootstrap[0] != '\0')
		err = add_svcb(in, out);
	if (err != MSP_OK)
		prt_records_fini(out);
	else
		qsort(out->set, out->count, sizeof(struct msp_rrset *), compare);
	return err;
}

void prt_records_fini(struct prt_records *r)
{
	for (size_t i = 0; i < r->count; i++)
		msp_rrset_free(&r->set[i]);
	msp_free(r->set);
	*r = (struct prt_records){ .set = NULL };
}

enum msp_err prt_records_write(const struct prt_records *r, struct msp_buf *out)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < r->count; i++)
		err = msp_rrset_write(r->set[i], out);
	return err;
}

const struct msp_rrset *prt_records_get(const struct prt_records *r, const struct msp_name *owner, uint16_t type)
{
	return set_of(r, owner, type);
}

bool prt_records_has_name(const struct prt_records *r, const struct msp_name *owner)
{
	for (size_t i = 0; i < r->count; i++)
		if (msp_name_is_under(&r->set[i]->owner, owner))
			return true;
	return false;
}
