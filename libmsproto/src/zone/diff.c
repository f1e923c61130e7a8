/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/zone/diff.h>

/** Report the records of `set` that `other` lacks; all of them when `is_all`. */
static enum msp_err report(const struct msp_rrset *set, const struct msp_rrset *other, bool is_all,
			   enum msp_change change, msp_diff_fn *fn, void *arg)
{
	struct msp_rr rr = { .cls = MSP_CLASS_IN };
	enum msp_err err = MSP_OK;

	if (set == NULL)
		return MSP_OK;
	rr.owner = set->owner;
	rr.type = set->type;
	rr.ttl = set->ttl;
	for (size_t i = 0; i < set->count && err == MSP_OK; i++) {
		if (!is_all && msp_rrset_has(other, set->rdata[i]))
			continue;
		rr.rdata = set->rdata[i];
		err = fn(arg, change, &rr);
	}
	return err;
}

enum msp_err msp_rrset_diff(const struct msp_rrset *before, const struct msp_rrset *after, msp_diff_fn *fn, void *arg)
{
	/* With another TTL, owner or type no record of the one stands for a record of the other. */
	bool is_all = before == NULL || after == NULL || before->ttl != after->ttl || before->type != after->type ||
		      !msp_name_equal(&before->owner, &after->owner);
	enum msp_err err = report(before, after, is_all, MSP_CHANGE_DEL, fn, arg);

	return err == MSP_OK ? report(after, before, is_all, MSP_CHANGE_ADD, fn, arg) : err;
}
