/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a child's server answers to a probe: an octet that picks the question, then the message. Records come out only
 * without an error, all at the name and of the type that was asked for, with signatures that say that they cover it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <msproto/wire/rdata.h>

#include "probe_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Stays in release builds. */
#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			abort();                                                                                       \
	} while (0)

static const uint16_t types[] = { MSP_TYPE_SOA,     MSP_TYPE_NS,    MSP_TYPE_DNSKEY, MSP_TYPE_CDS,
				  MSP_TYPE_CDNSKEY, MSP_TYPE_CSYNC, MSP_TYPE_A,      MSP_TYPE_AAAA };

static void check_set(const struct msp_rrset *set, const struct msp_name *name, uint16_t type)
{
	CHECK(set->type == type && set->count > 0 && msp_name_equal(&set->owner, name));
	for (size_t i = 0; i < set->count; i++)
		CHECK(msp_rdata_check(type, set->rdata[i]) == MSP_OK);
}

static bool is_whole(const struct msp_name *name)
{
	struct msp_name again;

	return msp_name_from_wire(msp_name_span(name), &again) == MSP_OK && msp_name_equal(name, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct msp_rr_scratch scratch;
	struct prt_answer a = { .err = MSP_OK };
	struct msp_name name, agent = { .len = 0 };
	uint16_t type;

	if (len == 0 || msp_name_from_text("child.example.", &name) != MSP_OK)
		return 0;
	type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
	prt_answer_read(msp_span(data + 1, len - 1), &name, type, &scratch, &a, &agent);
	CHECK(a.is_asked);
	CHECK(!msp_name_is_set(&agent) || (!msp_name_is_root(&agent) && is_whole(&agent)));
	CHECK(a.set == NULL || a.err == MSP_OK);
	CHECK(a.sigs == NULL || a.set != NULL);
	CHECK(a.err != MSP_OK || a.set != NULL || a.is_authoritative);
	if (a.set != NULL)
		check_set(a.set, &name, type);
	if (a.sigs != NULL) {
		check_set(a.sigs, &name, MSP_TYPE_RRSIG);
		for (size_t i = 0; i < a.sigs->count; i++) {
			struct msp_rrsig sig;

			CHECK(msp_rrsig_parse(a.sigs->rdata[i], &sig) == MSP_OK && sig.covered == type);
		}
	}
	msp_rrset_free(&a.set);
	msp_rrset_free(&a.sigs);
	return 0;
}
