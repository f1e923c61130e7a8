/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Input: transfers one after the other, each of them kind (1 octet, low bit: IXFR), number of messages (1), and the
 * messages of the answer, each behind a length of 2 octets, for the zone example. What comes in whole is held, and is
 * what the next differences apply to. Whatever came before: a version has its SOA and its NS; differences leave what is
 * held as it was, and never leave a record twice; nothing of an intake that failed stays.
 */
#undef NDEBUG /* the properties are checked in every build */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "../unit/combinerd/fake_pages.h"
#include "intake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define TRANSFERS_MAX 16

struct state {
	struct cmb_pages pages;
	struct cmb_owner *held;
	struct msp_xfrin in; /* large */
	struct msp_rd rd;
};

static enum msp_xfrin_state feed(struct state *s, struct cmb_intake *in, enum msp_xfr_kind kind, unsigned count,
				 const struct msp_name *zone)
{
	const struct msp_xfrin_limits limits = { .records = FAKE_RECORDS_MAX };
	enum msp_xfrin_state state = MSP_XFRIN_MORE;
	enum msp_err err = MSP_OK;
	bool is_first = true;

	while (count-- > 0 && err == MSP_OK && state == MSP_XFRIN_MORE) {
		uint16_t size = msp_rd_u16(&s->rd);
		struct msp_span message = msp_rd_take(&s->rd, size);

		if (s->rd.err != MSP_OK || size < 2)
			return MSP_XFRIN_MORE;
		if (is_first)
			msp_xfrin_init(&s->in, kind, zone, (uint16_t)(message.ptr[0] << 8 | message.ptr[1]),
				       s->held != NULL ? cmb_apex_serial(&s->held->apex) : 0, &limits, &cmb_intake_ops,
				       in);
		is_first = false;
		err = msp_xfrin_feed(&s->in, message, &state, NULL, NULL);
	}
	return err == MSP_OK ? state : MSP_XFRIN_MORE;
}

static bool is_unique(const struct fake_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		struct msp_rr rr = { .owner = l->item[i].owner, .type = l->item[i].type };

		rr.rdata = fake_rdata(l, i);
		if (fake_find(l, &rr) != i)
			return false;
	}
	return true;
}

/* The next version is the one held, as the store would have it. */
static void hold(struct state *s, struct cmb_intake *in)
{
	bool is_diff = in->edit != NULL;

	assert(!cmb_rrset_empty(in->owner->apex.soa) && !cmb_rrset_empty(in->owner->apex.set[CMB_NS]));
	assert(cmb_apex_serial(&in->owner->apex) == in->serial);
	assert(!is_diff || !is_unique(&s->pages.held) || is_unique(&s->pages.news));
	cmb_owner_free(&s->held);
	s->held = in->owner;
	in->owner = NULL;
	if (fake_copy(&s->pages.held, &s->pages.news) != MSP_OK)
		abort();
}

static void transfer(struct state *s, const struct msp_name *zone)
{
	const struct cmb_guard_limits limits = { .names = 1000, .rrset_octets = 60000, .shrink_percent = 90 };
	enum msp_xfr_kind kind = (msp_rd_u8(&s->rd) & 1) != 0 && s->held != NULL ? MSP_XFR_IXFR : MSP_XFR_AXFR;
	unsigned count = msp_rd_u8(&s->rd);
	uint32_t serial = s->held != NULL ? cmb_apex_serial(&s->held->apex) : 0;
	size_t records = s->pages.held.count;
	struct cmb_intake *in = NULL;

	if (cmb_intake_open(&s->pages, zone, &msp_numbers_default, &limits, kind == MSP_XFR_IXFR ? s->held : NULL,
			    &in) != MSP_OK)
		abort();
	if (feed(s, in, kind, count, zone) == MSP_XFRIN_DONE && cmb_intake_finish(in, false) == MSP_OK)
		hold(s, in);
	else
		assert(s->pages.held.count == records &&
		       (s->held == NULL || cmb_apex_serial(&s->held->apex) == serial));
	cmb_intake_close(&in);
	assert(s->pages.builds == 0 && s->pages.edits == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct state *s = msp_alloc(1, sizeof(*s));
	struct msp_name zone;

	if (s == NULL || msp_name_from_wire(msp_span("\7example\0", 9), &zone) != MSP_OK)
		abort();
	msp_rd_init(&s->rd, msp_span(data, len));
	for (unsigned i = 0; i < TRANSFERS_MAX && s->rd.err == MSP_OK && msp_rd_left(&s->rd) > 0; i++)
		transfer(s, &zone);
	cmb_owner_free(&s->held);
	fake_fini(&s->pages.held);
	fake_fini(&s->pages.news);
	msp_free(s);
	return 0;
}
