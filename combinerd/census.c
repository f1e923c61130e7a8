/* SPDX-License-Identifier: BSD-2-Clause */
#include "census.h"

#include "inspect.h"

#include <string.h>

const char *cmb_condition_word(enum cmb_condition c)
{
	static const char *const word[CMB_CONDITION__N] = {
#define CONDITION_WORD(name, text) [CMB_IS_##name] = text,
		CMB_CONDITION_MAP(CONDITION_WORD)
#undef CONDITION_WORD
	};

	return word[c];
}

const char *cmb_mark_word(enum cmb_mark m)
{
	static const char *const word[CMB_MARK__N] = {
#define MARK_WORD(name, text) [CMB_HAS_##name] = text,
		CMB_MARK_MAP(MARK_WORD)
#undef MARK_WORD
	};

	return word[m];
}

enum cmb_condition cmb_census_condition(const struct cmb_hosted *h)
{
	if (cmb_hosted_trouble(h) == NULL)
		return CMB_IS_SERVING;
	if (!h->has_head)
		return CMB_IS_NEVER;
	if (h->is_damaged)
		return CMB_IS_DAMAGED;
	return cmb_refresh_is_expired(&h->refresh, msp_mono_now()) ? CMB_IS_EXPIRED : CMB_IS_OTHER;
}

bool cmb_census_has(const struct cmb_hosted *h, enum cmb_mark m)
{
	switch (m) {
	case CMB_HAS_FROZEN:
		return h->is_frozen;
	case CMB_HAS_HELD:
		return h->held != NULL;
	case CMB_HAS_FAILING:
		return h->refresh.failures > 0;
	case CMB_HAS_BUSY:
		return h->fetch != NULL || h->candidate != NULL || h->version != NULL;
	case CMB_HAS_UNTOLD:
		return h->notify != NULL;
	case CMB_HAS_LOADED:
		return h->zone != NULL;
	case CMB_MARK__N:
		break;
	}
	return false;
}

static void wait_until(const char **what, const char *text, struct msp_mono *until, struct msp_mono then)
{
	*what = text;
	*until = then;
}

bool cmb_census_waits(const struct cmb_hosted *h, const char **what, struct msp_mono *until)
{
	*what = NULL;
	*until = MSP_MONO_NEVER;
	if (h->is_frozen)
		*what = "an operator: frozen, see msctl combiner thaw";
	else if (h->held != NULL)
		*what = "an operator: a version is held back, see msctl combiner accept";
	else if (h->inspect != NULL)
		*what = cmb_inspect_text(h->inspect);
	else if (h->is_committing || h->version != NULL)
		*what = "the zone store";
	else if (h->fetch != NULL)
		*what = cmb_upstream_text(h);
	else if (h->is_dirty)
		wait_until(what, "the quiet time after a change", until, h->quiet_until);
	else if (!h->has_head || h->refresh.failures > 0)
		wait_until(what, "the next try with a primary", until, h->refresh.next);
	else if (h->notify != NULL)
		*what = "answers of signers to NOTIFY";
	return *what != NULL;
}

static void count(struct cmb_census *c, const struct cmb_hosted *h)
{
	enum cmb_condition condition = cmb_census_condition(h);

	c->zones++;
	c->condition[condition]++;
	c->records += h->has_head ? h->head.records : 0;
	for (unsigned m = 0; m < CMB_MARK__N; m++)
		c->mark[m] += cmb_census_has(h, (enum cmb_mark)m);
	if (condition == CMB_IS_SERVING && !h->is_frozen && h->held == NULL)
		return;
	c->sick_all++;
	if (c->sick_count < CMB_CENSUS_NAMES)
		c->sick[c->sick_count++] = h;
}

void cmb_census_take(const struct cmb_app *app, struct cmb_census *out)
{
	struct msp_map_it it;

	memset(out, 0, sizeof(*out));
	for (bool more = msp_map_first(&app->by_name, msp_span(NULL, 0), &it); more;
	     more = msp_map_next(&app->by_name, &it))
		count(out, it.value);
}
