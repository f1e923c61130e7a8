/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard.h"

#include <string.h>

#define SMALL_ZONE 10 /* records: below this a percentage says nothing */

void cmb_guard_init(struct cmb_guard *g, const struct cmb_guard_limits *limits)
{
	memset(g, 0, sizeof(*g));
	g->limits = *limits;
}

static bool is_same_name(const struct msp_name *a, const struct msp_name *b)
{
	return a->len == b->len && (memcmp(a->oct, b->oct, a->len) == 0 || msp_name_equal(a, b));
}

static void copy_name(struct msp_name *to, const struct msp_name *from)
{
	to->len = from->len;
	memcpy(to->oct, from->oct, from->len);
}

enum msp_err cmb_guard_record(struct cmb_guard *g, const struct msp_rr *rr, struct msp_why *why)
{
	const struct cmb_guard_limits *l = &g->limits;
	bool is_same;

	g->records++;
	if (l->records != 0 && g->records > l->records)
		return msp_fail(why, MSP_ELIMIT, "more than %llu records (max-records)",
				(unsigned long long)l->records);
	if (l->names == 0 && l->rrset_octets == 0)
		return MSP_OK;
	is_same = is_same_name(&g->owner, &rr->owner);
	if (!is_same) {
		copy_name(&g->owner, &rr->owner);
		g->names++;
	}
	if (!is_same || g->type != rr->type)
		g->rrset_octets = 0;
	g->type = rr->type;
	g->rrset_octets += rr->rdata.len;
	if (l->names != 0 && g->names > l->names)
		return msp_fail(why, MSP_ELIMIT, "more than %llu owner names (max-names)",
				(unsigned long long)l->names);
	if (l->rrset_octets != 0 && g->rrset_octets > l->rrset_octets)
		return msp_fail(why, MSP_ELIMIT, "%.150s %s: an RRset of more than %llu octets (max-rrset)",
				MSP_NAME(&rr->owner), MSP_TYPE(rr->type), (unsigned long long)l->rrset_octets);
	return MSP_OK;
}

static uint64_t set_count(const struct msp_rrset *s)
{
	return s != NULL ? s->count : 0;
}

/* Everything but the SOA: in the pages, and in the RRsets that are set apart. */
static uint64_t total(const struct cmb_owner *o)
{
	uint64_t n = o->records;

	for (unsigned i = 0; i < CMB_SLOT__N; i++)
		n += set_count(o->apex.set[i]);
	return n;
}

/* A zone of a few records may well lose half of them in an edit; one that loses all of them was not meant. */
static bool is_emptied(const struct cmb_owner *o)
{
	return total(o) <= set_count(o->apex.set[CMB_NS]);
}

enum msp_err cmb_guard_version(const struct cmb_guard_limits *limits, const struct cmb_owner *held,
			       const struct cmb_owner *news, struct msp_why *why)
{
	uint64_t before, after = total(news), lost;

	if (limits->records != 0 && after + 1 > limits->records) /* and the SOA */
		return msp_fail(why, MSP_ELIMIT, "%llu records, more than %llu (max-records)",
				(unsigned long long)after + 1, (unsigned long long)limits->records);
	if (held == NULL || limits->shrink_percent == 0)
		return MSP_OK;
	before = total(held);
	lost = before > after ? before - after : 0;
	if (lost == 0)
		return MSP_OK;
	if (before < SMALL_ZONE) {
		if (!is_emptied(news) || is_emptied(held))
			return MSP_OK;
	} else if (lost <= before / 100 * limits->shrink_percent + before % 100 * limits->shrink_percent / 100) {
		return MSP_OK;
	}
	return msp_fail(why, MSP_EREFUSED, "%llu of %llu records would go, more than %u per cent (max-shrink)",
			(unsigned long long)lost, (unsigned long long)before, limits->shrink_percent);
}
