/* SPDX-License-Identifier: BSD-2-Clause */
#include "dsync.h"

/** `_dsync` between the first `before` labels of the child and the rest. */
static enum msp_err insert(const struct msp_name *child, unsigned before, struct msp_name *out)
{
	struct msp_name head, tail;
	size_t at = 0;
	enum msp_err err = msp_name_parent(child, before, &tail);

	if (err == MSP_OK)
		err = msp_name_prepend("_dsync", &tail, &tail);
	if (err != MSP_OK)
		return err;
	head = *child;
	for (unsigned i = 0; i < before; i++)
		at += 1u + head.oct[at];
	head.oct[at] = 0; /* the root ends it here */
	head.len = (uint8_t)(at + 1);
	return msp_name_concat(&head, &tail, out);
}

/** Not asked for yet, and room for it. */
static bool push(struct msa_dsync_walk *w, const struct msp_name *name)
{
	for (size_t i = 0; i < w->count; i++)
		if (msp_name_equal(&w->asked[i], name))
			return false;
	if (w->count == MSA_DSYNC_NAMES_MAX)
		return false;
	w->asked[w->count++] = *name;
	return true;
}

enum msp_err msa_dsync_first(struct msa_dsync_walk *w, const struct msp_name *child)
{
	struct msp_name name;
	enum msp_err err = msp_name_is_root(child) ? MSP_ENAME : insert(child, 1, &name);

	*w = (struct msa_dsync_walk){ .child = *child };
	if (err == MSP_OK)
		push(w, &name);
	return err;
}

const struct msp_name *msa_dsync_name(const struct msa_dsync_walk *w)
{
	return w->count == 0 ? NULL : &w->asked[w->count - 1];
}

/** A zone that the child can be delegated from. */
static bool is_above(const struct msp_name *zone, const struct msp_name *child)
{
	return msp_name_is_set(zone) && msp_name_is_under(child, zone) && !msp_name_equal(child, zone);
}

bool msa_dsync_next(struct msa_dsync_walk *w, const struct msp_name *soa_owner, const struct msp_name *parent)
{
	unsigned labels = msp_name_labels(&w->child), cut;
	const struct msp_name *zone = is_above(soa_owner, &w->child) ? soa_owner : parent;
	struct msp_name name;

	/* An SOA below `_dsync`, or of some other tree, says nothing about the parent: what was looked up does. */
	if (w->count == 0 || !is_above(zone, &w->child))
		return false;
	cut = msp_name_labels(zone);
	/* Labels between `_dsync` and the parent: the second form. Tried already, or the same as the first: skip it. */
	if (insert(&w->child, labels - cut, &name) == MSP_OK && push(w, &name))
		return true;
	return msp_name_prepend("_dsync", zone, &name) == MSP_OK && push(w, &name);
}

/* ---- the records
 * ----------------------------------------------------------------------------------------------------- */

static void put(struct msa_dsync *out, enum msa_dsync_kind kind, const struct msp_dsync *d)
{
	size_t n = out->kind[kind].count;

	for (size_t i = 0; i < n; i++)
		if (out->kind[kind].at[i].port == d->port && msp_name_equal(&out->kind[kind].at[i].target, &d->target))
			return;
	if (n == MSA_DSYNC_MAX)
		return;
	out->kind[kind].at[n] = (struct msa_endpoint_dsync){ .target = d->target, .port = d->port };
	out->kind[kind].count++;
}

/** One pass: the records of one RR type and scheme. */
static void take(const struct msp_rrset *set, uint8_t scheme, uint16_t type, enum msa_dsync_kind kind,
		 struct msa_dsync *out)
{
	struct msp_dsync d;

	for (size_t i = 0; i < set->count; i++)
		if (msp_dsync_parse(set->rdata[i], &d) == MSP_OK && d.scheme == scheme && d.rrtype == type &&
		    d.port != 0 && !msp_name_is_root(&d.target))
			put(out, kind, &d);
}

void msa_dsync_read(const struct msp_rrset *set, const struct msp_numbers *numbers, struct msa_dsync *out)
{
	*out = (struct msa_dsync){ 0 };
	take(set, MSP_DSYNC_NOTIFY, MSP_TYPE_CDS, MSA_DSYNC_CDS, out);
	take(set, MSP_DSYNC_NOTIFY, MSP_TYPE_ANY, MSA_DSYNC_CDS, out);
	take(set, MSP_DSYNC_NOTIFY, MSP_TYPE_CSYNC, MSA_DSYNC_CSYNC, out);
	take(set, MSP_DSYNC_NOTIFY, MSP_TYPE_ANY, MSA_DSYNC_CSYNC, out);
	if (numbers->dsync_update == 0 || numbers->dsync_update == MSP_DSYNC_NOTIFY)
		return; /* scheme 0 is to be ignored */
	take(set, numbers->dsync_update, MSP_TYPE_ANY, MSA_DSYNC_UPDATE, out);
	take(set, numbers->dsync_update, MSP_TYPE_CDS, MSA_DSYNC_UPDATE, out);
}
