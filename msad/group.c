/* SPDX-License-Identifier: BSD-2-Clause */
#include "group.h"

#include <stdlib.h>
#include <string.h>

#include <msproto/auth/digest.h>
#include <msproto/base/mem.h>

const char *msa_role_name(enum msa_role role)
{
	static const char *const name[] = { "none", "participant", "leaver", "stager" };

	return role <= MSA_ROLE_STAGER ? name[role] : "?";
}

void msa_group_fini(struct msa_group *g)
{
	msp_free(g->row);
	*g = (struct msa_group){ 0 };
}

static int span_order(const void *a, const void *b)
{
	return msp_span_cmp(*(const struct msp_span *)a, *(const struct msp_span *)b);
}

/** Lower-case what reads as names after the three octets; octets that do not stay as they are. */
static void canon(struct msp_span rdata, uint8_t *out)
{
	struct msp_hsync h;
	size_t at = 3;

	memcpy(out, rdata.ptr, rdata.len);
	if (msp_hsync_parse(rdata, false, &h) != MSP_OK)
		return;
	msp_name_lower(&h.identity);
	memcpy(out + at, h.identity.oct, h.identity.len);
	if (!h.has_upstream)
		return;
	at += h.identity.len;
	msp_name_lower(&h.upstream);
	memcpy(out + at, h.upstream.oct, h.upstream.len);
}

/** Rule 11. The type number is a setting, so the canonical form is made here, not by the registry. */
static enum msp_err digest(const struct msp_rrset *hsync, uint8_t out[32])
{
	enum msp_err err = MSP_ENOMEM;
	struct msp_span *canonical = NULL, *part = NULL;
	uint8_t *octets = NULL, *lens = NULL;
	size_t total = 0, at = 0;

	for (size_t i = 0; i < hsync->count; i++)
		total += hsync->rdata[i].len;
	canonical = msp_alloc(hsync->count + 1, sizeof(*canonical));
	part = msp_alloc(2 * hsync->count + 1, sizeof(*part));
	lens = msp_alloc(hsync->count + 1, 2);
	octets = msp_alloc(total + 1, 1);
	if (canonical == NULL || part == NULL || lens == NULL || octets == NULL)
		goto out;
	for (size_t i = 0; i < hsync->count; i++) {
		canon(hsync->rdata[i], octets + at);
		canonical[i] = msp_span(octets + at, hsync->rdata[i].len);
		at += hsync->rdata[i].len;
	}
	qsort(canonical, hsync->count, sizeof(*canonical), span_order);
	for (size_t i = 0; i < hsync->count; i++) {
		lens[2 * i] = (uint8_t)(canonical[i].len >> 8);
		lens[2 * i + 1] = (uint8_t)canonical[i].len;
		part[2 * i] = msp_span(lens + 2 * i, 2);
		part[2 * i + 1] = canonical[i];
	}
	err = msp_sha256(part, 2 * hsync->count, out);
out:
	msp_free(canonical);
	msp_free(part);
	msp_free(lens);
	msp_free(octets);
	return err;
}

static struct msa_group_row *find(struct msa_group *g, const struct msp_name *identity)
{
	for (size_t i = 0; i < g->count; i++)
		if (msp_name_equal(&g->row[i].identity, identity))
			return &g->row[i];
	return NULL;
}

const struct msa_group_row *msa_group_find(const struct msa_group *g, const struct msp_name *identity)
{
	for (size_t i = 0; i < g->count; i++)
		if (msp_name_equal(&g->row[i].identity, identity))
			return &g->row[i];
	return NULL;
}

static void add_record(struct msa_group *g, struct msp_span rdata, bool compat_zero)
{
	struct msp_hsync h;
	struct msa_group_row *row;

	if (msp_hsync_parse(rdata, compat_zero, &h) != MSP_OK || !msp_hsync_valid(&h) || g->count == MSA_GROUP_MAX) {
		g->malformed++; /* rules 2 and 8 */
		g->is_certain = false;
		return;
	}
	row = find(g, &h.identity);
	if (row == NULL) {
		row = &g->row[g->count++];
		*row = (struct msa_group_row){
			.identity = h.identity, .state = h.state, .nsmgmt = h.nsmgmt, .sign = h.sign
		};
		return;
	}
	g->duplicates++; /* rule 3: OFF over ON, NO over YES; and OWNER over AGENT, as rule 4 would have it */
	g->is_certain = false;
	if (h.state == MSP_HSYNC_OFF)
		row->state = MSP_HSYNC_OFF;
	if (h.sign == MSP_HSYNC_NO)
		row->sign = MSP_HSYNC_NO;
	if (h.nsmgmt == MSP_HSYNC_OWNER)
		row->nsmgmt = MSP_HSYNC_OWNER;
}

/** Rule 7: remembered as ON, gone without OFF. */
static void add_vanished(struct msa_group *g, const struct msa_known *k)
{
	struct msa_group_row *row;

	if (k->history->last != MSA_LAST_ON && k->history->last != MSA_LAST_VANISHED)
		return;
	if (find(g, k->identity) != NULL || g->count == MSA_GROUP_MAX)
		return;
	row = &g->row[g->count++];
	*row = (struct msa_group_row){ .identity = *k->identity,
				       .state = MSP_HSYNC_OFF,
				       .nsmgmt = k->history->nsmgmt,
				       .sign = k->history->sign,
				       .is_vanished = true };
	g->vanished++;
}

/** Rules 4, 6 and 10, once all rows are there. */
static void assign_roles(struct msa_group *g, const struct msp_name *own, const struct msa_known *known,
			 size_t known_count)
{
	bool any_agent = false, any_owner = false;

	g->self = g->count;
	for (size_t i = 0; i < g->count; i++) {
		struct msa_group_row *row = &g->row[i];
		bool ever_on = row->is_vanished;

		for (size_t k = 0; k < known_count; k++)
			if (msp_name_equal(known[k].identity, &row->identity))
				ever_on = ever_on || known[k].history->ever_on;
		row->is_self = msp_name_equal(&row->identity, own);
		if (row->is_self && !row->is_vanished)
			g->self = i;
		if (row->state != MSP_HSYNC_ON) {
			row->role = ever_on ? MSA_ROLE_LEAVER : MSA_ROLE_STAGER;
			continue;
		}
		row->role = MSA_ROLE_PARTICIPANT;
		any_agent = any_agent || row->nsmgmt == MSP_HSYNC_AGENT;
		any_owner = any_owner || row->nsmgmt == MSP_HSYNC_OWNER;
		g->signers += row->sign == MSP_HSYNC_YES;
	}
	g->nsmgmt_mixed = any_agent && any_owner;
	g->nsmgmt = any_agent && !any_owner ? MSP_HSYNC_AGENT : MSP_HSYNC_OWNER;
}

static int row_order(const void *a, const void *b)
{
	return msp_name_cmp(&((const struct msa_group_row *)a)->identity, &((const struct msa_group_row *)b)->identity);
}

enum msp_err msa_group_make(const struct msp_rrset *hsync, bool compat_zero, const struct msp_name *own,
			    const struct msa_known *known, size_t known_count, struct msa_group *out)
{
	struct msa_group g = { .is_certain = true, .nsmgmt = MSP_HSYNC_OWNER };
	enum msp_err err;

	if (hsync == NULL || hsync->count == 0) {
		*out = g;
		return MSP_OK;
	}
	g.has_hsync = true;
	g.row = msp_alloc(MSA_GROUP_MAX, sizeof(*g.row));
	if (g.row == NULL)
		return MSP_ENOMEM;
	err = digest(hsync, g.digest);
	if (err != MSP_OK) {
		msa_group_fini(&g);
		return err;
	}
	for (size_t i = 0; i < hsync->count; i++)
		add_record(&g, hsync->rdata[i], compat_zero);
	for (size_t i = 0; i < known_count; i++)
		add_vanished(&g, &known[i]);
	qsort(g.row, g.count, sizeof(*g.row), row_order);
	assign_roles(&g, own, known, known_count);
	if (g.count > 0) {
		struct msa_group_row *fit = msp_realloc(g.row, g.count, sizeof(*g.row));

		g.row = fit == NULL ? g.row : fit;
	}
	*out = g;
	return MSP_OK;
}

struct msa_history msa_history_next(const struct msa_history *before, const struct msa_group_row *row)
{
	struct msa_history h = *before;

	if (row == NULL) {
		if (h.last == MSA_LAST_OFF) /* removed after OFF, as it should be: as if never seen, but for ever_on */
			h.last = MSA_LAST_NEVER;
		return h;
	}
	if (row->is_vanished) {
		h.last = MSA_LAST_VANISHED;
		return h;
	}
	h.last = row->state == MSP_HSYNC_ON ? MSA_LAST_ON : MSA_LAST_OFF;
	h.ever_on = h.ever_on || row->state == MSP_HSYNC_ON;
	h.ever_signed = h.ever_signed || msa_row_signs(row);
	h.nsmgmt = row->nsmgmt;
	h.sign = row->sign;
	return h;
}

enum msp_err msa_group_signers_digest(const struct msa_group *g, uint8_t out[32])
{
	struct msp_name *lower = msp_alloc(g->count + 1, sizeof(*lower));
	struct msp_span *part = msp_alloc(g->count + 1, sizeof(*part));
	enum msp_err err = MSP_ENOMEM;
	size_t n = 0;

	if (lower == NULL || part == NULL)
		goto out;
	for (size_t i = 0; i < g->count; i++) {
		if (!msa_row_signs(&g->row[i]))
			continue;
		lower[n] = g->row[i].identity;
		msp_name_lower(&lower[n]);
		part[n] = msp_name_span(&lower[n]);
		n++;
	}
	err = msp_sha256(part, n, out);
out:
	msp_free(lower);
	msp_free(part);
	return err;
}
