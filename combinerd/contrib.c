/* SPDX-License-Identifier: BSD-2-Clause */
#include "contrib.h"

#include <msproto/base/mem.h>

#include <string.h>

#define ENTRIES_MAX ((size_t)CMB_ORIGINATORS_MAX * CMB_CONTRIB_SLOTS)

struct msp_name cmb_originator_local(void)
{
	static const uint8_t wire[] = "\005local"; /* the terminating zero is the root label */
	struct msp_name n = { .len = sizeof(wire) };

	memcpy(n.oct, wire, sizeof(wire));
	return n;
}

void cmb_contrib_fini(struct cmb_contrib *c)
{
	for (size_t i = 0; i < c->count; i++)
		msp_rrset_free(&c->entry[i].set);
	msp_free(c->entry);
	memset(c, 0, sizeof(*c));
}

static struct cmb_contrib_entry *find(const struct cmb_contrib *c, const struct msp_name *originator,
				      enum cmb_slot slot)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->entry[i].slot == slot && msp_name_equal(&c->entry[i].originator, originator))
			return &c->entry[i];
	return NULL;
}

const struct msp_rrset *cmb_contrib_get(const struct cmb_contrib *c, const struct msp_name *originator,
					enum cmb_slot slot)
{
	const struct cmb_contrib_entry *e = find(c, originator, slot);

	return e ? e->set : NULL;
}

bool cmb_contrib_has(const struct cmb_contrib *c, const struct msp_name *originator)
{
	for (size_t i = 0; i < c->count; i++)
		if (msp_name_equal(&c->entry[i].originator, originator))
			return true;
	return false;
}

static enum msp_err append(struct cmb_contrib *c, const struct msp_name *originator, enum cmb_slot slot,
			   struct msp_rrset *set)
{
	if (c->count == ENTRIES_MAX)
		return MSP_ELIMIT;
	if (c->count == c->size) {
		size_t size = c->size ? 2 * c->size : 8;
		void *grown = msp_realloc(c->entry, size, sizeof(*c->entry));

		if (grown == NULL)
			return MSP_ENOMEM;
		c->entry = grown;
		c->size = size;
	}
	c->entry[c->count++] = (struct cmb_contrib_entry){ .originator = *originator, .slot = slot, .set = set };
	return MSP_OK;
}

enum msp_err cmb_contrib_set(struct cmb_contrib *c, const struct msp_name *originator, enum cmb_slot slot,
			     struct msp_rrset **set)
{
	struct cmb_contrib_entry *e = find(c, originator, slot);
	struct msp_rrset *mine = *set;
	enum msp_err err = MSP_OK;

	*set = NULL;
	if (cmb_rrset_empty(mine))
		msp_rrset_free(&mine);
	if (e != NULL) {
		msp_rrset_free(&e->set);
		e->set = mine;
		if (mine == NULL)
			*e = c->entry[--c->count];
	} else if (mine != NULL) {
		err = append(c, originator, slot, mine);
		if (err != MSP_OK)
			msp_rrset_free(&mine);
	}
	return err;
}

enum msp_err cmb_contrib_dup(const struct cmb_contrib *c, struct cmb_contrib *out)
{
	enum msp_err err = MSP_OK;

	memset(out, 0, sizeof(*out));
	out->number = c->number;
	for (size_t i = 0; err == MSP_OK && i < c->count; i++) {
		struct msp_rrset *copy = NULL;

		err = msp_rrset_dup(c->entry[i].set, &copy);
		if (err == MSP_OK)
			err = cmb_contrib_set(out, &c->entry[i].originator, c->entry[i].slot, &copy);
	}
	if (err != MSP_OK)
		cmb_contrib_fini(out);
	return err;
}

enum msp_err cmb_contrib_union(const struct cmb_contrib *c, enum cmb_slot slot, struct msp_rrset **out)
{
	struct msp_rrset *sum = NULL;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < c->count; i++) {
		const struct msp_rrset *one = c->entry[i].set;

		if (c->entry[i].slot != slot)
			continue;
		if (sum == NULL) {
			err = msp_rrset_dup(one, &sum);
			continue;
		}
		if (one->ttl < sum->ttl)
			sum->ttl = one->ttl;
		err = msp_rrset_merge(sum, one);
	}
	if (err != MSP_OK)
		msp_rrset_free(&sum);
	*out = sum;
	return err;
}
