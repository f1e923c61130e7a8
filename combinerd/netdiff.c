/* SPDX-License-Identifier: BSD-2-Clause */
#include "netdiff.h"

#include <msproto/base/mem.h>

#define ITEM_COST 128 /* octets of memory besides the key */

struct item {
	struct msp_span before, after; /* borrowed; len 0 = there was, or is, no such record */
};

void cmb_netdiff_init(struct cmb_netdiff *d, size_t max)
{
	msp_map_init(&d->map, max / ITEM_COST);
	msp_buf_init(&d->key, MSP_NAME_KEY_MAX + 3 + MSP_RDATA_MAX);
	d->octets = 0;
	d->max = max;
}

void cmb_netdiff_fini(struct cmb_netdiff *d)
{
	msp_map_fini(&d->map, msp_free);
	msp_buf_fini(&d->key);
	d->octets = 0;
}

/* Names first: in a name's key every label ends in a zero and begins with something else, so that one zero more puts
 * all records of a name before those of the names below it. */
static enum msp_err make_key(struct cmb_netdiff *d, const struct msp_rr *rr)
{
	struct msp_name_key k = msp_name_key(&rr->owner);
	uint8_t *rdata;

	msp_buf_reset(&d->key);
	msp_buf_add(&d->key, k.oct, k.len);
	msp_buf_add_u8(&d->key, 0);
	msp_buf_add_u8(&d->key, (uint8_t)(rr->type >> 8));
	msp_buf_add_u8(&d->key, (uint8_t)rr->type);
	rdata = msp_buf_reserve(&d->key, rr->rdata.len);
	if (rdata == NULL)
		return d->key.err;
	msp_rdata_canon(rr->type, rr->rdata, rdata);
	msp_buf_claim(&d->key, rr->rdata.len);
	return MSP_OK;
}

/* The record's item; one that is new says that the record was `before`. */
static enum msp_err touch(struct cmb_netdiff *d, const struct msp_rr *rr, struct msp_span before, struct item **out)
{
	enum msp_err err = make_key(d, rr);
	struct item *i;

	if (err != MSP_OK)
		return err;
	*out = msp_map_get(&d->map, msp_buf_span(&d->key));
	if (*out != NULL)
		return MSP_OK;
	if (d->key.len + ITEM_COST > d->max - d->octets)
		return MSP_ELIMIT;
	i = msp_alloc(1, sizeof(*i));
	if (i == NULL)
		return MSP_ENOMEM;
	i->before = before;
	err = msp_map_put(&d->map, msp_buf_span(&d->key), i, NULL);
	if (err != MSP_OK) {
		msp_free(i);
		return err;
	}
	d->octets += d->key.len + ITEM_COST;
	*out = i;
	return MSP_OK;
}

enum msp_err cmb_netdiff_del(struct cmb_netdiff *d, const struct msp_rr *rr, struct msp_span wire)
{
	struct item *i;
	enum msp_err err = touch(d, rr, wire, &i);

	if (err == MSP_OK)
		i->after = msp_span(NULL, 0);
	return err;
}

enum msp_err cmb_netdiff_add(struct cmb_netdiff *d, const struct msp_rr *rr, struct msp_span wire)
{
	struct item *i;
	enum msp_err err = touch(d, rr, msp_span(NULL, 0), &i);

	if (err == MSP_OK)
		i->after = wire;
	return err;
}

enum msp_err cmb_netdiff_write(const struct cmb_netdiff *d, struct msp_buf *del, struct msp_buf *add)
{
	struct msp_map_it it;

	for (bool more = msp_map_first(&d->map, msp_span(NULL, 0), &it); more; more = msp_map_next(&d->map, &it)) {
		const struct item *i = it.value;

		if (msp_span_equal(i->before, i->after))
			continue;
		msp_buf_add_span(del, i->before);
		msp_buf_add_span(add, i->after);
	}
	return del->err != MSP_OK ? del->err : add->err;
}
