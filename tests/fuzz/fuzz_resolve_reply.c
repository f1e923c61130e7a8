/* SPDX-License-Identifier: BSD-2-Clause */
/* What the resolver worker says: whatever is accepted, written again reads the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/resolve_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Stays in release builds. */
#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct resolve_reply first, second;
	struct msp_span payload;
	struct msp_buf out;

	if (resolve_frame(msp_span(data, len), RESOLVE_REPLY_MAX, &payload) != MSP_OK ||
	    resolve_reply_read(payload, &first) != MSP_OK)
		return 0;
	if (!first.is_open)
		CHECK((first.verdict == MSP_LOOKUP_SECURE) == (first.set != NULL) && !first.is_negative);
	else if (first.verdict == MSP_LOOKUP_SECURE || first.verdict == MSP_LOOKUP_INSECURE)
		CHECK(first.is_negative == (first.set == NULL));
	else
		CHECK(first.set == NULL && !first.is_negative);
	CHECK(first.is_negative || !msp_name_is_set(&first.soa_owner));
	msp_buf_init(&out, RESOLVE_FRAME_HEAD + RESOLVE_REPLY_MAX);
	if (resolve_reply_write(&first, &out) == MSP_OK) {
		enum msp_err err = resolve_frame(msp_buf_span(&out), RESOLVE_REPLY_MAX, &payload);

		CHECK(err == MSP_OK);
		err = resolve_reply_read(payload, &second);
		CHECK(err == MSP_OK && first.id == second.id && first.verdict == second.verdict);
		CHECK(first.is_open == second.is_open && first.is_negative == second.is_negative);
		CHECK(msp_span_equal(msp_name_span(&first.soa_owner), msp_name_span(&second.soa_owner)));
		CHECK(strcmp(first.why, second.why) == 0 && msp_rrset_equal(first.set, second.set));
		msp_rrset_free(&second.set);
	}
	msp_buf_fini(&out);
	msp_rrset_free(&first.set);
	return 0;
}
